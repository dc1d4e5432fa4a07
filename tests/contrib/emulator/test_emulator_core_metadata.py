"""The tables, and the sample rows in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Reference
from holdfast_emulator.behaviour import columns
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import Metadata, Ownership, TableDefinition
from holdfast_emulator.behaviour.relationships import CascadeDelete, RelationshipDefinition
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_emulator.behaviour.validation import accept
from holdfast_emulator.sample import Sample

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def metadata() -> Metadata:
    return stock_metadata()


def test_every_column_type_is_there(metadata: Metadata) -> None:
    stock = [column for table in metadata.tables.values() for column in table.columns]
    assert {column.type for column in stock} == set(ColumnType)
    assert {c.behavior for c in stock if c.type is ColumnType.DATETIME} == set(DateBehavior)
    assert {c.attribute_type for c in stock} >= {"Customer", "Owner", "Lookup", "Virtual", "Money"}


@pytest.mark.parametrize(
    ("column", "kind", "name", "cast"),
    [
        ("ownerid", "Owner", "OwnerType", "LookupAttributeMetadata"),
        (
            "new_services",
            "Virtual",
            "MultiSelectPicklistType",
            "MultiSelectPicklistAttributeMetadata",
        ),
        ("revenue", "Money", "MoneyType", "MoneyAttributeMetadata"),
        ("industrycode", "Picklist", "PicklistType", "PicklistAttributeMetadata"),
        (
            "accountid",
            "Uniqueidentifier",
            "UniqueidentifierType",
            "UniqueidentifierAttributeMetadata",
        ),
    ],
)
def test_a_column_knows_its_names_in_metadata(
    metadata: Metadata, column: str, kind: str, name: str, cast: str
) -> None:
    found = metadata.tables["account"].by_name[column]
    assert (found.attribute_type, found.attribute_type_name, found.metadata_type) == (
        kind,
        name,
        cast,
    )


def test_tables_are_consistent(metadata: Metadata) -> None:
    for table in metadata.tables.values():
        assert table.columns[0].name == table.primary_id
        assert table.primary_name is None or table.primary_name in table.by_name
        assert len(table.by_name) == len(table.columns), "each column once"
        assert metadata.entity_set(table.entity_set) is table
        assert all(column.name == column.schema_name.lower() for column in table.columns)
        for lookup in table.lookups:
            assert set(lookup.targets) <= set(metadata.tables)


def test_every_lookup_has_a_relationship_for_each_target(metadata: Metadata) -> None:
    for table in metadata.tables.values():
        for lookup in table.lookups:
            for target in lookup.targets:
                assert metadata.navigation_of(table.name, lookup.name, target), lookup.name


def test_relationships_name_columns_that_exist(metadata: Metadata) -> None:
    for relationship in metadata.relationships.values():
        referencing = metadata.tables[relationship.referencing]
        lookup = referencing.by_name[relationship.referencing_attribute]
        assert relationship.referenced in lookup.targets
        referenced = metadata.tables[relationship.referenced]
        assert relationship.referenced_attribute == referenced.primary_id


def test_navigation_names_lead_to_relationships(metadata: Metadata) -> None:
    single = metadata.single_valued("task", "regardingobjectid_contact_task")
    assert single
    assert (single.schema_name, single.delete) == ("Contact_Tasks", CascadeDelete.CASCADE)
    assert metadata.single_valued("task", "RegardingObjectId_contact_task") is None
    many = metadata.collection_valued("contact", "account_primary_contact")
    assert many
    assert many.referencing_attribute == "primarycontactid"
    assert metadata.navigation_of("contact", "parentcustomerid", "account") == (
        "parentcustomerid_account"
    )
    assert metadata.navigation_of("contact", "fax", "account") is None


def test_holdfast_sees_the_same_table(metadata: Metadata) -> None:
    schema = metadata.schema("account")
    assert schema.primary_id == "accountid"
    assert {r.name for r in schema.relationships} >= {"account_primary_contact", "Account_Tasks"}
    account = metadata.tables["account"]
    hidden = {field.name for field in schema.fields if field.name.endswith("_table")}
    assert hidden <= set(account.fields)


def test_a_test_can_add_a_table() -> None:
    org = Dataverse(lambda: NOW)
    ann = org.security.user_of("demo-token")
    assert ann
    table = TableDefinition(
        *("new_pump", "new_Pump", "new_pumps", 10001, "new_pumpid", "new_name"),
        (
            columns.primary_id("new_PumpId"),
            columns.text("new_Name", 100),
            columns.lookup("new_AccountId", "account"),
            *columns.stamps(),
        ),
        ownership=Ownership.ORGANIZATION,
        is_custom=True,
    )
    org.add_table(table)
    org.add_relationship(
        RelationshipDefinition(
            *("new_account_pump", "account", "accountid", "new_pump", "new_accountid"),
            *("new_AccountId", "new_account_pump"),
            delete=CascadeDelete.RESTRICT,
        )
    )
    account = org.create(ann, "account", {"name": "A"})
    pointer = Reference("account", account.id)
    pump = org.create(ann, "new_pump", {"new_name": "P", "new_accountid": pointer})
    assert pump["createdby"] == Reference("systemuser", ann.id)
    assert org.track(ann, "new_pump").rows[0].id == pump.id
    assert org.metadata.navigation_of("new_pump", "new_accountid", "account") == "new_AccountId"
    with pytest.raises(ValueError, match="lacks versionnumber"):
        org.add_table(replace(table, columns=table.columns[:2]))
    with pytest.raises(ValueError, match="has a column new_name already"):
        org.add_column("new_pump", columns.text("new_Name", 5))


def test_a_child_may_go_with_another_child() -> None:
    org = Dataverse(lambda: NOW)
    ann = org.security.user_of("demo-token")
    assert ann
    lookups = [columns.lookup(name, "new_node") for name in ("new_One", "new_Two")]
    own = (columns.primary_id("new_NodeId"), columns.text("new_Name", 9), *lookups)
    names = ("new_node", "new_Node", "new_nodes", 10002, "new_nodeid", "new_name")
    org.add_table(
        TableDefinition(*names, (*own, *columns.stamps()), ownership=Ownership.ORGANIZATION)
    )
    for lookup in lookups:
        ends = ("new_node", "new_nodeid", "new_node", lookup.name)
        both = (lookup.schema_name, f"{lookup.name}_nodes")
        relationship = RelationshipDefinition(
            lookup.name, *ends, *both, delete=CascadeDelete.CASCADE
        )
        org.add_relationship(relationship)
    root = Reference("new_node", org.create(ann, "new_node", {}).id)
    nodes = [org.create(ann, "new_node", {"new_one": root}) for _ in range(2)]
    for node, other in (nodes, nodes[::-1]):
        pointer = Reference("new_node", other.id)
        org.update(ann, "new_node", node.id, {"new_two": pointer})
    token = org.track(ann, "new_node").token
    org.delete(ann, "new_node", root.id)
    gone = org.track(ann, "new_node", token=token).deleted
    assert sorted(gone) == sorted([root.id, *(node.id for node in nodes)])


def test_sample_rows_are_the_same_each_time_and_differ_by_seed() -> None:
    pictures = []
    for seed in (1, 1, 2):
        org = Dataverse(lambda: NOW)
        counts = Sample(200, NOW, seed).load(org)
        assert counts == {"account": 60, "contact": 70, "opportunity": 30, "task": 40}
        pictures.append([row.cells for table in counts for row in org.scan(table)])
    assert len(pictures[0]) == 200
    assert pictures[0] == pictures[1]
    assert pictures[0] != pictures[2]


@pytest.mark.parametrize("rows", [0, 1, 3, 10])
def test_small_samples_work_too(rows: int) -> None:
    org = Dataverse(lambda: NOW)
    assert sum(Sample(rows, NOW).load(org).values()) == rows


def test_sample_rows_are_rows_that_a_caller_could_have_written() -> None:
    org = Dataverse(lambda: NOW)
    counts = Sample(1500, NOW).load(org)
    unused = {
        (table, column.name)
        for table in counts
        for column in org.metadata.tables[table].columns
        if column.creatable
    }
    for table in counts:
        definition = org.metadata.tables[table]
        for row in org.scan(table):
            assert accept(definition, row, creating=True).items() <= row.items()
            status = definition.by_name["statuscode"].by_value[int(str(row["statuscode"]))]
            assert status.state == row["statecode"]
            for lookup in definition.lookups:
                pointer = row[lookup.name]
                if isinstance(pointer, Reference):
                    assert org.find(pointer.table, pointer.id), (table, lookup.name)
            unused -= {(table, name) for name, cell in row.items() if cell is not None}
    imports = {"importsequencenumber", "timezoneruleversionnumber", "utcconversiontimezonecode"}
    # There are no leads, nothing is imported, and only accounts have pictures.
    rest = {"originatingleadid", "overriddencreatedon", "entityimage"}
    assert {name for _, name in unused} == imports | rest


def test_sample_names_are_not_all_ascii() -> None:
    org = Dataverse(lambda: NOW)
    Sample(300, NOW).load(org)
    cities = {str(row["address1_city"]) for row in org.scan("account")}
    assert {"Bergen", "Tromsø", "Århus", "Köln"} <= cities
    assert any("Ø" in str(row["fullname"]) for row in org.scan("contact"))
    assert len({row["createdon"] for row in org.scan("account")}) > 80

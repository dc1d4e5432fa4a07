"""The server's description of its tables becomes a schema."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from holdfast.errors import ProtocolError, UsageError
from holdfast.schema import ColumnType, DateBehavior, Fill, Option, Relationship, TableSchema
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._metadata import questions, table_schema
from support.dataverse import TOKEN, World


async def schema_of(world: World, table: str) -> TableSchema:
    async with world.open() as transport:
        [schema] = await transport.schema([table])
    return schema


async def test_a_schema_is_read_in_two_requests_for_any_number_of_tables(world: World) -> None:
    async with world.open() as transport:
        schemas = await transport.schema(["account", "contact", "task", "no_such_table"])
    assert [schema.name for schema in schemas] == ["account", "contact", "task"]
    assert [schema.label for schema in schemas] == ["Account", "Contact", "Task"]


async def test_columns_say_what_a_local_write_is_checked_against(world: World) -> None:
    column = (await schema_of(world, "account")).by_name
    assert column["name"].max_length == 160
    assert column["name"].required
    assert column["name"].label == "Account Name"
    assert column["revenue"].type is ColumnType.MONEY
    assert column["revenue"].minimum is not None
    assert column["new_loyaltyscore"].precision == 4
    assert column["new_loyaltyscore"].maximum == Decimal(1_000_000)
    assert column["numberofemployees"].minimum == 0
    assert column["new_services"].type is ColumnType.CHOICES
    assert Option(9, "Training") in column["new_services"].options
    assert column["statuscode"].options == (Option(1, "Active", 0), Option(2, "Inactive", 1))
    assert (column["statecode"].default, column["statuscode"].default) == (0, 1)
    assert [option.value for option in column["creditonhold"].options] == [0, 1]
    assert column["ownerid"].targets == ("systemuser", "team")
    assert column["ownerid"].fill is Fill.CALLER
    assert column["createdon"].fill is Fill.NOW
    assert not column["createdon"].creatable
    assert column["new_opensat"].behavior is DateBehavior.TIME_ZONE_INDEPENDENT


async def test_files_and_images_are_read_only(world: World) -> None:
    column = (await schema_of(world, "account")).by_name
    for name, kind in (("new_contract", ColumnType.FILE), ("entityimage", ColumnType.IMAGE)):
        assert column[name].type is kind
        assert not column[name].creatable
        assert not column[name].updatable


async def test_every_lookup_can_be_written(world: World) -> None:
    for table in ("account", "contact", "opportunity", "task"):
        schema = await schema_of(world, table)
        for column in schema.columns:
            for target in column.targets if column.updatable else ():
                assert f"nav:{column.name}:{target}" in schema.wire, (table, column.name, target)
                assert f"set:{target}" in schema.wire
    assert schema.wire["set"] == "tasks"


async def test_relationships_are_listed_once(world: World) -> None:
    schema = await schema_of(world, "account")
    names = [relationship.name for relationship in schema.relationships]
    assert len(names) == len(set(names))
    primary = Relationship(
        *("account_primary_contact", "account", "primarycontactid", "contact"),
        navigation="primarycontactid",
        collection="account_primary_contact",
    )
    assert primary in schema.relationships


async def test_the_caller_has_a_business_unit_and_teams(world: World) -> None:
    user = world.dataverse.security.user_of(TOKEN)
    assert user is not None
    async with world.open() as transport:
        caller = await transport.identity()
        assert transport.location == world.server.url
        assert (await transport.capabilities()).filters == {"odata", "fetchxml"}
    assert caller.user == user.id
    assert caller.organization == world.dataverse.organization_id
    assert caller.business_unit == world.dataverse.seed.business_unit_id


HEAD = {
    "LogicalName": "x",
    "EntitySetName": "xs",
    "PrimaryIdAttribute": "xid",
    "TableType": "Standard",
}
KEY = {
    "LogicalName": "xid",
    "AttributeTypeName": {"Value": "UniqueidentifierType"},
    "AttributeOf": None,
    "IsValidForRead": True,
    "IsValidForCreate": True,
    "IsValidForUpdate": False,
    "IsValidODataAttribute": True,
    "RequiredLevel": {"Value": "SystemRequired"},
}


def answered(head: Any, *columns: Any, status: int = 200) -> list[Answer]:
    empty = Answer(200, {}, b'{"value":[]}')
    rest = [empty] * (len(questions("x")) - 2)
    described = Answer(200, {}, json.dumps({"value": columns}).encode())
    return [Answer(status, {}, json.dumps(head).encode()), described, *rest]


def test_columns_that_cannot_be_kept_are_left_out() -> None:
    def column(name: str, **more: object) -> dict[str, object]:
        return {**KEY, "LogicalName": name, "AttributeTypeName": {"Value": "StringType"}, **more}

    found = table_schema(
        "x",
        answered(
            HEAD,
            KEY,
            column("kept"),
            column("hidden", IsValidForRead=False),
            column("soap_only", IsValidODataAttribute=False),
            column("companion", AttributeOf="kept"),
            column("parties", AttributeTypeName={"Value": "PartyListType"}),
            column("new", AttributeTypeName={"Value": "TypeOfTheFuture"}),
            column("_holdfast_x"),
            column('inj"ected'),
            column("nowhere", AttributeTypeName={"Value": "LookupType"}),
        ),
        {},
    )
    assert found is not None
    assert [one.name for one in found.columns] == ["xid", "kept"]
    assert found.wire == {"set": "xs"}


@pytest.mark.parametrize("kind", ["Elastic", "Virtual"])
def test_special_tables_are_refused_by_name(kind: str) -> None:
    with pytest.raises(UsageError, match=f"'x' is of type {kind}"):
        table_schema("x", answered({**HEAD, "TableType": kind}, KEY), {})


def test_a_missing_table_is_none() -> None:
    assert table_schema("x", answered({}, status=404), {}) is None


@pytest.mark.parametrize(
    "answers",
    [
        answered([], KEY),
        answered(HEAD),
        answered(HEAD, {}),
        answered(HEAD, 5),
        answered(HEAD, {**KEY, "AttributeTypeName": None}),
        answered({"TableType": "Standard"}, KEY),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(answers: list[Answer]) -> None:
    with pytest.raises(ProtocolError):
        table_schema("x", answers, {})

"""Metadata, read in every shape that clients ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ACCOUNT = "EntityDefinitions(LogicalName='account')"
CRM = "Microsoft.Dynamics.CRM"
PICKLIST = f"{CRM}.PicklistAttributeMetadata"


async def test_single_properties_are_read(client: Client) -> None:
    name = await client("GET", f"{ACCOUNT}/EntitySetName")
    assert name.json["value"] == "accounts"
    assert name.json["@odata.context"].endswith("#EntityDefinitions('account')/EntitySetName")
    label = await client("GET", f"{ACCOUNT}/DisplayName")
    assert label.json["UserLocalizedLabel"]["Label"] == "Account"
    inner = await client("GET", f"{ACCOUNT}/DisplayName/UserLocalizedLabel?$select=Label")
    assert inner.json["Label"] == "Account"
    assert (await client("GET", f"{ACCOUNT}/DataProviderId")).status == 204
    assert (await client("GET", f"{ACCOUNT}/Nonsense")).status == 404
    assert (await client("GET", f"{ACCOUNT}/EntitySetName/Nonsense")).status == 404


@pytest.mark.parametrize(
    "path",
    [
        f"Attributes(LogicalName='industrycode')/{PICKLIST}",
        f"Attributes/{PICKLIST}(LogicalName='industrycode')",
    ],
)
async def test_a_cast_stands_before_or_after_the_key(client: Client, path: str) -> None:
    found = await client("GET", f"{ACCOUNT}/{path}?$select=LogicalName&$expand=OptionSet")
    assert found.json["LogicalName"] == "industrycode"
    assert found.json["OptionSet"]["Options"]
    by_id = await client("GET", f"{ACCOUNT}/Attributes({found.json['MetadataId']})")
    assert by_id.json["SchemaName"] == "IndustryCode"
    options = await client("GET", f"{ACCOUNT}/{path}/OptionSet?$select=Options")
    assert options.json["Options"] == found.json["OptionSet"]["Options"]


async def test_a_filter_works_on_collections_and_inside_expand(client: Client) -> None:
    memo = f"AttributeType eq {CRM}.AttributeTypeCode'Memo'"
    listed = await client("GET", f"{ACCOUNT}/Attributes?$select=LogicalName&$filter={memo}")
    assert [one["LogicalName"] for one in listed.value] == ["description"]
    expand = f"Attributes($select=LogicalName;$filter={memo}),Keys,ManyToManyRelationships"
    nested = await client("GET", f"{ACCOUNT}?$select=SchemaName&$expand={expand}")
    assert [one["LogicalName"] for one in nested.json["Attributes"]] == ["description"]
    assert nested.json["ManyToManyRelationships"]
    both = await client("GET", f"{ACCOUNT}?$expand=Privileges,Attributes($select=LogicalName)")
    assert both.json["Privileges"]
    assert (await client("GET", f"{ACCOUNT}?$expand=Nonsense")).status == 400
    counted = await client("GET", "EntityDefinitions?$select=LogicalName&$count=true")
    assert counted.json["@odata.count"] == len(counted.value)


@pytest.mark.parametrize(
    "what", ["OneToManyRelationships", "ManyToOneRelationships", "ManyToManyRelationships"]
)
async def test_relationships_of_a_table_are_found_by_key(client: Client, what: str) -> None:
    listed = await client("GET", f"{ACCOUNT}/{what}")
    one = listed.value[0]
    for key in (one["MetadataId"], f"SchemaName='{one['SchemaName']}'"):
        found = await client("GET", f"{ACCOUNT}/{what}({key})?$select=SchemaName")
        assert found.json["SchemaName"] == one["SchemaName"]
    assert (await client("GET", f"{ACCOUNT}/{what}(SchemaName='no')")).status == 404


async def test_relationships_of_both_kinds_are_listed_and_cast(client: Client) -> None:
    every = (await client("GET", "RelationshipDefinitions")).value
    kinds = {one["RelationshipType"] for one in every}
    assert kinds == {"OneToManyRelationship", "ManyToManyRelationship"}
    across = await client("GET", f"RelationshipDefinitions/{CRM}.ManyToManyRelationshipMetadata")
    assert {one["RelationshipType"] for one in across.value} == {"ManyToManyRelationship"}
    assert {"accountleads"} <= {one["IntersectEntityName"] for one in across.value}
    kind = f"{CRM}.RelationshipType'ManyToManyRelationship'"
    same = await client("GET", f"RelationshipDefinitions?$filter=RelationshipType eq {kind}")
    assert same.value == across.value
    one = across.value[0]
    by_id = f"RelationshipDefinitions({one['MetadataId']})"
    cast = await client("GET", f"{by_id}/{CRM}.ManyToManyRelationshipMetadata")
    assert cast.json["SchemaName"] == one["SchemaName"]
    wrong = await client("GET", f"{by_id}/{CRM}.OneToManyRelationshipMetadata")
    assert wrong.status == 404
    filtered = "RelationshipDefinitions?$filter=SchemaName eq 'no'"
    assert (await client("GET", filtered)).value == []


async def test_a_strong_consistency_is_what_there_is(client: Client) -> None:
    found = await client(
        "GET", "EntityDefinitions?$filter=LogicalName eq 'account'", Consistency="Strong"
    )
    assert len(found.value) == 1


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("EntityDefinitions?$select=Nonsense", 400),
        ("EntityDefinitions?$top=1", 400),
        ("EntityDefinitions?$orderby=LogicalName", 400),
        ("EntityDefinitions?$select=LogicalName&$select=SchemaName", 400),
        ("EntityDefinitions?nonsense=1", 501),
        (f"{ACCOUNT}?$filter=LogicalName eq 'account'", 400),
        (f"{ACCOUNT}?$expand=Attributes($expand=OptionSet($expand=a($expand=b($expand=c))))", 400),
        ("EntityDefinitions/Attributes", 404),
        ("GlobalOptionSetDefinitions?$filter=Name eq 'x'", 400),
        ("GlobalOptionSetDefinitions(Name='no')", 404),
        ("RelationshipDefinitions(SchemaName='no')", 404),
        (f"{ACCOUNT}/Attributes(LogicalName='name')/Nonsense", 404),
        ("EntityDefinitions(Other='x')", 404),
    ],
)
async def test_other_questions_are_refused(client: Client, target: str, status: int) -> None:
    assert (await client("GET", target)).status == status

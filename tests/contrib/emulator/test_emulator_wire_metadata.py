"""Metadata over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ACCOUNT = "EntityDefinitions(LogicalName='account')"
CRM = "Microsoft.Dynamics.CRM"


async def test_the_service_document_lists_the_sets(client: Client) -> None:
    answer = await client("GET", "")
    assert answer.json["@odata.context"] == f"{client.root}$metadata"
    assert {"name": "accounts", "kind": "EntitySet", "url": "accounts"} in answer.value


@pytest.mark.parametrize("name", ["WhoAmI", "WhoAmI()"])
async def test_who_am_i_names_user_and_organisation(client: Client, name: str) -> None:
    answer = await client("GET", name)
    assert set(answer.json) == {"@odata.context", "BusinessUnitId", "UserId", "OrganizationId"}
    assert int(answer.headers["x-ms-dop-hint"]) > 0


async def test_a_table_is_found_by_name_and_by_id(client: Client) -> None:
    table = (await client("GET", ACCOUNT)).json
    assert table["EntitySetName"] == "accounts"
    assert table["PrimaryIdAttribute"] == "accountid"
    assert table["PrimaryNameAttribute"] == "name"
    assert table["ChangeTrackingEnabled"] is True
    assert table["OwnershipType"] == "UserOwned"
    assert table["DisplayName"]["UserLocalizedLabel"]["Label"] == "Account"
    read = [one for one in table["Privileges"] if one["PrivilegeType"] == "Read"]
    assert read[0]["Name"] == "prvReadAccount"
    same = await client("GET", f"EntityDefinitions({table['MetadataId']})?$select=LogicalName")
    assert same.json["LogicalName"] == "account"
    assert set(same.json) == {"@odata.context", "MetadataId", "LogicalName"}


async def test_a_filter_finds_several_tables_or_none(client: Client) -> None:
    select = "$select=LogicalName,EntitySetName"
    both = "LogicalName eq 'account' or LogicalName eq 'contact'"
    found = await client("GET", f"EntityDefinitions?{select}&$filter={both}")
    assert [one["LogicalName"] for one in found.value] == ["account", "contact"]
    none = await client("GET", f"EntityDefinitions?{select}&$filter=LogicalName eq 'unknown'")
    assert (none.status, none.value) == (200, [])
    missing = await client("GET", "EntityDefinitions(LogicalName='unknown')")
    assert (missing.status, missing.code) == (404, "0x80040217")
    flagged = await client(
        "GET", f"EntityDefinitions?{select}&$filter=(ChangeTrackingEnabled eq false)"
    )
    assert "organization" in [one["LogicalName"] for one in flagged.value]
    assert "account" not in [one["LogicalName"] for one in flagged.value]


async def test_collections_are_expanded_and_cut(client: Client) -> None:
    expand = (
        "Attributes($select=LogicalName,AttributeType),ManyToOneRelationships($select=SchemaName),"
        "OneToManyRelationships,ManyToManyRelationships,Keys($select=KeyAttributes)"
    )
    table = (await client("GET", f"{ACCOUNT}?$select=LogicalName&$expand={expand}")).json
    name = next(one for one in table["Attributes"] if one["LogicalName"] == "name")
    assert set(name) == {"@odata.type", "MetadataId", "LogicalName", "AttributeType"}
    assert {"account_primary_contact"} <= {
        one["SchemaName"] for one in table["ManyToOneRelationships"]
    }
    assert table["Keys"] == []
    assert "accountleads_association" in {
        one["SchemaName"] for one in table["ManyToManyRelationships"]
    }


async def cast(client: Client, kind: str, options: str) -> dict[str, Any]:
    target = f"{ACCOUNT}/Attributes/{CRM}.{kind}AttributeMetadata?{options}"
    answer = await client("GET", target)
    assert answer.status == 200, answer.text
    return {one["LogicalName"]: one for one in answer.value}


@pytest.mark.parametrize(
    ("kind", "select", "column", "expected"),
    [
        ("String", "MaxLength", "name", 160),
        ("Memo", "MaxLength", "description", 2000),
        ("Integer", "MaxValue", "numberofemployees", 1_000_000_000),
        ("Decimal", "Precision", "new_loyaltyscore", 4),
        ("Double", "Precision", "address1_latitude", 5),
        ("Money", "Precision", "revenue", 2),
        ("DateTime", "DateTimeBehavior", "new_opensat", {"Value": "TimeZoneIndependent"}),
        ("Lookup", "Targets", "primarycontactid", ["contact"]),
        ("BigInt", "AttributeType", "versionnumber", "BigInt"),
        ("Image", "AttributeType", "entityimage", "Virtual"),
        ("MultiSelectPicklist", "AttributeType", "new_services", "Virtual"),
    ],
)
async def test_a_cast_reaches_the_properties_of_a_type(
    client: Client, kind: str, select: str, column: str, expected: object
) -> None:
    found = await cast(client, kind, f"$select=LogicalName,{select}")
    assert found[column][select] == expected


async def test_options_come_when_they_are_expanded(client: Client) -> None:
    expand = "$select=LogicalName&$expand=OptionSet($select=Options),GlobalOptionSet"
    picklists = await cast(client, "Picklist", expand)
    options = picklists["industrycode"]["OptionSet"]["Options"]
    assert (options[0]["Value"], options[0]["Label"]["UserLocalizedLabel"]["Label"]) == (
        1,
        "Accounting",
    )
    states = await cast(client, "State", expand)
    assert [one["Value"] for one in states["statecode"]["OptionSet"]["Options"]] == [0, 1]
    statuses = await cast(client, "Status", expand)
    assert [one["State"] for one in statuses["statuscode"]["OptionSet"]["Options"]] == [0, 1]
    booleans = await cast(client, "Boolean", "$select=LogicalName&$expand=OptionSet")
    yes = booleans["creditonhold"]["OptionSet"]["TrueOption"]
    assert yes["Label"]["UserLocalizedLabel"]["Label"] == "Yes"
    assert "OptionSet" not in (await cast(client, "Picklist", ""))["industrycode"]


async def test_attributes_are_listed_and_found_by_name(client: Client) -> None:
    target = f"{ACCOUNT}/Attributes?$select=LogicalName&$filter=AttributeType eq "
    found = await client("GET", f"{target}{CRM}.AttributeTypeCode'Memo'")
    assert [one["LogicalName"] for one in found.value] == ["description"]
    one = await client("GET", f"{ACCOUNT}/Attributes(LogicalName='name')")
    assert one.json["SchemaName"] == "Name"
    by_cast = f"{ACCOUNT}/Attributes(LogicalName='name')/{CRM}.StringAttributeMetadata"
    assert (await client("GET", by_cast)).json["MaxLength"] == 160
    assert (await client("GET", f"{ACCOUNT}/Attributes(LogicalName='no')")).status == 404
    assert (await client("GET", f"{ACCOUNT}/Attributes/{CRM}.EnumAttributeMetadata")).status == 400
    assert (await client("GET", f"{ACCOUNT}/Nonsense")).status == 404


async def test_relationships_name_their_navigation_properties(client: Client) -> None:
    many = (
        await client("GET", "EntityDefinitions(LogicalName='contact')/ManyToOneRelationships")
    ).value
    (customer,) = [one for one in many if one["SchemaName"] == "contact_customer_accounts"]
    assert customer["ReferencingEntityNavigationPropertyName"] == "parentcustomerid_account"
    assert customer["ReferencingAttribute"] == "parentcustomerid"
    assert customer["CascadeConfiguration"]["Delete"] == "Cascade"
    filtered = await client(
        "GET",
        f"RelationshipDefinitions/{CRM}.OneToManyRelationshipMetadata"
        "?$select=SchemaName"
        "&$filter=ReferencedEntity eq 'contact' and ReferencingEntity eq 'account'",
    )
    assert [one["SchemaName"] for one in filtered.value] == ["account_primary_contact"]
    by_id = await client("GET", f"RelationshipDefinitions({customer['MetadataId']})")
    assert by_id.json["SchemaName"] == "contact_customer_accounts"
    by_name = "RelationshipDefinitions(SchemaName='contact_customer_accounts')"
    assert (await client("GET", by_name)).status == 200

"""Relationships and option sets that are made, changed and dropped while the organisation runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Dataverse

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

CRM = "Microsoft.Dynamics.CRM."
PUMP = "EntityDefinitions(LogicalName='new_pump')"
MERGING = {"MSCRM.MergeLabels": "true"}


def label(text: str, language: int = 1033) -> dict[str, Any]:
    return {"LocalizedLabels": [{"Label": text, "LanguageCode": language}]}


def column(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"@odata.type": f"{CRM}{kind}AttributeMetadata", "SchemaName": name, **more}


def one_to_many(**more: object) -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}OneToManyRelationshipMetadata",
        "SchemaName": "new_account_pump",
        "ReferencedEntity": "account",
        "ReferencingEntity": "new_pump",
        "Lookup": column("Lookup", "new_AccountId", DisplayName=label("Account")),
        **more,
    }


def many_to_many(**more: object) -> dict[str, Any]:
    return {
        "@odata.type": f"{CRM}ManyToManyRelationshipMetadata",
        "SchemaName": "new_pump_contact",
        "Entity1LogicalName": "new_pump",
        "Entity2LogicalName": "contact",
        "IntersectEntityName": "new_pump_contact",
        **more,
    }


@pytest.fixture(autouse=True)
async def pump(client: Client) -> None:
    own = [column("String", "new_Name", IsPrimaryName=True)]
    made = await client("POST", "EntityDefinitions", {"SchemaName": "new_Pump", "Attributes": own})
    assert made.status == 204, made.text


async def test_a_lookup_comes_with_its_relationship(client: Client) -> None:
    body = one_to_many(CascadeConfiguration={"Delete": "Cascade", "Assign": "NoCascade"})
    made = await client("POST", "RelationshipDefinitions", body)
    assert made.status == 204, made.text
    address = made.headers["OData-EntityId"]
    found = (await client("GET", address)).json
    assert found["ReferencingEntityNavigationPropertyName"] == "new_AccountId"
    assert found["ReferencedEntityNavigationPropertyName"] == "new_account_pump"
    assert found["CascadeConfiguration"]["Delete"] == "Cascade"
    account = await client.create("accounts", {"name": "A"})
    pump = await client.create("new_pumps", {"new_AccountId@odata.bind": f"/accounts({account})"})
    row = (await client("GET", f"new_pumps({pump})?$expand=new_AccountId($select=name)")).json
    assert row["_new_accountid_value"] == account
    assert row["new_AccountId"]["name"] == "A"
    restrict = found | {"CascadeConfiguration": {"Delete": "Restrict"}}
    assert (await client("PUT", address, restrict)).status == 204
    assert (await client("DELETE", f"accounts({account})")).status == 405
    assert (await client("DELETE", address)).status == 204
    assert (await client("GET", address)).status == 404
    gone = f"{PUMP}/Attributes(LogicalName='new_accountid')"
    assert (await client("GET", gone)).status == 404
    assert (await client("DELETE", f"accounts({account})")).status == 204
    assert (await client("GET", f"new_pumps({pump})")).status == 200


async def test_a_dropped_lookup_takes_its_relationship(client: Client) -> None:
    made = await client("POST", "RelationshipDefinitions", one_to_many())
    gone = f"{PUMP}/Attributes(LogicalName='new_accountid')"
    assert (await client("DELETE", gone)).status == 204
    assert (await client("GET", made.headers["OData-EntityId"])).status == 404


async def test_a_table_that_others_point_to_is_not_dropped(client: Client) -> None:
    body = one_to_many(
        SchemaName="new_pump_contact",
        ReferencedEntity="new_pump",
        ReferencingEntity="contact",
        Lookup=column("Lookup", "new_PumpId"),
    )
    made = await client("POST", "RelationshipDefinitions", body)
    assert made.status == 204, made.text
    refused = await client("DELETE", PUMP)
    assert (refused.status, refused.code) == (400, "0x8004f01f")
    assert (await client("DELETE", made.headers["OData-EntityId"])).status == 204
    assert (await client("DELETE", PUMP)).status == 204


async def test_pairs_have_a_table_of_their_own(client: Client) -> None:
    made = await client("POST", "RelationshipDefinitions", many_to_many())
    assert made.status == 204, made.text
    listed = (await client("GET", f"{PUMP}/ManyToManyRelationships")).value
    assert listed[0]["Entity1IntersectAttribute"] == "new_pumpid"
    pump = await client.create("new_pumps", {"new_name": "P"})
    contact = await client.create("contacts", {"lastname": "L"})
    body = {"@odata.id": f"{client.root}contacts({contact})"}
    joined = await client("POST", f"new_pumps({pump})/new_pump_contact/$ref", body)
    assert joined.status == 204, joined.text
    pairs = (await client("GET", "new_pump_contactset")).value
    assert [(one["new_pumpid"], one["contactid"]) for one in pairs] == [(pump, contact)]
    table = "EntityDefinitions(LogicalName='new_pump_contact')"
    assert (await client("GET", table)).json["IsIntersect"] is True
    assert (await client("DELETE", made.headers["OData-EntityId"])).status == 204
    assert (await client("GET", "new_pump_contactset")).status == 404
    assert (await client("GET", f"contacts({contact})")).status == 200


async def test_a_relationship_of_a_table_with_itself_has_two_ends(client: Client) -> None:
    body = many_to_many(SchemaName="new_peers", Entity2LogicalName="new_pump")
    made = await client("POST", "RelationshipDefinitions", body)
    assert made.status == 204, made.text
    found = (await client("GET", made.headers["OData-EntityId"])).json
    ends = [found[f"Entity{n}NavigationPropertyName"] for n in (1, 2)]
    assert len(set(ends)) == 2
    assert found["Entity1IntersectAttribute"] == "new_pumpidone"


@pytest.mark.parametrize(
    "body",
    [
        one_to_many(ReferencedEntity="no"),
        one_to_many(ReferencingEntity="no"),
        one_to_many(ReferencedAttribute="name"),
        one_to_many(Lookup=None),
        one_to_many(Lookup=column("String", "new_AccountId")),
        one_to_many(Lookup=column("Lookup", "new_Name")),
        one_to_many(SchemaName="account_primary_contact"),
        one_to_many(SchemaName="plain"),
        one_to_many(CascadeConfiguration={"Delete": "Sometimes"}),
        one_to_many(CascadeConfiguration={"Nonsense": "Cascade"}),
        one_to_many(ReferencedEntityNavigationPropertyName="Account_Tasks"),
        one_to_many(Nonsense=1),
        many_to_many(Entity2LogicalName="no"),
        many_to_many(IntersectEntityName="account"),
        many_to_many(SchemaName="accountleads_association"),
        {"@odata.type": f"{CRM}Nonsense"},
        {},
    ],
)
async def test_a_refused_relationship_changes_nothing(client: Client, body: dict[str, Any]) -> None:
    before = (await client("GET", "RelationshipDefinitions")).value
    columns = (await client("GET", f"{PUMP}/Attributes")).value
    refused = await client("POST", "RelationshipDefinitions", body)
    assert refused.status == 400, refused.text
    assert (await client("GET", "RelationshipDefinitions")).value == before
    assert (await client("GET", f"{PUMP}/Attributes")).value == columns


async def test_stock_relationships_stay(client: Client) -> None:
    target = "RelationshipDefinitions(SchemaName='account_primary_contact')"
    refused = await client("DELETE", target)
    assert (refused.status, refused.code) == (400, "0x8004f032")
    assert (await client("DELETE", "RelationshipDefinitions")).status == 405


async def test_actions_make_lookups_too(client: Client) -> None:
    lookup = column("Lookup", "new_AccountId")
    inner = {k: v for k, v in one_to_many().items() if k != "Lookup"}
    body = {"Lookup": lookup, "OneToManyRelationship": inner}
    made = (await client("POST", "CreateOneToMany", body)).json
    found = await client("GET", f"RelationshipDefinitions({made['RelationshipId']})")
    assert found.json["SchemaName"] == "new_account_pump"
    attribute = await client("GET", f"{PUMP}/Attributes({made['AttributeId']})")
    assert attribute.json["LogicalName"] == "new_accountid"
    customers = [
        {**inner, "SchemaName": f"new_pump_customer_{one}", "ReferencedEntity": one}
        for one in ("account", "contact")
    ]
    both = {"Lookup": column("Lookup", "new_Customer"), "OneToManyRelationships": customers}
    assert (await client("POST", "CreateCustomerRelationships", both)).status == 200
    contact = await client.create("contacts", {"lastname": "L"})
    bound = {"new_Customer_contact@odata.bind": f"/contacts({contact})"}
    row_id = await client.create("new_pumps", bound)
    star = {"Prefer": 'odata.include-annotations="*"'}
    row = (await client("GET", f"new_pumps({row_id})", **star)).json
    assert row[f"_new_customer_value@{CRM}lookuplogicalname"] == "contact"


async def test_a_table_with_activities_is_what_tasks_are_about(client: Client) -> None:
    assert (await client("PUT", PUMP, {"HasActivities": True, "HasNotes": True})).status == 204
    pump = await client.create("new_pumps", {"new_name": "P"})
    bound = {"regardingobjectid_new_pump_task@odata.bind": f"/new_pumps({pump})", "subject": "S"}
    task = await client.create("tasks", bound)
    row = (await client("GET", f"tasks({task})")).json
    assert row["_regardingobjectid_value"] == pump
    note = {"objectid_new_pump@odata.bind": f"/new_pumps({pump})", "subject": "N"}
    await client.create("annotations", note)
    assert (await client("DELETE", f"new_pumps({pump})")).status == 204
    assert (await client("GET", f"tasks({task})")).status == 404
    assert (await client("PUT", PUMP, {"HasNotes": False})).status == 400
    assert (await client("DELETE", PUMP)).status == 204


async def options(client: Client, column: str = "new_color") -> list[tuple[int, list[str]]]:
    kind = f"{CRM}PicklistAttributeMetadata"
    found = await client(
        "GET",
        f"{PUMP}/Attributes(LogicalName='{column}')/{kind}?$select=LogicalName"
        "&$expand=OptionSet($select=Options)",
    )
    return [
        (one["Value"], [text["Label"] for text in one["Label"]["LocalizedLabels"]])
        for one in found.json["OptionSet"]["Options"]
    ]


async def test_a_global_option_set_is_shared(client: Client) -> None:
    body = {"Name": "new_colors", "Options": [{"Label": label("Red")}, {"Label": label("Blue")}]}
    made = await client("POST", "GlobalOptionSetDefinitions", body)
    assert made.status == 204, made.text
    assert (await client("POST", "GlobalOptionSetDefinitions", body)).code == "0x80047010"
    found = (await client("GET", "GlobalOptionSetDefinitions(Name='new_colors')")).json
    assert [one["Value"] for one in found["Options"]] == [100_000_000, 100_000_001]
    assert found["MetadataId"] in made.headers["OData-EntityId"]
    bind = {"GlobalOptionSet@odata.bind": f"/GlobalOptionSetDefinitions({found['MetadataId']})"}
    shared = column("Picklist", "new_Color", **bind)
    assert (await client("POST", f"{PUMP}/Attributes", shared)).status == 204
    new = {"OptionSetName": "new_colors", "Label": label("Green")}
    inserted = await client("POST", "InsertOptionValue", new)
    assert inserted.json["NewOptionValue"] == 100_000_002
    assert await options(client) == [
        (100_000_000, ["Red"]),
        (100_000_001, ["Blue"]),
        (100_000_002, ["Green"]),
    ]
    await client.create("new_pumps", {"new_color": 100_000_002})
    used = await client("DELETE", "GlobalOptionSetDefinitions(Name='new_colors')")
    assert (used.status, used.code) == (400, "0x80048417")
    assert (await client("DELETE", f"{PUMP}/Attributes(LogicalName='new_color')")).status == 204
    assert (await client("DELETE", made.headers["OData-EntityId"])).status == 204
    assert (await client("GET", "GlobalOptionSetDefinitions")).value == []


async def test_options_of_a_column_are_added_renamed_ordered_and_deleted(client: Client) -> None:
    own = {"Options": [{"Value": 1, "Label": label("One")}]}
    await client("POST", f"{PUMP}/Attributes", column("Picklist", "new_Color", OptionSet=own))
    at = {"EntityLogicalName": "new_pump", "AttributeLogicalName": "new_color"}
    two = at | {"Value": 2, "Label": label("Two")}
    assert (await client("POST", "InsertOptionValue", two)).json["NewOptionValue"] == 2
    assert (await client("POST", "InsertOptionValue", two)).code == "0x8004431b"
    other = at | {"Value": 2, "Label": label("To", 1044), "MergeLabels": True}
    assert (await client("POST", "UpdateOptionValue", other)).status == 204
    assert await options(client) == [(1, ["One"]), (2, ["Two", "To"])]
    row_id = await client.create("new_pumps", {"new_color": 1})
    assert (await client("POST", "OrderOption", at | {"Values": [2, 1]})).status == 204
    assert (await client("POST", "DeleteOptionValue", at | {"Value": 1})).status == 204
    assert await options(client) == [(2, ["Two", "To"])]
    assert (await client("POST", "DeleteOptionValue", at | {"Value": 1})).status == 400
    assert (await client("POST", "new_pumps", {"new_color": 1})).code == "0x8004431a"
    assert (await client("GET", f"new_pumps({row_id})")).json["new_color"] == 1
    for body in ({}, {"OptionSetName": "no"}, {"OptionSetName": 5}, at | {"Values": "x"}):
        assert (await client("POST", "OrderOption", body)).status == 400


async def test_statuses_are_added_for_a_state(client: Client) -> None:
    at = {"EntityLogicalName": "new_pump", "AttributeLogicalName": "statuscode"}
    new = at | {"Label": label("Broken"), "StateCode": 1}
    value = (await client("POST", "InsertStatusValue", new)).json["NewOptionValue"]
    row_id = await client.create("new_pumps", {"statecode": 1, "statuscode": value})
    assert (await client("GET", f"new_pumps({row_id})")).json["statuscode"] == value
    assert (await client("POST", "InsertStatusValue", new | {"StateCode": 9})).status == 400
    default = await client("POST", "DeleteOptionValue", at | {"Value": 1})
    assert default.code == "0x80044341"
    state = {"EntityLogicalName": "new_pump", "AttributeLogicalName": "statecode", "Value": 1}
    renamed = await client("POST", "UpdateStateValue", state | {"Label": label("Off")})
    assert renamed.status == 204


async def test_publishing_has_nothing_left_to_do(client: Client) -> None:
    xml = {"ParameterXml": "<importexportxml><entities/></importexportxml>"}
    assert (await client("POST", "PublishXml", xml)).status == 204
    assert (await client("POST", "PublishXml", {})).status == 400
    assert (await client("POST", "PublishAllXml")).status == 204


async def test_messages_follow_the_tables(client: Client, dataverse: Dataverse) -> None:
    async def filters(table: str, message: str) -> int:
        rows = (await client("GET", "sdkmessages?$select=name")).value
        (found,) = [one["sdkmessageid"] for one in rows if one["name"] == message]
        condition = f"_sdkmessageid_value eq {found} and primaryobjecttypecode eq '{table}'"
        return len((await client("GET", f"sdkmessagefilters?$filter={condition}")).value)

    assert await filters("account", "CreateMultiple") == 1
    assert await filters("new_pump", "CreateMultiple") == 1
    assert await filters("new_nothing", "CreateMultiple") == 0
    by_name = "sdkmessageid/name eq 'CreateMultiple' and primaryobjecttypecode eq 'account'"
    asked = f"sdkmessagefilters?$select=sdkmessagefilterid&$filter={by_name}"
    assert len((await client("GET", asked)).value) == 1
    await client("DELETE", PUMP)
    assert await filters("new_pump", "CreateMultiple") == 0
    assert await filters("accountleads", "CreateMultiple") == 0
    assert await filters("accountleads", "Associate") == 1

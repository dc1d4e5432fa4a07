"""``$metadata``: what generators of clients read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

EDM = "{http://docs.oasis-open.org/odata/ns/edm}"


async def document(client: Client, query: str = "") -> ET.Element:
    answer = await client("GET", f"$metadata{query}")
    assert answer.status == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/xml")
    root = ET.fromstring(answer.text)
    schema = root.find(f".//{EDM}Schema")
    assert schema is not None
    assert (schema.get("Namespace"), schema.get("Alias")) == ("Microsoft.Dynamics.CRM", "mscrm")
    return schema


def entity(schema: ET.Element, name: str) -> ET.Element:
    found = schema.find(f"{EDM}EntityType[@Name='{name}']")
    assert found is not None
    return found


async def test_a_table_is_an_entity_type(client: Client) -> None:
    account = entity(await document(client), "account")
    key = account.find(f"{EDM}Key/{EDM}PropertyRef")
    assert key is not None
    assert key.get("Name") == "accountid"
    kinds = {one.get("Name"): one.get("Type") for one in account.findall(f"{EDM}Property")}
    assert kinds["name"] == "Edm.String"
    assert kinds["revenue"] == "Edm.Decimal"
    assert kinds["_primarycontactid_value"] == "Edm.Guid"
    assert kinds["versionnumber"] == "Edm.Int64"
    assert kinds["createdon"] == "Edm.DateTimeOffset"
    name = account.find(f"{EDM}Property[@Name='name']")
    assert name is not None
    assert name.get("MaxLength") == "160"


async def test_every_property_of_a_row_is_declared(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A"})
    row = (await client("GET", f"accounts({row_id})")).json
    account = entity(await document(client), "account")
    declared = {one.get("Name") for one in account.findall(f"{EDM}Property")}
    assert {name for name in row if "@" not in name} == declared


@pytest.mark.parametrize("name", ["systemuser", "team"])
async def test_users_and_teams_inherit_their_key(client: Client, name: str) -> None:
    schema = await document(client)
    assert entity(schema, name).get("BaseType") == "mscrm.principal"
    assert entity(schema, name).find(f"{EDM}Key") is None
    principal = entity(schema, "principal")
    key = principal.find(f"{EDM}Key/{EDM}PropertyRef")
    declared = principal.find(f"{EDM}Property")
    assert key is not None
    assert declared is not None
    assert key.get("Name") == declared.get("Name") == "ownerid"
    owner = entity(schema, "account").find(f"{EDM}NavigationProperty[@Name='ownerid']")
    assert owner is not None
    assert owner.get("Type") == "mscrm.principal"
    points = f"{EDM}NavigationProperty[@Name='createdby']/{EDM}ReferentialConstraint"
    constraint = entity(schema, "account").find(points)
    assert constraint is not None
    assert constraint.get("ReferencedProperty") == "ownerid"


async def test_navigation_properties_lead_there_and_back(client: Client) -> None:
    schema = await document(client)
    account = entity(schema, "account")
    one = account.find(f"{EDM}NavigationProperty[@Name='primarycontactid']")
    assert one is not None
    assert (one.get("Type"), one.get("Partner")) == ("mscrm.contact", "account_primary_contact")
    constraint = one.find(f"{EDM}ReferentialConstraint")
    assert constraint is not None
    assert constraint.attrib == {
        "Property": "_primarycontactid_value",
        "ReferencedProperty": "contactid",
    }
    many = account.find(f"{EDM}NavigationProperty[@Name='Account_Tasks']")
    assert many is not None
    assert many.get("Type") == "Collection(mscrm.task)"
    across = account.find(f"{EDM}NavigationProperty[@Name='accountleads_association']")
    assert across is not None
    assert (across.get("Type"), across.get("Partner")) == (
        "Collection(mscrm.lead)",
        "accountleads_association",
    )
    for kind in schema.findall(f"{EDM}EntityType"):
        names = [one.get("Name") for one in kind.findall(f"{EDM}NavigationProperty")]
        names += [one.get("Name") for one in kind.findall(f"{EDM}Property")]
        assert len(names) == len(set(names)), kind.get("Name")


async def test_all_types_and_sets_that_are_named_are_there(client: Client) -> None:
    schema = await document(client)
    types = {f"mscrm.{one.get('Name')}" for one in schema.findall(f"{EDM}EntityType")}
    container = schema.find(f"{EDM}EntityContainer")
    assert container is not None
    sets = {one.get("Name") for one in container.findall(f"{EDM}EntitySet")}
    assert "accounts" in sets
    for one in schema.iter(f"{EDM}NavigationProperty"):
        named = str(one.get("Type")).removeprefix("Collection(").removesuffix(")")
        assert named in types, named
    for one in schema.iter(f"{EDM}NavigationPropertyBinding"):
        assert one.get("Target") in sets
    assert schema.find(f"{EDM}Function[@Name='WhoAmI']") is not None
    assert container.find(f"{EDM}FunctionImport[@Name='WhoAmI']") is not None
    bound = schema.findall(f"{EDM}Action[@Name='CreateMultiple']")
    assert any(
        one.find(f"{EDM}Parameter[@Type='Collection(mscrm.account)']") is not None for one in bound
    )


async def test_annotations_say_what_is_tracked_and_read_only(client: Client) -> None:
    plain = await document(client)
    assert plain.find(f".//{EDM}Annotation") is None
    schema = await document(client, "?annotations=true")
    accounts = schema.find(f".//{EDM}EntitySet[@Name='accounts']/{EDM}Annotation")
    assert accounts is not None
    assert accounts.get("Term") == "Org.OData.Capabilities.V1.ChangeTracking"
    value = accounts.find(f"{EDM}Record/{EDM}PropertyValue")
    assert value is not None
    assert value.get("Bool") == "true"
    created = entity(schema, "account").find(f"{EDM}Property[@Name='createdon']/{EDM}Annotation")
    assert created is not None
    assert created.get("Term") == "Org.OData.Core.V1.Computed"


async def test_a_new_table_is_in_the_next_document(client: Client) -> None:
    before = (await client("GET", "$metadata")).text
    assert (await client("GET", "$metadata")).text == before
    kind = "Microsoft.Dynamics.CRM.StringAttributeMetadata"
    own = [{"@odata.type": kind, "SchemaName": "new_Name", "IsPrimaryName": True}]
    body = {"SchemaName": "new_Pump", "Attributes": own}
    assert (await client("POST", "EntityDefinitions", body)).status == 204
    assert entity(await document(client), "new_pump") is not None


@pytest.mark.parametrize(
    ("target", "status"),
    [("$metadata/accounts", 501), ("$metadata?$select=x", 400), ("$metadata?nonsense=1", 501)],
)
async def test_other_questions_are_refused(client: Client, target: str, status: int) -> None:
    assert (await client("GET", target)).status == status
    assert (await client("POST", "$metadata")).status == 501

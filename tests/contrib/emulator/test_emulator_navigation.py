"""Paths below a row: properties, rows at the end of lookups, collections."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holdfast_emulator import Depth

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

A = "0a0a0a0a-0000-4000-8000-00000000000a"
B = "0b0b0b0b-0000-4000-8000-00000000000b"
PEOPLE = tuple(f"0c0c0c0c-0000-4000-8000-00000000000{number}" for number in range(1, 5))
NAV = f"accounts({A})/contact_customer_accounts"


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    """Two accounts; the first has four contacts, the last of whom is its primary."""
    await client.create("accounts", {"accountid": A, "name": "Ærø", "donotemail": True})
    await client.create("accounts", {"accountid": B})
    for number, row_id in enumerate(PEOPLE, 1):
        person = {
            "contactid": row_id,
            "lastname": f"P{number}",
            "parentcustomerid_account@odata.bind": f"/accounts({A})",
        }
        await client.create("contacts", person)
    bind = {"primarycontactid@odata.bind": f"/contacts({PEOPLE[3]})"}
    assert (await client("PATCH", f"accounts({A})", bind)).status == 204


async def test_a_lookup_leads_to_its_row(client: Client) -> None:
    answer = await client("GET", f"accounts({A})/primarycontactid?$select=fullname")
    assert answer.json["@odata.context"] == f"{client.root}$metadata#contacts(fullname)/$entity"
    assert (answer.json["contactid"], answer.json["fullname"]) == (PEOPLE[3], "P4")
    assert answer.headers["ETag"] == answer.json["@odata.etag"]
    nothing = await client("GET", f"accounts({B})/primarycontactid")
    assert (nothing.status, nothing.text) == (204, "")


async def test_a_path_has_as_many_steps_as_are_asked_for(client: Client) -> None:
    path = f"accounts({A})/primarycontactid/parentcustomerid_account"
    assert (await client("GET", f"{path}?$select=name")).json["name"] == "Ærø"
    assert (await client("GET", f"{path}/name")).json["value"] == "Ærø"
    assert (await client("GET", f"{path}/createdby/fullname")).json["value"] == "Ann Field"
    assert len((await client("GET", f"{path}/contact_customer_accounts")).value) == 4
    member = await client("GET", f"{NAV}({PEOPLE[1]})/parentcustomerid_account/name")
    assert member.json["value"] == "Ærø"


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("$select=lastname", ["P1", "P2", "P3", "P4"]),
        ("$orderby=lastname desc&$top=2", ["P4", "P3"]),
        ("$filter=lastname gt 'P2'", ["P3", "P4"]),
        ("$filter=lastname eq 'P9'", []),
    ],
)
async def test_a_collection_is_queried_like_a_table(
    client: Client, options: str, names: list[str]
) -> None:
    answer = await client("GET", f"{NAV}?{options}")
    assert [row["lastname"] for row in answer.value] == names


async def test_a_collection_is_counted(client: Client) -> None:
    assert (await client("GET", f"{NAV}/$count")).text == "\ufeff4"
    assert (await client("GET", f"{NAV}/$count?$filter=lastname eq 'P1'")).text == "\ufeff1"
    counted = await client("GET", f"{NAV}?$count=true&$top=1")
    assert (counted.json["@odata.count"], len(counted.value)) == (4, 1)
    assert counted.json["@odata.context"] == f"{client.root}$metadata#contacts"
    empty = await client("GET", f"accounts({B})/contact_customer_accounts?$count=true")
    assert (empty.json["@odata.count"], empty.value) == (0, [])


@pytest.mark.parametrize("order", ["", "&$orderby=lastname desc", "&$orderby=createdon"])
async def test_a_collection_has_pages(client: Client, order: str) -> None:
    prefer = {"Prefer": "odata.maxpagesize=3"}
    first = await client("GET", f"{NAV}?$select=lastname{order}", **prefer)
    link = first.json["@odata.nextLink"]
    assert link.startswith(f"{client.root}{NAV}?$select=lastname")
    second = await client("GET", link, **prefer)
    assert "@odata.nextLink" not in second.json
    names = [row["lastname"] for row in first.value + second.value]
    assert sorted(names) == ["P1", "P2", "P3", "P4"]
    assert len(first.value) == 3


async def test_references_are_urls(client: Client) -> None:
    one = await client("GET", f"accounts({A})/primarycontactid/$ref")
    assert one.json == {
        "@odata.context": f"{client.root}$metadata#$ref",
        "@odata.id": f"{client.root}contacts({PEOPLE[3]})",
    }
    assert (await client("GET", f"accounts({B})/primarycontactid/$ref")).status == 204
    many = await client("GET", f"{NAV}/$ref", Prefer="odata.maxpagesize=3")
    assert many.json["@odata.context"] == f"{client.root}$metadata#Collection($ref)"
    assert many.value[0] == {"@odata.id": f"{client.root}contacts({PEOPLE[0]})"}
    rest = await client("GET", many.json["@odata.nextLink"], Prefer="odata.maxpagesize=3")
    assert rest.value == [{"@odata.id": f"{client.root}contacts({PEOPLE[3]})"}]


async def test_a_key_picks_one_of_a_collection(client: Client) -> None:
    one = await client("GET", f"{NAV}({PEOPLE[1]})?$select=lastname")
    assert one.json["lastname"] == "P2"
    other = await client("GET", f"accounts({B})/contact_customer_accounts({PEOPLE[1]})")
    assert (other.status, other.code) == (404, "0x80040217")


async def test_many_to_many_is_read_from_both_sides(client: Client, dataverse: Dataverse) -> None:
    team, user = dataverse.seed.team_id, dataverse.security.user_of("demo-token")
    assert user
    nav = "teammembership_association"
    link = {"@odata.id": f"{client.root}systemusers({user.id})"}
    await client("POST", f"teams({team})/{nav}/$ref", link)
    members = await client("GET", f"teams({team})/{nav}?$select=fullname")
    assert user.id in [row["systemuserid"] for row in members.value]
    teams = await client("GET", f"systemusers({user.id})/{nav}?$select=name&$orderby=name")
    assert team in [row["teamid"] for row in teams.value]
    name = await client("GET", f"systemusers({user.id})/{nav}({team})/name")
    assert name.status == 200


async def test_properties_come_alone_and_raw(client: Client) -> None:
    answer = await client("GET", f"accounts({A})/name")
    context = f"{client.root}$metadata#accounts({A})/name"
    assert answer.json == {"@odata.context": context, "value": "Ærø"}
    raw = await client("GET", f"accounts({A})/name/$value")
    assert (raw.status, raw.text) == (200, "Ærø")
    assert raw.headers["Content-Type"].startswith("text/plain")
    assert (await client("GET", f"accounts({A})/donotemail/$value")).text == "true"
    assert (await client("GET", f"accounts({A})/statecode/$value")).text == "0"
    assert (await client("GET", f"accounts({B})/name/$value")).status == 204


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"accounts({A})/nonsense", 404, "0x80060888"),
        (f"accounts({A})/PrimaryContactId", 404, "0x80060888"),
        (f"accounts({A})/primarycontactid/nonsense", 404, "0x80060888"),
        (f"accounts({B})/primarycontactid/fullname", 404, "0x80060888"),
        (f"accounts({PEOPLE[0]})/primarycontactid", 404, "0x80040217"),
        (f"accounts({A})/primarycontactid({PEOPLE[3]})", 400, "0x80060888"),
        (f"accounts({A})/name/fullname", 400, "0x80060888"),
        (f"{NAV}/lastname", 400, "0x80060888"),
        (f"{NAV}/$count/$ref", 400, "0x80060888"),
        (f"{NAV}(1=2)", 400, "0x80060888"),
        (f"{NAV}?$select=nonsense", 400, "0x80060888"),
        (f"{NAV}?$skip=1", 400, "0x80060888"),
        (f"{NAV}/$ref?$select=lastname", 400, "0x80060888"),
        (f"accounts({A})/name/$value?$select=name", 400, "0x80060888"),
        (f"accounts({A})/$value", 501, "0x80004001"),
        (f"accounts({A})/primarycontactid/Microsoft.Dynamics.CRM.contact", 501, "0x80004001"),
        (f"{NAV}/Microsoft.Dynamics.CRM.Nonsense()", 501, "0x80004001"),
    ],
)
async def test_wrong_paths_are_refused(client: Client, path: str, status: int, code: str) -> None:
    answer = await client("GET", path)
    assert (answer.status, answer.code) == (status, code), answer.text


async def test_changes_of_a_collection_are_not_tracked(client: Client) -> None:
    answer = await client("GET", NAV, Prefer="odata.track-changes")
    assert (answer.status, answer.code) == (501, "0x80004001")


async def test_only_what_may_be_read_is_found(client: Client, dataverse: Dataverse) -> None:
    user = dataverse.add_user("Bo Limited", token="bo")
    dataverse.security.limit(user, "contact", Depth.BASIC)
    assert (await client("GET", NAV, token="bo")).value == []
    assert (await client("GET", f"{NAV}/$count", token="bo")).text == "\ufeff0"
    for path in (f"{NAV}({PEOPLE[1]})", f"accounts({A})/primarycontactid"):
        assert (await client("GET", path, token="bo")).status == 403

"""``$expand``: what relationships lead to, within the rows that lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Depth

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

A = "0a0a0a0a-0000-4000-8000-00000000000a"
B = "0b0b0b0b-0000-4000-8000-00000000000b"
PEOPLE = tuple(f"0c0c0c0c-0000-4000-8000-00000000000{number}" for number in range(1, 5))
FORMATTED = "OData.Community.Display.V1.FormattedValue"
EVERY_ANNOTATION = 'odata.include-annotations="*"'


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    """Two accounts; the first has four contacts, the first of whom is its primary, and a task."""
    await client.create("accounts", {"accountid": A, "name": "Ærø", "revenue": 1.5})
    await client.create("accounts", {"accountid": B, "name": "Bø"})
    for number, row_id in enumerate(PEOPLE, 1):
        person = {
            "contactid": row_id,
            "lastname": f"P{number}",
            "jobtitle": "odd" if number % 2 else "even",
            "parentcustomerid_account@odata.bind": f"/accounts({A})",
        }
        await client.create("contacts", person)
    bind = {"primarycontactid@odata.bind": f"/contacts({PEOPLE[0]})"}
    assert (await client("PATCH", f"accounts({A})", bind)).status == 204
    regarding = {"regardingobjectid_account_task@odata.bind": f"/accounts({A})"}
    await client.create("tasks", {"activityid": A, "subject": "Call", **regarding})


async def expanded(client: Client, options: str, **headers: str) -> list[dict[str, Any]]:
    answer = await client("GET", f"accounts?$select=name&{options}", **headers)
    assert answer.status == 200, answer.text
    return answer.value


async def test_a_lookup_holds_its_row_and_an_empty_one_null(client: Client) -> None:
    first, second = await expanded(client, "$expand=primarycontactid($select=fullname)")
    assert first["primarycontactid"] == {"contactid": PEOPLE[0], "fullname": "P1"}
    assert second["primarycontactid"] is None


async def test_one_row_alone_is_expanded_with_etags(client: Client) -> None:
    target = f"accounts({A})?$select=name&$expand=primarycontactid($select=fullname)"
    row = (await client("GET", target)).json
    assert row["primarycontactid"]["@odata.etag"].startswith('W/"')
    assert row["@odata.context"].endswith("#accounts(name,primarycontactid(fullname))/$entity")


async def test_a_collection_holds_its_rows_and_a_link_to_them(client: Client) -> None:
    options = "$expand=contact_customer_accounts($select=lastname)"
    first, second = await expanded(client, options)
    rows = first["contact_customer_accounts"]
    assert [row["lastname"] for row in rows] == ["P1", "P2", "P3", "P4"]
    assert set(rows[0]) == {"@odata.etag", "lastname", "_parentcustomerid_value", "contactid"}
    assert second["contact_customer_accounts"] == []
    link = f"{client.root}accounts({B})/contact_customer_accounts?$select=lastname"
    assert second["contact_customer_accounts@odata.nextLink"] == link
    again = await client("GET", first["contact_customer_accounts@odata.nextLink"])
    assert [row["lastname"] for row in again.value] == ["P1", "P2", "P3", "P4"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ("$filter=jobtitle eq 'even'", ["P2", "P4"]),
        ("$orderby=lastname desc", ["P4", "P3", "P2", "P1"]),
        ("$orderby=jobtitle,lastname desc;$top=3", ["P4", "P2", "P3"]),
        ("$top=0", []),
        ("$filter=contains(lastname,'P1') or lastname eq 'P3'", ["P1", "P3"]),
    ],
)
async def test_a_collection_is_filtered_sorted_and_cut(
    client: Client, options: str, names: list[str]
) -> None:
    query = f"$expand=contact_customer_accounts($select=lastname;{options})"
    first, _ = await expanded(client, query)
    assert [row["lastname"] for row in first["contact_customer_accounts"]] == names
    again = await client("GET", first["contact_customer_accounts@odata.nextLink"])
    assert [row["lastname"] for row in again.value] == names


async def test_a_lookup_whose_row_does_not_match_is_null(client: Client) -> None:
    first, _ = await expanded(client, "$expand=primarycontactid($filter=lastname eq 'P2')")
    assert first["primarycontactid"] is None
    first, _ = await expanded(client, "$expand=primarycontactid($filter=lastname eq 'P1')")
    assert first["primarycontactid"]["lastname"] == "P1"


async def test_a_reference_is_a_url_and_brings_its_lookup(client: Client) -> None:
    answer = await client("GET", "accounts?$select=name&$expand=primarycontactid/$ref")
    first, second = answer.value
    assert first["primarycontactid"] == {"@odata.id": f"{client.root}contacts({PEOPLE[0]})"}
    assert first["_primarycontactid_value"] == PEOPLE[0]
    assert second["primarycontactid"] is None
    assert answer.json["@odata.context"].endswith(
        "#accounts(name,primarycontactid,primarycontactid/$ref())"
    )


async def test_expansions_go_as_deep_as_they_are_asked_to(client: Client) -> None:
    inner = "parentcustomerid_account($select=name;$expand=createdby($select=fullname))"
    target = (
        "tasks?$select=subject&$expand=regardingobjectid_account_task($select=name;"
        f"$expand=contact_customer_accounts($select=lastname;$expand={inner}))"
    )
    answer = await client("GET", target)
    account = answer.value[0]["regardingobjectid_account_task"]
    people = account["contact_customer_accounts"]
    assert [one["parentcustomerid_account"]["name"] for one in people] == ["Ærø"] * 4
    creator = people[0]["parentcustomerid_account"]["createdby"]
    assert set(creator) == {"systemuserid", "fullname", "ownerid"}
    assert creator["ownerid"] == creator["systemuserid"]
    assert "@odata.etag" not in people[0]
    assert answer.json["@odata.context"].endswith(
        "#tasks(subject,regardingobjectid_account_task(name,contact_customer_accounts(lastname,"
        "parentcustomerid_account(name,createdby(fullname)))))"
    )


async def test_nested_collections_have_pages_that_can_be_followed(client: Client) -> None:
    inner = "$select=lastname;$filter=lastname ne 'P3';$expand=owninguser($select=fullname)"
    pages = {"Prefer": "odata.maxpagesize=2"}
    answer = await client(
        "GET", f"accounts?$select=name&$expand=contact_customer_accounts({inner})", **pages
    )
    first, second = answer.value
    assert [row["lastname"] for row in first["contact_customer_accounts"]] == ["P1", "P2"]
    link = first["contact_customer_accounts@odata.nextLink"]
    assert "$skiptoken=" in link
    rest = await client("GET", link, **pages)
    assert [row["lastname"] for row in rest.value] == ["P4"]
    assert rest.value[0]["owninguser"]["fullname"] == "Ann Field"
    assert "@odata.nextLink" not in rest.json
    assert second["contact_customer_accounts"] == []
    assert "$skiptoken" not in second["contact_customer_accounts@odata.nextLink"]


async def test_without_a_nested_expansion_the_page_size_is_that_of_the_list(
    client: Client,
) -> None:
    query = "$expand=contact_customer_accounts($select=lastname)"
    (first,) = await expanded(client, query, Prefer="odata.maxpagesize=1")
    assert len(first["contact_customer_accounts"]) == 4
    assert "$skiptoken" not in first["contact_customer_accounts@odata.nextLink"]


async def test_several_lookups_and_collections_are_expanded_together(client: Client) -> None:
    query = "$expand=primarycontactid,Account_Tasks($select=subject),owninguser($select=fullname)"
    first, _ = await expanded(client, query)
    assert first["primarycontactid"]["jobtitle"] == "odd"
    assert [task["subject"] for task in first["Account_Tasks"]] == ["Call"]
    assert first["owninguser"]["fullname"] == "Ann Field"


async def test_a_lookup_with_several_targets_has_a_property_for_each(client: Client) -> None:
    query = (
        "contacts?$select=lastname&$orderby=lastname&$expand="
        "parentcustomerid_account($select=name),parentcustomerid_contact($select=lastname)"
    )
    first = (await client("GET", query)).value[0]
    assert first["parentcustomerid_account"]["name"] == "Ærø"
    assert first["parentcustomerid_contact"] is None


async def test_an_owner_says_what_it_is(client: Client, dataverse: Dataverse) -> None:
    team = dataverse.seed.team_id
    await client("PATCH", f"accounts({B})", {"ownerid@odata.bind": f"/teams({team})"})
    first, second = await expanded(client, "$expand=ownerid($select=fullname,ownerid)")
    assert first["ownerid"]["@odata.type"] == "#Microsoft.Dynamics.CRM.systemuser"
    assert first["ownerid"]["fullname"] == "Ann Field"
    assert second["ownerid"] == {
        "@odata.type": "#Microsoft.Dynamics.CRM.team",
        "teamid": team,
        "ownerid": team,
    }


async def test_many_to_many_is_expanded_from_both_sides(
    client: Client, dataverse: Dataverse
) -> None:
    team, user = dataverse.seed.team_id, dataverse.security.user_of("demo-token")
    assert user
    link = {"@odata.id": f"{client.root}systemusers({user.id})"}
    await client("POST", f"teams({team})/teammembership_association/$ref", link)
    nav = "teammembership_association"
    row = (await client("GET", f"teams({team})?$select=name&$expand={nav}($select=fullname)")).json
    assert user.id in [one["systemuserid"] for one in row[nav]]
    row = (await client("GET", f"systemusers({user.id})?$expand={nav}($select=name)")).json
    assert team in [one["teamid"] for one in row[nav]]
    assert f"{nav}@odata.nextLink" in row


async def test_what_may_not_be_read_is_not_expanded(client: Client, dataverse: Dataverse) -> None:
    user = dataverse.add_user("Bo Limited", token="bo")
    dataverse.security.limit(user, "contact", Depth.BASIC)
    query = "$expand=primarycontactid,contact_customer_accounts"
    answer = await client("GET", f"accounts?$select=name&{query}", token="bo")
    first = answer.value[0]
    assert first["primarycontactid"] is None
    assert first["contact_customer_accounts"] == []


async def test_a_hidden_column_is_null_in_what_is_expanded(
    client: Client, dataverse: Dataverse
) -> None:
    user = dataverse.security.user_of("demo-token")
    assert user
    dataverse.secure("contact", "jobtitle", hidden_from=user)
    first, _ = await expanded(client, "$expand=primarycontactid($select=jobtitle)")
    assert first["primarycontactid"]["jobtitle"] is None


async def test_expanded_rows_have_annotations(client: Client) -> None:
    query = "$expand=contact_customer_accounts($select=statecode,_parentcustomerid_value;$top=1)"
    first, _ = await expanded(client, query, Prefer=EVERY_ANNOTATION)
    (row,) = first["contact_customer_accounts"]
    assert row[f"statecode@{FORMATTED}"] == "Active"
    assert row[f"_parentcustomerid_value@{FORMATTED}"] == "Ærø"
    assert row["_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    keys = list(row)
    assert keys.index(f"statecode@{FORMATTED}") == keys.index("statecode") - 1


async def test_a_written_row_is_returned_with_what_is_asked_for(client: Client) -> None:
    made = await client(
        "POST",
        "accounts?$select=name&$expand=primarycontactid($select=lastname)",
        {"name": "New", "primarycontactid@odata.bind": f"/contacts({PEOPLE[1]})"},
        Prefer="return=representation",
    )
    assert made.status == 201, made.text
    assert made.json["primarycontactid"]["lastname"] == "P2"
    query = "$select=name&$expand=contact_customer_accounts($select=lastname;$top=1)"
    changed = await client(
        "PATCH", f"accounts({A})?{query}", {"name": "Ø"}, Prefer="return=representation"
    )
    assert changed.json["name"] == "Ø"
    assert "contact_customer_accounts" not in changed.json, "nothing is expanded after a PATCH"


async def test_one_answer_does_not_grow_without_bound(client: Client, dataverse: Dataverse) -> None:
    from holdfast.values import Reference

    parent = Reference("account", B)
    dataverse.load(
        "contact",
        (
            {"contactid": f"{n:08x}-0000-4000-8000-000000000000", "parentcustomerid": parent}
            for n in range(500)
        ),
    )
    people = "contact_customer_accounts($select=lastname;$expand=parentcustomerid_account"
    deep = f"{people}($select=name;$expand={people}($select=name))))"
    answer = await client("GET", f"accounts({B})?$expand={deep}")
    assert (answer.status, answer.code) == (400, "0x80044151"), answer.text[:300]


async def test_selected_lookups_go_by_either_name(client: Client) -> None:
    for name in ("primarycontactid", "_primarycontactid_value"):
        row = (await client("GET", f"accounts({A})?$select={name}")).json
        assert row["_primarycontactid_value"] == PEOPLE[0]
        assert row["accountid"] == A
    polymorphic = (await client("GET", f"contacts({PEOPLE[0]})?$select=parentcustomerid")).json
    assert polymorphic["_parentcustomerid_value"] == A
    everything = (await client("GET", f"accounts({A})?$select=*")).json
    assert {"name", "statecode", "_ownerid_value"} <= everything.keys()

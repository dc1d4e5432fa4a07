"""Queries over HTTP: options, pages, tracked reads, counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

NAMES = ["Ærø", "Bergen", "bodø", "O'Neil", "Ulsteinvik"]


@pytest.fixture
async def accounts(client: Client) -> list[str]:
    """Five accounts; the ids are in the order of the names."""
    return [
        await client.create(
            "accounts",
            {
                "accountid": f"0a0a0a0a-0000-4000-8000-00000000000{number}",
                "name": name,
                "numberofemployees": number % 2,
                "revenue": number + 0.5,
            },
        )
        for number, name in enumerate(NAMES)
    ]


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("$filter=name eq 'BERGEN'", ["Bergen"]),
        ("$filter=name eq 'O''Neil'", ["O'Neil"]),
        ("$filter=contains(name,'ø')", ["Ærø", "bodø"]),
        ("$filter=numberofemployees eq 1 and revenue gt 2", ["O'Neil"]),
        ("$filter=startswith(name,'b')&$orderby=name desc", ["bodø", "Bergen"]),
        ("$orderby=numberofemployees desc,name&$top=2", ["Bergen", "O'Neil"]),
        ("$top=0", []),
        ("%24filter=name+eq+%27Bergen%27&%24select=name", ["Bergen"]),
    ],
)
async def test_options_shape_the_answer(client: Client, query: str, names: list[str]) -> None:
    answer = await client("GET", f"{client.root}accounts?{quote(query, safe='$&=%+,()')}")
    assert answer.status == 200, answer.text
    assert [row["name"] for row in answer.value] == names


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("$skip=1", 400),
        ("$search=x", 400),
        ("$format=json", 400),
        ("$nonsense=1", 400),
        ("nonsense=1", 501),
        ("$top=1&$top=2", 400),
        ("$top=-1", 400),
        ("$count=maybe", 400),
        ("$select=nonsense", 400),
        ("$orderby=nonsense", 400),
        ("$orderby=name sideways", 400),
        ("$filter=nonsense eq 1", 400),
        ("$filter=name eq", 400),
        ("$filter=primarycontactid/nonsense eq 'x'", 400),
        ("$filter=Account_Tasks/any(t:t/nonsense eq 'x')", 400),
        ("$orderby=primarycontactid/nonsense", 400),
        ("$expand=nonsense", 400),
        ("$expand=Account_Tasks($skip=1)", 400),
        ("$expand=primarycontactid($expand=nonsense)", 400),
        ("$skiptoken=nonsense", 400),
        ("$deltatoken=nonsense", 400),
        ("$select=name,(", 400),
    ],
)
async def test_wrong_options_are_refused(client: Client, query: str, status: int) -> None:
    answer = await client("GET", f"accounts?{query}")
    assert (answer.status, bool(answer.json["error"]["message"])) == (status, True)


async def test_an_unknown_property_is_named(client: Client) -> None:
    for option in ("$filter=nonsense eq 1", "$select=nonsense", "$orderby=nonsense"):
        answer = await client("GET", f"accounts?{option}")
        assert answer.code == "0x80060888"
        assert answer.json["error"]["message"] == (
            "Could not find a property named 'nonsense' on type 'Microsoft.Dynamics.CRM.account'."
        )


async def test_lookups_are_expanded_one_level(client: Client, accounts: list[str]) -> None:
    contact = await client.create("contacts", {"firstname": "Åse", "lastname": "Bø"})
    bind = {"primarycontactid@odata.bind": f"/contacts({contact})"}
    await client("PATCH", f"accounts({accounts[0]})", bind)
    target = "accounts?$select=name&$expand=primarycontactid($select=fullname),createdby&$top=2"
    first, second = (await client("GET", target)).value
    assert first["primarycontactid"]["fullname"] == "Åse Bø"
    assert set(first["primarycontactid"]) == {"contactid", "fullname"}
    assert first["createdby"]["fullname"] == "Ann Field"
    assert second["primarycontactid"] is None
    one = await client("GET", f"accounts({accounts[0]})?$expand=primarycontactid")
    assert one.json["primarycontactid"]["lastname"] == "Bø"


@pytest.mark.usefixtures("accounts")
async def test_counts_come_in_the_body_and_alone(client: Client) -> None:
    answer = await client("GET", "accounts?$count=true&$top=1")
    assert (answer.json["@odata.count"], len(answer.value)) == (5, 1)
    total = "@Microsoft.Dynamics.CRM.totalrecordcount"
    assert total not in answer.json
    annotated = await client("GET", "accounts", Prefer='odata.include-annotations="*"')
    assert annotated.json[total] == -1
    exceeded = f"{total}limitexceeded"
    only = await client(
        "GET", "accounts?$count=true", Prefer=f'odata.include-annotations="{exceeded[1:]}"'
    )
    assert (total in only.json, only.json[exceeded]) == (False, False)
    alone = await client("GET", "accounts/$count")
    assert (alone.text, alone.headers["Content-Type"]) == ("\ufeff5", "text/plain")
    some = await client("GET", "accounts/$count?$filter=numberofemployees eq 1")
    assert some.text == "\ufeff2"


@pytest.mark.usefixtures("accounts")
@pytest.mark.parametrize(
    "order", ["", "name", "name desc", "revenue", "numberofemployees", "_ownerid_value", "fax"]
)
async def test_every_row_is_on_exactly_one_page(client: Client, order: str) -> None:
    query = f"accounts?$select=name&$orderby={order}" if order else "accounts?$select=name"
    answer = await client("GET", query, Prefer="odata.maxpagesize=2")
    found = [row["name"] for row in answer.value]
    while link := answer.json.get("@odata.nextLink"):
        assert len(answer.value) == 2
        answer = await client("GET", link, Prefer="odata.maxpagesize=2")
        assert answer.status == 200, answer.text
        found += [row["name"] for row in answer.value]
    assert sorted(found) == sorted(NAMES)
    if order == "name":
        assert found == ["Bergen", "bodø", "O'Neil", "Ulsteinvik", "Ærø"]


@pytest.mark.usefixtures("accounts")
async def test_a_next_link_has_the_shape_of_the_real_one(client: Client) -> None:
    target = f"{client.root}accounts?$select=name&$filter=name%20ne%20'x'&$count=true"
    answer = await client("GET", target, Prefer="odata.maxpagesize=2")
    link = answer.json["@odata.nextLink"]
    echo, _, token = link.partition("&$skiptoken=")
    assert echo == target
    assert re.fullmatch(
        r"%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ccookie%2520page%253d%25221%2522"
        r"%253e%253caccountid%2520last%253d%2522%257b[0-9A-F-]{36}%257d%2522%2520first%253d%2522"
        r"%257b[0-9A-F-]{36}%257d%2522%2520%252f%253e%253c%252fcookie%253e%22"
        r"%20istracking=%22False%22%20/%3E",
        token,
    )
    assert unquote(token).startswith('<cookie pagenumber="2" pagingcookie="%3ccookie%20')
    following = await client("GET", link, Prefer="odata.maxpagesize=2")
    assert "pagenumber=%223%22" in following.json["@odata.nextLink"]
    assert following.json["@odata.count"] == 5


@pytest.mark.usefixtures("accounts")
async def test_a_page_size_must_be_repeated(client: Client) -> None:
    answer = await client("GET", "accounts", Prefer="odata.maxpagesize=2")
    assert answer.headers["Preference-Applied"] == "odata.maxpagesize=2"
    rest = await client("GET", answer.json["@odata.nextLink"])
    assert len(rest.value) == 3
    assert "@odata.nextLink" not in rest.json


@pytest.mark.usefixtures("accounts")
async def test_top_ends_the_answer_unless_pages_are_asked_for(client: Client) -> None:
    answer = await client("GET", "accounts?$top=2")
    assert (len(answer.value), "@odata.nextLink" in answer.json) == (2, False)
    paged = await client("GET", "accounts?$top=1", Prefer="odata.maxpagesize=3")
    assert (len(paged.value), "@odata.nextLink" in paged.json) == (3, True)


async def test_changes_are_tracked_from_link_to_link(client: Client, accounts: list[str]) -> None:
    start = await client("GET", "accounts?$select=name", Prefer="odata.track-changes")
    assert start.headers["Preference-Applied"] == "odata.track-changes"
    assert len(start.value) == 5
    assert "@odata.nextLink" not in start.json
    link = start.json["@odata.deltaLink"]
    assert re.search(r"\$select=name&\$deltatoken=\d+%21\d\d%2f\d\d%2f\d{4}%20\d\d%3a", link)
    await client("PATCH", f"accounts({accounts[1]})", {"fax": "1"})
    await client("DELETE", f"accounts({accounts[2]})")
    counted = await client("GET", link.replace("accounts?$select=name&", "accounts/$count?"))
    assert counted.text == "\ufeff2"
    delta = await client("GET", link)
    assert delta.json["@odata.context"].endswith("/$metadata#accounts(name)/$delta")
    changed, deleted = delta.value
    assert (changed["accountid"], changed["name"]) == (accounts[1], "Bergen")
    assert deleted == {
        "@odata.context": f"{client.root}$metadata#accounts/$deletedEntity",
        "id": accounts[2],
        "reason": "deleted",
    }
    quiet = await client("GET", delta.json["@odata.deltaLink"])
    assert quiet.value == []
    assert "@odata.deltaLink" in quiet.json


async def test_tracked_reads_and_deltas_are_paged(client: Client, accounts: list[str]) -> None:
    prefer = "odata.track-changes,odata.maxpagesize=2"
    first, link = await read_all(client, f"{client.root}accounts?$select=name", prefer)
    assert [row["accountid"] for row in first] == accounts
    for row_id in accounts[:3]:
        await client("PATCH", f"accounts({row_id})", {"fax": "1"})
    for row_id in accounts[3:]:
        await client("DELETE", f"accounts({row_id})")
    delta, _ = await read_all(client, link, "odata.maxpagesize=2")
    assert [row.get("accountid") or row["id"] for row in delta] == accounts
    assert ["reason" in row for row in delta] == [False, False, False, True, True]


async def read_all(client: Client, target: str, prefer: str) -> tuple[list[dict[str, str]], str]:
    """Follow the next links of a tracked read; return its rows and its delta link."""
    answer = await client("GET", target, Prefer=prefer)
    rows = answer.value
    while link := answer.json.get("@odata.nextLink"):
        assert "istracking=%22True%22" in link
        assert "@odata.deltaLink" not in answer.json
        answer = await client("GET", link, Prefer=prefer)
        assert answer.status == 200, answer.text
        rows += answer.value
    return rows, str(answer.json["@odata.deltaLink"])


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("filter", "$filter=name eq 'x'"),
        ("orderby", "$orderby=name"),
        ("expand", "$expand=createdby"),
        ("top", "$top=1"),
    ],
)
async def test_change_tracking_refuses_to_be_shaped(client: Client, name: str, option: str) -> None:
    answer = await client("GET", f"accounts?{option}", Prefer="odata.track-changes")
    assert answer.status == 400
    assert answer.json["error"]["message"] == (
        f'The "${name}" query parameter isn\'t supported when Change Tracking is enabled.'
    )


async def test_only_tracked_tables_are_tracked(client: Client) -> None:
    answer = await client("GET", "organizations", Prefer="odata.track-changes")
    assert (answer.status, answer.code) == (400, "0x80072491")


async def test_an_old_delta_link_has_expired(client: Client, dataverse: Dataverse) -> None:
    start = await client("GET", "accounts", Prefer="odata.track-changes")
    await client.create("accounts", {"name": "A"})
    dataverse.purge_changes()
    answer = await client("GET", start.json["@odata.deltaLink"])
    assert (answer.status, answer.code) == (400, "0x80044352")


async def test_who_may_not_read_all_may_not_track(client: Client, dataverse: Dataverse) -> None:
    from holdfast_emulator import Depth

    user = dataverse.security.user_of("demo-token")
    assert user is not None
    dataverse.security.limit(user, "account", Depth.BASIC)
    answer = await client("GET", "accounts", Prefer="odata.track-changes")
    assert (answer.status, answer.code) == (403, "0x80040220")
    assert "Required Depth: Global" in answer.json["error"]["message"]
    assert (await client("GET", "accounts")).status == 200

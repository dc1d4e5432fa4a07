"""FetchXML page by page: order, cookies, counts, distinct rows."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import pytest

from holdfast.values import Reference
from holdfast_emulator import Dataverse
from support.fetching import ALL, Asker, Said

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
CRM = "@Microsoft.Dynamics.CRM"
NAMES = (None, "a", "A", "b & <c>", 'd "e"', "Ø", "z")
ROWS = 23


@pytest.fixture
def ask() -> Asker:
    """Return an organisation with 23 accounts, some of one name; every third has two contacts."""
    dataverse = Dataverse(lambda: NOW)
    asker = Asker(dataverse)
    for number in range(ROWS):
        values = {
            "name": NAMES[number % len(NAMES)],
            "numberofemployees": number % 5 or None,
            "revenue": number * 10,
            "industrycode": (1, 2, 6)[number % 3],
        }
        made = dataverse.create(asker.user, "account", values)
        for last in ("x", "y") if number % 3 == 0 else ():
            parent = Reference("account", made.id)
            dataverse.create(asker.user, "contact", {"lastname": last, "parentcustomerid": parent})
    return asker


def query(inner: str = "", fetch: str = "") -> str:
    return f"<fetch {fetch}><entity name='account'><attribute name='name'/>{inner}</entity></fetch>"


def pages(ask: Asker, inner: str, count: int) -> list[Said]:
    """Return all pages, turned as a client does that has a cookie, and otherwise counts."""
    found: list[Said] = []
    marks = ""
    while True:
        page = len(found) + 1
        said = ask.fetch("accounts", query(inner, f"count='{count}' page='{page}' {marks}"), ALL)
        found.append(said)
        if not said.json.get(f"{CRM}.morerecords"):
            assert f"{CRM}.fetchxmlpagingcookie" not in said.json
            return found
        marks = ""
        text = said.json.get(f"{CRM}.fetchxmlpagingcookie")
        if text:
            element = ET.fromstring(text)
            assert element.attrib["pagenumber"] == str(page + 1)
            cookie = unquote(unquote(element.attrib["pagingcookie"]))
            marks = f"paging-cookie={quoteattr(cookie)}"


LINKED = (
    "<link-entity name='contact' from='parentcustomerid' to='accountid' link-type='outer' "
    "alias='c'><attribute name='lastname'/>{}</link-entity>"
)


@pytest.mark.parametrize("count", [1, 4, 22, 23, 100])
@pytest.mark.parametrize(
    "inner",
    [
        "",
        "<order attribute='name'/>",
        "<order attribute='name' descending='true'/><order attribute='numberofemployees'/>",
        "<order attribute='revenue' descending='true'/>",
        "<order attribute='industrycode'/><order attribute='createdon'/>",
        "<order attribute='ownerid'/>",
        LINKED.format(""),
        "<order attribute='name'/>" + LINKED.format(""),
        "<order attribute='name'/>" + LINKED.format("<order attribute='lastname'/>"),
    ],
)
def test_all_pages_together_are_the_whole_answer_in_order(
    ask: Asker, inner: str, count: int
) -> None:
    whole = ask.fetch("accounts", query(inner)).plain()
    found = pages(ask, inner, count)
    assert [row for said in found for row in said.plain()] == whole
    assert len(found) == -(-len(whole) // count)


def test_rows_of_one_name_are_told_apart_by_id(ask: Asker) -> None:
    rows = ask.fetch("accounts", query("<order attribute='name'/>")).plain()
    keys = [((row.get("name") or "").casefold(), row["accountid"]) for row in rows]
    assert keys == sorted(keys)
    assert "name" not in rows[0]


def test_an_order_by_a_linked_table_has_no_cookie(ask: Asker) -> None:
    own = ask.fetch("accounts", query(LINKED.format(""), "count='2'"), ALL)
    assert f"{CRM}.fetchxmlpagingcookie" in own.json
    linked = LINKED.format("<order attribute='lastname'/>")
    other = ask.fetch("accounts", query(linked, "count='2'"), ALL)
    assert other.json[f"{CRM}.morerecords"] is True
    assert f"{CRM}.fetchxmlpagingcookie" not in other.json


def test_an_order_of_a_link_comes_after_those_of_the_root_unless_it_is_hoisted(
    ask: Asker,
) -> None:
    late = LINKED.format("<order attribute='lastname' descending='true'/>")
    rows = ask.fetch("accounts", query("<order attribute='revenue'/>" + late)).value
    assert [row.get("c.lastname") for row in rows][:4] == ["y", "x", None, None]
    hoisted = (
        "<order entityname='c' attribute='lastname' descending='true'/><order attribute='revenue'/>"
    )
    rows = ask.fetch("accounts", query(hoisted + LINKED.format(""))).value
    lasts = [row.get("c.lastname") for row in rows]
    assert lasts == sorted(lasts, key=lambda last: last or "", reverse=True)


def test_choices_are_sorted_by_label_unless_raw_order_is_asked_for(ask: Asker) -> None:
    inner = "<attribute name='opportunityratingcode'/><order attribute='opportunityratingcode'/>"
    for code in (3, 1, 2):
        values = {"name": str(code), "opportunityratingcode": code}
        ask.dataverse.create(ask.user, "opportunity", values)
    xml = f"<fetch><entity name='opportunity'>{inner}</entity></fetch>"
    by_label = ask.fetch("opportunities", xml).column("opportunityratingcode")
    assert by_label == [3, 1, 2]  # Cold, Hot, Warm
    raw = xml.replace("<fetch>", "<fetch useraworderby='true'>")
    assert ask.fetch("opportunities", raw).column("opportunityratingcode") == [1, 2, 3]


def test_the_total_is_told_with_either_way_to_ask_for_it(ask: Asker) -> None:
    marked = ask.fetch("accounts", query(fetch="count='5' returntotalrecordcount='true'"), ALL)
    asked = ask.fetch("accounts", query(fetch="count='5'"), ALL, _count="true")
    for said in (marked, asked):
        assert len(said.value) == 5
        assert said.json["@odata.count"] == ROWS
        assert said.json[f"{CRM}.totalrecordcount"] == ROWS
        assert said.json[f"{CRM}.totalrecordcountlimitexceeded"] is False
    silent = ask.fetch("accounts", query(), ALL)
    assert "@odata.count" not in silent.json
    assert silent.json[f"{CRM}.totalrecordcount"] == -1


def test_a_total_stops_at_5000_and_pages_at_50000_without_a_cookie(ask: Asker) -> None:
    ask.dataverse.load("contact", ({"lastname": "n", "contactid": _id(n)} for n in range(5100)))
    every = (
        "<fetch returntotalrecordcount='true'><entity name='contact'><attribute name='lastname'/>"
    )
    said = ask.fetch("contacts", every + "</entity></fetch>", ALL)
    assert len(said.value) == said.json["@odata.count"] == 5000
    assert said.json[f"{CRM}.totalrecordcountlimitexceeded"] is True
    assert said.json[f"{CRM}.morerecords"] is True
    assert ask.fetch("accounts", query(fetch="count='5000' page='10'")).value == []
    far = ask.fetch("accounts", query(fetch="count='5000' page='11'"))
    assert (far.status, far.code) == (400, "0x8004430a")


def _id(number: int) -> str:
    return f"0a0a0a0a-0000-4000-8000-{number:012}"


def test_top_ends_the_answer(ask: Asker) -> None:
    said = ask.fetch("accounts", query(fetch="top='3'"), ALL)
    assert len(said.value) == 3
    assert f"{CRM}.morerecords" not in said.json


def test_a_cookie_may_be_carried_further_and_back(ask: Asker) -> None:
    inner = "<order attribute='name'/>"
    whole = [row["accountid"] for row in ask.fetch("accounts", query(inner)).plain()]
    first = ask.fetch("accounts", query(inner, "count='4' page='2'"), ALL)
    text = ET.fromstring(first.json[f"{CRM}.fetchxmlpagingcookie"]).attrib["pagingcookie"]
    cookie = quoteattr(unquote(unquote(text)))
    for page in (1, 2, 3, 4, 5):
        marks = f"count='4' page='{page}' paging-cookie={cookie}"
        found = ask.fetch("accounts", query(inner, marks)).column("accountid")
        assert found == whole[page * 4 - 4 : page * 4]


@pytest.mark.parametrize(
    "cookie", ["x", '<cookie page="1"></cookie>', '<cookie page="1"><fax last="a" /></cookie>']
)
def test_a_cookie_of_another_query_is_refused(ask: Asker, cookie: str) -> None:
    marks = f"page='2' paging-cookie={quoteattr(cookie)}"
    assert ask.fetch("accounts", query("<order attribute='name'/>", marks)).status == 400


def test_distinct_rows_have_neither_id_nor_version(ask: Asker) -> None:
    xml = query("<order attribute='name'/>", "distinct='true'")
    rows = ask.fetch("accounts", xml).value
    assert [row.get("name") for row in rows] == [None, "a", "b & <c>", 'd "e"', "z", "Ø"]
    assert all(row.keys() <= {"name"} for row in rows)
    paged = ask.fetch(
        "accounts", query("<order attribute='name'/>", "distinct='1' count='4' page='2'")
    )
    assert paged.value == rows[4:]

"""What a FetchXML query may say: everything of its schema, and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast_emulator import Dataverse
from support.fetching import Asker

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)


@pytest.fixture
def ask() -> Asker:
    dataverse = Dataverse(lambda: NOW)
    asker = Asker(dataverse)
    dataverse.create(asker.user, "account", {"name": "Contoso"})
    return asker


def account(inner: str = "", fetch: str = "") -> str:
    return f"<fetch {fetch}><entity name='account'>{inner}</entity></fetch>"


def link(inner: str = "", marks: str = "from='contactid' to='primarycontactid'") -> str:
    return f"<link-entity name='contact' {marks}>{inner}</link-entity>"


def condition(marks: str) -> str:
    return f"<filter><condition {marks}/></filter>"


BOMB = (
    "<!DOCTYPE x [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;&a;&a;'>]><fetch><entity name='&b;'/></fetch>"
)
DEEP = "<fetch>" + "<entity name='account'>" * 70 + "</entity>" * 70 + "</fetch>"
REFUSED = {
    "no XML": ("fetch", "0x80040303"),
    "an empty text": ("", "0x80040303"),
    "not closed": ("<fetch><entity name='account'>", "0x80040303"),
    "two roots": ("<fetch/><fetch/>", "0x80040303"),
    "a document type": (BOMB, "0x80040303"),
    "an outer file": ("<!DOCTYPE x SYSTEM 'file:///etc/passwd'><fetch/>", "0x80040303"),
    "an unknown entity": ("<fetch>&nope;</fetch>", "0x80040303"),
    "too deep": (DEEP, "0x80040303"),
    "too long": (account(" " * 1_000_001), "0x80040303"),
    "twice the same": ("<fetch top='1' top='2'/>", "0x80040303"),
    "another root": ("<query/>", "0x8004111c"),
    "no table": ("<fetch/>", "0x80041123"),
    "two tables": ("<fetch><entity name='account'/><entity name='account'/></fetch>", "0x80041123"),
    "an element of another place": (account("<condition attribute='x'/>"), "0x8004111c"),
    "an element in an attribute": (
        account("<attribute name='name'><x/></attribute>"),
        "0x8004111c",
    ),
    "an unknown attribute": (account(fetch="pages='1'"), "0x8004111c"),
    "a table without a name": ("<fetch><entity/></fetch>", "0x8004111e"),
    "a column without a name": (account("<attribute/>"), "0x8004111e"),
    "an order of nothing": (account("<order/>"), "0x8004111e"),
    "another table": ("<fetch><entity name='contact'/></fetch>", "0x80041128"),
    "an unknown linked table": (
        account("<link-entity name='nope' from='a' to='b'/>"),
        "0x80041102",
    ),
    "an unknown column": (account("<attribute name='nope'/>"), "0x80041103"),
    "a name of the wire": (account("<attribute name='_ownerid_value'/>"), "0x80041103"),
    "an unknown column to sort by": (account("<order attribute='nope'/>"), "0x80041103"),
    "an unknown column to filter": (
        account(condition("attribute='x' operator='null'")),
        "0x80041103",
    ),
    "an unknown column to link": (account(link(marks="from='x' to='accountid'")), "0x80041103"),
    "an unknown table of a condition": (
        account(condition("entityname='c' attribute='name' operator='null'")),
        "0x8004110a",
    ),
    "an unknown table of a comparison": (
        account(condition("attribute='name' operator='eq' valueof='c.name'")),
        "0x8004110a",
    ),
    "an unknown table of an order": (
        account("<order entityname='c' attribute='name'/>"),
        "0x8004110a",
    ),
    "an alias of a filter": (
        account(
            condition("entityname='c' attribute='fullname' operator='null'")
            + link(marks="from='contactid' to='primarycontactid' link-type='exists' alias='c'")
        ),
        "0x8004110a",
    ),
    "a table that is joined later": (
        account(
            link(condition("entityname='d' attribute='fullname' operator='null'"))
            + link(marks="from='contactid' to='primarycontactid' alias='d'")
        ),
        "0x8004110a",
    ),
    "an alias with spaces": (account("<attribute name='name' alias='a b'/>"), "0x80041109"),
    "an alias that is taken": (
        account("<attribute name='name' alias='x'/><attribute name='fax' alias='x'/>"),
        "0x80041109",
    ),
    "two tables of one alias": (
        account(link(marks="from='contactid' to='primarycontactid' alias='c'") * 2),
        "0x80041109",
    ),
    "an unknown link type": (account(link(marks="link-type='natural'")), "0x80041117"),
    "a link type of filters": (account(link(marks="link-type='any'")), "0x80041117"),
    "an inner link in a filter": (account(f"<filter>{link()}</filter>"), "0x80041117"),
    "an unknown filter type": (account("<filter type='xor'/>"), "0x80041122"),
    "an unknown operator": (account(condition("attribute='name' operator='is'")), "0x800404c7"),
    "an operator for dates": (
        account(condition("attribute='name' operator='today'")),
        "0x800404c7",
    ),
    "no value": (account(condition("attribute='name' operator='eq'")), "0x800404b7"),
    "a value too many": (
        account(condition("attribute='name' operator='null' value='x'")),
        "0x800404b7",
    ),
    "a value of another type": (
        account(condition("attribute='statecode' operator='eq' value='x'")),
        "0x80040203",
    ),
    "columns of two types": (
        account(condition("attribute='name' operator='eq' valueof='statecode'")),
        "0x80040203",
    ),
    "a link over two types": (account(link(marks="from='contactid' to='name'")), "0x80040203"),
    "top and page": (account(fetch="top='1' page='1'"), "0x80040203"),
    "top and total": (account(fetch="top='1' returntotalrecordcount='true'"), "0x80040203"),
    "too high a top": (account(fetch="top='5001'"), "0x80040203"),
    "no page": (account(fetch="page='0'"), "0x80040203"),
    "a count of words": (account(fetch="count='ten'"), "0x80040203"),
    "a truth of words": (account(fetch="distinct='maybe'"), "0x80040203"),
    "a negative count": (account(fetch="count='-5'"), "0x80040203"),
    "aggregates outside of one": (
        account("<attribute name='name' alias='n' aggregate='count'/>"),
        "0x8004111a",
    ),
    "too many links": (account(link() * 16), "0x8004430d"),
    "too many conditions": (
        account("<filter>" + "<condition attribute='name' operator='null'/>" * 501 + "</filter>"),
        "0x8004430c",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_wrong_is_named(ask: Asker, what: str) -> None:
    xml, code = REFUSED[what]
    said = ask.fetch("accounts", xml)
    assert (said.status, said.code) == (400, code), said.json


@pytest.mark.parametrize(
    ("xml", "name"),
    [
        (account("<attribute name='nope'/>"), "nope"),
        (account(condition("attribute='fax' operator='is'")), "fax"),
        (account(condition("entityname='c' attribute='fax' operator='null'")), "'c'"),
        (account(link(marks="from='x1' to='accountid'")), "x1"),
    ],
)
def test_a_refusal_says_where(ask: Asker, xml: str, name: str) -> None:
    assert name in ask.fetch("accounts", xml).message


@pytest.mark.parametrize(
    "xml",
    [
        account(fetch="datasource='bin'"),
        account(fetch="datasource='retained'"),
        account(fetch="min-active-row-version='true'"),
        account(condition("attribute='name' operator='eq' value='x' rowaggregate='CountChildren'")),
        account(fetch="utc-offset='60'"),
    ],
)
def test_what_the_emulator_lacks_is_a_501(ask: Asker, xml: str) -> None:
    assert ask.fetch("accounts", xml).status == 501


def test_what_has_no_effect_is_accepted(ask: Asker) -> None:
    marks = (
        "version='1.0' mapping='logical' output-format='xml-platform' no-lock='true' "
        "latematerialize='true' options='OptimizeForUnknown' utc-offset='0'"
    )
    inner = (
        "<no-attrs/><attribute name='name' build='1.0'/><filter type='and' hint='union' "
        "isquickfindfields='1'><condition attribute='name' operator='eq' value='contoso' "
        "uiname='Contoso' uitype='account'/></filter>"
        + link(marks="link-type='outer' from='contactid' to='primarycontactid' visible='false'")
    )
    assert len(ask.fetch("accounts", account(inner, marks)).value) == 1


def test_values_stand_in_an_attribute_or_in_elements(ask: Asker) -> None:
    inner = (
        "<filter><condition attribute='statecode' operator='in'><value>0</value>"
        "<value uiname='x'> 1 </value></condition>"
        "<condition attribute='fax' operator='null' value=''/>"
        "<condition attribute='name' operator='neq' value='x'/></filter>"
    )
    assert len(ask.fetch("accounts", account(inner)).value) == 1


def test_comments_a_declaration_and_foreign_marks_change_nothing(ask: Asker) -> None:
    xml = (
        "\n<?xml version='1.0' encoding='utf-16'?><!-- Bø --><fetch xmlns:generator='x'>"
        "<entity name='account'><attribute name='name'/></entity></fetch>"
    )
    assert len(ask.fetch("accounts", xml).value) == 1


def test_fifteen_links_are_enough(ask: Asker) -> None:
    outer = link(marks="from='contactid' to='primarycontactid' link-type='outer'")
    assert len(ask.fetch("accounts", account(outer * 15)).value) == 1


@pytest.mark.parametrize("option", ["_filter", "_select", "_orderby", "_top", "_expand"])
def test_other_options_beside_a_query_are_not_passed_over(ask: Asker, option: str) -> None:
    said = ask.fetch("accounts", account(), **{option: "name"})
    assert said.status in (400, 501)


TAGS: tuple[str, ...] = (
    "fetch",
    "entity",
    "attribute",
    "order",
    "filter",
    "condition",
    "value",
    "link-entity",
    "x",
)
NAMES: tuple[str, ...] = (
    "name",
    "attribute",
    "operator",
    "value",
    "alias",
    "from",
    "to",
    "link-type",
    "aggregate",
)
NAMES += ("groupby", "dategrouping", "distinct", "top", "count", "page", "entityname", "valueof")
NAMES += ("paging-cookie", "type", "descending", "rowaggregate", "x")
WORDS: tuple[str, ...] = (
    "account",
    "contact",
    "name",
    "revenue",
    "createdon",
    "accountid",
    "statecode",
    "1",
    "true",
)
WORDS += ("eq", "in", "between", "today", "last-x-days", "and", "or", "any", "outer", "sum", "week")
WORDS += (
    "parentaccountid",
    "primarycontactid",
    "contactid",
    "a",
    "",
    "9" * 30,
    "\u2028",
    "ß",
    "-1",
)
WORDS += ("<cookie page='1'/>", "under", "CountChildren", "a.name", "new_services", "2026-01-01")
TEXT = st.one_of(st.sampled_from(WORDS), st.text(max_size=5))


@st.composite
def elements(draw: st.DrawFn, depth: int = 4) -> str:
    tag = draw(st.sampled_from(TAGS))
    marks = draw(st.dictionaries(st.sampled_from(NAMES), TEXT, max_size=4))
    children = draw(st.lists(elements(depth - 1), max_size=3)) if depth else []
    text = "".join(
        " {}='{}'".format(name, word.replace("&", "&amp;").replace("<", "&lt;").replace("'", ""))
        for name, word in marks.items()
    )
    return f"<{tag}{text}>{''.join(children)}</{tag}>"


SEEDED = Asker(Dataverse(lambda: NOW))
SEEDED.dataverse.create(SEEDED.user, "account", {"name": "Contoso", "revenue": 1})


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.one_of(elements(), st.text(), elements().map(lambda text: text[:-3])), st.booleans())
def test_any_text_is_answered_or_refused(xml: str, wrapped: bool) -> None:
    said = SEEDED.fetch("accounts", account(xml) if wrapped else xml)
    assert said.status in (200, 400, 501)


PART = st.sampled_from(
    [
        *("attribute name='{}'", "attribute name='{}' alias='{}'", "order attribute='{}'"),
        *("attribute name='{}' alias='{}' aggregate='{}'", "order alias='{}'"),
        *("attribute name='{}' alias='{}' groupby='true' dategrouping='{}'",),
        *("link-entity name='contact' from='{}' to='{}' link-type='{}'",),
    ]
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(PART, st.lists(st.sampled_from(WORDS), min_size=3, max_size=3)), max_size=4),
    st.lists(st.lists(st.sampled_from(WORDS), min_size=3, max_size=3), max_size=3),
    st.booleans(),
)
def test_any_query_is_answered_or_refused(
    parts: list[tuple[str, list[str]]], conditions: list[list[str]], aggregate: bool
) -> None:
    def clean(word: str) -> str:
        return word.replace("<", "&lt;").replace("'", "")

    inner = "".join(f"<{part.format(*map(clean, words))}/>" for part, words in parts)
    tests = "".join(
        f"<condition attribute='{clean(a)}' operator='{clean(b)}' value='{clean(c)}'/>"
        for a, b, c in conditions
    )
    fetch = "aggregate='true'" if aggregate else ""
    said = SEEDED.fetch("accounts", account(f"{inner}<filter>{tests}</filter>", fetch))
    assert said.status in (200, 400, 501)

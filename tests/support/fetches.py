"""Whole FetchXML queries over two small tables, for Hypothesis, and rows to ask them of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hypothesis import strategies as st

from holdfast.schema import Column, ColumnType, Option, TableSchema

T = ColumnType
IDS: Final = tuple(f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abcde")
STAGES: Final = {1: "won", 2: "Open", 3: "lost"}
#: The tables, as an emulator and as a replica have them.
SCHEMAS: Final[Mapping[str, TableSchema]] = {
    "account": TableSchema(
        "account",
        "accountid",
        "name",
        (
            Column("accountid", T.UNIQUEIDENTIFIER),
            Column("name", T.STRING),
            Column("city", T.STRING),
            Column("size", T.INTEGER),
            Column("stage", T.CHOICE, options=tuple(Option(*pair) for pair in STAGES.items())),
            Column("primarycontactid", T.LOOKUP, targets=("contact",)),
        ),
    ),
    "contact": TableSchema(
        "contact",
        "contactid",
        "city",
        (
            Column("contactid", T.UNIQUEIDENTIFIER),
            Column("city", T.STRING),
            Column("size", T.INTEGER),
            Column("parentcustomerid", T.LOOKUP, targets=("account",)),
        ),
    ),
}
_TEXTS: Final = ("a", "Ab", "ØL", "b%")
#: How each table can be linked to another: its name, its column, and the other's.
_WAYS: Final = {
    "account": [
        ("contact", "parentcustomerid", "accountid"),
        ("contact", "contactid", "primarycontactid"),
        ("contact", "city", "city"),
        ("account", "city", "name"),
    ],
    "contact": [
        ("account", "accountid", "parentcustomerid"),
        ("account", "primarycontactid", "contactid"),
        ("contact", "size", "size"),
    ],
}
_JOINS: Final = ("inner", "outer", "matchfirstrowusingcrossapply", "exists", "in")
_IN_FILTERS: Final = ("any", "not any", "all", "not all")


def _cells(column: Column) -> st.SearchStrategy[Any]:  # Any: what JSON holds
    match column.type:
        case T.STRING:
            return st.sampled_from(_TEXTS)
        case T.INTEGER:
            return st.integers(0, 3)
        case T.CHOICE:
            return st.sampled_from(sorted(STAGES))
        case _:
            return st.sampled_from(IDS)


@st.composite
def rows(draw: st.DrawFn, table: str) -> list[dict[str, Any]]:
    """Draw a few rows of a table, with nulls among the cells."""
    schema = SCHEMAS[table]
    ids = draw(st.lists(st.sampled_from(IDS), max_size=4, unique=True))
    found = []
    for row_id in ids:
        row = {c.name: draw(st.none() | _cells(c)) for c in schema.columns}
        found.append({**row, schema.primary_id: row_id})
    return found


@dataclass(frozen=True)
class _Source:
    """A table of a query, with what conditions call it."""

    table: str
    alias: str | None


_OPERATORS: Final = ("eq", "ne", "gt", "le", "null", "not-null", "in", "not-in", "not-between")


@st.composite
def _conditions(draw: st.DrawFn, own: str, named: tuple[_Source, ...]) -> str:
    source = draw(st.sampled_from([_Source(own, None), *named]))
    entity = f' entityname="{source.alias}"' if source.alias else ""
    columns = SCHEMAS[source.table].columns
    column = draw(st.sampled_from(columns))
    operator = draw(st.sampled_from(_OPERATORS))
    marks = f'attribute="{column.name}" operator="{operator}"{entity}'
    if operator in ("null", "not-null"):
        return f"<condition {marks}/>"
    same = [c.name for c in SCHEMAS[own].columns if c.type is column.type]
    if operator in ("eq", "ne", "gt", "le") and same and not entity and draw(st.booleans()):
        return f'<condition {marks} valueof="{draw(st.sampled_from(same))}"/>'
    count = 2 if operator == "not-between" else 1
    if operator in ("in", "not-in"):
        count = draw(st.integers(1, 3))
    values = [draw(_cells(column)) for _ in range(count)]
    return f"<condition {marks}>{''.join(f'<value>{v}</value>' for v in values)}</condition>"


@st.composite
def _filters(draw: st.DrawFn, own: str, named: tuple[_Source, ...], depth: int) -> str:
    kind = draw(st.sampled_from(["and", "or"]))
    parts = draw(st.lists(_conditions(own, named), max_size=3))
    if depth:
        parts += draw(st.lists(_filters(own, named, depth - 1), max_size=1))
        if draw(st.integers(0, 3)) == 0:
            parts.append(draw(_links(own, (), _IN_FILTERS, 0)))
    return f'<filter type="{kind}">{"".join(parts)}</filter>'


@st.composite
def _links(
    draw: st.DrawFn, outer: str, aliases: tuple[str, ...], kinds: tuple[str, ...], depth: int
) -> str:
    table, far, near = draw(st.sampled_from(_WAYS[outer]))
    kind = draw(st.sampled_from(kinds))
    alias = f' alias="{aliases[0]}"' if aliases else ""
    inside = draw(st.just("") | _filters(table, (), min(depth, 1)))
    if aliases and kind not in ("exists", "in"):
        asked = "" if kind.startswith("match") else '<attribute name="city"/>'
        named = f'<attribute name="size" alias="{aliases[0]}size"/>'
        inside += draw(st.sampled_from(["", asked, named, '<order attribute="size"/>']))
    if depth and draw(st.booleans()):
        inside += draw(_links(table, tuple(a + "x" for a in aliases), _JOINS, depth - 1))
    return (
        f'<link-entity name="{table}" from="{far}" to="{near}" link-type="{kind}"{alias}>'
        f"{inside}</link-entity>"
    )


@st.composite
def fetches(draw: st.DrawFn) -> str:
    """Draw a query of accounts: links of every kind, to a depth of two, and filters across them."""
    aliases = ("p", "q")[: draw(st.integers(0, 2))]
    links, named = [], []
    for alias in aliases:
        link = draw(_links("account", (alias,), _JOINS, 1))
        links.append(link)
        table = link.partition('name="')[2].partition('"')[0]
        if 'link-type="exists"' not in link[:120] and 'link-type="in"' not in link[:120]:
            named.append(_Source(table, alias))
    filters = draw(st.lists(_filters("account", tuple(named), 2), max_size=2))
    columns = [column.name for column in SCHEMAS["account"].columns]
    orders = draw(st.lists(st.sampled_from(columns), max_size=2, unique=True))
    sorts = "".join(
        f'<order attribute="{name}" descending="{draw(st.sampled_from(["true", "false"]))}"/>'
        for name in orders
    )
    asked = '<attribute name="name"/><attribute name="size"/>'
    window = draw(st.sampled_from(["", "", ' top="2"', ' count="2" page="2"', ' distinct="true"']))
    inside = asked + sorts + "".join(filters) + "".join(links)
    return f'<fetch{window}><entity name="account">{inside}</entity></fetch>'


@st.composite
def groupings(draw: st.DrawFn) -> str:
    """Draw a query that makes groups of accounts, alone or with their contacts."""
    asked = [
        f'<attribute name="{name}" alias="g{at}" groupby="true"/>'
        for at, name in enumerate(
            draw(st.lists(st.sampled_from(["name", "stage", "city"]), max_size=2, unique=True))
        )
    ]
    functions = draw(
        st.lists(st.sampled_from(["count", "countcolumn", "sum", "min", "max"]), max_size=3)
    )
    for at, function in enumerate(functions):
        distinct = draw(st.sampled_from(["", ' distinct="true"']))
        name = "name" if function == "countcolumn" and draw(st.booleans()) else "size"
        distinct = distinct if function == "countcolumn" else ""
        asked.append(f'<attribute name="{name}" alias="f{at}" aggregate="{function}"{distinct}/>')
    asked = asked or ['<attribute name="size" alias="f0" aggregate="count"/>']
    aliases = [mark.partition('alias="')[2][:2] for mark in asked]
    orders = draw(st.lists(st.sampled_from(aliases), max_size=2, unique=True))
    sorts = "".join(f'<order alias="{alias}" descending="true"/>' for alias in orders)
    link = draw(st.just("") | _links("account", ("p",), ("inner", "outer", "exists"), 0))
    link = link.replace('<attribute name="city"/>', "").replace('<order attribute="size"/>', "")
    link = link.replace(' alias="psize"', ' alias="psize" aggregate="sum"')
    inside = "".join(asked) + sorts + draw(_filters("account", (), 1)) + link
    return f'<fetch aggregate="true"><entity name="account">{inside}</entity></fetch>'

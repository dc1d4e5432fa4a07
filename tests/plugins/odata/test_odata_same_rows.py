"""What is written selects the same rows as what was meant, whatever was meant."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.filters import (
    And,
    Branch,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Period,
    Related,
    Tree,
    Who,
    predicate,
    settle,
    walk,
)
from holdfast.model import Asking, Caller
from holdfast.schema import Column, ColumnType, DateBehavior, Kind, TableSchema
from holdfast.values import Cell
from support.odata import ACCOUNT, CONTACT, TABLES, TASK, USER, MemoryRows, link_text, linked, of

NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
TEXTS = ("a", "A", "ß", "SS", "ø", "Øx", "b%", "")
ACCOUNTS, CONTACTS, TASKS, USERS = (
    [f"{digit}0000000-0000-4000-8000-00000000000{at}" for at in range(3)] for digit in "acde"
)
IDS = {"accountid": ACCOUNTS, "contactid": CONTACTS, "activityid": TASKS, "systemuserid": USERS}
POINTED = {
    "primarycontactid": CONTACTS,
    "parentid": ACCOUNTS,
    "ownerid": USERS,
    "parentcustomerid": [*ACCOUNTS, *CONTACTS],
    "regardingid": [*ACCOUNTS, *CONTACTS],
}
#: A link from one table to another: the table, the field there, the field here; to one row or many.
LINKS: dict[str, tuple[tuple[TableSchema, str, str, bool], ...]] = {
    "account": (
        (CONTACT, "contactid", "primarycontactid", True),
        (ACCOUNT, "accountid", "parentid", True),
        (USER, "systemuserid", "ownerid", True),
        (TASK, "regardingid", "accountid", False),
        (CONTACT, "parentcustomerid", "accountid", False),
        (ACCOUNT, "parentid", "accountid", False),
    ),
    "contact": (
        (ACCOUNT, "accountid", "parentcustomerid", True),
        (CONTACT, "contactid", "parentcustomerid", True),
        (TASK, "regardingid", "contactid", False),
    ),
    "task": (),
    "systemuser": (),
}
ASKING = Asking(NOW, Caller("organisation", USERS[0], teams=(USERS[1],), language=1))
FOUND = {
    Tree("account", "parentid", ACCOUNTS[0], branch): ACCOUNTS[: 1 + (branch is Branch.UNDER)]
    for branch in Branch
}


def cells(column: Column) -> st.SearchStrategy[Cell]:
    """Return values that meet each other often."""
    if column.type is ColumnType.CHOICES:
        return st.sampled_from(["1", "1,9", "9", "2"])
    if column.type is ColumnType.DATETIME:
        day = column.behavior is DateBehavior.DATE_ONLY
        zone = "" if column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT else "Z"
        days = st.sampled_from(["2024-02-28", "2024-02-29", "2024-03-01"])
        return days if day else days.map(lambda text: f"{text}T10:00:00{zone}")
    if column.kind is Kind.KEY:
        known = IDS.get(column.name) or POINTED.get(column.name)
        return st.sampled_from(known or ACCOUNTS)
    return st.sampled_from(TEXTS) if column.kind is Kind.TEXT else st.integers(0, 2)


@cache
def questions(name: str, at: int) -> st.SearchStrategy[Expression]:
    """Return every test of a column that Dataverse can say."""
    table = TABLES[name]
    column = table.columns[at]
    own, flags = st.just(of(table, column.name)), st.booleans()
    if column.type is ColumnType.IMAGE:
        return st.builds(IsNull, own, flags)
    kind = column.type
    ordered = kind is not ColumnType.CHOICES
    operators = st.sampled_from([*Comparison] if ordered else [Comparison.EQ, Comparison.NE])
    literal = cells(column).map(Literal)
    alike = [other for other in table.columns if (other.kind, other.type) == (column.kind, kind)]
    beside = st.sampled_from([of(table, other.name) for other in alike])
    several = st.lists(cells(column) | st.none(), max_size=3).map(tuple)
    found: list[st.SearchStrategy[Expression]] = [
        st.builds(Compare, operators, own, literal),
        st.builds(Compare, operators, literal, own),
        st.builds(Compare, operators, own, beside),
        st.builds(IsNull, own, flags),
        st.builds(In, own, several, flags),
    ]
    if column.kind is Kind.TEXT:
        shapes = st.sampled_from(["%{}%", "{}%", "%{}"])
        pattern = st.builds(str.format, shapes, st.sampled_from(["a", "ø", "_", "[^a]", "ß"]))
        found.append(st.builds(Like, own, pattern, flags))
    if kind is ColumnType.CHOICES:
        options = st.lists(st.sampled_from([1, 2, 9]), max_size=2, unique=True).map(tuple)
        found.append(st.builds(HasOption, own, options, flags))
    if kind is ColumnType.DATETIME:
        periods = st.sampled_from([Period.TODAY, Period.LAST_SEVEN_DAYS, Period.THIS_MONTH])
        found.append(st.builds(During, own, st.just(column.behavior), periods))
    if column.name == "ownerid":
        people = [who for who in Who if who is not Who.LANGUAGE]
        found.append(st.builds(IsCaller, own, st.sampled_from(people), flags))
    if column.name == "parentid":
        place = (st.just("account"), st.just("parentid"), st.just(ACCOUNTS[0]))
        found.append(st.builds(InHierarchy, own, *place, st.sampled_from(Branch), flags))
    return st.one_of(found)


@cache
def expressions(name: str, depth: int, *, behind: bool = False) -> st.SearchStrategy[Expression]:
    """Return conditions on a table; behind a lookup none looks into a collection."""
    table = TABLES[name]
    leaves = st.one_of([questions(name, at) for at in range(len(table.columns))])
    links = [
        related(name, at, depth - 1)
        for at, (_, _, _, single) in enumerate(LINKS[name])
        if depth and (single or not behind)
    ]
    leaves = st.one_of([leaves, st.one_of(links)]) if links else leaves
    return st.recursive(leaves, joined, max_leaves=3)


def related(name: str, at: int, depth: int) -> st.SearchStrategy[Expression]:
    other, field, own, single = LINKS[name][at]
    ends = of(other, field), of(TABLES[name], own)
    inner = expressions(other.name, depth, behind=single)
    return inner.map(lambda where: Related(other.name, *ends, where))


def joined(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    parts = st.lists(inner, max_size=3).map(tuple)
    return st.builds(And, parts) | st.builds(Or, parts) | st.builds(Not, inner)


def row(table: TableSchema, row_id: str) -> st.SearchStrategy[dict[str, Cell]]:
    others = (column for column in table.columns if column.name != table.primary_id)
    return st.fixed_dictionaries(
        {
            table.primary_id: st.just(row_id),
            **{column.name: st.none() | cells(column) for column in others},
        }
    )


#: Three rows of each table.
WORLDS = st.fixed_dictionaries(
    {
        table.name: st.tuples(*(row(table, row_id) for row_id in IDS[table.primary_id]))
        for table in TABLES.values()
    }
).map(MemoryRows)


def selected(expression: Expression, rows: MemoryRows) -> list[bool]:
    test = predicate(settle(expression, ASKING, FOUND), ACCOUNT.positions, related=rows)
    return [test(row) is True for row in rows.all("account")]


@settings(derandomize=True, max_examples=300, deadline=None)
@given(expressions("account", 2), WORLDS)
def test_what_is_written_selects_the_same_rows(expression: Expression, rows: MemoryRows) -> None:
    assert selected(linked(link_text(expression)), rows) == selected(expression, rows)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(expressions("account", 2))
def test_what_was_read_is_written_with_the_same_words(expression: Expression) -> None:
    """Once read, a filter keeps its text, so a scope is not taken for another one."""
    text = link_text(expression)
    again = link_text(linked(text))
    assert link_text(linked(again)) == again


def test_the_generated_expressions_ask_everything() -> None:
    seen: set[type] = set()

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(expressions("account", 2))
    def look(expression: Expression) -> None:
        seen.update(type(node) for node in walk(expression))

    look()
    assert seen >= {Compare, Like, In, HasOption, Related, During, IsCaller, InHierarchy, Not}

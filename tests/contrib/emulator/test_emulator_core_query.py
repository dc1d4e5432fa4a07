"""Finding rows: what matches, in which order, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.filters import (
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    predicate,
)
from holdfast.schema import Kind
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.security import Depth, User
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_emulator.queries.conditions import (
    EVERY_ROW,
    All,
    Any,
    Condition,
    Field,
    Negated,
    Operator,
    Test,
)
from holdfast_emulator.queries.evaluate import matcher
from holdfast_emulator.queries.query import Order, Query
from holdfast_emulator.queries.scope import TableScope

ACCOUNT = stock_metadata().tables["account"]
STAFF: Final = "numberofemployees"


def condition(name: str, operator: Operator, *values: Cell) -> Test:
    return Test(Field(name), operator, values)


def columns(one: str, operator: Operator, other: str) -> Test:
    return Test(Field(one), operator, other=Field(other))


@pytest.fixture
def org() -> Dataverse:
    return Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def names(org: Dataverse, user: User, where: Condition) -> list[object]:
    query = Query("account", where, order=[Order("name")])
    return [row["name"] for row in org.query(user, query).rows]


def every(org: Dataverse, user: User, query: Query) -> list[object]:
    found: list[object] = []
    while True:
        answer = org.query(user, query)
        found.extend(row["name"] for row in answer.rows)
        assert len(answer.rows) <= query.page_size
        if answer.next is None:
            return found
        query = replace(query, after=answer.next)


@pytest.fixture
def three(org: Dataverse, ann: User) -> Dataverse:
    """Rows a (5 people), b (null), c (7 people)."""
    for name, staff in (("a", 5), ("b", None), ("c", 7)):
        org.create(ann, "account", {"name": name, "numberofemployees": staff})
    return org


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (condition(STAFF, Operator.EQ, 5), ["a"]),
        (condition(STAFF, Operator.NE, 5), ["b", "c"]),
        (condition(STAFF, Operator.GT, 5), ["c"]),
        (condition(STAFF, Operator.GE, 5), ["a", "c"]),
        (Negated(condition(STAFF, Operator.GT, 5)), ["a"]),
        (condition(STAFF, Operator.IN, 5, 6), ["a"]),
        (condition(STAFF, Operator.NOT_IN, 5, 6), ["b", "c"]),
        (condition(STAFF, Operator.NULL), ["b"]),
        (condition(STAFF, Operator.NOT_NULL), ["a", "c"]),
        (condition("name", Operator.LIKE, "[ab]"), ["a", "b"]),
        (condition("name", Operator.NOT_LIKE, "[^ab]"), ["a", "b"]),
        (condition("fax", Operator.NOT_LIKE, "%"), ["a", "b", "c"]),
        (columns("name", Operator.EQ, "name"), ["a", "b", "c"]),
        (columns("name", Operator.NE, "fax"), ["a", "b", "c"]),
        (columns("fax", Operator.NE, "fax"), []),
        (All(()), ["a", "b", "c"]),
        (Any(()), []),
        (Any((condition(STAFF, Operator.NULL), condition(STAFF, Operator.GE, 7))), ["b", "c"]),
        (condition("name", Operator.EQ, "A"), ["a"]),
    ],
)
def test_null_matches_negative_operators_only(
    three: Dataverse, ann: User, where: Condition, expected: list[str]
) -> None:
    assert names(three, ann, where) == expected
    assert three.count(ann, "account", where) == len(expected)


def test_text_is_compared_without_regard_to_case(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "ØRSTA Straße"})
    for pattern in ("%ørsta%", "ØRSTA%", "%STRASSE"):
        assert len(names(org, ann, condition("name", Operator.LIKE, pattern))) == 1
    assert names(org, ann, condition("name", Operator.EQ, "ørsta strasse"))


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("100[%]", True),
        ("100_", True),
        ("1%0%", True),
        ("%0[0-9]%", True),
        ("%[a-z]%", False),
        ("[^0-9]%", False),
        ("100[", False),
        ("", False),
        ("%%%", True),
    ],
)
def test_a_pattern_has_the_wildcards_of_sql_server(
    org: Dataverse, ann: User, pattern: str, *, matches: bool
) -> None:
    org.create(ann, "account", {"name": "100%"})
    assert bool(names(org, ann, condition("name", Operator.LIKE, pattern))) is matches


def test_a_lookup_can_be_asked_for_by_its_id_and_along_its_path(org: Dataverse, ann: User) -> None:
    contact = org.create(ann, "contact", {"firstname": "Åse", "lastname": "Bø"})
    org.create(ann, "account", {"name": "a"})
    pointer = Reference("contact", contact.id)
    org.create(ann, "account", {"name": "b", "primarycontactid": pointer})
    for row_id in (contact.id, contact.id.upper()):
        assert names(org, ann, condition("primarycontactid", Operator.EQ, row_id)) == ["b"]
    hop = org.metadata.hop("account", "primarycontactid")
    assert hop
    named = Test(Field("fullname", via=(hop,)), Operator.EQ, ("åse bø",))
    assert names(org, ann, named) == ["b"]


def test_a_date_matches_with_and_without_its_letter(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "a", "lastonholdtime": "2026-03-01T08:00:00Z"})
    for text in ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00"):
        assert names(org, ann, condition("lastonholdtime", Operator.EQ, text)) == ["a"]


def test_what_the_table_does_not_have_is_refused(org: Dataverse, ann: User) -> None:
    with pytest.raises(DataverseFault, match="Could not find a property named 'nosuch'"):
        org.query(ann, Query("account", condition("nosuch", Operator.NULL)))
    with pytest.raises(DataverseFault, match="nosuch"):
        org.query(ann, Query("account", order=[Order("nosuch")]))


def test_rows_come_in_the_order_asked_for(org: Dataverse, ann: User) -> None:
    for name, staff in (("b", 1), ("Ä", 2), ("a", None), ("A", 3), ("c", 2)):
        org.create(ann, "account", {"name": name, "numberofemployees": staff})
    query = Query("account", order=[Order("numberofemployees"), Order("name", descending=True)])
    assert every(org, ann, query) == ["a", "b", "Ä", "c", "A"]
    query = Query("account", order=[Order("numberofemployees", descending=True), Order("name")])
    assert every(org, ann, query) == ["A", "c", "Ä", "b", "a"]


def test_a_lookup_sorts_by_the_name_of_its_row(org: Dataverse, ann: User) -> None:
    for name in ("z", "M", None, "a"):
        pointer = None
        if name:
            contact = org.create(ann, "contact", {"lastname": name})
            pointer = Reference("contact", contact.id)
        org.create(ann, "account", {"name": name, "primarycontactid": pointer})
    query = Query("account", order=[Order("primarycontactid")])
    assert every(org, ann, query) == [None, "a", "M", "z"]


@pytest.mark.parametrize(
    "order",
    [
        (),
        (Order("accountid"),),
        (Order("versionnumber"),),
        (Order("name"),),
        (Order("numberofemployees", descending=True),),
        (Order("revenue"), Order("creditonhold")),
        (Order("ownerid"),),
    ],
)
@pytest.mark.parametrize("page_size", [1, 3, 7, 5000])
def test_pages_join_to_the_whole_answer(
    org: Dataverse, ann: User, order: Sequence[Order], page_size: int
) -> None:
    for number in range(20):
        values = {
            "name": f"n{number * 7 % 5}",
            "numberofemployees": number % 3 or None,
            "revenue": Decimal(number % 4) / 2,
        }
        org.create(ann, "account", values)
    whole = every(org, ann, Query("account", order=order))
    assert len(whole) == 20
    assert every(org, ann, Query("account", order=order, page_size=page_size)) == whole


def test_a_position_survives_a_cookie(org: Dataverse, ann: User) -> None:
    for number in range(4):
        org.create(ann, "account", {"name": f"n{number}", "revenue": Decimal(number)})
    query = Query("account", order=[Order("revenue")], page_size=2)
    position = org.query(ann, query).next
    assert position
    texts = tuple(None if cell is None else str(cell) for cell in position)
    later = Query("account", order=[Order("revenue")], after=texts)
    assert [row["name"] for row in org.query(ann, later).rows] == ["n2", "n3"]


def test_paging_is_live(org: Dataverse, ann: User) -> None:
    rows = [org.create(ann, "account", {"name": f"n{number}"}) for number in range(4)]
    query = Query("account", order=[Order("name")], page_size=2)
    position = org.query(ann, query).next
    org.update(ann, "account", rows[3].id, {"name": "a"})
    later = Query("account", order=[Order("name")], after=position)
    assert [row["name"] for row in org.query(ann, later).rows] == ["n2"]


def test_top_ends_the_answer(org: Dataverse, ann: User) -> None:
    for number in range(5):
        org.create(ann, "account", {"name": f"n{number}"})
    answer = org.query(ann, Query("account", order=[Order("name")], top=2, count=True))
    assert ([row["name"] for row in answer.rows], answer.next) == (["n0", "n1"], None)
    assert (answer.total, answer.count) == (5, 5)
    assert org.query(ann, Query("account", top=0)).rows == []


def test_the_count_stops_at_five_thousand(org: Dataverse, ann: User) -> None:
    org.load("task", ({"activityid": f"{n:08x}-0000-4000-8000-000000000000"} for n in range(5001)))
    answer = org.query(ann, Query("task", count=True))
    assert (len(answer.rows), answer.count, answer.total) == (5000, 5000, 5001)
    assert answer.count_exceeded
    assert org.query(ann, Query("task")).count is None


def test_a_version_filter_finds_what_changed(org: Dataverse, ann: User) -> None:
    rows = [org.create(ann, "account", {"name": f"n{number}"}) for number in range(5)]
    org.update(ann, "account", rows[0].id, {"fax": "1"})
    after = condition("versionnumber", Operator.GT, rows[3].version)
    query = Query("account", after, order=[Order("versionnumber")], page_size=1)
    assert every(org, ann, query) == ["n4", "n0"]
    since = condition("versionnumber", Operator.GE, rows[3].version)
    assert names(org, ann, since) == ["n0", "n3", "n4"]


def test_rows_of_others_stay_out_of_answers_and_counts(org: Dataverse, ann: User) -> None:
    bo = org.security.user_of("office-token")
    assert bo
    org.create(ann, "account", {"name": "mine"})
    org.create(bo, "account", {"name": "his"})
    org.security.limit(ann, "account", Depth.BASIC)
    assert names(org, ann, EVERY_ROW) == ["mine"]
    assert org.count(ann, "account") == 1
    assert org.count(bo, "account") == 2
    org.security.limit(ann, "account", Depth.NONE)
    with pytest.raises(DataverseFault, match="prvReadAccount"):
        org.count(ann, "account")


NAME = ColumnRef("name", Kind.TEXT)
FAX = ColumnRef("fax", Kind.TEXT)
TEXTS = st.text(st.sampled_from("aAøØß%_[]-^"), max_size=4)
CELLS: dict[str, tuple[Kind, st.SearchStrategy[Cell]]] = {
    "name": (Kind.TEXT, TEXTS),
    "fax": (Kind.TEXT, TEXTS),
    "numberofemployees": (Kind.INTEGER, st.integers(0, 3)),
    "revenue": (Kind.DECIMAL, st.sampled_from([Decimal(1), Decimal("1.0"), Decimal("1.05")])),
    "creditonhold": (Kind.BOOLEAN, st.booleans()),
    "lastonholdtime": (Kind.DATETIME, st.sampled_from(["2026-03-01T08:00:00Z", "2025-01-01"])),
    "address1_latitude": (Kind.REAL, st.sampled_from([0.5, 1.5])),
}


_SIGNS: Final = dict(
    zip(Comparison, (Operator(one.name.lower()) for one in Comparison), strict=True)
)
Pair = tuple[Condition, Expression]


@st.composite
def leaves(draw: st.DrawFn) -> Pair:
    """The same question to the emulator and to the engine."""
    name = draw(st.sampled_from(sorted(CELLS)))
    kind, cells = CELLS[name]
    column, negated = ColumnRef(name, kind), draw(st.booleans())
    sign = draw(st.sampled_from(Comparison))
    match draw(st.sampled_from(["compare", "columns", "null", "in", "like"])):
        case "null":
            is_null = Operator.NOT_NULL if negated else Operator.NULL
            return condition(name, is_null), IsNull(column, negated)
        case "in":
            among = tuple(draw(st.lists(cells, min_size=1, max_size=3)))
            is_in = Operator.NOT_IN if negated else Operator.IN
            return condition(name, is_in, *among), In(column, among, negated)
        case "like":
            pattern = draw(TEXTS)
            like = Operator.NOT_LIKE if negated else Operator.LIKE
            return condition("fax", like, pattern), Like(FAX, pattern, negated)
        case "columns":
            return columns("name", _SIGNS[sign], "fax"), Compare(sign, NAME, FAX)
        case _:
            cell = draw(cells)
            return condition(name, _SIGNS[sign], cell), Compare(sign, column, Literal(cell))


def _all(parts: list[Pair]) -> Pair:
    return All(tuple(one for one, _ in parts)), And(tuple(other for _, other in parts))


def _any(parts: list[Pair]) -> Pair:
    return Any(tuple(one for one, _ in parts)), Or(tuple(other for _, other in parts))


PAIRS: st.SearchStrategy[Pair] = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(_all),
        st.lists(inner, max_size=3).map(_any),
        inner.map(lambda pair: (Negated(pair[0]), Not(pair[1]))),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries({n: st.none() | cells for n, (_, cells) in CELLS.items()})
ORG: Final = Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC))
ASKING: Final = ORG.asking(ORG.system)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PAIRS, ROWS)
def test_the_emulator_and_the_engine_agree(pair: Pair, row: dict[str, Cell]) -> None:
    cells = tuple(row.get(field) for field in ACCOUNT.fields)
    own = matcher(pair[0], TableScope(ACCOUNT, ASKING), ASKING)(cells)
    assert own is (predicate(pair[1], ACCOUNT.positions)(cells) is True)

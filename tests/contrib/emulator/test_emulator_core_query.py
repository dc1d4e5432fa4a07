"""Finding rows: what matches, in which order, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.filters import (
    And,
    Call,
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
from holdfast.schema import HIDDEN_PREFIX, Kind
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.security import Depth, User
from holdfast_emulator.behaviour.tables import stock_metadata
from holdfast_emulator.queries.evaluate import Evaluator
from holdfast_emulator.queries.query import Order, Query

ACCOUNT = stock_metadata().tables["account"]
NAME = ColumnRef("name", Kind.TEXT)
FAX = ColumnRef("fax", Kind.TEXT)
STAFF = ColumnRef("numberofemployees", Kind.INTEGER)
REVENUE = ColumnRef("revenue", Kind.DECIMAL)
HELD = ColumnRef("lastonholdtime", Kind.DATETIME)


@pytest.fixture
def org() -> Dataverse:
    return Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC))


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


def names(org: Dataverse, user: User, expression: Expression) -> list[object]:
    query = Query("account", expression, order=[Order("name")])
    return [row["name"] for row in org.query(user, query).rows]


def every(org: Dataverse, user: User, query: Query) -> list[object]:
    found: list[object] = []
    while True:
        answer = org.query(user, query)
        found.extend(row["name"] for row in answer.rows)
        assert len(answer.rows) <= query.page_size
        if answer.next is None:
            return found
        query = Query(query.table, query.filter, query.order, None, query.page_size, answer.next)


@pytest.fixture
def three(org: Dataverse, ann: User) -> Dataverse:
    """Rows a (5 people), b (null), c (7 people)."""
    for name, staff in (("a", 5), ("b", None), ("c", 7)):
        org.create(ann, "account", {"name": name, "numberofemployees": staff})
    return org


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (Compare(Comparison.EQ, STAFF, Literal(5)), ["a"]),
        (Compare(Comparison.NE, STAFF, Literal(5)), ["b", "c"]),
        (Compare(Comparison.GT, STAFF, Literal(5)), ["c"]),
        (Compare(Comparison.LE, Literal(5), STAFF), ["a", "c"]),
        (Not(Compare(Comparison.GT, STAFF, Literal(5))), ["a"]),
        (In(STAFF, (5, 6)), ["a"]),
        (In(STAFF, (5, 6), negated=True), ["b", "c"]),
        (IsNull(STAFF), ["b"]),
        (IsNull(STAFF, negated=True), ["a", "c"]),
        (Like(NAME, "[ab]"), ["a", "b"]),
        (Like(NAME, "[^ab]", negated=True), ["a", "b"]),
        (Like(FAX, "%", negated=True), ["a", "b", "c"]),
        (Compare(Comparison.EQ, NAME, NAME), ["a", "b", "c"]),
        (Compare(Comparison.NE, NAME, FAX), ["a", "b", "c"]),
        (Compare(Comparison.NE, FAX, FAX), []),
        (And(), ["a", "b", "c"]),
        (Or(), []),
        (Or((IsNull(STAFF), Compare(Comparison.GE, STAFF, Literal(7)))), ["b", "c"]),
        (Compare(Comparison.EQ, NAME, Literal("A")), ["a"]),
    ],
)
def test_null_matches_negative_operators_only(
    three: Dataverse, ann: User, expression: Expression, expected: list[str]
) -> None:
    assert names(three, ann, expression) == expected
    assert three.count(ann, "account", expression) == len(expected)


def test_text_is_compared_without_regard_to_case(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "ØRSTA Straße"})
    for pattern in ("%ørsta%", "ØRSTA%", "%STRASSE"):
        assert len(names(org, ann, Like(NAME, pattern))) == 1
    assert names(org, ann, Compare(Comparison.EQ, NAME, Literal("ørsta strasse")))


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
    assert bool(names(org, ann, Like(NAME, pattern))) is matches


def test_a_lookup_can_be_asked_for_by_its_names(org: Dataverse, ann: User) -> None:
    contact = org.create(ann, "contact", {"firstname": "Åse", "lastname": "Bø"})
    org.create(ann, "account", {"name": "a"})
    pointer = Reference("contact", contact.id)
    org.create(ann, "account", {"name": "b", "primarycontactid": pointer})
    for field, kind, cell in (
        ("primarycontactid", Kind.KEY, contact.id.upper()),
        ("_primarycontactid_value", Kind.KEY, contact.id),
        (f"{HIDDEN_PREFIX}primarycontactid_name", Kind.TEXT, "åse bø"),
    ):
        asked = Compare(Comparison.EQ, ColumnRef(field, kind), Literal(cell))
        assert names(org, ann, asked) == ["b"]
    owned = ColumnRef(f"{HIDDEN_PREFIX}ownerid_table", Kind.KEY)
    assert names(org, ann, Compare(Comparison.EQ, owned, Literal("systemuser"))) == ["a", "b"]


def test_a_date_matches_with_and_without_its_letter(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "a", "lastonholdtime": "2026-03-01T08:00:00Z"})
    for text in ("2026-03-01T08:00:00Z", "2026-03-01T08:00:00"):
        assert names(org, ann, Compare(Comparison.EQ, HELD, Literal(text))) == ["a"]


def test_what_the_table_does_not_have_is_refused(org: Dataverse, ann: User) -> None:
    wrong = ColumnRef("nosuch", Kind.TEXT)
    with pytest.raises(DataverseFault, match="Could not find a property named 'nosuch'"):
        org.query(ann, Query("account", IsNull(wrong)))
    with pytest.raises(DataverseFault, match="nosuch"):
        org.query(ann, Query("account", order=[Order("nosuch")]))
    with pytest.raises(DataverseFault, match="'twist' is not supported"):
        org.query(ann, Query("account", Call("twist", (NAME,))))


def test_cells_that_cannot_be_compared_are_refused(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "a", "numberofemployees": 1})
    with pytest.raises(DataverseFault, match="incompatible types"):
        org.query(ann, Query("account", Compare(Comparison.GT, STAFF, Literal("many"))))
    with pytest.raises(DataverseFault, match="needs a column"):
        org.query(ann, Query("account", Compare(Comparison.EQ, Literal(1), Literal(1))))


def test_a_call_is_what_the_query_says_it_is(three: Dataverse, ann: User) -> None:
    functions = {"odd": lambda cell: None if cell is None else cell % 2 == 1}
    asked = Call("odd", (STAFF,))
    assert three.count(ann, "account", asked, functions) == 2
    assert three.count(ann, "account", Not(asked), functions) == 0
    more = {"more": lambda cell, than: cell is not None and cell > than}
    assert three.count(ann, "account", Call("more", (STAFF, Literal(5))), more) == 1


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
    query = Query("account", order=[Order("_primarycontactid_value")])
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
    version = ColumnRef("versionnumber", Kind.INTEGER)
    after = Compare(Comparison.GT, version, Literal(rows[3].version))
    query = Query("account", after, order=[Order("versionnumber")], page_size=1)
    assert every(org, ann, query) == ["n4", "n0"]
    since = Compare(Comparison.GE, version, Literal(rows[3].version))
    assert names(org, ann, since) == ["n0", "n3", "n4"]


def test_rows_of_others_stay_out_of_answers_and_counts(org: Dataverse, ann: User) -> None:
    bo = org.security.user_of("office-token")
    assert bo
    org.create(ann, "account", {"name": "mine"})
    org.create(bo, "account", {"name": "his"})
    org.security.limit(ann, "account", Depth.BASIC)
    assert names(org, ann, And()) == ["mine"]
    assert org.count(ann, "account") == 1
    assert org.count(bo, "account") == 2
    org.security.limit(ann, "account", Depth.NONE)
    with pytest.raises(DataverseFault, match="prvReadAccount"):
        org.count(ann, "account")


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


@st.composite
def leaves(draw: st.DrawFn) -> Expression:
    name = draw(st.sampled_from(sorted(CELLS)))
    kind, cells = CELLS[name]
    column = ColumnRef(name, kind)
    negated = draw(st.booleans())
    match draw(st.sampled_from(["compare", "columns", "null", "in", "like"])):
        case "null":
            return IsNull(column, negated)
        case "in":
            return In(column, tuple(draw(st.lists(cells, max_size=3))), negated)
        case "like":
            return Like(draw(st.sampled_from([NAME, FAX])), draw(TEXTS), negated)
        case "columns":
            return Compare(draw(st.sampled_from(Comparison)), NAME, FAX)
        case _:
            return Compare(draw(st.sampled_from(Comparison)), column, Literal(draw(cells)))


EXPRESSIONS = st.recursive(
    leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts))),
        inner.map(Not),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries({n: st.none() | cells for n, (_, cells) in CELLS.items()})


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(EXPRESSIONS, ROWS)
def test_two_readings_of_the_algebra_agree(expression: Expression, row: dict[str, Cell]) -> None:
    cells = tuple(row.get(field) for field in ACCOUNT.fields)
    own = Evaluator(ACCOUNT, lambda _: None, {}).matcher(expression)(cells)
    assert own is (predicate(expression, ACCOUNT.positions)(cells) is True)

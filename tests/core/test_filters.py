"""An expression has one meaning, in three-valued logic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.filters import (
    EVERYTHING,
    And,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    HasOption,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
    columns,
    conjuncts,
    like_regex,
    negate,
    predicate,
    walk,
)
from holdfast.folding import fold
from holdfast.schema import Kind
from holdfast.values import Cell

C = Comparison
TRUE, FALSE = And(), Or()
Truth: TypeAlias = bool | None
TRUTHS: tuple[Truth, ...] = (True, False, None)
deterministic = settings(derandomize=True, max_examples=300, deadline=None)


def column(kind: Kind, name: str = "x") -> ColumnRef:
    return ColumnRef(name, kind)


def answer(expression: Expression, *cells: Cell) -> bool | None:
    """Evaluate over columns x, y, z."""
    return predicate(expression, {"x": 0, "y": 1, "z": 2})(cells)


def compare(operator: Comparison, kind: Kind, cell: Cell, literal: Cell) -> bool | None:
    return answer(Compare(operator, column(kind), Literal(literal)), cell)


# A comparison with a column that holds null is the plainest expression that is unknown.
UNKNOWN = Compare(C.GT, column(Kind.INTEGER), Literal(0))
STANDS_FOR: dict[bool | None, Expression] = {True: TRUE, False: FALSE, None: UNKNOWN}


@pytest.mark.parametrize("one", TRUTHS)
@pytest.mark.parametrize("other", TRUTHS)
def test_and_or_and_not_follow_the_truth_tables_of_kleene(one: Truth, other: Truth) -> None:
    rank = {False: 0, None: 1, True: 2}
    parts = (STANDS_FOR[one], STANDS_FOR[other])
    assert answer(And(parts), None) is min(one, other, key=lambda truth: rank[truth])
    assert answer(Or(parts), None) is max(one, other, key=lambda truth: rank[truth])
    assert answer(Not(STANDS_FOR[one]), None) is (None if one is None else not one)


def test_all_of_nothing_is_true_and_any_of_nothing_is_false() -> None:
    assert answer(EVERYTHING) is True
    assert answer(FALSE) is False


@pytest.mark.parametrize("operator", [op for op in C if op is not C.NE])
def test_a_comparison_with_null_is_unknown(operator: Comparison) -> None:
    assert compare(operator, Kind.INTEGER, None, 1) is None
    one, other = column(Kind.INTEGER), column(Kind.INTEGER, "y")
    assert answer(Compare(operator, one, other), None, 1) is None
    assert answer(Compare(operator, one, other), None, None) is None


def test_not_equal_matches_null() -> None:
    assert compare(C.NE, Kind.TEXT, None, "a") is True
    assert answer(Compare(C.NE, Literal("a"), column(Kind.TEXT)), None) is True


def test_between_two_columns_not_equal_matches_when_exactly_one_is_null() -> None:
    differ = Compare(C.NE, column(Kind.INTEGER), column(Kind.INTEGER, "y"))
    assert [answer(differ, *pair) for pair in ((None, 1), (1, None), (None, None), (1, 1))] == [
        True,
        True,
        False,
        False,
    ]


def test_every_negated_test_matches_null_and_its_positive_one_is_unknown_there() -> None:
    for test in (Like(column(Kind.TEXT), "a%"), In(column(Kind.TEXT), ("a",))):
        assert answer(test, None) is None
        assert answer(negate(test), None) is True


def test_is_null_is_never_unknown() -> None:
    test = IsNull(column(Kind.TEXT))
    assert (answer(test, None), answer(test, "")) == (True, False)
    assert (answer(negate(test), None), answer(negate(test), "")) == (False, True)


@pytest.mark.parametrize(
    ("kind", "less", "more"),
    [
        (Kind.INTEGER, -1, 2**62),
        (Kind.REAL, 0.1, 0.2),
        (Kind.REAL, 1, 1.5),
        (Kind.DECIMAL, Decimal(9), Decimal(10)),
        (Kind.DECIMAL, Decimal("12345678901.1234567890"), Decimal("12345678901.1234567891")),
        (Kind.DECIMAL, Decimal("0.1"), 0.1),  # the float is a little more than a tenth
        (Kind.DECIMAL, 2**53, Decimal(2**53 + 1)),
        (Kind.BOOLEAN, False, True),
        (Kind.KEY, "2024-06-12", "2024-10-01"),
        (Kind.TEXT, "Abc", "abE"),
        (Kind.DATETIME, "2024-06-12T14:13:17Z", "2024-06-12T14:13:17.5Z"),
        (Kind.DATETIME, "2024-06-12T14:13:17.25Z", "2024-06-12T14:13:17.5Z"),
        (Kind.DATETIME, "2024-06-12T14:13:17.999999Z", "2024-06-12T14:13:18Z"),
        (Kind.DATETIME, "2024-06-12T14:13:17", "2024-06-12T14:13:17.1Z"),
    ],
)
def test_cells_of_one_kind_are_ordered_by_their_meaning(kind: Kind, less: Cell, more: Cell) -> None:
    outcomes = {
        operator: (compare(operator, kind, less, more), compare(operator, kind, more, less))
        for operator in C
    }
    assert outcomes == {
        C.EQ: (False, False),
        C.NE: (True, True),
        C.GT: (False, True),
        C.GE: (False, True),
        C.LT: (True, False),
        C.LE: (True, False),
    }


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (Kind.TEXT, "ØRSTED", "ørsted"),
        (Kind.TEXT, "Straße", "STRASSE"),
        (Kind.TEXT, "ΟΔΥΣΣΕΥΣ", "Οδυσσευς"),
        (Kind.DECIMAL, Decimal("1.10"), Decimal("1.1")),
        (Kind.DECIMAL, Decimal(5), 5),
        (Kind.DECIMAL, Decimal("0.5"), 0.5),
        (Kind.REAL, 2, 2.0),
        (Kind.DATETIME, "2024-06-12T14:13:17Z", "2024-06-12T14:13:17"),
    ],
)
def test_cells_that_mean_the_same_are_equal_alone_and_in_a_list(
    kind: Kind, one: Cell, other: Cell
) -> None:
    assert compare(C.EQ, kind, one, other) is True
    assert compare(C.NE, kind, one, other) is False
    assert answer(In(column(kind), (None, other)), one) is True
    assert answer(In(column(kind), (other,), negated=True), one) is False


def test_keys_are_compared_exactly() -> None:
    assert compare(C.EQ, Kind.KEY, "a", "A") is False


def test_null_in_a_list_matches_nothing() -> None:
    assert answer(In(column(Kind.INTEGER), (None,)), 1) is False
    assert answer(In(column(Kind.INTEGER), (None,), negated=True), 1) is True


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("%", ["", "a", "a\nb"], []),
        ("abc", ["abc", "ABC"], ["ab", "abcd", "abc\n", "\nabc"]),
        ("a%", ["a", "abc", "A\n"], ["ba", ""]),
        ("%a", ["a", "bbA"], ["ab", "a\n"]),
        ("%b%", ["b", "abc"], ["ac"]),
        ("a%b%c", ["abc", "aXbXc", "abbcc"], ["acb", "ab"]),
        ("a%a", ["aa", "aba"], ["a"]),
        ("%aab", ["aaab", "aab"], ["aaba"]),
        ("_", ["a", "ø", "\n"], ["", "ab"]),
        ("a__d", ["abcd"], ["acd", "abccd"]),
        ("[abc]", ["a", "B"], ["d", "", "ab"]),
        ("[a-c]x", ["bx", "CX"], ["dx", "-x"]),
        ("[^a-c]", ["d", "-", "\n"], ["a", "B", ""]),
        ("[a-]", ["a", "-"], ["b"]),
        ("[-a]", ["a", "-"], ["b"]),
        ("[]]", ["]"], ["[", ""]),
        ("[^]]", ["[", "a"], ["]"]),
        ("[[]x", ["[x"], ["x"]),
        ("[a^]", ["a", "^"], ["b"]),
        ("[z-a]", ["z", "a", "-"], ["m"]),
        ("[%]", ["%"], ["a", ""]),
        ("[_]", ["_"], ["a"]),
        ("50[%]%", ["50% off"], ["500"]),
        (r"[\d]", ["\\", "d"], ["5"]),
        (r"\d", [r"\d"], ["5"]),
        ("[&&~~||--]", ["&", "~", "|", "-"], ["a"]),
        ("a[", ["a["], ["a"]),
        ("a[b%", ["a[b", "a[bc"], ["ab"]),
        ("%[%", ["[", "a[b"], ["a"]),
        ("a]b", ["a]b"], ["ab"]),
        ("[]", ["[]"], ["", "[", "a"]),
        ("[^]", ["[^]"], ["^", "a"]),
        ("(.*)+$", ["(.*)+$"], ["aaa"]),
        ("STRASSE", ["Straße"], []),
        ("%ß%", ["MASSE"], ["mase"]),
        ("İ%", ["i\u0307stanbul", "İSTANBUL"], ["istanbul"]),
        ("%\N{GREEK SMALL LETTER SIGMA}", ["ΟΔΥΣΣΕΥΣ", "Οδυσσευς"], ["οδυσσευ"]),
        ("[Ø]st", ["øst"], ["ost"]),
    ],
)
def test_a_pattern_matches_as_people_of_sql_expect(
    pattern: str, matching: Sequence[str], other: Sequence[str]
) -> None:
    like = Like(column(Kind.TEXT), pattern)
    assert [text for text in matching if answer(like, text) is not True] == []
    assert [text for text in other if answer(like, text) is not False] == []
    assert [text for text in matching if answer(negate(like), text) is not False] == []


def slow_like(pattern: str, text: str) -> bool:
    """Match the way the definition reads, without caring for time; no sets."""
    if not pattern:
        return not text
    if pattern[0] == "%":
        return any(slow_like(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return bool(text) and pattern[0] in ("_", text[0]) and slow_like(pattern[1:], text[1:])


@deterministic
@given(st.text("ab%_", max_size=8), st.text("ab", max_size=8))
def test_a_pattern_matches_what_its_definition_says(pattern: str, text: str) -> None:
    assert (like_regex(pattern).match(fold(text)) is not None) is slow_like(pattern, text)


@pytest.mark.timeout(20)  # a quadratic one needs minutes
@pytest.mark.parametrize(
    "pattern",
    ["[" * 50_000, "[]" * 25_000, "[^" * 25_000, "%a" * 5_000 + "b", "%_" * 5_000 + "b"],
    ids=["open sets", "empty sets", "negated sets", "many texts", "many characters"],
)
def test_no_pattern_takes_more_than_linear_time(pattern: str) -> None:
    assert like_regex(pattern).match("a" * 50_000) is None


LEAVES: list[Expression] = [
    *(Compare(operator, column(Kind.INTEGER), Literal(1)) for operator in C),
    *(Compare(operator, Literal(1), column(Kind.INTEGER, "y")) for operator in C),
    *(Compare(op, column(Kind.INTEGER), column(Kind.INTEGER, "y")) for op in C),
    IsNull(column(Kind.INTEGER)),
    IsNull(column(Kind.INTEGER, "y"), negated=True),
    Like(column(Kind.TEXT, "z"), "%a%"),
    Like(column(Kind.TEXT, "z"), "b_", negated=True),
    In(column(Kind.INTEGER), (0, 2)),
    In(column(Kind.INTEGER, "y"), (), negated=True),
    Not(Call("odd", (column(Kind.INTEGER),))),
    Call("odd", (column(Kind.INTEGER, "y"),)),
]
EXPRESSIONS: st.SearchStrategy[Expression] = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=8,
)
ROWS = [(x, y, z) for x in (None, 0, 1, 2) for y in (None, 0, 1, 2) for z in (None, "a", "bb")]


def odd(number: Cell) -> bool | None:
    return None if number is None else number % 2 == 1


def truths(expression: Expression) -> list[bool | None]:
    test = predicate(expression, {"x": 0, "y": 1, "z": 2}, {"odd": odd})
    return [test(row) for row in ROWS]


@deterministic
@given(EXPRESSIONS)
def test_a_negation_of_a_negation_means_what_stood_there_first(expression: Expression) -> None:
    assert truths(negate(negate(expression))) == truths(expression)


@deterministic
@given(EXPRESSIONS)
def test_an_expression_and_its_negation_never_both_match_where_nothing_is_null(
    expression: Expression,
) -> None:
    positive, negative = truths(expression), truths(negate(expression))
    for row, one, other in zip(ROWS, positive, negative, strict=True):
        if None not in row:
            assert one is (not other)


@deterministic
@given(EXPRESSIONS)
def test_conjuncts_together_mean_the_whole(expression: Expression) -> None:
    assert truths(And(conjuncts(expression))) == truths(expression)
    assert not any(isinstance(part, And) for part in conjuncts(expression))


def test_a_negation_goes_to_operators_that_have_a_negative() -> None:
    a = Compare(C.GT, column(Kind.INTEGER), Literal(5))
    b = Compare(C.EQ, column(Kind.INTEGER), Literal(5))
    assert negate(And((a, b))) == Or(
        (
            Compare(C.LE, column(Kind.INTEGER), Literal(5)),
            Compare(C.NE, column(Kind.INTEGER), Literal(5)),
        )
    )


def test_walk_visits_every_node_and_columns_names_every_field() -> None:
    x, y, z = column(Kind.TEXT), column(Kind.TEXT, "y"), column(Kind.INTEGER, "z")
    leaves = (
        Compare(C.EQ, x, y),
        Not(IsNull(z)),
        Or((Like(y, "a"), In(z, (1,)), Call("f", (x, Literal(1))))),
    )
    whole = And(leaves)
    assert len(list(walk(whole))) == 8
    assert columns(whole) == {"x", "y", "z"}
    assert columns(EVERYTHING) == frozenset()


def test_a_function_is_called_with_the_cells_in_their_comparable_form() -> None:
    seen: list[tuple[Cell, ...]] = []

    def spy(*cells: Cell) -> bool | None:
        seen.append(cells)
        return None

    call = Call("spy", (column(Kind.TEXT), Literal("Ab"), column(Kind.DATETIME, "y")))
    test = predicate(call, {"x": 0, "y": 1}, {"spy": spy})
    assert test(("ÆØ", "2024-01-01T00:00:00Z")) is None
    assert seen == [("æø", "Ab", "2024-01-01T00:00:00")]


def test_a_field_or_function_that_is_not_there_is_found_before_any_row_is_read() -> None:
    with pytest.raises(KeyError):
        predicate(IsNull(column(Kind.TEXT, "nowhere")), {"x": 0})
    with pytest.raises(KeyError):
        predicate(Call("nothing", ()), {"x": 0})


@pytest.mark.parametrize("pattern", ["fjord", "fjord%", "%fjord", "%fjord%", "", "%", "%%"])
def test_a_pattern_that_is_only_text_means_what_its_expression_does(pattern: str) -> None:
    for text in ("", "Fjord", "the FJORD", "Fjords", "a fjord b", "f", "%"):
        like = Like(column(Kind.TEXT), pattern)
        assert answer(like, text) is (like_regex(pattern).match(fold(text)) is not None)


def test_options_are_compared_whole_and_null_has_none() -> None:
    has = HasOption(column(Kind.KEY), (1, 9))
    cells = ("1", "9,12", "12", "-1", None)
    assert [answer(has, cell) for cell in cells] == [True, True, False, False, None]
    assert [answer(negate(has), cell) for cell in cells] == [False, False, True, True, True]
    assert answer(HasOption(column(Kind.KEY), ()), "1") is False


class People:
    """Rows of another table: a number and a name."""

    def __init__(self, *rows: tuple[Cell, Cell]) -> None:
        self._rows = rows

    def positions(self, table: str) -> Mapping[str, int]:
        assert table == "people"
        return {"number": 0, "name": 1}

    def rows(self, table: str, field: str, cell: Cell) -> list[tuple[Cell, Cell]]:
        assert (table, field) == ("people", "number")
        return [row for row in self._rows if row[0] == cell]


def test_a_link_is_never_unknown() -> None:
    """Nor is its negation, whatever is unknown or null on the way."""
    people = People((1, "Anna"), (2, None), (2, "Bo"), (3, None))
    named = Like(column(Kind.TEXT, "name"), "b%")
    link = Related("people", column(Kind.INTEGER, "number"), column(Kind.INTEGER), named)
    for where, wanted in (
        (link, [False, True, False, False, False]),
        (Not(link), [True, False, True, True, True]),
    ):
        test = predicate(where, {"x": 0}, related=people)
        assert [test((cell,)) for cell in (1, 2, 3, 4, None)] == wanted
    with pytest.raises(ValueError, match="nobody gave the rows of people"):
        predicate(link, {"x": 0})


def test_nothing_of_an_expression_is_run() -> None:
    """Values, patterns and names are reached by name; none is in the text that is compiled."""
    hostile = '\'); raise SystemExit("""\\\n#'
    parts = (
        Compare(C.EQ, ColumnRef(hostile, Kind.TEXT), Literal(hostile)),
        In(ColumnRef(hostile, Kind.TEXT), (hostile,)),
        Like(ColumnRef(hostile, Kind.TEXT), "%'); raise%"),
        Like(ColumnRef(hostile, Kind.TEXT), "_'); raise%"),
        Call(hostile, (ColumnRef(hostile, Kind.TEXT), Literal(hostile))),
    )
    test = predicate(And(parts), {hostile: 0}, {hostile: lambda *_: True})
    assert test((hostile,)) is False  # the last pattern wants something before the quote
    assert predicate(Or(parts[2:]), {hostile: 0}, {hostile: lambda *_: None})((hostile,)) is True


@pytest.mark.parametrize("word", [And, Or])
def test_a_filter_may_be_deep_or_wide(word: type[And | Or]) -> None:
    leaf: Expression = Compare(C.EQ, column(Kind.INTEGER), Literal(1))
    wide = word((leaf,) * 3000)
    assert [answer(wide, cell) for cell in (1, 2, None)] == [True, False, None]
    deep = leaf
    for _ in range(100):
        deep = Not(word((deep, leaf)))
    assert [answer(deep, cell) for cell in (1, None)] == [word is And, None]

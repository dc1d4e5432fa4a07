"""Every node has words that a person can read."""

from __future__ import annotations

from decimal import Decimal

import pytest

from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    InState,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Period,
    Related,
    RowMark,
    Who,
    described,
)
from holdfast.schema import DateBehavior, Kind

NAME = ColumnRef("name", Kind.TEXT)
SIZE = ColumnRef("size", Kind.DECIMAL)
OWNER = ColumnRef("ownerid", Kind.KEY)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (EVERYTHING, "every row"),
        (Or(), "no row"),
        (Compare(Comparison.GE, SIZE, Literal(Decimal("1.50"))), "size ge 1.50"),
        (Compare(Comparison.NE, NAME, ColumnRef("city", Kind.TEXT, "a")), "name ne a.city"),
        (And((IsNull(NAME), Or((IsNull(SIZE, negated=True), Like(NAME, "%é%"))))), ""),
        (Not(Like(NAME, "O'%", negated=True)), 'not (name not like "O\'%")'),
        (In(NAME, (*map(str, range(8)), None, "x")), ""),
        (HasOption(NAME, (1, 2), negated=True), "name has not one of (1, 2)"),
        (
            Related("contact", ColumnRef("contactid", Kind.KEY), OWNER, EVERYTHING),
            "there is a contact (contact.contactid = ownerid; every row)",
        ),
        (Call("sounds-like", (NAME, Literal("x"))), "sounds-like(name, 'x')"),
        (InState(RowMark.LOCAL), "the row is local"),
        (
            During(NAME, DateBehavior.DATE_ONLY, Period.LAST_X_DAYS, (3,)),
            "name last-x-days 3",
        ),
        (IsCaller(OWNER, Who.USER, negated=True), "ownerid is not userid"),
        (
            InHierarchy(OWNER, "user", "managerid", "ann", Branch.UNDER),
            "ownerid is under user(ann)",
        ),
    ],
)
def test_a_node_has_words(expression: Expression, words: str) -> None:
    longer = {
        "And": "name is null and (size is not null or name like '%é%')",
        "In": "name in ('0', '1', '2', '3', '4', '5', '6', '7' and 2 more)",
    }
    assert described(expression) == (words or longer[type(expression).__name__])

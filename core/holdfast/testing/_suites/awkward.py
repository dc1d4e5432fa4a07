"""Cells that storages get wrong, and every filter over them.

Invariant: each kind has pairs that compare otherwise as text, as a float or in ASCII than they do
as what they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from itertools import chain
from typing import Final

from holdfast.contracts import Layout
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
)
from holdfast.model import Record
from holdfast.schema import Field, Kind
from holdfast.values import Cell

# fmt: off
_TEXTS: Final = (
    "", " ", "a", "A", "ab", "AB", "9", "10", "-1", "0", "Ø", "ø", "ß", "ss", "SS", "É",
    "e\u0301", "İ", "i\u0307", "\u0131", "I", "Σ", "ς", "ﬃ", "ffi", "漢字", "🙂",
    "👨\u200d👩\u200d👧",
    "\U0010ffff", "100%", "100x", "a_b", "axb", "[x]", "x", "a]b", "a^b", "a-b", "*", "?",
    "a\\b", "null", "NULL", "it's", '"quoted"', "`", ";", "--", "/* */", ":a", "$1", "@p",
    "x'); DROP TABLE cells;--", "\n", "\r\n", "two\nlines", "\t", "trailing ", "\ufeff",
    "\u202e", "x\x00y", "\x00", "\x1f",
)
_IDS: Final = (
    "00000000-0000-0000-0000-000000000000", "6fa459ea-ee8a-4ca4-894e-db77e160355e",
    "6fa459ea-ee8a-4ca4-894e-db77e160355f", "", "a", "A", "9", "10", "1,9", "1,10", "Ø", "ø",
    "2024-02-29", "2023-12-31", "ß", "ss", "it's", "x\x00y", "null", "🙂", "\uffff", "\U0010ffff",
)
_NUMBERS: Final = (
    "0", "-0", "0.00", "9", "10", "-9", "-10", "9.5", "1E+3", "1000", "1000.0", "999.999999",
    "0.1", "0.10", "-0.1", "0.3", "12345678901.1234567891", "12345678901.1234567892",
    "-12345678901.1234567891", "-0.0000000001", "0.0000000001", "1E-28", "-1E-28", "1E+30",
    "12345678901234567890.1", "12345678901234567890.2", "-12345678901234567890.1",
    "1234567890123456789012345678.9", "1234567890123456789012345678.91", "9007199254740993",
    "-99999999999999999999999999999999999999.5", "99999999999999999999999999999999999999.5",
)
_DATETIMES: Final = (
    "2024-06-12T14:13:17Z", "2024-06-12T14:13:17", "2024-06-12T14:13:17.1Z",
    "2024-06-12T14:13:17.12Z", "2024-06-12T14:13:17.100001Z", "2024-06-12T14:13:17.12",
    "2024-06-12T14:13:18Z", "2024-06-12T14:13:16.999999Z", "2024-06-12T00:00:00Z",
    "1753-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00",
    "1970-01-01T00:00:00Z",
)

# fmt: on

#: For each kind, cells that are hard to keep or to compare.
CELLS: Final[Mapping[Kind, tuple[Cell, ...]]] = {
    Kind.TEXT: _TEXTS,
    Kind.KEY: _IDS,
    Kind.INTEGER: (-(2**63), 2**63 - 1, 2**53, 2**53 + 1, -1, 0, 1, 9, 10, 255, -10, -9),
    Kind.REAL: (0.1, -0.1, 0.0, -0.0, 0.3, 1 / 3, 9.0, 10.0, -9.5, 1e308, 5e-324, 2.0**53, 1e-300),
    Kind.DECIMAL: tuple(Decimal(number) for number in _NUMBERS),
    Kind.BOOLEAN: (True, False),
    Kind.DATETIME: _DATETIMES,
}

# fmt: off
_PATTERNS: Final = (
    "", "%", "_", "a%", "%B", "%a%", "_b", "a_b", "a[_]b", "100[%]", "[[]x]", "[a-c]b", "[^a]b",
    "[^a-z]%", "ø", "%Ø%", "ss", "S%", "É", "İ%", "%i%", "*", "?", "%\n%", "x%y", "%\\%", "%'%",
    "%two%lines%", "%a%b%", "__", "ffi", "%🙂%", "[-a]b", "a[]]b", "a[x^]b", "null",
)

# fmt: on

KEY: Final = Field("number", Kind.INTEGER)


def first(kind: Kind) -> Field:
    """Return the field with the cells of a kind."""
    return Field(f"{kind.value}_first", kind)


def second(kind: Kind) -> Field:
    """Return the field with the same cells in another order."""
    return Field(f"{kind.value}_second", kind)


#: A table with two fields of every kind; an index on each first one tempts to use it wrongly.
LAYOUT: Final = Layout(
    "cells",
    (KEY, *chain.from_iterable((first(kind), second(kind)) for kind in Kind)),
    tuple(first(kind).name for kind in Kind),
)


def records() -> list[Record]:
    """Return rows in which each cell of each kind meets null, itself and others of its kind."""
    count = 2 * max(len(cells) for cells in CELLS.values())
    return [(number, *_cells(number)) for number in range(count)]


def _cells(number: int) -> Iterator[Cell]:
    for cells in CELLS.values():
        one = cells[number % len(cells)]
        other = one if number % 3 == 0 else cells[(5 * number + 2) % len(cells)]
        yield None if number % 11 == 7 else one
        yield None if number % 13 in (7, 8) else other


def expressions(kind: Kind) -> Iterator[Expression]:
    """Yield every node of the algebra over the two fields of a kind."""
    one, other = (ColumnRef(field.name, kind) for field in (first(kind), second(kind)))
    leaves = [*_comparisons(kind, one, other), *_memberships(kind, one)]
    leaves += [IsNull(one), IsNull(one, negated=True)]
    if kind in (Kind.TEXT, Kind.KEY):
        patterns = [*_PATTERNS, *map(str, CELLS[kind])]
        leaves += [Like(one, pattern, negated=n) for pattern in patterns for n in (False, True)]
    yield from leaves
    yield from (Not(leaf) for leaf in leaves)
    yield from _combinations(leaves)


def _comparisons(kind: Kind, one: ColumnRef, other: ColumnRef) -> Iterator[Expression]:
    for comparison in Comparison:
        yield Compare(comparison, one, other)
        yield Compare(comparison, one, one)
        for cell in (*CELLS[kind], None):
            yield Compare(comparison, one, Literal(cell))
            yield Compare(comparison, Literal(cell), other)


def _memberships(kind: Kind, one: ColumnRef) -> Iterator[Expression]:
    cells = CELLS[kind]
    for chosen in ((), cells[:1], cells[::2], cells, (*cells[:2], None), (None,)):
        yield In(one, chosen)
        yield In(one, chosen, negated=True)


def _combinations(leaves: list[Expression]) -> Iterator[Expression]:
    yield from (And(), Or(), Not(And()), Not(Or()))
    for number, leaf in enumerate(leaves[::7]):
        far = leaves[(17 * number + 5) % len(leaves)]
        near = leaves[(5 * number + 1) % len(leaves)]
        yield And((leaf, far))
        yield Or((leaf, far, near))
        yield Not(And((leaf, Or((far, Not(near))))))
        yield Or((And((leaf, near)), Not(Or((far, near)))))

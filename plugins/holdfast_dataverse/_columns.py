"""Cells as the server writes them, made what ``holdfast.values`` says of their columns.

Invariant: a check returns the cells that it was given where nothing had to be changed, and looks at
a whole column at once: most columns need nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from holdfast.schema import Column, ColumnType, DateBehavior
from holdfast.values import canonical_id, choices_cell, parse_datetime_cell

Cells: TypeAlias = Sequence[Any]  # Any: cells as decoded, checked by their type
#: Makes the cells of a column canonical; raises a ValueError where one does not fit.
Check: TypeAlias = Callable[[Cells], Cells]

_LONGEST_VERSION: Final = 200
#: What an id looks like when each of its digits is written as a zero.
_ID_SHAPE: Final = b"00000000-0000-0000-0000-000000000000"
_DIGITS: Final = bytes.maketrans(b"0123456789abcdef-", b"0" * 16 + b"-")
# Days that not every month has are left to the slower way, which knows the calendar.
_DAY: Final = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])"
_DATE: Final = re.compile(_DAY + r"\Z", re.ASCII)
_INSTANT: Final = re.compile(_DAY + r"T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ\Z", re.ASCII)
_CHOICES: Final = re.compile(r"-?[1-9]\d{0,9}\Z", re.ASCII)
_OPTION: Final = re.compile(r"\s*-?\d{1,10}\s*\Z", re.ASCII)
#: Far beyond what a decimal or money column holds.
_LONGEST_DECIMAL: Final = 40
#: Of exponents, infinities and what is no number.
_ODD_NUMBERS: Final = "EIN"


def field_checks(column: Column) -> Iterator[Check | None]:
    """Yield what each of the column's fields is checked by; None where its type says enough."""
    yield _check(column)
    yield from (None for _ in column.fields[1:])


def _check(column: Column) -> Check | None:
    match column.type:
        case ColumnType.UNIQUEIDENTIFIER | ColumnType.LOOKUP | ColumnType.FILE | ColumnType.IMAGE:
            return _ids
        case ColumnType.DECIMAL | ColumnType.MONEY:
            return _decimals
        case ColumnType.CHOICES:
            return _mending(_CHOICES, _choices)
        case ColumnType.DATETIME if column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT:
            return _wall(column)
        case ColumnType.DATETIME:
            usual = _DATE if column.behavior is DateBehavior.DATE_ONLY else _INSTANT
            return _mending(usual, lambda text: parse_datetime_cell(column, text))
        case _:
            return None


def _ids(cells: Cells) -> Cells:
    """Make ids canonical; as they nearly always are, a look at all of them at once tells."""
    given = [cell for cell in cells if cell is not None]
    together = "".join(given).encode(errors="replace")
    shaped = together.translate(_DIGITS) == _ID_SHAPE * len(given)
    if shaped and all(len(cell) == len(_ID_SHAPE) for cell in given):
        return cells
    return [None if cell is None else canonical_id(cell) for cell in cells]


def _mending(usual: re.Pattern[str], mend: Callable[[str], str | None]) -> Check:
    """Return a check that passes what has the usual form, and mends the rest."""
    fits = usual.match

    def check(cells: Cells) -> Cells:
        # A lookup column has few distinct values, and those of the usual form are most of them.
        distinct = set(cells)
        distinct.discard(None)
        if all(map(fits, distinct)):
            return cells
        odd = {cell for cell in distinct if not fits(cell)}
        return [mend(cell) if cell in odd else cell for cell in cells]

    return check


def _wall(column: Column) -> Check:
    """Return a check that drops the Z: the server writes it and means nothing by it."""
    usual = _INSTANT.match

    def check(cells: Cells) -> Cells:
        return [
            None
            if cell is None
            else cell[:-1]
            if usual(cell)
            else parse_datetime_cell(column, cell)
            for cell in cells
        ]

    return check


def _choices(text: str) -> str | None:
    parts = [part for part in text.split(",") if part.strip()]
    if not all(map(_OPTION.match, parts)):
        raise ValueError("no list of numbers")
    return choices_cell(map(int, parts))


def _decimals(cells: Cells) -> Cells:
    texts = [str(cell) for cell in cells if cell is not None]
    together = " ".join(texts)
    odd = any(letter in together for letter in _ODD_NUMBERS)
    if not odd and max(map(len, texts), default=0) < _LONGEST_DECIMAL:
        return cells
    for cell in cells:
        if cell is None:
            continue
        fits = cell.is_finite() and abs(cell.adjusted()) < _LONGEST_DECIMAL
        if not fits or len(str(cell)) > 2 * _LONGEST_DECIMAL:
            raise ValueError("no number for a column")
    return cells


def versions(cells: Cells) -> Cells:
    """Check the versions of rows."""
    together = "".join(cells)
    lengths = set(map(len, cells))
    plain = together.isascii() and together.isprintable()
    if not plain or min(lengths) < 1 or max(lengths) > _LONGEST_VERSION:
        raise ValueError("a version is garbled")
    return cells

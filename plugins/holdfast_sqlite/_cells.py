"""Cells as SQLite keeps them, and the form in which they compare.

Invariant: a cell comes back equal to what went in, and two cells of a kind compare in SQL as
:func:`holdfast.filters.comparable` says: by a function that queries name and the file's schema does
not, or by what that function returned when the cell was written, which stands in a hidden column.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import chain
from typing import Any, Final, TypeAlias

from holdfast.errors import StorageError
from holdfast.folding import fold
from holdfast.model import Record
from holdfast.schema import Kind
from holdfast.values import Cell

#: The declared type of each kind; the tables are STRICT, so a wrong cell is refused, not bent.
DECLARED: Final[Mapping[Kind, str]] = {
    Kind.TEXT: "TEXT",
    Kind.KEY: "TEXT",
    Kind.INTEGER: "INTEGER",
    Kind.REAL: "REAL",
    Kind.DECIMAL: "TEXT",
    Kind.BOOLEAN: "INTEGER",
    Kind.DATETIME: "TEXT",
}
_LARGEST_EXPONENT: Final = 400  # beyond a double's range; a longer text is a mistake or an attack
_SLICE: Final = 256  # records turned at once: few enough to stay in a processor's cache
_ORIGIN: Final = 2000  # any number above the largest count of digits before the point
_COMPLEMENT: Final = str.maketrans("0123456789", "9876543210")


def decimal_text(number: Decimal | int) -> str:
    """Return the digits without an exponent, as people write them; trailing zeros stay.

    :raises StorageError: the number is not finite, or absurdly long
    """
    exact = number if isinstance(number, Decimal) else Decimal(number)
    if not exact.is_finite() or abs(exact.adjusted()) > _LARGEST_EXPONENT:
        raise StorageError("a decimal number is out of range; nothing was written")
    if not exact:
        scale = max(0, -int(exact.as_tuple().exponent))
        return "0." + "0" * scale if scale else "0"
    return format(exact, "f")


def decimal_key(text: str | None) -> str | None:
    """Return text that sorts as the number does, equal for equal numbers.

    First the count of digits before the point, as one character, then the digits. Below zero both
    are mirrored, and ``~`` makes the shorter one the greater.
    """
    if text is None:
        return None
    whole, _, fraction = text.lstrip("-").partition(".")
    fraction = fraction.rstrip("0")
    digits = f"{whole}.{fraction}" if fraction else whole
    if text.startswith("-"):
        return f"{chr(_ORIGIN - len(whole))}{digits.translate(_COMPLEMENT)}~"
    return f"{chr(_ORIGIN + len(whole))}{digits}"


def number_of(key: str) -> Decimal:
    """Return the number that a decimal key stands for."""
    if key.endswith("~"):
        return Decimal(f"-{key[1:-1].translate(_COMPLEMENT)}")
    return Decimal(key[1:])


#: Kinds that compare by a function of ours; an index on such a field is on a key column beside it.
KEYED: Final = frozenset({Kind.TEXT, Kind.DECIMAL})


def compared(kind: Kind, column: str) -> str:
    """Return the SQL expression that compares rightly for a column."""
    match kind:
        case Kind.TEXT:
            return f"holdfast_fold({column})"
        case Kind.DECIMAL:
            return f"holdfast_decimal({column})"
        case Kind.DATETIME:
            return f"rtrim({column}, 'Z')"
        case _:
            return column


def comparand(kind: Kind, cell: Cell) -> str | int | float | None:
    """Return what is bound to compare with :func:`compared`."""
    if cell is None:
        return None
    match kind:
        case Kind.TEXT:
            return fold(str(cell))
        case Kind.DECIMAL:
            assert isinstance(cell, Decimal | int)
            return decimal_key(decimal_text(cell))
        case Kind.DATETIME:
            return str(cell).rstrip("Z")
        case _:
            assert not isinstance(cell, Decimal)
            return int(cell) if isinstance(cell, bool) else cell


Convert: TypeAlias = Callable[[Any], Any]  # Any: a cell of one kind, on either side
Cells: TypeAlias = Sequence[Any]  # Any: the cells of one column
_TO_BOOLEAN: Final = {None: None, 0: False, 1: True}
_FROM_BOOLEAN: Final = {None: None, False: 0, True: 1}
_DECODERS: Final[Mapping[Kind, Convert]] = {
    Kind.DECIMAL: lambda text: None if text is None else Decimal(text),
    Kind.BOOLEAN: _TO_BOOLEAN.__getitem__,
}
#: Where ``str`` may write a decimal otherwise than :func:`decimal_text`: exponents, and what is no
#: number; a zero below zero; and a text may be too long.
_ODD: Final = ("E", "N", "I", "-0")


def _decimal_texts(cells: Cells) -> Cells:
    """Return :func:`decimal_text` of each cell, quickly where the column has nothing odd."""
    texts = [None if cell is None else str(cell) for cell in cells]
    written = [text for text in texts if text is not None]
    together = " ".join(written)
    longest = max(map(len, written), default=0)
    if longest <= _LARGEST_EXPONENT and not any(odd in together for odd in _ODD):
        return texts
    return [None if cell is None else decimal_text(cell) for cell in cells]


def _from_booleans(cells: Cells) -> Cells:
    # SQLite binds a bool, but finds out slowly that it may.
    return list(map(_FROM_BOOLEAN.__getitem__, cells))


ConvertColumn: TypeAlias = Callable[[Cells], Cells]
_ENCODERS: Final[Mapping[Kind, ConvertColumn]] = {
    Kind.DECIMAL: _decimal_texts,
    Kind.BOOLEAN: _from_booleans,
}
#: What a key column holds beside the cells of a column, as they stand in a row that is bound.
_KEYS: Final[Mapping[Kind, ConvertColumn]] = {
    Kind.TEXT: lambda texts: [None if text is None else fold(text) for text in texts],
    Kind.DECIMAL: lambda texts: list(map(decimal_key, texts)),
}


class Encoder:
    """Turns the records of one table into rows, a column at a time.

    Only decimal and boolean columns cost anything, and those with a key column beside them.

    :param keyed: the positions of the fields whose keys follow the cells
    """

    def __init__(self, kinds: Sequence[Kind], keyed: Sequence[int] = ()) -> None:
        self._width = len(kinds)
        self._converters = [(at, _ENCODERS[k]) for at, k in enumerate(kinds) if k in _ENCODERS]
        self._keys = [(at, _KEYS[kinds[at]]) for at in keyed]

    def encode(self, records: Sequence[Record]) -> Iterable[Record]:
        """Return the rows to bind, each made when it is taken."""
        if any(len(record) != self._width for record in records):
            raise StorageError(f"a record does not have the {self._width} cells of its table")
        if not (self._converters or self._keys):
            return records
        slices = (records[at : at + _SLICE] for at in range(0, len(records), _SLICE))
        return chain.from_iterable(map(self._rows, slices))

    def _rows(self, records: Sequence[Record]) -> Iterable[Record]:
        columns: list[Cells] = list(zip(*records, strict=True))
        for at, convert in self._converters:
            columns[at] = convert(columns[at])
        columns += [convert(columns[at]) for at, convert in self._keys]
        return zip(*columns, strict=True)


class Decoder:
    """Turns rows into records, a column at a time."""

    def __init__(self, converters: Sequence[Convert | None]) -> None:
        self._converters = [(at, c) for at, c in enumerate(converters) if c is not None]

    @classmethod
    def of(cls, kinds: Sequence[Kind]) -> Decoder:
        """Return the decoder of columns of these kinds."""
        return cls([decoding(kind) for kind in kinds])

    def decode(self, rows: Sequence[Record]) -> Sequence[Record]:
        """Return the records."""
        if not rows or not self._converters:
            return rows
        columns: list[Cells] = list(zip(*rows, strict=True))
        for at, convert in self._converters:
            columns[at] = [convert(cell) for cell in columns[at]]
        return list(zip(*columns, strict=True))


def decoding(kind: Kind) -> Convert | None:
    """Return what makes a cell of what SQLite returned; None where it is the cell."""
    return _DECODERS.get(kind)

"""Cells and values: the form that travels and is stored, and the form that people hold.

A *cell* is small, comparable and needs no decoding between the wire and the disk; a *value* is what
an application reads and writes.

===================  =============================================  =========================
column type          cell                                           value
===================  =============================================  =========================
string, memo         ``str``                                        ``str``
integer … status     ``int``                                        ``int``
decimal, money       ``Decimal``, finite                            ``Decimal``
double               ``float``, finite                              ``float``
boolean              ``bool``                                       ``bool``
choices              ``"1,9"``: ascending, each once                ``tuple[int, ...]``
datetime, instant    ``"2024-06-12T14:13:17Z"``                     aware ``datetime`` in UTC
datetime, wall       ``"2024-06-12T14:13:17"``                      naive ``datetime``
datetime, date only  ``"2024-06-12"``                               ``date``
uniqueidentifier     lower-case text with hyphens                   the same ``str``
lookup               the id; the table in its hidden field          ``Reference``
===================  =============================================  =========================

A fraction of a second is written only when there is one, without trailing zeros, so that cells
compare as text once the ``Z`` is off. ``None`` is null everywhere.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Final, TypeAlias

from holdfast.schema import Column, ColumnType, DateBehavior

Cell: TypeAlias = str | int | float | bool | Decimal | None
_GUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_INT64: Final = 2**63
_EXACT: Final = Context(prec=200)  # no digit of a number that fits here is rounded away
_OPTION: Final = re.compile(r"\s*-?[0-9]{1,19}\s*")


@dataclass(frozen=True, slots=True)
class Reference:
    """A pointer to a row: what a lookup column holds."""

    table: str
    id: str

    def __str__(self) -> str:
        return f"{self.table}({self.id})"


Value: TypeAlias = (
    str | int | float | bool | Decimal | datetime | date | tuple[int, ...] | Reference | None
)
#: What an op carries: the cell of a column, with a lookup as a ``Reference``.
Change: TypeAlias = Cell | Reference


def canonical_id(given: object) -> str:
    """Return a GUID as lower-case text with hyphens; braces, case and ``uuid.UUID`` are accepted.

    :raises ValueError: it is no GUID
    """
    if isinstance(given, uuid.UUID):
        return str(given)
    if isinstance(given, str):
        if _GUID.match(given):
            return given
        try:
            return str(uuid.UUID(given))
        except ValueError:
            pass
    raise ValueError("this is no id; one such as 7eb682f1-ca75-e511-80d4-00155d2a68d1 is")


def to_change(column: Column, value: object) -> Change:
    """Turn what an application wrote into what an op carries.

    :raises ValueError: the value is of another type than the column; the text says what is wanted
    """
    if value is None:
        return None
    convert = _WRITERS.get(column.type)
    if convert is None:
        raise ValueError(f"a {column.type.value} column cannot be written")
    return convert(column, value)


def to_cells(column: Column, change: Change) -> tuple[Cell, ...]:
    """Return the cells of ``column.fields``; the name of a looked-up row is not known here."""
    if column.type is not ColumnType.LOOKUP:
        assert not isinstance(change, Reference)
        return (change, None) if column.name_field else (change,)
    reference = change if isinstance(change, Reference) else None
    own: list[Cell] = [reference.id if reference else None]
    if column.table_field:
        own.append(reference.table if reference else None)
    return (*own, None)


def from_cells(column: Column, cells: Mapping[str, Cell]) -> Change:
    """Return what an op would carry for a column of a stored row."""
    cell = cells.get(column.name)
    if cell is None or column.type is not ColumnType.LOOKUP:
        return cell
    table = cells.get(column.table_field) if column.table_field else column.targets[0]
    return Reference(str(table), str(cell))


def to_value(column: Column, change: Change) -> Value:
    """Turn a cell (or, for a lookup, a reference) into what an application reads."""
    if change is None or isinstance(change, Reference):
        return change
    match column.type:
        case ColumnType.DECIMAL | ColumnType.MONEY if isinstance(change, Decimal):
            return _shortest(change)
        case ColumnType.CHOICES:
            return tuple(int(part) for part in str(change).split(",") if part)
        case ColumnType.DATETIME if column.behavior is DateBehavior.DATE_ONLY:
            return date.fromisoformat(str(change))
        case ColumnType.DATETIME:
            return datetime.fromisoformat(str(change))
        case _:
            return change


def _shortest(number: Decimal) -> Decimal:
    """Return an equal decimal without trailing zeros; how many there are varies by the answer."""
    short = number.normalize(_EXACT)
    exponent = short.as_tuple().exponent
    return (
        short.quantize(Decimal(1), context=_EXACT)
        if isinstance(exponent, int) and exponent > 0
        else short
    )


def instant_cell(moment: datetime) -> str:
    """Return the cell of an instant; a naive one is taken as UTC.

    :raises ValueError: in UTC it lies outside the years 1 to 9999
    """
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        utc = aware.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time lies outside the years 1 to 9999") from None
    return wall_cell(utc.replace(tzinfo=None)) + "Z"


def wall_cell(moment: datetime) -> str:
    """Return the cell of a wall-clock reading."""
    text = moment.isoformat(timespec="microseconds" if moment.microsecond else "seconds")
    return text.rstrip("0") if moment.microsecond else text


def parse_datetime_cell(column: Column, text: str) -> str:
    """Return the cell of a datetime column from ISO 8601 text.

    A wall-clock column ignores a zone: Dataverse writes ``Z`` there and means nothing by it. Tools
    send full timestamps into date-only columns; the date counts.

    :raises ValueError: the text is no date
    """
    moment = datetime.fromisoformat(text)
    match column.behavior:
        case DateBehavior.DATE_ONLY:
            return moment.date().isoformat()
        case DateBehavior.TIME_ZONE_INDEPENDENT:
            return wall_cell(moment.replace(tzinfo=None))
        case DateBehavior.USER_LOCAL:
            return instant_cell(moment)


def choices_cell(options: Iterable[int]) -> str | None:
    """Return the cell of a multi-select: ascending, each once; nothing selected is null."""
    return ",".join(str(option) for option in sorted(set(options))) or None


def _write_text(_: Column, value: object) -> Cell:
    if not isinstance(value, str):
        raise ValueError(f"text is wanted, not {type(value).__name__}")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("the text holds a lone surrogate, which no server accepts") from None
    return value


def _write_integer(_: Column, value: object) -> Cell:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"a whole number is wanted, not {type(value).__name__}")
    if not -_INT64 <= value < _INT64:
        raise ValueError("the number does not fit 64 bits")
    return int(value)


def _write_decimal(_: Column, value: object) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"a decimal number is wanted, not {type(value).__name__}")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise ValueError("a finite number is wanted")
    return number


def _write_double(_: Column, value: object) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError(f"a number is wanted, not {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("a finite number is wanted")
    return number


def _write_boolean(_: Column, value: object) -> Cell:
    if not isinstance(value, bool):
        raise ValueError(f"true or false is wanted, not {type(value).__name__}")
    return value


def _write_choices(column: Column, value: object) -> Cell:
    if isinstance(value, str):
        value = [
            int(part) if _OPTION.fullmatch(part) else part for part in value.split(",") if part
        ]
    if not isinstance(value, Iterable):
        raise ValueError(f"a list of options is wanted, not {type(value).__name__}")
    options = [_write_integer(column, option) for option in value]
    return choices_cell(option for option in options if isinstance(option, int))


def _write_datetime(column: Column, value: object) -> Cell:
    if isinstance(value, str):
        try:
            return parse_datetime_cell(column, value)
        except ValueError:
            raise ValueError("a date such as 2026-03-31T08:00:00Z is wanted") from None
    if isinstance(value, datetime):
        return _moment_cell(column, value)
    if isinstance(value, date):
        if column.behavior is DateBehavior.DATE_ONLY:
            return value.isoformat()
        return _moment_cell(column, datetime(value.year, value.month, value.day))  # noqa: DTZ001  a wall-clock midnight
    raise ValueError(f"a date is wanted, not {type(value).__name__}")


def _moment_cell(column: Column, moment: datetime) -> str:
    match column.behavior:
        case DateBehavior.DATE_ONLY:
            return moment.date().isoformat()
        case DateBehavior.TIME_ZONE_INDEPENDENT:
            if moment.utcoffset() not in (None, timedelta(0)):
                raise ValueError("this column keeps a wall-clock time: leave the time zone out")
            return wall_cell(moment.replace(tzinfo=None))
        case DateBehavior.USER_LOCAL:
            return instant_cell(moment)


def _write_id(_: Column, value: object) -> Cell:
    return canonical_id(value)


def _write_reference(column: Column, value: object) -> Change:
    if isinstance(value, Reference):
        return Reference(value.table, str(_write_id(column, value.id)))
    if len(column.targets) != 1:
        example = column.targets[0] if column.targets else "account"
        raise ValueError(f"say which table it points to: Reference({example!r}, id)")
    return Reference(column.targets[0], str(_write_id(column, value)))


_WRITERS = {
    ColumnType.STRING: _write_text,
    ColumnType.MEMO: _write_text,
    ColumnType.ENTITY_NAME: _write_text,
    ColumnType.INTEGER: _write_integer,
    ColumnType.BIGINT: _write_integer,
    ColumnType.CHOICE: _write_integer,
    ColumnType.STATE: _write_integer,
    ColumnType.STATUS: _write_integer,
    ColumnType.DECIMAL: _write_decimal,
    ColumnType.MONEY: _write_decimal,
    ColumnType.DOUBLE: _write_double,
    ColumnType.BOOLEAN: _write_boolean,
    ColumnType.CHOICES: _write_choices,
    ColumnType.DATETIME: _write_datetime,
    ColumnType.UNIQUEIDENTIFIER: _write_id,
    ColumnType.LOOKUP: _write_reference,
}

"""What a caller may write: each value is turned into a cell, or refused as Dataverse refuses it.

Invariant: accepting what was accepted changes nothing, so that values may be checked again after a
rule has touched them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from holdfast.schema import ColumnType, DateBehavior
from holdfast.values import Cell, Reference, canonical_id, choices_cell
from holdfast_emulator.behaviour import faults
from holdfast_emulator.behaviour.images import check_created_image, image_bytes
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition

_EARLIEST: Final = datetime(1753, 1, 1, tzinfo=UTC)
_INT32: Final = 2**31
_INT64: Final = 2**63
_MOST_CHOICES: Final = 150


def accept(
    table: TableDefinition, values: Mapping[str, object], *, creating: bool
) -> dict[str, Cell | Reference]:
    """Return what of ``values`` is written: columns that the caller cannot write are left out.

    :raises DataverseFault: 400, for the first value that does not fit
    """
    accepted: dict[str, Cell | Reference] = {}
    for name, value in values.items():
        column = table.by_name.get(name)
        if column is None:
            raise _not_a_column(table, name)
        if creating and value is not None:
            check_created_image(table, column)
        if column.creatable if creating else column.updatable:
            accepted[name] = None if value is None else _ACCEPT[column.type](table, column, value)
    return accepted


def accept_value(
    table: TableDefinition, column: ColumnDefinition, value: object
) -> Cell | Reference:
    """Return what a value other than null is as a cell of the column.

    :raises DataverseFault: 400, it does not fit
    """
    return _ACCEPT[column.type](table, column, value)


def _not_a_column(table: TableDefinition, name: str) -> faults.DataverseFault:
    if name in table.by_wire_name:
        return faults.DataverseFault(
            400,
            faults.BAD_QUERY,
            "CRM do not support direct update of Entity Reference properties, "
            "Use Navigation properties instead.",
        )
    return faults.bad_payload(
        table.entity_set,
        f"The property '{name}' does not exist on type 'Microsoft.Dynamics.CRM.{table.name}'. "
        "Make sure to only use property names that are defined by the type.",
    )


def _wrong_type(table: TableDefinition, value: object, wanted: str) -> faults.DataverseFault:
    return faults.bad_payload(
        table.entity_set,
        f"Cannot convert the literal '{value}' to the expected type '{wanted}'.",
    )


def _text(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    if not isinstance(value, str):
        raise _wrong_type(table, value, "Edm.String")
    try:  # SQL Server counts UTF-16 units: an emoji is two
        units = len(value) if value.isascii() else len(value.encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise faults.bad_payload(table.entity_set, "Invalid Unicode escape sequence.") from None
    if column.max_length is not None and units > column.max_length:
        raise faults.validation_error(
            faults.TOO_LONG,
            f"The length of the '{column.name}' attribute of the '{table.name}' entity exceeded "
            f"the maximum allowed length of '{column.max_length}'.",
        )
    return value


def _integer(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    number = _whole(table, value, _INT32, "Edm.Int32")
    _in_range(table, column, Decimal(number), faults.INTEGER_OUT_OF_RANGE)
    return number


def _bigint(table: TableDefinition, _: ColumnDefinition, value: object) -> Cell:
    return _whole(table, value, _INT64, "Edm.Int64")


def _whole(table: TableDefinition, value: object, limit: int, edm: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -limit <= value < limit:
        raise _wrong_type(table, value, edm)
    return value


def _exact(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _wrong_type(table, value, "Edm.Decimal")
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite():
        raise _wrong_type(table, value, "Edm.Decimal")
    _in_range(table, column, number, faults.NUMBER_OUT_OF_RANGE)
    return round_exact(number, column.precision)


def _double(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise _wrong_type(table, value, "Edm.Double")
    try:
        number = float(value)
    except OverflowError:  # a whole number too large for a float; a decimal becomes infinite
        number = math.inf
    if not math.isfinite(number):
        raise _wrong_type(table, value, "Edm.Double")
    _in_range(table, column, Decimal(repr(number)), faults.NUMBER_OUT_OF_RANGE)
    return number if column.precision is None else round(number, column.precision)


def round_exact(number: Decimal, precision: int | None) -> Decimal:
    """Return the number with no more decimals than the column keeps."""
    exponent = number.as_tuple().exponent
    if precision is None or not isinstance(exponent, int) or -exponent <= precision:
        return number
    return number.quantize(Decimal(1).scaleb(-precision), ROUND_HALF_EVEN)


def _in_range(table: TableDefinition, column: ColumnDefinition, number: Decimal, code: str) -> None:
    low, high = column.minimum, column.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise faults.validation_error(
            code,
            f"The value of '{column.name}' on record of type '{table.name}' is outside the valid "
            f"range. Received value: {number}; valid range is {low} to {high}.",
        )


def _boolean(table: TableDefinition, _: ColumnDefinition, value: object) -> Cell:
    if not isinstance(value, bool):
        raise _wrong_type(table, value, "Edm.Boolean")
    return value


def _choice(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    option = _whole(table, value, _INT32, "Edm.Int32")
    _known_options(table, column, [option])
    return option


def _choices(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    if not isinstance(value, str):
        raise _wrong_type(table, value, "Edm.String")
    parts = [part.strip() for part in value.split(",") if part.strip()]
    try:
        options = [int(part) for part in parts]
    except ValueError:
        raise _wrong_type(table, value, "Edm.Int32") from None
    if len(options) > _MOST_CHOICES:
        raise faults.validation_error(
            faults.UNKNOWN_OPTION,
            f"The attribute '{column.name}' holds more than {_MOST_CHOICES} values.",
        )
    _known_options(table, column, options)
    return choices_cell(options)


def _known_options(
    table: TableDefinition, column: ColumnDefinition, options: Iterable[int]
) -> None:
    known = column.by_value
    for option in options:
        if option not in known:
            raise faults.validation_error(
                faults.UNKNOWN_OPTION,
                f"The value {option} of '{column.name}' on record of type '{table.name}' is "
                "outside the valid range. Accepted Values: "
                f"{','.join(str(value) for value in known)}",
            )


def _datetime(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    if not isinstance(value, str):
        raise _wrong_type(table, value, "Edm.DateTimeOffset")
    try:
        moment = datetime.fromisoformat(value)
        if column.behavior is DateBehavior.USER_LOCAL and moment.tzinfo:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _wrong_type(table, value, _date_type(column)) from None
    return _date_cell(column, moment.replace(microsecond=0, tzinfo=UTC))


def _date_cell(column: ColumnDefinition, moment: datetime) -> str:
    if moment < _EARLIEST:
        raise faults.DataverseFault(
            400,
            faults.BAD_DATE,
            "DateTime is less than minimum value supported by CrmDateTime. Actual value: "
            f"{moment:%m/%d/%Y %H:%M:%S}, Minimum value supported: 01/01/1753 00:00:00",
        )
    if column.behavior is DateBehavior.DATE_ONLY:
        return moment.date().isoformat()
    text = moment.replace(tzinfo=None).isoformat()
    return f"{text}Z" if column.behavior is DateBehavior.USER_LOCAL else text


def _date_type(column: ColumnDefinition) -> str:
    return "Edm.Date" if column.behavior is DateBehavior.DATE_ONLY else "Edm.DateTimeOffset"


def _guid(table: TableDefinition, _: ColumnDefinition, value: object) -> Cell:
    try:
        return canonical_id(value)
    except ValueError:
        raise _wrong_type(table, value, "Edm.Guid") from None


def _reference(table: TableDefinition, column: ColumnDefinition, value: object) -> Reference:
    if not isinstance(value, Reference) or value.table not in column.targets:
        raise faults.bad_payload(
            table.entity_set,
            f"A value of '{column.name}' must be a reference to one of: "
            f"{', '.join(column.targets)}.",
        )
    return Reference(value.table, str(_guid(table, column, value.id)))


def _image(table: TableDefinition, column: ColumnDefinition, value: object) -> Cell:
    image_bytes(table, column, value)
    return str(value)


_ACCEPT: Final[
    Mapping[ColumnType, Callable[[TableDefinition, ColumnDefinition, object], Cell | Reference]]
] = {
    ColumnType.STRING: _text,
    ColumnType.MEMO: _text,
    ColumnType.ENTITY_NAME: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.BIGINT: _bigint,
    ColumnType.DECIMAL: _exact,
    ColumnType.MONEY: _exact,
    ColumnType.DOUBLE: _double,
    ColumnType.BOOLEAN: _boolean,
    ColumnType.CHOICE: _choice,
    ColumnType.STATE: _choice,
    ColumnType.STATUS: _choice,
    ColumnType.CHOICES: _choices,
    ColumnType.DATETIME: _datetime,
    ColumnType.UNIQUEIDENTIFIER: _guid,
    ColumnType.LOOKUP: _reference,
    ColumnType.FILE: _guid,
    ColumnType.IMAGE: _image,
}

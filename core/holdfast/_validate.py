"""What a local write is checked against at once: the downloaded metadata, as far as it goes.

Every mistake is found, none is stored, and none is told with the value: errors end in logs.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from decimal import Decimal

from holdfast.errors import InvalidValue, Problem
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast.values import Change, Reference, to_change

_CHOICES = (ColumnType.CHOICE, ColumnType.STATE, ColumnType.STATUS)
_NUMBERS = (
    ColumnType.INTEGER,
    ColumnType.BIGINT,
    ColumnType.DECIMAL,
    ColumnType.DOUBLE,
    ColumnType.MONEY,
)
_EXACT = (ColumnType.DECIMAL, ColumnType.MONEY)


def check_written(schema: TableSchema) -> None:
    """Make sure that rows of a table are written as rows.

    :raises InvalidValue: they are pairs, which servers make and part by commands of their own
    """
    if schema.intersect:
        pairs = (
            "its rows are the pairs of a many-to-many relationship; they will be made and parted "
            "by a special command, which does not exist yet: do it on the server"
        )
        raise InvalidValue(schema.name, [Problem("", pairs)])


def check_create(schema: TableSchema, values: Mapping[str, object]) -> dict[str, Change]:
    """Return what a create op carries.

    :raises InvalidValue: with every mistake
    """
    given = {name: value for name, value in values.items() if name != schema.primary_id}
    changes, problems = _check(schema, given, creating=True)
    problems.extend(
        Problem(column.name, "is required")
        for column in schema.columns
        if column.required and column.creatable and changes.get(column.name) is None
        and column.default is None and column.fill is None and column.name != schema.primary_id
        and not any(problem.key == column.name for problem in problems)
    )  # fmt: skip
    if problems:
        raise InvalidValue(schema.name, problems)
    return changes


def check_update(schema: TableSchema, values: Mapping[str, object]) -> dict[str, Change]:
    """Return what an update op carries.

    :raises InvalidValue: with every mistake
    """
    changes, problems = _check(schema, values, creating=False)
    if not values:
        problems.append(Problem("", "there is nothing to change; name at least one column"))
    problems.extend(
        Problem(name, "is required and cannot be null")
        for name, change in changes.items()
        if change is None and schema.by_name[name].required
    )
    if problems:
        raise InvalidValue(schema.name, problems)
    return changes


def _check(
    schema: TableSchema, values: Mapping[str, object], *, creating: bool
) -> tuple[dict[str, Change], list[Problem]]:
    changes: dict[str, Change] = {}
    problems: list[Problem] = []
    for name, value in values.items():
        column = schema.column(name)
        if column is None:
            problems.append(Problem(name, _unknown(schema, name)))
            continue
        try:
            changes[name] = _fit(column, value, creating=creating)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    problems.extend(_status_fits(schema, changes))
    return changes, problems


def _unknown(schema: TableSchema, name: str) -> str:
    close = difflib.get_close_matches(name, schema.by_name, n=1)
    hint = f"did you mean {close[0]!r}?" if close else "the profile does not keep it"
    return f"{schema.name} has no such column; {hint}"


def _fit(column: Column, value: object, *, creating: bool) -> Change:
    if not (column.creatable if creating else column.updatable):
        when = "set" if creating else "changed"
        raise ValueError(f"cannot be {when}; the server keeps it")
    change = to_change(column, value)
    if change is None:
        return None
    if isinstance(change, Reference):
        if column.targets and change.table not in column.targets:
            allowed = ", ".join(column.targets)
            raise ValueError(f"cannot point to {change.table}; allowed: {allowed}")
    elif column.type in _NUMBERS:
        _check_number(column, Decimal(str(change)))
    elif column.type in _CHOICES:
        _check_options(column, [int(str(change))])
    elif column.type is ColumnType.CHOICES:
        _check_options(column, [int(part) for part in str(change).split(",")])
    elif column.max_length is not None and len(str(change)) > column.max_length:
        raise ValueError(f"is {len(str(change))} characters long; at most {column.max_length} fit")
    return change


def _check_number(column: Column, number: Decimal) -> None:
    low, high = column.minimum, column.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise ValueError(f"is out of range; from {low} to {high} is allowed")
    exponent = number.normalize().as_tuple().exponent
    decimals = -exponent if isinstance(exponent, int) and exponent < 0 else 0
    if column.type in _EXACT and column.precision is not None and decimals > column.precision:
        raise ValueError(f"has {decimals} decimals; at most {column.precision} are kept")


def _check_options(column: Column, options: list[int]) -> None:
    known = {option.value for option in column.options}
    strange = [option for option in options if option not in known]
    if known and strange:
        allowed = ", ".join(f"{option.value} ({option.label})" for option in column.options[:12])
        raise ValueError(f"has no such option; allowed: {allowed}")


def _status_fits(schema: TableSchema, changes: Mapping[str, Change]) -> list[Problem]:
    """Check that a status reason belongs to the state it is written with."""
    state = next((c for c in schema.columns if c.type is ColumnType.STATE), None)
    status = next((c for c in schema.columns if c.type is ColumnType.STATUS), None)
    if state is None or status is None or changes.get(state.name) is None:
        return []
    wanted = changes.get(status.name)
    fitting = [option for option in status.options if option.state in (None, changes[state.name])]
    if wanted is None or any(option.value == wanted for option in fitting):
        return []
    allowed = ", ".join(f"{option.value} ({option.label})" for option in fitting)
    message = f"does not go with that {state.name}; allowed: {allowed}"
    return [Problem(status.name, message)]

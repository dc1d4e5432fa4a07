"""Short ways to write column definitions; tests use them to add tables of their own.

Invariant: the logical name is the schema name in lower case, as everywhere in Dataverse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from holdfast.schema import ColumnType, DateBehavior, Option
from holdfast_emulator.behaviour.metadata import ColumnDefinition, LookupKind, RequiredLevel

_WORD: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|_")
MONEY_LIMIT: Final = Decimal(922337203685477)


def define(
    schema_name: str,
    kind: ColumnType,
    label: str = "",
    *,
    required: RequiredLevel = RequiredLevel.NONE,
) -> ColumnDefinition:
    """Return a plain column; without a label, the words of its schema name."""
    words = label or _WORD.sub(" ", schema_name.removeprefix("new_"))
    return ColumnDefinition(schema_name.lower(), kind, schema_name, words, required)


def read_only(column: ColumnDefinition) -> ColumnDefinition:
    """Return the column as one that only the server writes."""
    return replace(column, creatable=False, updatable=False)


def primary_id(schema_name: str, label: str = "") -> ColumnDefinition:
    """Return a primary key: settable on create, never after."""
    column = define(schema_name, ColumnType.UNIQUEIDENTIFIER, label, required=RequiredLevel.SYSTEM)
    return replace(column, updatable=False)


def text(
    schema_name: str,
    length: int,
    label: str = "",
    *,
    form: str = "Text",
    required: RequiredLevel = RequiredLevel.NONE,
) -> ColumnDefinition:
    """Return a line of text; ``form`` is Text, Email, Url or Phone."""
    column = define(schema_name, ColumnType.STRING, label, required=required)
    return replace(column, max_length=length, format=form)


def memo(schema_name: str, length: int = 2000, label: str = "") -> ColumnDefinition:
    """Return a text of several lines."""
    column = define(schema_name, ColumnType.MEMO, label)
    return replace(column, max_length=length, format="TextArea")


def integer(
    schema_name: str, low: int = 0, high: int = 2147483647, label: str = ""
) -> ColumnDefinition:
    """Return a whole number."""
    column = define(schema_name, ColumnType.INTEGER, label)
    return replace(column, minimum=Decimal(low), maximum=Decimal(high), format="None")


def bigint(schema_name: str, label: str = "") -> ColumnDefinition:
    """Return a big whole number; only the server writes those of the stock tables."""
    return define(schema_name, ColumnType.BIGINT, label)


def number(
    schema_name: str, low: str, high: str, precision: int, label: str = ""
) -> ColumnDefinition:
    """Return an exact decimal."""
    column = define(schema_name, ColumnType.DECIMAL, label)
    return replace(column, minimum=Decimal(low), maximum=Decimal(high), precision=precision)


def double(
    schema_name: str, low: str, high: str, precision: int, label: str = ""
) -> ColumnDefinition:
    """Return a floating-point number, which the server rounds to its precision."""
    column = define(schema_name, ColumnType.DOUBLE, label)
    return replace(column, minimum=Decimal(low), maximum=Decimal(high), precision=precision)


def money(schema_name: str, label: str = "", *, low: Decimal | int = 0) -> list[ColumnDefinition]:
    """Return an amount and its read-only companion in the base currency."""
    column = define(schema_name, ColumnType.MONEY, label)
    amount = replace(column, minimum=Decimal(low), maximum=MONEY_LIMIT, precision=2)
    base = replace(
        amount,
        name=f"{amount.name}_base",
        schema_name=f"{schema_name}_Base",
        label=f"{amount.label} (Base)",
        minimum=-MONEY_LIMIT,
        precision=4,
        base_of=amount.name,
    )
    return [amount, read_only(base)]


def boolean(schema_name: str, label: str = "", *, default: bool = False) -> ColumnDefinition:
    """Return a yes or no."""
    column = define(schema_name, ColumnType.BOOLEAN, label)
    return replace(column, options=(Option(0, "No"), Option(1, "Yes")), default=default)


def choice(
    schema_name: str, options: Mapping[int, str], label: str = "", default: int | None = None
) -> ColumnDefinition:
    """Return a choice of one."""
    column = define(schema_name, ColumnType.CHOICE, label)
    named = tuple(Option(value, name) for value, name in options.items())
    return replace(column, options=named, default=default)


def choices(schema_name: str, options: Mapping[int, str], label: str = "") -> ColumnDefinition:
    """Return a choice of several."""
    return replace(choice(schema_name, options, label), type=ColumnType.CHOICES)


def state(names: Sequence[str]) -> ColumnDefinition:
    """Return ``statecode``; states are numbered from 0, and 0 is where rows begin."""
    column = define("StateCode", ColumnType.STATE, "Status", required=RequiredLevel.SYSTEM)
    return replace(
        column,
        options=tuple(Option(value, name, value) for value, name in enumerate(names)),
        default=0,
    )


def status(options: Sequence[tuple[int, str, int]]) -> ColumnDefinition:
    """Return ``statuscode`` of (value, label, state); the first of each state is its default."""
    column = define("StatusCode", ColumnType.STATUS, "Status Reason")
    defaults = {of: value for value, _, of in reversed(options)}
    return replace(
        column,
        options=tuple(Option(value, name, of) for value, name, of in options),
        default_statuses=tuple(sorted(defaults.items())),
    )


def moment(schema_name: str, label: str = "", *, wall: bool = False) -> ColumnDefinition:
    """Return a date and time: an instant, or a wall-clock reading."""
    column = define(schema_name, ColumnType.DATETIME, label)
    behavior = DateBehavior.TIME_ZONE_INDEPENDENT if wall else DateBehavior.USER_LOCAL
    return replace(column, behavior=behavior, format="DateAndTime")


def day(schema_name: str, label: str = "") -> ColumnDefinition:
    """Return a date without a time."""
    column = define(schema_name, ColumnType.DATETIME, label)
    return replace(column, behavior=DateBehavior.DATE_ONLY, format="DateOnly")


def guid(schema_name: str, label: str = "") -> ColumnDefinition:
    """Return an id that points nowhere."""
    return define(schema_name, ColumnType.UNIQUEIDENTIFIER, label)


def lookup(
    schema_name: str, *targets: str, label: str = "", kind: LookupKind = LookupKind.LOOKUP
) -> ColumnDefinition:
    """Return a pointer to a row of one of the targets."""
    column = define(schema_name, ColumnType.LOOKUP, label)
    return replace(column, targets=targets, lookup_kind=kind)


def image(schema_name: str = "EntityImage") -> list[ColumnDefinition]:
    """Return an image column and its companions, which only the server writes."""
    return [
        define(schema_name, ColumnType.IMAGE),
        read_only(guid(f"{schema_name}Id")),
        read_only(bigint(f"{schema_name}_Timestamp")),
        read_only(text(f"{schema_name}_URL", 200, form="Url")),
    ]


def file(schema_name: str) -> list[ColumnDefinition]:
    """Return a file column and the name of its file; both are written by uploads only."""
    return [
        read_only(define(schema_name, ColumnType.FILE)),
        read_only(text(f"{schema_name}_Name", 200)),
    ]


def stamps() -> list[ColumnDefinition]:
    """Return what every table has: who and when, and the version."""
    written = [
        moment("CreatedOn"),
        lookup("CreatedBy", "systemuser"),
        moment("ModifiedOn"),
        lookup("ModifiedBy", "systemuser"),
        bigint("VersionNumber"),
        lookup("CreatedOnBehalfBy", "systemuser"),
        lookup("ModifiedOnBehalfBy", "systemuser"),
    ]
    return [
        *(read_only(column) for column in written),
        replace(moment("OverriddenCreatedOn", "Record Created On"), updatable=False),
        integer("ImportSequenceNumber", -2147483648),
        integer("TimeZoneRuleVersionNumber", -1),
        integer("UTCConversionTimeZoneCode", -1),
    ]


def ownership() -> list[ColumnDefinition]:
    """Return the owner, and what follows from it."""
    owner = lookup("OwnerId", "systemuser", "team", label="Owner", kind=LookupKind.OWNER)
    return [
        replace(owner, required=RequiredLevel.SYSTEM),
        read_only(lookup("OwningUser", "systemuser")),
        read_only(lookup("OwningTeam", "team")),
        read_only(lookup("OwningBusinessUnit", "businessunit")),
    ]


def currency() -> list[ColumnDefinition]:
    """Return the currency of a row's amounts, and its rate against the base currency."""
    rate = number("ExchangeRate", "0.000000000001", "100000000000", 12)
    return [
        lookup("TransactionCurrencyId", "transactioncurrency", label="Currency"),
        read_only(rate),
    ]

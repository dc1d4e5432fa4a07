"""Plug-ins that are data: what a server does to what is written to it, set up over HTTP.

Invariant: a rule runs as a plug-in of Dataverse does: in the transaction of the write, in the order
of registration, and not for who bypasses plug-ins. What a rule does to other rows, SYSTEM does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from enum import Enum
from typing import Any, Final, TypeAlias

import msgspec

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.ledger import Operation
from holdfast_emulator.behaviour.relationships import Direction, Hop
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import User

_Values: TypeAlias = dict[str, Cell | Reference]
#: How deep rules may cause writes that cause rules, as for plug-ins of Dataverse.
_DEPTH: Final = 8
_LOOP: Final = "0x80044182"
_EXACT: Final = Context(prec=200)  # no digit of a number that fits here is lost


class When(Enum):
    """Which writes a rule hears of."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class What(Enum):
    """What a rule does."""

    TRIM = "trim"  # the texts of its columns lose blanks at both ends
    UPPER = "upper"  # they become upper case
    ROUND = "round"  # numbers are rounded to ``digits``
    SET = "set"  # the columns get ``value``, whatever was sent
    DEFAULT = "default"  # they get it when nothing was sent
    REFUSE = "refuse"  # the write is refused with ``status``, ``code`` and ``message``
    WRITE = "write"  # the rows along ``relationship`` get ``values``
    DELETE = "delete"  # they are deleted
    CREATE = "create"  # one that points to the row is created with ``values``


@dataclass(frozen=True, slots=True)
class RuleOfData:
    """A rule as a test describes it.

    ``columns`` are those it changes; a refusal concerns writes that bring one of them, or all
    writes without columns. ``value`` and ``values`` are what a client would send, a lookup as
    ``{"table": …, "id": …}``.
    """

    table: str
    what: What
    columns: tuple[str, ...] = ()
    when: tuple[When, ...] = (When.CREATE, When.UPDATE)
    digits: int = 0
    value: Any = None  # JSON
    values: dict[str, Any] = field(default_factory=dict)  # JSON
    relationship: str = ""
    status: int = 400
    code: str = "0x80040265"
    message: str = "The write is refused by a rule."

    def __post_init__(self) -> None:
        if not 400 <= self.status <= 599:
            raise ValueError("status is one of a refusal")
        if not -28 <= self.digits <= 28:
            raise ValueError("digits is between -28 and 28")


@dataclass(frozen=True, slots=True)
class NamedRule:
    """A rule under its name; it stands in the list of plug-ins of an organisation."""

    name: str
    rule: RuleOfData

    def __call__(self, _: User, table: str, values: _Values, operation: Operation) -> None:
        """Change or refuse what is about to be written."""
        rule = self.rule
        if table != rule.table or When(operation.value.lower()) not in rule.when:
            return
        if rule.what is What.REFUSE:
            if not rule.columns or not values.keys().isdisjoint(rule.columns):
                raise DataverseFault(rule.status, rule.code, rule.message)
        elif operation is not Operation.DELETE:
            change = _CHANGES.get(rule.what)
            for column in rule.columns if change else ():
                assert change
                change(rule, values, column)


@dataclass(frozen=True, slots=True)
class NamedReaction:
    """The part of a rule that concerns other rows, once the write is done."""

    name: str
    rule: RuleOfData
    dataverse: Dataverse
    depth: list[str] = field(default_factory=list)

    def __call__(self, _: User, row: Row, operation: Operation) -> None:
        """Do what the rule says along its relationship."""
        rule = self.rule
        if row.table != rule.table or When(operation.value.lower()) not in rule.when:
            return
        if len(self.depth) >= _DEPTH:
            raise DataverseFault(
                400,
                _LOOP,
                "This workflow job was canceled because the workflow that started it included an "
                "infinite loop.",
            )
        self.depth.append(row.id)
        try:
            self._act(row)
        finally:
            self.depth.pop()

    def _act(self, row: Row) -> None:
        dataverse, rule = self.dataverse, self.rule
        values = {name: _given(value) for name, value in rule.values.items()}
        hop = hop_of(dataverse, rule)
        if rule.what is What.CREATE:
            values[hop.far] = Reference(row.table, row.id)
            dataverse.create(dataverse.system, hop.target, values)
            return
        for other in dataverse.navigator.follow(hop, row):
            if rule.what is What.DELETE:
                dataverse.delete(dataverse.system, other.table, other.id)
            else:
                dataverse.update(dataverse.system, other.table, other.id, values)


_REACTIONS: Final = frozenset({What.WRITE, What.DELETE, What.CREATE})


def register(dataverse: Dataverse, name: str, rule: RuleOfData) -> None:
    """Add a rule, or put it in the place of the one with this name.

    :raises ValueError: it names what is not there
    """
    _check(dataverse, rule)
    remove(dataverse, name)
    if rule.what in _REACTIONS:
        dataverse.reactions.append(NamedReaction(name, rule, dataverse))
    else:
        dataverse.rules.append(NamedRule(name, rule))


def remove(dataverse: Dataverse, name: str) -> bool:
    """Take a rule away; tell whether it was there."""
    there = name in registered(dataverse)
    rules, reactions = dataverse.rules, dataverse.reactions
    rules[:] = [r for r in rules if not (isinstance(r, NamedRule) and r.name == name)]
    reactions[:] = [r for r in reactions if not (isinstance(r, NamedReaction) and r.name == name)]
    return there


def registered(dataverse: Dataverse) -> dict[str, RuleOfData]:
    """Return the rules that are data, by name."""
    named = {r.name: r.rule for r in dataverse.rules if isinstance(r, NamedRule)}
    reacting = {r.name: r.rule for r in dataverse.reactions if isinstance(r, NamedReaction)}
    return named | reacting


def read_rule(content: bytes) -> RuleOfData:
    """Return the rule that a JSON object describes.

    :raises ValueError: it describes none
    """
    try:
        given = msgspec.json.decode(content, type=dict[str, Any])
        rule = msgspec.convert(given, RuleOfData)
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error
    unknown = given.keys() - RuleOfData.__slots__
    if unknown:
        raise ValueError(f"a rule has no {', '.join(sorted(unknown))}")
    return rule


def hop_of(dataverse: Dataverse, rule: RuleOfData) -> Hop:
    """Return the step that a rule takes to other rows.

    :raises ValueError: there is no such relationship of its table
    """
    hops = [
        hop
        for hop in dataverse.metadata.hops(rule.table)
        if hop.relationship.schema_name == rule.relationship
        and (rule.what is not What.CREATE or hop.direction is Direction.TO_MANY)
    ]
    if not hops:
        raise ValueError(f"{rule.table} has no relationship {rule.relationship!r} to do this along")
    return hops[0]


def _check(dataverse: Dataverse, rule: RuleOfData) -> None:
    table = dataverse.metadata.table(rule.table)
    if table is None:
        raise ValueError(f"there is no table {rule.table!r}")
    unknown = [name for name in rule.columns if table.column(name) is None]
    if unknown:
        raise ValueError(f"{rule.table} has no column {', '.join(unknown)}")
    if rule.what in _CHANGES and not rule.columns:
        raise ValueError(f"{rule.what.value} names its columns")
    if rule.what in _REACTIONS:
        hop_of(dataverse, rule)


def _given(value: Any) -> object:  # Any: JSON
    if isinstance(value, dict) and value.keys() == {"table", "id"}:
        return Reference(str(value["table"]), str(value["id"]))
    return value


def _on_text(change: Callable[[str], str]) -> Callable[[RuleOfData, _Values, str], None]:
    def act(_: RuleOfData, values: _Values, column: str) -> None:
        value = values.get(column)
        if isinstance(value, str):
            values[column] = change(value)

    return act


def _round(rule: RuleOfData, values: _Values, column: str) -> None:
    value = values.get(column)
    if isinstance(value, Decimal):
        values[column] = value.quantize(Decimal(1).scaleb(-rule.digits), ROUND_HALF_EVEN, _EXACT)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        values[column] = round(value, rule.digits)


def _set(rule: RuleOfData, values: _Values, column: str) -> None:
    values[column] = _given(rule.value)  # type: ignore[assignment]  # the writer checks it again


def _default(rule: RuleOfData, values: _Values, column: str) -> None:
    if values.get(column) is None:
        _set(rule, values, column)


_CHANGES: Final[Mapping[What, Callable[[RuleOfData, _Values, str], None]]] = {
    What.TRIM: _on_text(str.strip),
    What.UPPER: _on_text(str.upper),
    What.ROUND: _round,
    What.SET: _set,
    What.DEFAULT: _default,
}

"""What the server fills in by itself: stamps, owner, state, full names, base amounts.

Invariant: derived columns follow from the others; they are computed again on every write of what
they follow from, and nobody else writes them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.faults import BAD_STATUS, DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, TableDefinition
from holdfast_emulator.behaviour.principals import User
from holdfast_emulator.behaviour.row import Cells, Row
from holdfast_emulator.behaviour.validation import round_exact

#: A row while it is being written: every field of the table, by name.
Draft: TypeAlias = dict[str, Cell]
_UNIT: Final = "businessunitid"


def draft_of(table: TableDefinition, cells: Cells | None) -> Draft:
    """Return the row as a draft; without one, all null."""
    if cells is None:
        return dict.fromkeys(table.fields)
    return dict(zip(table.fields, cells, strict=True))


def overlay(table: TableDefinition, draft: Draft, name: str, value: Cell | Reference) -> None:
    """Write one column into the draft, with the target table of a lookup."""
    if isinstance(value, Reference):
        draft[name] = value.id
    else:
        draft[name] = value
    beside = table.table_fields.get(name)
    if beside:
        draft[beside] = value.table if isinstance(value, Reference) else None


def without(row: Row, hidden: Collection[str]) -> Row:
    """Return the row as it looks to who does not see these columns: null is in their place."""
    draft = draft_of(row.definition, row.cells)
    for name in hidden:
        overlay(row.definition, draft, name, None)
    return Row(row.definition, tuple(draft.values()))


def stamp_of(now: datetime) -> str:
    """Return the cell of an instant; the server keeps whole seconds."""
    return now.astimezone(UTC).replace(tzinfo=None, microsecond=0).isoformat() + "Z"


@dataclass(frozen=True, slots=True)
class Derivation:
    """The rules, with what they need to know of other rows."""

    find: Callable[[str, str], Row | None]
    currency_id: str

    def create(
        self, user: User, table: TableDefinition, draft: Draft, written: Collection[str], now: str
    ) -> None:
        """Complete a new row."""
        for column in table.columns:
            if column.default is not None and column.name not in written:
                draft[column.name] = column.default
        if "activitytypecode" in draft:
            draft["activitytypecode"] = table.name
        if "createdon" in draft:
            draft["createdon"], draft["createdby"] = now, user.id
            if draft.get("overriddencreatedon") is not None:  # an import says when it really was
                draft["createdon"] = draft["overriddencreatedon"]
                draft["overriddencreatedon"] = now
            if "createdonbehalfby" in draft:
                draft["createdonbehalfby"] = user.real.id if user.real else None
        if "ownerid" in draft and draft["ownerid"] is None:
            overlay(table, draft, "ownerid", Reference("systemuser", user.id))
        if table.primary_id != _UNIT and draft.get(_UNIT, "") is None:
            draft[_UNIT] = user.business_unit or None  # a user or a team is where its maker is
        if "exchangerate" in draft and draft.get("transactioncurrencyid", "") is None:
            draft["transactioncurrencyid"] = self.currency_id
        self._state(table, draft, {*written, "statecode"})
        self._follow(user, table, draft, now)

    def update(
        self, user: User, table: TableDefinition, draft: Draft, written: Collection[str], now: str
    ) -> None:
        """Complete a row in which columns were written."""
        self._state(table, draft, written)
        self._follow(user, table, draft, now)

    def _follow(self, user: User, table: TableDefinition, draft: Draft, now: str) -> None:
        if "modifiedon" in draft:
            draft["modifiedon"], draft["modifiedby"] = now, user.id
            if "modifiedonbehalfby" in draft:
                draft["modifiedonbehalfby"] = user.real.id if user.real else None
        if "fullname" in draft:
            names = (draft["firstname"], draft["lastname"])
            draft["fullname"] = " ".join(str(name) for name in names if name) or None
        if "owninguser" in draft:
            self._owner(draft, str(draft[table.table_fields["ownerid"]]))
        if "exchangerate" in draft and table.primary_id != "transactioncurrencyid":
            self._amounts(table, draft)

    def _owner(self, draft: Draft, kind: str) -> None:
        owner = self.find(kind, str(draft["ownerid"]))
        draft["owninguser"] = draft["ownerid"] if kind == "systemuser" else None
        draft["owningteam"] = draft["ownerid"] if kind == "team" else None
        draft["owningbusinessunit"] = (
            owner.cells[owner.definition.positions[_UNIT]] if owner else None
        )

    def _amounts(self, table: TableDefinition, draft: Draft) -> None:
        currency = self.find("transactioncurrency", str(draft["transactioncurrencyid"]))
        rate = currency["exchangerate"] if currency else None
        draft["exchangerate"] = rate if isinstance(rate, Decimal) else None
        for column in table.columns:
            if column.base_of:
                draft[column.name] = _base(column, draft[column.base_of], draft["exchangerate"])

    def _state(self, table: TableDefinition, draft: Draft, written: Collection[str]) -> None:
        status = next((c for c in table.columns if c.type is ColumnType.STATUS), None)
        if status is None:
            return
        if status.name in written and draft[status.name] is not None:
            _check_status(table, status, draft)
        elif "statecode" in written:
            draft[status.name] = dict(status.default_statuses).get(_whole(draft["statecode"]))


def _check_status(table: TableDefinition, status: ColumnDefinition, draft: Draft) -> None:
    option = status.by_value[_whole(draft[status.name])]
    if option.state != draft["statecode"]:
        state = table.by_name["statecode"].by_value[_whole(draft["statecode"])].label
        raise DataverseFault(
            400,
            BAD_STATUS,
            f"{option.value} is not a valid status code for state code "
            f"{table.schema_name}State.{state} on {table.name} with Id "
            f"{draft[table.primary_id]}.",
        )


def _whole(cell: Cell) -> int:
    assert isinstance(cell, int)
    return cell


def _base(column: ColumnDefinition, amount: Cell, rate: Cell) -> Cell:
    if not isinstance(amount, Decimal) or not isinstance(rate, Decimal) or not rate:
        return None
    return round_exact(amount if rate == 1 else amount / rate, column.precision)

"""Expanded rows: what relationships lead to, within the rows that lead there.

Invariant: only rows that the caller may read are written, and no answer grows without bound: rows
within rows are counted as often as they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.row import PAGE_LIMIT, Row
from holdfast_emulator.behaviour.security import Depth, Privilege, User
from holdfast_emulator.queries.conditions import EVERY_ROW
from holdfast_emulator.queries.evaluate import matcher
from holdfast_emulator.queries.scope import Asking, TableScope
from holdfast_emulator.queries.select import sort_key
from holdfast_emulator.wire.cookies import Cookie, write_cookie, write_position
from holdfast_emulator.wire.selecting import Expansion, Leg

#: So many rows may be written within the rows of one answer, on all levels together.
MOST_EXPANDED: Final = 200_000
_TIMEOUT: Final = "0x80044151"


class Writes(Protocol):
    """What turns rows into JSON values."""

    def write_all(self, rows: Sequence[Row]) -> list[object]:
        """Return a value for each row."""


@dataclass
class Budget:
    """How many rows one answer may still expand."""

    left: int = MOST_EXPANDED

    def take(self, count: int) -> None:
        """Note rows that are written.

        :raises DataverseFault: there are too many
        """
        self.left -= count
        if self.left < 0:
            raise DataverseFault(
                400, _TIMEOUT, f"The query expands more than {MOST_EXPANDED} rows; ask for fewer."
            )


@dataclass(frozen=True, slots=True)
class Related:
    """Finds and writes what is expanded.

    :param root: the absolute URL of the service
    """

    dataverse: Dataverse
    user: User
    root: str
    budget: Budget
    _choosers: dict[int, Callable[[list[Row]], list[Row]]] = field(default_factory=dict)

    def admit(self, expansion: Expansion) -> None:
        """Refuse what leads to no table that the caller may read at all.

        :raises DataverseFault: 403
        """
        security = self.dataverse.security
        tables = [leg.shape.table for leg in expansion.legs]
        if all(security.depth(self.user, table) is Depth.NONE for table in tables):
            security.check(self.user, tables[0], Privilege.READ)

    def columns(
        self, expansion: Expansion, writers: Sequence[Writes], rows: Sequence[Row]
    ) -> Mapping[str, Iterable[object]]:
        """Return the properties of an expansion, each with a value for every row."""
        name = expansion.asked.navigation
        if expansion.asked.reference:
            return {name: self._references(expansion, rows)}
        if expansion.single:
            return {name: self._single(expansion, writers, rows)}
        return self._collections(expansion, writers, rows)

    def _references(self, expansion: Expansion, rows: Sequence[Row]) -> list[object]:
        found: list[object] = [None] * len(rows)
        for leg in expansion.legs:
            for at, target in enumerate(self._targets(leg, rows)):
                if target is not None:
                    url = f"{self.root}/{target.definition.entity_set}({target.id})"
                    found[at] = {"@odata.id": url}
        return found

    def _single(
        self, expansion: Expansion, writers: Sequence[Writes], rows: Sequence[Row]
    ) -> list[object]:
        found: list[object] = [None] * len(rows)
        for leg, writer in zip(expansion.legs, writers, strict=True):
            targets = self._targets(leg, rows)
            present = [target for target in targets if target is not None]
            self.budget.take(len(present))
            written = iter(writer.write_all(present))
            for at, target in enumerate(targets):
                if target is not None:
                    found[at] = next(written)
        return found

    def _targets(self, leg: Leg, rows: Sequence[Row]) -> list[Row | None]:
        """Return the row that each row points to; None where there is none to be read."""
        known: dict[object, Row | None] = {None: None}
        at = rows[0].definition.positions[leg.hop.near]
        beside = rows[0].definition.table_fields.get(leg.hop.near)
        kind = rows[0].definition.positions[beside] if beside else None
        targets: list[Row | None] = []
        for row in rows:
            target = row.cells[at]
            if kind is not None and row.cells[kind] != leg.hop.target:
                target = None
            if target not in known:
                known[target] = next(iter(self._chosen(leg, row)), None)
            targets.append(known[target])
        return targets

    def _collections(
        self, expansion: Expansion, writers: Sequence[Writes], rows: Sequence[Row]
    ) -> Mapping[str, Iterable[object]]:
        (leg,), (writer,) = expansion.legs, writers
        limit = min(expansion.page_size or PAGE_LIMIT, PAGE_LIMIT)
        if expansion.asked.top is not None:
            limit = min(limit, expansion.asked.top)
        groups = []
        for row in rows:
            group = self._chosen(leg, row)[:limit]
            self.budget.take(len(group))
            groups.append(group)
        written = iter(writer.write_all([found for group in groups for found in group]))
        name = expansion.asked.navigation
        return {
            name: [[next(written) for _ in group] for group in groups],
            f"{name}@odata.nextLink": [
                self._link(expansion, row, group) for row, group in zip(rows, groups, strict=True)
            ],
        }

    def _chosen(self, leg: Leg, row: Row) -> list[Row]:
        """Return the rows at the end of a hop that the leg asks for, in its order."""
        found = self.dataverse.related(self.user, leg.hop, row)
        if leg.where == EVERY_ROW and not leg.order:
            return found
        return self._chooser(leg)(found)

    def _chooser(self, leg: Leg) -> Callable[[list[Row]], list[Row]]:
        """Return what filters and sorts; it is made once, for the rows of a whole page."""
        if id(leg) not in self._choosers:
            self._choosers[id(leg)] = _chooser(leg, self.dataverse.asking(self.user))
        return self._choosers[id(leg)]

    def _link(self, expansion: Expansion, row: Row, group: Sequence[Row]) -> str:
        """Return the URL of the collection by itself, after the rows that are shown if paged."""
        path = f"{row.definition.entity_set}({row.id})/{expansion.asked.navigation}"
        parts = [expansion.asked.echo] if expansion.asked.echo else []
        if expansion.page_size is not None and group:
            first, last = group[0], group[-1]
            inner = write_position([last.definition.primary_id], 1, (last.id,), (first.id,))
            parts.append(f"$skiptoken={write_cookie(Cookie(2, inner, tracking=False))}")
        query = f"?{'&'.join(parts)}" if parts else ""
        return f"{self.root}/{path}{query}"


def _chooser(leg: Leg, asking: Asking) -> Callable[[list[Row]], list[Row]]:
    table = leg.shape.table
    matches = matcher(leg.where, TableScope(table, asking), asking)
    key = sort_key(table, leg.order, asking) if leg.order else None

    def choose(rows: list[Row]) -> list[Row]:
        found = [row for row in rows if matches(row.cells)]
        if key:
            found.sort(key=lambda row: key.ranks(key.position(row.cells, row.id)))
        return found

    return choose

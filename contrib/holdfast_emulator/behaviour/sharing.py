"""Sharing single rows with users and teams: the rows of ``principalobjectaccess``.

Invariant: there is one such row per shared row and principal, with what was granted on the row
itself and, apart from that, what came down to it from a row above. Sharing never touches the row
that is shared. A row whose two masks are empty is taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour.cascades import Cascades
from holdfast_emulator.behaviour.derive import stamp_of
from holdfast_emulator.behaviour.ledger import Ledger
from holdfast_emulator.behaviour.links import Links
from holdfast_emulator.behaviour.metadata import Metadata, Ownership, TableDefinition, metadata_id
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.rows import RowStore
from holdfast_emulator.behaviour.security_tables import SHARES


@dataclass(frozen=True, slots=True)
class Share:
    """What a principal may do with a row because it was shared with them."""

    principal: Reference
    granted: int
    inherited: int

    @property
    def mask(self) -> int:
        """Everything together."""
        return self.granted | self.inherited


@dataclass(frozen=True, slots=True)
class Sharing:
    """Writes and reads what is shared; who may do so is checked elsewhere."""

    metadata: Metadata
    store: RowStore
    links: Links
    ledger: Ledger
    cascades: Cascades
    clock: Callable[[], datetime]

    def grant(self, user_id: str, row: Row, principal: Reference, mask: int) -> None:
        """Add rights on a row, and on the rows below it that sharing reaches."""
        with self.ledger.transaction():
            self._write(
                user_id, row, principal, lambda granted, inherited: (granted | mask, inherited)
            )
            for child in self._below(row, "share"):
                self._write(
                    user_id, child, principal, lambda granted, found: (granted, found | mask)
                )

    def modify(self, user_id: str, row: Row, principal: Reference, mask: int) -> None:
        """Put rights on a row in the place of those that the principal was granted."""
        with self.ledger.transaction():
            self._write(user_id, row, principal, lambda _, inherited: (mask, inherited))
            for child in self._below(row, "share"):
                self._write(user_id, child, principal, lambda granted, _: (granted, mask))

    def revoke(self, user_id: str, row: Row, principal: Reference) -> None:
        """Take all rights away that come from sharing, from the rows below, too."""
        with self.ledger.transaction():
            self._write(user_id, row, principal, lambda _granted, _inherited: (0, 0))
            for child in self._below(row, "unshare"):
                self._write(user_id, child, principal, lambda granted, _: (granted, 0))

    def shares(self, row: Row) -> list[Share]:
        """Return with whom a row is shared, in the order of their ids."""
        found = self._rows(self.links.holding(self._table, "objectid", row.id))
        shares = (_share(one) for one in found if one["objecttypecode"] == row.table)
        return sorted(shares, key=lambda share: share.principal.id)

    def mask(self, principals: Iterable[str], row: Row) -> int:
        """Return what some principals together may do with a row."""
        wanted = frozenset(principals)
        found = 0
        for share in self.shares(row):
            if share.principal.id in wanted:
                found |= share.mask
        return found

    def shared(self, principals: Iterable[str], table: str, bit: int) -> frozenset[str]:
        """Return the ids of the rows of a table that are shared with any of the principals."""
        pairs = (
            pair
            for principal in principals
            for pair in self._rows(self.links.holding(self._table, "principalid", principal))
        )
        return frozenset(
            str(pair["objectid"])
            for pair in pairs
            if pair["objecttypecode"] == table and _share(pair).mask & bit
        )

    def forget(self, user_id: str, row_id: str) -> None:
        """Take away what is shared of a row, or with it, because it is deleted."""
        for column in ("objectid", "principalid"):
            for pair in self._rows(self.links.holding(self._table, column, row_id)):
                self.ledger.bury(self._table, pair.cells, user_id)

    @property
    def _table(self) -> TableDefinition:
        return self.metadata.tables[SHARES]

    def _rows(self, ids: Iterable[str]) -> list[Row]:
        found = (self.store.get(SHARES, row_id) for row_id in ids)
        return [Row(self._table, cells) for cells in found if cells]

    def _below(self, row: Row, what: str) -> list[Row]:
        """Return the rows below; all are found before anything is written."""
        below = self.cascades.below(row, attrgetter(what))
        return [child for child in below if child.definition.ownership is Ownership.USER]

    def _write(
        self,
        user_id: str,
        row: Row,
        principal: Reference,
        change: Callable[[int, int], tuple[int, int]],
    ) -> None:
        pair = metadata_id(SHARES, row.table, row.id, principal.id)
        before = self.store.get(SHARES, pair)
        share = _share(Row(self._table, before)) if before else Share(principal, 0, 0)
        granted, inherited = change(share.granted, share.inherited)
        if granted | inherited == 0:
            if before:
                self.ledger.bury(self._table, before, user_id)
            return
        if (granted, inherited) == (share.granted, share.inherited):
            return
        draft: dict[str, Cell] = dict.fromkeys(self._table.fields)
        draft["principalobjectaccessid"] = pair
        draft["objectid"], draft["objecttypecode"] = row.id, row.table
        draft["principalid"], draft["principaltypecode"] = principal.id, principal.table
        draft["accessrightsmask"], draft["inheritedaccessrightsmask"] = granted, inherited
        draft["changedon"] = stamp_of(self.clock())
        self.ledger.put(self._table, tuple(draft.values()), before, user_id)


def _share(row: Row) -> Share:
    granted, inherited = row["accessrightsmask"], row["inheritedaccessrightsmask"]
    assert isinstance(granted, int)
    assert isinstance(inherited, int)
    return Share(
        Reference(str(row["principaltypecode"]), str(row["principalid"])), granted, inherited
    )

"""How far the privileges of users and teams reach.

Invariant: who was never limited reaches everything, and is told so without looking further; a team
that was given nothing adds nothing to what its members reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from holdfast_emulator.behaviour.principals import Depth, Privilege

#: In the place of a table: all tables that have no depth of their own.
ANY_TABLE: Final = "*"


@dataclass(slots=True)
class Depths:
    """The depths that were set, by user or team, table and privilege."""

    _set: dict[str, dict[tuple[str, Privilege], Depth]] = field(default_factory=dict)

    def limit(
        self, principal: str, table: str, depth: Depth, privileges: Iterable[Privilege]
    ) -> None:
        """Set how far some privileges of a user or team reach in a table."""
        own = self._set.setdefault(principal, {})
        own.update({(table, privilege): depth for privilege in privileges})

    def forget(self, principal: str) -> None:
        """Take back all that was set for a user or team."""
        self._set.pop(principal, None)

    def limited(self, principal: str) -> bool:
        """Tell whether anything was set for a user or team."""
        return principal in self._set

    def of(self, principal: str, table: str, privilege: Privilege) -> Depth | None:
        """Return what was set; None where nothing was."""
        own = self._set.get(principal)
        if own is None:
            return None
        found = own.get((table, privilege))
        return own.get((ANY_TABLE, privilege)) if found is None else found

    def state(self) -> dict[str, Any]:  # Any: JSON
        """Return all depths as JSON has them."""
        return {
            principal: [[table, one.value, depth.value] for (table, one), depth in own.items()]
            for principal, own in self._set.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Take the depths of :meth:`state` in the place of those there are."""
        self._set = {
            principal: {(table, Privilege(one)): Depth(depth) for table, one, depth in own}
            for principal, own in state.items()
        }

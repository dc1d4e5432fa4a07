"""Privileges that belong to no table, and the administrators, who have all of them.

Invariant: nobody has one who was not given it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from holdfast_emulator.behaviour.metadata import metadata_id


class Grant(Enum):
    """The privileges that requests ask for by a header."""

    ACT_ON_BEHALF = "prvActOnBehalfOfAnotherUser"
    BYPASS_PLUGINS = "prvBypassCustomPlugins"
    BYPASS_LOGIC = "prvBypassCustomBusinessLogic"

    @property
    def id(self) -> str:
        """The id of the privilege."""
        return metadata_id("privilege", self.value)


@dataclass(slots=True)
class Grants:
    """Who has them."""

    administrators: set[str] = field(default_factory=set)
    _given: set[tuple[str, str]] = field(default_factory=set)

    def give(self, user_id: str, grant: Grant) -> None:
        """Give a privilege to a user."""
        self._given.add((user_id, grant.value))

    def take(self, user_id: str, grant: Grant) -> None:
        """Take a privilege away; administrators keep it."""
        self._given.discard((user_id, grant.value))

    def has(self, user_id: str, grant: Grant) -> bool:
        """Tell whether a user has a privilege."""
        return user_id in self.administrators or (user_id, grant.value) in self._given

    def state(self) -> dict[str, Any]:  # Any: JSON
        """Return everything as JSON has it."""
        return {
            "administrators": sorted(self.administrators),
            "given": [list(one) for one in sorted(self._given)],
        }

    def restore(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Take what :meth:`state` returned in the place of what there is."""
        self.administrators = set(state["administrators"])
        self._given = {(str(user_id), str(name)) for user_id, name in state["given"]}

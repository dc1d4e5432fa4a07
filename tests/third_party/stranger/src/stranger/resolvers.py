"""Two policies: ``longest-text`` keeps whatever says more, ``refuse`` leaves it to a person."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import Resolver
from holdfast.model import Conflict, Defer, Merge, Resolution
from holdfast.values import Value


class LongestTextSettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid")


class LongestText(Resolver):
    """Where both sides changed a text, the longer one stands; else what was done here."""

    name = "longest-text"
    Settings: ClassVar[type[LongestTextSettings]] = LongestTextSettings

    async def resolve(self, conflict: Conflict) -> Resolution | None:
        """Merge two versions of a row; a row that one side deleted is a person's affair."""
        local, remote = conflict.local, conflict.remote
        if local is None or remote is None:
            return None
        return Merge({name: _longer(local[name], remote[name]) for name in sorted(conflict.mine)})


def _longer(mine: Value, theirs: Value) -> Value:
    if isinstance(mine, str) and isinstance(theirs, str):
        return max(mine, theirs, key=len)
    return mine


class RefuseSettings(BaseModel):
    """What the person who decides is told."""

    model_config = ConfigDict(extra="forbid")

    reason: str = "somebody else changed it too"


class Refuse(Resolver):
    """Never decides."""

    name = "refuse"
    Settings: ClassVar[type[RefuseSettings]] = RefuseSettings

    async def resolve(self, conflict: Conflict) -> Resolution:
        """Leave it to a person."""
        del conflict
        return Defer(str(self.settings.reason))

"""The resolvers "client-wins" and "server-wins", the two policies of Dynamics 365.

Invariant: each gives one answer to every conflict; README.md says what it means for the row.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import Resolver
from holdfast.model import Conflict, KeepLocal, KeepRemote, Resolution

__all__ = ["ClientWins", "PolicySettings", "ServerWins"]


class PolicySettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClientWins(Resolver):
    """What was done here goes on top of what the server has."""

    name: ClassVar[str] = "client-wins"
    Settings: ClassVar[type[BaseModel]] = PolicySettings

    async def resolve(self, conflict: Conflict) -> Resolution:  # noqa: ARG002  the same for all
        """Keep the local changes."""
        return KeepLocal()


class ServerWins(Resolver):
    """The server's row stands; what was done here is kept in the history."""

    name: ClassVar[str] = "server-wins"
    Settings: ClassVar[type[BaseModel]] = PolicySettings

    async def resolve(self, conflict: Conflict) -> Resolution:  # noqa: ARG002  the same for all
        """Keep the server's row."""
        return KeepRemote()

"""A field worker with the bundled drivers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import holdfast
from holdfast.testing import system_environment
from holdfast_emulator import Dataverse, Effect, EmulatorServer, User

TOKEN = "demo-token"


class NoDelay:
    """Randomness that makes every back-off zero."""

    def fraction(self) -> float:
        return 0.0


@dataclass
class Field:
    """A profile over the emulator; ``replica()`` opens its replica, again and again.

    ``effects`` is what the server really did, in order; each of ``reactions`` hears of it too.
    """

    server: EmulatorServer
    path: Path
    effects: list[Effect] = field(default_factory=list)
    reactions: list[Callable[[Effect], None]] = field(default_factory=list)
    tables: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": name} for name in ("account", "contact", "opportunity", "task")
        ]
    )
    conflict_detection: bool = False
    transport: dict[str, Any] = field(default_factory=lambda: {"token": TOKEN})

    @property
    def url(self) -> str:
        """The address of the server."""
        return self.server.url

    @property
    def dataverse(self) -> Dataverse:
        """The organisation behind it."""
        return self.server.dataverse

    @property
    def user(self) -> User:
        """The field worker, as the server knows them."""
        found = self.dataverse.security.user_of(TOKEN)
        assert found is not None
        return found

    def hear(self, effect: Effect) -> None:
        """Note what the server did."""
        self.effects.append(effect)
        for reaction in self.reactions:
            reaction(effect)

    def own_effects(self) -> Counter[tuple[str, str, str]]:
        """Count what the field worker did to each row: operation, table, id."""
        return Counter(
            (effect.operation.value, effect.table, effect.row_id)
            for effect in self.effects
            if effect.user == self.user.id
        )

    def asked(self, start: str, since: int = 0) -> list[str]:
        """Return the URLs below the API that began so, each once, in order."""
        urls = (str(one["url"]) for one in self.server.trace[since:])
        return list(dict.fromkeys(url for url in urls if url.startswith(start)))

    def replica(self) -> AbstractAsyncContextManager[holdfast.Replica]:
        """Open the replica."""
        return holdfast.open(
            {
                "storage": {"driver": "sqlite", "path": str(self.path)},
                "transport": {
                    "driver": "dataverse",
                    "url": self.url,
                    "credential": "token",
                    **self.transport,
                },
                "profile": {
                    "conflict_detection": self.conflict_detection,
                    "tables": self.tables,
                },
            },
            environment=replace(system_environment(), random=NoDelay()),
        )

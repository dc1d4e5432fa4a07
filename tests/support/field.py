"""A field worker with the bundled drivers."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import holdfast
from holdfast_emulator import Dataverse


@dataclass
class Field:
    """A profile over the emulator; ``replica()`` opens its replica, again and again."""

    url: str
    dataverse: Dataverse
    path: Path
    tables: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {"name": name} for name in ("account", "contact", "opportunity", "task")
        ]
    )
    conflict_detection: bool = False

    def replica(self) -> AbstractAsyncContextManager[holdfast.Replica]:
        """Open the replica."""
        return holdfast.open(
            {
                "storage": {"driver": "sqlite", "path": str(self.path)},
                "transport": {
                    "driver": "dataverse",
                    "url": self.url,
                    "credential": "token",
                    "token": "demo-token",
                },
                "profile": {
                    "conflict_detection": self.conflict_detection,
                    "tables": self.tables,
                },
            }
        )

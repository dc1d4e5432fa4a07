"""For plugin authors: drivers in memory, contract suites to subclass, and a simulator.

The drivers in memory need nothing that holdfast does not need. The suites need pytest and an async
plugin for it; they are imported when they are first asked for.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Final

from holdfast._system import system_environment
from holdfast.testing._server import Effect, Fate, MemoryServer
from holdfast.testing._storage import MemoryDisk, MemoryStorage
from holdfast.testing._transport import MemoryTransport

if TYPE_CHECKING:
    from holdfast.testing._suites.harness import TransportHarness
    from holdfast.testing._suites.storage import StorageContract
    from holdfast.testing._suites.stored import Opener
    from holdfast.testing._suites.transport import TransportContract

__all__ = [
    "Effect",
    "Fate",
    "MemoryDisk",
    "MemoryServer",
    "MemoryStorage",
    "MemoryTransport",
    "Opener",
    "StorageContract",
    "TransportContract",
    "TransportHarness",
    "system_environment",
]

_SUITES: Final = "holdfast.testing._suites"
_HOMES: Final = {
    "Opener": f"{_SUITES}.stored",
    "StorageContract": f"{_SUITES}.storage",
    "TransportContract": f"{_SUITES}.transport",
    "TransportHarness": f"{_SUITES}.harness",
}


if not TYPE_CHECKING:  # a type checker would take any name to be there

    def __getattr__(name: str) -> object:
        """Import a suite, with asserts that show their values."""
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if _SUITES not in sys.modules:
            import pytest

            pytest.register_assert_rewrite(_SUITES)
        return getattr(import_module(home), name)

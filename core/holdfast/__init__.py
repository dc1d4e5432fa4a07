"""Offline-first sync: work on a local replica, push and pull when the network is back.

::

    async with holdfast.open("holdfast.toml") as replica:
        await replica.download()
        accounts = replica.table("account")
        account_id = await accounts.create({"name": "Fjord Marine AS"})
        await replica.sync()

Names are imported when they are used: whoever needs one module of it, as a verb of the command
does, does not wait for the engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from holdfast._rescue import Rescued, rescue
    from holdfast.contracts import OpenMode
    from holdfast.discovery import API_VERSION
    from holdfast.errors import HoldfastError
    from holdfast.hookspecs import hookimpl
    from holdfast.model import Row
    from holdfast.replica import Replica, open  # noqa: A004  holdfast.open, as files have it
    from holdfast.table import Explanation, Rows, Table
    from holdfast.values import Reference

__all__ = [
    "API_VERSION",
    "Explanation",
    "HoldfastError",
    "OpenMode",
    "Reference",
    "Replica",
    "Rescued",
    "Row",
    "Rows",
    "Table",
    "hookimpl",
    "open",
    "rescue",
]

_PLACES: Final = {
    "API_VERSION": "discovery",
    "Explanation": "table",
    "HoldfastError": "errors",
    "OpenMode": "contracts",
    "Reference": "values",
    "Replica": "replica",
    "Rescued": "_rescue",
    "Row": "model",
    "Rows": "table",
    "Table": "table",
    "hookimpl": "hookspecs",
    "open": "replica",
    "rescue": "_rescue",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__

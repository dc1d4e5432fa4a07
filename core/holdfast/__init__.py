"""Offline-first sync: work on a local replica, push and pull when the network is back.

::

    async with holdfast.open("holdfast.toml") as replica:
        await replica.download()
        accounts = replica.table("account")
        account_id = await accounts.create({"name": "Fjord Marine AS"})
        await replica.sync()
"""

from holdfast.contracts import OpenMode
from holdfast.discovery import API_VERSION
from holdfast.errors import HoldfastError
from holdfast.hookspecs import hookimpl
from holdfast.model import Row
from holdfast.replica import Replica, open  # noqa: A004  holdfast.open, as files have it
from holdfast.table import Rows, Table
from holdfast.values import Reference

__all__ = [
    "API_VERSION",
    "HoldfastError",
    "OpenMode",
    "Reference",
    "Replica",
    "Row",
    "Rows",
    "Table",
    "hookimpl",
    "open",
]

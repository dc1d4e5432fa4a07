"""Storage ``sqlite``: a replica in one SQLite file that any SQLite tool can read."""

from holdfast_sqlite._connection import (
    Connect,
    Connection,
    Cursor,
    Database,
    InlineConnection,
    ThreadConnection,
    connect_in_thread,
    connect_inline,
)
from holdfast_sqlite._storage import SqliteSettings, SqliteStorage

__all__ = [
    "Connect",
    "Connection",
    "Cursor",
    "Database",
    "InlineConnection",
    "SqliteSettings",
    "SqliteStorage",
    "ThreadConnection",
    "connect_in_thread",
    "connect_inline",
]

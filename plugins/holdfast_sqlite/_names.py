"""Names as SQL.

Invariant: nothing but a validated identifier reaches the text of a statement, and it is quoted.
"""

from __future__ import annotations

from typing import Final

from holdfast.errors import StorageError
from holdfast.schema import is_identifier

#: Names that start so are this storage's own.
RESERVED: Final = "_holdfast_sqlite_"


def quoted(name: str) -> str:
    """Return an identifier as SQL.

    :raises StorageError: it is no identifier; nothing else may reach the text of a statement
    """
    if not is_identifier(name):
        raise StorageError(f"{name!r} cannot be the name of a table or column")
    return f'"{name}"'


def key_column(name: str) -> str:
    """Return the name of the hidden column beside a field, which holds what it compares by."""
    return f"{RESERVED}key_{name}"


def quoted_key(name: str) -> str:
    """Return that column as SQL; its name may be longer than an identifier."""
    quoted(name)
    return f'"{key_column(name)}"'

"""A bearer token that shows itself in a header and nowhere else.

Invariant: no way to turn it into text gives it away but joining it to other text, which is what
:func:`authorization` does; a traceback that shows local variables shows ``<token>``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn, Self

_SHOWN = "<token>"


class Token(str):
    """The text of a token, which compares as the text it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return _SHOWN

    def __str__(self) -> str:
        return _SHOWN

    def __format__(self, specification: str) -> str:
        return format(_SHOWN, specification)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a token is kept in memory only; it is not pickled")

    def trimmed(self) -> Token:
        """Return the token without white space around it."""
        return Token(self.strip())


def authorization(token: str) -> Mapping[str, str]:
    """Return the header that a token goes in."""
    return {"Authorization": "Bearer " + token}

"""Bearer tokens: whom each of them signs in, and until when.

Invariant: a token that has expired is as good as none; it is kept, so that it can be renewed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class Tokens:
    """Which user id each token stands for."""

    _known: dict[str, tuple[str, datetime | None]] = field(default_factory=dict)

    def admit(self, token: str, user_id: str, expires: datetime | None = None) -> None:
        """Let ``token`` sign a user in from now on, or until it expires."""
        self._known[token] = (user_id, expires)

    def expel(self, token: str) -> None:
        """Let ``token`` sign nobody in any more."""
        self._known.pop(token, None)

    def user_id(self, token: str, now: datetime) -> str | None:
        """Return whom a token signs in."""
        user_id, expires = self._known.get(token, (None, None))
        return None if expires is not None and now >= expires else user_id

    def user_ids(self) -> tuple[str, ...]:
        """Return everybody that a token signs in, once each."""
        return tuple(dict.fromkeys(user_id for user_id, _ in self._known.values()))

    def state(self) -> dict[str, Any]:  # Any: JSON
        """Return all tokens as JSON has them."""
        return {
            token: [user_id, expires.isoformat() if expires else None]
            for token, (user_id, expires) in self._known.items()
        }

    def restore(self, state: Mapping[str, Any]) -> None:  # Any: JSON
        """Take the tokens of :meth:`state` in the place of those there are."""
        self._known = {
            token: (str(user_id), datetime.fromisoformat(expires) if expires else None)
            for token, (user_id, expires) in state.items()
        }

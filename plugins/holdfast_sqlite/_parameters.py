"""The values that a statement binds.

Invariant: a value reaches SQL only through a mark that stands for it. Marks are numbered, so that a
statement may be put together in any order and name a value twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

Bindable: TypeAlias = str | int | float | None
_FEW: Final = 100
_SHORT: Final = 10_000  # characters


class Parameters:
    """Values and the marks that stand for them."""

    def __init__(self, values: Sequence[Bindable] = ()) -> None:
        self._values = list(values)

    def fork(self) -> Parameters:
        """Return these and room for more; SQLite takes no value that a statement does not name."""
        return Parameters(self._values)

    def bind(self, value: Bindable) -> str:
        """Return the mark that stands for a value."""
        self._values.append(value)
        return f"?{len(self._values)}"

    @property
    def small(self) -> bool:
        """Whether they take so little memory that a statement may be kept with them."""
        texts = (value for value in self._values if isinstance(value, str))
        return len(self._values) <= _FEW and sum(map(len, texts)) <= _SHORT

    @property
    def values(self) -> Sequence[Bindable]:
        """What to hand over with the statement."""
        return self._values

"""The functions of ours that queries name, and the file's schema never does.

Invariant: what they return depends on their operands alone. They see text folded where their name
does not say otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any, Final, TypeAlias

from holdfast.filters import like_regex
from holdfast.folding import fold
from holdfast_sqlite._cells import decimal_key, number_of
from holdfast_sqlite._connection import Database
from holdfast_sqlite._parts import part_of

_CONTEXT: Final = Context(prec=1000)  # more digits than a sum of the longest cells has
_STEP: Final = Decimal("1e-10")  # the digits that Dataverse keeps of a mean
Rank: TypeAlias = tuple[tuple[bool, Any], ...]  # Any: ids, of one kind at each place


def _fold(text: str | None) -> str | None:
    return None if text is None else fold(text)


@lru_cache(maxsize=64)
def _matcher(pattern: str) -> Callable[[str], object]:
    return like_regex(pattern).match


def _matches(folded: str | None, pattern: str) -> bool | None:
    return None if folded is None else _matcher(pattern)(folded) is not None


class _ExactSum:
    """Adds up whole numbers and decimals; text, because 64 bits may be too few."""

    def __init__(self) -> None:
        self.total = Decimal(0)
        self.count = 0

    def step(self, number: str | int | None) -> None:
        """Take one more; a text is a decimal's key."""
        if number is not None:
            self.total = _CONTEXT.add(self.total, _number(number))
            self.count += 1

    def finalize(self) -> str | None:
        """Return the digits of the sum."""
        return format(self.total, "f") if self.count else None


def _number(number: str | int) -> Decimal:
    return number_of(number) if isinstance(number, str) else Decimal(number)


class _ExactMean(_ExactSum):
    """The mean of decimals, to ten digits behind the point."""

    def finalize(self) -> str | None:
        """Return the digits of the mean."""
        if not self.count:
            return None
        mean = _CONTEXT.divide(self.total, Decimal(self.count))
        return format(_CONTEXT.quantize(mean, _STEP), "f")


class _WholeMean(_ExactSum):
    """The mean of whole numbers, which is a whole number: what is behind the point is cut off."""

    def finalize(self) -> str | None:
        """Return the digits of the mean."""
        if not self.count:
            return None
        total = int(self.total)
        whole = abs(total) // self.count
        return str(-whole if total < 0 else whole)


class _RealSum:
    """Adds up floats without a loss that depends on their order (Shewchuk's partial sums)."""

    def __init__(self) -> None:
        self._partials: list[float] = []
        self.count = 0

    def step(self, number: float | None) -> None:
        """Take one more."""
        if number is None:
            return
        self.count += 1
        kept: list[float] = []
        for partial in self._partials:
            large, small = (number, partial) if abs(number) >= abs(partial) else (partial, number)
            number = large + small
            if rest := small - (number - large):
                kept.append(rest)
        self._partials = [*kept, number]

    @property
    def total(self) -> float:
        """The sum so far.

        :raises OverflowError: it is beyond what a float holds; SQLite would make null of it
        """
        total = math.fsum(self._partials)
        if not math.isfinite(total):
            raise OverflowError("the sum is too large")
        return total

    def finalize(self) -> float | None:
        """Return the sum."""
        return self.total if self.count else None


class _RealMean(_RealSum):
    """The mean of floats."""

    def finalize(self) -> float | None:
        """Return the mean."""
        return self.total / self.count if self.count else None


class _First:
    """The cell that stands beside the smallest rank; a null in a rank comes first."""

    def __init__(self) -> None:
        self._best: tuple[Rank, Any] | None = None  # Any: a cell as SQLite gives it

    def step(self, cell: Any, *rank: Any) -> None:
        """Take one more."""
        known = tuple((part is not None, part) for part in rank)
        if self._best is None or known < self._best[0]:
            self._best = (known, cell)

    def finalize(self) -> Any:
        """Return the cell."""
        return None if self._best is None else self._best[1]


class _Least:
    """The cell with the least key; of cells with equal keys, the one that sorts first itself."""

    def __init__(self) -> None:
        self._best: tuple[Any, str] | None = None

    def step(self, key: Any, cell: str) -> None:
        """Take one more; null takes no part."""
        if key is None:
            return
        best = self._best
        if best is None or (key == best[0] and cell < best[1]) or self._wins(key, best[0]):
            self._best = (key, cell)

    def _wins(self, key: Any, other: Any) -> bool:
        return bool(key < other)

    def finalize(self) -> str | None:
        """Return the cell."""
        return None if self._best is None else self._best[1]


class _Greatest(_Least):
    """The cell with the greatest key."""

    def _wins(self, key: Any, other: Any) -> bool:
        return bool(key > other)


def register_functions(database: Database) -> None:
    """Make the functions known to a connection."""
    database.create_function("holdfast_fold", 1, _fold, deterministic=True)
    database.create_function("holdfast_decimal", 1, decimal_key, deterministic=True)
    database.create_function("holdfast_matches", 2, _matches, deterministic=True)
    database.create_function("holdfast_part", 4, part_of, deterministic=True)
    database.create_aggregate("holdfast_sum", 1, _ExactSum)
    database.create_aggregate("holdfast_mean", 1, _ExactMean)
    database.create_aggregate("holdfast_whole_mean", 1, _WholeMean)
    database.create_aggregate("holdfast_real_sum", 1, _RealSum)
    database.create_aggregate("holdfast_real_mean", 1, _RealMean)
    database.create_aggregate("holdfast_first", -1, _First)
    database.create_aggregate("holdfast_least", 2, _Least)
    database.create_aggregate("holdfast_greatest", 2, _Greatest)

"""From parts of a test to one Python function: a predicate is as fast as one written by hand.

Invariant: the text that is compiled holds generated names and positions of cells, nothing else;
every value, name and pattern of an expression is reached through a generated name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import CodeType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Leaf:
    """One test, as Python.

    :param test: what holds
    :param before: assignments that it needs
    :param null: when its cells are null; empty where they never are
    :param at_null: what the test gives then
    :param negated: what holds is the opposite
    """

    test: str
    before: tuple[str, ...] = ()
    null: str = ""
    at_null: bool | None = None
    negated: bool = False

    def inverted(self) -> Leaf:
        """Return plain negation: unknown stays unknown."""
        opposite = None if self.at_null is None else not self.at_null
        return replace(self, at_null=opposite, negated=not self.negated)

    def gives(self, truth: bool) -> str:  # noqa: FBT001  it is what is asked for
        """Return when the test gives this, where nothing is null."""
        return self.test if truth is not self.negated else f"not ({self.test})"


class Source:
    """The text of functions over a row, and the values that it names."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}  # Any: cells, sets, patterns, functions
        self._lines: list[str] = []
        self._functions = 0

    def name(self, value: object) -> str:
        """Return the name that stands for a value."""
        name = f"k{len(self._values)}"
        self._values[name] = value
        return name

    def returning(self, leaf: Leaf) -> str:
        """Write the function that gives what one test gives, and return its name."""
        lines = [*leaf.before]
        if leaf.null:
            lines.append(f"if {leaf.null}: return {leaf.at_null}")
        return self._function([*lines, f"return {leaf.gives(True)}"])

    def joining(self, leaves: Sequence[Leaf], *, decisive: bool) -> str:
        """Write the function that joins tests, and return its name.

        By "and" one false part decides, by "or" one true part does.
        """
        lines = [f"answer = {not decisive}"]
        known: set[str] = set()
        for leaf in leaves:
            lines += [line for line in leaf.before if line not in known]
            known |= set(leaf.before)
            lines += _step(leaf, decisive=decisive)
        return self._function([*lines, "return answer"])

    def compiled(self, name: str) -> Callable[..., Any]:
        """Return a function that was written."""
        space = dict(self._values)
        exec(_code("\n".join(self._lines)), space)  # noqa: S102  the text holds nothing of others
        function: Callable[..., Any] = space[name]
        return function

    def _function(self, lines: Sequence[str]) -> str:
        self._functions += 1
        name = f"f{self._functions}"
        self._lines += [f"def {name}(row):", *(f" {line}" for line in lines)]
        return name


def _step(leaf: Leaf, *, decisive: bool) -> Iterator[str]:
    """Yield the lines that return where a part decides, and note where it is unknown."""
    decides = leaf.gives(decisive)
    if not leaf.null:
        yield f"if {decides}: return {decisive}"
    elif leaf.at_null is None:
        yield f"if {leaf.null}: answer = None"
        yield f"elif {decides}: return {decisive}"
    elif leaf.at_null is decisive:
        yield f"if {leaf.null} or {decides}: return {decisive}"
    else:
        yield f"if not ({leaf.null}) and {decides}: return {decisive}"


_MOST_KEPT: Final = 256
_LONGEST_KEPT: Final = 5_000  # characters; about fifty conditions


def _code(text: str) -> CodeType:
    """Compile; filters of the same shape have the same text."""
    return _kept(text) if len(text) <= _LONGEST_KEPT else _compile(text)


def _compile(text: str) -> CodeType:
    return compile(text, "<filter>", "exec")


_kept = lru_cache(maxsize=_MOST_KEPT)(_compile)

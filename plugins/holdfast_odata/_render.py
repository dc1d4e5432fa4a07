"""From the algebra to text.

Invariant: what is written parses to an expression that matches the same rows; what Dataverse
cannot say is refused by what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from holdfast.contracts import Tables
from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Expression,
    In,
    IsNull,
    Not,
    Or,
    Related,
    conjuncts,
)
from holdfast.schema import TableSchema
from holdfast_odata._limits import MAXIMUM_BYTES, MAXIMUM_DEPTH, MAXIMUM_LINKS
from holdfast_odata._links import matches_nulls
from holdfast_odata._truth import NOTHING, where
from holdfast_odata._write import Cannot, Names, each, is_listed, write_leaf

_SKIPPED: Final = re.compile(r"'[^']*'|\"(?:[^\"\\]|\\.)*\"|([()])")

#: About so many nodes stand inside each other for one parenthesis, such as Or and And.
_NODES: Final = 3


def render(expression: Expression, schema: TableSchema, tables: Tables) -> str:
    """Return the text of a filter.

    :raises FilterError: OData cannot say it
    """
    try:
        _check_depth(expression)
        text = _Writer().write(where(expression), Names(schema, tables)).text
        _check_text(text)
    except (Cannot, ValueError, ArithmeticError) as error:
        raise FilterError("odata", "", f"it cannot be written: {error}") from error
    return text


def _check_depth(expression: Expression) -> None:
    """Refuse what is nested more deeply than any text that can be read; a loop, for any depth."""
    waiting = [(expression, 0)]
    while waiting:
        node, depth = waiting.pop()
        if depth > _NODES * MAXIMUM_DEPTH:
            raise _too_deep()
        waiting.extend((part, depth + 1) for part in _inside(node))


def _inside(node: Expression) -> tuple[Expression, ...]:
    match node:
        case And(parts) | Or(parts):
            return parts
        case Not(part) | Related(where=part):
            return (part,)
        case _:
            return ()


def _check_text(text: str) -> None:
    size = len(text.encode())
    if size > MAXIMUM_BYTES:
        raise Cannot(f"its text has {size} bytes, more than {MAXIMUM_BYTES}; split it")
    depth = 0
    for found in _SKIPPED.finditer(text):
        depth += {"(": 1, ")": -1}.get(found[1], 0)
        if depth > MAXIMUM_DEPTH:
            raise _too_deep()


def _too_deep() -> Cannot:
    return Cannot(f"it is nested more than {MAXIMUM_DEPTH} levels deep; simplify it")


@dataclass(frozen=True, slots=True)
class _Written:
    """A text, and the word that joins its parts, if one does."""

    text: str
    joiner: str = ""


@dataclass(frozen=True, slots=True)
class _Way:
    """A question about the row behind lookups, taken apart."""

    steps: tuple[str, ...]
    names: Names
    asked: Expression
    negated: bool

    @property
    def missing(self) -> bool:
        """Whether it is asked that there be no such row."""
        return self.negated and self.asked == EVERYTHING

    @property
    def open(self) -> bool:
        """Whether a row of nulls would do."""
        return not self.negated and matches_nulls(self.asked)


class _Writer:
    """Writes one filter."""

    def __init__(self) -> None:
        self._lambdas = 0

    def write(self, expression: Expression, names: Names) -> _Written:
        match expression:
            case And(()) | Or(()):
                operator = "ne" if expression == EVERYTHING else "eq"
                return _Written(f"{names.prefix}{names.schema.primary_id} {operator} null")
            case And(parts):
                return _joined("and", [self.write(part, names) for part in parts])
            case Or(parts):
                return _joined("or", list(self._alternatives(parts, names)))
            case Related():
                return self._related(expression, names, negated=False)
            case Not(Related() as related):
                return self._related(related, names, negated=True)
            case In() if not is_listed(expression, names):
                return self.write(each(expression), names)
            case _:
                return _Written(write_leaf(expression, names))

    def _alternatives(self, parts: tuple[Expression, ...], names: Names) -> Iterator[_Written]:
        """Write each part; "no row, or one that may be of nulls" is what a path says by itself."""
        ways = [_way(part, names) for part in parts]
        missing = {way.steps for way in ways if way and way.missing}
        joined = {way.steps for way in ways if way and way.open and way.steps in missing}
        for part, way in zip(parts, ways, strict=True):
            if way is None or way.steps not in joined or not (way.open or way.missing):
                yield self.write(part, names)
            elif way.open:
                yield self.write(way.asked, way.names)

    def _related(self, related: Related, names: Names, *, negated: bool) -> _Written:
        step = names.step(related)
        if step.single:
            return self._behind(related, names.behind(step), negated=negated)
        self._lambdas += 1
        if self._lambdas > MAXIMUM_LINKS:
            raise Cannot(f"it asks about more than {MAXIMUM_LINKS} other tables; simplify it")
        start = f"{'not ' if negated else ''}{names.prefix}{step.name}/any("
        if step.where == EVERYTHING:
            return _Written(f"{start})")
        variable = f"x{self._lambdas}"
        inside = Names(step.table, names.tables, f"{variable}/")
        return _Written(f"{start}{variable}:{self.write(step.where, inside).text})")

    def _behind(self, related: Related, names: Names, *, negated: bool) -> _Written:
        """Write the conditions with the path before each, and whether there is a row at all.

        Without a row every column there is null: a condition that null meets says too much.
        """
        there = IsNull(names.primary, negated=not negated)
        if not negated:
            asked = related.where
            needed = asked == EVERYTHING or matches_nulls(asked)
            return self.write(And((there, *conjuncts(asked))) if needed else asked, names)
        unmet = where(related.where, truth=False, known=False)
        needed = unmet == NOTHING or not matches_nulls(unmet)
        parts = unmet.parts if isinstance(unmet, Or) else (unmet,)
        return self.write(Or((there, *parts)) if needed else unmet, names)


def _joined(word: str, written: list[_Written]) -> _Written:
    if len(written) == 1:
        return written[0]
    loose = "or" if word == "and" else None
    texts = (f"({part.text})" if part.joiner == loose else part.text for part in written)
    return _Written(f" {word} ".join(texts), word)


def _way(part: Expression, names: Names) -> _Way | None:
    negated = isinstance(part, Not)
    asked = part.part if isinstance(part, Not) else part
    steps: list[str] = []
    while isinstance(asked, Related):
        step = names.step(asked)
        if not step.single:
            break
        steps.append(step.name)
        names, asked = names.behind(step), asked.where
    return _Way(tuple(steps), names, asked, negated) if steps else None

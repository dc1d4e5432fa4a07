"""``$filter`` on metadata: conditions on the properties of definitions.

Invariant: text is read in one pass and as deep as ``_DEEPEST`` at most; a condition on a property
that no definition of the kind has is refused. Texts are compared with regard to case.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, TypeAlias

from holdfast_emulator.wire.calls import bad_query
from holdfast_emulator.wire.metadata_json import Json

_Test: TypeAlias = Callable[[Json], bool]
_DEEPEST: Final = 50
_TOKEN: Final = re.compile(
    r"\s*(?:"
    r"(?P<enum>[A-Za-z_][\w.]*'(?:[^']|'')*')"
    r"|(?P<text>'(?:[^']|'')*')"
    r"|(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})"
    r"|(?P<number>[+-]?\d{1,30}(?:\.\d{1,30})?(?![\w.]))"
    r"|(?P<name>[A-Za-z_@][\w./]*)"
    r"|(?P<mark>[(),])"
    r")"
)
_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {  # Any: what JSON compares
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_FUNCTIONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_WORDS: Final = {"true": True, "false": False, "null": None}


@dataclass(frozen=True, slots=True)
class MetadataFilter:
    """A condition, and the properties that it looks at."""

    test: _Test
    properties: frozenset[str]

    def pick(self, items: Iterable[Json]) -> list[Json]:
        """Return the items that match.

        :raises DataverseFault: 400, no item has a property that is named
        """
        every = list(items)
        if every:
            for name in sorted(self.properties):
                if not any(name in item for item in every):
                    raise bad_query(
                        f"Could not find a property named '{name[:100]}' on the metadata type."
                    )
        return [item for item in every if self.test(item)]


def parse_metadata_filter(text: str) -> MetadataFilter:
    """Parse the value of ``$filter``.

    :raises DataverseFault: 400
    """
    parser = _Parser(_tokens(text))
    test = parser.either(0)
    parser.end()
    return MetadataFilter(test, frozenset(parser.properties))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise bad_query(f"Syntax error at position {at} in '{text[:200]}'.")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return tokens


@dataclass(slots=True)
class _Parser:
    tokens: Sequence[tuple[str, str]]
    at: int = 0
    properties: set[str] = field(default_factory=set)

    def either(self, depth: int) -> _Test:
        tests = [self.both(depth)]
        while self._takes("or"):
            tests.append(self.both(depth))
        return tests[0] if len(tests) == 1 else lambda item: any(test(item) for test in tests)

    def both(self, depth: int) -> _Test:
        tests = [self.one(depth)]
        while self._takes("and"):
            tests.append(self.one(depth))
        return tests[0] if len(tests) == 1 else lambda item: all(test(item) for test in tests)

    def one(self, depth: int) -> _Test:
        if depth > _DEEPEST:
            raise bad_query("The filter is nested too deeply.")
        if self._takes("not"):
            inner = self.one(depth + 1)
            return lambda item: not inner(item)
        if self._takes("("):
            inner = self.either(depth + 1)
            self._expect(")")
            return inner
        kind, word = self._next()
        if kind == "name" and word in _FUNCTIONS:
            return self._function(word)
        if kind != "name" or word in _WORDS:
            raise self._error(word)
        return self._comparison(word)

    def end(self) -> None:
        if self.at != len(self.tokens):
            raise self._error(self.tokens[self.at][1])

    def _function(self, name: str) -> _Test:
        self._expect("(")
        path = self._path(self._next()[1])
        self._expect(",")
        part = self._value()
        self._expect(")")
        if not isinstance(part, str):
            raise bad_query(f"The second argument of {name} must be a string.")
        holds = _FUNCTIONS[name]

        def test(item: Json) -> bool:
            found = _dig(item, path)
            return isinstance(found, str) and holds(found, part)

        if self._takes("eq"):
            wanted = self._value()
            return lambda item: test(item) is wanted
        return test

    def _comparison(self, name: str) -> _Test:
        path = self._path(name)
        _, word = self._next()
        if word not in _COMPARISONS:
            raise self._error(word)
        compare, wanted = _COMPARISONS[word], self._value()
        exact = word in ("eq", "ne")

        def test(item: Json) -> bool:
            found = _dig(item, path)
            if found is None or wanted is None:
                return exact and compare(found, wanted)
            if isinstance(found, str) is not isinstance(wanted, str):
                raise bad_query(f"A binary operator with incompatible types was used on '{name}'.")
            return compare(found, wanted)

        return test

    def _path(self, name: str) -> tuple[str, ...]:
        path = tuple(name.split("/"))
        if "" in path:
            raise self._error(name)
        self.properties.add(path[0])
        return path

    def _value(self) -> object:
        kind, word = self._next()
        match kind:
            case "text":
                return word[1:-1].replace("''", "'")
            case "enum":
                return word.partition("'")[2][:-1].replace("''", "'")
            case "guid":
                return word.lower()
            case "number":
                return Decimal(word)
            case "name" if word in _WORDS:
                return _WORDS[word]
        raise self._error(word)

    def _next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise bad_query("The filter ends too early.")
        self.at += 1
        return self.tokens[self.at - 1]

    def _takes(self, word: str) -> bool:
        if self.at < len(self.tokens) and self.tokens[self.at][1] == word:
            self.at += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise bad_query(f"'{mark}' is missing in the filter.")

    def _error(self, word: str) -> Exception:
        return bad_query(f"The filter is not understood at '{word[:100]}'.")


def _dig(item: Json, path: Sequence[str]) -> object:
    """Return the value at the end of a path; a bare managed property is its value.

    :raises DataverseFault: 400, it is a collection, a label, or nothing that there is
    """
    found: object = item.get(path[0])
    for name in path[1:]:
        if found is None:
            return None
        if not isinstance(found, dict) or "LocalizedLabels" in found or name not in found:
            raise bad_query(f"A filter on '{'/'.join(path)[:100]}' is not supported.")
        found = found[name]
    if isinstance(found, dict | list):
        raise bad_query(f"A filter on '{'/'.join(path)[:100]}' is not supported.")
    return found

"""Why a filter is refused, in words that name what was found.

Invariant: whatever OData or Dataverse knows and this language does not is called by its name; only
what neither of them knows is "found …, expected …".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from holdfast_odata._names import FUNCTIONS, NAMESPACE, OWN_NAMESPACE, STATES


class Refusal(Exception):
    """A mistake and where it is; it becomes a FilterError once the source is at hand."""

    def __init__(self, message: str, position: int | None) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


_OPERATORS: Final = ("eq", "ne", "gt", "ge", "lt", "le", "and", "or", "not")
_ARITHMETIC: Final = ("add", "sub", "mul", "div", "divby", "mod")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_QUALIFIED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_PATH: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_.$/]*")
_BEFORE: Final = re.compile(r"[A-Za-z0-9_.$@]*\Z")
_FOUND: Final = re.compile(r"[^\s()\[\],'\"]{1,40}|.", re.DOTALL)
_CLOCK: Final = re.compile(r"[0-9]{2}:[0-9]{2}")
_NO_ZONE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?![\w+-])")
_SPECIAL_NUMBER: Final = re.compile(r"-?(?:INF|NaN)(?!\w)")

#: What the parser could have gone on with, in the order in which people should read it.
_EXPECTATIONS: Final[Mapping[str, str]] = {
    "COMPARISON": "an operator (eq, ne, gt, ge, lt, le)",
    "NOT": "a condition",
    "NAME": "a column or a value",
    "_AND": "'and' or 'or'",
    "$END": "the end",
    "PARAMETER": "PropertyName='…'",
    "JSON": 'a value such as "1"',
    "TEXT": "a text in single quotes",
    "COMMA": "','",
    "COLON": "':'",
    "LPAR": "'('",
    "EQUAL": "'='",
    "LSQB": "'['",
    "RSQB": "']'",
    "RPAR": "')'",
}


def explain(source: str, position: int, expected: Iterable[str]) -> Refusal:
    """Return the refusal of what the parser stumbled over at ``position``."""
    wanted = set(expected)
    if position >= len(source):
        return _too_early(source, wanted)
    if wanted in ({"COLON"}, {"NAME", "RPAR"}):
        return _explain_lambda(source, position, wanted)
    named = _EXPLAINERS.get(source[position], _explain_other)(source, position)
    if named is not None:
        return named
    return Refusal(f"found {_found(source, position)}, expected {_expectation(wanted)}", position)


def _found(source: str, position: int) -> str:
    found = _FOUND.match(source, position)
    assert found is not None
    return repr(found[0])


def _explain_lambda(source: str, position: int, wanted: set[str]) -> Refusal:
    expected = "':'" if "COLON" in wanted else "a name for the rows"
    return Refusal(
        f"found {_found(source, position)}, expected {expected}, as in any(x:x/name eq 'a')",
        position,
    )


def short(name: str) -> str:
    """Return a name, cut where it is longer than any that exists."""
    return name if len(name) <= 128 else f"{name[:128]}…"


def special_word(word: str) -> str | None:
    """Return what is wrong with a word that stands where a column should, if it is known."""
    if _SPECIAL_NUMBER.fullmatch(word):
        return f"the number {word!r} is not supported; no column holds it"
    if word.lower() in ("true", "false", "null", *_OPERATORS) and word != word.lower():
        return f"found {word!r}; write {word.lower()!r} in lower case"
    return None


def _expectation(wanted: set[str]) -> str:
    names = {"NOT"} if "NOT" in wanted else wanted
    if "NAME" in wanted:
        names = names - {"TEXT"} or {"NAME"}
    told = [text for name, text in _EXPECTATIONS.items() if name in names]
    return " or ".join(told) or "something else"


def _too_early(source: str, wanted: set[str]) -> Refusal:
    message = f"the filter ends too early, expected {_expectation(wanted)}"
    if "COMPARISON" in wanted:
        message += "; a column is no condition on its own: write 'column eq true'"
    return Refusal(message, len(source))


def _start(source: str, position: int) -> int:
    """Return where the word starts that ends at ``position``, blanks between them aside."""
    end = len(source[:position].rstrip())
    # Names are at most 128 characters; the window keeps a long text from being searched whole.
    window = source[max(0, end - 300) : end]
    found = _BEFORE.search(window)
    assert found is not None
    return end - len(found[0])


def _explain_path(source: str, position: int) -> Refusal | None:
    start = _start(source, position)
    path = _PATH.match(source, start)
    last = path[0].rpartition("/")[2] if path else ""
    if path is not None and last.startswith("$"):
        return Refusal(f"{short(path[0])!r} is not supported: Dataverse filters by none", start)
    return Refusal("found '/'; a path has a name on either side of it, without blanks", position)


def _explain_call(source: str, position: int) -> Refusal | None:
    start = _start(source, position)
    name = source[start:position].rstrip()
    if not name or name in _OPERATORS or not _QUALIFIED.fullmatch(name):
        return None
    if name in ("any", "all"):
        return Refusal(f"lambda {name!r} follows a collection, as in 'tasks/{name}(t:…)'", start)
    if name in FUNCTIONS:
        return Refusal(f"function {name!r} is called '{NAMESPACE}{name}'", start)
    if name in STATES:
        return Refusal(f"function {name!r} is called '{OWN_NAMESPACE}{name}'", start)
    return Refusal(f"function {short(name)!r} is not supported: Dataverse has none", start)


def _explain_dot(source: str, position: int) -> Refusal | None:
    start = _start(source, position)
    name = _QUALIFIED.match(source, start)
    if name is None:
        return None
    following = source[name.end() :][:300].lstrip()[:1]
    what = {"(": "function", "'": "enumeration literal"}.get(following, "qualified name")
    return Refusal(f"{what} {short(name[0])!r} is not supported", start)


def _explain_quote(source: str, position: int) -> Refusal | None:
    start = _start(source, position)
    word = source[start:position]
    if _WORD.fullmatch(word):
        return Refusal(f"literal of type {short(word)!r} is not supported", start)
    if source.count("'", position) % 2:
        return Refusal("the text is not closed; double a quote that belongs to it", position)
    return None


def _explain_minus(source: str, position: int) -> Refusal | None:
    special = _SPECIAL_NUMBER.match(source, position)
    if special:
        return Refusal(special_word(special[0]) or "", position)
    if source[position + 1 : position + 2].isdigit():
        return None
    return Refusal("arithmetic '-' is not supported", position)


def _explain_dollar(source: str, position: int) -> Refusal | None:
    word = _WORD.match(source, position + 1)
    name = f"${word[0]}" if word else "$"
    return Refusal(f"{short(name)!r} is not supported", position)


def _explain_alias(source: str, position: int) -> Refusal | None:
    word = _WORD.match(source, position + 1)
    name = f"@{word[0]}" if word else "@"
    return Refusal(f"parameter alias {short(name)!r} is not supported", position)


def _explain_double_quote(_: str, position: int) -> Refusal | None:
    return Refusal("found a double quote; texts are written in single quotes", position)


def _explain_bracket(_: str, position: int) -> Refusal | None:
    return Refusal("a collection literal is not supported", position)


def _explain_brace(_: str, position: int) -> Refusal | None:
    return Refusal("found '{'; ids are written without braces and quotes", position)


def _explain_percent(_: str, position: int) -> Refusal | None:
    return Refusal("found '%'; a filter is written plainly, not percent-encoded", position)


def _explain_other(source: str, position: int) -> Refusal | None:
    if _NO_ZONE.match(source, position):
        return Refusal("the time has no zone; add Z or an offset such as +01:00", position)
    if _CLOCK.match(source, position):
        return Refusal("a time of day is not supported: no column holds it", position)
    word = _WORD.match(source, position)
    if word is None:
        return None
    if source[word.end() : word.end() + 1] == "'" and word[0] in _OPERATORS:
        return Refusal(f"a space is missing after {word[0]!r}", word.end())
    return _explain_word(word[0], position)


def _explain_word(word: str, position: int) -> Refusal | None:
    if word == "in":
        hint = "use Microsoft.Dynamics.CRM.In(PropertyName='…',PropertyValues=[\"…\"])"
        return Refusal(f"operator 'in' is not supported; {hint}", position)
    if word == "has":
        return Refusal("operator 'has' is not supported", position)
    if word in _ARITHMETIC:
        return Refusal(f"arithmetic {word!r} is not supported", position)
    if word in _OPERATORS[:6]:
        return Refusal(
            f"found {word!r} after a whole condition; a condition has one operator, "
            "and a function is a condition without 'eq true'",
            position,
        )
    special = special_word(word)
    return Refusal(special, position) if special else None


_EXPLAINERS: Final[Mapping[str, Callable[[str, int], Refusal | None]]] = {
    "/": _explain_path,
    "(": _explain_call,
    ".": _explain_dot,
    "'": _explain_quote,
    "-": _explain_minus,
    "$": _explain_dollar,
    "@": _explain_alias,
    '"': _explain_double_quote,
    "[": _explain_bracket,
    "{": _explain_brace,
    "%": _explain_percent,
}

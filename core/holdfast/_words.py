"""The words of a question, as OData writes them, taken apart.

Invariant: nothing here knows a table; whoever does says which names are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from holdfast.errors import Problem, QueryError
from holdfast.schema import nearest

#: How deep one expansion may stand in another.
DEEPEST: Final = 10
OPTIONS: Final = ("$select", "$filter", "$orderby", "$top", "$expand")


@dataclass(frozen=True, slots=True)
class ExpandWords:
    """One item of ``$expand``: a navigation name, and what is asked of the rows behind it."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


def names_of(given: str | Sequence[str] | None) -> list[str] | None:
    """Return the names of a list; None where there is no list."""
    if given is None:
        return None
    parts = given.split(",") if isinstance(given, str) else given
    return [part.strip() for part in parts if part.strip()]


def expand_words(table: str, text: str | None) -> list[ExpandWords]:
    """Read ``primarycontactid($select=fullname),contact_customer_accounts($top=3)``.

    :raises QueryError: it is not written so
    """
    return [_item(table, part) for part in _split(table, text or "", ",") if part.strip()]


def _item(table: str, text: str) -> ExpandWords:
    name, opened, rest = text.strip().partition("(")
    if not opened:
        return ExpandWords(name.strip())
    if not rest.endswith(")"):
        raise _wrong(table, f"{text.strip()!r}: nothing may follow the closing parenthesis")
    options: dict[str, str] = {}
    for part in _split(table, rest[:-1], ";"):
        option, equals, value = (word.strip() for word in part.partition("="))
        if option not in OPTIONS or not equals:
            hint = nearest(option, OPTIONS)
            raise _wrong(table, f"{part.strip()!r} is no option of {name.strip()}{hint}")
        if option in options:
            raise _wrong(table, f"{option} stands twice at {name.strip()}; leave one out")
        options[option] = value
    return ExpandWords(name.strip(), options)


def _split(table: str, text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators that stand in no parentheses and in no text."""
    depth, quoted, start = 0, False, 0
    for at, letter in enumerate(text):
        if letter == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif letter == "(":
            depth += 1
        elif letter == ")":
            depth -= 1
        elif letter == separator and depth == 0:
            yield text[start:at]
            start = at + 1
        if depth < 0:
            break
    if depth or quoted:
        missing = "a quote" if quoted else "a parenthesis"
        raise _wrong(table, f"{text!r}: {missing} has no other one")
    yield text[start:]


def _wrong(table: str, message: str) -> QueryError:
    return QueryError(table, [Problem("expand", message)])

"""Resource paths, keys and references: text from a URL to values, and back.

Invariant: one pass over the text each, so that a hostile URL costs no more than its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeAlias
from urllib.parse import unquote

from holdfast.values import canonical_id
from holdfast_emulator.wire.calls import Unsupported, bad_query

KeyValue: TypeAlias = str | int | Decimal | bool | None
#: The versions of the Web API that are answered, all alike.
VERSIONS: Final = ("v9.0", "v9.1", "v9.2")
NAMESPACE: Final = "Microsoft.Dynamics.CRM."
_GUID: Final = re.compile(r"\{?[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?\Z")
_SERVICE: Final = re.compile(
    r"(?:https?://[^/?#]+)?(?:/api/data/v9\.\d+(?=/|\Z))?/?", re.IGNORECASE
)
_RESOURCES: Final = ("batch", "metadata")  # resources whose names start with a dollar, too
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Id:
    """A key that is the primary id."""

    id: str


@dataclass(frozen=True, slots=True)
class Named:
    """A key that names its columns: an alternate key, or the primary id by name."""

    values: Mapping[str, KeyValue]


Key: TypeAlias = Id | Named


@dataclass(frozen=True, slots=True)
class Segment:
    """One step of a path; ``arguments`` is what stands in its parentheses, if it has some."""

    name: str
    arguments: str = ""

    @property
    def key(self) -> Key | None:
        """The arguments as the key of a row; None without any.

        :raises DataverseFault: they are no key
        """
        return parse_key(self.arguments)


def is_guid(text: str) -> bool:
    """Tell whether the text is a GUID as URLs have it."""
    return _GUID.match(text) is not None


def below_service(url: str) -> str:
    """Return what follows the service root in an absolute, rooted or relative URL."""
    found = _SERVICE.match(url)
    return url[found.end() :] if found else url


def split_url(url: str) -> tuple[str, str]:
    """Return the path below the service root, decoded, and the query as it stands."""
    path, _, query = below_service(url).partition("?")
    return unquote(path), query


def segments(path: str) -> tuple[Segment, ...]:
    """Parse a decoded path below the service root.

    :raises DataverseFault: it is not understood
    """
    return tuple(_segment(part) for part in split_outside(path.strip("/"), "/") if part)


def reference(text: str, references: Mapping[str, str]) -> Segment:
    """Parse what ``@odata.bind`` and ``@odata.id`` point with: a URL of one row, or ``$1``.

    :raises DataverseFault: it is not understood, or was not made before
    """
    found = segments(resolve(unquote(below_service(text)), references))
    if len(found) != 1 or found[0].key is None:
        raise bad_query(f"The URI '{text}' is not valid because it is not that of an entity.")
    return found[0]


def resolve(path: str, references: Mapping[str, str]) -> str:
    """Replace a leading ``$1`` by the URL of what the change set made under that Content-ID."""
    if not path.startswith("$"):
        return path
    name, slash, rest = path[1:].partition("/")
    if name in _RESOURCES:
        return path
    if name not in references:
        raise bad_query(f"Content-ID Reference: '${name}' does not exist in the batch context.")
    return references[name] + slash + rest


def split_outside(text: str, separator: str) -> Iterator[str]:
    """Split at a character where it stands outside quotes and parentheses."""
    start = depth = 0
    quoted = False
    for at, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == separator and depth == 0:
            yield text[start:at]
            start = at + 1
    if quoted or depth:
        raise bad_query(f"There is an unterminated string or parenthesis in '{text[:200]}'.")
    yield text[start:]


def _segment(text: str) -> Segment:
    name, opened, rest = text.partition("(")
    if not opened:
        return Segment(name)
    if not rest.endswith(")"):
        raise bad_query(f"Resource not found for the segment '{text[:200]}'.")
    return Segment(name, rest[:-1])


def parse_key(text: str) -> Key | None:
    """Parse what stands in the parentheses of a key; None when that is nothing."""
    inner = text.strip()
    if not inner:
        return None
    if is_guid(inner):
        return Id(canonical_id(inner))
    pairs = [_named(part) for part in split_outside(inner, ",")]
    values = dict(pairs)
    if len(values) < len(pairs):
        raise bad_query("The key in the request URI names a property more than once.")
    return Named(values)


def _named(part: str) -> tuple[str, KeyValue]:
    name, equals, literal = part.partition("=")
    if not equals or not _NAME.match(name.strip()):
        raise bad_query(
            "The key in the request URI is not valid. Ensure that the names and number of key "
            "properties match the declared or alternate key properties."
        )
    return name.strip(), parse_literal(literal.strip())


def parse_literal(text: str) -> KeyValue:
    """Parse a literal as keys and parameters have it.

    :raises DataverseFault: it is none
    """
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    if is_guid(text):
        return canonical_id(text)
    if text in _WORDS:
        return _WORDS[text]
    if re.fullmatch(r"-?\d{1,19}", text):
        return int(text)
    if re.fullmatch(r"-?\d{1,30}\.\d{1,30}", text):
        return Decimal(text)
    if re.fullmatch(r"[0-9TZ:.+-]{10,40}", text):
        return text  # a date, unquoted as in $filter
    if text.startswith("@"):
        raise Unsupported("parameter aliases")
    raise bad_query(f"Syntax error in the key value '{text[:200]}'.")


_WORDS: Final[Mapping[str, KeyValue]] = {"true": True, "false": False, "null": None}

"""Query options and preferences: what a client asks for beside the resource.

Invariant: an option is understood, refused as Dataverse refuses it, or answered with 501; none is
ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus

from holdfast_emulator.wire.calls import Unsupported, bad_query
from holdfast_emulator.wire.urls import split_outside

MAX_PAGE: Final = 5000
FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
TOTAL_COUNT: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
COUNT_EXCEEDED: Final = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"

_UNSUPPORTED: Final = frozenset(
    {"$apply", "fetchXml", "sql", "savedQuery", "userQuery", "partitionId"}
)
_MOST_WRAPS: Final = 4
_TEST: Final = re.compile(r"(\w+) eq ('(?:[^']|'')*'|[^\s()']+(?:'(?:[^']|'')*')?)")
_PREFERENCE: Final = re.compile(r"""([^\s=,;"]+)\s*(?:=\s*("[^"]*"|[^\s,;]*))?[^,]*(?:,|\Z)""")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the ``Prefer`` headers ask for."""

    representation: bool = False
    annotations: tuple[str, ...] = ()
    page_size: int | None = None
    track_changes: bool = False
    continue_on_error: bool = False

    def wants(self, annotation: str) -> bool:
        """Tell whether an annotation is asked for, by name, by ``Ns.*`` or by ``*``."""
        return any(fnmatchcase(annotation, pattern) for pattern in self.annotations)

    def applied(self) -> str:
        """Return the value of ``Preference-Applied``: those that were honoured."""
        honoured = []
        if self.representation:
            honoured.append("return=representation")
        if self.annotations:
            honoured.append(f'odata.include-annotations="{",".join(self.annotations)}"')
        if self.page_size is not None:
            honoured.append(f"odata.maxpagesize={self.page_size}")
        if self.track_changes:
            honoured.append("odata.track-changes")
        return ",".join(honoured)


@lru_cache(maxsize=256)
def preferences(header: str) -> Preferences:
    """Parse the ``Prefer`` headers, joined by commas; unknown preferences are ignored."""
    given = {name.lower(): value.strip('"') for name, value in _PREFERENCE.findall(header)}
    annotations = given.get("odata.include-annotations", "")
    return Preferences(
        representation=given.get("return") == "representation",
        annotations=tuple(part.strip() for part in annotations.split(",") if part.strip()),
        page_size=_page_size(given.get("odata.maxpagesize")),
        track_changes="odata.track-changes" in given,
        continue_on_error=given.get("odata.continue-on-error", "false") in ("", "true"),
    )


def _page_size(text: str | None) -> int | None:
    if text is None or not re.fullmatch(r"\d{1,9}", text) or int(text) == 0:
        return None
    return min(int(text), MAX_PAGE)


@dataclass(frozen=True, slots=True)
class Expand:
    """One single-valued navigation property to expand; ``select`` None means all columns."""

    navigation: str
    select: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Sort:
    """One property to sort by, as it is called on the wire."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Options:
    """The query options of one request; ``echo`` repeats them as the client sent them."""

    select: tuple[str, ...] | None = None
    filter: str | None = None
    orderby: tuple[Sort, ...] = ()
    top: int | None = None
    count: bool = False
    expand: tuple[Expand, ...] = ()
    skip_token: str | None = None
    delta_token: str | None = None
    echo: str = ""

    def named(self) -> Iterator[str]:
        """Yield the options that change tracking cannot be combined with."""
        if self.filter is not None:
            yield "filter"
        if self.orderby:
            yield "orderby"
        if self.expand:
            yield "expand"
        if self.top is not None:
            yield "top"


def parse_query(query: str, allowed: Iterable[str]) -> Options:
    """Parse a query string; anything but ``allowed`` is refused.

    :raises DataverseFault: an option is unknown, repeated, or not understood
    """
    given = dict(_given(query, frozenset(allowed)))
    return Options(
        select=_names(given["$select"]) if "$select" in given else None,
        filter=given.get("$filter"),
        orderby=tuple(_sort(part) for part in _parts(given.get("$orderby", ""))),
        top=_top(given.get("$top")),
        count=_truth(given.get("$count")),
        expand=tuple(_expand(part) for part in _parts(given.get("$expand", ""))),
        skip_token=given.get("$skiptoken"),
        delta_token=given.get("$deltatoken"),
        echo="&".join(part for part in query.split("&") if part and not _is_token(part)),
    )


def _is_token(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) in ("$skiptoken", "$deltatoken")


def _given(query: str, allowed: frozenset[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for part in query.split("&"):
        if not part:
            continue
        name, _, value = part.partition("=")
        option = unquote_plus(name)
        if option in seen:
            raise bad_query(f"Query option '{option}' was specified more than once.")
        seen.add(option)
        if option in allowed:
            yield option, unquote_plus(value)
        elif option != "tag":  # a note to plug-ins, which has no meaning here
            _refuse(option)


def _refuse(option: str) -> None:
    if option == "$skip":
        raise bad_query("Skip Clause is not supported in CRM")
    if option in _UNSUPPORTED or option.startswith("@"):
        raise Unsupported(f"the query option {option}")
    if option.startswith("$"):
        raise bad_query(f"The query parameter {option} is not supported.")
    raise Unsupported(f"the query option {option[:100]!r}")


def _parts(text: str) -> Iterator[str]:
    return (part.strip() for part in split_outside(text, ",") if part.strip())


def _names(text: str) -> tuple[str, ...] | None:
    names = tuple(dict.fromkeys(_parts(text)))
    return None if "*" in names else names


def _sort(part: str) -> Sort:
    name, _, direction = part.partition(" ")
    if direction.strip() not in ("", "asc", "desc"):
        raise bad_query(f"Syntax error at position {len(name) + 1} in '{part[:200]}'.")
    return Sort(name, direction.strip() == "desc")


def _top(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise bad_query(f"Invalid value '{text[:50]}' for $top query option found.")
    return int(text)


def _truth(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise bad_query(f"Invalid value '{text[:50]}' for $count query option found.")
    return text == "true"


def _expand(part: str) -> Expand:
    name, opened, rest = part.partition("(")
    if name.endswith(("/$ref", "/$count")) or "/" in name:
        raise Unsupported(f"$expand={name[:100]}")
    if not opened:
        return Expand(name, None)
    select: tuple[str, ...] | None = None
    for option in split_outside(rest.removesuffix(")"), ";"):
        key, _, value = option.partition("=")
        if key.strip() != "$select":
            raise Unsupported(f"{key.strip()[:50]} inside $expand")
        select = _names(value)
    return Expand(name, select)


def parse_simple_filter(text: str) -> Mapping[str, frozenset[str]]:
    """Parse ``Name eq 'a' or Name eq 'b'`` and conjunctions of such, for metadata.

    :raises DataverseFault: it says more than that, or is not balanced
    """
    wanted: dict[str, frozenset[str]] = {}
    for clause in _split_word(_unwrapped(text), "and"):
        tests = [_TEST.fullmatch(_plain(test)) for test in _split_word(_unwrapped(clause), "or")]
        names = {found[1] for found in tests if found}
        if None in tests or len(names) != 1:
            raise Unsupported(f"the metadata filter {text[:200]!r}")
        values = frozenset(_constant(found[2]) for found in tests if found)
        (name,) = names
        wanted[name] = wanted.get(name, values) & values
    return wanted


def _split_word(text: str, word: str) -> list[str]:
    """Split at a word between single spaces, where it stands outside quotes and parentheses."""
    parts: list[list[str]] = [[]]
    for piece in split_outside(text.strip(), " "):
        if piece == word:
            parts.append([])
        elif piece:
            parts[-1].append(piece)
    return [" ".join(part) for part in parts]


def _plain(test: str) -> str:
    return " ".join(_split_word(_unwrapped(test), ""))


def _unwrapped(text: str) -> str:
    """Take off parentheses around the whole text; nobody writes more than a few pairs."""
    for _ in range(_MOST_WRAPS):
        text = text.strip()
        if not _is_wrapped(text):
            break
        text = text[1:-1]
    return text


def _is_wrapped(text: str) -> bool:
    depth = 0
    quoted = False
    for at, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif not quoted:
            depth += (character == "(") - (character == ")")
        if depth == 0:
            return 0 < at == len(text) - 1
    return False


def _constant(literal: str) -> str:
    _, quote, rest = literal.partition("'")
    return rest.removesuffix("'").replace("''", "'") if quote else literal

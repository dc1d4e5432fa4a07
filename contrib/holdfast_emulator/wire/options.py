"""Query options and preferences: what a client asks for beside the resource.

Invariant: an option is understood, refused as Dataverse refuses it, or answered with 501; none is
ignored in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final
from urllib.parse import quote, unquote_plus

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.calls import Unsupported, bad_query
from holdfast_emulator.wire.urls import NAMESPACE, split_outside

MAX_PAGE: Final = 5000
FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
NAVIGATION: Final = "Microsoft.Dynamics.CRM.associatednavigationproperty"
TOTAL_COUNT: Final = "Microsoft.Dynamics.CRM.totalrecordcount"
COUNT_EXCEEDED: Final = "Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"

#: The options that bring a FetchXML query; the last two name a view that has it.
FETCH_SOURCES: Final = ("fetchXml", "savedQuery", "userQuery")
_UNSUPPORTED: Final = frozenset({"$apply", *FETCH_SOURCES, "sql", "partitionId"})
#: So many navigation properties are expanded in one query, on all levels together.
MOST_EXPANSIONS: Final = 15
TOO_MANY_LINKS: Final = "0x8004430d"
_IN_EXPANSION: Final = frozenset({"$select", "$filter", "$orderby", "$top", "$expand"})
_PLAIN: Final = "$(),;=/':@!*-._~"  # what a link keeps as it is
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

    def applied(self, *, paged: bool = False, tracked: bool = False) -> str:
        """Return the value of ``Preference-Applied``: those that were honoured.

        :param paged: whether the answer is a page of rows
        :param tracked: whether it is one of a tracked read
        """
        honoured = []
        if self.representation:
            honoured.append("return=representation")
        if self.annotations:
            honoured.append(f'odata.include-annotations="{",".join(self.annotations)}"')
        if paged and self.page_size is not None:
            honoured.append(f"odata.maxpagesize={self.page_size}")
        if tracked and self.track_changes:
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
class Sort:
    """One property to sort by, as it is called on the wire."""

    name: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Expand:
    """One navigation property to expand; ``select`` None means all columns.

    :param reference: only the URL of the row is asked for, with ``/$ref``
    :param echo: the options as the client sent them, as the query of a link
    """

    navigation: str
    select: tuple[str, ...] | None = None
    filter: str | None = None
    orderby: tuple[Sort, ...] = ()
    top: int | None = None
    expand: tuple[Expand, ...] = ()
    reference: bool = False
    echo: str = ""


@dataclass(frozen=True, slots=True)
class Options:
    """The query options of one request; ``echo`` repeats them as the client sent them.

    ``aliases`` are the parameters that a filter or an order may name (``@p1``).
    """

    select: tuple[str, ...] | None = None
    filter: str | None = None
    orderby: tuple[Sort, ...] = ()
    top: int | None = None
    count: bool = False
    expand: tuple[Expand, ...] = ()
    skip_token: str | None = None
    delta_token: str | None = None
    echo: str = ""
    aliases: Mapping[str, str] = field(default_factory=dict)

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
        count=truth(given.get("$count")),
        expand=_expansions(given.get("$expand", "")),
        skip_token=given.get("$skiptoken"),
        delta_token=given.get("$deltatoken"),
        echo="&".join(part for part in query.split("&") if part and not _is_token(part)),
        aliases={name: value for name, value in given.items() if name.startswith("@")},
    )


def option_names(query: str) -> frozenset[str]:
    """Return the names of the options in a query string, whatever they are."""
    return frozenset(unquote_plus(part.partition("=")[0]) for part in query.split("&"))


def given_options(query: str, allowed: Iterable[str]) -> Mapping[str, str]:
    """Return the options of a query string as texts; anything but ``allowed`` is refused.

    :raises DataverseFault: an option is unknown, or repeated
    """
    return dict(_given(query, frozenset(allowed)))


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
        if option in allowed or (option.startswith("@") and "$filter" in allowed):
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
    return None if not names or "*" in names else names


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


def truth(text: str | None) -> bool:
    """Return what ``$count`` says.

    :raises DataverseFault: it says neither yes nor no
    """
    if text not in (None, "true", "false"):
        raise bad_query(f"Invalid value '{text[:50]}' for $count query option found.")
    return text == "true"


def _expansions(text: str, depth: int = 1) -> tuple[Expand, ...]:
    found = tuple(_expand(part, depth) for part in _parts(text))
    names = [one.navigation for one in found]
    if len(set(names)) < len(names):
        raise bad_query("A navigation property was expanded more than once.")
    return found


def _expand(part: str, depth: int) -> Expand:
    if depth > MOST_EXPANSIONS:
        raise too_many_links()
    path, opened, rest = part.partition("(")
    name, slash, kind = path.strip().partition("/")
    if slash and (kind != "$ref" or opened):
        raise _bad_expansion(kind)
    if name == "*":
        raise Unsupported("$expand=*")
    given = dict(_inner_options(rest.rstrip().removesuffix(")"))) if opened else {}
    return Expand(
        name,
        select=_names(given["$select"]) if "$select" in given else None,
        filter=given.get("$filter"),
        orderby=tuple(_sort(part) for part in _parts(given.get("$orderby", ""))),
        top=_top(given.get("$top")),
        expand=_expansions(given.get("$expand", ""), depth + 1),
        reference=bool(slash),
        echo="&".join(f"{key}={quote(value, safe=_PLAIN)}" for key, value in given.items()),
    )


def _inner_options(text: str) -> Iterator[tuple[str, str]]:
    """Yield the options in the parentheses of an expansion."""
    seen: set[str] = set()
    for option in split_outside(text, ";"):
        name, _, value = option.partition("=")
        name = name.strip()
        if not name:
            continue
        if name in seen:
            raise bad_query(f"Query option '{name}' was specified more than once.")
        if name not in _IN_EXPANSION:
            raise bad_query(f"The query option '{name[:50]}' is not supported in $expand.")
        seen.add(name)
        yield name, value.strip()


def _bad_expansion(kind: str) -> DataverseFault:
    if kind.startswith(NAMESPACE):
        return Unsupported("a type cast in $expand")
    if kind.startswith("$"):
        return bad_query(f"The path segment '{kind[:50]}' is not supported in $expand.")
    return bad_query(
        "Found a path with multiple navigation properties or a bad complex property path in an "
        "expand clause. Please reword your query such that each level of expand is only a single "
        "navigation property or complex property."
    )


def too_many_links() -> DataverseFault:
    """Return the fault for more expansions than one query may have."""
    return DataverseFault(
        400, TOO_MANY_LINKS, "Number of link entities in query exceeded maximum limit."
    )

"""What a question about metadata asks for: ``$select``, ``$filter``, ``$expand``, nested too.

Invariant: an option is obeyed or refused; ids and types are always returned.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.metadata_filter import MetadataFilter, parse_metadata_filter
from holdfast_emulator.wire.metadata_json import EXPANDABLE, Json
from holdfast_emulator.wire.urls import split_outside

_OPTIONS: Final = ("$select", "$filter", "$expand", "$count", "$top")
_ALWAYS: Final = ("@odata.type", "MetadataId")
_DEEPEST: Final = 4
#: What is sent only when it is expanded.
COLLECTIONS: Final = frozenset(
    {
        *EXPANDABLE,
        "Attributes",
        "Keys",
        "OneToManyRelationships",
        "ManyToOneRelationships",
        "ManyToManyRelationships",
    }
)


@dataclass(frozen=True, slots=True)
class Ask:
    """The query options of a question about metadata, or of what it expands."""

    select: tuple[str, ...] | None = None
    where: MetadataFilter | None = None
    expand: tuple[tuple[str, Ask], ...] = ()
    count: bool = False

    def pick(self, items: Iterable[Json]) -> list[Json]:
        """Return the items that the filter lets through."""
        return list(items) if self.where is None else self.where.pick(items)

    def cut(self, item: Json) -> Json:
        """Return what ``$select`` and ``$expand`` leave of an item."""
        expanded = {name: _nested(item, name, ask) for name, ask in self.expand}
        if self.select is None:
            kept = {name: value for name, value in item.items() if name not in COLLECTIONS}
        else:
            kept = {name: item[name] for name in _ALWAYS if name in item}
            kept |= {name: selected(item, name) for name in self.select}
        return kept | expanded


def selected(item: Json, name: str) -> object:
    """Return a property; 400 when there is none."""
    if name not in item:
        raise bad_query(f"Could not find a property named '{name[:100]}' on the metadata type.")
    return item[name]


def _nested(item: Json, name: str, ask: Ask) -> object:
    found = selected(item, name)
    if name not in COLLECTIONS and name != "Privileges":
        raise bad_query(f"Property '{name}' is not a navigation property; it cannot be expanded.")
    if isinstance(found, list):
        return [ask.cut(one) for one in ask.pick(found)]
    return ask.cut(found) if isinstance(found, dict) else found


def parse_ask(query: str) -> Ask:
    """Parse a query string.

    :raises DataverseFault: an option is unknown, repeated, or not understood
    """
    return _parse(unquote_plus(query), "&", 0)


def _parse(query: str, separator: str, depth: int) -> Ask:
    if depth > _DEEPEST:
        raise bad_query("$expand is nested too deeply.")
    given: dict[str, str] = {}
    for part in split_outside(query, separator):
        name, equals, value = part.strip().partition("=")
        if not name:
            continue
        if name in given:
            raise bad_query(f"Query option '{name[:100]}' was specified more than once.")
        if not equals or name not in _OPTIONS:
            if name.startswith("$"):
                raise bad_query(f"The query parameter {name[:100]} is not supported.")
            raise Unsupported(f"the option {name[:50]!r} on metadata")
        given[name] = value
    if "$top" in given:
        raise bad_query("The query parameter $top is not supported.")
    names = [name.strip() for name in given.get("$select", "").split(",") if name.strip()]
    return Ask(
        None if "*" in names or not names else tuple(dict.fromkeys(names)),
        parse_metadata_filter(given["$filter"]) if "$filter" in given else None,
        tuple(
            _expansion(part, depth)
            for part in split_outside(given.get("$expand", ""), ",")
            if part.strip()
        ),
        _truth(given.get("$count")),
    )


def _truth(text: str | None) -> bool:
    if text not in (None, "true", "false"):
        raise bad_query(f"Invalid value '{text[:50]}' for $count query option found.")
    return text == "true"


def _expansion(part: str, depth: int) -> tuple[str, Ask]:
    name, _, options = part.strip().partition("(")
    return name.strip(), _parse(options.removesuffix(")"), ";", depth + 1)


def many(call: Call, context: str, items: Iterable[Json], ask: Ask) -> Reply:
    """Return the reply with those items of a collection that are asked for."""
    picked = [ask.cut(item) for item in ask.pick(items)]
    head: Json = {"@odata.context": f"{call.root}/$metadata#{context}{_columns(ask)}"}
    if ask.count:
        head["@odata.count"] = len(picked)
    return answer({**head, "value": picked})


def one(call: Call, context: str, item: Json, ask: Ask) -> Reply:
    """Return the reply with one item."""
    if ask.where is not None or ask.count:
        raise bad_query("$filter and $count cannot be applied to a single definition.")
    head = {"@odata.context": f"{call.root}/$metadata#{context}{_columns(ask)}/$entity"}
    return answer({**head, **ask.cut(item)})


def _columns(ask: Ask) -> str:
    return "" if ask.select is None else f"({','.join(ask.select)})"

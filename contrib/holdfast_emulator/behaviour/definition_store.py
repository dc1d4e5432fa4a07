"""Definitions as plain data, and back: for files, snapshots and baselines.

Invariant: what was dumped loads as an equal :class:`Metadata`. Against a base, only what differs
from the base is kept, so that a file made long ago follows newer stock tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import ManyToManyDefinition, RelationshipDefinition

_Definition = TypeVar("_Definition")
_NOTHING: Final = Metadata()


@dataclass(frozen=True, slots=True)
class _Picture:
    """All definitions of an organisation, or those that differ from a base."""

    version: int
    tables: dict[str, TableDefinition] = field(default_factory=dict)
    relationships: dict[str, RelationshipDefinition] = field(default_factory=dict)
    many_to_many: dict[str, ManyToManyDefinition] = field(default_factory=dict)
    option_sets: dict[str, OptionSetDefinition] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=dict)
    changed: dict[str, int] = field(default_factory=dict)
    deleted: list[tuple[int, str, str]] = field(default_factory=list)


_PARTS: Final = ("tables", "relationships", "many_to_many", "option_sets")


def dump_metadata(metadata: Metadata, base: Metadata = _NOTHING) -> dict[str, Any]:  # Any: JSON
    """Return the definitions as JSON-able data; of those that the base has too, the changed."""
    parts = {part: (getattr(metadata, part), getattr(base, part)) for part in _PARTS}
    picture = _Picture(
        metadata.version,
        **{part: _news(now, before) for part, (now, before) in parts.items()},
        gone={part: sorted(before.keys() - now.keys()) for part, (now, before) in parts.items()},
        changed=metadata.changed,
        deleted=metadata.deleted,
    )
    data: dict[str, Any] = msgspec.to_builtins(picture)
    return data


def load_metadata(data: Mapping[str, Any], base: Metadata = _NOTHING) -> Metadata:
    """Return the definitions that were dumped against this base.

    :raises ValueError: the data are something else
    """
    picture = msgspec.convert(data, _Picture)
    loaded = Metadata()
    for part in _PARTS:
        gone = set(picture.gone.get(part, ()))
        known = {k: v for k, v in getattr(base, part).items() if k not in gone}
        getattr(loaded, part).update(known | getattr(picture, part))
    loaded.version = picture.version
    loaded.changed.update(picture.changed)
    loaded.deleted.extend(picture.deleted)
    loaded.reindex()
    return loaded


def encode_metadata(metadata: Metadata, base: Metadata) -> str:
    """Return the dump as text."""
    return msgspec.json.encode(dump_metadata(metadata, base)).decode()


def decode_metadata(text: str, base: Metadata) -> Metadata:
    """Return what was encoded.

    :raises ValueError: the text is something else
    """
    return load_metadata(msgspec.json.decode(text), base)


def _news(
    now: Mapping[str, _Definition], before: Mapping[str, _Definition]
) -> dict[str, _Definition]:
    return {name: found for name, found in now.items() if before.get(name) != found}

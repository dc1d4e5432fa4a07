"""Pictures of plain objects: what their containers hold now, to be put back later.

Invariant: a picture shares what cannot change (texts, tuples, frozen values) and copies what can:
dictionaries, lists, sets, arrays and queues, however deep they are nested.
"""

from __future__ import annotations

import copy
from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from typing import Final

_FLAT: Final = (set, array)
_MUTABLE: Final = (dict, list, deque, *_FLAT)


def copied(value: object) -> object:
    """Return a container that later changes of this one do not reach; other values as they are."""
    if isinstance(value, dict):
        if _nested(value.values()):
            made = copy.copy(value)  # a defaultdict stays one
            made.update((key, copied(held)) for key, held in value.items())
            return made
        return copy.copy(value)
    if isinstance(value, list | deque):
        if _nested(value):
            return type(value)(copied(held) for held in value)
        return copy.copy(value)
    return copy.copy(value) if isinstance(value, _FLAT) else value


def attributes_of(thing: object) -> dict[str, object]:
    """Return the attributes of an object, with slots or without."""
    if hasattr(thing, "__dict__"):
        return dict(vars(thing))
    names: tuple[str, ...] = getattr(type(thing), "__slots__", ())
    return {name: getattr(thing, name) for name in names if hasattr(thing, name)}


def picture_of(thing: object) -> Mapping[str, object]:
    """Return what the attributes of an object hold."""
    return {name: copied(value) for name, value in attributes_of(thing).items()}


def put_back(thing: object, picture: Mapping[str, object]) -> None:
    """Let the attributes of an object hold again what they held; the picture can be used again.

    Containers stay the same objects, because others may hold them, too.
    """
    for name, value in picture.items():
        now = getattr(thing, name)
        held = copied(value)
        if isinstance(now, dict) and isinstance(held, dict):
            now.clear()
            now.update(held)
        elif isinstance(now, list) and isinstance(held, list):
            now[:] = held
        elif now is not held:
            setattr(thing, name, held)


def _nested(held: Iterable[object]) -> bool:
    """Tell whether a container holds containers: its values are all of one kind."""
    return isinstance(next(iter(held), None), _MUTABLE)

"""What was not sent, read out of a storage that may be damaged.

Invariant: nothing is written, no plugin but the storage's driver is loaded, and what cannot be read
as an op is returned as the text that it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from holdfast import profile as profiles
from holdfast._system import system_environment
from holdfast._tables import OUTBOX, SYSTEM_LAYOUTS
from holdfast.contracts import Context, OpenMode, Storage
from holdfast.discovery import STORAGES, Catalogue
from holdfast.errors import PluginError, Problem, ProfileError

_OUTBOX: Final = next(layout for layout in SYSTEM_LAYOUTS if layout.table == OUTBOX)


@dataclass(frozen=True, slots=True)
class Rescued:
    """The unsent changes that could be read, in order, and how the storage is.

    An op maps ``id``, ``kind``, ``table``, ``row_id``, ``changes``, ``version``, ``state``,
    ``attempts`` and ``created`` to what can be written as JSON: decimals are text, a reference is
    ``{"table", "id"}``. ``complete`` says that every record of the outbox could be read; ``damage``
    is what the storage finds wrong with itself.
    """

    ops: Sequence[Mapping[str, object]] = field(repr=False)
    complete: bool
    damage: Sequence[str]


async def rescue(storage: Mapping[str, Any], *, folder: str | Path = ".") -> Rescued:  # Any: TOML
    """Read the changes that were not sent out of a storage that may be damaged.

    :param storage: what stands in ``[storage]`` of the profile: the driver and its settings
    :param folder: where relative paths start
    :raises ProfileError: no storage can be meant by this
    :raises StorageMissing: there is none
    :raises StorageError: nothing of it can be read
    """
    source = "the storage"
    name = storage.get("driver")
    if not isinstance(name, str):
        raise ProfileError(source, [Problem("storage.driver", "is missing")])
    try:
        driver: type[Storage] = Catalogue().load_driver(STORAGES, name, Storage)
        settings = driver.Settings.model_validate(
            {key: value for key, value in storage.items() if key != "driver"}
        )
    except PluginError as error:
        raise ProfileError(source, [Problem("storage.driver", str(error))]) from error
    except ValidationError as error:
        found = profiles.problems(error, driver.Settings, ["storage"])
        raise ProfileError(source, found) from None
    context = Context(system_environment(), Path(folder), OpenMode.READER)
    salvage = await driver.salvage(settings, context, [_OUTBOX])
    return Rescued(
        ops=[_op(record) for record in salvage.records.get(OUTBOX, ())],
        complete=OUTBOX not in salvage.missed,
        damage=tuple(salvage.damage),
    )


def _op(record: Sequence[Any]) -> Mapping[str, object]:  # Any: whatever could be read
    named = dict(zip([field.name for field in _OUTBOX.fields], record, strict=False))
    return {
        "id": named["id"],
        "kind": named["kind"],
        "table": named["table_name"],
        "row_id": named["row_id"],
        "changes": _changes(named["changes"]),
        "version": named["version"],
        "state": named["state"],
        "attempts": named["attempts"],
        "created": named["created"],
    }


def _changes(text: object) -> object:
    """Return what an op changes; the text itself where it is no JSON any more."""
    try:
        found = json.loads(str(text))
    except ValueError:
        return text
    if not isinstance(found, dict):
        return text
    return {name: _value(value) for name, value in found.items()}


def _value(value: object) -> object:
    if isinstance(value, list) and len(value) == 2:
        return {"table": value[0], "id": value[1]}
    return value

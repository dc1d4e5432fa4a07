"""Finding plugins: stevedore loads an entry point by name, fresh and with its distribution.

Invariant: nothing is imported unless it is asked for by name.
"""

from __future__ import annotations

import importlib.metadata
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from stevedore import NamedExtensionManager

from holdfast.errors import PluginError

API_VERSION: Final = (1, 0)
STORAGES: Final = "holdfast.storages"
TRANSPORTS: Final = "holdfast.transports"
FILTERS: Final = "holdfast.filters"
RESOLVERS: Final = "holdfast.resolvers"
PLUGINS: Final = "holdfast.plugins"
GROUPS: Final = (STORAGES, TRANSPORTS, FILTERS, RESOLVERS, PLUGINS)
_OURS: Final = "holdfast"


class _Named(NamedExtensionManager[Any]):
    """One entry point, loaded as stevedore does it.

    It is given from outside instead of read from stevedore's cache on disk: that keys on mtimes
    packed as 32-bit floats, so for about two minutes after an install it serves the old list, and
    it drops ``EntryPoint.dist``.
    """

    def __init__(self, group: str, entry: importlib.metadata.EntryPoint) -> None:
        self._entry = entry
        super().__init__(group, [entry.name], on_load_failure_callback=_refuse)

    def list_entry_points(self) -> list[importlib.metadata.EntryPoint]:
        """Return the one that was asked for."""
        return [self._entry]


@dataclass(frozen=True, slots=True)
class Installed:
    """One installed entry point. ``error`` says why it could not be loaded, when that was tried."""

    group: str
    name: str
    distribution: str
    version: str
    in_use: bool
    error: str | None = None


class Catalogue:
    """What is installed at one moment; read once, since reading it takes milliseconds."""

    def __init__(self) -> None:
        self._entries = importlib.metadata.entry_points()

    def entries(self, group: str) -> list[importlib.metadata.EntryPoint]:
        """Return the entry points of a group, by name."""
        return sorted(self._entries.select(group=group), key=lambda entry: entry.name)

    def names(self, group: str) -> list[str]:
        """Return the installed names of a group, sorted."""
        return sorted({entry.name for entry in self.entries(group)})

    def ours(self, group: str) -> set[str]:
        """Return the names of a group that holdfast itself ships."""
        return {entry.name for entry in self.entries(group) if _owner(entry) == _OURS}

    def load(self, group: str, name: str) -> Any:  # Any: a class per group, checked by its caller
        """Return the object registered as ``name`` in ``group``.

        :raises PluginError: it is not installed, installed twice, cannot be imported, or needs
            another version of the plugin API
        """
        found = [entry for entry in self.entries(group) if entry.name == name]
        if not found:
            known = ", ".join(self.names(group)) or "none"
            raise PluginError(name, f"is not installed in {group}; installed: {known}")
        if len(found) > 1:
            owners = ", ".join(sorted(_owner(entry) for entry in found))
            raise PluginError(name, f"is provided twice in {group}, by {owners}; uninstall one")
        try:
            (extension,) = _Named(group, found[0]).extensions
        except AssertionError as error:  # stevedore lets these pass
            _refuse(None, found[0], error)
        _check_api(name, extension.plugin)
        return extension.plugin

    def load_driver(self, group: str, name: str, kind: type) -> Any:  # Any: a subclass of kind
        """Return the driver class called ``name``.

        :raises PluginError: as :meth:`load`, or it is no ``kind``
        """
        from pydantic import BaseModel

        driver = self.load(group, name)
        if not (isinstance(driver, type) and issubclass(driver, kind)):
            raise PluginError(name, f"is no {kind.__name__}; its entry point must name a subclass")
        if inspect.isabstract(driver):
            missing = ", ".join(sorted(getattr(driver, "__abstractmethods__", ())))
            raise PluginError(name, f"does not implement {missing}; upgrade it")
        settings = getattr(driver, "Settings", None)
        if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
            raise PluginError(name, "has no Settings; a driver needs a pydantic model of that name")
        return driver

    def installed(self, in_use: Mapping[str, Sequence[str]]) -> list[Installed]:
        """List everything that is installed; only what is in use is imported.

        :param in_use: names by group
        """
        listed: list[Installed] = []
        for group in GROUPS:
            always = self.ours(group) if group == PLUGINS else set()
            for entry in self.entries(group):
                used = entry.name in always or entry.name in in_use.get(group, ())
                version = entry.dist.version if entry.dist else "?"
                error = self._load_error(group, entry.name) if used else None
                listed.append(Installed(group, entry.name, _owner(entry), version, used, error))
        return listed

    def _load_error(self, group: str, name: str) -> str | None:
        try:
            self.load(group, name)
        except PluginError as error:
            return str(error)
        return None


def _owner(entry: importlib.metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "?"


def _refuse(_: object, entry: importlib.metadata.EntryPoint, error: BaseException) -> NoReturn:
    reason = str(error) or type(error).__name__
    raise PluginError(
        entry.name,
        f"({entry.value}) cannot be loaded: {reason}; install what it needs, or leave it out",
    ) from error


def _check_api(name: str, plugin: object) -> None:
    wanted = getattr(plugin, "HOLDFAST_API", API_VERSION)
    if not (isinstance(wanted, tuple) and [type(part) for part in wanted] == [int, int]):
        raise PluginError(name, f"has HOLDFAST_API {wanted!r}; two numbers are wanted: (1, 0)")
    if wanted[0] != API_VERSION[0] or wanted > API_VERSION:
        raise PluginError(
            name, f"needs plugin API {_dotted(wanted)}, this is {_dotted(API_VERSION)}; "
            "upgrade holdfast or use another version of the plugin",
        )  # fmt: skip


def _dotted(version: Sequence[int]) -> str:
    return ".".join(str(part) for part in version)

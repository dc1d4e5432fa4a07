"""From a profile to its drivers: all is looked up and checked before anything opens.

Mistakes of the profile itself and of its drivers' sections are reported together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from holdfast import profile as profiles
from holdfast.contracts import Driver, FilterLanguage, Resolver, Storage, Transport
from holdfast.discovery import FILTERS, PLUGINS, RESOLVERS, STORAGES, TRANSPORTS, Catalogue
from holdfast.errors import PluginError, Problem, ProfileError
from holdfast.model import Policy
from holdfast.plugins import Plugins
from holdfast.profile import Profile


@dataclass(frozen=True, slots=True)
class Setup:
    """A checked profile and what it names, loaded but not opened."""

    profile: Profile
    plugins: Plugins
    storage_settings: BaseModel
    transport_settings: BaseModel
    folder: Path
    source: str

    @property
    def in_use(self) -> dict[str, Sequence[str]]:
        """The names in use, by entry-point group."""
        return {
            STORAGES: [self.profile.storage.driver],
            TRANSPORTS: [self.profile.transport.driver],
            FILTERS: self.profile.languages,
            RESOLVERS: [policy.name for policy in self.profile.policies],
            PLUGINS: self.profile.plugins,
        }

    def speak(self, language: str) -> None:
        """Load a filter language that a question is written in, if it is installed.

        One that is not may still be a plugin's; if it is nobody's, compiling says so.

        :raises ProfileError: it cannot be loaded, or its section of the profile has mistakes
        """
        if language in self.plugins.languages:
            return
        found: list[Problem] = []
        loader = _Loader(found, self.plugins)
        loader.language(self.profile, language)
        if found:
            raise ProfileError(self.source, found)


def load(path: Path) -> Setup:
    """Read a profile from a file and load what it names.

    :raises ProfileError: with every mistake
    """
    return build(str(path), profiles.read(path), path.resolve().parent)


def build(source: str, data: Mapping[str, Any], folder: Path) -> Setup:  # Any: TOML
    """Check a profile and load what it names.

    :raises ProfileError: with every mistake
    """
    found: list[Problem] = []
    profile: Profile | None = None
    try:
        profile = profiles.parse(source, data)
    except ProfileError as error:
        found.extend(error.problems)
    loader = _Loader(found)
    if profile is not None:
        loader.enable(profile.plugins)  # before the drivers, which are then called last
    storage = loader.section(STORAGES, Storage, data.get("storage"), "storage")
    transport = loader.section(TRANSPORTS, Transport, data.get("transport"), "transport")
    if profile is not None:
        loader.languages(profile)
        loader.policies(profile)
    if found:
        raise ProfileError(source, found)
    assert profile is not None
    assert storage is not None
    assert transport is not None
    return Setup(profile, loader.plugins, storage, transport, folder, source)


class _Loader:
    """Loads and registers one thing after the other, noting what is wrong with each."""

    def __init__(self, found: list[Problem], plugins: Plugins | None = None) -> None:
        self._found = found
        self._catalogue = Catalogue()
        self.plugins = Plugins() if plugins is None else plugins

    def section(
        self, group: str, kind: type[Driver], section: object, key: str
    ) -> BaseModel | None:
        """Load the driver of ``[storage]`` or ``[transport]`` and check the rest of the section."""
        if not isinstance(section, Mapping) or not isinstance(section.get("driver"), str):
            return None  # the profile's own check has said so
        name = section["driver"]
        driver = self._driver(group, name, kind, f"{key}.driver")
        if driver is None:
            return None
        if kind is Storage:
            self.plugins.use_storage(name, driver)
        else:
            self.plugins.use_transport(name, driver)
        options = {k: v for k, v in section.items() if k != "driver"}
        return self._settings(driver, options, [key])

    def languages(self, profile: Profile) -> None:
        """Load the filter languages that are used, and the default one if it is installed."""
        for name in sorted({*profile.languages, profiles.DEFAULT_LANGUAGE}):
            self.language(profile, name)

    def language(self, profile: Profile, name: str) -> None:
        """Load a filter language if it is used or installed."""
        if name in profile.languages or name in self._catalogue.names(FILTERS):
            self._language(profile, name)

    def _language(self, profile: Profile, name: str) -> None:
        key = f"filters.{name}" if name in profile.filters else _used_in(profile, name)
        driver = self._driver(FILTERS, name, FilterLanguage, key)
        if driver is None:
            return
        settings = self._settings(driver, profile.filters.get(name, {}), ["filters", name])
        if settings is None:
            return
        with self._noting(name, key):
            self.plugins.use_language(name, driver(settings))

    def policies(self, profile: Profile) -> None:
        """Load the policies that tables use, each with its options."""
        used = {policy.name for policy in profile.policies}
        for name in sorted(profile.resolvers.keys() - used):  # a slip of the pen is in vain
            key = f"resolvers.{name}"
            driver = self._driver(RESOLVERS, name, Resolver, key)
            if driver is not None:
                self._settings(driver, profile.resolvers[name], ["resolvers", name])
        for policy in profile.policies:
            key = _policy_key(profile, policy)
            driver = self._driver(RESOLVERS, policy.name, Resolver, key)
            if driver is None:
                continue
            settings = self._settings(driver, policy.options, _options_key(profile, policy, key))
            if settings is None:
                continue
            with self._noting(policy.name, key):
                self.plugins.use_policy(policy, driver(settings))

    def enable(self, names: Sequence[str]) -> None:
        """Load holdfast's own plugins and those listed under ``plugins``."""
        try:
            self.plugins.enable(names, self._catalogue)
        except PluginError as error:
            self._found.append(Problem("plugins", str(error)))

    @contextmanager
    def _noting(self, name: str, key: str) -> Iterator[None]:
        """Note what goes wrong while a plugin is made; its own words may hold a secret."""
        try:
            yield
        except PluginError as error:
            self._found.append(Problem(key, str(error)))
        except Exception as error:  # noqa: BLE001  a plugin's failure is a mistake among others
            failure = PluginError(
                name, f"cannot be made: {type(error).__name__}; check its settings"
            )
            self._found.append(Problem(key, str(failure)))

    def _driver(self, group: str, name: str, kind: type[Driver], key: str) -> Any:  # Any: a class
        try:
            return self._catalogue.load_driver(group, name, kind)
        except PluginError as error:
            self._found.append(Problem(key, str(error)))
            return None

    def _settings(
        self, driver: type[Driver], options: Mapping[str, Any], key: Sequence[str]
    ) -> BaseModel | None:
        try:
            return driver.Settings.model_validate(options)
        except ValidationError as error:
            self._found.extend(profiles.problems(error, driver.Settings, key))
            return None


def _used_in(profile: Profile, language: str) -> str:
    for index, rule in enumerate(profile.profile.tables):
        used = rule.filter or {}
        if language in used or (language == profiles.VIEW_LANGUAGE and profiles.VIEW in used):
            return f"profile.tables[{index}].filter"
    return "filters"


def _options_key(profile: Profile, policy: Policy, key: str) -> Sequence[str]:
    """Return where the options of a policy are written."""
    shared = profile.resolvers.get(policy.name, {})
    return ["resolvers", policy.name] if shared and shared == policy.options else [key]


def _policy_key(profile: Profile, policy: Policy) -> str:
    for index, rule in enumerate(profile.profile.tables):
        if rule.resolver is not None and profile.policy(rule.name) == policy:
            return f"profile.tables[{index}].resolver"
    return "profile.conflict_detection"

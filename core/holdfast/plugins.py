"""Calling plugins: one typed method per hook, over one manager.

Invariant: the manager belongs to one replica or one command, never to a module; nothing takes part
unless the profile names it or holdfast ships it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import pluggy

from holdfast import hookspecs
from holdfast._hooks import AsyncHooks
from holdfast.contracts import Context, FilterLanguage, Resolver, Storage, Transport
from holdfast.discovery import FILTERS, PLUGINS, RESOLVERS, STORAGES, TRANSPORTS, Catalogue
from holdfast.errors import HoldfastError, PluginError
from holdfast.filters import Expression, Function
from holdfast.hookspecs import CommandLine, hookimpl
from holdfast.model import Conflict, Policy, Resolution
from holdfast.schema import TableSchema


class _OpenStorage:
    """The private plugin around the chosen storage: it answers for its own name, last."""

    def __init__(self, name: str, driver: type[Storage]) -> None:
        self._name = name
        self._driver = driver

    @hookimpl(trylast=True)
    def holdfast_open_storage(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Storage] | None:
        return self._driver.open(settings, context) if driver == self._name else None


class _OpenTransport:
    """The private plugin around the chosen transport."""

    def __init__(self, name: str, driver: type[Transport]) -> None:
        self._name = name
        self._driver = driver

    @hookimpl(trylast=True)
    def holdfast_open_transport(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Transport] | None:
        return self._driver.open(settings, context) if driver == self._name else None


class _CompileFilter:
    """The private plugin around one filter language."""

    def __init__(self, name: str, language: FilterLanguage) -> None:
        self._name = name
        self._language = language

    @hookimpl(trylast=True)
    def holdfast_compile_filter(
        self, language: str, source: str, schema: TableSchema
    ) -> Expression | None:
        return self._language.parse(source, schema) if language == self._name else None


class _ResolveConflict:
    """The private plugin around one policy with its options; it answers for that policy only."""

    def __init__(self, policy: Policy, resolver: Resolver) -> None:
        self._policy = policy
        self._resolver = resolver

    @hookimpl(trylast=True)
    async def holdfast_resolve_conflict(
        self, policy: Policy, conflict: Conflict
    ) -> Resolution | None:
        return await self._resolver.resolve(conflict) if policy == self._policy else None


class Plugins:
    """The typed face of all hooks; the engine calls plugins through nothing else."""

    def __init__(self) -> None:
        self._hooks = AsyncHooks()
        self._hooks.add_hookspecs(hookspecs)
        self._languages: dict[str, FilterLanguage] = {}
        #: Enabled plugins that could not be loaded, by name.
        self.failures: dict[str, PluginError] = {}

    def register(self, plugin: object, name: str) -> None:
        """Register an object with hook implementations.

        :raises PluginError: a hook is unknown, has unknown arguments or is of the wrong colour
        """
        try:
            self._hooks.register(plugin, name=name)
            self._hooks.check_pending()
        except (pluggy.PluginValidationError, ValueError) as error:
            if self._hooks.get_plugin(name) is plugin:  # an unknown hook is found only afterwards
                self._hooks.unregister(plugin)
            raise PluginError(name, f"cannot be registered: {error}") from error

    def enable(self, enabled: Sequence[str], catalogue: Catalogue) -> None:
        """Load and register holdfast's own plugins and those named; they are called alphabetically.

        :raises PluginError: one of ``enabled`` cannot be used; one of our own is noted in
            ``failures`` instead, since its extra may not be installed
        """
        every = catalogue.ours(PLUGINS) | set(enabled)
        for name in sorted(every, reverse=True):  # pluggy calls the last one first
            try:
                self.register(catalogue.load(PLUGINS, name), name)
            except PluginError as error:
                if name in enabled:
                    raise
                self.failures[name] = error

    def use_storage(self, name: str, driver: type[Storage]) -> None:
        """Let ``driver`` answer for the storage called ``name``."""
        self.register(_OpenStorage(name, driver), f"{STORAGES}:{name}")

    def use_transport(self, name: str, driver: type[Transport]) -> None:
        """Let ``driver`` answer for the transport called ``name``."""
        self.register(_OpenTransport(name, driver), f"{TRANSPORTS}:{name}")

    def use_language(self, name: str, language: FilterLanguage) -> None:
        """Let ``language`` compile the filters written in it.

        :raises PluginError: it supplies a function of the same name as another language in use;
            rows would be chosen by the wrong one
        """
        for other, known in self._languages.items():
            for function in sorted(set(known.functions) & set(language.functions)):
                raise PluginError(name, f"supplies the function {function!r}, as {other!r} does")
        self._languages[name] = language
        self.register(_CompileFilter(name, language), f"{FILTERS}:{name}")

    def use_policy(self, policy: Policy, resolver: Resolver) -> None:
        """Let ``resolver`` answer for exactly this policy."""
        number = len(self._hooks.get_plugins())  # one policy may be used with several options
        self.register(_ResolveConflict(policy, resolver), f"{RESOLVERS}:{policy.name}:{number}")

    def open_storage(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Storage]:
        """Call ``holdfast_open_storage``."""
        opened: AbstractAsyncContextManager[Storage] | None = (
            self._hooks.hook.holdfast_open_storage(
                driver=driver, settings=settings, context=context
            )
        )
        if opened is None:
            raise PluginError(driver, "no plugin opened this storage")
        return opened

    def open_transport(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Transport]:
        """Call ``holdfast_open_transport``."""
        opened: AbstractAsyncContextManager[Transport] | None = (
            self._hooks.hook.holdfast_open_transport(
                driver=driver, settings=settings, context=context
            )
        )
        if opened is None:
            raise PluginError(driver, "no plugin opened this transport")
        return opened

    def compile_filter(self, language: str, source: str, schema: TableSchema) -> Expression:
        """Call ``holdfast_compile_filter``.

        :raises FilterError: the text does not parse
        :raises PluginError: no plugin knows the language, or the one that does has a bug
        """
        try:
            compiled: Expression | None = self._hooks.hook.holdfast_compile_filter(
                language=language, source=source, schema=schema
            )
        except HoldfastError:
            raise
        except Exception as error:
            failure = f"failed on a filter: {type(error).__name__}"
            raise PluginError(language, failure) from error
        if compiled is None:
            known = ", ".join(sorted(self._languages)) or "none"
            raise PluginError(language, f"is no filter language in use; in use: {known}")
        return compiled

    @property
    def functions(self) -> dict[str, Function]:
        """What the languages in use supply for ``Call`` nodes."""
        return {
            name: function
            for language in self._languages.values()
            for name, function in language.functions.items()
        }

    def render_filter(self, language: str, expression: Expression, schema: TableSchema) -> str:
        """Return the text of an expression in a language that is in use.

        :raises FilterError: the language cannot say it
        """
        return self._languages[language].render(expression, schema)

    async def resolve_conflict(self, policy: Policy, conflict: Conflict) -> Resolution | None:
        """Call ``holdfast_resolve_conflict``."""
        resolution: Resolution | None = await self._hooks.first(
            "holdfast_resolve_conflict", policy=policy, conflict=conflict
        )
        return resolution

    def register_cli(self, commands: CommandLine) -> None:
        """Call ``holdfast_register_cli``."""
        self._hooks.hook.holdfast_register_cli(commands=commands)

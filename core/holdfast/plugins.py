"""Calling plugins: one typed method per hook, over one manager.

Invariants. The manager belongs to one replica or one command, never to a module; nothing takes part
unless the profile names it or holdfast ships it. Whatever a transport raises reaches the engine as
one of holdfast's own errors.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from holdfast import hookspecs
from holdfast._contained import contained
from holdfast._hooks import AsyncHooks
from holdfast.discovery import FILTERS, PLUGINS, RESOLVERS, STORAGES, TRANSPORTS, Catalogue
from holdfast.errors import PluginError
from holdfast.hookspecs import CommandLine, hookimpl

if TYPE_CHECKING:  # the verbs of a plugin need none of them
    from holdfast.contracts import (
        Context,
        FilterLanguage,
        Resolver,
        Storage,
        Tables,
        Transport,
    )
    from holdfast.filters import Expression, Function
    from holdfast.model import Conflict, Policy, Resolution
    from holdfast.queries import Selection
    from holdfast.schema import TableSchema

T = TypeVar("T")


@asynccontextmanager
async def _entered(plugin: str, opening: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Enter what a plugin gave; only its opening is contained, not what is done with it."""
    async with AsyncExitStack() as stack:
        with contained(plugin, "at opening"):
            opened = await stack.enter_async_context(opening)
        yield opened


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
        self, language: str, source: str, schema: TableSchema, tables: Tables
    ) -> Expression | None:
        return self._language.parse(source, schema, tables) if language == self._name else None

    @hookimpl(trylast=True)
    def holdfast_compile_selection(
        self, language: str, source: str, tables: Tables
    ) -> Selection | None:
        return self._language.parse_selection(source, tables) if language == self._name else None


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
            raise PluginError(
                name, f"cannot be registered: {error}; upgrade it, or leave it out"
            ) from error

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
                raise PluginError(
                    name, f"supplies the function {function!r}, as {other!r} does; use one of them"
                )
        self._languages[name] = language
        self.register(_CompileFilter(name, language), f"{FILTERS}:{name}")

    def use_policy(self, policy: Policy, resolver: Resolver) -> None:
        """Let ``resolver`` answer for exactly this policy."""
        number = len(self._hooks.get_plugins())  # one policy may be used with several options
        self.register(_ResolveConflict(policy, resolver), f"{RESOLVERS}:{policy.name}:{number}")

    def open_storage(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Storage]:
        """Call ``holdfast_open_storage``.

        :raises PluginError: no plugin answers for the driver, or the one that does has a bug
        """
        with contained(driver, "at opening"):
            opened: AbstractAsyncContextManager[Storage] | None = (
                self._hooks.hook.holdfast_open_storage(
                    driver=driver, settings=settings, context=context
                )
            )
        if opened is None:
            raise PluginError(driver, "no plugin opened this storage; who wraps it must return it")
        return _entered(driver, opened)

    def open_transport(
        self, driver: str, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Transport]:
        """Call ``holdfast_open_transport``; what the transport raises from then on is contained.

        :raises PluginError: no plugin answers for the driver, or the one that does has a bug
        """
        with contained(driver, "at opening"):
            opened: AbstractAsyncContextManager[Transport] | None = (
                self._hooks.hook.holdfast_open_transport(
                    driver=driver, settings=settings, context=context
                )
            )
        if opened is None:
            raise PluginError(
                driver, "no plugin opened this transport; who wraps it must return it"
            )
        return self._transport(driver, opened)

    @asynccontextmanager
    async def _transport(
        self, driver: str, opening: AbstractAsyncContextManager[Transport]
    ) -> AsyncIterator[Transport]:
        from holdfast._contained_transport import ContainedTransport

        async with _entered(driver, opening) as transport:
            yield ContainedTransport(transport, driver)

    @property
    def languages(self) -> list[str]:
        """The names of the filter languages in use."""
        return sorted(self._languages)

    def compile_filter(
        self, language: str, source: str, schema: TableSchema, tables: Tables
    ) -> Expression:
        """Call ``holdfast_compile_filter``.

        :raises FilterError: the text does not parse
        :raises PluginError: no plugin knows the language, or the one that does has a bug
        """
        with contained(language, "on a filter"):
            compiled: Expression | None = self._hooks.hook.holdfast_compile_filter(
                language=language, source=source, schema=schema, tables=tables
            )
        if compiled is None:
            raise self._no_language(language)
        return compiled

    def compile_selection(self, language: str, source: str, tables: Tables) -> Selection:
        """Call ``holdfast_compile_selection``.

        :raises FilterError: the text does not parse
        :raises PluginError: no plugin knows the language, or the one that does has a bug
        """
        with contained(language, "on a query"):
            compiled: Selection | None = self._hooks.hook.holdfast_compile_selection(
                language=language, source=source, tables=tables
            )
        if compiled is None:
            raise self._no_language(language)
        return compiled

    def render_filter(
        self, language: str, expression: Expression, schema: TableSchema, tables: Tables
    ) -> str:
        """Return the expression as text of a language in use.

        :raises FilterError: the language cannot say it
        :raises PluginError: the language is not in use, or has a bug
        """
        if language not in self._languages:
            raise self._no_language(language)
        with contained(language, "on rendering a filter"):
            return self._languages[language].render(expression, schema, tables)

    def _no_language(self, language: str) -> PluginError:
        known = ", ".join(sorted(self._languages)) or "none"
        return PluginError(language, f"is no filter language in use; in use: {known}")

    @property
    def functions(self) -> dict[str, Function]:
        """What the languages in use supply for ``Call`` nodes."""
        return {
            name: function
            for language in self._languages.values()
            for name, function in language.functions.items()
        }

    async def resolve_conflict(self, policy: Policy, conflict: Conflict) -> Resolution | None:
        """Call ``holdfast_resolve_conflict``."""
        resolution: Resolution | None = await self._hooks.first(
            "holdfast_resolve_conflict", policy=policy, conflict=conflict
        )
        return resolution

    def register_cli(self, commands: CommandLine) -> None:
        """Call ``holdfast_register_cli``."""
        self._hooks.hook.holdfast_register_cli(commands=commands)

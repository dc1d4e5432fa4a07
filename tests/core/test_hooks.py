"""Hooks: one colour each, one order, and the driver always last."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from holdfast import hookimpl, hookspecs
from holdfast._system import system_environment
from holdfast.contracts import Context, FilterLanguage, Resolver, Tables
from holdfast.discovery import Catalogue
from holdfast.errors import PluginError
from holdfast.filters import EVERYTHING, Expression, Or
from holdfast.model import Conflict, KeepLocal, KeepRemote, Merge, Policy, Resolution
from holdfast.plugins import Plugins
from holdfast.schema import TableSchema
from holdfast.testing import MemoryStorage
from holdfast.testing._storage import MemoryStorageSettings
from support.world import ACCOUNT

KINDS = {"open", "compile", "decision", "event", "around", "register"}
POLICY = Policy("mine")
CONFLICT = Conflict("account", "x", None, None, None, (), frozenset(), frozenset())


def specs() -> dict[str, Any]:
    """Return every hook by name."""
    found = vars(hookspecs).items()
    return {n: f for n, f in found if n.startswith("holdfast_") and inspect.isfunction(f)}


@pytest.mark.parametrize("name", sorted(specs()))
def test_every_hook_says_when_it_fires_of_what_kind_it_is_and_since_when(name: str) -> None:
    spec = specs()[name]
    doc = inspect.getdoc(spec) or ""
    kind = re.search(r"Kind: (\w+)\.", doc)
    assert kind is not None
    assert kind[1] in KINDS
    assert re.search(r"Since \d+\.\d+\.", doc)
    assert "Fires" in doc
    assert "error" in doc
    awaited = kind[1] in {"decision", "event"}
    assert inspect.iscoroutinefunction(spec) is awaited
    typed = set(inspect.get_annotations(spec))
    assert typed == {*inspect.signature(spec).parameters, "return"}


class _Language(FilterLanguage):
    name = "tiny"

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        return Or()

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        return ""


class _Policy(Resolver):
    name = "mine"

    def __init__(self, log: list[str]) -> None:
        super().__init__(None)
        self._log = log

    async def resolve(self, conflict: Conflict) -> Resolution | None:
        self._log.append("driver")
        return KeepRemote()


def decider(
    name: str,
    log: list[str],
    answer: Resolution | None = None,
    *,
    tryfirst: bool = False,
    trylast: bool = False,
) -> object:
    """Return a plugin that notes that it was asked."""

    class Plugin:
        @hookimpl(tryfirst=tryfirst, trylast=trylast)
        async def holdfast_resolve_conflict(
            self, policy: Policy, conflict: Conflict
        ) -> Resolution | None:
            log.append(name)
            return answer

    return Plugin()


# Colours.


def test_an_async_answer_to_a_plain_hook_is_refused_at_registration() -> None:
    class Plugin:
        @hookimpl
        async def holdfast_compile_filter(self, language: str) -> None: ...

    with pytest.raises(PluginError, match="'holdfast_compile_filter' must be plain def"):
        Plugins().register(Plugin(), "wrong")


def test_a_plain_answer_to_an_async_hook_is_refused_at_registration() -> None:
    class Plugin:
        @hookimpl
        def holdfast_resolve_conflict(self, policy: Policy) -> None: ...

    with pytest.raises(PluginError, match="must be async def"):
        Plugins().register(Plugin(), "wrong")


def test_a_wrapper_of_an_async_hook_is_refused_at_registration() -> None:
    class Plugin:
        @hookimpl(wrapper=True)
        def holdfast_resolve_conflict(self) -> Iterator[None]:
            yield

    with pytest.raises(PluginError, match="must be async def"):
        Plugins().register(Plugin(), "wrong")


def test_the_same_name_twice_is_refused() -> None:
    hooks = Plugins()
    hooks.register(object(), "one")
    with pytest.raises(PluginError, match="cannot be registered"):
        hooks.register(object(), "one")


# Order.


async def test_plugins_are_called_alphabetically_then_by_their_wish_and_the_driver_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log: list[str] = []
    made = {
        "beta": decider("beta", log),
        "alpha": decider("alpha", log),
        "zeta": decider("zeta", log, tryfirst=True),
        "aaa-last": decider("aaa-last", log, trylast=True),
    }
    monkeypatch.setattr(Catalogue, "load", lambda self, group, name: made[name])
    hooks = Plugins()
    monkeypatch.setattr(Catalogue, "ours", lambda self, group: set())
    hooks.enable(list(made), Catalogue())
    hooks.use_policy(POLICY, _Policy(log))
    answer = await hooks.resolve_conflict(POLICY, CONFLICT)
    assert log == ["zeta", "alpha", "beta", "aaa-last", "driver"]
    assert answer == KeepRemote()


async def test_the_first_answer_counts() -> None:
    log: list[str] = []
    hooks = Plugins()
    hooks.use_policy(POLICY, _Policy(log))
    hooks.register(decider("b", log, KeepLocal()), "b")
    hooks.register(decider("a", log, None), "a")
    assert await hooks.resolve_conflict(POLICY, CONFLICT) == KeepLocal()
    assert log == ["a", "b"]


async def test_a_policy_answers_only_with_its_own_options() -> None:
    log: list[str] = []
    hooks = Plugins()
    hooks.use_policy(Policy("mine", {"strict": True}), _Policy(log))
    assert await hooks.resolve_conflict(POLICY, CONFLICT) is None
    assert await hooks.resolve_conflict(Policy("mine", {"strict": True}), CONFLICT) == KeepRemote()


async def test_an_answer_may_take_only_the_arguments_it_needs() -> None:
    class Plugin:
        @hookimpl(specname="holdfast_resolve_conflict")
        async def decide(self, conflict: Conflict) -> Resolution:
            return Merge({"id": conflict.row_id})

    hooks = Plugins()
    hooks.register(Plugin(), "p")
    assert await hooks.resolve_conflict(POLICY, CONFLICT) == Merge({"id": "x"})


# Stepping in and wrapping.


def _open(hooks: Plugins, driver: str = "memory") -> AbstractAsyncContextManager[Any]:
    context = Context(system_environment(), Path())
    return hooks.open_storage(driver, MemoryStorageSettings(), context)


async def test_a_driver_answers_for_its_own_name_only() -> None:
    hooks = Plugins()
    hooks.use_storage("memory", MemoryStorage)
    async with _open(hooks) as storage:
        assert isinstance(storage, MemoryStorage)
    with pytest.raises(PluginError, match="no plugin opened this storage"):
        _open(hooks, "other")
    with pytest.raises(PluginError, match="no plugin opened this transport"):
        hooks.open_transport("other", None, Context(system_environment(), Path()))


async def test_a_plugin_may_step_in_before_the_driver() -> None:
    opened: list[str] = []

    class Plugin:
        @hookimpl
        def holdfast_open_storage(
            self, driver: str, settings: Any, context: Context
        ) -> AbstractAsyncContextManager[Any]:
            opened.append(driver)
            return MemoryStorage.open(settings.model_copy(update={"name": "other"}), context)

    hooks = Plugins()
    hooks.use_storage("memory", MemoryStorage)
    hooks.register(Plugin(), "p")
    async with _open(hooks) as storage:
        assert storage.location == "memory:other"
    assert opened == ["memory"]


async def test_a_plugin_may_wrap_the_driver() -> None:
    wrapped: list[object] = []

    class Plugin:
        @hookimpl(wrapper=True)
        def holdfast_open_storage(self) -> Iterator[None]:
            manager = yield
            wrapped.append(manager)
            return manager

    hooks = Plugins()
    hooks.use_storage("memory", MemoryStorage)
    hooks.register(Plugin(), "p")
    async with _open(hooks) as storage:
        assert storage.location == "memory:default"
    assert len(wrapped) == 1


def test_a_plugin_may_compile_what_no_language_does() -> None:
    class Plugin:
        @hookimpl
        def holdfast_compile_filter(self, language: str) -> Expression | None:
            return EVERYTHING if language == "everything" else None

    hooks = Plugins()
    hooks.use_language("tiny", _Language(None))
    with pytest.raises(PluginError, match="is no filter language in use; in use: tiny"):
        hooks.compile_filter("everything", "", ACCOUNT, {})
    hooks.register(Plugin(), "p")
    assert hooks.compile_filter("everything", "", ACCOUNT, {}) == EVERYTHING
    assert hooks.compile_filter("tiny", "", ACCOUNT, {}) == Or()

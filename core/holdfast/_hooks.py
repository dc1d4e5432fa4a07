"""Async calls over pluggy: pluggy registers, validates and orders; this module awaits.

Invariant: each hook has one colour, fixed by its spec; the other is refused at registration, so no
caller ever awaits "maybe".
"""

from __future__ import annotations

import inspect
from typing import Any

import pluggy

PROJECT = "holdfast"


class AsyncHooks(pluggy.PluginManager):
    """A plugin manager that knows which hooks are awaited."""

    def __init__(self) -> None:
        super().__init__(PROJECT)
        self._awaited: dict[str, bool] = {}

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:  # Any: pluggy's own
        """Remember the colour of each spec."""
        opts = super().parse_hookspec_opts(module_or_class, name)
        if opts is not None:
            self._awaited[name] = inspect.iscoroutinefunction(getattr(module_or_class, name))
        return opts

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:  # Any: pluggy's own
        """Refuse an implementation of the wrong colour.

        :raises pluggy.PluginValidationError: the spec is ``async def`` and this is not, or else
        """
        opts = super().parse_hookimpl_opts(plugin, name)
        if opts is None:
            return None
        awaited = self._awaited.get(opts.get("specname") or name)
        if awaited is not None and awaited != inspect.iscoroutinefunction(getattr(plugin, name)):
            wanted = "async def" if awaited else "plain def"
            raise pluggy.PluginValidationError(plugin, f"{name!r} must be {wanted}, as its spec is")
        return opts

    async def first(self, hook: str, **kwargs: Any) -> Any:  # Any: per hook, typed by the facade
        """Await the implementations in call order until one answers something but None."""
        caller: pluggy.HookCaller = getattr(self.hook, hook)
        # pluggy keeps its list in reverse call order; a test pins that.
        for implementation in reversed(caller.get_hookimpls()):
            arguments = [kwargs[name] for name in implementation.argnames]
            function: Any = implementation.function  # async def: registration made sure
            answer = await function(*arguments)
            if answer is not None:
                return answer
        return None

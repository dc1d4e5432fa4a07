"""Every hook, with when it fires, who wins and what an error does.

A hook is *open* or *compile* (plain ``def``, the first answer that is not None), *decision*
(``async def``, the first answer that is not None) or *register* (plain ``def``, all). Plugins are
called in alphabetical order, then ``tryfirst``/``trylast``; the driver that the profile chose is
always called last, so a plugin may step in before it or wrap it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from holdfast._hooks import PROJECT

if TYPE_CHECKING:  # pluggy reads the names of arguments, not their types
    from holdfast.contracts import Context, Storage, Transport
    from holdfast.filters import Expression
    from holdfast.model import Conflict, Policy, Resolution
    from holdfast.queries import Selection
    from holdfast.schema import TableSchema

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class CommandLine(Protocol):
    """The command line that verbs are added to."""

    def add(self, function: Callable[..., object], *, name: str) -> None:
        """Add a verb; the function's annotations and docstring are its options and its help.

        An ``int`` that the function returns is the exit code.
        """
        ...


@hookspec(firstresult=True)
def holdfast_open_storage(
    driver: str, settings: Any, context: Context
) -> AbstractAsyncContextManager[Storage] | None:
    """Open the storage called ``driver``; wrap this to encrypt, meter or cache.

    Kind: open. Fires once when a replica is opened; an error stops the opening. Since 1.0.
    """


@hookspec(firstresult=True)
def holdfast_open_transport(
    driver: str, settings: Any, context: Context
) -> AbstractAsyncContextManager[Transport] | None:
    """Open the transport called ``driver``.

    Kind: open. Fires once when a replica is opened; an error stops the opening. Since 1.0.
    """


@hookspec(firstresult=True)
def holdfast_compile_filter(
    language: str, source: str, schema: TableSchema, tables: Mapping[str, TableSchema]
) -> Expression | None:
    """Turn the text of a filter into the algebra of ``holdfast.filters``.

    ``tables`` are the schemas of all kept tables, ``schema`` among them.

    Kind: compile. Fires once per filter of the profile and per query; an error is the caller's.
    Since 1.0.
    """


@hookspec(firstresult=True)
def holdfast_compile_selection(
    language: str, source: str, tables: Mapping[str, TableSchema]
) -> Selection | None:
    """Turn the text of a whole query, joins and aggregates included, into a selection.

    Kind: compile. Fires once per ``Replica.fetch``; an error is the caller's. Since 1.0.
    """


@hookspec
async def holdfast_resolve_conflict(policy: Policy, conflict: Conflict) -> Resolution | None:
    """Decide a conflict; the first answer counts, the table's own policy is asked last.

    Kind: decision. Fires once per conflict and round, outside transactions; an error or no answer
    leaves the conflict to a person, as an issue that names the plugin. Since 1.0.
    """


@hookspec
def holdfast_register_cli(commands: CommandLine) -> None:
    """Add verbs to the ``holdfast`` command.

    Kind: register. Fires once when the command starts; an error is reported and the other verbs
    stay. Since 1.0.
    """

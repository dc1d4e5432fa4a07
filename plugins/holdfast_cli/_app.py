"""The verbs, put together; plugins add theirs through ``holdfast_register_cli``.

Invariant: a plugin that cannot be loaded, or fails while it adds its verbs, costs one line on
stderr; all other verbs stay. Plugins are imported only when one of their verbs may be meant.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from cyclopts import App, CycloptsError, UnusedCliTokensError

from holdfast.discovery import PLUGINS, Catalogue
from holdfast.errors import HoldfastError, PluginError, ProfileError
from holdfast.plugins import Plugins
from holdfast_cli._errors import EXIT_CODES_HELP, ExitCode, exit_code, in_words, unexpected
from holdfast_cli._log import warnings_on_stderr
from holdfast_cli._options import PROFILE_VARIABLE, named_profile, profile_last
from holdfast_cli._plain import one_line, say

#: In the order of a working day, not of the alphabet; imported when one of them may be meant.
_VERBS: Final = (
    "_verbs_about:init",
    "_verbs_about:plugins",
    "_verbs_sync:download",
    "_verbs_about:status",
    "_verbs_query:query",
    "_verbs_query:explain",
    "_verbs_rows:create",
    "_verbs_rows:update",
    "_verbs_rows:delete",
    "_verbs_sync:sync",
    "_verbs_sync:offline",
    "_verbs_issues:issues",
    "_verbs_rescue:rescue",
)


class Verbs:
    """The command line as plugins see it: a :class:`holdfast.hookspecs.CommandLine`."""

    def __init__(self, app: App, plugin: str) -> None:
        self._app = app
        self._plugin = plugin

    def add(self, function: Callable[..., object], *, name: str) -> None:
        """Add a verb.

        :raises PluginError: the name is taken
        """
        if name in self._app:
            raise PluginError(self._plugin, f"there is already a verb called {name}")
        self._app.command(function, name=name)


def own_verbs() -> App:
    """Return the command with the verbs that are always there."""
    app = App(
        name="holdfast",
        help="Work on a local replica of your tables, and sync when there is a network.",
        help_epilogue=EXIT_CODES_HELP,
        version=lambda: f"holdfast {importlib.metadata.version('holdfast')}",
    )
    for position, verb in enumerate(_VERBS):
        app.command(f"holdfast_cli.{verb}", name=verb.partition(":")[2], sort_key=position)
    return app


def run(tokens: Sequence[str]) -> int:
    """Run one command line; no error leaves it, apart from those that end an interpreter."""
    _replace_what_cannot_be_encoded()
    try:
        with warnings_on_stderr():
            return _dispatch(profile_last(tokens))
    except CycloptsError as error:
        say(_misread(error))
        return ExitCode.USAGE
    except HoldfastError as error:
        say(in_words(error))
        return exit_code(error)
    except KeyboardInterrupt:
        say("stopped; what was stored stays, run the same command to go on")
        return ExitCode.STOPPED
    except BrokenPipeError:  # `holdfast query … | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED
    except Exception as error:  # noqa: BLE001  the edge of the program: one line, never a row
        say(unexpected(error))
        return ExitCode.FAILED


def _misread(error: CycloptsError) -> str:
    """Return what is wrong with the words, and which help page has the right ones."""
    chain = tuple(error.command_chain or ())
    if isinstance(error, UnusedCliTokensError):
        what = f"{' '.join(error.unused_tokens or ())!r} is too much here"
    else:
        what = str(error).rstrip(".")
    page = " ".join(("holdfast", *chain, "--help"))
    return f"{one_line(what)}; `{page}` shows what is understood"


def _replace_what_cannot_be_encoded() -> None:
    """Print a question mark for a letter that the terminal does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _dispatch(tokens: Sequence[str]) -> int:
    app = own_verbs()
    if not tokens or tokens[0] not in app or tokens[0].startswith("-"):
        add_plugin_verbs(app, named_profile(tokens, os.environ.get(PROFILE_VARIABLE)))
    verb, bound, _ = app.parse_args(list(tokens), print_error=False, exit_on_error=False)
    result = verb(*bound.args, **bound.kwargs)
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    sys.stdout.flush()  # a reader that went away is noticed here, not when the interpreter ends
    return int(result) if isinstance(result, int) else ExitCode.DONE


def add_plugin_verbs(app: App, profile: Path) -> None:
    """Let holdfast's own plugins and those of the profile add their verbs."""
    catalogue = Catalogue()
    for name in sorted({*catalogue.ours(PLUGINS), *_listed(profile)}):
        try:
            _add_verbs_of(catalogue, name, Verbs(app, name))
        except PluginError as error:
            say(one_line(str(error)))


def _add_verbs_of(catalogue: Catalogue, name: str, verbs: Verbs) -> None:
    """Ask one plugin alone, so that its failure is its own.

    :raises PluginError: it cannot be loaded, or failed
    """
    plugins = Plugins()
    plugins.register(catalogue.load(PLUGINS, name), name)
    try:
        plugins.register_cli(verbs)
    except PluginError:
        raise
    except Exception as error:
        raise PluginError(name, f"could not add its verbs: {type(error).__name__}") from error


def _listed(profile: Path) -> Iterable[str]:
    """Return the plugins that the profile lists; its mistakes are told by the verbs that use it."""
    try:
        if not profile.exists():  # the usual case of who needs none is not to read profiles
            return ()
        from holdfast.profile import parse, read

        return parse(str(profile), read(profile)).plugins
    except (ProfileError, OSError):
        return ()

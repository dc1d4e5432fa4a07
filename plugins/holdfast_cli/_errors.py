"""From an error to an exit code and to words; nothing here may print a row or a token.

Invariant: an error that holdfast foresees is told in its own words, one that it does not is told by
its kind and place only, since its text may hold a row.
"""

from __future__ import annotations

import os
import traceback
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.errors import (
    HoldfastError,
    NotDownloaded,
    SignInNeeded,
    StorageLocked,
    Unreachable,
    UsageError,
    WorkingOffline,
)

if TYPE_CHECKING:
    from holdfast.status import SyncReport

DEBUG_VARIABLE: Final = "HOLDFAST_DEBUG"


class ExitCode(IntEnum):
    """What the command's exit code says."""

    DONE = 0
    FAILED = 1  # the network, the server, the storage, or a bug
    USAGE = 2  # the words or the profile are wrong
    OPEN = 3  # done, but something waits or a person is asked
    SIGN_IN = 4
    OFFLINE = 5  # Work offline is on
    STOPPED = 130  # Ctrl-C


EXIT_CODES_HELP: Final = (
    "Exit codes: 0 done · 1 something failed (network, server, storage) · "
    "2 a mistake in the words or the profile · 3 done, but something waits or is open · "
    "4 sign-in needed · 5 Work offline is on · 130 stopped by Ctrl-C"
)

_HINTS: Final[tuple[tuple[type[HoldfastError], str], ...]] = (
    (NotDownloaded, "`holdfast download` does it"),
    (WorkingOffline, "`holdfast offline off` does it"),
    (StorageLocked, "`status`, `query` and `issues` work beside it"),
    (SignInNeeded, "your changes are kept here, `credential` in the profile says how to sign in"),
    (Unreachable, "your changes are kept here, try again when there is a network"),
)


def exit_code(error: HoldfastError) -> ExitCode:
    """Return what the command exits with after this error."""
    match error:
        case UsageError():
            return ExitCode.USAGE
        case WorkingOffline():
            return ExitCode.OFFLINE
        case SignInNeeded():
            return ExitCode.SIGN_IN
        case _:
            return ExitCode.FAILED


def report_code(report: SyncReport) -> ExitCode:
    """Return what the command exits with after a sync."""
    if report.failure is not None:
        return exit_code(report.failure)
    settled = report.complete and not report.issues
    return ExitCode.DONE if settled else ExitCode.OPEN


def in_words(error: HoldfastError) -> str:
    """Return what to tell a person, with the verb that helps if there is one."""
    hint = next((text for kind, text in _HINTS if isinstance(error, kind)), None)
    return str(error) if hint is None else f"{error}; {hint}"


def unexpected(error: BaseException) -> str:
    """Tell a bug by its kind and place; the way to it only where debugging was asked for."""
    if os.environ.get(DEBUG_VARIABLE) == "1":
        return f"unexpected {_chain(error)}"
    return (
        f"unexpected {type(error).__name__} at {_place(error)}; this is a bug, "
        f"{DEBUG_VARIABLE}=1 shows the way to it"
    )


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"


def _chain(error: BaseException) -> str:
    """Return the frames of an error and of its causes, without their texts."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    own = f"{type(error).__name__}\n{frames}".rstrip()
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    for other in (*inner, *([cause] if cause is not None else [])):
        own += f"\nfrom {_chain(other)}"
    return own

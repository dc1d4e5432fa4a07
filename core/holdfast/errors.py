"""Every error that holdfast raises, and the question who must act.

::

    HoldfastError
    ├── UsageError                the caller asked for something that is not there
    │   ├── ProfileError          the profile has mistakes; all of them, each with its key
    │   ├── InvalidValue          a local write does not fit the table; nothing was written
    │   ├── FilterError           a filter does not parse
    │   ├── QueryError            a question that cannot be asked so
    │   ├── UnknownTable          the table is not kept offline
    │   ├── RowNotFound           the row is not in the replica
    │   ├── IssueNotFound         no such issue or history entry
    │   └── NotDownloaded         the first download has not run
    ├── PluginError               a plugin cannot be found, loaded or used
    ├── StorageError              the local file
    │   ├── StorageMissing        there is none yet, and it was opened to be read
    │   ├── StorageLocked         another process owns it
    │   ├── ReplicaTooNew         a newer holdfast wrote it
    │   ├── ReplicaTooOld         an older holdfast wrote it, and it was opened to be read
    │   ├── ReplicaMismatch       it belongs to another user or organisation
    │   ├── StorageDamaged        what is read makes no sense; it is kept, and written no more
    │   └── StorageFull           there is no room; nothing was written
    ├── WorkingOffline            the switch is on: nothing is sent or fetched
    └── TransportError            the server or the way to it
        ├── Unreachable           no answer; passes by itself
        ├── Throttled             the server asks to wait; passes by itself
        ├── SignInNeeded          the token was refused
        ├── AccessDenied          the caller may not do this
        ├── CheckpointExpired     the checkpoint is void; the scope must be read anew
        ├── UntrustedLink         an answer points to another origin; nothing was sent there
        └── ProtocolError         an answer that makes no sense

A message is a clause saying what happened, then ``; `` and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

_SHOWN: Final = 80  # characters of a line on either side of a mistake


class HoldfastError(Exception):
    """The root of all errors raised by holdfast.

    One can be copied and pickled, whatever its class is made with.
    """

    def __reduce__(self) -> tuple[object, ...]:
        """Return how to make it anew: from its message and its attributes."""
        return _made_anew, (type(self), self.args, dict(vars(self)))


def _made_anew(
    kind: type[HoldfastError], args: tuple[object, ...], attributes: Mapping[str, object]
) -> HoldfastError:
    error = kind.__new__(kind)
    error.args = args
    vars(error).update(attributes)
    return error


class UsageError(HoldfastError):
    """Raised when the caller asked for something that cannot be done as asked."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where, and what is wrong with it and allowed instead."""

    key: str
    message: str

    def __str__(self) -> str:
        return f"{self.key}: {self.message}" if self.key else self.message


class _Problems(UsageError):
    """An error that names every mistake at once."""

    def __init__(self, subject: str, problems: Sequence[Problem], *, listed: bool = True) -> None:
        self.subject = subject
        self.problems = tuple(problems)
        lines = "".join(f"\n  {problem}" for problem in self.problems) if listed else ""
        super().__init__(f"{subject}{lines}")


class ProfileError(_Problems):
    """Raised when a profile has mistakes; ``problems`` has all of them."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        if len(problems) == 1 and not problems[0].key:  # the file as a whole
            super().__init__(f"{source}: {problems[0].message}", problems, listed=False)
            return
        count = "one mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{source} has {count}; correct and try again:", problems)


class InvalidValue(_Problems):
    """Raised when a local write does not fit the table; nothing was written."""

    def __init__(self, table: str, problems: Sequence[Problem]) -> None:
        self.table = table
        super().__init__(f"{table} cannot be written so; nothing was changed:", problems)


class QueryError(_Problems):
    """Raised when a query names what is not there, or cannot be sorted or cut so."""

    def __init__(self, table: str, problems: Sequence[Problem]) -> None:
        self.table = table
        super().__init__(f"{table} cannot be asked so:", problems)


class FilterError(UsageError):
    """Raised when a filter does not parse, or says what its language cannot.

    ``position`` counts characters from 0; None where the whole is meant.
    """

    def __init__(
        self, language: str, source: str, message: str, *, position: int | None = None
    ) -> None:
        self.language = language
        self.source = source
        self.position = position
        where, pointer = _place(source, position)
        super().__init__(f"the {language} filter is not understood{where}: {message}{pointer}")


def _place(source: str, position: int | None) -> tuple[str, str]:
    """Return how a place in a text is called, and the line with a pointer at it."""
    if position is None:
        return "", ""
    start = source.rfind("\n", 0, position) + 1
    line = source[start:].partition("\n")[0].rstrip("\r")
    column = position - start
    where = f" at character {position + 1}"
    if "\n" in source:
        where = f" at line {source.count(chr(10), 0, position) + 1}, column {column + 1}"
    cut = max(0, column - _SHOWN)
    shown = line[cut : column + _SHOWN].replace("\t", " ")
    return where, f"\n  {shown}\n  {' ' * (column - cut)}^"


class UnknownTable(UsageError):
    """Raised when a table is not kept offline by the profile."""

    def __init__(self, table: str, known: Sequence[str]) -> None:
        self.table = table
        names = ", ".join(sorted(known)) or "none"
        super().__init__(f"table {table!r} is not kept offline; the profile has {names}")


class RowNotFound(UsageError):
    """Raised when a row is not in the replica."""

    def __init__(self, table: str, row_id: str) -> None:
        self.table = table
        self.row_id = row_id
        super().__init__(
            f"{table} has no row {row_id} here; it was deleted, or the profile does not select it"
        )


class IssueNotFound(UsageError):
    """Raised when no issue or history entry has this id, or this cannot be done to it."""

    def __init__(self, issue_id: str, reason: str = "there is none") -> None:
        self.issue_id = issue_id
        super().__init__(f"issue {issue_id}: {reason}; `holdfast issues` lists them")


class NotDownloaded(UsageError):
    """Raised when the replica is empty because its first download has not run."""

    def __init__(self, table: str | None = None) -> None:
        self.table = table
        what = "this replica has not" if table is None else f"table {table!r} has not"
        super().__init__(f"{what} been downloaded yet; run a download while there is a network")


class PluginError(HoldfastError):
    """Raised when a plugin cannot be found, loaded or used."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin!r}: {message}")


class StorageError(HoldfastError):
    """Raised when the local storage failed; what was asked has not happened.

    With one exception: a write whose flush failed may be found done after a crash, whole.
    """


class StorageMissing(StorageError):
    """Raised when there is no replica yet where one was to be read."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(f"there is no replica at {location} yet; run a download first")


class StorageLocked(StorageError):
    """Raised when another process owns the replica; ``pid`` is that process, if it is known."""

    def __init__(self, location: str, pid: int | None) -> None:
        self.location = location
        self.pid = pid
        who = "another process" if pid is None else f"process {pid}"
        super().__init__(f"{location} is in use by {who}; stop it, or open the replica read-only")


class ReplicaTooNew(StorageError):
    """Raised when a newer holdfast wrote the replica; nothing was touched."""

    def __init__(self, location: str, found: int, known: int) -> None:
        self.location = location
        self.found = found
        self.known = known
        super().__init__(
            f"{location} has format {found}, this holdfast knows {known}; upgrade holdfast"
        )


class ReplicaTooOld(StorageError):
    """Raised when only an owner can bring the replica forward."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(
            f"{location} was written by an older version; open it once to write, "
            "as any sync does, and it is brought forward"
        )


class ReplicaMismatch(StorageError):
    """Raised when the replica belongs to another user, organisation or server."""

    def __init__(self, location: str, belongs: str, asked: str) -> None:
        self.location = location
        self.belongs = belongs
        self.asked = asked
        super().__init__(
            f"{location} belongs to {belongs}, not to {asked}; "
            "sign in as its owner or use another file"
        )


class StorageDamaged(StorageError):
    """Raised when the storage holds what nobody wrote; nothing more is written to it."""

    def __init__(self, location: str, finding: str) -> None:
        self.location = location
        self.finding = finding
        super().__init__(
            f"{location} is damaged ({finding}); keep it as it is, "
            "`holdfast rescue` reads out of it what was not sent"
        )


class StorageFull(StorageError):
    """Raised when there is no room left; nothing was written."""

    def __init__(self, location: str) -> None:
        self.location = location
        super().__init__(f"{location} could not grow; nothing was written, free some space")


class WorkingOffline(HoldfastError):
    """Raised when something needs the server while the Work offline switch is on."""

    def __init__(self) -> None:
        super().__init__("Work offline is on; turn it off to reach the server")


class TransportError(HoldfastError):
    """Raised when the server, or the way to it, did not do what was asked.

    ``retry_after`` is the number of seconds after which it is worth trying again; None where only
    a person can help.
    """

    retry_after: float | None = None

    def __init__(self, message: str, *, code: str = "", retry_after: float | None = None) -> None:
        self.code = code
        self.retry_after = retry_after
        super().__init__(message)


class Unreachable(TransportError):
    """Raised when no usable answer came; it may pass by itself."""

    def __init__(self, message: str, *, retry_after: float = 15.0) -> None:
        super().__init__(message, retry_after=retry_after)


class Throttled(TransportError):
    """Raised when the server kept asking to wait for longer than the caller is ready to."""

    def __init__(self, retry_after: float) -> None:
        super().__init__(
            f"the server asks to wait {retry_after:.0f} s; the next sync goes on",
            retry_after=retry_after,
        )


class SignInNeeded(TransportError):
    """Raised when the server refused the token; only the user can help."""


class AccessDenied(TransportError):
    """Raised when the caller may not do this; an administrator can help."""


class CheckpointExpired(TransportError):
    """Raised when a checkpoint is void; the scope must be read anew."""


class UntrustedLink(TransportError):
    """Raised when an answer links to another origin; nothing was sent there."""


class ProtocolError(TransportError):
    """Raised when an answer makes no sense; nothing of it was used."""

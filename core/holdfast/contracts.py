"""What a driver implements, and what it is given.

A driver is a class with a ``name``, a pydantic ``Settings`` and a classmethod ``open``; it writes
no pluggy. Later methods come with defaults, so that a new one breaks nobody.

Glossary. **owner**: the one process that writes a replica. **layout**: a stored table: a key, and
fields in a fixed order. **record**: the cells of one stored row, in that order.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar

from pydantic import BaseModel

from holdfast.errors import FilterError, StorageError
from holdfast.filters import EVERYTHING, Expression, Function
from holdfast.model import (
    Caller,
    Capabilities,
    Conflict,
    Connectivity,
    Outcome,
    Page,
    Record,
    Resolution,
    Scope,
    Unit,
    Unreadable,
    View,
)
from holdfast.queries import Selection
from holdfast.schema import Field, TableSchema

Key: TypeAlias = str | int
#: Schemas by table name.
Tables: TypeAlias = Mapping[str, TableSchema]
T = TypeVar("T")


class Clock(Protocol):
    """Wall time, for display; it never decides order. Waiting is the loop's."""

    def now(self) -> datetime:
        """Return the time in UTC, aware."""
        ...


class Ids(Protocol):
    """Ids that nobody else makes."""

    def new(self) -> str:
        """Return a fresh GUID as lower-case text; later ones sort later where that is possible."""
        ...


class Random(Protocol):
    """Randomness for jitter and boundaries, never for secrets."""

    def fraction(self) -> float:
        """Return a number in [0, 1)."""
        ...


class Threads(Protocol):
    """The only way to blocking code."""

    async def run(self, function: Callable[[], T]) -> T:
        """Run ``function`` where it does not hold the loop."""
        ...


@dataclass(frozen=True, slots=True)
class Environment:
    """The seams together, handed to every driver."""

    clock: Clock
    ids: Ids
    random: Random
    threads: Threads


class OpenMode(Enum):
    """How a storage is opened."""

    OWNER = "owner"  # reads and writes; one process at a time
    READER = "reader"  # reads beside an owner


@dataclass(frozen=True, slots=True)
class Context:
    """What a driver is opened with; relative paths start in ``folder``, the profile's."""

    environment: Environment
    folder: Path
    mode: OpenMode = OpenMode.OWNER


@dataclass(frozen=True, slots=True)
class Layout:
    """A stored table. ``fields[0]`` is the key: text or integer, never null, unique.

    A storage may build indexes on ``indexes``; it must answer rightly without them. Those of a
    table that is ``filling`` for the first time may wait until it is laid out without that word:
    made at the end they cost a third of what they cost row by row.
    """

    table: str
    fields: tuple[Field, ...]
    indexes: tuple[str, ...] = ()
    filling: bool = False

    @property
    def key(self) -> Field:
        """The key field."""
        return self.fields[0]


@dataclass(frozen=True, slots=True)
class Put:
    """Insert these records, or replace those with the same key, whole."""

    table: str
    records: Sequence[Record] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Delete:
    """Delete the records with these keys; a missing one is no error."""

    table: str
    keys: Sequence[Key]


Change: TypeAlias = Put | Delete


@dataclass(frozen=True, slots=True)
class Order:
    """Sort by a field; nulls come first when ascending, last when descending."""

    field: Field
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which records to yield. Ties are broken by the key, ascending; no order means by the key."""

    table: str
    where: Expression = EVERYTHING
    order: tuple[Order, ...] = ()
    limit: int | None = None


class Driver(ABC):
    """What all drivers have in common."""

    name: ClassVar[str]
    #: Validates the driver's section of the profile; forbid extra keys, so that typos are found.
    Settings: ClassVar[type[BaseModel]]


@dataclass(frozen=True, slots=True)
class Salvage:
    """What could be read of a damaged storage, by table.

    ``damage`` says in the storage's own words what is wrong with it; nothing is where it is sound.
    ``missed`` names the tables of which some records could not be read.
    """

    records: Mapping[str, Sequence[Record]] = field(repr=False)
    damage: Sequence[str] = ()
    missed: Sequence[str] = ()


class Storage(Driver):
    """Typed tables with an atomic unit of work, and no sync logic.

    The core plans what a page or an outcome writes and hands over one list; so no storage can get
    the promises wrong. One task writes at a time; reads may run beside a write and see the state
    before or after it, never between, and a read that starts after ``write`` returned sees it.
    """

    @classmethod
    @abstractmethod
    def open(
        cls, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Storage]:  # Any: the driver's own Settings
        """Open what the settings name, creating it when ``context.mode`` is owner.

        :raises StorageLocked: another process owns it and ``mode`` is owner
        :raises StorageMissing: there is none, and ``mode`` is reader
        :raises ReplicaTooNew: a newer version of this driver wrote it; nothing was touched
        :raises StorageError: it cannot be opened
        """

    @classmethod
    async def salvage(
        cls,
        settings: Any,  # Any: the driver's own Settings
        context: Context,
        layouts: Sequence[Layout],
    ) -> Salvage:
        """Read what can still be read of these tables, damaged or not, and change nothing.

        :raises StorageMissing: there is none
        :raises StorageError: nothing of it can be read, or this kind of storage cannot do so
        """
        del settings, context, layouts
        raise StorageError(f"a {cls.name} storage cannot be rescued from; restore a backup")

    @property
    @abstractmethod
    def location(self) -> str:
        """Where the data is, for people: a path, a URL without secrets."""

    @abstractmethod
    async def version(self) -> int:
        """Return the number given to the last ``migrate``; 0 for a new storage."""

    @abstractmethod
    async def migrate(self, layouts: Sequence[Layout], *, version: int) -> None:
        """Make the stored tables what ``layouts`` says, all or nothing, keeping what they hold.

        A new field holds null in old records. A field or table that is no longer named keeps its
        data out of sight or drops it. A field of another kind than before starts empty.

        :raises StorageError: it failed; the old tables are as they were
        """

    @abstractmethod
    async def read(self, table: str, keys: Sequence[Key]) -> list[Record]:
        """Return the records with these keys, in any order; a missing key has none.

        :raises StorageError: the storage failed
        """

    @abstractmethod
    async def write(self, changes: Sequence[Change]) -> None:
        """Do all of it in one durable commit, in order, or nothing.

        Durable when it returns: neither ``kill -9`` nor a power loss takes it back.

        :raises StorageFull: there is no room; nothing was written
        :raises StorageError: it failed; nothing was written
        """

    @abstractmethod
    def query(self, query: Query) -> AsyncIterator[Record]:
        """Yield the records that match, without holding them all in memory.

        A long answer need not come from one snapshot, so that it holds nobody up: a record that
        changes meanwhile may be seen as it was or as it is, and one that moves in the order at both
        places or at neither. One that does not change is seen once. Whoever needs a snapshot keeps
        others from writing.

        :raises StorageError: the storage failed
        """

    @abstractmethod
    async def count(self, table: str, where: Expression = EVERYTHING) -> int:
        """Return how many records match."""

    def runs(self, expression: Expression) -> bool:
        """Tell whether ``query`` and ``count`` understand this; the engine does the rest."""
        return expression == EVERYTHING

    def runs_selection(self, selection: Selection) -> bool:  # noqa: ARG002  for those that do
        """Tell whether ``select`` answers this, joins and aggregates included."""
        return False

    def select(self, selection: Selection) -> AsyncIterator[Record]:  # noqa: ARG002  as above
        """Yield the records of a whole question, each with the cells of its outputs.

        No read transaction outlives a chunk of records; a record that changes meanwhile may be seen
        as it was or as it is.

        :raises StorageError: the storage failed, or does not run this
        """
        raise StorageError(f"the storage {self.name} answers no questions over several tables")

    async def explain(self, query: Query | Selection) -> Sequence[str]:  # noqa: ARG002  as above
        """Return how the storage would find the records, in its own words, a line each."""
        return ()

    async def size(self) -> int | None:
        """Return the bytes used, None where that is unknown."""
        return None


class Transport(Driver):
    """The way to one server, as one user.

    Every method may raise ``Unreachable``, ``Throttled``, ``SignInNeeded`` or ``ProtocolError``.
    Anything else that is no ``HoldfastError`` is a bug: the engine reports it as a ``PluginError``
    that names the driver. A transport retries inside a call only what cannot be felt twice.
    """

    @classmethod
    @abstractmethod
    def open(
        cls, settings: Any, context: Context
    ) -> AbstractAsyncContextManager[Transport]:  # Any: the driver's own Settings
        """Open a session; no request is needed yet.

        :raises PluginError: the settings name something that is not installed
        """

    @property
    @abstractmethod
    def location(self) -> str:
        """The server, for people, without secrets."""

    @abstractmethod
    async def capabilities(self) -> Capabilities:
        """Return what can be done here."""

    @abstractmethod
    async def identity(self) -> Caller:
        """Ask the server who we are."""

    @abstractmethod
    async def schema(self, tables: Sequence[str]) -> list[TableSchema]:
        """Return the schemas of these tables, without those that the server does not have.

        Columns that cannot be kept (of a type that the model does not know) are left out. Each end
        of a many-to-many relationship describes it; the table of its pairs is one with
        ``intersect``, which is pulled like any other and whose rows nobody pushes.
        """

    @abstractmethod
    async def count(self, scope: Scope) -> int | None:
        """Return how many rows the server has, roughly; None where it cannot say cheaply."""

    @abstractmethod
    def pull(self, scope: Scope, checkpoint: str | None) -> AsyncIterator[Page]:
        """Yield what changed since the checkpoint; from None, everything.

        Each page's ``checkpoint`` resumes after that page, or before it where a server's page is
        handed on in parts: never behind rows that were not yielded yet. A pull that starts from
        None, or resumes one that did, yields every row of the table and no tombstones. A row that
        makes no sense comes aside, as ``Unreadable``, and holds up no other; an answer that makes
        no sense as a whole is a ``ProtocolError``.

        :raises CheckpointExpired: the checkpoint is void
        :raises AccessDenied: the caller may not read this so
        """

    @abstractmethod
    def push(self, units: Sequence[Unit], scopes: Mapping[str, Scope]) -> AsyncIterator[Outcome]:
        """Send the units, one outcome per op, in any order; the units do not depend on each other.

        Creates use the op's ``row_id``; updates and deletes happen only on the op's ``version``.
        An op that this transport applied earlier and whose reply was lost (``attempts`` > 1) is
        recognised and reported as applied. Records in outcomes are those of the table's scope.
        """

    @abstractmethod
    async def fetch(self, scope: Scope, ids: Sequence[str]) -> Sequence[Record | Unreadable]:
        """Return the rows with these ids; those that are not there are left out.

        A row that is there and makes no sense is ``Unreadable``: left out, it would count as gone.
        """

    @abstractmethod
    def list_ids(self, scope: Scope, condition: str | None) -> AsyncIterator[str]:
        """Yield the ids of the rows that match, ascending.

        :param condition: a filter in a language of ``capabilities().filters``; None for all rows.
            A transport that takes several tells them apart by the text: XML begins with ``<``
        """

    async def views(self, tables: Sequence[str]) -> list[View]:  # noqa: ARG002  for those that have
        """Return the queries that the server keeps for these tables; none where it keeps none."""
        return []

    async def probe(self) -> Connectivity:
        """Find out cheaply whether the server answers, and as whom."""
        await self.identity()
        return Connectivity.CONNECTED


class FilterLanguage(Driver):
    """Text to the algebra and back. Parsing takes time linear in the text, and bounded depth.

    ``tables`` are the schemas of all tables that are kept, by name, the filter's own among them; a
    link may lead to no other.
    """

    #: What the engine calls for ``Call`` nodes of this language.
    functions: ClassVar[Mapping[str, Function]] = {}

    def __init__(self, settings: Any) -> None:  # Any: the driver's own Settings
        self.settings = settings

    @abstractmethod
    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        """Return the expression; it may be unsettled.

        :raises FilterError: it does not parse, or names a column the table does not have
        """

    @abstractmethod
    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        """Return text that parses to an expression of the same meaning.

        :raises FilterError: the language cannot say it
        """

    def parse_selection(self, source: str, tables: Tables) -> Selection:  # noqa: ARG002  as above
        """Return a whole question: its table, joins, outputs and order.

        :raises FilterError: it does not parse, or the language only has filters
        """
        raise FilterError(self.name, source, "the language has filters only, no whole queries")


class Resolver(Driver):
    """Who wins a conflict."""

    def __init__(self, settings: Any) -> None:  # Any: the driver's own Settings
        self.settings = settings

    @abstractmethod
    async def resolve(self, conflict: Conflict) -> Resolution | None:
        """Decide; None leaves the conflict to a person.

        Runs outside transactions; the answer counts only if nothing moved meanwhile.
        """

"""The values that travel between the engine and its plugins.

Invariant: what a row holds is in no ``repr``: values end in logs.

Glossary. **op**: one local change, with an id made and stored before anything is sent.
**unit**: ops that are sent together and are atomic together. **version**: the server's mark of a
row's state, compared for equality only. **record**: the cells of a row in the order of the scope's
fields. **checkpoint**: the server position of a scope, opaque to everybody but the transport.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Final, TypeAlias

from holdfast.schema import Field, TableSchema
from holdfast.values import Cell, Change, Value, from_cells, to_value

Record: TypeAlias = Sequence[Cell]


class Row(Mapping[str, Value]):
    """One row as people see it: column names to values.

    ``version`` is the server's, None for a row that the server has not seen; ``pending`` tells that
    it has changes which have not arrived there. ``expanded`` has the rows that a question asked for
    beside it, by navigation name: a row or None behind a lookup, a sequence of those that point
    here.
    """

    __slots__ = ("_cells", "_schema", "expanded", "id", "pending", "version")

    def __init__(
        self,
        schema: TableSchema,
        cells: Mapping[str, Cell],
        *,
        version: str | None = None,
        pending: bool = False,
        expanded: Mapping[str, Row | Sequence[Row] | None] | None = None,
    ) -> None:
        self._schema = schema
        self._cells = cells
        self.expanded = expanded or {}
        self.id = str(cells[schema.primary_id])
        self.version = version
        self.pending = pending

    @property
    def table(self) -> str:
        """The table's name."""
        return self._schema.name

    @property
    def schema(self) -> TableSchema:
        """The table's schema, with the columns that are kept."""
        return self._schema

    def __getitem__(self, name: str) -> Value:
        column = self._schema.by_name[name]
        return to_value(column, from_cells(column, self._cells))

    def __iter__(self) -> Iterator[str]:
        return iter(self._schema.by_name)

    def __len__(self) -> int:
        return len(self._schema.by_name)

    def __repr__(self) -> str:
        return f"<Row {self.table}({self.id})>"  # ids only: rows must not reach logs

    def one(self, navigation: str) -> Row | None:
        """Return the expanded row that a lookup points to; None where it is not here.

        :raises KeyError: the question did not expand this, or it expands to several rows
        """
        found = self.expanded[navigation]
        if found is None or isinstance(found, Row):
            return found
        raise KeyError(navigation)

    def many(self, navigation: str) -> Sequence[Row]:
        """Return the expanded rows that point here.

        :raises KeyError: the question did not expand this, or it expands to one row
        """
        found = self.expanded[navigation]
        if found is None or isinstance(found, Row):
            raise KeyError(navigation)
        return found

    def label(self, name: str) -> str | None:
        """Return what a person wants to read: an option's label, a looked-up row's name.

        None where nothing better than the value is known.
        """
        column = self._schema.by_name[name]
        if column.name_field:
            known = self._cells.get(column.name_field)
            return None if known is None else str(known)
        value = self[name]
        labels = {option.value: option.label for option in column.options}
        if isinstance(value, tuple):
            return "; ".join(labels.get(option, str(option)) for option in value)
        return labels.get(int(value)) if isinstance(value, int) else None


class OpKind(Enum):
    """What an op does to its row."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class OpState(Enum):
    """Where an unsettled op is."""

    PENDING = "pending"  # may be sent
    SENT = "sent"  # may have left; its outcome is not known
    HELD = "held"  # waits for a person: refused, in a deferred conflict, or behind such an op


@dataclass(frozen=True, slots=True)
class Op:
    """One local change on its way to the server.

    ``changes`` has the changed columns only. ``version`` is the precondition: the server's version
    that the change was made on, None for a create. ``attempts`` counts the times it was sent.
    ``allowed`` says that a person let it go when so many waited that it was asked for.
    """

    id: str
    sequence: int
    kind: OpKind
    table: str
    row_id: str
    changes: Mapping[str, Change] = field(default_factory=dict, repr=False)
    version: str | None = None
    state: OpState = OpState.PENDING
    attempts: int = 0
    created: str = ""
    allowed: bool = False


@dataclass(frozen=True, slots=True)
class Unit:
    """Ops that are atomic together; most units have one."""

    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is read of one table: the schema cut down to the columns that are kept.

    A record of this scope has the cells of ``fields`` and then the row's version. ``names`` are the
    lookup columns for which the transport should bring the name of the row they point to.
    """

    schema: TableSchema
    names: frozenset[str] = frozenset()

    @property
    def table(self) -> str:
        """The table's name."""
        return self.schema.name

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields of a record, the primary id first; the version follows them."""
        return self.schema.fields


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A row, or the notice of its deletion, that came and cannot be understood.

    :param row_id: its id; None where that is what cannot be read
    :param reason: what is wrong, a clause without values of the row
    :param payload: what the server sent, for whoever looks into it; the engine keeps its beginning
    """

    row_id: str | None
    reason: str
    payload: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the answer to a pull; stored whole, in one transaction with its checkpoint.

    ``last`` says that nothing follows: ``checkpoint`` is then where the next pull starts, before
    that it is where an interrupted one resumes. ``tombstones`` are ids, known here or not.
    ``unreadable`` are the rows of this page that make no sense: they are put aside, the others are
    stored, and the checkpoint moves on. Of two records of one row the later is the newer.
    """

    records: Sequence[Record] = field(repr=False)
    tombstones: Sequence[str]
    checkpoint: str
    last: bool
    unreadable: Sequence[Unreadable] = ()


class FiscalPeriod(Enum):
    """How a fiscal year is cut; the value is the number of its parts."""

    ANNUALLY = 1
    SEMIANNUALLY = 2
    QUARTERLY = 4
    MONTHLY = 12
    FOUR_WEEKS = 13


@dataclass(frozen=True, slots=True)
class FiscalCalendar:
    """When an organisation's fiscal years start, and how they are cut.

    A fiscal year is called after the calendar year in which it starts.
    """

    month: int = 1
    day: int = 1
    period: FiscalPeriod = FiscalPeriod.QUARTERLY


#: What a server without fiscal settings has: quarters of the calendar year.
CALENDAR_YEAR: Final = FiscalCalendar()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who the server says we are.

    :param language: the number (LCID) of the language that the user reads, 1033 for English
    :param time_zone: where the user's days begin, as IANA calls it
    :param reports: the users below this one in the hierarchy of managers
    """

    organization: str
    user: str
    business_unit: str | None = None
    teams: tuple[str, ...] = ()
    language: int | None = None
    time_zone: str = "UTC"
    fiscal: FiscalCalendar = CALENDAR_YEAR
    reports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """A query that the server keeps under a name.

    :param query: its text, in FetchXML
    :param personal: whether the user keeps it alone
    """

    table: str
    name: str
    query: str
    personal: bool = False


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, and when: captured once for a whole question.

    :param now: aware, in UTC
    :param caller: None before the server has said who we are
    """

    now: datetime
    caller: Caller | None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a transport and its server can do; compared with the plan at start.

    ``filters`` names the filter languages that ``list_ids`` accepts.
    """

    change_feed: bool
    conditional_writes: bool
    client_ids: bool
    atomic_units: bool = False
    page_size: int = 5000
    batch_size: int = 1000
    filters: frozenset[str] = frozenset()


class Connectivity(Enum):
    """What a probe found."""

    CONNECTED = "connected"
    NO_ANSWER = "no answer"
    CAPTIVE_PORTAL = "captive portal"
    SIGN_IN_NEEDED = "sign-in needed"
    THROTTLED = "throttled"


@dataclass(frozen=True, slots=True)
class Applied:
    """The server has it. ``record`` is the row afterwards; None after a delete."""

    op_id: str
    record: Record | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Conflicted:
    """The precondition failed. ``record`` is the server's row; None when it is not there."""

    op_id: str
    record: Record | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not have it, now or later, as it is."""

    op_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class NotApplied:
    """The server did not take it up, for a reason that is not in the op: send it again later."""

    op_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been applied: it stays sent until the server has been asked.

    ``crashed`` says that the server did answer, and failed on this very op; where that goes on, a
    person is asked. Without it no answer came, which says nothing against the op.
    """

    op_id: str
    reason: str
    crashed: bool = False


Outcome: TypeAlias = Applied | Conflicted | Refused | NotApplied | Unknown


@dataclass(frozen=True, slots=True)
class Conflict:
    """One row that changed here and there.

    ``base`` is the row that the first unsettled edit was made on, ``local`` the row as the user
    sees it, ``remote`` the server's row now; None where the row does not exist there. ``mine`` and
    ``theirs`` name the columns changed on each side since ``base``. ``attempts`` counts the rounds
    that this row has been through in this sync.
    """

    table: str
    row_id: str
    base: Row | None
    local: Row | None
    remote: Row | None
    ops: tuple[Op, ...]
    mine: frozenset[str]
    theirs: frozenset[str]
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class KeepLocal:
    """The local changes go on top of the server's row as it was just seen."""


@dataclass(frozen=True, slots=True)
class KeepRemote:
    """The server's row stands; the local changes are kept in the history."""


@dataclass(frozen=True, slots=True)
class Merge:
    """The row becomes the server's with these values on top."""

    values: Mapping[str, Value] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Defer:
    """A person decides; until then the row keeps the local values and nothing of it is sent."""

    reason: str


Resolution: TypeAlias = KeepLocal | KeepRemote | Merge | Defer


@dataclass(frozen=True, slots=True)
class Policy:
    """The resolver a table uses, by name, with what the profile says to it."""

    name: str
    options: Mapping[str, object] = field(default_factory=dict, repr=False)

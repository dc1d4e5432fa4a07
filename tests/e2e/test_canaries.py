"""S-60, S-61, S-64: a token and what rows hold stay out of logs, errors, reprs; the token of files.

Everything is done once with a token and values that stand nowhere else, and all that was said while
it was done is looked through.
"""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

import holdfast
from holdfast import hookimpl
from holdfast.errors import HoldfastError, InvalidValue, SignInNeeded
from holdfast.model import Conflict, Policy
from holdfast.schema import Column, ColumnType, DateBehavior, TableSchema
from holdfast.status import SyncReport
from holdfast.values import Value
from holdfast_dataverse._token import Token, authorization
from holdfast_emulator import Fault, FaultKind
from support.field import Field

CANARY = "canary-token-7c1e55"
#: One for each kind of value; none of them stands in an id, a date or a number of anything else.
TEXT, NUMBER, AMOUNT, DAY = "pii-canary", 76543, Decimal("7654.25"), date(1987, 6, 5)
NEEDLES = (TEXT, str(NUMBER), str(AMOUNT), "7654.2", DAY.isoformat(), "1987, 6, 5")
#: What the server says in this same process is not ours to keep quiet.
SERVERS = ("aiohttp.access", "aiohttp.server", "holdfast_emulator")


class Heard(logging.Handler):
    """Keeps all that is logged, as an application that shows everything would write it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(SERVERS):
            self.records.append(record)
            self.lines.append(f"{self.format(record)} {record.args!r} {vars(record)!r}")


@pytest.fixture
def heard() -> Iterator[Heard]:
    """Listen to everything, as ``logging.basicConfig(level=DEBUG)`` does."""
    root, handler = logging.getLogger(), Heard()
    before = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.fixture
def canaries(field: Field) -> Field:
    """The field worker with a token that stands nowhere else."""
    field.dataverse.security.admit(CANARY, field.user)
    field.transport = {"token": CANARY, "timeout": 5, "max_wait": 2}
    return field


class Said:
    """Errors and reprs, to be looked through."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.texts: list[str] = []

    def show(self, *things: object) -> None:
        for thing in things:
            self.texts += [repr(thing), str(thing), f"{thing}"]

    def fail(self, error: BaseException) -> None:
        self.errors.append(error)
        self.show(error)
        if not isinstance(error, InvalidValue):
            self.show(vars(error))

    def everything(self) -> str:
        """Return each error as a reporter writes it that shows local variables and all causes."""
        told = [
            "".join(traceback.TracebackException.from_exception(e, capture_locals=True).format())
            for e in self.errors
        ]
        return "\n".join([*told, *self.texts])


def canary_for(column: Column) -> Value:
    """Return a value to write that is recognised wherever it turns up; None where there is none."""
    match column.type:
        case ColumnType.STRING | ColumnType.MEMO:
            return f"{TEXT}-{column.name}"[: column.max_length]
        case ColumnType.INTEGER | ColumnType.BIGINT if fits(column, NUMBER):
            return NUMBER
        case ColumnType.DECIMAL | ColumnType.MONEY if fits(column, AMOUNT):
            return AMOUNT
        case ColumnType.DATETIME if column.behavior is DateBehavior.DATE_ONLY:
            return DAY
        case ColumnType.DATETIME:
            moment = datetime(DAY.year, DAY.month, DAY.day, 12, tzinfo=UTC)
            wall = column.behavior is DateBehavior.TIME_ZONE_INDEPENDENT
            return moment.replace(tzinfo=None) if wall else moment
        case _:
            return None


def fits(column: Column, number: int | Decimal) -> bool:
    low, high = column.minimum, column.maximum
    return (low is None or low <= number) and (high is None or number <= high)


def personal(schema: TableSchema) -> dict[str, Value]:
    values = {c.name: canary_for(c) for c in schema.columns if c.creatable and c.updatable}
    return {name: value for name, value in values.items() if value is not None}


class Careless:
    """A plugin that fails with a row in its text."""

    @hookimpl
    async def holdfast_resolve_conflict(self, policy: Policy, conflict: Conflict) -> None:
        assert conflict.local is not None
        raise ValueError(str(dict(conflict.local)))


async def attempt(said: Said, doing: Any) -> None:
    try:
        done = await doing
    except HoldfastError as error:
        said.fail(error)
        return
    said.show(done)
    if isinstance(done, SyncReport) and done.failure is not None:
        said.fail(done.failure)


async def work(field: Field, said: Said) -> int:
    """Do what a day brings: edits, conflicts, mistakes, and every fault that the network has."""
    async with field.replica() as replica:
        said.show(replica, replica.profile, replica.profile.transport, replica._engine.setup)
        await replica.download()
        accounts = replica.table("account")
        values = personal(accounts.schema)
        own = await accounts.create(values)
        said.show(accounts, await accounts.get(own), *(await replica.pending()))
        await replica.sync()
        for wrong in mistakes(accounts.schema):
            await attempt(said, accounts.create(wrong))
            await attempt(said, accounts.update(own, wrong))
        await conflict(replica, field, own, said)
        await refusal(replica, field, said)
    field.dataverse.security.tokens.expel(CANARY)
    async with field.replica() as replica:
        await attempt(said, replica.sync())
        await attempt(said, replica.download())
    return len(values)


async def meet(field: Field, kind: FaultKind, said: Said) -> None:
    """Send an edit through a network that is broken so; each with a session of its own."""
    field.dataverse.keeper.keep("start")
    field.server.faults.add(Fault(kind, times=3, retry_after=0, seconds=0.01, baseline="start"))
    async with field.replica() as replica:
        await attempt(said, replica.table("account").create({"name": f"{TEXT}-{kind.value}"[:100]}))
        await attempt(said, replica.sync())
        said.show(await replica.status(), *(await replica.pending()))
    field.server.faults.clear()


def mistakes(schema: TableSchema) -> Iterator[dict[str, object]]:
    """Yield a write for each column with a value of another type, or too long or too large."""
    for column in schema.columns:
        yield {column.name: TEXT * 3000}
        yield {column.name: [TEXT]}
        yield {column.name: NUMBER * 10**30}
        yield {column.name: AMOUNT / 3}
        yield {column.name: DAY}
        yield {column.name: f"{DAY}T{TEXT}"}


async def conflict(replica: holdfast.Replica, field: Field, own: str, said: Said) -> None:
    """Let a row change here and there, with a policy that breaks, and settle it by hand."""
    accounts = replica.table("account")
    plugins = replica._engine.plugins
    plugins.register(Careless(), "careless")
    await accounts.update(own, {"name": f"{TEXT}-mine"})
    field.dataverse.update(field.dataverse.system, "account", own, {"name": f"{TEXT}-theirs"})
    said.show(await replica.sync())
    for issue in await replica.issues():
        said.show(issue, issue.mine, issue.theirs, issue.base, issue.message)
        await replica.take_mine(issue.id)
    plugins._hooks.unregister(name="careless")
    said.show(*(await replica.history()), await replica.sync())


async def refusal(replica: holdfast.Replica, field: Field, said: Said) -> None:
    """Let a row go here that the server does not know any more, and one that it never had."""
    accounts = replica.table("account")
    gone = await accounts.create({"name": f"{TEXT}-gone"})
    await replica.sync()
    field.dataverse.delete(field.dataverse.system, "account", gone)
    await accounts.update(gone, {"name": f"{TEXT}-again"})
    said.show(await replica.sync(), *(await replica.issues()), *(await replica.history()))


def look_through(said: Said, heard: Heard) -> None:
    """Fail when the token, or what a row holds, was told."""
    logged, shown = "\n".join(heard.lines), "\n".join(said.texts)
    for needle in NEEDLES:
        assert needle not in logged, needle
        assert needle not in shown, needle
    assert CANARY not in logged
    assert CANARY not in said.everything()
    assert {r.levelno for r in heard.records if r.name.startswith(("aio", "filelock"))} <= {
        logging.WARNING,
        logging.ERROR,
    }


async def test_nothing_that_was_said_holds_the_token_or_what_a_row_holds(
    canaries: Field, heard: Heard
) -> None:
    said = Said()
    assert await work(canaries, said) >= 20
    assert {type(error) for error in said.errors} >= {InvalidValue, SignInNeeded}
    assert len(said.errors) > 100
    assert any(record.name.startswith("holdfast") for record in heard.records)
    look_through(said, heard)


@pytest.mark.parametrize("part", range(6))
async def test_no_fault_of_the_network_makes_it_say_them(
    canaries: Field, heard: Heard, part: int
) -> None:
    said = Said()
    async with canaries.replica() as replica:
        await replica.download()
    for kind in list(FaultKind)[part::6]:
        await meet(canaries, kind, said)
    assert said.errors
    look_through(said, heard)


async def test_the_token_is_in_no_file_of_the_replica(canaries: Field) -> None:
    async with canaries.replica() as replica:
        await replica.download()
        await replica.table("account").create({"name": TEXT})
        await replica.sync()
        during = {p.name: p.read_bytes() for p in canaries.path.parent.iterdir() if p.is_file()}
    after = {p.name: p.read_bytes() for p in canaries.path.parent.iterdir() if p.is_file()}
    assert {"field.db", "field.db-wal"} <= during.keys()
    for content in (*during.values(), *after.values()):
        assert CANARY.encode() not in content
        assert canaries.url.encode() not in content or CANARY.encode() not in content


def test_a_token_shows_itself_in_a_header_and_nowhere_else() -> None:
    token = Token(CANARY)
    assert authorization(token) == {"Authorization": f"Bearer {CANARY}"}
    shown = io.StringIO()
    print(token, [token], {"a": token}, f"{token} {token!r} {token!s} {token:>40}", file=shown)
    print("%s %r" % (token, token), "{} {!r}".format(token, token), file=shown)  # noqa: UP031, UP032  each way of its own
    print(copy.copy(token), copy.deepcopy([token]), token.trimmed(), file=shown)
    assert CANARY not in shown.getvalue()
    assert token == CANARY
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(token, protocol)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps({"headers": [token]})

"""Everything together under faults: real HTTP, a real file, and a network that does its worst."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from pathlib import Path

import pytest

import holdfast
from holdfast.errors import ReplicaMismatch, SignInNeeded, Unreachable
from holdfast.status import Availability
from holdfast.values import Cell, Reference
from holdfast_emulator import (
    DataverseFault,
    Depth,
    Effect,
    EmulatorServer,
    Fault,
    FaultKind,
    Operation,
    User,
)
from support.field import TOKEN, Field

BATCH = r"^\$batch"
#: The first batch of a session asks for the settings of the caller; the next one sends work.
ASKED = 1
COUNTS = {"account": 90, "contact": 105, "opportunity": 45, "task": 60}
LOST = [FaultKind.LOSE_REPLY, FaultKind.CUT_BODY]


async def downloaded(field: Field) -> None:
    async with field.replica() as replica:
        await replica.download()
    field.effects.clear()


async def counts(replica: holdfast.Replica) -> dict[str, int]:
    return {name: await replica.table(name).count() for name in COUNTS}


async def ids(replica: holdfast.Replica, table: str, top: int) -> list[str]:
    return [row.id async for row in replica.table(table).query(top=top)]


def office(field: Field, table: str, row_id: str, values: Mapping[str, object]) -> None:
    """Let somebody at the office change a row."""
    field.dataverse.update(field.dataverse.system, table, row_id, values)


def on_server(field: Field, table: str, row_id: str, column: str) -> object:
    row = field.dataverse.find(table, row_id)
    assert row is not None
    return row[column]


# --- reading ------------------------------------------------------------------------------------


async def test_a_first_download_that_was_cut_goes_on_from_the_last_stored_page(
    field: Field,
) -> None:
    field.transport["page_size"] = 20
    cut = Fault(FaultKind.CUT_BODY, times=None, path=r"^contacts\?.*skiptoken", skip=2)
    field.server.faults.add(cut)
    async with field.replica() as replica:
        with pytest.raises(Unreachable):
            await replica.download()
        status = {table.name: table for table in (await replica.status()).tables}
        assert status["contact"].availability is Availability.INITIALIZING
    *stored, lost = field.asked("contacts?$select")
    assert len(stored) == 3

    field.server.faults.clear()
    since = len(field.server.trace)
    async with field.replica() as replica:
        assert await replica.table("contact").count() == 60
        report = await replica.sync()
        assert report.complete
        assert await counts(replica) == COUNTS
    asked_again = field.asked("contacts?$select", since)
    assert asked_again[0] == lost
    assert not set(asked_again) & set(stored)
    assert all("deltatoken" in url for url in field.asked("accounts?$select", since))


@pytest.mark.parametrize("path", ["^accounts", "^contacts"])
async def test_a_void_delta_hides_nothing_and_keeps_what_waits(field: Field, path: str) -> None:
    """A table that is read anew is never empty, nor half there; the user's edits stay on top."""
    field.transport["page_size"] = 20
    await downloaded(field)
    field.server.faults.add(Fault(FaultKind.EXPIRE_DELTA, path=path))
    async with field.replica() as replica:
        contacts = replica.table("contact")
        edited, deleted, gone = await ids(replica, "contact", 3)
        created = await contacts.create({"lastname": "Ny"})
        await contacts.update(edited, {"jobtitle": "Mine"})
        await contacts.delete(deleted)
        field.dataverse.delete(field.dataverse.system, "contact", gone)
        expected = await counts(replica)
        lowest = expected["contact"]
        async with asyncio.TaskGroup() as group:
            download = group.create_task(replica.download())
            while not download.done():
                lowest = min(lowest, await contacts.count())
                assert (await contacts.get(edited))["jobtitle"] == "Mine"
                assert (await contacts.get(created))["lastname"] == "Ny"
        assert lowest >= expected["contact"] - 1, "only the row that was deleted there went"
        assert len(await replica.pending()) == 3
        assert not field.own_effects()
        report = await replica.sync()
        assert report.complete
        assert not report.conflicts
    assert on_server(field, "contact", edited, "jobtitle") == "Mine"
    assert on_server(field, "contact", created, "lastname") == "Ny"
    assert field.dataverse.find("contact", deleted) is None


async def test_a_captive_portal_empties_nothing_and_is_told(field: Field) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        account = (await ids(replica, "account", 1))[0]
        await replica.table("account").update(account, {"fax": "1"})
        field.server.faults.add(Fault(FaultKind.CAPTIVE_PORTAL, times=None))
        report = await replica.sync()
        assert isinstance(report.failure, Unreachable)
        assert "sign-in" in str(report.failure)
        assert not report.complete
        assert await counts(replica) == COUNTS
        status = await replica.status()
        assert not status.synced
        assert "sign-in" in str(status.problem)

        field.server.faults.clear()
        assert (await replica.sync()).complete
        assert (await replica.status()).synced
    assert on_server(field, "account", account, "fax") == "1"


@pytest.mark.parametrize("path", [BATCH, "^contacts", "^tasks"])
async def test_a_captive_portal_that_comes_up_in_the_middle_empties_nothing(
    field: Field, path: str
) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        account = (await ids(replica, "account", 1))[0]
        await replica.table("account").update(account, {"fax": "1"})
        field.server.faults.add(
            Fault(FaultKind.CAPTIVE_PORTAL, times=None, path=path, skip=path == BATCH)
        )
        report = await replica.sync()
        assert not report.complete
        if path == BATCH:
            assert report.waiting == 1
            assert not any(table.problem for table in report.tables.values()), "it reads on"
        else:
            assert isinstance(report.failure, Unreachable)
        assert await counts(replica) == COUNTS
        field.server.faults.clear()
        assert (await replica.sync()).complete
    own = field.own_effects()
    assert own == {("Update", "account", account): 1}


@pytest.mark.parametrize("depth", [Depth.BASIC, Depth.NONE])
async def test_a_lost_right_stops_one_table_and_keeps_its_rows(field: Field, depth: Depth) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        account = (await ids(replica, "account", 1))[0]
        office(field, "account", account, {"fax": "new"})
        field.dataverse.security.limit(field.user, "contact", depth)
        report = await replica.sync()
        assert report.failure is None
        assert not report.complete
        assert report.tables["contact"].problem
        assert [name for name, one in report.tables.items() if one.problem] == ["contact"]
        assert await counts(replica) == COUNTS
        assert (await replica.table("account").get(account))["fax"] == "new"
        shown = {table.name: table for table in (await replica.status()).tables}
        assert shown["contact"].availability is Availability.WARNING
        assert shown["contact"].problem
        assert shown["task"].availability is Availability.AVAILABLE

        field.dataverse.security.limit(field.user, "contact", Depth.GLOBAL)
        assert (await replica.sync()).complete
        assert (await replica.status()).synced


# --- writing ------------------------------------------------------------------------------------


async def work(replica: holdfast.Replica) -> dict[tuple[str, str, str], int]:
    """Create, update and delete two rows each; return the effects that this should have."""
    effects: dict[tuple[str, str, str], int] = {}
    for number in range(2):
        values = {"name": f"New {number}", "revenue": Decimal("1.50")}
        created = await replica.table("account").create(values)
        effects["Create", "account", created] = 1
    for number, row_id in enumerate(await ids(replica, "contact", 2)):
        await replica.table("contact").update(row_id, {"jobtitle": f"Job {number}"})
        effects["Update", "contact", row_id] = 1
    for row_id in await ids(replica, "task", 2):
        await replica.table("task").delete(row_id)
        effects["Delete", "task", row_id] = 1
    return effects


async def assert_settled(replica: holdfast.Replica) -> None:
    """Assert that everything arrived without a conflict, and that nothing is left to do."""
    assert await replica.pending() == []
    assert await replica.issues() == []
    assert await replica.history() == []
    report = await replica.sync()
    assert (report.applied, report.complete) == (0, True)
    assert (await replica.status()).synced


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("kind", LOST)
async def test_a_reply_lost_after_the_commit_is_felt_once(
    field: Field, kind: FaultKind, times: int
) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        field.server.faults.add(Fault(kind, times=times, path=BATCH, skip=ASKED))
        report = await replica.sync()
        assert report.complete
        assert report.applied == 6
        assert report.conflicts == []
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_work_whose_reply_was_lost_is_finished_by_the_next_process(field: Field) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        field.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=BATCH, skip=ASKED))
        who_we_are = 2  # requests that every sync begins with
        gone = Fault(FaultKind.LOSE_REQUEST, times=None, skip=who_we_are)
        field.server.faults.add(gone)
        report = await replica.sync()
        assert isinstance(report.failure, Unreachable)
        assert report.waiting == 6
    assert field.own_effects() == expected
    field.server.faults.clear()
    async with field.replica() as replica:
        report = await replica.sync()
        assert report.applied == 6
        await assert_settled(replica)
    assert field.own_effects() == expected


@pytest.mark.parametrize("operations", range(7))
async def test_a_batch_that_was_half_carried_out_is_completed(
    field: Field, operations: int
) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        lost = Fault(FaultKind.LOSE_REPLY, path=BATCH, skip=ASKED, operations=operations)
        field.server.faults.add(lost)
        report = await replica.sync()
        assert report.applied == 6
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_a_server_that_asks_to_wait_gets_everything_in_the_end(field: Field) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        for path in ("^WhoAmI", BATCH, "^accounts", "^contacts", "^tasks"):
            field.server.faults.add(
                Fault(FaultKind.THROTTLE, retry_after=0, path=path, skip=path == BATCH)
            )
        field.server.faults.add(Fault(FaultKind.THROTTLE, retry_after=1, path="^opportunities"))
        assert (await replica.sync()).complete
        assert not field.server.faults.pending
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_a_server_that_is_away_twice_gets_everything_once(field: Field) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        for path in ("^WhoAmI", BATCH, "^contacts"):
            away = Fault(
                FaultKind.UNAVAILABLE, times=2, retry_after=0, path=path, skip=path == BATCH
            )
            field.server.faults.add(away)
        assert (await replica.sync()).complete
        assert not field.server.faults.pending
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_a_token_that_runs_out_in_the_middle_is_renewed(field: Field) -> None:
    field.transport["page_size"] = 20
    field.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, path=r"^contacts\?.*skiptoken"))
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        field.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, path=BATCH, skip=ASKED))
        assert (await replica.sync()).complete
        await assert_settled(replica)
    assert field.own_effects() == expected


@pytest.mark.parametrize("path", ["^WhoAmI", BATCH, "^contacts"])
async def test_a_token_that_stays_refused_keeps_everything(field: Field, path: str) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        expected = await work(replica)
        here = await counts(replica)
        field.server.faults.add(
            Fault(FaultKind.EXPIRE_TOKEN, times=None, path=path, skip=path == BATCH)
        )
        report = await replica.sync()
        assert isinstance(report.failure, SignInNeeded)
        assert await counts(replica) == here
        field.server.faults.clear()
        assert (await replica.sync()).complete
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_the_next_users_token_does_not_send_this_users_work(
    field: Field, tmp_path: Path
) -> None:
    """The token file gets another owner while work is under way; nothing is done in their name."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    field.transport = {"token_file": str(token)}
    await downloaded(field)
    async with field.replica() as replica:
        assert (await replica.sync()).complete
        await work(replica)
        here = await counts(replica)
        token.write_text("office-token")
        field.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, path=BATCH))
        report = await replica.sync()
        assert isinstance(report.failure, SignInNeeded)
        with pytest.raises(ReplicaMismatch):
            await replica.sync()
        assert field.effects == []
        assert await counts(replica) == here

        token.write_text(TOKEN)
    async with field.replica() as replica:
        assert (await replica.sync()).applied == 6
        await assert_settled(replica)


# --- a server with a mind of its own ------------------------------------------------------------


def tidy(_: User, table: str, values: dict[str, Cell | Reference], operation: Operation) -> None:
    """Trim names and round amounts, as many a plug-in does."""
    if table != "account" or operation is Operation.DELETE:
        return
    if isinstance(name := values.get("name"), str):
        values["name"] = name.strip()
    if isinstance(revenue := values.get("revenue"), Decimal):
        values["revenue"] = revenue.quantize(Decimal(1), ROUND_HALF_EVEN)


@pytest.mark.parametrize("lost", [False, True])
async def test_what_the_server_makes_of_a_value_is_taken_and_not_sent_again(
    field: Field, *, lost: bool
) -> None:
    await downloaded(field)
    field.dataverse.rules.append(tidy)
    async with field.replica() as replica:
        accounts = replica.table("account")
        changed = (await ids(replica, "account", 1))[0]
        created = await accounts.create({"name": "  Fjord Marine  "})
        await accounts.update(changed, {"name": "Ærø \n"} | ({} if lost else {"revenue": 10.75}))
        if lost:
            field.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=BATCH, skip=ASKED))
        assert (await replica.sync()).complete
        assert (await accounts.get(created))["name"] == "Fjord Marine"
        assert (await accounts.get(changed))["name"] == "Ærø"
        if not lost:
            assert (await accounts.get(changed))["revenue"] == Decimal(11)
        await assert_settled(replica)
    assert field.own_effects() == {
        ("Create", "account", created): 1,
        ("Update", "account", changed): 1,
    }


async def test_one_refused_row_of_ten_does_not_keep_the_others(field: Field) -> None:
    def no_thirteen(
        _: User, table: str, values: dict[str, Cell | Reference], operation: Operation
    ) -> None:
        if table == "account" and values.get("name") == "Number 3":
            raise DataverseFault(400, "0x80040265", "no account may be called so")

    await downloaded(field)
    field.dataverse.rules.append(no_thirteen)
    async with field.replica() as replica:
        accounts = replica.table("account")
        created = [await accounts.create({"name": f"Number {n}"}) for n in range(10)]
        report = await replica.sync()
        assert report.applied == 9
        assert report.waiting == 1
        [issue] = await replica.issues()
        assert (issue.kind.value, issue.row_id, issue.code) == ("refused", created[3], "0x80040265")
        assert "no account may be called so" in issue.message
        assert (await accounts.get(created[3]))["name"] == "Number 3", "nothing is reverted"

        again = await replica.sync()
        assert (again.applied, again.issues) == (0, [])
        field.dataverse.rules.remove(no_thirteen)
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        await assert_settled(replica)
    assert field.own_effects() == {("Create", "account", row_id): 1 for row_id in created}


@pytest.mark.parametrize("server_wins", [False, True])
async def test_an_edit_at_the_office_between_two_waves_is_seen(
    field: Field, *, server_wins: bool
) -> None:
    """The second wave waits for the first; what happens between them is not overwritten blindly."""
    field.conflict_detection = server_wins
    await downloaded(field)
    loop = asyncio.get_running_loop()
    async with field.replica() as replica:
        contact = (await ids(replica, "contact", 1))[0]
        account = await replica.table("account").create({"name": "New"})
        change = {"parentcustomerid": Reference("account", account), "jobtitle": "Mine"}
        await replica.table("contact").update(contact, change)
        theirs = {"jobtitle": "Theirs", "telephone1": "+47 1"}

        def between(effect: Effect) -> None:
            if effect.operation is Operation.CREATE and effect.row_id == account:
                loop.call_soon(office, field, "contact", contact, theirs)

        field.reactions.append(between)
        report = await replica.sync()
        assert report.complete
        assert len(report.conflicts) == 1
        [settled] = await replica.history()
        assert settled.mine is not None
        assert settled.theirs is not None
        assert (settled.mine["jobtitle"], settled.theirs["jobtitle"]) == ("Mine", "Theirs")
        row = await replica.table("contact").get(contact)
        assert row["telephone1"] == "+47 1"
        assert row["jobtitle"] == ("Theirs" if server_wins else "Mine")
    assert on_server(field, "contact", contact, "jobtitle") == row["jobtitle"]
    assert on_server(field, "contact", contact, "telephone1") == "+47 1"
    updates = 0 if server_wins else 1
    assert field.own_effects()["Update", "contact", contact] == updates


@pytest.mark.parametrize("patience", [0, 1, 3, 10])
@pytest.mark.parametrize("effect", [1, 3, 6])
async def test_a_sync_that_is_cancelled_while_it_pushes_is_finished_by_the_next(
    field: Field, effect: int, patience: int
) -> None:
    """Cancelled a few turns of the loop after the server carried out one of the ops."""
    field.transport["batch_size"] = 2
    await downloaded(field)
    loop = asyncio.get_running_loop()
    async with field.replica() as replica:
        expected = await work(replica)
        sync = loop.create_task(replica.sync())

        def cancel(turns: int) -> None:
            if turns:
                loop.call_soon(cancel, turns - 1)
            else:
                sync.cancel()

        def leave(_: Effect) -> None:
            if len(field.effects) == effect:
                cancel(patience)

        field.reactions.append(leave)
        with pytest.raises(asyncio.CancelledError):
            await sync
        busy = [task for task in asyncio.all_tasks() if "Pusher" in repr(task)]
        assert busy == [], "nothing goes on behind the caller's back"
    field.reactions.clear()
    async with field.replica() as replica:
        assert (await replica.sync()).complete
        await assert_settled(replica)
    assert field.own_effects() == expected


async def test_an_organisation_that_moved_to_another_address_goes_on(field: Field) -> None:
    """The stored links lead to the old address: the tables are read anew, under the rows."""
    await downloaded(field)
    async with EmulatorServer(field.dataverse) as moved:
        field.server = moved
        async with field.replica() as replica:
            expected = await work(replica)
            report = await replica.sync()
            assert report.complete
            assert await counts(replica) == COUNTS | {"account": 92, "task": 58}
            await assert_settled(replica)
    assert field.own_effects() == expected

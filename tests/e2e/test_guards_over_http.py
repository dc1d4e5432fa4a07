"""What guards a table, over real HTTP, in a real file: rows that go in number, and torn ones."""

from __future__ import annotations

import pytest

import holdfast
from holdfast.status import Availability, IssueKind
from holdfast_emulator import Fault, FaultKind
from support.field import Field


async def downloaded(field: Field) -> None:
    async with field.replica() as replica:
        await replica.download()


async def ids(replica: holdfast.Replica, table: str, top: int) -> list[str]:
    return [row.id async for row in replica.table(table).query(top=top)]


async def test_a_bulk_delete_at_the_office_waits_for_a_word(field: Field) -> None:
    field.transport["page_size"] = 20
    await downloaded(field)
    async with field.replica() as replica:
        contacts = await ids(replica, "contact", 60)
        for row_id in contacts:
            field.dataverse.delete(field.dataverse.system, "contact", row_id)
        report = await replica.sync()
        assert report.tables["contact"].removed == 0
        assert report.tables["account"].problem is None
    async with field.replica() as replica:
        assert await replica.table("contact").count() == 105
        (issue,) = await replica.issues()
        assert issue.kind is IssueKind.REMOVAL
        await replica.allow(issue.id)
        left = await ids(replica, "contact", 105)
        assert len(left) <= 45
        assert all(field.dataverse.find("contact", row_id) for row_id in left)
        assert (await replica.sync()).complete
        assert (await replica.status()).synced


async def test_a_bulk_delete_in_the_field_waits_for_a_word(field: Field) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        contacts = replica.table("contact")
        gone = await ids(replica, "contact", 60)
        for row_id in gone:
            await contacts.delete(row_id)
        await replica.sync()
        assert all(field.dataverse.find("contact", row_id) for row_id in gone)
        (issue,) = await replica.issues()
        assert issue.kind is IssueKind.DELETION
        await replica.allow(issue.id)
        assert (await replica.sync()).complete
    assert not any(field.dataverse.find("contact", row_id) for row_id in gone)


async def test_an_empty_answer_to_a_full_reading_takes_nothing(field: Field) -> None:
    await downloaded(field)
    field.server.faults.add(Fault(FaultKind.EXPIRE_DELTA, path="^tasks"))
    field.server.faults.add(Fault(FaultKind.EMPTY_PAGE, times=None, path=r"^tasks\?.select"))
    async with field.replica() as replica:
        await replica.sync()
        assert await replica.table("task").count() == 60
        field.server.faults.clear()
        assert (await replica.sync()).complete
        assert await replica.table("task").count() == 60


TORN = {
    FaultKind.LOSE_KEY: None,
    FaultKind.LOSE_ETAG: None,
    FaultKind.WRONG_TYPE: "revenue",
    FaultKind.LONE_SURROGATE: "name",
    FaultKind.BAD_UTF8: "name",
    FaultKind.HUGE_NUMBER: "revenue",
    FaultKind.DUPLICATE_MEMBER: "accountid",
}


@pytest.mark.parametrize("kind", TORN)
async def test_one_torn_row_of_a_reply_stops_no_other(field: Field, kind: FaultKind) -> None:
    """Whatever is wrong with it, the others come, it stays, and it can be asked for again."""
    await downloaded(field)
    async with field.replica() as replica:
        accounts = replica.table("account")
        changed = await ids(replica, "account", 3)
        before = {row_id: (await accounts.get(row_id))["name"] for row_id in changed}
        for row_id in changed:
            field.dataverse.update(field.dataverse.system, "account", row_id, {"name": "New"})
        field.server.faults.add(Fault(kind, path=r"^accounts.*deltatoken", column=TORN[kind] or ""))
        report = await replica.sync()
        assert report.tables["account"].problem is None
        assert report.tables["account"].unreadable == 1
        after = [(await accounts.get(row_id))["name"] for row_id in changed]
        assert after.count("New") == 2
        assert set(after) - {"New"} <= set(before.values())
        (issue,) = await replica.issues()
        assert issue.payload
        await replica.retry(issue.id)
        assert (await replica.sync()).complete
        assert {(await accounts.get(row_id))["name"] for row_id in changed} == {"New"}
        assert await replica.issues() == []
        assert (await replica.status()).synced


@pytest.mark.parametrize("kind", [FaultKind.NOT_A_NUMBER, FaultKind.DEEP_NESTING])
async def test_a_page_that_is_no_json_is_refused_whole(field: Field, kind: FaultKind) -> None:
    await downloaded(field)
    async with field.replica() as replica:
        (changed,) = await ids(replica, "account", 1)
        field.dataverse.update(field.dataverse.system, "account", changed, {"name": "New"})
        field.server.faults.add(Fault(kind, path=r"^accounts.*deltatoken", column="revenue"))
        report = await replica.sync()
        assert "makes no sense" in str(report.tables["account"].problem)
        assert (await replica.sync()).complete, "the checkpoint stayed"
        assert (await replica.table("account").get(changed))["name"] == "New"


@pytest.mark.parametrize("kind", [FaultKind.DUPLICATE_ROWS, FaultKind.REPEAT_ROW])
async def test_rows_that_come_twice_are_there_once(field: Field, kind: FaultKind) -> None:
    field.transport["page_size"] = 20
    field.server.faults.add(Fault(kind, times=None, path="^contacts"))
    await downloaded(field)
    async with field.replica() as replica:
        assert await replica.table("contact").count() == 105


async def test_a_torn_row_is_put_aside_until_it_is_mended(field: Field) -> None:
    await downloaded(field)
    fault = Fault(FaultKind.WRONG_TYPE, path=r"^accounts.*deltatoken", column="name")
    field.server.faults.add(fault)
    office = field.dataverse.system
    async with field.replica() as replica:
        (torn,) = await ids(replica, "account", 1)
        field.dataverse.update(office, "account", torn, {"revenue": 7})
        await replica.sync()
    async with field.replica() as replica:
        (issue,) = await replica.issues()
        assert (issue.kind, issue.row_id) == (IssueKind.UNREADABLE, torn)
        assert "$.name" in issue.message
        assert torn in str(issue.payload)
        status = {table.name: table for table in (await replica.status()).tables}
        assert status["account"].availability is Availability.WARNING
        assert status["account"].unreadable == 1
        assert not (await replica.sync()).complete, "as long as it is as it is"
        field.dataverse.update(office, "account", torn, {"name": "Mended"})
        assert (await replica.sync()).complete
        assert (await replica.table("account").get(torn))["name"] == "Mended"
        assert (await replica.status()).synced

"""The promises of a transport about reading."""

from __future__ import annotations

import pytest

from holdfast.errors import CheckpointExpired
from holdfast.model import Connectivity, Page, Unreadable
from holdfast.schema import HIDDEN_PREFIX
from holdfast.testing._mixing import guid, mix
from holdfast.testing._suites.harness import (
    PAGES,
    Session,
    TransportHarness,
    feed,
    fill,
    garbled,
    records_of,
    tombstones_of,
    torn_of,
)
from holdfast.values import to_cells


class ReadingSuite:
    """Who, what, and how it is pulled, fetched and listed."""

    # Who and what.

    async def test_identity_is_the_same_for_every_session(self, harness: TransportHarness) -> None:
        """A replica belongs to a caller: the answer must not change."""
        async with harness.open() as first:
            one = await first.identity()
        async with harness.open() as second:
            other = await second.identity()
        assert one == other
        assert one.user
        assert one.organization

    async def test_a_probe_of_a_healthy_server_is_connected(
        self, harness: TransportHarness
    ) -> None:
        """The status page says so."""
        async with harness.open() as transport:
            assert await transport.probe() is Connectivity.CONNECTED
            assert transport.location

    async def test_schema_describes_the_table_and_leaves_out_what_is_not_there(
        self, harness: TransportHarness
    ) -> None:
        """The primary id is a column; an unknown table is no error."""
        async with harness.open() as transport:
            assert await transport.schema([]) == []
            [schema] = await transport.schema([harness.table, "no_such_table"])
        assert schema.name == harness.table
        assert schema.column(schema.primary_id) is not None
        assert set(harness.sample(0)) <= set(schema.by_name)
        assert len(schema.by_name) == len(schema.columns)
        assert not any(column.name.startswith(HIDDEN_PREFIX) for column in schema.columns)

    async def test_an_empty_table_is_one_empty_page(self, harness: TransportHarness) -> None:
        """There is always a last page, for its checkpoint."""
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            [page] = await session.pull(None)
        assert not page.records
        assert not page.tombstones

    async def test_every_column_arrives_as_the_canonical_cell(
        self, harness: TransportHarness
    ) -> None:
        """The cell is the one of ``holdfast.values``, and of the same type."""
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            wanted = {}
            for number in range(3):
                values = harness.sample(number)
                wanted[await harness.server_create(values)] = session.changes(values)
            pulled = records_of(await session.pull(None))
        assert set(pulled) == set(wanted)
        for row_id, changes in wanted.items():
            cells = session.cells(pulled[row_id])
            for name, change in changes.items():
                column = session.scope.schema.by_name[name]
                for field, cell in zip(column.fields, to_cells(column, change), strict=True):
                    if field.name != column.name_field:
                        assert (field.name, cells[field.name]) == (field.name, cell)
                        assert type(cells[field.name]) is type(cell), field.name

    async def test_a_column_without_value_arrives_as_null(self, harness: TransportHarness) -> None:
        """Null is None in every type."""
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            row_id = await harness.server_create(harness.sample(0))
            await harness.server_update(row_id, dict.fromkeys(harness.nullable()))
            pulled = records_of(await session.pull(None))
        held = session.held(pulled[row_id])
        assert set(held) == set(harness.sample(0)) - set(harness.nullable())

    async def test_a_first_pull_brings_every_row_in_pages(self, harness: TransportHarness) -> None:
        """No row is missing, none comes twice, no page is larger than agreed."""
        created = await fill(harness, PAGES * harness.page_size - 1)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            pages = await session.pull(None)
        assert len(pages) >= PAGES
        assert max(len(page.records) for page in pages) <= harness.page_size
        ids = [str(record[0]) for page in pages for record in page.records]
        assert sorted(ids) == sorted(created)
        assert not tombstones_of(pages)

    async def test_a_first_pull_resumes_after_every_page(self, harness: TransportHarness) -> None:
        """What was stored up to a checkpoint and what follows it is the whole table."""
        created = await fill(harness, PAGES * harness.page_size)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            pages = await session.pull(None)
        for stored, page in enumerate(pages[:-1], start=1):
            async with harness.open() as transport:
                session = await Session.start(harness, transport)
                rest = await session.pull(page.checkpoint)
            assert set(records_of(pages[:stored])) | set(records_of(rest)) == set(created)
            assert not tombstones_of(rest)

    async def test_a_pull_with_nothing_new_is_one_empty_last_page(
        self, harness: TransportHarness
    ) -> None:
        """And its checkpoint is good for the next one."""
        await fill(harness, 2)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            checkpoint = (await session.pull(None))[-1].checkpoint
            for _ in range(2):
                [page] = await session.pull(checkpoint)
                assert not page.records
                assert not page.tombstones
                checkpoint = page.checkpoint

    async def test_a_delta_has_what_changed_and_tombstones(self, harness: TransportHarness) -> None:
        """Created, updated and deleted since the checkpoint, and nothing else."""
        kept, edited, removed = await fill(harness, 3)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            checkpoint = (await session.pull(None))[-1].checkpoint
            await harness.server_update(edited, harness.sample(10))
            await harness.server_delete(removed)
            added = await harness.server_create(harness.sample(11))
            pages = await session.pull(checkpoint)
        found = records_of(pages)
        assert set(found) == {edited, added}
        assert session.held(found[edited]) == session.changes(harness.sample(10))
        assert removed in tombstones_of(pages)
        assert not tombstones_of(pages) & {kept, edited, added}

    async def test_a_delta_resumes_after_every_page(self, harness: TransportHarness) -> None:
        """An interrupted delta loses neither a change nor a tombstone."""
        rows = await fill(harness, 2 * harness.page_size + 1)
        edited, removed = set(rows[: harness.page_size + 1]), set(rows[harness.page_size + 1 :])
        async with harness.open() as transport:
            session = await feed(harness, transport)
            checkpoint = (await session.pull(None))[-1].checkpoint
            for number, row_id in enumerate(sorted(edited)):
                await harness.server_update(row_id, harness.sample(100 + number))
            for row_id in sorted(removed):
                await harness.server_delete(row_id)
            pages = await session.pull(checkpoint)
            for stored in range(len(pages)):
                start = pages[stored - 1].checkpoint if stored else checkpoint
                together = [*pages[:stored], *await session.pull(start)]
                assert set(records_of(together)) == edited
                assert removed <= tombstones_of(together)

    async def test_a_change_during_a_pull_is_not_lost(self, harness: TransportHarness) -> None:
        """Pages are live: what changes meanwhile comes in this pull or in the next."""
        rows = await fill(harness, PAGES * harness.page_size)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            pages: list[Page] = []
            async for page in transport.pull(session.scope, None):
                if not pages:
                    for number, row_id in enumerate(rows):
                        await harness.server_update(row_id, harness.sample(100 + number))
                pages.append(page)
            pages += await session.pull(pages[-1].checkpoint)
        for number, row_id in enumerate(rows):
            expected = session.changes(harness.sample(100 + number))
            assert session.held(records_of(pages)[row_id]) == expected

    async def test_a_row_deleted_during_a_pull_is_not_kept(self, harness: TransportHarness) -> None:
        """It comes as a tombstone in the next pull, if it came at all."""
        rows = await fill(harness, PAGES * harness.page_size)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            pages: list[Page] = []
            async for page in transport.pull(session.scope, None):
                if not pages:
                    for row_id in rows:
                        await harness.server_delete(row_id)
                pages.append(page)
            later = await session.pull(pages[-1].checkpoint)
        assert set(records_of(pages)) <= tombstones_of(later)

    async def test_a_row_that_makes_no_sense_comes_aside(self, harness: TransportHarness) -> None:
        """It holds up no other, in a first pull and in a delta, and says which row it is."""
        first, second, third = await fill(harness, 3)
        await garbled(harness, second)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            pages = await session.pull(None)
            assert set(records_of(pages)) == {first, third}
            assert set(torn_of(pages)) == {second}
            assert torn_of(pages)[second].reason
            await garbled(harness, first)
            await harness.server_update(third, harness.sample(10))
            pages = await session.pull(pages[-1].checkpoint)
            assert set(records_of(pages)) == {third}
            assert set(torn_of(pages)) == {first}
            later = await session.pull(pages[-1].checkpoint)
            assert not torn_of(later), "the checkpoint is past it"

    async def test_a_row_that_makes_no_sense_is_not_one_that_is_not_there(
        self, harness: TransportHarness
    ) -> None:
        """A row that a fetch leaves out is taken for gone."""
        first, second = await fill(harness, 2)
        await garbled(harness, second)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            found = await transport.fetch(session.scope, [first, second, guid(mix(1), mix(2))])
            torn = [row for row in found if isinstance(row, Unreadable)]
            assert [row.row_id for row in torn] == [second]
            assert [row[0] for row in found if not isinstance(row, Unreadable)] == [first]

    async def test_an_expired_checkpoint_is_said_to_be_void(
        self, harness: TransportHarness
    ) -> None:
        """The typed error makes the engine read anew; an answer without rows would not."""
        await fill(harness, 1)
        async with harness.open() as transport:
            session = await feed(harness, transport)
            checkpoint = (await session.pull(None))[-1].checkpoint
            harness.expire_checkpoints()
            with pytest.raises(CheckpointExpired):
                await session.pull(checkpoint)
            assert len(records_of(await session.pull(None))) == 1

    async def test_fetch_returns_some_rows_and_leaves_out_those_not_there(
        self, harness: TransportHarness
    ) -> None:
        """In any order; of no ids, nothing."""
        first, _, third = await fill(harness, 3)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            missing = guid(mix(1), mix(2))
            found = await session.fetch([third, missing, first])
            assert {record[0] for record in found} == {first, third}
            assert session.held(await session.seen(third)) == session.changes(harness.sample(2))
            assert await session.fetch([]) == []
            assert await session.fetch([missing]) == []

    async def test_fetch_takes_more_ids_than_a_page_has(self, harness: TransportHarness) -> None:
        """The engine may ask for many."""
        rows = await fill(harness, 2 * harness.page_size + 1)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            found = await session.fetch(rows)
        assert sorted(str(record[0]) for record in found) == sorted(rows)

    async def test_list_ids_yields_all_ids_ascending(self, harness: TransportHarness) -> None:
        """The sweep merges them with the local ones, so their order is a promise."""
        rows = await fill(harness, 2 * harness.page_size + 1)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            listed = [row_id async for row_id in transport.list_ids(session.scope, None)]
        assert listed == sorted(rows)

    async def test_count_is_a_number_or_unknown(self, harness: TransportHarness) -> None:
        """It is for a progress bar."""
        await fill(harness, 2)
        async with harness.open() as transport:
            session = await Session.start(harness, transport)
            counted = await transport.count(session.scope)
        assert counted is None or counted >= 0

"""The promises of a transport about writing."""

from __future__ import annotations

from holdfast.model import Applied, Conflicted, Op, OpKind, Refused, Unit
from holdfast.testing._suites.harness import Session, TransportHarness, atomic, server_has, writer


class WritingSuite:
    """Push: one outcome per op, and nothing twice."""

    async def test_a_create_is_applied_with_the_id_of_the_client(
        self, harness: TransportHarness
    ) -> None:
        """The record in the outcome is the row as the server has it."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            op = session.create(1, harness.sample(1))
            outcome = await session.push_one(op)
            assert isinstance(outcome, Applied), outcome
            assert session.held(outcome.record) == op.changes
            assert outcome.record is not None
            assert outcome.record[0] == op.row_id
            assert outcome.record == await session.seen(op.row_id)
        assert await server_has(session, op.row_id) == op.changes

    async def test_an_update_leaves_the_other_columns(self, harness: TransportHarness) -> None:
        """Updates are column-wise; the record shows the whole row and a new version."""
        before, after = harness.sample(1), harness.sample(2)
        column = min(after)
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(before)
            version = await session.version(row_id)
            op = session.op(OpKind.UPDATE, row_id, values={column: after[column]}, version=version)
            outcome = await session.push_one(op)
            assert isinstance(outcome, Applied), outcome
            wanted = session.changes({**before, column: after[column]})
            assert session.held(outcome.record) == wanted
            assert outcome.record is not None
            assert outcome.record[-1] != version
        assert await server_has(session, row_id) == wanted

    async def test_a_column_can_be_set_to_null(self, harness: TransportHarness) -> None:
        """Null is a value like others."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            nothing = dict.fromkeys(harness.nullable())
            version = await session.version(row_id)
            op = session.op(OpKind.UPDATE, row_id, values=nothing, version=version)
            outcome = await session.push_one(op)
            assert isinstance(outcome, Applied), outcome
            assert set(session.held(outcome.record)) == set(harness.sample(1)) - set(nothing)

    async def test_a_delete_is_applied(self, harness: TransportHarness) -> None:
        """There is no record afterwards."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            version = await session.version(row_id)
            op = session.op(OpKind.DELETE, row_id, version=version)
            assert await session.push_one(op) == Applied(op.id, None)
        assert await harness.server_get(row_id) is None

    async def test_the_version_of_an_outcome_is_good_for_the_next_op(
        self, harness: TransportHarness
    ) -> None:
        """Create, update, update, delete: each on what the one before returned."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            outcome = await session.push_one(session.create(1, harness.sample(1)))
            for number in (2, 3):
                assert isinstance(outcome, Applied), outcome
                assert outcome.record is not None
                row_id, version = str(outcome.record[0]), str(outcome.record[-1])
                values = harness.sample(number)
                op = session.op(OpKind.UPDATE, row_id, values=values, version=version)
                outcome = await session.push_one(op)
            assert isinstance(outcome, Applied), outcome
            assert outcome.record is not None
            op = session.op(OpKind.DELETE, row_id, version=str(outcome.record[-1]))
            assert await session.push_one(op) == Applied(op.id, None)

    async def test_an_update_on_a_stale_version_is_a_conflict(
        self, harness: TransportHarness
    ) -> None:
        """The outcome has the server's row, and the server keeps it."""
        await conflict(harness, OpKind.UPDATE)

    async def test_a_delete_on_a_stale_version_is_a_conflict(
        self, harness: TransportHarness
    ) -> None:
        """The outcome has the server's row, and the server keeps it."""
        await conflict(harness, OpKind.DELETE)

    async def test_an_update_of_a_missing_row_is_a_conflict_without_record(
        self, harness: TransportHarness
    ) -> None:
        """It must not create the row."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            version = await session.version(row_id)
            await harness.server_delete(row_id)
            values = harness.sample(2)
            op = session.op(OpKind.UPDATE, row_id, values=values, version=version)
            assert await session.push_one(op) == Conflicted(op.id, None)
        assert await harness.server_get(row_id) is None

    async def test_a_delete_of_a_missing_row_is_applied(self, harness: TransportHarness) -> None:
        """It is as the user wants it."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            version = await session.version(row_id)
            await harness.server_delete(row_id)
            op = session.op(OpKind.DELETE, row_id, version=version)
            assert await session.push_one(op) == Applied(op.id, None)

    async def test_a_create_of_an_id_that_somebody_else_has_is_a_conflict(
        self, harness: TransportHarness
    ) -> None:
        """On a first attempt, and on a later one when the row is not what was sent."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            theirs = await session.seen(row_id)
            for attempts in (1, 2):
                op = session.op(OpKind.CREATE, row_id, values=harness.sample(2), attempts=attempts)
                assert await session.push_one(op) == Conflicted(op.id, theirs)
        assert await server_has(session, row_id) == session.changes(harness.sample(1))

    async def test_nothing_pushed_is_no_outcome(self, harness: TransportHarness) -> None:
        """And no error."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            assert await session.push() == {}

    async def test_one_bad_op_is_refused_and_the_others_are_applied(
        self, harness: TransportHarness
    ) -> None:
        """A refusal has a code and a message for people."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            good = [session.create(number, harness.sample(number)) for number in range(9)]
            bad = session.create(9, harness.unacceptable())
            outcomes = await session.push(*good[:5], bad, *good[5:])
            refused = outcomes.pop(bad.id)
            assert isinstance(refused, Refused), refused
            assert refused.code
            assert refused.message
            assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
            for op in good:
                assert await server_has(session, op.row_id) == op.changes
        assert await harness.server_get(bad.row_id) is None

    async def test_more_ops_than_a_page_are_pushed_at_once(self, harness: TransportHarness) -> None:
        """The engine hands over all that may go; none is forgotten."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            count = 3 * harness.page_size
            ops = [session.create(number, harness.sample(number)) for number in range(count)]
            outcomes = await session.push(*ops)
        assert all(isinstance(outcome, Applied) for outcome in outcomes.values())

    async def test_a_unit_is_applied_whole(self, harness: TransportHarness) -> None:
        """Each of its ops has its outcome."""
        async with harness.open() as transport:
            session = await atomic(harness, transport)
            ops = tuple(session.create(number, harness.sample(number)) for number in range(3))
            outcomes = await session.push(Unit(ops))
            assert all(isinstance(outcome, Applied) for outcome in outcomes.values())
            for op in ops:
                assert await server_has(session, op.row_id) == op.changes

    async def test_a_unit_with_a_bad_op_is_not_applied_at_all(
        self, harness: TransportHarness
    ) -> None:
        """The bad op is refused, the others are not applied; other units are."""
        async with harness.open() as transport:
            session = await atomic(harness, transport)
            good = [session.create(number, harness.sample(number)) for number in range(2)]
            bad = session.create(2, harness.unacceptable())
            alone = session.create(3, harness.sample(3))
            outcomes = await session.push(Unit((good[0], bad, good[1])), Unit((alone,)))
            assert isinstance(outcomes[bad.id], Refused)
            assert isinstance(outcomes[alone.id], Applied)
            for op in good:
                assert not isinstance(outcomes[op.id], Applied)
                assert await harness.server_get(op.row_id) is None

    async def test_a_create_whose_reply_was_lost_is_recognised(
        self, harness: TransportHarness
    ) -> None:
        """The retry is applied, and the row was written once."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            await session.push_unheard(session.create(1, harness.sample(1)))
            retry = session.create(1, harness.sample(1), attempts=2)
            await applied_once(session, retry)

    async def test_an_update_whose_reply_was_lost_is_recognised(
        self, harness: TransportHarness
    ) -> None:
        """The retry still has the old version, and is no conflict."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            version = await session.version(row_id)
            values = harness.sample(2)
            op = session.op(OpKind.UPDATE, row_id, values=values, version=version)
            await session.push_unheard(op)
            retry = session.op(OpKind.UPDATE, row_id, values=values, version=version, attempts=2)
            await applied_once(session, retry)

    async def test_a_delete_whose_reply_was_lost_is_recognised(
        self, harness: TransportHarness
    ) -> None:
        """The row is gone, as the user wants it."""
        async with harness.open() as transport:
            session = await writer(harness, transport)
            row_id = await harness.server_create(harness.sample(1))
            version = await session.version(row_id)
            await session.push_unheard(session.op(OpKind.DELETE, row_id, version=version))
            retry = session.op(OpKind.DELETE, row_id, version=version, attempts=2)
            assert await session.push_one(retry) == Applied(retry.id, None)
        assert await harness.server_get(row_id) is None

    async def test_a_retry_that_was_never_applied_is_a_conflict_when_stale(
        self, harness: TransportHarness
    ) -> None:
        """Only what the server really holds counts as our own."""
        for kind in (OpKind.UPDATE, OpKind.DELETE):
            await conflict(harness, kind, attempts=2)


async def conflict(harness: TransportHarness, kind: OpKind, *, attempts: int = 1) -> None:
    async with harness.open() as transport:
        session = await writer(harness, transport)
        row_id = await harness.server_create(harness.sample(1))
        stale = await session.version(row_id)
        await harness.server_update(row_id, harness.sample(2))
        theirs = await session.seen(row_id)
        values = harness.sample(3) if kind is OpKind.UPDATE else None
        op = session.op(kind, row_id, values=values, version=stale, attempts=attempts)
        assert await session.push_one(op) == Conflicted(op.id, theirs)
    assert await server_has(session, row_id) == session.changes(harness.sample(2))


async def applied_once(session: Session, retry: Op) -> None:
    """Push what was applied unheard, and check that the row did not change again."""
    once = await session.seen(retry.row_id)
    assert once is not None
    assert session.held(once) == retry.changes
    outcome = await session.push_one(retry)
    assert outcome == Applied(retry.id, once)
    assert await session.version(retry.row_id) == once[-1]

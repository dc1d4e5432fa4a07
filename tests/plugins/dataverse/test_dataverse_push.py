"""Writing in batches, and what is said of an op when things go wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from holdfast.errors import (
    SignInNeeded,
    Throttled,
    TransportError,
    Unreachable,
)
from holdfast.model import (
    Applied,
    Conflicted,
    NotApplied,
    Op,
    OpKind,
    Refused,
    Unit,
    Unknown,
)
from holdfast.values import Reference
from holdfast_emulator import Fault, FaultKind
from support.dataverse import (
    NAME_ONLY,
    World,
    account_id,
    account_scope,
    gathered,
    kinds,
    pulled,
    pushed,
    stub,
    transport_to,
)

BATCH = r"\$batch"


async def test_many_ops_go_in_several_batches(world: World) -> None:
    ops = [world.create_op(f"A{number}") for number in range(25)]
    async with world.open(batch_size=10, concurrency=2) as transport:
        scope = await account_scope(transport)
        before = len(world.server.trace)
        outcomes = await pushed(transport, scope, *ops)
    assert kinds(outcomes) == {Applied: 25}
    assert {world.name(op.row_id) for op in ops} == {f"A{number}" for number in range(25)}
    wholes = [one for one in world.server.trace[before:] if "$batch" in str(one)]
    assert len(wholes) >= 3


@pytest.mark.parametrize("kind", [FaultKind.LOSE_REPLY, FaultKind.CUT_BODY])
async def test_a_lost_reply_is_unknown_and_the_retry_is_recognised(
    world: World, kind: FaultKind
) -> None:
    row_id, gone = world.account(), world.account(2)
    version, last = world.version(row_id), world.version(gone)
    async with world.open() as transport:
        scope = await account_scope(transport)
        first = [
            world.create_op("New"),
            world.op(OpKind.UPDATE, row_id, version=version, name="Mine"),
            world.op(OpKind.DELETE, gone, version=last),
        ]
        world.server.faults.add(Fault(kind, path=BATCH))
        assert kinds(await pushed(transport, scope, *first)) == {Unknown: 3}
        version_after = world.dataverse.version
        again = [
            Op(op.id, op.sequence, op.kind, op.table, op.row_id, op.changes, op.version, attempts=2)
            for op in first
        ]
        assert kinds(await pushed(transport, scope, *again)) == {Applied: 3}
    assert world.dataverse.version == version_after, "nothing was felt twice"


async def test_a_batch_that_stopped_halfway_is_sorted_out(world: World) -> None:
    ops = [world.create_op(f"A{number}") for number in range(6)]
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=BATCH, operations=3))
        assert kinds(await pushed(transport, scope, *ops)) == {Unknown: 6}
        assert [world.name(op.row_id) for op in ops].count(None) == 3
        again = [
            Op(op.id, op.sequence, op.kind, op.table, op.row_id, op.changes, attempts=2)
            for op in ops
        ]
        assert kinds(await pushed(transport, scope, *again)) == {Applied: 6}


async def test_a_lost_request_is_not_repeated_by_itself(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.LOSE_REQUEST, path=BATCH))
        op = world.create_op("New")
        assert kinds(await pushed(transport, scope, op)) == {Unknown: 1}
    assert world.name(op.row_id) is None


async def test_a_change_by_somebody_else_after_a_lost_reply_is_a_conflict(world: World) -> None:
    row_id = world.account()
    op = world.op(OpKind.UPDATE, row_id, attempts=2, name="Mine")
    world.rename(row_id, "Theirs")
    async with world.open() as transport:
        scope = await account_scope(transport)
        [outcome] = await pushed(transport, scope, op)
    assert isinstance(outcome, Conflicted)
    assert outcome.record is not None
    assert outcome.record[1] == "Theirs"


async def test_the_same_change_by_somebody_else_is_a_conflict_on_a_first_attempt(
    world: World,
) -> None:
    row_id = world.account()
    op = world.op(OpKind.UPDATE, row_id, name="Same")
    world.rename(row_id, "Same")
    async with world.open() as transport:
        scope = await account_scope(transport)
        [outcome] = await pushed(transport, scope, op)
    assert isinstance(outcome, Conflicted)


async def test_a_throttled_batch_waits_and_goes_through(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.THROTTLE, times=2, retry_after=0, path=BATCH))
        assert kinds(await pushed(transport, scope, world.create_op("New"))) == {Applied: 1}


async def test_ops_behind_a_long_pause_are_not_applied_and_the_pause_is_told(
    world: World,
) -> None:
    ops = [world.create_op(f"A{number}") for number in range(5)]
    async with world.open(batch_size=2, concurrency=1, max_wait=1) as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.THROTTLE, retry_after=500, path=BATCH, skip=1))
        outcomes, error = await gathered(transport, scope, *ops)
    assert kinds(outcomes) == {Applied: 2, NotApplied: 3}
    assert isinstance(error, Throttled)
    assert error.retry_after == pytest.approx(500, abs=5)


async def test_a_refused_token_applies_nothing(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, times=None, path=BATCH))
        outcomes, error = await gathered(transport, scope, world.create_op("New"))
    assert kinds(outcomes) == {NotApplied: 1}
    assert isinstance(error, SignInNeeded)


async def test_no_connection_is_not_applied(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        ops = [world.create_op("New"), world.create_op("Other")]
    async with transport_to("http://127.0.0.1:9", batch_size=1, concurrency=1) as transport:
        outcomes, error = await gathered(transport, scope, *ops)
    assert kinds(outcomes) == {NotApplied: 2}
    assert isinstance(error, Unreachable)


async def test_a_captive_portal_leaves_ops_unknown(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport)
        world.server.faults.add(Fault(FaultKind.CAPTIVE_PORTAL, path=BATCH))
        assert kinds(await pushed(transport, scope, world.create_op("New"))) == {Unknown: 1}


async def test_a_refusal_has_the_servers_words(world: World) -> None:
    async with world.open() as transport:
        scope = await account_scope(transport, "name", "primarycontactid")
        missing = Reference("contact", account_id(9))
        [long] = await pushed(transport, scope, world.create_op("x" * 500))
        row_id = world.account()
        pointing = world.op(OpKind.UPDATE, row_id, primarycontactid=missing)
        [lost] = await pushed(transport, scope, pointing)
    assert isinstance(long, Refused)
    assert long.code == "0x80044331"
    assert "name" in long.message
    assert isinstance(lost, Refused), "the row is there; what it points to is not"


async def test_a_failed_unit_blames_the_op_that_failed(world: World) -> None:
    still, moved = world.account(1), world.account(2)
    ops = (
        world.create_op("New"),
        world.op(OpKind.UPDATE, still, name="Mine 1"),
        world.op(OpKind.UPDATE, moved, name="Mine 2"),
    )
    world.rename(moved, "Theirs")
    async with world.open() as transport:
        scope = await account_scope(transport)
        outcomes = await pushed(transport, scope, Unit(ops))
    found = {outcome.op_id: type(outcome) for outcome in outcomes}
    assert [found[op.id] for op in ops] == [NotApplied, NotApplied, Conflicted]
    assert world.name(still) == "Account 1"


async def test_a_unit_whose_reply_was_lost_is_recognised(world: World) -> None:
    row_id = world.account()
    version = world.version(row_id)
    create = world.create_op("New")
    async with world.open() as transport:
        scope = await account_scope(transport)
        for attempts in (1, 2):
            update = Op("u", 2, OpKind.UPDATE, "account", row_id, {"name": "Mine"}, version)
            ops = [create, update]
            unit = Unit(
                tuple(
                    Op(op.id, 1, op.kind, op.table, op.row_id, op.changes, op.version,
                       attempts=attempts)
                    for op in ops
                )
            )  # fmt: skip
            if attempts == 1:
                world.server.faults.add(Fault(FaultKind.LOSE_REPLY, path=BATCH))
            outcomes = await pushed(transport, scope, unit)
            assert kinds(outcomes) == ({Unknown: 2} if attempts == 1 else {Applied: 2})


async def test_data_cannot_pose_as_protocol(world: World) -> None:
    names = [
        "--batch_00000000-0000-7000-8000-000000000001--",
        "\r\n--batch\r\nContent-Type: application/http\r\n\r\nDELETE /accounts HTTP/1.1\r\n\r\n",
        'x","accountid":"y',
        "HTTP/1.1 204 No Content\r\n\r\n",
    ]
    ops = [world.create_op(name) for name in names]
    async with world.open() as transport:
        scope = await account_scope(transport)
        outcomes = await pushed(transport, scope, *ops)
    assert kinds(outcomes) == {Applied: len(names)}
    assert [world.name(op.row_id) for op in ops] == names


async def test_an_op_without_its_version_is_not_sent(world: World) -> None:
    row_id = world.account()
    async with world.open() as transport:
        scope = await account_scope(transport)
        bare = Op("o", 1, OpKind.UPDATE, "account", row_id, {"name": "X"})
        forged = Op("p", 1, OpKind.UPDATE, "account", row_id, {"name": "X"}, "1\r\nIf-Match: *")
        assert kinds(await pushed(transport, scope, bare)) == {Refused: 1}
        assert kinds(await pushed(transport, scope, forged)) == {Refused: 1}
    assert world.name(row_id) == "Account 1"


async def test_a_push_that_is_left_early_leaves_nothing_behind(world: World) -> None:
    ops = [world.create_op(f"A{number}") for number in range(6)]
    async with world.open(batch_size=2, concurrency=1) as transport:
        scope = await account_scope(transport)
        own = asyncio.current_task()
        outcomes = transport.push([Unit((op,)) for op in ops], {"account": scope})
        await anext(outcomes)
        await outcomes.aclose()  # type: ignore[attr-defined]  # an async generator
        left = [task for task in asyncio.all_tasks() if task is not own and "Pusher" in repr(task)]
    assert left == []


async def test_a_renewed_token_of_somebody_else_sends_nothing(world: World, tmp_path: Path) -> None:
    """The next user of the machine signs in while the last one's work is being sent."""
    path = tmp_path / "token"
    path.write_text("demo-token")
    ops = [world.create_op(f"A{number}") for number in range(3)]
    found: list[TransportError] = []
    async with world.open(credential="token", token=None, token_file=path) as transport:
        scope = await account_scope(transport)
        me = await transport.identity()
        path.write_text("office-token")
        world.server.faults.add(Fault(FaultKind.EXPIRE_TOKEN, path=BATCH))
        outcomes, error = await gathered(transport, scope, *ops)
        assert kinds(outcomes) == {NotApplied: 3}
        assert isinstance(error, SignInNeeded)
        try:
            await pulled(transport, scope)
        except TransportError as refused:
            found.append(refused)
        assert (await transport.identity()).user != me.user, "it says so when it is asked"
        outcomes, error = await gathered(transport, scope, *ops)
        assert error is None, "who asked knows now"
    assert [type(one) for one in found] == [SignInNeeded]


async def test_a_renewed_token_of_the_same_user_goes_on(world: World, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("demo-token")
    user = world.dataverse.security.user_of("demo-token")
    assert user is not None
    world.dataverse.security.admit("fresh-token", user)
    async with world.open(credential="token", token=None, token_file=path) as transport:
        scope = await account_scope(transport)
        await transport.identity()
        path.write_text("fresh-token")
        world.dataverse.security.expel("demo-token")
        assert kinds(await pushed(transport, scope, world.create_op("New"))) == {Applied: 1}


@pytest.mark.parametrize(
    ("status", "expected"), [(500, Unreachable), (403, SignInNeeded), (404, SignInNeeded)]
)
async def test_a_renewed_token_that_nobody_vouches_for_sends_nothing(
    tmp_path: Path, status: int, expected: type[TransportError]
) -> None:
    path = tmp_path / "token"
    path.write_text("first")
    batches: list[str] = []

    async def give(request: web.Request) -> web.StreamResponse:
        first = request.headers["Authorization"] == "Bearer first"
        if request.path.endswith("$batch"):
            if path.read_text() == "first":
                return web.json_response({}, status=403)  # the settings of the caller
            batches.append(request.headers["Authorization"])
            return web.Response(status=401)
        if not first:
            return web.json_response({}, status=status)
        return web.json_response({"UserId": account_id(1), "OrganizationId": account_id(2)})

    op = Op("o1", 1, OpKind.CREATE, "account", account_id(3), {"name": "A"})
    limits = {"token": None, "token_file": path}
    async with stub(give) as server, transport_to(server.url, **limits) as transport:
        await transport.identity()
        path.write_text("second")
        outcomes, error = await gathered(transport, NAME_ONLY, op)
    assert kinds(outcomes) == {NotApplied: 1}
    assert isinstance(error, expected)
    assert batches == ["Bearer first"]

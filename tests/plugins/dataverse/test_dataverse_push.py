"""Writing in batches, and what is said of an op when things go wrong."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from aiohttp import web

from holdfast.errors import AccessDenied, SignInNeeded, Throttled
from holdfast.model import (
    Applied,
    Conflicted,
    NotApplied,
    Op,
    OpKind,
    Outcome,
    Refused,
    Scope,
    Unit,
    Unknown,
)
from holdfast.values import Reference
from holdfast_dataverse import DataverseTransport
from holdfast_emulator import Fault, FaultKind
from support.dataverse import (
    NAME_ONLY,
    World,
    account_id,
    account_scope,
    pushed,
    stub,
    transport_to,
)

BATCH = r"\$batch"


def kinds(outcomes: list[Outcome]) -> Counter[type[Outcome]]:
    return Counter(type(outcome) for outcome in outcomes)


async def gathered(
    transport: DataverseTransport, scope: Scope, *ops: Op
) -> tuple[list[Outcome], Exception | None]:
    """Push and return the outcomes that came before an error, and the error."""
    outcomes: list[Outcome] = []
    try:
        async for outcome in transport.push([Unit((op,)) for op in ops], {"account": scope}):
            outcomes.append(outcome)  # noqa: PERF401  what came before an error counts
    except Exception as error:  # noqa: BLE001  the test looks at it
        return outcomes, error
    return outcomes, None


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
    async with transport_to("http://127.0.0.1:9") as transport:
        assert kinds(await pushed(transport, scope, *ops)) == {NotApplied: 2}


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


# Replies that no good server gives.


def reply(*parts: str) -> web.Response:
    body = "".join(
        f"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {part}\r\n" for part in parts
    )
    headers = {"Content-Type": "multipart/mixed; boundary=r"}
    return web.Response(text=f"{body}--r--\r\n", headers=headers)


def created(number: int) -> str:
    return (
        "201 Created\r\nContent-Type: application/json\r\n\r\n"
        f'{{"@odata.etag":"v","accountid":"{account_id(number)}","name":"A{number}"}}'
    )


def error(status: int, code: str) -> str:
    return f'{status} No\r\n\r\n{{"error":{{"code":"{code}","message":"words"}}}}'


async def outcomes_of(
    answer: Callable[[int], web.Response], count: int
) -> tuple[list[Outcome], Exception | None, int]:
    """Push creates 1 … count to a server that answers its n-th request so."""
    asked = 0

    async def give(_: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return answer(asked)

    ops = [
        Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": f"A{n}"}, attempts=1)
        for n in range(1, count + 1)
    ]
    async with stub(give) as server, transport_to(server.url, concurrency=1) as transport:
        outcomes, failure = await gathered(transport, NAME_ONLY, *ops)
    return sorted(outcomes, key=lambda outcome: outcome.op_id), failure, asked


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((created(1), created(2), created(3)), [Applied, Applied, Applied]),
        ((created(1), created(3)), [Applied, Unknown, Applied]),
        ((created(2),), [Unknown, Applied, Unknown]),
        ((created(1), error(400, "0x1")), [Applied, Unknown, Unknown]),
        ((), [Unknown, Unknown, Unknown]),
        ((created(1), created(2), created(3), created(4)), [Applied, Applied, Applied]),
        ((created(2), created(1), created(3)), [Unknown, Unknown, Applied]),
        ((created(1), error(400, "0x1"), error(503, "")), [Applied, Refused, Unknown]),
        ((created(1), error(429, ""), error(500, "")), [Applied, NotApplied, Unknown]),
    ],
)
async def test_an_answer_is_never_given_to_another_op(
    parts: tuple[str, ...], expected: list[type[Outcome]]
) -> None:
    outcomes, failure, _ = await outcomes_of(lambda _: reply(*parts), 3)
    assert [type(outcome) for outcome in outcomes] == expected
    assert failure is None


async def test_a_doubt_that_cannot_be_looked_into_is_sent_again_later() -> None:
    def answer(asked: int) -> web.Response:
        if asked == 1:
            return reply(error(412, "0x80040237"))
        return web.json_response({"error": {"code": "", "message": "no"}}, status=403)

    outcomes, _, asked = await outcomes_of(answer, 1)
    assert [type(outcome) for outcome in outcomes] == [NotApplied]
    assert asked == 2


async def test_one_op_that_makes_the_whole_batch_fail_is_found() -> None:
    """The server turns away whatever holds the second create, at the door."""

    async def give(request: web.Request) -> web.StreamResponse:
        text = await request.text()
        if account_id(2) in text:
            return web.json_response({"error": {"code": "0xbad", "message": "no"}}, status=413)
        return reply(*(created(n) for n in range(1, 5) if account_id(n) in text))

    ops = [
        Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": f"A{n}"})
        for n in range(1, 5)
    ]
    async with stub(give) as server, transport_to(server.url) as transport:
        outcomes = await pushed(transport, NAME_ONLY, *ops)
    assert {outcome.op_id: type(outcome) for outcome in outcomes} == {
        "o1": Applied,
        "o2": Refused,
        "o3": Applied,
        "o4": Applied,
    }


async def test_who_may_not_write_at_all_is_told_so() -> None:
    def answer(_: int) -> web.Response:
        return web.json_response({"error": {"code": "0x80072560", "message": "no"}}, status=403)

    outcomes, failure, _ = await outcomes_of(answer, 2)
    assert kinds(outcomes) == {NotApplied: 2}
    assert isinstance(failure, AccessDenied)


@pytest.mark.parametrize("status", [200, 204, 408, 500, 502, 503, 504])
async def test_a_batch_without_a_batch_reply_is_unknown(status: int) -> None:
    outcomes, failure, asked = await outcomes_of(lambda _: web.json_response({}, status=status), 2)
    assert kinds(outcomes) == {Unknown: 2}
    assert failure is None
    assert asked == 1, "a write is not repeated"

"""``$batch`` over HTTP: change sets, references, errors, and bodies that are not quite right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.batches import batch, change_set, operation, part, read

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"


async def send(client: Client, body: str | bytes, **headers: str) -> Answer:
    kind = "multipart/mixed; boundary=batch_b"
    return await client("POST", "$batch", data=body, **{"Content_Type": kind, **headers})


async def test_operations_are_answered_in_order(client: Client) -> None:
    answer = await send(
        client,
        batch(
            operation("POST", "/api/data/v9.2/accounts", {"accountid": ID, "name": "A"}),
            operation("GET", f"{client.root}accounts?$select=name&$filter=name eq 'A'"),
            operation("GET", "accounts/$count"),
            operation("DELETE", f"/api/data/v9.2/accounts({ID})"),
        ),
    )
    assert answer.status == 200
    created, listed, counted, deleted = read(answer)
    assert (created.status, created.text) == (204, "")
    assert created.headers["OData-EntityId"] == f"{client.root}accounts({ID})"
    assert listed.json["value"][0]["name"] == "A"
    assert (counted.text, counted.headers["Content-Type"]) == ("\ufeff1", "text/plain")
    assert deleted.status == 204
    assert all(one.head["Content-Type"] == "application/http" for one in read(answer))


async def test_a_batch_stops_at_the_first_failure_and_takes_its_status(client: Client) -> None:
    body = batch(
        operation("POST", "accounts", {"name": "before"}),
        operation("GET", f"accounts({MISSING})"),
        operation("POST", "accounts", {"name": "after"}),
    )
    answer = await send(client, body)
    assert answer.status == 404
    before, failed = read(answer)
    assert (before.status, failed.status) == (204, 404)
    assert failed.json["error"]["code"] == "0x80040217"
    assert "REQ_ID" in failed.headers
    assert [row["name"] for row in (await client("GET", "accounts")).value] == ["before"]


async def test_a_batch_goes_on_when_told_to(client: Client) -> None:
    body = batch(
        operation("GET", f"accounts({MISSING})"), operation("POST", "accounts", {"name": "after"})
    )
    answer = await send(client, body, Prefer="odata.continue-on-error")
    assert answer.status == 200
    assert [one.status for one in read(answer)] == [404, 204]


async def test_a_change_set_happens_whole_with_references(client: Client) -> None:
    answer = await send(
        client,
        batch(
            change_set(
                part("POST", "contacts", {"lastname": "Bø"}, Prefer="return=representation"),
                part(
                    "POST",
                    "/api/data/v9.2/accounts",
                    {"accountid": ID, "name": "A", "primarycontactid@odata.bind": "$1"},
                ),
                part("PATCH", "$1", {"firstname": "Åse"}),
                part("PUT", "$2/telephone1", {"value": "47"}),
                part("PUT", "$2/primarycontactid/$ref", {"@odata.id": "$1"}),
            )
        ),
    )
    assert answer.status == 200, answer.text
    (whole,) = read(answer)
    assert [one.status for one in whole.inner] == [201, 204, 204, 204, 204]
    assert [one.head["Content-ID"] for one in whole.inner] == ["1", "2", "3", "4", "5"]
    row = await client("GET", f"accounts({ID})?$expand=primarycontactid($select=fullname)")
    assert row.json["telephone1"] == "47"
    assert row.json["primarycontactid"]["fullname"] == "Åse Bø"


async def test_a_failing_change_set_is_undone_and_answered_with_one_part(client: Client) -> None:
    body = batch(
        change_set(
            part("POST", "accounts", {"accountid": ID, "name": "A"}),
            part("PATCH", f"accounts({MISSING})", {"name": "B"}, If_Match="*"),
            part("POST", "accounts", {"accountid": OTHER, "name": "C"}),
        ),
        operation("GET", f"accounts({ID})"),
    )
    stopped = await send(client, body)
    assert stopped.status == 404
    (failed,) = read(stopped)
    assert (failed.status, failed.inner) == (404, [])
    went_on = await send(client, body, Prefer="odata.continue-on-error")
    assert [one.status for one in read(went_on)] == [404, 404]
    assert (await client("GET", "accounts")).value == []


async def test_a_reference_must_have_been_declared(client: Client) -> None:
    bind = {"name": "A", "primarycontactid@odata.bind": "$7"}
    answer = await send(client, batch(change_set(part("POST", "accounts", bind))))
    (failed,) = read(answer)
    assert failed.json["error"]["message"] == (
        "Content-ID Reference: '$7' does not exist in the batch context."
    )
    outside = await client("PATCH", "$1", {"name": "A"})
    assert outside.status == 400


async def test_conditions_and_preferences_belong_to_the_part(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    answer = await send(
        client,
        batch(
            operation("PATCH", f"accounts({ID})", {"name": "B"}, Prefer="return=representation"),
            operation("PATCH", f"accounts({ID})", {"name": "C"}, If_Match='W/"1"'),
        ),
        Prefer="odata.continue-on-error",
    )
    changed, refused = read(answer)
    assert (changed.status, changed.json["name"]) == (200, "B")
    assert (refused.status, refused.json["error"]["code"]) == (412, "0x80060882")


async def test_a_loosely_written_batch_is_understood(client: Client) -> None:
    """Bare line feeds, an empty first line, no last one, blank bodies, a bare boundary."""
    body = (
        "\n--batch_b\nContent-Type: application/http\nContent-Transfer-Encoding: binary\n\n"
        'POST accounts HTTP/1.1\nContent-Type: application/json\n\n{"name":"O\'Neil & Co"}\n'
        "--batch_b\nContent-Transfer-Encoding:binary\nContent-Type:application/http\n\n"
        "GET /api/data/v9.2/accounts?$filter=name eq 'O''Neil %26 Co' HTTP/1.1\n\n"
        f"--batch_b\nContent-Type: application/http\n\nDELETE accounts({MISSING}) HTTP/1.1\n"
        "Content-Type: application/json\n\n\n\n\n--batch_b--"
    )
    answer = await client(
        "POST", "$batch", data=body, Content_Type="multipart/mixed;boundary=batch_b"
    )
    assert answer.status == 404, answer.text
    created, listed, deleted = read(answer)
    assert (created.status, len(listed.json["value"]), deleted.status) == (204, 1, 404)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no multipart at all",
        "--batch_b\r\n",
        "--batch_b\r\n--batch_b--",
        "--batch_b\r\nContent-Type: text/plain\r\n\r\nGET accounts HTTP/1.1\r\n--batch_b--",
        f"--batch_b\r\n{operation('GET', 'accounts')}",
        "--batch_b\r\nContent-Type: application/http\r\n\r\nGET accounts\r\n--batch_b--",
        "--batch_b\r\nno header\r\n\r\nGET accounts HTTP/1.1\r\n--batch_b--",
        batch(operation("TRACE", "accounts")),
        batch(operation("GET", "accounts", Prefer='odata.include-annotations="a\rb"')),
        batch(change_set(part("GET", "accounts"))),
        batch("Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n" + operation("GET", "a")),
        batch(*[operation("GET", "WhoAmI")] * 1001),
        batch(change_set(part("POST", "contacts", {})), change_set(part("POST", "contacts", {}))),
        batch("Content-Type: application/http\r\n\r\nGET a" + "b" * 70_000 + " HTTP/1.1"),
    ],
)
async def test_a_malformed_batch_is_refused_whole(client: Client, body: str) -> None:
    answer = await send(client, body)
    assert answer.status == 400
    assert answer.json["error"]["message"]
    assert [one["url"] for one in client.server.trace] == ["$batch"]


async def test_a_batch_must_be_multipart_and_not_nested(client: Client) -> None:
    assert (await client("POST", "$batch", {})).status == 415
    kind = {"Content_Type": "multipart/mixed"}
    assert (await client("POST", "$batch", data="x", **kind)).status == 400
    nested = await send(client, batch(operation("POST", "$batch", {})))
    assert nested.status == 400


async def test_a_batch_of_a_thousand_is_carried_out(client: Client) -> None:
    body = batch(*[operation("POST", "accounts", {"name": str(n)}) for n in range(1000)])
    answer = await send(client, body)
    assert [one.status for one in read(answer)] == [204] * 1000


async def test_reading_takes_time_linear_in_the_body() -> None:
    """A boundary that is everywhere must not be searched to the end from each place."""
    from holdfast_emulator.behaviour.faults import DataverseFault
    from holdfast_emulator.wire.batch import read_batch

    for body in (b"--b" * 1_000_000, b"\n--b" * 500_000, b"--b\n" * 1001 + b"x\n" * 1_000_000):
        with pytest.raises(DataverseFault):
            read_batch("multipart/mixed; boundary=b", body)

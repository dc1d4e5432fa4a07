"""Answers that once got through, or came out as an exception that is not holdfast's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.errors import HoldfastError, ProtocolError
from holdfast.model import Op, OpKind, Unit, Unknown
from holdfast_dataverse._answers import Answer, identity_of
from holdfast_dataverse._metadata import entity_sets, questions, table_schema
from holdfast_dataverse._records import Reader
from holdfast_dataverse._session import Request
from support.dataverse import NAME_ONLY, account_id, account_row
from support.replayed import FILTER, fed

JSON = {"content-type": "application/json"}


def ok(body: object, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(200, JSON | headers, raw)


def answering(*answers: Answer) -> Callable[[Request], Answer]:
    """Answer with these, the last again and again."""
    left = list(answers)

    def ask(_: Request) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return ask


def batch(*bodies: bytes, kind: str = "multipart/mixed; boundary=r") -> Answer:
    parts = (
        b"--r\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 200 OK\r\n\r\n%b\r\n" % body
        for body in bodies
    )
    return Answer(200, {"content-type": kind}, b"".join([*parts, b"--r--"]))


async def test_bytes_that_are_no_latin_letters_in_a_content_type_lose_no_outcome() -> None:
    """The exception of the header's parser ended the push, and left the ops without a word."""
    op = Op("o1", 1, OpKind.CREATE, "account", account_id(1), {"name": "A"})
    transport = fed(answering(batch(b"{}", kind="multipart/mixed; boundary=\udcff")))
    outcomes = [one async for one in transport.push([Unit((op,))], {"account": NAME_ONLY})]
    assert [type(one) for one in outcomes] == [Unknown]


@pytest.mark.parametrize(
    "told",
    [-1, True, 2**63, 10**400, "7", None, 1.5, [], {"Values": 3}],
    ids=lambda told: repr(told)[:20],
)
async def test_a_number_of_rows_that_is_none_is_not_known(told: object) -> None:
    """One that does not fit 64 bits broke the storage."""
    body = {"EntityRecordCountCollection": {"Values": [told]}}
    transport = fed(answering(ok(body), Answer(404, {}, b"")))
    assert await transport.count(NAME_ONLY) is None


@pytest.mark.parametrize(
    "text",
    ["9" * 5000, "9" * 16, "\u0663", "-1", "1_0", "", "+1", "1 1"],
    ids=lambda text: text[:20],
)
async def test_a_count_that_is_none_is_not_known(text: str) -> None:
    """Of five thousand digits Python makes no number, but an error."""
    transport = fed(answering(Answer(501, {}, b""), ok(text.encode())))
    assert await transport.count(NAME_ONLY) is None


async def test_rows_that_were_asked_for_and_came_in_part_are_refused() -> None:
    """What was left out would have been taken for deleted."""
    page = {"value": [account_row(1)], "@odata.nextLink": "http://127.0.0.1:5000/api/data/x"}
    transport = fed(answering(batch(json.dumps(page).encode())))
    with pytest.raises(ProtocolError, match="only a part of the rows"):
        await transport.fetch(NAME_ONLY, [account_id(1), account_id(2)])


async def test_rows_that_nobody_asked_for_are_refused() -> None:
    transport = fed(answering(batch(json.dumps({"value": [account_row(3)]}).encode())))
    with pytest.raises(ProtocolError, match="nobody asked for"):
        await transport.fetch(NAME_ONLY, [account_id(1), account_id(2)])


async def test_a_paging_cookie_that_is_no_text_is_a_refusal() -> None:
    member = b'"@Microsoft.Dynamics.CRM.fetchxmlpagingcookie":"\xff"'
    transport = fed(answering(ok(b'{"value":[],%b}' % member)))
    with pytest.raises(ProtocolError, match="a page of ids is not understood"):
        _ = [one async for one in transport.list_ids(NAME_ONLY, FILTER)]


async def test_views_of_other_tables_are_not_kept() -> None:
    rows = [
        {"returnedtypecode": table, "name": "x", "fetchxml": "<fetch/>"}
        for table in ("account", "contact", ["account"], None)
    ]
    transport = fed(answering(ok({"value": rows})))
    found = await transport.views(["account"])
    assert {view.table for view in found} == {"account"}


@pytest.mark.parametrize("unit", [{"a": 1}, ["x"], "\x1b[2J", 7, True])
async def test_a_business_unit_that_is_no_id_is_none(unit: object) -> None:
    me = {"UserId": account_id(1), "OrganizationId": account_id(2), "BusinessUnitId": unit}
    caller = await fed(answering(ok(me), Answer(404, {}, b""))).identity()
    assert caller.business_unit is None


@pytest.mark.parametrize(
    "number", [-1, 2**31, 10**400, True, "1033", 1.5], ids=lambda one: repr(one)[:20]
)
async def test_a_language_that_is_no_number_is_none(number: object) -> None:
    me = {"UserId": account_id(1), "OrganizationId": account_id(2)}
    own = {"uilanguageid": number, "localeid": number, "timezonecode": number}
    none = b'{"value":[]}'
    answers = batch(none, json.dumps(own).encode(), none, none)
    caller = await fed(answering(ok(me), answers)).identity()
    assert (caller.language, caller.time_zone) == (None, "UTC")


@pytest.mark.parametrize("who", [[], {"UserId": "x"}, {"UserId": [], "OrganizationId": {}}])
def test_who_is_nobody_is_told_in_words(who: object) -> None:
    with pytest.raises(ProtocolError, match="; "):
        identity_of(ok(who))


# Descriptions of tables.

HEAD: dict[str, object] = {
    "LogicalName": "x",
    "EntitySetName": "xs",
    "PrimaryIdAttribute": "xid",
    "TableType": "Standard",
}
KEY: dict[str, object] = {
    "LogicalName": "xid",
    "AttributeTypeName": {"Value": "UniqueidentifierType"},
    "IsValidForRead": True,
    "IsValidForCreate": True,
    "IsValidForUpdate": False,
    "IsValidODataAttribute": True,
    "RequiredLevel": {"Value": "SystemRequired"},
}
AMOUNT = {**KEY, "LogicalName": "amount", "AttributeTypeName": {"Value": "MoneyType"}}


def described(head: object = HEAD, columns: Any = (KEY, AMOUNT), **detail: object) -> list[Answer]:
    """Return the answers about a table, with one detail of one column."""
    details = {"value": [{"LogicalName": "amount", **detail}]}
    nothing = ok({"value": []})
    rest = [nothing] * (len(questions("x")) - 4)
    return [ok(head), ok({"value": list(columns)}), *rest, ok(details), nothing]


def test_a_description_is_read() -> None:
    found = table_schema("x", described(MaxLength=5, MinValue="NaN", MaxValue=1.5), {})
    assert found is not None
    amount = found.by_name["amount"]
    assert (amount.max_length, amount.minimum, str(amount.maximum)) == (5, None, "1.5")


@pytest.mark.parametrize(
    "answers",
    [
        described({**HEAD, "LogicalName": "contact"}),
        described({**HEAD, "EntitySetName": None}),
        described({**HEAD, "EntitySetName": "xs(1)/evil"}),
        described({**HEAD, "PrimaryIdAttribute": ["xid"]}),
        described({**HEAD, "DisplayName": "x"}),
        described(columns=[KEY, {**KEY, "LogicalName": {"a": 1}}]),
        described(columns=[{**KEY, "IsValidForRead": "yes"}]),
        described(MinValue="low"),
        described(MinValue=[]),
        described(MaxLength="5"),
        described(MaxLength=-1),
        described(Precision=2**40),
        described(Targets="contact"),
        described(Targets=[5]),
        described(OptionSet={"Options": [{"Value": "1"}]}),
        described(OptionSet={"Options": [{"Value": 10**400}]}),
        described(DateTimeBehavior={"Value": "Sometimes"}),
        described(DateTimeBehavior=5),
    ],
)  # fmt: skip
def test_a_description_with_a_wrong_type_is_refused_in_words(answers: list[Answer]) -> None:
    """A number as text came up much later, in the validation of a local write."""
    with pytest.raises(ProtocolError, match="; "):
        table_schema("x", answers, {})


@pytest.mark.parametrize("rows", [[{}], [{"LogicalName": ["x"]}], [5], "x", None])
def test_a_list_of_tables_that_is_none_is_refused_in_words(rows: object) -> None:
    with pytest.raises(ProtocolError, match="; "):
        entity_sets(ok({"value": rows}))


# Rows.


@pytest.mark.parametrize(
    "row",
    [
        {"accountid": "\x1b]0;owned\x07", "@odata.etag": "v"},
        {"accountid": "\x1b[2J", "name": "A"},
        {"accountid": account_id(1), "@odata.etag": "\x1b[2J"},
        {"accountid": "Kari Nordmann, born 1970", "@odata.etag": "v"},
    ],
)
def test_a_refusal_shows_no_value_and_steers_no_terminal(row: dict[str, object]) -> None:
    body = json.dumps({"value": [row]}).encode()
    with pytest.raises(ProtocolError) as caught:
        Reader(NAME_ONLY).whole(body)
    (torn,) = Reader(NAME_ONLY).page(body).unreadable
    for words in (str(caught.value), torn.reason):
        assert words.isprintable()
        assert "owned" not in words
        assert "Kari" not in words


@pytest.mark.parametrize("name", ["accountid", "@odata.etag"])
def test_a_single_row_that_says_twice_who_it_is_is_refused(name: str) -> None:
    text = json.dumps(account_row(1))
    twice = f'{text[:-1]},"{name}":"{account_id(2)}"}}'
    with pytest.raises(ProtocolError, match="comes twice"):
        Reader(NAME_ONLY).one(twice.encode())


def test_a_column_that_comes_twice_counts_as_it_came_last() -> None:
    """As for every reader of JSON; only what rows are told apart by has to be said once."""
    body = f'{{"value":[{json.dumps(account_row(1, "first"))[:-1]},"name":"last"}}]}}'
    [record] = Reader(NAME_ONLY).page(body.encode()).records
    assert record[1] == "last"


async def test_an_error_is_holdfasts_own_whatever_the_status() -> None:
    for status in range(200, 600, 7):
        transport = fed(answering(Answer(status, JSON, b"\xff")))
        with pytest.raises(HoldfastError):
            await transport.schema(["account"])

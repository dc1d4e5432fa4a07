"""What a hostile client may send: every parser answers or refuses, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.schema import Kind
from holdfast.values import Cell
from holdfast_emulator import DataverseFault
from holdfast_emulator.wire.batch import read_batch
from holdfast_emulator.wire.cookies import (
    Cookie,
    read_cookie,
    read_position,
    write_cookie,
    write_position,
)
from holdfast_emulator.wire.metadata_filter import parse_metadata_filter
from holdfast_emulator.wire.options import (
    Preferences,
    parse_query,
    preferences,
)
from holdfast_emulator.wire.urls import Id, Named, Segment, parse_key, segments, split_url

GUID = "0a0a0a0a-0000-4000-8000-000000000001"
NASTY = st.text(alphabet="aZ_09-'\"(){}[]$,;/=&%+ .:@*<>\r\n\tøé\x00", max_size=60) | st.text()
OPTIONS = ("$select", "$filter", "$orderby", "$top", "$count", "$expand", "$skiptoken")


@contextmanager
def may_refuse(*statuses: int) -> Iterator[None]:
    """Let through a refusal with one of these statuses."""
    refused: DataverseFault | None = None
    try:
        yield
    except DataverseFault as fault:
        refused = fault
    assert refused is None or refused.status in statuses


@given(NASTY)
def test_paths_are_parsed_or_refused(text: str) -> None:
    with may_refuse(400, 501):
        segments(split_url(text)[0])


@given(st.lists(st.tuples(st.sampled_from(OPTIONS), NASTY), max_size=4) | NASTY)
def test_options_are_parsed_or_refused(parts: list[tuple[str, str]] | str) -> None:
    query = parts if isinstance(parts, str) else "&".join(f"{n}={v}" for n, v in parts)
    with may_refuse(400, 501):
        options = parse_query(query, OPTIONS)
        if options.skip_token is not None:
            read_position(read_cookie(options.skip_token).inner, [("a", Kind.INTEGER)])


@given(NASTY)
def test_preferences_and_metadata_filters_are_parsed_or_refused(text: str) -> None:
    assert isinstance(preferences(text), Preferences)
    with may_refuse(400, 501):
        parse_metadata_filter(text)


LINES = (
    b"--b",
    b"--b--",
    b"--c",
    b"--c--",
    b"Content-Type: application/http",
    b"Content-Type: multipart/mixed; boundary=c",
    b"Content-ID: 1",
    b"GET accounts HTTP/1.1",
    b"POST accounts HTTP/1.1",
    b"",
    b"\xff",
    b"{}",
)


@given(st.lists(st.sampled_from(LINES)), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_batches_are_read_or_refused(lines: list[bytes], end: bytes) -> None:
    with may_refuse(400):
        read_batch("multipart/mixed; boundary=b", end.join(lines))


POSITIONS = st.tuples(
    st.none() | st.text(),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
    st.none() | st.booleans(),
    st.uuids().map(str),
)
KINDS = (Kind.TEXT, Kind.INTEGER, Kind.DECIMAL, Kind.REAL, Kind.BOOLEAN, Kind.KEY)
NAMES = ("a", "b", "c", "d", "e", "id")


@given(POSITIONS, st.integers(1, 10**6))
def test_a_position_survives_its_skip_token(position: tuple[Cell, ...], page: int) -> None:
    inner = write_position(NAMES, page, position, position)
    token = write_cookie(Cookie(page + 1, inner, tracking=False))
    cookie = read_cookie(unquote(token))
    assert cookie.page == page + 1
    assert read_position(cookie.inner, list(zip(NAMES, KINDS, strict=True))) == position


def test_a_position_of_another_query_is_refused() -> None:
    inner = write_position(("name", "id"), 1, ("A", GUID), ("A", GUID))
    with pytest.raises(DataverseFault):
        read_position(inner, [("fax", Kind.TEXT), ("id", Kind.KEY)])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("", None),
        (GUID.upper(), Id(GUID)),
        (f"accountid={GUID}", Named({"accountid": GUID})),
        ("name='O''Neil, (sons)/=',n=-1", Named({"name": "O'Neil, (sons)/=", "n": -1})),
        ("a=1.50,b=true,c=null", Named({"a": Decimal("1.50"), "b": True, "c": None})),
        ("d=2026-03-01T08:00:00Z", Named({"d": "2026-03-01T08:00:00Z"})),
    ],
)
def test_keys_are_told_apart(text: str, key: Id | Named | None) -> None:
    assert parse_key(text) == key


@pytest.mark.parametrize(
    "url",
    [
        f"accounts({GUID})/name",
        f"/accounts({GUID})/name",
        f"/api/data/v9.2/accounts({GUID})/name",
        f"http://127.0.0.1:1/api/data/v9.0/accounts%28{GUID}%29/name",
    ],
)
def test_urls_may_be_absolute_rooted_or_relative(url: str) -> None:
    row, column = segments(split_url(url)[0])
    assert (row.name, row.key, column) == ("accounts", Id(GUID), Segment("name"))


def test_preferences_come_joined_and_quoted() -> None:
    found = preferences(
        'return=representation,odata.include-annotations="a,B.*", odata.maxpagesize=9999,'
        "odata.track-changes , odata.continue-on-error"
    )
    assert found == Preferences(
        representation=True,
        annotations=("a", "B.*"),
        page_size=5000,
        track_changes=True,
        continue_on_error=True,
    )
    assert found.wants("B.c")
    assert not found.wants("b")
    always = 'return=representation,odata.include-annotations="a,B.*"'
    assert found.applied() == always
    assert found.applied(paged=True) == f"{always},odata.maxpagesize=5000"
    assert found.applied(tracked=True) == f"{always},odata.track-changes"

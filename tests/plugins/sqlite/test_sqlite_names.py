"""S-16: a name is a name or it is refused; and the test that says so sees a planted bug (m46)."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import pytest

from holdfast.contracts import Layout, Put, Query, Storage
from holdfast.errors import StorageError
from holdfast.schema import Field, Kind, is_identifier
from mutants import m46_unqualified_quoted_identifier
from support.naughty import LONE_SURROGATES, texts
from support.unknown_columns import ROWS, answered, every_place, fill

Open: TypeAlias = Callable[..., AbstractAsyncContextManager[Storage]]
#: Not there; among them words that SQLite knows, and columns that it adds by itself.
UNKNOWN = ("nope", "Ada", "rowid", "oid", "_rowid_", "null", "true", "current_timestamp", "count")


@pytest.fixture
async def storage(open_sqlite: Open) -> AsyncIterator[Storage]:
    async with open_sqlite() as opened:
        await fill(opened)
        yield opened


@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_unknown_column_is_an_error_in_every_clause(storage: Storage, name: str) -> None:
    assert await answered(storage, name) == []


async def test_a_name_that_is_left_bare_is_seen(storage: Storage) -> None:
    """m46: SQLite would take the name for a text, and the filter would match every row."""
    with m46_unqualified_quoted_identifier.planted():
        wrong = await answered(storage, "nope")
    if hasattr(sqlite3.Connection, "setconfig"):  # since Python 3.12 that is turned off as well
        assert wrong == []
        return
    assert "filter: the name itself" in wrong
    assert len(wrong) > len(list(every_place("nope"))) // 2


async def test_a_naughty_text_as_the_name_of_a_column_is_refused(storage: Storage) -> None:
    for text in (*texts(), *LONE_SURROGATES):
        if text in ("id", "name", "born"):
            continue
        assert await answered(storage, text) == [], text
    assert [tuple(record) async for record in storage.query(Query("people"))] == ROWS


async def test_a_naughty_text_as_a_name_is_refused_or_harmless(open_sqlite: Open) -> None:
    """Where tables, columns and indexes are made."""
    made = 0
    async with open_sqlite() as storage:
        await fill(storage)
        number = Field("id", Kind.KEY)
        for text in (*texts(), *LONE_SURROGATES):
            for layout in (
                Layout(text, (number,)),
                Layout("t", (number, Field(text, Kind.TEXT)), (text,)),
                Layout("t", (number, Field("x", Kind.TEXT)), (text,)),
            ):
                try:
                    await storage.migrate([layout], version=2)
                except StorageError as error:
                    str(error).encode(errors="backslashreplace")
                    continue
                made += 1
                assert is_identifier(text)
                width = len(layout.fields)
                await storage.write([Put(layout.table, [("a", "b")[:width]])])
                found = [tuple(record) async for record in storage.query(Query(layout.table))]
                assert found == [("a", "b")[:width]]
    assert 10 < made < 100

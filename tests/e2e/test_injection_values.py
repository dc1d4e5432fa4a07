"""S-15: whatever a text holds, it is a value: kept, found and given back as it is, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import holdfast
from holdfast.errors import InvalidValue
from holdfast.filters import ColumnRef, Compare, Comparison, In, Like, Literal
from holdfast.folding import fold
from holdfast.schema import Column, ColumnType, Kind, TableSchema
from holdfast.testing import MemoryServer
from holdfast.values import Value
from support.naughty import LONE_SURROGATES, texts

NOTE = TableSchema(
    "note",
    "noteid",
    "subject",
    (
        Column("noteid", ColumnType.UNIQUEIDENTIFIER, updatable=False),
        Column("subject", ColumnType.STRING),
        Column("body", ColumnType.MEMO),
    ),
)
SUBJECT, BODY = ColumnRef("subject", Kind.TEXT), ColumnRef("body", Kind.TEXT)


def profile(path: Path, server: MemoryServer) -> dict[str, object]:
    return {
        "storage": {"driver": "sqlite", "path": str(path)},
        "transport": {"driver": "memory", "server": server, "user": "user-1"},
        "profile": {"tables": [{"name": "note", "indexes": ["subject"]}]},
    }


def escaped(text: str) -> str:
    """Return a pattern that stands for the text itself."""
    return "".join(f"[{c}]" if c in "%_[" else c for c in text)


def test_there_are_enough_of_them() -> None:
    found = texts()
    assert len(found) == len(set(found))
    assert len(found) >= 500


async def test_a_naughty_text_is_kept_sent_fetched_and_found_as_it_is(tmp_path: Path) -> None:
    """Down from the server, up from here, over a restart; by equality, list and pattern."""
    wanted = texts()
    server = MemoryServer([NOTE])
    theirs = {server.create("note", {"subject": text, "body": text}): text for text in wanted}
    async with holdfast.open(profile(tmp_path / "field.db", server)) as replica:
        await replica.download()
        notes = replica.table("note")
        mine = {await notes.create({"subject": text, "body": text}): text for text in wanted}
        report = await replica.sync()
        assert (report.complete, report.waiting, report.issues) == (True, 0, [])
    async with holdfast.open(profile(tmp_path / "field.db", server)) as replica:
        notes = replica.table("note")
        everything: dict[str, tuple[Value, Value]] = {
            row.id: (row["subject"], row["body"]) async for row in notes.query()
        }
        assert everything == {row_id: (t, t) for row_id, t in (theirs | mine).items()}
        alike = {
            text: [i for i, t in everything.items() if fold(str(t[0])) == fold(text)]
            for text in wanted
        }
        for text in wanted:
            for column in (SUBJECT, BODY):
                for where in (
                    Compare(Comparison.EQ, column, Literal(text)),
                    In(column, (text,)),
                    Like(column, escaped(text)),
                ):
                    rows = sorted([row.id async for row in notes.query(where)])
                    assert rows == sorted(alike[text]), (text, where)
    for row_id, text in mine.items():
        row = server.get("note", row_id)
        assert row is not None
        assert (row["subject"], row["body"]) == (text, text)


async def test_a_lone_surrogate_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    server = MemoryServer([NOTE])
    async with holdfast.open(profile(tmp_path / "field.db", server)) as replica:
        await replica.download()
        notes = replica.table("note")
        for text in LONE_SURROGATES:
            for values in ({"subject": text}, {"subject": "x", "body": text}):
                with pytest.raises(InvalidValue, match="lone surrogate") as caught:
                    await notes.create(values)
                str(caught.value).encode(errors="strict")
        assert [row async for row in notes.query()] == []
        assert await replica.pending() == []

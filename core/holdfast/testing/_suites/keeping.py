"""The promises of a storage about what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from holdfast.contracts import Change, Delete, Key, Layout, Order, Put, Query
from holdfast.errors import StorageError
from holdfast.filters import ColumnRef, In, IsNull
from holdfast.schema import Field, Kind
from holdfast.testing._suites.awkward import CELLS, KEY, LAYOUT
from holdfast.testing._suites.stored import (
    ANNA,
    BO,
    COUNT,
    MANY,
    Opener,
    everything,
    read_sorted,
    write_people,
)
from holdfast.values import Cell


class KeepingSuite:
    """Writes are whole, and cells come back as they were."""

    async def test_a_put_replaces_the_whole_record(self, opener: Opener) -> None:
        """What the new record leaves null is null."""
        async with opener() as storage:
            await write_people(storage, ANNA, BO)
            await storage.write([Put("people", [("a", None, 9)])])
            assert await read_sorted(storage, "people", "a", "b") == [["a", None, 9], list(BO)]

    async def test_a_delete_removes_and_a_missing_key_is_no_error(self, opener: Opener) -> None:
        """A retry deletes again."""
        async with opener() as storage:
            await write_people(storage, ANNA, BO)
            await storage.write([Delete("people", ["a", "nobody", "a"])])
            await storage.write([Delete("people", ["a"])])
            assert await everything(storage, "people") == [list(BO)]

    async def test_changes_happen_in_order(self, opener: Opener) -> None:
        """Within one write the last word counts."""
        async with opener() as storage:
            await write_people(storage)
            changes: list[Change] = [
                Put("people", [ANNA, BO]),
                Delete("people", ["a", "b"]),
                Put("people", [("a", "first", 1), ("a", "second", 2)]),
                Put("items", [(1, "gone")]),
                Delete("items", [1]),
            ]
            await storage.write(changes)
            assert await everything(storage, "people") == [["a", "second", 2]]
            assert await everything(storage, "items") == []

    async def test_nothing_to_do_is_no_error(self, opener: Opener) -> None:
        """Empty lists are common."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            await storage.write([])
            await storage.write([Put("people", []), Delete("people", [])])
            assert await storage.read("people", []) == []
            assert await read_sorted(storage, "people", "nobody") == []
            assert await everything(storage, "people") == [list(ANNA)]

    @pytest.mark.parametrize(
        "bad",
        [
            Put("people", [("c", "too few")]),
            Put("people", [("c", "too many", 1, 1)]),
            Put("people", [(None, "no key", 1)]),
            Put("people", [("c", "beyond 64 bits", 2**63)]),
            Put("people", [("c", "a lone surrogate \ud800", 1)]),
            Put("nowhere", [("c",)]),
            Delete("nowhere", ["c"]),
        ],
        ids=["few", "many", "null", "large", "surrogate", "put-nowhere", "delete-nowhere"],
    )
    async def test_a_bad_record_undoes_the_whole_write(self, opener: Opener, bad: Change) -> None:
        """What comes before it and after it in the same write is not there."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            good: list[Change] = [Delete("people", ["a"]), Put("items", [(1, "x")])]
            with pytest.raises(StorageError):
                await storage.write([*good, bad, Put("people", [BO])])
            assert await everything(storage, "people") == [list(ANNA)]
            assert await everything(storage, "items") == []
            await storage.write([Put("people", [BO])])
        async with opener() as storage:
            assert await everything(storage, "people") == [list(ANNA), list(BO)]

    async def test_a_record_is_copied(self, opener: Opener) -> None:
        """What the caller does with its list later is its own affair."""
        mine: list[Cell] = list(ANNA)
        async with opener() as storage:
            await write_people(storage, mine)
            mine[1] = "changed"
            assert await everything(storage, "people") == [list(ANNA)]

    @pytest.mark.parametrize("kind", list(Kind), ids=lambda kind: kind.value)
    async def test_every_cell_comes_back_as_it_was(self, opener: Opener, kind: Kind) -> None:
        """The same value of the same type, by ``read`` and by ``query``, after opening again."""
        layout = Layout("kept", (KEY, Field("cell", kind)))
        wanted: list[list[Cell]] = [[n, cell] for n, cell in enumerate((*CELLS[kind], None))]
        async with opener() as storage:
            await storage.migrate([layout], version=1)
            await storage.write([Put("kept", wanted)])
        async with opener() as storage:
            read = sorted(map(list, await storage.read("kept", range(len(wanted)))), key=_number)
            for found in (read, await everything(storage, "kept")):
                assert found == wanted
                assert [type(row[1]) for row in found] == [type(row[1]) for row in wanted]

    async def test_a_row_may_be_null_everywhere_but_in_its_key(self, opener: Opener) -> None:
        """Null is None in every kind."""
        empty = (1, *(None for _ in LAYOUT.fields[1:]))
        async with opener() as storage:
            await storage.migrate([LAYOUT], version=1)
            await storage.write([Put(LAYOUT.table, [empty])])
            assert await read_sorted(storage, LAYOUT.table, 1) == [list(empty)]

    async def test_a_megabyte_of_text_is_kept(self, opener: Opener) -> None:
        """Notes and signatures are long."""
        long = "Ø1\n" * 350_000
        async with opener() as storage:
            await write_people(storage, ("a", long, 1))
            assert (await read_sorted(storage, "people", "a"))[0][1] == long

    @pytest.mark.parametrize("kind", [Kind.KEY, Kind.INTEGER], ids=["text", "integer"])
    async def test_keys_are_exact(self, opener: Opener, kind: Kind) -> None:
        """Keys that differ in case only are two keys; records come by key when not told else."""
        keys = [key for key in CELLS[kind] if isinstance(key, str | int)]
        layout = Layout("keyed", (Field("key", kind), COUNT))
        rows: list[list[Cell]] = [[key, n] for n, key in enumerate(keys)]
        async with opener() as storage:
            await storage.migrate([layout], version=1)
            await storage.write([Put("keyed", rows)])
            for row in rows:
                assert await read_sorted(storage, "keyed", _key(row)) == [row]
            assert await everything(storage, "keyed") == sorted(
                rows, key=lambda row: _rank_of(row[0])
            )
            await storage.write([Delete("keyed", keys[::2])])
            assert await storage.count("keyed") == len(keys[1::2])
            assert await read_sorted(storage, "keyed", *keys) == sorted(rows[1::2], key=repr)

    async def test_many_records_and_keys_at_once(self, opener: Opener) -> None:
        """More than a statement of any database takes."""
        people = [(f"{n:05d}", f"name {n}", n) for n in range(MANY)]
        keys = [person[0] for person in people]
        async with opener() as storage:
            await write_people(storage, *people)
            assert await storage.count("people") == MANY
            assert len(await storage.read("people", keys)) == MANY
            among = In(ColumnRef("id", Kind.KEY), (*keys, "nobody"))
            if storage.runs(among):
                assert await storage.count("people", among) == MANY
                assert len(await everything(storage, Query("people", among))) == MANY
            await storage.write([Delete("people", keys[1:])])
            assert await everything(storage, "people") == [list(people[0])]

    async def test_what_is_not_there_cannot_be_asked_for(self, opener: Opener) -> None:
        """An unknown table or field is an error, never an empty answer."""
        nothing = IsNull(ColumnRef("nothing", Kind.TEXT))
        unknown = Field("nothing", Kind.TEXT)
        async with opener() as storage:
            await write_people(storage, ANNA)
            with pytest.raises(StorageError):
                await storage.read("nowhere", ["a"])
            with pytest.raises(StorageError):
                await storage.count("nowhere")
            if storage.runs(nothing):
                with pytest.raises(StorageError):
                    await storage.count("people", nothing)
            for query in (Query("nowhere"), Query("people", order=(Order(unknown),))):
                with pytest.raises(StorageError):
                    await everything(storage, query)


def _number(row: Sequence[Cell]) -> int:
    assert isinstance(row[0], int)
    return row[0]


def _key(row: Sequence[Cell]) -> Key:
    assert isinstance(row[0], str | int)
    return row[0]


def _rank_of(cell: Cell) -> Any:  # Any: cells of one kind
    return cell

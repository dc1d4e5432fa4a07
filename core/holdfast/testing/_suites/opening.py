"""The promises of a storage about opening and migrating."""

from __future__ import annotations

import os
from decimal import Decimal

import pytest

from holdfast.contracts import Layout, OpenMode, Order, Put, Query
from holdfast.errors import StorageError, StorageLocked
from holdfast.filters import EVERYTHING, ColumnRef, Compare, Comparison, IsNull, Literal
from holdfast.schema import Field, Kind
from holdfast.testing._suites.stored import (
    ANNA,
    BO,
    COUNT,
    ID,
    ITEMS,
    NAME,
    PEOPLE,
    Opener,
    everything,
    read_sorted,
    write_people,
)


class OpeningSuite:
    """Owners, readers, versions and layouts."""

    async def test_a_new_storage_has_version_0_and_a_place(self, opener: Opener) -> None:
        """People are told where their data is."""
        async with opener() as storage:
            assert await storage.version() == 0
            assert storage.location
            size = await storage.size()
            assert size is None or size >= 0

    async def test_what_was_written_is_there_when_opened_again(self, opener: Opener) -> None:
        """Version, tables and records."""
        async with opener() as storage:
            await write_people(storage, ANNA)
        async with opener() as storage:
            assert await storage.version() == 1
            assert await everything(storage, "people") == [list(ANNA)]

    async def test_a_second_owner_is_told_who_the_first_is(self, opener: Opener) -> None:
        """One process owns the writes; the first goes on undisturbed."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            with pytest.raises(StorageLocked) as caught:
                async with opener():
                    pass
            assert caught.value.pid in (os.getpid(), None)
            assert await everything(storage, "people") == [list(ANNA)]

    async def test_the_lock_goes_with_its_owner(self, opener: Opener) -> None:
        """Also when the owner leaves by an error."""
        with pytest.raises(ZeroDivisionError):
            async with opener():
                raise ZeroDivisionError
        async with opener() as storage:
            await write_people(storage, ANNA)

    async def test_readers_read_beside_an_owner(self, opener: Opener) -> None:
        """Two of them, and they see what is committed after they opened."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            async with (
                opener(mode=OpenMode.READER) as one,
                opener(mode=OpenMode.READER) as other,
            ):
                await storage.write([Put("people", [BO])])
                for reader in (one, other):
                    assert await reader.version() == 1
                    assert await read_sorted(reader, "people", "a", "b") == [list(ANNA), list(BO)]

    async def test_a_reader_needs_no_owner_and_cannot_write(self, opener: Opener) -> None:
        """Whatever it tries is refused, and nothing changes."""
        async with opener() as storage:
            await write_people(storage, ANNA)
        async with opener(mode=OpenMode.READER) as reader:
            with pytest.raises(StorageError):
                await reader.write([Put("people", [BO])])
            with pytest.raises(StorageError):
                await reader.migrate([ITEMS], version=2)
            assert await reader.version() == 1
            assert await everything(reader, "people") == [list(ANNA)]

    async def test_a_reader_does_not_create_a_storage(self, opener: Opener) -> None:
        """Only an owner does."""
        with pytest.raises(StorageError):
            async with opener(mode=OpenMode.READER):
                pass

    async def test_a_new_field_holds_null_in_old_records(self, opener: Opener) -> None:
        """Wherever in the layout it is put."""
        async with opener() as storage:
            await write_people(storage, ANNA, BO)
            added = [Field(f"new_{kind.value}", kind) for kind in Kind]
            wider = Layout("people", (ID, *added, COUNT, NAME), ("new_text", "name"))
            await storage.migrate([wider, ITEMS], version=2)
            nulls = [None] * len(added)
            assert await everything(storage, "people") == [
                ["a", *nulls, 1, "Anna"],
                ["b", *nulls, 2, "Bo"],
            ]
        async with opener() as storage:
            assert await storage.version() == 2
            nothing = IsNull(ColumnRef("new_text", Kind.TEXT))
            assert (
                await storage.count("people", nothing if storage.runs(nothing) else EVERYTHING) == 2
            )

    async def test_a_new_table_comes_and_the_old_ones_stay(self, opener: Opener) -> None:
        """It is empty and can be written at once."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            await storage.migrate([PEOPLE, ITEMS, Layout("more", (ID,))], version=2)
            assert await everything(storage, "more") == []
            await storage.write([Put("more", [("x",)])])
            assert await everything(storage, "more") == [["x"]]
            assert await everything(storage, "people") == [list(ANNA)]

    async def test_a_dropped_field_is_out_of_sight(self, opener: Opener) -> None:
        """Records are as the layout says, and can be written so."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            await storage.migrate([Layout("people", (ID, COUNT)), ITEMS], version=2)
            await storage.write([Put("people", [("b", 2)])])
            assert await everything(storage, "people") == [["a", 1], ["b", 2]]

    async def test_a_dropped_table_is_out_of_sight(self, opener: Opener) -> None:
        """Reading it is an error, and its name can be used again."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            await storage.migrate([PEOPLE], version=2)
            with pytest.raises(StorageError):
                await storage.read("items", [1])

    async def test_a_field_of_another_kind_starts_empty(self, opener: Opener) -> None:
        """The old cells are of no use."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            changed = Layout("people", (ID, NAME, Field("count", Kind.DECIMAL)))
            await storage.migrate([changed, ITEMS], version=2)
            assert await everything(storage, "people") == [["a", "Anna", None]]
            await storage.write([Put("people", [("a", "Anna", Decimal("1.10"))])])
            assert await everything(storage, "people") == [["a", "Anna", Decimal("1.1")]]

    async def test_the_same_layouts_again_change_nothing(self, opener: Opener) -> None:
        """A migration that was interrupted is run again."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            for version in (1, 2):
                await storage.migrate([PEOPLE, ITEMS], version=version)
                assert await everything(storage, "people") == [list(ANNA)]

    @pytest.mark.parametrize(
        "name", ["", "two words", 'x"y', "x;y", "x.y", "1x", "ø", "x'", "x" * 129]
    )
    async def test_a_name_that_is_none_is_refused_and_nothing_changes(
        self, opener: Opener, name: str
    ) -> None:
        """As a table and as a field; the other tables of that migration are not made either."""
        async with opener() as storage:
            await write_people(storage, ANNA)
            for bad in (Layout(name, (ID,)), Layout("more", (ID, Field(name, Kind.TEXT)))):
                wider = Layout("people", (ID, COUNT))
                with pytest.raises(StorageError):
                    await storage.migrate([wider, Layout("other", (ID,)), bad], version=2)
                assert await storage.version() == 1
                assert await everything(storage, "people") == [list(ANNA)]
                with pytest.raises(StorageError):
                    await storage.read("other", ["a"])

    async def test_words_of_query_languages_are_names(self, opener: Opener) -> None:
        """Servers have tables called so."""
        words = ("order", "select", "group", "table", "index", "from", "rowid", "oid", "null")
        fields = (ID, *(Field(word, Kind.TEXT) for word in words))
        layouts = [Layout(word, fields, words) for word in words]
        async with opener() as storage:
            await storage.migrate(layouts, version=1)
            record = ("a", *words)
            await storage.write([Put(word, [record]) for word in words])
            for word in words:
                where = Compare(Comparison.EQ, ColumnRef(word, Kind.TEXT), Literal(word))
                assert await storage.count(word, where if storage.runs(where) else EVERYTHING) == 1
                order = (Order(Field(word, Kind.TEXT)),)
                assert await everything(storage, Query(word, order=order)) == [list(record)]

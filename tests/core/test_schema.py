"""Columns as people know them, and the fields that are stored for them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from holdfast.schema import (
    HIDDEN_PREFIX,
    Column,
    ColumnType,
    DateBehavior,
    Field,
    Kind,
    ManyToMany,
    TableSchema,
    is_identifier,
)

OWNER = Column("ownerid", ColumnType.LOOKUP, targets=("systemuser", "team"))
CONTACT = Column("primarycontactid", ColumnType.LOOKUP, targets=("contact",))
SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("name", ColumnType.STRING),
        OWNER,
        Column("accountid", ColumnType.UNIQUEIDENTIFIER),
        CONTACT,
    ),
    label="Account",
    wire={"set": "accounts"},
)


@pytest.mark.parametrize("name", ["a", "_x", "cr123_Name", "a" * 128])
def test_letters_digits_and_underscores_make_an_identifier(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a b", 'a"', "name\n", "é", "a" * 129])
def test_anything_else_is_no_identifier(name: str) -> None:
    assert not is_identifier(name)


@pytest.mark.parametrize("kind", ColumnType)
def test_every_column_type_has_a_kind(kind: ColumnType) -> None:
    assert Column("x", kind).kind in Kind


def test_a_date_without_a_time_compares_as_a_key() -> None:
    assert Column("d", ColumnType.DATETIME).kind is Kind.DATETIME
    assert Column("d", ColumnType.DATETIME, behavior=DateBehavior.DATE_ONLY).kind is Kind.KEY


def test_a_column_has_one_visible_field_of_its_own_name() -> None:
    for column in SCHEMA.columns:
        assert [f.name for f in column.fields if not f.hidden] == [column.name]


def test_a_lookup_with_several_targets_stores_the_table_and_the_name_beside_the_id() -> None:
    assert OWNER.fields == (
        Field("ownerid", Kind.KEY),
        Field(f"{HIDDEN_PREFIX}ownerid_table", Kind.KEY),
        Field(f"{HIDDEN_PREFIX}ownerid_name", Kind.TEXT),
    )


def test_a_lookup_with_one_target_needs_no_table_field() -> None:
    assert CONTACT.table_field is None
    assert [f.name for f in CONTACT.fields] == [CONTACT.name, f"{HIDDEN_PREFIX}{CONTACT.name}_name"]


def test_a_lookup_without_known_targets_stores_the_table() -> None:
    assert Column("x", ColumnType.LOOKUP).table_field == f"{HIDDEN_PREFIX}x_table"


@pytest.mark.parametrize("kind", [ColumnType.FILE, ColumnType.IMAGE])
def test_a_file_stores_its_name_beside_its_id(kind: ColumnType) -> None:
    assert [f.name for f in Column("x", kind).fields] == ["x", f"{HIDDEN_PREFIX}x_name"]


def test_the_primary_id_is_the_first_field_wherever_its_column_stands() -> None:
    assert SCHEMA.fields[0].name == "accountid"
    assert len(SCHEMA.fields) == 1 + 1 + 3 + 2


def test_positions_say_where_each_field_stands() -> None:
    assert [SCHEMA.fields[at].name for at in SCHEMA.positions.values()] == list(SCHEMA.positions)


def test_a_schema_cut_down_keeps_the_primary_id_and_all_that_is_no_column() -> None:
    cut = SCHEMA.only(["ownerid", "unheard_of"])
    assert [column.name for column in cut.columns] == ["accountid", "ownerid"]
    assert (cut.label, cut.wire, cut.primary_name) == ("Account", {"set": "accounts"}, "name")


def test_a_column_is_found_by_its_name() -> None:
    assert SCHEMA.column("ownerid") is OWNER
    assert SCHEMA.column("OwnerId") is None


def test_whoever_wants_a_hidden_field_keeps_its_column() -> None:
    cut = SCHEMA.only(["_holdfast_ownerid_name"])
    assert [column.name for column in cut.columns] == ["accountid", "ownerid"]


def test_each_end_of_a_many_to_many_relationship_has_a_way_over_it() -> None:
    guests = ManyToMany(
        *("guests", "accountcontacts"),
        *("account", "accountid", "guests"),
        *("contact", "contactid", "hosts"),
    )
    schema = replace(SCHEMA, many_to_many=(guests,))
    (way,) = schema.crossings
    assert (way.collection, way.near, way.far) == ("guests", "accountid", "contactid")
    assert (way.intersect, way.target) == ("accountcontacts", "contact")


def test_a_table_that_is_joined_with_itself_has_both_ways() -> None:
    friends = ManyToMany(
        *("friends", "accountfriends"),
        *("account", "one", "friends", "account", "two", "friend_of"),
    )
    out, back = replace(SCHEMA, many_to_many=(friends,)).crossings
    assert (out.collection, out.near, out.far) == ("friends", "one", "two")
    assert (back.collection, back.near, back.far) == ("friend_of", "two", "one")


def test_a_description_from_before_there_were_pairs_is_read() -> None:
    adapter = TypeAdapter(TableSchema)
    known = adapter.dump_python(SCHEMA, mode="json")
    del known["many_to_many"], known["intersect"]
    assert adapter.validate_python(known) == SCHEMA

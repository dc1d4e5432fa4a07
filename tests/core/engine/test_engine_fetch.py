"""Whole questions to a replica: who compiles them, what the storage sees, what comes out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

import holdfast
from holdfast import hookimpl
from holdfast.contracts import Tables
from holdfast.errors import QueryError
from holdfast.filters import (
    EVERYTHING,
    ColumnRef,
    During,
    In,
    IsCaller,
    Period,
    Related,
    Who,
    is_settled,
    walk,
)
from holdfast.model import FiscalCalendar, FiscalPeriod, Record
from holdfast.queries import Join, JoinKind, Output, Selection
from holdfast.schema import DateBehavior, Kind
from holdfast.testing import MemoryStorage
from holdfast.values import Reference
from support.world import ACCOUNT, World

OWNER = ColumnRef("ownerid", Kind.KEY)
CREATED = ColumnRef("createdon", Kind.DATETIME)
LINK = Related(
    "contact", ColumnRef("contactid", Kind.KEY), ColumnRef("primarycontactid", Kind.KEY), EVERYTHING
)
HERE = Join(
    "c",
    "contact",
    ColumnRef("contactid", Kind.KEY, "c"),
    ColumnRef("primarycontactid", Kind.KEY),
    JoinKind.OUTER,
    During(ColumnRef("createdon", Kind.DATETIME, "c"), DateBehavior.USER_LOCAL, Period.TODAY),
)


def out(name: str, column: str, **more: Any) -> Output:
    return Output(name, ColumnRef(column, Kind.KEY), **more)


OUTPUTS = (
    out("name", "name", read=ACCOUNT.column("name")),
    out("owner", "ownerid", read=ACCOUNT.column("ownerid")),
    out("owner@table", "_holdfast_ownerid_table"),
    out("contact", "primarycontactid", read=ACCOUNT.column("primarycontactid")),
    out("since", "createdon", read=ACCOUNT.column("createdon")),
    out("number", "accountid"),
)
QUESTION = Selection("account", OUTPUTS, (HERE,), IsCaller(OWNER, Who.USER))
ANSWERS: list[Record] = [
    ("Alpha", "u1", "team", "c1", "2026-03-01T08:00:00Z", 7),
    (None, None, None, None, None, 0),
]


class Language:
    """A plugin that knows one query."""

    def __init__(self, selection: Selection) -> None:
        self.selection = selection

    @hookimpl
    def holdfast_compile_selection(
        self, language: str, source: str, tables: Tables
    ) -> Selection | None:
        assert set(tables) == {"account", "contact"}
        return self.selection if (language, source) == ("fetchxml", "<fetch/>") else None


@pytest.fixture
async def replica(world: World) -> AsyncIterator[holdfast.Replica]:
    world.server.create(
        "contact", {"fullname": "Ann"}, row_id="aaaaaaaa-0000-4000-8000-000000000001"
    )
    async with world.replica() as opened:
        await opened.download()
        opened._engine.plugins.register(Language(QUESTION), "language")
        yield opened


def answering(monkeypatch: pytest.MonkeyPatch, *, links: bool = True) -> list[Selection]:
    """Let the storage answer; return the list of what it will have been asked."""
    asked: list[Selection] = []

    def runs(storage: MemoryStorage, selection: Selection) -> bool:
        return links or not any(isinstance(n, Related) for n in walk(selection.where))

    async def select(storage: MemoryStorage, selection: Selection) -> AsyncIterator[Record]:
        asked.append(selection)
        for record in ANSWERS:
            yield record

    monkeypatch.setattr(MemoryStorage, "runs_selection", runs)
    monkeypatch.setattr(MemoryStorage, "select", select)
    return asked


async def test_records_become_values_without_nulls(
    replica: holdfast.Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(monkeypatch)
    found = [record async for record in replica.fetch("<fetch/>")]
    assert found == [
        {
            "name": "Alpha",
            "owner": Reference("team", "u1"),
            "contact": Reference("contact", "c1"),
            "since": datetime(2026, 3, 1, 8, tzinfo=UTC),
            "number": 7,
        },
        {"number": 0},
    ]


async def test_the_storage_sees_a_settled_question_of_the_caller(
    replica: holdfast.Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch)
    engine = replica._engine
    caller = engine.asking().caller
    assert caller is not None
    fiscal = FiscalCalendar(7, 1, FiscalPeriod.MONTHLY)
    await replica._remember(replace(caller, time_zone="Europe/Oslo", fiscal=fiscal))
    assert [record async for record in replica.fetch("<fetch/>")]
    (selection,) = asked
    assert selection.where == In(OWNER, ("user-1",))
    assert is_settled(selection.joins[0].where)
    assert (selection.zone, selection.fiscal) == ("Europe/Oslo", fiscal)


async def test_links_that_the_storage_does_not_follow_are_answered_first(
    replica: holdfast.Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(monkeypatch, links=False)
    replica._engine.plugins.register(Language(replace(QUESTION, where=LINK)), "a-later-language")
    assert [record async for record in replica.fetch("<fetch/>")]
    assert In(LINK.own, ("aaaaaaaa-0000-4000-8000-000000000001",)) in list(walk(asked[0].where))


async def test_a_storage_that_answers_no_such_question_says_so(replica: holdfast.Replica) -> None:
    with pytest.raises(QueryError, match="the storage in use, memory, answers no such questions"):
        await anext(replica.fetch("<fetch/>"))

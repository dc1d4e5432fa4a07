"""Whole questions, over several tables: compiled, settled, answered by the storage.

Invariant: the storage runs all of a question or none of it; what it answers is turned into values,
cell by cell, and nothing is added or left out but nulls.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast.errors import Problem, QueryError
from holdfast.filters._periods import zone_of
from holdfast.model import CALENDAR_YEAR, Record
from holdfast.profile import VIEW_LANGUAGE
from holdfast.queries import Output, Selection
from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference, Value, to_value

if TYPE_CHECKING:
    from holdfast._engine import Engine

#: What the output with the target table of a lookup is called, behind the lookup's own name.
TABLE_SUFFIX: Final = "@table"
#: The values of one answered record by name; what is null is not there.
Answered: TypeAlias = Mapping[str, Value]


async def fetched(engine: Engine, source: str) -> AsyncGenerator[Answered]:
    """Yield what a FetchXML query answers.

    :raises FilterError: it does not parse
    :raises QueryError: the storage does not answer it
    """
    selection = await ready(engine, compiled(engine, source))
    read = _reader(selection.outputs)
    records = engine.store.storage.select(selection)
    async with aclosing(records):  # type: ignore[type-var]  # every async generator can be closed
        async for record in records:
            yield read(record)


def compiled(engine: Engine, source: str) -> Selection:
    """Return a FetchXML query as a question, unsettled.

    :raises FilterError: it does not parse
    """
    engine.setup.speak(VIEW_LANGUAGE)
    return engine.plugins.compile_selection(VIEW_LANGUAGE, source, engine.schemas)


async def ready(engine: Engine, asked: Selection) -> Selection:
    """Return a question for the one who asks now, as the storage runs it.

    :raises QueryError: the storage does not, however it is put
    """
    preparation = engine.preparation()
    caller = preparation.asking.caller
    joins = [
        replace(join, where=await preparation.settled(join.table, join.where, join.alias))
        for join in asked.joins
    ]
    selection = replace(
        asked,
        where=await preparation.settled(asked.table, asked.where),
        joins=tuple(joins),
        zone=zone_of(caller.time_zone if caller else "UTC").key,
        fiscal=caller.fiscal if caller else CALENDAR_YEAR,
    )
    storage = engine.store.storage
    if storage.runs_selection(selection):
        return selection
    joins = [
        replace(join, where=await preparation.without_links(join.where)) for join in selection.joins
    ]
    where = await preparation.without_links(selection.where)
    plainer = replace(selection, where=where, joins=tuple(joins))
    if storage.runs_selection(plainer):
        return plainer
    message = f"the storage in use, {storage.name}, answers no such questions; ask by table"
    raise QueryError(asked.table, [Problem("fetch", message)])


def _reader(outputs: tuple[Output, ...]) -> Callable[[Record], Answered]:
    places = {output.name: at for at, output in enumerate(outputs)}
    companions = {
        name: places[f"{name}{TABLE_SUFFIX}"]
        for name in places
        if f"{name}{TABLE_SUFFIX}" in places
    }
    hidden = set(companions.values())
    shown = [(at, output) for at, output in enumerate(outputs) if at not in hidden]

    def read(record: Record) -> Answered:
        found: dict[str, Value] = {}
        for at, output in shown:
            if record[at] is not None:
                companion = companions.get(output.name)
                table = None if companion is None else record[companion]
                found[output.name] = _value(output, record[at], table)
        return found

    return read


def _value(output: Output, cell: Cell, table: Cell) -> Value:
    column = output.read
    if column is None:
        return cell
    if column.type is ColumnType.LOOKUP:
        target = table if table is not None else next(iter(column.targets), "")
        return Reference(str(target), str(cell))
    return to_value(column, cell)

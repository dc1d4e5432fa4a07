"""The verbs that read and write rows: ``query``, ``create``, ``update``, ``delete``."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from difflib import get_close_matches
from typing import Annotated, Final

from cyclopts import Parameter

import holdfast
from holdfast.errors import UsageError
from holdfast.model import Row
from holdfast.schema import TableSchema
from holdfast.status import Availability
from holdfast_cli import _json, _values
from holdfast_cli._open import reading, writing
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._plain import say
from holdfast_cli._render import block, cell, counted, fits, grid, heading, show

#: Rows that are laid out together; more come under a heading of their own.
_CHUNK: Final = 200


async def query(
    table: str,
    /,
    *,
    filter: Annotated[str | None, Parameter(name="--filter")] = None,  # noqa: A002  OData's word
    order_by: str | None = None,
    top: int | None = None,
    columns: str | None = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Show the rows of a table as they are here; the server is not asked.

    :param table: the table, as the profile names it
    :param filter: an OData filter: "revenue gt 1000 and contains(name,'marine')"
    :param order_by: columns to sort by: "name desc, revenue"
    :param top: no more than so many rows
    :param columns: the columns to show, with commas: "accountid,name"; `update` and `delete` take
        the id
    """
    async with reading(profile) as replica:
        source = replica.table(table)
        names = _chosen(source.schema, columns)
        async with aclosing(source.query(filter, order_by=order_by, top=top)) as rows:
            if json:
                await _print_json(source, rows, names)
            else:
                await _print_rows(source, rows, names)
        await _warn_if_partial(replica, source.name)


async def _warn_if_partial(replica: holdfast.Replica, table: str) -> None:
    """Say that rows are missing because they were never downloaded, not because there are none."""
    status = await replica.status()
    found = next(each.availability for each in status.tables if each.name == table)
    if found not in (Availability.AVAILABLE, Availability.WARNING):
        say(f"{table} is {found.value}, so rows may be missing; `holdfast download` brings them")


def _chosen(schema: TableSchema, columns: str | None) -> list[str]:
    if columns is None:
        return list(schema.by_name)
    names = [name.strip() for name in columns.split(",") if name.strip()]
    if not names:
        raise UsageError("--columns names no column; leave it out to see all of them")
    unknown = [name for name in names if schema.column(name) is None]
    if unknown:
        near = get_close_matches(unknown[0], schema.by_name, n=1)
        known = f"did you mean {near[0]!r}? " if near else ""
        known += f"it has {', '.join(sorted(schema.by_name))}"
        raise UsageError(f"{schema.name} has no column {', '.join(unknown)}; {known}")
    return names


async def _print_json(
    table: holdfast.Table, rows: AsyncIterator[Row], names: Sequence[str]
) -> None:
    """Write the document row by row, so that memory does not grow with the table."""
    sys.stdout.write(f'{{"table": {_json.text(table.name)}, "rows": [')
    separator = "\n"
    async for row in rows:
        document = _json.row(row, names, await table.labels(row))
        sys.stdout.write(separator + _json.text(document))
        separator = ",\n"
    sys.stdout.write("\n]}\n")


async def _print_rows(
    table: holdfast.Table, rows: AsyncIterator[Row], names: Sequence[str]
) -> None:
    total = pending = 0
    chunk: list[tuple[Row, Mapping[str, str]]] = []
    async for row in rows:
        chunk.append((row, await table.labels(row)))
        total += 1
        pending += row.pending
        if len(chunk) == _CHUNK:
            _print_chunk(table.schema, names, chunk)
            chunk.clear()
    if chunk:
        _print_chunk(table.schema, names, chunk)
    waiting = f", {number_waiting(pending)}" if pending else ""
    say(f"{counted(total, 'row')}{waiting}")


def number_waiting(pending: int) -> str:
    """Say what the star in front of a row means."""
    return f"{pending} with changes that have not arrived (*)"


def _print_chunk(
    schema: TableSchema, names: Sequence[str], chunk: Sequence[tuple[Row, Mapping[str, str]]]
) -> None:
    table = grid(["", *(heading(schema.by_name[name]) for name in names)])
    for row, labels in chunk:
        cells = (cell(row[name], labels.get(name)) for name in names)
        table.add_row("*" if row.pending else "", *cells)
    if fits(table):
        show(table)
        return
    for row, labels in chunk:
        star = " *" if row.pending else ""
        lines = {n: cell(row[n], labels.get(n)) for n in names if row[n] is not None}
        show(block(f"{row.table}({row.id}){star}", lines))
        show("")


async def create(
    table: str,
    /,
    *values: str,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Create a row here; it is sent with the next sync.

    Values are read by the column's type: true or false, 1250.50, 2026-03-31T08:00 (a time without
    a zone is this machine's), an option by number or label, several as 1,9, a lookup as table:id.
    An empty one (name=) is null.

    :param table: the table, as the profile names it
    :param values: name=value, as in name="Fjord Marine AS" revenue=1250.50
    """
    async with writing(profile) as replica:
        target = replica.table(table)
        row_id = await _values.read(target.schema, values).apply(target.create)
    _tell("created", table, row_id, json=json)


async def update(
    table: str,
    row_id: str,
    /,
    *values: str,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Change columns of a row here; the change is sent with the next sync.

    :param table: the table, as the profile names it
    :param row_id: the row's id
    :param values: name=value, as for create; name= empties a column
    """
    async with writing(profile) as replica:
        target = replica.table(table)

        async def write(given: Mapping[str, object]) -> None:
            await target.update(row_id, given)

        await _values.read(target.schema, values).apply(write)
    _tell("changed", table, row_id, json=json)


async def delete(
    table: str,
    row_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Delete a row here; the deletion is sent with the next sync.

    :param table: the table, as the profile names it
    :param row_id: the row's id
    """
    async with writing(profile) as replica:
        await replica.table(table).delete(row_id)
    _tell("deleted", table, row_id, json=json)


def _tell(done: str, table: str, row_id: str, *, json: bool) -> None:
    if json:
        _json.emit({"table": table, "id": row_id, "done": done})
    else:
        show(f"{done} {table}({row_id}); it is kept here and sent with the next sync")

"""The verbs that ask: ``query`` and ``explain``; the server is not asked."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from rich.text import Text

import holdfast
from holdfast.errors import UsageError
from holdfast.model import Row
from holdfast.schema import TableSchema
from holdfast.status import Availability
from holdfast.values import Value
from holdfast_cli import _json
from holdfast_cli._open import reading
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._plain import clean, say
from holdfast_cli._render import block, cell, counted, fits, grid, heading, number, show

#: Rows that are laid out together; more come under a heading of their own.
_CHUNK: Final = 200
#: Characters of one line of an explanation: a list of ids may be long.
_LONGEST: Final = 2_000

FilterOption = Annotated[str | None, Parameter(name="--filter")]  # OData's word
FetchOption = Annotated[
    str | None,
    Parameter(name="--fetchxml", help="A FetchXML query: its text, or a file that it is in."),
]


async def query(
    table: str | None = None,
    /,
    *,
    filter: FilterOption = None,  # noqa: A002  OData's word
    order_by: str | None = None,
    top: int | None = None,
    columns: Annotated[str | None, Parameter(name=("--select", "--columns"))] = None,
    expand: str | None = None,
    count: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    view: str | None = None,
    fetchxml: FetchOption = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Show the rows of a table as they are here; the server is not asked.

    :param table: the table, as the profile names it; not with --fetchxml, which names its own
    :param filter: an OData filter: "revenue gt 1000 and contains(name,'marine')"
    :param order_by: columns to sort by: "name desc, revenue"
    :param top: no more than so many rows
    :param columns: the columns to show, with commas: "accountid,name"; `update` and `delete` take
        the id
    :param expand: rows beside them, by navigation name: 'primarycontactid($select=fullname)'
    :param count: say how many rows match, however many are shown
    :param view: a saved view of the server, as it was downloaded: "Active Accounts"
    """
    words = _Words(filter, order_by, top, columns, expand, count or None)
    async with reading(profile) as replica:
        if view is not None or fetchxml is not None:
            words.must_be_empty("--view" if fetchxml is None else "--fetchxml")
            await _print_answers(_whole(replica, table, view, fetchxml), json=json)
            return
        if table is None:
            raise UsageError("say which table to show, or give a query with --fetchxml")
        source = replica.table(table)
        names = _chosen(source.schema, columns)
        rows = source.query(
            filter, select=names, order_by=order_by, top=top, expand=expand, count=count
        )
        async with aclosing(rows):
            if json:
                await _print_json(source, rows, names)
            else:
                await _print_rows(source, rows, names)
        await _warn_if_partial(replica, source.name)


class _Words:
    """What was said beside a whole query, which has all of that inside."""

    def __init__(self, *said: object) -> None:
        names = ("--filter", "--order-by", "--top", "--select", "--expand", "--count")
        self._said = [name for name, one in zip(names, said, strict=True) if one is not None]

    def must_be_empty(self, option: str) -> None:
        """Refuse what a whole query would not heed."""
        if self._said:
            raise UsageError(f"{', '.join(self._said)} cannot stand beside {option}; leave it out")


def _whole(
    replica: holdfast.Replica, table: str | None, view: str | None, fetchxml: str | None
) -> AsyncIterator[Mapping[str, Value]]:
    if fetchxml is None:
        if table is None or view is None:
            raise UsageError("say of which table the view is: `holdfast query account --view …`")
        return replica.view(table, view)
    if table is not None or view is not None:
        raise UsageError("--fetchxml names its own table; leave the table and --view out")
    return replica.fetch(_text_of(fetchxml))


def _text_of(given: str) -> str:
    """Return FetchXML from an option: it is the text itself, or a file."""
    if given.lstrip().startswith("<"):
        return given
    try:
        return Path(given).read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        raise UsageError(f"{given} cannot be read: {reason}; give a file or the text") from None


async def _print_answers(answers: AsyncIterator[Mapping[str, Value]], *, json: bool) -> None:
    if json:
        sys.stdout.write('{"records": [')
    total = 0
    chunk: list[Mapping[str, Value]] = []
    async for record in answers:
        if json:
            values = {name: _json.value(value) for name, value in record.items()}
            sys.stdout.write((",\n" if total else "\n") + _json.text(values))
        else:
            chunk.append(record)
        total += 1
        if len(chunk) == _CHUNK:
            _print_records(chunk)
            chunk.clear()
    if json:
        sys.stdout.write("\n]}\n")
        return
    if chunk:
        _print_records(chunk)
    say(counted(total, "record"))


def _print_records(chunk: Sequence[Mapping[str, Value]]) -> None:
    names = list(dict.fromkeys(name for record in chunk for name in record))
    table = grid([cell(name) for name in names])
    for record in chunk:
        table.add_row(*(cell(record.get(name)) for name in names))
    if fits(table):
        show(table)
        return
    for record in chunk:
        show(block("record", {name: cell(value) for name, value in record.items()}))
        show("")


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
        raise UsageError("--select names no column; leave it out to see all of them")
    unknown = [name for name in names if schema.column(name) is None]
    if unknown:
        near = get_close_matches(unknown[0], schema.by_name, n=1)
        known = f"did you mean {near[0]!r}? " if near else ""
        known += f"it has {', '.join(sorted(schema.by_name))}"
        raise UsageError(f"{schema.name} has no column {', '.join(unknown)}; {known}")
    return names


async def _print_json(table: holdfast.Table, rows: holdfast.Rows, names: Sequence[str]) -> None:
    """Write the document row by row, so that memory does not grow with the table."""
    sys.stdout.write(f'{{"table": {_json.text(table.name)}, "rows": [')
    separator = "\n"
    async for row in rows:
        document = _json.row(row, names, await table.labels(row))
        sys.stdout.write(separator + _json.text(document))
        separator = ",\n"
    total = "" if rows.total is None else f', "total": {rows.total}'
    sys.stdout.write(f"\n]{total}}}\n")


async def _print_rows(table: holdfast.Table, rows: holdfast.Rows, names: Sequence[str]) -> None:
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
    waiting = f", {pending} with changes that have not arrived (*)" if pending else ""
    every = "" if rows.total is None else f" of {number(rows.total)} that match"
    say(f"{counted(total, 'row')}{every}{waiting}")


def _print_chunk(
    schema: TableSchema, names: Sequence[str], chunk: Sequence[tuple[Row, Mapping[str, str]]]
) -> None:
    beside = list(chunk[0][0].expanded)
    headings = [heading(schema.by_name[name]) for name in names]
    table = grid(["", *headings, *(Text(f"→ {name}") for name in beside)])
    for row, labels in chunk:
        cells = [cell(row[name], labels.get(name)) for name in names]
        cells += [Text(_names_of(row.expanded[name])) for name in beside]
        table.add_row("*" if row.pending else "", *cells)
    if fits(table):
        show(table)
        return
    for row, labels in chunk:
        star = " *" if row.pending else ""
        lines = {n: cell(row[n], labels.get(n)) for n in names if row[n] is not None}
        lines |= {f"→ {n}": Text(_names_of(row.expanded[n])) for n in beside if row.expanded[n]}
        show(block(f"{row.table}({row.id}){star}", lines))
        show("")


def _names_of(found: Row | Sequence[Row] | None) -> str:
    """Return what expanded rows are called."""
    rows = [] if found is None else [found] if isinstance(found, Row) else found
    return "; ".join(_name_of(row) for row in rows)


def _name_of(row: Row) -> str:
    values = [value for name, value in row.items() if name != row.schema.primary_id]
    name = row.schema.primary_name
    shown = row[name] if name is not None and name in row else next(iter(values), None)
    return cell(shown if shown is not None else row.id).plain


async def explain(
    table: str | None = None,
    /,
    *,
    filter: FilterOption = None,  # noqa: A002  OData's word
    order_by: str | None = None,
    top: int | None = None,
    expand: str | None = None,
    fetchxml: FetchOption = None,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Show how a query would be answered: who does what, and the storage's plan.

    :param table: the table, as the profile names it; not with --fetchxml, which names its own
    :param filter: an OData filter, as for `query`
    :param order_by: columns to sort by
    :param top: no more than so many rows
    :param expand: rows beside them, by navigation name
    """
    async with reading(profile) as replica:
        if fetchxml is not None:
            _Words(filter, order_by, top, None, expand, table).must_be_empty("--fetchxml")
            found = await replica.explain(_text_of(fetchxml))
        elif table is None:
            raise UsageError("say which table the question is about, or give it with --fetchxml")
        else:
            found = await replica.table(table).explain(
                filter, order_by=order_by, top=top, expand=expand
            )
    if json:
        _json.emit(
            {
                "table": found.table,
                "asked": dict(found.asked),
                "storage": found.storage,
                "engine": list(found.engine),
                "plan": list(found.plan),
            }
        )
        return
    lines = {f"in {language}": _cut([text]) for language, text in found.asked.items()}
    lines["storage"] = _cut([found.storage])
    lines["engine"] = _cut(found.engine or ["nothing is left to do"])
    lines["plan"] = _cut(found.plan or ["the storage does not say"])
    show(block(found.table, lines))


def _cut(lines: Sequence[str]) -> Text:
    """Return the lines harmless, each cut where it gets too long to read."""
    flat = [" ".join(clean(line).split()) for line in lines]
    return Text("\n".join(one if len(one) <= _LONGEST else f"{one[:_LONGEST]}…" for one in flat))

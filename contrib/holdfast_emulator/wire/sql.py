"""``?sql=SELECT …`` on an entity set: rows with the names that the statement gives them.

Invariant: a page is found anew by running the statement again and leaving out what came before, as
the skip token says; nothing is remembered between two pages.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_plus

from holdfast.schema import ColumnType
from holdfast.values import Cell
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.queries.sql import SqlPage, read_statement, run_statement
from holdfast_emulator.queries.sql_statement import Output, Statement
from holdfast_emulator.queries.sql_syntax import refused
from holdfast_emulator.wire.calls import Call, Reply, Unsupported, answer, bad_query
from holdfast_emulator.wire.cells import converter
from holdfast_emulator.wire.cookies import Cookie, read_cookie, write_cookie
from holdfast_emulator.wire.formats import formatter
from holdfast_emulator.wire.options import FORMATTED, MAX_PAGE, Preferences, preferences

_ATTRIBUTE: Final = "OData.Community.Display.V1.AttributeName"
_OFFSET: Final = re.compile(r'<cookie page="\d{1,9}"><offset last="(\d{1,15})" /></cookie>\Z')


@dataclass(frozen=True, slots=True)
class SqlService:
    """Answers statements."""

    dataverse: Dataverse

    def answer(self, call: Call, table: TableDefinition) -> Reply:
        """Answer with a page of the result.

        :raises DataverseFault: the statement is refused, or reads what the caller may not
        """
        given = _options(call.query)
        prefer = preferences(call.headers.get("prefer", ""))
        if prefer.track_changes:
            raise Unsupported("change tracking of a statement")
        try:
            statement = read_statement(self.dataverse.metadata, given["sql"])
        except ImportError:
            raise Unsupported("SQL without a parser; install holdfast[emulator]") from None
        if statement.sources[0].table.name != table.name:
            raise refused(
                f"It must start from '{table.name}', the table of the entity set "
                f"'{table.entity_set}'."
            )
        number, start = _position(given.get("$skiptoken"))
        size = prefer.page_size or MAX_PAGE
        page = run_statement(
            statement, lambda name: self.dataverse.visible(call.user, name), start, size
        )
        body: dict[str, object] = {"@odata.context": _context(call, table, statement)}
        body["value"] = _rows(page, table, prefer)
        if page.more:
            body["@odata.nextLink"] = _link(call, table, number + 1, start + size)
        applied = prefer.applied(paged=True)
        return answer(body, 200, **({"Preference-Applied": applied} if applied else {}))


def _context(call: Call, table: TableDefinition, statement: Statement) -> str:
    names = [output.name for output in statement.outputs]
    if statement.plain and table.primary_id not in names:
        names.append(table.primary_id)
    return f"{call.root}/$metadata#{table.entity_set}({','.join(names)})"


def _rows(page: SqlPage, table: TableDefinition, prefer: Preferences) -> list[dict[str, object]]:
    writers = [_writer(output, prefer) for output in page.statement.outputs]
    rows: list[dict[str, object]] = []
    for at, cells in enumerate(page.rows):
        row: dict[str, object] = {}
        if page.statement.plain:
            row["@odata.etag"] = f'W/"{page.keys[at][1]}"'
        for writer, cell in zip(writers, cells, strict=True):
            row |= writer(cell)
        if page.statement.plain:
            row.setdefault(table.primary_id, page.keys[at][0])
        rows.append(row)
    return rows


def _writer(output: Output, prefer: Preferences) -> Callable[[Cell], Mapping[str, object]]:
    """Return what writes a cell, with the annotations that are asked for before it."""
    column, name = output.column, output.name
    plain = column is not None and output.function != "count"
    convert = converter(column) if column is not None and plain else None
    form = None
    if column is not None and plain and prefer.wants(FORMATTED):
        form = formatter(column) if column.type is not ColumnType.LOOKUP else None
    renamed = output.renamed if prefer.wants(_ATTRIBUTE) else None

    def write(cell: Cell) -> Mapping[str, object]:
        written: dict[str, object] = {}
        if renamed is not None:
            written[f"{name}@{_ATTRIBUTE}"] = renamed
        if cell is None:
            return written | {name: None}
        label = form(cell) if form else None
        if label is not None:
            written[f"{name}@{FORMATTED}"] = label
        return written | {name: convert(cell) if convert else cell}

    return write


def _position(token: str | None) -> tuple[int, int]:
    """Return the number of the page, and how many rows come before it."""
    if token is None:
        return 1, 0
    cookie = read_cookie(token)
    found = _OFFSET.match(cookie.inner)
    if found is None or cookie.tracking:
        raise bad_query("The skip token is not valid.")
    return cookie.page, int(found[1])


def _link(call: Call, table: TableDefinition, number: int, start: int) -> str:
    inner = f'<cookie page="{number - 1}"><offset last="{start}" /></cookie>'
    token = write_cookie(Cookie(number, inner, tracking=False))
    echo = "&".join(part for part in call.query.split("&") if part and not _is_token(part))
    return f"{call.root}/{table.entity_set}?{echo}&$skiptoken={token}"


def _is_token(part: str) -> bool:
    return unquote_plus(part.partition("=")[0]) == "$skiptoken"


def _options(query: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name in found:
            raise bad_query(f"Query option '{name[:100]}' was specified more than once.")
        if name not in ("sql", "$skiptoken", "tag"):
            raise bad_query(f"The query parameter {name[:100]} cannot be combined with sql.")
        found[name] = unquote_plus(value)
    return found

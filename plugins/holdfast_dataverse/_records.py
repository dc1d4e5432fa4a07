"""Rows of the server to records.

Invariants: a cell has the form that ``holdfast.values`` gives its column type, whatever the server
wrote; a row that has no key or no version, or a value that does not fit its column, comes aside and
says why, without the value.

Rows are decoded into a struct made for the scope, then turned column by column: a page of five
thousand rows costs a few milliseconds. Only a page that cannot be read so is taken row by row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Annotated, Any, Final, TypeAlias

import msgspec

from holdfast.errors import ProtocolError
from holdfast.model import Record, Scope, Unreadable
from holdfast.schema import Column, ColumnType
from holdfast.values import canonical_id
from holdfast_dataverse._answers import legible
from holdfast_dataverse._columns import Cells, Check, field_checks, versions
from holdfast_dataverse._crowds import refuse_too_many_rows
from holdfast_dataverse._slices import named, sliced

ETAG: Final = "@odata.etag"
LOOKUP_TABLE: Final = "Microsoft.Dynamics.CRM.lookuplogicalname"
FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
_CONTEXT: Final = "@odata.context"
_LINKS: Final = (b'"@odata.nextLink":', b'"@odata.deltaLink":')
#: Rows turned at once: few enough to stay in a processor's cache.
_SLICE: Final = 256
#: How much is handed on of a row that makes no sense, in bytes.
_LONGEST_PAYLOAD: Final = 8192

Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TYPES: Final[Mapping[ColumnType, Any]] = {  # Any: types, for msgspec
    ColumnType.INTEGER: Integer,
    ColumnType.BIGINT: Integer,
    ColumnType.CHOICE: Integer,
    ColumnType.STATE: Integer,
    ColumnType.STATUS: Integer,
    ColumnType.DECIMAL: Decimal,
    ColumnType.MONEY: Decimal,
    ColumnType.DOUBLE: float,
    ColumnType.BOOLEAN: bool,
}


# --- what is asked for --------------------------------------------------------------------------


def wire_name(column: Column) -> str:
    """Return the property that holds a column's visible cell."""
    match column.type:
        case ColumnType.LOOKUP:
            return f"_{column.name}_value"
        case ColumnType.IMAGE:
            return f"{column.name}id"  # the column itself would bring a picture
        case _:
            return column.name


def _name_property(column: Column) -> str | None:
    match column.type:
        case ColumnType.LOOKUP:
            return f"{wire_name(column)}@{FORMATTED}"
        case ColumnType.FILE:
            return f"{column.name}_name"
        case _:
            return None


def _properties(column: Column, scope: Scope) -> Iterator[str | None]:
    """Yield the property of each of the column's fields; None where the server has nothing."""
    yield wire_name(column)
    if column.table_field:
        yield f"{wire_name(column)}@{LOOKUP_TABLE}"
    if column.name_field:
        named = column.type is not ColumnType.LOOKUP or column.name in scope.names
        yield _name_property(column) if named else None


def select(scope: Scope) -> str:
    """Return the value of ``$select``: each property once."""
    found = (name for column in scope.schema.columns for name in _properties(column, scope))
    return ",".join(dict.fromkeys(name for name in found if name and "@" not in name))


def preferred_annotations(scope: Scope) -> str:
    """Return the preference for the annotations that records need; empty when there are none."""
    wanted = []
    if any(column.table_field for column in scope.schema.columns):
        wanted.append(LOOKUP_TABLE)
    if scope.names:
        wanted.append(FORMATTED)
    return f'odata.include-annotations="{",".join(wanted)}"' if wanted else ""


# --- from the server ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rows:
    """What a page of the server holds."""

    records: list[Record]
    tombstones: list[str]
    next_link: str | None
    delta_link: str | None
    #: The ids of rows that came without all of their columns; they are not among the records.
    partial: list[str] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)


#: Work that pauses now and then, and ends with what a page holds.
Steps: TypeAlias = Generator[None, None, Rows]


def _done(steps: Steps) -> Rows:
    """Do all of the work at once."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            rows: Rows = end.value
            return rows


class _Refusal(ProtocolError):
    """Raised when an answer, or a row of it, makes no sense; ``reason`` has no values."""

    def __init__(self, table: str, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"an answer about {table} makes no sense ({legible(reason):.200}); "
            "nothing of it was used, the next sync asks again"
        )


class Reader:
    """Turns answers about one scope into records."""

    def __init__(self, scope: Scope) -> None:
        schema = scope.schema
        first = schema.by_name[schema.primary_id]
        columns = [first, *(c for c in schema.columns if c.name != schema.primary_id)]
        self._table = schema.name
        self._key = schema.primary_id
        self._properties = [name for column in columns for name in _properties(column, scope)]
        self._pointers = _pointers(scope)
        fields = [(column, check) for column in columns for check in field_checks(column)]
        self._checks = [(at, column, check) for at, (column, check) in enumerate(fields) if check]
        row_type, self._at = _row_type(self._properties, columns)
        #: Whether the columns of a record stand in the struct as they do in the record.
        self._straight = self._at == list(range(_FIRST, _FIRST + len(self._at)))
        self._row = msgspec.json.Decoder(row_type)
        self._page = msgspec.json.Decoder(_page_type(row_type))
        strict, _ = _row_type(self._properties, columns, missing=msgspec.UNSET)
        self._changes = msgspec.json.Decoder(_page_type(strict))

    def page(self, body: bytes) -> Rows:
        """Decode a page; what a row leaves out is null, and a row that makes no sense comes aside.

        :raises ProtocolError: it makes no sense as a whole; nothing of it may be used
        """
        return _done(self._understood(body, self._page))

    def changes(self, body: bytes) -> Rows:
        """Decode a page of changes; a row that leaves a column out is partial, and not read.

        :raises ProtocolError: it makes no sense as a whole; nothing of it may be used
        """
        return _done(self._understood(body, self._changes))

    async def in_turns(self, body: bytes, *, changes: bool) -> Rows:
        """Do what ``changes`` or ``page`` does, a few milliseconds at a time.

        Decoding is the longest step: nothing else runs in this process meanwhile.

        :raises ProtocolError: the page makes no sense as a whole; nothing of it may be used
        """
        steps = self._understood(body, self._changes if changes else self._page)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                rows: Rows = end.value
                return rows
            await asyncio.sleep(0)

    def whole(self, body: bytes) -> Rows:
        """Decode a page all of which must make sense.

        :raises ProtocolError: it does not; nothing of it may be used
        """
        refuse_too_many_rows(body)
        return _done(self._whole(body, self._page))

    def _understood(self, body: bytes, decoder: Any) -> Steps:  # Any: a type made at run time
        refuse_too_many_rows(body)
        yield
        try:
            return (yield from self._whole(body, decoder))
        except _Refusal:
            return (yield from self._row_by_row(body, decoder))

    def _row_by_row(self, body: bytes, decoder: Any) -> Steps:  # Any: as above
        """Decode a page that has rows which make no sense: each row as a page of its own."""
        try:
            page, rows = sliced(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise self._refusal(str(error)) from error
        self._refuse_twins(body, self._once())
        understood = Rows([], [], page.next_link, page.delta_link)
        for row in rows:
            try:
                one = yield from self._whole(b'{"value":[%b]}' % row, decoder)
            except _Refusal as refusal:
                understood.unreadable.append(self._aside(row, refusal.reason))
            else:
                understood.records.extend(one.records)
                understood.tombstones.extend(one.tombstones)
                understood.partial.extend(one.partial)
        return understood

    def _once(self) -> dict[str, int]:
        """Return the members that a page has once at the most."""
        return {} if "value" in self._properties else {"value": 1}  # tables have such columns

    def _aside(self, row: bytes, reason: str) -> Unreadable:
        """Return what can be said of a row that makes no sense."""
        row_id = named(row, "id" if b"/$deletedEntity" in row else self._key)
        return Unreadable(row_id, reason, row[:_LONGEST_PAYLOAD].decode("utf-8", "replace"))

    def _whole(self, body: bytes, decoder: Any) -> Steps:  # Any: as above
        page = self._decode(decoder, body)
        yield
        rows = list(map(msgspec.structs.astuple, page.value))
        deleted = [row for row in rows if _is_tombstone(row)]
        live = [row for row in rows if not _is_tombstone(row)] if deleted else rows
        keyed = len(rows) if self._key == "id" else len(live)
        yield
        self._refuse_twins(body, {ETAG: len(live), self._key: keyed, **self._once()})
        yield
        gone = [self._tombstone(row) for row in deleted]
        partial: list[str] = []
        if decoder is self._changes:
            partial = [self._key_of(row) for row in live if msgspec.UNSET in row]
            live = [row for row in live if msgspec.UNSET not in row]
        records: list[Record] = []
        for at in range(0, len(live), _SLICE):
            records += self._turned(live[at : at + _SLICE])
            yield
        return Rows(records, gone, page.next_link, page.delta_link, partial)

    def one(self, body: bytes) -> Record:
        """Decode a single row.

        :raises ProtocolError: it makes no sense
        """
        self._refuse_twins(body, {ETAG: 1, self._key: 1})
        return self._turned([msgspec.structs.astuple(self._decode(self._row, body))])[0]

    def _decode(self, decoder: Any, body: bytes) -> Any:  # Any: types made at run time
        try:
            return decoder.decode(body)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise self._refusal(str(error).replace("$.value[0]", "$")) from error

    def _refuse_twins(self, body: bytes, most: Mapping[str, int]) -> None:
        """Refuse members that a JSON object has twice, where holdfast relies on them.

        Inside a string a quote is escaped, so these bytes are member names and nothing else.
        """
        for name, expected in most.items():
            if body.count(f'"{name}":'.encode()) > expected:
                raise self._refusal(f"the member {name!r} comes twice")
        if body.count(b'Link":') > 1 and any(body.count(link) > 1 for link in _LINKS):
            raise self._refusal("a link comes twice")

    def _tombstone(self, row: Cells) -> str:
        try:
            return canonical_id(row[_ID])
        except ValueError:
            raise self._refusal("a deleted row has no id") from None

    def _key_of(self, row: Cells) -> str:
        try:
            return canonical_id(row[self._at[0]])
        except ValueError:
            raise self._refusal(f"a row has no {self._key}") from None

    def _turned(self, rows: list[tuple[Any, ...]]) -> list[Record]:
        """Return the records of some rows; those in which nothing had to be changed are cut out."""
        by_property: list[Cells] = list(zip(*rows, strict=True))
        if None in by_property[self._at[0]]:
            raise self._refusal(f"a row has no {self._key}")
        if None in by_property[_ETAG]:
            raise self._refusal("a row has no version")
        columns = [by_property[place] for place in self._at]
        changed = not self._straight
        for at, column, check in self._checks:
            cells = self._checked(check, columns[at], f"{column.name} is no {column.type.value}")
            changed = changed or cells is not columns[at]
            columns[at] = cells
        for column, pointer, table in self._pointers:
            pairs = zip(columns[pointer], columns[table], strict=True)
            if any(to is not None and of is None for to, of in pairs):
                raise self._refusal(f"it does not say which table {column.name} points to")
        self._checked(versions, by_property[_ETAG], "its version is garbled")
        if changed:
            return list(zip(*columns, by_property[_ETAG], strict=True))
        return [row[_FIRST:] + row[_ETAG : _ETAG + 1] for row in rows]

    def _checked(self, check: Check, cells: Cells, reason: str) -> Cells:
        try:
            return check(cells)
        except ValueError:  # its text has the value
            raise self._refusal(reason) from None

    def _refusal(self, reason: str) -> _Refusal:
        return _Refusal(self._table, reason)


#: Where the members that every row may have stand in its struct, and behind them the columns.
_ETAG, _CONTEXT_AT, _ID, _FIRST = 0, 1, 2, 3


def _is_tombstone(row: Cells) -> bool:
    context = row[_CONTEXT_AT]
    return context is not None and context.endswith("/$deletedEntity")


def _pointers(scope: Scope) -> list[tuple[Column, int, int]]:
    """Return the lookups with several targets, their positions and those of their tables."""
    at = scope.schema.positions
    columns = scope.schema.columns
    return [(c, at[c.name], at[c.table_field]) for c in columns if c.table_field]


def _row_type(
    properties: Iterable[str | None],
    columns: Iterable[Column],
    missing: msgspec.UnsetType | None = None,
) -> tuple[type[msgspec.Struct], list[int]]:
    """Return a struct for the rows of a scope, and the place in it of each field's property.

    ``missing`` stands where a row leaves a column out; annotations are left out when they are null,
    and a field that the server has nothing for is one under a name that it does not send.
    """
    types = {wire_name(column): _TYPES.get(column.type, str) for column in columns}
    names = [ETAG, _CONTEXT, "id"]  # a key of that name keeps its place there
    places: list[int] = []
    for given in properties:
        name = f"@holdfast.nothing{len(names)}" if given is None else given
        if name not in names:
            names.append(name)
        places.append(names.index(name))
    fields = [
        (
            f"f{place}",
            types.get(name, str) | None | (msgspec.UnsetType if optional else None),
            msgspec.field(default=missing if optional else None, name=name),
        )
        for place, name in enumerate(names)
        for optional in [place > _ID and "@" not in name]
    ]
    return msgspec.defstruct("Row", fields, gc=False), places


def _page_type(row_type: type[msgspec.Struct]) -> type[msgspec.Struct]:
    link = str | None
    return msgspec.defstruct(
        "Page",
        [
            ("value", list[row_type]),  # type: ignore[valid-type]  # made at run time
            ("next_link", link, msgspec.field(default=None, name="@odata.nextLink")),
            ("delta_link", link, msgspec.field(default=None, name="@odata.deltaLink")),
        ],
    )

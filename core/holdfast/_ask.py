"""A question about one table, and about the rows beside its rows, read and answered.

Invariant: however many rows match, each chunk of them costs a fixed number of reads, one for each
expansion and what stands inside it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeAlias

from holdfast import _query
from holdfast._tables import PENDING_FIELD, ROW_FIELDS, VERSION_FIELD
from holdfast._words import DEEPEST, ExpandWords, expand_words, names_of
from holdfast.contracts import Order, Query
from holdfast.errors import Problem, QueryError
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    In,
    Literal,
)
from holdfast.model import Record, Row
from holdfast.profile import DEFAULT_LANGUAGE
from holdfast.schema import ColumnType, Crossing, Kind, Relationship, TableSchema, nearest

if TYPE_CHECKING:
    from holdfast._engine import Engine
    from holdfast._prepare import Preparation
    from holdfast._scopes import TableScope

#: A filter in OData, in a language that is named, or as the algebra.
Filter: TypeAlias = str | Mapping[str, str] | Expression
_CHUNK: Final = 200
_TAIL: Final = tuple(f.name for f in ROW_FIELDS)


class Rows(AsyncIterator[Row]):
    """The rows that match, one after the other, without holding them all in memory.

    Leaving early is what ``contextlib.aclosing`` is for. ``total`` is the number of all rows that
    match, however many are yielded: known from the first on where it was asked for, else None.
    """

    def __init__(self, start: Callable[[Rows], AsyncGenerator[Row]]) -> None:
        self.total: int | None = None
        self._rows = start(self)

    async def __anext__(self) -> Row:
        return await anext(self._rows)

    async def aclose(self) -> None:
        """Stop; nothing more is read."""
        await self._rows.aclose()


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of one table."""

    scope: TableScope
    shown: TableSchema
    where: Expression = EVERYTHING
    order: tuple[Order, ...] = ()
    top: int | None = None
    beside: tuple[Beside, ...] = ()


@dataclass(frozen=True, slots=True)
class Beside:
    """An expansion: the rows at the other end of a relationship."""

    name: str
    relationship: Relationship | Crossing
    many: bool
    question: Question


@dataclass(frozen=True, slots=True)
class Words:
    """A question as it was asked."""

    filter: Filter | None = None
    select: str | Sequence[str] | None = None
    order_by: str | None = None
    top: int | None = None
    expand: str | None = None


def compiled(engine: Engine, scope: TableScope, given: Filter | None) -> Expression:
    """Return a filter as an expression.

    :raises FilterError: it does not parse
    :raises QueryError: it names no language, or several
    """
    if given is None:
        return EVERYTHING
    if isinstance(given, str):
        given = {DEFAULT_LANGUAGE: given}
    if not isinstance(given, Mapping):
        return given
    if len(given) != 1:
        wanted = 'one filter in one language is wanted: {"fetchxml": "<filter>…"}'
        raise QueryError(scope.name, [Problem("filter", wanted)])
    ((language, text),) = given.items()
    engine.setup.speak(language)
    return engine.plugins.compile_filter(language, text, scope.schema, engine.schemas)


def read(engine: Engine, scope: TableScope, words: Words, depth: int = 0) -> Question:
    """Return the question that was asked.

    :raises FilterError: a filter does not parse
    :raises QueryError: with every name that is not there
    """
    problems: list[Problem] = []
    if words.top is not None and words.top < 0:
        problems.append(Problem("top", "a number from 0 up is wanted"))
    shown = _shown(scope.visible, words.select, problems)
    try:
        order = _query.parse_order(scope.visible, words.order_by)
    except QueryError as error:
        problems.extend(error.problems)
        order = ()
    asked = expand_words(scope.name, words.expand)
    found = [_beside(engine, scope, one, problems, depth) for one in asked]
    twice = sorted({one.name for one in asked if [o.name for o in asked].count(one.name) > 1})
    problems.extend(Problem("expand", f"{name} stands twice; leave one out") for name in twice)
    if problems:
        raise QueryError(scope.name, problems)
    where = compiled(engine, scope, words.filter)
    return Question(scope, shown, where, order, words.top, tuple(b for b in found if b))


def _shown(
    schema: TableSchema, select: str | Sequence[str] | None, problems: list[Problem]
) -> TableSchema:
    names = names_of(select)
    if names is None:
        return schema
    if not names:
        problems.append(Problem("select", "no column is named; leave it out to see all of them"))
    chosen = [_plain(schema, name) for name in names]
    problems.extend(
        Problem("select", f"{schema.name} has no column {name!r}{nearest(name, schema.by_name)}")
        for name in chosen
        if schema.column(name) is None
    )
    return schema.only(chosen)


def _plain(schema: TableSchema, name: str) -> str:
    """Return the column that OData calls ``_primarycontactid_value``."""
    inner = name.removeprefix("_").removesuffix("_value")
    column = schema.column(inner)
    lookup = column is not None and column.type is ColumnType.LOOKUP
    return inner if lookup and name == f"_{inner}_value" else name


def _beside(
    engine: Engine, scope: TableScope, words: ExpandWords, problems: list[Problem], depth: int
) -> Beside | None:
    ways = _ways(engine, scope.schema)
    if words.name not in ways:
        hint = nearest(words.name, ways)
        message = f"{scope.name} has no navigation {words.name!r} to a kept table{hint}"
        problems.append(Problem("expand", message))
        return None
    if depth == DEEPEST:
        problems.append(Problem("expand", f"more than {DEEPEST} levels; ask in several questions"))
        return None
    relationship, many = ways[words.name]
    options = words.options
    for option in sorted(options.keys() & {"$filter", "$orderby", "$top"}) if not many else ():
        message = f"{option} makes no sense at {words.name}, which leads to one row"
        problems.append(Problem("expand", message))
    top = options.get("$top")
    if top is not None and not (top.isascii() and top.isdigit()):
        problems.append(Problem("expand", f"$top at {words.name}: a number from 0 up is wanted"))
        top = None
    inner = Words(
        options.get("$filter"),
        options.get("$select"),
        options.get("$orderby"),
        None if top is None else int(top),
        options.get("$expand"),
    )
    try:
        question = read(engine, engine.scope(_end(relationship, many=many)), inner, depth + 1)
    except QueryError as error:
        problems.extend(Problem(f"expand {words.name}", str(one)) for one in error.problems)
        return None
    return Beside(words.name, relationship, many, question)


def _end(relationship: Relationship | Crossing, *, many: bool) -> str:
    """Return the table whose rows stand beside."""
    if isinstance(relationship, Crossing):
        return relationship.target
    return relationship.referencing if many else relationship.referenced


def _ways(engine: Engine, schema: TableSchema) -> dict[str, tuple[Relationship | Crossing, bool]]:
    """Return where one can go from a table's rows, by navigation name: to one row or to many."""
    known = (r for scope in engine.scopes.values() for r in scope.schema.relationships)
    found: dict[str, tuple[Relationship | Crossing, bool]] = {}
    for each in known:
        both = each.referencing in engine.scopes and each.referenced in engine.scopes
        kept = both and engine.schema(each.referencing).column(each.column) is not None
        if kept and each.referencing == schema.name:
            found.setdefault(each.navigation or each.column, (each, False))
        if kept and each.referenced == schema.name:
            found.setdefault(each.collection or each.name, (each, True))
    for way in schema.crossings:
        if way.collection and {way.intersect, way.target} <= engine.scopes.keys():
            found.setdefault(way.collection, (way, True))
    return found


def answer(engine: Engine, scope: TableScope, words: Words, *, count: bool) -> Rows:
    """Return the rows that match; nothing is read, or refused, before the first is asked for."""

    async def rows(answered: Rows) -> AsyncGenerator[Row]:
        preparation = engine.preparation()
        question = await _ready(preparation, read(engine, scope, words))
        reader = _Reader(engine)
        if count:
            answered.total = await _query.count(
                engine.store.storage,
                scope.name,
                question.where,
                engine.store.positions(scope.name),
                engine.plugins.functions,
            )
        async with aclosing(reader.rows(question)) as found:
            async for row in found:
                yield row

    return Rows(rows)


async def _ready(preparation: Preparation, question: Question) -> Question:
    where = await preparation.ready(question.scope.name, question.where)
    beside = [
        replace(one, question=await _ready(preparation, one.question)) for one in question.beside
    ]
    return replace(question, where=where, beside=tuple(beside))


class _Reader:
    """Answers questions that are ready."""

    def __init__(self, engine: Engine) -> None:
        self._store = engine.store
        self._functions = engine.plugins.functions

    async def rows(self, question: Question) -> AsyncGenerator[Row]:
        query = Query(question.scope.name, question.where, question.order, question.top)
        chunk: list[Record] = []
        async with aclosing(self._records(query)) as records:
            async for record in records:
                if not question.beside:
                    yield row_of(question.scope, record, question.shown)
                    continue
                chunk.append(record)
                if len(chunk) == _CHUNK:
                    for row in await self._made(question, chunk):
                        yield row
                    chunk.clear()
        for row in await self._made(question, chunk):
            yield row

    def _records(self, query: Query) -> _query.Records:
        positions = self._store.positions(query.table)
        return _query.run(self._store.storage, query, positions, self._functions)

    async def _made(self, question: Question, records: Sequence[Record]) -> list[Row]:
        """Return the rows of some records, with what stands beside them."""
        found = [
            (one.name, await self._beside(one, question, records))
            for one in question.beside
            if records
        ]
        return [
            row_of(question.scope, record, question.shown, {name: by[at] for name, by in found})
            for at, record in enumerate(records)
        ]

    async def _beside(
        self, beside: Beside, question: Question, records: Sequence[Record]
    ) -> Sequence[Row | Sequence[Row] | None]:
        """Return, for each record, the row or the rows beside it."""
        match beside.relationship:
            case Crossing() as way:
                return await self._across(way, beside.question, records)
            case Relationship() as relationship if beside.many:
                return await self._several(relationship, beside.question, records)
            case relationship:
                ids = _targets(relationship, question.scope.schema, records)
                return await self._single(beside.question, ids)

    async def _single(self, target: Question, ids: Sequence[str | None]) -> Sequence[Row | None]:
        """Return, for each id, the row that has it."""
        wanted = sorted({row_id for row_id in ids if row_id is not None})
        stored = await self._store.storage.read(target.scope.name, wanted) if wanted else []
        rows = {row.id: row for row in await self._made(target, stored)}
        return [None if row_id is None else rows.get(row_id) for row_id in ids]

    async def _several(
        self, relationship: Relationship, target: Question, records: Sequence[Record]
    ) -> Sequence[Sequence[Row]]:
        """Return, for each record, the rows that point to it."""
        schema = target.scope.schema
        column = schema.by_name[relationship.column]
        ids = [str(record[0]) for record in records]
        pointing: list[Expression] = [In(ColumnRef(column.name, Kind.KEY), tuple(ids))]
        if column.table_field:
            table = ColumnRef(column.table_field, Kind.KEY)
            pointing.append(Compare(Comparison.EQ, table, Literal(relationship.referenced)))
        at = schema.positions[column.name]
        groups: dict[str, list[Record]] = defaultdict(list)
        query = Query(target.scope.name, And((*pointing, target.where)), target.order)
        async with aclosing(self._records(query)) as found:
            async for record in found:
                group = groups[str(record[at])]
                if target.top is None or len(group) < target.top:
                    group.append(record)
        every = [record for group in groups.values() for record in group]
        rows = {row.id: row for row in await self._made(target, every)}
        return [tuple(rows[str(r[0])] for r in groups.get(row_id, ())) for row_id in ids]

    async def _across(
        self, way: Crossing, target: Question, records: Sequence[Record]
    ) -> Sequence[Sequence[Row]]:
        """Return, for each record, the rows that pairs join it with."""
        at = self._store.positions(way.intersect)
        ids = [str(record[0]) for record in records]
        starts: dict[str, set[str]] = defaultdict(set)
        pairs = Query(way.intersect, In(ColumnRef(way.near, Kind.KEY), tuple(ids)))
        async with aclosing(self._records(pairs)) as found:
            async for pair in found:
                starts[str(pair[at[way.far]])].add(str(pair[at[way.near]]))
        groups: dict[str, list[Record]] = defaultdict(list)
        key = ColumnRef(target.scope.schema.primary_id, Kind.KEY)
        query = Query(target.scope.name, And((In(key, tuple(starts)), target.where)), target.order)
        async with aclosing(self._records(query)) as found:
            async for record in found:
                for start in starts[str(record[0])]:
                    if target.top is None or len(groups[start]) < target.top:
                        groups[start].append(record)
        every = {str(record[0]): record for group in groups.values() for record in group}
        rows = {row.id: row for row in await self._made(target, list(every.values()))}
        return [tuple(rows[str(r[0])] for r in groups.get(row_id, ())) for row_id in ids]


def _targets(
    relationship: Relationship, schema: TableSchema, records: Sequence[Record]
) -> list[str | None]:
    """Return, for each record, the id that its lookup holds."""
    column = schema.by_name[relationship.column]
    at = schema.positions[column.name]
    table_at = schema.positions[column.table_field] if column.table_field else None
    return [
        str(record[at])
        if record[at] is not None
        and (table_at is None or record[table_at] == relationship.referenced)
        else None
        for record in records
    ]


def row_of(
    scope: TableScope,
    record: Record,
    shown: TableSchema | None = None,
    expanded: Mapping[str, Row | Sequence[Row] | None] | None = None,
) -> Row:
    """Return a stored record as people see it."""
    fields = scope.schema.fields
    cells = dict(zip((f.name for f in fields), record, strict=False))
    tail = dict(zip(_TAIL, record[len(fields) :], strict=False))
    version = tail[VERSION_FIELD.name]
    return Row(
        shown or scope.visible,
        cells,
        version=None if version is None else str(version),
        pending=bool(tail[PENDING_FIELD.name]),
        expanded=expanded,
    )

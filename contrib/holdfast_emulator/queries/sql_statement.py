"""SQL as the Web API takes it: one SELECT of a small part of T-SQL, checked and resolved.

Invariant: only what is listed here gets through; every table and column of a statement exists, and
its text is written anew from what was understood, never passed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.faults import TOO_MANY_CONDITIONS, DataverseFault
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Metadata, TableDefinition
from holdfast_emulator.queries.sql_syntax import DEEPEST, MOST_TABLES, refused, unsupported
from holdfast_emulator.queries.sql_values import sql_constant

if TYPE_CHECKING:
    from sqlglot import exp

_NO_ENTITY: Final = "0x80041102"
_NO_ATTRIBUTE: Final = "0x80041103"
_MOST_CONDITIONS: Final = 500
_MOST_ROWS: Final = 5000
_MOST_OFFSET: Final = 2**53
NUMBERS: Final = frozenset(
    {
        ColumnType.INTEGER,
        ColumnType.BIGINT,
        ColumnType.DECIMAL,
        ColumnType.DOUBLE,
        ColumnType.MONEY,
    }
)
#: What a SELECT may have, and how the rest is called when it is refused.
_PARTS: Final = frozenset(
    {
        *("expressions", "from_", "from", "joins", "where", "group", "order"),
        *("limit", "offset", "distinct"),
    }
)
_REFUSED: Final[Mapping[str, str]] = {
    "having": "HAVING",
    "with_": "CTE (WITH ... AS)",
    "with": "CTE (WITH ... AS)",
    "into": "INTO",
    "windows": "WINDOW",
    "for_": "FOR",
    "options": "OPTION",
}


@dataclass(slots=True)
class Source:
    """A table in FROM or JOIN, under the name that the statement calls it by."""

    alias: str
    table: TableDefinition
    columns: dict[str, ColumnDefinition] = field(default_factory=dict)  # those that are used


@dataclass(frozen=True, slots=True)
class Output:
    """One column of the result.

    :param column: what it is of; None for the number of rows
    :param function: ``count``, ``sum``, ``avg``, ``min`` or ``max``; None for the column itself
    :param renamed: the column's name, where an alias took its place
    """

    name: str
    column: ColumnDefinition | None
    function: str | None = None
    renamed: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """A SELECT that may be run: its text in the dialect of SQLite, and what it needs.

    :param plain: its rows are rows of the first table, which has its id and version at the end
    """

    text: str
    sources: tuple[Source, ...]
    outputs: tuple[Output, ...]
    plain: bool


class Reader:
    """Reads one SELECT."""

    def __init__(self, metadata: Metadata, select: exp.Select) -> None:
        from sqlglot import exp

        self._exp = exp
        self._metadata = metadata
        self._select = select
        self._sources: dict[str, Source] = {}
        self._conditions = 0

    def read(self) -> Statement:
        """Return the statement, understood.

        :raises DataverseFault: 400, it has what the service has not, or names what is not there
        """
        select, exp = self._select, self._exp
        self._check_parts()
        from_ = select.args.get("from_") or select.args.get("from")
        if from_ is None:
            raise refused("It has no FROM clause.")
        if not select.expressions:
            raise refused("It selects no columns.")
        tables = [self._source(from_.this)]
        joins = [self._join(join) for join in select.args.get("joins") or ()]
        group = select.args.get("group")
        grouped = [self._column(one) for one in group.expressions] if group else []
        pairs = [self._output(one) for one in select.expressions]
        outputs = tuple(output for output, _ in pairs)
        aggregated = bool(group) or any(output.function for output in outputs)
        self._check_names(outputs)
        if aggregated:
            self._check_grouped([sql for output, sql in pairs if not output.function], grouped)
        shown = [f"{sql} AS c{at}" for at, (_, sql) in enumerate(pairs)]
        distinct = select.args.get("distinct") is not None
        plain = not aggregated and not distinct
        if plain:
            base = tables[0]
            shown += [self._named(base, name) for name in (base.table.primary_id, "versionnumber")]
        where = select.args.get("where")
        text = "".join(
            (
                f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(shown)}",
                f" FROM {_table(tables[0])}",
                "".join(joins),
                f" WHERE {self._condition(where.this)}" if where else "",
                f" GROUP BY {', '.join(grouped)}" if group else "",
                self._order(outputs, grouped if aggregated else None),
                self._limit(),
            )
        )
        assert isinstance(select, exp.Select)
        return Statement(text, tuple(self._sources.values()), outputs, plain)

    def _check_parts(self) -> None:
        for name, value in self._select.args.items():
            if value and name not in _PARTS:
                raise unsupported(_REFUSED.get(name, name.strip("_").upper()))
        distinct, group = self._select.args.get("distinct"), self._select.args.get("group")
        if distinct is not None and distinct.args.get("on"):
            raise unsupported("DISTINCT ON")
        if group and any(value for name, value in group.args.items() if name != "expressions"):
            raise unsupported("GROUP BY with more than columns")

    def _source(self, node: exp.Expr) -> Source:
        exp = self._exp
        if isinstance(node, exp.Subquery):
            raise unsupported("A subquery")
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            raise unsupported("What is no table in FROM or JOIN")
        extra = {name for name, value in node.args.items() if value} - {"this", "alias", "db"}
        if extra or node.db.lower() not in ("", "dbo"):
            raise unsupported(f"{', '.join(sorted(extra)) or node.db} of a table")
        table = self._metadata.tables.get(node.name.lower())
        if table is None:
            raise DataverseFault(
                400,
                _NO_ENTITY,
                f"The entity with a name = '{node.name[:100]}' was not found in the MetadataCache.",
            )
        alias = (node.alias or node.name).lower()
        if alias in self._sources:
            raise refused(f"The name '{alias[:100]}' is given to two tables.")
        if len(self._sources) == MOST_TABLES:
            raise refused(f"It has more than {MOST_TABLES} tables.")
        self._sources[alias] = Source(f"s{len(self._sources)}", table)
        return self._sources[alias]

    def _join(self, join: exp.Join) -> str:
        side, kind = (join.side or "").upper(), (join.kind or "").upper()
        on = join.args.get("on")
        if side not in ("", "LEFT") or kind not in ("", "INNER", "OUTER"):
            raise unsupported(f"{' '.join(filter(None, (side, kind)))} JOIN")
        if join.args.get("using") or join.args.get("method"):
            raise unsupported("A JOIN without ON")
        if on is None:
            raise unsupported("CROSS JOIN")
        source = self._source(join.this)
        parts = [self._join_condition(one) for one in self._flat(on, self._exp.And)]
        if not any(pairs for _, pairs in parts):
            raise refused("ON must compare a column of one table with a column of another.")
        condition = " AND ".join(sql for sql, _ in parts)
        return f" {'LEFT JOIN' if side else 'JOIN'} {_table(source)} ON {condition}"

    def _join_condition(self, node: exp.Expr) -> tuple[str, bool]:
        exp = self._exp
        if isinstance(node, exp.EQ) and all(
            isinstance(one, exp.Column) for one in (node.left, node.right)
        ):
            return f"{self._column(node.left)} = {self._column(node.right)}", True
        return self._condition(node), False

    def _flat(self, node: exp.Expr, kind: type[exp.Connector]) -> Iterator[exp.Expr]:
        """Yield the parts of a chain of AND or OR, without recursion: a chain may be long."""
        waiting = [node]
        while waiting:
            one = waiting.pop()
            if isinstance(one, kind):
                waiting += (one.right, one.left)
            else:
                yield one

    def _condition(self, node: exp.Expr, depth: int = 0) -> str:
        exp = self._exp
        if depth > DEEPEST:
            raise refused(f"Its conditions are nested more than {DEEPEST} deep.")
        for kind, word in ((exp.And, " AND "), (exp.Or, " OR ")):
            if isinstance(node, kind):
                parts = (self._condition(one, depth + 1) for one in self._flat(node, kind))
                return f"({word.join(parts)})"
        match node:
            case exp.Paren():
                return self._condition(node.this, depth + 1)
            case exp.Not():
                return f"(NOT {self._condition(node.this, depth + 1)})"
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise DataverseFault(
                400, TOO_MANY_CONDITIONS, "Number of conditions in query exceeded maximum limit."
            )
        return self._test(node)

    def _test(self, node: exp.Expr) -> str:
        """Return a comparison of a column with constants."""
        exp = self._exp
        operators: dict[type, str] = {
            exp.EQ: "=",
            exp.NEQ: "<>",
            exp.GT: ">",
            exp.GTE: ">=",
            exp.LT: "<",
            exp.LTE: "<=",
        }
        operator = operators.get(type(node))
        if operator and isinstance(node, exp.Binary):
            if isinstance(node.left, exp.Column):
                return self._compared(node.left, operator, node.right)
            mirrored = operator.translate(str.maketrans("<>", "><")) if operator != "<>" else "<>"
            return self._compared(node.right, mirrored, node.left)
        negated = "NOT " if node.args.get("negate") else ""
        match node:
            case exp.Like():
                column, found = self._tested(node.this)
                return f"{column} {negated}LIKE {self._text(node.expression, found)}"
            case exp.In() if not node.args.get("query") and node.expressions:
                column, found = self._tested(node.this)
                values = ", ".join(self._literal(one, found) for one in node.expressions)
                return f"{column} {negated}IN ({values})"
            case exp.Between():
                column, found = self._tested(node.this)
                low, high = (self._literal(node.args[name], found) for name in ("low", "high"))
                return f"{column} {negated}BETWEEN {low} AND {high}"
            case exp.Is() if isinstance(node.expression, exp.Null):
                return f"{self._tested(node.this)[0]} IS {negated}NULL"
            case _:
                raise refused(
                    "A condition must compare a column with a constant; "
                    f"{type(node).__name__.upper()} is not supported."
                )

    def _compared(self, left: exp.Expr, operator: str, right: exp.Expr) -> str:
        column, found = self._tested(left)
        if isinstance(right, self._exp.Null):
            return f"{column} {operator} NULL"  # true of no row, as in SQL Server
        return f"{column} {operator} {self._literal(right, found)}"

    def _tested(self, node: exp.Expr) -> tuple[str, ColumnDefinition]:
        if not isinstance(node, self._exp.Column):
            raise refused("A condition must compare a column with a constant.")
        source, column = self._resolve(node)
        return f'{source.alias}."{column.name}"', column

    def _literal(self, node: exp.Expr, column: ColumnDefinition) -> str:
        exp = self._exp
        sign = ""
        if isinstance(node, exp.Neg):
            sign, node = "-", node.this
        if isinstance(node, exp.Boolean):
            return sql_constant("1" if node.this else "0", column)
        if not isinstance(node, exp.Literal | exp.National) or (
            sign and not isinstance(node, exp.Literal)
        ):
            raise refused("A condition must compare a column with a constant.")
        return sql_constant(sign + str(node.this), column)

    def _text(self, node: exp.Expr, column: ColumnDefinition) -> str:
        exp = self._exp
        quoted = isinstance(node, exp.National) or (
            isinstance(node, exp.Literal) and node.is_string
        )
        if not quoted:
            raise refused(f"The pattern for '{column.name}' is no text.")
        return sql_constant(str(node.this), replace(column, type=ColumnType.STRING))

    def _output(self, node: exp.Expr) -> tuple[Output, str]:
        exp = self._exp
        alias = node.alias if isinstance(node, exp.Alias) else ""
        inner = node.this if isinstance(node, exp.Alias) else node
        if isinstance(inner, exp.Star) or (
            isinstance(inner, exp.Column) and isinstance(inner.this, exp.Star)
        ):
            raise unsupported("SELECT *; name the columns: it")
        if isinstance(inner, exp.Column):
            source, column = self._resolve(inner)
            name = alias or (column.wire_name if self._is_plain() else column.name)
            renamed = column.wire_name if alias else None
            return Output(name, column, None, renamed), f'{source.alias}."{column.name}"'
        return self._aggregate(inner, alias)

    def _is_plain(self) -> bool:
        return self._select.args.get("group") is None

    def _aggregate(self, node: exp.Expr, alias: str) -> tuple[Output, str]:
        exp = self._exp
        kinds: dict[type, str] = {
            exp.Count: "count",
            exp.Sum: "sum",
            exp.Avg: "avg",
            exp.Min: "min",
            exp.Max: "max",
        }
        function = kinds.get(type(node))
        if function is None:
            raise unsupported(f"{type(node).__name__.upper()} in the select list")
        inner, distinct = node.this, ""
        if isinstance(inner, exp.Distinct) and len(inner.expressions) == 1:
            inner, distinct = inner.expressions[0], "DISTINCT "
        if isinstance(inner, exp.Star) and function == "count" and not distinct:
            return Output(alias or "count", None, "count"), "COUNT(*)"
        if not isinstance(inner, exp.Column) or isinstance(inner.this, exp.Star):
            raise refused(f"{function.upper()} must be of a column.")
        source, column = self._resolve(inner)
        if function in ("sum", "avg") and column.type not in NUMBERS:
            raise refused(f"Operand data type of '{column.name}' is invalid for {function}.")
        name = alias or f"{function}_{column.name}"
        call = f'{function.upper()}({distinct}{source.alias}."{column.name}")'
        return Output(name, column, function), call

    def _check_names(self, outputs: tuple[Output, ...]) -> None:
        names = [output.name for output in outputs]
        for name in names:
            if names.count(name) > 1:
                raise refused(f"Two columns of the result are called '{name[:100]}'; use an alias.")
            if not name or "@" in name or len(name) > 128:
                raise refused(f"'{name[:100]}' is no name for a column.")

    def _check_grouped(self, shown: list[str], grouped: list[str]) -> None:
        for sql in shown:
            if sql not in grouped:
                name = sql.partition('"')[2].rstrip('"')
                raise refused(
                    f"Column '{name}' is invalid in the select list because it is not contained in "
                    "either an aggregate function or the GROUP BY clause."
                )

    def _order(self, outputs: tuple[Output, ...], grouped: list[str] | None) -> str:
        order = self._select.args.get("order")
        if order is None:
            return ""
        names = {output.name.lower(): f"c{at}" for at, output in enumerate(outputs)}
        keys: list[str] = []
        for one in order.expressions:
            node = one.this
            if not isinstance(node, self._exp.Column):
                raise refused("ORDER BY can only reference columns.")
            key = names.get(node.name.lower()) if not node.table else None
            if key is None:
                key = self._column(node)
                if grouped is not None:
                    self._check_grouped([key], grouped)
            keys.append(f"{key} DESC" if one.args.get("desc") else key)
        return f" ORDER BY {', '.join(keys)}"

    def _limit(self) -> str:
        exp, limit = self._exp, self._select.args.get("limit")
        offset = self._select.args.get("offset")
        if limit is None and offset is None:
            return ""
        count = -1
        if limit is not None:
            fetch = isinstance(limit, exp.Fetch)
            options = limit.args.get("limit_options")
            if options and (options.args.get("percent") or options.args.get("with_ties")):
                raise unsupported("TOP with PERCENT or WITH TIES")
            count = _whole(limit.args.get("count") if fetch else limit.expression, _MOST_ROWS)
        start = _whole(offset.expression, _MOST_OFFSET) if offset is not None else 0
        if offset is not None and self._select.args.get("order") is None:
            raise refused("OFFSET needs an ORDER BY clause.")
        return f" LIMIT {count} OFFSET {start}"

    def _column(self, node: exp.Expr) -> str:
        source, column = self._resolve(node)
        return f'{source.alias}."{column.name}"'

    def _resolve(self, node: exp.Expr) -> tuple[Source, ColumnDefinition]:
        exp = self._exp
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            raise refused("What is no column stands where there must be one.")
        name, alias = node.name.lower(), node.table.lower()
        if alias and alias not in self._sources:
            raise refused(f"The multi-part identifier '{alias[:50]}.{name[:50]}' is not known.")
        among = [self._sources[alias]] if alias else list(self._sources.values())
        found = [
            one for one in among if name in one.table.by_name and one.table.by_name[name].readable
        ]
        if not found:
            raise DataverseFault(
                400,
                _NO_ATTRIBUTE,
                f"'{among[0].table.name}' entity doesn't contain attribute with Name = "
                f"'{name[:100]}' and NameMapping = 'Logical'.",
            )
        if len(found) > 1:
            raise refused(f"Ambiguous column name '{name[:100]}'.")
        column = found[0].table.by_name[name]
        self._named(found[0], name)
        return found[0], column

    def _named(self, source: Source, name: str) -> str:
        source.columns[name] = source.table.by_name[name]
        return f'{source.alias}."{name}"'


def _table(source: Source) -> str:
    return f'"{source.table.name}" AS {source.alias}'


def _whole(node: exp.Expr | None, most: int) -> int:
    text = str(node.this) if node is not None and node.key == "literal" else ""
    if not (text.isascii() and text.isdigit() and len(text) < 17 and int(text) <= most):
        raise refused(f"TOP, OFFSET and FETCH take a whole number of at most {most}.")
    return int(text)

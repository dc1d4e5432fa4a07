"""Tables and helpers for the tests of the filter language "odata"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from holdfast.filters import (
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    Literal,
    Or,
    Record,
    comparable,
)
from holdfast.schema import Column, ColumnType, DateBehavior, Relationship, TableSchema
from holdfast.values import Cell
from holdfast_odata import ODataLanguage, ODataSettings

T = ColumnType
C = Comparison
GUID = "abcdef01-2345-4789-abcd-ef0123456789"
SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING),
        Column("city", T.MEMO),
        Column("n", T.INTEGER),
        Column("m", T.BIGINT),
        Column("statecode", T.STATE),
        Column("revenue", T.MONEY),
        Column("rate", T.DECIMAL),
        Column("latitude", T.DOUBLE),
        Column("flag", T.BOOLEAN),
        Column("options", T.CHOICES),
        Column("createdon", T.DATETIME),
        Column("wall", T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("day", T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("ownerid", T.LOOKUP, targets=("systemuser", "team")),
        Column("parentid", T.LOOKUP, targets=("account",)),
        Column("photo", T.IMAGE),
        Column("eq", T.INTEGER),
        Column("anything", T.INTEGER),
    ),
)
LANGUAGE = ODataLanguage(ODataSettings())


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, SCHEMA, {})


def render(expression: Expression) -> str:
    return LANGUAGE.render(expression, SCHEMA, {})


def ref(name: str) -> ColumnRef:
    return ColumnRef(name, SCHEMA.by_name[name].kind)


def compare(name: str, operator: Comparison, cell: Cell) -> Compare:
    return Compare(operator, ref(name), Literal(cell))


def flat(expression: Expression) -> Expression:
    """Merge an And inside an And, and an Or inside an Or."""
    if not isinstance(expression, And | Or):
        return expression
    own = type(expression)
    parts: list[Expression] = []
    for part in map(flat, expression.parts):
        parts.extend(part.parts if isinstance(part, own) else (part,))
    return parts[0] if len(parts) == 1 else own(tuple(parts))


# --- tables with links --------------------------------------------------------------------------

#: Each is described by one of its two sides, as a server may.
_OF_ACCOUNT = (
    Relationship(
        "account_contact", "account", "primarycontactid", "contact", "primarycontactid", "leads"
    ),
    Relationship(
        "account_parent",
        "account",
        "parentid",
        "account",
        "parentid",
        "children",
        hierarchical=True,
    ),
    Relationship("owner_accounts", "account", "ownerid", "owner", "ownerid", "owner_accounts"),
    Relationship("account_far", "account", "farid", "elsewhere", "farid", "far_accounts"),
    Relationship("account_tasks", "task", "regardingid", "account", "regarding_account", "tasks"),
    Relationship("account_notes", "note", "objectid", "account", "object_account", "notes"),
)
_OF_CONTACT = (
    Relationship(
        "contact_account", "contact", "parentcustomerid", "account", "customer_account", "contacts"
    ),
    Relationship(
        "contact_contact", "contact", "parentcustomerid", "contact", "customer_contact", "staff"
    ),
    Relationship("contact_tasks", "task", "regardingid", "contact", "regarding_contact", "duties"),
)
ACCOUNT = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", T.UNIQUEIDENTIFIER),
        Column("name", T.STRING),
        Column("description", T.MEMO),
        Column("n", T.INTEGER),
        Column("m", T.INTEGER),
        Column("language", T.INTEGER),
        Column("options", T.CHOICES),
        Column("createdon", T.DATETIME),
        Column("day", T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("wall", T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("photo", T.IMAGE),
        Column("primarycontactid", T.LOOKUP, targets=("contact",)),
        Column("parentid", T.LOOKUP, targets=("account",)),
        Column("ownerid", T.LOOKUP, targets=("systemuser", "team")),
        Column("farid", T.LOOKUP, targets=("elsewhere",)),
    ),
    relationships=_OF_ACCOUNT,
)
CONTACT = TableSchema(
    "contact",
    "contactid",
    "fullname",
    (
        Column("contactid", T.UNIQUEIDENTIFIER),
        Column("fullname", T.STRING),
        Column("age", T.INTEGER),
        Column("height", T.INTEGER),
        Column("options", T.CHOICES),
        Column("createdon", T.DATETIME),
        Column("parentcustomerid", T.LOOKUP, targets=("account", "contact")),
    ),
    relationships=_OF_CONTACT,
)
TASK = TableSchema(
    "task",
    "activityid",
    "subject",
    (
        Column("activityid", T.UNIQUEIDENTIFIER),
        Column("subject", T.STRING),
        Column("n", T.INTEGER),
        Column("regardingid", T.LOOKUP, targets=("account", "contact")),
    ),
)
USER = TableSchema(
    "systemuser",
    "systemuserid",
    "fullname",
    (Column("systemuserid", T.UNIQUEIDENTIFIER), Column("fullname", T.STRING)),
)
TABLES: Mapping[str, TableSchema] = {t.name: t for t in (ACCOUNT, CONTACT, TASK, USER)}


def linked(text: str) -> Expression:
    """Parse a filter of accounts."""
    return LANGUAGE.parse(text, ACCOUNT, TABLES)


def link_text(expression: Expression) -> str:
    """Render a filter of accounts."""
    return LANGUAGE.render(expression, ACCOUNT, TABLES)


def of(table: TableSchema, name: str) -> ColumnRef:
    return ColumnRef(name, table.by_name[name].kind)


class MemoryRows:
    """The rows of all tables; each row is a mapping, and lacks what is null."""

    def __init__(self, rows: Mapping[str, Sequence[Mapping[str, Cell]]]) -> None:
        self._rows = {
            name: [record(table, row) for row in rows.get(name, ())]
            for name, table in TABLES.items()
        }

    def positions(self, table: str) -> Mapping[str, int]:
        return TABLES[table].positions

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        schema = TABLES[table]
        at, kind = schema.positions[field], schema.by_name[field].kind
        wanted = comparable(kind, cell)
        return [row for row in self._rows[table] if comparable(kind, row[at]) == wanted]

    def all(self, table: str) -> Sequence[Record]:
        return self._rows[table]


def record(table: TableSchema, row: Mapping[str, Cell]) -> Record:
    return [row.get(field.name) for field in table.fields]

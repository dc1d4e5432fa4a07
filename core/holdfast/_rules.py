"""What the row rules of a profile come to: one expression for each table, in the core's algebra.

Invariant: the expression is what the rules say and no more; whether the row alone decides it, or
the server must be asked, is read off the expression (:mod:`holdfast._listing`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from holdfast.errors import FilterError, PluginError
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Expression,
    InHierarchy,
    InState,
    IsCaller,
    Or,
    Related,
    Who,
    columns,
    walk,
)
from holdfast.plugins import Plugins
from holdfast.profile import VIEW, VIEW_LANGUAGE, TableRule
from holdfast.schema import Kind, TableSchema, nearest

#: The text of each saved view by its name, by table.
Views: TypeAlias = Mapping[str, Mapping[str, str]]
Note: TypeAlias = Callable[[str, str], None]
#: Whom a rule names, and the column that holds it.
_WHOSE: Final[Mapping[str, tuple[str, Who]]] = {
    "mine": ("ownerid", Who.USER),
    "team": ("ownerid", Who.TEAMS),
    "business-unit": ("owningbusinessunit", Who.BUSINESS_UNIT),
}


class RowRules:
    """Compiles the rules of tables, noting what is wrong with them."""

    def __init__(
        self, schemas: Mapping[str, TableSchema], plugins: Plugins, views: Views, note: Note
    ) -> None:
        self._schemas = schemas
        self._plugins = plugins
        self._views = views
        self._note = note

    def expression(self, key: str, rule: TableRule, schema: TableSchema) -> Expression:
        """Return what the rules of a table admit, but for those that are ``related``."""
        parts: list[Expression] = []
        for name in rule.rules:
            if name == "custom":
                parts.append(self._filter(f"{key}.filter", rule, schema))
            elif name in _WHOSE:
                parts.append(self._whose(f"{key}.rows", name, schema))
        if len(parts) < 2:
            return parts[0] if parts else EVERYTHING
        return And(tuple(parts)) if rule.match == "all" else Or(tuple(parts))

    def _whose(self, key: str, rule: str, schema: TableSchema) -> Expression:
        name, who = _WHOSE[rule]
        if schema.column(name) is None:
            self._note(key, f"{schema.name} has no column {name!r}, so {rule!r} chooses nothing")
        return IsCaller(ColumnRef(name, Kind.KEY), who)

    def _filter(self, key: str, rule: TableRule, schema: TableSchema) -> Expression:
        for language, text in (rule.filter or {}).items():
            written = self.written(language, text, schema.name)
            if written is None:
                hint = nearest(text, self._views.get(schema.name, {}))
                self._note(f"{key}.{VIEW}", f"{schema.name} has no view {text!r}{hint}")
                continue
            try:
                found = self._plugins.compile_filter(*written, schema, self._schemas)
            except (FilterError, PluginError) as error:
                self._note(f"{key}.{language}", str(error))
                continue
            if any(isinstance(node, InState) for node in walk(found)):
                self._note(f"{key}.{language}", "the server does not know how rows stand here")
            return found
        return EVERYTHING

    def written(self, language: str, text: str, table: str) -> tuple[str, str] | None:
        """Return a filter's language and text; None for a view that is not there."""
        if language != VIEW:
            return language, text
        found = self._views.get(table, {}).get(text)
        return None if found is None else (VIEW_LANGUAGE, found)


def columns_elsewhere(expression: Expression) -> dict[str, set[str]]:
    """Return the columns of other tables that an expression reads, by table."""
    found: dict[str, set[str]] = {}
    for node in walk(expression):
        if isinstance(node, Related):
            found.setdefault(node.table, set()).update({node.field.name, *columns(node.where)})
        elif isinstance(node, InHierarchy):
            found.setdefault(node.table, set()).add(node.parent)
    return found

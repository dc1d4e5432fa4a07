"""The filter language "fetchxml": Dataverse's own queries, as filters and whole.

Invariant: what this cannot say is refused by its name and place, never guessed at; README.md has
the decisions.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import FilterLanguage, Tables
from holdfast.filters import Expression
from holdfast.queries import Selection
from holdfast.schema import TableSchema

__all__ = ["FetchXmlLanguage", "FetchXmlSettings"]


class FetchXmlSettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FetchXmlLanguage(FilterLanguage):
    """FetchXML: a ``filter``, or a whole ``fetch`` as a saved view has it."""

    name: ClassVar[str] = "fetchxml"
    Settings: ClassVar[type[BaseModel]] = FetchXmlSettings

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        """Return which rows of the table a ``filter`` lets through, or a ``fetch`` is about."""
        from holdfast_fetchxml._parse import parse

        return parse(source, schema, tables)

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        """Return a ``filter`` that parses to an expression of the same meaning."""
        from holdfast_fetchxml._render import render

        return render(expression, schema, tables)

    def parse_selection(self, source: str, tables: Tables) -> Selection:
        """Return the whole question that a ``fetch`` asks."""
        from holdfast_fetchxml._parse import parse_selection

        return parse_selection(source, tables)

"""The filter language "odata": the part of ``$filter`` that Dataverse documents.

Invariant: what this cannot say is refused by its name and place, never guessed at; README.md has
the decisions.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from holdfast.contracts import FilterLanguage, Tables
from holdfast.filters import Expression
from holdfast.schema import TableSchema

__all__ = ["ODataLanguage", "ODataSettings"]


class ODataSettings(BaseModel):
    """There is nothing to set."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ODataLanguage(FilterLanguage):
    """OData 4.0 ``$filter``, as Dataverse understands it."""

    name: ClassVar[str] = "odata"
    Settings: ClassVar[type[BaseModel]] = ODataSettings

    def parse(self, source: str, schema: TableSchema, tables: Tables) -> Expression:
        """Return the expression; time is linear in the text."""
        from holdfast_odata._parse import parse  # lark is read when the first filter is

        return parse(source, schema, tables)

    def render(self, expression: Expression, schema: TableSchema, tables: Tables) -> str:
        """Return text that parses to an expression of the same meaning."""
        from holdfast_odata._render import render

        return render(expression, schema, tables)

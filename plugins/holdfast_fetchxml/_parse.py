"""From the text of a query to the algebra, or to a whole question."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.contracts import Tables
from holdfast.errors import FilterError
from holdfast.filters import Expression
from holdfast.queries import Selection
from holdfast.schema import TableSchema
from holdfast_fetchxml._document import Entity, Fetch
from holdfast_fetchxml._plan import Plan
from holdfast_fetchxml._reading import read
from holdfast_fetchxml._refusals import Refusal, shown
from holdfast_fetchxml._rows import rows_of
from holdfast_fetchxml._selecting import selection_of


def parse(source: str, schema: TableSchema, tables: Tables) -> Expression:
    """Return which rows of a table a query is about.

    :raises FilterError: it is not understood, or means more than a filter can say
    """
    with _explained(source):
        asked = read(source)
        if isinstance(asked, Fetch):
            _check_about_rows(asked, schema)
            entity = asked.entity
        else:
            entity = Entity(asked.element, schema.name, filters=(asked,))
        return rows_of(Plan(entity, {**tables, schema.name: schema}, rows_of))


def parse_selection(source: str, tables: Tables) -> Selection:
    """Return the whole question that a query asks.

    :raises FilterError: it is not understood
    """
    with _explained(source):
        asked = read(source)
        if not isinstance(asked, Fetch):
            raise Refusal("found 'filter', expected 'fetch'", asked.element.position())
        return selection_of(asked, tables)


@contextmanager
def _explained(source: str) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        position = refusal.position
        raise FilterError("fetchxml", source, refusal.message, position=position) from refusal


def _check_about_rows(fetch: Fetch, schema: TableSchema) -> None:
    """Refuse what says more than which rows of the table are meant.

    ``distinct`` says no more: a row is there or not, however often it is found.
    """
    entity, element = fetch.entity, fetch.element
    if entity.name != schema.name:
        raise Refusal(
            f"the query is about {shown(entity.name)}, expected {schema.name!r}",
            entity.element.position("name"),
        )
    if fetch.aggregate:
        raise Refusal(
            "an aggregate is made of rows and says nothing of which ones; leave it out of a filter",
            element.position("aggregate"),
        )
    if fetch.top is not None:
        raise Refusal(
            "top depends on all other rows, so no row can be judged alone; leave it out of a "
            "filter",
            element.position("top"),
        )
    if fetch.page not in (None, 1):
        raise Refusal(
            "a page depends on all other rows, so no row can be judged alone; leave it out of a "
            "filter",
            element.position("page"),
        )

"""How a question would be answered: what was understood, who does what, and the storage's plan.

Invariant: what is told is what a query does; it goes the same way, and only does not read rows.
Looking up a link or a tree reads rows, as it does for a query.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast import _ask, _fetch, _query
from holdfast.contracts import Query
from holdfast.errors import UsageError
from holdfast.filters import EVERYTHING, Expression, described
from holdfast.profile import DEFAULT_LANGUAGE, VIEW_LANGUAGE

if TYPE_CHECKING:
    from holdfast._engine import Engine
    from holdfast._scopes import TableScope

EVERY_ROW: Final = "every row"


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a question comes to.

    :param asked: the filter as it was understood, in each language in use that can say it
    :param storage: what the storage is asked for
    :param engine: what the engine does with what comes; empty where nothing is left to do
    :param plan: how the storage would find the rows, in its own words
    """

    table: str
    asked: Mapping[str, str]
    storage: str
    engine: tuple[str, ...]
    plan: Sequence[str]


async def explained(engine: Engine, scope: TableScope, words: _ask.Words) -> Explanation:
    """Explain a question about one table.

    :raises FilterError: a filter does not parse
    :raises QueryError: something names what is not there
    """
    engine.setup.speak(VIEW_LANGUAGE)  # to tell the filter in its words, too
    question = _ask.read(engine, scope, words)
    where = await engine.preparation().ready(scope.name, question.where)
    storage = engine.store.storage
    pushed, left = _query.split(storage, where)
    whole = left == EVERYTHING
    query = Query(scope.name, pushed, question.order, question.top if whole else None)
    steps: list[str] = []
    if not whole:
        steps.append(f"tests what comes: {_text(engine, scope, left)}")
        if question.top is not None:
            steps.append(f"stops after {question.top} rows")
    steps += [f"reads {one.question.scope.name} beside, as {one.name}" for one in question.beside]
    return Explanation(
        scope.name,
        _texts(engine, scope, question.where),
        _text(engine, scope, pushed),
        tuple(steps),
        tuple(await storage.explain(query)),
    )


async def explained_whole(engine: Engine, source: str) -> Explanation:
    """Explain a FetchXML query.

    :raises FilterError: it does not parse
    :raises QueryError: the storage does not answer it
    """
    selection = await _fetch.ready(engine, _fetch.compiled(engine, source))
    joins = "".join(f", {join.kind.value} join {join.table}" for join in selection.joins)
    grouped = ", grouped" if selection.grouped else ""
    asked = f"all of it: {len(selection.outputs)} outputs of {selection.table}{joins}{grouped}"
    plan = tuple(await engine.store.storage.explain(selection))
    return Explanation(selection.table, {VIEW_LANGUAGE: source}, asked, (), plan)


def _texts(engine: Engine, scope: TableScope, expression: Expression) -> dict[str, str]:
    """Return the expression in every language in use that can say it."""
    if expression == EVERYTHING:
        return {}
    found: dict[str, str] = {}
    for language in engine.plugins.languages:
        try:
            found[language] = engine.plugins.render_filter(
                language, expression, scope.schema, engine.schemas
            )
        except UsageError:
            continue
    return found


def _text(engine: Engine, scope: TableScope, expression: Expression) -> str:
    """Return the expression as people write it; in plain words where no language can."""
    if expression == EVERYTHING:
        return EVERY_ROW
    texts = _texts(engine, scope, expression)
    return texts.get(DEFAULT_LANGUAGE) or next(iter(texts.values()), described(expression))

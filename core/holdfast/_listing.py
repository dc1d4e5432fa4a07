"""Rows that only the server can choose: it lists the ids, and the list decides who belongs here.

Invariant: rows go by a list only if it is whole. A list that would empty a table is asked for
twice; one that would take most of it, where rows that it leaves out look as if they belonged.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import aclosing
from itertools import islice
from typing import Final

from holdfast._engine import Engine
from holdfast._scopes import TableScope
from holdfast.errors import PluginError, Problem, ProfileError, UsageError
from holdfast.filters import predicate, trees
from holdfast.model import Unreadable

_logger = logging.getLogger(__name__)
#: How many of the rows that would go are looked at.
_SAMPLE: Final = 50


class Listing:
    """Asks the server which rows of a table match its filter."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def ids(self, scope: TableScope, here: set[str]) -> frozenset[str]:
        """Return the ids of the rows that match.

        :param here: those that are here because they matched
        :raises ProfileError: no language that the server takes can say the filter
        """
        condition = await self._condition(scope)
        found = await self._listed(scope, condition)
        leaving = here - found
        doubtful = len(leaving) * 2 > len(here)
        if doubtful and (not found or await self._seem_to_belong(scope, leaving)):
            _logger.warning(
                "the server lists %d rows of %s where %d were; it is asked again",
                len(found),
                scope.name,
                len(here),
                extra={"event": "holdfast.listing.doubted"},
            )
            found |= await self._listed(scope, condition)
        return found

    async def _listed(self, scope: TableScope, condition: str) -> frozenset[str]:
        listed = self._engine.transport.list_ids(scope.scope, condition)
        async with aclosing(listed):  # type: ignore[type-var]  # every async generator can be closed
            return frozenset([row_id async for row_id in listed])

    async def _seem_to_belong(self, scope: TableScope, ids: Iterable[str]) -> bool:
        """Tell whether some of the rows are there and match, as far as can be judged here."""
        sample = list(islice(sorted(ids), _SAMPLE))
        records = await self._engine.transport.fetch(scope.scope, sample)
        alone = await self._engine.preparation().by_row(scope.name, scope.filter)
        test = predicate(alone, scope.schema.positions, self._engine.plugins.functions)
        return any(test(row) for row in records if not isinstance(row, Unreadable))

    async def _condition(self, scope: TableScope) -> str:
        """Return the filter in a language that the server takes, if need be with who asks said."""
        taken = (await self._engine.transport.capabilities()).filters
        for language, text in scope.written.items():
            if language in taken:
                return text
        told: list[str] = []
        expressions = [scope.filter]
        if not trees(scope.filter):  # a tree is the server's to walk: not all of it need be here
            expressions.append(await self._engine.preparation().settled(scope.name, scope.filter))
        for expression in expressions:
            for language in sorted(taken):
                try:
                    self._engine.setup.speak(language)
                    return self._engine.plugins.render_filter(
                        language, expression, scope.schema, self._engine.schemas
                    )
                except (UsageError, PluginError) as error:
                    told.append(f"{language}: {error}")
        reasons = "; ".join(told) or "the server takes no filters"
        message = f"the server must be asked which rows match, and cannot be ({reasons})"
        raise ProfileError(
            self._engine.setup.source, [Problem(f"profile.tables.{scope.name}.filter", message)]
        )

"""Which rows of its first table a query is about, as one expression over those rows.

Invariant: a row passes exactly when at least one joined record with it would be answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

from holdfast.filters import And, Expression, Not, Or, Related
from holdfast_fetchxml._document import LinkType
from holdfast_fetchxml._expressions import all_of, any_of, bare, on_nulls, sources
from holdfast_fetchxml._limits import MAXIMUM_CASES
from holdfast_fetchxml._plan import Place, Plan
from holdfast_fetchxml._refusals import Refusal

#: What else must hold of the tables of a record, by source.
_Extra = Mapping[str, Sequence[Expression]]


def rows_of(plan: Plan) -> Expression:
    """Return what a row must be like to be in the answer.

    :raises Refusal: no expression over single rows can say it
    """
    return _Rows(plan).expression()


class _Rows:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def expression(self) -> Expression:
        alone = [part for part in self._plan.where if sources(part) <= {""}]
        across = [part for part in self._plan.where if not sources(part) <= {""}]
        if not across:
            return all_of((*alone, *self._linked(0, {})))
        cases = [self._case(case) for case in _cases(all_of(across), self._root)]
        return all_of((*alone, any_of(cases)))

    @property
    def _root(self) -> Place:
        return self._plan.places[0]

    def _case(self, case: Sequence[Expression]) -> Expression:
        """Return one way to meet the conditions across tables: each part is about one of them."""
        extra: dict[str, list[Expression]] = {}
        for part in case:
            names = sources(part)
            if len(names) > 1:
                raise Refusal(
                    f"a condition compares columns of {' and '.join(map(_called, sorted(names)))}; "
                    "a filter of one table's rows cannot say that",
                    self._root.entity.element.position(),
                )
            extra.setdefault(next(iter(names), ""), []).append(part)
        return all_of((*extra.get("", ()), *self._linked(0, extra)))

    def _linked(self, outer: int, extra: _Extra) -> Iterator[Expression]:
        for at in self._plan.children(outer):
            if self._restricts(at, extra):
                yield self._match(at, extra)

    def _restricts(self, at: int, extra: _Extra) -> bool:
        place = self._plan.places[at]
        return (
            place.kind is LinkType.INNER
            or place.source in extra
            or any(self._restricts(child, extra) for child in self._plan.children(at))
        )

    def _match(self, at: int, extra: _Extra) -> Expression:
        place = self._plan.places[at]
        assert place.near is not None
        assert place.far is not None
        own = tuple(map(bare, self._plan.own[at]))
        if place.kind is LinkType.FIRST and place.far.field != place.table.primary_id:
            raise Refusal(
                f"which row is the first of the link {place.source!r} would decide; "
                "use link-type 'inner' or 'outer'",
                place.entity.element.position("link-type"),
            )
        near, far = (replace(end.ref, source="") for end in (place.near, place.far))
        wanted = map(bare, extra.get(place.source, ()))
        where = all_of((*own, *wanted, *map(bare, self._linked(at, extra))))
        matched = Related(place.table.name, far, near, where)
        if place.kind is LinkType.INNER or not self._passes_empty(at, extra):
            return matched
        return any_of((matched, Not(Related(place.table.name, far, near, all_of(own)))))

    def _passes_empty(self, at: int, extra: _Extra) -> bool:
        """Tell whether a record passes whose link found nothing, so that all below it is null."""
        wanted = extra.get(self._plan.places[at].source, ())
        below = tuple(self._plan.children(at))
        return (
            on_nulls(And(tuple(wanted))) is True
            and all(self._plan.places[child].kind is not LinkType.INNER for child in below)
            and all(self._passes_empty(child, extra) for child in below)
        )


def _cases(expression: Expression, root: Place) -> list[tuple[Expression, ...]]:
    """Return the ways in which an expression can be true: parts about one table that all hold."""
    match expression:
        case And(parts) if len(sources(expression)) > 1:
            factors = [_cases(part, root) for part in parts]
            total = 1
            for factor in factors:
                total *= len(factor)
            _check_cases(total, root)
            return [tuple(leaf for some in way for leaf in some) for way in product(*factors)]
        case Or(parts) if len(sources(expression)) > 1:
            ways = [way for part in parts for way in _cases(part, root)]
            _check_cases(len(ways), root)
            return ways
        case _:
            return [(expression,)]


def _check_cases(count: int, root: Place) -> None:
    if count > MAXIMUM_CASES:
        raise Refusal(
            f"conditions on several joined tables can be met in more than {MAXIMUM_CASES} ways; "
            "simplify them",
            root.entity.element.position(),
        )


def _called(source: str) -> str:
    return repr(source) if source else "the entity"

"""``QueryExpression``: the query of the SDK, as actions take it in JSON, to a FetchXML document.

Invariant: the two say the same in other words, so that one engine answers both; a member that
would change the answer and is not understood is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload
from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.fetchxml.document import (
    Attribute,
    Comparison,
    Entity,
    Fetch,
    Filter,
    Link,
    LinkType,
)
from holdfast_emulator.wire.calls import Unsupported

_Json: TypeAlias = Mapping[str, Any]  # Any: what a client wrote
_MOST_LEVELS: Final = 20
_MOST_PARTS: Final = 500
_O = Operator
#: The names of ``ConditionOperator`` that do not follow from those of FetchXML.
_ODD_NAMES: Final[Mapping[str, Operator]] = {
    "Equal": _O.EQ,
    "NotEqual": _O.NE,
    "GreaterThan": _O.GT,
    "GreaterEqual": _O.GE,
    "LessThan": _O.LT,
    "LessEqual": _O.LE,
    "DoesNotBeginWith": _O.NOT_BEGIN_WITH,
    "DoesNotEndWith": _O.NOT_END_WITH,
    "DoesNotContainValues": _O.NOT_CONTAIN_VALUES,
    "EqualUserId": _O.EQ_USER_ID,
    "NotEqualUserId": _O.NE_USER_ID,
    "EqualBusinessId": _O.EQ_BUSINESS_ID,
    "NotEqualBusinessId": _O.NE_BUSINESS_ID,
    "EqualUserTeams": _O.EQ_USER_TEAMS,
    "EqualUserOrUserTeams": _O.EQ_USER_OR_USER_TEAMS,
    "EqualUserOrUserHierarchy": _O.EQ_USER_OR_USER_HIERARCHY,
    "EqualUserOrUserHierarchyAndTeams": _O.EQ_USER_OR_USER_HIERARCHY_AND_TEAMS,
    "EqualUserLanguage": _O.EQ_USER_LANGUAGE,
    "Last7Days": _O.LAST_SEVEN_DAYS,
    "Next7Days": _O.NEXT_SEVEN_DAYS,
    "AboveOrEqual": _O.EQ_OR_ABOVE,
    "UnderOrEqual": _O.EQ_OR_UNDER,
}
_OPERATORS: Final[Mapping[str, Operator]] = {
    **{"".join(word.title() for word in one.name.split("_")): one for one in Operator},
    **_ODD_NAMES,
}
_JOINS: Final[Mapping[str, LinkType]] = {
    "Inner": LinkType.INNER,
    "LeftOuter": LinkType.OUTER,
    "MatchFirstRowUsingCrossApply": LinkType.FIRST,
    "Exists": LinkType.EXISTS,
    "In": LinkType.IN,
    "Any": LinkType.ANY,
    "NotAny": LinkType.NOT_ANY,
    "All": LinkType.ALL,
    "NotAll": LinkType.NOT_ALL,
}
#: What a filter on one table may be given as: two patterns that only ``contains`` has in the SDK.
_PATTERNS: Final = {"Contains": Operator.LIKE, "DoesNotContain": Operator.NOT_LIKE}


def ids_of(query: _Json, primary_id: str) -> Fetch:
    """Return the question for the ids of the rows that a query means.

    :raises DataverseFault: 400, it is not understood
    """
    reading = _Reading()
    paging = query.get("PageInfo")
    if query.get("Orders") or (isinstance(paging, dict) and paging.get("Count")):
        raise Unsupported("Orders and PageInfo in a QueryExpression")
    top = query.get("TopCount")
    if top is not None and (isinstance(top, bool) or not isinstance(top, int) or top < 1):
        raise _refused("TopCount")
    criteria = reading.filter(query.get("Criteria"))
    links = reading.links(query.get("LinkEntities"))
    outside = tuple(link for link in links if not link.kind.in_filters)
    inside = tuple(link for link in links if link.kind.in_filters)
    filters = (*criteria, *((Filter(True, inside),) if inside else ()))
    entity = Entity(
        _text(query, "EntityName"), (Attribute(primary_id),), filters=filters, links=outside
    )
    return Fetch(entity, top=top, distinct=True)


class _Reading:
    """Reads one query, and counts as it goes."""

    def __init__(self) -> None:
        self._parts = 0

    def filter(self, source: object, level: int = 1) -> tuple[Filter, ...]:
        if source is None:
            return ()
        if not isinstance(source, dict) or level > _MOST_LEVELS:
            raise _refused("Criteria")
        self._count()
        kind = source.get("FilterOperator", "And")
        if kind not in ("And", "Or"):
            raise _refused("FilterOperator")
        conditions = [self._condition(one) for one in _objects(source, "Conditions")]
        inner = [
            found for one in _objects(source, "Filters") for found in self.filter(one, level + 1)
        ]
        return (Filter(kind == "And", (*conditions, *inner)),)

    def links(self, source: object, level: int = 1) -> tuple[Link, ...]:
        if level > _MOST_LEVELS:
            raise _refused("LinkEntities")
        return tuple(
            self._link(one, level) for one in _objects({"LinkEntities": source}, "LinkEntities")
        )

    def _link(self, source: _Json, level: int) -> Link:
        self._count()
        kind = _JOINS.get(str(source.get("JoinOperator", "Inner")))
        if kind is None:
            raise _refused("JoinOperator")
        entity = Entity(
            _text(source, "LinkToEntityName"),
            filters=self.filter(source.get("LinkCriteria")),
            links=self.links(source.get("LinkEntities"), level + 1),
        )
        alias = source.get("EntityAlias")
        return Link(
            entity,
            kind,
            _text(source, "LinkToAttributeName"),
            _text(source, "LinkFromAttributeName"),
            alias if isinstance(alias, str) and alias else None,
        )

    def _condition(self, source: _Json) -> Comparison:
        self._count()
        name = _text(source, "Operator")
        values = source.get("Values") or []
        if not isinstance(values, list):
            raise _refused("Values")
        texts = tuple(_value(value) for value in values)
        operator = _OPERATORS.get(name)
        if name in _PATTERNS:
            operator = _PATTERNS[name]
            texts = tuple(f"%{text}%" for text in texts)
        if operator is None:
            raise _refused("Operator")
        other = None
        if source.get("CompareColumns") is True:
            other, texts = (texts[0] if texts else None), ()
        entity = source.get("EntityName")
        return Comparison(
            _text(source, "AttributeName"),
            operator,
            texts,
            other,
            entity if isinstance(entity, str) and entity else None,
        )

    def _count(self) -> None:
        self._parts += 1
        if self._parts > _MOST_PARTS:
            raise _refused("the number of conditions")


def _value(value: object) -> str:
    """Return a value as FetchXML has it; actions wrap each in an object with its type."""
    if isinstance(value, dict):
        value = value.get("Value")
    if value is None or isinstance(value, dict | list):
        raise _refused("Values")
    return str(int(value)) if isinstance(value, bool) else str(value)


def _objects(source: _Json, name: str) -> list[_Json]:
    found = source.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise _refused(name)
    return found


def _text(source: _Json, name: str) -> str:
    found = source.get(name)
    if not isinstance(found, str) or not found:
        raise _refused(name)
    return found


def _refused(member: str) -> DataverseFault:
    return bad_payload("QueryExpression", f"The value of '{member}' is not valid.")

"""From the text of a FetchXML query to its document.

Invariant: every element and attribute of the schema is understood, and everything else refused; how
many links and conditions there are is bounded before anybody looks up what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from holdfast_emulator.queries.conditions import Operator
from holdfast_emulator.queries.fetchxml.document import (
    Attribute,
    Comparison,
    DatePart,
    Entity,
    Fetch,
    Filter,
    Function,
    Link,
    LinkType,
    Part,
    Sorting,
)
from holdfast_emulator.queries.fetchxml.marks import Marks
from holdfast_emulator.queries.fetchxml.markup import Element, read_xml
from holdfast_emulator.queries.fetchxml.refusals import (
    bad_aggregate,
    bad_filter_type,
    bad_link_type,
    bad_node,
    bad_operator,
    bad_value,
    contradiction,
    no_element,
    too_many_conditions,
    too_many_links,
)

_MOST_LINKS: Final = 15
_MOST_CONDITIONS: Final = 500
_MOST_ROWS: Final = 5000
_FETCH: Final = frozenset(
    {
        *("aggregate", "aggregatelimit", "count", "datasource", "distinct", "latematerialize"),
        *("no-lock", "options", "page", "paging-cookie", "returntotalrecordcount", "top"),
        *("useraworderby", "version", "mapping", "output-format", "utc-offset"),
        *("min-active-row-version", "savedqueryid"),
    }
)
_ATTRIBUTE: Final = frozenset(
    {
        *("name", "alias", "aggregate", "groupby", "dategrouping", "distinct", "usertimezone"),
        *("rowaggregate", "build", "addedby"),
    }
)
_ORDER: Final = frozenset({"attribute", "alias", "descending", "entityname"})
_FILTER: Final = frozenset(
    {
        *("type", "hint", "isquickfindfields", "overridequickfindrecordlimitenabled"),
        "overridequickfindrecordlimitdisabled",
    }
)
_CONDITION: Final = frozenset(
    {
        *("attribute", "operator", "value", "valueof", "entityname", "alias", "column"),
        *("uiname", "uitype", "uihidden", "aggregate", "rowaggregate"),
    }
)
_VALUE: Final = frozenset({"uiname", "uitype"})
_LINK: Final = frozenset(
    {
        *("name", "from", "to", "alias", "link-type", "intersect", "visible"),
        *("enableprefiltering", "prefilterparametername"),
    }
)
_ENTITY: Final = frozenset({"name", "enableprefiltering", "prefilterparametername"})
_OPERATORS: Final[Mapping[str, Operator]] = {
    **{operator.value: operator for operator in Operator},
    "neq": Operator.NE,
}


class NotOffered(Exception):
    """Raised for a part of FetchXML that this emulator does not have; the text says which."""


def read_fetch(source: str) -> Fetch:
    """Read a query.

    :raises DataverseFault: it is malformed
    :raises NotOffered: it asks for what only Dataverse has
    """
    return _Reading().fetch(read_xml(source))


class _Reading:
    """Reads one query, and counts as it goes."""

    def __init__(self) -> None:
        self._links = 0
        self._conditions = 0

    def fetch(self, root: Element) -> Fetch:
        if root.tag != "fetch":
            raise bad_node(root.tag, "the document")
        marks = Marks(root, _FETCH)
        for name in ("datasource", "min-active-row-version", "utc-offset"):
            if marks.text(name) not in (None, "false", "0"):
                raise NotOffered(f"the attribute {name} of fetch")
        for child in root.children:
            if child.tag != "entity":
                raise bad_node(child.tag, "fetch")
        if len(root.children) != 1:
            raise no_element("entity", "fetch")
        entity = root.children[0]
        read = Fetch(
            self._entity(entity, Marks(entity, _ENTITY).needed("name")),
            marks.number("top"),
            marks.number("page"),
            marks.number("count"),
            marks.text("paging-cookie"),
            marks.truth("distinct"),
            marks.truth("aggregate"),
            marks.number("aggregatelimit"),
            marks.truth("returntotalrecordcount"),
            marks.truth("useraworderby"),
        )
        _check(read)
        return read

    def _entity(self, element: Element, name: str) -> Entity:
        attributes: list[Attribute] = []
        orders: list[Sorting] = []
        filters: list[Filter] = []
        links: list[Link] = []
        everything = False
        for child in element.children:
            match child.tag:
                case "attribute":
                    attributes.append(_attribute(child))
                case "all-attributes":
                    Marks(child, ())
                    everything = True
                case "no-attrs":
                    Marks(child, ())
                case "order":
                    orders.append(_order(child))
                case "filter":
                    filters.append(self._filter(child))
                case "link-entity":
                    links.append(self._link(child, in_filter=False))
                case tag:
                    raise bad_node(tag, element.tag)
        parts = (tuple(orders), tuple(filters), tuple(links))
        return Entity(name, tuple(attributes), everything, *parts)

    def _filter(self, element: Element) -> Filter:
        marks = Marks(element, _FILTER)
        kind = marks.text("type") or "and"
        if kind not in ("and", "or"):
            raise bad_filter_type(kind)
        if marks.text("hint") not in (None, "union"):
            raise bad_value("hint", "filter", marks.text("hint") or "")
        return Filter(kind == "and", tuple(self._parts(element)))

    def _parts(self, element: Element) -> Iterator[Part]:
        for child in element.children:
            match child.tag:
                case "condition":
                    yield self._condition(child)
                case "filter":
                    yield self._filter(child)
                case "link-entity":
                    yield self._link(child, in_filter=True)
                case tag:
                    raise bad_node(tag, "filter")

    def _condition(self, element: Element) -> Comparison:
        self._count()
        marks = Marks(element, _CONDITION)
        attribute, operator = marks.needed("attribute"), marks.needed("operator")
        for name in ("aggregate", "rowaggregate", "column"):
            if marks.text(name):
                raise NotOffered(f"the attribute {name} of condition")
        if operator not in _OPERATORS:
            raise bad_operator(operator, attribute)
        for child in element.children:
            if child.tag != "value" or child.children:
                raise bad_node(child.tag, "condition")
            Marks(child, _VALUE)
        value = marks.verbatim("value")
        values = tuple(child.text.strip() for child in element.children)
        if value is not None:
            values = (value, *values)
        return Comparison(
            attribute, _OPERATORS[operator], values, marks.text("valueof"), marks.text("entityname")
        )

    def _link(self, element: Element, *, in_filter: bool) -> Link:
        self._links += 1
        if self._links > _MOST_LINKS:
            raise too_many_links()
        self._count()
        marks = Marks(element, _LINK)
        name, word = marks.needed("name"), marks.text("link-type") or "inner"
        kind = next((kind for kind in LinkType if kind.value == word), None)
        if kind is None or kind.in_filters is not in_filter:
            raise bad_link_type(word, "a filter" if in_filter else f"an entity, for '{name}'")
        source, target = marks.text("from"), marks.text("to")
        return Link(self._entity(element, name), kind, source, target, marks.text("alias"))

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > _MOST_CONDITIONS:
            raise too_many_conditions()


def _attribute(element: Element) -> Attribute:
    marks = Marks(element, _ATTRIBUTE)
    if element.children:
        raise bad_node(element.children[0].tag, "attribute")
    rows = marks.text("rowaggregate")
    if rows not in (None, "None", "CountChildren"):
        raise bad_value("rowaggregate", "attribute", rows or "")
    word = marks.text("aggregate")
    function = next((function for function in Function if function.value == word), None)
    if word is not None and function is None:
        raise bad_aggregate(f"Invalid aggregate operation '{word[:100]}' specified.")
    return Attribute(
        marks.needed("name"),
        marks.text("alias"),
        function,
        marks.truth("groupby"),
        marks.choice("dategrouping", DatePart),
        marks.truth("distinct"),
        marks.truth("usertimezone", default=True),
        rows == "CountChildren",
    )


def _order(element: Element) -> Sorting:
    marks = Marks(element, _ORDER)
    attribute, alias = marks.text("attribute"), marks.text("alias")
    if attribute is None and alias is None:
        marks.needed("attribute")
    return Sorting(attribute, alias, marks.text("entityname"), marks.truth("descending"))


def _check(fetch: Fetch) -> None:
    """Refuse numbers that are out of range, and pages of what is not paged."""
    for name, number, least, most in (
        ("top", fetch.top, 1, _MOST_ROWS),
        ("count", fetch.count, 1, _MOST_ROWS),
        ("page", fetch.page, 1, None),
        ("aggregatelimit", fetch.limit, 1, 50_000),
    ):
        if number is not None and (number < least or (most is not None and number > most)):
            raise bad_value(name, "fetch", str(number))
    if fetch.top is not None and (fetch.page or fetch.count or fetch.cookie or fetch.total):
        raise contradiction(
            "The top attribute can't be specified with paging attribute page, count, paging-cookie "
            "or returntotalrecordcount."
        )

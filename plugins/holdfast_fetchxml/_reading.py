"""From the text of a query to its document.

Invariant: every element and attribute of the schema is understood or refused by its name; how many
links and conditions there are is bounded before anybody looks up what they mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast.queries import Aggregate, DatePart
from holdfast_fetchxml._document import (
    Attribute,
    Condition,
    Entity,
    Fetch,
    Filter,
    Link,
    LinkType,
    Part,
    Sorting,
)
from holdfast_fetchxml._limits import MAXIMUM_CONDITIONS, MAXIMUM_LINKS, MAXIMUM_PAGE
from holdfast_fetchxml._marks import Marks
from holdfast_fetchxml._markup import Element, read_xml
from holdfast_fetchxml._operators import OPERATORS
from holdfast_fetchxml._refusals import Refusal, nearest, shown

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
_IN_ENTITY: Final = ("attribute", "all-attributes", "no-attrs", "order", "filter", "link-entity")
_IN_FILTER: Final = ("condition", "filter", "link-entity")


def read(source: str) -> Fetch | Filter:
    """Read a query, or a filter alone.

    :raises Refusal: it is malformed, or asks for what only Dataverse has
    """
    root = read_xml(source)
    if root.tag == "fetch":
        return _Reading().fetch(root)
    if root.tag == "filter":
        return _Reading().filter(root)
    raise Refusal(f"found {shown(root.tag)}, expected 'fetch' or 'filter'", root.position())


class _Reading:
    """Reads one query, and counts as it goes."""

    def __init__(self) -> None:
        self._links = 0
        self._conditions = 0

    def fetch(self, root: Element) -> Fetch:
        marks = Marks(root, _FETCH)
        _check_answerable(marks)
        for child in root.children:
            if child.tag != "entity":
                raise _misplaced(child, root, ("entity",))
        if len(root.children) != 1:
            at = root.children[1].position() if root.children else root.position()
            raise Refusal(f"found {len(root.children)} entities in fetch, expected one", at)
        entity = root.children[0]
        read = Fetch(
            root,
            self._entity(entity, Marks(entity, _ENTITY).needed("name")),
            marks.number("top", MAXIMUM_PAGE),
            marks.number("page", 2**31),
            marks.number("count", MAXIMUM_PAGE),
            marks.truth("distinct"),
            marks.truth("aggregate"),
            marks.truth("useraworderby"),
        )
        marks.number("aggregatelimit", 50_000)
        total = marks.truth("returntotalrecordcount")
        if read.top and (read.page or read.count or marks.text("paging-cookie") or total):
            raise marks.wrong(
                "top", "it does not go with page, count, paging-cookie or returntotalrecordcount"
            )
        return read

    def filter(self, element: Element) -> Filter:
        marks = Marks(element, _FILTER)
        kind = marks.text("type") or "and"
        if kind not in ("and", "or"):
            raise marks.wrong("type", "expected 'and' or 'or'")
        if marks.text("hint") not in (None, "union"):
            raise marks.wrong("hint", "expected 'union'")
        return Filter(element, kind == "and", tuple(self._parts(element)))

    def _entity(self, element: Element, name: str) -> Entity:
        attributes: list[Attribute] = []
        orders: list[Sorting] = []
        filters: list[Filter] = []
        links: list[Link] = []
        everything: Element | None = None
        for child in element.children:
            match child.tag:
                case "attribute":
                    attributes.append(_attribute(child))
                case "all-attributes":
                    everything = _empty(child)
                case "no-attrs":
                    _empty(child)
                case "order":
                    orders.append(_order(child))
                case "filter":
                    filters.append(self.filter(child))
                case "link-entity":
                    links.append(self._link(child, in_filter=False))
                case _:
                    raise _misplaced(child, element, _IN_ENTITY)
        parts = (tuple(orders), tuple(filters), tuple(links))
        return Entity(element, name, tuple(attributes), everything, *parts)

    def _parts(self, element: Element) -> Iterator[Part]:
        for child in element.children:
            match child.tag:
                case "condition":
                    yield self._condition(child)
                case "filter":
                    yield self.filter(child)
                case "link-entity":
                    yield self._link(child, in_filter=True)
                case _:
                    raise _misplaced(child, element, _IN_FILTER)

    def _condition(self, element: Element) -> Condition:
        self._count(element)
        marks = Marks(element, _CONDITION)
        attribute, operator = marks.needed("attribute"), marks.needed("operator")
        for name in ("aggregate", "rowaggregate", "column"):
            if marks.text(name):
                raise marks.unsupported(name, "conditions are about rows, not about groups")
        if operator not in OPERATORS:
            hint = nearest(operator, OPERATORS, "Dataverse has none like it")
            message = f"found the operator {shown(operator)}; {hint}"
            raise Refusal(message, element.position("operator"), "0x800404c7")
        for child in element.children:
            if child.tag != "value" or child.children:
                wrong = child if child.tag != "value" else child.children[0]
                raise _misplaced(wrong, element, ("value",))
            Marks(child, _VALUE, holds_text=True)
        value = marks.verbatim("value")
        values = tuple(child.text.strip() for child in element.children)
        if value is not None:
            values = (value, *values)
        return Condition(
            element, attribute, operator, values, marks.text("valueof"), marks.text("entityname")
        )

    def _link(self, element: Element, *, in_filter: bool) -> Link:
        self._links += 1
        if self._links > MAXIMUM_LINKS:
            message = f"a query may link {MAXIMUM_LINKS} tables at most"
            raise Refusal(message, element.position(), "0x8004430d")
        self._count(element)
        marks = Marks(element, _LINK)
        name, kind = marks.needed("name"), marks.choice("link-type", LinkType) or LinkType.INNER
        if kind.in_filters is not in_filter:
            words = [repr(kind.value) for kind in LinkType if kind.in_filters is in_filter]
            place = "inside a filter" if in_filter else "outside of a filter"
            raise Refusal(
                f"found the link-type {kind.value!r} {place}, expected {' or '.join(words)}",
                element.position("link-type"),
            )
        return Link(
            self._entity(element, name),
            kind,
            marks.text("from"),
            marks.text("to"),
            marks.text("alias"),
            marks.truth("intersect"),
        )

    def _count(self, element: Element) -> None:
        self._conditions += 1
        if self._conditions > MAXIMUM_CONDITIONS:
            message = f"a query may have {MAXIMUM_CONDITIONS} conditions and links at most"
            raise Refusal(message, element.position(), "0x8004430c")


def _misplaced(child: Element, parent: Element, known: tuple[str, ...]) -> Refusal:
    hint = nearest(child.tag, known, f"expected {' or '.join(map(repr, known))}")
    return Refusal(
        f"found the element {shown(child.tag)} inside {parent.tag}; {hint}", child.position()
    )


def _check_childless(element: Element) -> None:
    for child in element.children:
        message = f"found the element {shown(child.tag)} inside {element.tag}; it has none"
        raise Refusal(message, child.position())


def _empty(element: Element) -> Element:
    _check_childless(element)
    Marks(element, ())
    return element


def _check_answerable(marks: Marks) -> None:
    """Refuse what asks for other rows than those that are kept."""
    if marks.text("datasource"):
        raise marks.unsupported("datasource", "only live rows are kept offline")
    if marks.text("min-active-row-version") not in (None, "false"):
        raise marks.unsupported("min-active-row-version", "its meaning is the server's own")
    if marks.text("mapping") not in (None, "logical"):
        raise marks.unsupported("mapping", "names are logical ones")


def _attribute(element: Element) -> Attribute:
    _check_childless(element)
    marks = Marks(element, _ATTRIBUTE)
    if marks.text("rowaggregate") not in (None, "None"):
        raise marks.unsupported("rowaggregate", "children are not counted offline")
    return Attribute(
        element,
        marks.needed("name"),
        marks.text("alias"),
        marks.choice("aggregate", Aggregate),
        marks.truth("groupby"),
        marks.choice("dategrouping", DatePart),
        marks.truth("distinct"),
        marks.truth("usertimezone", default=True),
    )


def _order(element: Element) -> Sorting:
    _check_childless(element)
    marks = Marks(element, _ORDER)
    attribute, alias = marks.text("attribute"), marks.text("alias")
    if attribute is None and alias is None:
        marks.needed("attribute")
    return Sorting(element, attribute, alias, marks.text("entityname"), marks.truth("descending"))

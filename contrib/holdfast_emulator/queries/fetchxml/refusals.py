"""What a FetchXML query is refused with: codes of Dataverse, and words that name the place.

Invariant: every refusal says which element, column, table or alias it is about.
"""

from __future__ import annotations

from typing import Final

from holdfast_emulator.behaviour.faults import DataverseFault

_MALFORMED: Final = "0x80040303"
_INVALID: Final = "0x80040203"
_NO_ENTITY: Final = "0x80041102"
_NO_ATTRIBUTE: Final = "0x80041103"
_WITH_AGGREGATE: Final = "0x80041107"
_BAD_ALIAS: Final = "0x80041109"
_NO_SUCH_ALIAS: Final = "0x8004110a"
_NO_ALIAS: Final = "0x8004110b"
_BAD_LINK_TYPE: Final = "0x80041117"
_BAD_AGGREGATE: Final = "0x8004111a"
_BAD_NODE: Final = "0x8004111c"
_NOT_GIVEN: Final = "0x8004111e"
_BAD_FILTER_TYPE: Final = "0x80041122"
_NO_ELEMENT: Final = "0x80041123"
_WRONG_ENTITY: Final = "0x80041128"
_BAD_OPERATOR: Final = "0x800404c7"
_TOO_MANY_LINKS: Final = "0x8004430d"
_TOO_MANY_CONDITIONS: Final = "0x8004430c"
_AGGREGATE_LIMIT: Final = "0x8004e023"
_PAGING_LIMIT: Final = "0x8004430a"
_SQL_TIMEOUT: Final = "0x80044151"


def malformed(reason: str) -> DataverseFault:
    """Say that the text is no XML that is accepted."""
    return DataverseFault(400, _MALFORMED, f"Invalid XML. {reason}")


def bad_node(name: str, parent: str) -> DataverseFault:
    """Say that an element may not stand where it stands."""
    return DataverseFault(
        400, _BAD_NODE, f"The node '{name[:100]}' is not valid inside '{parent[:100]}'."
    )


def unknown_mark(name: str, element: str) -> DataverseFault:
    """Say that an element has no such XML attribute."""
    return DataverseFault(
        400, _BAD_NODE, f"The attribute '{name[:100]}' is not valid on the node '{element}'."
    )


def no_element(name: str, parent: str) -> DataverseFault:
    """Say that an element that is needed is not there."""
    return DataverseFault(400, _NO_ELEMENT, f"The node '{parent}' lacks its element '{name}'.")


def no_mark(name: str, element: str) -> DataverseFault:
    """Say that an XML attribute that is needed is not there."""
    return DataverseFault(
        400, _NOT_GIVEN, f"Required attribute '{name}' is missing on the node '{element}'."
    )


def bad_value(name: str, element: str, value: str) -> DataverseFault:
    """Say that an XML attribute has a value that is not understood."""
    return DataverseFault(
        400, _INVALID, f"Invalid value '{value[:100]}' for attribute '{name}' on node '{element}'."
    )


def contradiction(reason: str) -> DataverseFault:
    """Say that two parts of a query exclude each other."""
    return DataverseFault(400, _INVALID, reason)


def no_entity(name: str) -> DataverseFault:
    """Say that there is no such table."""
    return DataverseFault(
        400,
        _NO_ENTITY,
        f"The entity with a name = '{name[:100]}' with namemapping = 'Logical' was not found in "
        "the MetadataCache.",
    )


def no_attribute(table: str, name: str) -> DataverseFault:
    """Say that a table has no such column."""
    return DataverseFault(
        400,
        _NO_ATTRIBUTE,
        f"'{table}' entity doesn't contain attribute with Name = '{name[:100]}' and NameMapping = "
        "'Logical'.",
    )


def no_such_alias(alias: str, place: str) -> DataverseFault:
    """Say that nothing in the query has this alias, where it is named."""
    return DataverseFault(
        400,
        _NO_SUCH_ALIAS,
        f"Linked entity or alias '{alias[:100]}' was not found in the query, for {place}.",
    )


def no_alias(name: str) -> DataverseFault:
    """Say that a column of an aggregate query has no alias."""
    return DataverseFault(
        400, _NO_ALIAS, f"An alias is required for the attribute '{name[:100]}' of an aggregate."
    )


def bad_alias(alias: str, reason: str) -> DataverseFault:
    """Say that an alias cannot be one, or is taken."""
    return DataverseFault(400, _BAD_ALIAS, f"Invalid alias '{alias[:100]}': {reason}")


def with_aggregate(name: str) -> DataverseFault:
    """Say that an aggregate query asks for a column as it is."""
    return DataverseFault(
        400,
        _WITH_AGGREGATE,
        f"Attribute '{name[:100]}' can not be specified if an aggregate operation is requested.",
    )


def bad_aggregate(reason: str) -> DataverseFault:
    """Say that an aggregate cannot be formed."""
    return DataverseFault(400, _BAD_AGGREGATE, reason)


def bad_link_type(kind: str, place: str) -> DataverseFault:
    """Say that there is no such way to join, or not there."""
    return DataverseFault(
        400, _BAD_LINK_TYPE, f"Invalid link-type '{kind[:100]}' specified, inside {place}."
    )


def bad_filter_type(kind: str) -> DataverseFault:
    """Say that a filter is neither ``and`` nor ``or``."""
    return DataverseFault(400, _BAD_FILTER_TYPE, f"Invalid filter type '{kind[:100]}' specified.")


def bad_operator(operator: str, attribute: str) -> DataverseFault:
    """Say that there is no such operator."""
    return DataverseFault(
        400,
        _BAD_OPERATOR,
        f"The condition operator '{operator[:100]}' of the attribute '{attribute[:100]}' is not "
        "supported.",
    )


def wrong_entity(asked: str, named: str) -> DataverseFault:
    """Say that a query is not about the table it was sent to."""
    return DataverseFault(
        400,
        _WRONG_ENTITY,
        f"The entity '{named[:100]}' of the query does not match the entity '{asked}' it was "
        "sent to.",
    )


def too_many_links() -> DataverseFault:
    """Say that a query joins more tables than allowed."""
    return DataverseFault(
        400, _TOO_MANY_LINKS, "Number of link entities in query exceeded maximum limit."
    )


def too_many_conditions() -> DataverseFault:
    """Say that a query has more conditions than allowed."""
    return DataverseFault(
        400, _TOO_MANY_CONDITIONS, "Number of conditions in query exceeded maximum limit."
    )


def aggregate_limit() -> DataverseFault:
    """Say that more rows than allowed would have to be aggregated."""
    return DataverseFault(
        400,
        _AGGREGATE_LIMIT,
        "AggregateQueryRecordLimit exceeded. Cannot perform this operation.",
    )


def paging_limit() -> DataverseFault:
    """Say that a page lies further on than can be reached without a cookie."""
    return DataverseFault(
        400,
        _PAGING_LIMIT,
        "Paging cookie is required when trying to retrieve a set of records on any high pages.",
    )


def takes_too_long() -> DataverseFault:
    """Say that a join has more rows than this emulator puts together."""
    return DataverseFault(500, _SQL_TIMEOUT, "SQL timeout expired. The query joins too many rows.")

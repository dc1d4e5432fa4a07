"""Many-to-many relationships as the server describes them.

Invariant: every name is an identifier; a relationship with another name is left out, like a column
that cannot be kept.
"""

from __future__ import annotations

from typing import Final

import msgspec

from holdfast.schema import ManyToMany, is_identifier
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._descriptions import Values, described

#: What is asked of the relationships that a table is an end of.
MANY_TO_MANY: Final = (
    "ManyToManyRelationships?$select=SchemaName,IntersectEntityName,"
    "Entity1LogicalName,Entity1IntersectAttribute,Entity1NavigationPropertyName,"
    "Entity2LogicalName,Entity2IntersectAttribute,Entity2NavigationPropertyName"
)


class _Pairs(msgspec.Struct, rename="pascal"):
    """A relationship as it stands in JSON."""

    schema_name: str
    intersect_entity_name: str
    entity1_logical_name: str
    entity1_intersect_attribute: str
    entity2_logical_name: str
    entity2_intersect_attribute: str
    entity1_navigation_property_name: str | None = None
    entity2_navigation_property_name: str | None = None


_decoder: Final = msgspec.json.Decoder(Values[_Pairs])


def many_to_many(answer: Answer, about: str) -> tuple[ManyToMany, ...]:
    """Return the relationships, each once: one of a table with itself may be listed twice.

    :raises ProtocolError: the answer makes no sense
    """
    rows = described(answer, about, _decoder).value
    found = {row.schema_name: _relationship(row) for row in rows}
    return tuple(one for one in found.values() if _can_be_kept(one))


def _relationship(row: _Pairs) -> ManyToMany:
    return ManyToMany(
        row.schema_name,
        row.intersect_entity_name,
        row.entity1_logical_name,
        row.entity1_intersect_attribute,
        row.entity1_navigation_property_name or "",
        row.entity2_logical_name,
        row.entity2_intersect_attribute,
        row.entity2_navigation_property_name or "",
    )


def _can_be_kept(one: ManyToMany) -> bool:
    names = (one.name, one.intersect, one.table1, one.column1, one.table2, one.column2)
    return all(map(is_identifier, names))

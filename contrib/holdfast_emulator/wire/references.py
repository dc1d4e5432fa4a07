"""``$ref``: joining rows with rows that are there already, and parting them.

Invariant: adding to a collection and setting a lookup are different requests; what is parted
already is parted, but both rows must be there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus

from holdfast.values import Reference
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload, unknown_segment
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import Hop
from holdfast_emulator.wire.calls import Call, Reply, bad_query
from holdfast_emulator.wire.keys import place_of, target_of
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.urls import Segment
from holdfast_emulator.wire.write import RowService


@dataclass(frozen=True, slots=True)
class References:
    """Answers writes on ``nav/$ref``."""

    dataverse: Dataverse
    rows: RowService

    def write(self, call: Call, table: TableDefinition, row_id: str, navigation: Segment) -> Reply:
        """Answer POST (a collection), PUT (a lookup) and DELETE (either)."""
        hops = self._hops(table, navigation.name)
        single = hops[0].single
        if call.method == ("POST" if single else "PUT"):
            raise DataverseFault(
                405,
                "0x80060888",
                f"The method {call.method} is not allowed on a "
                f"{'single' if single else 'collection'}-valued navigation property.",
            )
        condition = self.rows.condition(call, table, row_id)
        if call.method == "DELETE":
            target = self._parted(call, navigation, hops)
            self.dataverse.disassociate(
                call.user, table.name, row_id, navigation.name, target, if_match=condition
            )
        else:
            if navigation.arguments:
                raise bad_query(f"A reference is added to '{navigation.name}', without a key.")
            self.dataverse.associate(
                call.user,
                table.name,
                row_id,
                navigation.name,
                self._named(call),
                if_match=condition,
            )
        return Reply(204)

    def _hops(self, table: TableDefinition, navigation: str) -> Sequence[Hop]:
        known = self.dataverse.metadata.hops(table.name)
        hops = [hop for hop in known if hop.navigation == navigation]
        if not hops:
            raise unknown_segment(navigation[:100])
        return hops

    def _named(self, call: Call) -> Reference:
        """Return the row that the body refers to."""
        parse_query(call.query, ())
        url = call.json().get("@odata.id")
        if not isinstance(url, str):
            raise bad_payload(call.path, "The entity reference link has no '@odata.id'.")
        return target_of(self.dataverse, url, call.references)

    def _parted(self, call: Call, navigation: Segment, hops: Sequence[Hop]) -> Reference | None:
        """Return the row to part from: the key of the property, or ``$id``; a lookup needs none."""
        url = _id_option(call.query)
        if url is not None:
            if navigation.arguments:
                raise bad_query("A reference is named by a key or by $id, not by both.")
            return target_of(self.dataverse, url, call.references)
        if hops[0].single:
            if navigation.arguments:
                raise bad_query(f"'{navigation.name}' leads to one record; it has no key.")
            return None
        if not navigation.arguments:
            raise bad_query(f"The record to remove from '{navigation.name}' is not named.")
        target = self.dataverse.metadata.tables[hops[0].target]
        place = place_of(self.dataverse, target, navigation)
        return Reference(target.name, place.found())


def _id_option(query: str) -> str | None:
    """Return ``$id``, which is a URL; there may be no other option.

    :raises DataverseFault: there is another one, or it is repeated
    """
    found: str | None = None
    others: list[str] = []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if unquote_plus(name) == "$id" and found is None:
            found = unquote_plus(value)
        else:
            others.append(part)
    parse_query("&".join(others), ())
    return found

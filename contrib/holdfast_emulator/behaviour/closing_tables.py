"""The activities that closing an opportunity or a case leaves behind.

Invariant: the actions of :mod:`.processes` make their rows, one each time that something closes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.business_tables import REGARDING, activity
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import CascadeDelete, RelationshipDefinition

_ENDS: Final = (
    ("Opportunity_OpportunityClose", "opportunity", "opportunityclose"),
    ("Incident_IncidentResolution", "incident", "incidentresolution"),
)


def closing_tables() -> tuple[TableDefinition, ...]:
    """Return ``opportunityclose`` and ``incidentresolution``."""
    opportunity = [
        c.lookup("OpportunityId", "opportunity", label="Opportunity"),
        *c.money("ActualRevenue"),
        *c.currency(),
    ]
    incident = [
        c.lookup("IncidentId", "incident", label="Case"),
        c.integer("TimeSpent"),
    ]
    return (
        activity("OpportunityClose", 4208, opportunity),
        activity("IncidentResolution", 4206, incident),
    )


def closing_relationships() -> tuple[RelationshipDefinition, ...]:
    """Return what joins them to what was closed, and to what they are about."""
    return (*map(_closing, _ENDS), *_regarding())


def _closing(end: tuple[str, str, str]) -> RelationshipDefinition:
    name, closed, activities = end
    return RelationshipDefinition(
        *(name, closed, f"{closed}id", activities, f"{closed}id", f"{closed}id"),
        referenced_navigation=name,
        delete=CascadeDelete.CASCADE,
    )


def _regarding() -> Iterator[RelationshipDefinition]:
    for _, _, activities in _ENDS:
        for target in REGARDING:
            name = f"{target.capitalize()}_{activities}s"
            yield RelationshipDefinition(
                *(name, target, f"{target}id", activities, "regardingobjectid"),
                referencing_navigation=f"regardingobjectid_{target}_{activities}",
                referenced_navigation=name,
                delete=CascadeDelete.CASCADE,
            )

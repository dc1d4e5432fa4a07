"""What tools ask of an environment before anything else: its version, itself, how many rows.

Invariant: nothing here changes anything; a count is of all rows, whoever asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault, invalid_argument
from holdfast_emulator.behaviour.metadata import metadata_id
from holdfast_emulator.wire.calls import Reply, answer
from holdfast_emulator.wire.operations import Invocation, Operation
from holdfast_emulator.wire.urls import NAMESPACE

_VERSION: Final = "9.2.26011.00148"
_NO_ENTITY: Final = "0x80041102"


@dataclass(frozen=True, slots=True)
class Environment:
    """Answers the functions about the environment."""

    dataverse: Dataverse

    def operations(self) -> Iterator[Operation]:
        """Yield them."""
        acts = {
            "RetrieveVersion": (self._version, ()),
            "RetrieveCurrentOrganization": (self._organization, ("AccessType",)),
            "RetrieveTotalRecordCount": (self._totals, ("EntityNames",)),
        }
        for name, (act, takes) in acts.items():
            yield Operation(name, act, function=True, takes=frozenset(takes))

    def _version(self, invocation: Invocation) -> Reply:
        return self._reply(invocation, "RetrieveVersion", {"Version": _VERSION})

    def _organization(self, invocation: Invocation) -> Reply:
        organization = self.dataverse.organization_id
        row = self.dataverse.find("organization", organization)
        name = str(row["name"]) if row else ""
        address, _, _ = invocation.call.root.partition("/api/data/")
        endpoints = {
            "WebApplication": f"{address}/",
            "OrganizationService": f"{address}/XRMServices/2011/Organization.svc",
            "OrganizationDataService": f"{address}/XRMServices/2011/OrganizationData.svc",
        }
        detail = {
            "OrganizationId": organization,
            "FriendlyName": name,
            "OrganizationVersion": _VERSION,
            "EnvironmentId": metadata_id("environment", organization),
            "DatacenterId": metadata_id("datacenter", organization),
            "Geo": "EMEA",
            "TenantId": metadata_id("tenant", organization),
            "UrlName": name,
            "UniqueName": name,
            "Endpoints": _collection(endpoints),
            "State": "Enabled",
        }
        return self._reply(invocation, "RetrieveCurrentOrganization", {"Detail": detail})

    def _totals(self, invocation: Invocation) -> Reply:
        names = invocation.parameters.get("EntityNames")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise invalid_argument("EntityNames must be a list of logical names.")
        counts: dict[str, object] = {}
        for name in names:
            if name not in self.dataverse.metadata.tables:
                raise DataverseFault(
                    400,
                    _NO_ENTITY,
                    f"The entity with a name = '{name[:100]}' was not found in the MetadataCache.",
                )
            counts[name] = sum(1 for _ in self.dataverse.scan(name))
        collection = {"EntityRecordCountCollection": _collection(counts)}
        return self._reply(invocation, "RetrieveTotalRecordCount", collection)

    def _reply(self, invocation: Invocation, name: str, body: Mapping[str, object]) -> Reply:
        context = f"{invocation.call.root}/$metadata#{NAMESPACE}{name}Response"
        return answer({"@odata.context": context, **body})


def _collection(pairs: Mapping[str, object]) -> Mapping[str, object]:
    return {
        "Count": len(pairs),
        "IsReadOnly": False,
        "Keys": list(pairs),
        "Values": list(pairs.values()),
    }

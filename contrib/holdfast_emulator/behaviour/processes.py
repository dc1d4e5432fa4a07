"""The actions of sales and service: closing, qualifying, queueing.

Invariant: each is made of writes that the caller could do, with the caller's rights, in one
transaction; what is closed already is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Final

from holdfast.values import Reference
from holdfast_emulator.behaviour.custom_api import (
    ApiEntity,
    ApiParameter,
    ApiRequest,
    ApiType,
    Binding,
    CustomApi,
)
from holdfast_emulator.behaviour.derive import stamp_of
from holdfast_emulator.behaviour.faults import invalid_argument
from holdfast_emulator.behaviour.row import Row

_STATUS: Final = ApiParameter("Status", ApiType.INTEGER)
_BY_DEFAULT: Final = -1  # as a status: the one that the state begins with
_WON, _LOST, _RESOLVED, _QUALIFIED = 1, 2, 1, 1
#: Columns of a lead that an account and a contact take over under the same name.
_SHARED: Final = (
    *("description", "emailaddress1", "telephone1", "websiteurl", "donotemail"),
    *("address1_line1", "address1_postalcode", "address1_city", "address1_country"),
)


def process_apis() -> tuple[CustomApi, ...]:
    """Return the actions, to be registered."""
    close = ApiParameter("OpportunityClose", ApiType.ENTITY, table="opportunityclose")
    resolution = ApiParameter("IncidentResolution", ApiType.ENTITY, table="incidentresolution")
    return (
        CustomApi("WinOpportunity", partial(_close_opportunity, _WON), parameters=(close, _STATUS)),
        CustomApi(
            "LoseOpportunity", partial(_close_opportunity, _LOST), parameters=(close, _STATUS)
        ),
        CustomApi("CloseIncident", _close_incident, parameters=(resolution, _STATUS)),
        CustomApi(
            *("QualifyLead", _qualify, Binding.ENTITY, "lead"),
            parameters=(
                ApiParameter("CreateAccount", ApiType.BOOLEAN),
                ApiParameter("CreateContact", ApiType.BOOLEAN),
                ApiParameter("CreateOpportunity", ApiType.BOOLEAN),
                ApiParameter("OpportunityCurrencyId", ApiType.ENTITY_REFERENCE, optional=True),
                ApiParameter("OpportunityCustomerId", ApiType.ENTITY_REFERENCE, optional=True),
                _STATUS,
            ),
            results=(ApiParameter("value", ApiType.ENTITY_COLLECTION),),
        ),
        CustomApi(
            *("AddToQueue", _add_to_queue, Binding.ENTITY, "queue"),
            parameters=(
                ApiParameter("Target", ApiType.ENTITY_REFERENCE),
                ApiParameter("SourceQueue", ApiType.ENTITY_REFERENCE, optional=True),
                ApiParameter(
                    *("QueueItemProperties", ApiType.ENTITY), optional=True, table="queueitem"
                ),
            ),
            results=(ApiParameter("QueueItemId", ApiType.GUID),),
        ),
    )


def _close_opportunity(state: int, request: ApiRequest) -> None:
    row, values = _open_row(request, "OpportunityClose", "opportunity")
    given = values.get("actualrevenue")
    estimated = row["estimatedvalue"] or Decimal(0)
    revenue = given if given is not None else (estimated if state == _WON else Decimal(0))
    ended = values.get("actualend") or stamp_of(request.dataverse.clock())
    title = f"Opportunity {'Won' if state == _WON else 'Lost'} - {row['name']}"
    done = {"actualrevenue": revenue, "actualend": ended, "statecode": 1}
    made = {"subject": title[:400], **values, **done}
    request.dataverse.create(request.user, "opportunityclose", made)
    closed = {
        "actualvalue": revenue,
        "actualclosedate": str(ended)[:10],
        **_state(request, state),
    }
    request.dataverse.update(request.user, "opportunity", row.id, closed)


def _close_incident(request: ApiRequest) -> None:
    row, values = _open_row(request, "IncidentResolution", "incident")
    ended = values.get("actualend") or stamp_of(request.dataverse.clock())
    made = {"subject": str(row["title"]), **values, "actualend": ended, "statecode": 1}
    request.dataverse.create(request.user, "incidentresolution", made)
    request.dataverse.update(request.user, "incident", row.id, _state(request, _RESOLVED))


def _open_row(request: ApiRequest, argument: str, table: str) -> tuple[Row, dict[str, object]]:
    """Return the row that is to be closed, which must be open, and what is said of the closing."""
    entity = request.arguments[argument]
    assert isinstance(entity, ApiEntity)
    target = entity.values.get(f"{table}id")
    if not isinstance(target, Reference):
        raise invalid_argument(f"The {argument} does not say which {table} it closes.")
    row = request.dataverse.retrieve(request.user, table, target.id)
    _check_open(row)
    return row, dict(entity.values)


def _check_open(row: Row) -> None:
    if row["statecode"] != 0:
        raise invalid_argument(f"The {row.table} with id {row.id} is closed already.")


def _state(request: ApiRequest, state: int) -> dict[str, object]:
    status = request.arguments["Status"]
    reason = {} if status == _BY_DEFAULT else {"statuscode": status}
    return {"statecode": state, **reason}


def _qualify(request: ApiRequest) -> Mapping[str, object]:
    lead, arguments = request.row, request.arguments
    assert lead
    _check_open(lead)
    made: dict[str, Reference] = {}
    if arguments["CreateAccount"]:
        name = lead["companyname"] or lead["fullname"]
        more = {"numberofemployees": lead["numberofemployees"], "revenue": lead["revenue"]}
        made["account"] = _make(request, lead, "account", {"name": name, **more})
    if arguments["CreateContact"]:
        names = {n: lead[n] for n in ("firstname", "lastname", "jobtitle", "mobilephone")}
        parent = {"parentcustomerid": made.get("account")}
        made["contact"] = _make(request, lead, "contact", {**names, **parent})
    if arguments["CreateOpportunity"]:
        parents = {
            "customerid": arguments.get("OpportunityCustomerId")
            or made.get("account")
            or made.get("contact"),
            "parentaccountid": made.get("account"),
            "parentcontactid": made.get("contact"),
            "transactioncurrencyid": arguments.get("OpportunityCurrencyId"),
        }
        made["opportunity"] = _make(
            request, lead, "opportunity", {"name": lead["subject"], **parents}
        )
    joined = {
        "parentaccountid": made.get("account", lead["parentaccountid"]),
        "parentcontactid": made.get("contact", lead["parentcontactid"]),
        "qualifyingopportunityid": made.get("opportunity"),
    }
    qualified = {**joined, **_state(request, _QUALIFIED)}
    request.dataverse.update(request.user, "lead", lead.id, qualified)
    return {"value": list(made.values())}


def _make(request: ApiRequest, lead: Row, table: str, values: Mapping[str, object]) -> Reference:
    """Create a row from a lead, with the columns that both have."""
    known = request.dataverse.metadata.tables[table].by_name
    taken = {name: lead[name] for name in _SHARED if name in lead and table != "opportunity"}
    origin = {"originatingleadid": Reference("lead", lead.id)}
    said = {
        name: value
        for name, value in (taken | dict(values) | origin).items()
        if value is not None and name in known
    }
    return Reference(table, request.dataverse.create(request.user, table, said).id)


def _add_to_queue(request: ApiRequest) -> Mapping[str, object]:
    dataverse, queue, target = request.dataverse, request.row, request.arguments["Target"]
    assert queue
    assert isinstance(target, Reference)
    items = dataverse.metadata.tables["queueitem"]
    if target.table not in items.by_name["objectid"].targets:
        raise invalid_argument(f"The table {target.table} is not enabled for queues.")
    row = dataverse.retrieve(request.user, target.table, target.id)
    source = request.arguments.get("SourceQueue")
    extra = request.arguments.get("QueueItemProperties")
    title = row[row.definition.primary_name] if row.definition.primary_name else None
    values: dict[str, object] = {
        "title": title,
        "enteredon": stamp_of(dataverse.clock()),
        **(extra.values if isinstance(extra, ApiEntity) else {}),
        "queueid": Reference("queue", queue.id),
    }
    waiting = _waiting(request, target)
    if source is not None and (waiting is None or waiting["queueid"] != source):
        raise invalid_argument("The record is not in the source queue.")
    if waiting is not None:
        dataverse.update(request.user, "queueitem", waiting.id, values)
        return {"QueueItemId": waiting.id}
    made = dataverse.create(request.user, "queueitem", {**values, "objectid": target})
    return {"QueueItemId": made.id}


def _waiting(request: ApiRequest, target: Reference) -> Row | None:
    """Return the item that a row waits as, in whichever queue."""
    dataverse = request.dataverse
    for relationship in dataverse.metadata.one_to_many(target.table):
        ends = (relationship.referencing, relationship.referencing_attribute)
        if ends == ("queueitem", "objectid"):
            return next(iter(dataverse.children(relationship, target.id)), None)
    return None

"""Tables of sales and service, and those of the platform that clients ask for.

Invariant: names, codes and navigation properties are those of a real organisation; the tables are
data, and hold the columns that samples and clients take for granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    LookupKind,
    Ownership,
    RequiredLevel,
    TableDefinition,
)
from holdfast_emulator.behaviour.relationships import (
    CascadeDelete,
    ManyToManyDefinition,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.schema_rules import plural

_CUSTOMER: Final = LookupKind.CUSTOMER
_DROP: Final = CascadeDelete.CASCADE
_UNLINK: Final = CascadeDelete.REMOVE_LINK
_REQUIRED: Final = RequiredLevel.APPLICATION
_Statuses = tuple[tuple[int, str, int], ...]
_ACTIVE: Final = ("Active", "Inactive")
_ACTIVE_STATUS: Final[_Statuses] = ((1, "Active", 0), (2, "Inactive", 1))
#: What an activity or a note can be about.
REGARDING: Final = ("account", "contact", "opportunity", "lead", "incident")
_LEAD_SOURCES: Final = {
    1: "Advertisement",
    2: "Employee Referral",
    3: "External Referral",
    7: "Trade Show",
    8: "Web",
    10: "Other",
}
_ACTIVITY_STATES: Final = ("Open", "Completed", "Canceled")
_PRIORITIES: Final = {0: "Low", 1: "Normal", 2: "High"}


def _common(
    states: tuple[str, ...] = _ACTIVE, statuses: _Statuses = _ACTIVE_STATUS, *, money: bool = False
) -> list[ColumnDefinition]:
    return [
        c.state(states),
        c.status(statuses),
        *(c.currency() if money else ()),
        *c.ownership(),
        *c.stamps(),
    ]


def _table(
    schema_name: str, code: int, primary_name: str | None, own: Iterable[ColumnDefinition]
) -> TableDefinition:
    name, columns = schema_name.lower(), tuple(own)
    owned = any(column.name == "ownerid" for column in columns)
    label = c.define(schema_name, ColumnType.STRING).label
    return TableDefinition(
        *(name, schema_name, plural(name), code, columns[0].name, primary_name, columns),
        label=label,
        collection_label=plural(label),
        ownership=Ownership.USER if owned else Ownership.ORGANIZATION,
    )


def lead_table() -> TableDefinition:
    """Return ``lead``."""
    statuses = (
        *((1, "New", 0), (2, "Contacted", 0), (3, "Qualified", 1), (4, "Lost", 2)),
        *((5, "Cannot Contact", 2), (6, "No Longer Interested", 2), (7, "Canceled", 2)),
    )
    own = [
        c.primary_id("LeadId", "Lead"),
        c.text("Subject", 300, "Topic", required=_REQUIRED),
        c.read_only(c.text("FullName", 160, "Name")),
        c.text("FirstName", 50),
        c.text("LastName", 50, required=_REQUIRED),
        c.text("CompanyName", 100),
        c.text("JobTitle", 100),
        c.text("EMailAddress1", 100, "Email", form="Email"),
        c.text("Telephone1", 50, "Business Phone", form="Phone"),
        c.text("MobilePhone", 50, form="Phone"),
        c.text("WebSiteUrl", 200, "Website", form="Url"),
        c.memo("Description"),
        c.text("Address1_Line1", 250, "Street 1"),
        c.text("Address1_PostalCode", 20, "ZIP/Postal Code"),
        c.text("Address1_City", 80, "City"),
        c.text("Address1_Country", 80, "Country/Region"),
        c.integer("NumberOfEmployees", 0, 1_000_000),
        *c.money("Revenue", "Annual Revenue"),
        c.choice("LeadSourceCode", _LEAD_SOURCES, "Lead Source"),
        c.choice("LeadQualityCode", {1: "Hot", 2: "Warm", 3: "Cold"}, "Rating", 2),
        c.boolean("DoNotEMail"),
        c.lookup("CustomerId", "account", "contact", label="Customer", kind=_CUSTOMER),
        c.lookup("ParentAccountId", "account", label="Parent Account for lead"),
        c.lookup("ParentContactId", "contact", label="Parent Contact for lead"),
        c.lookup("QualifyingOpportunityId", "opportunity", label="Qualifying Opportunity"),
        *_common(("Open", "Qualified", "Disqualified"), statuses, money=True),
    ]
    return _table("Lead", 4, "fullname", own)


def incident_table() -> TableDefinition:
    """Return ``incident``, a case."""
    statuses = (
        *((1, "In Progress", 0), (2, "On Hold", 0), (3, "Waiting for Details", 0)),
        *((4, "Researching", 0), (5, "Problem Solved", 1), (1000, "Information Provided", 1)),
        *((6, "Canceled", 2), (2000, "Merged", 2)),
    )
    own = [
        c.primary_id("IncidentId", "Case"),
        c.text("Title", 200, "Case Title", required=_REQUIRED),
        c.text("TicketNumber", 100, "Case Number"),
        c.memo("Description"),
        c.choice("PriorityCode", {1: "High", 2: "Normal", 3: "Low"}, "Priority", 2),
        c.choice("CaseOriginCode", {1: "Phone", 2: "Email", 3: "Web"}, "Origin"),
        c.choice("CaseTypeCode", {1: "Question", 2: "Problem", 3: "Request"}, "Case Type"),
        c.boolean("IsEscalated"),
        c.moment("LastOnHoldTime"),
        c.lookup("CustomerId", "account", "contact", label="Customer", kind=_CUSTOMER),
        c.lookup("PrimaryContactId", "contact", label="Contact"),
        c.lookup("ProductId", "product", label="Product"),
        c.lookup("ParentCaseId", "incident", label="Parent Case"),
        *_common(("Active", "Resolved", "Canceled"), statuses, money=True),
    ]
    return replace(_table("Incident", 112, "title", own), label="Case", collection_label="Cases")


def activity(schema_name: str, code: int, own: Iterable[ColumnDefinition]) -> TableDefinition:
    """Return a table of activities."""
    statuses = ((1, "Open", 0), (2, "Completed", 1), (3, "Canceled", 2))
    columns = [
        c.primary_id("ActivityId", schema_name),
        c.read_only(c.define("ActivityTypeCode", ColumnType.ENTITY_NAME, "Activity Type")),
        c.text("Subject", 400, required=_REQUIRED),
        c.memo("Description", 1_048_576 if schema_name == "Email" else 2000),
        c.lookup("RegardingObjectId", *REGARDING, label="Regarding"),
        c.moment("ScheduledStart", "Start Date"),
        c.moment("ScheduledEnd", "Due Date"),
        c.moment("ActualStart"),
        c.moment("ActualEnd"),
        c.choice("PriorityCode", _PRIORITIES, "Priority", 1),
        c.integer("ActualDurationMinutes"),
        c.boolean("IsBilled"),
        *own,
        *_common(_ACTIVITY_STATES, statuses),
    ]
    return replace(_table(schema_name, code, "subject", columns), is_activity=True)


def activity_tables() -> tuple[TableDefinition, ...]:
    """Return the activities beside tasks."""
    direction = c.boolean("DirectionCode", "Direction", default=True)
    return (
        activity("PhoneCall", 4210, [c.text("PhoneNumber", 200, form="Phone"), direction]),
        activity("Email", 4202, [direction, c.text("MessageId", 320), c.text("Sender", 250)]),
        activity("Letter", 4207, [direction, c.text("Address", 200)]),
        activity("Appointment", 4201, [c.text("Location", 200), c.boolean("IsAllDayEvent")]),
    )


def annotation_table() -> TableDefinition:
    """Return ``annotation``: notes, with a file or without."""
    own = [
        c.primary_id("AnnotationId", "Note"),
        c.text("Subject", 500, "Title"),
        c.memo("NoteText", 100_000, "Description"),
        c.boolean("IsDocument"),
        c.text("FileName", 255),
        c.text("MimeType", 256),
        c.memo("DocumentBody", 1_073_741_823, "Document"),
        c.lookup("ObjectId", *REGARDING, "task", label="Regarding"),
        *c.ownership(),
        *c.stamps(),
    ]
    return replace(_table("Annotation", 5, "subject", own), label="Note", collection_label="Notes")


def catalogue_tables() -> tuple[TableDefinition, ...]:
    """Return products, competitors and marketing lists."""
    states = ("Active", "Retired", "Draft", "Under Revision")
    statuses = ((1, "Active", 0), (2, "Retired", 1), (0, "Draft", 2), (3, "Under Revision", 3))
    product = [
        c.primary_id("ProductId", "Product"),
        c.text("Name", 100, required=_REQUIRED),
        c.text("ProductNumber", 100, "Product ID", required=_REQUIRED),
        c.memo("Description"),
        *c.money("Price", "List Price"),
        c.number("QuantityOnHand", "-100000000000", "100000000000", 5),
        c.lookup("ParentProductId", "product", label="Parent"),
        c.state(states),
        c.status(statuses),
        *c.currency(),
        *c.stamps(),
    ]
    competitor = [
        c.primary_id("CompetitorId", "Competitor"),
        c.text("Name", 100, required=_REQUIRED),
        c.text("WebSiteUrl", 200, "Website", form="Url"),
        c.memo("Strengths"),
        c.memo("Weaknesses"),
        *c.stamps(),
    ]
    members = {1: "Account", 2: "Contact", 4: "Lead"}
    lists = [
        c.primary_id("ListId", "List"),
        c.text("ListName", 128, "Name", required=_REQUIRED),
        c.memo("Description"),
        c.boolean("Type"),
        c.choice("CreatedFromCode", members, "Marketing List Member Type"),
        *_common(),
    ]
    return (
        _table("Product", 1024, "name", product),
        _table("Competitor", 123, "name", competitor),
        _table("List", 4300, "listname", lists),
    )


def queue_tables() -> tuple[TableDefinition, ...]:
    """Return queues and what waits in them."""
    queue = [
        c.primary_id("QueueId", "Queue"),
        c.text("Name", 200, required=_REQUIRED),
        c.text("EMailAddress", 100, "Incoming Email", form="Email"),
        c.memo("Description"),
        *_common(),
    ]
    item = [
        c.primary_id("QueueItemId", "Queue Item"),
        c.text("Title", 400),
        c.lookup("QueueId", "queue", label="Queue"),
        c.lookup("ObjectId", "incident", "task", "phonecall", "email", "letter", "appointment"),
        c.moment("EnteredOn"),
        c.lookup("WorkerId", "systemuser", "team", label="Worked By"),
        c.state(_ACTIVE),
        c.status(_ACTIVE_STATUS),
        *c.stamps(),
    ]
    return _table("Queue", 2020, "name", queue), _table("QueueItem", 2029, "title", item)


def platform_tables() -> tuple[TableDefinition, ...]:
    """Return what tools ask of the platform."""
    publisher = [
        c.primary_id("PublisherId", "Publisher"),
        c.text("UniqueName", 256, required=_REQUIRED),
        c.text("FriendlyName", 256, "Display Name", required=_REQUIRED),
        c.text("CustomizationPrefix", 8, "Prefix"),
        c.integer("CustomizationOptionValuePrefix", 10_000, 99_999),
        *c.stamps(),
    ]
    solution = [
        c.primary_id("SolutionId", "Solution"),
        c.text("UniqueName", 65, "Name", required=_REQUIRED),
        c.text("FriendlyName", 256, "Display Name", required=_REQUIRED),
        c.text("Version", 256),
        c.boolean("IsManaged"),
        c.boolean("IsVisible", default=True),
        c.lookup("PublisherId", "publisher", label="Publisher"),
        *c.stamps(),
    ]
    role = [
        c.primary_id("RoleId", "Role"),
        c.text("Name", 100, required=_REQUIRED),
        c.lookup("BusinessUnitId", "businessunit"),
        *c.stamps(),
    ]
    untracked = (
        _table("Publisher", 7101, "friendlyname", publisher),
        _table("Solution", 7100, "friendlyname", solution),
        _table("Role", 1036, "name", role),
        *message_tables(),
    )
    return tuple(
        replace(table, change_tracking=False, available_offline=False) for table in untracked
    )


def message_tables() -> tuple[TableDefinition, ...]:
    """Return the messages, and which tables understand them; only the platform writes these."""
    message = [
        c.primary_id("SdkMessageId", "SDK Message"),
        c.text("Name", 256),
        c.bigint("VersionNumber"),
    ]
    filters = [
        c.primary_id("SdkMessageFilterId", "SDK Message Filter"),
        c.text("Name", 256),
        c.lookup("SdkMessageId", "sdkmessage", label="SDK Message ID"),
        c.define("PrimaryObjectTypeCode", ColumnType.ENTITY_NAME),
        c.define("SecondaryObjectTypeCode", ColumnType.ENTITY_NAME),
        c.integer("Availability"),
        c.boolean("IsVisible"),
        c.bigint("VersionNumber"),
    ]
    return (
        _table("SdkMessage", 4606, "name", map(c.read_only, message)),
        _table("SdkMessageFilter", 4607, "name", map(c.read_only, filters)),
    )


def business_tables() -> tuple[TableDefinition, ...]:
    """Return them all, without the tables of pairs."""
    return (
        lead_table(),
        incident_table(),
        *activity_tables(),
        annotation_table(),
        *catalogue_tables(),
        *queue_tables(),
        *platform_tables(),
    )


#: Many-to-many relationships: name, table of pairs, its set and code, and both ends.
_PAIRS: Final = (
    ("accountleads_association", "accountleads", "accountleadscollection", 16, "account", "lead"),
    ("contactleads_association", "contactleads", "contactleadscollection", 22, "contact", "lead"),
    (
        *("opportunitycompetitors_association", "opportunitycompetitors"),
        *("opportunitycompetitorscollection", 24, "opportunity", "competitor"),
    ),
    (
        *("competitorproduct_association", "competitorproduct", "competitorproductcollection"),
        *(1006, "competitor", "product"),
    ),
    (
        "systemuserroles_association",
        "systemuserroles",
        "systemuserrolescollection",
        15,
        "systemuser",
        "role",
    ),
    ("teamroles_association", "teamroles", "teamrolescollection", 40, "team", "role"),
)


def pairs() -> tuple[tuple[ManyToManyDefinition, TableDefinition], ...]:
    """Return the many-to-many relationships, each with the table of its pairs."""
    untracked = {table.name for table in platform_tables() if not table.change_tracking}
    found = []
    for name, table, entity_set, code, one, other in _PAIRS:
        relationship = ManyToManyDefinition(
            *(name, table, one, f"{one}id", name, other, f"{other}id", name)
        )
        own = (
            c.primary_id(f"{table}id"),
            c.read_only(c.guid(relationship.attribute1)),
            c.read_only(c.guid(relationship.attribute2)),
            c.read_only(c.bigint("VersionNumber")),
        )
        definition = TableDefinition(
            *(table, table, entity_set, code, f"{table}id", None, own),
            label=table,
            collection_label=table,
            ownership=Ownership.NONE,
            change_tracking=untracked.isdisjoint((one, other)),  # as both ends, and no more
            is_intersect=True,
            optimistic_concurrency=False,
        )
        found.append((relationship, definition))
    return tuple(found)


#: One-to-many relationships: name, ends, lookup, navigation property if it is another, delete.
_RELATIONSHIPS: Final = (
    ("account_originating_lead", "lead < account", "originatingleadid", "", _UNLINK),
    ("contact_originating_lead", "lead < contact", "originatingleadid", "", _UNLINK),
    ("opportunity_originating_lead", "lead < opportunity", "originatingleadid", "", _UNLINK),
    ("lead_customer_accounts", "account < lead", "customerid", "customerid_account", _DROP),
    ("lead_customer_contacts", "contact < lead", "customerid", "customerid_contact", _DROP),
    ("lead_parent_account", "account < lead", "parentaccountid", "", _UNLINK),
    ("lead_parent_contact", "contact < lead", "parentcontactid", "", _UNLINK),
    (
        *("lead_qualifying_opportunity", "opportunity < lead", "qualifyingopportunityid", ""),
        _UNLINK,
    ),
    ("incident_customer_accounts", "account < incident", "customerid", "customerid_account", _DROP),
    ("incident_customer_contacts", "contact < incident", "customerid", "customerid_contact", _DROP),
    ("contact_as_primary_contact", "contact < incident", "primarycontactid", "", _UNLINK),
    ("product_incidents", "product < incident", "productid", "", CascadeDelete.RESTRICT),
    ("incident_parent_incident", "incident < incident", "parentcaseid", "", _UNLINK),
    ("product_parent_product", "product < product", "parentproductid", "", _UNLINK),
    ("queue_entries", "queue < queueitem", "queueid", "", CascadeDelete.RESTRICT),
    (
        *(
            "queueitem_worker_systemuser",
            "systemuser < queueitem",
            "workerid",
            "workerid_systemuser",
        ),
        _UNLINK,
    ),
    ("queueitem_worker_team", "team < queueitem", "workerid", "workerid_team", _UNLINK),
    ("publisher_solution", "publisher < solution", "publisherid", "", CascadeDelete.RESTRICT),
    ("sdkmessageid_sdkmessagefilter", "sdkmessage < sdkmessagefilter", "sdkmessageid", "", _DROP),
    ("Lead_Tasks", "lead < task", "regardingobjectid", "regardingobjectid_lead_task", _DROP),
    (
        *(
            "Incident_Tasks",
            "incident < task",
            "regardingobjectid",
            "regardingobjectid_incident_task",
        ),
        _DROP,
    ),
    ("Task_Annotation", "task < annotation", "objectid", "objectid_task", _DROP),
)
_KEYS: Final = {"task": "activityid"} | dict.fromkeys(
    ("phonecall", "email", "letter", "appointment"), "activityid"
)
_ACTIVITIES: Final = {
    "phonecall": "Phonecalls",
    "email": "Emails",
    "letter": "Letters",
    "appointment": "Appointments",
}


def business_relationships() -> Iterator[RelationshipDefinition]:
    """Yield the one-to-many relationships of these tables, apart from those of system columns."""
    for name, ends, attribute, navigation, delete in (*_RELATIONSHIPS, *_regarding()):
        referenced, _, referencing = ends.partition(" < ")
        yield RelationshipDefinition(
            *(name, referenced, _KEYS.get(referenced, f"{referenced}id"), referencing, attribute),
            navigation or attribute,
            name,
            delete=delete,
        )


def _regarding() -> Iterator[tuple[str, str, str, str, CascadeDelete]]:
    """Yield what activities, notes and queue items are about."""
    for target in REGARDING:
        name = target.capitalize()
        for table, many in _ACTIVITIES.items():
            navigation = f"regardingobjectid_{target}_{table}"
            yield f"{name}_{many}", f"{target} < {table}", "regardingobjectid", navigation, _DROP
        ends = f"{target} < annotation"
        yield f"{name}_Annotation", ends, "objectid", f"objectid_{target}", _DROP
    for target in ("incident", "task", *_ACTIVITIES):
        name, ends = f"{target.capitalize()}_QueueItem", f"{target} < queueitem"
        yield name, ends, "objectid", f"objectid_{target}", _DROP

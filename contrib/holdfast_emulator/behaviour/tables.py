"""The stock tables: account, contact, opportunity, task and what they stand on.

Invariant: names, codes and navigation properties are those of a real organisation; what a stock
table lacks a column type for has the prefix ``new_``, as a customer's own columns do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.business_tables import (
    REGARDING,
    business_relationships,
    business_tables,
    pairs,
)
from holdfast_emulator.behaviour.closing_tables import closing_relationships, closing_tables
from holdfast_emulator.behaviour.file_tables import install
from holdfast_emulator.behaviour.jobs import jobs_table
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    LookupKind,
    Metadata,
    Ownership,
    RequiredLevel,
    TableDefinition,
)
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    Cascade,
    CascadeDelete,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.security_tables import (
    MEMBERSHIPS,
    membership_table,
    shares_table,
)
from holdfast_emulator.behaviour.settings_tables import user_settings_table
from holdfast_emulator.behaviour.views import saved_query_table, user_query_table

ACTIVE: Final = ("Active", "Inactive")
ACTIVE_STATUS: Final = ((1, "Active", 0), (2, "Inactive", 1))
_CUSTOMER: Final = LookupKind.CUSTOMER
_REQUIRED: Final = RequiredLevel.APPLICATION
_INDUSTRIES: Final = {
    1: "Accounting",
    2: "Agriculture and Non-petrol Natural Resource Extraction",
    6: "Business Services",
    12: "Distributors, Dispatchers and Processors",
    20: "Food and Tobacco Processing",
    33: "Wholesale",
}
_SERVICES: Final = {1: "Inspection", 2: "Repair", 3: "Spare parts", 9: "Training", 12: "Rental"}


def stock_metadata() -> Metadata:
    """Return the stock tables and all their relationships."""
    tables, relationships = _stock()
    metadata = Metadata(tables, relationships)
    install(metadata)
    return metadata


@lru_cache(maxsize=1)
def _stock() -> tuple[tuple[TableDefinition, ...], tuple[AnyRelationship, ...]]:
    """Return them as values, which every organisation shares."""
    across = pairs()
    tables = (
        _account(),
        _contact(),
        _opportunity(),
        _task(),
        _systemuser(),
        _team(),
        membership_table(),
        jobs_table(),
        shares_table(),
        _businessunit(),
        _transactioncurrency(),
        _organization(),
        user_settings_table(),
        saved_query_table(),
        user_query_table(),
        *business_tables(),
        *closing_tables(),
        *(table for _, table in across),
    )
    stock = [r for table in tables for r in system_relationships(table)]
    many = [relationship for relationship, _ in across]
    business = (*business_relationships(), *closing_relationships())
    return tables, (*_RELATIONSHIPS, MEMBERSHIPS, *business, *many, *stock)


def _account() -> TableDefinition:
    own = [
        c.primary_id("AccountId", "Account"),
        c.text("Name", 160, "Account Name", required=_REQUIRED),
        c.text("AccountNumber", 20),
        c.text("Telephone1", 50, "Main Phone", form="Phone"),
        c.text("Fax", 50, form="Phone"),
        c.text("EMailAddress1", 100, "Email", form="Email"),
        c.text("WebSiteURL", 200, "Website", form="Url"),
        c.memo("Description"),
        *_address(),
        c.double("Address1_Latitude", "-90", "90", 5),
        c.double("Address1_Longitude", "-180", "180", 5),
        c.integer("NumberOfEmployees", 0, 1_000_000_000),
        *c.money("Revenue", "Annual Revenue"),
        *c.money("CreditLimit"),
        c.boolean("CreditOnHold"),
        c.boolean("DoNotEMail"),
        c.choice("IndustryCode", _INDUSTRIES, "Industry"),
        c.choice("AccountCategoryCode", {1: "Preferred Customer", 2: "Standard"}, "Category"),
        c.choices("new_Services", _SERVICES),
        c.number("new_LoyaltyScore", "-1000000", "1000000", 4),
        c.moment("LastOnHoldTime"),
        c.moment("new_OpensAt", wall=True),
        c.lookup("PrimaryContactId", "contact", label="Primary Contact"),
        c.lookup("ParentAccountId", "account", label="Parent Account"),
        c.lookup("OriginatingLeadId", "lead", label="Originating Lead"),
        c.guid("StageId"),
        *c.image(),
        *c.file("new_Contract"),
        *_common(),
    ]
    return TableDefinition(
        *("account", "Account", "accounts", 1, "accountid", "name", tuple(own)),
        label="Account",
        collection_label="Accounts",
        primary_image="entityimage",
    )


def _contact() -> TableDefinition:
    own = [
        c.primary_id("ContactId", "Contact"),
        c.read_only(c.text("FullName", 160)),
        c.text("FirstName", 50),
        c.text("LastName", 50, required=_REQUIRED),
        c.text("JobTitle", 100),
        c.text("EMailAddress1", 100, "Email", form="Email"),
        c.text("Telephone1", 50, "Business Phone", form="Phone"),
        c.text("MobilePhone", 50, form="Phone"),
        c.memo("Description"),
        *_address(),
        c.day("BirthDate", "Birthday"),
        c.choice("GenderCode", {1: "Male", 2: "Female"}, "Gender"),
        c.boolean("DoNotEMail"),
        *c.money("AnnualIncome"),
        c.lookup("ParentCustomerId", "account", "contact", label="Company Name", kind=_CUSTOMER),
        c.lookup("OriginatingLeadId", "lead", label="Originating Lead"),
        *c.image(),
        *_common(),
    ]
    return TableDefinition(
        *("contact", "Contact", "contacts", 2, "contactid", "fullname", tuple(own)),
        label="Contact",
        collection_label="Contacts",
        primary_image="entityimage",
    )


def _opportunity() -> TableDefinition:
    statuses = (
        (1, "In Progress", 0),
        (2, "On Hold", 0),
        (3, "Won", 1),
        (4, "Canceled", 2),
        (5, "Out-Sold", 2),
    )
    own = [
        c.primary_id("OpportunityId", "Opportunity"),
        c.text("Name", 300, "Topic", required=_REQUIRED),
        c.memo("Description"),
        c.lookup("CustomerId", "account", "contact", label="Potential Customer", kind=_CUSTOMER),
        c.lookup("ParentAccountId", "account", label="Account"),
        c.lookup("ParentContactId", "contact", label="Contact"),
        c.lookup("OriginatingLeadId", "lead", label="Originating Lead"),
        *c.money("EstimatedValue", "Est. Revenue"),
        *c.money("ActualValue", "Actual Revenue"),
        c.integer("CloseProbability", 0, 100, "Probability"),
        c.day("EstimatedCloseDate", "Est. Close Date"),
        c.day("ActualCloseDate"),
        c.choice("OpportunityRatingCode", {1: "Hot", 2: "Warm", 3: "Cold"}, "Rating", 2),
        *_common(("Open", "Won", "Lost"), statuses),
    ]
    return TableDefinition(
        *("opportunity", "Opportunity", "opportunities", 3),
        *("opportunityid", "name", tuple(own)),
        label="Opportunity",
        collection_label="Opportunities",
    )


def _task() -> TableDefinition:
    statuses = (
        (2, "Not Started", 0),
        (3, "In Progress", 0),
        (4, "Waiting on someone else", 0),
        (7, "Deferred", 0),
        (5, "Completed", 1),
        (6, "Canceled", 2),
    )
    own = [
        c.primary_id("ActivityId", "Task"),
        c.read_only(c.define("ActivityTypeCode", ColumnType.ENTITY_NAME, "Activity Type")),
        c.text("Subject", 200, required=_REQUIRED),
        c.memo("Description"),
        c.lookup("RegardingObjectId", *REGARDING, label="Regarding"),
        c.moment("ScheduledStart", "Start Date"),
        c.moment("ScheduledEnd", "Due Date"),
        c.moment("ActualEnd"),
        c.choice("PriorityCode", {0: "Low", 1: "Normal", 2: "High"}, "Priority", 1),
        c.integer("PercentComplete", 0, 100),
        c.integer("ActualDurationMinutes"),
        c.boolean("IsBilled"),
        *_common(("Open", "Completed", "Canceled"), statuses, money=False),
    ]
    return TableDefinition(
        *("task", "Task", "tasks", 4212, "activityid", "subject", tuple(own)),
        label="Task",
        collection_label="Tasks",
        is_activity=True,
    )


def _systemuser() -> TableDefinition:
    own = [
        c.primary_id("SystemUserId", "User"),
        c.read_only(c.text("FullName", 200)),
        c.text("FirstName", 256),
        c.text("LastName", 256),
        c.text("DomainName", 1024, "User Name"),
        c.text("InternalEMailAddress", 100, form="Email"),
        c.text("Title", 128),
        c.boolean("IsDisabled"),
        c.lookup("BusinessUnitId", "businessunit"),
        c.guid("AzureActiveDirectoryObjectId", "Azure AD Object ID"),
        c.guid("ApplicationId", "Application ID"),
        c.lookup("ParentSystemUserId", "systemuser", label="Manager"),
        *c.stamps(),
    ]
    return TableDefinition(
        *("systemuser", "SystemUser", "systemusers", 8, "systemuserid", "fullname", tuple(own)),
        label="User",
        collection_label="Users",
        ownership=Ownership.BUSINESS,
    )


def _team() -> TableDefinition:
    own = [
        c.primary_id("TeamId", "Team"),
        c.text("Name", 160, "Team Name", required=_REQUIRED),
        c.choice("TeamType", {0: "Owner", 1: "Access"}, default=0),
        c.lookup("BusinessUnitId", "businessunit"),
        c.lookup("AdministratorId", "systemuser"),
        *c.stamps(),
    ]
    return TableDefinition(
        *("team", "Team", "teams", 9, "teamid", "name", tuple(own)),
        label="Team",
        collection_label="Teams",
        ownership=Ownership.BUSINESS,
    )


def _businessunit() -> TableDefinition:
    own = [
        c.primary_id("BusinessUnitId", "Business Unit"),
        c.text("Name", 160, required=_REQUIRED),
        c.boolean("IsDisabled"),
        c.lookup("ParentBusinessUnitId", "businessunit"),
        *c.stamps(),
    ]
    return TableDefinition(
        *("businessunit", "BusinessUnit", "businessunits", 10),
        *("businessunitid", "name", tuple(own)),
        label="Business Unit",
        collection_label="Business Units",
        ownership=Ownership.BUSINESS,
    )


def _transactioncurrency() -> TableDefinition:
    own = [
        c.primary_id("TransactionCurrencyId", "Currency"),
        c.text("CurrencyName", 100, required=_REQUIRED),
        c.text("ISOCurrencyCode", 5, "Currency Code"),
        c.text("CurrencySymbol", 13),
        c.integer("CurrencyPrecision", 0, 4),
        c.number("ExchangeRate", "0.000000000001", "100000000000", 12),
        *c.stamps(),
    ]
    return TableDefinition(
        *("transactioncurrency", "TransactionCurrency", "transactioncurrencies", 9105),
        *("transactioncurrencyid", "currencyname", tuple(own)),
        label="Currency",
        collection_label="Currencies",
        ownership=Ownership.ORGANIZATION,
    )


def _organization() -> TableDefinition:
    own = [
        c.primary_id("OrganizationId", "Organization"),
        c.text("Name", 160, required=_REQUIRED),
        c.integer("LanguageCode", label="Language"),
        c.integer("ExpireChangeTrackingInDays", 0, 365),
        c.integer("ExpireSubscriptionsInDays", 0),
        c.lookup("BaseCurrencyId", "transactioncurrency"),
        c.moment("FiscalCalendarStart", wall=True),
        c.integer("FiscalPeriodType", label="Fiscal Period Type"),
        *c.stamps(),
    ]
    return TableDefinition(
        *("organization", "Organization", "organizations", 1019),
        *("organizationid", "name", tuple(own)),
        label="Organization",
        collection_label="Organizations",
        ownership=Ownership.NONE,
        change_tracking=False,
        optimistic_concurrency=False,
        available_offline=False,
    )


def _address() -> list[ColumnDefinition]:
    return [
        c.text("Address1_Line1", 250, "Street 1"),
        c.text("Address1_PostalCode", 20, "ZIP/Postal Code"),
        c.text("Address1_City", 80, "City"),
        c.text("Address1_Country", 80, "Country/Region"),
    ]


def _common(
    states: Iterable[str] = ACTIVE,
    statuses: Iterable[tuple[int, str, int]] = ACTIVE_STATUS,
    *,
    money: bool = True,
) -> list[ColumnDefinition]:
    return [
        c.state(tuple(states)),
        c.status(tuple(statuses)),
        *(c.currency() if money else ()),
        *c.ownership(),
        *c.stamps(),
    ]


def _relate(
    name: str, ends: str, attribute: str, delete: CascadeDelete, navigation: str | None = None
) -> RelationshipDefinition:
    """Return a relationship; ``ends`` is written as ``referenced < referencing``.

    One that takes children along when their parent is deleted is a parental one: all else that is
    done to the parent is done to them, too.
    """
    referenced, _, referencing = ends.partition(" < ")
    reach = Cascade.ALL if delete is CascadeDelete.CASCADE else Cascade.NONE
    return RelationshipDefinition(
        *(name, referenced, f"{referenced}id", referencing, attribute, navigation or attribute),
        referenced_navigation=name,
        delete=delete,
        is_hierarchical=name in _HIERARCHIES,
        assign=reach,
        share=reach,
        unshare=reach,
        reparent=reach,
    )


_HIERARCHIES: Final = frozenset(
    {"account_parent_account", "user_parent_user", "business_unit_parent_businessunit"}
)
_DROP: Final = CascadeDelete.CASCADE
_UNLINK: Final = CascadeDelete.REMOVE_LINK
_PARENT: Final = "parentcustomerid"
_REGARDING: Final = "regardingobjectid"
_RELATIONSHIPS: Final = (
    _relate("account_primary_contact", "contact < account", "primarycontactid", _UNLINK),
    _relate("account_parent_account", "account < account", "parentaccountid", _UNLINK),
    _relate("user_parent_user", "systemuser < systemuser", "parentsystemuserid", _UNLINK),
    _relate(
        *("contact_customer_accounts", "account < contact", _PARENT, _DROP),
        "parentcustomerid_account",
    ),
    _relate(
        *("contact_customer_contacts", "contact < contact", _PARENT, _DROP),
        "parentcustomerid_contact",
    ),
    _relate(
        *("opportunity_customer_accounts", "account < opportunity", "customerid", _DROP),
        "customerid_account",
    ),
    _relate(
        *("opportunity_customer_contacts", "contact < opportunity", "customerid", _DROP),
        "customerid_contact",
    ),
    _relate("opportunity_parent_account", "account < opportunity", "parentaccountid", _UNLINK),
    _relate("opportunity_parent_contact", "contact < opportunity", "parentcontactid", _UNLINK),
    _relate(
        *("Account_Tasks", "account < task", _REGARDING, _DROP), "regardingobjectid_account_task"
    ),
    _relate(
        *("Contact_Tasks", "contact < task", _REGARDING, _DROP), "regardingobjectid_contact_task"
    ),
    _relate(
        *("Opportunity_Tasks", "opportunity < task", _REGARDING, _DROP),
        "regardingobjectid_opportunity_task",
    ),
)
_SYSTEM_NAMES: Final = {
    "createdby": "lk_{}base_createdby",
    "modifiedby": "lk_{}base_modifiedby",
    "createdonbehalfby": "lk_{}base_createdonbehalfby",
    "modifiedonbehalfby": "lk_{}base_modifiedonbehalfby",
    "owninguser": "user_{}",
    "owningteam": "team_{}",
    "owningbusinessunit": "business_unit_{}",
    "transactioncurrencyid": "transactioncurrency_{}",
    "businessunitid": "business_unit_{}s",
    "parentbusinessunitid": "business_unit_parent_{}",
    "administratorid": "lk_{}_administratorid",
    "basecurrencyid": "basecurrency_{}",
}


def system_relationships(table: TableDefinition) -> Iterator[RelationshipDefinition]:
    """Yield the relationships of the columns that every table has: owner, who, currency.

    A user, a team, a business unit or a currency that is still pointed to cannot be deleted.
    """
    for column in table.lookups:
        if column.name == "ownerid":
            for target in column.targets:
                yield _system(f"{target}_owner_{table.name}", target, table, "ownerid")
        elif column.name in _SYSTEM_NAMES:
            name = _SYSTEM_NAMES[column.name].format(table.name)
            if table.is_custom:  # they have no table "base" behind them
                name = name.replace("base_", "_")
            yield _system(name, column.targets[0], table, column.name)


def _system(
    name: str, target: str, table: TableDefinition, attribute: str
) -> RelationshipDefinition:
    forbids = attribute in ("ownerid", "transactioncurrencyid", "businessunitid")
    delete = CascadeDelete.RESTRICT if forbids else CascadeDelete.NONE
    return _relate(name, f"{target} < {table.name}", attribute, delete)

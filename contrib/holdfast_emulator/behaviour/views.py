"""Saved queries: the tables that keep them, and the public views of the stock tables.

Invariant: a view is a row with FetchXML in it, found and read like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.schema import ColumnType
from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    Metadata,
    Ownership,
    RequiredLevel,
    TableDefinition,
    metadata_id,
)

SAVED: Final = "savedquery"
_ACTIVE: Final = ("Active", "Inactive")
_STATUS: Final = ((1, "Active", 0), (2, "Inactive", 1))
_LONGEST: Final = 1_073_741_823
#: Ids that Microsoft's documentation shows; the others follow from the names.
_KNOWN: Final = {
    "Active Accounts": "00000000-0000-0000-00aa-000010001002",
    "Open Opportunities": "00000000-0000-0000-00aa-000010003001",
}
_IS_ACTIVE: Final = '<condition attribute="statecode" operator="eq" value="0" />'
_IS_INACTIVE: Final = '<condition attribute="statecode" operator="eq" value="1" />'
_IS_MINE: Final = '<condition attribute="ownerid" operator="eq-userid" />'
_IS_ENABLED: Final = '<condition attribute="isdisabled" operator="eq" value="0" />'
#: Of each table: its columns, what sorts it, and its views with their conditions.
_VIEWS: Final[Mapping[str, tuple[str, str, Mapping[str, str]]]] = {
    "account": (
        "name primarycontactid telephone1 accountid",
        "name",
        {
            "Active Accounts": _IS_ACTIVE,
            "Inactive Accounts": _IS_INACTIVE,
            "My Active Accounts": _IS_ACTIVE + _IS_MINE,
        },
    ),
    "contact": (
        "fullname parentcustomerid telephone1 emailaddress1 contactid",
        "fullname",
        {
            "Active Contacts": _IS_ACTIVE,
            "Inactive Contacts": _IS_INACTIVE,
            "My Active Contacts": _IS_ACTIVE + _IS_MINE,
        },
    ),
    "opportunity": (
        "name customerid estimatedclosedate estimatedvalue opportunityid",
        "name",
        {
            "Open Opportunities": _IS_ACTIVE,
            "Won Opportunities": _IS_INACTIVE,
            "My Open Opportunities": _IS_ACTIVE + _IS_MINE,
        },
    ),
    "task": (
        "subject regardingobjectid prioritycode scheduledend activityid",
        "subject",
        {"Open Tasks": _IS_ACTIVE, "My Tasks": _IS_ACTIVE + _IS_MINE},
    ),
    "systemuser": (
        "fullname businessunitid title systemuserid",
        "fullname",
        {"Enabled Users": _IS_ENABLED},
    ),
    "team": ("name businessunitid teamid", "name", {"All Teams": ""}),
}


def saved_query_table() -> TableDefinition:
    """Return the table of the views that everybody has."""
    own = [
        c.primary_id("SavedQueryId", "View"),
        *_query(),
        c.boolean("IsDefault", "Default View"),
        c.boolean("IsQuickFindQuery"),
        c.boolean("IsCustom"),
        c.integer("QueryAPI", label="Query API"),
        c.state(_ACTIVE),
        c.status(_STATUS),
        *c.stamps(),
    ]
    return TableDefinition(
        *(SAVED, "SavedQuery", "savedqueries", 1039, "savedqueryid", "name", tuple(own)),
        label="View",
        collection_label="Views",
        ownership=Ownership.ORGANIZATION,
        change_tracking=False,
    )


def user_query_table() -> TableDefinition:
    """Return the table of the views that users keep for themselves."""
    own = [
        c.primary_id("UserQueryId", "Saved View"),
        *_query(),
        c.state(_ACTIVE),
        c.status(_STATUS),
        *c.ownership(),
        *c.stamps(),
    ]
    return TableDefinition(
        *("userquery", "UserQuery", "userqueries", 4230, "userqueryid", "name", tuple(own)),
        label="Saved View",
        collection_label="Saved Views",
        change_tracking=False,
    )


def public_views(
    metadata: Metadata,
) -> Iterator[tuple[str, Sequence[Mapping[str, Cell | Reference]]]]:
    """Yield the table of the public views and its first rows, for the tables that there are."""
    if SAVED not in metadata.tables:
        return
    yield (
        SAVED,
        [
            _view(metadata.tables[table], name, default=at == 0)
            for table, (_, _, views) in _VIEWS.items()
            if table in metadata.tables
            for at, name in enumerate(views)
        ],
    )


def _query() -> list[ColumnDefinition]:
    return [
        c.text("Name", 200, required=RequiredLevel.APPLICATION),
        c.memo("Description"),
        c.define("ReturnedTypeCode", ColumnType.ENTITY_NAME, "Returned Type"),
        c.integer("QueryType", label="View Type"),
        c.memo("FetchXml", _LONGEST),
        c.memo("LayoutXml", _LONGEST),
        c.memo("ColumnSetXml", _LONGEST),
    ]


def _view(table: TableDefinition, name: str, *, default: bool) -> Mapping[str, Cell]:
    names, order, views = _VIEWS[table.name]
    columns = names.split()
    attributes = "".join(f'<attribute name="{column}" />' for column in columns)
    where = f'<filter type="and">{views[name]}</filter>' if views[name] else ""
    cells = "".join(f'<cell name="{column}" width="150" />' for column in columns[:-1])
    return {
        "savedqueryid": _KNOWN.get(name) or metadata_id(SAVED, name),
        "name": name,
        "returnedtypecode": table.name,
        "querytype": 0,
        "isdefault": default,
        "iscustom": False,
        "fetchxml": '<fetch version="1.0" output-format="xml-platform" mapping="logical">'
        f'<entity name="{table.name}">{attributes}<order attribute="{order}" descending="false" />'
        f"{where}</entity></fetch>",
        "layoutxml": f'<grid name="resultset" object="{table.object_type_code}" jump="{order}" '
        f'select="1" icon="1" preview="1"><row name="result" id="{table.primary_id}">{cells}'
        "</row></grid>",
    }

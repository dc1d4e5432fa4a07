"""A small organisation's schemas, with a column of every type, a tree and links in both ways."""

from __future__ import annotations

from typing import Final

from holdfast.schema import (
    Column,
    ColumnType,
    DateBehavior,
    Option,
    Relationship,
    TableSchema,
)

_T = ColumnType
_PARENT: Final = Relationship(
    "account_parent_account", "account", "parentaccountid", "account", hierarchical=True
)
_CONTACTS: Final = Relationship("contact_accounts", "contact", "parentcustomerid", "account")
_PRIMARY: Final = Relationship("account_primary_contact", "account", "primarycontactid", "contact")

ACCOUNT: Final = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", _T.UNIQUEIDENTIFIER),
        Column("name", _T.STRING),
        Column("city", _T.STRING),
        Column("description", _T.MEMO),
        Column("employees", _T.INTEGER),
        Column("views", _T.BIGINT),
        Column("revenue", _T.MONEY),
        Column("rate", _T.DECIMAL),
        Column("latitude", _T.DOUBLE),
        Column("onhold", _T.BOOLEAN),
        Column(
            "industrycode",
            _T.CHOICE,
            options=(Option(1, "Shipping"), Option(2, "fishing"), Option(3, "Fishing")),
        ),
        Column("statecode", _T.STATE, options=(Option(0, "Active"), Option(1, "Inactive"))),
        Column("interests", _T.CHOICES, options=(Option(1, "one"), Option(2, "two"))),
        Column("createdon", _T.DATETIME),
        Column("opensat", _T.DATETIME, behavior=DateBehavior.TIME_ZONE_INDEPENDENT),
        Column("founded", _T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("ownerid", _T.LOOKUP, targets=("systemuser", "team")),
        Column("parentaccountid", _T.LOOKUP, targets=("account",)),
        Column("primarycontactid", _T.LOOKUP, targets=("contact",)),
        Column("transactioncurrencyid", _T.LOOKUP, targets=("transactioncurrency",)),
        Column("photo", _T.IMAGE),
    ),
    relationships=(_PARENT, _CONTACTS, _PRIMARY),
)
CONTACT: Final = TableSchema(
    "contact",
    "contactid",
    "fullname",
    (
        Column("contactid", _T.UNIQUEIDENTIFIER),
        Column("fullname", _T.STRING),
        Column("firstname", _T.STRING),
        Column("lastname", _T.STRING),
        Column("statecode", _T.STATE, options=(Option(0, "Active"), Option(1, "Inactive"))),
        Column("city", _T.STRING),
        Column("age", _T.INTEGER),
        Column("birthdate", _T.DATETIME, behavior=DateBehavior.DATE_ONLY),
        Column("parentcustomerid", _T.LOOKUP, targets=("account", "contact")),
    ),
    relationships=(_CONTACTS, _PRIMARY),
)
TABLES: Final = {"account": ACCOUNT, "contact": CONTACT}

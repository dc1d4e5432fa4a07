"""FetchXML over several tables: link types, filters across them, and who may see what."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.values import Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.security import Depth
from support.fetching import ALL, Asker

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
ANNOTATION = "OData.Community.Display.V1"


@pytest.fixture
def org() -> Dataverse:
    """Return Contoso with Ann and Bo, Fabrikam with Ann (another), and Empty; Bo leads Contoso."""
    dataverse = Dataverse(lambda: NOW)
    ann = dataverse.security.user_of("demo-token")
    assert ann is not None
    ids = {}
    for name, city in (("Contoso", "Oslo"), ("Fabrikam", "Oslo"), ("Empty", None)):
        made = dataverse.create(ann, "account", {"name": name, "address1_city": city})
        ids[name] = Reference("account", made.id)
    for first, last, account, income in (
        ("Ann", "Contoso", "Contoso", 100),
        ("Bo", "Fabrikam", "Contoso", 200),
        ("Ann", "Fabrikam", "Fabrikam", 300),
    ):
        values = {"firstname": first, "lastname": last, "annualincome": income}
        made = dataverse.create(ann, "contact", {**values, "parentcustomerid": ids[account]})
        if first == "Bo":
            lead = {"primarycontactid": Reference("contact", made.id)}
            dataverse.update(ann, "account", ids["Contoso"].id, lead)
    return dataverse


@pytest.fixture
def ask(org: Dataverse) -> Asker:
    return Asker(org)


def contacts(kind: str, inner: str = "", attributes: str = "<attribute name='firstname'/>") -> str:
    """Return a query for accounts and their contacts."""
    return (
        "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>"
        f"<link-entity name='contact' from='parentcustomerid' to='accountid' link-type='{kind}'"
        f" alias='c'>{attributes}{inner}</link-entity></entity></fetch>"
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("inner", [("Contoso", "Ann"), ("Contoso", "Bo"), ("Fabrikam", "Ann")]),
        ("outer", [("Contoso", "Ann"), ("Contoso", "Bo"), ("Empty", None), ("Fabrikam", "Ann")]),
    ],
)
def test_a_join_has_a_row_for_each_match(
    ask: Asker, kind: str, expected: list[tuple[str, str | None]]
) -> None:
    rows = ask.fetch("accounts", contacts(kind)).value
    found = [(row["name"], row.get("c.firstname")) for row in rows]
    assert sorted(found, key=repr) == sorted(expected, key=repr)


def test_the_first_match_is_one_at_most_and_has_no_prefix(ask: Asker) -> None:
    rows = ask.fetch("accounts", contacts("matchfirstrowusingcrossapply")).value
    assert [row["name"] for row in rows] == ["Contoso", "Empty", "Fabrikam"]
    assert [("FirstName" in row) for row in rows] == [True, False, True]


@pytest.mark.parametrize("kind", ["exists", "in"])
def test_what_must_only_exist_has_no_columns(ask: Asker, kind: str) -> None:
    rows = ask.fetch("accounts", contacts(kind)).plain()
    assert [row["name"] for row in rows] == ["Contoso", "Fabrikam"]
    assert all("c.firstname" not in row for row in rows)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("any", ["Contoso"]),
        ("not any", ["Empty", "Fabrikam"]),
        ("all", ["Fabrikam"]),  # it has contacts, and none of them is called Bo
        ("not all", ["Contoso"]),  # the same as any, whatever it is called
    ],
)
def test_links_inside_a_filter(ask: Asker, kind: str, expected: list[str]) -> None:
    xml = (
        "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/><filter>"
        "<link-entity name='contact' from='parentcustomerid' to='accountid'"
        f" link-type='{kind}'><filter><condition attribute='firstname' operator='eq' value='bo'/>"
        "</filter></link-entity></filter></entity></fetch>"
    )
    assert ask.fetch("accounts", xml).column("name") == expected


def test_a_filter_of_an_outer_join_belongs_to_the_join(ask: Asker) -> None:
    inner = "<filter><condition attribute='firstname' operator='eq' value='Bo'/></filter>"
    rows = ask.fetch("accounts", contacts("outer", inner)).value
    assert [(row["name"], row.get("c.firstname")) for row in rows] == [
        ("Contoso", "Bo"),
        ("Empty", None),
        ("Fabrikam", None),
    ]


def test_a_condition_with_entityname_is_asked_after_the_join(ask: Asker) -> None:
    xml = contacts("outer").replace(
        "<link-entity",
        "<filter><condition entityname='c' attribute='contactid' operator='null'/></filter>"
        "<link-entity",
    )
    assert ask.fetch("accounts", xml).column("name") == ["Empty"]


def test_an_or_may_reach_over_tables(ask: Asker) -> None:
    xml = contacts("outer").replace(
        "<link-entity",
        "<filter type='or'><condition attribute='name' operator='eq' value='Empty'/>"
        "<condition entityname='c' attribute='firstname' operator='eq' value='Bo'/></filter>"
        "<link-entity",
        1,
    )
    assert ask.fetch("accounts", xml).column("name") == ["Contoso", "Empty"]


def test_columns_of_two_tables_are_compared(ask: Asker) -> None:
    xml = contacts("inner", "", "<attribute name='lastname'/>").replace(
        "<link-entity",
        "<filter><condition attribute='name' operator='eq' valueof='c.lastname'/></filter>"
        "<link-entity",
    )
    rows = ask.fetch("accounts", xml).value
    assert [(row["name"], row["c.lastname"]) for row in rows] == [
        ("Contoso", "Contoso"),
        ("Fabrikam", "Fabrikam"),
    ]
    within = (
        "<filter><condition attribute='lastname' operator='ne' valueof='account.name'/></filter>"
    )
    rows = ask.fetch("accounts", contacts("inner", within)).value
    assert [(row["name"], row["c.firstname"]) for row in rows] == [("Contoso", "Bo")]


def test_tables_are_joined_over_columns_without_a_relationship(ask: Asker) -> None:
    xml = (
        "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>"
        "<link-entity name='contact' from='lastname' to='name' alias='n'>"
        "<attribute name='fullname' alias='who'/></link-entity></entity></fetch>"
    )
    rows = ask.fetch("accounts", xml).value
    assert {(row["name"], row["who"]) for row in rows} == {
        ("Contoso", "Ann Contoso"),
        ("Fabrikam", "Bo Fabrikam"),
        ("Fabrikam", "Ann Fabrikam"),
    }


def test_from_and_to_default_to_a_relationship(ask: Asker) -> None:
    up = (
        "<fetch><entity name='account'><link-entity name='contact' to='primarycontactid'>"
        "<attribute name='fullname'/></link-entity></entity></fetch>"
    )
    rows = ask.fetch("accounts", up).value
    assert [row["contact1.fullname"] for row in rows] == ["Bo Fabrikam"]
    down = up.replace(" to='primarycontactid'", " from='parentcustomerid'")
    assert len(ask.fetch("accounts", down).value) == 3


def test_links_nest_and_default_aliases_count_each_table(ask: Asker) -> None:
    xml = (
        "<fetch><entity name='contact'><attribute name='fullname'/><order attribute='fullname'/>"
        "<link-entity name='account' from='accountid' to='parentcustomerid'>"
        "<attribute name='name'/><link-entity name='contact' from='contactid'"
        " to='primarycontactid' link-type='outer'><attribute name='fullname'/></link-entity>"
        "</link-entity></entity></fetch>"
    )
    rows = ask.fetch("contacts", xml).plain()
    assert [(row["account1.name"], row.get("contact1.fullname")) for row in rows] == [
        ("Contoso", "Bo Fabrikam"),
        ("Fabrikam", None),
        ("Contoso", "Bo Fabrikam"),
    ]


def test_an_inner_link_below_an_outer_one_drops_rows(ask: Asker) -> None:
    xml = (
        "<fetch><entity name='account'><attribute name='name'/>"
        "<link-entity name='contact' from='contactid' to='primarycontactid' link-type='outer'>"
        "<link-entity name='systemuser' from='systemuserid' to='ownerid'/>"
        "</link-entity></entity></fetch>"
    )
    assert ask.fetch("accounts", xml).column("name") == ["Contoso"]


def test_many_to_many_goes_over_the_intersect_table(org: Dataverse, ask: Asker) -> None:
    team = org.seed.team_id
    org.load("teammembership", [{"teamid": team, "systemuserid": ask.user.id}])
    xml = (
        "<fetch><entity name='systemuser'><attribute name='fullname'/>"
        "<link-entity name='teammembership' from='systemuserid' to='systemuserid'"
        " intersect='true'><link-entity name='team' from='teamid' to='teamid' alias='t'>"
        "<attribute name='name'/></link-entity></link-entity></entity></fetch>"
    )
    assert ask.fetch("systemusers", xml).plain() == [
        {"fullname": "Ann Field", "t.name": "Field Service", "systemuserid": ask.user.id}
    ]


def test_rows_of_a_linked_table_that_are_not_the_callers_are_not_there(org: Dataverse) -> None:
    office = Asker(org, "office-token")
    assert len(office.fetch("accounts", contacts("inner")).value) == 3
    org.security.limit(office.user, "contact", Depth.BASIC)
    assert office.fetch("accounts", contacts("inner")).value == []
    rows = office.fetch("accounts", contacts("outer")).value
    assert [row.get("c.firstname") for row in rows] == [None, None, None]
    assert office.fetch("accounts", contacts("exists")).value == []


def test_a_linked_table_that_is_closed_to_the_caller_is_a_403(org: Dataverse) -> None:
    office = Asker(org, "office-token")
    org.security.limit(office.user, "contact", Depth.NONE)
    for kind in ("inner", "outer", "exists"):
        said = office.fetch("accounts", contacts(kind))
        assert (said.status, said.code) == (403, "0x80040220")


def test_a_secured_column_is_null_wherever_it_is_named(org: Dataverse) -> None:
    office = Asker(org, "office-token")
    org.secure("contact", "lastname", hidden_from=office.user)
    rows = office.fetch("accounts", contacts("inner", "", "<attribute name='lastname'/>")).value
    assert [row.get("c.lastname") for row in rows] == [None, None, None]
    joined = (
        "<fetch><entity name='contact'><link-entity name='account' from='name' to='lastname'/>"
        "</entity></fetch>"
    )
    assert office.fetch("contacts", joined).value == []
    assert len(Asker(org).fetch("contacts", joined).value) == 3


def test_linked_and_aliased_columns_are_annotated(ask: Asker) -> None:
    xml = (
        "<fetch top='1'><entity name='account'><attribute name='name' alias='title'/>"
        "<attribute name='primarycontactid'/><attribute name='statecode'/>"
        "<link-entity name='contact' from='contactid' to='primarycontactid' alias='c'>"
        "<attribute name='parentcustomerid'/><attribute name='annualincome' alias='income'/>"
        "</link-entity></entity></fetch>"
    )
    (row,) = ask.fetch("accounts", xml, ALL).value
    assert row["title"] == "Contoso"
    assert row[f"title@{ANNOTATION}.AttributeName"] == "name"
    assert row[f"statecode@{ANNOTATION}.FormattedValue"] == "Active"
    assert row[f"_primarycontactid_value@{ANNOTATION}.FormattedValue"] == "Bo Fabrikam"
    assert row["_primarycontactid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "contact"
    navigation = "_primarycontactid_value@Microsoft.Dynamics.CRM.associatednavigationproperty"
    assert row[navigation] == "primarycontactid"
    assert f"_primarycontactid_value@{ANNOTATION}.AttributeName" not in row
    assert row[f"c.parentcustomerid@{ANNOTATION}.AttributeName"] == "parentcustomerid"
    assert row["c.parentcustomerid@Microsoft.Dynamics.CRM.lookuplogicalname"] == "account"
    assert row[f"c.parentcustomerid@{ANNOTATION}.FormattedValue"] == "Contoso"
    assert row[f"income@{ANNOTATION}.FormattedValue"] == "$200.00"
    names = list(row)
    assert names.index(f"income@{ANNOTATION}.AttributeName") < names.index("income")


def test_a_row_has_its_id_and_version_and_no_nulls(ask: Asker) -> None:
    said = ask.fetch(
        "accounts", "<fetch><entity name='account'><attribute name='fax'/></entity></fetch>"
    )
    assert said.json["@odata.context"].endswith("/$metadata#accounts(fax,accountid)")
    for row in said.value:
        assert row.keys() == {"@odata.etag", "accountid"}


def test_all_columns_come_when_none_is_named(ask: Asker) -> None:
    bare = ask.fetch("accounts", "<fetch top='1'><entity name='account'/></fetch>").value[0]
    every = "<fetch top='1'><entity name='account'><all-attributes/></entity></fetch>"
    assert ask.fetch("accounts", every).value == [bare]
    assert {"name", "statecode", "_ownerid_value", "createdon", "accountid"} <= bare.keys()


def test_an_amount_brings_its_currency(ask: Asker) -> None:
    xml = "<fetch><entity name='contact'><attribute name='annualincome'/></entity></fetch>"
    assert all("_transactioncurrencyid_value" in row for row in ask.fetch("contacts", xml).value)

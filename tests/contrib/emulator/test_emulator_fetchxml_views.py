"""Views: queries that are kept as rows, and run by their ids."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holdfast.values import Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.security import Depth
from support.fetching import ALL, Asker

NOW = datetime(2026, 3, 1, 8, tzinfo=UTC)
ACTIVE_ACCOUNTS = "00000000-0000-0000-00aa-000010001002"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
FAX = (
    "<fetch><entity name='account'><attribute name='fax'/><order attribute='fax'/></entity></fetch>"
)


@pytest.fixture
def ask() -> Asker:
    dataverse = Dataverse(lambda: NOW)
    asker = Asker(dataverse)
    dataverse.create(asker.user, "account", {"name": "On", "fax": "1"})
    off = dataverse.create(asker.user, "account", {"name": "Off", "fax": "2"})
    dataverse.update(asker.user, "account", off.id, {"statecode": 1, "statuscode": 2})
    return asker


def test_a_public_view_is_found_by_name_and_run_by_id(ask: Asker) -> None:
    found = ask.get("savedqueries", _filter="name eq 'Active Accounts'").value
    assert [row["savedqueryid"] for row in found] == [ACTIVE_ACCOUNTS]
    assert found[0]["returnedtypecode"] == "account"
    rows = ask.get("accounts", savedQuery=ACTIVE_ACCOUNTS).plain()
    assert [row["name"] for row in rows] == ["On"]
    assert rows[0].keys() == {"name", "accountid"}


def test_every_public_view_runs(ask: Asker) -> None:
    views = ask.get("savedqueries").value
    assert len({view["name"] for view in views}) == len(views) == 13
    for view in views:
        table = ask.dataverse.metadata.tables[view["returnedtypecode"]]
        said = ask.get(table.entity_set, ALL, savedQuery=view["savedqueryid"])
        assert said.status == 200, (view["name"], said.json)


def test_my_rows_are_mine(ask: Asker) -> None:
    (view,) = ask.get("savedqueries", _filter="name eq 'My Active Accounts'").value
    office = Asker(ask.dataverse, "office-token")
    assert len(ask.get("accounts", savedQuery=view["savedqueryid"]).value) == 1
    assert office.get("accounts", savedQuery=view["savedqueryid"]).value == []


def test_a_view_of_ones_own_is_created_and_run(ask: Asker) -> None:
    values = {"name": "Fax", "returnedtypecode": "account", "querytype": 0, "fetchxml": FAX}
    view = ask.dataverse.create(ask.user, "userquery", values)
    said = ask.get("accounts", userQuery=view.id, _count="true")
    assert said.column("fax") == ["1", "2"]
    assert said.json["@odata.count"] == 2
    office = Asker(ask.dataverse, "office-token")
    ask.dataverse.security.limit(office.user, "userquery", Depth.BASIC)
    assert office.get("accounts", userQuery=view.id).status == 403


def test_what_is_no_view_of_the_table_is_refused(ask: Asker) -> None:
    assert ask.get("accounts", savedQuery="x").status == 400
    assert ask.get("accounts", savedQuery=MISSING).status == 404
    assert ask.get("accounts", userQuery=ACTIVE_ACCOUNTS).status == 404
    assert ask.get("contacts", savedQuery=ACTIVE_ACCOUNTS).code == "0x80041128"
    empty = ask.dataverse.create(ask.user, "userquery", {"name": "Nothing"})
    assert ask.get("accounts", userQuery=empty.id).status == 400
    both = ask.get("accounts", userQuery=empty.id, savedQuery=ACTIVE_ACCOUNTS)
    assert both.status == 400


def test_options_beside_a_view_are_not_passed_over(ask: Asker) -> None:
    said = ask.get("accounts", savedQuery=ACTIVE_ACCOUNTS, _filter="name eq 'x'")
    assert said.status in (400, 501)


def test_a_view_runs_over_a_collection_of_related_rows(ask: Asker) -> None:
    (parent,) = (row for row in ask.dataverse.scan("account") if row["name"] == "Off")
    child = {"name": "Child", "parentaccountid": Reference("account", parent.id)}
    ask.dataverse.create(ask.user, "account", child)
    below = f"accounts({parent.id})/account_parent_account"
    assert ask.get(below, savedQuery=ACTIVE_ACCOUNTS).column("name") == ["Child"]
    assert ask.get(below, fetchXml=FAX).column("fax") == [None]
    assert ask.get(below, _apply="aggregate($count as n)").value == [{"n": 1}]

"""Filters that depend on more than the row, and whole questions: the real parts together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

import holdfast
from holdfast.errors import ProfileError
from holdfast.values import Reference, instant_cell
from support.field import Field

MINE = '<filter><condition attribute="ownerid" operator="eq-userid"/></filter>'
TODAY = "Microsoft.Dynamics.CRM.Today(PropertyName='lastonholdtime')"
LINK = "primarycontactid/lastname eq 'Nansen'"


def create(field: Field, table: str, **values: object) -> str:
    return field.dataverse.create(field.dataverse.system, table, values).id


def update(field: Field, table: str, row_id: str, values: Mapping[str, object]) -> None:
    field.dataverse.update(field.dataverse.system, table, row_id, values)


async def kept(replica: holdfast.Replica) -> set[str]:
    return {row.id async for row in replica.table("account").query()}


def keeping(field: Field, **filtered: str) -> None:
    field.tables = [{"name": "account", "filter": filtered}, {"name": "contact"}]


def on_server(field: Field, test: Any) -> set[str]:
    return {row.id for row in field.dataverse.scan("account") if test(row)}


async def test_a_relative_date_is_the_servers(field: Field) -> None:
    now = field.dataverse.clock()
    days = {n: create(field, "account", name=f"Day {n}") for n in (0, 1)}
    for day, row_id in days.items():
        moment = instant_cell(now + timedelta(days=day))
        update(field, "account", row_id, {"lastonholdtime": moment})
    keeping(field, odata=TODAY)
    async with field.replica() as replica:
        await replica.download()
        assert days[0] in await kept(replica)
        assert days[1] not in await kept(replica)
        before = len(field.server.trace)
        await replica.sync()
        assert len(field.asked("accounts?$select=accountid&$orderby", before)) == 1
        field.dataverse.clock.set(now + timedelta(days=1))
        await replica.sync()
        assert days[0] not in await kept(replica)
        assert days[1] in await kept(replica)


async def test_the_rows_of_the_user_by_fetchxml(field: Field) -> None:
    keeping(field, fetchxml=MINE)
    user = field.user.id

    def is_mine(row: Any) -> bool:
        return bool(row["ownerid"].id == user)

    async with field.replica() as replica:
        await replica.download()
        assert await kept(replica) == on_server(field, is_mine)
        mine, *_ = sorted(on_server(field, is_mine))
        update(field, "account", mine, {"ownerid": Reference("team", field.dataverse.seed.team_id)})
        await replica.sync()
        assert await kept(replica) == on_server(field, is_mine)
        assert mine not in await kept(replica)


@pytest.mark.parametrize(
    "written",
    [
        {"odata": LINK},
        {
            "fetchxml": '<fetch><entity name="account"><link-entity name="contact" '
            'from="contactid" to="primarycontactid"><filter><condition attribute="lastname" '
            'operator="eq" value="Nansen"/></filter></link-entity></entity></fetch>'
        },
    ],
    ids=["odata", "fetchxml"],
)
async def test_a_row_follows_the_row_it_points_to(field: Field, written: dict[str, str]) -> None:
    nansen = create(field, "contact", lastname="Nansen")
    own = create(field, "account", name="A", primarycontactid=Reference("contact", nansen))
    keeping(field, **written)
    async with field.replica() as replica:
        await replica.download()
        assert await kept(replica) == {own}
        table = replica.table("account")
        assert await table.count({"fetchxml": MINE}) + await table.count(written) >= 1
        update(field, "contact", nansen, {"lastname": "Amundsen"})
        await replica.sync()
        assert await kept(replica) == set()


async def test_a_tree_is_walked_there_and_here(field: Field) -> None:
    top = create(field, "account", name="Top")
    leaf = create(field, "account", name="Leaf", parentaccountid=Reference("account", top))
    under = f"Microsoft.Dynamics.CRM.Under(PropertyName='accountid',PropertyValue='{top}')"
    keeping(field, odata=under)
    async with field.replica() as replica:
        await replica.download()
        assert await kept(replica) == {leaf}
        assert await replica.table("account").count(under) == 1


async def test_a_saved_view_chooses_and_shows(field: Field) -> None:
    keeping(field, view="My Active Accounts")
    user = field.user.id
    async with field.replica() as replica:
        await replica.download()
        mine = on_server(field, lambda row: row["ownerid"].id == user and row["statecode"] == 0)
        assert await kept(replica) == mine
        assert "Active Contacts" in replica.views("contact")
    async with field.replica() as replica:
        shown = [row async for row in replica.view("account", "Active Accounts")]
        assert {str(row["accountid"]) for row in shown} == mine
        names = [str(row["name"]).casefold() for row in shown]
        assert names == sorted(names)


async def test_a_view_that_is_not_there_names_the_nearest(field: Field) -> None:
    keeping(field, view="Actve Accounts")
    async with field.replica() as replica:
        with pytest.raises(ProfileError, match="did you mean 'Active Accounts'"):
            await replica.download()


async def test_a_whole_question_is_answered_offline(field: Field) -> None:
    keeping(field, odata="statecode eq 0")
    fetch = """
        <fetch aggregate="true"><entity name="account">
          <attribute name="accountid" alias="number" aggregate="count"/>
          <attribute name="ownerid" alias="owner" groupby="true"/>
        </entity></fetch>"""
    async with field.replica() as replica:
        await replica.download()
        found = [record async for record in replica.fetch(fetch)]
        assert sum(int(str(record["number"])) for record in found) == len(await kept(replica))
        assert all(isinstance(record["owner"], Reference) for record in found)
        nothing = '<fetch><entity name="account"><attribute name="nmae"/></entity></fetch>'
        with pytest.raises(holdfast.errors.FilterError, match="name"):
            await anext(replica.fetch(nothing))


async def test_rows_come_with_the_rows_beside_them(field: Field) -> None:
    keeping(field, odata="statecode eq 0")
    async with field.replica() as replica:
        await replica.download()
        rows = replica.table("account").query(
            select="name",
            expand="primarycontactid($select=fullname),"
            "contact_customer_accounts($select=fullname;$orderby=fullname;$top=2)",
            top=50,
            count=True,
        )
        seen = [row async for row in rows]
        assert rows.total == len(await kept(replica))
        assert any(row.one("primarycontactid") for row in seen)
        assert any(row.many("contact_customer_accounts") for row in seen)

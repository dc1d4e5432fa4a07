"""Many-to-many relationships over HTTP: another user joins and parts, this one asks offline."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest

import holdfast
from holdfast.errors import FilterError, ProfileError
from support.field import TOKEN, Field

CRM = "Microsoft.Dynamics.CRM."
PARTNERS = "new_account_partners"
LEADS = "accountleads_association"
#: The accounts that have a lead of this name, as each language asks for them.
OVER_LEADS = {
    "odata": LEADS + "/any(l:l/lastname eq '{0}')",
    "fetchxml": (
        "<fetch><entity name='account'>"
        "<link-entity name='accountleads' from='accountid' to='accountid' intersect='true'>"
        "<link-entity name='lead' from='leadid' to='leadid'>"
        "<filter><condition attribute='lastname' operator='eq' value='{0}'/></filter>"
        "</link-entity></link-entity></entity></fetch>"
    ),
}


class Office:
    """Somebody else, who works with the server directly."""

    def __init__(self, field: Field, session: aiohttp.ClientSession) -> None:
        self._root = f"{field.url}/api/data/v9.2"
        self._session = session

    async def ask(self, method: str, path: str, body: object = None, *, status: int = 204) -> Any:
        async with self._session.request(method, f"{self._root}/{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status == status, text
            return await answer.json() if text else answer.headers.get("OData-EntityId", "")

    async def create(self, entity_set: str, **values: object) -> str:
        url = await self.ask("POST", entity_set, values)
        return str(url).rpartition("(")[2].rstrip(")")

    async def join(self, one: str, navigation: str, other: str) -> None:
        reference = {"@odata.id": f"{self._root}/{other}"}
        await self.ask("POST", f"{one}/{navigation}/$ref", reference)

    async def part(self, one: str, navigation: str, other_id: str) -> None:
        await self.ask("DELETE", f"{one}/{navigation}({other_id})/$ref")

    async def names(self, **options: str) -> list[str]:
        """Return the names of the accounts that the server finds."""
        query = {name.replace("_", "$"): text for name, text in options.items()}
        async with self._session.get(f"{self._root}/accounts", params=query) as answer:
            assert answer.status == 200, await answer.text()
            return sorted(str(row["name"]) for row in (await answer.json())["value"])


@pytest.fixture
async def office(field: Field) -> AsyncIterator[Office]:
    administrator = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(headers=administrator) as session:
        made = await session.post(
            f"{field.url}/api/data/v9.2/RelationshipDefinitions",
            json={
                "@odata.type": f"{CRM}ManyToManyRelationshipMetadata",
                "SchemaName": PARTNERS,
                "IntersectEntityName": PARTNERS,
                "Entity1LogicalName": "account",
                "Entity2LogicalName": "account",
            },
        )
        assert made.status == 204, await made.text()
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer office-token"}) as session:
        yield Office(field, session)


@pytest.fixture
async def ids(field: Field, office: Office) -> Mapping[str, str]:
    """Two accounts and two leads: Alpha has the lead Ann, and Beta for its partner."""
    field.tables = [
        {"name": "account", "filter": {"odata": "endswith(name,'-pair')"}},
        *({"name": name} for name in ("lead", "accountleads", PARTNERS)),
    ]
    made = {
        name: await office.create("accounts", name=f"{name}-pair") for name in ("Alpha", "Beta")
    }
    for name in ("Ann", "Bob"):
        made[name] = await office.create("leads", lastname=name, subject=name)
    await office.join(f"accounts({made['Alpha']})", LEADS, f"leads({made['Ann']})")
    await office.join(f"accounts({made['Alpha']})", f"{PARTNERS}_one", f"accounts({made['Beta']})")
    return made


async def found(replica: holdfast.Replica, filtered: str | Mapping[str, str]) -> list[str]:
    rows = replica.table("account").query(filtered)
    return sorted([str(row["name"]).removesuffix("-pair") async for row in rows])


async def test_metadata_tells_of_pairs(field: Field, ids: Mapping[str, str]) -> None:
    del ids
    async with field.replica() as replica:
        await replica.download()
        schemas = replica._engine.schemas
    account, pairs = schemas["account"], schemas["accountleads"]
    ways = {way.collection: way for way in account.crossings}
    assert (ways[LEADS].near, ways[LEADS].far, ways[LEADS].target) == (
        "accountid",
        "leadid",
        "lead",
    )
    assert {
        (ways[f"{PARTNERS}_{n}"].near, ways[f"{PARTNERS}_{n}"].far) for n in ("one", "two")
    } == {
        ("accountidone", "accountidtwo"),
        ("accountidtwo", "accountidone"),
    }
    assert (account.intersect, pairs.intersect) == (False, True)
    assert {"accountid", "leadid"} < set(pairs.by_name)
    assert not any(column.creatable or column.updatable for column in pairs.columns[1:])


@pytest.mark.parametrize("language", OVER_LEADS)
async def test_what_another_user_joins_and_parts_is_seen_offline(
    field: Field, office: Office, ids: Mapping[str, str], language: str
) -> None:
    ann, bob = ({language: OVER_LEADS[language].format(name)} for name in ("Ann", "Bob"))
    beta = f"accounts({ids['Beta']})"
    async with field.replica() as replica:
        await replica.download()
        assert await found(replica, ann) == ["Alpha"]
        assert await found(replica, bob) == []
        await office.join(beta, LEADS, f"leads({ids['Bob']})")
        await replica.sync()
        assert await found(replica, bob) == ["Beta"]
        assert await replica.table("accountleads").count() == 2
        await office.part(beta, LEADS, ids["Bob"])
        await replica.sync()
        assert await found(replica, bob) == []
        assert await replica.table("accountleads").count() == 1


async def test_pairs_go_with_the_rows_that_they_join(
    field: Field, office: Office, ids: Mapping[str, str]
) -> None:
    async with field.replica() as replica:
        await replica.download()
        await office.ask("DELETE", f"leads({ids['Ann']})")
        await replica.sync()
        assert await replica.table("accountleads").count() == 0
        assert await found(replica, f"{LEADS}/any()") == []


async def test_a_table_that_is_joined_with_itself_is_asked_from_both_ends(
    field: Field, office: Office, ids: Mapping[str, str]
) -> None:
    del ids
    texts = {
        f"{PARTNERS}_one/any(a:a/name eq 'Beta-pair')": ["Alpha"],
        f"{PARTNERS}_two/any(a:a/name eq 'Alpha-pair')": ["Beta"],
        f"{PARTNERS}_one/any(a:a/{LEADS}/any())": [],
        f"{PARTNERS}_two/any(a:a/{LEADS}/any(l:l/lastname eq 'Ann'))": ["Beta"],
    }
    async with field.replica() as replica:
        await replica.download()
        for text, expected in texts.items():
            assert await found(replica, text) == expected
            there = await office.names(_filter=text, _select="name")
            assert there == [f"{name}-pair" for name in expected]
            plan = " ".join((await replica.table("account").explain(text)).plan)
            assert f"USING INDEX {PARTNERS}.accountid" in plan


@pytest.mark.parametrize("language", OVER_LEADS)
async def test_the_profile_keeps_rows_by_the_rows_that_they_are_joined_with(
    field: Field, office: Office, ids: Mapping[str, str], language: str
) -> None:
    field.tables[0] = {"name": "account", "filter": {language: OVER_LEADS[language].format("Ann")}}
    beta = f"accounts({ids['Beta']})"
    async with field.replica() as replica:
        await replica.download()
        assert await found(replica, f"{LEADS}/any()") == ["Alpha"]
        assert await replica.table("account").count() == 1
        await office.join(beta, LEADS, f"leads({ids['Ann']})")
        await replica.sync()
        assert await replica.table("account").count() == 2
        await office.part(beta, LEADS, ids["Ann"])
        await replica.sync()
        assert await replica.table("account").count() == 1


async def test_the_profile_keeps_pairs_by_the_rows_that_they_join(
    field: Field, office: Office, ids: Mapping[str, str]
) -> None:
    others = await office.create("accounts", name="Gamma")
    await office.join(f"accounts({others})", LEADS, f"leads({ids['Bob']})")
    ours = (
        "<fetch><entity name='accountleads'>"
        "<link-entity name='account' from='accountid' to='accountid'>"
        "<filter><condition attribute='name' operator='ends-with' value='-pair'/></filter>"
        "</link-entity></entity></fetch>"
    )
    for filtered, kept in (
        ({"fetchxml": ours}, ["Ann"]),
        ({"odata": f"leadid eq {ids['Bob']}"}, ["Bob"]),
    ):
        field.tables[2] = {"name": "accountleads", "filter": filtered}
        async with field.replica() as replica:
            await replica.download()
            pairs = [row["leadid"] async for row in replica.table("accountleads").query()]
            assert pairs == [ids[name] for name in kept]


async def test_whole_questions_and_expansions_lead_over_pairs(
    field: Field, office: Office, ids: Mapping[str, str]
) -> None:
    del ids
    whole = """
        <fetch><entity name='account'><attribute name='name'/>
          <filter><condition attribute='name' operator='ends-with' value='-pair'/></filter>
          <link-entity name='accountleads' from='accountid' to='accountid' link-type='outer'
              intersect='true'>
            <link-entity name='lead' from='leadid' to='leadid' alias='l' link-type='outer'>
              <attribute name='lastname'/></link-entity></link-entity>
          <order attribute='name'/></entity></fetch>"""
    async with field.replica() as replica:
        await replica.download()
        records = [record async for record in replica.fetch(whole)]
        leads = [(record["name"], record.get("l.lastname")) for record in records]
        assert leads == [("Alpha-pair", "Ann"), ("Beta-pair", None)]
        assert await office.names(fetchXml=whole) == [name for name, _ in leads]
        rows = replica.table("account").query(expand=f"{LEADS}($select=lastname),{PARTNERS}_one")
        beside = {str(row["name"]): row async for row in rows}
    alpha = beside["Alpha-pair"]
    assert [lead["lastname"] for lead in alpha.many(LEADS)] == ["Ann"]
    assert [one["name"] for one in alpha.many(f"{PARTNERS}_one")] == ["Beta-pair"]
    assert beside["Beta-pair"].many(LEADS) == ()


async def test_what_is_not_kept_is_named(field: Field, ids: Mapping[str, str]) -> None:
    del ids
    field.tables = [{"name": "account"}, {"name": "lead"}]
    async with field.replica() as replica:
        await replica.download()
        plain = OVER_LEADS["fetchxml"].replace(" intersect='true'", "")
        for language, text in (*OVER_LEADS.items(), ("fetchxml", plain)):
            with pytest.raises(FilterError, match="add accountleads to the profile"):
                await found(replica, {language: text.format("Ann")})
        with pytest.raises(FilterError, match=f"add {PARTNERS} to the profile"):
            await found(replica, f"{PARTNERS}_one/any()")


async def test_pairs_that_the_server_does_not_track_are_refused_by_name(field: Field) -> None:
    field.tables = [{"name": "systemuser"}, {"name": "systemuserroles"}]
    async with field.replica() as replica:
        report = await replica.download()
        assert report.tables["systemuser"].problem is None
        problem = report.tables["systemuserroles"].problem or ""
        assert "turn on change tracking for both tables whose rows they join" in problem


async def test_a_relationship_over_pairs_is_no_rule(field: Field) -> None:
    field.tables = [
        {"name": "account", "rows": ["related"], "related": [LEADS]},
        {"name": "accountleads"},
    ]
    async with field.replica() as replica:
        with pytest.raises(ProfileError, match=f"{LEADS} is many-to-many"):
            await replica.download()

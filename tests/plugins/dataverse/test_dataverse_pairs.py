"""Pairs of many-to-many relationships: described, read, tracked, counted and listed."""

from __future__ import annotations

import json

import pytest

from holdfast.errors import AccessDenied, TransportError
from holdfast.model import Scope
from holdfast.schema import ColumnType, ManyToMany
from holdfast.values import Reference
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._pairs import many_to_many
from support.dataverse import World, pulled

LEADS = "accountleads_association"


def joined(world: World, account: str) -> str:
    """Join an account with a new lead, and return the lead."""
    lead = world.dataverse.create(world.dataverse.system, "lead", {"lastname": "Ann"}).id
    to = Reference("lead", lead)
    world.dataverse.associate(world.dataverse.system, "account", account, LEADS, to)
    return lead


async def test_a_table_knows_the_many_to_many_relationships_that_it_is_an_end_of(
    world: World,
) -> None:
    async with world.open() as transport:
        account, lead, pairs = await transport.schema(["account", "lead", "accountleads"])
    known = ManyToMany(
        *(LEADS, "accountleads"),
        *("account", "accountid", LEADS, "lead", "leadid", LEADS),
    )
    assert known in account.many_to_many
    assert known in lead.many_to_many
    assert len(set(account.many_to_many)) == len(account.many_to_many)
    assert (account.intersect, pairs.intersect) == (False, True)
    assert pairs.wire == {"set": "accountleadscollection"}
    ends = [pairs.by_name[name] for name in ("accountid", "leadid")]
    assert {end.type for end in ends} == {ColumnType.UNIQUEIDENTIFIER}


async def test_pairs_are_read_like_rows(world: World) -> None:
    account = world.account()
    lead = joined(world, account)
    async with world.open() as transport:
        [schema] = await transport.schema(["accountleads"])
        scope = Scope(schema.only(["accountid", "leadid"]))
        (page,) = await pulled(transport, scope)
        ((pair, *ends, version),) = page.records
        assert ends == [account, lead]
        assert str(version).startswith('W/"')
        assert await transport.fetch(scope, [str(pair)]) == list(page.records)
        assert await transport.count(scope) in (0, 1)  # a snapshot, which may be older
        condition = f"leadid eq {lead}"
        for asked in (None, condition):
            assert [row_id async for row_id in transport.list_ids(scope, asked)] == [pair]
        to = Reference("lead", lead)
        world.dataverse.disassociate(world.dataverse.system, "account", account, LEADS, to)
        (page,) = await pulled(transport, scope, page.checkpoint)
        assert (list(page.records), list(page.tombstones)) == ([], [pair])


async def test_pairs_that_are_not_tracked_name_what_can_be_done(world: World) -> None:
    async with world.open() as transport:
        [schema] = await transport.schema(["systemuserroles"])
        with pytest.raises(AccessDenied, match="for both tables whose rows they join") as refused:
            await pulled(transport, Scope(schema))
    assert refused.value.code == "0x80072491"


GUESTS = {
    "SchemaName": "guests",
    "IntersectEntityName": "xys",
    "Entity1LogicalName": "x",
    "Entity1IntersectAttribute": "xid",
    "Entity1NavigationPropertyName": "guests",
    "Entity2LogicalName": "y",
    "Entity2IntersectAttribute": "yid",
    "Entity2NavigationPropertyName": None,
}


def said(*rows: object) -> Answer:
    return Answer(200, {}, json.dumps({"value": rows}).encode())


def test_each_relationship_counts_once_and_a_missing_name_is_none() -> None:
    (found,) = many_to_many(said(GUESTS, GUESTS), "x")
    assert found == ManyToMany("guests", "xys", "x", "xid", "guests", "y", "yid", "")


@pytest.mark.parametrize(
    "name", [name for name in GUESTS if not name.endswith("NavigationPropertyName")]
)
def test_a_relationship_with_a_name_that_cannot_be_kept_is_left_out(name: str) -> None:
    assert many_to_many(said({**GUESTS, name: 'x" y'}, {**GUESTS, "SchemaName": "z"}), "x") == (
        ManyToMany("z", "xys", "x", "xid", "guests", "y", "yid", ""),
    )


@pytest.mark.parametrize(
    "answer",
    [
        *(
            said(row)
            for row in ({}, 5, {"SchemaName": "x"}, {**GUESTS, "Entity2LogicalName": None})
        ),
        Answer(200, {}, b'{"value": {}}'),
        Answer(200, {}, b"[]"),
        Answer(200, {}, b"\xff"),
        Answer(500, {}, b"{}"),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(answer: Answer) -> None:
    with pytest.raises(TransportError):
        many_to_many(answer, "x")

"""What goes along when a row is deleted, or gets another owner."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from operator import attrgetter

import pytest

from holdfast.values import Reference
from holdfast_emulator.behaviour import columns
from holdfast_emulator.behaviour.dataverse import Dataverse, Effect, Operation
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.metadata import TableDefinition
from holdfast_emulator.behaviour.relationships import (
    Cascade,
    CascadeDelete,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import User

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def effects() -> list[Effect]:
    return []


@pytest.fixture
def org(effects: list[Effect]) -> Iterator[Dataverse]:
    """An organisation with parts of accounts, which are parts of each other."""
    dataverse = Dataverse(lambda: NOW, on_effect=effects.append)
    own = (
        columns.primary_id("new_PartId"),
        columns.text("new_Name", 100),
        columns.lookup("new_Whole", "new_part"),
        columns.lookup("new_Account", "account"),
        columns.state(("Active", "Inactive")),
        columns.status(((1, "Active", 0), (2, "Inactive", 1))),
        *columns.ownership(),
        *columns.stamps(),
    )
    dataverse.add_table(
        TableDefinition("new_part", "new_Part", "new_parts", 10001, "new_partid", "new_name", own)
    )
    yield dataverse
    dataverse.close()


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


@pytest.fixture
def bo(org: Dataverse) -> User:
    user = org.security.user_of("office-token")
    assert user
    return user


def relate(
    org: Dataverse,
    column: str,
    referenced: str,
    delete: CascadeDelete,
    assign: Cascade = Cascade.NONE,
) -> None:
    org.add_relationship(
        RelationshipDefinition(
            f"new_{column}",
            *(referenced, f"{referenced}id", "new_part", column, column, f"new_{column}s"),
            delete=delete,
            assign=assign,
        )
    )


def part(org: Dataverse, user: User, name: str, **pointers: Row) -> Row:
    lookups = {column: Reference(row.table, row.id) for column, row in pointers.items()}
    return org.create(user, "new_part", {"new_name": name, **lookups})


def names(org: Dataverse) -> set[str]:
    return {str(row["new_name"]) for row in org.scan("new_part")}


def test_a_chain_of_any_length_goes(org: Dataverse, ann: User, effects: list[Effect]) -> None:
    relate(org, "new_whole", "new_part", CascadeDelete.CASCADE)
    first = last = part(org, ann, "0")
    for number in range(1, 3000):
        last = part(org, ann, str(number), new_whole=last)
    org.update(ann, "new_part", first.id, {"new_whole": Reference("new_part", last.id)})
    effects.clear()
    org.delete(ann, "new_part", first.id)
    assert names(org) == set()
    assert (effects[0].row_id, effects[-1].row_id) == (last.id, first.id)
    assert {effect.operation for effect in effects} == {Operation.DELETE}


def test_a_row_that_is_needed_forbids(org: Dataverse, ann: User) -> None:
    relate(org, "new_account", "account", CascadeDelete.RESTRICT)
    account = org.create(ann, "account", {})
    needed = part(org, ann, "needed", new_account=account)
    with pytest.raises(DataverseFault) as caught:
        org.delete(ann, "account", account.id)
    assert (caught.value.status, caught.value.code) == (405, "0x80040227")
    assert org.find("account", account.id)
    org.delete(ann, "new_part", needed.id)
    org.delete(ann, "account", account.id)


def test_what_goes_too_does_not_forbid(org: Dataverse, ann: User) -> None:
    relate(org, "new_account", "account", CascadeDelete.CASCADE)
    relate(org, "new_whole", "new_part", CascadeDelete.RESTRICT)
    account = org.create(ann, "account", {})
    whole = part(org, ann, "whole", new_account=account)
    part(org, ann, "inside", new_whole=whole, new_account=account)
    org.delete(ann, "account", account.id)
    assert names(org) == set()


def test_a_refused_delete_further_down_leaves_all(org: Dataverse, ann: User) -> None:
    relate(org, "new_account", "account", CascadeDelete.CASCADE)
    relate(org, "new_whole", "new_part", CascadeDelete.RESTRICT)
    account = org.create(ann, "account", {})
    inside = part(org, ann, "inside", new_account=account)
    part(org, ann, "needs it", new_whole=inside)
    with pytest.raises(DataverseFault, match="new_new_whole"):
        org.delete(ann, "account", account.id)
    assert names(org) == {"inside", "needs it"}


def test_pointers_of_rows_that_stay_are_cleared(org: Dataverse, ann: User) -> None:
    relate(org, "new_account", "account", CascadeDelete.REMOVE_LINK)
    relate(org, "new_whole", "new_part", CascadeDelete.NONE)
    account = org.create(ann, "account", {})
    whole = part(org, ann, "whole")
    row = part(org, ann, "stays", new_account=account, new_whole=whole)
    org.delete(ann, "account", account.id)
    org.delete(ann, "new_part", whole.id)
    kept = org.find("new_part", row.id)
    assert kept
    assert (kept["new_account"], kept["new_whole"]) == (None, Reference("new_part", whole.id))
    assert kept.version > row.version


@pytest.mark.parametrize(
    ("cascade", "reached"),
    [
        (Cascade.NONE, set()),
        (Cascade.ALL, {"Ann's", "Bo's", "inactive", "below"}),
        (Cascade.ACTIVE, {"Ann's", "Bo's", "below"}),
        (Cascade.USER_OWNED, {"Ann's", "inactive", "below"}),
    ],
)
def test_assigning_reaches_as_far_as_relationships_say(
    org: Dataverse, ann: User, bo: User, cascade: Cascade, reached: set[str]
) -> None:
    relate(org, "new_account", "account", CascadeDelete.NONE, cascade)
    relate(org, "new_whole", "new_part", CascadeDelete.NONE, Cascade.ALL)
    account = org.create(ann, "account", {})
    first = part(org, ann, "Ann's", new_account=account)
    part(org, bo, "Bo's", new_account=account)
    inactive = part(org, ann, "inactive", new_account=account)
    org.update(ann, "new_part", inactive.id, {"statecode": 1})
    part(org, ann, "below", new_whole=first)
    part(org, ann, "elsewhere")
    team = org.create(ann, "team", {"name": "T"})
    owner = Reference("team", team.id)
    org.update(ann, "account", account.id, {"ownerid": owner})
    assert {
        str(row["new_name"]) for row in org.scan("new_part") if row["ownerid"] == owner
    } == reached
    assert all(
        (row["owningteam"] == owner) == (row["new_name"] in reached) for row in org.scan("new_part")
    )


def test_a_walk_ends_where_relationships_run_in_circles(org: Dataverse, ann: User) -> None:
    relate(org, "new_whole", "new_part", CascadeDelete.NONE)
    one = part(org, ann, "one")
    two = part(org, ann, "two", new_whole=one)
    org.update(ann, "new_part", one.id, {"new_whole": Reference("new_part", two.id)})
    relationship = org.metadata.relationships["new_new_whole"]
    org.add_relationship(replace(relationship, share=Cascade.ALL))
    below = org.cascades.below(one, attrgetter("share"))
    assert [row.id for row in below] == [two.id]


def test_stock_children_follow_their_parents(org: Dataverse, ann: User, bo: User) -> None:
    account = org.create(ann, "account", {"name": "A"})
    pointer = Reference("account", account.id)
    contact = org.create(ann, "contact", {"parentcustomerid": pointer})
    other = org.create(ann, "account", {"parentaccountid": pointer})
    org.update(ann, "account", account.id, {"ownerid": Reference("systemuser", bo.id)})
    owners = {row.id: row.owner_id for table in ("account", "contact") for row in org.scan(table)}
    assert (owners[contact.id], owners[other.id]) == (bo.id, ann.id)

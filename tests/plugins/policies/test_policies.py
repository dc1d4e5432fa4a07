"""The two bundled policies give one answer to each of the four kinds of conflict."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

import holdfast_policies
from holdfast.contracts import Resolver
from holdfast.model import Conflict, KeepLocal, KeepRemote, Op, OpKind, Row
from holdfast.schema import Column, ColumnType, TableSchema
from holdfast_policies import ClientWins, PolicySettings, ServerWins

ROW = "00000000-0000-4000-8000-000000000001"
SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (Column("accountid", ColumnType.UNIQUEIDENTIFIER), Column("name", ColumnType.STRING)),
)


def row(name: str, version: str | None) -> Row:
    return Row(SCHEMA, {"accountid": ROW, "name": name}, version=version)


def conflict(kind: OpKind, base: Row | None, local: Row | None, remote: Row | None) -> Conflict:
    op = Op("op-1", 1, kind, "account", ROW, {"name": "mine"}, base.version if base else None)
    return Conflict(
        "account", ROW, base, local, remote, (op,), frozenset({"name"}), frozenset({"name"})
    )


BASE, MINE, THEIRS = row("base", "1"), row("mine", None), row("theirs", "2")
CONFLICTS = {
    "update of an updated row": conflict(OpKind.UPDATE, BASE, MINE, THEIRS),
    "update of a deleted row": conflict(OpKind.UPDATE, BASE, MINE, None),
    "delete of an updated row": conflict(OpKind.DELETE, BASE, None, THEIRS),
    "create of an existing row": conflict(OpKind.CREATE, None, MINE, THEIRS),
}


@pytest.mark.parametrize("case", CONFLICTS.values(), ids=CONFLICTS)
async def test_client_wins_keeps_what_was_done_here(case: Conflict) -> None:
    assert await ClientWins(PolicySettings()).resolve(case) == KeepLocal()


@pytest.mark.parametrize("case", CONFLICTS.values(), ids=CONFLICTS)
async def test_server_wins_keeps_what_the_server_has(case: Conflict) -> None:
    assert await ServerWins(PolicySettings()).resolve(case) == KeepRemote()


@pytest.mark.parametrize("policy", [ClientWins, ServerWins])
def test_a_policy_is_a_resolver_that_refuses_unknown_settings(policy: type[Resolver]) -> None:
    assert issubclass(policy, Resolver)
    with pytest.raises(ValidationError, match="Extra inputs"):
        policy.Settings.model_validate({"favourite": "mine"})


def test_the_names_are_those_that_a_profile_writes() -> None:
    assert ClientWins.name == "client-wins"
    assert ServerWins.name == "server-wins"


def test_the_public_names_are_those_of_all() -> None:
    assert holdfast_policies.__all__ == ["ClientWins", "PolicySettings", "ServerWins"]

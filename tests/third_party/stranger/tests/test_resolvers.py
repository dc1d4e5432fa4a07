from __future__ import annotations

import pytest
from pydantic import ValidationError
from stranger.resolvers import LongestText, Refuse  # type: ignore[import-not-found]  # installed by the test

from holdfast.contracts import Resolver
from holdfast.model import Conflict, Defer, Merge, Row
from holdfast.schema import Column, ColumnType, TableSchema

SCHEMA = TableSchema(
    "account",
    "accountid",
    "name",
    (
        Column("accountid", ColumnType.UNIQUEIDENTIFIER),
        Column("name", ColumnType.STRING),
        Column("employees", ColumnType.INTEGER),
    ),
)


def row(name: str | None, employees: int) -> Row:
    return Row(SCHEMA, {"accountid": "a", "name": name, "employees": employees})


def conflict(local: Row | None, remote: Row | None) -> Conflict:
    both = frozenset({"name", "employees"})
    return Conflict("account", "a", row("Base", 0), local, remote, (), both, both)


@pytest.mark.parametrize(
    ("mine", "theirs", "name"),
    [("long", "longer", "longer"), ("longer", "long", "longer"), ("mine", "them", "mine"),
     (None, "them", None)],
)  # fmt: skip
async def test_the_longer_text_stands(mine: str | None, theirs: str, name: str | None) -> None:
    policy: Resolver = LongestText(LongestText.Settings())
    found = await policy.resolve(conflict(row(mine, 1), row(theirs, 2)))
    assert found == Merge({"employees": 1, "name": name})


async def test_a_deleted_row_is_left_to_a_person() -> None:
    policy: Resolver = LongestText(LongestText.Settings())
    assert await policy.resolve(conflict(None, row("them", 2))) is None
    assert await policy.resolve(conflict(row("mine", 1), None)) is None


async def test_a_refusal_has_the_reason_of_the_profile() -> None:
    policy: Resolver = Refuse(Refuse.Settings(reason="ask the office"))
    assert await policy.resolve(conflict(row("mine", 1), None)) == Defer("ask the office")
    with pytest.raises(ValidationError):
        Refuse.Settings.model_validate({"raeson": "ask the office"})

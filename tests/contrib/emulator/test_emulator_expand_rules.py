"""What ``$expand`` refuses, and how."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ONLY = (
    "Only $select and $filter clause can be provided while doing $expand on many-to-one "
    "relationship or nested one-to-many relationship."
)
PEOPLE = "contact_customer_accounts"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("$expand=nonsense", "Could not find a property named 'nonsense'"),
        ("$expand=PrimaryContactId", "Could not find a property named 'PrimaryContactId'"),
        ("$expand=name", "Could not find a property named 'name'"),
        ("$expand=primarycontactid($select=nonsense)", "named 'nonsense' on type"),
        (f"$expand={PEOPLE}($filter=nonsense eq 1)", "nonsense"),
        (f"$expand={PEOPLE}($orderby=nonsense)", "nonsense"),
        ("$expand=ownerid($select=nonsense)", "named 'nonsense' on type"),
        ("$expand=primarycontactid($top=1)", ONLY),
        ("$expand=primarycontactid($orderby=fullname)", ONLY),
        (f"$expand={PEOPLE}($top=1;$expand=owninguser)", ONLY),
        (f"$expand=Account_Tasks($orderby=subject),{PEOPLE}($expand=owninguser)", ONLY),
        (f"$expand={PEOPLE}/$ref", "Expand with $ref is only supported on lookup type"),
        (f"$expand={PEOPLE}/$count", "$count"),
        (f"$expand={PEOPLE}($count=true)", "$count"),
        (f"$expand={PEOPLE}($levels=2)", "$levels"),
        (f"$expand={PEOPLE}($skip=2)", "$skip"),
        (f"$expand={PEOPLE}($search=x)", "$search"),
        (f"$expand={PEOPLE}($top=x)", "$top"),
        (f"$expand={PEOPLE}($filter=lastname eq @n)&@n='x'", "'@n' cannot be used here"),
        (f"$expand={PEOPLE}($orderby=@n)&@n=lastname", "@n"),
        (f"$expand={PEOPLE}($top=1;$top=2)", "more than once"),
        (f"$expand={PEOPLE},{PEOPLE}", "more than once"),
        ("$expand=primarycontactid/parentcustomerid_account", "multiple navigation properties"),
        (f"$expand={PEOPLE}($select=name", "unterminated"),
        (f"$expand={PEOPLE}$select=name)", ""),
    ],
)
async def test_what_is_wrong_is_refused(client: Client, options: str, message: str) -> None:
    answer = await client("GET", f"accounts?$select=name&{options}")
    assert (answer.status, answer.code) == (400, "0x80060888"), answer.text
    assert message in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "target",
    [
        "teams?$expand=teammembership_association($expand=businessunitid)",
        "teams?$expand=teammembership_association,businessunitid",
        "teams?$expand=businessunitid($expand=business_unit_teams($expand=teammembership_association))",
    ],
)
async def test_many_to_many_stands_alone(client: Client, target: str) -> None:
    answer = await client("GET", target)
    assert (answer.status, answer.code) == (400, "0x80060888"), answer.text
    assert "many-to-many" in answer.json["error"]["message"]


def nested(depth: int) -> str:
    text = "createdby"
    for _ in range(depth - 1):
        text = f"createdby($expand={text})"
    return text


@pytest.mark.parametrize(("depth", "status"), [(15, 200), (16, 400), (1000, 400)])
async def test_fifteen_expansions_are_the_most(client: Client, depth: int, status: int) -> None:
    await client.create("accounts", {"name": "A"})
    answer = await client("GET", f"accounts?$select=name&$expand={nested(depth)}")
    assert answer.status == status, answer.text[:300]
    if status == 400:
        assert answer.code == "0x8004430d"


async def test_they_are_counted_on_all_levels_together(client: Client) -> None:
    users = ("createdby", "modifiedby", "owninguser")
    inner = ",".join(f"{one}($select=fullname)" for one in users)
    wide = ",".join(
        f"{one}($expand=createdby,modifiedby,businessunitid($expand=createdby,modifiedby))"
        for one in users
    )
    assert (await client("GET", f"accounts?$expand={inner}")).status == 200
    answer = await client("GET", f"accounts?$expand={wide}")
    assert (answer.status, answer.code) == (400, "0x8004430d")


@pytest.mark.parametrize("what", ["*", "ownerid/Microsoft.Dynamics.CRM.systemuser"])
async def test_what_is_not_emulated_says_so(client: Client, what: str) -> None:
    answer = await client("GET", f"accounts?$expand={what}")
    assert (answer.status, answer.code) == (501, "0x80004001")

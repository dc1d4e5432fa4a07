"""``$filter`` on metadata: what it means, and that hostile text costs no more than its length."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.wire.metadata_filter import parse_metadata_filter
from holdfast_emulator.wire.metadata_json import Json

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ITEMS: list[Json] = [
    {
        "Name": "account",
        "Code": 1,
        "Custom": False,
        "Image": "entityimage",
        "Owner": "UserOwned",
        "Tracked": {"Value": True, "CanBeChanged": True},
        "Id": "0a0a0a0a-0000-4000-8000-000000000001",
    },
    {
        "Name": "o'hara",
        "Code": 10_001,
        "Custom": True,
        "Image": None,
        "Owner": "OrganizationOwned",
        "Tracked": {"Value": False, "CanBeChanged": False},
        "Id": "0a0a0a0a-0000-4000-8000-000000000002",
    },
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name eq 'account'", [1]),
        ("Name eq 'Account'", []),
        ("Name eq 'o''hara'", [10_001]),
        ("Name ne 'account'", [10_001]),
        ("Code gt 1", [10_001]),
        ("Code ge 1 and Code le 1", [1]),
        ("Code lt 1 or Custom eq true", [10_001]),
        ("not (Code eq 1)", [10_001]),
        ("not Custom eq true", [1]),
        ("startswith(Name,'acc')", [1]),
        ("endswith(Name,'hara') eq true", [10_001]),
        ("contains(Name, 'count') eq false", [10_001]),
        ("Image eq null", [10_001]),
        ("Image ne null", [1]),
        ("Owner eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'", [1]),
        ("Tracked/Value eq true and Tracked/CanBeChanged eq true", [1]),
        ("Id eq 0A0A0A0A-0000-4000-8000-000000000002", [10_001]),
        ("((Code eq 1)) or ((Code eq 10001))", [1, 10_001]),
        ("Code eq 1 or Code eq 10001 and Custom eq false", [1]),
    ],
)
def test_a_filter_picks(text: str, expected: list[int]) -> None:
    assert [item["Code"] for item in parse_metadata_filter(text).pick(ITEMS)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Name",
        "Name eq",
        "Name like 'a'",
        "eq 'a'",
        "Name eq 'a",
        "Name eq 'a')",
        "(Name eq 'a'",
        "Name eq 'a' and",
        "Unknown eq 1",
        "Tracked eq true",
        "Name gt 1",
        "startswith(Name,1)",
        "startswith(Name)",
        "Name eq Other",
        "Name//x eq 1",
        "Name eq 'a' 'b'",
        "not",
        "Name eq é",
        "(" * 60 + "Code eq 1" + ")" * 60,
        "not " * 5000 + "Code eq 1",
    ],
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(DataverseFault) as refused:
        parse_metadata_filter(text).pick(ITEMS)
    assert refused.value.status == 400


@given(st.text(alphabet="Name Codeqgt'()/,1ndo", max_size=60))
def test_any_text_is_a_filter_or_refused(text: str) -> None:
    with contextlib.suppress(DataverseFault):
        parse_metadata_filter(text).pick(ITEMS)


async def test_filters_of_clients_are_understood(client: Client) -> None:
    for text in (
        "IsPrivate eq false and (SchemaName eq 'Account')",
        "CanChangeTrackingBeEnabled/Value eq true and LogicalName eq 'account'",
        "LogicalName eq 'account' and ObjectTypeCode eq 1",
    ):
        found = await client("GET", f"EntityDefinitions?$select=LogicalName&$filter={text}")
        assert [one["LogicalName"] for one in found.value] == ["account"], found.text


@pytest.mark.parametrize(
    "text",
    [
        "DisplayName eq 'Account'",
        "DisplayName/UserLocalizedLabel/Label eq 'Account'",
        "startswith(DisplayName/UserLocalizedLabel/Label,'A')",
        "CanChangeTrackingBeEnabled/Nothing eq true",
        "LogicalName/Value eq 'account'",
    ],
)
async def test_labels_and_what_is_not_there_are_no_filters(client: Client, text: str) -> None:
    refused = await client("GET", f"EntityDefinitions?$select=LogicalName&$filter={text}")
    assert (refused.status, refused.code) == (400, "0x80060888"), refused.text

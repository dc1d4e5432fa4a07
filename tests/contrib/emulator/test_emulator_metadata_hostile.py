"""Bodies and URLs about metadata that nobody sane sends: a typed refusal, never a 500."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast_emulator import Dataverse
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call

CRM = "Microsoft.Dynamics.CRM."
LABEL = {"LocalizedLabels": [{"Label": "L", "LanguageCode": 1033}]}
TEXT = {"@odata.type": f"{CRM}StringAttributeMetadata", "SchemaName": "new_Name", "MaxLength": 5}
CHOICE = {
    "@odata.type": f"{CRM}PicklistAttributeMetadata",
    "SchemaName": "new_Choice",
    "OptionSet": {"Options": [{"Value": 1, "Label": LABEL}]},
    "DefaultFormValue": 1,
}
BODIES: dict[str, Any] = {
    "EntityDefinitions": {
        "SchemaName": "new_Pump",
        "DisplayName": LABEL,
        "Attributes": [TEXT | {"IsPrimaryName": True}, CHOICE],
        "HasNotes": True,
    },
    "CreateEntities": {"Entities": [{"SchemaName": "new_X", "Attributes": [TEXT]}]},
    "EntityDefinitions(LogicalName='account')/Attributes": CHOICE,
    "EntityDefinitions(LogicalName='account')/Keys": {
        "SchemaName": "new_Key",
        "KeyAttributes": ["name"],
        "DisplayName": LABEL,
    },
    "RelationshipDefinitions": {
        "SchemaName": "new_rel",
        "ReferencedEntity": "account",
        "ReferencingEntity": "contact",
        "Lookup": {"SchemaName": "new_Look", "DisplayName": LABEL},
        "CascadeConfiguration": {"Delete": "Cascade"},
    },
    "GlobalOptionSetDefinitions": {"Name": "new_set", "Options": [{"Value": 1, "Label": LABEL}]},
    "InsertOptionValue": {
        "EntityLogicalName": "account",
        "AttributeLogicalName": "industrycode",
        "Value": 99,
        "Label": LABEL,
    },
}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, -1, 2**31, 10**40, 1.5, 1e300, "", "x", "é😀", "\ud800", "a" * 5000),
        *([], {}, [[]], [{}], {"Value": None}, {"Value": {}}, {"LocalizedLabels": 5}),
        [1, "2", None],
    ]
)


def places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, inner in value.items():
            found += places(inner, (*path, name))
    if isinstance(value, list):
        for at, inner in enumerate(value):
            found += places(inner, (*path, at))
    return found


def changed(value: Any, path: tuple[Any, ...], odd: object) -> Any:
    if not path:
        return odd
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], odd)
    return copy


CASES = [(target, path) for target, body in BODIES.items() for path in places(body)]


@pytest.fixture(scope="module")
def api() -> WebApi:
    return WebApi(Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC)))


def answer(api: WebApi, method: str, target: str, body: object) -> int:
    user = api.dataverse.security.user_of("demo-token")
    assert user
    path, _, query = target.partition("?")
    content = json.dumps(body).encode()
    return api.answer(
        Call(method, path, query, "http://x/api/data/v9.2", user, body=content)
    ).status


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=st.sampled_from(CASES), odd=ODD)
def test_an_odd_value_anywhere_is_taken_or_refused(
    api: WebApi, case: tuple[str, tuple[object, ...]], odd: object
) -> None:
    target, path = case
    status = answer(api, "POST", target, changed(BODIES[target], path, odd))
    assert status < 500 or status == 501


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "PUT", "DELETE", "POST"]),
    path=st.lists(
        st.sampled_from(
            [
                *("EntityDefinitions", "EntityDefinitions(LogicalName='account')", "Attributes"),
                *("Attributes(LogicalName='name')", "Keys", "Keys(LogicalName='x')", "$metadata"),
                *("RelationshipDefinitions", "RelationshipDefinitions(SchemaName='x')"),
                *(f"{CRM}StringAttributeMetadata", f"{CRM}Nonsense", "OptionSet", "DisplayName"),
                *("GlobalOptionSetDefinitions", "GlobalOptionSetDefinitions(Name='x')", "$value"),
                *(
                    "ManyToOneRelationships(SchemaName='x')",
                    "Attributes()",
                    "RetrieveMetadataChanges",
                ),
            ]
        ),
        min_size=1,
        max_size=4,
    ),
    query=st.sampled_from(["", "$select=", "$expand=Attributes($select=x", "$filter=((", "@p1={"]),
)
def test_any_path_is_answered_or_refused(
    api: WebApi, method: str, path: list[str], query: str
) -> None:
    status = answer(api, method, f"{'/'.join(path)}?{query}", {})
    assert status < 500 or status == 501

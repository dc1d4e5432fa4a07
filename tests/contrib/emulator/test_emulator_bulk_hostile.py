"""Writes of any JSON to anywhere are carried out or refused, and nothing else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.metadata import KeyDefinition
from holdfast_emulator.wire.api import WebApi
from holdfast_emulator.wire.calls import Call

CRM = "Microsoft.Dynamics.CRM"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
ROOT = "http://localhost/api/data/v9.2"
NAMES = (
    *("name", "accountnumber", "accountid", "primarycontactid", "primarycontactid@odata.bind"),
    *("Account_Tasks", "Account_Tasks@odata.bind", "contact_customer_accounts", "ownerid"),
    *("account_parent_account", "@odata.id", "@odata.type", "@odata.bind", "", "revenue"),
    *("numberofemployees", "lastonholdtime", "statecode", "statuscode", "new_services", "value"),
)
QUERY_NAMES = (
    *("EntityName", "Criteria", "Conditions", "Filters", "FilterOperator", "AttributeName"),
    *("Operator", "Values", "Value", "LinkEntities", "LinkCriteria", "TopCount", "JoinOperator"),
    *("LinkToEntityName", "LinkToAttributeName", "LinkFromAttributeName", "EntityAlias", "Orders"),
)
WORDS = (
    *("account", "contact", "accountid", "contactid", "parentcustomerid", "name", "Equal", "In"),
    *("Inner", "And", "Like", "Between", "LastXDays", ID, f"contacts({ID})", f"/accounts({ID})"),
    *("$1", "accounts(accountnumber='x')", f"{CRM}.account", f"#{CRM}.task", "2026-01-01"),
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5)
    | st.sampled_from(WORDS)
)


def trees(names: tuple[str, ...]) -> st.SearchStrategy[object]:
    return st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=4)
        ),
        max_leaves=12,
    )


BODIES = st.dictionaries(st.sampled_from(NAMES), trees(NAMES), max_size=4)
TARGETS = st.lists(BODIES.map(lambda body: {**body, "@odata.type": f"{CRM}.account"}), max_size=3)
QUERIES = st.lists(
    st.dictionaries(st.sampled_from(QUERY_NAMES), trees(QUERY_NAMES)).map(
        lambda query: {"EntityName": "account", **query}
    ),
    max_size=2,
)
KEYS = st.sampled_from([ID, f"accountid={ID}", "accountnumber='x'"]) | st.text(
    alphabet="aZ_09-'\"(){}[]$,;/=&%+ .:@*<>\r\n\tøé\x00", max_size=12
)


@cache
def api() -> WebApi:
    dataverse = Dataverse(lambda: datetime(2026, 3, 1, tzinfo=UTC))
    dataverse.add_key("account", KeyDefinition("new_key", "new_Key", ("accountnumber",)))
    return WebApi(dataverse)


def check(method: str, target: str, body: object) -> None:
    web = api()
    user = web.dataverse.security.user_of("demo-token")
    assert user
    path, _, query = target.partition("?")
    call = Call(method, unquote(path), query, ROOT, user, {}, json.dumps(body).encode())
    before = [row.cells for row in web.dataverse.scan("account")]
    reply = web.answer(call)
    assert reply.status < 500 or reply.status == 501, reply.body
    for value in reply.headers.values():
        assert value.isascii()
    if reply.status >= 400:
        assert [row.cells for row in web.dataverse.scan("account")] == before


@settings(deadline=None)
@given(st.sampled_from(["POST", "PATCH"]), KEYS, BODIES)
def test_a_row_of_anything(method: str, key: str, body: object) -> None:
    check(method, "accounts" if method == "POST" else f"accounts({key})", body)


@settings(deadline=None)
@given(st.sampled_from(["Create", "Update", "Upsert"]), TARGETS)
def test_many_rows_of_anything(message: str, targets: object) -> None:
    check("POST", f"accounts/{CRM}.{message}Multiple", {"Targets": targets})


@settings(deadline=None)
@given(QUERIES)
def test_a_bulk_delete_of_anything(queries: object) -> None:
    check("POST", "BulkDelete", {"JobName": "j", "QuerySet": queries})


@settings(deadline=None)
@given(
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.sampled_from(["Account_Tasks", "primarycontactid", "ownerid", "nonsense"]),
    KEYS,
    SCALARS,
)
def test_a_reference_to_anything(method: str, navigation: str, key: str, url: object) -> None:
    check(method, f"accounts({key})/{navigation}/$ref", {"@odata.id": url})
    check(method, f"accounts({ID})/{navigation}({key})/$ref", {"@odata.id": url})
    check("DELETE", f"accounts({ID})/{navigation}/$ref?$id={url}", None)

"""``RetrieveMetadataChanges``: many definitions at once, and what changed since."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from holdfast_emulator import Dataverse

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

CRM = "Microsoft.Dynamics.CRM."
PUMP = "EntityDefinitions(LogicalName='new_pump')"


def where(name: str, value: object, word: str = "Equals") -> dict[str, Any]:
    return {"PropertyName": name, "ConditionOperator": word, "Value": {"Value": value}}


def query(*conditions: dict[str, Any], **more: Any) -> dict[str, Any]:
    criteria = {"FilterOperator": "And", "Conditions": list(conditions)}
    return {"Criteria": criteria, "Properties": {"PropertyNames": ["Attributes"]}, **more}


async def ask(client: Client, body: object, stamp: str = "", deleted: str = "") -> Answer:
    given = f"@p1={quote(json.dumps(body))}"
    names = "Query=@p1"
    if stamp:
        names += f",ClientVersionStamp='{quote(stamp, safe='')}'"
    if deleted:
        names += ",DeletedMetadataFilters=@p2"
        given += f"&@p2={CRM}DeletedMetadataFilters'{deleted}'"
    return await client("GET", f"{client.root}RetrieveMetadataChanges({names})?{given}")


async def add(client: Client) -> None:
    kind = f"{CRM}StringAttributeMetadata"
    own = [{"@odata.type": kind, "SchemaName": "new_Name", "IsPrimaryName": True}]
    body = {"SchemaName": "new_Pump", "Attributes": own}
    assert (await client("POST", "EntityDefinitions", body)).status == 204
    more = {"@odata.type": kind, "SchemaName": "new_Code"}
    assert (await client("POST", f"{PUMP}/Attributes", more)).status == 204


async def test_typed_properties_come_without_a_cast(client: Client) -> None:
    properties = {"PropertyNames": ["LogicalName", "MaxLength", "MaxValue"]}
    code = {"Conditions": [where("LogicalName", "name")]}
    nested = {"Properties": properties, "Criteria": code}
    found = await ask(client, query(where("LogicalName", "account"), AttributeQuery=nested))
    (account,) = found.json["EntityMetadata"]
    (name,) = account["Attributes"]
    assert (name["LogicalName"], name["MaxLength"]) == ("name", 160)
    assert "MaxValue" not in name
    assert found.json["DeletedMetadata"] is None
    assert found.json["ServerVersionStamp"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (where("LogicalName", ["account", "contact"], "In"), ["account", "contact"]),
        (where("ObjectTypeCode", 2, "LessThan"), ["account"]),
        (where("ObjectTypeCode", "2"), ["contact"]),
        (where("LogicalName", "no"), []),
    ],
)
async def test_criteria_pick_tables(client: Client, condition: Any, expected: list[str]) -> None:
    body = query(condition, where("IsIntersect", "false"))
    body["Properties"] = {"PropertyNames": ["LogicalName"]}
    found = (await ask(client, body)).json["EntityMetadata"]
    assert [one["LogicalName"] for one in found] == expected


async def test_nested_filters_and_all_properties(client: Client) -> None:
    either = {
        "FilterOperator": "Or",
        "Filters": [
            {"Conditions": [where("LogicalName", "account")]},
            {"Conditions": [where("LogicalName", "contact")]},
        ],
    }
    body = {"Criteria": either, "Properties": {"AllProperties": True}}
    found = (await ask(client, body)).json["EntityMetadata"]
    assert [one["LogicalName"] for one in found] == ["account", "contact"]
    assert {"Attributes", "Keys", "ManyToOneRelationships", "DisplayName"} <= found[0].keys()


async def test_only_news_is_told_after_a_stamp(client: Client) -> None:
    body = query(where("IsIntersect", value=False))
    stamp = (await ask(client, body)).json["ServerVersionStamp"]
    assert (await ask(client, body, stamp)).json["EntityMetadata"] == []
    await add(client)
    news = (await ask(client, body, stamp)).json
    told = {one["LogicalName"]: one for one in news["EntityMetadata"]}
    assert told["new_pump"]["HasChanged"] is True
    assert "account" not in told
    later = news["ServerVersionStamp"]
    await client(
        "POST",
        f"{PUMP}/Attributes",
        {"@odata.type": f"{CRM}MemoAttributeMetadata", "SchemaName": "new_Text"},
    )
    (pump,) = (await ask(client, body, later)).json["EntityMetadata"]
    assert [one["LogicalName"] for one in pump["Attributes"]] == ["new_text"]


async def test_what_is_gone_is_told_when_it_is_asked_for(client: Client) -> None:
    await add(client)
    pump = (await client("GET", PUMP)).json["MetadataId"]
    code = (await client("GET", f"{PUMP}/Attributes(LogicalName='new_code')")).json["MetadataId"]
    body = query(where("LogicalName", "new_pump"))
    stamp = (await ask(client, body)).json["ServerVersionStamp"]
    await client("DELETE", f"{PUMP}/Attributes({code})")
    await client("DELETE", PUMP)
    assert (await ask(client, body, stamp)).json["DeletedMetadata"] is None
    gone = (await ask(client, body, stamp, "All")).json["DeletedMetadata"]
    told = dict(zip(gone["Keys"], (one["Items"] for one in gone["Values"]), strict=True))
    assert told["Entity"] == [pump]
    assert code in told["Attribute"]
    only = (await ask(client, body, stamp, "Entity")).json["DeletedMetadata"]
    assert only["Keys"] == ["Entity"]


async def test_labels_come_in_the_languages_asked_for(client: Client) -> None:
    await add(client)
    other = {"LocalizedLabels": [{"Label": "Pumpe", "LanguageCode": 1044}]}
    await client("PUT", PUMP, {"DisplayName": other}, **{"MSCRM.MergeLabels": "true"})
    body = query(where("LogicalName", "new_pump"), LabelQuery={"FilterLanguages": [1044]})
    body["Properties"] = {"PropertyNames": ["DisplayName"]}
    (pump,) = (await ask(client, body)).json["EntityMetadata"]
    assert [one["Label"] for one in pump["DisplayName"]["LocalizedLabels"]] == ["Pumpe"]


async def test_an_old_stamp_has_expired(client: Client, dataverse: Dataverse) -> None:
    version = dataverse.metadata.version
    for stamp in (f"{version}!01/01/2025 00:00:00", f"{version + 1}!03/01/2026 08:00:00"):
        expired = await ask(client, query(), stamp)
        assert (expired.status, expired.code) == (400, "0x80044352")
    assert dataverse.clock() == datetime(2026, 3, 1, 8, tzinfo=UTC)
    for stamp in ("x", "1!99/99/2025 00:00:00"):
        assert (await ask(client, query(), stamp)).status == 400


@pytest.mark.parametrize(
    "body",
    [
        {"Criteria": 5},
        {"Criteria": {"Conditions": [{"ConditionOperator": "Like"}]}},
        {"Criteria": {"Conditions": [{"ConditionOperator": "In", "Value": 1}]}},
        {"Criteria": {"Conditions": ["x"]}},
        {"Properties": {"PropertyNames": "x"}},
        {"Properties": []},
        {"AttributeQuery": {"Nonsense": 1}},
        {"Nonsense": 1},
        {"LabelQuery": "x"},
    ],
)
async def test_what_is_no_query_is_refused(client: Client, body: object) -> None:
    assert (await ask(client, body)).status == 400

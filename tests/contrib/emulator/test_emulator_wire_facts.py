"""The facts about Dataverse's wire in ``tests/data/dataverse_wire_facts.json``, one test each.

A test is named after its fact.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from xml.etree import ElementTree as ET
from xml.sax.saxutils import quoteattr

import pytest

from holdfast_emulator.behaviour.metadata import KeyDefinition
from support.batches import batch, change_set, operation, part, read

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client
    from holdfast_emulator import Dataverse

DATA = Path(__file__).parents[2] / "data" / "dataverse_wire_facts.json"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
GUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
FORMATTED = "OData.Community.Display.V1.FormattedValue"
CRM = "Microsoft.Dynamics.CRM"
ANN = "regardingobjectid_account_task@odata.bind"
BLOCK = 4 * 1024 * 1024
CONTENT = b"holdfast " * 500_000
EVERY_ANNOTATION = 'odata.include-annotations="*"'


@pytest.fixture
async def three(client: Client) -> None:
    """Three accounts: Ann, Bo and one without a name."""
    for number, name in enumerate(("Ann", "Bo", None), 1):
        row_id = f"0a0a0a0a-0000-4000-8000-00000000000{number}"
        await client.create("accounts", {"accountid": row_id, "name": name})


async def send(client: Client, body: str, kind: str = 'multipart/mixed; boundary="batch_b"') -> Any:
    return await client("POST", "$batch", data=body, Content_Type=kind)


async def names(client: Client, query: str) -> list[str | None]:
    answer = await client("GET", f"accounts?{query}")
    assert answer.status == 200, answer.text
    return [row["name"] for row in answer.value]


def test_every_fact_is_tested() -> None:
    facts = {fact["id"] for fact in json.loads(DATA.read_text())["facts"]}
    assert {name[5:8] for name in globals() if re.match(r"test_w\d\d_", name)} == facts


@pytest.mark.usefixtures("three")
async def test_w01_a_next_link_repeats_the_options_as_sent(client: Client) -> None:
    target = f"{client.root}accounts?%24select=name&$filter=statecode+eq%200"
    answer = await client("GET", target, Prefer="odata.maxpagesize=1")
    assert answer.json["@odata.nextLink"].startswith(f"{target}&$skiptoken=")


async def skip_token(client: Client) -> str:
    answer = await client("GET", "accounts?$orderby=name", Prefer="odata.maxpagesize=2")
    return str(answer.json["@odata.nextLink"].partition("$skiptoken=")[2])


@pytest.mark.usefixtures("three")
async def test_w02_a_skip_token_is_a_cookie_encoded_once(client: Client) -> None:
    assert re.fullmatch(
        r"%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22[^%<>\"=]*(?:%25[^<>\"=]*)*%22"
        r"%20istracking=%22False%22%20/%3E",
        await skip_token(client),
    )


@pytest.mark.usefixtures("three")
async def test_w03_its_position_is_encoded_twice_and_names_first_and_last(client: Client) -> None:
    token = await skip_token(client)
    assert "%253ccookie%2520page%253d%25221%2522%253e" in token
    inner = unquote(unquote(token))
    assert '<name last="Ann"' in inner
    assert f'<accountid last="{{{ID.upper()}}}"' in inner


async def test_w04_a_count_is_asked_for_capped_and_kept(
    client: Client, dataverse: Dataverse
) -> None:
    dataverse.load("account", ({"accountid": f"{n:08x}{ID[8:]}"} for n in range(5001)))
    assert "@odata.count" not in (await client("GET", "accounts?$top=1")).json
    answer = await client("GET", "accounts?$select=name&$count=true")
    assert answer.json["@odata.count"] == 5000
    assert "&$count=true&" in answer.json["@odata.nextLink"]


@pytest.mark.usefixtures("three")
async def test_w05_totals_and_schema_version_come_with_annotations_only(client: Client) -> None:
    total, exceeded = f"@{CRM}.totalrecordcount", f"@{CRM}.totalrecordcountlimitexceeded"
    plain = await client("GET", "accounts?$count=true")
    assert not any(name.startswith(f"@{CRM}") for name in plain.json)
    annotated = await client("GET", "accounts", Prefer=EVERY_ANNOTATION)
    assert (annotated.json[total], annotated.json[exceeded]) == (-1, False)
    assert annotated.json[f"@{CRM}.globalmetadataversion"].isdigit()
    counted = await client("GET", "accounts?$count=true", Prefer=EVERY_ANNOTATION)
    assert counted.json[total] == 3


@pytest.mark.usefixtures("three")
async def test_w06_an_etag_is_the_version_in_body_and_header(client: Client) -> None:
    row = await client("GET", f"accounts({ID})")
    assert re.fullmatch(r'W/"\d+"', row.json["@odata.etag"])
    assert row.headers["ETag"] == row.json["@odata.etag"]


@pytest.mark.usefixtures("three")
async def test_w07_a_context_names_the_selected_columns(client: Client) -> None:
    one = await client("GET", f"accounts({ID})?$select=name,fax")
    many = await client("GET", "accounts?$select=name,fax")
    assert one.json["@odata.context"] == f"{client.root}$metadata#accounts(name,fax)/$entity"
    assert many.json["@odata.context"] == f"{client.root}$metadata#accounts(name,fax)"


@pytest.mark.usefixtures("three")
async def test_w08_the_id_comes_along_and_the_currency_with_money(client: Client) -> None:
    row = await client("GET", f"accounts({ID})?$select=revenue")
    assert {"accountid", "revenue", "_transactioncurrencyid_value"} <= row.json.keys()


@pytest.mark.usefixtures("three")
async def test_w09_a_lookup_has_three_annotations_before_it(client: Client) -> None:
    target = f"accounts({ID})?$select=_ownerid_value"
    row = await client("GET", target, Prefer=EVERY_ANNOTATION)
    found = [name for name in row.json if name.startswith("_ownerid_value")]
    assert found.pop() == "_ownerid_value"
    assert {name.partition("@")[2] for name in found} == {
        FORMATTED,
        f"{CRM}.associatednavigationproperty",
        f"{CRM}.lookuplogicalname",
    }


async def test_w10_preferences_are_echoed_where_honoured(client: Client) -> None:
    annotated = await client("GET", "accounts", Prefer=EVERY_ANNOTATION)
    paged = await client("GET", "accounts", Prefer="odata.maxpagesize=2")
    assert annotated.headers["Preference-Applied"] == EVERY_ANNOTATION
    assert paged.headers["Preference-Applied"] == "odata.maxpagesize=2"


async def test_w15_a_create_answers_with_the_address_of_the_row(client: Client) -> None:
    made = await client("POST", "accounts", {"accountid": ID})
    assert (made.status, made.text) == (204, "")
    assert made.headers["OData-EntityId"] == f"{client.root}accounts({ID})"
    (within,) = read(await send(client, batch(operation("POST", "accounts", {"name": "A"}))))
    assert within.headers["Location"] == within.headers["OData-EntityId"]


async def test_w16_bulk_creates_answer_with_ids_in_order(client: Client) -> None:
    kind = {"@odata.type": f"{CRM}.account"}
    targets = [{**kind, "accountid": ID}, {**kind, "accountid": MISSING}]
    created = await client("POST", f"accounts/{CRM}.CreateMultiple", {"Targets": targets})
    assert created.json["Ids"] == [ID, MISSING]
    for message in ("UpdateMultiple", "UpsertMultiple"):
        answer = await client("POST", f"accounts/{CRM}.{message}", {"Targets": targets})
        assert answer.status == 204


@pytest.mark.usefixtures("three")
async def test_w17_a_bulk_delete_answers_with_a_job(client: Client) -> None:
    condition = {"AttributeName": "accountid", "Operator": "In", "Values": [{"Value": ID}]}
    query = {"EntityName": "account", "Criteria": {"Conditions": [condition]}}
    answer = await client("POST", "BulkDelete", {"JobName": "j", "QuerySet": [query]})
    assert re.fullmatch(GUID, answer.json["JobId"])
    assert (await client("GET", f"accounts({ID})")).status == 404


async def test_w18_a_batch_reply_starts_with_its_named_boundary(client: Client) -> None:
    answer = await send(client, batch(change_set(part("POST", "accounts", {"name": "A"}))))
    boundary = answer.headers["Content-Type"].partition("boundary=")[2]
    assert boundary.startswith("batchresponse_")
    assert answer.text.startswith(f"--{boundary}\r\n")
    assert "boundary=changesetresponse_" in answer.text


async def test_w19_a_change_set_answers_per_part_or_with_one_error(client: Client) -> None:
    good, bad = part("POST", "accounts", {"name": "A"}), part("POST", "accounts", {"no": 1})
    (done,) = read(await send(client, batch(change_set(good, good))))
    assert [one.head["Content-ID"] for one in done.inner] == ["1", "2"]
    (failed,) = read(await send(client, batch(change_set(good, bad))))
    assert (failed.head["Content-Type"], failed.status) == ("application/http", 400)
    assert failed.json["error"]["code"] == "0x80048d19"


async def test_w20_a_batch_stops_at_the_first_failure(client: Client) -> None:
    body = batch(operation("GET", f"accounts({MISSING})"), operation("GET", "accounts"))
    assert len(read(await send(client, body))) == 1


async def test_w21_an_error_has_code_and_message_and_a_request_id(client: Client) -> None:
    answer = await client("GET", f"accounts({MISSING})")
    assert re.fullmatch(r"0x[0-9a-f]{8}", answer.code)
    assert answer.json["error"]["message"]
    assert answer.headers["x-ms-service-request-id"]


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("request_line", "body", "if_match", "expected"),
    [
        (f"GET accounts({MISSING})", None, "*", (404, "0x80040217")),
        (f"PATCH accounts({ID})", {"name": "B"}, 'W/"1"', (412, "0x80060882")),
        ("POST accounts", {"accountid": ID}, "", (412, "0x80040237")),
        ("POST accounts", {"name": "x" * 161}, "", (400, "0x80044331")),
        ("POST accounts", {"nonsense": 1}, "", (400, "0x80048d19")),
        ("GET accounts?$filter=nonsense eq 1", None, "", (400, "0x80060888")),
        ("GET nothings", None, "", (404, "0x80060888")),
    ],
)
async def test_w22_refusals_have_their_codes(
    client: Client, request_line: str, body: object, if_match: str, expected: tuple[int, str]
) -> None:
    """Of an unknown segment the recorded code is taken, which is not the documented one."""
    method, _, target = request_line.partition(" ")
    answer = await client(method, target, body, If_Match=if_match)
    assert (answer.status, answer.code) == expected


async def test_w22_the_values_of_a_key_are_taken_once(client: Client, dataverse: Dataverse) -> None:
    dataverse.add_key("account", KeyDefinition("new_key", "new_Key", ("accountnumber",)))
    await client.create("accounts", {"accountnumber": "1"})
    answer = await client("POST", "accounts", {"accountnumber": "1"})
    assert (answer.status, answer.code) == (412, "0x80060892")


@pytest.mark.parametrize(("number", "status"), [(500, 200), (501, 400)])
async def test_w22_a_filter_has_at_most_500_conditions(
    client: Client, number: int, status: int
) -> None:
    clauses = " or ".join(f"fax ne '{n}'" for n in range(number))
    answer = await client("GET", f"accounts?$filter={clauses}")
    assert answer.status == status
    assert status == 200 or answer.code == "0x8004430c"


async def test_w23_an_unknown_table_is_an_empty_list_or_a_404(client: Client) -> None:
    listed = await client("GET", "EntityDefinitions?$filter=LogicalName eq 'unknown'")
    assert (listed.status, listed.value) == (200, [])
    assert (await client("GET", "EntityDefinitions(LogicalName='unknown')")).status == 404


@pytest.mark.usefixtures("three")
async def test_w26_a_delta_link_tells_version_and_time(client: Client) -> None:
    start = await client("GET", "accounts?$select=name", Prefer="odata.track-changes")
    link = start.json["@odata.deltaLink"]
    token = link.partition("$deltatoken=")[2]
    assert re.fullmatch(r"\d+!03/01/2026 08:00:00", unquote(token))
    assert "%21" in token
    await client("DELETE", f"accounts({ID})")
    assert (await client("GET", link)).value == [
        {
            "@odata.context": f"{client.root}$metadata#accounts/$deletedEntity",
            "id": ID,
            "reason": "deleted",
        }
    ]


@pytest.mark.usefixtures("three")
async def test_w27_encoded_dollars_pluses_and_raw_spaces_are_understood(client: Client) -> None:
    target = f"{client.root}accounts?%24select=name&%24filter=name+eq+%27Ann%27"
    assert [row["name"] for row in (await client("GET", target)).value] == ["Ann"]
    raw = operation("GET", f"{client.root}accounts?$select=name&$filter=name eq 'Bo'")
    (listed,) = read(await send(client, batch(raw)))
    assert [row["name"] for row in listed.json["value"]] == ["Bo"]


async def test_w28_parts_need_no_length_and_refer_to_each_other(client: Client) -> None:
    body = batch(
        change_set(
            part("POST", f"{client.root}contacts", {"contactid": ID, "lastname": "Bø"}),
            part("POST", "accounts", {"accountid": ID, "primarycontactid@odata.bind": "$1"}),
            part("PATCH", "$1", {"firstname": "Åse"}),
        )
    )
    assert "Content-Length" not in body
    (done,) = read(await send(client, body))
    assert [one.status for one in done.inner] == [204, 204, 204]
    row = (await client("GET", f"contacts({ID})?$select=fullname")).json
    assert row["fullname"] == "Åse Bø"


@pytest.mark.usefixtures("three")
async def test_w29_bare_line_feeds_and_a_missing_last_one_are_understood(client: Client) -> None:
    body = "\n--b\nContent-Type: application/http\n\nGET accounts HTTP/1.1\n\n--b--"
    (listed,) = read(await send(client, body, "multipart/mixed;boundary=b"))
    assert len(listed.json["value"]) == 3


@pytest.mark.usefixtures("three")
async def test_w30_a_delete_may_have_a_blank_body(client: Client) -> None:
    head = "Content-Type: application/http\r\n\r\n"
    line = f"DELETE accounts({ID}) HTTP/1.1\r\nContent-Type: application/json\r\n\r\n\r\n\r\n"
    (deleted,) = read(await send(client, batch(head + line)))
    assert deleted.status == 204


@pytest.mark.usefixtures("three")
async def test_w32_a_long_question_comes_as_a_batch_of_one(client: Client) -> None:
    question = f"/api/data/v9.2/accounts?$filter=name eq '{'x' * 40_000}' or name eq 'Bo'"
    (listed,) = read(await send(client, batch(operation("GET", question))))
    assert [row["name"] for row in listed.json["value"]] == ["Bo"]


@pytest.mark.usefixtures("three")
async def test_w33_the_word_null_is_no_condition(client: Client) -> None:
    null = {"If_None_Match": "null"}
    kind = "multipart/mixed; boundary=batch_b"
    answers: list[Answer] = [
        await client("GET", f"accounts({ID})", **null),
        await client("PATCH", f"accounts({ID})", {"name": "B"}, **null),
        await client("POST", "accounts", {"name": "C"}, **null),
        await client(
            "POST",
            "$batch",
            data=batch(operation("GET", "accounts", If_None_Match="null")),
            Content_Type=kind,
            **null,
        ),
        await client("DELETE", f"accounts({ID})", **null),
    ]
    assert [answer.status for answer in answers] == [200, 204, 204, 200, 204]


@pytest.mark.usefixtures("three")
async def test_w34_a_list_of_numbers_comes_as_text(client: Client) -> None:
    within = f'{CRM}.In(PropertyName=\'statecode\',PropertyValues=["0","1"])'
    assert len(await names(client, f"$filter={within}")) == 3
    assert await names(client, f"$filter={within.replace('.In', '.NotIn')}") == []


async def test_w36_the_choices_of_a_table_come_in_one_question(client: Client) -> None:
    answer = await client(
        "GET",
        f"EntityDefinitions(LogicalName='account')/Attributes/{CRM}.PicklistAttributeMetadata"
        "?$select=LogicalName&$expand=OptionSet($select=Options)",
    )
    found = {one["LogicalName"]: one["OptionSet"]["Options"] for one in answer.value}
    assert 6 in [option["Value"] for option in found["industrycode"]]


@pytest.mark.usefixtures("three")
async def test_w39_text_functions_have_wildcards(client: Client) -> None:
    for pattern in ("[ab]nn", "[^b]n", "_nn", "%25n"):
        assert await names(client, f"$filter=startswith(name,'{pattern}')") == ["Ann"]
    assert await names(client, "$filter=contains(name,'[%25]')") == []


@pytest.mark.usefixtures("three")
async def test_w40_text_has_no_case_and_some_options_do_not_exist(client: Client) -> None:
    assert await names(client, "$filter=name eq 'ANN'") == ["Ann"]
    for option in ("$skip=1", "$search=x", "$format=json", "$filter=tolower(name) eq 'ann'"):
        assert (await client("GET", f"accounts?{option}")).status in (400, 501)
    paged = await client("GET", "accounts?$top=1", Prefer="odata.maxpagesize=2")
    assert len(paged.value) == 2


@pytest.mark.usefixtures("three")
async def test_w41_unequal_matches_null(client: Client) -> None:
    assert await names(client, "$filter=name ne 'Ann'") == ["Bo", None]


async def test_w42_a_change_set_writes_properties_and_references(client: Client) -> None:
    body = batch(
        change_set(
            part("POST", "contacts", {"contactid": ID, "lastname": "Bø"}),
            part("POST", "accounts", {"accountid": ID}),
            part("PUT", "$1/lastname", {"value": "Aas"}),
            part("PUT", "$2/primarycontactid/$ref", {"@odata.id": "$1"}),
        )
    )
    (done,) = read(await send(client, body))
    assert [one.status for one in done.inner] == [204] * 4
    row = await client("GET", f"accounts({ID})?$expand=primarycontactid($select=lastname)")
    assert row.json["primarycontactid"]["lastname"] == "Aas"


BY_NAME = (
    "<fetch count='2'{}><entity name='account'><attribute name='name'/><order attribute='name'/>"
    "</entity></fetch>"
)
PAGING = f'odata.include-annotations="{CRM}.fetchxmlpagingcookie,{CRM}.morerecords"'


def cookie_of(answer: Answer) -> tuple[int, str]:
    """Return the page and the cookie for the next request, as Microsoft's client reads them."""
    element = ET.fromstring(answer.json[f"@{CRM}.fetchxmlpagingcookie"])
    assert element.attrib["istracking"] == "False"
    return int(element.attrib["pagenumber"]), unquote(unquote(element.attrib["pagingcookie"]))


@pytest.mark.usefixtures("three")
async def test_w12_a_fetchxml_page_says_where_the_next_one_starts(client: Client) -> None:
    first = await client("GET", f"accounts?fetchXml={BY_NAME.format('')}", Prefer=PAGING)
    assert first.json[f"@{CRM}.morerecords"] is True
    page, cookie = cookie_of(first)
    assert page == 2
    assert re.fullmatch(
        r'<cookie page="1"><name last="Ann" first="" /><accountid last="\{.*\}" first="\{.*\}" />'
        r"</cookie>",
        cookie,
    )


@pytest.mark.usefixtures("three")
async def test_w13_only_who_asks_hears_of_more_records(client: Client) -> None:
    target = f"accounts?fetchXml={BY_NAME.format('')}"
    silent = await client("GET", target)
    assert [name for name in silent.json if name.startswith("@")] == ["@odata.context"]
    for prefer in (PAGING, EVERY_ANNOTATION):
        asked = await client("GET", target, Prefer=prefer)
        assert {f"@{CRM}.fetchxmlpagingcookie", f"@{CRM}.morerecords"} <= asked.json.keys()


@pytest.mark.usefixtures("three")
async def test_w14_the_next_fetchxml_page_is_asked_for_with_the_cookie(client: Client) -> None:
    first = await client("GET", f"accounts?fetchXml={BY_NAME.format('')}", Prefer=PAGING)
    page, cookie = cookie_of(first)
    fetch = BY_NAME.format(f" page='{page}' paging-cookie={quoteattr(cookie)}")
    second = await client("GET", f"accounts?fetchXml={quote(fetch)}", Prefer=PAGING)
    assert [row["name"] for row in second.value] == ["Bo"]
    assert f"@{CRM}.morerecords" not in second.json


async def test_w37_tables_are_created_both_ways(client: Client) -> None:
    def table(name: str, prefix: str) -> dict[str, object]:
        text = {
            "@odata.type": f"Microsoft.Dynamics.CRM.{prefix}StringAttributeMetadata",
            "SchemaName": "new_Name",
            "MaxLength": 100,
        }
        twice = [{**text, "IsPrimaryName": True}, text] if prefix else [text | PRIMARY]
        kind = f"Microsoft.Dynamics.CRM.{prefix}EntityMetadata"
        return {"@odata.type": kind, "SchemaName": name, "Attributes": twice}

    made = await client("POST", "CreateEntities", {"Entities": [table("new_One", "Complex")]})
    assert made.status == 204, made.text
    assert (await client("POST", "EntityDefinitions", table("new_Two", ""))).status == 204
    for name in ("new_ones", "new_twoes", "new_twos"):
        found = (await client("GET", name)).status
        assert found == (404 if name == "new_twoes" else 200), name


PRIMARY = {"IsPrimaryName": True}


@pytest.mark.usefixtures("three")
async def test_w11_an_expanded_collection_has_a_link_that_does_not_page(client: Client) -> None:
    await client.create("tasks", {"subject": "x", ANN: f"/accounts({ID})"})
    answer = await client("GET", "accounts?$select=name&$expand=Account_Tasks($select=subject)")
    first, *others = answer.value
    assert [task["subject"] for task in first["Account_Tasks"]] == ["x"]
    for row in (first, *others):
        assert "$skiptoken" not in row["Account_Tasks@odata.nextLink"]
    followed = await client("GET", first["Account_Tasks@odata.nextLink"])
    assert [task["subject"] for task in followed.value] == ["x"]


async def upload(client: Client, content: bytes, **headers: str) -> list[int]:
    """Upload a file in two blocks; return the statuses."""
    place = f"accounts({ID})/new_contract?x-ms-file-name=a.bin"
    begun = await client("PATCH", place, x_ms_transfer_mode="chunked", **headers)
    assert (begun.status, begun.headers["x-ms-chunk-size"]) == (200, str(BLOCK))
    statuses = []
    for start in range(0, len(content), BLOCK):
        part = content[start : start + BLOCK]
        answer = await client(
            "PATCH",
            begun.headers["Location"],
            data=part,
            Content_Range=f"bytes {start}-{start + len(part) - 1}/{len(content)}",
            x_ms_file_name="a.bin",
            Content_Type="application/octet-stream",
            **headers,
        )
        statuses.append(answer.status)
    return statuses


@pytest.mark.usefixtures("three")
async def test_w24_a_file_goes_up_in_blocks(client: Client) -> None:
    assert await upload(client, CONTENT) == [206, 204]


@pytest.mark.usefixtures("three")
async def test_w25_a_range_of_a_file_comes_down_as_base64(client: Client) -> None:
    await upload(client, CONTENT)
    answer = await client(
        "GET", f"accounts({ID})/new_contract?size=full", Range=f"bytes=0-{BLOCK - 1}"
    )
    assert answer.status == 206
    assert base64.b64decode(answer.json["value"]) == CONTENT[:BLOCK]
    assert answer.headers["x-ms-file-size"] == str(len(CONTENT))
    assert answer.headers["x-ms-file-name"] == "a.bin"
    assert "a.bin" in answer.headers["Content-Disposition"]
    rest = await client(
        "GET", answer.headers["Location"], Range=f"bytes={BLOCK}-{len(CONTENT) - 1}"
    )
    assert base64.b64decode(rest.json["value"]) == CONTENT[BLOCK:]


@pytest.mark.usefixtures("three")
async def test_w31_the_session_token_tells_a_block_from_a_new_upload(client: Client) -> None:
    mode = {"x_ms_transfer_mode": "chunked"}
    place = f"accounts({ID})/new_contract?x-ms-file-name=a.bin"
    begun = await client("PATCH", place, **mode)
    block = await client(
        "PATCH", begun.headers["Location"], data=b"abc", Content_Range="bytes 0-2/3", **mode
    )
    assert block.status == 204
    content = await client("GET", f"accounts({ID})/new_contract/$value")
    assert content.text == "abc"


@pytest.mark.usefixtures("three")
async def test_w35_a_query_function_takes_aliases(client: Client) -> None:
    function = f"{CRM}.NextXHours(PropertyName=@p1,PropertyValue=@p2)"
    assert await names(client, f"$filter={function}&@p1='createdon'&@p2='1'") == [
        *("Ann", "Bo", None)
    ]
    assert await names(client, "$filter=name eq @p&@p='bo'") == ["Bo"]


@pytest.mark.usefixtures("three")
async def test_w38_sql_joins_groups_and_pages(client: Client) -> None:
    await client.create("tasks", {"subject": "x", ANN: f"/accounts({ID})"})
    asked: list[tuple[str, list[dict[str, object]]]] = [
        ("SELECT TOP 1 name FROM account WHERE name LIKE 'b%'", [{"name": "Bo"}]),
        ("SELECT DISTINCT statecode AS state FROM account", [{"state": 0}]),
        ("SELECT COUNT(*) AS n FROM account WHERE name IS NULL OR name IN ('Bo')", [{"n": 2}]),
        (
            (
                "SELECT a.name, t.subject FROM account a "
                "JOIN task t ON t.regardingobjectid = a.accountid"
            ),
            [{"name": "Ann", "subject": "x"}],
        ),
        (
            (
                "SELECT a.name, COUNT(t.activityid) AS n FROM account a "
                "LEFT JOIN task t ON t.regardingobjectid = a.accountid "
                "WHERE a.name IS NOT NULL GROUP BY a.name ORDER BY a.name DESC"
            ),
            [{"name": "Bo", "n": 0}, {"name": "Ann", "n": 1}],
        ),
        (
            (
                "SELECT name FROM account WHERE name IS NOT NULL ORDER BY name "
                "OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY"
            ),
            [{"name": "Bo"}],
        ),
    ]
    for statement, expected in asked:
        answer = await client("GET", f"accounts?sql={quote(statement)}")
        assert answer.status == 200, answer.text
        assert [one | row for one, row in zip(answer.value, expected, strict=True)] == answer.value

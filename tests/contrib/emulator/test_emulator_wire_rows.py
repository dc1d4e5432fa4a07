"""Single rows over HTTP: create, retrieve, update, upsert, delete, properties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

ID = "0a0a0a0a-0000-4000-8000-000000000001"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"


@pytest.mark.parametrize(
    ("amount", "written"),
    [
        ("0", "0.0000000000"),
        ("-0", "0.0000000000"),
        ("0.01", "0.0100000000"),
        ("12.5", "12.5000000000"),
        ("922337203685477", "922337203685477.0000000000"),
    ],
)
async def test_a_number_has_all_its_decimal_places_and_no_exponent(
    client: Client, amount: str, written: str
) -> None:
    made = await client(
        "POST", "accounts", data=f'{{"accountid":"{ID}","revenue":{amount},"new_loyaltyscore":0}}'
    )
    assert made.status == 204, made.text
    row = await client("GET", f"accounts({ID})")
    assert f'"revenue":{written},' in row.text
    assert '"new_loyaltyscore":0.0000000000,' in row.text
    assert '"exchangerate":1.000000000000,' in row.text
    assert (await client("GET", f"accounts({ID})/revenue")).text.endswith(f'"value":{written}}}')
    assert (await client("GET", f"accounts({ID})/revenue/$value")).text == written
    mean = await client("GET", "accounts?$apply=aggregate(revenue with average as mean)")
    assert f'"mean":{written}' in mean.text


async def test_a_create_answers_204_with_the_url_of_the_row(client: Client) -> None:
    made = await client("POST", "accounts", {"accountid": ID, "name": "Ærø Marine"})
    assert (made.status, made.text) == (204, "")
    assert made.headers["OData-EntityId"] == f"{client.root}accounts({ID})"
    assert made.headers["OData-Version"] == "4.0"


async def test_a_create_can_answer_with_the_row(client: Client) -> None:
    made = await client(
        "POST", "accounts?$select=name", {"name": "A"}, Prefer="return=representation"
    )
    assert made.status == 201
    assert made.headers["Preference-Applied"] == "return=representation"
    assert made.json["@odata.context"].endswith("/$metadata#accounts(name)/$entity")
    assert made.json["@odata.etag"] == made.headers["ETag"]
    assert set(made.json) == {"@odata.context", "@odata.etag", "accountid", "name"}


async def test_a_row_has_every_column_and_explicit_nulls(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A", "revenue": 1234.56})
    row = await client("GET", f"accounts({row_id})")
    assert row.json["fax"] is None
    assert row.json["_primarycontactid_value"] is None
    assert '"revenue":1234.5600000000' in row.text
    assert isinstance(row.json["versionnumber"], int)
    assert row.json["@odata.etag"] == f'W/"{row.json["versionnumber"]}"'


async def test_decimals_keep_every_digit(client: Client) -> None:
    body = '{"name":"A","new_loyaltyscore":123456.7891}'
    made = await client(
        "POST",
        "accounts",
        data=body,
        Content_Type="application/json",
        Prefer="return=representation",
    )
    assert '"new_loyaltyscore":123456.7891' in made.text


async def test_a_wall_clock_column_has_a_z_that_means_nothing(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A", "new_opensat": "2026-03-01T08:00:00Z"})
    row = await client("GET", f"accounts({row_id})?$select=new_opensat")
    assert row.json["new_opensat"] == "2026-03-01T08:00:00Z"


async def test_annotations_precede_the_values_they_describe(client: Client) -> None:
    contact = await client.create("contacts", {"firstname": "Åse", "lastname": "Bø"})
    row_id = await client.create(
        "accounts",
        {
            "name": "A",
            "revenue": 20000,
            "industrycode": 6,
            "creditonhold": True,
            "new_services": "9,1",
            "lastonholdtime": "2026-03-01T14:05:00Z",
            "primarycontactid@odata.bind": f"/contacts({contact})",
        },
    )
    row = await client("GET", f"accounts({row_id})", Prefer='odata.include-annotations="*"')
    formatted = "@OData.Community.Display.V1.FormattedValue"
    assert row.json[f"revenue{formatted}"] == "$20,000.00"
    assert row.json[f"industrycode{formatted}"] == "Business Services"
    assert row.json[f"creditonhold{formatted}"] == "Yes"
    assert row.json[f"new_services{formatted}"] == "Inspection; Training"
    assert row.json[f"lastonholdtime{formatted}"] == "3/1/2026 2:05 PM"
    assert row.json[f"statecode{formatted}"] == "Active"
    lookup = "_primarycontactid_value"
    assert row.json[f"{lookup}{formatted}"] == "Åse Bø"
    assert row.json[f"{lookup}@Microsoft.Dynamics.CRM.lookuplogicalname"] == "contact"
    navigation = f"{lookup}@Microsoft.Dynamics.CRM.associatednavigationproperty"
    assert row.json[navigation] == "primarycontactid"
    names = list(row.json)
    assert names.index(f"{lookup}{formatted}") < names.index(lookup)
    assert names.index(f"revenue{formatted}") < names.index("revenue")


@pytest.mark.parametrize(
    ("asked", "formatted", "table"),
    [
        ("OData.Community.Display.V1.FormattedValue", True, False),
        ("Microsoft.Dynamics.CRM.*", False, True),
        ("Microsoft.Dynamics.CRM.lookuplogicalname,OData.*", True, True),
        ("something.else", False, False),
    ],
)
async def test_annotations_come_as_asked(
    client: Client, asked: str, formatted: bool, table: bool
) -> None:
    row_id = await client.create("accounts", {"name": "A"})
    prefer = f'odata.include-annotations="{asked}"'
    row = await client("GET", f"accounts({row_id})?$select=_ownerid_value", Prefer=prefer)
    owner = "_ownerid_value@"
    assert (f"{owner}OData.Community.Display.V1.FormattedValue" in row.json) is formatted
    assert (f"{owner}Microsoft.Dynamics.CRM.lookuplogicalname" in row.json) is table


async def test_money_brings_its_currency(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A", "revenue": 1})
    row = await client("GET", f"accounts({row_id})?$select=revenue")
    assert set(row.json) - {"@odata.context", "@odata.etag"} == {
        "accountid",
        "revenue",
        "_transactioncurrencyid_value",
    }


async def test_a_missing_row_is_a_404_with_its_code(client: Client) -> None:
    for method in ("GET", "DELETE"):
        answer = await client(method, f"accounts({MISSING})")
        assert (answer.status, answer.code) == (404, "0x80040217")


@pytest.mark.parametrize(
    ("headers", "there", "missing"),
    [
        ({}, 204, 204),
        ({"If_None_Match": "null"}, 204, 204),
        ({"If_Match": "*"}, 204, 404),
        ({"If_None_Match": "*"}, 412, 204),
        ({"If_Match": 'W/"7"'}, 412, 404),
    ],
)
async def test_a_patch_obeys_its_conditions(
    client: Client, headers: dict[str, str], there: int, missing: int
) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    changed = await client("PATCH", f"accounts({ID})", {"name": "B"}, **headers)
    created = await client("PATCH", f"accounts({MISSING})", {"name": "C"}, **headers)
    assert (changed.status, created.status) == (there, missing)
    row = await client("GET", f"accounts({ID})?$select=name")
    assert row.json["name"] == ("B" if there == 204 else "A")
    if changed.status == 412:
        assert changed.code == ("0x80040237" if "If_None_Match" in headers else "0x80060882")


async def test_a_patch_with_the_right_etag_moves_it(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    etag = (await client("GET", f"accounts({ID})")).headers["ETag"]
    changed = await client("PATCH", f"accounts({ID})", {"name": "B"}, If_Match=etag)
    again = await client("PATCH", f"accounts({ID})", {"name": "C"}, If_Match=etag)
    assert (changed.status, again.status) == (204, 412)
    gone = await client("DELETE", f"accounts({ID})", If_Match=etag)
    assert (gone.status, gone.code) == (412, "0x80060882")


async def test_an_upsert_tells_with_a_representation_whether_it_created(client: Client) -> None:
    for status in (201, 200):
        answer = await client(
            "PATCH", f"accounts({ID})?$select=name", {"name": "A"}, Prefer="return=representation"
        )
        assert answer.status == status
        assert answer.headers["ETag"] == answer.json["@odata.etag"]


async def test_a_row_that_the_client_has_already_is_a_304(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    etag = (await client("GET", f"accounts({ID})")).headers["ETag"]
    same = await client("GET", f"accounts({ID})", If_None_Match=etag)
    assert (same.status, same.text) == (304, "")
    annotated = await client(
        "GET", f"accounts({ID})", If_None_Match=etag, Prefer='odata.include-annotations="*"'
    )
    assert annotated.status == 200
    await client("PATCH", f"accounts({ID})", {"name": "B"})
    assert (await client("GET", f"accounts({ID})", If_None_Match=etag)).status == 200


async def test_an_id_that_is_taken_is_a_412(client: Client) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    again = await client("POST", "accounts", {"accountid": ID, "name": "A"})
    assert (again.status, again.code) == (412, "0x80040237")


async def test_lookups_are_bound_in_all_spellings(client: Client) -> None:
    contact = await client.create("contacts", {"lastname": "Bø"})
    for url in (
        f"/contacts({contact})",
        f"contacts({contact})",
        f"/api/data/v9.2/contacts({contact.upper()})",
        f"{client.root}contacts({contact})",
        f"contacts(contactid={contact})",
    ):
        row_id = await client.create("accounts", {"name": "A", "primarycontactid@odata.bind": url})
        row = await client("GET", f"accounts({row_id})")
        assert row.json["_primarycontactid_value"] == contact
        await client("PATCH", f"accounts({row_id})", {"primarycontactid@odata.bind": None})
        row = await client("GET", f"accounts({row_id})")
        assert row.json["_primarycontactid_value"] is None


async def test_a_customer_is_bound_through_the_property_of_its_table(client: Client) -> None:
    account = await client.create("accounts", {"name": "A"})
    row_id = await client.create(
        "contacts",
        {
            "lastname": "Bø",
            "parentcustomerid_account@odata.bind": f"/accounts({account})",
            "parentcustomerid_contact@odata.bind": None,
        },
    )
    row = await client("GET", f"contacts({row_id})", Prefer='odata.include-annotations="*"')
    name = "_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname"
    assert row.json[name] == "account"
    assert row.json["_parentcustomerid_value"] == account


async def test_an_owner_may_be_a_user_or_a_team(client: Client) -> None:
    (team,) = (await client("GET", "teams?$select=teamid&$top=1")).value
    row_id = await client.create(
        "accounts", {"name": "A", "ownerid@odata.bind": f"/teams({team['teamid']})"}
    )
    row = await client("GET", f"accounts({row_id})?$select=_owningteam_value,_ownerid_value")
    assert row.json["_owningteam_value"] == row.json["_ownerid_value"] == team["teamid"]


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({"nonsense": 1}, 400, "0x80048d19"),
        ({"_primarycontactid_value": ID}, 400, "0x80048d19"),
        ({"PrimaryContactId@odata.bind": f"/contacts({ID})"}, 400, "0x80048d19"),
        ({"primarycontactid@odata.bind": f"/accounts({ID})"}, 400, "0x80048d19"),
        ({"primarycontactid@odata.bind": f"/nothings({ID})"}, 404, "0x80060888"),
        ({"name": "x" * 161}, 400, "0x80044331"),
        ({"industrycode": "Business Services"}, 400, "0x80048d19"),
        ({"primarycontactid": {"lastname": 7}}, 400, "0x80048d19"),
        ({"Account_Tasks": [{"subject": 7}]}, 400, "0x80048d19"),
    ],
)
async def test_a_wrong_body_is_refused(
    client: Client, values: dict[str, object], status: int, code: str
) -> None:
    answer = await client("POST", "accounts", {"name": "A", **values})
    assert (answer.status, answer.code) == (status, code), answer.text


@pytest.mark.parametrize("body", ["", "[]", "{", '{"name":', "[" * 100_000, '{"name":"\\ud800"}'])
async def test_a_body_that_is_no_object_is_a_400(client: Client, body: str) -> None:
    answer = await client("POST", "accounts", data=body, Content_Type="application/json")
    assert (answer.status, answer.code) == (400, "0x80048d19")


async def test_single_properties_are_read_set_and_cleared(client: Client) -> None:
    row_id = await client.create("accounts", {"name": "A", "telephone1": "1"})
    read = await client("GET", f"accounts({row_id})/telephone1")
    assert read.json["value"] == "1"
    assert read.json["@odata.context"].endswith(f"#accounts({row_id})/telephone1")
    assert (await client("PUT", f"accounts({row_id})/telephone1", {"value": "2"})).status == 204
    assert (await client("GET", f"accounts({row_id})/telephone1")).json["value"] == "2"
    assert (await client("DELETE", f"accounts({row_id})/telephone1")).status == 204
    assert (await client("GET", f"accounts({row_id})/telephone1")).status == 204
    assert (await client("GET", f"accounts({row_id})/nonsense")).status == 404


async def test_a_lookup_is_followed_set_and_cleared_by_reference(client: Client) -> None:
    contact = await client.create("contacts", {"lastname": "Bø"})
    row_id = await client.create("accounts", {"name": "A"})
    place = f"accounts({row_id})/primarycontactid"
    assert (await client("GET", place)).status == 204
    put = await client("PUT", f"{place}/$ref", {"@odata.id": f"contacts({contact})"})
    assert put.status == 204
    assert (await client("GET", f"{place}?$select=lastname")).json["lastname"] == "Bø"
    assert (await client("DELETE", f"{place}/$ref")).status == 204
    assert (await client("GET", place)).status == 204


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "SendEmail"),
        ("GET", "accounts?fetchXml=<fetch datasource='bin'><entity name='account'/></fetch>"),
        ("GET", "accounts?$apply=topcount(3,revenue)"),
        ("GET", f"accounts({ID})/$value"),
    ],
)
async def test_what_is_not_emulated_is_a_501_and_noted(
    client: Client, method: str, target: str
) -> None:
    await client.create("accounts", {"accountid": ID, "name": "A"})
    body: dict[str, object] | None = {"Targets": []} if method == "POST" else None
    answer = await client(method, target, body)
    assert (answer.status, answer.code) == (501, "0x80004001")
    assert client.server.trace[-1]["unsupported"] == answer.json["error"]["message"]


async def test_unknown_and_misused_resources_are_refused(client: Client) -> None:
    unknown = await client("GET", "nothings")
    assert (unknown.status, unknown.code) == (404, "0x80060888")
    assert (await client("PATCH", "accounts", {"name": "A"})).status == 405
    assert (await client("DELETE", "accounts")).status == 405
    named = await client("GET", "accounts(accountnumber='1')")
    assert (named.status, named.code) == (400, "0x80060888")
    assert (await client("GET", "accounts(no guid)")).status == 400
    assert (await client("GET", client.server.url + "/elsewhere")).status == 404


async def test_older_versions_are_answered_alike(client: Client) -> None:
    for version in ("v9.0", "v9.1"):
        answer = await client("GET", f"{client.server.url}/api/data/{version}/WhoAmI")
        assert f"/api/data/{version}/" in answer.json["@odata.context"]
    assert (await client("GET", f"{client.server.url}/api/data/v8.2/WhoAmI")).status == 404


CDS = "@Microsoft.PowerApps.CDS."


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", set()),
        ("OData.Community.Display.V1.*", set()),
        ("Microsoft.PowerApps.CDS.HelpLink", {"HelpLink"}),
        (
            "Microsoft.PowerApps.CDS.ErrorDetails*",
            {"ErrorDetails.OperationStatus", "ErrorDetails.SubErrorCode"},
        ),
        (
            "*",
            {
                "ErrorDetails.OperationStatus",
                "ErrorDetails.SubErrorCode",
                "HelpLink",
                "TraceText",
                "InnerError.Message",
            },
        ),
    ],
)
async def test_a_refusal_has_the_annotations_that_are_asked_for(
    client: Client, wanted: str, said: set[str]
) -> None:
    prefer = {"Prefer": f'odata.include-annotations="{wanted}"'} if wanted else {}
    missing = await client("GET", f"accounts({MISSING})", **prefer)
    assert (missing.status, missing.code) == (404, "0x80040217")
    error = missing.json["error"]
    assert set(error) == {"code", "message"} | {CDS + name for name in said}
    if wanted == "*":
        assert error[f"{CDS}InnerError.Message"] == error["message"]
        assert "80040217" in error[f"{CDS}HelpLink"]


async def test_a_row_of_another_type_is_refused(client: Client) -> None:
    for kind in ("Microsoft.Dynamics.CRM.account", "#Microsoft.Dynamics.CRM.account"):
        made = await client("PATCH", f"accounts({ID})", {"@odata.type": kind, "name": "A"})
        assert made.status == 204, made.text
    other = {"@odata.type": "Microsoft.Dynamics.CRM.contact", "name": "B"}
    for method, target in (("POST", "accounts"), ("PATCH", f"accounts({ID})")):
        refused = await client(method, target, other)
        assert (refused.status, refused.code) == (400, "0x80048d19")
    assert [row["name"] for row in (await client("GET", "accounts")).value] == ["A"]

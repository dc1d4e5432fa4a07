"""Tables, columns and keys that are made, changed and dropped while the organisation runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holdfast_emulator import Dataverse

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client

CRM = "Microsoft.Dynamics.CRM."
MERGING = {"MSCRM.MergeLabels": "true"}
PUMP = "EntityDefinitions(LogicalName='new_pump')"


def label(text: str, **others: str) -> dict[str, Any]:
    every = [(text, 1033), *((other, int(code[1:])) for code, other in others.items())]
    return {"LocalizedLabels": [{"Label": one, "LanguageCode": code} for one, code in every]}


def column(kind: str, name: str, **more: object) -> dict[str, Any]:
    return {"@odata.type": f"{CRM}{kind}AttributeMetadata", "SchemaName": name, **more}


def table(name: str, **more: object) -> dict[str, Any]:
    own = [column("String", "new_Name", IsPrimaryName=True, MaxLength=100)]
    return {"SchemaName": name, "DisplayName": label("Pump"), "Attributes": own, **more}


@pytest.fixture
async def pump(client: Client) -> str:
    made = await client("POST", "EntityDefinitions", table("new_Pump", ChangeTrackingEnabled=True))
    assert made.status == 204, made.text
    return made.headers["OData-EntityId"]


async def shape(client: Client) -> Any:
    everything = (
        "Attributes,Keys,OneToManyRelationships,ManyToOneRelationships,ManyToManyRelationships"
    )
    return (await client("GET", f"EntityDefinitions?$expand={everything}")).value


async def test_a_new_table_has_what_every_table_has(client: Client, pump: str) -> None:
    found = (await client("GET", pump)).json
    assert (found["LogicalName"], found["SchemaName"]) == ("new_pump", "new_Pump")
    assert (found["EntitySetName"], found["CollectionSchemaName"]) == ("new_pumps", "new_Pumps")
    assert found["ObjectTypeCode"] > 10_000
    assert found["IsCustomEntity"] is True
    listed = await client("GET", f"{PUMP}/Attributes?$select=LogicalName,IsCustomAttribute")
    names = {one["LogicalName"]: one["IsCustomAttribute"] for one in listed.value}
    assert names["new_name"] is True
    assert names["createdon"] is names["statecode"] is names["ownerid"] is False
    assert {"versionnumber", "importsequencenumber", "owninguser"} <= names.keys()
    row_id = await client.create("new_pumps", {"new_name": "P1"})
    row = (await client("GET", f"new_pumps({row_id})")).json
    assert (row["statecode"], row["statuscode"], row["new_name"]) == (0, 1, "P1")
    assert row["_ownerid_value"] == row["_createdby_value"]
    tracked = await client("GET", "new_pumps", Prefer="odata.track-changes")
    assert "@odata.deltaLink" in tracked.json
    many = (await client("GET", f"{PUMP}/ManyToOneRelationships")).value
    assert {"ownerid", "createdby"} <= {one["ReferencingAttribute"] for one in many}


async def test_an_organisation_owned_table_has_no_owner(client: Client) -> None:
    body = table("new_Kind", OwnershipType="OrganizationOwned", EntitySetName="new_kindset")
    assert (await client("POST", "EntityDefinitions", body)).status == 204
    row_id = await client.create("new_kindset", {"new_name": "K"})
    assert "_ownerid_value" not in (await client("GET", f"new_kindset({row_id})")).json


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (table("new_Pump"), "0x80047010"),
        (table("Pump"), "0x80040203"),
        (table("toolongaprefix_Pump"), "0x80040203"),
        (table("new_" + "x" * 100), "0x80040203"),
        (table("new_Other", Attributes=[]), "0x80040203"),
        (table("new_Other", OwnershipType="BusinessOwned"), "0x80040203"),
        (table("new_Other", OwnershipType="Nobody"), "0x80048d19"),
        (table("new_Other", Nonsense=1), "0x80048d19"),
        (table("new_Other", IsActivity=True), "0x80004001"),
        (table("new_Other", TableType="Elastic"), "0x80004001"),
        (table("new_Other", EntitySetName="accounts"), "0x80047010"),
        ({"DisplayName": label("x")}, "0x80048d19"),
        ({"SchemaName": 5}, "0x80048d19"),
    ],
)
async def test_a_refused_table_changes_nothing(
    client: Client, pump: str, body: dict[str, Any], code: str
) -> None:
    before = await shape(client)
    refused = await client("POST", "EntityDefinitions", body)
    assert refused.code == code, refused.text
    assert await shape(client) == before


async def test_several_tables_are_made_together_or_not_at_all(client: Client) -> None:
    pair = [table("new_One"), table("new_Two")]
    both = {"Entities": pair}
    refused = await client("POST", "CreateEntities", {"Entities": [*pair, table("bad")]})
    assert refused.status == 400
    assert (await client("GET", "new_ones")).status == 404
    assert (await client("POST", "CreateEntities?SolutionUniqueName=x", both)).status == 204
    assert (await client("GET", "new_twos")).status == 200


async def test_a_table_is_changed_and_dropped(client: Client, pump: str) -> None:
    await client.create("new_pumps", {"new_name": "P"})
    full = (await client("GET", pump)).json
    changed = full | {"DisplayName": label("Pumpe", _1044="Pumpa"), "HasNotes": True}
    changed |= {"IsAuditEnabled": {"Value": True}}
    assert (await client("PUT", pump, changed)).status == 204
    found = (await client("GET", pump)).json
    assert [one["Label"] for one in found["DisplayName"]["LocalizedLabels"]] == ["Pumpe", "Pumpa"]
    assert found["IsAuditEnabled"]["Value"] is True
    assert found["IsAuditEnabled"]["ManagedPropertyLogicalName"] == "canmodifyauditsettings"
    merged = {"DisplayName": label("Pump")}
    assert (await client("PUT", pump, merged, **MERGING)).status == 204
    found = (await client("GET", pump)).json
    assert [one["Label"] for one in found["DisplayName"]["LocalizedLabels"]] == ["Pump", "Pumpa"]
    off = await client("PUT", pump, {"ChangeTrackingEnabled": False})
    assert off.status == 400
    assert (await client("DELETE", PUMP, If_Match="*")).status == 204
    assert (await client("GET", "new_pumps")).status == 404
    assert (await client("GET", PUMP)).status == 404
    assert (await client("DELETE", "EntityDefinitions(LogicalName='account')")).code == "0x8004f032"
    assert (await client("POST", "EntityDefinitions", table("new_Pump"))).status == 204
    assert (await client("GET", "new_pumps")).value == []


KINDS: list[tuple[dict[str, Any], object, object]] = [
    (column("String", "new_A", MaxLength=5, FormatName={"Value": "Email"}), "abc", "abc"),
    (column("Memo", "new_A", MaxLength=4000), "a\nb", "a\nb"),
    (column("Integer", "new_A", MinValue=0, MaxValue=10), 7, 7),
    (column("BigInt", "new_A"), 2**40, 2**40),
    (column("Decimal", "new_A", Precision=3), 1.2346, 1.235),
    (column("Double", "new_A", Precision=1), 1.26, 1.3),
    (column("Money", "new_A", Precision=2, MinValue=0), 12.5, 12.5),
    (column("Boolean", "new_A", DefaultValue=True), False, False),
    (
        column("Picklist", "new_A", OptionSet={"Options": [{"Value": 5, "Label": label("Five")}]}),
        5,
        5,
    ),
    (
        column("MultiSelectPicklist", "new_A", OptionSet={"Options": [{"Value": 1}, {"Value": 2}]}),
        "2,1",
        "1,2",
    ),
    (column("DateTime", "new_A"), "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"),
    (
        column("DateTime", "new_A", DateTimeBehavior={"Value": "DateOnly"}),
        "2026-01-02",
        "2026-01-02",
    ),
    (
        column("Uniqueidentifier", "new_A"),
        "0A0A0A0A-0000-4000-8000-000000000001",
        "0a0a0a0a-0000-4000-8000-000000000001",
    ),
]


@pytest.mark.usefixtures("pump")
@pytest.mark.parametrize(("body", "sent", "read"), KINDS)
async def test_a_column_of_every_type_is_made_written_and_dropped(
    client: Client, body: dict[str, Any], sent: object, read: object
) -> None:
    old = await client.create("new_pumps", {"new_name": "old"})
    made = await client("POST", f"{PUMP}/Attributes", body | {"DisplayName": label("A")})
    assert made.status == 204, made.text
    assert (await client("GET", f"new_pumps({old})?$select=new_a")).json["new_a"] is None
    row_id = await client.create("new_pumps", {"new_a": sent, "new_name": "N"})
    assert (await client("GET", f"new_pumps({row_id})?$select=new_a")).json["new_a"] == read
    twice = await client("POST", f"{PUMP}/Attributes", body)
    assert (twice.status, twice.code) == (400, "0x80047013")
    kind = body["@odata.type"]
    cast = await client("GET", f"{PUMP}/Attributes(LogicalName='new_a')/{kind}")
    for name, value in body.items():
        if name not in ("@odata.type", "OptionSet"):
            assert cast.json[name] == value, name
    by_id = f"{PUMP}/Attributes({cast.json['MetadataId']})"
    assert (await client("DELETE", by_id)).status == 204
    assert (await client("GET", f"new_pumps({row_id})?$select=new_a")).status == 400
    assert (await client("GET", f"new_pumps({row_id})")).json["new_name"] == "N"
    assert (await client("DELETE", by_id)).status == 404


@pytest.mark.usefixtures("pump")
async def test_files_and_images_come_with_their_companions(client: Client) -> None:
    for kind, limit in (("File", 100), ("Image", 200)):
        body = column(kind, f"new_{kind}", MaxSizeInKB=limit)
        assert (await client("POST", f"{PUMP}/Attributes", body)).status == 204
        cast = f"{PUMP}/Attributes(LogicalName='new_{kind.lower()}')/{body['@odata.type']}"
        assert (await client("GET", cast)).json["MaxSizeInKB"] == limit
    listed = (await client("GET", f"{PUMP}/Attributes?$select=LogicalName")).value
    names = {one["LogicalName"] for one in listed}
    assert {"new_file_name", "new_imageid", "new_image_url", "new_image_timestamp"} <= names
    gone = await client("DELETE", f"{PUMP}/Attributes(LogicalName='new_image')")
    assert gone.status == 204
    listed = (await client("GET", f"{PUMP}/Attributes?$select=LogicalName")).value
    assert not {"new_imageid", "new_image"} & {one["LogicalName"] for one in listed}


@pytest.mark.usefixtures("pump")
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (column("String", "Plain"), "0x80040203"),
        (column("String", "new_A", MaxLength=0), "0x80040203"),
        (column("String", "new_A", MaxLength=10**40), "0x80040203"),
        (column("String", "new_A", MaxLength="5"), "0x80048d19"),
        (column("String", "new_A", FormatName={"Value": "Nonsense"}), "0x80048d19"),
        (column("String", "new_A", AutoNumberFormat="{SEQNUM:4}"), "0x80004001"),
        (column("Integer", "new_A", MinValue=5, MaxValue=1), "0x80040203"),
        (column("Decimal", "new_A", Precision=11), "0x80040203"),
        (column("Decimal", "new_A", MinValue=True), "0x80048d19"),
        (column("Lookup", "new_A"), "0x80040203"),
        (column("State", "new_A"), "0x80040203"),
        (column("Nonsense", "new_A"), "0x80048d19"),
        (column("Picklist", "new_A", OptionSet=[]), "0x80048d19"),
        (column("Picklist", "new_A", OptionSet={"IsGlobal": True, "Name": "no"}), "0x80040203"),
        (
            column("Picklist", "new_A", OptionSet={"Options": [{"Value": 1}, {"Value": 1}]}),
            "0x80040203",
        ),
        (column("Picklist", "new_A", DefaultFormValue=3), "0x80040203"),
        (column("DateTime", "new_A", DateTimeBehavior={"Value": "x"}), "0x80048d19"),
        (column("String", "new_A", DisplayName="text"), "0x80048d19"),
        (column("String", "new_A", RequiredLevel={"Value": []}), "0x80048d19"),
        (column("String", "new_A", IsPrimaryName=True), "0x8004701e"),
        ({"SchemaName": "new_A"}, "0x80048d19"),
    ],
)
async def test_a_refused_column_changes_nothing(
    client: Client, body: dict[str, Any], code: str
) -> None:
    before = await shape(client)
    refused = await client("POST", f"{PUMP}/Attributes", body)
    assert refused.code == code, refused.text
    assert await shape(client) == before


@pytest.mark.usefixtures("pump")
async def test_a_column_is_changed_as_the_sdk_does(client: Client) -> None:
    target = f"{PUMP}/Attributes(LogicalName='new_name')"
    found = (await client("GET", f"{target}/{CRM}StringAttributeMetadata")).json
    body = {k: v for k, v in found.items() if not k.startswith("@")}
    body |= {"@odata.type": f"{CRM}StringAttributeMetadata", "MaxLength": 3}
    by_id = f"{PUMP}/Attributes({found['MetadataId']})"
    assert (await client("PUT", by_id, body, **MERGING)).status == 204
    again = (await client("GET", f"{target}/{CRM}StringAttributeMetadata")).json
    assert again | {"MaxLength": 100} == found
    refused = await client("POST", "new_pumps", {"new_name": "four"})
    assert (refused.status, refused.code) == (400, "0x80044331")
    other = await client("PUT", by_id, body | {"@odata.type": f"{CRM}MemoAttributeMetadata"})
    assert other.status == 400


async def test_what_must_stay_is_not_dropped(client: Client, pump: str) -> None:
    attributes = f"{PUMP}/Attributes"
    primary = await client("DELETE", f"{attributes}(LogicalName='new_name')")
    assert (primary.status, primary.code) == (400, "0x80047002")
    system = await client("DELETE", f"{attributes}(LogicalName='createdon')")
    assert (system.status, system.code) == (400, "0x8004f032")
    await client("POST", attributes, column("Money", "new_Price"))
    base = await client("DELETE", f"{attributes}(LogicalName='new_price_base')")
    assert (base.status, base.code) == (400, "0x80048cfe")
    assert (await client("DELETE", f"{attributes}(LogicalName='no')")).status == 404
    assert (await client("PATCH", pump, {})).status == 501
    assert (await client("DELETE", "EntityDefinitions")).status == 405


async def test_keys_are_made_listed_and_dropped(client: Client, pump: str) -> None:
    await client("POST", f"{PUMP}/Attributes", column("String", "new_Code"))
    key = {"SchemaName": "new_CodeKey", "KeyAttributes": ["new_code"], "DisplayName": label("K")}
    made = await client("POST", f"{PUMP}/Keys", key)
    assert made.status == 204, made.text
    again = await client("POST", f"{PUMP}/Keys", key)
    assert (again.status, again.code) == (400, "0x80060893")
    (one,) = (await client("GET", f"{PUMP}/Keys")).value
    assert (one["KeyAttributes"], one["EntityKeyIndexStatus"]) == (["new_code"], "Active")
    assert made.headers["OData-EntityId"].endswith(f"/Keys({one['MetadataId']})")
    row_id = await client.create("new_pumps", {"new_code": "C1"})
    by_key = await client("GET", "new_pumps(new_code='C1')")
    assert by_key.json["new_pumpid"] == row_id
    used = await client("DELETE", f"{PUMP}/Attributes(LogicalName='new_code')")
    assert (used.status, used.code) == (400, "0x8004f01f")
    for columns in ([], ["no"], ["new_name", "new_name"], "new_name", [1]):
        bad = key | {"SchemaName": "new_Other", "KeyAttributes": columns}
        assert (await client("POST", f"{PUMP}/Keys", bad)).status == 400
    for _ in range(2):
        await client.create("new_pumps", {"new_name": "same"})
    alike = {"SchemaName": "new_NameKey", "KeyAttributes": ["new_name"]}
    assert (await client("POST", f"{PUMP}/Keys", alike)).status == 412
    assert (await client("DELETE", f"{PUMP}/Keys({one['MetadataId']})")).status == 204
    assert (await client("GET", f"{PUMP}/Keys")).value == []


async def test_a_changed_table_expires_its_delta_tokens(client: Client, pump: str) -> None:
    async def link(name: str) -> str:
        answer = await client("GET", name, Prefer="odata.track-changes")
        return str(answer.json["@odata.deltaLink"])

    pumps, accounts = await link("new_pumps"), await link("accounts")
    version = "@Microsoft.Dynamics.CRM.globalmetadataversion"
    star = {"Prefer": 'odata.include-annotations="*"'}
    before = (await client("GET", "accounts", **star)).json[version]
    await client("POST", f"{PUMP}/Attributes", column("String", "new_Code"))
    assert (await client("GET", "accounts", **star)).json[version] > before
    expired = await client("GET", pumps)
    assert (expired.status, expired.code) == (400, "0x80044352")
    assert (await client("GET", accounts)).status == 200


async def test_metadata_is_not_changed_inside_a_change_set(client: Client) -> None:
    body = (
        "--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n"
        "--c\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n"
        "Content-ID: 1\r\n\r\nPOST /api/data/v9.2/EntityDefinitions HTTP/1.1\r\n"
        'Content-Type: application/json\r\n\r\n{"SchemaName":"new_X"}\r\n--c--\r\n--b--\r\n'
    )
    answer = await client("POST", "$batch", data=body, Content_Type="multipart/mixed; boundary=b")
    assert "0x80004001" in answer.text


async def test_who_hides_a_column_that_goes_is_not_in_the_way(
    client: Client, dataverse: Dataverse, pump: str
) -> None:
    await client("POST", f"{PUMP}/Attributes", column("String", "new_Code"))
    ann = dataverse.security.user_of("demo-token")
    assert ann
    dataverse.secure("new_pump", "new_code", hidden_from=ann)
    row_id = await client.create("new_pumps", {"new_name": "P"})
    assert (await client("DELETE", f"{PUMP}/Attributes(LogicalName='new_code')")).status == 204
    row = await client("GET", f"new_pumps({row_id})")
    assert (row.status, row.json["new_name"]) == (200, "P")

"""Microsoft's own client judges the emulator, synchronous and asynchronous.

One long scenario for both; then every request shape that a recorded session of this client and of
the people around it had must have been sent here, and answered with the recorded statuses.
"""

from __future__ import annotations

import asyncio
import base64
import enum
import tempfile
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from PowerPlatform.Dataverse.core.errors import HttpError, MetadataError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.query_builder import ExpandOption
from PowerPlatform.Dataverse.models.relationship import ManyToManyRelationshipMetadata
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from holdfast_emulator import Dataverse
from support.emulated import DOUBLE, serving
from support.microsoft_sdk import TOKEN, entered, every, now, sdk
from support.request_shapes import Listed, Shape, listed, seen

FORMATTED: Final = "OData.Community.Display.V1.FormattedValue"
LISTED: Final = listed("requests_of_microsofts_python_sdk.txt")
START: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
IMAGE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
GONE: Final = "00000000-0000-4000-8000-00000000dead"


class Stage(enum.IntEnum):
    """A local option set, as the client makes one from an enumeration."""

    PLANNED = 100000000
    RUNNING = 100000001


class Scenario:
    """Everything the client can do, area by area; later areas build on earlier ones."""

    def __init__(self, client: Any, session: aiohttp.ClientSession, url: str) -> None:
        self.client = client
        self.session = session
        self.root = f"{url}/api/data/v9.2/"
        self.made: dict[str, str] = {}

    async def raw(
        self, method: str, target: str, json: object = None, **headers: str
    ) -> tuple[int, Any, Any]:
        """Send what scripts send beside the client."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {TOKEN}"
        async with self.session.request(
            method, self.root + target, json=json, headers=named
        ) as reply:
            content = await reply.read()
            is_json = reply.content_type == "application/json" and content
            return reply.status, reply.headers, await reply.json() if is_json else content

    async def tables(self) -> None:
        tables = self.client.tables
        project = await now(
            tables.create(
                "hfv_Project",
                {
                    "hfv_Code": "string",
                    "hfv_Notes": {"type": "memo", "max_length": 2000},
                    "hfv_Count": {"type": "int", "min_value": 0, "max_value": 500},
                    "hfv_Price": "decimal",
                    "hfv_Ratio": "float",
                    "hfv_Due": "datetime",
                    "hfv_Active": "bool",
                    "hfv_Stage": Stage,
                },
                display_name="Project",
            )
        )
        assert (project["entity_set_name"], project["table_logical_name"]) == (
            "hfv_projects",
            "hfv_project",
        )
        await now(tables.create("hfv_Tag", {"hfv_Rank": "int"}, primary_column="hfv_Label"))
        await now(tables.create("hfv_Step", {"hfv_Order": "int"}))
        with pytest.raises(MetadataError):
            await now(tables.create("hfv_Tag", {}))
        found = await now(tables.get("hfv_Project"))
        assert found["primary_name_attribute"] == "hfv_name"
        assert await now(tables.get("hfv_Nothing")) is None
        custom = await now(tables.list(filter="IsCustomEntity eq true"))
        assert {"hfv_project", "hfv_tag"} <= {one["LogicalName"] for one in custom}
        assert await now(tables.list(select=["LogicalName", "SchemaName"]))
        owned = "OwnershipType eq Microsoft.Dynamics.CRM.OwnershipTypes'UserOwned'"
        assert await now(tables.list(filter=owned, select=["LogicalName"]))

    async def columns(self) -> None:
        tables = self.client.tables
        await now(tables.add_columns("hfv_Project", {"hfv_Extra": "string", "hfv_Flag": "bool"}))
        await now(tables.remove_columns("hfv_Project", "hfv_Extra"))
        await now(tables.update_column("hfv_Project", "hfv_Notes", {"max_length": 4000}))
        names = {one["LogicalName"] for one in await now(tables.list_columns("hfv_Project"))}
        assert {"hfv_code", "hfv_flag", "createdon", "statecode"} <= names
        assert "hfv_extra" not in names
        some = await now(
            tables.list_columns(
                "hfv_Project",
                select=["LogicalName", "AttributeType"],
                filter="AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Memo'",
            )
        )
        assert [one["LogicalName"] for one in some] == ["hfv_notes"]
        one = await now(tables.get_column("hfv_Project", "hfv_Notes", typed=True))
        assert one["MaxLength"] == 4000
        typed = await now(tables.list_columns("hfv_Project", typed=True))
        count = next(one for one in typed if one["LogicalName"] == "hfv_count")
        assert (count["MinValue"], count["MaxValue"]) == (0, 500)
        await now(tables.update_column("hfv_Project", "hfv_Code", {"max_length": 60}))
        code = await now(tables.get_column("hfv_Project", "hfv_Code", typed=True))
        assert code["MaxLength"] == 60
        assert await now(tables.get_column("hfv_Project", "hfv_Code", select=["SchemaName"]))
        assert await now(tables.list_columns("hfv_Project", select=["LogicalName"]))
        for_sql = await now(self.client.query.sql_columns("hfv_Project"))
        assert for_sql[0]["is_pk"]
        assert "name" in {
            one["name"] for one in await now(self.client.query.sql_columns("account"))
        }
        selectable = self.client.query.odata_expands("contact")
        assert any(one["target_table"] == "account" for one in await now(selectable))

    async def keys_and_relationships(self) -> None:
        tables = self.client.tables
        key = await now(tables.create_alternate_key("hfv_Project", "hfv_CodeKey", ["hfv_code"]))
        (known,) = await now(tables.get_alternate_keys("hfv_Project"))
        assert (known.key_attributes, known.status) == (["hfv_code"], "Active")
        spare = await now(tables.create_alternate_key("hfv_Tag", "hfv_RankKey", ["hfv_rank"]))
        await now(tables.delete_alternate_key("hfv_Tag", spare.metadata_id))
        assert await now(tables.get_alternate_keys("hfv_Tag")) == []
        assert key.metadata_id
        lookup = await now(tables.create_lookup_field("hfv_step", "hfv_ProjectId", "hfv_project"))
        await now(tables.create_lookup_field("hfv_project", "hfv_AccountId", "account"))
        many = await now(
            tables.create_many_to_many_relationship(
                ManyToManyRelationshipMetadata("hfv_project_tag", "hfv_project", "hfv_tag")
            )
        )
        found = await now(tables.get_relationship("hfv_project_tag"))
        assert found.relationship_type == "many_to_many"
        assert await now(tables.get_relationship("hfv_nothing")) is None
        listed_ = await now(tables.list_table_relationships("hfv_Project"))
        names = {one["SchemaName"] for one in listed_}
        assert {"hfv_project_tag", lookup.relationship_schema_name} <= names
        kind = "Microsoft.Dynamics.CRM.RelationshipType'ManyToManyRelationship'"
        every_one = await now(tables.list_relationships(filter=f"RelationshipType eq {kind}"))
        assert "hfv_project_tag" in {one["SchemaName"] for one in every_one}
        self.made["many"] = many.relationship_id
        self.made["lookup"] = lookup.relationship_id

    async def records(self) -> None:
        records = self.client.records
        account = await now(
            records.create("account", {"name": "Ærø Marine", "industrycode": "Accounting"})
        )
        row = await now(records.retrieve("account", account, select=["name", "industrycode"]))
        assert (row["name"], row["industrycode"]) == ("Ærø Marine", 1)
        await now(records.update("account", account, {"revenue": 12.5}))
        row = await now(records.retrieve("account", account, include_annotations=FORMATTED))
        assert row[f"revenue@{FORMATTED}"] == "$12.50"
        row = await now(
            records.retrieve("account", account, select=["revenue"], include_annotations=FORMATTED)
        )
        assert row[f"revenue@{FORMATTED}"] == "$12.50"
        assert await now(records.retrieve("account", GONE)) is None
        with pytest.raises(HttpError) as refused:
            await now(records.update("account", GONE, {"name": "C"}))
        assert refused.value.status_code == 404
        with pytest.raises(HttpError) as refused:
            await now(records.delete("account", GONE))
        assert refused.value.status_code == 404
        project = await now(
            records.create(
                "hfv_project",
                {
                    "hfv_name": "Wind farm",
                    "hfv_code": "W-1",
                    "hfv_price": 12.34,
                    "hfv_count": 7,
                    "hfv_due": "2026-11-23T08:00:00.123",
                    "hfv_active": True,
                    "hfv_stage": "Running",
                    "hfv_AccountId@odata.bind": f"/accounts({account})",
                },
            )
        )
        row = await now(records.retrieve("hfv_project", project, expand=["hfv_AccountId"]))
        assert row["hfv_AccountId"]["name"] == "Ærø Marine"
        assert (row["hfv_stage"], row["hfv_price"]) == (100000001, 12.34)
        row = await now(
            records.retrieve(
                "hfv_project", project, select=["hfv_name"], expand=["hfv_AccountId", "owninguser"]
            )
        )
        assert row["owninguser"]["ownerid"]
        for values, status in (
            ({"hfv_code": "W-1"}, 412),
            ({"hfv_projectid": project}, 412),
            ({"hfv_count": 501}, 400),
            ({"hfv_AccountId@odata.bind": f"/accounts({GONE})"}, 404),
        ):
            with pytest.raises(HttpError) as refused:
                await now(records.create("hfv_project", values))
            assert refused.value.status_code == status, values
        self.made |= {"account": account, "project": project}

    async def bulk(self) -> None:
        records = self.client.records
        ids = await now(records.create("contact", [{"lastname": f"Bø {n}"} for n in range(20)]))
        assert len(set(ids)) == 20
        await now(records.update("contact", ids, {"jobtitle": "Technician"}))
        await now(records.update("contact", ids[:2], [{"jobtitle": "Käufer"}, {"jobtitle": None}]))
        assert len(await now(records.list("contact", filter="jobtitle eq 'technician'"))) == 18
        with pytest.raises(HttpError) as refused:
            await now(records.update("contact", [ids[0], GONE], {"jobtitle": "undone"}))
        assert refused.value.status_code == 404
        with pytest.raises(HttpError) as refused:
            await now(records.create("contact", [{"lastname": "x"}, {"lastname": "y" * 51}]))
        assert refused.value.status_code == 400
        assert len(await now(records.list("contact", filter="jobtitle eq 'undone'"))) == 0
        assert await now(records.delete("contact", ids[:19]))
        left = await now(records.list("contact", select=["contactid"]))
        assert [row["contactid"] for row in left] == ids[19:]
        await now(records.delete("contact", [ids[19]], use_bulk_delete=False))
        code = {"hfv_code": "O'Neil"}
        for name in ("created", "updated"):
            item = UpsertItem(alternate_key=code, record={"hfv_name": name})
            await now(records.upsert("hfv_project", [item]))
        items = [UpsertItem({"hfv_code": f"U-{n}"}, {"hfv_name": f"U {n}"}) for n in range(3)]
        for _ in range(2):
            await now(records.upsert("hfv_project", items))
        found = await now(records.list("hfv_project", filter="startswith(hfv_code,'U-')"))
        assert len(found) == 3
        by_id = UpsertItem({"accountid": uuid.UUID(int=7)}, {"name": "by its id"})
        await now(records.upsert("account", [by_id]))
        row = await now(records.retrieve("account", str(uuid.UUID(int=7))))
        assert row["name"] == "by its id"

    async def queries(self) -> None:
        records, query = self.client.records, self.client.query
        rows = [{"name": f"Account {n:02}", "numberofemployees": n % 3} for n in range(20)]
        await now(records.create("account", rows))
        found = await now(
            records.list(
                "account",
                filter=(col("numberofemployees") == 1) & ~(col("name") == "Account 01"),
                select=["name"],
                orderby=["name desc"],
                top=2,
            )
        )
        assert [row["name"] for row in found] == ["Account 19", "Account 16"]
        numbered = "startswith(name,'Account')"
        assert await now(records.list("account", filter=numbered, select=["name"], count=True))
        for size, lengths in ((5, [5, 5, 5, 5]), (4, [4] * 5), (1, [1] * 20)):
            pages = await every(
                records.list_pages(
                    "account", filter=numbered, select=["name"], orderby=["name"], page_size=size
                )
            )
            assert [len(page) for page in pages] == lengths
        pages = await every(records.list_pages("account", filter=numbered, top=7, page_size=3))
        assert sum(len(page) for page in pages) >= 7
        assert (
            len(await now(records.list("account", filter=col("numberofemployees").in_([1, 2]))))
            == 13
        )
        assert await now(records.list("account", select=["name"], top=1))
        assert await now(records.list("account", filter=numbered, select=["name"]))
        assert await now(
            records.list("account", filter=numbered, select=["name"], orderby=["name desc"])
        )
        for wrong in ("nonsense eq 1", "name eq"):
            with pytest.raises(HttpError) as refused:
                await now(records.list("account", filter=wrong))
            assert refused.value.status_code == 400
        with pytest.raises(HttpError) as refused:
            await now(records.list("account", select=["nonsense"], top=1))
        assert refused.value.status_code == 400
        built = (
            query.builder("hfv_project")
            .select("hfv_name")
            .where(col("hfv_name") == "Wind farm")
            .expand(ExpandOption("hfv_AccountId").select("name"))
        )
        (row,) = await now(built.execute())
        assert row["hfv_AccountId"]["name"] == "Ærø Marine"
        xml = (
            "<fetch count='6'><entity name='account'>"
            "<attribute name='name'/><order attribute='name'/>"
            "<filter><condition attribute='name' operator='begins-with' value='Account'/></filter>"
            "</entity></fetch>"
        )
        assert len(await now(query.fetchxml(xml).execute())) == 20
        pages = await every(query.fetchxml(xml).execute_pages())
        assert [len(page) for page in pages] == [6, 6, 6, 2]
        found = await now(
            query.sql(
                "SELECT TOP 2 a.name, COUNT(*) AS number FROM account a "
                "WHERE a.name LIKE 'Account%' GROUP BY a.name ORDER BY a.name DESC"
            )
        )
        assert [(row["name"], row["number"]) for row in found] == [
            ("Account 19", 1),
            ("Account 18", 1),
        ]
        assert (
            len(await now(query.sql("SELECT name FROM account WHERE numberofemployees = 1"))) == 7
        )

    async def batches(self) -> None:
        batch = self.client.batch.new()
        batch.records.create("account", {"name": "Alone"})
        async with entered(batch.changeset()) as changes:
            contact = changes.records.create("contact", {"lastname": "O'Neil"})
            account = changes.records.create(
                "account", {"name": "A & B", "primarycontactid@odata.bind": contact}
            )
            changes.records.update("contact", contact, {"firstname": "Åse"})
            changes.records.update("account", account, {"fax": "47"})
        batch.records.create("task", [{"subject": "one"}, {"subject": "two"}])
        batch.records.list("account", filter="fax eq '47'", select=["name", "fax"])
        batch.query.sql("SELECT name FROM account WHERE fax = '47'")
        batch.tables.get("hfv_Project")
        result = await now(batch.execute())
        assert not result.has_errors, [one.error_message for one in result.failed]
        assert len(result.responses) == 9
        for goes_on, statuses in ((False, [400]), (True, [400, 204])):
            batch = self.client.batch.new()
            batch.records.create("account", {"name": "x" * 161})
            batch.records.create("account", {"name": "A"})
            result = await now(batch.execute(continue_on_error=goes_on))
            assert [one.status_code for one in result.responses] == statuses
            assert result.failed[0].error_code == "0x80044331"
        batch = self.client.batch.new()
        async with entered(batch.changeset()) as changes:
            changes.records.create("account", {"name": "undone"})
            changes.records.create("account", {"nonsense": 1})
        assert (await now(batch.execute())).has_errors
        undone = self.client.records.list("account", filter="name eq 'undone'")
        assert len(await now(undone)) == 0

    async def files(self) -> None:
        project = self.made["project"]
        with tempfile.TemporaryDirectory() as folder:
            small, large = Path(folder) / "small.txt", Path(folder) / "large.bin"
            small.write_bytes(b"holdfast")
            large.write_bytes(b"holdfast" * 1_200_000)
            upload = self.client.files.upload
            await now(upload("hfv_project", project, "hfv_Document", str(small)))
            content = await self.raw("GET", f"hfv_projects({project})/hfv_document/$value")
            assert content[2] == b"holdfast"
            await now(
                upload(
                    "hfv_project",
                    project,
                    "hfv_Document",
                    str(large),
                    mode="chunk",
                    if_none_match=False,
                )
            )
            content = await self.raw("GET", f"hfv_projects({project})/hfv_document/$value")
            assert content[2] == large.read_bytes()

    async def beside_the_client(self) -> None:
        raw, account, project = self.raw, self.made["account"], self.made["project"]
        assert (await raw("GET", ""))[0] == 200
        assert (await raw("GET", "$metadata"))[2].startswith(b"<?xml")
        assert (await raw("GET", "WhoAmI"))[2]["UserId"] == (await raw("GET", "WhoAmI()"))[2][
            "UserId"
        ]
        counted = await raw("GET", "accounts/$count")
        assert int(counted[2].decode("utf-8-sig")) > 20
        made = await raw(
            "POST", "accounts?$select=name", {"name": "Shown"}, Prefer="return=representation"
        )
        assert (made[0], made[2]["name"]) == (201, "Shown")
        row = await raw("GET", f"accounts({account})?$select=name")
        etag = row[2]["@odata.etag"]
        same = await raw("GET", f"accounts({account})?$select=name", If_None_Match=etag)
        assert same[0] == 304
        target = f"accounts({account})"
        assert (await raw("PATCH", target, {"fax": "1"}, If_Match=etag))[0] == 204
        assert (await raw("PATCH", target, {"fax": "2"}, If_Match=etag))[0] == 412
        assert (await raw("PATCH", target, {"fax": "2"}, If_None_Match="*"))[0] == 412
        fresh = "00000000-0000-4000-8000-0000000000aa"
        assert (await raw("PATCH", f"accounts({fresh})", {"name": "Upserted"}))[0] == 204
        by_code = await raw("GET", "hfv_projects(hfv_code='W-1')?$select=hfv_name")
        assert by_code[2]["hfv_name"] == "Wind farm"
        tag = await now(self.client.records.create("hfv_tag", {"hfv_label": "urgent"}))
        pairs = f"hfv_projects({project})/hfv_project_tag"
        link = {"@odata.id": f"{self.root}hfv_tags({tag})"}
        assert (await raw("POST", f"{pairs}/$ref", link))[0] == 204
        assert (await raw("POST", f"{pairs}/$ref", link))[0] == 412
        tags = await raw("GET", f"{pairs}?$select=hfv_label")
        assert [one["hfv_label"] for one in tags[2]["value"]] == ["urgent"]
        assert (await raw("DELETE", f"{pairs}({tag})/$ref"))[0] == 204
        assert (await raw("GET", f"{pairs}?$select=hfv_label"))[2]["value"] == []

    async def deep_inserts_and_bindings(self) -> None:
        records = self.client.records
        contacts = [{"lastname": "First"}, {"lastname": "Second"}]
        deep = {"primarycontactid": {"lastname": "Chief"}, "contact_customer_accounts": contacts}
        account = await now(records.create("account", {"name": "Made along", **deep}))
        row = await now(records.retrieve("account", account, expand=["primarycontactid"]))
        assert row["primarycontactid"]["lastname"] == "Chief"
        bind = {"hfv_AccountId@odata.bind": f"/accounts({account})"}
        project = await now(records.create("hfv_project", {"hfv_code": "D-1", **bind}))
        children = f"_parentcustomerid_value eq {account}"
        assert len(await now(records.list("contact", filter=children))) == 2
        by_key = {"hfv_ProjectId@odata.bind": "/hfv_projects(hfv_code='D-1')"}
        step = await now(records.create("hfv_step", {"hfv_name": "by key", **by_key}))
        row = await now(records.retrieve("hfv_step", step, include_annotations="*"))
        assert row["_hfv_projectid_value"] == project
        assert row["_hfv_projectid_value@Microsoft.Dynamics.CRM.lookuplogicalname"] == "hfv_project"
        missing = {"hfv_ProjectId@odata.bind": "/hfv_projects(hfv_code='D-2')"}
        for values, status in ((missing, 404), ({"hfv_projectid@odata.bind": "/x(1)"}, 400)):
            with pytest.raises(HttpError) as refused:
                await now(records.update("hfv_step", step, values))
            assert refused.value.status_code == status
        contacts[1]["lastname"] = "x" * 51
        with pytest.raises(HttpError) as refused:
            await now(records.create("account", {"name": "undone", **deep}))
        assert refused.value.status_code == 400
        assert len(await now(records.list("account", filter="name eq 'undone'"))) == 0
        await now(records.update("hfv_step", step, {"hfv_ProjectId@odata.bind": None}))
        row = await now(records.retrieve("hfv_step", step))
        assert row["_hfv_projectid_value"] is None
        target = f"hfv_projects({project})"
        assert (await self.raw("PUT", f"{target}/hfv_notes", {"value": "n"}))[0] == 204
        assert (await self.raw("GET", f"{target}/hfv_notes"))[2]["value"] == "n"
        assert (await self.raw("DELETE", f"{target}/hfv_notes"))[0] == 204
        await now(records.delete("account", account))
        assert len(await now(records.list("contact", filter=children))) == 0  # Cascade

    async def images(self) -> None:
        records = self.client.records
        account = await now(records.create("account", {"name": "Seen", "entityimage": IMAGE}))
        row = await now(records.retrieve("account", account))
        assert row["entityimage"]
        assert row["entityimage_url"]
        full = await self.raw("GET", f"accounts({account})/entityimage/$value?size=full")
        assert base64.b64encode(full[2]).decode() == IMAGE
        with pytest.raises(HttpError) as refused:
            await now(records.update("account", account, {"entityimage": "bm8="}))
        assert refused.value.status_code == 400
        await now(records.update("account", account, {"entityimage": None}))
        row = await now(records.retrieve("account", account, select=["entityimage"]))
        assert row["entityimage"] is None

    async def actions(self) -> None:
        """The client has no call for actions; what they do to rows, it sees."""
        records, post = self.client.records, self.raw
        for action, state, reason in (("WinOpportunity", 1, 3), ("LoseOpportunity", 2, 4)):
            row_id = await now(records.create("opportunity", {"name": action}))
            closing = {"subject": "s", "opportunityid@odata.bind": f"/opportunities({row_id})"}
            done = await post("POST", action, {"Status": reason, "OpportunityClose": closing})
            assert done[0] == 204
            row = await now(records.retrieve("opportunity", row_id))
            assert (row["statecode"], row["statuscode"]) == (state, reason)
        bind = {"customerid_account@odata.bind": f"/accounts({self.made['account']})"}
        incident = await now(records.create("incident", {"title": "Broken", **bind}))
        resolution = {"subject": "s", "incidentid@odata.bind": f"/incidents({incident})"}
        body = {"Status": 5, "IncidentResolution": resolution}
        assert (await post("POST", "CloseIncident", body))[0] == 204
        assert (await now(records.retrieve("incident", incident)))["statecode"] == 1
        lead = await now(records.create("lead", {"subject": "Buys", "lastname": "Bø"}))
        wanted = ("CreateAccount", "CreateContact", "CreateOpportunity")
        body = {**dict.fromkeys(wanted, True), "Status": 3}
        made = await post("POST", f"leads({lead})/Microsoft.Dynamics.CRM.QualifyLead", body)
        assert (made[0], len(made[2]["value"])) == (200, 3)
        queue = await now(records.create("queue", {"name": "Service"}))
        task = await now(records.create("task", {"subject": "call"}))
        target = {"activityid": task, "@odata.type": "Microsoft.Dynamics.CRM.task"}
        url = f"queues({queue})/Microsoft.Dynamics.CRM.AddToQueue"
        added = await post("POST", url, {"Target": target})
        waiting = await now(records.retrieve("queueitem", added[2]["QueueItemId"]))
        assert waiting["_objectid_value"] == task
        names = 'RetrieveTotalRecordCount(EntityNames=@p)?@p=["queue"]'
        totals = await post("GET", names)
        assert totals[2]["EntityRecordCountCollection"]["Values"] == [1]
        assert (await post("POST", "new_Double", {"Number": 21}))[2]["Twice"] == 42

    async def cascades(self) -> None:
        records = self.client.records
        bind = {"hfv_ProjectId@odata.bind": f"/hfv_projects({self.made['project']})"}
        step = await now(records.create("hfv_step", {"hfv_name": "dig", **bind}))
        await now(records.delete("hfv_project", self.made["project"]))
        row = await now(records.retrieve("hfv_step", step))
        assert row["_hfv_projectid_value"] is None

    async def dropping(self) -> None:
        tables = self.client.tables
        await now(tables.delete_relationship(self.made["many"]))
        await now(tables.delete_relationship(self.made["lookup"]))
        for name in ("hfv_Step", "hfv_Tag", "hfv_Project"):
            await now(tables.delete(name))
            assert await now(tables.get(name)) is None
        with pytest.raises(MetadataError):
            await now(tables.delete("hfv_Project"))


AREAS: Final = (
    *("tables", "columns", "keys_and_relationships", "records", "bulk", "queries"),
    *("batches", "files", "beside_the_client", "deep_inserts_and_bindings", "images", "actions"),
    *("cascades", "dropping"),
)


class Run:
    """One run of the scenario: what became of each area, and what was sent."""

    def __init__(self) -> None:
        self.failures: dict[str, Exception | None] = {}
        self.shapes: dict[Shape, set[int]] = {}
        self.unsupported: list[str] = []


async def run(*, asynchronous: bool) -> Run:
    done = Run()
    dataverse = Dataverse(lambda: START)
    dataverse.register(DOUBLE)
    with serving(dataverse) as server:
        async with (
            sdk(server.url, asynchronous=asynchronous) as client,
            aiohttp.ClientSession() as session,
        ):
            scenario = Scenario(client, session, server.url)
            for area in AREAS:
                try:
                    await getattr(scenario, area)()
                except Exception as error:  # noqa: BLE001  told by the test of this area
                    done.failures[area] = error
        done.shapes = seen(server.trace)
        done.unsupported = sorted({str(o["unsupported"]) for o in server.trace if o["unsupported"]})
    return done


@pytest.fixture(scope="module")
def runs() -> dict[bool, Run]:
    return {flavour: asyncio.run(run(asynchronous=flavour)) for flavour in (False, True)}


pytestmark = [
    pytest.mark.timeout(300),
    # Its asynchronous flavour sends a file in one piece, and aiohttp would rather it did not.
    pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning"),
]


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
@pytest.mark.parametrize("area", AREAS)
def test_the_client_does(area: str, runs: dict[bool, Run], *, asynchronous: bool) -> None:
    failure = runs[asynchronous].failures.get(area)
    if failure:
        raise failure


@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_nothing_it_sent_is_unsupported(runs: dict[bool, Run], *, asynchronous: bool) -> None:
    assert runs[asynchronous].unsupported == []


@pytest.mark.parametrize("line", LISTED, ids=lambda line: str(line.shape))
def test_every_recorded_request_is_answered_as_recorded(
    line: Listed, runs: dict[bool, Run]
) -> None:
    statuses = set[int]().union(*(one.shapes.get(line.shape, set()) for one in runs.values()))
    assert line.statuses <= statuses

"""Sharing rows, and putting users into teams, over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from contrib.emulator.conftest import Answer, Client
from holdfast.values import Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.relationships import Cascade
from holdfast_emulator.behaviour.security import Depth, Privilege, User

CRM = "Microsoft.Dynamics.CRM"
ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
ACCOUNT = {"@odata.type": f"{CRM}.account", "accountid": ID}
EVERYTHING = (
    "ReadAccess, WriteAccess, AppendAccess, AppendToAccess, CreateAccess, DeleteAccess, "
    "ShareAccess, AssignAccess"
)


@pytest.fixture
def kari(dataverse: Dataverse) -> User:
    kari = dataverse.add_user("Kari Nordmann", token="kari")
    for table in ("account", "contact", "opportunity", "task"):
        dataverse.security.limit(kari, table, Depth.BASIC)
    return kari


@pytest.fixture(autouse=True)
def rows(dataverse: Dataverse) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann
    dataverse.create(ann, "account", {"accountid": ID, "name": "A"})
    dataverse.create(ann, "account", {"accountid": OTHER, "name": "B"})


def principal(user: User) -> dict[str, str]:
    return {"@odata.type": f"{CRM}.systemuser", "systemuserid": user.id}


async def share(
    client: Client,
    user: User | dict[str, str],
    mask: object,
    action: str = "GrantAccess",
    **target: Any,
) -> Answer:
    who = principal(user) if isinstance(user, User) else user
    granted = {"Principal": who, "AccessMask": mask}
    return await client("POST", action, {"Target": target or ACCOUNT, "PrincipalAccess": granted})


async def rights(client: Client, who: str, target: str = f"accounts({ID})") -> str:
    answer = await client(
        "GET", f"{who}/{CRM}.RetrievePrincipalAccess(Target=@t)?@t={{'@odata.id':'{target}'}}"
    )
    assert answer.status == 200, answer.text
    return str(answer.json["AccessRights"])


async def seen(client: Client, query: str = "") -> list[str]:
    answer = await client("GET", f"accounts?$select=name{query}", token="kari")
    return [row["name"] for row in answer.value]


async def test_a_shared_row_is_reached_as_far_as_its_mask_says(client: Client, kari: User) -> None:
    assert await seen(client) == []
    etag = (await client("GET", f"accounts({ID})")).json["@odata.etag"]
    assert (await share(client, kari, "ReadAccess")).status == 204
    assert await seen(client) == ["A"]
    assert (await client("GET", f"accounts({ID})", token="kari")).json["@odata.etag"] == etag
    assert (await client("GET", "accounts/$count", token="kari")).text.endswith("1")
    refused = await client("PATCH", f"accounts({ID})", {"fax": "1"}, token="kari")
    assert (refused.status, refused.code) == (403, "0x80048306")
    assert (await share(client, kari, "WriteAccess,DeleteAccess")).status == 204
    assert (await client("PATCH", f"accounts({ID})", {"fax": "1"}, token="kari")).status == 204
    assert await rights(client, f"systemusers({kari.id})") == (
        "ReadAccess, WriteAccess, DeleteAccess"
    )
    revoked = await client("POST", "RevokeAccess", {"Target": ACCOUNT, "Revokee": principal(kari)})
    assert revoked.status == 204
    assert await seen(client) == []
    assert await rights(client, f"systemusers({kari.id})") == "None"


async def test_modifying_replaces_what_granting_adds_to(client: Client, kari: User) -> None:
    await share(client, kari, "ReadAccess, WriteAccess")
    await share(client, kari, "None")
    assert await rights(client, f"systemusers({kari.id})") == "ReadAccess, WriteAccess"
    await share(client, kari, "ReadAccess", "ModifyAccess")
    assert await rights(client, f"systemusers({kari.id})") == "ReadAccess"
    await share(client, kari, 0, "ModifyAccess")
    assert await rights(client, f"systemusers({kari.id})") == "None"
    assert (await client("GET", "principalobjectaccessset")).value == []


async def test_what_is_shared_is_listed_and_is_a_row(client: Client, kari: User) -> None:
    await share(client, kari, "ReadAccess,WriteAccess")
    target = f'{{"@odata.id":"accounts({ID})"}}'
    answer = await client("GET", f"RetrieveSharedPrincipalsAndAccess(Target=@t)?@t={target}")
    assert answer.json == {
        "@odata.context": f"{client.root}$metadata#{CRM}.RetrieveSharedPrincipalsAndAccessResponse",
        "PrincipalAccesses": [
            {
                "AccessMask": "ReadAccess, WriteAccess",
                "Principal": {"@odata.type": f"#{CRM}.systemuser", "ownerid": kari.id},
            }
        ],
    }
    found = await client("GET", f"principalobjectaccessset?$filter=objectid eq {ID}")
    (row,) = found.value
    assert row["accessrightsmask"] == 3
    assert (row["objecttypecode"], row["principaltypecode"]) == ("account", "systemuser")
    made = await client("POST", "principalobjectaccessset", {"objectid": ID})
    assert (made.status, made.code) == (400, "0x80040800")


async def test_a_deleted_row_is_shared_no_more(client: Client, kari: User) -> None:
    await share(client, kari, "ReadAccess")
    await client("DELETE", f"accounts({ID})")
    assert (await client("GET", "principalobjectaccessset")).value == []


async def test_a_row_is_shared_with_a_team_and_its_members(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    team = dataverse.people.add_team("Readers")
    who = {"@odata.type": f"{CRM}.team", "ownerid": team}
    assert (await share(client, who, "ReadAccess")).status == 204
    assert await seen(client) == []
    joined = await client(
        "POST", f"teams({team})/{CRM}.AddMembersTeam", {"Members": [principal(kari)]}
    )
    assert joined.status == 204, joined.text
    assert await seen(client) == ["A"]
    assert await rights(client, f"teams({team})") == "ReadAccess"
    members = [{"@odata.id": f"systemusers({kari.id})"}]
    left = await client("POST", f"teams({team})/{CRM}.RemoveMembersTeam", {"Members": members})
    assert left.status == 204
    assert await seen(client) == []


async def test_members_are_what_the_association_says(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    team = dataverse.people.add_team("Readers")
    await client("PATCH", f"accounts({ID})", {"ownerid@odata.bind": f"/teams({team})"})
    link = f"teams({team})/teammembership_association/$ref"
    assert (await client("POST", link, {"@odata.id": f"systemusers({kari.id})"})).status == 204
    assert await seen(client) == ["A"]
    gone = f"teams({team})/teammembership_association({kari.id})/$ref"
    assert (await client("DELETE", gone)).status == 204
    assert await seen(client) == []


async def test_sharing_goes_down_where_a_relationship_says_so(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    name = "contact_customer_accounts"
    relationship = dataverse.metadata.relationships[name]
    dataverse.metadata.relate(replace(relationship, share=Cascade.ALL, unshare=Cascade.ALL))
    person = await client.create(
        "contacts", {"lastname": "P", "parentcustomerid_account@odata.bind": f"/accounts({ID})"}
    )
    await share(client, kari, "ReadAccess")
    assert (await client("GET", f"contacts({person})", token="kari")).status == 200
    contact = {"@odata.type": f"{CRM}.contact", "contactid": person}
    await share(client, kari, "WriteAccess", **contact)
    shared = await client("GET", f"principalobjectaccessset?$filter=objectid eq {person}")
    (row,) = shared.value
    assert (row["accessrightsmask"], row["inheritedaccessrightsmask"]) == (2, 1)
    await client("POST", "RevokeAccess", {"Target": ACCOUNT, "Revokee": principal(kari)})
    who = f"systemusers({kari.id})"
    assert await rights(client, who, f"contacts({person})") == "WriteAccess"


async def test_nobody_shares_what_they_do_not_have(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    granted: dict[str, object] = {"AccessMask": "ReadAccess", "Principal": principal(kari)}
    body = {"Target": ACCOUNT, "PrincipalAccess": granted}
    refused = await client("POST", "GrantAccess", body, token="kari")
    assert (refused.status, refused.code) == (403, "0x80048306")
    assert "ShareAccess" in refused.text
    await share(client, kari, "ReadAccess,ShareAccess")
    assert (await client("POST", "GrantAccess", body, token="kari")).status == 204
    granted["AccessMask"] = "WriteAccess"
    refused = await client("POST", "GrantAccess", body, token="kari")
    assert "WriteAccess" in refused.text
    dataverse.security.limit(kari, "account", Depth.NONE, [Privilege.DELETE])
    refused = await share(client, kari, "DeleteAccess")
    assert (refused.status, refused.code) == (403, "0x80040220")
    assert kari.id in refused.text


async def test_a_share_is_undone_with_its_change_set(
    client: Client, dataverse: Dataverse, kari: User
) -> None:
    ann = dataverse.security.user_of("demo-token")
    assert ann
    row = dataverse.retrieve(ann, "account", ID)
    who = Reference("systemuser", kari.id)

    def share_and_fail() -> None:
        with dataverse.transaction():
            dataverse.security.sharing.grant(ann.id, row, who, 1)
            assert dataverse.readable(kari, row)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        share_and_fail()
    assert not dataverse.readable(kari, row)
    assert await seen(client) == []


async def test_everybody_has_every_right_until_limited(client: Client) -> None:
    me = (await client("GET", "WhoAmI")).json["UserId"]
    assert await rights(client, f"systemusers({me})") == EVERYTHING


async def test_rows_that_are_not_theirs_are_not_expanded(client: Client, kari: User) -> None:
    await client("PATCH", f"accounts({ID})", {"parentaccountid@odata.bind": f"/accounts({OTHER})"})
    await share(client, kari, "ReadAccess")
    query = f"accounts({ID})?$select=name&$expand=parentaccountid($select=name)"
    assert (await client("GET", query)).json["parentaccountid"]["name"] == "B"
    assert (await client("GET", query, token="kari")).json["parentaccountid"] is None
    path = "&$filter=parentaccountid/name eq 'B'"
    assert await seen(client, path) == []


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("GrantAccess", {}),
        ("GrantAccess", {"Target": 1, "PrincipalAccess": 2}),
        ("GrantAccess", {"Target": ACCOUNT, "PrincipalAccess": []}),
        ("GrantAccess", {"Target": {"@odata.type": "x", "id": 1}}),
        ("GrantAccess", {"Target": {"@odata.type": f"#{CRM}.account", "accountid": 7}}),
        ("GrantAccess", {"Target": {"@odata.type": [], "accountid": ID}}),
        ("GrantAccess", {"Target": ACCOUNT, "PrincipalAccess": {"Principal": ACCOUNT}}),
        ("RevokeAccess", {"Target": ACCOUNT, "Revokee": "x"}),
        ("RevokeAccess", {"Target": ACCOUNT, "Revokee": {"@odata.id": "nothing(1)"}}),
    ],
)
async def test_a_malformed_share_is_refused(client: Client, action: str, body: object) -> None:
    answer = await client("POST", action, body)
    assert answer.status in (400, 404), answer.text


@pytest.mark.parametrize("mask", [None, "Nonsense", "ReadAccess,,", True, [], "readaccess"])
async def test_a_malformed_mask_is_refused(client: Client, kari: User, mask: object) -> None:
    answer = await share(client, kari, mask)
    assert (answer.status, answer.code) == (400, "0x80048d19"), answer.text


async def test_what_is_not_there_or_not_owned_is_not_shared(client: Client, kari: User) -> None:
    missing = {"@odata.type": f"{CRM}.account", "accountid": MISSING}
    assert (await share(client, kari, "ReadAccess", **missing)).status == 404
    nobody = {"@odata.type": f"{CRM}.systemuser", "systemuserid": MISSING}
    assert (await share(client, nobody, "ReadAccess")).status == 404
    answer = await share(client, kari, "ReadAccess", **principal(kari))
    assert (answer.status, answer.code) == (400, "0x80040800")


@pytest.mark.parametrize("target", ["", "{", "{'@odata.id':1}", "{'@odata.id", '{"a":"\\', "'"])
async def test_a_malformed_target_of_a_function_is_refused(client: Client, target: str) -> None:
    answer = await client("GET", f"RetrieveSharedPrincipalsAndAccess(Target=@t)?@t={target}")
    assert answer.status == 400, answer.text

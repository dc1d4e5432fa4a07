"""``$ref``: joining rows and parting them, along all kinds of relationships."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from support.batches import batch, change_set, part, read

if TYPE_CHECKING:
    from contrib.emulator.conftest import Client
    from holdfast_emulator import Dataverse

ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"
MISSING = "0a0a0a0a-0000-4000-8000-00000000dead"
TEAM = f"teams({ID})"
MEMBERS = f"{TEAM}/teammembership_association"
CONTACTS = f"accounts({ID})/contact_customer_accounts"


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    """An account and a contact, a team."""
    await client.create("accounts", {"accountid": ID, "name": "A"})
    await client.create("contacts", {"contactid": ID, "lastname": "Bø"})
    await client.create("teams", {"teamid": ID, "name": "T"})


@pytest.fixture
def ann(dataverse: Dataverse) -> str:
    user = dataverse.security.user_of("demo-token")
    assert user
    return user.id


async def parent(client: Client) -> str | None:
    row = await client("GET", f"contacts({ID})?$select=_parentcustomerid_value")
    found: str | None = row.json["_parentcustomerid_value"]
    return found


@pytest.mark.parametrize("form", ["{root}contacts({id})", "/contacts({id})", "contacts({id})"])
@pytest.mark.parametrize("option", [True, False])
async def test_one_to_many_is_joined_and_parted(client: Client, form: str, *, option: bool) -> None:
    url = form.format(root=client.root, id=ID)
    joined = await client("POST", f"{CONTACTS}/$ref", {"@odata.id": url})
    assert (joined.status, joined.text) == (204, "")
    assert await parent(client) == ID
    if option:
        target = f"{client.root}{CONTACTS}/$ref?$id={quote(url, safe='')}"
    else:
        target = f"{CONTACTS}({ID})/$ref"
    parted = await client("DELETE", target)
    assert parted.status == 204, parted.text
    assert await parent(client) is None


async def test_what_points_elsewhere_is_not_parted(client: Client) -> None:
    await client.create("accounts", {"accountid": OTHER})
    await client("POST", f"accounts({OTHER})/contact_customer_accounts/$ref", contact())
    assert (await client("DELETE", f"{CONTACTS}({ID})/$ref")).status == 204
    assert await parent(client) == OTHER


def contact(row_id: str = ID) -> dict[str, str]:
    return {"@odata.id": f"contacts({row_id})"}


async def test_a_lookup_is_set_and_cleared(client: Client) -> None:
    target = f"contacts({ID})/parentcustomerid_account/$ref"
    assert (await client("PUT", target, {"@odata.id": f"accounts({ID})"})).status == 204
    assert await parent(client) == ID
    other = await client("DELETE", f"contacts({ID})/parentcustomerid_contact/$ref")
    assert other.status == 204
    assert await parent(client) == ID, "it points to no contact"
    assert (await client("DELETE", target)).status == 204
    assert await parent(client) is None
    wrong = await client("PUT", target, contact())
    assert (wrong.status, wrong.code) == (400, "0x80048d19")


async def test_pairs_are_joined_once_and_parted(
    client: Client, dataverse: Dataverse, ann: str
) -> None:
    body = {"@odata.id": f"{client.root}systemusers({ann})"}
    before = dataverse.version
    assert (await client("POST", f"{MEMBERS}/$ref", body)).status == 204
    (pair,) = dataverse.scan("teammembership")
    assert (pair["teamid"], pair["systemuserid"]) == (ID, ann)
    assert pair.version > before
    again = await client("POST", f"{MEMBERS}/$ref", body)
    assert (again.status, again.code) == (412, "0x80040237")
    back = f"systemusers({ann})/teammembership_association({ID})/$ref"
    for _ in range(2):
        assert (await client("DELETE", back)).status == 204
    assert list(dataverse.scan("teammembership")) == []


async def test_pairs_are_tracked_and_go_with_their_rows(
    client: Client, dataverse: Dataverse, ann: str
) -> None:
    user = dataverse.security.user_of("demo-token")
    assert user
    token = dataverse.track(user, "teammembership").token
    await client("POST", f"{MEMBERS}/$ref", {"@odata.id": f"systemusers({ann})"})
    (pair,) = dataverse.track(user, "teammembership", token=token).rows
    assert (await client("DELETE", TEAM)).status == 204
    assert dataverse.track(user, "teammembership", token=token).deleted == [pair.id]
    assert (await client("GET", f"systemusers({ann})")).status == 200


async def test_pairs_are_undone_with_their_change_set(
    client: Client, dataverse: Dataverse, ann: str
) -> None:
    join = part("POST", f"{MEMBERS}/$ref", {"@odata.id": f"systemusers({ann})"})
    wrong = part("PATCH", f"accounts({ID})", {"nonsense": 1})
    for parts, status in (((join, wrong), 400), ((join,), 200)):
        kind = 'multipart/mixed; boundary="batch_b"'
        body = batch(change_set(*parts))
        answer = await client("POST", "$batch", data=body, Content_Type=kind)
        assert answer.status == status
        assert len(list(dataverse.scan("teammembership"))) == (status == 200)
    assert read(answer)


async def test_rows_of_an_intersect_table_are_not_written_by_themselves(
    client: Client, ann: str
) -> None:
    made = await client("POST", "teammemberships", {})
    assert (made.status, made.code) == (400, "0x80040800")
    await client("POST", f"{MEMBERS}/$ref", {"@odata.id": f"systemusers({ann})"})
    (pair,) = (await client("GET", "teammemberships")).value
    row = f"teammemberships({pair['teammembershipid']})"
    for method in ("PATCH", "DELETE"):
        body = {"teamid": OTHER} if method == "PATCH" else None
        answer = await client(method, row, body)
        assert (answer.status, answer.code) == (400, "0x80040800")


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", f"{CONTACTS}/$ref", contact(MISSING), 404),
        ("POST", f"accounts({MISSING})/contact_customer_accounts/$ref", contact(), 404),
        ("POST", f"{CONTACTS}/$ref", {"@odata.id": f"accounts({ID})"}, 400),
        ("POST", f"{CONTACTS}/$ref", {"@odata.id": "contacts"}, 400),
        ("POST", f"{CONTACTS}/$ref", {"@odata.id": f"nothings({ID})"}, 404),
        ("POST", f"{CONTACTS}/$ref", {"@odata.id": 7}, 400),
        ("POST", f"{CONTACTS}/$ref", {}, 400),
        ("POST", f"{CONTACTS}/$ref?$select=x", contact(), 400),
        ("POST", f"{CONTACTS}({ID})/$ref", contact(), 400),
        ("POST", f"accounts({ID})/primarycontactid/$ref", contact(), 405),
        ("PUT", f"{CONTACTS}/$ref", contact(), 405),
        ("PUT", f"accounts({ID})/PrimaryContactId/$ref", contact(), 404),
        ("POST", f"accounts({ID})/nonsense/$ref", contact(), 404),
        ("DELETE", f"{CONTACTS}/$ref", None, 400),
        ("DELETE", f"{CONTACTS}({MISSING})/$ref", None, 404),
        ("DELETE", f"{CONTACTS}({ID})/$ref?$id=contacts({ID})", None, 400),
        ("DELETE", f"{CONTACTS}/$ref?$id=accounts({ID})", None, 400),
        ("DELETE", f"{CONTACTS}/$ref?$id=contacts({ID})&$id=contacts({ID})", None, 400),
        ("DELETE", f"accounts({ID})/primarycontactid({ID})/$ref", None, 400),
        ("DELETE", f"accounts({MISSING})/primarycontactid/$ref", None, 404),
        ("DELETE", f"accounts({ID})/primarycontactid", None, 400),
        ("DELETE", f"accounts({ID})/contact_customer_accounts", None, 400),
    ],
)
async def test_wrong_references_are_refused(
    client: Client, method: str, target: str, body: object, status: int
) -> None:
    answer = await client(method, target, body)
    assert answer.status == status, answer.text
    assert answer.code.startswith("0x8")

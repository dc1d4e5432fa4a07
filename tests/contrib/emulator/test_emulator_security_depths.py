"""Privileges by depth: who reaches which rows, and what for."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pytest

from contrib.emulator.conftest import Client
from holdfast.values import Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.behaviour.security import ANY_TABLE, Depth, Privilege, User
from support.fetching import Asker

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
DENIED = (403, "0x80040220")
NO_ACCESS = (403, "0x80048306")


class Tree:
    """Three units, one below the other, and a user in each."""

    def __init__(self, org: Dataverse) -> None:
        self.org = org
        self.north = org.people.add_unit("North")
        self.city = org.people.add_unit("City", parent=self.north)
        self.boss = org.add_user("Berit Boss", token="boss")
        self.lead = org.add_user("Nils North", token="lead", business_unit=self.north)
        self.mate = org.add_user("Mia North", token="mate", business_unit=self.north)
        self.clerk = org.add_user("Carl City", token="clerk", business_unit=self.city)
        self.rows = {
            user.name: org.create(user, "account", {"name": user.name})
            for user in (self.boss, self.lead, self.mate, self.clerk)
        }

    def seen(self, user: User) -> Sequence[str]:
        from holdfast_emulator.queries.query import Query

        found = self.org.query(user, Query("account")).rows
        assert len(found) == self.org.count(user, "account")
        return sorted(str(row["name"]) for row in found)


@pytest.fixture
def org(dataverse: Dataverse) -> Dataverse:
    return dataverse


@pytest.fixture
def tree(org: Dataverse) -> Tree:
    return Tree(org)


def refused(call: Callable[[], object], expected: tuple[int, str], words: str) -> None:
    with pytest.raises(DataverseFault, match=words) as caught:
        call()
    assert (caught.value.status, caught.value.code) == expected


@pytest.mark.parametrize(
    ("depth", "names"),
    [
        (Depth.BASIC, ["Nils North"]),
        (Depth.LOCAL, ["Mia North", "Nils North"]),
        (Depth.DEEP, ["Carl City", "Mia North", "Nils North"]),
        (Depth.GLOBAL, ["Berit Boss", "Carl City", "Mia North", "Nils North"]),
    ],
)
def test_a_depth_reaches_so_far_down_the_tree_of_units(
    tree: Tree, depth: Depth, names: list[str]
) -> None:
    tree.org.security.limit(tree.lead, "account", depth)
    assert tree.seen(tree.lead) == names
    for name, row in tree.rows.items():
        reads = tree.org.readable(tree.lead, row)
        assert reads is (name in names)
        if reads:
            assert tree.org.retrieve(tree.lead, "account", row.id).id == row.id
        else:
            refused(
                partial(tree.org.retrieve, tree.lead, "account", row.id),
                NO_ACCESS,
                f"Principal with id {tree.lead.id} does not have ReadAccess right\\(s\\) for "
                f"record with id {row.id} of entity account",
            )


def test_units_that_go_round_in_circles_end(tree: Tree) -> None:
    north = Reference("businessunit", tree.city)
    tree.org.update(tree.org.system, "businessunit", tree.north, {"parentbusinessunitid": north})
    tree.org.security.limit(tree.clerk, "account", Depth.DEEP)
    assert tree.seen(tree.clerk) == ["Carl City", "Mia North", "Nils North"]


def test_a_depth_is_set_for_single_privileges(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    org.security.limit(mate, "account", Depth.BASIC, [Privilege.WRITE])
    org.security.limit(mate, "account", Depth.NONE, [Privilege.DELETE])
    other = tree.rows["Nils North"].id
    assert org.retrieve(mate, "account", other)["name"] == "Nils North"
    refused(lambda: org.update(mate, "account", other, {"name": "x"}), NO_ACCESS, "WriteAccess")
    own = tree.rows["Mia North"].id
    assert org.update(mate, "account", own, {"fax": "1"})["fax"] == "1"
    refused(
        lambda: org.delete(mate, "account", own),
        DENIED,
        r"is missing prvDeleteAccount privilege \(Id=[0-9a-f-]{36}\) on OTC=1 for entity 'account'",
    )


def test_a_depth_for_any_table_holds_where_none_is_set(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    org.security.limit(mate, ANY_TABLE, Depth.NONE)
    org.security.limit(mate, "account", Depth.BASIC)
    assert tree.seen(mate) == ["Mia North"]
    refused(lambda: org.count(mate, "contact"), DENIED, "prvReadContact")


@pytest.mark.parametrize(
    "query",
    [
        "$expand=primarycontactid",
        "$expand=contact_customer_accounts($select=fullname)",
        "$expand=parentaccountid($expand=primarycontactid)",
        "$filter=primarycontactid/fullname eq 'X'",
        "$filter=contact_customer_accounts/any()",
        "$filter=not contact_customer_accounts/any(c:c/fullname eq 'X')",
        "$filter=Account_Tasks/any(t:t/regardingobjectid_contact_task/fullname eq 'X')",
        "$orderby=primarycontactid/fullname",
        "$apply=groupby((primarycontactid/fullname))",
        "$apply=groupby((primarycontactid/_parentcustomerid_value))",
        "$apply=filter(contact_customer_accounts/any())/aggregate($count as n)",
    ],
)
def test_no_query_leads_to_a_table_that_is_closed(tree: Tree, query: str) -> None:
    name, _, text = query.partition("=")
    ask = Asker(tree.org, "mate")
    assert ask.get("accounts", **{f"_{name[1:]}": text}).status == 200
    tree.org.security.limit(tree.mate, "contact", Depth.NONE)
    said = ask.get("accounts", **{f"_{name[1:]}": text})
    assert (said.status, said.code) == DENIED
    assert "prvReadContact" in said.message


async def test_a_row_is_not_made_when_it_cannot_be_shown(org: Dataverse, client: Client) -> None:
    lead = org.add_user("Nils North", token="lead")
    org.security.limit(lead, "contact", Depth.NONE)
    made = await client(
        *("POST", "accounts?$expand=primarycontactid", {"name": "A"}),
        token="lead",
        Prefer="return=representation",
    )
    assert (made.status, made.code) == DENIED
    assert org.count(org.system, "account") == 0


def test_one_open_table_is_enough_for_a_lookup_to_several(tree: Tree) -> None:
    ask = Asker(tree.org, "mate")
    tree.org.security.limit(tree.mate, "team", Depth.NONE)
    owners = ask.get("accounts", _expand="ownerid").column("ownerid")
    assert sum(one is not None for one in owners) == 4
    tree.org.security.limit(tree.mate, "systemuser", Depth.NONE)
    assert ask.get("accounts", _expand="ownerid").status == 403


def test_rows_without_an_owner_are_all_there_or_not_at_all(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    org.security.limit(mate, "transactioncurrency", Depth.BASIC)
    assert org.count(mate, "transactioncurrency") == 2
    org.security.limit(mate, "transactioncurrency", Depth.NONE)
    refused(lambda: org.count(mate, "transactioncurrency"), DENIED, "prvReadTransactionCurrency")


def test_a_team_extends_what_its_members_reach(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    org.security.limit(mate, "account", Depth.NONE)
    team = org.people.add_team("Readers", business_unit=tree.city)
    org.people.join(org.system, team, [mate.id])
    refused(lambda: org.count(mate, "account"), DENIED, "prvReadAccount")
    org.security.limit(team, "account", Depth.LOCAL, [Privilege.READ])
    assert tree.seen(mate) == ["Carl City"]
    refused(lambda: org.create(mate, "account", {}), DENIED, "prvCreateAccount")
    org.people.leave(org.system, team, [mate.id])
    refused(lambda: org.count(mate, "account"), DENIED, "prvReadAccount")


def test_what_a_team_owns_its_members_own(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    team = org.people.add_team("Field")
    owned = org.create(tree.boss, "account", {"name": "T", "ownerid": Reference("team", team)})
    org.security.limit(mate, "account", Depth.BASIC)
    assert not org.readable(mate, owned)
    org.people.join(org.system, team, [mate.id, mate.id])
    assert org.readable(mate, owned), "the user that was there before the team is a member, too"
    assert org.security.user_of("mate") == replace(mate, teams=(team,))

    def leave() -> None:
        with org.transaction():
            org.people.leave(org.system, team, [mate.id])
            assert not org.readable(mate, owned)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        leave()
    assert org.readable(mate, owned), "leaving was undone"


def test_a_row_is_created_for_those_only_whom_the_privilege_reaches(tree: Tree) -> None:
    org, lead = tree.org, tree.lead
    org.security.limit(lead, "account", Depth.LOCAL, [Privilege.CREATE])

    def create(owner: User) -> Row:
        return org.create(lead, "account", {"ownerid": Reference("systemuser", owner.id)})

    assert create(tree.mate).owner_id == tree.mate.id
    before = org.count(tree.boss, "account")
    refused(lambda: create(tree.clerk), NO_ACCESS, "CreateAccess")
    assert org.count(tree.boss, "account") == before


def test_a_row_is_given_away_by_those_only_who_may(tree: Tree) -> None:
    org, lead = tree.org, tree.lead
    org.security.limit(lead, "account", Depth.BASIC, [Privilege.ASSIGN])
    mate = Reference("systemuser", tree.mate.id)
    own, other = tree.rows["Nils North"], tree.rows["Berit Boss"]
    refused(
        lambda: org.update(lead, "account", other.id, {"ownerid": mate}), NO_ACCESS, "AssignAccess"
    )
    assert org.update(lead, "account", own.id, {"ownerid": mate}).owner_id == tree.mate.id
    unchanged = {"ownerid": Reference("systemuser", tree.boss.id), "fax": "1"}
    assert org.update(lead, "account", other.id, unchanged)["fax"] == "1"


def test_nobody_owns_what_they_cannot_read(tree: Tree) -> None:
    org = tree.org
    org.security.limit(tree.clerk, "account", Depth.NONE, [Privilege.READ])
    clerk = {"ownerid": Reference("systemuser", tree.clerk.id)}
    refused(lambda: org.create(tree.boss, "account", clerk), DENIED, tree.clerk.id)
    row = tree.rows["Mia North"]
    refused(lambda: org.update(tree.boss, "account", row.id, clerk), DENIED, "prvReadAccount")


def test_a_lookup_needs_append_here_and_append_to_there(tree: Tree) -> None:
    org, lead = tree.org, tree.lead
    person = org.create(tree.boss, "contact", {"lastname": "P"})
    pointing = {"primarycontactid": Reference("contact", person.id)}
    row = tree.rows["Nils North"]
    org.security.limit(lead, "contact", Depth.BASIC, [Privilege.APPEND_TO])
    refused(lambda: org.update(lead, "account", row.id, pointing), NO_ACCESS, "AppendToAccess")
    refused(lambda: org.create(lead, "account", pointing), NO_ACCESS, "AppendToAccess")
    org.security.limit(lead, "contact", Depth.GLOBAL, [Privilege.APPEND_TO])
    assert org.update(lead, "account", row.id, pointing)["primarycontactid"]
    org.security.limit(lead, "account", Depth.NONE, [Privilege.APPEND])
    refused(lambda: org.update(lead, "account", row.id, pointing), DENIED, "prvAppendAccount")
    assert org.update(lead, "account", row.id, {"fax": "1"})["fax"] == "1"


def test_changes_are_told_to_those_only_who_read_everything(tree: Tree) -> None:
    org = tree.org
    org.security.limit(tree.lead, "account", Depth.DEEP)
    refused(lambda: org.track(tree.lead, "account"), DENIED, "Required Depth: Global")
    org.security.limit(tree.lead, "account", Depth.GLOBAL)
    assert org.track(tree.lead, "account").token


def test_an_unlimited_user_has_no_test_per_row(tree: Tree) -> None:
    account = tree.org.metadata.tables["account"]
    assert tree.org.security.readable(tree.boss, account) is None
    tree.org.security.limit(tree.boss, "account", Depth.GLOBAL)
    assert tree.org.security.readable(tree.boss, account) is None
    tree.org.security.limit(tree.boss, "account", Depth.LOCAL)
    assert tree.org.security.readable(tree.boss, account) is not None


def test_who_is_impersonated_may_do_what_both_may(tree: Tree) -> None:
    org = tree.org
    both = replace(tree.clerk, real=tree.lead)
    org.security.limit(tree.lead, "account", Depth.BASIC)
    assert tree.seen(both) == ["Carl City"], "the depth is the caller's, the place the other's"
    org.security.limit(tree.lead, "account", Depth.GLOBAL)
    org.security.limit(tree.clerk, "account", Depth.LOCAL)
    assert tree.seen(both) == ["Carl City"]
    org.security.limit(tree.lead, "account", Depth.NONE, [Privilege.CREATE])
    refused(lambda: org.create(both, "account", {}), DENIED, "prvCreateAccount")


def test_the_state_that_is_not_in_rows_goes_into_json_and_back(tree: Tree) -> None:
    org, other = tree.org, Dataverse(clock=lambda: NOW)
    org.security.limit(tree.lead, "account", Depth.DEEP, [Privilege.READ])
    org.secure("account", "fax", hidden_from=tree.lead)
    other.security.restore(json.loads(json.dumps(org.security.state())))
    assert other.security.state() == org.security.state()
    account = other.metadata.tables["account"]
    assert other.security.depth(tree.lead, account) is Depth.DEEP
    assert other.security.hidden(tree.lead, "account") == {"fax"}


def test_a_pair_is_read_by_who_reads_both_of_its_rows(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    lead = org.create(mate, "lead", {"subject": "L"})
    for name in ("Mia North", "Nils North"):
        target = Reference("lead", lead.id)
        row_id = tree.rows[name].id
        org.associate(org.system, "account", row_id, "accountleads_association", target)
    ask = Asker(org, "mate")
    joined = (
        "<fetch><entity name='lead'><attribute name='subject'/>"
        "<link-entity name='accountleads' from='leadid' to='leadid'/></entity></fetch>"
    )

    def seen() -> list[int]:
        return [
            len(ask.get("accountleadscollection").value),
            len(ask.fetch("leads", joined).value),
            len(ask.get("accountleadscollection", sql="SELECT accountid FROM accountleads").value),
        ]

    assert seen() == [2, 2, 2]
    org.security.limit(mate, "account", Depth.BASIC)
    assert seen() == [1, 1, 1]
    intersect = replace(org.metadata.tables["accountleads"], change_tracking=True)
    org.metadata.put(intersect)
    refused(lambda: org.track(mate, "accountleads"), DENIED, "prvReadAccount")
    org.security.limit(mate, "account", Depth.GLOBAL)
    assert len(org.track(mate, "accountleads").rows) == 2


def test_what_is_known_of_a_file_is_read_with_its_row(tree: Tree) -> None:
    org, mate = tree.org, tree.mate
    for name in ("Mia North", "Nils North"):
        values = {"fileattachmentid": tree.rows[name].id, "filename": f"{name}.txt"}
        org.load(
            "fileattachment", [{**values, "objectid": Reference("account", tree.rows[name].id)}]
        )
    assert org.count(mate, "fileattachment") == 2
    org.security.limit(mate, "account", Depth.BASIC)
    assert Asker(org, "mate").get("fileattachments").column("filename") == ["Mia North.txt"]
    hidden = tree.rows["Nils North"].id
    refused(lambda: org.retrieve(mate, "fileattachment", hidden), NO_ACCESS, "ReadAccess")


def test_where_a_file_is_kept_is_told_in_no_language(tree: Tree) -> None:
    ask, name = Asker(tree.org, "mate"), "storagepointer"
    inner = f"<attribute name='{name}'/>"
    link = f"<link-entity name='account' from='name' to='{name}'/>"
    for options in (
        {"_select": name},
        {"_filter": f"{name} ne null"},
        {"_apply": f"groupby(({name}))"},
        {"fetchXml": f"<fetch><entity name='fileattachment'>{inner}</entity></fetch>"},
        {"fetchXml": f"<fetch><entity name='fileattachment'>{link}</entity></fetch>"},
        {"sql": f"SELECT {name} FROM fileattachment"},
    ):
        assert ask.get("fileattachments", **options).status == 400

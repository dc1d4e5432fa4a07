"""Creating, changing and deleting rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from holdfast.values import Cell, Reference
from holdfast_emulator.behaviour import columns
from holdfast_emulator.behaviour.dataverse import Dataverse, Effect, Operation
from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.behaviour.security import Depth, User

ID = "0a0a0a0a-0000-4000-8000-000000000001"
OTHER = "0a0a0a0a-0000-4000-8000-000000000002"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, 0, 0, 987654, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **by: int) -> None:
        self.now += timedelta(**by)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def effects() -> list[Effect]:
    return []


@pytest.fixture
def org(clock: Clock, effects: list[Effect]) -> Iterator[Dataverse]:
    dataverse = Dataverse(clock, on_effect=effects.append)
    yield dataverse
    dataverse.close()


@pytest.fixture
def ann(org: Dataverse) -> User:
    user = org.security.user_of("demo-token")
    assert user
    return user


@pytest.fixture
def bo(org: Dataverse) -> User:
    user = org.security.user_of("office-token")
    assert user
    return user


def test_a_new_row_has_its_system_columns(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "account", {"name": "Fjord Marine AS", "revenue": Decimal("1000.50")})
    assert row["createdon"] == row["modifiedon"] == "2026-03-01T08:00:00Z"
    assert row["createdby"] == row["modifiedby"] == Reference("systemuser", ann.id)
    assert row["ownerid"] == row["owninguser"] == Reference("systemuser", ann.id)
    assert row["owningteam"] is None
    assert row["owningbusinessunit"] == Reference("businessunit", org.seed.business_unit_id)
    assert (row["statecode"], row["statuscode"]) == (0, 1)
    assert row["transactioncurrencyid"] == Reference("transactioncurrency", org.seed.currency_id)
    assert (row["revenue_base"], row["exchangerate"]) == (Decimal("1000.50"), Decimal(1))
    assert row["versionnumber"] == row.version
    assert row.etag == f'W/"{row.version}"'
    assert row["donotemail"] is False


def test_an_import_says_when_a_row_was_really_created(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "account", {"overriddencreatedon": "2020-05-06T07:08:09Z"})
    assert row["createdon"] == "2020-05-06T07:08:09Z"
    assert row["overriddencreatedon"] == row["modifiedon"] == "2026-03-01T08:00:00Z"
    again = org.update(ann, "account", row.id, {"overriddencreatedon": "2021-01-01", "fax": "1"})
    assert again["overriddencreatedon"] == "2026-03-01T08:00:00Z"


def test_a_row_takes_the_id_that_the_client_made(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "account", {"accountid": ID.upper(), "name": "A"})
    assert row.id == ID
    assert org.retrieve(ann, "account", ID.upper()).id == ID


def test_an_id_is_taken_once(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"accountid": ID})
    with pytest.raises(DataverseFault) as caught:
        org.create(ann, "account", {"accountid": ID})
    assert (caught.value.status, caught.value.code) == (412, "0x80040237")


def test_ids_that_the_server_makes_differ(org: Dataverse, ann: User) -> None:
    rows = [org.create(ann, "account", {}) for _ in range(3)]
    assert len({row.id for row in rows}) == 3


def test_two_organisations_do_the_same_with_the_same_calls(clock: Clock) -> None:
    pictures = []
    for _ in range(2):
        org = Dataverse(clock)
        user = org.security.user_of("demo-token")
        assert user
        first = org.create(user, "account", {"name": "A"})
        second = org.update(user, "account", first.id, {"name": "B"})
        pictures.append((first.cells, second.cells))
    assert pictures[0] == pictures[1]


def test_versions_grow_over_all_tables_by_irregular_steps(org: Dataverse, ann: User) -> None:
    versions = [
        org.create(ann, table, {}).version for _ in range(10) for table in ("account", "task")
    ]
    steps = [later - earlier for earlier, later in pairwise(versions)]
    assert min(steps) >= 1
    assert len(set(steps)) > 1


def test_an_update_writes_its_columns_only(
    org: Dataverse, ann: User, bo: User, clock: Clock
) -> None:
    row = org.create(ann, "account", {"name": "A", "fax": "1"})
    clock.tick(minutes=5)
    changed = org.update(bo, "account", row.id, {"fax": "2"})
    assert (changed["name"], changed["fax"]) == ("A", "2")
    assert changed["createdon"] == "2026-03-01T08:00:00Z"
    assert changed["modifiedon"] == "2026-03-01T08:05:00Z"
    assert changed["modifiedby"] == Reference("systemuser", bo.id)
    assert changed.version > row.version
    assert row["fax"] == "1", "a row is a picture"


def test_an_update_of_a_missing_row_is_refused(org: Dataverse, ann: User) -> None:
    for call in (
        lambda: org.update(ann, "account", ID, {"name": "x"}, if_match="*"),
        lambda: org.update(ann, "account", ID, {"name": "x"}, if_match=12),
        lambda: org.delete(ann, "account", ID),
        lambda: org.retrieve(ann, "account", ID),
    ):
        with pytest.raises(DataverseFault, match="Does Not Exist") as caught:
            call()
        assert (caught.value.status, caught.value.code) == (404, "0x80040217")


def test_a_stale_version_is_refused(org: Dataverse, ann: User) -> None:
    old = org.create(ann, "account", {"name": "A"})
    new = org.update(ann, "account", old.id, {"name": "B"}, if_match=old.version)
    for call in (
        lambda: org.update(ann, "account", old.id, {"name": "C"}, if_match=old.version),
        lambda: org.delete(ann, "account", old.id, if_match=old.version),
    ):
        with pytest.raises(DataverseFault) as caught:
            call()
        assert (caught.value.status, caught.value.code) == (412, "0x80060882")
    org.delete(ann, "account", old.id, if_match=new.version)
    assert org.find("account", old.id) is None


def test_a_table_without_optimistic_concurrency_refuses_versions(org: Dataverse, ann: User) -> None:
    with pytest.raises(DataverseFault) as caught:
        org.update(ann, "organization", org.organization_id, {"name": "x"}, if_match=1)
    assert caught.value.code == "0x8006088d"


def test_an_update_of_nothing_changes_nothing(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "account", {"name": "A"})
    assert org.update(ann, "account", row.id, {"createdon": "2001-01-01"}).version == row.version


def test_an_upsert_creates_and_then_updates(org: Dataverse, ann: User) -> None:
    row, created = org.upsert(ann, "account", ID, {"name": "A"})
    assert (row.id, created) == (ID, True)
    row, created = org.upsert(ann, "account", ID, {"name": "B"})
    assert (row["name"], created) == ("B", False)


def test_a_state_brings_its_default_status(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "opportunity", {"name": "A"})
    assert row["statuscode"] == 1
    row = org.update(ann, "opportunity", row.id, {"statecode": 2})
    assert row["statuscode"] == 4
    row = org.update(ann, "opportunity", row.id, {"statecode": 2, "statuscode": 5})
    assert row["statuscode"] == 5


@pytest.mark.parametrize("values", [{"statuscode": 3}, {"statecode": 1, "statuscode": 2}])
def test_a_status_of_another_state_is_refused(
    org: Dataverse, ann: User, values: dict[str, object]
) -> None:
    row = org.create(ann, "opportunity", {"name": "A"})
    with pytest.raises(DataverseFault, match="is not a valid status code") as caught:
        org.update(ann, "opportunity", row.id, values)
    assert (caught.value.status, caught.value.code) == (400, "0x80048408")


def test_a_full_name_follows_its_parts(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "contact", {"firstname": "Åse", "lastname": "Bø", "fullname": "no"})
    assert row["fullname"] == "Åse Bø"
    row = org.update(ann, "contact", row.id, {"firstname": None})
    assert row["fullname"] == "Bø"


def test_the_base_amount_follows_currency_and_amount(org: Dataverse, ann: User) -> None:
    euro = Reference("transactioncurrency", org.seed.euro_id)
    values = {"estimatedvalue": Decimal("100.00"), "transactioncurrencyid": euro}
    row = org.create(ann, "opportunity", values)
    assert row["exchangerate"] == Decimal("0.0865")
    assert row["estimatedvalue_base"] == Decimal("1156.0694")
    row = org.update(ann, "opportunity", row.id, {"estimatedvalue": None})
    assert row["estimatedvalue_base"] is None


def test_a_team_can_own_a_row(org: Dataverse, ann: User) -> None:
    team = Reference("team", org.seed.team_id)
    row = org.create(ann, "task", {"subject": "A", "ownerid": team})
    assert (row["ownerid"], row["owningteam"], row["owninguser"]) == (team, team, None)
    row = org.update(ann, "task", row.id, {"ownerid": Reference("systemuser", ann.id)})
    assert (row["owningteam"], row["owninguser"]) == (None, Reference("systemuser", ann.id))


def test_an_owner_cannot_be_taken_away(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "task", {"subject": "A", "ownerid": None})
    assert org.update(ann, "task", row.id, {"ownerid": None})["ownerid"] == row["ownerid"]


def test_a_polymorphic_lookup_knows_its_table(org: Dataverse, ann: User) -> None:
    account = org.create(ann, "account", {"name": "A"})
    contact = org.create(ann, "contact", {"lastname": "B"})
    task = org.create(ann, "task", {"regardingobjectid": Reference("account", account.id)})
    assert task["regardingobjectid"] == Reference("account", account.id)
    changed = {"regardingobjectid": Reference("contact", contact.id)}
    task = org.update(ann, "task", task.id, changed)
    assert task["regardingobjectid"] == Reference("contact", contact.id)
    assert org.name_of(org.system, Reference("contact", contact.id)) == "B"
    task = org.update(ann, "task", task.id, {"regardingobjectid": None})
    assert task["regardingobjectid"] is None


def test_a_reference_to_a_missing_row_is_refused(org: Dataverse, ann: User) -> None:
    with pytest.raises(DataverseFault, match="contact With Id") as caught:
        org.create(ann, "account", {"primarycontactid": Reference("contact", ID)})
    assert (caught.value.status, caught.value.code) == (404, "0x80040217")


def test_a_delete_takes_children_along_and_unlinks_others(
    org: Dataverse, ann: User, effects: list[Effect]
) -> None:
    account = org.create(ann, "account", {"name": "A"})
    pointer = Reference("account", account.id)
    child = org.create(ann, "account", {"name": "child", "parentaccountid": pointer})
    contact = org.create(ann, "contact", {"lastname": "B", "parentcustomerid": pointer})
    task = org.create(ann, "task", {"regardingobjectid": Reference("contact", contact.id)})
    bystander = org.create(ann, "task", {"subject": "stays"})
    effects.clear()

    org.delete(ann, "account", account.id)

    assert org.find("contact", contact.id) is None
    assert org.find("task", task.id) is None
    assert org.find("task", bystander.id)
    unlinked = org.find("account", child.id)
    assert unlinked
    assert unlinked["parentaccountid"] is None
    assert unlinked.version > child.version
    assert [(effect.operation, effect.row_id) for effect in effects] == [
        (Operation.UPDATE, child.id),
        (Operation.DELETE, task.id),
        (Operation.DELETE, contact.id),
        (Operation.DELETE, account.id),
    ]


def test_rows_that_point_at_each_other_can_be_deleted(org: Dataverse, ann: User) -> None:
    account = org.create(ann, "account", {"accountid": ID})
    values = {"contactid": OTHER, "parentcustomerid": Reference("account", ID)}
    contact = org.create(ann, "contact", values)
    org.update(ann, "contact", contact.id, {"parentcustomerid": Reference("contact", contact.id)})
    org.update(ann, "account", account.id, {"primarycontactid": Reference("contact", contact.id)})
    org.delete(ann, "contact", contact.id)
    left = org.find("account", account.id)
    assert left
    assert left["primarycontactid"] is None


def test_a_currency_in_use_cannot_be_deleted(org: Dataverse, ann: User) -> None:
    org.create(ann, "account", {"name": "A"})
    with pytest.raises(DataverseFault, match="transactioncurrency_account") as caught:
        org.delete(ann, "transactioncurrency", org.seed.currency_id)
    assert (caught.value.status, caught.value.code) == (405, "0x80040227")


def test_children_are_found_and_followed(org: Dataverse, ann: User) -> None:
    account = org.create(ann, "account", {"name": "A"})
    relationship = org.metadata.relationships["Account_Tasks"]
    assert org.children(relationship, account.id) == []
    task = org.create(ann, "task", {"regardingobjectid": Reference("account", account.id)})
    assert [row.id for row in org.children(relationship, account.id)] == [task.id]
    org.update(ann, "task", task.id, {"regardingobjectid": None})
    assert org.children(relationship, account.id) == []


def test_an_effect_names_both_versions_and_the_user(
    org: Dataverse, ann: User, bo: User, effects: list[Effect]
) -> None:
    made = org.create(ann, "account", {"name": "A"})
    changed = org.update(bo, "account", made.id, {"name": "B"})
    org.delete(ann, "account", made.id)
    create, update, delete = effects
    assert create == Effect(1, Operation.CREATE, "account", made.id, None, made.version, ann.id)
    assert (update.before, update.after, update.user) == (made.version, changed.version, bo.id)
    assert (delete.sequence, delete.before) == (3, changed.version)
    assert delete.after > changed.version


def test_a_rule_may_change_what_is_written(org: Dataverse, ann: User) -> None:
    def trim(_: User, table: str, values: dict[str, Cell | Reference], kind: Operation) -> None:
        if table == "account" and kind is not Operation.DELETE and "name" in values:
            values["name"] = str(values["name"]).strip()
            values["description"] = "trimmed"

    org.rules.append(trim)
    row = org.create(ann, "account", {"name": "  A "})
    assert (row["name"], row["description"]) == ("A", "trimmed")


def test_a_rule_may_refuse(org: Dataverse, ann: User, effects: list[Effect]) -> None:
    def never(_: User, table: str, __: dict[str, Cell | Reference], kind: Operation) -> None:
        if (table, kind) == ("contact", Operation.DELETE):
            raise DataverseFault(400, "0x80040265", "Contacts are kept.")

    account = org.create(ann, "account", {"name": "A"})
    pointer = Reference("account", account.id)
    org.create(ann, "contact", {"lastname": "B", "parentcustomerid": pointer})
    org.rules.append(never)
    effects.clear()
    with pytest.raises(DataverseFault, match="Contacts are kept"):
        org.delete(ann, "account", account.id)
    assert org.find("account", account.id)
    assert effects == []


def test_what_a_rule_writes_is_checked_too(org: Dataverse, ann: User) -> None:
    def spoil(_: User, __: str, values: dict[str, Cell | Reference], ___: Operation) -> None:
        values["industrycode"] = 999

    org.rules.append(spoil)
    with pytest.raises(DataverseFault, match="industrycode"):
        org.create(ann, "account", {})


def test_a_user_with_basic_depth_reaches_own_rows_only(org: Dataverse, ann: User, bo: User) -> None:
    org.security.limit(ann, "account", Depth.BASIC)
    own = org.create(ann, "account", {"name": "mine"})
    other = org.create(bo, "account", {"name": "his"})
    assert org.retrieve(ann, "account", own.id).id == own.id
    for call in (
        lambda: org.retrieve(ann, "account", other.id),
        lambda: org.update(ann, "account", other.id, {"name": "x"}),
        lambda: org.delete(ann, "account", other.id),
    ):
        with pytest.raises(DataverseFault, match="does not have") as caught:
            call()
        assert (caught.value.status, caught.value.code) == (403, "0x80048306")


def test_a_user_without_rights_is_told_which_privilege_is_missing(
    org: Dataverse, ann: User
) -> None:
    org.security.limit(ann, "contact", Depth.NONE)
    with pytest.raises(DataverseFault, match="is missing prvReadContact") as caught:
        org.retrieve(ann, "contact", ID)
    assert (caught.value.status, caught.value.code) == (403, "0x80040220")
    with pytest.raises(DataverseFault, match="prvCreateContact"):
        org.create(ann, "contact", {})


def test_tokens_sign_users_in_and_out(org: Dataverse, ann: User) -> None:
    assert ann.name == "Ann Field"
    assert org.name_of(org.system, Reference("systemuser", ann.id)) == "Ann Field"
    assert org.security.user_of("nobody") is None
    org.security.expel("demo-token")
    assert org.security.user_of("demo-token") is None
    new = org.add_user("Kari Nordmann", token="kari")
    assert org.security.user_of("kari") == new


def test_a_table_that_is_not_there_is_refused(org: Dataverse, ann: User) -> None:
    with pytest.raises(DataverseFault, match="Resource not found for the segment 'unicorn'"):
        org.create(ann, "unicorn", {})


def test_a_status_cannot_be_taken_away(org: Dataverse, ann: User) -> None:
    row = org.create(ann, "opportunity", {"statuscode": None})
    assert row["statuscode"] == 1
    assert org.update(ann, "opportunity", row.id, {"statuscode": None})["statuscode"] == 1
    changed = {"statecode": 1, "statuscode": None}
    assert org.update(ann, "opportunity", row.id, changed)["statuscode"] == 3


def test_a_new_team_is_in_the_business_unit_of_its_maker(org: Dataverse, bo: User) -> None:
    team = org.create(bo, "team", {"name": "Day shift"})
    unit = Reference("businessunit", bo.business_unit)
    assert team["businessunitid"] == unit
    row = org.create(bo, "task", {"subject": "A", "ownerid": Reference("team", team.id)})
    assert row["owningbusinessunit"] == unit


def test_a_member_of_a_team_reaches_its_rows(org: Dataverse, bo: User) -> None:
    kari = org.add_user("Kari Nordmann", token="kari", teams=[org.seed.team_id])
    for table in ("account", "businessunit"):
        org.security.limit(kari, table, Depth.BASIC)
    owned = {"name": "team's", "ownerid": Reference("team", org.seed.team_id)}
    row, other = org.create(bo, "account", owned), org.create(bo, "account", {"name": "his"})
    assert org.readable(kari, row)
    assert not org.readable(kari, other)
    assert org.count(kari, "account") == 1
    assert org.retrieve(kari, "businessunit", org.seed.business_unit_id)["name"], "it has no owner"


def test_a_row_that_is_gone_has_no_name(org: Dataverse) -> None:
    assert org.name_of(org.system, Reference("account", ID)) is None


def test_a_big_whole_number_must_fit_64_bits(org: Dataverse, ann: User) -> None:
    org.add_column("account", columns.bigint("new_Big"))
    assert org.create(ann, "account", {"new_big": 2**62})["new_big"] == 2**62
    with pytest.raises(DataverseFault, match=r"Edm\.Int64"):
        org.create(ann, "account", {"new_big": 2**63})


def test_what_cannot_be_undone_is_refused_inside_a_transaction(org: Dataverse) -> None:
    with org.transaction():
        for call in (
            org.purge_changes,
            lambda: org.load("account", []),
            lambda: org.add_column("account", columns.bigint("new_Big")),
        ):
            with pytest.raises(RuntimeError, match="outside of transactions"):
                call()

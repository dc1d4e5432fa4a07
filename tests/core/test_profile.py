"""The profile: every mistake at once, each with its key and what is allowed instead."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from holdfast import _setup, profile
from holdfast.errors import ProfileError
from holdfast.model import Policy
from holdfast.profile import Profile, TableRule

PROFILE = """
plugins = []

[storage]
driver = "sqlite"
path = "field.db"

[transport]
driver = "dataverse"
url = "https://contoso.crm.dynamics.com"
credential = "environment"

[profile]
name = "Field service"
conflict_detection = false
sync_interval = "10m"

[[profile.tables]]
name = "account"
rows = ["custom"]
filter = { odata = "statecode eq 0 and address1_city eq 'Bergen'" }
columns = ["name", "telephone1", "revenue", "primarycontactid"]

[[profile.tables]]
name = "contact"
rows = ["related"]
related = ["account_primary_contact"]
resolver = "server-wins"
sync_interval = "5m"
"""


def with_table(**table: Any) -> dict[str, Any]:
    """Return a profile with one table that has these keys, too."""
    return {
        "storage": {"driver": "memory"},
        "transport": {"driver": "memory"},
        "profile": {"tables": [{"name": "account", **table}]},
    }


def mistakes(data: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong, drivers and all."""
    with pytest.raises(ProfileError) as caught:
        _setup.build("the profile", data, Path())
    return {problem.key: problem.message for problem in caught.value.problems}


def rule(**table: Any) -> TableRule:
    return profile.parse("the profile", with_table(**table)).profile.tables[0]


# What is right.


def test_the_profile_of_the_manual_is_read(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(PROFILE, encoding="utf-8")
    parsed = profile.parse(str(path), profile.read(path))
    account, contact = parsed.profile.tables
    assert parsed.storage.options == {"path": "field.db"}
    assert (account.rules, contact.rules) == (("custom",), ("related",))
    assert contact.sync_interval == timedelta(minutes=5)
    assert (parsed.policy("account"), parsed.policy("contact")) == (
        Policy("client-wins"),
        Policy("server-wins"),
    )
    assert parsed.languages == ("odata",)


def test_the_one_switch_decides_for_tables_without_a_policy_of_their_own() -> None:
    data = with_table()
    data["profile"]["conflict_detection"] = True
    assert profile.parse("p", data).policy("account") == Policy("server-wins")


@pytest.mark.parametrize(
    ("table", "rules"),
    [
        ({}, ("all",)),
        ({"filter": {"odata": "x"}}, ("custom",)),
        ({"related": ["r"]}, ("related",)),
        ({"filter": {"odata": "x"}, "related": ["r"]}, ("custom", "related")),
        ({"rows": ["all"]}, ("all",)),
    ],
)
def test_rules_that_are_not_written_are_those_that_the_rest_implies(
    table: dict[str, Any], rules: tuple[str, ...]
) -> None:
    assert rule(**table).rules == rules


@pytest.mark.parametrize(
    ("text", "minutes"), [("5m", 5), ("60m", 60), ("2h", 120), ("24h", 1440), ("1d", 1440)]
)
def test_an_interval_is_five_minutes_to_a_day(text: str, minutes: int) -> None:
    assert rule(sync_interval=text).sync_interval == timedelta(minutes=minutes)


def test_a_policy_takes_its_options_from_its_section_and_then_from_the_table() -> None:
    data = with_table(resolver={"name": "field-merge", "fallback": "server-wins"})
    data["resolvers"] = {"field-merge": {"fallback": "client-wins", "strict": True}}
    parsed = profile.parse("p", data)
    wanted = Policy("field-merge", {"fallback": "server-wins", "strict": True})
    assert parsed.policy("account") == wanted
    assert parsed.policies == [wanted]


def test_a_policy_that_several_tables_use_counts_once() -> None:
    data = with_table(resolver="server-wins")
    data["profile"]["tables"].append({"name": "contact", "resolver": "server-wins"})
    assert profile.parse("p", data).policies == [Policy("server-wins")]


def test_the_language_of_a_saved_view_is_used() -> None:
    data = with_table(filter={"view": "Active Accounts"}, rows=["custom", "mine"])
    assert profile.parse("p", data).languages == ("fetchxml",)
    assert profile.parse("p", data).profile.tables[0].rules == ("custom", "mine")


# What is wrong.


@pytest.mark.parametrize(
    ("table", "key", "says"),
    [
        ({"rows": ["evry"]}, ".rows[0]", "'evry' is not known; allowed: all, custom, related"),
        ({"rows": "all"}, ".rows", "a list is wanted, not 'all'"),
        ({"rows": ["all", "custom"]}, "", "stands alone"),
        ({"rows": ["custom"]}, "", "there is no filter"),
        ({"rows": ["all"], "filter": {"odata": "x"}}, "", "rows has no 'custom'"),
        ({"rows": ["related"]}, "", "names no relationship"),
        ({"rows": ["all"], "related": ["r"]}, "", "rows has no 'related'"),
        ({"indexes": ["a-b"]}, ".indexes[0]", "'a-b' is no name"),
        ({"filter": {}}, ".filter", "one filter in one language"),
        ({"filter": {"odata": "a", "x": "b"}}, ".filter", "one filter in one language"),
        ({"filter": "name eq 'x'"}, ".filter", "a table of keys is wanted"),
        ({"filter": {"odata": 1}}, ".filter.odata", "text is wanted, not 1"),
        ({"filter": {"sql": "1"}}, ".filter", "'sql': is not installed in holdfast.filters"),
        ({"columns": []}, ".columns", "a list with something in it"),
        ({"columns": ["a b"]}, ".columns[0]", "'a b' is no name"),
        ({"name": "drop table"}, ".name", "is no name"),
        ({"match": "some"}, ".match", "allowed: 'any' or 'all'"),
        ({"resolver": 5}, ".resolver", "a table of keys is wanted, not 5"),
        ({"resolver": {"nam": "x"}}, ".resolver.name", "is missing"),
        ({"resolver": "coin"}, ".resolver", "holdfast.resolvers; installed: "),
        ({"resolver": {"name": "client-wins", "x": 1}}, ".resolver.x", "allowed: none"),
        ({"sync_interval": "4m"}, ".sync_interval", "5 minutes to a day"),
        ({"sync_interval": "2d"}, ".sync_interval", "5 minutes to a day"),
        ({"sync_interval": "often"}, ".sync_interval", "'10m', '2h' or '1d'"),
        ({"sync_interval": 600}, ".sync_interval", "'10m', '2h' or '1d'"),
        ({"colums": ["a"]}, ".colums", "did you mean 'columns'? allowed: columns, delete_limit"),
        ({"removal_limit": "of"}, ".removal_limit", "{ rows = 50, percent = 20 } is wanted"),
        ({"removal_limit": {"row": 1}}, ".removal_limit.row", "did you mean 'rows'? allowed: per"),
        ({"delete_limit": {"rows": "x"}}, ".delete_limit.rows", "a whole number is wanted"),
        ({"delete_limit": {"percent": 101}}, ".delete_limit.percent", "a number up to 100"),
    ],
)
def test_a_mistake_in_a_table_names_its_key_and_what_is_allowed(
    table: dict[str, Any], key: str, says: str
) -> None:
    assert says in mistakes(with_table(**table))[f"profile.tables[0]{key}"]


@pytest.mark.parametrize(
    ("section", "value", "key", "says"),
    [
        ("storage", {"driver": "sqlit"}, "storage.driver", "holdfast.storages; installed: memory"),
        ("storage", {"driver": 5}, "storage.driver", "text is wanted, not 5"),
        ("storage", {"drivr": "memory"}, "storage.driver", "is missing"),
        ("storage", {"driver": "memory", "dsk": 1}, "storage.dsk", "did you mean 'disk'?"),
        ("transport", {"driver": "nope"}, "transport.driver", "holdfast.transports"),
        ("plugins", ["nope"], "plugins", "'nope': is not installed in holdfast.plugins"),
        ("plugins", "demo", "plugins", "a list is wanted"),
        ("filters", {"odata": {"zz": 1}}, "filters.odata.zz", "is not a known key"),
        ("filters", {"sql": {}}, "filters.sql", "is not installed in holdfast.filters"),
        ("profil", {}, "profil", "did you mean 'profile'?"),
        ("profile", {"tables": []}, "profile", "there is no table"),
        ("profile", {"tables": [{"name": "a"}] * 2}, "profile", "named twice: a"),
        ("profile", {"tables": [{}]}, "profile.tables[0].name", "is missing"),
        ("profile", {"tabels": []}, "profile.tabels", "did you mean 'tables'?"),
        (
            "profile",
            {"tables": [{"name": "a"}], "conflict_detection": "maybe"},
            "profile.conflict_detection",
            "true or false is wanted",
        ),
    ],
)
def test_a_mistake_elsewhere_names_its_key_too(
    section: str, value: object, key: str, says: str
) -> None:
    assert says in mistakes({**with_table(), section: value})[key]


def test_every_mistake_is_named_at_once() -> None:
    data = with_table(colums=["a"], rows=["my"], sync_interval="1m")
    data["profile"]["tables"].append({"filter": {}})
    data["storage"] = {"driver": "memory", "pth": "x"}
    data["plugin"] = []
    del data["transport"]
    assert set(mistakes(data)) == {
        "profile.tables[0].colums",
        "profile.tables[0].rows[0]",
        "profile.tables[0].sync_interval",
        "profile.tables[1].name",
        "profile.tables[1].filter",
        "storage.pth",
        "transport",
        "plugin",
    }


def test_an_empty_profile_says_what_is_missing() -> None:
    assert mistakes({}) == dict.fromkeys(("storage", "transport", "profile"), "is missing")


def test_a_message_counts_the_mistakes_and_lists_them() -> None:
    with pytest.raises(ProfileError) as caught:
        profile.parse("holdfast.toml", with_table(match="some", rows=["my"]))
    text = str(caught.value)
    assert text.startswith("holdfast.toml has 2 mistakes; correct and try again:\n")
    assert "\n  profile.tables[0].match: 'some' is not known" in text


def test_a_file_that_is_not_there_or_no_toml_is_said_to_be(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    with pytest.raises(ProfileError, match="there is no such file; `holdfast init`"):
        profile.read(path)
    path.write_bytes(b"[storage\n")
    with pytest.raises(ProfileError, match=r"is no TOML: .*line 1"):
        profile.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ProfileError, match="byte 1 is not UTF-8"):
        profile.read(path)
    with pytest.raises(ProfileError, match="cannot be read"):
        profile.read(tmp_path)


def test_a_profile_does_not_change_what_it_was_made_from() -> None:
    data = with_table(resolver={"name": "client-wins"})
    before = copy.deepcopy(data)
    assert isinstance(profile.parse("p", data), Profile)
    assert data == before

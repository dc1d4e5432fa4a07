"""Every verb: its exit code, what people read, and what scripts read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from holdfast import profile as profiles
from holdfast.model import Unreadable
from support.cli_command import Cli


def _first(cli: Cli, name: str = "Fjord Marine AS") -> Any:
    document = cli("query", "account", "--filter", f"name eq '{name}'", "--json").json
    return document["rows"][0]


def _conflict(cli: Cli) -> str:
    """Change one column of a row on both sides and return its id."""
    row_id = str(_first(cli)["id"])
    assert cli("update", "account", row_id, "telephone1=mine").code == 0
    cli.server.update("account", row_id, {"telephone1": "theirs"})
    return row_id


def _refused(cli: Cli) -> str:
    """Create a row that the server refuses, sync, and return the issue's id."""
    row_id = cli.created("name=Refused AS")
    cli.server.refuse(row_id, "0x80040237", "a record with this name exists")
    outcome = cli("sync", "--json")
    assert outcome.code == 3
    return str(outcome.json["issues"][0]["id"])


# --- init, plugins ------------------------------------------------------------------------------


def test_init_writes_a_profile_that_holdfast_reads(cli: Cli) -> None:
    Path("holdfast.toml").unlink()
    outcome = cli("init", "--url", "https://contoso.crm4.dynamics.com", "--path", 'a "b".db')
    assert outcome.code == 0
    assert "holdfast download" in outcome.out
    source = Path("holdfast.toml")
    profile = profiles.parse("it", profiles.read(source))
    assert profile.transport.options["url"] == "https://contoso.crm4.dynamics.com"
    assert profile.storage.options["path"] == 'a "b".db'
    assert [table.name for table in profile.profile.tables] == ["account"]
    assert source.read_text(encoding="utf-8").count("#") > 10


def test_init_never_overwrites(cli: Cli) -> None:
    before = Path("holdfast.toml").read_bytes()
    outcome = cli("init")
    assert outcome.code == 2
    assert "is there already" in outcome.err
    assert Path("holdfast.toml").read_bytes() == before


def test_init_refuses_what_would_break_the_file(cli: Cli) -> None:
    outcome = cli("init", "--profile", "new.toml", "--url", "https://x\x7f")
    assert outcome.code == 2
    assert not Path("new.toml").exists()


def test_init_where_nothing_can_be_written_is_a_failure_in_one_line(cli: Cli) -> None:
    outcome = cli("init", "--profile", "no/such/folder/holdfast.toml")
    assert outcome.code == 1
    assert "cannot be written" in outcome.err


def test_plugins_lists_everything_installed_and_what_is_in_use(cli: Cli) -> None:
    found = {(p["group"], p["name"]): p for p in cli("plugins", "--json").json["plugins"]}
    planted = found["holdfast.storages", "planted"]
    assert planted["in_use"]
    assert (planted["distribution"], planted["version"]) == ("strangers", "2.3")
    assert not found["holdfast.storages", "memory"]["in_use"]
    assert found["holdfast.resolvers", "client-wins"]["in_use"]
    assert "planted" in cli("plugins").out


def test_plugins_says_why_one_failed_to_load(cli: Cli) -> None:
    cli.profile(plugins='["broken"]')
    found = {p["name"]: p for p in cli("plugins", "--json").json["plugins"]}
    assert "cannot be loaded" in found["broken"]["error"]


def test_plugins_works_without_a_profile(cli: Cli) -> None:
    Path("holdfast.toml").unlink()
    outcome = cli("plugins")
    assert outcome.code == 0
    assert "sqlite" in outcome.out
    assert "nothing is marked as in use" in outcome.err


# --- status -------------------------------------------------------------------------------------


def test_status_before_the_first_download_says_what_to_do(cli: Cli) -> None:
    outcome = cli("status")
    assert outcome.code == 0
    assert "not downloaded yet: run `holdfast download`" in outcome.out
    document = cli("status", "--json").json
    assert document["availability"] == "not downloaded"
    assert document["user"] is None
    assert not document["synced"]


def test_status_after_a_download_says_that_all_has_arrived(downloaded: Cli) -> None:
    outcome = downloaded("status")
    assert "all work has arrived" in outcome.out
    assert "Account (account)" in outcome.out
    assert "Field service" in outcome.out
    document = downloaded("status", "--json").json
    assert document["synced"]
    assert [(t["name"], t["rows"]) for t in document["tables"]] == [("account", 4), ("contact", 1)]
    assert document["tables"][0]["last_sync"].endswith("+00:00")


def test_status_counts_what_waits_and_what_is_open(downloaded: Cli) -> None:
    downloaded.created("name=Waiting AS")
    outcome = downloaded("status")
    assert "1 change to be sent: run `holdfast sync`" in outcome.out
    _refused(downloaded)
    outcome = downloaded("status")
    assert "1 issue for you to decide: run `holdfast issues`" in outcome.out
    assert downloaded("status", "--json").json["issues"] == 1


# --- download, sync, offline --------------------------------------------------------------------


def test_download_tells_what_came(cli: Cli) -> None:
    for number in range(5):
        cli.server.create("account", {"name": f"Account {number}"})
    outcome = cli("download")
    assert outcome.code == 0
    assert "account: 5 rows" in outcome.out
    assert "all work has arrived" in outcome.out


def test_download_in_json_is_one_document(cli: Cli) -> None:
    cli.server.create("account", {"name": "One"})
    document = cli("download", "--json").json
    assert document["complete"]
    came = {"received": 1, "removed": 0, "problem": None, "unreadable": 0}
    assert document["tables"]["account"] == came
    assert document["failure"] is None


def test_sync_tells_what_was_sent_and_fetched(downloaded: Cli) -> None:
    row_id = downloaded.created("name=Sent AS")
    downloaded.server.create("account", {"name": "From elsewhere"})
    outcome = downloaded("sync")
    assert outcome.code == 0
    assert "sent      1 change" in outcome.out
    assert "fetched   account: " in outcome.out
    row = downloaded.server.get("account", row_id)
    assert row is not None
    assert row["name"] == "Sent AS"


def test_sync_tells_of_a_conflict_who_won_and_where_the_loser_is(downloaded: Cli) -> None:
    row_id = _conflict(downloaded)
    outcome = downloaded("sync")
    assert outcome.code == 0
    assert "account “Fjord Marine AS”: your version won; the server's is kept\n" in outcome.out
    shown = downloaded("issues", "show", outcome.out.partition("issues show ")[2].split()[0])
    assert shown.code == 0
    assert row_id in shown.out
    assert "take-theirs" in shown.out


def test_sync_under_server_wins_keeps_what_was_typed(downloaded: Cli) -> None:
    downloaded.profile(conflict_detection=True)
    row_id = _conflict(downloaded)
    document = downloaded("sync", "--json").json
    (entry,) = document["conflicts"]
    assert (entry["winner"], entry["row_id"]) == ("theirs", row_id)
    assert entry["mine"]["telephone1"] == "mine"
    assert entry["theirs"]["telephone1"] == "theirs"
    assert downloaded("issues", "take-mine", entry["id"]).code == 0
    assert downloaded("sync").code == 0
    row = downloaded.server.get("account", row_id)
    assert row is not None
    assert row["telephone1"] == "mine"


def test_sync_with_a_refused_change_is_done_but_open(downloaded: Cli) -> None:
    row_id = downloaded.created("name=Refused AS")
    downloaded.server.refuse(row_id, "0x80040237", "a record with this name exists")
    outcome = downloaded("sync")
    assert outcome.code == 3
    assert "a record with this name exists" in outcome.out
    assert "holdfast issues show" in outcome.out
    assert "waiting   1 change" in outcome.out


def test_work_offline_keeps_changes_here_until_it_is_turned_off(downloaded: Cli) -> None:
    assert downloaded("offline", "on").code == 0
    row_id = downloaded.created("name=Offline AS")
    for verb in ("sync", "download"):
        refused = downloaded(verb)
        assert refused.code == 5
        assert "holdfast offline off" in refused.err
    assert "Work offline is on" in downloaded("status").out
    assert downloaded.server.get("account", row_id) is None
    assert downloaded("offline", "off").code == 0
    assert downloaded.server.get("account", row_id) is not None


def test_offline_on_in_json(downloaded: Cli) -> None:
    assert downloaded("offline", "on", "--json").json == {"working_offline": True}
    assert downloaded("offline", "off", "--json").json["complete"]


# --- query, create, update, delete --------------------------------------------------------------


def test_query_shows_labels_for_people(downloaded: Cli) -> None:
    outcome = downloaded("query", "account", "--order-by", "name")
    assert outcome.code == 0
    lines = outcome.out.splitlines()
    assert "primarycontactid" in lines[0]
    assert "Ada Lovelace" in lines[1]
    assert "Active" in lines[1]
    assert outcome.err == "4 rows\n"


def test_query_filters_sorts_cuts_and_chooses_columns(downloaded: Cli) -> None:
    words = ("--filter", "startswith(name,'f')", "--order-by", "name desc", "--top", "2")
    document = downloaded("query", "account", *words, "--columns", "name,revenue", "--json").json
    values = [row["values"] for row in document["rows"]]
    assert values == [
        {"name": "Fjord Marine AS", "revenue": "1250"},
    ]


def test_query_in_json_has_exact_values_and_labels(downloaded: Cli) -> None:
    row = _first(downloaded)
    assert row["values"]["revenue"] == "1250"
    assert row["values"]["primarycontactid"]["table"] == "contact"
    assert row["labels"]["primarycontactid"] == "Ada Lovelace"
    assert row["values"]["createdon"].endswith("+00:00")
    assert row["pending"] is False


def test_query_of_nothing_is_an_empty_document(downloaded: Cli) -> None:
    outcome = downloaded("query", "account", "--filter", "name eq 'nobody'", "--json")
    assert outcome.json == {"table": "account", "rows": []}
    assert downloaded("query", "account", "--filter", "name eq 'nobody'").err == "0 rows\n"


def test_query_marks_rows_whose_changes_have_not_arrived(downloaded: Cli) -> None:
    downloaded.created("name=Aa")
    outcome = downloaded("query", "account", "--columns", "name", "--order-by", "name")
    assert "*  Aa" in outcome.out
    assert "1 with changes that have not arrived (*)" in outcome.err


def test_create_update_and_delete_a_row(downloaded: Cli) -> None:
    contact = _first(downloaded)["values"]["primarycontactid"]["id"]
    row_id = downloaded.created(
        "name=New AS", "revenue=12.5", "statecode=inactive", f"primarycontactid=contact:{contact}"
    )
    row = _first(downloaded, "New AS")
    assert row["id"] == row_id
    assert row["pending"]
    assert row["values"]["revenue"] == "12.5"
    assert row["values"]["statecode"] == 1
    assert row["values"]["primarycontactid"] == {"table": "contact", "id": contact}
    changed = downloaded("update", "account", row_id, "revenue=", "telephone1=a=b")
    assert changed.code == 0
    assert "sent with the next sync" in changed.out
    row = _first(downloaded, "New AS")
    assert (row["values"]["revenue"], row["values"]["telephone1"]) == (None, "a=b")
    deleted = downloaded("delete", "account", row_id, "--json")
    assert deleted.json == {"table": "account", "id": row_id, "done": "deleted"}
    assert downloaded("delete", "account", row_id).code == 2


# --- issues -------------------------------------------------------------------------------------


def test_issues_are_empty_at_first(downloaded: Cli) -> None:
    outcome = downloaded("issues")
    assert outcome.code == 0
    assert "nothing needs your decision" in outcome.err
    assert downloaded("issues", "--json").json == {"issues": []}
    assert "no conflict was settled" in downloaded("issues", "--history").err


def test_a_refused_change_can_be_corrected_and_sent_again(downloaded: Cli) -> None:
    issue_id = _refused(downloaded)
    listed = downloaded("issues")
    assert issue_id in listed.out
    assert "a record with this name exists" in listed.out
    shown = downloaded("issues", "show", issue_id)
    assert "0x80040237" in shown.out
    assert f"holdfast issues retry {issue_id}" in shown.out
    assert "(no row)" in shown.out
    issue = downloaded("issues", "show", issue_id, "--json").json
    assert issue["kind"] == "refused"
    assert issue["base"] is None
    downloaded.server.accept(issue["row_id"])
    assert downloaded("issues", "retry", issue_id).code == 0
    assert downloaded("sync").code == 0
    assert downloaded.server.get("account", issue["row_id"]) is not None


def test_a_refused_change_can_be_given_up(downloaded: Cli) -> None:
    issue_id = _refused(downloaded)
    document = downloaded("issues", "discard", issue_id, "--json").json
    assert document == {"id": issue_id, "done": "discard"}
    assert downloaded("status", "--json").json["pending"] == 0


def test_a_conflict_left_to_a_person_shows_all_versions_side_by_side(downloaded: Cli) -> None:
    downloaded.profile(account='resolver = "ask"')
    _conflict(downloaded)
    assert downloaded("sync").code == 3
    (issue,) = downloaded("issues", "--json").json["issues"]
    assert issue["kind"] == "conflict"
    shown = downloaded("issues", "show", issue["id"]).out
    (line,) = [line for line in shown.splitlines() if line.startswith("telephone1")]
    assert line.split() == ["telephone1", "(empty)", "mine", "theirs"]
    assert f"holdfast issues take-mine {issue['id']}" in shown
    assert f"holdfast issues take-theirs {issue['id']}" in shown


def test_a_conflict_is_settled_with_either_version(downloaded: Cli) -> None:
    downloaded.profile(account='resolver = "ask"')
    for verb, expected in (("take-mine", "mine"), ("take-theirs", "theirs")):
        row_id = _conflict(downloaded)
        assert downloaded("sync").code == 3
        (issue,) = downloaded("issues", "--json").json["issues"]
        assert downloaded("issues", verb, issue["id"]).code == 0
        assert downloaded("sync").code == 0
        row = downloaded.server.get("account", row_id)
        assert row is not None
        assert row["telephone1"] == expected


def test_settled_conflicts_are_listed_on_request(downloaded: Cli) -> None:
    _conflict(downloaded)
    downloaded("sync")
    assert "history" not in downloaded("issues", "--json").json
    (entry,) = downloaded("issues", "--history", "--json").json["history"]
    assert (entry["kind"], entry["winner"], entry["policy"]) == ("settled", "mine", "client-wins")
    assert entry["id"] in downloaded("issues", "--history").out
    shown = downloaded("issues", "show", entry["id"], "--json")
    assert json.loads(shown.out) == entry


def test_a_settled_conflict_that_is_retried_or_discarded_says_that_it_is_settled(
    downloaded: Cli,
) -> None:
    _conflict(downloaded)
    downloaded("sync")
    (entry,) = downloaded("issues", "--history", "--json").json["history"]
    for verb in ("retry", "discard"):
        outcome = downloaded("issues", verb, entry["id"])
        assert outcome.code == 2
        assert f"conflict {entry['id']} is settled" in outcome.err
        assert "bring the other version back" in outcome.err


# --- on a file ----------------------------------------------------------------------------------


def test_a_day_in_the_field_on_a_file(cli: Cli) -> None:
    cli.profile(storage='driver = "sqlite"\npath = "field.db"')
    cli.server.create("account", {"name": "Fjord Marine AS"})
    assert "not downloaded yet" in cli("status").out
    assert cli("query", "account").code == 2
    assert cli("download").code == 0
    assert Path("field.db").exists()
    assert cli("offline", "on").code == 0
    row_id = cli.created("name=Ålesund Båt", "revenue=0.10")
    assert _first(cli, "ålesund båt")["values"]["revenue"] == "0.1"
    assert cli("offline", "off").code == 0
    row = cli.server.get("account", row_id)
    assert row is not None
    assert str(row["revenue"]) == "0.1"
    assert cli("status", "--json").json["synced"]


# --- many rows, torn rows -----------------------------------------------------------------------


def _emptied(cli: Cli) -> str:
    """Let more rows go on the server than go here unasked; return the issue about it."""
    cli.profile(account="removal_limit = { rows = 1, percent = 0 }")
    for row_id in list(cli.server.ids("account"))[:2]:
        cli.server.delete("account", row_id)
    outcome = cli("sync", "--json")
    assert outcome.code == 3
    (issue,) = outcome.json["issues"]
    assert issue["extent"] == {
        "rows": 2,
        "of": 4,
        "causes": {"deleted on the server": 2, "left the filter": 0},
    }
    return str(issue["id"])


def test_many_rows_that_are_to_go_are_told_and_allowed(downloaded: Cli) -> None:
    issue_id = _emptied(downloaded)
    again = downloaded("sync")
    assert again.code == 3
    assert "account: 0 rows read, 4 here now; 2 of the 4 rows here would go" in again.out
    assert "all work has arrived" not in again.out
    listed = downloaded("issues").out
    assert "mass removal" in listed
    assert "2 of the 4 rows here would go (2 deleted on the server)" in listed
    shown = downloaded("issues", "show", issue_id).out
    assert shown.startswith("account\n")
    assert f"holdfast issues allow {issue_id}" in shown
    assert f"holdfast issues retry {issue_id}" in shown
    assert "Yours (mine)" not in shown
    status = downloaded("status").out
    assert "available, with a warning" in status
    assert "1 issue for you to decide: run `holdfast issues`" in status
    outcome = downloaded("issues", "allow", issue_id)
    assert outcome.code == 0
    assert "these rows may go" in outcome.out
    assert len(downloaded("query", "account", "--json").json["rows"]) == 2
    assert downloaded("issues", "allow", issue_id).code == 2


def test_many_rows_that_are_to_go_can_be_asked_about_again(downloaded: Cli) -> None:
    issue_id = _emptied(downloaded)
    assert downloaded("issues", "discard", issue_id).code == 2
    assert "allow it or retry" in downloaded("issues", "take-mine", issue_id).err
    document = downloaded("issues", "retry", issue_id, "--json").json
    assert document == {"id": issue_id, "done": "retry"}
    assert downloaded("sync").code == 3
    assert downloaded("issues", "--json").json["issues"][0]["id"] != issue_id


def test_many_deletions_are_told_and_given_up(downloaded: Cli) -> None:
    downloaded.profile(account="delete_limit = { rows = 1, percent = 0 }")
    rows = list(downloaded.server.ids("account"))
    for row_id in rows[:2]:
        assert downloaded("delete", "account", row_id).code == 0
    assert downloaded("sync").code == 3
    (issue,) = downloaded("issues", "--json").json["issues"]
    assert (issue["kind"], issue["extent"]["rows"], len(issue["ops"])) == ("mass deletion", 2, 2)
    shown = downloaded("issues", "show", issue["id"]).out
    assert f"holdfast issues allow {issue['id']}" in shown
    assert downloaded("issues", "discard", issue["id"]).code == 0
    assert downloaded("sync").code == 0
    assert len(downloaded.server.ids("account")) == len(rows)


def test_a_torn_row_is_told_with_what_was_sent(downloaded: Cli) -> None:
    row_id = downloaded.server.ids("account")[0]
    sent = '{"name": "\x1b[31mred", "revenue": "many"}'
    downloaded.server.garbled[row_id] = Unreadable(row_id, "revenue is no money", sent)
    downloaded.server.update("account", row_id, {})
    outcome = downloaded("sync")
    assert outcome.code == 3
    assert "account: 0 rows read, 4 here now; 1 row cannot be understood" in outcome.out
    (issue,) = downloaded("issues", "--json").json["issues"]
    assert issue["payload"] == sent
    shown = downloaded("issues", "show", issue["id"]).out
    assert "revenue is no money" in shown
    assert 'what the server sent: {"name": "red", "revenue": "many"}' in shown
    assert f"holdfast issues retry {issue['id']}" in shown
    assert "1 row cannot be understood" in downloaded("status").out
    assert downloaded("status", "--json").json["tables"][0]["unreadable"] == 1
    downloaded.server.garbled.clear()
    assert "tried again with the next sync" in downloaded("issues", "retry", issue["id"]).out
    assert downloaded("sync").code == 0

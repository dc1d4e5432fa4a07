"""Rows are hostile: nothing that a terminal obeys is printed, and JSON stays exact."""

from __future__ import annotations

import io
import json
import logging
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from holdfast.status import Availability, ReplicaStatus, SyncReport, TableReport, TableStatus
from holdfast.values import Reference
from holdfast_cli import _json
from holdfast_cli._errors import ExitCode, report_code
from holdfast_cli._log import warnings_on_stderr
from holdfast_cli._plain import clean, console, one_line
from holdfast_cli._render import size_text, value_text
from holdfast_cli._report import report_text
from holdfast_cli._status import advice, header, show_tables
from support.cli_command import Cli

HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07x",
    "\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x9b31mred",
    "a\rb",
    "a\x08b",
    "a\u202eb",
    "a\u2066b\u2069",
    "a\u200fb",
    "a\x00b",
    "\U000e0041tag",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_a_terminal_obeys_survives(text: str) -> None:
    left = clean(text)
    assert not any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in left)
    assert not set(left) & set("\u202e\u2066\u2069\u200f\U000e0041")


def test_what_people_write_survives() -> None:
    assert clean("Ålesund\tBåt\nÆØÅ 日本 👩‍🚒 می‌خواهم") == "Ålesund\tBåt\nÆØÅ 日本 👩‍🚒 می‌خواهم"
    assert clean("\x1b[31mred\x1b[0m") == "red"
    assert one_line("two\nlines") == "two lines"
    assert len(one_line("x" * 1000)) == 200


def test_hostile_rows_reach_neither_table_nor_json(downloaded: Cli) -> None:
    for number, text in enumerate(HOSTILE):
        downloaded.server.create("account", {"name": f"h{number} [bold]{text}[/bold]"})
    assert downloaded("sync").code == 0
    table = downloaded("query", "account", "--columns", "name")
    document = downloaded("query", "account", "--columns", "name", "--json")
    for printed in (table.out, document.out):
        assert not any(c in printed for c in "\x1b\x07\x9b\r\x08\x00\u202e\u2066\u200f\U000e0041")
    assert "[bold]red[/bold]" in table.out
    names = {row["values"]["name"] for row in document.json["rows"]}
    assert {f"h{n} [bold]{text}[/bold]" for n, text in enumerate(HOSTILE)} <= names


def test_a_hostile_server_message_is_printed_without_its_commands(downloaded: Cli) -> None:
    row_id = downloaded.created("name=Refused AS")
    downloaded.server.refuse(row_id, "\x1b[2Jcode", "\x1b]52;c;evil\x07a \u202erule\nforbids it")
    words = ("sync",), ("issues",), ("sync", "--json"), ("issues", "--json")
    for outcome in [downloaded(*each) for each in words]:
        assert not any(c in outcome.out + outcome.err for c in "\x1b\x07\u202e")
    issue = downloaded("issues", "--json").json["issues"][0]
    assert issue["code"] == "\x1b[2Jcode"
    shown = downloaded("issues", "show", issue["id"]).out
    assert "a rule forbids it (code)" in shown
    assert "\x1b" not in shown


def test_json_values_are_exact() -> None:
    document = [
        _json.value(value)
        for value in (
            Decimal("1E+3"),
            Decimal("0.10"),
            datetime(2026, 3, 31, 8, tzinfo=UTC),
            Reference("account", "1"),
            (1, 9),
            None,
            True,
        )
    ]
    moment = "2026-03-31T08:00:00+00:00"
    account = {"table": "account", "id": "1"}
    assert document == ["1000", "0.10", moment, account, [1, 9], None, True]


def test_json_is_plain_ascii_where_the_terminal_knows_no_unicode(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", out)
    _json.emit({"name": "Ålesund 日本\x7f"})
    out.flush()
    written = out.buffer.getvalue()
    assert written.isascii()
    assert json.loads(written) == {"name": "Ålesund 日本\x7f"}


def test_people_see_readable_values() -> None:
    assert value_text(Decimal("1E+3")) == "1000"
    assert value_text(value=True) == "true"
    assert value_text(None) == ""
    assert value_text((1, 9)) == "1,9"
    assert value_text(datetime(1, 1, 1, tzinfo=UTC)).startswith("0001-01-01")
    assert size_text(999) == "999 B"
    assert size_text(1_234_567) == "1.2 MB"


def test_a_narrow_terminal_gets_blocks_instead_of_broken_words(
    downloaded: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = downloaded("query", "account", "--top", "1", "--order-by", "name desc").out
    assert "account(" in out
    assert max(len(line) for line in out.splitlines()) <= 60
    assert "Ada Lovelace" in out


@pytest.mark.parametrize("columns", ["80", "60", "44"])
def test_ids_are_never_broken_for_somebody_has_to_type_them(
    downloaded: Cli, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    known = downloaded("query", "account", "--json", "--top", "1").json["rows"][0]["id"]
    row_id = downloaded.created("name=Refused AS")
    downloaded.server.refuse(row_id, "code", f"a record with the id {row_id} exists")
    downloaded.server.update("account", known, {"telephone1": "theirs"})
    downloaded("update", "account", known, "telephone1=mine")
    monkeypatch.setenv("COLUMNS", columns)
    told = downloaded("sync").out
    listed = downloaded("issues", "--history").out
    document = downloaded("issues", "--history", "--json").json
    for entry in (*document["issues"], *document["history"]):
        assert f"\n          holdfast issues show {entry['id']}\n" in told
        assert entry["id"] in listed
    assert max(len(line) for line in listed.splitlines()) <= int(columns)


def test_a_narrow_terminal_gets_the_versions_below_each_other(
    downloaded: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = downloaded("query", "account", "--json", "--top", "1").json["rows"][0]["id"]
    downloaded.server.update("account", known, {"telephone1": "theirs"})
    downloaded("update", "account", known, "telephone1=mine")
    downloaded("sync")
    (entry,) = downloaded("issues", "--history", "--json").json["history"]
    monkeypatch.setenv("COLUMNS", "34")
    shown = downloaded("issues", "show", entry["id"]).out
    assert "Yours (mine)       mine" in shown
    assert "Server's (theirs)  theirs" in shown


def test_a_narrow_terminal_gets_the_status_in_blocks(
    downloaded: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    assert "Status     available" in downloaded("status").out


def _status(
    *availabilities: Availability, offline: bool = False, pending: int = 0, issues: int = 0
) -> ReplicaStatus:
    tables = tuple(
        TableStatus(f"table{number}", "", each, 0, 0, None, received=50, expected=100)
        for number, each in enumerate(availabilities)
    )
    return ReplicaStatus(
        "Field service", "field.db", "server", None, None, offline, tables, pending, issues, 10_000
    )


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (_status(Availability.NOT_DOWNLOADED), "not downloaded yet: run `holdfast download`"),
        (_status(Availability.AVAILABLE, Availability.NOT_DOWNLOADED), "not everything is"),
        (_status(Availability.INITIALIZING), "it goes on where it stopped"),
        (_status(Availability.NOT_AVAILABLE), "it goes on where it stopped"),
        (_status(Availability.AVAILABLE, issues=2, pending=2), "2 issues for you to decide"),
        (_status(Availability.WARNING, pending=1), "the last sync did not get through"),
        (_status(Availability.AVAILABLE, pending=1), "1 change to be sent: run `holdfast sync`"),
        (_status(Availability.AVAILABLE), "all work has arrived"),
        (_status(Availability.AVAILABLE, offline=True, pending=2), "2 changes kept here; Work"),
        (_status(Availability.NOT_DOWNLOADED, offline=True), "Work offline is on: run"),
    ],
)
def test_status_says_the_one_thing_to_do_next(status: ReplicaStatus, said: str) -> None:
    assert said in advice(status)


def test_status_shows_how_far_an_interrupted_download_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = io.StringIO()
    show_tables(_status(Availability.INITIALIZING))
    assert "downloading, 50 of about 100" in capsys.readouterr().out
    console(out).print(header(_status()))
    assert "field.db (10.0 kB)" in out.getvalue()


def test_a_report_tells_of_tables_that_failed_and_conflicts_too_many_to_show() -> None:
    report = SyncReport(
        applied=1200,
        conflicts=["1", "2"],
        tables={"account": TableReport(1, 2, "access was\nlost"), "contact": TableReport()},
    )
    told = report_text(report, [], [], {"account": 4300})
    assert "sent      1,200 changes" in told
    assert "fetched   account: 1 row read, 2 rows removed, 4,300 here now; access was lost" in told
    assert "2 more conflicts: `holdfast issues --history`" in told
    assert "contact" not in told
    assert report_code(report) is ExitCode.OPEN


def test_warnings_of_the_library_are_told_in_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("holdfast.somewhere")
    with warnings_on_stderr():
        logger.warning("a plugin\x1b[2J took too long")
        logger.info("nobody needs to know")
        logging.getLogger("azure.identity").warning("no variables.\nVisit a page")
    logger.info("nor this")
    told = capsys.readouterr().err
    assert told == "warning: a plugin took too long\nwarning: no variables. Visit a page\n"


def test_what_others_log_is_told_by_who_says_it_and_not_in_their_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """asyncio writes down an exception that nobody waited for, whatever its text holds."""
    with warnings_on_stderr():
        logging.getLogger("holdfast_sqlite._storage").warning("the log is gone")
        logging.getLogger("asyncio").error("exception=ValueError('canary-row')")
        logging.getLogger("strange\nname").warning("canary-row")
    assert capsys.readouterr().err == (
        "warning: the log is gone\n"
        "error: something is reported by asyncio\n"
        "warning: something is reported by strange name\n"
    )

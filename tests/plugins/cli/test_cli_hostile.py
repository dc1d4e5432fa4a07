"""S-28: no verb prints what a terminal obeys, wherever it comes from; JSON escapes it."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.testing import MemoryServer
from support import cli_drivers
from support.cli_command import Cli, Outcome
from support.naughty import texts
from support.world import ACCOUNT, CONTACT

#: Invisible, but part of what people write: soft hyphen, joiner, non-joiner.
WRITTEN = frozenset("\xad\u200c\u200d")
HOSTILE = "\x1b[2J\x1b]0;title\x07\x9b31m\r\u202e[bold]evil[/bold]\u2066\x00\nfaked line"
CORPUS = [text for text in texts() if len(text) <= 100]


def obeyed(text: str) -> set[str]:
    """Return the characters that a terminal would obey or that turn the reading direction."""
    return {
        c
        for c in text
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        and c not in WRITTEN
        and c not in "\n\t"
    }


@pytest.fixture
def hostile(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """A server all of whose names and rows are hostile, downloaded."""
    labels = {"account": f"Account {HOSTILE}", "contact": f"Contact {HOSTILE}"}
    schemas = [
        replace(
            schema,
            label=labels[schema.name],
            columns=tuple(
                replace(
                    column,
                    label=f"{column.name} {HOSTILE}",
                    max_length=None,
                    options=tuple(replace(o, label=f"{o.label} {HOSTILE}") for o in column.options),
                )
                for column in schema.columns
            ),
        )
        for schema in (ACCOUNT, CONTACT)
    ]
    server = MemoryServer(schemas, page_size=100)
    monkeypatch.setitem(cli_drivers.SERVERS, "server", server)
    cli.server = server
    ada = server.create("contact", {"fullname": HOSTILE})
    for number, text in enumerate(CORPUS):
        values = {"name": f"h{number} {text}", "telephone1": text, "primarycontactid": ada}
        server.create("account", values)
    outcome = harmless(cli("download"))
    assert outcome.code == 0
    return cli


def harmless(outcome: Outcome) -> Outcome:
    assert obeyed(outcome.out) == set()
    assert obeyed(outcome.err) == set()
    assert "faked line" not in outcome.out.splitlines()
    return outcome


def run(cli: Cli, *words: str, codes: Sequence[int] = (0,)) -> Outcome:
    outcome = harmless(cli(*words))
    assert outcome.code in codes, (words, outcome)
    return outcome


@pytest.mark.parametrize("width", ["40", "200", None])
def test_rows_are_printed_without_what_a_terminal_obeys(
    hostile: Cli, width: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if width is not None:
        monkeypatch.setenv("COLUMNS", width)
    assert len(CORPUS) > 500
    shown = run(hostile, "query", "account")
    assert "[bold]evil[/bold]" in shown.out
    run(hostile, "query", "account", "--columns", "name,primarycontactid,statecode")
    run(hostile, "query", "account", "--top", "3", "--expand", "primarycontactid")
    run(hostile, "query", "account", "--count", "--top", "1")
    run(hostile, "status")


def test_json_has_every_value_as_it_is_and_escapes_it(hostile: Cli) -> None:
    shown = run(hostile, "query", "account", "--columns", "name,telephone1", "--json")
    rows = [row["values"] for row in shown.json["rows"]]
    assert {(row["name"], row["telephone1"]) for row in rows} == {
        (f"h{number} {text}", text) for number, text in enumerate(CORPUS)
    }
    assert run(hostile, "status", "--json").json["tables"][0]["label"] == f"Account {HOSTILE}"


def test_writing_verbs_say_nothing_that_is_obeyed(hostile: Cli) -> None:
    made = run(hostile, "create", "account", f"name={HOSTILE}", "--json").json["id"]
    run(hostile, "create", "account", f"name={HOSTILE}")
    run(hostile, "update", "account", made, f"telephone1={HOSTILE}"[:15])
    run(hostile, "query", "account", "--filter", f"accountid eq {made}")
    run(hostile, "delete", "account", made)
    run(hostile, "sync")


def test_issues_and_history_say_nothing_that_is_obeyed(hostile: Cli) -> None:
    """A conflict of hostile rows, and a refusal in hostile words."""
    refused = run(hostile, "create", "account", f"name={HOSTILE}", "--json").json["id"]
    hostile.server.refuse(refused, HOSTILE, f"{HOSTILE} forbids it")
    (row,) = run(hostile, "query", "account", "--top", "1", "--json").json["rows"]
    run(hostile, "update", "account", row["id"], f"name={HOSTILE} mine")
    hostile.server.update("account", row["id"], {"name": f"{HOSTILE} theirs"})
    run(hostile, "sync", codes=(3,))
    run(hostile, "issues")
    found = run(hostile, "issues", "--history", "--json").json
    for entry in (*found["issues"], *found["history"]):
        run(hostile, "issues", "show", entry["id"])
        shown = run(hostile, "issues", "show", entry["id"], "--json").json
        assert shown["mine"]["name"].startswith(HOSTILE)
    run(hostile, "issues", "--history")
    run(hostile, "sync", "--json", codes=(0, 3))
    run(hostile, "issues", "retry", found["issues"][0]["id"])
    run(hostile, "sync", codes=(0, 3))


def test_words_and_files_that_are_wrong_are_told_without_what_is_obeyed(hostile: Cli) -> None:
    usage = (2,)
    run(hostile, HOSTILE, codes=usage)
    run(hostile, "query", HOSTILE, codes=usage)
    run(hostile, "query", "account", HOSTILE, codes=usage)
    run(hostile, "query", "account", "--columns", HOSTILE, codes=usage)
    run(hostile, "query", "account", "--order-by", HOSTILE, codes=usage)
    run(hostile, "query", "account", "--filter", HOSTILE, codes=usage)
    run(hostile, "query", "account", "--view", HOSTILE, codes=usage)
    run(hostile, "query", "--fetchxml", f"<fetch>{HOSTILE}</fetch>", codes=usage)
    run(hostile, "explain", "account", "--filter", f"name eq '{HOSTILE}'")
    run(hostile, "create", "account", f"{HOSTILE}=1", codes=usage)
    run(hostile, "create", "account", f"statecode={HOSTILE}", codes=usage)
    run(hostile, "update", "account", HOSTILE, "name=x", codes=(1, 2))
    run(hostile, "issues", "show", HOSTILE, codes=usage)
    run(hostile, "rescue", f"no{HOSTILE.replace(chr(0), '')}where.db", codes=(1, 2))
    run(hostile, "plugins")
    text = Path("holdfast.toml").read_text("utf-8")
    key = json.dumps(HOSTILE.replace("\x7f", ""), ensure_ascii=True)
    Path("holdfast.toml").write_text(f"{key} = 1\n{text}", "utf-8")
    run(hostile, "status", codes=usage)

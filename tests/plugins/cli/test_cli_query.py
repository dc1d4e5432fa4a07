"""What ``query`` and ``explain`` show beyond rows and columns."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast_cli._verbs_query import _text_of
from support.cli_command import Cli


def test_rows_come_with_the_rows_beside_them(downloaded: Cli) -> None:
    words = ("query", "account", "--select", "name", "--order-by", "name", "--top", "1", "--count")
    expand = ("--expand", "primarycontactid($select=fullname)")
    outcome = downloaded(*words, *expand)
    assert outcome.code == 0, outcome.err
    assert "→ primarycontactid" in outcome.out
    assert "Ada Lovelace" in outcome.out
    assert outcome.err == "1 row of 4 that match\n"
    document = downloaded(*words, *expand, "--json").json
    assert document["total"] == 4
    (row,) = document["rows"]
    assert list(row["values"]) == ["name"]
    assert row["expanded"]["primarycontactid"]["values"]["fullname"] == "Ada Lovelace"


def test_several_rows_beside_one_are_named(downloaded: Cli) -> None:
    words = ("query", "contact", "--expand", "account_primary_contact($orderby=name;$top=2)")
    assert "Bergen Hydro; Fjord Marine AS" in downloaded(*words).out
    (row,) = downloaded(*words, "--json").json["rows"]
    assert len(row["expanded"]["account_primary_contact"]) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["account", "--expand", "primarycontact"], "did you mean 'primarycontactid'"),
        (["account", "--view", "Nothing"], "there is no saved view 'Nothing'"),
        (["account", "--view", "x", "--top", "1"], "--top cannot stand beside --view"),
        (["account", "--view", "x", "--count"], "--count cannot stand beside --view"),
        (["--view", "x"], "say of which table the view is"),
        (["account", "--fetchxml", "<fetch/>"], "--fetchxml names its own table"),
        (["--fetchxml", "nowhere.xml"], "nowhere.xml cannot be read: No such file"),
        (["--fetchxml", "<fetch"], "fetchxml"),
        ([], "say which table to show"),
    ],
)
def test_words_that_do_not_go_together_are_told(
    downloaded: Cli, words: list[str], said: str
) -> None:
    outcome = downloaded("query", *words)
    assert outcome.code in (1, 2)
    assert said in outcome.err
    assert outcome.out == ""


def test_a_query_is_text_or_a_file(tmp_path: Path) -> None:
    path = tmp_path / "query.xml"
    path.write_text("<fetch/>", encoding="utf-8-sig")
    assert _text_of(str(path)) == _text_of("<fetch/>") == "<fetch/>"
    assert _text_of(" <fetch/>") == " <fetch/>"


def test_explain_says_who_does_what(downloaded: Cli) -> None:
    outcome = downloaded("explain", "account", "--filter", "name eq 'x'", "--top", "3")
    assert outcome.code == 0, outcome.err
    assert "in odata" in outcome.out
    assert "nothing is left to do" in outcome.out
    assert "the storage does not say" in outcome.out
    document = downloaded("explain", "account", "--filter", "name eq 'x'", "--json").json
    assert document["asked"]["odata"] == document["storage"] == "name eq 'x'"
    assert document["engine"] == []


def test_explain_has_words_for_what_no_language_says(downloaded: Cli) -> None:
    outcome = downloaded("explain", "account", "--filter", "holdfast.pending() and name eq 'x'")
    assert "_holdfast_pending eq True and name eq 'x'" in " ".join(outcome.out.split())
    assert "ColumnRef" not in outcome.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say which table the question is about"),
        (["account", "--filter", "nmae eq 1"], "did you mean 'name'"),
        (["--fetchxml", "<fetch/>", "--top", "1"], "--top cannot stand beside --fetchxml"),
    ],
)
def test_explain_refuses_what_query_refuses(downloaded: Cli, words: list[str], said: str) -> None:
    outcome = downloaded("explain", *words)
    assert outcome.code == 2
    assert said in outcome.err

"""Verbs that plugins add, and plugins that fail: the other verbs stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cli_command import Cli


def test_a_plugin_of_the_profile_adds_verbs(cli: Cli) -> None:
    cli.profile(plugins='["polite"]')
    outcome = cli("greet", "Kari", "--loud")
    assert (outcome.code, outcome.out) == (7, "hello KARI\n")
    listed = cli("--help")
    assert "Greet somebody." in listed.out
    told = cli("greet", "--help")
    assert "whether to shout" in told.out


def test_a_plugin_that_is_not_enabled_adds_nothing(cli: Cli) -> None:
    assert cli("greet", "Kari").code == 2


def test_plugins_that_fail_cost_a_line_each_and_nothing_else(cli: Cli) -> None:
    cli.profile(plugins='["broken", "clumsy", "polite", "rude"]')
    outcome = cli("greet", "Kari")
    assert outcome.code == 7
    ours = [line for line in outcome.err.splitlines() if "emulator" not in line]
    assert [line.partition(":")[0] for line in ours if "demo" not in line] == [
        "plugin 'broken'",
        "plugin 'clumsy'",
        "plugin 'rude'",
    ]
    assert "canary" not in outcome.err
    assert "there is already a verb called sync" in outcome.err
    assert "download" in cli("--help").out


def test_the_profile_may_stand_before_the_verb_and_in_the_environment(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.profile(plugins='["polite"]')
    Path("holdfast.toml").rename("other.toml")
    assert cli("--profile", "other.toml", "status").code == 0
    assert cli("--profile=other.toml", "query", "account").code == 2
    assert cli("status", "--profile", "other.toml").code == 0
    assert cli("status").code == 2
    monkeypatch.setenv("HOLDFAST_PROFILE", "other.toml")
    assert cli("status").code == 0
    assert cli("greet", "Kari").code == 7


def test_help_names_every_verb_and_exit_code(cli: Cli) -> None:
    for words in ([], ["--help"], ["-h"]):
        outcome = cli(*words)
        assert outcome.code == 0
        for word in ("init", "download", "sync", "status", "offline", "query", "create", "update"):
            assert f" {word} " in outcome.out
        for word in ("delete", "issues", "plugins", "3 done, but something waits", "sign-in"):
            assert word in outcome.out.replace("\n", " ")
    assert "watch" not in outcome.out

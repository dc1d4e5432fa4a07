"""Mistakes and failures: one clear message, the right exit code, never a traceback or a row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import SignInNeeded, Throttled
from holdfast.model import Page
from holdfast_cli._errors import _chain
from support.cli_command import Cli
from support.cli_drivers import DISKS, PlantedTransport

NOBODY = "00000000-0000-0000-0000-000000000001"
COMMAND = (sys.executable, "-c", "import sys; from holdfast_cli import main; sys.exit(main())")


def test_a_missing_profile_is_told_with_the_verb_that_writes_one(cli: Cli) -> None:
    Path("holdfast.toml").unlink()
    for verb in (["status"], ["sync"], ["query", "account"], ["create", "account", "name=x"]):
        outcome = cli(*verb)
        assert outcome.code == 2
        assert "`holdfast init` writes one" in outcome.err
        assert outcome.out == ""


def test_all_mistakes_of_a_profile_are_told_at_once(cli: Cli) -> None:
    cli.profile(account='colums = ["name"]\nresolver = "nobody-wins"\nsync_interval = "1s"')
    outcome = cli("status")
    assert outcome.code == 2
    assert "2 mistakes" in outcome.err
    assert "profile.tables[0].colums" in outcome.err
    assert "did you mean 'columns'?" in outcome.err
    assert "profile.tables[0].sync_interval" in outcome.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["query", "nope"], "table 'nope' is not kept offline; the profile has account, contact"),
        (["create", "nope", "name=x"], "table 'nope' is not kept offline"),
        (["query", "account", "--columns", "name,nope"], "account has no column nope"),
        (["query", "account", "--columns", "nam"], "did you mean 'name'?"),
        (["query", "account", "--columns", ""], "--select names no column; leave it out"),
        (["query", "account", "--top", "x"], "`holdfast query --help` shows what is understood"),
        (
            ["delete", "account", NOBODY, "and", "more"],
            "'and more' is too much here; `holdfast del",
        ),
        (["issues", "shwo", "nope"], "'shwo nope' is too much here; `holdfast issues --help`"),
        (["query", "account", "--filter", "name eqq 3"], "at character 6"),
        (["query", "account", "--order-by", "nope"], "nope"),
        (["create", "account", "nope=3", "name=x"], "nope: account has no such column"),
        (["create", "account", "telephone1=3"], "name: is required"),
        (["create", "account", "name"], "write name=value"),
        (["create", "account", "name=x", "name=y"], "name is given twice"),
        (["update", "account", NOBODY, "name=x"], f"account has no row {NOBODY}"),
        (["update", "account", NOBODY], "name at least one column"),
        (["delete", "account", NOBODY], f"account has no row {NOBODY}"),
        (["issues", "show", "nope"], "issue nope: there is none"),
        (["issues", "retry", "nope"], "`holdfast issues` lists them"),
        (["offline", "maybe"], "maybe"),
        (["nope"], "nope"),
        (["status", "--jsn"], "--json"),
        (["query"], "table"),
    ],
)
def test_a_mistake_in_the_words_is_a_usage_error(
    downloaded: Cli, words: list[str], said: str
) -> None:
    outcome = downloaded(*words)
    assert outcome.code == 2
    assert said.lower() in outcome.err.lower()
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


def test_all_bad_values_are_told_at_once(downloaded: Cli) -> None:
    outcome = downloaded(
        "create", "account", "revenue=1,5", "statecode=Gone", f"name={'x' * 60}", "nam=y"
    )
    assert outcome.code == 2
    for said in ("revenue: a number", "statecode: has no option 'Gone'", "name: is 60", "nam: "):
        assert said in outcome.err
    assert downloaded("status", "--json").json["pending"] == 0


def test_a_table_that_is_not_downloaded_is_told_with_the_way_to_it(cli: Cli) -> None:
    for words in (["query", "account"], ["create", "account", "name=x"]):
        outcome = cli(*words)
        assert outcome.code == 2
        assert "has not been downloaded yet" in outcome.err
        assert "holdfast download" in outcome.err
    assert cli("issues").code == 0


def test_no_network_is_a_failure_that_keeps_the_changes(downloaded: Cli) -> None:
    downloaded.created("name=Kept AS")
    downloaded.server.unreachable = True
    outcome = downloaded("sync")
    assert outcome.code == 1
    assert "your changes are kept here" in outcome.err
    assert "waiting   1 change" in outcome.out
    document = downloaded("sync", "--json").json
    assert document["failure"]["kind"] == "Unreachable"
    assert document["failure"]["exit_code"] == 1
    assert downloaded("download").code == 1


def test_a_refused_token_has_its_own_exit_code(downloaded: Cli) -> None:
    downloaded.server.failing = lambda: SignInNeeded("the token was refused; sign in again")
    outcome = downloaded("sync")
    assert outcome.code == 4
    assert "sign in again" in outcome.err
    assert downloaded("download").code == 4


def test_a_server_that_asks_to_wait_is_a_failure(downloaded: Cli) -> None:
    downloaded.server.failing = lambda: Throttled(30)
    assert downloaded("sync").code == 1


def test_reading_works_beside_the_process_that_owns_the_replica(downloaded: Cli) -> None:
    DISKS["disk"].file("disk").owned = True
    assert downloaded("status").code == 0
    assert downloaded("query", "account").code == 0
    assert downloaded("issues").code == 0
    outcome = downloaded("create", "account", "name=x")
    assert outcome.code == 1
    assert f"in use by process {os.getpid()}" in outcome.err
    assert "work beside it" in outcome.err


def test_ctrl_c_says_what_was_stored(cli: Cli) -> None:
    for number in range(8):
        cli.server.create("account", {"name": f"Account {number}"})

    # A shell starts what runs in its background with SIGINT ignored, and asyncio heeds that.
    heeded = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt(page: Page) -> None:
        if not page.last:
            signal.raise_signal(signal.SIGINT)

    PlantedTransport.after_page = interrupt
    try:
        outcome = cli("download")
    finally:
        signal.signal(signal.SIGINT, heeded)
    assert outcome.code == 130
    assert "stored so far:" in outcome.err
    assert "stopped; what was stored stays" in outcome.err
    assert "Traceback" not in outcome.err
    PlantedTransport.after_page = None
    assert "account is initializing, so rows may be missing" in cli("query", "account").err
    assert cli("download").code == 0
    assert len(cli("query", "account", "--json").json["rows"]) == 8


def test_an_unforeseen_error_is_one_line_without_its_text(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.profile(plugins='["polite"]')
    outcome = cli("crash")
    assert outcome.code == 1
    assert outcome.err.startswith("unexpected ValueError at cli_drivers.py:")
    assert outcome.err.count("\n") == 1
    monkeypatch.setenv("HOLDFAST_DEBUG", "1")
    outcome = cli("crash")
    assert outcome.code == 1
    assert "in crash" in outcome.err
    assert "canary" not in outcome.err.replace('raise ValueError("canary-secret")', "")


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=folder, capture_output=True, text=True, check=False, timeout=50
    )


def test_the_command_in_a_process_of_its_own(tmp_path: Path) -> None:
    version = _run(tmp_path, "--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert version.stdout.startswith("holdfast ")
    missing = _run(tmp_path, "status", "--profile", "nowhere.toml")
    assert missing.returncode == 2
    assert missing.stderr.startswith("nowhere.toml: there is no such file; `holdfast init`")
    assert _run(tmp_path, "init").returncode == 0
    assert (tmp_path / "holdfast.toml").exists()


def test_a_reader_that_went_away_ends_the_command_quietly(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "--help"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        complaints = process.stderr.read()
    assert "BrokenPipe" not in complaints
    assert "unexpected" not in complaints


def _look_up(canaries: dict[str, int]) -> int:
    try:
        return canaries["canary"]
    except KeyError as error:
        raise ValueError("canary") from error


def test_a_bug_in_a_task_group_is_told_with_all_its_causes() -> None:
    with pytest.raises(ValueError, match="canary") as inner:
        _look_up({})
    told = _chain(ExceptionGroup("canary", [inner.value]))
    kinds = [line for line in told.splitlines() if not line.startswith(" ")]
    assert kinds == ["ExceptionGroup", "from ValueError", "from KeyError"]


def test_the_version_is_told_without_importing_anything_slow(tmp_path: Path) -> None:
    code = (
        "import sys; from holdfast_cli import main; main(['--version']); "
        "print(sorted({'rich', 'cyclopts', 'pydantic', 'holdfast'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert run.stdout.splitlines()[1] == "[]"

"""The pytest plugin, used as somebody else's test suite would use it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

LOOPS = "asyncio_default_fixture_loop_scope = function"
HEAD = """
import json
import urllib.error
import urllib.request
import pytest

def ask(dataverse, target, method="GET", body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {**dataverse.headers, "Content-Type": "application/json"}
    request = urllib.request.Request(f"{dataverse.api}/{target}", data, headers, method=method)
    with urllib.request.urlopen(request, timeout=10) as reply:
        text = reply.read()
        return json.loads(text) if text else None

"""


@dataclass
class Suite:
    """A folder with tests of somebody else."""

    path: Path

    def run(self, *options: str, plugin: bool = True, **files: str) -> tuple[int, str]:
        """Write the files and run pytest in a process of its own."""
        for name, text in files.items():
            head = HEAD if name.startswith("test_") else ""
            self.path.joinpath(f"{name}.py").write_text(head + text, encoding="utf-8")
        if not (self.path / "pytest.ini").exists():
            self.configure("" if "no:asyncio" in options else LOOPS)
        loaded = [] if plugin else ["-p", "no:dataverse"]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *loaded, *options],
            cwd=self.path,
            env={**os.environ, "NO_COLOR": "1", "PYTEST_ADDOPTS": ""},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def configure(self, lines: str) -> None:
        self.path.joinpath("pytest.ini").write_text(
            f"[pytest]\naddopts = --strict-markers -W error\n{lines}\n", encoding="utf-8"
        )


@pytest.fixture
def suite(tmp_path: Path) -> Suite:
    return Suite(tmp_path)


def test_one_line_is_enough_and_tests_do_not_see_each_other(suite: Suite) -> None:
    code, output = suite.run(
        test_one="""
ETAGS = []

@pytest.mark.parametrize("number", range(3))
def test_rows(dataverse, number):
    assert ask(dataverse, "accounts")["value"] == []
    ask(dataverse, "accounts", "POST", {"name": "A"})
    [row] = ask(dataverse, "accounts")["value"]
    ETAGS.append(row["@odata.etag"])
    assert set(ETAGS) == {row["@odata.etag"]}
    assert len(dataverse.trace()) == 3

def test_url(dataverse_url, dataverse):
    assert dataverse_url == dataverse.url
    assert dataverse.rows("account") == []
    row_id = dataverse.create("account", name="B")
    assert ask(dataverse, f"accounts({row_id})")["name"] == "B"
"""
    )
    assert (code, "4 passed" in output) == (0, True), output


def test_rows_come_from_the_ini_file_the_command_line_or_the_marker(suite: Suite) -> None:
    suite.configure(f"dataverse_rows = 10\n{LOOPS}")
    test = """
def count(dataverse):
    return len(ask(dataverse, "accounts")["value"]) + len(ask(dataverse, "contacts")["value"])

def test_ini(dataverse, pytestconfig):
    many = count(dataverse)
    assert many == int(pytestconfig.getoption("dataverse_rows") or 10) * 6 // 10 or many > 5

@pytest.mark.dataverse(rows=0)
def test_none(dataverse):
    assert count(dataverse) == 0

@pytest.mark.dataverse(rows=0)
class TestMany:
    @pytest.mark.dataverse(rows=100)
    def test_many(self, dataverse):
        assert count(dataverse) > 50
"""
    code, output = suite.run(test_rows=test)
    assert (code, "3 passed" in output) == (0, True), output
    code, output = suite.run("--dataverse-rows=20", test_rows=test)
    assert (code, "3 passed" in output) == (0, True), output


@pytest.mark.parametrize(
    ("marker", "words"),
    [
        ("rows='many'", "dataverse_rows is a number"),
        ("baseline='none'", "no baseline is called 'none'"),
        ("5", "takes rows= and baseline="),
        ("row=5", "takes rows= and baseline="),
    ],
)
def test_a_wrong_marker_says_so(suite: Suite, marker: str, words: str) -> None:
    code, output = suite.run(
        test_wrong=f"@pytest.mark.dataverse({marker})\ndef test_it(dataverse): pass\n"
    )
    assert code == 1
    assert words in output


def test_faults_the_clock_users_rules_and_limits_are_at_hand(suite: Suite) -> None:
    code, output = suite.run(
        test_all="""
from datetime import UTC, datetime
from holdfast_emulator import Fault, FaultKind

def refused(dataverse, status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        ask(dataverse, "accounts")
    caught.value.close()
    return caught.value.code == status

def test_faults(dataverse):
    dataverse.faults.add(Fault(FaultKind.UNAVAILABLE))
    assert refused(dataverse, 503)
    assert dataverse.faults.pending == []
    ask(dataverse, "accounts")

def test_faults_are_gone(dataverse):
    ask(dataverse, "accounts")
    dataverse.faults.add(Fault(FaultKind.UNAVAILABLE, times=None))
    dataverse.faults.clear()
    ask(dataverse, "accounts")

def test_clock(dataverse):
    dataverse.clock.set(datetime(2030, 1, 1, tzinfo=UTC))
    dataverse.clock.advance(60)
    row_id = dataverse.create("account", name="A")
    assert ask(dataverse, f"accounts({row_id})")["createdon"] == "2030-01-01T00:01:00Z"
    assert dataverse.clock.now() == datetime(2030, 1, 1, 0, 1, tzinfo=UTC)

def test_limits(dataverse):
    dataverse.limit(requests=1)
    ask(dataverse, "accounts")
    assert refused(dataverse, 429)

def test_limits_are_gone(dataverse):
    assert dataverse.clock.now().year < 2030
    for _ in range(3):
        ask(dataverse, "accounts")

def test_users_and_rules(dataverse):
    from holdfast_emulator.control.rules import RuleOfData, What
    user = dataverse.add_user("Cy New", "cy")
    assert ask(dataverse, "WhoAmI")["UserId"] != user
    dataverse.add_rule("trim", RuleOfData("account", What.TRIM, ("name",)))
    ask(dataverse, "accounts", "POST", {"name": " A "})
    assert [row["name"] for row in dataverse.rows("account")] == ["A"]
    assert dataverse.remove_rule("trim")

def test_baselines(dataverse):
    dataverse.create("account", name="kept")
    dataverse.baselines.keep("one account")
    dataverse.create("account", name="more")
    dataverse.baselines.give_back("one account")
    assert len(dataverse.rows("account")) == 1
    assert dataverse.baselines.names() == ("one account",)

@pytest.mark.dataverse(baseline="one account")
def test_a_later_test_starts_there(dataverse):
    assert [row["name"] for row in dataverse.rows("account")] == ["kept"]

def test_waiting(dataverse):
    ask(dataverse, "accounts")
    assert dataverse.wait_for(1)[0]["url"] == "accounts"
    with pytest.raises(TimeoutError, match="1 of 2 requests"):
        dataverse.wait_for(2, seconds=0.01)
"""
    )
    assert (code, "9 passed" in output) == (0, True), output


def test_a_failing_test_shows_what_it_asked(suite: Suite) -> None:
    code, output = suite.run(
        test_fails="""
def test_it(dataverse):
    ask(dataverse, "WhoAmI")
    for _ in range(60):
        ask(dataverse, "accounts?$top=1")
    assert False
"""
    )
    assert code == 1
    shown = output.partition("Dataverse requests")[2]
    assert "… 11 more before" in shown
    assert shown.count("200 GET accounts?$top=1") == 50


def test_it_works_with_asyncio_and_with_xdist(suite: Suite) -> None:
    suite.configure(f"asyncio_mode = auto\n{LOOPS}")
    test = """
import aiohttp

@pytest.mark.parametrize("number", range(4))
async def test_it(dataverse, number):
    async with aiohttp.ClientSession(headers=dataverse.headers) as http:
        async with http.post(f"{dataverse.api}/accounts", json={"name": "A"}) as reply:
            assert reply.status == 204
        async with http.get(f"{dataverse.api}/accounts") as reply:
            assert len((await reply.json())["value"]) == 1
"""
    code, output = suite.run("-n", "2", test_asyncio=test)
    assert (code, "4 passed" in output) == (0, True), output
    code, output = suite.run(test_asyncio=test)
    assert (code, "4 passed" in output) == (0, True), output


def test_it_works_without_asyncio_and_xdist(suite: Suite) -> None:
    options = ("-p", "no:asyncio", "-p", "no:xdist")
    code, output = suite.run(*options, test_one="def test_it(dataverse): ask(dataverse, 'WhoAmI')")
    assert (code, "1 passed" in output) == (0, True), output


def test_who_does_not_use_it_does_not_load_it(suite: Suite) -> None:
    code, output = suite.run(
        test_nothing="""
import sys

def test_it():
    mine = {name for name in sys.modules if name.startswith("holdfast_emulator")}
    assert mine == {"holdfast_emulator", "holdfast_emulator.pytest_plugin"}
    assert "aiohttp" not in sys.modules
    assert "msgspec" not in sys.modules
    assert "pydantic" not in sys.modules
"""
    )
    assert (code, "1 passed" in output) == (0, True), output


def test_a_fixture_of_ones_own_with_this_name_wins(suite: Suite) -> None:
    code, output = suite.run(
        conftest="import pytest\n@pytest.fixture\ndef dataverse(): return 'mine'\n",
        test_own="def test_it(dataverse): assert dataverse == 'mine'\n",
    )
    assert (code, "1 passed" in output) == (0, True), output

"""Every example of the emulator's page does what it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from holdfast_emulator import Dataverse, EmulatorServer
from holdfast_emulator.control.injection import Fault
from holdfast_emulator.control.pages import _PAGES
from holdfast_emulator.control.rules import RuleOfData
from holdfast_emulator.control.snapshot import write_snapshot
from holdfast_emulator.control.users import UserSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "emulator.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
PYTHON = [text for language, text in BLOCKS if language == "python"]
TESTS = [text for text in PYTHON if "def test_" in text]
COMMANDS = [
    line
    for language, text in BLOCKS
    if language == "sh"
    for line in text.splitlines()
    if line.strip()
]
CURLS = [shlex.split(line) for line in COMMANDS if line.startswith("curl ")]
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def test_the_tests_of_the_page_pass(tmp_path: Path) -> None:
    for number, text in enumerate(TESTS):
        (tmp_path / f"test_{number}.py").write_text(text, encoding="utf-8")
    options = ["-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(tmp_path)],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert f"{''.join(TESTS).count('def test_')} passed" in done.stdout


async def test_the_program_of_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    [example] = [text for text in PYTHON if text not in TESTS]
    compiled = compile(example, "emulator.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, {"__name__": "page"})
    if inspect.isawaitable(result):
        await result
    assert "http://127.0.0.1:" in capsys.readouterr().out


async def _curl(words: list[str], root: str, folder: Path) -> int:
    """Do what the command does, with the few options that the page uses."""
    method, url, data, out = words[2], words[3], b"", None
    assert words[:2] == ["curl", "-X"]
    for option, value in zip(words[4::2], words[5::2], strict=True):
        match option:
            case "-d":
                data = value.encode()
            case "--data-binary":
                data = (folder / value.removeprefix("@")).read_bytes()
            case "-o":
                out = folder / value
            case _:
                raise AssertionError(option)
    target = URL(url.replace("http://127.0.0.1:8520", root), encoded=True)
    async with (
        aiohttp.ClientSession() as http,
        http.request(method, target, data=data) as reply,
    ):
        content = await reply.read()
        if out:
            out.write_bytes(content)
        return reply.status


async def test_each_request_of_the_page_is_understood(tmp_path: Path) -> None:
    assert len(CURLS) > 15
    async with EmulatorServer(Dataverse(clock=lambda: NOW)) as server:
        for words in CURLS:
            assert await _curl(words, server.url, tmp_path) == 200, shlex.join(words)


@pytest.mark.timeout(120)
async def test_each_command_of_the_page_starts(tmp_path: Path) -> None:
    (tmp_path / "monday.snapshot").write_bytes(write_snapshot(Dataverse(clock=lambda: NOW)))
    commands = [shlex.split(c, comments=True) for c in COMMANDS if c.startswith("holdfast ")]
    assert len(commands) == 3
    for _, *arguments in commands:
        if "--port" in arguments:
            arguments[arguments.index("--port") + 1] = "0"
        else:
            arguments += ["--port", "0"]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "holdfast_cli", *arguments),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout
        assert b"Dataverse emulator on http://127.0.0.1:" in await process.stdout.readline()
        process.terminate()
        await process.communicate()


def test_the_page_names_every_page_and_every_field() -> None:
    table = PAGE.partition("| page | does |")[2]
    named = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    assert named == {what.partition("/")[0] for _, what in _PAGES} - {""}
    for fields in (RuleOfData, UserSettings):
        assert all(f"`{name}`" in table for name in fields.__slots__)
    schedules = PAGE.partition("## Let something go wrong")[2].partition("\n## ")[0]
    asked = {"kind", "retry_after", "seconds", "status", "code", "message", "column", "url"}
    for name in set(Fault.__slots__) - asked - {"size", "baseline"}:
        assert f"`{name}" in schedules, name

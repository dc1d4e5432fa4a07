"""Every command and example of the README does what it says."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast_emulator import Dataverse, EmulatorServer, Sample

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
VERBS = [
    shlex.split(line, comments=True)
    for language, text in BLOCKS
    if not language
    for line in text.splitlines()
    if line.startswith("holdfast ")
]
PROFILE = """
[storage]
driver = "sqlite"
path = "field.db"

[transport]
driver = "dataverse"
url = "{url}"
credential = "token"
token = "demo-token"

[profile]
"""


@pytest.fixture
async def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Path]:
    """A folder with the README's profile, and its server."""
    dataverse = Dataverse(clock=lambda: NOW)
    Sample(200, NOW).load(dataverse)
    async with EmulatorServer(dataverse, port=0) as server:
        tables = next(text for language, text in BLOCKS if language == "toml")
        text = PROFILE.format(url=server.url) + tables
        (tmp_path / "holdfast.toml").write_text(text, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        yield tmp_path


async def test_the_python_example_runs(folder: Path) -> None:
    example = next(text for language, text in BLOCKS if language == "python")
    compiled = compile(example, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    result = eval(compiled, {"__name__": "readme"})
    if inspect.isawaitable(result):
        await result


async def _run(arguments: list[str], folder: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "holdfast_cli", *arguments),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "NO_COLOR": "1"},
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


@pytest.mark.timeout(120)
async def test_each_verb_of_the_readme_runs(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One after the other, as a reader would; ``init`` in an empty folder, ``emulator`` apart."""
    empty = tmp_path_factory.mktemp("empty")
    assert len(VERBS) >= 9
    for _, *arguments in VERBS:
        if arguments == ["emulator"]:
            continue
        code, output = await _run(arguments, empty if arguments == ["init"] else folder)
        assert code == 0, f"holdfast {shlex.join(arguments)}: {output}"


def test_the_emulator_verb_starts_a_server() -> None:
    command = [sys.executable, "-m", "holdfast_cli", "emulator", "--port", "0", "--rows", "10"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert "http://127.0.0.1:" in "".join(process.stdout.readline() for _ in range(1))
        process.terminate()


def test_the_two_make_commands_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^demo:.*\n\t\$\(BIN\)/holdfast demo$", makefile, re.MULTILINE)
    assert re.search(r"^test: check\n", makefile, re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")

"""A command line under test: words in; exit code, stdout and stderr out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from holdfast.testing import MemoryServer
from holdfast_cli import main

PROFILE = """\
plugins = {plugins}
[storage]
{storage}
[transport]
driver = "planted"
name = "server"
[profile]
name = "Field service"
conflict_detection = {conflict_detection}
[[profile.tables]]
name = "account"
{account}
[[profile.tables]]
name = "contact"
"""


@dataclass(frozen=True)
class Outcome:
    """What a command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document on stdout."""
        return json.loads(self.out)


class Cli:
    """Runs command lines in this process, in a folder with a profile, against a planted server."""

    def __init__(self, server: MemoryServer, capsys: pytest.CaptureFixture[str]) -> None:
        self.server = server
        self._capsys = capsys

    def __call__(self, *words: str) -> Outcome:
        """Run one command line."""
        self._capsys.readouterr()
        code = main(words)
        out, err = self._capsys.readouterr()
        return Outcome(code, out, err)

    def profile(
        self,
        *,
        plugins: str = "[]",
        conflict_detection: bool = False,
        account: str = "",
        storage: str = 'driver = "planted"\nname = "disk"',
    ) -> None:
        """Write the profile."""
        text = PROFILE.format(
            plugins=plugins,
            conflict_detection=str(conflict_detection).lower(),
            account=account,
            storage=storage,
        )
        Path("holdfast.toml").write_text(text, encoding="utf-8")

    def created(self, *values: str) -> str:
        """Create an account here and return its id."""
        outcome = self("create", "account", *values, "--json")
        assert outcome.code == 0, outcome.err
        return str(outcome.json["id"])

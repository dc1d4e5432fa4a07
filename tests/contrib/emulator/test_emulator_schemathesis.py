"""Schemathesis finds no server error in a short run; ``fuzz.emulator_schemathesis`` is long.

The run ends after so many requests, not after so many seconds, and its seed is fixed.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from fuzz.emulator_checks import no_unexpected_server_error
from fuzz.emulator_schemathesis import CONTROL, SCHEMA, command, emulator, settings
from holdfast_emulator import Dataverse
from holdfast_emulator.control.pages import _PAGES
from holdfast_emulator.wire.api import WebApi

SHORT = ("--max-examples", "2", "--seed", "1", "--phases", "fuzzing")


@pytest.mark.parametrize(
    "select", [("--exclude-path-regex", CONTROL), ("--include-path-regex", CONTROL)]
)
async def test_no_server_error_is_found(select: tuple[str, ...]) -> None:
    with emulator() as url:
        process = await asyncio.create_subprocess_exec(
            *command(url, select, SHORT),
            env=settings(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()[-5000:]
    assert b"No issues found" in said


def test_the_description_names_every_control_page() -> None:
    described = json.loads(SCHEMA.read_text())["paths"]
    found = {
        (method.upper(), path.removeprefix("/_emulator/").replace("{name}", ""))
        for path, item in described.items()
        if path.startswith("/_emulator/")
        for method in item.keys() - {"parameters"}
    }
    assert set(_PAGES) == found


def test_the_description_names_every_action(dataverse: Dataverse) -> None:
    described = SCHEMA.read_text()
    api = WebApi(dataverse)
    actions = {one.name for one in api.operations.every()} | api._resources.keys()
    assert {name for name in actions if name not in described} <= {"RetrievePrincipalAccess"}


@pytest.mark.parametrize(
    ("status", "code", "fails"),
    [
        (500, "0x80040216", True),
        (501, "0x80004001", False),
        (501, "0x80040216", True),
        (503, "", True),
        (404, "", False),
    ],
)
def test_what_is_taken_for_a_server_error(status: int, code: str, *, fails: bool) -> None:
    class Answer:
        status_code = status
        content = json.dumps({"error": {"code": code}}).encode()

    def check() -> None:
        no_unexpected_server_error(None, Answer(), None)  # type: ignore[arg-type]  # only these two

    if fails:
        with pytest.raises(AssertionError):
            check()
    else:
        check()

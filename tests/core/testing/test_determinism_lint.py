"""The seams are the only way to time, ids, randomness and threads, and the linter sees to it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLANTED = """
import asyncio
import concurrent.futures
import os
import random
import secrets
import threading
import time
import uuid
from datetime import date, datetime
from random import random as lucky
from uuid import uuid4

moments = [datetime.now(), datetime.utcnow(), datetime.today(), date.today()]
ids = [uuid.uuid1(), uuid.uuid4(), os.urandom(1)]
work = asyncio.to_thread(print)
"""
BANNED_LINES = {3, 5, 6, 7, 8, 11, 12, 14, 15, 16}


def banned(*arguments: str, source: str | None = None) -> list[int]:
    """Return the lines that ruff refuses with the project's configuration."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--select=TID251"]
    command += ["--config=pyproject.toml", "--output-format=json", *arguments]
    answer = subprocess.run(
        command, cwd=ROOT, input=source, capture_output=True, text=True, check=False, timeout=30
    )
    assert answer.returncode in (0, 1), answer.stderr
    return [found["location"]["row"] for found in json.loads(answer.stdout)]


def test_a_planted_clock_id_dice_or_thread_is_refused(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(PLANTED)
    assert set(banned(str(planted))) == BANNED_LINES


@pytest.mark.parametrize("package", ["core/holdfast", "plugins/holdfast_sqlite"])
def test_no_package_is_exempt(package: str) -> None:
    assert set(banned(f"--stdin-filename={package}/planted.py", "-", source=PLANTED)) == (
        BANNED_LINES
    )


def test_the_module_of_the_seams_is_exempt() -> None:
    assert banned("--stdin-filename=core/holdfast/_system.py", "-", source=PLANTED) == []


def test_nobody_has_excused_himself_in_place() -> None:
    assert banned("--ignore-noqa", "core", "plugins") == []

"""DynamicsWebApi, the popular JavaScript client, judges the emulator where Node.js is present.

``javascript/scenarios.mjs`` is one process; each of its scenarios is a test here. Every request
shape of a recorded session of this client must have been sent, too, and answered as recorded.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from holdfast_emulator import Dataverse
from support.emulated import DOUBLE, serving
from support.microsoft_sdk import TOKEN
from support.request_shapes import Listed, Shape, listed, seen

HERE: Final = Path(__file__).parent / "javascript"
SCENARIOS: Final = re.findall(
    r"^  async (\w+)\(\)", (HERE / "scenarios.mjs").read_text(encoding="utf-8"), re.MULTILINE
)
LISTED: Final = listed("requests_of_dynamics_web_api.txt")
START: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
NODE: Final = shutil.which("node")

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        NODE is None or not (HERE / "node_modules" / "dynamics-web-api").exists(),
        reason="DynamicsWebApi did not judge the emulator: it needs Node.js and npm on the PATH "
        "when .venv is made; `make clean test` after installing them",
    ),
]


@dataclass(frozen=True)
class Run:
    """What became of each scenario, and what was sent."""

    errors: dict[str, str | None]
    shapes: dict[Shape, set[int]]
    unsupported: list[str]


@pytest.fixture(scope="module")
def run() -> Run:
    assert NODE
    dataverse = Dataverse(lambda: START)
    dataverse.register(DOUBLE)
    with serving(dataverse) as server:
        done = subprocess.run(
            [NODE, "scenarios.mjs", server.url, TOKEN],
            cwd=HERE,
            capture_output=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(lines) == len(SCENARIOS), done.stderr
        return Run(
            {line["name"]: line["error"] for line in lines},
            seen(server.trace),
            sorted({str(one["unsupported"]) for one in server.trace if one["unsupported"]}),
        )


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_client_does(scenario: str, run: Run) -> None:
    assert run.errors[scenario] is None, run.errors[scenario]


def test_nothing_it_sent_is_unsupported(run: Run) -> None:
    assert run.unsupported == []


@pytest.mark.parametrize("line", LISTED, ids=lambda line: str(line.shape))
def test_every_recorded_request_is_answered_as_recorded(line: Listed, run: Run) -> None:
    assert line.statuses <= run.shapes.get(line.shape, set())

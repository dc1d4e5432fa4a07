"""P1: what was acknowledged survives ``kill -9``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLS = 50


@pytest.mark.timeout(180)
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the writers are forked")
def test_no_acknowledged_write_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    """Every acknowledged op is in the outbox, once, with its row."""
    script = Path(__file__).with_name("local_writer.py")
    paths = [str(Path(__file__).parents[1]), *filter(None, sys.path)]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), str(KILLS)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    rounds = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rounds) == KILLS
    assert sum(r["lost"] + r["doubled"] + r["orphans"] for r in rounds) == 0
    assert all(r["acked"] > 0 for r in rounds)
    assert sum(r["acked"] for r in rounds) > 20 * KILLS // 2

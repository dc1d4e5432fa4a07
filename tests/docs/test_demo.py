"""docs/demo.md is what the demo prints; ``python tests/docs/test_demo.py`` writes it anew."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"
INTRODUCTION = """# The demo

`make demo` starts the bundled Dataverse emulator with 20,000 rows and downloads them.
Then it works offline while the office edits the same rows, and comes back.
It does so twice: under client-wins, and under server-wins.
On a terminal the downloads have progress bars.
This page is what it prints; a test keeps it true.

```
"""


def run_demo(folder: Path) -> str:
    """Return what the demo prints, with what differs from run to run taken out."""
    command = [sys.executable, "-m", "holdfast_cli", "demo", "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout.replace(str(folder), "DEMO")
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "2026-11-24 08:00 UTC", text)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


@pytest.mark.timeout(180)
def test_the_page_shows_what_the_demo_prints(tmp_path: Path) -> None:
    assert PAGE.read_text(encoding="utf-8") == f"{INTRODUCTION}{run_demo(tmp_path)}\n```\n"


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        written = f"{INTRODUCTION}{run_demo(Path(temporary))}\n```\n"
        PAGE.write_text(written, encoding="utf-8")

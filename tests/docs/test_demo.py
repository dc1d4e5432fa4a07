"""docs/demo.md is what the demo prints; ``python tests/docs/test_demo.py`` writes it anew."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast_cli import main

PAGE = Path(__file__).parents[2] / "docs" / "demo.md"
INTRODUCTION = """# The demo

`make demo` starts the bundled Dataverse emulator with 20,000 rows and downloads them.
Then somebody works offline in the field, while the office edits the same rows, and comes back.
That happens twice: under client-wins, and under server-wins.
Each time it says what was sent, who won which conflict, and how the loser is brought back.
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


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["demo", *words])
    return code, capsys.readouterr().err


def test_too_few_rows_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert _said(capsys, "--rows", "10") == (
        2,
        "10 rows are too few for the story; ask for 1,000 or more\n",
    )


def test_the_replicas_of_an_earlier_demo_are_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "client-wins.db").touch()
    code, said = _said(capsys, "--folder", str(tmp_path))
    assert code == 2
    assert "has the replicas of an earlier demo; name another folder" in said


def test_a_folder_that_cannot_be_made_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    code, said = _said(capsys, "--folder", str(tmp_path / "file" / "folder"))
    assert code == 2
    assert "cannot be made: Not a directory; name another folder" in said


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as temporary:
        written = f"{INTRODUCTION}{run_demo(Path(temporary))}\n```\n"
        PAGE.write_text(written, encoding="utf-8")

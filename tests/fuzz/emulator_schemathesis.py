"""Let schemathesis look for server errors in an emulator: ``python -m fuzz.emulator_schemathesis``.

Invariant: the emulator and schemathesis are processes of their own, and both are gone in the end.
The pages that control the emulator are tried on another one, so that no fault that was planted
through them is taken for an error.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

TESTS = Path(__file__).parents[1]
SCHEMA = TESTS / "data" / "emulator_openapi.json"
CONTROL = "^/_emulator"
_EMULATOR = (
    "import sys; from holdfast_cli import main; sys.exit(main(['emulator', *sys.argv[1:]]))",
    *("--port", "0", "--rows", "50", "--requests-per-window", "1000000000"),
    *("--execution", "1000000", "--concurrent", "1000"),
)


@contextmanager
def emulator() -> Iterator[str]:
    """Run an emulator, and give its address."""
    command = [sys.executable, "-c", *_EMULATOR]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def command(url: str, select: Sequence[str], options: Sequence[str]) -> list[str]:
    """Return the command that runs schemathesis; of an option given twice the last counts."""
    return [
        *(str(Path(sys.executable).parent / "st"), "run", str(SCHEMA), "--url", url, *select),
        *("--checks", "no_unexpected_server_error", "--phases", "examples,coverage,fuzzing"),
        *("-H", "Authorization: Bearer demo-token", "--request-timeout", "30"),
        *("--suppress-health-check", "all", "--warnings", "off"),
        *("--continue-on-failure", "--no-color", *options),
    ]


def settings() -> dict[str, str]:
    """Return the environment in which schemathesis finds its check."""
    path = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "SCHEMATHESIS_HOOKS": "fuzz.emulator_checks", "PYTHONPATH": path}


def run(url: str, select: Sequence[str], seconds: float, options: Sequence[str]) -> int:
    """Run schemathesis for so long, and return its exit status: 0 when it found nothing."""
    timed = ("--max-time", str(max(1, round(seconds))), *options)
    return subprocess.run(command(url, select, timed), check=False, env=settings()).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the Web API for most of the time, then the control pages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("options", nargs="*", help="more options for st run, after --")
    given = parser.parse_args(arguments)
    seconds = given.minutes * 60
    with emulator() as url:
        found = run(url, ("--exclude-path-regex", CONTROL), 0.8 * seconds, given.options)
    with emulator() as url:
        control = run(url, ("--include-path-regex", CONTROL), 0.2 * seconds, given.options)
    return found or control


if __name__ == "__main__":
    sys.exit(main())

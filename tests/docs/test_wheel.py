"""What is shipped: every package with its data, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a freshly built wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "-w", str(folder), str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_module_and_data_file_is_in_the_wheel(shipped: set[str]) -> None:
    for top in ("core", "plugins", "contrib"):
        for path in (ROOT / top).rglob("*"):
            if path.suffix in (".py", ".sql") or path.name == "py.typed":
                assert path.relative_to(ROOT / top).as_posix() in shipped


def test_nothing_but_our_packages_is_in_the_wheel(shipped: set[str]) -> None:
    assert {name.split("/")[0].partition("-")[0].partition("_")[0] for name in shipped} == {
        "holdfast"
    }

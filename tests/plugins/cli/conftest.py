"""Fixtures of the command's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.testing import MemoryDisk, MemoryServer
from support import cli_drivers
from support.cli_command import Cli
from support.world import ACCOUNT, CONTACT

ENTRY_POINTS = """\
[holdfast.storages]
planted = support.cli_drivers:PlantedStorage
[holdfast.transports]
planted = support.cli_drivers:PlantedTransport
[holdfast.resolvers]
ask = support.cli_drivers:Ask
[holdfast.plugins]
polite = support.cli_drivers:polite
rude = support.cli_drivers:rude
clumsy = support.cli_drivers:clumsy
broken = cli_drivers_that_are_not_there:plugin
"""


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a stranger's distribution; return the folder it is in."""
    site = tmp_path / "site"
    info = site / "strangers-2.3.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 2.3\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(site)
    return site


@pytest.fixture
def cli(
    strangers: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Cli]:
    """A command line in an empty folder with a profile; nothing is downloaded."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("HOLDFAST_PROFILE", "HOLDFAST_DEBUG", "COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(variable, raising=False)
    server = MemoryServer([ACCOUNT, CONTACT], page_size=3)
    cli_drivers.SERVERS["server"] = server
    cli_drivers.DISKS["disk"] = MemoryDisk()
    command = Cli(server, capsys)
    command.profile()
    yield command
    cli_drivers.PlantedTransport.after_page = None
    cli_drivers.SERVERS.clear()
    cli_drivers.DISKS.clear()


@pytest.fixture
def downloaded(cli: Cli) -> Cli:
    """The same with four accounts and a contact, downloaded."""
    ada = cli.server.create("contact", {"fullname": "Ada Lovelace"})
    for name in ("Fjord Marine AS", "Ålesund Båt", "Nordic Kelp", "Bergen Hydro"):
        cli.server.create("account", {"name": name, "revenue": 1250, "primarycontactid": ada})
    assert cli("download").code == 0
    return cli

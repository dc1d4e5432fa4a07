"""A Dataverse for tests: the fixtures ``dataverse`` and ``dataverse_url``.

Invariant: a session that asks for neither pays for one small module; one that does starts one
server, and each test finds the organisation as the marker or the ini file says, to the last row.

This module imports nothing of the emulator until a fixture is used.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from holdfast_emulator.testing import EmulatorThread, TestDataverse

_EMULATORS: Final = pytest.StashKey["dict[int, EmulatorThread]"]()
_USED: Final = pytest.StashKey["TestDataverse"]()
_SHOWN: Final = 50


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add how many sample rows an organisation has."""
    help_text = "sample rows in the organisation of the fixture dataverse (default: 0)"
    parser.addini("dataverse_rows", help_text, default="0")
    group = parser.getgroup("dataverse", "Dataverse emulator")
    group.addoption(
        "--dataverse-rows", type=int, default=None, dest="dataverse_rows", help=help_text
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "dataverse(rows=0, baseline=None): how the organisation of the fixture dataverse starts: "
        "with so many sample rows, or as it was kept under a name by an earlier fixture",
    )


@pytest.fixture
def dataverse(request: pytest.FixtureRequest) -> Iterator[TestDataverse]:
    """Lend an emulator whose organisation is as new; see ``holdfast_emulator.testing``."""
    rows, baseline = _wanted(request)
    emulator = _emulator(request.config, rows)
    with emulator.test(baseline) as handle:
        request.node.stash[_USED] = handle
        yield handle


@pytest.fixture
def dataverse_url(dataverse: TestDataverse) -> str:
    """Return the address of the organisation that ``dataverse`` runs."""
    return dataverse.url


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what a failing test asked the emulator."""
    report = yield
    handle = item.stash.get(_USED, None)
    if handle is not None and report.failed and call.when == "call":
        lines = [str(line) for line in handle.summary()]
        left = len(lines) - _SHOWN
        shown = [f"… {left} more before"] * (left > 0) + lines[-_SHOWN:]
        report.sections.append(("Dataverse requests", "\n".join(shown) or "none"))
    return report


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what was started."""
    for emulator in config.stash.get(_EMULATORS, {}).values():
        emulator.stop()


def _wanted(request: pytest.FixtureRequest) -> tuple[int, str | None]:
    """Return the rows and the baseline that a test asks for."""
    given: dict[str, Any] = {}  # Any: what a marker says
    for marker in reversed(list(request.node.iter_markers("dataverse"))):
        unknown = marker.kwargs.keys() - {"rows", "baseline"}
        if marker.args or unknown:
            raise pytest.UsageError("the marker dataverse takes rows= and baseline=, by name")
        given |= marker.kwargs
    config = request.config
    option = config.getoption("dataverse_rows")
    rows = given.get("rows", config.getini("dataverse_rows") if option is None else option)
    try:
        return int(rows), given.get("baseline")
    except (TypeError, ValueError):
        raise pytest.UsageError(f"dataverse_rows is a number, not {rows!r}") from None


def _emulator(config: pytest.Config, rows: int) -> EmulatorThread:
    """Return the one emulator of this session with so many rows."""
    from holdfast_emulator.testing import EmulatorThread

    emulators = config.stash.setdefault(_EMULATORS, {})
    if rows not in emulators:
        emulators[rows] = EmulatorThread(rows)
    return emulators[rows]

"""Each bug planted in the transport is found by the tests that are named for it.

The tests run in a process of their own, with the bug and without it: a bug that its tests do not
see means that they have become blind.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from support.planting import VARIABLE

HERE = Path(__file__).parent
TRANSPORT, BODIES, ANSWERS = (
    f"test_dataverse_hostile_{kind}.py" for kind in ("transport", "bodies", "answers")
)
KILLS = {
    "m43_next_link_followed_anywhere": [
        f"{TRANSPORT}::test_no_link_leads_away[S-01 0-nextLink]",
        f"{TRANSPORT}::test_no_link_leads_away[S-01 0-deltaLink]",
        "test_dataverse_links.py::test_a_stored_checkpoint_of_another_server_is_not_followed",
    ],
    "m44_token_in_errors_and_logs": [
        f"{ANSWERS}::test_a_page_that_is_none_is_a_typed_error_in_words[is no HTTP]",
        "test_dataverse_session.py::test_no_token_in_logs_and_errors",
    ],
    "m45_body_not_capped": [
        f"{BODIES}::test_a_bomb_is_cut_at_the_cap[S-21 gzip of 200 MiB]",
        f"{BODIES}::test_the_cap_is_everywhere[push-gzip of 200 MiB]",
        f"{BODIES}::test_the_cap_is_where_it_is_said_to_be[200-1]",
    ],
}
_NOT_PASSED = re.compile(r"^(?:FAILED|ERROR) \S*?([\w.]+::.+?)(?: - .*)?$", re.MULTILINE)
pytestmark = pytest.mark.timeout(240)  # each is a process that imports everything anew


async def failing(tests: list[str], planted: str = "") -> tuple[int, set[str]]:
    """Run tests, perhaps with a bug; return the exit code and those that did not pass."""
    paths = os.pathsep.join(path for path in sys.path if path)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-p", "support.planting", "-p", "no:cacheprovider"),
        *(str(HERE / test) for test in tests),
        env={**os.environ, "PYTHONPATH": paths, VARIABLE: planted},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    found = _NOT_PASSED.findall(out.decode())
    assert process.returncode is not None
    return process.returncode, set(found)


@pytest.mark.parametrize("planted", KILLS, ids=lambda name: name[:3])
async def test_a_planted_bug_is_found_by_the_tests_named_for_it(planted: str) -> None:
    code, found = await failing(KILLS[planted], planted)
    assert code == pytest.ExitCode.TESTS_FAILED
    assert found == set(KILLS[planted])


async def test_the_same_tests_pass_without_a_bug() -> None:
    code, found = await failing([test for tests in KILLS.values() for test in tests])
    assert (code, found) == (pytest.ExitCode.OK, set())

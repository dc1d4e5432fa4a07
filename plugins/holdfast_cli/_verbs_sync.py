"""The verbs that meet the server: ``download``, ``sync``, ``offline``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Literal

import holdfast
from holdfast.status import HistoryEntry, SyncReport
from holdfast_cli import _json
from holdfast_cli._errors import report_code
from holdfast_cli._open import writing
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._plain import say
from holdfast_cli._progress import with_progress
from holdfast_cli._render import show
from holdfast_cli._report import failure_text, report_text

#: The settled conflicts among which those of a sync are looked for; more are counted, not shown.
_NEWEST: Final = 1000


async def download(*, profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = False) -> int:
    """Download the tables of the profile for the first time, or what changed in the profile.

    An interrupted download goes on where it stopped.
    """
    return await _run(profile, lambda replica: replica.download(), json=json)


async def sync(*, profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = False) -> int:
    """Send what was changed here, then fetch what was changed there."""
    return await _run(profile, lambda replica: replica.sync(), json=json)


async def offline(
    switch: Literal["on", "off"],
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> int:
    """Turn Work offline on, or off again.

    While it is on, nothing is sent or fetched; changes are kept here. Turning it off sends and
    fetches at once.

    :param switch: on or off
    """
    if switch == "off":
        return await _run(profile, lambda replica: replica.go_online(), json=json)
    async with writing(profile) as replica:
        await replica.go_offline()
    if json:
        _json.emit({"working_offline": True})
    else:
        show("Work offline is on; your changes are kept here until `holdfast offline off`")
    return 0


async def _run(
    profile: Path, act: Callable[[holdfast.Replica], Awaitable[SyncReport]], *, json: bool
) -> int:
    async with writing(profile) as replica:
        report = await with_progress(replica, lambda: act(replica))
        conflicts = await _conflicts(replica, report)
        issues = [issue for issue in await replica.issues() if issue.id in report.issues]
        kept = {table.name: table.rows for table in (await replica.status()).tables}
    if json:
        _json.emit(_json.report(report, conflicts, issues))
    else:
        show(report_text(report, conflicts, issues, kept))
    if report.failure is not None:
        say(failure_text(report))
    return report_code(report)


async def _conflicts(replica: holdfast.Replica, report: SyncReport) -> list[HistoryEntry]:
    if not report.conflicts:
        return []
    wanted = set(report.conflicts)
    return [entry for entry in await replica.history(limit=_NEWEST) if entry.id in wanted]

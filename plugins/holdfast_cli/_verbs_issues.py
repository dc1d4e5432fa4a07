"""The verb ``issues`` and its own: what a person is asked, and what was settled without asking."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Final

from cyclopts import App, Parameter

import holdfast
from holdfast.errors import IssueNotFound, UsageError
from holdfast.status import HistoryEntry, Issue, IssueKind, Winner
from holdfast_cli import _json
from holdfast_cli._compare import VERSIONS, comparison, ways_out
from holdfast_cli._open import reading, writing
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._plain import one_line, say
from holdfast_cli._render import cell, in_local_time, records, show
from holdfast_cli._report import outcome, row_title, short_title

#: How far back settled conflicts are listed and looked for.
_HISTORY_LIMIT: Final = 1000
_WINNERS: Final = {
    Winner.MINE: "yours",
    Winner.THEIRS: "the server's",
    Winner.MERGE: "both, merged",
}


async def list_issues(
    *,
    history: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """List what needs your decision.

    Changes that the server refused, conflicts left to you, so many rows that are to go that nobody
    may have meant it, and rows that came and cannot be understood.

    :param history: also list the conflicts that were settled, by a policy or by you
    """
    async with reading(profile) as replica:
        issues = await replica.issues()
        settled = await replica.history(limit=_HISTORY_LIMIT) if history else []
    if json:
        document = {"issues": [_json.issue(issue) for issue in issues]}
        if history:
            document["history"] = [_json.history(entry) for entry in settled]
        _json.emit(document)
        return
    _show_issues(issues)
    if history:
        _show_history(settled)


def _show_issues(issues: list[Issue]) -> None:
    if not issues:
        say("nothing needs your decision")
        return
    records(
        ["Issue", "Kind", "Since", "Row", "What happened"],
        [
            [
                cell(issue.id),
                cell(issue.kind.value),
                cell(in_local_time(issue.raised)),
                cell(short_title(issue)),
                cell(issue.message),
            ]
            for issue in issues
        ],
    )
    say("`holdfast issues show ID` compares the versions and says what you can do")


def _show_history(settled: list[HistoryEntry]) -> None:
    if not settled:
        say("no conflict was settled yet")
        return
    records(
        ["Entry", "Settled", "Winner", "Settled by", "Row", "Your change"],
        [
            [
                cell(entry.id),
                cell(in_local_time(entry.settled)),
                cell(_WINNERS[entry.winner]),
                cell(entry.policy),
                cell(short_title(entry)),
                cell(_change(entry)),
            ]
            for entry in settled
        ],
    )
    say("`holdfast issues show ENTRY` compares the versions and says how to bring one back")


def _change(entry: HistoryEntry) -> str:
    if entry.mine is None:
        return "deleted"
    return "created" if entry.base is None else ", ".join(entry.columns)


async def show_issue(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Compare the versions of one issue, or of one settled conflict, and say what you can do.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with reading(profile) as replica:
        entry = await _find(replica, issue_id)
        if json:
            _json.emit(_json.entry(entry))
            return
        columns = [] if _about_no_versions(entry) else await comparison(replica, entry)
    show(_title(entry))
    if columns:
        records(VERSIONS, columns)
    if isinstance(entry, Issue) and entry.payload:
        show(f"what the server sent: {one_line(entry.payload)}")
    show("\n".join(ways_out(entry)))


def _about_no_versions(entry: Issue | HistoryEntry) -> bool:
    """Tell whether an issue is about something else than the versions of one row."""
    return isinstance(entry, Issue) and entry.kind not in (IssueKind.CONFLICT, IssueKind.REFUSED)


async def _find(replica: holdfast.Replica, entry_id: str) -> Issue | HistoryEntry:
    """Return the issue or the settled conflict with this id.

    :raises IssueNotFound: there is neither
    """
    try:
        return await replica.issue(entry_id)
    except IssueNotFound:
        for entry in await replica.history(limit=_HISTORY_LIMIT):
            if entry.id == entry_id:
                return entry
        raise


@asynccontextmanager
async def _told_if_settled(replica: holdfast.Replica, entry_id: str) -> AsyncIterator[None]:
    """Say of a settled conflict that it is one, where only an open issue will do.

    :raises UsageError: it is settled
    """
    try:
        yield
    except IssueNotFound:
        if any(entry.id == entry_id for entry in await replica.history(limit=_HISTORY_LIMIT)):
            raise UsageError(
                f"conflict {entry_id} is settled; `holdfast issues show {entry_id}` "
                "says how to bring the other version back"
            ) from None
        raise


def _title(entry: Issue | HistoryEntry) -> str:
    title = row_title(entry.table, entry.row_id, (entry.mine, entry.theirs, entry.base))
    if isinstance(entry, HistoryEntry):
        when = in_local_time(entry.settled)
        return f"{title}\nsettled {when} by {entry.policy}: {outcome(entry)}"
    code = f" ({entry.code})" if entry.code else ""
    when = in_local_time(entry.raised)
    return f"{title}\n{entry.kind.value} since {when}: {' '.join(entry.message.split())}{code}"


async def allow(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Let the rows of an issue about many go, this once.

    Those that left the server go from here at once; those that you deleted go to the server with
    the next sync. If more are to go by then, you are asked again.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with writing(profile) as replica, _told_if_settled(replica, issue_id):
        await replica.allow(issue_id)
    _tell("allow", issue_id, "these rows may go", json=json)


async def retry(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """With the next sync, send a refused change again, or have the server asked again.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with writing(profile) as replica, _told_if_settled(replica, issue_id):
        await replica.retry(issue_id)
    _tell("retry", issue_id, "it is tried again with the next sync", json=json)


async def discard(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Give up a change, or many deletions; the rows become what the server has.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with writing(profile) as replica, _told_if_settled(replica, issue_id):
        await replica.discard(issue_id)
    _tell("discard", issue_id, "your change is given up", json=json)


async def take_mine(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Settle a conflict with your version, also one that a policy settled otherwise.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with writing(profile) as replica:
        await replica.take_mine(issue_id)
    _tell("take-mine", issue_id, "your version stands and is sent with the next sync", json=json)


async def take_theirs(
    issue_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Settle a conflict with the server's version, also one that a policy settled otherwise.

    :param issue_id: the id, as `holdfast issues` lists it
    """
    async with writing(profile) as replica:
        await replica.take_theirs(issue_id)
    _tell("take-theirs", issue_id, "the server's version stands", json=json)


def _tell(done: str, issue_id: str, outcome: str, *, json: bool) -> None:
    if json:
        _json.emit({"id": issue_id, "done": done})
    else:
        show(f"{issue_id}: {outcome}")


def _with_sub_verbs() -> App:
    app = App(name="issues", version_flags=[])
    app.default(list_issues)
    for function, name in (
        (show_issue, "show"),
        (allow, "allow"),
        (retry, "retry"),
        (discard, "discard"),
        (take_mine, "take-mine"),
        (take_theirs, "take-theirs"),
    ):
        app.command(function, name=name)
    return app


#: The verb with its sub-verbs.
issues: Final = _with_sub_verbs()

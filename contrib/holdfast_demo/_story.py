"""The story of the demo: one server, two field workers with different policies, a busy office."""

from __future__ import annotations

import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final

import holdfast
from holdfast import Replica, Row
from holdfast.errors import UsageError
from holdfast_demo._server import Colleague, DemoFailed, emulator
from holdfast_demo._show import Stage

_PROFILE: Final = """\
[storage]
driver = "sqlite"
path = "{policy}.db"

[transport]
driver = "dataverse"
url = "{url}"
credential = "token"
token = "demo-token"

[profile]
name = "Field service demo"
conflict_detection = {conflict_detection}

[[profile.tables]]
name = "account"

[[profile.tables]]
name = "contact"

[[profile.tables]]
name = "opportunity"
filter = {{ odata = "statecode eq 0" }}

[[profile.tables]]
name = "task"
"""
#: So many rows have accounts enough with names of their own.
_FEWEST: Final = 1000
#: How many accounts each round edits.
_CAST: Final = 6


def write_profile(folder: Path, url: str, policy: str) -> Path:
    """Write the profile of one person in the field, and return its path."""
    path = folder / f"{policy}.toml"
    conflict_detection = str(policy == "server-wins").lower()
    text = _PROFILE.format(url=url, policy=policy, conflict_detection=conflict_detection)
    path.write_text(text, encoding="utf-8")
    return path


@dataclass(frozen=True, slots=True)
class Cast:
    """The rows that a round is about."""

    accounts: list[Row]
    leaver: Row
    task: Row
    opportunity: Row


async def tell(*, rows: int, folder: Path | None) -> int:
    """Tell the whole story; return the exit code."""
    stage = Stage()
    if rows < _FEWEST:
        raise UsageError(f"{rows:,} rows are too few for the story; ask for {_FEWEST:,} or more")
    home = _home(folder)
    stage.chapter("A Dataverse on this machine")
    try:
        async with emulator(rows) as url:
            stage.say(f"  {rows:,} accounts, contacts, opportunities and tasks at {url}")
            stage.say("  two people in the field keep a copy of them, each with another policy:")
            stage.say("  client-wins: of two edits of the same row, the one in the field stands")
            stage.say("  server-wins: the one at the office stands")
            stage.say("  of the opportunities, which are all read, they keep the open ones")
            for number, policy in enumerate(("client-wins", "server-wins")):
                await _round(stage, url, write_profile(home, url, policy), number=number)
    except DemoFailed as error:
        stage.say(f"the demo stopped: {error}")
        return 1
    _farewell(stage, home)
    return 0


def _home(folder: Path | None) -> Path:
    if folder is None:
        return Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made: {error.strerror}; name another folder"
        ) from error
    if any(folder.glob("*-wins.*")):
        raise UsageError(f"{folder} has the replicas of an earlier demo; name another folder")
    return folder


async def _round(stage: Stage, url: str, profile: Path, *, number: int) -> None:
    policy = profile.stem
    async with holdfast.open(profile) as replica:
        stage.chapter(f"{policy}: the first download" + (" of a new replica" if number else ""))
        await stage.with_progress(replica, replica.download())
        stage.status(await replica.status())

        cast = await _cast(replica, skip=number * _CAST)
        stage.chapter(f"{policy}: no network, Work offline is on; in the field:")
        await replica.go_offline()
        await _work_offline(stage, replica, cast)
        stage.say("  meanwhile, at the office:")
        await _office(stage, Colleague(url), cast)
        stage.status(await replica.status())

        stage.chapter(f"{policy}: the network is back, Work offline is turned off")
        report = await stage.with_progress(replica, replica.go_online())
        stage.report(report)
        if report.failure is not None:
            raise DemoFailed(str(report.failure))
        stage.chapter(f"{policy}: who won, and what was kept")
        for entry in reversed(await replica.history()):
            await stage.conflict(replica, entry)
        for issue in await replica.issues():
            await stage.issue(replica, issue)

        stage.chapter(f"{policy}: a person has the last word")
        await _last_word(stage, replica, cast.accounts[0], take_mine=policy == "server-wins")
        stage.status(await replica.status())


async def _last_word(stage: Stage, replica: Replica, row: Row, *, take_mine: bool) -> None:
    """Bring a loser back, and settle what the server refused."""
    entry = next(each for each in await replica.history() if each.row_id == row.id)
    take, verb = (
        (replica.take_mine, "take-mine") if take_mine else (replica.take_theirs, "take-theirs")
    )
    await take(entry.id)
    for issue in await replica.issues():
        await replica.discard(issue.id)
    await replica.sync()
    phone = (await replica.table("account").get(row.id))["telephone1"]
    stage.say(f"  · the loser is brought back (`holdfast issues {verb} ID`):")
    stage.say(f"    the phone of {row['name']!r} is {phone} now, here and at the server")
    stage.say("  · the refused change is given up (`holdfast issues discard ID`);")
    stage.say("    it could have been corrected, or sent again (`holdfast issues retry ID`)")


async def _cast(replica: Replica, *, skip: int) -> Cast:
    accounts = await _first(replica, "account", "name", skip + _CAST)
    contacts = await _first(replica, "contact", "fullname", skip + 1)
    tasks = await _first(replica, "task", "subject", skip + 1, "statecode eq 0")
    opportunities = await _first(replica, "opportunity", "name", skip + 1)
    return Cast(accounts[skip:], contacts[skip], tasks[skip], opportunities[skip])


async def _first(
    replica: Replica, table: str, order_by: str, count: int, condition: str | None = None
) -> list[Row]:
    """Return the first rows whose names differ, so that the story can be told by names."""
    rows: dict[object, Row] = {}
    async with aclosing(replica.table(table).query(condition, order_by=order_by)) as found:
        async for row in found:
            rows.setdefault(row[order_by], row)
            if len(rows) == count:
                break
    return list(rows.values())


async def _work_offline(stage: Stage, replica: Replica, cast: Cast) -> None:
    accounts = replica.table("account")
    first, second, third, fourth, fifth, _ = cast.accounts
    person = await replica.table("contact").create({"firstname": "Ingrid", "lastname": "Berg"})
    await accounts.create({"name": "Fjord Marine AS", "primarycontactid": person})
    await accounts.update(first.id, {"telephone1": "+47 55 00 00 01"})
    await accounts.update(second.id, {"revenue": Decimal("1250000.75")})
    await accounts.delete(third.id)
    await accounts.update(fourth.id, {"telephone1": "+47 55 00 00 04"})
    await accounts.update(fifth.id, {"primarycontactid": cast.leaver.id})
    await replica.table("task").update(cast.task.id, {"statecode": 1, "statuscode": 5})
    value = {"estimatedvalue": Decimal("99000.50")}
    await replica.table("opportunity").update(cast.opportunity.id, value)
    for deed in (
        "account 'Fjord Marine AS' created, with a new contact, 'Ingrid Berg'",
        f"phone of {first['name']!r} changed",
        f"revenue of {second['name']!r} changed",
        f"{third['name']!r} deleted",
        f"phone of {fourth['name']!r} changed",
        f"contact {cast.leaver['fullname']!r} made primary contact of {fifth['name']!r}",
        f"task {cast.task['subject']!r} completed",
        f"value of opportunity {cast.opportunity['name']!r} changed",
    ):
        stage.say(f"  · {deed}")


async def _office(stage: Stage, office: Colleague, cast: Cast) -> None:
    first, second, third, fourth, fifth, sixth = cast.accounts
    await office.update("accounts", first.id, {"telephone1": "+47 99 99 99 99"})
    await office.update("accounts", second.id, {"description": "Pays on time"})
    await office.update("accounts", third.id, {"telephone1": "+47 99 99 99 97"})
    await office.delete("accounts", fourth.id)
    await office.delete("contacts", cast.leaver.id)
    await office.update("accounts", sixth.id, {"address1_city": "Trondheim"})
    for deed in (
        f"phone of {first['name']!r} changed too: a conflict",
        f"description of {second['name']!r} changed, another column of the same row: a conflict",
        f"phone of {third['name']!r} changed, which was deleted in the field: a conflict",
        f"{fourth['name']!r} deleted, which was changed in the field: a conflict",
        f"contact {cast.leaver['fullname']!r} deleted, to whom {fifth['name']!r} now points",
        f"{sixth['name']!r} moved to Trondheim, which nobody touched in the field",
    ):
        stage.say(f"  · {deed}")


def _farewell(stage: Stage, home: Path) -> None:
    profile = home / "client-wins.toml"
    stage.chapter("Look around: both replicas are still here, and work without the server")
    stage.say(f"  holdfast status --profile {profile}")
    stage.say(f"  holdfast issues --history --profile {profile}")
    stage.say("  each is a plain SQLite file, which any SQLite tool reads:")
    question = "select name, address1_city, revenue from account limit 5"
    stage.say(f'  sqlite3 {home / "client-wins.db"} "{question}"')

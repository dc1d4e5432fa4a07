"""The story of the demo: one server, two field workers with different policies, a busy office."""

from __future__ import annotations

import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import holdfast
from holdfast import Replica, Row
from holdfast_demo._server import Colleague, DemoFailed, emulator
from holdfast_demo._show import Stage

_TOKEN: Final = "demo-token"  # noqa: S105  the emulator's first user
#: How many accounts each round edits.
_CAST: Final = 6


def profile(url: str, path: Path, *, conflict_detection: bool) -> dict[str, Any]:  # Any: TOML
    """Return what would stand in holdfast.toml."""
    return {
        "storage": {"driver": "sqlite", "path": str(path)},
        "transport": {"driver": "dataverse", "url": url, "credential": "token", "token": _TOKEN},
        "profile": {
            "name": "Field service demo",
            "conflict_detection": conflict_detection,
            "tables": [
                {"name": "account"},
                {"name": "contact"},
                {"name": "opportunity", "filter": {"odata": "statecode eq 0"}},
                {"name": "task"},
            ],
        },
    }


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
    home = folder or Path(tempfile.mkdtemp(prefix="holdfast-demo-"))
    stage.chapter("A Dataverse on this machine")
    try:
        async with emulator(rows) as url:
            stage.say(f"  {rows:,} accounts, contacts, opportunities and tasks at {url}")
            await _round(stage, url, home / "client-wins.db", number=0)
            await _round(stage, url, home / "server-wins.db", number=1)
    except DemoFailed as error:
        stage.say(f"the demo stopped: {error}")
        return 1
    _farewell(stage, home / "client-wins.db")
    return 0


async def _round(stage: Stage, url: str, path: Path, *, number: int) -> None:
    server_wins = number == 1
    policy = "server-wins" if server_wins else "client-wins"
    async with holdfast.open(profile(url, path, conflict_detection=server_wins)) as replica:
        stage.chapter(f"{policy}: the first download")
        await stage.with_progress(replica, replica.download())
        stage.status(await replica.status())

        cast = await _cast(replica, skip=number * _CAST)
        stage.chapter(f"{policy}: no network, Work offline is on")
        await replica.go_offline()
        await _work_offline(stage, replica, cast)
        stage.say("  meanwhile, at the office:")
        await _office(stage, Colleague(url), cast)
        stage.status(await replica.status())

        stage.chapter(f"{policy}: the network is back, Work offline is off")
        report = await stage.with_progress(replica, replica.go_online())
        stage.report(report)
        for entry in reversed(await replica.history()):
            await stage.conflict(replica, entry)
        for issue in await replica.issues():
            await stage.issue(replica, issue)
            stage.say(
                "  a person would choose: retry, take mine, take theirs; the demo discards it"
            )
            await replica.discard(issue.id)
        stage.status(await replica.status())


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
        "new account 'Fjord Marine AS' with a new contact, Ingrid Berg",
        f"phone of {first['name']!r}, revenue of {second['name']!r}, phone of {fourth['name']!r}",
        f"{third['name']!r} deleted",
        f"{cast.leaver['fullname']!r} made primary contact of {fifth['name']!r}",
        f"task {cast.task['subject']!r} completed, an opportunity revalued",
    ):
        stage.say(f"  · {deed}")


async def _office(stage: Stage, office: Colleague, cast: Cast) -> None:
    first, second, third, fourth, _, sixth = cast.accounts
    await office.update("accounts", first.id, {"telephone1": "+47 99 99 99 99"})
    await office.update("accounts", second.id, {"description": "Pays on time"})
    await office.update("accounts", third.id, {"telephone1": "+47 99 99 99 97"})
    await office.delete("accounts", fourth.id)
    await office.delete("contacts", cast.leaver.id)
    await office.update("accounts", sixth.id, {"address1_city": "Trondheim"})
    for deed in (
        f"the same phone of {first['name']!r}, another column of {second['name']!r}",
        f"{third['name']!r} edited, {fourth['name']!r} deleted",
        f"contact {cast.leaver['fullname']!r} deleted",
        f"{sixth['name']!r} moved to Trondheim",
    ):
        stage.say(f"  · {deed}")


def _farewell(stage: Stage, path: Path) -> None:
    stage.chapter("The replica is a plain SQLite file")
    stage.say(f"  {path}")
    question = "select name, address1_city, revenue from account limit 5"
    stage.say(f'  sqlite3 {path} "{question}"')

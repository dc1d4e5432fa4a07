"""A server that outlives its clients, one replica file, and all that may be held against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final, TypeAlias

import holdfast
from holdfast.schema import ColumnType, TableSchema
from holdfast.values import Cell, Reference, Value, to_value
from holdfast_emulator import Dataverse, Effect, EmulatorServer, Sample
from support.kills.autopsy import CARRIED, TABLES, Found, autopsy
from support.kills.gate import Gate, let_pass
from support.kills.nursery import KILLED, Life, Nursery, Told, open_nursery

TOKEN: Final = "demo-token"
NOW: Final = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
Does: TypeAlias = tuple[str, str, str | None]


@dataclass
class Ground:
    """Where lives are lived; what they acknowledged and what the server did is kept here.

    Each op writes a value of its own, so each effect on the server is the effect of one op; where
    one carries others, it is what was sent.
    """

    dataverse: Dataverse
    gate: Gate
    nursery: Nursery
    path: Path
    choose: Random
    options: dict[str, Any] = field(default_factory=dict)
    tables: Sequence[dict[str, Any]] = tuple({"name": name} for name in TABLES)
    order: dict[str, Any] = field(default_factory=dict)
    acked: dict[str, Does] = field(default_factory=dict)
    known: dict[str, Does] = field(default_factory=dict)
    sent: dict[str, Does] = field(default_factory=dict)
    effects: Counter[Does] = field(default_factory=Counter)
    lives: int = 0

    def hear(self, effect: Effect) -> None:
        """Note what the worker's replica did to the server."""
        user = self.dataverse.security.user_of(TOKEN)
        assert user is not None
        if effect.user != user.id:
            return
        row = self.dataverse.find(effect.table, effect.row_id)
        value = None if row is None else str(row["telephone1"])
        self.effects[effect.operation.value.lower(), effect.row_id, value] += 1

    def profile(
        self, *plugins: str, tables: Sequence[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Return the profile of the replica, perhaps with other tables."""
        kept = list(tables or self.tables)
        transport = {"driver": "dataverse", "url": self.gate.url, "credential": "token"}
        return {
            "plugins": list(plugins),
            "storage": {"driver": "sqlite", "path": str(self.path)},
            "transport": {**transport, "token": TOKEN, **self.options},
            "profile": {"tables": kept},
        }

    def live(self, act: str, on_told: Callable[[Told], None] | None = None, **order: Any) -> Life:
        """Let a child do something to the replica; each life has a number."""
        self.lives += 1
        given = {"life": self.lives, "profile": self.profile("witness"), **self.order, **order}
        return self.nursery.live(act, on_told, **given)

    async def unmolested(self, act: str, **order: Any) -> Life:
        """Let a child live to its end."""
        self.gate.watch = let_pass
        life = self.live(act, **order)
        await self.examine(life)
        assert life.code == 0
        return life

    async def examine(self, life: Life) -> Found:
        """Wait for a death, look at the file, and judge all that can be judged by then."""
        assert await life.end() in (0, KILLED), "a life ended by itself; see its traceback"
        await self.gate.quiet()
        noted: dict[Does, str] = {}
        for told in life.of("write"):
            for op, kind, row, value in told["ops"]:
                noted.setdefault((kind, row, value), op)  # one that carries it is written later
        acks = [tuple(told["does"]) for told in life.of("ack")]
        self.acked |= {noted[does]: does for does in acks}
        for told in life.of("push"):  # an op may carry what others said
            self.sent |= {op: (kind, row, value) for op, kind, row, value in told["does"]}
        found = autopsy(self.path)
        found.check()
        written = {op: does for does, op in noted.items() if op in found.ledger}
        self.known |= written | self.acked | {op.id: op.effect for op in found.outbox} | self.sent
        lost = [op for op in self.acked if found.places_of(op) != 1]
        assert not lost, f"{len(lost)} acknowledged ops are in no place, or in two"
        for op, does in self.known.items():
            assert self.effects[does] <= 1, f"{does} was done twice"
            heard_of = op in found.ledger and op not in found.carried
            assert self.effects[does] == 1 or not heard_of, f"{does} was not done"
        unsent = [op for op in found.outbox if op.state == "pending" and not op.attempts]
        assert not any(self.effects[op.effect] for op in unsent), "sent, and not marked as sent"
        return found

    def office(self, edits: int, table: str = "account") -> None:
        """Let somebody at the office change rows, in a column that no life writes."""
        system = self.dataverse.system
        ids = [row.id for row in self.dataverse.scan(table)]
        for row_id in self.choose.sample(ids, edits):
            values = {"address1_city": f"City {self.choose.randrange(10**8)}"}
            self.dataverse.update(system, table, row_id, values)

    async def conclude(self) -> None:
        """Let the last child finish; then everything is settled once, and both sides agree."""
        for _ in range(3):
            life = await self.unmolested("sync")
        assert life.of("synced") == [{"what": "synced", "complete": True, "waiting": 0}]
        found = autopsy(self.path)
        assert not found.outbox
        assert found.ledger == Counter(dict.fromkeys(self.known, 1))
        assert found.places <= {"applied", *CARRIED}
        own = [does for op, does in self.known.items() if op not in found.carried]
        assert self.effects == Counter(own)
        self.last_words_stand()
        await self.agree()

    def last_words_stand(self) -> None:
        """Compare each row with what was acknowledged of it last, or written after that."""
        last = {row: (kind, value) for kind, row, value in self.acked.values()}
        unheard = [does for op, does in self.known.items() if op not in self.acked]
        for row_id, (kind, value) in last.items():
            later = {text for _, row, text in unheard if row == row_id}
            row = self.dataverse.find("account", row_id)
            if row is None:
                assert kind == "delete" or ("delete", row_id) in {(k, r) for k, r, _ in unheard}
            else:
                assert str(row["telephone1"]) in {value, *later}, "what was typed last is gone"

    async def agree(self) -> None:
        """Compare every value of every row of the replica with the server's own rows."""
        found = autopsy(self.path)
        async with holdfast.open(self.profile()) as replica:
            for name in TABLES:
                schema = replica.table(name).schema
                here = {row.id: dict(row) async for row in replica.table(name).query()}
                there = {row.id: _values(schema, row) for row in self.dataverse.scan(name)}
                assert here == there
                versions = {row.id: row.etag for row in self.dataverse.scan(name)}
                assert found.versions[name] == versions


def _values(schema: TableSchema, row: Mapping[str, Cell | Reference]) -> dict[str, Value]:
    """Return a row of the server as an application reads it; of a picture that is its id."""
    cells = {
        c.name: row[f"{c.name}id" if c.type is ColumnType.IMAGE else c.name] for c in schema.columns
    }
    return {c.name: to_value(c, cells[c.name]) for c in schema.columns}


@asynccontextmanager
async def open_ground(folder: Path, *, seed: int, rows: int) -> AsyncIterator[Ground]:
    """Start a server with sample rows, a gate before it, and the process that forks children."""
    grounds: list[Ground] = []

    def hear(effect: Effect) -> None:
        for ground in grounds:
            ground.hear(effect)

    dataverse = Dataverse(clock=lambda: NOW, on_effect=hear)
    Sample(rows, NOW).load(dataverse)
    async with (
        EmulatorServer(dataverse) as server,
        Gate(server.url) as gate,
        open_nursery(folder / "site") as nursery,
    ):
        made = Ground(dataverse, gate, nursery, folder / "replica.db", Random(seed))
        grounds.append(made)
        yield made

"""Who judges what is left on a disk: the same file, opened again, and one small check a promise.

Invariant: a state is judged by its bytes. Two states whose bytes are the same are counted once, and
judged again only against what was promised meanwhile.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from holdfast._tables import GONE, OUTBOX, SCOPES
from holdfast.contracts import Context, OpenMode
from holdfast.errors import HoldfastError
from holdfast.replica import _opened
from holdfast.testing import system_environment
from holdfast.testing.simulation import Conservation, Contents, LocalAtomicity, Violation
from holdfast.testing.simulation._history import Answered, Invoked, Opened
from holdfast_sqlite import SqliteSettings, SqliteStorage, connect_inline
from support.disk.machine import FILE, Machine, Mark, NotingServer, setup_of
from support.disk.platter import Files, Platter

#: What a database says of its tables, for telling one format from another.
Format: TypeAlias = tuple[int, int, frozenset[tuple[str, str]]]

INTEGRITY: Final = "integrity"
RESTART: Final = "P12 opens again"
FORMAT: Final = "P22 one format"
KNOWN: Final = "P12 a state that was there"
TOKEN: Final = "P11 checkpoint behind rows"
DURABLE: Final = Conservation.name
ATOMIC: Final = LocalAtomicity.name
#: How many of the states are opened by the product although their database is known.
_AGAIN: Final = 0.01
_HEADER: Final = 100
#: Where these stand among ROW_FIELDS, which end a record.
_VERSION: Final = -4
_RULES: Final = -2


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds when it is opened; ``wrong`` is what is wrong with that whenever."""

    contents: Contents
    format: Format | None
    wrong: Mapping[str, str]


@dataclass
class Verdict:
    """How many states were judged, and what was wrong with how many: examples by check."""

    states: int = 0
    judged: int = 0
    images: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        wrong = "".join(f"\n{name} ({n}): {self.examples[name]}" for name, n in self.bad.items())
        return f"{self.states} states, {self.images} databases{wrong}"


class Opener:
    """Writes files to a folder and opens them as the next start of the machine does."""

    def __init__(self, folder: Path, server: NotingServer, runner: asyncio.Runner) -> None:
        self._folder = folder
        self._server = server
        self._runner = runner
        self._laid: Files = {}  # what is known to be there, unchanged

    def lay(self, files: Files) -> None:
        """Make the folder hold these files and no others."""
        for path in self._folder.iterdir():
            if path.name not in files:
                path.unlink()
        for name, content in files.items():
            if self._laid.get(name) is not content:
                self._folder.joinpath(name).write_bytes(content)
        self._laid = dict(files)

    def image(self, files: Files) -> bytes | None:
        """Return the database as SQLite recovers it; None where only a writer can."""
        if not files.get(FILE) or f"{FILE}-journal" in files:
            return None
        self.lay(files)
        path = self._folder / FILE
        try:
            # It moves nothing into the file: what it recovers is all that there is.
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as database:
                return database.serialize()
        except sqlite3.Error:
            return None

    def look(self, files: Files, tables: Sequence[Mapping[str, object]]) -> Found:
        """Look at the files as they are, then open them with the product, then with the engine."""
        wrong: dict[str, str] = {}
        contents, told = Contents(), None
        try:
            self.lay(files)
            self._laid = {}
            with closing(sqlite3.connect(self._folder / FILE)) as database:
                (sound,) = database.execute("PRAGMA integrity_check").fetchone()
                told = _format(database)
            if sound != "ok":
                wrong[INTEGRITY] = str(sound)
            self.lay(files)
            self._laid = {}
            contents = self._runner.run(self._contents())
            self._runner.run(self._start(tables))
        except (HoldfastError, sqlite3.Error, ValueError, LookupError, TypeError) as error:
            wrong[RESTART] = f"{type(error).__name__}: {error}"
        return Found(contents, told, wrong)

    async def _contents(self) -> Contents:
        driver = SqliteStorage.with_seams(connect=connect_inline, lock=lambda _: nullcontext())
        context = Context(system_environment(), self._folder, OpenMode.OWNER)
        async with driver.open(SqliteSettings(path=Path(FILE)), context) as storage:
            return await Contents.read(storage)

    async def _start(self, tables: Sequence[Mapping[str, object]]) -> None:
        setup = setup_of(self._folder, self._server, tables)
        async with _opened(setup, OpenMode.OWNER, system_environment()) as replica:
            await replica.pending()
            await replica.status()


def _format(database: sqlite3.Connection) -> Format:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (application,) = database.execute("PRAGMA application_id").fetchone()
    made = database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return version, application, frozenset(made)


class Judge:
    """Judges the states of one machine's disk."""

    def __init__(self, machine: Machine, opener: Opener) -> None:
        self._machine = machine
        self._opener = opener
        self._images: list[tuple[bytes, Found]] = []  # the databases seen, the last one first
        self._of_state: dict[bytes, Found] = {}
        self._digests: dict[str, tuple[bytes, bytes]] = {}
        self._known: dict[tuple[int, int], list[tuple[str, str]]] = {}
        self._marks = [Mark(0, opener.look(machine.baseline, machine.tables).contents)]
        self._marks += machine.marks
        self._formats = self._formats_between()
        self.verdict = Verdict()

    def _formats_between(self) -> frozenset[Format | None]:
        """Return the formats that the file had whenever something was promised."""
        platter = Platter.holding(self._machine.baseline)
        marks = {mark.event for mark in self._marks}
        formats = [self._opener.look(platter.kept(), self._machine.tables).format]
        for number, event in enumerate(self._machine.events, 1):
            platter.apply(event)
            if number in marks:
                formats.append(self._opener.look(platter.kept(), self._machine.tables).format)
        return frozenset(formats)

    def judge(self, files: Files, event: int, rng: random.Random) -> None:
        """Judge a state that the power may leave after so many events."""
        state = self._digest(files)
        found = self._of_state.get(state)
        if found is None:
            self.verdict.states += 1
            found = self._of_state[state] = self._look(files, rng)
        last = max(at for at, mark in enumerate(self._marks) if mark.event <= event)
        self.verdict.judged += 1
        case = (id(found), last)
        if case not in self._known:
            self._known[case] = list(self._wrong(found, last))
        for name, text in self._known[case]:
            self.verdict.bad[name] += 1
            self.verdict.examples.setdefault(name, f"after event {event}: {text}")

    def _digest(self, files: Files) -> bytes:
        whole = hashlib.sha1(usedforsecurity=False)
        for name, content in sorted(files.items()):
            seen, digest = self._digests.get(name, (b"", b""))
            if content is not seen:  # the file itself is the same through many states
                digest = hashlib.sha1(content, usedforsecurity=False).digest()
                self._digests[name] = content, digest
            whole.update(f"{name} {len(content)} ".encode())
            whole.update(digest)
        return whole.digest()

    def _look(self, files: Files, rng: random.Random) -> Found:
        """Open a state; one that SQLite recovers to a database seen before needs no second look.

        The product reads the file's header itself: so that must have been seen as well.
        """
        image = self._opener.image(files)
        if image is None:
            return self._opener.look(files, self._machine.tables)
        image += files[FILE][:_HEADER]
        known = next((at for at, seen in enumerate(self._images) if seen[0] == image), None)
        if known is None or rng.random() < _AGAIN:
            found = self._opener.look(files, self._machine.tables)
            self.verdict.images += known is None
        else:
            found = self._images.pop(known)[1]
        self._images.insert(0, (image, found))
        return found

    def _wrong(self, found: Found, last: int) -> Iterator[tuple[str, str]]:
        yield from found.wrong.items()
        if found.wrong:
            return
        contents = found.contents
        promised = self._marks[last].contents
        yield from violations(contents, promised)
        if found.format not in self._formats:
            yield FORMAT, f"format {found.format and found.format[0]} is half there"
        known = [m for m in self._marks[last:] if tables_of(m.contents) == tables_of(contents)]
        if not known:
            yield KNOWN, f"{contents} were never there together"
        yield from ahead(contents, self._machine.server)


def violations(contents: Contents, promised: Contents) -> Iterator[tuple[str, str]]:
    """Let the simulator's checkers look at what was opened, knowing what was acknowledged."""
    acknowledged = [str(record[1]) for record in promised.table(OUTBOX).values()]
    acknowledged += [op for op, _, _ in promised.settled()]
    conservation, atomicity = Conservation(), LocalAtomicity()
    if acknowledged:
        conservation.see(Invoked(1, "all", writes=True), 1)
        conservation.see(Answered(1, tuple(acknowledged)), 2)
    for checker in (conservation, atomicity):
        try:
            checker.see(Opened(contents), 3)
        except Violation as violation:
            yield checker.name, violation.explanation
        except (LookupError, ValueError) as error:  # such as an op of a table that is not known
            yield checker.name, f"what is stored cannot be read: {error!r}"


def ahead(contents: Contents, server: NotingServer) -> Iterator[tuple[str, str]]:
    """Say which rows are missing, or older, behind a stored checkpoint."""
    waiting = {(record[3], record[4]) for record in contents.table(OUTBOX).values()}
    for table, _, checkpoint, *_ in contents.table(SCOPES).values():
        rows = contents.table(str(table))
        for row_id, version in server.behind(str(table), checkpoint).items():
            row = rows.get(row_id)
            if (table, row_id) in waiting:
                continue
            if version is None or server.deleted_after(row_id, version):
                marked = row is not None and row[_RULES] == GONE  # until the end of its turn
                if row is not None and version is None and not marked:
                    yield TOKEN, f"{table}/{row_id[:8]} should be gone behind the checkpoint"
            elif row is None:
                yield TOKEN, f"{table}/{row_id[:8]} is missing behind the checkpoint"
            elif len(row) <= -_VERSION or server.age(str(row[_VERSION])) < server.age(version):
                yield TOKEN, f"{table}/{row_id[:8]} is older than the checkpoint"


def tables_of(contents: Contents) -> Mapping[str, object]:
    return {name: records for name, records in contents.tables.items() if records}


def judge(
    machine: Machine, folder: Path, *, draws: int, seed: int = 1, until: str | None = None
) -> Verdict:
    """Judge what the power may leave after each event: nothing, all, and ``draws`` of each mix.

    :param until: the check that ends it when it has found something
    """
    with asyncio.Runner() as runner:
        court = Judge(machine, Opener(folder, machine.server, runner))
        platter = Platter.holding(machine.baseline)
        rng = random.Random(seed)
        for number, event in enumerate(machine.events, 1):
            platter.apply(event)
            for files in _states(platter, rng, draws):
                court.judge(files, number, rng)
            if until in court.verdict.bad:
                break
        return court.verdict


def _states(platter: Platter, rng: random.Random, draws: int) -> Iterator[Files]:
    yield platter.lost()
    yield platter.kept()
    for _ in range(draws):
        yield platter.some(rng)
        yield platter.reordered(rng)
        torn = platter.torn(rng)
        if torn is not None:
            yield torn

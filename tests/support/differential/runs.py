"""One run: a set of rows, many filters, and what the judges say of each."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from holdfast.contracts import FilterLanguage
from holdfast.filters import Expression, predicate
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from holdfast_odata import ODataLanguage, ODataSettings
from support.differential import filters, judges, rows
from support.differential.tables import SCHEMAS

ODATA = ODataLanguage(ODataSettings())
FETCHXML = FetchXmlLanguage(FetchXmlSettings())
LANGUAGES: tuple[FilterLanguage, ...] = (ODATA, FETCHXML)


@dataclass(frozen=True)
class Difference:
    """A filter on which two judges do not agree."""

    judge: str
    filter: Expression
    missing: frozenset[str]
    surplus: frozenset[str]

    def story(self, world: judges.World) -> str:
        """Return what a person needs to look into it."""
        lines = [f"{self.judge} and the predicate differ on", repr(self.filter)]
        for row in world.given["thing"]:
            if row["thingid"] in self.missing | self.surplus:
                word = "misses" if row["thingid"] in self.missing else "has too many:"
                lines.append(f"{self.judge} {word} {dict(row)}")
        return "\n".join(lines)


@dataclass
class Run:
    """The judges around one world."""

    world: judges.World
    maker: filters.Maker

    async def compare(
        self, expression: Expression, languages: Sequence[FilterLanguage] = LANGUAGES
    ) -> tuple[frozenset[str], Difference | None, set[str]]:
        """Return the predicate's answer, the first difference, and who was able to answer."""
        wanted = self.world.by_predicate(expression)
        answers: dict[str, frozenset[str] | None] = {
            "sqlite": await self.world.by_storage(expression)
        }
        for language in languages:
            answers[language.name] = self.world.by_server(expression, language)
            answers[f"{language.name} read back"] = self._read_back(expression, language)
        able = {name for name, answer in answers.items() if answer is not None}
        for name in able:
            found = answers[name] or frozenset()
            if found != wanted:
                return wanted, Difference(name, expression, wanted - found, found - wanted), able
        return wanted, None, able

    def _read_back(self, expression: Expression, language: FilterLanguage) -> frozenset[str] | None:
        """Return what the text means that the language writes, as it reads it itself."""
        text = judges.rendered(expression, language)
        if text is None:
            return None
        parsed = self.world.settled(language.parse(text, SCHEMAS["thing"], SCHEMAS))
        test = predicate(parsed, SCHEMAS["thing"].positions, related=self.world.related)
        return frozenset(str(r[0]) for r in self.world.records["thing"] if test(r) is True)

    async def shrunk(
        self, found: Difference, languages: Sequence[FilterLanguage] = LANGUAGES
    ) -> Difference:
        """Return a difference of the same judge with as simple a filter as can be found."""
        for _ in range(200):
            for simpler in filters.simpler(found.filter):
                _, other, _ = await self.compare(simpler, languages)
                if other is not None and other.judge == found.judge:
                    found = other
                    break
            else:
                return found
        return found


@asynccontextmanager
async def run_of(seed: int, folder: Path) -> AsyncIterator[Run]:
    """Prepare everything for the filters of one seed."""
    dice = random.Random(seed)
    dataverse = judges.organisation()
    try:
        people = judges.people_of(dataverse)
        given: Mapping[str, Sequence[rows.Given]] = rows.rows_of(dice, people)
        world = judges.World(given, people, asker=judges.load(dataverse, given))
        async with judges.storage_with(world.records, folder) as storage:
            world.storage = storage
            yield Run(world, filters.Maker(dice, people))
    finally:
        dataverse.close()


def filters_of(seed: int, count: int, people: rows.People) -> list[Expression]:
    """Return the filters that a run of this seed makes first, without evaluating one."""
    dice = random.Random(seed)
    rows.rows_of(dice, people)
    maker = filters.Maker(dice, people)
    return [maker.filter() for _ in range(count)]

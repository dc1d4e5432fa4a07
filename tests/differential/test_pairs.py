"""Questions over pairs as people write them: each kind of link, in both languages.

The text goes to the emulator as it is; here it becomes a predicate, SQL, and text again.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from holdfast.contracts import FilterLanguage
from holdfast.errors import FilterError
from support.differential import judges, rows
from support.differential.runs import FETCHXML, ODATA, Run, run_of
from support.differential.tables import SCHEMAS

NAME: Final = "<filter><condition attribute='name' operator='{}' value='abc'/></filter>"
WHERE: Final = ("", NAME.format("eq"), NAME.format("ne"))
JOINS: Final = ("inner", "outer", "exists", "in", "matchfirstrowusingcrossapply")
IN_FILTERS: Final = ("any", "not any", "all", "not all")
PAIR: Final = "<link-entity name='{0}' from='{1}' to='thingid' link-type='{2}' intersect='true'>"
WAYS: Final = {
    "fitting": ("thingfit", "thingid", "partid", "part"),
    "likes": ("thinglike", "thingidone", "thingidtwo", "thing"),
    "liked by": ("thinglike", "thingidtwo", "thingidone", "thing"),
}


def link(way: str, outer: str, inner: str, where: str) -> str:
    """Return a link over pairs, with a link of another kind inside it."""
    pairs, near, far, target = WAYS[way]
    end = f"<link-entity name='{target}' from='{target}id' to='{far}' link-type='{inner}'>"
    ended = f"{end}{where}</link-entity>"
    inside = f"<filter>{ended}</filter>" if inner in IN_FILTERS else ended
    linked = f"{PAIR.format(pairs, near, outer)}{inside}</link-entity>"
    return f"<filter>{linked}</filter>" if outer in IN_FILTERS else linked


LAMBDAS: Final = [
    f"{start}{name}/{lambda_}"
    for start in ("", "not ")
    for name in ("fitting_parts", "likes", "liked_by")
    for lambda_ in (
        "any()",
        *(f"{word}(x:x/name {op} 'abc')" for word in ("any", "all") for op in ("eq", "ne")),
        *(f"{word}(x:not (x/count gt 1 or x/note eq null))" for word in ("any", "all")),
    )
]
NESTED: Final = [
    "fitting_parts/any(p:p/fitting_things/any(t:t/flag eq true))",
    "fitting_parts/all(p:p/fitting_things/any(t:t/name ne 'abc'))",
    "likes/any(t:t/liked_by/all(u:u/likes/any(v:v/count gt 0)))",
    "likes/any(t:t/partid/name ne 'abc' and not t/fitting_parts/any())",
    "thing_children/any(c:c/likes/any(t:t/thing_parts/any(p:p/name eq null)))",
]


@pytest.mark.parametrize("way", WAYS)
async def test_every_kind_of_link_over_pairs(way: str, tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    async with run_of(11, tmp_path) as run:
        for outer, inner in itertools.product((*JOINS, *IN_FILTERS), repeat=2):
            for where in WHERE:
                linked = link(way, outer, inner, where)
                text = f"<fetch><entity name='thing'>{linked}</entity></fetch>"
                found = run.world.asked("thing", fetchXml=text)
                told[await compared(run, text, FETCHXML, found)] += 1
    assert told["undecided"] == len(WHERE)  # which pair is the first, if its end must be there
    assert told["telling"] >= 100


async def test_every_lambda_over_pairs(tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    async with run_of(11, tmp_path) as run:
        for text in (*LAMBDAS, *NESTED):
            said = run.world.asked("thing", _filter=text, _select="thingid")
            told[await compared(run, text, ODATA, said)] += 1
    assert told["telling"] >= len(LAMBDAS) * 0.7


async def compared(run: Run, text: str, language: FilterLanguage, server: frozenset[str]) -> str:
    """Check that what the emulator found is what everybody finds here; say what it was like."""
    world = run.world
    try:
        expression = language.parse(text, SCHEMAS["thing"], SCHEMAS)
    except FilterError as error:
        if "which row is the first of the link" in str(error):
            return "undecided"
        raise
    assert world.by_predicate(expression) == server, text
    assert await world.by_storage(expression) in (None, server), text
    for other in (ODATA, FETCHXML):
        again = world.by_server(expression, other)
        assert again in (None, server), (text, judges.rendered(expression, other))
    return "telling" if 0 < len(server) < rows.ROWS["thing"] else "plain"

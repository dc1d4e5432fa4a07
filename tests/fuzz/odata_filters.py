"""Look for filters that break the language "odata": ``python -m fuzz.odata_filters --minutes 10``.

Invariant: whatever the text, the answer is an expression or a ``FilterError`` whose place lies in
the text; and what was read is written, or refused, so that it reads back.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from random import Random
from typing import Final

from holdfast.errors import FilterError
from holdfast.filters import Expression
from support.odata import ACCOUNT, GUID, LANGUAGE, TABLES

CRM = "Microsoft.Dynamics.CRM."
SEEDS = (
    "name eq 'O''Neil' and (n gt -5 or not contains(name,'a%_[x]')) and createdon ge 2024-02-29",
    "not startswith(name,'ø') or endswith(description,'ß') and day lt 2024-02-29",
    f"accountid eq {GUID} or _ownerid_value ne null and options eq '1,9'",
    "primarycontactid/customer_account/name ne 'x' and n eq m",
    "tasks/any(t:t/n eq 1 and not t/subject eq null) or not contacts/any()",
    "contacts/all(c:c/duties/any(t:t/n ge 2) or c/customer_account/n eq 3)",
    f"{CRM}In(PropertyName='n',PropertyValues=[\"1\",'2',3])",
    f"not {CRM}Between(PropertyName='createdon',PropertyValues=['2024-01-01','2024-12-31'])",
    f"primarycontactid/{CRM}LastXDays(PropertyName='createdon',PropertyValue=12)",
    f"{CRM}InFiscalPeriodAndYear(PropertyName='day',PropertyValue1=3,PropertyValue2=2024)",
    f"{CRM}On(PropertyName='wall',PropertyValue='2024-02-29') or {CRM}Today(PropertyName='day')",
    f"{CRM}NotUnder(PropertyName='parentid',PropertyValue='{GUID}')",
    f"not {CRM}EqualUserTeams(PropertyName='ownerid') and wall le 2024-02-29T10:00:00.5+01:00",
    f"{CRM}DoesNotContainValues(PropertyName='options',PropertyValues=[\"1\"])",
    "holdfast.pending() or contacts/any(c:not c/holdfast.local())",
)
PIECES = (
    *("(", ")", "'", '"', "/", ",", ":", "[", "]", "=", ".", "@p", "$it", "-", "%", "{", "}", " "),
    *("and", "or", "not", "eq", "gt", "in", "has", "add", "null", "true", "any(", "all(", "x:x/"),
    *("name", "n", "tasks", "primarycontactid/", "PropertyName=", "PropertyValues=[", CRM, "Today"),
    *(
        "1e999999999",
        "9" * 40,
        "0x1",
        "INF",
        "2024-13-01",
        "10:00",
        "\ud800",
        "\0",
        "\u017f",
        "İ",
        "٣",
    ),
    *(
        "tolower(name)",
        "duration'PT1S'",
        "\n",
        "\u00a0",
        "parentid/" * 20,
        "(" * 101,
        "tasks/any()",
    ),
)
_WORD: Final = re.compile(r"[A-Za-z_.]+|[0-9-]+|'[^']*'|[ ()]+|.", re.DOTALL)


def mutated(dice: Random) -> str:
    """Return a filter that was right before somebody sat on the keyboard."""
    text = dice.choice(SEEDS)
    if not dice.randrange(4):
        text = f"{text} {dice.choice(('and', 'or'))} {dice.choice(SEEDS)}"
    for _ in range(dice.choice((1, 1, 1, 2, 4))):
        at = dice.randrange(len(text) + 1)
        near = min(len(text), at + dice.randrange(12))
        match dice.randrange(9):
            case 0:
                text = text[:at] + text[near:]
            case 1:
                text = text[:at] + dice.choice(PIECES) + text[near:]
            case 2:
                text = text[:at] + dice.choice(PIECES) + text[at:]
            case 3:
                text = text[:near] + text[at:]
            case 4:
                text = text[:at] + chr(dice.randrange(0x3000)) + text[at:]
            case 5:
                text = text[:at] + text[at : at + 1].swapcase() + text[at + 1 :]
            case 6:
                text = f"{dice.choice(('', 'not '))}({text}) {dice.choice(PIECES)}"
            case _:
                text = _word(dice, text)
    return text


def _word(dice: Random, text: str) -> str:
    """Replace a word by one of another filter."""
    words, others = (_WORD.findall(one) for one in (text, dice.choice(SEEDS)))
    if words:
        words[dice.randrange(len(words))] = dice.choice(others)
    return "".join(words)


def check(text: str) -> str:
    """Read a filter, write it and read it again.

    :returns: how far it came
    :raises AssertionError: an answer is wrong; whatever else is raised is wrong, too
    """
    try:
        expression = LANGUAGE.parse(text, ACCOUNT, TABLES)
    except FilterError as error:
        place = error.position or 0
    else:
        return written(expression)
    assert 0 <= place <= len(text), place
    return "refused"


def written(expression: Expression) -> str:
    """Write what was read; see :func:`check`."""
    try:
        text = LANGUAGE.render(expression, ACCOUNT, TABLES)
    except FilterError:
        return "not written"
    again = LANGUAGE.render(LANGUAGE.parse(text, ACCOUNT, TABLES), ACCOUNT, TABLES)
    LANGUAGE.parse(again, ACCOUNT, TABLES)
    return "read"


def run(seconds: float, seed: int) -> int:
    """Try filters for so long; return how many of them failed."""
    dice, ends, slowest = Random(seed), time.monotonic() + seconds, 0.0
    outcomes: Counter[str] = Counter()
    while time.monotonic() < ends:
        text = mutated(dice)
        started = time.process_time()
        try:
            outcomes[check(text)] += 1
        except Exception:  # noqa: BLE001  anything else is what is looked for
            outcomes["failed"] += 1
            print(f"{text!r}\n{traceback.format_exc()}")
        slowest = max(slowest, time.process_time() - started)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(outcomes.items()))
    print(f"{outcomes.total()} filters: {told}; the slowest took {slowest * 1000:.0f} ms")
    return outcomes["failed"]


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    given = parser.parse_args(arguments)
    print(f"seed {given.seed}")
    return 1 if run(given.minutes * 60, given.seed) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

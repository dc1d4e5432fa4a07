"""Throw broken FetchXML at the language for some minutes: an answer or a FilterError, and soon.

    python -m fuzz.fetchxml_queries --minutes 10 --seed 1

Each text is one that is understood, mutated a few times: as characters, as pieces of XML, and by
pasting parts of others into it. What is understood as a filter is also written and read again.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from typing import Final

from holdfast.errors import FilterError
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, TABLES
from support.fetchxml_texts import SEEDS, mutated

LANGUAGE: Final = FetchXmlLanguage(FetchXmlSettings())
_SLOWEST: Final = 2.0  # seconds; a text here is short


def judge(text: str) -> str:
    """Return what became of a text; raise what should never be raised."""
    outcome = "refused"
    try:
        LANGUAGE.parse_selection(text, TABLES)
        outcome = "a query"
    except FilterError:
        pass
    try:
        expression = LANGUAGE.parse(text, ACCOUNT, TABLES)
    except FilterError as error:
        if 0 <= (error.position or 0) <= len(text):
            return outcome
        raise
    try:
        written = LANGUAGE.render(expression, ACCOUNT, TABLES)
    except FilterError:
        return "a filter that is not written"
    LANGUAGE.parse(written, ACCOUNT, TABLES)
    return "a filter"


def main(minutes: float, seed: int) -> None:
    """Try texts until the time is over; the first accident shows its text."""
    chance = random.Random(seed)
    outcomes: Counter[str] = Counter()
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        text = mutated(chance.choice(SEEDS), chance)
        start = time.monotonic()
        try:
            outcomes[judge(text)] += 1
        except Exception:
            print(f"seed {seed}, text {text!r}")
            raise
        assert time.monotonic() - start < _SLOWEST, text
    print(f"{outcomes.total()} texts: {dict(outcomes)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    main(given.minutes, given.seed)

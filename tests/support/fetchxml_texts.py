"""FetchXML that is understood, and ways to break it."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from holdfast.filters import Branch, Comparison, Period, Who
from support.crm import TABLES

_DATA: Final = Path(__file__).parents[1] / "data" / "fetchxml_queries.json"
_CASES: Final = [
    case["fetchxml"]
    for case in json.loads(_DATA.read_text(encoding="utf-8"))["cases"]
    if len(case["fetchxml"]) < 2_000
]
_WRITTEN: Final = (
    "<filter><condition attribute='name' operator='like' value='%a[b-c]_'/></filter>",
    (
        "<filter type='or'><condition attribute='employees' operator='in'><value>1</value>"
        "<value>2</value></condition><filter><condition attribute='createdon' "
        "operator='last-x-days' value='3'/></filter></filter>"
    ),
    (
        "<filter><link-entity name='contact' from='parentcustomerid' to='accountid' "
        "link-type='not any'><filter><condition attribute='age' operator='between'><value>1</value>"
        "<value>9</value></condition></filter></link-entity></filter>"
    ),
    (
        "<fetch version='1.0' distinct='true'><entity name='account'><all-attributes/>"
        "<order attribute='name' descending='true'/><filter><condition entityname='c' "
        "attribute='age' operator='null'/><condition attribute='city' operator='ne' "
        "valueof='name'/></filter><link-entity name='contact' from='parentcustomerid' "
        "to='accountid' alias='c' link-type='outer'><attribute name='city' alias='town'/>"
        "<link-entity name='account' from='accountid' to='parentcustomerid'/></link-entity>"
        "</entity></fetch>"
    ),
    (
        "<fetch aggregate='true'><entity name='account'><attribute name='revenue' alias='r' "
        "aggregate='sum'/><attribute name='createdon' alias='m' groupby='true' "
        "dategrouping='month' usertimezone='false'/><order alias='r'/></entity></fetch>"
    ),
    (
        "<fetch count='5' page='2' useraworderby='true'><entity name='account'><filter>"
        "<condition attribute='accountid' operator='eq-or-under' "
        "value='abcdef01-2345-4789-abcd-ef0123456789'/><condition attribute='ownerid' "
        "operator='eq-useroruserteams'/><condition attribute='interests' "
        "operator='contain-values'><value>1,2</value></condition><condition "
        "attribute='founded' operator='in-fiscal-period-and-year'><value>1</value>"
        "<value>2024</value></condition></filter></entity></fetch>"
    ),
)
_OPERATORS: Final = (
    *(word.value for kind in (Comparison, Period, Branch) for word in kind),
    *(f"eq-{who.value}" for who in Who),
    *("like", "not-like", "begins-with", "not-end-with", "in", "not-in", "between", "null"),
    *("not-between", "contain-values", "not-contain-values", "not-null", "not-under", "neq"),
)
SEEDS: Final = (*_WRITTEN, *_WRITTEN, *_CASES)
_PIECES: Final = re.compile(r"<[^<>]*>|'[^']*'|[\w-]+|[^\w<>']")
_WORDS: Final = (
    *("and", "or", "outer", "inner", "exists", "not any", "all", "eq", "ne", "null", "under"),
    *("last-x-years", "next-x-fiscal-periods", "on", "0", "-1", "9" * 30, "1e308", "9999-12-31"),
    *("0001-01-01T00:00:00+14:00", "true", "accountid", "interests", "photo", "c", "account"),
    *("", " ", "'", '"', "<", ">", "&", "&amp;", "&#0;", "&#x10FFFF;", "]]>", "<![CDATA[", "\0"),
    *("\ud800", "\ufeff", "ß", "<!DOCTYPE a>", "<?x?>", "<!--", "-->", "</filter>", "<filter>"),
    *("<value>", "xmlns:a='b'", "entityname='c'", "valueof='c.age'", "aggregate='count'"),
)


def mutated(text: str, chance: random.Random) -> str:
    """Return the text after a few changes, most of them mistakes."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        text = chance.choice(_MISTAKES)(text, chance)[:20_000]
    return text


def _replaced(text: str, chance: random.Random) -> str:
    return _at_piece(text, chance, lambda _: chance.choice(_WORDS))


def _dropped(text: str, chance: random.Random) -> str:
    return _at_piece(text, chance, lambda _: "")


def _doubled(text: str, chance: random.Random) -> str:
    count = chance.choice((2, 3, 70))
    return _at_piece(text, chance, lambda piece: piece * count)


def _swapped_words(text: str, chance: random.Random) -> str:
    other = chance.choice(_PIECES.findall(chance.choice(SEEDS)))
    return _at_piece(text, chance, lambda _: other)


def _changed_value(text: str, chance: random.Random) -> str:
    values = list(re.finditer(r"'([^']*)'", text))
    if not values:
        return text
    value = chance.choice(values)
    return f"{text[: value.start(1)]}{chance.choice(_WORDS)}{text[value.end(1) :]}"


def _one_character(text: str, chance: random.Random) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chr(chance.choice((0, 9, 39, 60, 62, 38, 0xD8, 0xFFFE))) + text[at + 1 :]


def _cut(text: str, chance: random.Random) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _pasted(text: str, chance: random.Random) -> str:
    inner = re.findall(r"<(filter|link-entity|condition|entity)\b.*</\1>", text)
    other = chance.choice(SEEDS)
    part = re.search(r"<(filter|link-entity|condition)\b.*</\1>", other)
    if not inner or not part:
        return text
    at = text.find(">", chance.randrange(len(text) + 1)) + 1
    return text[:at] + part[0] + text[at:]


def _nested(text: str, chance: random.Random) -> str:
    count = chance.choice((2, 30, 80))
    return f"{'<filter>' * count}{text}{'</filter>' * count}"


def _at_piece(text: str, chance: random.Random, change: Callable[[str], str]) -> str:
    pieces = list(_PIECES.finditer(text))
    if not pieces:
        return text
    piece = chance.choice(pieces)
    return text[: piece.start()] + change(piece[0]) + text[piece.end() :]


def _other_column(text: str, chance: random.Random) -> str:
    columns = [column.name for table in TABLES.values() for column in table.columns]
    return _other(text, chance, "attribute|name|valueof|from|to", columns)


def _other_operator(text: str, chance: random.Random) -> str:
    return _other(text, chance, "operator", _OPERATORS)


def _other_word(text: str, chance: random.Random) -> str:
    words = ("true", "false", "and", "or", "c", "account", "contact", "day", "sum", "max", "count")
    kinds = ("inner", "outer", "exists", "in", "matchfirstrowusingcrossapply", "any", "all")
    return _other(text, chance, r"[\w-]+", (*words, *kinds, "1", "2", "2024-01-01"))


def _other(text: str, chance: random.Random, names: str, words: Sequence[str]) -> str:
    """Put another word in the place of the value of an attribute; often that means something."""
    values = list(re.finditer(rf"\b(?:{names})='([^']*)'", text))
    if not values:
        return text
    value = chance.choice(values)
    return f"{text[: value.start(1)]}{chance.choice(words)}{text[value.end(1) :]}"


_MILD: Final = (_other_column, _other_operator, _other_word)
_MISTAKES: Final = (
    *(_MILD * 4),
    *(_changed_value, _changed_value, _replaced, _dropped, _doubled),
    *(_swapped_words, _one_character, _cut, _pasted, _nested),
)

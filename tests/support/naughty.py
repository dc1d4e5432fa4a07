# ruff: noqa: RUF001  letters that look like others are the point
"""Texts that break what is put together from text, made by rule.

Each rule names what it is after; their products are many hundreds, each once and in one order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

#: What ends or opens something in SQL, OData, XML, a shell, a log or on a terminal.
MARKS: Final = (
    *"'\"`;,()[]{}<>&#%+/\\*?!|=@~^$:_-.",
    "''",
    '""',
    "--",
    "/*",
    "*/",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<?xml?>",
    "&amp;",
    "&#0;",
    "&lt;",
    "%27",
    "%2527",
    "%00",
    "%s",
    "{0}",
    "${x}",
    "\\'",
    "\\x27",
    "\\u0027",
)
CONTROLS: Final = tuple(map(chr, (*range(0x20), *range(0x7F, 0xA0))))
#: Marks of direction, of nothing, of order, and what is not to be a character at all.
FORMATS: Final = tuple(
    map(
        chr,
        (
            0xAD,
            0x61C,
            0x180E,
            *range(0x200B, 0x2010),
            *range(0x2028, 0x202F),
            *range(0x2060, 0x2070),
            0xFEFF,
            *range(0xFFF9, 0xFFFE),
            0xFFFE,
            0xFFFF,
            0x1FFFE,
            0xE0001,
            0xE0041,
            0x10FFFF,
        ),
    )
)
#: Letters that are not what they look like, grow when folded, or stand on others.
LETTERS: Final = (
    "ß",
    "ẞ",
    "İ",
    "ı",
    "ſ",
    "ﬁ",
    "ŉ",
    "Σς",
    "é",
    "e\u0301",
    "a" + "\u0300" * 50,
    "Å",
    "\u212b",
    "'",
    "\u02bc",
    "\u2019",
    "\uff07",
    "日本",
    "👩\u200d🚒",
    "🇳🇴",
    "\U0001f3f4\U000e0067\U000e007f",
    "ﷺ",
    "مرحبا",
    "שלום",
    "\u0e01\u0e33",
)
WORDS: Final = (
    "",
    " ",
    "null",
    "NULL",
    "None",
    "undefined",
    "true",
    "false",
    "NaN",
    "Infinity",
    "-0",
    "0",
    "1e400",
    "0x10",
    "1;2",
    "SELECT",
    "rowid",
    "accountid",
    "nope",
    "CON",
    "..",
    "../../etc/passwd",
    "C:\\nul",
    "__proto__",
    "eq",
    "not",
    "$filter",
    "@odata.type",
    "_holdfast_version",
)
SENTENCES: Final = (
    "'; DROP TABLE account; --",
    "' OR '1'='1",
    '" OR ""="',
    "x') UNION SELECT sql FROM sqlite_schema --",
    "1); ATTACH DATABASE 'x' AS y; --",
    "' or startswith(name,'') or 'a' eq 'a",
    "x' and statecode eq 0 or name eq 'y",
    "a&$select=name",
    "a#fragment",
    '"/><condition attribute="accountid" operator="not-null"/>',
    "</value></condition></filter><filter>",
    '<!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>&y;',
    "\r\n--batch_1\r\nContent-Type: application/http\r\n\r\nDELETE /account",
    "x\r\nAuthorization: Bearer y",
    '=HYPERLINK("http://x")',
    "+1+1",
    "@SUM(1)",
    "\x1b[31m\x1b]0;title\x07",
    "2026-01-01 00:00:00 ERROR faked\nline",
    '{"id": 1}',
    "[bold]x[/bold]",
    "%(name)s",
    "<script>alert(1)</script>",
)


def texts() -> list[str]:
    """Return all of them."""
    return list(dict.fromkeys(_all()))


def _all() -> Iterator[str]:
    yield from WORDS
    yield from SENTENCES
    yield from LETTERS
    for one in (*MARKS, *CONTROLS, *FORMATS):
        yield one
        yield f"a{one}b"
    for one in MARKS:
        yield f"{one}{one}"
        yield f"Ø{one}'"
        yield f"{one} OR 1=1"
    for one in (*MARKS[:12], "\0", "\n", "\u202e", "Ø", "🚒"):
        for length in (255, 256, 4000):
            yield (one * length)[:length]
    for one in LETTERS:
        yield f"'{one}'"


#: What no UTF-8 holds, and so no server and no file.
LONE_SURROGATES: Final = ("\ud800", "a\udfffb", "\udc00\ud800", "'\ud83d'", "\ud83d\\u0000")

"""Safe reading of XML: elements, attributes and text, with the place of each.

Invariant: a document type is refused as soon as it is named, so there are no entities but the five
of XML itself and nothing is ever fetched or expanded; size and depth are bounded, and time and
memory are linear in the text.

The standard library's expat is enough for that, and it is the only parser at hand that says where
an element stands. ``defusedxml`` wraps it with the same handlers, but builds trees without places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from holdfast_fetchxml._limits import MAXIMUM_CHARACTERS, MAXIMUM_DEPTH
from holdfast_fetchxml._refusals import Refusal, shown

_BLANKS: Final = "\ufeff \t\r\n"
_ATTRIBUTE: Final = re.compile(r"""\s*([^\s=<>/"']+)\s*=\s*("[^"]*"|'[^']*')""")
_TAG: Final = re.compile(r"<[^\s/>]*")


@dataclass(frozen=True, slots=True)
class _Text:
    """The source as the parser sees it: bytes, without the blanks before it."""

    source: str
    data: bytes
    skipped: int

    def character(self, byte: int) -> int:
        """Return which character of the source stands at a byte."""
        return self.skipped + len(self.data[:byte].decode(errors="ignore"))


@dataclass(slots=True, eq=False)
class Element:
    """One element; ``text`` is what stands in it outside of its children."""

    tag: str
    given: dict[str, str]
    _text: _Text
    _byte: int
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def position(self, attribute: str | None = None) -> int:
        """Return the character at which the element starts, or the value of an attribute."""
        source, start = self._text.source, self._text.character(self._byte)
        tag = _TAG.match(source, start)
        at = tag.end() if tag and attribute in self.given else None
        while at is not None and (found := _ATTRIBUTE.match(source, at)):
            if found[1] == attribute:
                return found.start(2) + 1
            at = found.end()
        return start


def read_xml(source: str) -> Element:
    """Return the root element.

    :raises Refusal: it is no XML, has a document type, or is too large or too deep
    """
    if len(source) > MAXIMUM_CHARACTERS:
        raise Refusal(
            f"it has {len(source)} characters; at most {MAXIMUM_CHARACTERS} are read", None
        )
    stripped = source.lstrip(_BLANKS)
    if not stripped:
        raise Refusal("it is empty; leave the filter out to select every row", None)
    try:
        data = stripped.encode()
    except UnicodeEncodeError as error:
        at = len(source) - len(stripped) + error.start
        raise Refusal("the text holds a lone surrogate", at) from error
    return _Builder(_Text(source, data, len(source) - len(stripped))).read()


class _Builder:
    """Hears what the parser finds."""

    def __init__(self, text: _Text) -> None:
        self._text = text
        self._root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []
        self._parser = expat.ParserCreate("utf-8")
        self._parser.buffer_text = True
        self._parser.StartDoctypeDeclHandler = self._document_type
        self._parser.EntityDeclHandler = self._document_type
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters

    def read(self) -> Element:
        try:
            self._parser.Parse(self._text.data, True)
        except expat.ExpatError as error:
            at = self._text.character(self._parser.ErrorByteIndex)
            inside = f" inside {shown(self._open[-1].tag)}" if self._open else ""
            reason = expat.ErrorString(error.code)
            raise Refusal(f"this is no XML: {reason}{inside}", at, "0x80040303") from error
        assert self._root is not None  # expat refuses a text without an element
        return self._root

    def _here(self) -> int:
        return self._text.character(self._parser.CurrentByteIndex)

    def _document_type(self, *_: object) -> None:
        start = self._text.data.rfind(b"<!DOCTYPE", 0, self._parser.CurrentByteIndex + 1)
        raise Refusal(
            "a document type is found; leave it out, its entities are never read",
            self._text.character(max(start, 0)),
        )

    def _start(self, tag: str, given: dict[str, str]) -> None:
        if len(self._open) >= MAXIMUM_DEPTH:
            raise Refusal(f"elements are nested more than {MAXIMUM_DEPTH} deep", self._here())
        element = Element(tag, given, self._text, self._parser.CurrentByteIndex)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)
        self._texts.append([])

    def _end(self, _: str) -> None:
        self._open.pop().text = "".join(self._texts.pop())

    def _characters(self, text: str) -> None:
        self._texts[-1].append(text)

"""Safe reading of XML: elements, attributes and text, of bounded size and depth.

Invariant: a document type is refused before anything in it means something, so there are no
entities but the five of XML itself; time and memory are linear in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final
from xml.parsers import expat

from holdfast_emulator.behaviour.faults import DataverseFault
from holdfast_emulator.queries.fetchxml.refusals import malformed

_MOST_CHARACTERS: Final = 1_000_000
_MOST_DEPTH: Final = 64


@dataclass(slots=True)
class Element:
    """One element; ``text`` is what stands in it outside of its children."""

    tag: str
    marks: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""


def read_xml(source: str) -> Element:
    """Return the root element.

    :raises DataverseFault: it is no XML, has a document type, or is too large or too deep
    """
    if len(source) > _MOST_CHARACTERS:
        raise malformed(f"The text is longer than {_MOST_CHARACTERS} characters.")
    builder = _Builder()
    parser = expat.ParserCreate("utf-8")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = builder.document_type
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.characters
    try:
        parser.Parse(source.strip().encode(), True)
    except UnicodeEncodeError as error:
        raise malformed("The text is not Unicode.") from error
    except expat.ExpatError as error:
        raise malformed(f"{expat.ErrorString(error.code)}: line {error.lineno}.") from error
    assert builder.root is not None  # expat refuses a text without an element
    return builder.root


class _Builder:
    """Hears what the parser finds."""

    def __init__(self) -> None:
        self.root: Element | None = None
        self._open: list[Element] = []
        self._texts: list[list[str]] = []

    def document_type(self, *_: object) -> None:
        """Refuse a document type."""
        raise malformed("A document type is not allowed.")

    def start(self, tag: str, marks: dict[str, str]) -> None:
        """Open an element."""
        if len(self._open) >= _MOST_DEPTH:
            raise _too_deep()
        element = Element(tag, marks)
        if self._open:
            self._open[-1].children.append(element)
        else:
            self.root = element
        self._open.append(element)
        self._texts.append([])

    def end(self, _: str) -> None:
        """Close the element that is open."""
        self._open.pop().text = "".join(self._texts.pop())

    def characters(self, text: str) -> None:
        """Add text to the element that is open."""
        self._texts[-1].append(text)


def _too_deep() -> DataverseFault:
    return malformed(f"Elements are nested more than {_MOST_DEPTH} deep.")

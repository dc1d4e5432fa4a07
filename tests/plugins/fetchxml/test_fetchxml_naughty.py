"""S-18: a text in FetchXML stays a text, or is refused where XML cannot hold it."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from holdfast.errors import FilterError
from holdfast.filters import ColumnRef, Compare, Comparison, Expression, In, Like, Literal
from holdfast.schema import Kind
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, TABLES
from support.naughty import LONE_SURROGATES, texts

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
NAME, MEMO = ColumnRef("name", Kind.TEXT), ColumnRef("description", Kind.TEXT)
OPERATORS = {"eq", "ne", "lt", "in", "not-in", "like", "not-null"}
#: XML 1.0, section 2.2.
NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def around(text: str) -> list[Expression]:
    """Return filters with the text at every place where one may stand."""
    return [
        Compare(Comparison.EQ, NAME, Literal(text)),
        Compare(Comparison.LT, MEMO, Literal(text)),
        In(NAME, (text, "x")),
        In(MEMO, ("x", text), negated=True),
        Like(NAME, text),
    ]


def render(expression: Expression) -> str:
    return LANGUAGE.render(expression, ACCOUNT, TABLES)


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, ACCOUNT, TABLES)


def values(written: str) -> list[str]:
    """Return what another reader of XML finds as values, and see that it finds nothing else."""
    root = ET.fromstring(written)
    found = []
    for element in root.iter():
        assert element.tag in ("filter", "condition", "value")
        assert set(element.attrib) <= {"type", "attribute", "operator", "value"}
        assert element.get("attribute", "name") in ("name", "description")
        assert element.get("operator", "eq") in (
            "eq",
            "ne",
            "lt",
            "in",
            "not-in",
            "like",
            "not-null",
        )
        found += [element.text or ""] if element.tag == "value" else []
        found += [element.attrib["value"]] if "value" in element.attrib else []
    return found


def test_a_naughty_text_reads_back_as_it_was_or_xml_cannot_hold_it() -> None:
    refused = 0
    for text in texts():
        for expression in around(text):
            try:
                written = render(expression)
            except FilterError as error:
                refused += 1
                assert NO_XML.search(text), (text, error)  # noqa: PT017
                continue
            assert text in values(written), text
            assert written == render(parse(written)), text
    assert refused > 100


def test_what_is_read_is_written_by_the_writer_and_never_passed_through() -> None:
    """Comments, sections, other elements: none of the source's own markup comes out again."""
    source = (
        "<filter><!-- ]]> --><condition attribute='name' operator='eq' value='&lt;b&gt;'/>"
        "<condition attribute='name' operator='in'><value><![CDATA[</value>&]]></value></condition>"
        "<?php x ?></filter>"
    )
    written = render(parse(source))
    assert values(written) == ["<b>", "</value>&"]
    assert not any(mark in written for mark in ("<!--", "CDATA", "<?"))


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_half_a_character_is_refused_in_words_that_can_be_printed(text: str) -> None:
    for expression in around(text):
        with pytest.raises(FilterError) as caught:
            render(expression)
        str(caught.value).encode(errors="strict")

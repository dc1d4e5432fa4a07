"""The XML of the language "fetchxml": safe, bounded, and read in linear time."""

from __future__ import annotations

import time

import pytest

from holdfast.errors import FilterError
from holdfast.filters import ColumnRef, Expression, In
from holdfast.schema import Kind
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, TABLES

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, ACCOUNT, TABLES)


def refusal(text: str) -> FilterError:
    with pytest.raises(FilterError) as raised:
        parse(text)
    return raised.value


LAUGHS = "".join(f"<!ENTITY l{n} '{f'&l{n - 1};' * 10}'>" for n in range(1, 10))


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE filter><filter/>",
        f"<!DOCTYPE filter [<!ENTITY l0 'ha'>{LAUGHS}]><filter>&l9;</filter>",
        "<!DOCTYPE filter SYSTEM 'file:///etc/passwd'><filter/>",
        "<!DOCTYPE f [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><filter>&x;</filter>",
    ],
)
def test_a_document_type_is_refused_before_it_means_anything(text: str) -> None:
    error = refusal(text)
    assert "a document type is found" in str(error)
    assert error.position == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        ("<filter>", "no element found"),
        ("<filter><condition></filter>", "mismatched tag inside 'condition'"),
        ("<filter a='1' a='2'/>", "duplicate attribute"),
        ("<filter/><filter/>", "junk after document element"),
        ("<filter>\0</filter>", "not well-formed"),
        ("<filter>\ud800</filter>", "a lone surrogate"),
        ("<filter>" * 65, "nested more than 64 deep"),
        ("<filter/>" + " " * 1_000_000, "at most 1000000 are read"),
    ],
)
def test_what_is_no_xml_is_refused(text: str, words: str) -> None:
    assert words in str(refusal(text))


def test_what_xml_allows_beside_elements_is_allowed() -> None:
    text = (
        "\ufeff <?xml version='1.0' encoding='utf-16'?><!-- x -->"
        "<filter xmlns:generator='x' generator:mode='y'><?pi?>"
        "<condition attribute='name' operator='in'><value uiname='x'><![CDATA[a&b]]></value>"
        "<value>&#x41;&lt;</value></condition></filter>"
    )
    assert parse(text) == In(ColumnRef("name", Kind.TEXT), ("a&b", "A<"))


@pytest.mark.parametrize(
    "text",
    [
        "<filter>" * 300_000,
        "<filter " + "a='' " * 200_000 + "/>",
        "<filter " + " ".join(f"a{n}=''" for n in range(90_000)) + "/>",
        f"<filter><condition attribute='name' operator='in'>{'<value/>' * 100_000}</condition>",
        f"<filter><condition attribute='{'a' * 900_000}' operator='like' value=''/></filter>",
        f"<filter><condition attribute='rate' operator='eq' value='{'9' * 900_000}'/></filter>",
        f"<filter><condition attribute='interests' operator='eq' value='{'1,' * 400_000}'/>",
        f"<filter>{'<!--x-->' * 100_000}<filter>",
        f"<filter>{'x&amp;' * 150_000}</filter>",
        "<filter>" + "]]" * 400_000,
        "<filter><" + "a:" * 400_000,
    ],
    ids=lambda text: text[:20],
)
def test_a_hostile_text_ends_soon_and_in_no_other_error(text: str) -> None:
    start = time.monotonic()
    assert len(str(refusal(text))) < 2_000
    assert time.monotonic() - start < 5


def test_reading_takes_time_linear_in_the_text() -> None:
    def seconds(count: int) -> float:
        text = (
            "<filter><condition attribute='name' operator='in'>"
            f"{'<value>a</value>' * count}</condition></filter>"
        )
        start = time.perf_counter()
        parse(text)
        return time.perf_counter() - start

    seconds(100)
    small = min(seconds(5_000) for _ in range(3))
    large = min(seconds(50_000) for _ in range(3))
    assert large < 40 * small

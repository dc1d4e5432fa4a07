"""S-17: a text in a filter stays a text, whatever it holds."""

from __future__ import annotations

import pytest

from holdfast.errors import FilterError
from holdfast.filters import Compare, Comparison, Expression, In, Like, Literal
from support.naughty import LONE_SURROGATES, texts
from support.odata import flat, parse, ref, render


def around(text: str) -> list[Expression]:
    """Return filters with the text at every place where one may stand."""
    pattern = "".join(f"[{c}]" if c in "%_[" else c for c in text)
    name, city = ref("name"), ref("city")
    return [
        Compare(Comparison.EQ, name, Literal(text)),
        Compare(Comparison.GT, Literal(text), name),
        Compare(Comparison.NE, city, Literal(text)),
        In(name, (text, f"{text}'")),
        Like(name, f"%{pattern}%"),
        Like(name, f"{pattern}%", negated=True),
    ]


def test_a_naughty_text_reads_back_as_it_was() -> None:
    for text in texts():
        for expression in around(text):
            if isinstance(expression, Like) and not text:
                continue  # any text starts with nothing: written shorter
            try:
                written = render(expression)
            except FilterError as error:
                # A pattern that OData has no word for; a value always has one.
                assert isinstance(expression, Like), (text, error)  # noqa: PT017
                continue
            assert flat(parse(written)) == flat(expression), text


def test_a_naughty_text_that_is_pasted_into_a_filter_means_nothing_else() -> None:
    """What people do who do not use ``Literal``: doubled quotes are enough."""
    for text in texts():
        pasted = "name eq '" + text.replace("'", "''") + "'"
        assert parse(pasted) == Compare(Comparison.EQ, ref("name"), Literal(text))


@pytest.mark.parametrize("text", LONE_SURROGATES)
def test_half_a_character_is_refused_in_words_that_can_be_printed(text: str) -> None:
    for expression in around(text):
        with pytest.raises(FilterError) as caught:
            render(expression)
        str(caught.value).encode(errors="strict")
    with pytest.raises(FilterError):
        parse(f"name eq '{text}'")

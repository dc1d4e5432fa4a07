"""Text that differs only in case is the same text."""

from __future__ import annotations

import sys

import pytest

from holdfast.folding import fold

EVERY_CHARACTER = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Contoso", "CONTOSO"),
        ("Ørsted", "øRSTED"),
        ("Ångström", "A\u030angstro\u0308m"),
        ("Straße", "STRASSE"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
        ("İ", "i\u0307"),
        ("\N{KELVIN SIGN}", "k"),
        ("\N{LATIN SMALL LIGATURE FI}", "FI"),
    ],
)
def test_texts_that_differ_only_in_case_or_composition_fold_alike(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ø", "O"), ("é", "e"), ("\N{LATIN SMALL LETTER DOTLESS I}", "i"), ("a", "a ")],
)
def test_texts_that_differ_in_more_than_case_stay_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


def test_folding_twice_changes_nothing() -> None:
    assert [c for c in EVERY_CHARACTER if fold(fold(c)) != fold(c)] == []


def test_the_upper_and_lower_case_of_every_character_fold_as_it_does() -> None:
    # The dotless i is the one character whose upper case is another letter's.
    assert [c for c in EVERY_CHARACTER if fold(c.upper()) != fold(c)] == [
        "\N{LATIN SMALL LETTER DOTLESS I}"
    ]
    assert [c for c in EVERY_CHARACTER if fold(c.lower()) != fold(c)] == []

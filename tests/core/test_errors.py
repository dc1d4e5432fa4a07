"""What people are shown of a mistake in a filter."""

from __future__ import annotations

from holdfast.errors import FilterError


def test_a_mistake_in_one_line_is_pointed_at() -> None:
    error = FilterError("plain", "a eqq b", "found eqq", position=2)
    assert str(error) == (
        "the plain filter is not understood at character 3: found eqq\n  a eqq b\n    ^"
    )
    assert FilterError("plain", "x", "it is empty").args == (
        "the plain filter is not understood: it is empty",
    )


def test_of_many_lines_the_one_with_the_mistake_is_shown() -> None:
    source = "<filter>\r\n\t<conditon/>\r\n</filter>"
    error = FilterError("xml", source, "found conditon", position=source.index("<cond"))
    assert str(error) == (
        "the xml filter is not understood at line 2, column 2: found conditon\n   <conditon/>\n   ^"
    )
    assert error.source == source
    at_the_end = FilterError("xml", "a\n", "more is expected", position=2)
    assert "at line 2, column 1: more is expected\n  \n  ^" in str(at_the_end)


def test_of_a_long_line_the_part_with_the_mistake_is_shown() -> None:
    source = "x" * 1000 + "!" + "y" * 1000
    shown = str(FilterError("plain", source, "found !", position=1000)).splitlines()
    assert shown[1][shown[2].index("^")] == "!"
    assert len(shown[1]) < 200

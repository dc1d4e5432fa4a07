"""What ``import holdfast`` gives is what ``__all__`` says, sorted."""

from __future__ import annotations

import types

import holdfast


def test_the_public_names_are_those_of_all() -> None:
    found = {
        name
        for name, value in vars(holdfast).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert found == set(holdfast.__all__)


def test_they_are_sorted_and_there_and_each_once() -> None:
    assert list(holdfast.__all__) == sorted(set(holdfast.__all__))
    assert all(hasattr(holdfast, name) for name in holdfast.__all__)

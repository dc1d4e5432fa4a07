"""What ``import holdfast`` gives is what ``__all__`` says, sorted, and comes when it is used."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import holdfast


def test_the_public_names_are_those_of_all() -> None:
    assert dir(holdfast) == holdfast.__all__
    assert set(holdfast._PLACES) == set(holdfast.__all__)
    for name, module in holdfast._PLACES.items():
        home = importlib.import_module(f"holdfast.{module}")
        assert getattr(holdfast, name) is getattr(home, name)


def test_they_are_sorted_and_each_once() -> None:
    assert list(holdfast.__all__) == sorted(set(holdfast.__all__))


def test_another_name_is_missed_as_in_any_module() -> None:
    with pytest.raises(AttributeError, match="module 'holdfast' has no attribute 'nonsense'"):
        holdfast.nonsense  # noqa: B018


def test_one_module_does_not_bring_the_engine() -> None:
    code = (
        "import sys, holdfast.values; "
        "print(sorted({'pydantic', 'pluggy', 'holdfast.replica'} & set(sys.modules)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    assert run.stdout.strip() == "[]"

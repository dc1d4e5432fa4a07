"""A pytest plugin that plants a bug before the first test: ``-p support.planting``.

``HOLDFAST_PLANTED`` names the module of ``mutants``; without it nothing is planted.
"""

from __future__ import annotations

import importlib
import os
from contextlib import ExitStack

import pytest

VARIABLE = "HOLDFAST_PLANTED"


def pytest_configure(config: pytest.Config) -> None:
    """Break the product for the whole run."""
    name = os.environ.get(VARIABLE)
    if name:
        stack = ExitStack()
        stack.enter_context(importlib.import_module(f"mutants.{name}").planted())
        config.add_cleanup(stack.close)

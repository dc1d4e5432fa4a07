"""A driver is opened with a ``Context``; here is one of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.contracts import Context, OpenMode
from holdfast.testing import system_environment


@pytest.fixture
def contexts(tmp_path: Path) -> Callable[..., Context]:
    environment = system_environment()
    return lambda mode=OpenMode.OWNER: Context(environment, tmp_path, mode)

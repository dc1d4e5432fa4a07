"""m43: a link of an answer is followed wherever it leads, and the token goes with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from yarl import URL

from holdfast_dataverse._links import Origin


@contextmanager
def planted() -> Iterator[None]:
    """Break the transport inside the block."""

    def trust(self: Origin, link: str) -> URL:
        return URL(link, encoded=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Origin, "trust", trust)
        yield

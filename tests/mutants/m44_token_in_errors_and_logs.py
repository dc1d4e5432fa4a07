"""m44: an error says with which headers the request was sent, and so does the log."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from holdfast.errors import Unreachable
from holdfast_dataverse._answers import Answer
from holdfast_dataverse._session import Request, Session
from holdfast_dataverse._token import authorization


@contextmanager
def planted() -> Iterator[None]:
    """Break the transport inside the block."""
    right = Session._exchange

    async def exchange(self: Session, request: Request, token: str) -> Answer:
        headers = {**request.headers, **authorization(token)}
        logging.getLogger("holdfast_dataverse").debug("sending %s", headers)
        try:
            return await right(self, request, token)
        except Unreachable as error:
            raise type(error)(f"{error}; it was sent with {headers}") from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Session, "_exchange", exchange)
        yield

"""What Microsoft's client does against the emulator; one scenario for its two flavours.

``now`` and ``every`` make the synchronous and the asynchronous client look alike.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any, Final, Self

from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.aio.async_client import AsyncDataverseClient
from PowerPlatform.Dataverse.client import DataverseClient

NEVER: Final = 4_000_000_000
TOKEN: Final = "demo-token"


class Credential:
    """Hands out the demo token."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken(TOKEN, NEVER)


class AsyncCredential:
    """The same, for the asynchronous client."""

    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken(TOKEN, NEVER)

    async def close(self) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        pass


@contextlib.asynccontextmanager
async def sdk(url: str, *, asynchronous: bool) -> AsyncIterator[Any]:
    """Open a client of either flavour; the synchronous one blocks the loop, so serve elsewhere."""
    if asynchronous:
        async with AsyncDataverseClient(url, AsyncCredential()) as client:
            yield client
        return
    with DataverseClient("https://placeholder.invalid", Credential()) as client:
        client._base_url = url  # its constructor insists on https
        yield client


async def now(result: Any) -> Any:
    """Return the result of a call of either flavour."""
    return await result if inspect.isawaitable(result) else result


async def every(results: Any) -> list[Any]:
    """Return all that an iterator of either flavour yields."""
    results = await now(results)
    if hasattr(results, "__aiter__"):
        return [one async for one in results]
    return list(results)


@contextlib.asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    """Enter a context manager of either flavour."""
    if hasattr(manager, "__aenter__"):
        async with manager as value:
            yield value
        return
    with manager as value:
        yield value

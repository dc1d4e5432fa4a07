"""Transport ``dataverse``: the Dataverse Web API over aiohttp."""

from __future__ import annotations

from holdfast_dataverse._settings import Settings
from holdfast_dataverse._transport import DataverseTransport

__all__ = ["DataverseTransport", "Settings"]

"""Certificates that are made when a test asks for them; none is kept."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Authority:
    """Somebody who signs certificates."""

    made: trustme.CA

    def context(self, name: str = "127.0.0.1", *, days: int = 1) -> ssl.SSLContext:
        """Return the context of a server with a certificate for a name, good for so many days."""
        ends = datetime.now(UTC) + timedelta(days=days)
        leaf = self.made.issue_cert(name, not_before=ends - timedelta(days=9), not_after=ends)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context

    def write(self, folder: Path) -> Path:
        """Write the authority's own certificate, for those who trust it."""
        path = folder / "authority.pem"
        self.made.cert_pem.write_to_path(str(path))
        return path


@cache
def authority() -> Authority:
    """Return the authority of this process; nobody trusts it who is not told to."""
    return Authority(trustme.CA())

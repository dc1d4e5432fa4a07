"""Which URLs may be requested: those of the configured origin, byte for byte as they were given.

Invariant: a URL that ``Origin.trust`` returned is sent to the configured scheme, host and port, as
the HTTP client itself parses it; whatever is doubtful is refused.
"""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from holdfast.errors import UntrustedLink

API_PATH: Final = "/api/data/v9.2/"
_PLAIN: Final = re.compile(r"[\x21-\x5b\x5d-\x7e]+\Z")  # ASCII, no blanks, no backslash
_LONGEST: Final = 65_536


class Origin:
    """The one server that requests, and the token, may go to."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._parts = URL(url)

    def resource(self, path: str) -> URL:
        """Return the URL of a resource; ``path`` is already encoded."""
        return self.trust(f"{self.url}{API_PATH}{path}")

    def path(self, resource: str) -> str:
        """Return the path of a resource, as a part of a batch names it; already encoded."""
        return self.resource(resource).raw_path_qs

    def trust(self, link: str) -> URL:
        """Return the URL of a link in an answer.

        :raises UntrustedLink: it leads elsewhere
        """
        if not _PLAIN.match(link) or len(link) > _LONGEST:
            raise self._refusal()
        try:
            parsed = URL(link, encoded=True)
            trusted = self._is_here(parsed)
        except ValueError:
            raise self._refusal() from None
        if not trusted:
            raise self._refusal()
        return parsed

    def _is_here(self, url: URL) -> bool:
        return (
            url.scheme == self._parts.scheme
            and (url.raw_host or "").lower() == self._parts.raw_host
            and url.port == self._parts.port
            and "@" not in str(url).partition("/api/")[0]
            and url.raw_path.startswith("/api/data/")
            and not url.raw_fragment
        )

    def _refusal(self) -> UntrustedLink:
        # The link itself stays out: its query may hold data, its text may be made to mislead.
        return UntrustedLink(
            f"the server {self.url} answered with a link to another place; "
            "nothing was sent there, ask its administrator"
        )

"""What the ``[transport]`` section may say.

Invariant: a valid ``Settings`` names one origin, https or on this machine, and no secret of it is
ever in its text.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

#: Every name but ``token`` is a credential of azure-identity.
CredentialName = Literal[
    "token",
    "device-code",
    "environment",
    "default",
    "managed-identity",
    "workload-identity",
    "azure-cli",
    "azure-developer-cli",
    "azure-powershell",
    "interactive-browser",
]


_LABEL: Final = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_LONGEST_NAME: Final = 253


class Settings(BaseModel):
    """The server, the credential, and the limits."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    url: str
    credential: CredentialName = "environment"
    token: SecretStr | None = None
    token_env: str | None = None
    token_file: Path | None = None
    tenant_id: str | None = None
    client_id: str | None = None
    page_size: int = Field(default=5000, ge=1, le=5000)
    batch_size: int = Field(default=200, ge=1, le=1000)
    concurrency: int = Field(default=4, ge=1, le=52)
    timeout: float = Field(default=60, gt=0, le=3600)
    max_wait: float = Field(default=300, ge=0, le=3600)

    @field_validator("url")
    @classmethod
    def _one_origin(cls, url: str) -> str:
        """Accept ``https://host[:port]``; plain http only on this machine."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # whose text may show a password
            raise ValueError(
                "this is no URL; write it as https://your-org.crm.dynamics.com"
            ) from None
        if parts.username is not None or parts.password is not None:
            raise ValueError("leave user and password out of the URL; use credential")
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError("write it as https://your-org.crm.dynamics.com")
        if not is_host(parts.hostname) or port == 0:
            raise ValueError("the host is no name of a server; check it for slips of the pen")
        if parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError("leave out everything after the host; the API path is added")
        if parts.scheme == "http" and not is_loopback(parts.hostname):
            raise ValueError(
                "plain http would show the token to the network; use https "
                "(http is only for a server on this machine)"
            )
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        return f"{parts.scheme}://{host}" + (f":{port}" if port is not None else "")

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        given = [
            key for key in ("token", "token_env", "token_file") if getattr(self, key) is not None
        ]
        if self.credential == "token" and len(given) != 1:
            raise ValueError(
                "credential 'token' wants exactly one of token, token_env and token_file"
            )
        if self.credential != "token" and given:
            raise ValueError(f"{given[0]} is only for credential 'token', not {self.credential!r}")
        return self


def is_host(name: str) -> bool:
    """Tell whether a host can be one: an address, or labels of ASCII letters, digits and hyphens.

    What is written in other letters may look like another host; DNS has ``xn--`` for it.
    """
    if _NAME.fullmatch(name):
        return len(name) <= _LONGEST_NAME
    try:
        return bool(ipaddress.ip_address(name))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine, without asking a resolver."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

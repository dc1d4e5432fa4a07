"""Where bearer tokens come from.

Invariant: a token lives in memory only, and appears in no text of this module.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from holdfast.contracts import Context, Environment
from holdfast.errors import PluginError, SignInNeeded, Unreachable
from holdfast_dataverse._settings import Settings
from holdfast_dataverse._token import Token

_log = logging.getLogger(__name__)
#: A token is not used in the last minutes of its life: it must outlive the request.
_MARGIN: Final = timedelta(minutes=5)
#: Nor asked for all over again when the server gives out shorter lives than that.
_SHORTEST: Final = timedelta(seconds=30)

_AZURE_CLASSES: Final = {
    "device-code": "DeviceCodeCredential",
    "environment": "EnvironmentCredential",
    "default": "DefaultAzureCredential",
    "managed-identity": "ManagedIdentityCredential",
    "workload-identity": "WorkloadIdentityCredential",
    "azure-cli": "AzureCliCredential",
    "azure-developer-cli": "AzureDeveloperCliCredential",
    "azure-powershell": "AzurePowerShellCredential",
    "interactive-browser": "InteractiveBrowserCredential",
}
_TAKES_CLIENT: Final = frozenset(
    {"device-code", "managed-identity", "workload-identity", "interactive-browser"}
)
_TAKES_TENANT: Final = frozenset(
    {
        "device-code",
        "workload-identity",
        "azure-cli",
        "azure-developer-cli",
        "azure-powershell",
        "interactive-browser",
    }
)


class Credential(Protocol):
    """Gives tokens, and is told when the server refused one."""

    async def token(self) -> Token:
        """Return a token that is good for some minutes.

        :raises SignInNeeded: only the user can help
        """
        ...

    def forget(self, refused: str) -> None:
        """Give another token than this one next time, if there is another."""
        ...


def open_credential(settings: Settings, context: Context) -> Credential:
    """Return the credential that the settings name.

    :raises PluginError: it needs azure-identity, which is not installed
    """
    if settings.credential == "token":
        return GivenToken(_token_source(settings, context), context.environment)
    return AzureCredential(settings, context.environment)


class GivenToken:
    """A token that somebody else renews; it is read again after the server refused it."""

    def __init__(self, read: Callable[[], str], environment: Environment) -> None:
        self._read = read
        self._threads = environment.threads
        self._kept: Token | None = None

    async def token(self) -> Token:
        """Return the token, read once."""
        if self._kept is None:
            self._kept = _checked(Token(await self._threads.run(self._read)))
        return self._kept

    def forget(self, refused: str) -> None:
        """Read it again next time."""
        if self._kept == refused:
            self._kept = None


class AzureCredential:
    """A credential of azure-identity; its blocking class runs in a thread."""

    def __init__(self, settings: Settings, environment: Environment) -> None:
        self._environment = environment
        self._scope = f"{settings.url}/.default"
        self._credential = _azure_credential(settings)
        self._lock = asyncio.Lock()
        self._kept: Token | None = None
        self._good_until = datetime.min.replace(tzinfo=UTC)

    async def token(self) -> Token:
        """Return the token at hand, or a new one shortly before that one ends."""
        async with self._lock:
            now = self._environment.clock.now()
            if self._kept is None or now >= self._good_until:
                token, expires = await self._environment.threads.run(self._ask)
                ends = datetime.fromtimestamp(expires, UTC)
                self._good_until = max(ends - _MARGIN, now + _SHORTEST)
                self._kept = _checked(token)
            return self._kept

    def forget(self, refused: str) -> None:
        """Ask for another one next time; only one of several refused requests has to."""
        if self._kept == refused:
            self._kept = None

    def _ask(self) -> tuple[Token, int]:
        """Return a token, and when it ends in seconds since 1970."""
        from azure.core.exceptions import AzureError, ClientAuthenticationError

        try:
            access = self._credential.get_token(self._scope)
        except ClientAuthenticationError as error:
            raise SignInNeeded(
                f"no token could be obtained ({type(error).__name__}); sign in again"
            ) from error
        except AzureError as error:
            raise Unreachable(
                f"the sign-in service did not answer ({type(error).__name__})"
            ) from error
        return Token(access.token), int(access.expires_on)


def _azure_credential(settings: Settings) -> Any:  # Any: a class chosen by name
    name = settings.credential
    try:
        identity = importlib.import_module("azure.identity")
    except ImportError as error:
        raise PluginError(
            "dataverse",
            f"credential {name!r} needs azure-identity; run `pip install holdfast[azure]`",
        ) from error
    options: dict[str, Any] = {}
    if settings.tenant_id and name in _TAKES_TENANT:
        options["tenant_id"] = settings.tenant_id
    if settings.client_id and name in _TAKES_CLIENT:
        options["client_id"] = settings.client_id
    if name == "device-code":
        options["prompt_callback"] = _show_code
    try:
        return getattr(identity, _AZURE_CLASSES[name])(**options)
    except ValueError as error:
        raise PluginError("dataverse", f"credential {name!r} cannot be used: {error}") from error


def _show_code(address: str, code: str, _expires: datetime) -> None:
    """Tell the user where to type the code; it is worth nothing to anybody else."""
    _log.warning(
        "to sign in, open %s and enter the code %s",
        *("".join(filter(str.isprintable, text)) for text in (address, code)),
        extra={"event": "holdfast.dataverse.device_code"},
    )


def _token_source(settings: Settings, context: Context) -> Callable[[], str]:
    if settings.token is not None:
        return settings.token.get_secret_value
    if settings.token_env is not None:
        variable = settings.token_env
        return lambda: _from_variable(variable)
    assert settings.token_file is not None
    path = context.folder / settings.token_file

    def read() -> str:
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SignInNeeded(
                f"the token file {path} cannot be read ({type(error).__name__}); put a token there"
            ) from error

    return read


def _from_variable(variable: str) -> str:
    token = os.environ.get(variable)
    if token is None:
        raise SignInNeeded(f"the environment variable {variable} is not set; put a token there")
    return token


def _checked(token: Token) -> Token:
    """Return a token that fits into a header."""
    stripped = token.trimmed()
    if not stripped or not stripped.isascii() or not stripped.isprintable():
        raise SignInNeeded("the token is empty or garbled; put a valid one in its place")
    return stripped

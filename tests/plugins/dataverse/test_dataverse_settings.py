"""What the profile may say, and where tokens come from."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError
from pydantic import ValidationError

import holdfast_dataverse._credentials as credentials
from holdfast.contracts import Context
from holdfast.errors import PluginError, SignInNeeded, Unreachable
from holdfast_dataverse import DataverseTransport, Settings
from support.dataverse import NOW, StillClock, context, environment, settings_for

URL = "https://contoso.crm.dynamics.com"


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        (URL, URL),
        (f"{URL}/", URL),
        ("HTTPS://Contoso.CRM.dynamics.com", URL),
        ("https://contoso.example:8443", "https://contoso.example:8443"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("http://localhost:5000/", "http://localhost:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)
def test_a_url_is_one_origin(url: str, kept: str) -> None:
    assert Settings(url=url).url == kept


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://contoso.crm.dynamics.com", "plain http would show the token"),
        ("http://127.0.0.1.evil.com", "plain http"),
        ("http://localhost.evil.com", "plain http"),
        ("http://2130706433", "plain http"),
        ("ftp://contoso.crm.dynamics.com", "write it as https"),
        ("contoso.crm.dynamics.com", "write it as https"),
        ("https://", "write it as https"),
        (f"{URL}/api/data/v9.2", "after the host"),
        (f"{URL}?x=1", "after the host"),
        ("https://user:pass@contoso.crm.dynamics.com", "user and password"),
        ("https://contoso:99999", "no URL"),
        ("https://[::1", "no URL"),
    ],
)
def test_any_other_url_is_refused_in_words(url: str, words: str) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        Settings(url=url)
    assert "pass@" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"credential": "token"},
        {"credential": "token", "token": "a", "token_env": "b"},
        {"credential": "environment", "token": "a"},
        {"credential": "password"},
        {"page_size": 5001},
        {"batch_size": 0},
        {"timeout": 0},
        {"tokn": "x"},
    ],
)
def test_what_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Settings.model_validate({"url": URL, **options})


def test_the_token_is_in_no_text() -> None:
    settings = settings_for(URL, token="s3cret-token")
    for text in (repr(settings), str(settings), settings.model_dump_json()):
        assert "s3cret" not in text
    with pytest.raises(ValidationError) as caught:
        settings_for(URL, token="s3cret-token", page_size=0)
    assert "s3cret" not in str(caught.value)


async def token_from(context: Context, **options: Any) -> str:
    settings = Settings.model_validate({"url": URL, "credential": "token", **options})
    return await credentials.open_credential(settings, context).token()


async def test_a_token_may_be_in_a_variable_or_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOLDFAST_TEST_TOKEN", " from-variable\n")
    (tmp_path / "token.txt").write_text("from-file\n")
    where = Context(environment(), tmp_path)
    assert await token_from(where, token_env="HOLDFAST_TEST_TOKEN") == "from-variable"
    assert await token_from(where, token_file="token.txt") == "from-file"


async def test_a_token_file_is_read_again_after_a_refusal(tmp_path: Path) -> None:
    path = tmp_path / "token.txt"
    path.write_text("old")
    settings = Settings(url=URL, credential="token", token_file=path)
    credential = credentials.open_credential(settings, context())
    assert await credential.token() == "old"
    path.write_text("new")
    assert await credential.token() == "old"
    credential.forget("another")
    assert await credential.token() == "old"
    credential.forget("old")
    assert await credential.token() == "new"


@pytest.mark.parametrize("content", [b"", b"  \n", b"a\nb", "tøken".encode(), b"\xff"])
async def test_a_garbled_token_wants_a_person(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token.txt").write_bytes(content)
    with pytest.raises(SignInNeeded):
        await token_from(Context(environment(), tmp_path), token_file="token.txt")


async def test_a_missing_token_wants_a_person(tmp_path: Path) -> None:
    where = Context(environment(), tmp_path)
    with pytest.raises(SignInNeeded, match="put a token there"):
        await token_from(where, token_file="none.txt")
    with pytest.raises(SignInNeeded, match="HOLDFAST_NO_SUCH_VARIABLE is not set"):
        await token_from(where, token_env="HOLDFAST_NO_SUCH_VARIABLE")


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    settings = Settings(url=URL, credential="device-code")
    with pytest.raises(PluginError, match=r"pip install holdfast\[azure\]"):
        async with DataverseTransport.open(settings, context()):
            pass


@dataclass
class Access:
    token: str
    expires_on: int


class FakeIdentity:
    """Stands where azure-identity would ask a person."""

    def __init__(self, life: int = 3600) -> None:
        self.clock = StillClock()
        self.life = life
        self.asked: list[str] = []
        self.failure: Exception | None = None

    def get_token(self, scope: str) -> Access:
        if self.failure:
            raise self.failure
        self.asked.append(scope)
        return Access(f"token-{len(self.asked)}", int(self.clock.now().timestamp()) + self.life)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> FakeIdentity:
    fake = FakeIdentity()
    monkeypatch.setattr(credentials, "_azure_credential", lambda _: fake)
    return fake


def azure(identity: FakeIdentity) -> credentials.AzureCredential:
    seams = environment()
    assert isinstance(seams.clock, StillClock)
    identity.clock = seams.clock
    return credentials.AzureCredential(Settings(url=URL), seams)


async def test_a_token_is_kept_until_shortly_before_it_ends(identity: FakeIdentity) -> None:
    credential = azure(identity)
    assert [await credential.token() for _ in range(3)] == ["token-1"] * 3
    identity.clock.time = NOW + timedelta(minutes=54)
    assert await credential.token() == "token-1"
    identity.clock.time = NOW + timedelta(minutes=56)
    assert await credential.token() == "token-2"
    assert identity.asked == [f"{URL}/.default"] * 2


async def test_a_refused_token_is_asked_for_anew_once(identity: FakeIdentity) -> None:
    credential = azure(identity)
    first = await credential.token()
    credential.forget(first)
    credential.forget(first)
    assert await credential.token() == "token-2"
    credential.forget(first)
    assert await credential.token() == "token-2"


async def test_failures_to_sign_in_are_told_apart(identity: FakeIdentity) -> None:
    credential = azure(identity)
    identity.failure = ClientAuthenticationError("no")
    with pytest.raises(SignInNeeded):
        await credential.token()
    identity.failure = ServiceRequestError("no network")
    with pytest.raises(Unreachable):
        await credential.token()


@pytest.mark.parametrize("name", sorted(credentials._AZURE_CLASSES))
async def test_every_credential_name_is_one_of_azure_identity(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere")
    identifier = "00000000-0000-0000-0000-000000000001"
    settings = Settings.model_validate(
        {"url": URL, "credential": name, "tenant_id": identifier, "client_id": identifier}
    )
    opened = credentials.open_credential(settings, context())
    assert isinstance(opened, credentials.AzureCredential)

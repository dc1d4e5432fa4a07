"""S-61, S-62: what an error is made of, how it travels, and how our logs write foreign text."""

from __future__ import annotations

import copy
import inspect
import logging
import pickle
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import holdfast
from holdfast import errors, profile
from holdfast._plain import plain
from holdfast.errors import HoldfastError, Problem, TransportError, Unreachable
from holdfast.model import Applied, Conflicted, Merge, Op, OpKind, Page, Row
from support.naughty import LONE_SURROGATES, texts
from support.world import ACCOUNT, World

ERRORS = sorted(
    (
        error
        for error in vars(errors).values()
        if inspect.isclass(error) and issubclass(error, HoldfastError) and error.__name__[0] != "_"
    ),
    key=lambda error: error.__name__,
)
#: What an error may be made with: names, ids, numbers, places and words, but no row and no cell.
CARRIED: dict[str, Any] = {
    "asked": "user 2",
    "belongs": "user 1",
    "code": "0x1",
    "finding": "a page",
    "found": 9,
    "issue_id": "i1",
    "known": 1,
    "language": "odata",
    "listed": True,
    "location": "field.db",
    "message": "it went wrong; try again",
    "pid": 7,
    "plugin": "sqlite",
    "position": 3,
    "problems": [Problem("name", "is required")],
    "reason": "there is none",
    "retry_after": 5.0,
    "row_id": "r1",
    "source": "name eq",
    "subject": "it",
    "table": "account",
}


def made(kind: type[HoldfastError]) -> HoldfastError:
    """Make an error with all that its class takes."""
    parameters = inspect.signature(kind.__init__).parameters
    names = [name for name in parameters if name not in ("self", "args", "kwargs")]
    given = {
        name: ["account"] if name == "known" and kind is errors.UnknownTable else CARRIED[name]
        for name in names
    }
    by_position = any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters.values())
    return kind("it went wrong; try again") if by_position and not names else kind(**given)


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_made_of_names_ids_and_numbers(kind: type[HoldfastError]) -> None:
    error = made(kind)
    assert set(vars(error)) <= set(CARRIED)
    assert str(error)
    assert not str(error).endswith(".")
    assert repr(error).startswith(f"{kind.__name__}(")


@pytest.mark.parametrize("kind", [kind for kind in ERRORS if "__init__" in vars(kind)])
def test_an_error_that_writes_its_own_words_says_what_to_do(kind: type[HoldfastError]) -> None:
    if kind in (TransportError, errors.PluginError, Unreachable):
        return  # the words are those of whoever raises it
    assert re.search(r"[;,:] ", str(made(kind)))


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_can_be_copied_and_sent_to_another_process(kind: type[HoldfastError]) -> None:
    error = made(kind)
    copies = [copy.copy(error), copy.deepcopy(error)]
    copies += [pickle.loads(pickle.dumps(error, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for one in copies:
        assert type(one) is kind
        assert (str(one), vars(one)) == (str(error), vars(error))


def test_what_a_row_holds_is_in_no_repr() -> None:
    """Whoever logs an op, a page or an outcome logs ids."""
    cells = ("r1", "canary")
    row = Row(ACCOUNT, {"accountid": "r1", "name": "canary"})
    for thing in (
        row,
        Op("o1", 1, OpKind.UPDATE, "account", "r1", {"name": "canary"}),
        Page([cells], ["r2"], "checkpoint", last=True),
        Applied("o1", cells),
        Conflicted("o1", cells),
        Merge({"name": "canary"}),
        holdfast.Rescued([{"changes": {"name": "canary"}}], complete=True, damage=()),
    ):
        assert "canary" not in repr(thing)
        assert "canary" not in str([thing])


def test_what_a_driver_or_policy_is_set_to_is_in_no_repr() -> None:
    """Only they know which of it is a secret."""
    data: dict[str, Any] = {
        "storage": {"driver": "memory", "key": "canary"},
        "transport": {"driver": "memory", "token": "canary"},
        "filters": {"odata": {"x": "canary"}},
        "resolvers": {"asks-a-service": {"key": "canary"}},
        "profile": {
            "tables": [
                {"name": "account", "resolver": "asks-a-service"},
                {"name": "contact", "resolver": {"name": "asks-a-service", "key": "canary"}},
            ]
        },
    }
    found = profile.parse("the profile", data)
    for thing in (found, found.storage, found.profile, *found.policies):
        assert "canary" not in repr(thing) + str(thing)
    assert found.policy("contact").options == {"key": "canary"}


# --- logs -----------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.text())
def test_foreign_text_in_a_log_is_one_line_of_what_can_be_seen(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


def test_naughty_text_in_a_log_is_one_line_too() -> None:
    for text in (*texts(), *LONE_SURROGATES):
        assert plain(text).isprintable()
        assert len(plain(text).splitlines()) <= 1
    assert plain("a\r\n2026-01-01 ERROR faked\x1b[2J\u202e") == (
        "a\\r\\n2026-01-01 ERROR faked\\x1b[2J\\u202e"
    )


@pytest.mark.parametrize("place", ["identity", "pull"])
async def test_a_servers_words_cannot_fake_a_line_of_the_log(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A transport of somebody else may pass on whatever the server said."""
    world = World()
    caplog.set_level(logging.DEBUG)
    faked = "no\n2026-01-01 00:00:00 ERROR faked\x1b[2J\u202e"
    async with world.replica() as replica:
        await replica.download()

        def broken(*_: object) -> Any:
            raise Unreachable(faked)

        monkeypatch.setattr(replica._engine.transport._inner, place, broken)  # type: ignore[attr-defined]
        await replica.sync()
    said = [record.getMessage() for record in caplog.records if record.name.startswith("holdfast")]
    assert any("ERROR faked" in line for line in said)
    assert all(line.isprintable() for line in said)

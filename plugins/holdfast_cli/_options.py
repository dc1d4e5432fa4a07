"""The options that many verbs share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

PROFILE_VARIABLE: Final = "HOLDFAST_PROFILE"
DEFAULT_PROFILE: Final = Path("holdfast.toml")

ProfileOption = Annotated[
    Path,
    Parameter(
        name="--profile",
        env_var=PROFILE_VARIABLE,
        help="The profile: which server, which file, which tables.",
    ),
]
JsonOption = Annotated[
    bool,
    Parameter(
        name="--json",
        negative="",
        show_default=False,
        help="Print one JSON document on stdout; everything else goes to stderr.",
    ),
]


def profile_last(tokens: Sequence[str]) -> list[str]:
    """Move a ``--profile`` that stands before the verb behind it, where the verb reads it."""
    if tokens and tokens[0].startswith("--profile="):
        return _appended(tokens[1:], tokens[:1])
    if len(tokens) > 1 and tokens[0] == "--profile":
        return _appended(tokens[2:], tokens[:2])
    return list(tokens)


def _appended(rest: Sequence[str], option: Sequence[str]) -> list[str]:
    end = rest.index("--") if "--" in rest else len(rest)  # all behind it is no option
    return [*rest[:end], *option, *rest[end:]]


def named_profile(tokens: Sequence[str], environment: str | None) -> Path:
    """Return the profile that the words name, before a verb has read them."""
    for index, token in enumerate(tokens):
        if token.startswith("--profile="):
            return Path(token.partition("=")[2])
        if token == "--profile" and index + 1 < len(tokens):  # noqa: S105  an option, no secret
            return Path(tokens[index + 1])
    return Path(environment) if environment else DEFAULT_PROFILE

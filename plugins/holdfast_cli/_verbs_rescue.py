"""The verb ``rescue``: what was not sent, out of a replica that is damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

import holdfast
from holdfast import profile as profiles
from holdfast.errors import Problem, ProfileError
from holdfast_cli import _json
from holdfast_cli._errors import ExitCode
from holdfast_cli._options import DEFAULT_PROFILE, ProfileOption
from holdfast_cli._plain import one_line, say
from holdfast_cli._render import counted


async def rescue(
    file: Path | None = None,
    /,
    *,
    storage: Annotated[str, Parameter(show_default=True)] = "sqlite",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> int:
    """Print the changes that were not sent as JSON, out of a file that may be damaged.

    Nothing is written to the file. Exits with 3 where it is damaged.

    :param file: the replica's file; the profile's storage where none is named
    :param storage: the kind of storage that wrote the file
    """
    if file is not None:
        section, folder = {"driver": storage, "path": str(file)}, Path()
    else:
        section, folder = _section(profile), profile.resolve().parent
    found = await holdfast.rescue(section, folder=folder)
    _json.emit({"ops": found.ops, "complete": found.complete, "damage": found.damage})
    say(f"{counted(len(found.ops), 'change')} that had not been sent")
    if not found.complete:
        say("some changes could not be read; a backup may have them")
    for line in found.damage[:5]:
        say(f"damage: {one_line(line)}")
    return ExitCode.OPEN if found.damage or not found.complete else ExitCode.DONE


def _section(path: Path) -> dict[str, Any]:  # Any: TOML
    """Return ``[storage]``; the rest of the profile may be as wrong as it is.

    :raises ProfileError: there is none
    """
    section = profiles.read(path).get("storage")
    if not isinstance(section, dict):
        raise ProfileError(str(path), [Problem("storage", "is missing; or name the file")])
    return section

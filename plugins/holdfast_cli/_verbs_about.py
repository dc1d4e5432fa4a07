"""The verbs about the installation and the replica: ``init``, ``status``, ``plugins``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.text import Text

from holdfast import discovery as registry
from holdfast import profile as profiles
from holdfast.errors import ProfileError
from holdfast_cli import _json
from holdfast_cli._init import write
from holdfast_cli._open import reading
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._plain import say
from holdfast_cli._render import cell, grid, show
from holdfast_cli._status import advice, header, show_tables


def init(
    *,
    url: str = "https://your-org.crm.dynamics.com",
    path: str = "field.db",
    profile: ProfileOption = DEFAULT_PROFILE,
) -> None:
    """Write a profile with comments to start from; an existing file is left alone.

    :param url: the server
    :param path: the file in which the rows are kept, beside the profile
    """
    write(profile, url=url, path=path)
    show(
        f"{profile} is written; say in it which server and which tables, "
        "then run `holdfast download`"
    )


async def status(*, profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = False) -> None:
    """Show what is kept here, what waits to be sent, and what to do next."""
    async with reading(profile) as replica:
        found = await replica.status()
    if json:
        _json.emit(_json.status(found, advice(found)))
        return
    show(header(found))
    show_tables(found)
    show(f"\n{advice(found)}")


def plugins(*, profile: ProfileOption = DEFAULT_PROFILE, json: JsonOption = False) -> None:
    """List what is installed, what of it the profile uses, and what failed to load."""
    found = registry.Catalogue().installed(_in_use(profile))
    if json:
        _json.emit({"plugins": [_json.plugin(each) for each in found]})
        return
    table = grid(["Kind", "Name", "Distribution", "Version", "In use", "Problem"])
    for each in found:
        table.add_row(
            cell(each.group.rpartition(".")[2].removesuffix("s")),
            cell(each.name),
            cell(each.distribution),
            cell(each.version),
            Text("yes" if each.in_use else "no"),
            cell(each.error or ""),
        )
    show(table)


def _in_use(path: Path) -> Mapping[str, Sequence[str]]:
    """Return the names that the profile uses, by group; none where it cannot be read."""
    try:
        profile = profiles.parse(str(path), profiles.read(path))
    except ProfileError as error:
        say(f"nothing is marked as in use: {error}")
        return {}
    return {
        registry.STORAGES: [profile.storage.driver],
        registry.TRANSPORTS: [profile.transport.driver],
        registry.FILTERS: profile.languages,
        registry.RESOLVERS: [policy.name for policy in profile.policies],
        registry.PLUGINS: profile.plugins,
    }

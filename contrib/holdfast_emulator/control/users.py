"""Users as a tester sets them up over HTTP: tokens, units, teams, depths, hidden columns.

Invariant: what is not mentioned stays as it is; what is mentioned and unknown is refused before
anything is changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import msgspec

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.people import NewUser
from holdfast_emulator.behaviour.security import ANY_TABLE, Depth, Privilege, User


@dataclass(frozen=True, slots=True)
class UserSettings:
    """What can be set of a user.

    ``depths`` has a depth for each table, ``"*"`` for all others, or depths by privilege;
    ``hidden`` the columns that the user does not see, by table; ``lifetime`` the seconds that the
    token lives; ``business_unit`` and ``teams`` are ids.
    """

    token: str | None = None
    lifetime: float | None = None
    business_unit: str | None = None
    teams: tuple[str, ...] = ()
    depths: dict[str, Depth | dict[Privilege, Depth]] = field(default_factory=dict)
    hidden: dict[str, tuple[str, ...]] = field(default_factory=dict)


def read_settings(content: bytes) -> UserSettings:
    """Return the settings that a JSON object describes.

    :raises ValueError: it describes none
    """
    try:
        given = msgspec.json.decode(content or b"{}", type=dict[str, Any])
        unknown = given.keys() - UserSettings.__slots__
        if unknown:
            raise ValueError(f"a user has no {', '.join(sorted(unknown))}")
        return msgspec.convert(given, UserSettings)
    except (msgspec.DecodeError, RecursionError, OverflowError) as error:
        raise ValueError(str(error)) from error


def put_user(dataverse: Dataverse, name: str, settings: UserSettings) -> User:
    """Add a user with this name, or change the one that there is.

    :raises ValueError: the settings name what is not there
    :raises DataverseFault: a row that they name is not there
    """
    _check(dataverse, settings)
    lifetime = None if settings.lifetime is None else timedelta(seconds=settings.lifetime)
    user = dataverse.people.add_user(
        NewUser(
            name,
            settings.token,
            teams=settings.teams,
            business_unit=settings.business_unit,
            lifetime=lifetime,
        )
    )
    security = dataverse.security
    for table, depth in settings.depths.items():
        if isinstance(depth, Depth):
            security.limit(user, table, depth)
        else:
            for privilege, own in depth.items():
                security.limit(user, table, own, [privilege])
    for table, columns in settings.hidden.items():
        for column in columns:
            dataverse.secure(table, column, hidden_from=user)
    return user


def remove_tokens(dataverse: Dataverse, name: str) -> bool:
    """Let no token sign the user in any more; tell whether one did."""
    tokens = dataverse.security.tokens
    gone = [
        token
        for token, (user_id, _) in tokens.state().items()
        if (user := dataverse.security.directory.user(user_id)) and user.name == name
    ]
    for token in gone:
        tokens.expel(token)
    return bool(gone)


def listed(dataverse: Dataverse) -> list[dict[str, object]]:
    """Return the users that a token signs in, with their tokens."""
    found: dict[str, list[str]] = {}
    for token, (user_id, _) in dataverse.security.tokens.state().items():
        found.setdefault(user_id, []).append(token)
    return [
        {"id": user.id, "name": user.name, "tokens": found.get(user.id, [])}
        for user in dataverse.security.users()
    ]


def _check(dataverse: Dataverse, settings: UserSettings) -> None:
    metadata = dataverse.metadata
    for name in (*settings.depths, *settings.hidden):
        if name != ANY_TABLE and metadata.table(name) is None:
            raise ValueError(f"there is no table {name!r}")
    for name, columns in settings.hidden.items():
        table = metadata.table(name)
        unknown = [column for column in columns if not table or table.column(column) is None]
        if unknown:
            raise ValueError(f"{name} has no column {', '.join(unknown)}")
    if settings.business_unit and not dataverse.find("businessunit", settings.business_unit):
        raise ValueError(f"there is no business unit {settings.business_unit!r}")
    for team in settings.teams:
        if dataverse.find("team", team) is None:
            raise ValueError(f"there is no team {team!r}")
    if settings.token is not None and settings.token.split() != [settings.token]:
        raise ValueError("token is one word")
    if settings.lifetime is not None and not 0 < settings.lifetime < 1e9:
        raise ValueError("lifetime is above 0 seconds")

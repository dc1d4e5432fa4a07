"""The table of personal settings: whose clock, whose language.

Invariant: a row has the id of its user; a user without one has the settings of a new organisation.
"""

from __future__ import annotations

from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import Ownership, TableDefinition


def user_settings_table() -> TableDefinition:
    """Return the table ``usersettings``."""
    own = [
        c.primary_id("SystemUserId", "User"),
        c.integer("TimeZoneCode", 0, 1500),
        c.integer("UILanguageId", 0, label="User Interface Language"),
        c.integer("LocaleId", 0),
        c.integer("PagingLimit", 1, 250),
        *c.stamps(),
    ]
    return TableDefinition(
        *("usersettings", "UserSettings", "usersettingscollection", 150),
        *("systemuserid", None, tuple(own)),
        label="User Settings",
        collection_label="User Settings",
        ownership=Ownership.BUSINESS,
        change_tracking=False,
        optimistic_concurrency=False,
        available_offline=False,
    )

"""What may be called how: the rules that new definitions are held to.

Invariant: a rule looks at names and values only; what depends on other definitions is checked where
these are changed.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast_emulator.behaviour.faults import DataverseFault

INVALID_ARGUMENT: Final = "0x80040203"
DUPLICATE_NAME: Final = "0x80047010"
DUPLICATE_ATTRIBUTE: Final = "0x80047013"
DUPLICATE_KEY_NAME: Final = "0x80060893"
PRIMARY_NAME_DELETE: Final = "0x80047002"
BASE_MONEY_DELETE: Final = "0x80048cfe"
IN_USE: Final = "0x8004f01f"
NOT_CUSTOMIZABLE: Final = "0x8004f032"
OPTION_SET_IN_USE: Final = "0x80048417"

MOST_COLUMNS: Final = 1000  # what one SQL table holds is 1,024, and some are hidden
_LONGEST_TABLE: Final = 64
_LONGEST_COLUMN: Final = 50
_LONGEST_NAME: Final = 100
_PREFIXED: Final = re.compile(r"(?!mscrm)[a-z][a-z0-9]{1,7}_[a-z0-9_]+\Z", re.IGNORECASE | re.ASCII)
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*_[a-z0-9_]+\Z", re.IGNORECASE | re.ASCII)
_SIBILANT: Final = ("s", "x", "z", "ch", "sh")


def refused(message: str, code: str = INVALID_ARGUMENT) -> DataverseFault:
    """Refuse a definition."""
    return DataverseFault(400, code, message)


def check_table_name(name: str) -> None:
    """Refuse a schema name that a new table cannot have.

    :raises DataverseFault: 400
    """
    _check(name, _PREFIXED, _LONGEST_TABLE, "table")


def check_column_name(name: str) -> None:
    """Refuse a schema name that a new column or key cannot have.

    :raises DataverseFault: 400
    """
    _check(name, _PREFIXED, _LONGEST_COLUMN, "column")


def check_relationship_name(name: str) -> None:
    """Refuse a schema name that a new relationship or option set cannot have.

    :raises DataverseFault: 400
    """
    _check(name, _NAME, _LONGEST_NAME, "relationship or option set")


def _check(name: str, pattern: re.Pattern[str], longest: int, what: str) -> None:
    if len(name) > longest:
        raise refused(f"The name '{name[:200]}' of a {what} is longer than {longest} characters.")
    if not pattern.match(name):
        raise refused(
            f"The schema name '{name}' of a {what} is not valid: it must start with a valid "
            "customization prefix and an underscore, and have letters, digits and underscores only."
        )


def plural(name: str) -> str:
    """Return the name of many, as it is made when a table comes without one."""
    lower = name.lower()
    if lower.endswith("y") and lower[-2:-1] not in tuple("aeiou"):
        return f"{name[:-1]}ies"
    return f"{name}es" if lower.endswith(_SIBILANT) else f"{name}s"

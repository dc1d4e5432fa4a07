"""Global option sets: choices that several columns share.

Invariant: the columns that use a set hold the same options as the set; a change of the set is a
change of all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from holdfast.schema import Option

#: Texts beside those in the base language: what it is (``DisplayName``, ``option:5`` …), the
#: language, the text. ``Color:5`` is there, too, in language 0.
Translations: TypeAlias = tuple[tuple[str, int, str], ...]


@dataclass(frozen=True, slots=True)
class OptionSetDefinition:
    """A global option set."""

    name: str
    label: str
    options: tuple[Option, ...]
    description: str = ""
    is_boolean: bool = False
    is_custom: bool = True
    translations: Translations = ()

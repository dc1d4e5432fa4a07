"""The body of a change of metadata: JSON properties, typed, each read at most once.

Invariant: a property that nobody read is either one that only the platform writes, which is passed
over as the platform does, one that has no effect here, which is kept, or refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from holdfast_emulator.behaviour.faults import DataverseFault, bad_payload
from holdfast_emulator.behaviour.option_sets import Translations
from holdfast_emulator.behaviour.schema_rules import refused
from holdfast_emulator.wire.calls import encode
from holdfast_emulator.wire.metadata_json import LANGUAGE

_Member = TypeVar("_Member", bound=Enum)
_LONGEST_LABEL: Final = 4000
_MOST_LABELS: Final = 100


@dataclass(slots=True)
class Body:
    """A JSON object; ``where`` says in refusals what it is."""

    values: Mapping[str, Any]  # Any: what a client wrote
    where: str
    read: set[str] = field(default_factory=lambda: {"@odata.type", "@odata.context"})

    def has(self, name: str) -> bool:
        """Tell whether a property is there and not null."""
        return self.values.get(name) is not None

    def take(self, name: str) -> Any:  # Any: what a client wrote
        """Return a property, or None."""
        self.read.add(name)
        return self.values.get(name)

    def text(self, name: str, default: str = "") -> str:
        """Return a text."""
        return self._typed(name, str, default)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a yes or no; a managed property has it in ``Value``."""
        value = self.take(name)
        if isinstance(value, dict):
            value = value.get("Value")
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.error(f"The property '{name}' must be a Boolean.")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number between two bounds."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, Decimal) and abs(value) < 2**63 and value == value.to_integral_value():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.error(f"The property '{name}' must be a whole number.")
        if not low <= value <= high:
            raise refused(f"{name} must be between {low} and {high}; {self.where} has {value}.")
        return value

    def number(self, name: str, default: Decimal, low: Decimal, high: Decimal) -> Decimal:
        """Return a number between two bounds."""
        value = self.take(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise self.error(f"The property '{name}' must be a number.")
        exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if not exact.is_finite() or not low <= exact <= high:
            raise refused(f"{name} must be between {low} and {high}.")
        return exact

    def member(self, name: str, kind: type[_Member], default: _Member) -> _Member:
        """Return a member of an enumeration by its value, which may be in ``Value``."""
        value = self.take(name)
        if isinstance(value, dict):
            value = value.get("Value")
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            raise self.error(f"'{str(value)[:100]}' is no valid {name}.") from None

    def inner(self, name: str) -> Body | None:
        """Return an object inside this one, or None."""
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise self.error(f"The property '{name}' must be an object.")
        return Body(value, f"{self.where}/{name}"[:200])

    def inners(self, name: str) -> list[Body]:
        """Return the objects in a list inside this one."""
        value = self.take(name)
        if value is None:
            return []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.error(f"The property '{name}' must be a list of objects.")
        return [Body(one, f"{self.where}/{name}"[:200]) for one in value]

    def names(self, name: str) -> tuple[str, ...]:
        """Return a list of texts."""
        value = self.take(name)
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.error(f"The property '{name}' must be a list of texts.")
        return tuple(value)

    def label(self, name: str, part: str) -> tuple[str, Translations] | None:
        """Return the text in the base language and the translations; None without a label."""
        inner = self.inner(name)
        if inner is None:
            return None
        texts: dict[int, str] = {}
        for one in inner.inners("LocalizedLabels")[:_MOST_LABELS]:
            text = one.text("Label")
            if len(text) > _LONGEST_LABEL:
                raise refused(f"A label is longer than {_LONGEST_LABEL} characters.")
            texts[one.whole("LanguageCode", LANGUAGE, 1, 65_535)] = text
        if not texts:
            user = inner.inner("UserLocalizedLabel")
            texts = {LANGUAGE: user.text("Label")} if user else {}
        others = tuple((part, code, text) for code, text in texts.items() if code != LANGUAGE)
        return texts.get(LANGUAGE, ""), others

    def extras(
        self,
        before: Iterable[tuple[str, str]],
        kept: Mapping[str, Any],
        platform: Iterable[str],
    ) -> tuple[tuple[str, str], ...]:
        """Return what has no effect here, as JSON; refuse what is no property at all.

        :param before: what was kept until now
        :param kept: the properties that a client may set without an effect, with their defaults
        :param platform: those that only the platform writes
        """
        passed = frozenset(platform)
        found = {name: value for name, value in before if name not in self.values}
        for name, value in self.values.items():
            if name in self.read or name in passed or "@" in name:
                continue
            if name not in kept:
                raise self.error(
                    f"The property '{name[:100]}' does not exist on this type. Make sure to only "
                    "use property names that are defined by the type."
                )
            if value is not None and value != kept[name]:
                found[name] = encode(self._settled(name, value, kept[name])).decode()
        return tuple(sorted(found.items()))

    def error(self, reason: str) -> DataverseFault:
        """Return the refusal of a payload."""
        return bad_payload(self.where, reason)

    def _settled(self, name: str, value: Any, default: Any) -> Any:  # Any: JSON
        """Return the value in the shape of the default; a managed property is completed."""
        if isinstance(default, dict) and "ManagedPropertyLogicalName" in default:
            if not isinstance(value, dict) or not isinstance(value.get("Value"), bool):
                raise self.error(f"The property '{name}' must be a managed property.")
            return {**default, "Value": value["Value"]}
        if default is not None and type(value) is not type(default):
            raise self.error(f"The property '{name}' has a value of another type.")
        return value

    def _typed(self, name: str, kind: type[str], default: str) -> str:
        value = self.take(name)
        if value is None:
            return default
        if not isinstance(value, kind):
            raise self.error(f"The property '{name}' must be a text.")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise self.error("Invalid Unicode escape sequence.") from None
        return value


def merged(
    before: Translations, after: Translations, parts: Iterable[str], *, merge: bool
) -> Translations:
    """Return the translations after a change of some parts; merging keeps the other languages."""
    changed = frozenset(parts)
    given = {(part, language) for part, language, _ in after}
    kept = (
        one for one in before if one[0] not in changed or (merge and (one[0], one[1]) not in given)
    )
    return (*kept, *after)

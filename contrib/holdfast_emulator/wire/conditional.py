"""The conditional headers: what has to be so before a request is carried out.

Invariant: the word ``null`` is no condition, for clients send it with everything; a condition that
makes no sense where it stands is refused, never passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from holdfast_emulator.behaviour.dataverse import IfMatch
from holdfast_emulator.behaviour.faults import duplicate_key, version_mismatch
from holdfast_emulator.behaviour.row import Row
from holdfast_emulator.wire.calls import bad_query


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers of a write.

    :param if_none_match: ``"*"`` means that there must be no row, a version that it must be another
    """

    if_match: IfMatch
    if_none_match: int | Literal["*"] | None

    @property
    def only_create(self) -> bool:
        """Whether it is wanted only where there is no row."""
        return self.if_none_match == "*"


def conditions(headers: Mapping[str, str]) -> Conditions:
    """Read the conditional headers.

    :raises DataverseFault: one of them is no etag
    """
    return Conditions(_condition(headers, "if-match"), _condition(headers, "if-none-match"))


def check_absence(wanted: Conditions, row: Row | None) -> None:
    """Refuse a write that is wanted only without this row, or with another version of it.

    :raises DataverseFault: 412
    """
    if row is None or wanted.if_none_match is None:
        return
    if wanted.only_create:
        raise duplicate_key()
    if wanted.if_none_match == row.version:
        raise version_mismatch()


def check_create(headers: Mapping[str, str]) -> None:
    """Refuse a create on a condition: there is no row yet that it could be about.

    :raises DataverseFault: 400
    """
    wanted = conditions(headers)
    if wanted.if_match is not None or isinstance(wanted.if_none_match, int):
        raise bad_query("A create request cannot have a condition on the version of a record.")


def check_read(headers: Mapping[str, str], row: Row) -> None:
    """Refuse to show a row of another version than the caller wants.

    :raises DataverseFault: 412
    """
    if_match = _condition(headers, "if-match")
    if isinstance(if_match, int) and if_match != row.version:
        raise version_mismatch()


def detects_duplicates(headers: Mapping[str, str]) -> bool:
    """Tell whether the caller asks for duplicate detection, which is suppressed otherwise."""
    return headers.get("mscrm.suppressduplicatedetection", "").strip().lower() == "false"


def _condition(headers: Mapping[str, str], name: str) -> IfMatch:
    text = headers.get(name, "").strip()
    if text in ("", "null"):
        return None
    return "*" if text == "*" else _version(text)


def _version(etag: str) -> int:
    digits = etag.removeprefix("W/").strip('"')
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise bad_query(f"The etag {etag[:50]!r} is not valid.")
    return int(digits)

"""The server's description of a table as it stands in JSON.

Invariant: every value has its type, and no number exceeds what a column can hold; what else the
server says is skipped, and takes no memory.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Generic, TypeAlias, TypeVar

import msgspec

from holdfast.errors import ProtocolError
from holdfast_dataverse._answers import Answer, require
from holdfast_dataverse._crowds import MOST_DESCRIBED, refuse_too_many_members

T = TypeVar("T")
Integer: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]


class Values(msgspec.Struct, Generic[T]):
    """A list as the server writes it."""

    value: list[T]


class _Value(msgspec.Struct, rename="pascal"):
    """What stands behind ``Value``."""

    value: str


class _Localized(msgspec.Struct, rename="pascal"):
    """A text in one language."""

    label: str | None = None


class Label(msgspec.Struct, rename="pascal"):
    """A text in the languages of the organisation; the user's counts."""

    user_localized_label: _Localized | None = None


def label_of(label: Label | None) -> str:
    """Return the text for the user, empty where there is none."""
    shown = label.user_localized_label if label else None
    return (shown.label if shown else None) or ""


class Described(msgspec.Struct, rename="pascal"):
    """A table in the list of all tables."""

    logical_name: str
    entity_set_name: str | None = None


class Table(msgspec.Struct, rename="pascal"):
    """A table, without its columns."""

    logical_name: str
    entity_set_name: str
    primary_id_attribute: str
    primary_name_attribute: str | None = None
    table_type: str | None = None
    display_name: Label | None = None
    is_intersect: bool | None = None


class Attribute(msgspec.Struct, rename="pascal"):
    """What every column says of itself."""

    logical_name: str
    attribute_type_name: _Value
    required_level: _Value
    is_valid_for_read: bool | None
    is_valid_for_create: bool | None
    is_valid_for_update: bool | None
    is_valid_o_data_attribute: bool | None
    attribute_of: str | None = None
    display_name: Label | None = None


class Choice(msgspec.Struct, rename="pascal"):
    """One option of a choice."""

    value: Integer
    label: Label | None = None
    state: Integer | None = None


class OptionSet(msgspec.Struct, rename="pascal"):
    """The options of a choice, or the two of a yes or no."""

    options: list[Choice] | None = None
    false_option: Choice | None = None
    true_option: Choice | None = None


class Detail(msgspec.Struct, rename="pascal"):
    """What a column of some kind says beyond the others."""

    logical_name: str
    max_length: Count | None = None
    min_value: Decimal | None = None
    max_value: Decimal | None = None
    precision: Count | None = None
    date_time_behavior: _Value | None = None
    targets: list[str] | None = None
    default_value: bool | None = None
    default_form_value: Integer | None = None
    option_set: OptionSet | None = None
    global_option_set: OptionSet | None = None


class Link(msgspec.Struct, rename="pascal"):
    """A one-to-many relationship."""

    schema_name: str
    referencing_entity: str
    referencing_attribute: str
    referenced_entity: str
    referencing_entity_navigation_property_name: str | None = None
    referenced_entity_navigation_property_name: str | None = None
    is_hierarchical: bool | None = None


def described(answer: Answer, about: str, decoder: msgspec.json.Decoder[T]) -> T:
    """Return a description as it stands in an answer.

    :raises ProtocolError: it makes no sense
    """
    require(answer, about)
    refuse_too_many_members(answer.body, MOST_DESCRIBED)
    try:
        return decoder.decode(answer.body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ProtocolError(
            f"{about} is not understood ({error}); nothing was changed here, ask an administrator"
        ) from error

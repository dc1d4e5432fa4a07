"""Attributes as clients write them: JSON to column definitions.

Invariant: what a column type does not have is refused; bounds are those of the type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.schema import ColumnType, DateBehavior, Option
from holdfast_emulator.behaviour import columns as c
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Metadata, RequiredLevel
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition, Translations
from holdfast_emulator.behaviour.schema_rules import refused
from holdfast_emulator.wire.attribute_json import (
    ATTRIBUTE_SETTINGS,
    BEHAVIORS,
    DERIVED_SETTINGS,
)
from holdfast_emulator.wire.calls import Unsupported
from holdfast_emulator.wire.definition_body import Body, merged
from holdfast_emulator.wire.definitions import Definitions
from holdfast_emulator.wire.urls import reference

_KINDS: Final[Mapping[str, ColumnType]] = {
    "String": ColumnType.STRING,
    "Memo": ColumnType.MEMO,
    "Integer": ColumnType.INTEGER,
    "BigInt": ColumnType.BIGINT,
    "Decimal": ColumnType.DECIMAL,
    "Double": ColumnType.DOUBLE,
    "Money": ColumnType.MONEY,
    "Boolean": ColumnType.BOOLEAN,
    "Picklist": ColumnType.CHOICE,
    "MultiSelectPicklist": ColumnType.CHOICES,
    "DateTime": ColumnType.DATETIME,
    "Lookup": ColumnType.LOOKUP,
    "File": ColumnType.FILE,
    "Image": ColumnType.IMAGE,
    "Uniqueidentifier": ColumnType.UNIQUEIDENTIFIER,
    "UniqueIdentifier": ColumnType.UNIQUEIDENTIFIER,
    "State": ColumnType.STATE,
    "Status": ColumnType.STATUS,
}
_PLATFORM: Final = frozenset(
    {
        *("AttributeOf", "AttributeType", "AttributeTypeName", "CalculationOf", "ColumnNumber"),
        *("CreatedOn", "EntityLogicalName", "HasChanged", "IsBaseCurrency", "IsCustomAttribute"),
        *("IsLogical", "IsPrimaryId", "IsPrimaryName", "IsValidForCreate", "IsValidForRead"),
        *("IsValidForUpdate", "IsValidODataAttribute", "LogicalName", "MetadataId", "ModifiedOn"),
        *("PrecisionSource", "Targets", "GlobalOptionSet", "IsPrimaryImage", "Format"),
    }
)
_DECIMAL: Final = Decimal(100_000_000_000)
_INT: Final = 2_147_483_647
_TEXTS: Final = ("Text", "TextArea", "Email", "Url", "Phone", "TickerSymbol", "RichText", "Json")
_TEXTS_TOO: Final = ("PhoneticGuide", "VersionNumber")
_FIRST_OPTION: Final = 100_000_000
_MOST_OPTIONS: Final = 5000


@dataclass(frozen=True, slots=True)
class ColumnBodies:
    """Reads attributes; global option sets are looked up in the metadata."""

    metadata: Metadata

    def column(
        self, body: Body, before: ColumnDefinition | None = None, *, merge: bool = False
    ) -> ColumnDefinition:
        """Return the column that a body describes, or what it makes of the one before.

        :param merge: whether labels in languages that the body does not name stay
        """
        kind = self._kind(body, before)
        schema_name = before.schema_name if before else body.text("SchemaName")
        body.read.add("SchemaName")
        column = before or replace(
            c.define(schema_name, kind, schema_name), is_custom=True, creatable=True
        )
        self._check_calculated(body)
        column = _labelled(body, column, merge=merge)
        column = replace(
            column,
            required=body.member("RequiredLevel", RequiredLevel, column.required),
            secured=body.flag("IsSecured", default=column.secured),
        )
        column = _reader(kind)(self, body, column)
        settings = ATTRIBUTE_SETTINGS | DERIVED_SETTINGS.get(kind, {})
        return replace(column, extras=body.extras(column.extras, settings, _PLATFORM))

    def _kind(self, body: Body, before: ColumnDefinition | None) -> ColumnType:
        named = body.values.get("@odata.type")
        if not isinstance(named, str):
            if before is not None:
                return before.type
            raise body.error("An attribute needs the annotation '@odata.type'.")
        name = named.rpartition(".")[2].removeprefix("Complex").removesuffix("AttributeMetadata")
        if name not in _KINDS:
            raise body.error(f"A type named '{named[:100]}' could not be resolved by the model.")
        if before is not None and _KINDS[name] is not before.type:
            raise refused(f"The type of attribute {before.name} cannot be changed.")
        return _KINDS[name]

    def _check_calculated(self, body: Body) -> None:
        if body.values.get("FormulaDefinition") or body.values.get("SourceType") in (1, 2, 3):
            base = body.values.get("CalculationOf")
            if not base:
                raise Unsupported("calculated, rollup and formula columns")
        body.read.add("SourceType")
        if body.values.get("AutoNumberFormat"):
            raise Unsupported("autonumber columns")

    def options(self, body: Body, column: ColumnDefinition) -> ColumnDefinition:
        """Return the column with the options that a body gives it."""
        shared = self._global(body)
        inner = body.inner("OptionSet")
        if shared is None and inner is not None and inner.flag("IsGlobal", default=False):
            shared = self.metadata.option_sets.get(inner.text("Name"))
            if shared is None:
                raise refused(f"There is no global option set '{inner.text('Name')[:100]}'.")
        if shared is not None:
            texts = tuple(one for one in shared.translations if ":" in one[0])
            return replace(
                column,
                options=shared.options,
                global_options=shared.name,
                translations=(*column.translations, *texts),
            )
        if inner is None:
            return column
        options, texts = read_options(inner, boolean=column.type is ColumnType.BOOLEAN)
        before = tuple(one for one in column.translations if ":" not in one[0])
        if not options and column.options:
            return column
        return replace(column, options=options, translations=(*before, *texts))

    def _global(self, body: Body) -> OptionSetDefinition | None:
        bound = body.take("GlobalOptionSet@odata.bind")
        if bound is None:
            return None
        if not isinstance(bound, str):
            raise body.error("GlobalOptionSet@odata.bind must be a URI.")
        segment = reference(bound, {})
        key = segment.key
        if segment.name != "GlobalOptionSetDefinitions" or key is None:
            raise body.error("GlobalOptionSet@odata.bind must name a global option set.")
        return Definitions(self.metadata).find_option_set(key)


def read_options(body: Body, *, boolean: bool) -> tuple[tuple[Option, ...], Translations]:
    """Return the options of a body, and the texts beside them."""
    if boolean:
        pair = (body.inner("FalseOption"), body.inner("TrueOption"))
        given = [one or Body({}, body.where) for one in pair]
    else:
        given = body.inners("Options")
    if len(given) > _MOST_OPTIONS:
        raise refused(f"An option set has at most {_MOST_OPTIONS} options.")
    options: list[Option] = []
    texts: list[tuple[str, int, str]] = []
    taken: set[int] = set()
    following = _FIRST_OPTION
    for at, one in enumerate(given):
        if not one.has("Value") and not boolean:
            while following in taken:
                following += 1
        value = one.whole("Value", at if boolean else following, -(2**31), _INT)
        if value in taken:
            raise refused(f"The option value {value} is there twice.")
        taken.add(value)
        found, more = option_texts(one, value)
        texts.extend(more)
        fallback = ("No", "Yes")[at] if boolean else ""
        options.append(Option(value, fallback if found is None else found))
    return tuple(options), tuple(texts)


def option_texts(body: Body, value: int) -> tuple[str | None, Translations]:
    """Return the label of an option in the base language, and the texts beside it."""
    found = body.label("Label", f"option:{value}")
    about = body.label("Description", f"about:{value}")
    more: list[tuple[str, int, str]] = []
    if found:
        more.extend(found[1])
    if about:
        more.extend(about[1])
        if about[0]:
            more.append((f"about:{value}", 1033, about[0]))
    color = body.text("Color")
    if color:
        more.append((f"Color:{value}", 0, color[:50]))
    return (found[0] if found else None), tuple(more)


def _labelled(body: Body, column: ColumnDefinition, *, merge: bool) -> ColumnDefinition:
    for part in ("DisplayName", "Description"):
        found = body.label(part, part)
        if found is None:
            continue
        text, others = found
        if merge and not text:
            text = column.label if part == "DisplayName" else column.description
        texts = merged(column.translations, others, [part], merge=merge)
        if part == "DisplayName":
            column = replace(column, label=text, translations=texts)
        else:
            column = replace(column, description=text, translations=texts)
    return column


def _format(body: Body, default: str, allowed: tuple[str, ...]) -> str:
    inner = body.take("FormatName")
    named = inner.get("Value") if isinstance(inner, dict) else inner
    found = named if named is not None else body.take("Format")
    if found is None:
        return default
    if found not in allowed:
        raise body.error(f"'{str(found)[:100]}' is no valid Format.")
    return str(found)


def _text(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    memo = column.type is ColumnType.MEMO
    default = column.max_length or (2000 if memo else 100)
    return replace(
        column,
        max_length=body.whole("MaxLength", default, 1, 1_048_576 if memo else 4000),
        format=_format(
            body, column.format or ("TextArea" if memo else "Text"), (*_TEXTS, *_TEXTS_TOO)
        ),
    )


def _integer(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    low = int(column.minimum) if column.minimum is not None else -_INT - 1
    high = int(column.maximum) if column.maximum is not None else _INT
    formats = ("None", "Duration", "TimeZone", "Language", "Locale")
    return _ordered(
        replace(
            column,
            minimum=Decimal(body.whole("MinValue", low, -_INT - 1, _INT)),
            maximum=Decimal(body.whole("MaxValue", high, -_INT - 1, _INT)),
            format=_format(body, column.format or "None", formats),
        )
    )


def _bigint(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    body.read |= {"MinValue", "MaxValue"}
    return column


def _number(limit: Decimal, digits: int) -> _Reader:
    def read(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
        low = -limit if column.minimum is None else column.minimum
        high = limit if column.maximum is None else column.maximum
        precision = 2 if column.precision is None else column.precision
        widest = max(limit, abs(low), abs(high))
        return _ordered(
            replace(
                column,
                minimum=body.number("MinValue", low, -widest, widest),
                maximum=body.number("MaxValue", high, -widest, widest),
                precision=body.whole("Precision", precision, 0, max(digits, precision)),
            )
        )

    return read


def _ordered(column: ColumnDefinition) -> ColumnDefinition:
    assert column.minimum is not None
    assert column.maximum is not None
    if column.minimum > column.maximum:
        raise refused(f"MinValue of attribute {column.name} is greater than MaxValue.")
    return column


def _boolean(bodies: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    if not column.options:
        column = replace(column, options=(Option(0, "No"), Option(1, "Yes")))
    column = bodies.options(body, column)
    return replace(column, default=body.flag("DefaultValue", default=bool(column.default)))


def _choice(bodies: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    column = bodies.options(body, column)
    before = -1 if column.default is None else int(column.default)
    default = body.whole("DefaultFormValue", before, -(2**31), _INT)
    if default != -1 and default not in column.by_value:
        raise refused(f"DefaultFormValue {default} is not among the options of {column.name}.")
    return replace(column, default=None if default == -1 else default)


def _state(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    body.read |= {"OptionSet", "DefaultFormValue"}
    return column


def _moment(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    behaviors = {name: behavior for behavior, name in BEHAVIORS.items()}
    inner = body.take("DateTimeBehavior")
    named = inner.get("Value") if isinstance(inner, dict) else inner
    if named is not None and named not in behaviors:
        raise body.error(f"'{str(named)[:100]}' is no valid DateTimeBehavior.")
    behavior = column.behavior if named is None else behaviors[named]
    if column.format and behavior is not column.behavior:
        raise Unsupported("changing the behavior of a date and time column that is there")
    kind = _format(body, column.format or "DateAndTime", ("DateOnly", "DateAndTime"))
    if behavior is DateBehavior.DATE_ONLY:
        kind = "DateOnly"
    return replace(column, behavior=behavior, format=kind)


def _file(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    image = column.type is ColumnType.IMAGE
    default = column.max_size_kb or (10_240 if image else 32_768)
    size = body.whole("MaxSizeInKB", default, 1, 30_720 if image else 10_485_760)
    made = column if image else c.read_only(column)
    if image:
        made = replace(made, full_image=body.flag("CanStoreFullImage", default=made.full_image))
    return replace(made, max_size_kb=size)


def _lookup(_: ColumnBodies, body: Body, column: ColumnDefinition) -> ColumnDefinition:
    body.read.add("Format")
    return column


def _as_it_is(_: ColumnBodies, __: Body, column: ColumnDefinition) -> ColumnDefinition:
    return column


_Reader: TypeAlias = Callable[[ColumnBodies, Body, ColumnDefinition], ColumnDefinition]
_READERS: Final[Mapping[ColumnType, _Reader]] = {
    ColumnType.STRING: _text,
    ColumnType.MEMO: _text,
    ColumnType.INTEGER: _integer,
    ColumnType.BIGINT: _bigint,
    ColumnType.DECIMAL: _number(_DECIMAL, 10),
    ColumnType.DOUBLE: _number(_DECIMAL, 5),
    ColumnType.MONEY: _number(c.MONEY_LIMIT, 4),
    ColumnType.BOOLEAN: _boolean,
    ColumnType.CHOICE: _choice,
    ColumnType.CHOICES: _choice,
    ColumnType.STATE: _state,
    ColumnType.STATUS: _state,
    ColumnType.DATETIME: _moment,
    ColumnType.FILE: _file,
    ColumnType.IMAGE: _file,
    ColumnType.LOOKUP: _lookup,
}


def _reader(kind: ColumnType) -> _Reader:
    return _READERS.get(kind, _as_it_is)


def with_companions(column: ColumnDefinition) -> tuple[ColumnDefinition, ...]:
    """Return the column, and those that the platform adds beside it."""
    name = column.schema_name
    if column.type is ColumnType.MONEY:
        base = replace(c.money(name, column.label)[1], minimum=-c.MONEY_LIMIT, is_custom=True)
        return column, base
    if column.type is ColumnType.FILE:
        return column, *(replace(one, is_custom=True) for one in c.file(name)[1:])
    if column.type is ColumnType.IMAGE:
        companions = (replace(one, is_custom=True) for one in c.image(name)[1:])
        return column, *companions
    return (column,)

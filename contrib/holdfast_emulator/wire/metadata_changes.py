"""``RetrieveMetadataChanges``: many definitions in one answer, or what changed since a stamp.

Invariant: a stamp says up to which version of the metadata its owner knows everything. A part is
told when it matches the query and, with a stamp, when it or what hangs on it changed after that.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.faults import expired_version
from holdfast_emulator.behaviour.metadata import TableDefinition, metadata_id
from holdfast_emulator.behaviour.schema_changes import (
    ATTRIBUTE,
    ENTITY,
    ENTITY_KEY,
    OPTION_SET,
    RELATIONSHIP,
)
from holdfast_emulator.wire import metadata_json as shapes
from holdfast_emulator.wire.attribute_json import attributes
from holdfast_emulator.wire.calls import Reply, answer, bad_query
from holdfast_emulator.wire.definition_body import Body
from holdfast_emulator.wire.metadata_json import Json
from holdfast_emulator.wire.operations import Invocation, Operation
from holdfast_emulator.wire.urls import NAMESPACE

_STAMP: Final = re.compile(r"(\d{1,18})!(\d{2}/\d{2}/\d{4} \d{2}:\d{2}:\d{2})\Z")
_TIME: Final = "%m/%d/%Y %H:%M:%S"
_DAYS: Final = "expiresubscriptionsindays"
_DEEPEST: Final = 20
_ALWAYS: Final = ("MetadataId", "LogicalName", "SchemaName", "HasChanged")
_QUERIES: Final = ("Properties", "Criteria", "AttributeQuery", "RelationshipQuery", "KeyQuery")
_RELATIONSHIPS: Final = (
    "OneToManyRelationships",
    "ManyToOneRelationships",
    "ManyToManyRelationships",
)
_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "Default": (ENTITY,),
    "Entity": (ENTITY,),
    "Attribute": (ATTRIBUTE,),
    "Relationship": (RELATIONSHIP,),
    "EntityKey": (ENTITY_KEY,),
    "Label": (),
    "OptionSet": (OPTION_SET,),
    "All": (ENTITY, ATTRIBUTE, RELATIONSHIP, ENTITY_KEY, OPTION_SET),
}
_Test: TypeAlias = Callable[[Json], bool]
_Compare: TypeAlias = Callable[[Any, Any], bool]  # Any: what JSON compares
_OPERATORS: Final[Mapping[str, _Compare]] = {
    "Equals": lambda found, wanted: found == wanted,
    "NotEquals": lambda found, wanted: found != wanted,
    "In": lambda found, wanted: found in wanted,
    "NotIn": lambda found, wanted: found not in wanted,
    "GreaterThan": lambda found, wanted: _ordered(found, wanted) and found > wanted,
    "LessThan": lambda found, wanted: _ordered(found, wanted) and found < wanted,
}


@dataclass(frozen=True, slots=True)
class _Query:
    """One of the nested queries: which items, and which of their properties."""

    test: _Test
    properties: frozenset[str] | None  # None means all

    def cut(self, item: Json) -> Json:
        """Return the item with the properties that are asked for."""
        if self.properties is None:
            return dict(item)
        wanted = self.properties | {*_ALWAYS, "@odata.type"}
        return {name: value for name, value in item.items() if name in wanted}

    def wants(self, name: str) -> bool:
        """Tell whether a property is asked for."""
        return self.properties is None or name in self.properties


@dataclass(frozen=True, slots=True)
class MetadataChanges:
    """Answers the function."""

    dataverse: Dataverse

    def operation(self) -> Operation:
        """Return the function."""
        return Operation("RetrieveMetadataChanges", self._answer, function=True)

    def _answer(self, invocation: Invocation) -> Reply:
        given = Body(invocation.parameters, "RetrieveMetadataChanges")
        inner = given.inner("Query") or Body({}, "EntityQueryExpression")
        queries = {name: inner.inner(name) for name in _QUERIES}
        label = inner.inner("LabelQuery")
        languages = _languages(label)
        stamp = given.text("ClientVersionStamp")
        kinds = _kinds(given.take("DeletedMetadataFilters"))
        given.extras((), {}, ("AppModuleId", "RetrieveAllSettings"))
        inner.extras((), {}, ("ExtensionData",))
        since = self._since(stamp) if stamp else None
        tables = _query(queries["Criteria"], queries["Properties"])
        nested = {
            "Attributes": _nested(queries["AttributeQuery"]),
            "Keys": _nested(queries["KeyQuery"]),
            **dict.fromkeys(_RELATIONSHIPS, _nested(queries["RelationshipQuery"])),
        }
        found = [
            one
            for table in shapes.tables(self.dataverse.metadata)
            if (one := self._table(table, tables, nested, since)) is not None
        ]
        context = f"{invocation.call.root}/$metadata#{NAMESPACE}RetrieveMetadataChangesResponse"
        return answer(
            {
                "@odata.context": context,
                "ServerVersionStamp": self._stamp(),
                "DeletedMetadata": self._deleted(since, kinds),
                "EntityMetadata": found if languages is None else _translated(found, languages),
            }
        )

    def _table(
        self,
        table: TableDefinition,
        query: _Query,
        nested: Mapping[str, _Query],
        since: int | None,
    ) -> Json | None:
        """Return what is to be told of a table; None when that is nothing."""
        item = shapes.table_json(table)
        if not query.test(item):
            return None
        changed = self._changed(item, since)
        kept = query.cut(item)
        told = changed
        for name, parts in self._parts(table).items():
            if not query.wants(name):
                continue
            below = nested[name]
            items = [one for one in parts() if below.test(one)]
            news = [one for one in items if self._changed(one, since)]
            kept[name] = [below.cut(self._marked(one, since)) for one in news]
            told = told or bool(news)
        if not told:
            return None
        return self._marked(kept, since)

    def _parts(self, table: TableDefinition) -> Mapping[str, Callable[[], Iterable[Json]]]:
        metadata, name = self.dataverse.metadata, table.name
        across = [m for m in metadata.many_to_many.values() if name in (m.table1, m.table2)]
        return {
            "Attributes": lambda: attributes(table),
            "Keys": lambda: [shapes.key_json(table, key) for key in table.keys],
            "OneToManyRelationships": lambda: map(
                shapes.relationship_json, metadata.one_to_many(name)
            ),
            "ManyToOneRelationships": lambda: map(
                shapes.relationship_json, metadata.many_to_one(name)
            ),
            "ManyToManyRelationships": lambda: map(shapes.relationship_json, across),
        }

    def _changed(self, item: Json, since: int | None) -> bool:
        if since is None:
            return True
        return self.dataverse.metadata.changed.get(item["MetadataId"], 0) > since

    def _marked(self, item: Json, since: int | None) -> Json:
        return item if since is None else {**item, "HasChanged": self._changed(item, since)}

    def _stamp(self) -> str:
        now = self.dataverse.clock().astimezone(UTC)
        return f"{self.dataverse.metadata.version}!{now:{_TIME}}"

    def _since(self, stamp: str) -> int:
        """Return the version of a stamp; 400 0x80044352 when it has expired."""
        found = _STAMP.match(stamp)
        if found is None:
            raise bad_query("The ClientVersionStamp is not valid.")
        try:
            given = datetime.strptime(found[2], _TIME).replace(tzinfo=UTC)
        except ValueError:
            raise bad_query("The ClientVersionStamp is not valid.") from None
        organization = self.dataverse.find("organization", self.dataverse.organization_id)
        days = organization[_DAYS] if organization else None
        allowed = timedelta(days=days if isinstance(days, int) else 90)
        since = int(found[1])
        if self.dataverse.clock() - given > allowed or since > self.dataverse.metadata.version:
            raise expired_version()
        return since

    def _deleted(self, since: int | None, kinds: frozenset[str]) -> Json | None:
        if since is None or not kinds:
            return None
        by_kind: dict[str, list[str]] = {}
        for version, kind, found in self.dataverse.metadata.deleted:
            if version > since and kind in kinds and found not in self._alive():
                by_kind.setdefault(kind, []).append(found)
        return {
            "Count": len(by_kind),
            "IsReadOnly": False,
            "Keys": list(by_kind),
            "Values": [{"Count": len(ids), "Items": ids} for ids in by_kind.values()],
        }

    def _alive(self) -> frozenset[str]:
        """Return the ids of the tables that are there: one may have been made again."""
        return frozenset(metadata_id("table", name) for name in self.dataverse.metadata.tables)


def _nested(body: Body | None) -> _Query:
    if body is None:
        return _Query(lambda _: True, None)
    found = _query(body.inner("Criteria"), body.inner("Properties"))
    body.extras((), {}, ("ExtensionData",))
    return found


def _query(criteria: Body | None, properties: Body | None) -> _Query:
    test = _criteria(criteria, 0) if criteria else (lambda _: True)
    if properties is None:
        return _Query(test, None)
    everything = properties.flag("AllProperties", default=False)
    names = properties.names("PropertyNames") if properties.has("PropertyNames") else ()
    return _Query(test, None if everything else frozenset(names))


def _criteria(body: Body, depth: int) -> _Test:
    if depth > _DEEPEST:
        raise bad_query("The criteria are nested too deeply.")
    joined = body.take("FilterOperator") in ("Or", 1)
    tests = [_condition(one) for one in body.inners("Conditions")]
    tests += [_criteria(one, depth + 1) for one in body.inners("Filters")]
    body.extras((), {}, ("ExtensionData",))
    if not tests:
        return lambda _: True
    combine = any if joined else all
    return lambda item: combine(test(item) for test in tests)


def _condition(body: Body) -> _Test:
    name = body.text("PropertyName")
    word = body.text("ConditionOperator", "Equals")
    if word not in _OPERATORS:
        raise bad_query(f"'{word[:100]}' is no metadata condition operator.")
    inner = body.take("Value")
    value = inner.get("Value") if isinstance(inner, dict) else inner
    body.extras((), {}, ("ExtensionData",))
    if word in ("In", "NotIn"):
        if not isinstance(value, list):
            raise bad_query(f"The condition on {name[:100]} needs a list of values.")
        value = [_plain(one) for one in value]
    else:
        value = _plain(value)
    compare = _OPERATORS[word]

    def test(item: Json) -> bool:
        found = item.get(name)
        if isinstance(found, dict) and "Value" in found:
            found = found["Value"]
        return compare(_plain(found), value)

    return test


def _plain(value: Any) -> Any:  # Any: JSON
    """Return a value that compares: ids in lower case, ``"true"`` as a Boolean."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if isinstance(value, str) and value.lstrip("-").isdecimal() and len(value) < 20:  # 64 bits
        return int(value)
    return value if isinstance(value, str | bool | int | float | Decimal) else str(value)


def _ordered(found: object, wanted: object) -> bool:
    return isinstance(found, str) == isinstance(wanted, str) and found is not None


def _kinds(value: object) -> frozenset[str]:
    if value is None:
        return frozenset()
    names = [part.strip() for part in str(value).split(",")]
    if any(name not in _KINDS for name in names):
        raise bad_query(f"'{str(value)[:100]}' is no DeletedMetadataFilters.")
    return frozenset(kind for name in names for kind in _KINDS[name])


def _languages(body: Body | None) -> frozenset[int] | None:
    if body is None:
        return None
    given = body.take("FilterLanguages")
    body.extras((), {}, ("MissingLabelBehavior", "ExtensionData"))
    if not isinstance(given, list) or any(type(one) is not int for one in given):
        return None
    return frozenset(given) or None


def _translated(value: Any, languages: frozenset[int]) -> Any:  # Any: JSON
    """Return the same with labels in these languages only."""
    if isinstance(value, list):
        return [_translated(one, languages) for one in value]
    if not isinstance(value, dict):
        return value
    if "LocalizedLabels" in value:
        kept = [one for one in value["LocalizedLabels"] if one["LanguageCode"] in languages]
        return {**value, "LocalizedLabels": kept}
    return {name: _translated(one, languages) for name, one in value.items()}

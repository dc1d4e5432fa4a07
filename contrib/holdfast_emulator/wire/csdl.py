"""``$metadata``: the organisation as CSDL, the XML that OData clients are generated from.

Invariant: what a row has on the wire is declared, and what is declared is on the wire. The document
is made once for each version of the metadata.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.sax.saxutils import quoteattr

from holdfast.schema import ColumnType, DateBehavior
from holdfast_emulator.behaviour.metadata import ColumnDefinition, Metadata, TableDefinition
from holdfast_emulator.behaviour.relationships import Direction, Hop
from holdfast_emulator.wire.calls import Call, Reply, Unsupported
from holdfast_emulator.wire.keys import PRINCIPAL_KEY, PRINCIPALS, key_property
from holdfast_emulator.wire.operations import Bound, Operation
from holdfast_emulator.wire.options import parse_query
from holdfast_emulator.wire.urls import Segment

_TYPES: Final[Mapping[ColumnType, str]] = {
    ColumnType.STRING: "Edm.String",
    ColumnType.MEMO: "Edm.String",
    ColumnType.ENTITY_NAME: "Edm.String",
    ColumnType.CHOICES: "Edm.String",
    ColumnType.INTEGER: "Edm.Int32",
    ColumnType.CHOICE: "Edm.Int32",
    ColumnType.STATE: "Edm.Int32",
    ColumnType.STATUS: "Edm.Int32",
    ColumnType.BIGINT: "Edm.Int64",
    ColumnType.DECIMAL: "Edm.Decimal",
    ColumnType.MONEY: "Edm.Decimal",
    ColumnType.DOUBLE: "Edm.Double",
    ColumnType.BOOLEAN: "Edm.Boolean",
    ColumnType.DATETIME: "Edm.DateTimeOffset",
    ColumnType.UNIQUEIDENTIFIER: "Edm.Guid",
    ColumnType.LOOKUP: "Edm.Guid",
    ColumnType.FILE: "Edm.Guid",
    ColumnType.IMAGE: "Edm.Binary",
}
#: The enumerations that functions take, with their members.
_ENUMS: Final[Mapping[str, tuple[str, ...]]] = {
    "EndpointAccessType": ("Default", "Internet", "Intranet"),
    "EntityFilters": ("Entity", "Attributes", "Privileges", "Relationships", "All"),
    "OwnershipTypes": ("None", "UserOwned", "TeamOwned", "BusinessOwned", "OrganizationOwned"),
}
_HEAD: Final = (
    '<?xml version="1.0" encoding="utf-8"?>'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">'
    "{references}<edmx:DataServices>"
    '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" '
    'xmlns="http://docs.oasis-open.org/odata/ns/edm">'
)
_TAIL: Final = "</Schema></edmx:DataServices></edmx:Edmx>"
_VOCABULARY: Final = (
    '<edmx:Reference Uri="http://vocabularies.odata.org/OData.Community.{name}.V1">'
    '<edmx:Include Namespace="Org.OData.{name}.V1" Alias="{name}" /></edmx:Reference>'
)
_TRACKED: Final = (
    '<Annotation Term="Org.OData.Capabilities.V1.ChangeTracking"><Record>'
    '<PropertyValue Property="Supported" Bool="{supported}" /></Record></Annotation>'
)
_READ_ONLY: Final = (
    '<Annotation Term="Org.OData.Core.V1.Computed" Bool="true" />'
    '<Annotation Term="Org.OData.Core.V1.Permissions"><EnumMember>'
    "Org.OData.Core.V1.PermissionType/Read</EnumMember></Annotation>"
)


@dataclass(slots=True)
class Csdl:
    """Makes the document, and remembers it."""

    metadata: Metadata
    _kept: dict[tuple[int, bool], bytes] = field(default_factory=dict)

    def answer(self, call: Call, path: tuple[Segment, ...], known: Iterable[Operation]) -> Reply:
        """Answer ``GET $metadata``."""
        if len(path) > 1 or path[0].arguments:
            raise Unsupported("what is below $metadata")
        options = dict(part.partition("=")[::2] for part in call.query.split("&") if part)
        wanted = options.pop("annotations", "false")
        parse_query("&".join(options), ())
        annotated = wanted.lower() == "true"
        version = self.metadata.version, annotated
        if version not in self._kept:
            self._kept = {k: v for k, v in self._kept.items() if k[0] == version[0]}
            self._kept[version] = "".join(self._document(known, annotated=annotated)).encode()
        return Reply(200, self._kept[version], type="application/xml")

    def _document(self, known: Iterable[Operation], *, annotated: bool) -> Iterator[str]:
        names = ("Core", "Capabilities") if annotated else ()
        yield _HEAD.format(references="".join(_VOCABULARY.format(name=name) for name in names))
        yield '<EntityType Name="crmbaseentity" Abstract="true" />'
        yield (
            '<EntityType Name="principal" BaseType="mscrm.crmbaseentity">'
            f'<Key><PropertyRef Name="{PRINCIPAL_KEY}" /></Key>'
            f'<Property Name="{PRINCIPAL_KEY}" Type="Edm.Guid" /></EntityType>'
        )
        tables = [self.metadata.tables[name] for name in sorted(self.metadata.tables)]
        for table in tables:
            yield from self._entity_type(table, annotated=annotated)
        for name, members in _ENUMS.items():
            yield f'<EnumType Name="{name}">'
            yield from (f'<Member Name="{one}" Value="{at}" />' for at, one in enumerate(members))
            yield "</EnumType>"
        operations = sorted(known, key=lambda one: (one.name, one.bound.value))
        for operation in operations:
            yield from self._operation(operation, tables)
        yield '<EntityContainer Name="System">'
        for table in tables:
            yield from self._entity_set(table, annotated=annotated)
        imported: set[tuple[str, str]] = set()
        for operation in operations:
            kind = "Function" if operation.function else "Action"
            if operation.bound is Bound.NOTHING and (kind, operation.name) not in imported:
                imported.add((kind, operation.name))
                name = quoteattr(operation.name)
                full = quoteattr(f"Microsoft.Dynamics.CRM.{operation.name}")
                yield f"<{kind}Import Name={name} {kind}={full} />"
        yield f"</EntityContainer>{_TAIL}"

    def _entity_type(self, table: TableDefinition, *, annotated: bool) -> Iterator[str]:
        if table.name in PRINCIPALS:
            yield f'<EntityType Name="{table.name}" BaseType="mscrm.principal">'
        else:
            yield f'<EntityType Name="{table.name}" BaseType="mscrm.crmbaseentity">'
            yield f'<Key><PropertyRef Name="{table.primary_id}" /></Key>'
        for column in table.columns:
            if column.readable:
                yield from _property(column, annotated=annotated)
        told: set[str] = set()
        for hop in self.metadata.hops(table.name):
            if hop.navigation in told:
                continue  # an owner is one property for users and teams
            told.add(hop.navigation)
            yield from self._navigation(table, hop)
        yield "</EntityType>"

    def _navigation(self, table: TableDefinition, hop: Hop) -> Iterator[str]:
        name, partner = quoteattr(hop.navigation), quoteattr(_partner(hop))
        if hop.direction is not Direction.TO_ONE:
            kind = f"Collection(mscrm.{hop.target})"
            yield f'<NavigationProperty Name={name} Type="{kind}" Partner={partner} />'
            return
        column = table.by_name[hop.near]
        target = self.metadata.tables[hop.target]
        kind = f"mscrm.{hop.target}"
        shared = [one for one in self.metadata.hops(table.name) if one.navigation == hop.navigation]
        if len(shared) > 1:  # owners of several tables: whatever they have in common
            owners = all(one.target in PRINCIPALS for one in shared)
            kind = "mscrm.principal" if owners else "mscrm.crmbaseentity"
            yield f'<NavigationProperty Name={name} Type="{kind}" Nullable="true" />'
            return
        yield f'<NavigationProperty Name={name} Type="{kind}" Nullable="true" Partner={partner}>'
        yield (
            f'<ReferentialConstraint Property="{column.wire_name}" '
            f'ReferencedProperty="{key_property(target)}" /></NavigationProperty>'
        )

    def _entity_set(self, table: TableDefinition, *, annotated: bool) -> Iterator[str]:
        full = f"Microsoft.Dynamics.CRM.{table.name}"
        yield f'<EntitySet Name="{table.entity_set}" EntityType="{full}">'
        told: set[str] = set()
        hops = self.metadata.hops(table.name)
        for hop in hops:
            shared = sum(one.navigation == hop.navigation for one in hops) > 1
            if shared or hop.navigation in told:
                continue
            told.add(hop.navigation)
            target = quoteattr(self.metadata.tables[hop.target].entity_set)
            yield (
                f"<NavigationPropertyBinding Path={quoteattr(hop.navigation)} Target={target} />"
            )
        if annotated:
            yield _TRACKED.format(supported="true" if table.change_tracking else "false")
        yield "</EntitySet>"

    def _operation(self, operation: Operation, tables: list[TableDefinition]) -> Iterator[str]:
        kind = "Function" if operation.function else "Action"
        returns = '<ReturnType Type="mscrm.crmbaseentity" />' if operation.function else ""
        name = quoteattr(operation.name)
        if operation.bound is Bound.NOTHING:
            yield f"<{kind} Name={name}>{returns}</{kind}>"
            return
        one = operation.bound is Bound.ROW
        for table in tables:
            if operation.tables is not None and table.name not in operation.tables:
                continue
            bound = f"mscrm.{table.name}" if one else f"Collection(mscrm.{table.name})"
            yield (
                f'<{kind} Name={name} IsBound="true">'
                f'<Parameter Name="entityset" Type="{bound}" Nullable="false" />'
                f"{returns}</{kind}>"
            )


def _partner(hop: Hop) -> str:
    """Return the property that leads back."""
    relationship = hop.relationship
    if hop.direction is Direction.ACROSS:
        first = getattr(relationship, "navigation1", "")
        second = getattr(relationship, "navigation2", "")
        return str(second if hop.navigation == first else first)
    back = "referenced" if hop.direction is Direction.TO_ONE else "referencing"
    return str(getattr(relationship, f"{back}_navigation"))


def _property(column: ColumnDefinition, *, annotated: bool) -> Iterator[str]:
    edm = _TYPES[column.type]
    facets = ""
    if column.behavior is DateBehavior.DATE_ONLY and column.type is ColumnType.DATETIME:
        edm = "Edm.Date"
    if column.type in (ColumnType.STRING, ColumnType.MEMO) and column.max_length:
        facets = f' MaxLength="{column.max_length}"'
    if edm == "Edm.Decimal":
        facets = ' Scale="Variable"'
    written = column.creatable or column.updatable
    if column.type in (ColumnType.LOOKUP, ColumnType.FILE):
        written = False
    head = f'<Property Name="{column.wire_name}" Type="{edm}"{facets}'
    if annotated and not written:
        yield f"{head}>{_READ_ONLY}</Property>"
    else:
        yield f"{head} />"

"""The edits of a draft: tables, columns, keys, relationships, options, each by its rules.

Invariant: after every edit the draft is consistent: a lookup has a relationship for each target,
a relationship has its columns, a key has its columns, a global option set its copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from holdfast.schema import ColumnType
from holdfast_emulator.behaviour.associations import intersect_table
from holdfast_emulator.behaviour.metadata import (
    ColumnDefinition,
    KeyDefinition,
    RequiredLevel,
    TableDefinition,
    metadata_id,
)
from holdfast_emulator.behaviour.new_tables import with_currency
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.relationships import (
    AnyRelationship,
    CascadeDelete,
    ManyToManyDefinition,
    RelationshipDefinition,
)
from holdfast_emulator.behaviour.schema_changes import Draft
from holdfast_emulator.behaviour.schema_rules import (
    BASE_MONEY_DELETE,
    DUPLICATE_ATTRIBUTE,
    DUPLICATE_KEY_NAME,
    DUPLICATE_NAME,
    IN_USE,
    MOST_COLUMNS,
    NOT_CUSTOMIZABLE,
    OPTION_SET_IN_USE,
    PRIMARY_NAME_DELETE,
    check_column_name,
    check_relationship_name,
    check_table_name,
    refused,
)
from holdfast_emulator.behaviour.tables import system_relationships

_FIRST_TYPE_CODE = 10_000
_MOST_KEYS = 10
_MOST_KEY_COLUMNS = 16
_KEY_TYPES = frozenset(
    {
        ColumnType.STRING,
        ColumnType.INTEGER,
        ColumnType.DECIMAL,
        ColumnType.DATETIME,
        ColumnType.LOOKUP,
        ColumnType.CHOICE,
    }
)


def next_type_code(draft: Draft) -> int:
    """Return an object type code that no table has."""
    codes = (table.object_type_code for table in draft.tables.values())
    return max(_FIRST_TYPE_CODE, *codes) + 1


def add_table(draft: Draft, table: TableDefinition) -> None:
    """Add a table with the relationships of its system columns."""
    check_table_name(table.schema_name)
    for column in table.columns:
        if column.is_custom:
            check_column_name(column.schema_name)
    if table.name in draft.tables:
        raise refused(
            f"An entity with the specified name {table.name} already exists. "
            "Specify a unique name.",
            DUPLICATE_NAME,
        )
    _check_columns(table)
    _check_entity_set(draft, table)
    _put(draft, table)
    if table.has_notes:
        _add_target(draft, "annotation", "objectid", table, f"{table.name}_Annotations")
    if table.has_activities:
        _add_activities(draft, table)


def change_table(draft: Draft, table: TableDefinition) -> None:
    """Put other texts and settings into the definition of a table."""
    before = draft.tables[table.name]
    if before.change_tracking and not table.change_tracking and before.is_custom:
        raise refused("Change tracking cannot be disabled once it has been enabled.")
    if (before.has_notes and not table.has_notes) or (
        before.has_activities and not table.has_activities
    ):
        raise refused("HasNotes and HasActivities cannot be disabled once they have been enabled.")
    _check_entity_set(draft, table)
    draft.tables[table.name] = table
    if table.has_notes and not before.has_notes:
        _add_target(draft, "annotation", "objectid", table, f"{table.name}_Annotations")
    if table.has_activities and not before.has_activities:
        _add_activities(draft, table)


def drop_table(draft: Draft, name: str) -> None:
    """Drop a table and all its relationships; 400 when another table's lookup needs it."""
    table = draft.tables[name]
    if not table.is_custom or table.is_intersect:
        raise _not_customizable(name, metadata_id("table", name), "Delete")
    users = [
        one
        for one in draft.relationships.values()
        if one.referenced == name and one.referencing != name and not _follows(draft, one)
    ]
    if users:
        raise refused(
            f"The Entity({metadata_id('table', name)}) component cannot be deleted because it is "
            f"referenced by {len(users)} other components. For a list of referenced components, "
            "use the RetrieveDependenciesForDeleteRequest.",
            IN_USE,
        )
    for across in [m for m in draft.many_to_many.values() if name in (m.table1, m.table2)]:
        _forget(draft, across)
    for one in list(draft.relationships.values()):
        if one.referenced == name and one.referencing != name:
            _remove_target(draft, one)
        if name in (one.referenced, one.referencing):
            del draft.relationships[one.schema_name]
    del draft.tables[name]


def add_column(draft: Draft, table: str, column: ColumnDefinition, *more: ColumnDefinition) -> None:
    """Add a column and its companions, null in all rows."""
    definition = draft.tables[table]
    check_column_name(column.schema_name)
    for one in (column, *more):
        if one.name in definition.by_name:
            raise refused(
                f"An attribute with the specified name {one.name} already exists for entity "
                f"{table}.",
                DUPLICATE_ATTRIBUTE,
            )
    wider = replace(definition, columns=(*definition.columns, column, *more))
    _check_columns(wider)
    _put(draft, with_currency(wider))


def change_column(draft: Draft, table: str, column: ColumnDefinition) -> None:
    """Put another definition into the place of a column's."""
    definition = draft.tables[table]
    columns = tuple(column if one.name == column.name else one for one in definition.columns)
    draft.tables[table] = replace(definition, columns=columns)


def drop_column(draft: Draft, table: str, name: str) -> None:
    """Drop a column of a customer's; what it held is lost."""
    definition = draft.tables[table]
    column = definition.by_name[name]
    if name == definition.primary_name:
        raise refused("The Primary UI Attribute is not valid for deletion", PRIMARY_NAME_DELETE)
    if column.base_of is not None:
        raise refused(
            "The base money calculation Attribute is not valid for deletion", BASE_MONEY_DELETE
        )
    if not is_custom(column):
        raise _not_customizable(name, metadata_id("column", table, name), "Delete")
    for key in definition.keys:
        if name in key.columns:
            raise refused(
                f"The Attribute({metadata_id('column', table, name)}) component cannot be deleted "
                "because it is referenced by 1 other components. For a list of referenced "
                "components, use the RetrieveDependenciesForDeleteRequest.",
                IN_USE,
            )
    for one in list(draft.relationships.values()):
        if (one.referencing, one.referencing_attribute) == (table, name):
            del draft.relationships[one.schema_name]
    _take_columns(draft, table, {name, *column.companions})


def is_custom(column: ColumnDefinition) -> bool:
    """Tell whether a customer made the column; the stock tables have some such, too."""
    return column.is_custom or column.name.startswith("new_")


def add_key(draft: Draft, table: str, key: KeyDefinition) -> None:
    """Add an alternate key over columns of the table."""
    definition = draft.tables[table]
    check_column_name(key.schema_name)
    if any(one.name == key.name for one in definition.keys):
        raise refused(
            f"An entity key with the specified name {key.name} already exists.", DUPLICATE_KEY_NAME
        )
    if not key.columns or len(set(key.columns)) != len(key.columns):
        raise refused("An entity key needs attributes, each once.")
    if len(definition.keys) >= _MOST_KEYS or len(key.columns) > _MOST_KEY_COLUMNS:
        raise refused(
            f"A table has at most {_MOST_KEYS} keys of at most {_MOST_KEY_COLUMNS} attributes."
        )
    for name in key.columns:
        column = definition.column(name)
        if column is None:
            raise refused(f"The attribute '{name[:100]}' does not exist on entity '{table}'.")
        if column.type not in _KEY_TYPES or column.secured:
            raise refused(
                f"Attribute {name} of type {column.attribute_type} is not valid in an entity key."
            )
    draft.tables[table] = replace(definition, keys=(*definition.keys, key))


def drop_key(draft: Draft, table: str, name: str) -> None:
    """Drop an alternate key."""
    definition = draft.tables[table]
    kept = tuple(key for key in definition.keys if key.name != name)
    draft.tables[table] = replace(definition, keys=kept)


def add_one_to_many(
    draft: Draft, lookup: ColumnDefinition, relationships: Iterable[RelationshipDefinition]
) -> None:
    """Add a lookup column with a relationship for each of its targets."""
    every = list(relationships)
    for one in every:
        _check_new(draft, one)
        if one.referenced not in draft.tables or one.referencing not in draft.tables:
            raise refused(f"The entities of relationship '{one.schema_name}' do not both exist.")
        if draft.tables[one.referenced].is_intersect or draft.tables[one.referencing].is_intersect:
            raise refused("An intersect entity cannot take part in a relationship.")
        _check_navigation(draft, one.referencing, one.referencing_navigation)
        _check_navigation(draft, one.referenced, one.referenced_navigation)
        if one.delete is CascadeDelete.REMOVE_LINK and lookup.required is RequiredLevel.SYSTEM:
            raise refused("A required lookup cannot be cleared when the row it points to goes.")
    add_column(draft, every[0].referencing, lookup)
    for one in every:
        draft.relationships[one.schema_name] = one


def add_many_to_many(draft: Draft, relationship: ManyToManyDefinition) -> None:
    """Add a relationship with the table of its pairs."""
    _check_new(draft, relationship)
    for end in (relationship.table1, relationship.table2):
        if end not in draft.tables or draft.tables[end].is_intersect:
            raise refused(f"The entity '{end[:100]}' cannot be in a many-to-many relationship.")
    if relationship.intersect in draft.tables:
        raise refused(
            f"An entity with the specified name {relationship.intersect} already exists. "
            "Specify a unique name.",
            DUPLICATE_NAME,
        )
    one, other = relationship.navigation1, relationship.navigation2
    if relationship.table1 == relationship.table2 and one == other:
        raise refused("Both ends of a self-referential relationship have the same name.")
    _check_navigation(draft, relationship.table1, one)
    _check_navigation(draft, relationship.table2, other)
    schema_name = relationship.intersect
    table = intersect_table(
        relationship, schema_name, f"{relationship.intersect}set", next_type_code(draft)
    )
    tracked = all(
        draft.tables[end].change_tracking for end in (relationship.table1, relationship.table2)
    )
    draft.tables[table.name] = replace(table, change_tracking=tracked)
    draft.many_to_many[relationship.schema_name] = relationship


def change_relationship(draft: Draft, relationship: AnyRelationship) -> None:
    """Put another definition into the place of a relationship's."""
    if isinstance(relationship, ManyToManyDefinition):
        draft.many_to_many[relationship.schema_name] = relationship
    else:
        draft.relationships[relationship.schema_name] = relationship


def drop_relationship(draft: Draft, relationship: AnyRelationship) -> None:
    """Drop a relationship with its lookup column, or with all its pairs."""
    if not relationship.is_custom:
        name = relationship.schema_name
        raise _not_customizable(name, metadata_id("relationship", name), "Delete")
    if isinstance(relationship, ManyToManyDefinition):
        _forget(draft, relationship)
        return
    others = [
        one
        for one in draft.relationships.values()
        if one != relationship
        and (one.referencing, one.referencing_attribute)
        == (relationship.referencing, relationship.referencing_attribute)
    ]
    if others:
        _remove_target(draft, relationship)
        del draft.relationships[relationship.schema_name]
    else:
        drop_column(draft, relationship.referencing, relationship.referencing_attribute)


def add_option_set(draft: Draft, options: OptionSetDefinition) -> None:
    """Add a global option set."""
    check_relationship_name(options.name)
    if options.name.lower() in (name.lower() for name in draft.option_sets):
        raise refused(
            f"An object with the specified name {options.name} already exists", DUPLICATE_NAME
        )
    draft.option_sets[options.name] = options


def change_option_set(draft: Draft, options: OptionSetDefinition) -> None:
    """Put another definition into the place of an option set's, and of all columns that use it."""
    draft.option_sets[options.name] = options
    texts = tuple(one for one in options.translations if ":" in one[0])
    for name, table in list(draft.tables.items()):
        if any(column.global_options == options.name for column in table.columns):
            columns = (
                replace(
                    column,
                    options=options.options,
                    translations=(
                        *(one for one in column.translations if ":" not in one[0]),
                        *texts,
                    ),
                )
                if column.global_options == options.name
                else column
                for column in table.columns
            )
            draft.tables[name] = replace(table, columns=tuple(columns))


def drop_option_set(draft: Draft, name: str) -> None:
    """Drop a global option set that no column uses."""
    if not draft.option_sets[name].is_custom:
        raise _not_customizable(name, metadata_id("options", name), "Delete")
    users = [
        table.name
        for table in draft.tables.values()
        if any(column.global_options == name for column in table.columns)
    ]
    if users:
        raise refused(
            "This option set cannot be deleted. The current set of entities that reference this "
            f"option set are: {','.join(users)}. These references must be removed before this "
            "option set can be deleted",
            OPTION_SET_IN_USE,
        )
    del draft.option_sets[name]


def _put(draft: Draft, table: TableDefinition) -> None:
    """Put a table with the relationships that its system columns have."""
    draft.tables[table.name] = table
    for one in system_relationships(table):
        draft.relationships.setdefault(one.schema_name, one)


def _check_columns(table: TableDefinition) -> None:
    names = [column.name for column in table.columns]
    if len(names) > MOST_COLUMNS:
        raise refused(f"The entity {table.name} has more than {MOST_COLUMNS} attributes.")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise refused(
            f"An attribute with the specified name {twice} already exists for entity {table.name}.",
            DUPLICATE_ATTRIBUTE,
        )


def _check_entity_set(draft: Draft, table: TableDefinition) -> None:
    for other in draft.tables.values():
        if other.name != table.name and other.entity_set == table.entity_set:
            raise refused(
                f"An object with the specified name {table.entity_set} already exists",
                DUPLICATE_NAME,
            )


def _check_new(draft: Draft, relationship: AnyRelationship) -> None:
    name = relationship.schema_name
    check_relationship_name(name)
    if name.lower() in (one.schema_name.lower() for one in draft.every_relationship()):
        raise refused(f"An object with the specified name {name} already exists", DUPLICATE_NAME)


def _check_navigation(draft: Draft, table: str, navigation: str) -> None:
    definition = draft.tables[table]
    taken = {
        one.referencing_navigation
        for one in draft.relationships.values()
        if one.referencing == table
    }
    taken |= {
        one.referenced_navigation for one in draft.relationships.values() if one.referenced == table
    }
    for across in draft.many_to_many.values():
        taken |= {across.navigation1} if across.table1 == table else set()
        taken |= {across.navigation2} if across.table2 == table else set()
    if navigation in taken or navigation in definition.by_wire_name:
        raise refused(
            f"The navigation property name '{navigation}' is taken on entity '{table}'.",
            DUPLICATE_NAME,
        )


def _follows(draft: Draft, one: RelationshipDefinition) -> bool:
    """Tell whether a relationship came with the table, as notes and activities do."""
    lookup = draft.tables[one.referencing].by_name[one.referencing_attribute]
    return len(lookup.targets) > 1 and not one.is_custom


def _forget(draft: Draft, relationship: ManyToManyDefinition) -> None:
    draft.many_to_many.pop(relationship.schema_name)
    draft.tables.pop(relationship.intersect, None)


def _take_columns(draft: Draft, table: str, names: set[str]) -> None:
    definition = draft.tables[table]
    kept = tuple(column for column in definition.columns if column.name not in names)
    image = None if definition.primary_image in names else definition.primary_image
    draft.tables[table] = replace(definition, columns=kept, primary_image=image)


def _add_activities(draft: Draft, table: TableDefinition) -> None:
    for activity in [one for one in draft.tables.values() if one.is_activity]:
        if activity.name != table.name:
            name = f"{table.name}_{activity.schema_name}s"
            _add_target(draft, activity.name, "regardingobjectid", table, name)


def _add_target(draft: Draft, table: str, lookup: str, target: TableDefinition, name: str) -> None:
    """Let a lookup that has several targets point to one more."""
    definition = draft.tables.get(table)
    column = definition.by_name.get(lookup) if definition else None
    if definition is None or column is None or target.name in column.targets:
        return
    assert len(column.targets) > 1, "a lookup with one target keeps no table beside it"
    change_column(draft, table, replace(column, targets=(*column.targets, target.name)))
    suffix = f"_{table}" if definition.is_activity else ""
    draft.relationships[name] = RelationshipDefinition(
        *(name, target.name, target.primary_id, table, lookup),
        f"{lookup}_{target.name}{suffix}",
        name,
        delete=CascadeDelete.CASCADE,
    )


def _remove_target(draft: Draft, one: RelationshipDefinition) -> None:
    """Let a lookup point to one table less."""
    column = draft.tables[one.referencing].by_name[one.referencing_attribute]
    if len(column.targets) == 2:  # one target keeps no table beside it
        raise refused(
            f"The attribute {column.name} needs two targets at least; delete it instead.", IN_USE
        )
    left = tuple(target for target in column.targets if target != one.referenced)
    change_column(draft, one.referencing, replace(column, targets=left))


def _not_customizable(name: str, found: str, what: str) -> Exception:
    return refused(
        f"The '{what}' operation on the current component(name='{name}', id='{found}') failed "
        "during managed property evaluation of condition: 'Managed Property Name: iscustomizable'",
        NOT_CUSTOMIZABLE,
    )

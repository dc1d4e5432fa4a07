"""Actions on options, and the publishing of changes, which are in force as soon as they are made.

Invariant: an action names its options by a global option set, or by a table and a column.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from holdfast.schema import ColumnType, Option
from holdfast_emulator.behaviour import schema_edits as edits
from holdfast_emulator.behaviour.dataverse import Dataverse
from holdfast_emulator.behaviour.metadata import ColumnDefinition
from holdfast_emulator.behaviour.option_sets import OptionSetDefinition
from holdfast_emulator.behaviour.schema_changes import Draft
from holdfast_emulator.behaviour.schema_rules import refused
from holdfast_emulator.wire.calls import Call, Reply, answer
from holdfast_emulator.wire.column_bodies import option_texts
from holdfast_emulator.wire.definition_body import Body, merged
from holdfast_emulator.wire.definition_writes import begin, nothing_below
from holdfast_emulator.wire.urls import NAMESPACE, Segment

_Act: TypeAlias = Callable[[Call, Sequence[Segment]], Reply]
_Holder: TypeAlias = OptionSetDefinition | ColumnDefinition
_FIRST: Final = 100_000_000
_INT: Final = 2**31 - 1
_CHOICES: Final = (ColumnType.CHOICE, ColumnType.CHOICES, ColumnType.STATUS)
_STATES: Final = (ColumnType.STATE,)


@dataclass(frozen=True, slots=True)
class OptionActions:
    """Answers the actions."""

    dataverse: Dataverse

    def resources(self) -> Mapping[str, Mapping[str, _Act]]:
        """Return what is answered here, by resource and method."""
        actions: Mapping[str, _Act] = {
            "InsertOptionValue": self._insert,
            "UpdateOptionValue": self._update,
            "DeleteOptionValue": self._delete,
            "InsertStatusValue": self._insert_status,
            "UpdateStateValue": self._update_state,
            "OrderOption": self._order,
            "PublishXml": self._publish,
            "PublishAllXml": self._publish_all,
        }
        return {name: {"POST": act} for name, act in actions.items()}

    def _insert(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = self._body(call, path)
        with self.dataverse.schema.drafting() as draft:
            table, holder = _holder(draft, body, (ColumnType.CHOICE, ColumnType.CHOICES))
            value = _add(draft, table, holder, body, None)
        return _inserted(call, "InsertOptionValue", value)

    def _insert_status(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = self._body(call, path)
        with self.dataverse.schema.drafting() as draft:
            table, holder = _holder(draft, body, (ColumnType.STATUS,))
            state = body.whole("StateCode", 0, 0, _INT)
            states = draft.tables[table].by_name["statecode"].by_value
            if state not in states:
                raise refused(f"There is no state {state} of {table}.")
            value = _add(draft, table, holder, body, state)
        return _inserted(call, "InsertStatusValue", value)

    def _update(self, call: Call, path: Sequence[Segment]) -> Reply:
        return self._relabel(call, path, _CHOICES)

    def _update_state(self, call: Call, path: Sequence[Segment]) -> Reply:
        return self._relabel(call, path, _STATES)

    def _relabel(self, call: Call, path: Sequence[Segment], kinds: tuple[ColumnType, ...]) -> Reply:
        body = self._body(call, path)
        with self.dataverse.schema.drafting() as draft:
            table, holder = _holder(draft, body, kinds)
            value = _existing(holder, body)
            merge = body.flag("MergeLabels", default=False)
            text, texts = option_texts(body, value)
            options = tuple(
                replace(one, label=text) if one.value == value and text else one
                for one in holder.options
            )
            parts = {name for name, _, _ in texts} | {f"option:{value}"}
            others = merged(holder.translations, texts, parts, merge=merge)
            _put(draft, table, replace(holder, options=options, translations=others))
        return Reply(204)

    def _delete(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = self._body(call, path)
        with self.dataverse.schema.drafting() as draft:
            table, holder = _holder(draft, body, _CHOICES)
            value = _existing(holder, body)
            if isinstance(holder, ColumnDefinition):
                if value in dict(holder.default_statuses).values():
                    raise refused("Default Status options cannot be deleted.", "0x80044341")
                if holder.default == value:
                    holder = replace(holder, default=None)
            options = tuple(one for one in holder.options if one.value != value)
            suffix = f":{value}"
            texts = tuple(one for one in holder.translations if not one[0].endswith(suffix))
            _put(draft, table, replace(holder, options=options, translations=texts))
        return Reply(204)

    def _order(self, call: Call, path: Sequence[Segment]) -> Reply:
        body = self._body(call, path)
        values = body.take("Values")
        with self.dataverse.schema.drafting() as draft:
            table, holder = _holder(draft, body, _CHOICES)
            known = {one.value: one for one in holder.options}
            if not isinstance(values, list) or any(type(value) is not int for value in values):
                raise body.error("Values must be a list of whole numbers.")
            if sorted(values) != sorted(known):
                raise refused("Values must name each option once.")
            _put(draft, table, replace(holder, options=tuple(known[value] for value in values)))
        return Reply(204)

    def _publish(self, call: Call, path: Sequence[Segment]) -> Reply:
        if not self._body(call, path).text("ParameterXml"):
            raise refused("ParameterXml is missing.")
        return Reply(204)

    def _publish_all(self, call: Call, path: Sequence[Segment]) -> Reply:
        nothing_below(path)
        begin(self.dataverse, call, has_body=False)
        return Reply(204)

    def _body(self, call: Call, path: Sequence[Segment]) -> Body:
        nothing_below(path)
        return begin(self.dataverse, call)


def _holder(draft: Draft, body: Body, kinds: tuple[ColumnType, ...]) -> tuple[str, _Holder]:
    """Return the options that a body names: of which table, and the column or global set."""
    name = body.text("OptionSetName")
    if name:
        if name not in draft.option_sets:
            raise refused(f"There is no global option set '{name[:100]}'.")
        return "", draft.option_sets[name]
    table = draft.tables.get(body.text("EntityLogicalName"))
    column = table.column(body.text("AttributeLogicalName")) if table else None
    if table is None or column is None:
        raise refused("EntityLogicalName and AttributeLogicalName must name a choice column.")
    if column.type not in kinds:
        raise refused(
            "You can delete options only from picklist and status attributes.", "0x80044323"
        )
    if column.global_options is not None:
        return "", draft.option_sets[column.global_options]
    return table.name, column


def _put(draft: Draft, table: str, holder: _Holder) -> None:
    if isinstance(holder, OptionSetDefinition):
        edits.change_option_set(draft, holder)
    else:
        edits.change_column(draft, table, holder)


def _existing(holder: _Holder, body: Body) -> int:
    value = body.whole("Value", 0, -(2**31), _INT)
    if not any(one.value == value for one in holder.options) or not body.has("Value"):
        raise refused(f"There is no option with the value {value}.")
    return value


def _add(draft: Draft, table: str, holder: _Holder, body: Body, state: int | None) -> int:
    taken = {one.value for one in holder.options}
    following = max([_FIRST - 1, *taken]) + 1
    value = body.whole("Value", min(following, _INT), -(2**31), _INT)
    if value in taken:
        raise refused(f"An option with the value {value} already exists.", "0x8004431b")
    text, texts = option_texts(body, value)
    options = (*holder.options, Option(value, text or "", state))
    _put(
        draft,
        table,
        replace(holder, options=options, translations=(*holder.translations, *texts)),
    )
    return value


def _inserted(call: Call, action: str, value: int) -> Reply:
    context = f"{call.root}/$metadata#{NAMESPACE}{action}Response"
    return answer({"@odata.context": context, "NewOptionValue": value})

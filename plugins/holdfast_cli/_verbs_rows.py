"""The verbs that write rows: ``create``, ``update``, ``delete``."""

from __future__ import annotations

from collections.abc import Mapping

from holdfast_cli import _json, _values
from holdfast_cli._open import writing
from holdfast_cli._options import DEFAULT_PROFILE, JsonOption, ProfileOption
from holdfast_cli._render import show


async def create(
    table: str,
    /,
    *values: str,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Create a row here; it is sent with the next sync.

    Values are read by the column's type: true or false, 1250.50, 2026-03-31T08:00 (a time without
    a zone is this machine's), an option by number or label, several as 1,9, a lookup as table:id.
    An empty one (name=) is null.

    :param table: the table, as the profile names it
    :param values: name=value, as in name="Fjord Marine AS" revenue=1250.50
    """
    async with writing(profile) as replica:
        target = replica.table(table)
        row_id = await _values.read(target.schema, values).apply(target.create)
    _tell("created", table, row_id, json=json)


async def update(
    table: str,
    row_id: str,
    /,
    *values: str,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Change columns of a row here; the change is sent with the next sync.

    :param table: the table, as the profile names it
    :param row_id: the row's id
    :param values: name=value, as for create; name= empties a column
    """
    async with writing(profile) as replica:
        target = replica.table(table)

        async def write(given: Mapping[str, object]) -> None:
            await target.update(row_id, given)

        await _values.read(target.schema, values).apply(write)
    _tell("changed", table, row_id, json=json)


async def delete(
    table: str,
    row_id: str,
    /,
    *,
    profile: ProfileOption = DEFAULT_PROFILE,
    json: JsonOption = False,
) -> None:
    """Delete a row here; the deletion is sent with the next sync.

    :param table: the table, as the profile names it
    :param row_id: the row's id
    """
    async with writing(profile) as replica:
        await replica.table(table).delete(row_id)
    _tell("deleted", table, row_id, json=json)


def _tell(done: str, table: str, row_id: str, *, json: bool) -> None:
    if json:
        _json.emit({"table": table, "id": row_id, "done": done})
    else:
        show(f"{done} {table}({row_id}); it is kept here and sent with the next sync")

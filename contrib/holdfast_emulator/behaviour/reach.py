"""Which rows a privilege of one user reaches in one table.

Invariant: a reach is worked out once per question, and then tests rows by their owner and business
unit alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from holdfast_emulator.behaviour.depths import Depths
from holdfast_emulator.behaviour.directory import Directory
from holdfast_emulator.behaviour.metadata import Ownership, TableDefinition
from holdfast_emulator.behaviour.principals import Depth, Privilege, User
from holdfast_emulator.behaviour.row import Cells


@dataclass(frozen=True, slots=True)
class Reach:
    """Less than all rows of a table.

    :param depth: the farthest of what the user and their teams were given
    :param principals: the user and their teams, with whom rows may be shared
    """

    depth: Depth
    principals: frozenset[str]
    owners: frozenset[str]
    units: frozenset[str]

    def test(self, table: TableDefinition) -> Callable[[Cells], bool]:
        """Return the test for rows that are reached."""
        owner = table.positions.get("ownerid")
        if owner is None:
            return lambda _: False
        owners, units = self.owners, self.units
        unit = table.positions.get("owningbusinessunit")
        if unit is None or not units:
            return lambda cells: cells[owner] in owners
        return lambda cells: cells[owner] in owners or cells[unit] in units


def reach_of(
    depths: Depths,
    directory: Directory,
    user: User,
    table: TableDefinition,
    privilege: Privilege,
) -> Reach | None:
    """Return what a privilege of ``user`` reaches; None means all rows.

    Rows without an owner are everybody's who has the privilege at all.
    """
    key = (table.name, privilege)
    most = Depth.GLOBAL if user.real is None else _depth(depths, directory, user.real, key)
    teams = directory.teams(user.id)
    own = _least(depths.of(user.id, *key) or Depth.GLOBAL, most)
    given = {team: _least(depth, most) for team in teams if (depth := depths.of(team, *key))}
    farthest = max([own, *given.values()], key=_rank)
    everything = farthest is not Depth.NONE and table.ownership is not Ownership.USER
    if farthest is Depth.GLOBAL or everything:
        return None
    principals = frozenset((user.id, *teams))
    owners = set(principals) if own is not Depth.NONE else set()
    units = _units(directory, "systemuser", user.id, own)
    for team, depth in given.items():
        if depth is not Depth.NONE:
            owners.add(team)
            units |= _units(directory, "team", team, depth)
    return Reach(farthest, principals, frozenset(owners), units)


def _depth(depths: Depths, directory: Directory, user: User, key: tuple[str, Privilege]) -> Depth:
    """Return the farthest that a user reaches, by themselves or through a team."""
    own = depths.of(user.id, *key)
    given = [depths.of(team, *key) for team in directory.teams(user.id)]
    found = [Depth.GLOBAL if own is None else own, *(depth for depth in given if depth)]
    return max(found, key=_rank)


def _units(directory: Directory, table: str, row_id: str, depth: Depth) -> frozenset[str]:
    if depth is Depth.LOCAL:
        return frozenset((directory.unit_of(table, row_id),))
    if depth is Depth.DEEP:
        return directory.units_below(directory.unit_of(table, row_id))
    return frozenset()


def _least(one: Depth, other: Depth) -> Depth:
    return min(one, other, key=_rank)


def _rank(depth: Depth) -> int:
    return depth.rank

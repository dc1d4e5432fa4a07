"""P22: a file of an older format, of a smaller profile, or not there yet, and killed openings."""

from __future__ import annotations

import pytest

from support.kills.anatomy import as_format_1
from support.kills.ground import Ground
from support.kills.migrating import migration_of

KILLS = 50
WHOLE = [{"name": "account"}, {"name": "contact"}]
NARROW = [
    {"name": "account", "columns": ["name", "telephone1", "address1_city", "revenue"]},
    {"name": "contact", "columns": ["lastname", "parentcustomerid"]},
]


@pytest.mark.timeout(300)
async def test_an_older_format_is_brought_forward_or_left_alone_at_any_kill(
    ground: Ground,
) -> None:
    """Two states only, old and new; rows, outbox and conflicts are the same in both."""
    await ground.unmolested("download")
    await ground.unmolested("look", writes=20)
    as_format_1(ground.path)
    migration = await migration_of(ground, WHOLE)
    assert (migration.old.format, migration.new.format) == (1, 2)
    await migration.at_every_statement()
    await migration.at_any_instant(KILLS)
    assert migration.hits["at a statement"] == len(migration.window) >= KILLS
    assert migration.hits["at any instant"] >= KILLS
    assert migration.states == [migration.old, migration.new]
    await ground.conclude()


@pytest.mark.timeout(300)
async def test_a_profile_that_grew_finds_its_rows_and_ops_after_any_kill(ground: Ground) -> None:
    """There is one state between: laid out, and not noted; the next opening heals it."""
    ground.tables = NARROW
    await ground.unmolested("download")
    await ground.unmolested("look", writes=20)
    migration = await migration_of(ground, WHOLE)
    await migration.at_every_statement()
    assert migration.hits["at a statement"] == len(migration.window) > 10
    first, *between, last = migration.states
    assert (first, len(between), last) == (migration.old, 1, migration.new)
    ground.tables = WHOLE
    await ground.unmolested("download")
    await ground.conclude()


@pytest.mark.timeout(300)
async def test_a_first_opening_that_was_killed_goes_on(ground: Ground) -> None:
    """Nothing, then the storage's own tables, then all of them; no kill leaves what cannot open."""
    migration = await migration_of(ground, WHOLE)
    await migration.at_every_statement()
    assert migration.hits["at a statement"] == len(migration.window) > 4
    assert [len(state.rows) for state in migration.states] == [0, 2, 11]
    await ground.unmolested("download")
    await ground.conclude()

"""Each planted bug is found by the kills that are meant to find it, and by the reason named."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from support.kills.anatomy import as_format_1
from support.kills.downloading import kill_downloads
from support.kills.ground import Ground
from support.kills.migrating import migration_of
from support.kills.sending import kill_sendings
from support.kills.settling import kill_settlings

BUDGET = 25


async def kill_migrations(ground: Ground, kills: int) -> None:
    """Kill the opening of an older file before each statement."""
    mutant = ground.order.pop("mutant")
    await ground.unmolested("download")
    await ground.unmolested("look", writes=5)
    as_format_1(ground.path)
    migration = await migration_of(ground, ground.tables)
    ground.order["mutant"] = mutant
    await migration.at_every_statement()


#: The op is done again; a kill may come while it waits for that, as if it had never been sent.
AGAIN = "done twice|not marked as sent"
BUGS = [
    ("m01_row_and_outbox_in_two_transactions", kill_settlings, "without its op|in two places"),
    ("m02_sent_is_not_stored", kill_sendings, "sent, and not marked as sent"),
    ("m06_own_effect_is_not_recognised", kill_sendings, AGAIN),
    ("m06_own_effect_is_not_recognised", kill_settlings, AGAIN),
    ("m13_checkpoint_is_stored_before_its_rows", kill_downloads, "do not belong together"),
    ("m49_migration_is_not_one_transaction", kill_migrations, "become the new one|ended by itself"),
]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("mutant", "kill", "reason"), BUGS, ids=[f"{m[:3]}-{k.__name__}" for m, k, _ in BUGS]
)
async def test_a_planted_bug_is_found_by_the_kills_meant_for_it(
    ground: Ground,
    mutant: str,
    kill: Callable[[Ground, int], Awaitable[object]],
    reason: str,
    record_property: Callable[[str, object], None],
) -> None:
    ground.order["mutant"] = mutant
    with pytest.raises(AssertionError, match=reason):
        await kill(ground, BUDGET)
    record_property("lives", ground.lives)

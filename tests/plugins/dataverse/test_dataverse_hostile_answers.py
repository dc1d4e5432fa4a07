"""Any answer, to any question: a typed error in words, one outcome for each op, no connection."""

from __future__ import annotations

import pytest

from holdfast.errors import TransportError
from holdfast.model import Connectivity, Op, OpKind
from support.dataverse import (
    NAME_ONLY,
    TOKEN,
    account_id,
    gathered,
    pulled,
    transport_to,
)
from support.hostile import hostile
from support.hostile_answers import CONNECTION, LINKS, PAGES, STRANGERS

ANSWERS = CONNECTION | STRANGERS | PAGES | LINKS


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_page_that_is_none_is_a_typed_error_in_words(name: str) -> None:
    """What happened, then what to do; and the token is nowhere in it."""
    limits = {"timeout": 0.2, "max_wait": 0.2}
    async with hostile(ANSWERS[name]) as server, transport_to(server.url, **limits) as transport:
        with pytest.raises(TransportError) as caught:
            await pulled(transport, NAME_ONLY)
    words = str(caught.value)
    assert words.isprintable()
    assert "; " in words
    chain: list[BaseException] = [caught.value]
    for error in chain:
        chain += [one for one in (error.__cause__, error.__context__) if one and one not in chain]
    assert not any(TOKEN in repr(error) + str(error) for error in chain)


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_batch_reply_that_is_none_leaves_each_op_one_outcome(name: str) -> None:
    ops = [Op(f"o{n}", n, OpKind.CREATE, "account", account_id(n), {"name": "A"}) for n in range(3)]
    limits = {"timeout": 0.2, "max_wait": 0.2, "batch_size": 2, "concurrency": 1}
    async with hostile(ANSWERS[name]) as server, transport_to(server.url, **limits) as transport:
        outcomes, error = await gathered(transport, NAME_ONLY, *ops)
    assert [one.op_id for one in outcomes] == ["o0", "o1", "o2"]
    assert error is None or isinstance(error, TransportError)


@pytest.mark.parametrize("name", ANSWERS)
async def test_nothing_but_a_good_answer_is_a_connection(name: str) -> None:
    limits = {"timeout": 0.2, "max_wait": 0.2}
    async with hostile(ANSWERS[name]) as server, transport_to(server.url, **limits) as transport:
        try:
            found: object = await transport.probe()
        except TransportError as error:
            found = error
    assert found is not Connectivity.CONNECTED

"""When a sync asks and what counts, and what a page and its torn rows come to."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast._plan import guards
from holdfast._plan.guards import Verdict
from holdfast._plan.pages import FEW, checked, has_drifted, settled
from holdfast._plan.quarantine import (
    LONGEST_PAYLOAD,
    MOST_ISSUES,
    MOST_PAYLOADS,
    Quarantined,
    key_of,
    quarantined,
    questions,
)
from holdfast._tables import IssueState
from holdfast.model import Op, OpKind, OpState, Page, Unreadable
from holdfast.profile import Limit
from holdfast.schema import Field, Kind
from holdfast.status import Cause, Extent, IssueKind

counts = st.integers(0, 10_000)


# How many.


@given(counts, counts)
def test_the_usual_limit_is_fifty_rows_or_a_fifth_whichever_is_more(count: int, of: int) -> None:
    assert Limit().allows(count, of) == (count <= max(50, of / 5))


@given(counts, counts, st.none() | counts, st.none() | st.builds(Limit, rows=st.integers(0, 99)))
def test_a_question_is_never_about_less_than_what_would_go(
    count: int, of: int, asked: int | None, limit: Limit | None
) -> None:
    question = None if asked is None else Extent(asked, of)
    verdict = guards.judge(limit, count, of, question)
    if verdict is Verdict.GO:
        assert not count or limit is None or limit.allows(count, of)
    elif verdict is Verdict.WAIT:
        assert asked is not None
        assert count <= asked
    else:
        assert asked is None or count > asked


def test_nothing_never_asks() -> None:
    assert guards.judge(Limit(rows=0, percent=0), 0, 0, None) is Verdict.GO


def test_what_the_profile_gave_up_does_not_count_and_what_is_gone_does() -> None:
    causes = {Cause.DELETED: 3, Cause.LEFT: 5}
    assert guards.weighed(causes, chosen_anew=False) == causes
    assert guards.weighed(causes, chosen_anew=True) == {Cause.DELETED: 3}


# Deletes.


def op(number: int, kind: OpKind = OpKind.DELETE, *, row: int | None = None) -> Op:
    return Op(f"o{number}", number, kind, "t", f"r{number if row is None else row}")


def test_deletes_that_nobody_has_agreed_to_are_counted() -> None:
    ops = [
        op(1),
        replace(op(2), state=OpState.SENT),
        replace(op(3), state=OpState.HELD),  # in a conflict
        replace(op(4), state=OpState.HELD),  # asked about
        replace(op(5), allowed=True),
        op(6, OpKind.UPDATE),
        op(7, OpKind.CREATE),
        op(8, row=7),
        replace(op(9), table="u"),
        op(10),
        op(11, OpKind.CREATE, row=10),
    ]
    found = guards.deletes(ops, {"o4"}, guards.created(ops))
    assert [each.id for each in found["t"].ops] == ["o1", "o2", "o4", "o10"]
    assert [each.id for each in found["t"].waiting] == ["o1", "o10"]
    assert [each.id for each in found["u"].waiting] == ["o9"]


# Pages.


def page(records: str = "", gone: str = "", torn: str = "") -> Page:
    """Return a page; a letter is an id, and what stands behind it a version."""
    rows = [(row[0], row[1:]) for row in records.split()]
    unreadable = [Unreadable(None if row == "-" else row, "?") for row in torn.split()]
    return Page(rows, gone.split(), "c", last=True, unreadable=unreadable)


@pytest.mark.parametrize(
    ("given", "records", "gone"),
    [
        (page("a1 b1", "c"), "a1 b1", "c"),
        (page("a1 b1 a2"), "a2 b1", ""),
        (page("a1 a1"), "a1", ""),
        (page("a1", "a b b"), "a1", "b"),
        (page("a1 b1", "c", "a c"), "b1", ""),
        (page("a1", "b", "-"), "a1", "b"),
    ],
)
def test_a_page_says_each_thing_once(given: Page, records: str, gone: str) -> None:
    after = settled(given)
    assert [f"{row[0]}{row[1]}" for row in after.records] == records.split()
    assert list(after.tombstones) == gone.split()
    assert (after.checkpoint, after.last, after.unreadable) == ("c", True, given.unreadable)


def test_a_page_without_a_row_that_makes_sense_tells_of_another_schema() -> None:
    torn = " ".join(map(str, range(FEW + 1)))
    assert has_drifted(page(torn=torn))
    assert has_drifted(page(gone="x", torn=torn))
    assert not has_drifted(page(records="a1", torn=torn))
    assert not has_drifted(page(torn=torn[2:]))


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Kind.TEXT, ["", "Ø", "\U0001f600", None], [5, "\ud800", b"x"]),
        (Kind.INTEGER, [0, 2**63 - 1, -(2**63), None], [True, 1.0, 2**63, -(2**63) - 1]),
        (Kind.REAL, [0.0, -1e300, None], [1, float("nan"), float("inf")]),
        (Kind.DECIMAL, [Decimal("1e30"), None], [1, 1.0, Decimal("NaN"), Decimal("-Infinity")]),
        (Kind.BOOLEAN, [True, False, None], [1, "true"]),
        (Kind.DATETIME, ["2024-01-01", None], [5]),
    ],
)
def test_a_record_has_cells_that_a_storage_takes(
    kind: Kind, good: list[Any], bad: list[Any]
) -> None:
    fields = (Field("id", Kind.KEY), Field("x", kind))
    fine = [(str(n), cell, "v") for n, cell in enumerate(good)]
    assert checked(Page(fine, (), "c", last=True), fields).records is fine
    torn = [(f"-{n}", cell, "v") for n, cell in enumerate(bad)]
    page = checked(Page([*fine, *torn], ("t",), "c", last=True), fields)
    assert list(page.records) == fine
    assert [row.row_id for row in page.unreadable] == [record[0] for record in torn]
    assert {row.reason for row in page.unreadable} == {
        f"the transport gave x a cell that is no {kind.value}"
    }
    assert page.tombstones == ("t",)


# Rows put aside.


def state(subject: str | None, count: int = 0) -> IssueState:
    extent = None if subject else Extent(count, 500)
    kind = IssueKind.UNREADABLE
    return IssueState(f"i-{subject}", kind, "t", "", (), "", "", "", extent, subject)


def rows(count: int) -> list[Quarantined]:
    return [Quarantined(f"t/{n}", "t", str(n), "?", "", "", 1) for n in range(count)]


def test_a_few_rows_have_an_issue_each() -> None:
    asked = questions(3, rows(3), [state("t/1"), state("t/9")])
    assert [row.key for row in asked.rows] == ["t/0", "t/2"]
    assert (asked.together, asked.closed) == (0, ("i-t/9",))
    assert questions(0, [], [state("t/1"), state(None)]).closed == ("i-t/1", "i-None")
    assert len(questions(MOST_ISSUES, rows(MOST_ISSUES), []).rows) == MOST_ISSUES


def test_many_have_one_and_it_is_kept_up_to_date() -> None:
    many = MOST_ISSUES + 1
    first = questions(many, rows(many), [state("t/1")])
    assert (first.rows, first.together, first.closed) == ((), many, ("i-t/1",))
    assert questions(many, rows(many), [state(None, many)]).together == 0
    assert questions(many + 5, rows(many), [state(None, many)]).together == many + 5
    few = questions(1, rows(1), [state(None, many)])
    assert ([row.key for row in few.rows], few.closed) == (["t/0"], ("i-None",))


def test_what_is_kept_of_a_row_is_bounded() -> None:
    torn = Unreadable("a", "r" * 1000, "p" * 100_000)
    kept = quarantined("t", torn, seen="now", generation=2, known=MOST_PAYLOADS - 1)
    assert (len(kept.reason), len(kept.payload)) == (200, LONGEST_PAYLOAD)
    assert quarantined("t", torn, seen="now", generation=2, known=MOST_PAYLOADS).payload == ""


@given(st.text(), st.text())
def test_a_row_without_an_id_is_known_by_what_came(one: str, other: str) -> None:
    keys = {key_of("t", Unreadable(None, "?", text)) for text in (one, other, one)}
    assert len(keys) == len({one, other})
    assert key_of("t", Unreadable("a", "?", one)) == "t/a"
    assert all(key.startswith("t/?") for key in keys)

"""Lookup paths and lambdas: what they mean, and how they are refused and written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Compare,
    Comparison,
    Expression,
    InState,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Related,
    RowMark,
    predicate,
)
from holdfast.schema import TableSchema
from holdfast.values import Cell
from support.odata import (
    ACCOUNT,
    CONTACT,
    GUID,
    LANGUAGE,
    TABLES,
    TASK,
    USER,
    C,
    MemoryRows,
    link_text,
    linked,
    of,
)

TASK_N = Compare(C.EQ, of(TASK, "n"), Literal(1))


def lead(where: Expression) -> Related:
    """Ask the primary contact of an account."""
    return Related("contact", of(CONTACT, "contactid"), of(ACCOUNT, "primarycontactid"), where)


def customer(where: Expression) -> Related:
    """Ask the account of a contact."""
    return Related("account", of(ACCOUNT, "accountid"), of(CONTACT, "parentcustomerid"), where)


def tasks(where: Expression) -> Related:
    """Ask the tasks of an account."""
    return Related("task", of(TASK, "regardingid"), of(ACCOUNT, "accountid"), where)


def duties(where: Expression) -> Related:
    """Ask the tasks of a contact."""
    return Related("task", of(TASK, "regardingid"), of(CONTACT, "contactid"), where)


def contacts(where: Expression) -> Related:
    """Ask the contacts of an account."""
    return Related("contact", of(CONTACT, "parentcustomerid"), of(ACCOUNT, "accountid"), where)


def is_(table: TableSchema, name: str, operator: Comparison, cell: Cell) -> Compare:
    return Compare(operator, of(table, name), Literal(cell))


def outer(where: Expression) -> Expression:
    return Or((Not(lead(EVERYTHING)), lead(where)))


AGE = of(CONTACT, "age")
READ: Mapping[str, Expression] = {
    # A positive test wants a row; a negative one is true without any.
    "primarycontactid/fullname eq 'x'": lead(is_(CONTACT, "fullname", C.EQ, "x")),
    "primarycontactid/fullname ne 'x'": outer(is_(CONTACT, "fullname", C.NE, "x")),
    "'x' ne primarycontactid/fullname": outer(Compare(C.NE, Literal("x"), of(CONTACT, "fullname"))),
    "primarycontactid/age eq null": outer(IsNull(AGE)),
    "primarycontactid/age ne null": lead(IsNull(AGE, negated=True)),
    "not contains(primarycontactid/fullname,'x')": outer(
        Like(of(CONTACT, "fullname"), "%x%", negated=True)
    ),
    # A negation goes to the operator, not around the row.
    "not (primarycontactid/age gt 5)": lead(is_(CONTACT, "age", C.LE, 5)),
    "not primarycontactid/age ne 5": lead(is_(CONTACT, "age", C.EQ, 5)),
    # Without a row both columns are null, and so do not differ.
    "primarycontactid/age ne primarycontactid/height": lead(
        Compare(C.NE, AGE, of(CONTACT, "height"))
    ),
    # Whether there is a row at all.
    "primarycontactid/contactid ne null": lead(EVERYTHING),
    "primarycontactid/contactid eq null": Not(lead(EVERYTHING)),
    "primarycontactid eq null": IsNull(of(ACCOUNT, "primarycontactid")),
    "primarycontactid/customer_contact ne null": lead(
        IsNull(of(CONTACT, "parentcustomerid"), negated=True)
    ),
    "primarycontactid/_parentcustomerid_value eq null": outer(
        IsNull(of(CONTACT, "parentcustomerid"))
    ),
    # Any depth; a lookup with several targets has a name for each.
    "primarycontactid/customer_account/parentid/name eq 'x'": lead(
        customer(
            Related(
                "account",
                of(ACCOUNT, "accountid"),
                of(ACCOUNT, "parentid"),
                is_(ACCOUNT, "name", C.EQ, "x"),
            )
        )
    ),
    "primarycontactid/customer_account/n ne 1": Or(
        (Not(lead(customer(EVERYTHING))), lead(customer(is_(ACCOUNT, "n", C.NE, 1))))
    ),
    # An owner is described by the parent of its tables; one of them is kept.
    "ownerid/fullname eq 'x'": Related(
        "systemuser",
        of(USER, "systemuserid"),
        of(ACCOUNT, "ownerid"),
        is_(USER, "fullname", C.EQ, "x"),
    ),
    # Lambdas.
    "tasks/any()": tasks(EVERYTHING),
    "not tasks/any()": Not(tasks(EVERYTHING)),
    "tasks/any(t:t/n eq 1)": tasks(TASK_N),
    "tasks/any( t : ( t/n eq 1 or not t/subject eq 'ø' ) )": tasks(
        Or((TASK_N, is_(TASK, "subject", C.NE, "ø")))
    ),
    "tasks/all(t:t/n eq 1)": Not(tasks(is_(TASK, "n", C.NE, 1))),
    "not tasks/all(t:t/n eq 1)": tasks(is_(TASK, "n", C.NE, 1)),
    "not tasks/any(t:t/n eq 1) and n eq 1": And((Not(tasks(TASK_N)), is_(ACCOUNT, "n", C.EQ, 1))),
    "contacts/any(c:c/duties/any(t:t/n eq 1) and c/age gt 5)": contacts(
        And((duties(TASK_N), is_(CONTACT, "age", C.GT, 5)))
    ),
    "contacts/all(c:c/duties/all(t:t/n eq 1))": Not(contacts(duties(is_(TASK, "n", C.NE, 1)))),
    "contacts/any(any:any/age eq 5)": contacts(is_(CONTACT, "age", C.EQ, 5)),
    # A path inside a lambda, and the reverse relationship that the other side describes.
    "contacts/any(c:c/customer_account/n ne 1)": contacts(
        Or((Not(customer(EVERYTHING)), customer(is_(ACCOUNT, "n", C.NE, 1))))
    ),
    # Our own words, of this row and of others.
    "holdfast.pending() or not holdfast.conflicted ( )": Or(
        (InState(RowMark.PENDING), Not(InState(RowMark.CONFLICTED)))
    ),
    "tasks/any(t:t/holdfast.local())": tasks(InState(RowMark.LOCAL)),
    "not primarycontactid/holdfast.pending()": lead(Not(InState(RowMark.PENDING))),
}


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_a_link_is_read(text: str, expression: Expression) -> None:
    assert linked(text) == expression


@pytest.mark.parametrize("text", [text for text in READ if "holdfast" not in text])
def test_a_link_that_was_read_is_written_so_that_it_reads_the_same(text: str) -> None:
    assert linked(link_text(linked(text))) == linked(text)


#: The filter, with "^" before the place that the refusal points to; what it says.
REFUSED: Mapping[str, str] = {
    "^primarycontact/age eq 1": "did you mean 'primarycontactid'?",
    "^PrimaryContactId/age eq 1": "account has no navigation property 'PrimaryContactId'; "
    "did you mean 'primarycontactid'?",
    "primarycontactid/^customer/n eq 1": "contact has no navigation property 'customer'",
    "primarycontactid/^agee eq 1": "contact has no column 'agee'; did you mean 'age'?",
    "^name/age eq 1": "'name' is no lookup, so no path leads on from it",
    "^tasks/n eq 1": "'tasks' is a collection; look into it with any or all",
    "^tasks eq null": "'tasks' is a collection; look into it with any or all",
    "primarycontactid ^eq 5": "compared with null only; write '_primarycontactid_value'",
    "n eq ^primarycontactid": "a navigation property is compared with null only",
    "n eq ^primarycontactid/age": "only where they are of the same row",
    "contains(^primarycontactid,'a')": "looks into text; 'primarycontactid' is lookup",
    "^farid/name eq 'a'": "'farid' leads to elsewhere, which is not kept offline; "
    "add elsewhere to the profile",
    "^notes/any()": "'notes' leads to note, which is not kept offline; add note to the profile",
    "^task/any()": "account has no collection 'task'; did you mean 'tasks'?",
    "^zzzz/any()": "account has no collection 'zzzz'; none is called like this",
    "^primarycontactid/any()": "'primarycontactid' leads to one row",
    "primarycontactid/^duties/any()": "'duties' is a collection behind a lookup",
    "^zzzz/duties/any()": "account has no navigation property 'zzzz'",
    "tasks/all^()": "'all' needs a condition",
    "^any(t:t/n eq 1)": "lambda 'any' follows a collection",
    "tasks/any(n ^eq 1)": "found 'eq', expected ':', as in any(x:x/name eq 'a')",
    "tasks/any(^'a')": 'found "\'", expected a name for the rows',
    "tasks/any(t:^n eq 1)": "found 'n', expected 't/…'",
    "tasks/any(t:^t eq 1)": "'t' is a whole row; write a path such as 't/name'",
    "tasks/any(t:t/^nn eq 1)": "task has no column 'nn'",
    "contacts/any(c:^duties/any())": "found 'duties/any', expected 'c/…'",
    "contacts/any(c:c/^any())": "'any' looks into a collection of 'c'",
    "contacts/any(c:c/duties/any(t:^c/age eq 1))": "found 'c/age', expected 't/…'",
    "tasks/any(t:t/n eq 1^": "the filter ends too early, expected ')'",
    "primarycontactid^/": "a path has a name on either side of it",
    "^tasks/$count eq 1": "'tasks/$count' is not supported",
    "primarycontactid/^Microsoft.Dynamics.CRM.contact/age eq 1": "qualified name",
    "^holdfast.pendingg()": "holdfast has no word 'pendingg'; did you mean 'pending'?",
    "^holdfast.x()": "there are pending, conflicted, local",
    "holdfast.pending(^1)": "found '1', expected ')'",
    "^pending()": "function 'pending' is called 'holdfast.pending'",
    "^" + "parentid/" * 16 + "name eq 'a'": "over more than 15 lookups",
}


@pytest.mark.parametrize(("marked", "message"), REFUSED.items(), ids=map(ascii, REFUSED))
def test_a_link_is_refused_by_name_and_place(marked: str, message: str) -> None:
    with pytest.raises(FilterError) as raised:
        linked(marked.replace("^", "", 1))
    assert message in str(raised.value)
    assert raised.value.position == marked.index("^")


def test_at_most_fifteen_lambdas_are_read() -> None:
    whole = " and ".join(["tasks/any()"] * 15)
    assert linked(link_text(linked(whole))) == linked(whole)
    with pytest.raises(FilterError, match="more than 15 lambdas"):
        linked(f"{whole} and tasks/any()")
    with pytest.raises(FilterError, match="more than 15 other tables"):
        link_text(And((linked(whole), tasks(EVERYTHING))))


def test_a_path_over_fifteen_lookups_is_read_and_written_and_a_longer_one_is_not() -> None:
    path = "parentid/" * 15 + "name eq 'a'"
    assert link_text(linked(path)) == path
    parent = of(ACCOUNT, "parentid")
    longer = Related("account", of(ACCOUNT, "accountid"), parent, linked(path))
    with pytest.raises(FilterError, match="a path goes over more than 15 lookups"):
        link_text(longer)


def test_a_table_finds_itself_without_the_others() -> None:
    expression = LANGUAGE.parse("children/any(c:c/parentid/n ne 1)", ACCOUNT, {})
    assert LANGUAGE.render(expression, ACCOUNT, {}) == "children/any(x1:x1/parentid/n ne 1)"


def test_a_collection_needs_the_column_that_points_here() -> None:
    tables = {**TABLES, "task": TASK.only(["n"])}
    with pytest.raises(FilterError, match="'tasks' needs 'regardingid' of task"):
        LANGUAGE.parse("tasks/any()", ACCOUNT, tables)


def test_a_lookup_that_is_not_kept_leads_nowhere() -> None:
    account = ACCOUNT.only(["name"])
    with pytest.raises(FilterError, match="has no navigation property 'primarycontactid'"):
        LANGUAGE.parse("primarycontactid/age eq 1", account, TABLES)


# --- what is written ----------------------------------------------------------------------------

WRITTEN: tuple[tuple[Expression, str], ...] = (
    (lead(EVERYTHING), "primarycontactid/contactid ne null"),
    (Not(lead(EVERYTHING)), "primarycontactid/contactid eq null"),
    (outer(IsNull(AGE)), "primarycontactid/age eq null"),
    # Null meets the test, so a row must be there, too.
    (
        lead(IsNull(AGE)),
        "primarycontactid/contactid ne null and primarycontactid/age eq null",
    ),
    (
        lead(And((IsNull(AGE), is_(CONTACT, "height", C.EQ, 1)))),
        "primarycontactid/age eq null and primarycontactid/height eq 1",
    ),
    (
        lead(Not(customer(EVERYTHING))),
        (
            "primarycontactid/contactid ne null "
            "and primarycontactid/customer_account/accountid eq null"
        ),
    ),
    # "Not related" is true without a row and where the test is not true.
    (Not(lead(is_(CONTACT, "age", C.EQ, 1))), "primarycontactid/age ne 1"),
    (
        Not(lead(is_(CONTACT, "age", C.NE, 1))),
        "primarycontactid/contactid eq null or primarycontactid/age eq 1",
    ),
    (
        Not(lead(is_(CONTACT, "age", C.GT, 1))),
        "primarycontactid/age le 1 or primarycontactid/age eq null",
    ),
    (
        tasks(Not(is_(TASK, "n", C.EQ, 1))),
        "tasks/any(x1:x1/n ne 1 and x1/n ne null)",
    ),
    (
        contacts(Or((duties(TASK_N), Not(duties(EVERYTHING))))),
        "contacts/any(x1:x1/duties/any(x2:x2/n eq 1) or not x1/duties/any())",
    ),
    (tasks(Or()), "accountid eq null"),
    (Not(tasks(Or())), "accountid ne null"),
    (tasks(Not(Not(TASK_N))), "tasks/any(x1:x1/n eq 1)"),
)


@pytest.mark.parametrize(("expression", "text"), WRITTEN, ids=[text for _, text in WRITTEN])
def test_a_link_is_written_so(expression: Expression, text: str) -> None:
    assert link_text(expression) == text


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (lead(duties(EVERYTHING)), "'duties' is a collection behind a lookup"),
        (Not(lead(duties(EVERYTHING))), "'duties' is a collection behind a lookup"),
        (replace(lead(EVERYTHING), table="team"), "team is not kept offline"),
        (
            replace(lead(EVERYTHING), own=of(ACCOUNT, "name")),
            "no relationship of account leads from 'name' to 'contactid' of contact",
        ),
        (
            replace(tasks(EVERYTHING), field=of(TASK, "activityid")),
            "no relationship of account leads from 'accountid' to 'activityid' of task",
        ),
        (lead(TASK_N), "contact has no column 'n'"),
        (
            Compare(
                Comparison.EQ,
                of(ACCOUNT, "createdon"),
                Literal("2026-03-31T08:00:00", local=True),
            ),
            "a time without a zone is the asker's",
        ),
        (InState(RowMark.PENDING), "the server does not know which rows are pending here"),
        (Not(tasks(InState(RowMark.LOCAL))), "the server does not know which rows are local here"),
    ],
)
def test_a_link_without_a_name_is_refused(expression: Expression, message: str) -> None:
    with pytest.raises(FilterError) as raised:
        link_text(expression)
    assert message in str(raised.value)


def test_the_deepest_filter_is_read_written_and_evaluated() -> None:
    """Neither the parser nor whoever walks the expression runs out of stack."""
    at, inside = "account", "parentid/" * 14 + "n ne 1"
    for level in range(14, -1, -1):
        prefix = f"x{level - 1}/" if level else ""
        inside = f"{prefix}children/all(x{level}:{f'x{level}/' if level == 14 else ''}{inside})"
        for turn in range(5):
            inside = f"{prefix}n eq 7 or {prefix}n ne {turn} and not ({inside})"
    expression = linked(inside)
    rows = MemoryRows({at: [{"accountid": GUID, "parentid": GUID, "n": 1}]})
    (row,) = rows.all(at)
    answers = [
        predicate(one, ACCOUNT.positions, related=rows)(row)
        for one in (expression, linked(link_text(expression)))
    ]
    assert answers[0] is answers[1]


@pytest.mark.timeout(20)  # what takes quadratic time takes minutes
@pytest.mark.parametrize(
    "text",
    [
        "tasks/any(t:" * 5_000,
        "children/any(c:c/" * 3_000,
        "parentid/n ne 1 or " * 3_400 + "n eq 1",
        "parentid/" * 7_000 + "n eq 1",
        "parentid/" * 7_000 + "any()",
        "parentid/" * 7_000 + "Microsoft.Dynamics.CRM.Today()",
        "tasks/any() or " * 4_000 + "n eq 1",
        "holdfast.pending() or " * 2_900 + "n eq 1",
        "Microsoft.Dynamics.CRM.In(PropertyName='" + "a/" * 30_000 + "',PropertyValues=[1])",
        "Microsoft.Dynamics.CRM.Today(" + "PropertyName='n'," * 3_000,
        "parentid/n ne parentid/m and " * 2_000 + "not parentid/n gt 1",
    ],
    ids=lambda text: text[:30],
)
def test_a_hostile_link_ends_in_linear_time_and_in_no_other_error(text: str) -> None:
    try:
        expression = linked(text)
        link_text(expression)
    except FilterError:
        return

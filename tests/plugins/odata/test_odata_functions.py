"""The query functions of Dataverse: what they mean, and how they are refused and written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Literal,
    Not,
    Or,
    Period,
    Related,
    Who,
)
from holdfast.schema import DateBehavior
from support.odata import ACCOUNT, CONTACT, GUID, C, link_text, linked, of

CRM = "Microsoft.Dynamics.CRM."
CREATED, DAY, WALL = (of(ACCOUNT, name) for name in ("createdon", "day", "wall"))
N, OPTIONS, OWNER, PARENT = (of(ACCOUNT, n) for n in ("n", "options", "ownerid", "parentid"))
LOCAL, DATE, CLOCK = (
    DateBehavior.USER_LOCAL,
    DateBehavior.DATE_ONLY,
    DateBehavior.TIME_ZONE_INDEPENDENT,
)


def during(period: Period, *operands: int | str) -> During:
    return During(CREATED, LOCAL, period, operands)


def tree(branch: Branch, *, negated: bool = False) -> InHierarchy:
    return InHierarchy(PARENT, "account", "parentid", GUID, branch, negated)


def lead(where: Expression) -> Related:
    own = of(ACCOUNT, "primarycontactid")
    return Related("contact", of(CONTACT, "contactid"), own, where)


def number(operator: Comparison, cell: int) -> Compare:
    return Compare(operator, N, Literal(cell))


OUTSIDE = Or((number(C.LT, 1), number(C.GT, 5), IsNull(N)))
INSIDE = And((number(C.GE, 1), number(C.LE, 5)))
LEAD_CREATED = During(of(CONTACT, "createdon"), LOCAL, Period.TODAY)

#: Without the namespace, which stands where "#" does.
READ: Mapping[str, Expression] = {
    '#Between(PropertyName=\'n\',PropertyValues=["1","5"])': INSIDE,
    "#NotBetween(PropertyValues=[1,5],PropertyName='n')": OUTSIDE,
    "not #Between(PropertyName='n',PropertyValues=['1','5'])": OUTSIDE,
    "not #NotBetween(PropertyName='n',PropertyValues=['1','5'])": INSIDE,
    "#ContainValues(PropertyName='options',PropertyValues=['9','1'])": HasOption(OPTIONS, (1, 9)),
    "#DoesNotContainValues(PropertyName='options',PropertyValues=['9'])": HasOption(
        OPTIONS, (9,), negated=True
    ),
    "not #ContainValues(PropertyName='options',PropertyValues=['9'])": HasOption(
        OPTIONS, (9,), negated=True
    ),
    # In of a multi-select is for exactly those options.
    "#In(PropertyName='options',PropertyValues=['9','1,2'])": Compare(
        C.EQ, OPTIONS, Literal("1,2,9")
    ),
    "not #In(PropertyName='options',PropertyValues=['9'])": Compare(C.NE, OPTIONS, Literal("9")),
    "#EqualUserId(PropertyName='ownerid')": IsCaller(OWNER, Who.USER),
    "not #EqualUserId(PropertyName='ownerid')": IsCaller(OWNER, Who.USER, negated=True),
    "#NotEqualBusinessId(PropertyName='ownerid')": IsCaller(OWNER, Who.BUSINESS_UNIT, negated=True),
    "#EqualUserOrUserHierarchyAndTeams(PropertyName='ownerid')": IsCaller(
        OWNER, Who.USER_OR_REPORTS_OR_TEAMS
    ),
    "#EqualUserLanguage(PropertyName='language')": IsCaller(of(ACCOUNT, "language"), Who.LANGUAGE),
    # No operator says "none of my teams": null stays out.
    "not #EqualUserTeams(PropertyName='ownerid')": Not(IsCaller(OWNER, Who.TEAMS)),
    f"#Above(PropertyName='parentid',PropertyValue='{GUID}')": tree(Branch.ABOVE),
    f"#UnderOrEqual(PropertyName='parentid',PropertyValue='{{{GUID}}}')": tree(
        Branch.UNDER_OR_EQUAL
    ),
    f"#NotUnder(PropertyName='parentid',PropertyValue={GUID})": tree(
        Branch.UNDER_OR_EQUAL, negated=True
    ),
    f"not #Under(PropertyName='parentid',PropertyValue='{GUID}')": Not(tree(Branch.UNDER)),
    f"#AboveOrEqual(PropertyName='accountid',PropertyValue='{GUID}')": InHierarchy(
        of(ACCOUNT, "accountid"), "account", "parentid", GUID, Branch.ABOVE_OR_EQUAL
    ),
    "#On(PropertyName='createdon',PropertyValue='2024-02-29')": during(Period.ON, "2024-02-29"),
    "#OnOrAfter(PropertyName='day',PropertyValue=2024-02-29T10:00:00Z)": During(
        DAY, DATE, Period.ON_OR_AFTER, ("2024-02-29",)
    ),
    "#OnOrBefore(PropertyName='wall',PropertyValue='2024-02-29T10:00')": During(
        WALL, CLOCK, Period.ON_OR_BEFORE, ("2024-02-29",)
    ),
    "#Today(PropertyName='createdon')": during(Period.TODAY),
    "not #Last7Days(PropertyName='createdon')": Not(during(Period.LAST_SEVEN_DAYS)),
    "#LastXDays(PropertyName='createdon',PropertyValue='12')": during(Period.LAST_X_DAYS, 12),
    "#OlderThanXMinutes(PropertyName='wall',PropertyValue=5)": During(
        WALL, CLOCK, Period.OLDER_THAN_X_MINUTES, (5,)
    ),
    "#InFiscalPeriod(PropertyName='day',PropertyValue=0)": During(
        DAY, DATE, Period.IN_FISCAL_PERIOD, (0,)
    ),
    "#InFiscalPeriodAndYear(PropertyName='createdon',PropertyValue2=2024,PropertyValue1=3)": during(
        Period.IN_FISCAL_PERIOD_AND_YEAR, 3, 2024
    ),
    # Behind a path, on either side of the function's name, and inside a lambda.
    "primarycontactid/#Today(PropertyName='createdon')": lead(LEAD_CREATED),
    "#Today(PropertyName='primarycontactid/createdon')": lead(LEAD_CREATED),
    "not primarycontactid/#Today(PropertyName='createdon')": lead(Not(LEAD_CREATED)),
    "primarycontactid/#NotIn(PropertyName='age',PropertyValues=['1'])": Or(
        (Not(lead(EVERYTHING)), lead(In(of(CONTACT, "age"), (1,), negated=True)))
    ),
    "contacts/any(c:c/#Today(PropertyName='createdon'))": Related(
        "contact", of(CONTACT, "parentcustomerid"), of(ACCOUNT, "accountid"), LEAD_CREATED
    ),
}


@pytest.mark.parametrize(("text", "expression"), READ.items(), ids=READ)
def test_a_function_is_read_and_written_so_that_it_reads_the_same(
    text: str, expression: Expression
) -> None:
    assert linked(text.replace("#", CRM)) == expression
    assert linked(link_text(expression)) == expression


def operands(period: Period) -> tuple[int | str, ...]:
    return ("2024-02-29",) if period.takes_day else tuple(range(1, period.numbers + 1))


@pytest.mark.parametrize("period", Period)
def test_every_period_has_a_function(period: Period) -> None:
    for expression in (during(period, *operands(period)), Not(during(period, *operands(period)))):
        assert linked(link_text(expression)) == expression


@pytest.mark.parametrize("who", Who)
def test_every_caller_has_a_function(who: Who) -> None:
    column = of(ACCOUNT, "language") if who is Who.LANGUAGE else OWNER
    assert linked(link_text(IsCaller(column, who))) == IsCaller(column, who)


@pytest.mark.parametrize("branch", Branch)
def test_every_branch_has_a_function(branch: Branch) -> None:
    assert linked(link_text(tree(branch))) == tree(branch)


def test_there_are_as_many_functions_as_dataverse_documents() -> None:
    """The table of operators that the emulator was written from has these, and the lists."""
    from holdfast_emulator.queries.odata import functions
    from holdfast_odata import _names

    assert set(_names.FUNCTIONS) == set(functions._NAMES)
    for name, function in _names.FUNCTIONS.items():
        theirs = functions.parameters(functions._NAMES[name])
        assert ("PropertyName", *function.parameters) == theirs


#: The filter, with "^" before the place that the refusal points to; what it says.
REFUSED: Mapping[str, str] = {
    "^#Tody(PropertyName='createdon')": "has no function 'Microsoft.Dynamics.CRM.Tody'; did you",
    "^#Contains(PropertyName='name',PropertyValue='a')": "Dataverse has no function",
    "contacts/any(c:c/^#Foo(PropertyName='name'))": "Dataverse has no function",
    "contacts/any(c:^#Today(PropertyName='createdon'))": "expected 'c/…'",
    "^Today(PropertyName='createdon')": "is called 'Microsoft.Dynamics.CRM.Today'",
    "#Today(^)": "found ')', expected PropertyName='…'",
    "#Today(PropertyName=^createdon)": "expected a text in single quotes",
    "#Today(PropertyName=^5)": "found 5, expected a column's name in single quotes",
    "#Today(PropertyName='createdon',^PropertyValue=1)": "found PropertyValue; ",
    "#Today(PropertyName='createdon',^PropertyName='day')": "found PropertyName a second time",
    "^#LastXDays(PropertyName='createdon')": "needs PropertyValue",
    "^#InFiscalPeriodAndYear(PropertyName='createdon',PropertyValue1=1)": "needs PropertyValue2",
    "#LastXDays(PropertyName='createdon',^PropertyValue=['1'])": "PropertyValue takes one value",
    "#In(PropertyName='n',^PropertyValues='1')": 'PropertyValues takes a list such as ["1"]',
    "#LastXDays(PropertyName='createdon',PropertyValue=^0)": "a whole number, 1 or more",
    "#LastXDays(PropertyName='createdon',PropertyValue=^-1)": "a whole number, 1 or more",
    "#LastXDays(PropertyName='createdon',PropertyValue=^1.5)": "a whole number, 1 or more",
    "#LastXDays(PropertyName='createdon',PropertyValue=^2147483648)": "a whole number",
    "#LastXDays(PropertyName='createdon',PropertyValue=^'x')": "a whole number, 1 or more",
    "#LastXDays(PropertyName='createdon',PropertyValue=^@p)": "parameter alias '@p'",
    "#LastXHours(PropertyName=^'day',PropertyValue=1)": "'day' keeps days",
    "#Today(PropertyName=^'name')": "Today is not for 'name', which is string",
    "#On(PropertyName='createdon',PropertyValue=^'2024-02-30')": "expected a day such as",
    "#On(PropertyName='createdon',PropertyValue=^'2024-02-29T10:00:00Z')": "expected a day",
    "#Between(PropertyName='n',PropertyValues=[^'1'])": "found 1 values, expected two",
    "#Between(PropertyName=^'options',PropertyValues=['1','2'])": "Between is not for 'options'",
    "#ContainValues(PropertyName=^'n',PropertyValues=['1'])": "ContainValues is not for 'n'",
    "#ContainValues(PropertyName='options',PropertyValues=[^'a'])": "options such as '1,2'",
    "#In(PropertyName=^'description',PropertyValues=['a'])": "a column of long text",
    "#In(PropertyName=^'photo',PropertyValues=['a'])": "In is not for 'photo'",
    "#In(PropertyName=^'nn',PropertyValues=[1])": "account has no column 'nn'; did you mean 'n'?",
    "primarycontactid/#In(PropertyName=^'nn',PropertyValues=[1])": "contact has no column 'nn'",
    "^primarycontact/#In(PropertyName='age',PropertyValues=[1])": "no navigation property",
    "#In(PropertyName=^'primarycontact/age',PropertyValues=[1])": "no navigation property",
    "#EqualUserId(PropertyName=^'n')": "EqualUserId is not for 'n', which is integer",
    "#EqualUserLanguage(PropertyName=^'name')": "EqualUserLanguage is not for 'name'",
    f"#Under(PropertyName=^'name',PropertyValue='{GUID}')": "Under is not for 'name'",
    "#Under(PropertyName='parentid',PropertyValue=^'x')": "expected the id of a row",
    f"#Under(PropertyName='primarycontactid',PropertyValue=^'{GUID}')": "no table with a hierarchy",
    f"#Under(PropertyName='farid',PropertyValue=^'{GUID}')": "add elsewhere to the profile",
}


@pytest.mark.parametrize(("marked", "message"), REFUSED.items(), ids=REFUSED)
def test_a_function_is_refused_by_name_and_place(marked: str, message: str) -> None:
    whole = marked.replace("#", CRM)
    with pytest.raises(FilterError) as raised:
        linked(whole.replace("^", "", 1))
    assert message in str(raised.value)
    assert raised.value.position == whole.index("^")


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (IsCaller(OWNER, Who.USER, negated=True), "#NotEqualUserId(PropertyName='ownerid')"),
        # What has no negative function leaves null out, and so null is asked for.
        (
            IsCaller(OWNER, Who.TEAMS, negated=True),
            "not #EqualUserTeams(PropertyName='ownerid') or _ownerid_value eq null",
        ),
        (
            Not(IsCaller(OWNER, Who.USER)),
            "#NotEqualUserId(PropertyName='ownerid') and _ownerid_value ne null",
        ),
        (
            tree(Branch.UNDER_OR_EQUAL, negated=True),
            f"#NotUnder(PropertyName='parentid',PropertyValue='{GUID}')",
        ),
        (
            HasOption(OPTIONS, (1, 9)),
            '#ContainValues(PropertyName=\'options\',PropertyValues=["1","9"])',
        ),
        (HasOption(OPTIONS, ()), "accountid eq null"),
        (HasOption(OPTIONS, (), negated=True), "accountid ne null"),
        (In(N, ()), "accountid eq null"),
        (In(N, (None,), negated=True), "accountid ne null"),
        # What the function In is not for.
        (
            In(of(ACCOUNT, "description"), ("a", None, "b")),
            "description eq 'a' or description eq 'b'",
        ),
        (In(OPTIONS, ("1,9", "2"), negated=True), "options ne '1,9' and options ne '2'"),
        (
            lead(Not(LEAD_CREATED)),
            "not primarycontactid/#Today(PropertyName='createdon')",
        ),
    ],
    ids=str,
)
def test_a_function_is_written_so(expression: Expression, text: str) -> None:
    assert link_text(expression) == text.replace("#", CRM)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (During(N, LOCAL, Period.TODAY), "Today is not for 'n'"),
        (During(CREATED, CLOCK, Period.TODAY), "'createdon' is read as time-zone-independent"),
        (during(Period.TODAY, 1), "today does not take (1,)"),
        (during(Period.LAST_X_DAYS), "last-x-days does not take ()"),
        (during(Period.LAST_X_DAYS, 0), "last-x-days counts from 1"),
        (during(Period.ON, "soon"), "Invalid isoformat"),
        (During(DAY, DATE, Period.LAST_X_HOURS, (1,)), "counts in parts of a day"),
        (IsCaller(N, Who.USER), "EqualUserId is not for 'n'"),
        (HasOption(N, (1,)), "ContainValues is not for 'n'"),
        (
            InHierarchy(PARENT, "contact", "parentcustomerid", GUID, Branch.ABOVE),
            "the tree of 'parentid' is that of account",
        ),
        (
            InHierarchy(of(ACCOUNT, "farid"), "elsewhere", "up", GUID, Branch.ABOVE),
            "add elsewhere to the profile",
        ),
        (InHierarchy(PARENT, "account", "parentid", "me", Branch.ABOVE), "expected an id"),
    ],
    ids=str,
)
def test_a_function_that_does_not_fit_is_refused(expression: Expression, message: str) -> None:
    with pytest.raises(FilterError) as raised:
        link_text(expression)
    assert message in str(raised.value)

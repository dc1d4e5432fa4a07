"""The language "fetchxml" as a filter: what it reads, and what it refuses by name and place."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

import holdfast_fetchxml
from holdfast.contracts import FilterLanguage
from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    Branch,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Period,
    Related,
    Who,
    predicate,
    settle,
)
from holdfast.model import Asking, Caller
from holdfast.schema import DateBehavior, Kind
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, CONTACT, TABLES

C = Comparison
GUID = "abcdef01-2345-4789-abcd-ef0123456789"
LANGUAGE = FetchXmlLanguage(FetchXmlSettings())


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, ACCOUNT, TABLES)


def condition(attribute: str, operator: str, *values: str, **given: str) -> Expression:
    marks = "".join(f' {name}="{value}"' for name, value in given.items())
    inside = "".join(f"<value>{value}</value>" for value in values)
    return parse(
        f'<filter><condition attribute="{attribute}" operator="{operator}"{marks}>{inside}'
        "</condition></filter>"
    )


def ref(name: str) -> ColumnRef:
    return ColumnRef(name, ACCOUNT.by_name[name].kind)


def contact(name: str) -> ColumnRef:
    return ColumnRef(name, CONTACT.by_name[name].kind)


def refusal(text: str) -> FilterError:
    with pytest.raises(FilterError) as raised:
        parse(text)
    return raised.value


# --- the plugin -----------------------------------------------------------------------------------


def test_it_is_a_language_without_settings() -> None:
    assert issubclass(FetchXmlLanguage, FilterLanguage)
    assert FetchXmlLanguage.name == "fetchxml"
    assert holdfast_fetchxml.__all__ == ["FetchXmlLanguage", "FetchXmlSettings"]
    with pytest.raises(ValidationError):
        FetchXmlSettings.model_validate({"depth": 3})


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attribute", "operator", "value", "expected"),
    [
        ("name", "eq", "Ø", Compare(C.EQ, ref("name"), Literal("Ø"))),
        ("name", "eq", "", Compare(C.EQ, ref("name"), Literal(""))),
        ("employees", "neq", " 5 ", Compare(C.NE, ref("employees"), Literal(5))),
        ("revenue", "gt", "1.50", Compare(C.GT, ref("revenue"), Literal(Decimal("1.50")))),
        ("latitude", "ge", "1e-3", Compare(C.GE, ref("latitude"), Literal(0.001))),
        ("onhold", "eq", "1", Compare(C.EQ, ref("onhold"), Literal(True))),
        ("onhold", "eq", "False", Compare(C.EQ, ref("onhold"), Literal(False))),
        ("statecode", "lt", "1", Compare(C.LT, ref("statecode"), Literal(1))),
        ("interests", "eq", "2,1", Compare(C.EQ, ref("interests"), Literal("1,2"))),
        ("ownerid", "eq", f"{{{GUID.upper()}}}", Compare(C.EQ, ref("ownerid"), Literal(GUID))),
        (
            "founded",
            "le",
            "2024-02-29T23:00:00Z",
            Compare(C.LE, ref("founded"), Literal("2024-02-29")),
        ),
        (
            "opensat",
            "le",
            "2024-02-29T23:00:00Z",
            Compare(C.LE, ref("opensat"), Literal("2024-02-29T23:00:00")),
        ),
        (
            "createdon",
            "ge",
            "2024-01-01T01:00:00+01:00",
            Compare(C.GE, ref("createdon"), Literal("2024-01-01T00:00:00Z")),
        ),
        (
            "createdon",
            "ge",
            "2024-01-01",
            Compare(C.GE, ref("createdon"), Literal("2024-01-01T00:00:00", local=True)),
        ),
        ("name", "like", "%a[bc]_", Like(ref("name"), "%a[bc]_")),
        ("name", "not-begin-with", "a", Like(ref("name"), "a%", negated=True)),
        ("name", "ends-with", "a", Like(ref("name"), "%a")),
        ("city", "not-null", "", IsNull(ref("city"), negated=True)),
        ("photo", "null", "", IsNull(ref("photo"))),
        ("ownerid", "ne-userid", "", IsCaller(ref("ownerid"), Who.USER, negated=True)),
        ("employees", "eq-userlanguage", "", IsCaller(ref("employees"), Who.LANGUAGE)),
        (
            "createdon",
            "on",
            "2024-01-31",
            During(ref("createdon"), DateBehavior.USER_LOCAL, Period.ON, ("2024-01-31",)),
        ),
        (
            "founded",
            "olderthan-x-months",
            "3",
            During(ref("founded"), DateBehavior.DATE_ONLY, Period.OLDER_THAN_X_MONTHS, (3,)),
        ),
        (
            "parentaccountid",
            "not-under",
            GUID,
            InHierarchy(
                ref("parentaccountid"),
                "account",
                "parentaccountid",
                GUID,
                Branch.UNDER_OR_EQUAL,
                negated=True,
            ),
        ),
        (
            "accountid",
            "above",
            GUID,
            InHierarchy(ref("accountid"), "account", "parentaccountid", GUID, Branch.ABOVE),
        ),
    ],
)
def test_a_condition_takes_its_value_from_the_type_of_its_column(
    attribute: str, operator: str, value: str, expected: Expression
) -> None:
    assert condition(attribute, operator, value=value) == expected


def test_many_values_are_children() -> None:
    assert condition("employees", "in", "1", " 2 ") == In(ref("employees"), (1, 2))
    assert condition("name", "not-in", "a", "") == In(ref("name"), ("a", ""), negated=True)
    assert condition("interests", "in", "2", "1") == In(ref("interests"), ("1,2",))
    assert condition("interests", "contain-values", "2,1", "3") == HasOption(
        ref("interests"), (2, 1, 3)
    )
    assert condition("founded", "in-fiscal-period-and-year", "2", "2024") == During(
        ref("founded"), DateBehavior.DATE_ONLY, Period.IN_FISCAL_PERIOD_AND_YEAR, (2, 2024)
    )
    low, high = Literal(1), Literal(3)
    own = ref("employees")
    assert condition("employees", "between", "1", "3") == And(
        (Compare(C.GE, own, low), Compare(C.LE, own, high))
    )
    assert condition("employees", "not-between", "1", "3") == Or(
        (Compare(C.LT, own, low), Compare(C.GT, own, high), IsNull(own))
    )


def test_a_column_may_take_the_place_of_a_value() -> None:
    assert condition("name", "ne", valueof="city") == Compare(C.NE, ref("name"), ref("city"))
    assert condition("name", "eq", valueof="account.description") == Compare(
        C.EQ, ref("name"), ref("description")
    )


def test_the_name_behind_a_lookup_is_a_column_of_text() -> None:
    name = ColumnRef("_holdfast_ownerid_name", Kind.TEXT)
    assert condition("owneridname", "begins-with", value="A") == Like(name, "A%")


def test_a_time_without_a_zone_is_the_askers() -> None:
    asking = Asking(datetime(2026, 3, 1, tzinfo=UTC), Caller("org", GUID, time_zone="Europe/Oslo"))
    for expression, expected in (
        (condition("createdon", "ge", value="2026-07-01T12:00"), ["2026-07-01T10:00:00Z"]),
        (condition("createdon", "in", "2026-07-01", "2026-01-01"), ["2025-12-31T23:00:00Z"]),
        (condition("createdon", "ge", value="9999-12-31T23:59:59"), ["9999-12-31T22:59:59Z"]),
    ):
        test = predicate(settle(expression, asking), {"createdon": 0})
        assert [test([cell]) for cell in expected] == [True]
        assert test(["2000-01-01T00:00:00Z"]) is False
    fixed = condition("createdon", "not-in", "2026-07-01", "2026-01-01T00:00:00Z")
    test = predicate(settle(fixed, asking), {"createdon": 0})
    assert test(["2026-06-30T22:00:00Z"]) is False
    assert test([None]) is True


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<filter><condition attribute='nam' operator='eq' value='1'/></filter>", "nam"),
        ("<filter><condition attribute='name' operator='eqq' value='1'/></filter>", "eqq"),
        ("<filter>\n <condition operator='eq'  attribute = \"nam\" value='1'/></filter>", "nam"),
        ("<filter><condition attribute='employees' operator='eq' value='x'/></filter>", "x"),
        ("<filter><condition attribute='name' operator='eq' valueof='cty'/></filter>", "cty"),
        ("<filter><condition attribute='name' operator='on' value='1'/></filter>", "on"),
        ("<filter type='nand'/>", "nand"),
        ("<filter><link-entity name='contct' link-type='any'/></filter>", "contct"),
        ("<filter><link-entity name='contact' link-type='some'/></filter>", "some"),
        ("<filter><link-entity name='contact' link-type='inner'/></filter>", "inner"),
        ("<filter kind='and'/>", "and"),
        ("<filter><condition attribute='name'/></filter>", "<condition"),
        ("  <filter><conditon/></filter>", "<conditon"),
        ("<filter>\r\n\r\n<!--Ø--><condition>x</condition></filter>", "<condition"),
        ("<fetch top='1'><entity name='account'/></fetch>", "1"),
        ("<fetch aggregate='true'><entity name='account'/></fetch>", "true"),
        ("<fetch page='2'><entity name='account'/></fetch>", "2"),
        ("<fetch><entity name='contact'/></fetch>", "contact"),
        ("<fetch><entity name='account'/><entity name='account'/></fetch>", "<entity name='acc"),
        ("<savedquery/>", "<savedquery"),
        ("<filter><condition attribute='name' operator='eq'/></filter>", "<condition"),
        ("<filter></fetch>", "fetch"),
        ("<filter>&nbsp;</filter>", "&nbsp;"),
        ("<filter><condition entityname='x' attribute='name' operator='null'/></filter>", "x"),
    ],
)
def test_a_refusal_points_at_what_was_found(text: str, found: str) -> None:
    error = refusal(text)
    assert error.position is not None
    assert text[error.position :].startswith(found) or text[error.position - 2 :].startswith("</")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("attribute='nmae' operator='null'", "account has no column 'nmae'; did you mean 'name'?"),
        ("attribute='zzzz' operator='null'", "'zzzz'; it may not be kept offline"),
        ("attribute='name' operator='equals'", "found the operator 'equals'; "),
        ("attribute='name' operator='not-on'", "did you mean 'not-in'?"),
        ("attribute='name' operator='eq' valeu='1'", "no attribute 'valeu'; did you mean 'value'?"),
        ("attribute='employees' operator='eq' value='5.0'", "found '5.0' for 'eq' on 'employees',"),
        ("attribute='rate' operator='eq' value='NaN'", "expected a number such as 12.5"),
        ("attribute='rate' operator='eq' value='1e99'", "expected a number such as 12.5"),
        ("attribute='latitude' operator='eq' value='1e999'", "expected a number such as 12.5"),
        ("attribute='views' operator='eq' value='9223372036854775808'", "at most 64 bits"),
        ("attribute='onhold' operator='eq' value='yes'", "expected true, false, 1 or 0"),
        ("attribute='ownerid' operator='eq' value='me'", "expected an id"),
        ("attribute='createdon' operator='gt' value='31.12.2024'", "expected a date such as"),
        ("attribute='createdon' operator='on' value='2024-01-01T00:00Z'", "without a time zone"),
        ("attribute='founded' operator='last-x-hours' value='1'", "has no hours and minutes"),
        ("attribute='createdon' operator='last-x-days' value='0'", "a whole number from 1 to"),
        ("attribute='createdon' operator='last-x-days' value='1.5'", "a whole number from 1 to"),
        ("attribute='name' operator='today'", "does not fit the column 'name' (string)"),
        ("attribute='employees' operator='like' value='1'", "it is for text"),
        ("attribute='description' operator='in' value='a'", "a memo is in no list"),
        ("attribute='interests' operator='gt' value='1'", "a multi-select has no order"),
        ("attribute='statecode' operator='contain-values' value='1'", "it is for multi-selects"),
        ("attribute='interests' operator='contain-values' value='a'", "whole numbers of options"),
        ("attribute='photo' operator='eq' value='1'", "only 'null' and 'not-null' are asked"),
        ("attribute='name' operator='eq-userid'", "it is for ids and lookups"),
        ("attribute='name' operator='null' value='1'", "'null' on 'name' takes 0 values, found 1"),
        ("attribute='name' operator='between' value='1'", "takes 2 values, found 1"),
        ("attribute='name' operator='in'", "takes at least 1 value, found 0"),
        ("attribute='name' operator='like' valueof='city'", "found 'like' with valueof"),
        ("attribute='name' operator='eq' value='' valueof='city'", "found a value beside valueof"),
        ("attribute='name' operator='eq' valueof='employees'", "expected columns of one type"),
        ("attribute='founded' operator='eq' valueof='createdon'", "expected columns of one type"),
        ("attribute='name' operator='eq' valueof='c.city'", "there is no alias 'c'"),
        ("attribute='ownerid' operator='under' value='1'", "this is no id; one such as"),
        ("attribute='primarycontactid' operator='under' value='" + GUID + "'", "leads to none"),
        ("attribute='ownerid' operator='under' value='" + GUID + "'", "add systemuser to the"),
        ("attribute='industrycodename' operator='eq' value='a'", "the numbers of 'industrycode'"),
        ("attribute='name' operator='eq' value='1' aggregate='count'", "aggregate='count'"),
        ("attribute='" + "a" * 200 + "' operator='null'", "no name is longer than 128"),
    ],
)
def test_a_mistake_is_explained(text: str, words: str) -> None:
    assert words in str(refusal(f"<filter><condition {text}/></filter>"))


def test_the_place_is_a_line_and_a_column_where_there_are_lines() -> None:
    text = "<filter>\n  <condition attribute='nmae'\n     operator='null'/>\n</filter>"
    error = refusal(text)
    assert "at line 2, column 25: account has no column" in str(error)
    shown = str(error).splitlines()
    assert shown[-2][shown[-1].index("^") :].startswith("nmae")


# --- filters and links ----------------------------------------------------------------------------

ANY = (
    "<link-entity name='contact' from='parentcustomerid' to='accountid' link-type='{}'>{}"
    "</link-entity>"
)
OLD = "<filter><condition attribute='age' operator='ge' value='60'/></filter>"
IS_OLD = Compare(C.GE, contact("age"), Literal(60))


def related(where: Expression = IS_OLD) -> Related:
    return Related("contact", contact("parentcustomerid"), ref("accountid"), where)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("any", related()),
        ("not any", Not(related())),
        ("not all", related()),
        ("all", And((related(EVERYTHING), Not(related())))),
    ],
)
def test_a_link_inside_a_filter_asks_whether_rows_exist(kind: str, expected: Expression) -> None:
    assert parse(f"<filter>{ANY.format(kind, OLD)}</filter>") == expected
    either = parse(f"<filter type='or'>{ANY.format(kind, OLD)}<filter/></filter>")
    assert either == EVERYTHING


def test_a_filter_without_conditions_restricts_nothing() -> None:
    for text in ("<filter/>", "<filter type='or'/>", "<filter><filter type='or'/></filter>"):
        assert parse(text) == EVERYTHING


def test_a_link_without_its_columns_takes_those_of_the_relationship() -> None:
    text = "<filter><link-entity name='contact' link-type='any'/></filter>"
    assert parse(text) == related(EVERYTHING)
    text = "<filter><link-entity name='contact' to='primarycontactid' link-type='any'/></filter>"
    assert parse(text) == Related(
        "contact", contact("contactid"), ref("primarycontactid"), EVERYTHING
    )
    text = "<filter><link-entity name='contact' from='age' link-type='any'/></filter>"
    assert "link-entity has no 'to'" in str(refusal(text))


def test_columns_of_different_types_are_not_joined() -> None:
    text = "<filter><link-entity name='contact' from='age' to='name' link-type='any'/></filter>"
    assert "cannot be joined; expected columns of one type" in str(refusal(text))


def view(inside: str, **given: str) -> str:
    marks = "".join(f" {name}='{value}'" for name, value in given.items())
    return f"<fetch{marks}><entity name='account'>{inside}</entity></fetch>"


LINK = (
    "<link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' "
    "link-type='{}'>{}</link-entity>"
)


@pytest.mark.parametrize("kind", ["inner", "exists", "in"])
def test_a_link_of_a_view_restricts_its_rows(kind: str) -> None:
    asked = "<attribute name='name'/><order attribute='name'/>" + LINK.format(kind, OLD)
    assert parse(view(asked, distinct="true", version="1.0", count="50")) == related()


@pytest.mark.parametrize("kind", ["outer", "matchfirstrowusingcrossapply"])
def test_an_outer_link_restricts_nothing(kind: str) -> None:
    asked = "<filter><condition attribute='name' operator='null'/></filter>"
    assert parse(view(asked + LINK.format(kind, OLD))) == IsNull(ref("name"))


def test_an_inner_link_below_an_outer_one_restricts() -> None:
    below = "<link-entity name='account' from='accountid' to='parentcustomerid' alias='d'/>"
    inner = Related("account", ref("accountid"), contact("parentcustomerid"), EVERYTHING)
    assert parse(view(LINK.format("outer", OLD + below))) == related(And((IS_OLD, inner)))
    again = LINK.format("matchfirstrowusingcrossapply", below)
    assert "which row is the first of the link 'c' would decide" in str(refusal(view(again)))


def across(operator: str, value: str = "", kind: str = "and") -> str:
    return (
        f"<filter type='{kind}'><condition entityname='c' attribute='age' operator='{operator}' "
        f"{value}/><condition attribute='name' operator='null'/></filter>"
    )


def test_a_condition_on_an_outer_link_asks_for_a_record() -> None:
    no_name = IsNull(ref("name"))
    missing = Not(related())
    young = related(And((IS_OLD, Compare(C.LT, contact("age"), Literal(99)))))
    asked = view(across("lt", "value='99'") + LINK.format("outer", OLD))
    assert parse(asked) == And((no_name, young))
    asked = view(across("null") + LINK.format("outer", OLD))
    unknown = related(And((IS_OLD, IsNull(contact("age")))))
    assert parse(asked) == And((no_name, Or((unknown, missing))))
    asked = view(across("null", kind="or") + LINK.format("outer", OLD))
    assert parse(asked) == Or((unknown, missing, no_name))
    asked = view(across("ne", "value='1'") + LINK.format("inner", ""))
    assert parse(asked) == And((no_name, related(Compare(C.NE, contact("age"), Literal(1)))))


def test_a_negative_condition_on_an_outer_link_lets_rows_without_one_through() -> None:
    asked = "<filter><condition entityname='c' attribute='age' operator='ne' value='1'/></filter>"
    other = related(And((IS_OLD, Compare(C.NE, contact("age"), Literal(1)))))
    assert parse(view(asked + LINK.format("outer", OLD))) == Or((other, Not(related())))


def test_conditions_on_one_link_are_about_one_row_of_it() -> None:
    def asked(operator: str, kind: str, value: str) -> str:
        return across(operator, f"value='{value}'", kind)

    no_name = IsNull(ref("name"))
    older, younger = (
        Compare(C.GT, contact("age"), Literal(1)),
        Compare(C.LT, contact("age"), Literal(9)),
    )
    both = asked("gt", "or", "1") + asked("lt", "or", "9")
    assert parse(view(both + LINK.format("outer", ""))) == Or(
        (
            related(And((older, younger))),
            And((no_name, related(older))),
            And((no_name, related(younger))),
            And((no_name, no_name)),
        )
    )


def test_what_no_row_alone_can_say_is_refused() -> None:
    both = "<filter><condition attribute='city' operator='eq' valueof='c.city'/></filter>"
    error = refusal(view(both + LINK.format("inner", "")))
    assert "compares columns of the entity and 'c'" in str(error)
    inside = "<filter><condition entityname='account' attribute='name' operator='null'/></filter>"
    error = refusal(view(LINK.format("outer", inside)))
    assert "a filter inside the outer link 'c' names another table" in str(error)
    assert parse(view(LINK.format("inner", inside))) == And(
        (IsNull(ref("name")), related(EVERYTHING))
    )


def test_conditions_that_can_be_met_in_too_many_ways_are_refused() -> None:
    many = "".join(across("eq", f"value='{number}'", kind="or") for number in range(7))
    assert "in more than 64 ways" in str(refusal(view(many + LINK.format("outer", ""))))


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        (LINK.format("inner", "") * 2, "two tables have the alias 'c'"),
        (LINK.format("any", ""), "found the link-type 'any' outside of a filter"),
        (LINK.format("inner", "").replace("'c'", "'c d'"), "found the alias 'c d', expected let"),
        (
            "<link-entity name='team' from='a' to='b'/>",
            "table 'team' is not kept offline; add team",
        ),
        (
            "<link-entity name='accountleads' from='accountid' to='accountid' intersect='true'/>",
            "the pairs in 'accountleads' are not kept offline; add accountleads to the profile",
        ),
        ("<attribute name='name'><x/></attribute>", "found the element 'x' inside attribute"),
        ("<all-attributes><x/></all-attributes>", "found the element 'x' inside all-attributes"),
        ("<attribute/>", "attribute has no 'name', which it needs"),
        ("<filter>x</filter>", "found the text 'x' inside filter"),
        ("<ordr/>", "found the element 'ordr' inside entity; did you mean 'order'?"),
    ],
)
def test_a_view_is_checked_whole(inside: str, words: str) -> None:
    assert words in str(refusal(view(inside)))


def test_there_is_a_most_of_links_and_conditions() -> None:
    one = "<condition attribute='name' operator='null'/>"
    parse(f"<filter>{one * 500}</filter>")
    assert "0x8004430c" in str(refusal(f"<filter>{one * 501}</filter>"))
    assert "0x8004430c" in str(refusal(f"<filter>{ANY.format('any', '')}{one * 500}</filter>"))
    parse(f"<filter>{ANY.format('any', '') * 15}</filter>")
    assert "0x8004430d" in str(refusal(f"<filter>{ANY.format('any', '') * 16}</filter>"))


def test_all_operators_of_the_reference_are_read() -> None:
    from holdfast_fetchxml._operators import OPERATORS

    assert len(OPERATORS) == 83
    assert not [name for name in OPERATORS if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)]

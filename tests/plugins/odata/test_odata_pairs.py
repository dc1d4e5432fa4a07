"""Collections over many-to-many tables: what they mean, how they are written and refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.errors import FilterError
from holdfast.filters import (
    EVERYTHING,
    And,
    ColumnRef,
    Compare,
    Comparison,
    Expression,
    IsNull,
    Literal,
    Not,
    Or,
    Related,
)
from holdfast.schema import Column, ColumnType, Kind, ManyToMany, TableSchema
from support.odata import ACCOUNT, CONTACT, LANGUAGE, TASK, of

GUESTS = ManyToMany(
    *("account_guests", "accountguest"),
    *("account", "accountid", "guests"),
    *("contact", "contactid", "hosts"),
)
PARTNERS = ManyToMany(
    *("account_partners", "accountpartner"),
    *("account", "accountidone", "partners"),
    *("account", "accountidtwo", "partner_of"),
)
FAR = ManyToMany(
    *("account_far", "accountfar", "account", "accountid", "far"),
    *("elsewhere", "elsewhereid", "near"),
)


def pairs(relationship: ManyToMany) -> TableSchema:
    name = relationship.intersect
    columns = (f"{name}id", relationship.column1, relationship.column2)
    return TableSchema(
        *(name, f"{name}id", None),
        tuple(Column(each, ColumnType.UNIQUEIDENTIFIER) for each in columns),
        intersect=True,
    )


COMPANY = replace(ACCOUNT, many_to_many=(GUESTS, PARTNERS, FAR))
PERSON = replace(CONTACT, many_to_many=(GUESTS,))
TABLES = {t.name: t for t in (COMPANY, PERSON, TASK, pairs(GUESTS), pairs(PARTNERS))}


def key(name: str) -> ColumnRef:
    return ColumnRef(name, Kind.KEY)


def guests(where: Expression) -> Related:
    end = Related("contact", key("contactid"), key("contactid"), where)
    return Related("accountguest", key("accountid"), key("accountid"), end)


def hosts(where: Expression) -> Related:
    end = Related("account", key("accountid"), key("accountid"), where)
    return Related("accountguest", key("contactid"), key("contactid"), end)


def partners(where: Expression) -> Related:
    end = Related("account", key("accountid"), key("accountidtwo"), where)
    return Related("accountpartner", key("accountidone"), key("accountid"), end)


def partner_of(where: Expression) -> Related:
    end = Related("account", key("accountid"), key("accountidone"), where)
    return Related("accountpartner", key("accountidtwo"), key("accountid"), end)


AGE = Compare(Comparison.EQ, of(CONTACT, "age"), Literal(5))
OTHER_AGE = Compare(Comparison.NE, of(CONTACT, "age"), Literal(5))
NUMBER = Compare(Comparison.GT, of(ACCOUNT, "n"), Literal(1))
NULL = IsNull(of(CONTACT, "fullname"))

#: Each text means the expression, and is what the expression is written as.
BOTH: dict[str, Expression] = {
    "guests/any()": guests(EVERYTHING),
    "not guests/any()": Not(guests(EVERYTHING)),
    "guests/any(x1:x1/age eq 5)": guests(AGE),
    "not guests/any(x1:x1/age ne 5)": Not(guests(OTHER_AGE)),
    "partners/any(x1:x1/n gt 1)": partners(NUMBER),
    "partner_of/any(x1:x1/n gt 1)": partner_of(NUMBER),
    "partners/any(x1:x1/partner_of/any(x2:x2/n gt 1))": partners(partner_of(NUMBER)),
    "guests/any(x1:x1/hosts/any(x2:x2/partners/any()))": guests(hosts(partners(EVERYTHING))),
    "guests/any(x1:x1/age eq 5 and x1/fullname eq null)": guests(And((AGE, NULL))),
    "guests/any(x1:x1/customer_account/n gt 1)": guests(
        Related("account", key("accountid"), key("parentcustomerid"), NUMBER)
    ),
}


def parse(text: str) -> Expression:
    return LANGUAGE.parse(text, COMPANY, TABLES)


def render(expression: Expression) -> str:
    return LANGUAGE.render(expression, COMPANY, TABLES)


@pytest.mark.parametrize("text", BOTH)
def test_a_collection_leads_over_pairs_to_their_other_ends(text: str) -> None:
    assert parse(text) == BOTH[text]
    assert render(BOTH[text]) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("guests/all(g:g/age eq 5)", Not(guests(OTHER_AGE))),
        ("not guests/all(g:g/age eq 5)", guests(OTHER_AGE)),
        ("not guests/any(g:g/age eq 5)", Not(guests(AGE))),
        (
            "guests/all(g:g/hosts/all(h:h/n gt 1))",
            Not(guests(hosts(Compare(Comparison.LE, of(ACCOUNT, "n"), Literal(1))))),
        ),
    ],
)
def test_all_is_none_for_which_the_opposite_holds(text: str, expected: Expression) -> None:
    assert parse(text) == expected
    assert parse(render(expected)) == expected


def test_two_questions_about_the_end_of_a_pair_are_one() -> None:
    """The row at the end of a pair is one row, so that both are asked of the same."""
    end = [Related("contact", key("contactid"), key("contactid"), part) for part in (AGE, NULL)]
    both = Related("accountguest", key("accountid"), key("accountid"), And(tuple(end)))
    assert render(both) == "guests/any(x1:x1/age eq 5 and x1/fullname eq null)"


GUEST = Related("contact", key("contactid"), key("contactid"), AGE)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (EVERYTHING, "OData cannot ask for pairs in accountguest that may lead nowhere"),
        (IsNull(key("contactid")), "of the pairs in accountguest OData asks the rows"),
        (Not(GUEST), "of the pairs in accountguest OData asks the rows"),
        (Or((GUEST, NULL)), "of the pairs in accountguest OData asks the rows"),
        (
            Related("account", key("accountid"), key("accountid"), NUMBER),
            "of the pairs in accountguest OData asks the rows",
        ),
    ],
)
def test_pairs_themselves_are_not_asked(where: Expression, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        render(Related("accountguest", key("accountid"), key("accountid"), where))


@pytest.mark.parametrize(
    ("text", "kept", "message"),
    [
        (
            "guests/any()",
            ("account", "contact"),
            "over the pairs in accountguest to contact; add accountguest to the profile",
        ),
        ("guests/any()", ("account", "accountguest"), "add contact to the profile"),
        ("far/any()", ("account",), "add accountfar and elsewhere to the profile"),
        ("guest/any()", tuple(TABLES), "account has no collection 'guest'; did you mean 'guests'?"),
        (
            "guests/age eq 5",
            tuple(TABLES),
            "'guests' is a collection; look into it with any or all",
        ),
        ("guests eq null", tuple(TABLES), "'guests' is a collection; look into it with any or all"),
        (
            "primarycontactid/hosts/any()",
            tuple(TABLES),
            "'hosts' is a collection behind a lookup; Dataverse looks into none",
        ),
        ("guests/any(g:g/n eq 1)", tuple(TABLES), "contact has no column 'n'"),
    ],
)
def test_what_leads_nowhere_names_what_to_add(
    text: str, kept: tuple[str, ...], message: str
) -> None:
    with pytest.raises(FilterError) as raised:
        LANGUAGE.parse(text, COMPANY, {name: TABLES[name] for name in kept})
    assert message in str(raised.value)


def test_pairs_that_are_not_kept_are_not_written() -> None:
    with pytest.raises(FilterError, match="accountguest is not kept offline; add it"):
        LANGUAGE.render(guests(AGE), COMPANY, {"account": COMPANY, "contact": PERSON})
    with pytest.raises(FilterError, match="contact is not kept offline; add it"):
        LANGUAGE.render(guests(AGE), COMPANY, {"accountguest": TABLES["accountguest"]})


def test_an_end_without_a_name_of_its_own_is_not_written() -> None:
    """What is written means the same when it is read: of two ends of one name, the first."""
    alike = replace(PARTNERS, collection1="partners", collection2="partners")
    for relationship in (
        alike,
        replace(PARTNERS, collection2=""),
        replace(PARTNERS, collection2="tasks"),
    ):
        company = replace(ACCOUNT, many_to_many=(relationship,))
        tables = {**TABLES, "account": company}
        text = LANGUAGE.render(partners(NUMBER), company, tables)
        assert LANGUAGE.parse(text, company, tables) == partners(NUMBER)
        with pytest.raises(FilterError, match="no name for the way from 'accountidtwo'"):
            LANGUAGE.render(partner_of(NUMBER), company, tables)

"""A whole query as a question to a storage: outputs, joins, order, groups, and what is refused."""

from __future__ import annotations

import pytest

from holdfast.errors import FilterError
from holdfast.filters import EVERYTHING, And, ColumnRef, Compare, Comparison, IsNull, Not, Related
from holdfast.queries import (
    Aggregate,
    DatePart,
    Join,
    JoinKind,
    Output,
    Selection,
    Sort,
)
from holdfast.schema import DateBehavior, Kind
from holdfast_fetchxml import FetchXmlLanguage, FetchXmlSettings
from support.crm import ACCOUNT, CONTACT, TABLES

LANGUAGE = FetchXmlLanguage(FetchXmlSettings())
KEY, TEXT, WHOLE = Kind.KEY, Kind.TEXT, Kind.INTEGER


def ask(inside: str, **given: str) -> Selection:
    marks = "".join(f" {name.replace('_', '-')}='{value}'" for name, value in given.items())
    source = f"<fetch{marks}><entity name='account'>{inside}</entity></fetch>"
    return LANGUAGE.parse_selection(source, TABLES)


def refusal(inside: str, **given: str) -> str:
    with pytest.raises(FilterError) as raised:
        ask(inside, **given)
    assert raised.value.position is not None
    return str(raised.value)


def names(selection: Selection) -> list[str]:
    return [output.name for output in selection.outputs]


def output(name: str, column: str, source: str = "") -> Output:
    schema = CONTACT if source else ACCOUNT
    read = schema.by_name[column]
    return Output(name, ColumnRef(column, read.kind, source), read=read)


LINK = "<link-entity name='contact' from='parentcustomerid' to='accountid' {}>{}</link-entity>"


# --- outputs --------------------------------------------------------------------------------------


def test_a_record_has_what_is_asked_for_and_the_id() -> None:
    selection = ask("<attribute name='name'/><attribute name='city' alias='town'/>")
    assert selection.table == "account"
    assert selection.outputs == (
        output("name", "name"),
        output("town", "city"),
        output("accountid", "accountid"),
    )
    assert (selection.joins, selection.where, selection.order) == ((), EVERYTHING, ())
    assert (selection.limit, selection.offset, selection.grouped) == (None, 0, False)


def test_a_lookup_of_several_tables_comes_with_its_table() -> None:
    selection = ask("<attribute name='ownerid' alias='who'/><attribute name='parentaccountid'/>")
    assert selection.outputs[:3] == (
        output("who", "ownerid"),
        Output("who@table", ColumnRef("_holdfast_ownerid_table", KEY)),
        output("parentaccountid", "parentaccountid"),
    )


@pytest.mark.parametrize("inside", ["", "<all-attributes/>", "<no-attrs/>"])
def test_no_attributes_at_all_are_all_of_them(inside: str) -> None:
    assert set(names(ask(inside))) == {*ACCOUNT.by_name, "ownerid@table"}


def test_a_link_gives_what_is_asked_of_it_under_its_alias() -> None:
    asked = "<attribute name='city'/><attribute name='age' alias='years'/>"
    selection = ask("<attribute name='name'/>" + LINK.format("alias='c'", asked))
    assert names(selection) == ["name", "c.city", "years", "accountid"]
    assert selection.outputs[1] == output("c.city", "city", "c")
    twice = ask("<attribute name='name'/>" + LINK.format("", "") * 2)
    assert [join.alias for join in twice.joins] == ["contact1", "contact2"]
    assert names(twice) == ["name", "accountid"]
    first = LINK.format("link-type='matchfirstrowusingcrossapply'", "<attribute name='age'/>")
    assert names(ask("<attribute name='name'/>" + first)) == ["name", "age", "accountid"]
    whole = names(ask("<attribute name='name'/>" + LINK.format("alias='c'", "<all-attributes/>")))
    assert {"c.parentcustomerid", "c.parentcustomerid@table"} < set(whole)


def test_amounts_come_with_their_currency() -> None:
    assert names(ask("<attribute name='revenue'/>")) == [
        *("revenue", "transactioncurrencyid", "accountid")
    ]
    assert names(ask("<attribute name='revenue' alias='r'/>")) == ["r", "accountid"]


def test_distinct_records_are_what_they_show() -> None:
    selection = ask("<attribute name='revenue'/>", distinct="true")
    assert names(selection) == ["revenue"]
    assert selection.distinct


def test_the_name_behind_a_lookup_can_be_asked_for() -> None:
    (found, _) = ask("<attribute name='owneridname'/>").outputs
    assert (found.name, found.column) == (
        "owneridname",
        ColumnRef("_holdfast_ownerid_name", TEXT),
    )


# --- joins ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("inner", JoinKind.INNER),
        ("outer", JoinKind.OUTER),
        ("matchfirstrowusingcrossapply", JoinKind.FIRST),
    ],
)
def test_a_join_has_the_filter_of_its_link(word: str, kind: JoinKind) -> None:
    inside = "<filter><condition attribute='age' operator='null'/></filter>"
    below = "<link-entity name='account' from='accountid' to='parentcustomerid' alias='d'/>"
    selection = ask(LINK.format(f"link-type='{word}' alias='c'", inside + below))
    assert selection.joins == (
        Join(
            "c",
            "contact",
            ColumnRef("parentcustomerid", KEY, "c"),
            ColumnRef("accountid", KEY),
            kind,
            IsNull(ColumnRef("age", WHOLE, "c")),
        ),
        Join(
            "d",
            "account",
            ColumnRef("accountid", KEY, "d"),
            ColumnRef("parentcustomerid", KEY, "c"),
        ),
    )


def test_a_link_that_must_only_exist_is_a_condition() -> None:
    inside = "<link-entity name='contact' from='age' to='employees' link-type='{}'/>"
    related = Related("contact", ColumnRef("age", WHOLE), ColumnRef("employees", WHOLE), EVERYTHING)
    for word in ("exists", "in"):
        assert ask(inside.format(word)).where == related
    assert ask(f"<filter>{inside.format('not any')}</filter>").where == Not(related)
    below = "<link-entity name='account' from='name' to='city' link-type='exists'/>"
    (join,) = ask(LINK.format("alias='c'", below)).joins
    assert join.where == Related(
        "account", ColumnRef("name", TEXT), ColumnRef("city", TEXT, "c"), EVERYTHING
    )


def test_conditions_across_tables_hold_after_the_joins() -> None:
    one = "<filter><condition entityname='c' attribute='age' operator='null'/></filter>"
    two = "<filter><condition attribute='city' operator='ne' valueof='c.city'/></filter>"
    city = Compare(Comparison.NE, ColumnRef("city", TEXT), ColumnRef("city", TEXT, "c"))
    selection = ask(one + two + LINK.format("link-type='outer' alias='c'", ""))
    assert selection.where == And((IsNull(ColumnRef("age", WHOLE, "c")), city))
    inside = "<filter><condition attribute='city' operator='ne' valueof='account.city'/></filter>"
    selection = ask(LINK.format("alias='c'", inside))
    assert selection.joins[0].where == EVERYTHING
    assert selection.where == Compare(Comparison.NE, city.right, city.left)
    assert "a filter inside the outer link 'c' names another table" in refusal(
        LINK.format("link-type='outer' alias='c'", inside)
    )
    later = inside.replace("account.", "d.")
    both = LINK.format("alias='c'", later) + LINK.format("alias='d'", "")
    assert "a filter inside the link 'c' names 'd', which is joined later" in refusal(both)


# --- order and paging -----------------------------------------------------------------------------


def test_rows_are_sorted_as_people_see_them() -> None:
    orders = (
        "<order attribute='ownerid' descending='true'/><order attribute='industrycode'/>"
        "<order attribute='employees'/>"
    )
    ranks = ((1, 1), (2, 0), (3, 0))  # "Shipping", "fishing", "Fishing"
    assert ask(orders).order == (
        Sort(ColumnRef("_holdfast_ownerid_name", TEXT), descending=True),
        Sort(ColumnRef("industrycode", WHOLE), ranks=ranks),
        Sort(ColumnRef("employees", WHOLE)),
    )
    assert ask(orders, useraworderby="1").order[1] == Sort(ColumnRef("industrycode", WHOLE))


def test_the_order_of_a_link_comes_last_unless_it_is_hoisted() -> None:
    link = LINK.format("alias='c'", "<order attribute='age'/>")
    age = ColumnRef("age", WHOLE, "c")
    hoisted = "<order attribute='city' entityname='c'/>"
    assert [sort.by for sort in ask(link + hoisted + "<order attribute='name'/>").order] == [
        ColumnRef("city", TEXT, "c"),
        ColumnRef("name", TEXT),
        age,
    ]
    assert "there is no alias 'd'; no joined table has it" in refusal(
        link + hoisted.replace("'c'", "'d'")
    )


@pytest.mark.parametrize(
    ("given", "window"),
    [
        ({}, (None, 0)),
        ({"top": "7"}, (7, 0)),
        ({"count": "50"}, (50, 0)),
        ({"count": "50", "page": "3", "paging_cookie": "x"}, (50, 100)),
        ({"page": "2"}, (5000, 5000)),
    ],
)
def test_a_page_is_a_limit_behind_an_offset(
    given: dict[str, str], window: tuple[int | None, int]
) -> None:
    selection = ask("", **given)
    assert (selection.limit, selection.offset) == window


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"top": "0"}, "found top='0'; expected a whole number from 1 to 5000"),
        ({"top": "5001"}, "expected a whole number from 1 to 5000"),
        ({"count": "x"}, "found count='x'"),
        ({"top": "1", "page": "1"}, "it does not go with page"),
        ({"top": "1", "count": "1"}, "it does not go with page"),
        ({"top": "1", "returntotalrecordcount": "true"}, "it does not go with page"),
        ({"datasource": "bin"}, "datasource='bin' of fetch is not answered here: only live rows"),
        ({"datasource": "retained"}, "datasource='retained' of fetch is not answered here"),
        ({"min_active_row_version": "true"}, "min-active-row-version='true' of fetch is not"),
        ({"mapping": "internal"}, "mapping='internal' of fetch is not answered here"),
        ({"distinct": "yes"}, "found distinct='yes'; expected 'true' or 'false'"),
        ({"agregate": "true"}, "fetch has no attribute 'agregate'; did you mean 'aggregate'?"),
        ({"aggregatelimit": "50001"}, "expected a whole number from 1 to 50000"),
    ],
)
def test_what_changes_the_answer_and_is_not_there_is_refused(
    given: dict[str, str], words: str
) -> None:
    assert words in refusal("", **given)


def test_what_does_not_change_the_answer_is_read_over() -> None:
    given = {
        "no_lock": "true",
        "options": "OptimizeForUnknown",
        "latematerialize": "true",
        "returntotalrecordcount": "true",
        "version": "1.0",
        "mapping": "logical",
        "output_format": "xml-platform",
        "utc_offset": "60",
        "aggregatelimit": "10",
        "min_active_row_version": "false",
    }
    assert ask("", **given) == ask("")


# --- aggregates -----------------------------------------------------------------------------------


def test_groups_are_made_of_rows() -> None:
    selection = ask(
        "<attribute name='accountid' alias='n' aggregate='count'/>"
        "<attribute name='revenue' alias='total' aggregate='sum'/>"
        "<attribute name='city' alias='towns' aggregate='countcolumn' distinct='true'/>"
        "<attribute name='createdon' alias='month' groupby='true' dategrouping='month' "
        "usertimezone='false'/>"
        "<attribute name='ownerid' alias='who' groupby='1'/>"
        "<order alias='n' descending='1'/>",
        aggregate="true",
        distinct="true",
    )
    created = ACCOUNT.by_name["createdon"]
    assert selection.grouped
    assert not selection.distinct
    assert selection.outputs == (
        Output("n", ColumnRef("accountid", KEY), Aggregate.COUNT),
        Output(
            "total",
            ColumnRef("revenue", Kind.DECIMAL),
            Aggregate.SUM,
            read=ACCOUNT.by_name["revenue"],
        ),
        Output("towns", ColumnRef("city", TEXT), Aggregate.COUNT_COLUMN, distinct=True),
        Output(
            "month",
            ColumnRef("createdon", created.kind),
            part=DatePart.MONTH,
            behavior=DateBehavior.USER_LOCAL,
            local=False,
        ),
        output("who", "ownerid"),
        Output("who@table", ColumnRef("_holdfast_ownerid_table", KEY)),
    )
    assert selection.order == (
        Sort("n", descending=True),
        Sort("month"),
        Sort("who"),
        Sort("who@table"),
    )


def test_a_group_may_be_of_a_link() -> None:
    asked = "<attribute name='age' alias='oldest' aggregate='max'/>"
    selection = ask(LINK.format("alias='c'", asked), aggregate="true")
    (found,) = selection.outputs
    assert (found.column, found.aggregate) == (ColumnRef("age", WHOLE, "c"), Aggregate.MAXIMUM)


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("", "an aggregate query asks for nothing"),
        ("<all-attributes/>", "found all-attributes in an aggregate query"),
        ("<attribute name='name' alias='a b' groupby='true'/>", "found the alias 'a b'"),
        ("<attribute name='name' aggregate='count'/>", "'name' has no alias"),
        ("<attribute name='name' alias='n'/>", "neither aggregate nor groupby"),
        ("<attribute name='name' alias='n' aggregate='sum'/>", "'sum' cannot be made of 'name'"),
        ("<attribute name='ownerid' alias='n' aggregate='max'/>", "cannot be made of 'ownerid'"),
        ("<attribute name='name' alias='n' aggregate='count' groupby='1'/>", "both aggregated and"),
        (
            "<attribute name='name' alias='n' groupby='1' dategrouping='day'/>",
            "'name' is no date, so it has no day",
        ),
        (
            "<attribute name='name' alias='n' groupby='1' dategrouping='hour'/>",
            "found dategrouping='hour'; ",
        ),
        ("<attribute name='name' alias='n' groupby='1'/><order attribute='name'/>", "an alias"),
        (
            "<attribute name='name' alias='nn' groupby='1'/><order alias='n'/>",
            "there is no alias 'n'; did you mean 'nn'?",
        ),
        ("<attribute name='name' alias='n' groupby='1'/>" * 2, "are called 'n'; give one of them"),
        (
            "<attribute name='accountid' alias='n' rowaggregate='CountChildren'/>",
            "rowaggregate='CountChildren' of attribute is not answered here",
        ),
    ],
)
def test_an_aggregate_that_cannot_be_formed_is_refused(inside: str, words: str) -> None:
    assert words in refusal(inside, aggregate="true")


@pytest.mark.parametrize(
    ("inside", "words"),
    [
        ("<attribute name='employees' alias='n' aggregate='sum'/>", "found aggregate, but the"),
        ("<attribute name='name' groupby='true'/>", "found groupby, but the query is no aggregate"),
        ("<attribute name='name'/><order alias='name'/>", "expected an attribute: this is no agg"),
        ("<attribute name='nme'/>", "account has no column 'nme'; did you mean 'name'?"),
        ("<order attribute='nme'/>", "account has no column 'nme'"),
        ("<attribute name='name'/><attribute name='city' alias='name'/>", "are called 'name'"),
        ("<order/>", "order has no 'attribute', which it needs"),
    ],
)
def test_a_query_that_contradicts_itself_is_refused(inside: str, words: str) -> None:
    assert words in refusal(inside)


def test_a_filter_alone_is_no_question() -> None:
    with pytest.raises(FilterError, match="found 'filter', expected 'fetch'"):
        LANGUAGE.parse_selection("<filter/>", TABLES)
    with pytest.raises(FilterError, match="table 'acount' is not kept offline; did you mean"):
        LANGUAGE.parse_selection("<fetch><entity name='acount'/></fetch>", TABLES)


@pytest.mark.parametrize(
    "inside",
    [
        "<attribute name='statecodename'/>",
        "<order attribute='industrycodename'/>",
        "<filter><condition attribute='statecodename' operator='eq' value='Active'/></filter>",
    ],
)
def test_a_label_is_no_column(inside: str) -> None:
    assert "labels are no columns here; ask for the numbers of" in refusal(inside)

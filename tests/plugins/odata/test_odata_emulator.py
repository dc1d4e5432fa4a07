"""A filter selects the rows that the emulator selects, which reads and evaluates on its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.filters import Record, comparable, predicate, settle, trees
from holdfast.model import Asking, Caller
from holdfast.schema import Column, Relationship, TableSchema
from holdfast.values import Cell, Reference
from holdfast_emulator import Dataverse
from holdfast_emulator.queries.evaluate import TableScope, matcher
from holdfast_emulator.queries.odata import parse_filter
from support.odata import LANGUAGE

NOW = datetime(2024, 2, 29, 12, 0, tzinfo=UTC)
CRM = "Microsoft.Dynamics.CRM."
COLUMNS = {
    "account": "accountid name description numberofemployees importsequencenumber new_services "
    "createdon primarycontactid parentaccountid ownerid donotemail",
    "contact": "contactid fullname importsequencenumber createdon parentcustomerid",
    "task": "activityid subject percentcomplete regardingobjectid",
    "systemuser": "systemuserid fullname",
}
ACCOUNTS, CONTACTS, TASKS = (
    [f"{digit}0000000-0000-4000-8000-00000000000{at}" for at in range(7)] for digit in "acd"
)
NAMES = ("a", "ÅB", "b", None, "ß", "A%", "øab")
DAYS = ("2024-02-29T01:00:00Z", "2024-02-28T23:59:59Z", "2024-01-15T10:00:00Z")


def pointer(table: str, ids: list[str], at: int) -> Reference | None:
    return Reference(table, ids[at % 6]) if at % 3 else None


def rows(user: str) -> dict[str, list[dict[str, Cell | Reference]]]:
    """Return rows among which every test finds some, and finds null."""
    numbers = (1, 2, None, 3)
    return {
        "contact": [
            {
                "contactid": CONTACTS[at],
                "fullname": NAMES[(at + 1) % 7],
                "importsequencenumber": numbers[at % 4],
                "createdon": DAYS[at % 3],
                "parentcustomerid": pointer("account", ACCOUNTS, at)
                if at % 2
                else pointer("contact", CONTACTS, at + 1),
            }
            for at in range(6)
        ],
        "account": [
            {
                "accountid": ACCOUNTS[at],
                "name": NAMES[at],
                "description": NAMES[-at],
                "numberofemployees": numbers[at % 4],
                "importsequencenumber": numbers[at // 2],
                "new_services": (None, "1", "1,2", "2")[at % 4],
                "createdon": DAYS[at % 3],
                "primarycontactid": pointer("contact", CONTACTS, at),
                "parentaccountid": pointer("account", ACCOUNTS, at - 1),
                "ownerid": Reference("systemuser", user),
                "donotemail": (True, False, None)[at % 3],
            }
            for at in range(6)
        ],
        "task": [
            {
                "activityid": TASKS[at],
                "subject": NAMES[at],
                "percentcomplete": numbers[at % 4],
                "regardingobjectid": pointer("account", ACCOUNTS, at + 1)
                if at % 4
                else pointer("contact", CONTACTS, at + 1),
            }
            for at in range(7)
        ],
    }


class Organisation:
    """An emulator's organisation, and its tables as the engine knows them."""

    def __init__(self) -> None:
        self.dataverse = Dataverse(lambda: NOW)
        self.user = self.dataverse.security.users()[0]
        for table, some in rows(self.user.id).items():
            self.dataverse.load(table, some)
        self.asking = self.dataverse.asking(self.user)
        self.tables = {name: self._schema(name) for name in COLUMNS}
        self._rows = {name: list(self._read(name)) for name in COLUMNS}

    def _schema(self, name: str) -> TableSchema:
        definition = self.dataverse.metadata.tables[name]
        columns = tuple(
            Column(own.name, own.type, targets=own.targets, behavior=own.behavior)
            for own in definition.columns
            if own.name in COLUMNS[name].split()
        )
        relationships = tuple(
            Relationship(
                known.schema_name,
                known.referencing,
                known.referencing_attribute,
                known.referenced,
                known.referencing_navigation,
                known.referenced_navigation,
                known.is_hierarchical,
            )
            for known in self.dataverse.metadata.relationships.values()
            if name in (known.referencing, known.referenced)
        )
        return TableSchema(name, definition.primary_id, None, columns, relationships=relationships)

    def _read(self, name: str) -> Iterable[Record]:
        definition = self.dataverse.metadata.tables[name]
        schema = self.tables[name]
        for cells in self.asking.navigator.store.scan(name):
            own = {
                column.name: cells[definition.positions[column.name]] for column in schema.columns
            }
            yield [own.get(field.name) for field in schema.fields]

    def positions(self, table: str) -> Mapping[str, int]:
        return self.tables[table].positions

    def rows(self, table: str, field: str, cell: Cell) -> Iterable[Record]:
        at = self.tables[table].positions[field]
        kind = self.tables[table].by_name[field].kind
        return [r for r in self._rows[table] if comparable(kind, r[at]) == comparable(kind, cell)]

    def ours(self, text: str) -> list[Cell]:
        """Return the accounts that a filter selects here."""
        expression = LANGUAGE.parse(text, self.tables["account"], self.tables)
        assert not trees(expression)
        caller = Caller("organisation", self.user.id, self.user.business_unit)
        settled = settle(expression, Asking(NOW, caller))
        test = predicate(settled, self.positions("account"), related=self)
        return [row[0] for row in self._rows["account"] if test(row) is True]

    def theirs(self, text: str) -> list[Cell]:
        """Return the accounts that it selects there."""
        metadata = self.dataverse.metadata
        table = metadata.tables["account"]
        condition = parse_filter(text, table, metadata)
        test = matcher(condition, TableScope(table, self.asking), self.asking)
        found = self.asking.navigator.store.scan("account")
        return [cells[table.positions["accountid"]] for cells in found if test(cells)]


@cache
def organisation() -> Organisation:
    return Organisation()


def asked_of(prefix: str, texts: list[str], numbers: list[str]) -> st.SearchStrategy[str]:
    """Return the tests of one row, by the path that leads to it."""
    text = st.sampled_from([f"{prefix}{name}" for name in texts])
    number = st.sampled_from([f"{prefix}{name}" for name in numbers])
    operator = st.sampled_from(["eq", "ne", "gt", "ge", "lt", "le"])
    value = st.sampled_from(["'a'", "'åb'", "'SS'", "''", "'øab'"])
    name = st.sampled_from(numbers)
    search = st.sampled_from(["contains", "startswith", "endswith"])
    listed = st.sampled_from(["In", "NotIn", "Between", "NotBetween"])
    return st.one_of(
        st.builds("{} {} {}".format, text, operator, value),
        st.builds("{} {} {}".format, number, operator, st.sampled_from(["1", "2", "3"])),
        st.builds("2 {} {}".format, operator, number),
        st.builds("{} {} null".format, text | number, st.sampled_from(["eq", "ne"])),
        st.builds("{} {} {}".format, number, operator, number),
        st.builds("{}({},{})".format, search, text, st.sampled_from(["'a'", "'[^a]'", "'ß'"])),
        st.builds(
            f'{prefix}{CRM}{{}}(PropertyName=\'{{}}\',PropertyValues=["1","2"])'.format,
            listed,
            name,
        ),
    )


def dates_of(prefix: str) -> st.SearchStrategy[str]:
    return st.sampled_from(
        [
            f"{prefix}createdon ge 2024-02-29",
            f"{prefix}{CRM}Today(PropertyName='createdon')",
            f"{prefix}{CRM}LastMonth(PropertyName='createdon')",
            f"{prefix}{CRM}LastXDays(PropertyName='createdon',PropertyValue=1)",
            f"{prefix}{CRM}On(PropertyName='createdon',PropertyValue='2024-02-28')",
            f"{prefix}{CRM}InFiscalPeriod(PropertyName='createdon',PropertyValue=1)",
        ]
    )


def account(prefix: str) -> st.SearchStrategy[str]:
    numbers = ["numberofemployees", "importsequencenumber"]
    return asked_of(prefix, ["name", "description"], numbers) | dates_of(prefix)


def contact(prefix: str) -> st.SearchStrategy[str]:
    return asked_of(prefix, ["fullname"], ["importsequencenumber"]) | dates_of(prefix)


def task(prefix: str) -> st.SearchStrategy[str]:
    return asked_of(prefix, ["subject"], ["percentcomplete"])


def joined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    both = st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner)
    return both | st.builds("not ({})".format, inner)


def conditions(leaves: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.recursive(leaves, joined, max_leaves=3)


def lambdas(path: str, inside: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    start, variable = path, path.rpartition("/")[2][:1].lower() + "1"
    asked = st.builds(
        f"{start}/{{}}({variable}:{{}})".format, st.sampled_from(["any", "all"]), inside
    )
    return asked | st.just(f"{start}/any()")


PLAIN = st.sampled_from(
    [
        "new_services eq '2,1'",
        "new_services ne '1'",
        f"{CRM}ContainValues(PropertyName='new_services',PropertyValues=['1'])",
        f"{CRM}DoesNotContainValues(PropertyName='new_services',PropertyValues=['2'])",
        f"{CRM}EqualUserId(PropertyName='ownerid')",
        f"{CRM}EqualUserTeams(PropertyName='ownerid')",
        f"{CRM}NotEqualUserId(PropertyName='primarycontactid')",
        f"{CRM}EqualBusinessId(PropertyName='primarycontactid')",
        "primarycontactid eq null",
        "primarycontactid/contactid ne null",
        "_primarycontactid_value ne null",
        f"_parentaccountid_value eq {ACCOUNTS[1]}",
        "donotemail ne true",
    ]
)
CONTACT_BEHIND = contact("primarycontactid/") | account(
    "primarycontactid/parentcustomerid_account/"
)
INSIDE_CONTACT = conditions(
    contact("c1/")
    | account("c1/parentcustomerid_account/")
    | lambdas("c1/Contact_Tasks", conditions(task("c1/")))
)
FILTERS = conditions(
    st.one_of(
        PLAIN,
        account(""),
        CONTACT_BEHIND,
        account("parentaccountid/"),
        contact("parentaccountid/primarycontactid/"),
        lambdas("Account_Tasks", conditions(task("a1/"))),
        lambdas("contact_customer_accounts", INSIDE_CONTACT),
    )
)


@settings(derandomize=True, max_examples=500, deadline=None)
@given(FILTERS)
def test_a_filter_selects_the_rows_that_the_emulator_selects(text: str) -> None:
    here = organisation()
    assert here.ours(text) == here.theirs(text)
    schema = here.tables["account"]
    written = LANGUAGE.render(LANGUAGE.parse(text, schema, here.tables), schema, here.tables)
    assert here.theirs(written) == here.ours(text)

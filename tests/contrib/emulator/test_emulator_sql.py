"""``?sql=``: what is answered, what is refused, and who sees which rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from holdfast_emulator import Dataverse, Depth

if TYPE_CHECKING:
    from contrib.emulator.conftest import Answer, Client

A = "0a0a0a0a-0000-4000-8000-00000000000a"
B = "0a0a0a0a-0000-4000-8000-00000000000b"
C = "0a0a0a0a-0000-4000-8000-00000000000c"


@pytest.fixture(autouse=True)
async def rows(client: Client) -> None:
    accounts: list[dict[str, Any]] = [
        {"accountid": A, "name": "Ånn", "revenue": 10.5, "numberofemployees": 1, "fax": "1"},
        {"accountid": B, "name": "bo", "revenue": 20, "numberofemployees": 2, "creditonhold": True},
        {"accountid": C, "name": "Bo 50%", "numberofemployees": 2},
    ]
    for account in accounts:
        await client.create("accounts", account)
    for name, parent in (("Ås", A), ("Berg", A), ("Dal", B)):
        bound = {"parentcustomerid_account@odata.bind": f"/accounts({parent})"}
        await client.create("contacts", {"lastname": name, "birthdate": "1980-05-17", **bound})


async def ask(client: Client, sql: str, target: str = "accounts", **headers: str) -> Answer:
    return await client("GET", f"{client.root}{target}?sql={quote(sql)}", **headers)


async def table(client: Client, sql: str, target: str = "accounts") -> list[list[object]]:
    answer = await ask(client, sql, target)
    assert answer.status == 200, answer.text
    hidden = ("@odata.etag", "accountid", "contactid")
    return [[value for name, value in row.items() if name not in hidden] for row in answer.value]


async def test_rows_come_as_rows_of_the_table(client: Client) -> None:
    answer = await ask(client, "SELECT name, revenue AS money FROM account WHERE name = 'ÅNN'")
    (row,) = answer.value
    assert row.pop("@odata.etag").startswith('W/"')
    assert row == {"name": "Ånn", "money": 10.5, "accountid": A}
    context = answer.json["@odata.context"]
    assert context == f"{client.root}$metadata#accounts(name,money,accountid)"


@pytest.mark.parametrize(
    ("where", "names"),
    [
        ("name LIKE 'B%'", ["bo", "Bo 50%"]),
        ("name NOT LIKE 'b%'", ["Ånn"]),
        ("name LIKE '%[%]'", ["Bo 50%"]),
        ("name LIKE '[^b]__'", ["Ånn"]),
        ("name IN ('BO', N'ånn')", ["Ånn", "bo"]),
        ("name NOT IN ('bo')", ["Ånn", "Bo 50%"]),
        ("fax IS NULL", ["bo", "Bo 50%"]),
        ("fax IS NOT NULL", ["Ånn"]),
        ("fax = NULL", []),
        ("fax <> '2'", ["Ånn"]),
        ("revenue BETWEEN 10 AND 15.5", ["Ånn"]),
        ("10.5 < revenue", ["bo"]),
        ("revenue > -1", ["Ånn", "bo"]),
        ("NOT (numberofemployees = 2 OR revenue = 1)", ["Ånn"]),
        ("NOT (numberofemployees = 2)", ["Ånn"]),
        ("creditonhold = 1", ["bo"]),
        (f"accountid = '{A.upper()}'", ["Ånn"]),
        ("createdon >= '2026-03-01'", ["Ånn", "bo", "Bo 50%"]),
        ("createdon = '2026-03-01 09:00:00+01:00'", ["Ånn", "bo", "Bo 50%"]),
        ("numberofemployees = '1'", ["Ånn"]),
        ("numberofemployees = 2 AND (name = 'bo' OR name = 'x')", ["bo"]),
    ],
)
async def test_a_condition_chooses(client: Client, where: str, names: list[str]) -> None:
    found = await table(client, f"SELECT name FROM account WHERE {where} ORDER BY accountid")
    assert found == [[name] for name in names]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            (
                "SELECT a.name, c.lastname FROM account a JOIN contact c "
                "ON a.accountid = c.parentcustomerid ORDER BY c.lastname DESC"
            ),
            [["Ånn", "Ås"], ["bo", "Dal"], ["Ånn", "Berg"]],
        ),
        (
            (
                "SELECT a.name AS n, c.lastname l FROM account AS a LEFT OUTER JOIN contact AS c "
                "ON a.accountid = c.parentcustomerid AND c.lastname <> 'Dal' "
                "WHERE a.name LIKE 'b%' ORDER BY n"
            ),
            [["bo", None], ["Bo 50%", None]],
        ),
        ("SELECT DISTINCT numberofemployees FROM account ORDER BY numberofemployees", [[1], [2]]),
        ("SELECT TOP 1 name FROM account ORDER BY revenue DESC", [["bo"]]),
        (
            "SELECT name FROM [account] ORDER BY name OFFSET 1 ROWS FETCH NEXT 1 ROWS ONLY",
            [["Bo 50%"]],
        ),
        ("SELECT COUNT(*) FROM account", [[3]]),
        (
            (
                "SELECT COUNT(revenue) c, SUM(revenue) s, AVG(revenue) a, MIN(name) m, "
                "MAX(revenue) x, AVG(numberofemployees) e, COUNT(DISTINCT numberofemployees) d "
                "FROM account"
            ),
            [[2, 30.5, 15.25, "bo", 20, 1, 2]],
        ),
        (
            (
                "SELECT numberofemployees n, COUNT(*) AS c FROM account GROUP BY numberofemployees "
                "ORDER BY c DESC"
            ),
            [[2, 2], [1, 1]],
        ),
        (
            (
                "SELECT a.name, COUNT(c.contactid) AS cnt FROM account a JOIN contact c "
                "ON a.accountid = c.parentcustomerid GROUP BY a.name ORDER BY a.name"
            ),
            [["bo", 1], ["Ånn", 2]],
        ),
        (
            (
                "SELECT child.name, p.name AS parent FROM account child "
                "LEFT JOIN account p ON child.parentaccountid = p.accountid WHERE child.fax = '1'"
            ),
            [["Ånn", None]],
        ),
        ("SELECT creditonhold FROM account WHERE name='bo'", [[True]]),
    ],
)
async def test_a_statement_has_its_result(
    client: Client, sql: str, expected: list[list[object]]
) -> None:
    assert await table(client, sql) == expected


async def test_a_lookup_has_the_name_of_its_property(client: Client) -> None:
    sql = "SELECT parentcustomerid, birthdate FROM contact WHERE lastname = 'Dal'"
    assert (await ask(client, sql, "contacts")).value[0]["_parentcustomerid_value"] == B
    answer = await ask(
        client,
        "SELECT name AS n, revenue FROM account WHERE name = 'bo'",
        Prefer='odata.include-annotations="*"',
    )
    (row,) = answer.value
    assert row["n@OData.Community.Display.V1.AttributeName"] == "name"
    assert row["revenue@OData.Community.Display.V1.FormattedValue"] == "$20.00"


@pytest.mark.parametrize(
    ("sql", "word"),
    [
        ("SELECT * FROM account", "SELECT *"),
        ("SELECT a.* FROM account a", "SELECT *"),
        ("SELECT name FROM account HAVING COUNT(*) > 1", "HAVING"),
        ("WITH x AS (SELECT name FROM account) SELECT name FROM x", "CTE"),
        ("SELECT name FROM account UNION SELECT lastname FROM contact", "UNION"),
        ("SELECT name FROM (SELECT name FROM account) t", "subquery"),
        ("SELECT name FROM account WHERE accountid IN (SELECT accountid FROM account)", "IN"),
        ("SELECT name FROM account WHERE EXISTS (SELECT 1)", "EXISTS"),
        ("SELECT name FROM account WHERE 1 = 1", "constant"),
        ("SELECT name FROM account WHERE name = fax", "constant"),
        ("SELECT name FROM account WHERE LEN(name) = 1", "constant"),
        ("SELECT UPPER(name) FROM account", "UPPER"),
        ("SELECT CASE WHEN name = 'a' THEN 1 END FROM account", "CASE"),
        ("SELECT name FROM account CROSS JOIN contact", "CROSS JOIN"),
        ("SELECT name FROM account, contact", "CROSS JOIN"),
        ("SELECT a.name FROM account a RIGHT JOIN contact c ON a.accountid = c.contactid", "RIGHT"),
        ("SELECT a.name FROM account a FULL JOIN contact c ON a.accountid = c.contactid", "FULL"),
        ("SELECT name, COUNT(*) FROM account", "GROUP BY"),
        ("SELECT COUNT(*) FROM account ORDER BY name", "GROUP BY"),
        ("SELECT name, name FROM account", "alias"),
        ("SELECT SUM(name) FROM account", "sum"),
        ("SELECT TOP 6000 name FROM account", "5000"),
        ("SELECT TOP 5 PERCENT name FROM account", "PERCENT"),
        ("SELECT name FROM account ORDER BY LEN(name)", "ORDER BY"),
        ("SELECT name FROM nothing", "nothing"),
        ("SELECT nothing FROM account", "nothing"),
        ("SELECT x.name FROM account a", "x.name"),
        ("SELECT a.name FROM account a JOIN contact c ON c.lastname = 'x'", "ON"),
        ("SELECT createdon FROM account a JOIN contact c ON a.accountid = c.contactid", "mbiguous"),
        ("SELECT name FROM account WHERE numberofemployees = 'x'", "Conversion"),
        ("SELECT name FROM account WHERE createdon > 'soon'", "Conversion"),
        ("SELECT lastname FROM contact", "account"),
        ("SELECT name FROM account; SELECT name FROM account", "exactly one"),
        ("DELETE FROM account", "exactly one"),
        ("SELECT name FROM account WITH (NOLOCK)", "hints"),
        ("", "exactly one"),
        ("SELECT", "FROM"),
        ("'", "syntax"),
    ],
)
async def test_what_the_service_has_not_is_refused(client: Client, sql: str, word: str) -> None:
    answer = await ask(client, sql)
    assert answer.status == 400, answer.text
    assert word in answer.json["error"]["message"]


async def test_hostile_statements_are_refused_quickly(client: Client) -> None:
    for sql in (
        "SELECT name FROM account WHERE " + "(" * 5000 + "name = 'a'" + ")" * 5000,
        "SELECT name FROM account WHERE " + "NOT " * 3000 + "name = 'a'",
        "SELECT name FROM account WHERE " + " OR ".join("fax='1'" for _ in range(501)),
        "SELECT name FROM account WHERE numberofemployees = " + "9" * 400,
        "SELECT name FROM account WHERE name = '\x00'",
        "SELECT name FROM " + " JOIN ".join(f"account a{n}" for n in range(30)),
        "SELECT " + ",".join("name AS c" + str(n) for n in range(3000)) + " FROM account",
    ):
        assert (await ask(client, sql)).status == 400, sql[:60]


async def test_a_statement_that_does_too_much_is_broken_off(
    client: Client, dataverse: Dataverse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast_emulator.queries.sql._MOST_ASKED", 3)
    dataverse.load("account", ({"accountid": f"{n:08x}{A[8:]}", "fax": "x"} for n in range(2000)))
    joined = "SELECT COUNT(*) FROM account a JOIN account b ON a.fax = b.fax"
    answer = await ask(client, joined)
    assert (answer.status, answer.code) == (400, "0x80044151")


async def test_pages_are_linked(client: Client) -> None:
    prefer = {"Prefer": "odata.maxpagesize=2"}
    first = await ask(client, "SELECT name FROM account ORDER BY name", **prefer)
    assert [row["name"] for row in first.value] == ["bo", "Bo 50%"]
    second = await client("GET", first.json["@odata.nextLink"], **prefer)
    assert [row["name"] for row in second.value] == ["Ånn"]
    assert "@odata.nextLink" not in second.json
    for token in ("x", "%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%22%20istracking=%22F"):
        answer = await client("GET", f"accounts?sql=SELECT name FROM account&$skiptoken={token}")
        assert answer.status == 400


async def test_only_what_the_caller_may_read_is_there(client: Client, dataverse: Dataverse) -> None:
    office = dataverse.security.user_of("office-token")
    assert office
    dataverse.secure("account", "fax", hidden_from=office)
    sql = "SELECT name FROM account WHERE fax IS NULL"
    assert len((await ask(client, sql, token="office-token")).value) == 3
    dataverse.security.limit(office, "account", Depth.BASIC)
    assert (await ask(client, sql, token="office-token")).value == []
    dataverse.security.limit(office, "account", Depth.NONE)
    assert (await ask(client, sql, token="office-token")).status == 403


async def test_other_options_are_refused(client: Client) -> None:
    answer = await client("GET", "accounts?sql=SELECT name FROM account&$top=1")
    assert answer.status == 400

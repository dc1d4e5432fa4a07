"""Keys, options other than ``$filter``, tokens, functions and uploads with one mistake in them."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from support.malformed.request import ID, NOBODY, Mistake, Request, asking, number, word

FILE = f"accounts({ID})/new_contract"


def key(dice: random.Random) -> Request:
    wrong: tuple[str, ...] = (
        "x",
        "1",
        "'x'",
        "name=",
        "=1",
        "name='x",
        "name='x',name='y'",
        "name='x',",
        "(",
        "((",
    )
    wrong += (f"accountid='{ID}", f"{ID},{ID}", f"{ID[:-1]}", f"{ID}0", "accountid=1", "name")
    wrong += ("name=='x'", "name eq 'x'", "name='x'='y'", "zz='x'", "*", "null", "name=x", "-")
    text = f"{dice.choice(wrong)}{word(dice) if dice.random() < 0.7 else ''}"
    method = dice.choice(("GET", "PATCH", "DELETE"))
    table = dice.choice(("accounts", "contacts", "tasks"))
    body = b'{"description": "x"}' if method == "PATCH" else b""
    return Request("a bad key", method, f"{table}({text})", "", body)


def missing_row(dice: random.Random) -> Request:
    row = f"{NOBODY[:-4]}{dice.randrange(16**4):04x}"
    method, rest = dice.choice(
        (
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/name"),
            ("GET", "/primarycontactid"),
            ("PUT", "/name"),
        )
    )
    body = b'{"value": "x"}' if method == "PUT" else b""
    return Request("no such row", method, f"accounts({row}){rest}", "", body)


def path(dice: random.Random) -> Request:
    wrong: tuple[str, ...] = (
        f"{word(dice)}",
        f"accounts({ID})/{word(dice)}",
        f"accounts({ID}",
        f"accounts{ID})",
    )
    wrong += (f"accounts({ID})/name/{word(dice)}", f"accounts'{word(dice)}", f"acc({word(dice)}")
    wrong += (f"${dice.randint(1, 10**6)}", f"accounts({ID})'{word(dice)}", f"{word(dice)}({ID})")
    return Request("a bad path", "GET", dice.choice(wrong))


def select(dice: random.Random) -> Request:
    wrong: tuple[str, ...] = (
        word(dice),
        f"name,{word(dice)}",
        f"name {word(dice)}",
        f"'{word(dice)}",
        "(",
        ")",
    )
    wrong += (f"name/{word(dice)}", f"name({word(dice)}", f"primarycontactid/{word(dice)}")
    where = dice.choice(("accounts", f"accounts({ID})"))
    return asking("a bad $select", where, **{"$select": dice.choice(wrong)})


def orderby(dice: random.Random) -> Request:
    wrong: tuple[str, ...] = (
        word(dice),
        f"name {word(dice)}",
        f"name desc {word(dice)}",
        f"name asc,{word(dice)}",
    )
    wrong += (f"name,name {word(dice)}", f"primarycontactid/{word(dice)}", f"({word(dice)}")
    wrong += (f"Account_Tasks/{word(dice)}", f"'{word(dice)}", f"{word(dice)}/name desc")
    return asking("a bad $orderby", "accounts", **{"$orderby": dice.choice(wrong)})


def expand(dice: random.Random) -> Request:
    name = word(dice)
    wrong = (
        *(name, f"primarycontactid,{name}", f"primarycontactid({name})", "primarycontactid("),
        *(f"primarycontactid($select={name})", f"primarycontactid($zz={name})", f"name/{name}"),
        *(f"Account_Tasks($orderby={name})", f"Account_Tasks($top={name})", f"name({name})"),
        *(f"Account_Tasks($expand={name})", f"Account_Tasks($select=subject;$select={name})"),
        *("primarycontactid,primarycontactid", f"Account_Tasks/$count{name}", f"'{name}"),
        *(f"primarycontactid($select=fullname))${name}", f"primarycontactid/{name}"),
    )
    where = dice.choice(("accounts", f"accounts({ID})"))
    return asking("a bad $expand", where, **{"$expand": dice.choice(wrong)})


def number_option(dice: random.Random) -> Request:
    name, wrong = dice.choice(
        (
            ("$top", ("-1", "x", "1.5", "1e3", "0x10", "9" * 40, " ", "null")),
            ("$count", ("yes", "1", "TRUE", "null", "x")),
            ("$skip", ("1", "0", "x")),
        )
    )
    made = asking(f"a bad {name}", "accounts", **{name: dice.choice(wrong)})
    return Request(made.why, "GET", "accounts", f"{made.query}&tag={dice.randrange(10**6)}")


def unknown_option(dice: random.Random) -> Request:
    where = dice.choice(("accounts", f"accounts({ID})", "accounts/$count", "EntityDefinitions"))
    return asking("an unknown option", where, **{f"${word(dice)}": number(dice)})


def repeated_option(dice: random.Random) -> Request:
    name = dice.choice(("$select", "$orderby", "$expand", "$top", "$count"))
    value = {"$expand": "primarycontactid", "$top": "1", "$count": "true"}.get(name, "name")
    query = f"{name}={value}&tag={dice.randrange(10**6)}&{name}={value}"
    return Request("an option twice", "GET", "accounts", query)


def skip_token(dice: random.Random) -> Request:
    good = (
        '<cookie pagenumber="2" pagingcookie="%3ccookie%20page%3d%221%22%3e" istracking="False" />'
    )
    cut = good[: dice.randrange(len(good))] or "x"
    wrong = (word(dice), cut, good.replace("2", word(dice), 1), number(dice), f"%{word(dice)}")
    return asking("a bad skip token", "accounts", **{"$skiptoken": dice.choice(wrong)})


def delta_token(dice: random.Random) -> Request:
    wrong: tuple[str, ...] = (
        word(dice),
        f"{number(dice)}!{word(dice)}",
        f"!{number(dice)}",
        "1!99/99/2026 00:00:00",
    )
    wrong += (f"{word(dice)}!03/01/2026 08:00:00", f"-{number(dice)}!03/01/2026 08:00:00")
    text = dice.choice(wrong)
    more = f"&tag={dice.randrange(10**6)}"
    made = asking("a bad delta token", "accounts", **{"$deltatoken": text})
    return Request(made.why, "GET", "accounts", made.query + more)


def apply(dice: random.Random) -> Request:
    name = word(dice)
    wrong = (
        *(
            name,
            f"{name}()",
            "aggregate(",
            "aggregate()",
            "groupby()",
            "groupby((name)",
            "groupby((",
        ),
        *(f"groupby(({name}))", f"aggregate({name} with sum as t)", "aggregate(revenue with sum)"),
        *(f"aggregate(revenue with {name} as t)", f"aggregate(name with sum as {name})", "/"),
        *(f"groupby((name),aggregate({name}))", f"filter({name} eq 1)/groupby((name))"),
        *(f"groupby((name))/{name}", "filter(name eq)/groupby((name))", "groupby((createdon))"),
        *("aggregate($count as n,$count as n)", "groupby((name,name))", f"groupby((name/{name}))"),
    )
    made = asking("a bad $apply", "accounts", **{"$apply": dice.choice(wrong)})
    return Request(made.why, "GET", "accounts", f"{made.query}&tag={dice.randrange(10**6)}")


def sql(dice: random.Random) -> Request:
    name = word(dice)
    wrong = (
        *(name, "SELECT", "SELECT FROM account", f"SELECT {name} FROM account", "SELECT name FROM"),
        *(
            f"SELECT name FROM {name}",
            "SELECT name account",
            f"SELECT name FROM account WHERE {name}=1",
        ),
        *("SELECT name FROM account WHERE", f"SELECT name FROM account ORDER BY {name}"),
        *(
            f"SELECT name FROM account; DROP TABLE {name}",
            f"DELETE FROM account WHERE name='{name}'",
        ),
        *(f"UPDATE account SET name='{name}'", f"INSERT INTO account (name) VALUES ('{name}')"),
        *(
            f"SELECT name FROM account WHERE name = '{name}",
            f"SELECT ({name} FROM account",
            f"'{name}",
        ),
        *(
            "(" * 200 + name,
            f"SELECT name FROM contact WHERE {name}",
            f"SELECT * FROM {name}.account",
        ),
    )
    return asking("bad SQL", "accounts", sql=dice.choice(wrong), tag=number(dice))


def function(dice: random.Random) -> Request:
    name = word(dice)
    calls = (
        *("RetrieveTotalRecordCount()", f"RetrieveTotalRecordCount(EntityNames={name})"),
        *(
            f"RetrieveTotalRecordCount(EntityNames=['{name}'])",
            "RetrieveTotalRecordCount(EntityNames=@a)",
        ),
        *(f"RetrieveTotalRecordCount({name}=1)", "RetrieveTotalRecordCount(EntityNames=[)"),
        *("RetrieveSharedPrincipalsAndAccess()", "RetrieveSharedPrincipalsAndAccess(Target=1)"),
        *(f"RetrieveMetadataChanges(Query={name})", "RetrieveMetadataChanges(Query={)"),
        *(f"WhoAmI({name}", "RetrieveMetadataChanges(Query=[])"),
    )
    return Request("a bad call", "GET", dice.choice(calls), f"tag={dice.randrange(10**6)}")


def definitions(dice: random.Random) -> Request:
    name = word(dice)
    where = (
        *(f"EntityDefinitions(LogicalName='{name}')", f"EntityDefinitions({name})"),
        *(f"EntityDefinitions(LogicalName='account')/Attributes(LogicalName='{name}')",),
        *(
            f"EntityDefinitions(LogicalName='account')/{name}",
            f"EntityDefinitions(LogicalName='{name}",
        ),
        *(
            f"RelationshipDefinitions(SchemaName='{name}')",
            f"GlobalOptionSetDefinitions(Name='{name}')",
        ),
        *(f"EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.{name}",),
    )
    return Request("no such definition", "GET", dice.choice(where))


def definition_options(dice: random.Random) -> Request:
    name = word(dice)
    option, wrong = dice.choice(
        (
            (
                "$filter",
                (f"{name} eq 1", "LogicalName eq", "LogicalName eq 5", "(LogicalName eq 'a'"),
            ),
            ("$select", (name, f"LogicalName,{name}", f"({name}")),
            ("$expand", (name, f"Attributes($select={name})", f"Attributes({name}", "Attributes(")),
            ("$top", ("x", "-1")),
        )
    )
    return asking("a bad option", "EntityDefinitions", **{option: dice.choice(wrong)})


def headers(dice: random.Random) -> Request:
    wrong = (
        {"mscrmcallerid": word(dice)},
        {"callerobjectid": word(dice)},
        {"mscrmcallerid": f"{NOBODY[:-4]}{dice.randrange(16**4):04x}"},
    )
    return Request("an unknown caller", "GET", "accounts", "", b"", dice.choice(wrong))


def condition(dice: random.Random) -> Request:
    wrong = {"if-match": f'W/"{dice.randint(1, 10**5)}"'}
    method = dice.choice(("PATCH", "DELETE"))
    body = b'{"name": "x"}' if method == "PATCH" else b""
    return Request("an old version", method, f"accounts({ID})", "", body, wrong)


def upload(dice: random.Random) -> Request:
    """Send a part that is none, or to a session that is none."""
    ranges: tuple[str, ...] = (
        "bytes 0-3/4",
        "bytes 4-1/9",
        "bytes a-b/c",
        "0-3/4",
        "bytes 0-3",
        "",
        "bytes */4",
    )
    ranges += (f"bytes 0-{number(dice)}/1", f"bytes {'9' * 40}-1/1", "items 0-3/4")
    token = dice.choice((word(dice), NOBODY, "", "%00", quote(ID)))
    sent = {"content-range": dice.choice(ranges), "content-type": "application/octet-stream"}
    body = number(dice).encode()
    return Request("a bad part", "PATCH", FILE, f"sessiontoken={token}", body, sent)


def upload_whole(dice: random.Random) -> Request:
    sent: Sequence[tuple[str, Mapping[str, str]]] = (
        ("", {"content-type": "application/octet-stream"}),
        ("", {"content-type": "application/octet-stream", "x-ms-file-name": " "}),
        ("", {"x-ms-transfer-mode": "chunked"}),
        ("", {"x-ms-transfer-mode": "chunked", "x-ms-file-name": "a.txt"}),
        (f"${word(dice)}=1", {"x-ms-file-name": "a.txt"}),
        ("size=full&size=full", {"x-ms-file-name": "a.txt"}),
    )
    query, given = dice.choice(sent)
    return Request("a bad upload", "PATCH", FILE, query, number(dice).encode(), given)


def image(dice: random.Random) -> Request:
    body = word(dice).encode() * dice.randint(1, 50)
    where = f"accounts({ID})/entityimage"
    return Request("no image", "PATCH", where, "", body, {"x-ms-file-name": "a.png"})


def download(dice: random.Random) -> Request:
    query = dice.choice((f"size={word(dice)}", f"FileContinuationToken={word(dice)}", "$top=1"))
    where = f"accounts({ID})/{dice.choice(('new_contract', 'entityimage'))}"
    return Request("a bad download", "GET", where + dice.choice(("", "/$value")), query)


def reference(dice: random.Random) -> Request:
    query = f"$id={quote(dice.choice((word(dice), 'tasks(', f'zz({ID})', 'tasks')))}"
    where = dice.choice(("Account_Tasks", "primarycontactid", word(dice)))
    return Request("a bad $id", "DELETE", f"accounts({ID})/{where}/$ref", query)


def method(dice: random.Random) -> Request:
    verb = dice.choice(("PATCH", "PUT", "DELETE"))
    body = b"{}" if verb != "DELETE" else b""
    return Request("not on a collection", verb, "accounts", f"tag={dice.randrange(10**6)}", body)


MISTAKES: tuple[Mistake, ...] = (
    *(key, key, missing_row, path, select, orderby, expand, number_option, unknown_option),
    *(repeated_option, skip_token, delta_token, apply, sql, function, definitions),
    *(definition_options, headers, condition, upload, upload_whole, image, download, reference),
    *(method,),
)

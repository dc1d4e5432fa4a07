"""Valid requests with bytes flipped, dropped, put in or moved: some stay valid, most do not."""

from __future__ import annotations

import json
import random
from dataclasses import replace

from support.batches import batch, change_set, operation, part
from support.malformed.bodies import JSON, TAKERS
from support.malformed.fetches import valid as valid_fetch
from support.malformed.filters import valid as valid_filter
from support.malformed.request import ID, Request, asking

_OPTIONS = (
    ("$select", "name,revenue,_ownerid_value"),
    ("$orderby", "name desc,primarycontactid/fullname"),
    ("$expand", "primarycontactid($select=fullname),Account_Tasks($select=subject;$top=2)"),
    ("$apply", "filter(revenue gt 1)/groupby((name),aggregate(revenue with sum as total))"),
    (
        "sql",
        "SELECT TOP 3 a.name, COUNT(*) AS n FROM account a WHERE a.revenue > 1 GROUP BY a.name",
    ),
    ("$skiptoken", '<cookie pagenumber="2" pagingcookie="%253ccookie" istracking="False" />'),
    ("$deltatoken", "1000001!03/01/2026 08:00:00"),
)
_URLS = (
    *(f"accounts({ID})", f"accounts({ID})/primarycontactid/fullname", "WhoAmI()", "$metadata"),
    *("EntityDefinitions(LogicalName='account')/Attributes", f"accounts({ID})/new_contract/$value"),
    "RetrieveTotalRecordCount(EntityNames=['account','contact'])",
    *(f"accounts({ID})/Account_Tasks/$ref", "RelationshipDefinitions", "accounts/$count"),
)


def mutated(dice: random.Random) -> Request:
    """Return one."""
    request = _valid(dice)
    where = "query" if request.query and not request.body else "body" if request.body else "path"
    if where == "body" and dice.random() < 0.1:
        where = "path"
    if where == "body":
        return replace(request, body=_changed(dice, request.body))
    text = _changed(dice, (request.query if where == "query" else request.path).encode()).decode(
        errors="replace"
    )
    return replace(request, query=text) if where == "query" else replace(request, path=text)


def _valid(dice: random.Random) -> Request:
    match dice.randrange(6):
        case 0:
            method, path, body = dice.choice(TAKERS)
            return Request("changed", method, path, "", json.dumps(body).encode(), JSON)
        case 1:
            return asking("changed", "accounts", **{"$filter": valid_filter(dice)})
        case 2:
            return asking("changed", "accounts", fetchXml=valid_fetch(dice))
        case 3:
            return asking("changed", "accounts", **dict([dice.choice(_OPTIONS)]))
        case 4:
            return Request("changed", "GET", dice.choice(_URLS))
    writes = (part("POST", "accounts", {"name": "x"}), part("PATCH", "$1", {"revenue": 2}))
    text = batch(operation("GET", "accounts?$top=1"), change_set(*writes))
    kind = {"content-type": "multipart/mixed; boundary=batch_b"}
    return Request("changed", "POST", "$batch", "", text.encode(), kind)


def _changed(dice: random.Random, content: bytes) -> bytes:
    found = bytearray(content)
    for _ in range(dice.choice((1, 1, 2, 3, 8))):
        at = dice.randrange(len(found) + 1)
        to = min(len(found), at + dice.choice((1, 1, 2, 9)))
        match dice.randrange(4):
            case 0:
                found[at:to] = bytes(byte ^ 1 << dice.randrange(8) for byte in found[at:to])
            case 1:
                del found[at:to]
            case 2:
                found[at:at] = dice.choice((dice.randbytes(2), b"%00", b"'", b"(", b'"', b"\xff"))
            case _:
                found[at:at] = found[at:to]
    return bytes(found)

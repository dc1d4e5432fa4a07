"""JSON bodies with one mistake in them, for everything that takes a body."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

from support.malformed.request import ID, NOBODY, Mistake, Request, number, word

CRM = "Microsoft.Dynamics.CRM."
JSON = {"content-type": "application/json"}
ROW = {"name": "x", "revenue": 1.5, "creditonhold": True, "numberofemployees": 3}
TARGET = {"@odata.type": f"{CRM}account", "accountid": ID, "name": "x"}
ACCOUNT = {"@odata.type": f"{CRM}account", "accountid": ID}
USER = {"@odata.type": f"{CRM}team", "teamid": ID}
LABEL = {"LocalizedLabels": [{"Label": "Thing", "LanguageCode": 1033}]}
COLUMN = {
    "@odata.type": f"{CRM}StringAttributeMetadata",
    "SchemaName": "new_Column",
    "DisplayName": LABEL,
    "MaxLength": 100,
}
TABLE = {
    "@odata.type": f"{CRM}EntityMetadata",
    "SchemaName": "new_Table",
    "DisplayName": LABEL,
    "Attributes": [{**COLUMN, "IsPrimaryName": True}],
}
OPTIONS = {
    "Name": "new_set",
    "OptionSetType": "Picklist",
    "Options": [{"Value": 1, "Label": LABEL}],
}
LOOKUP = {
    "@odata.type": f"{CRM}LookupAttributeMetadata",
    "SchemaName": "new_LookupId",
    "DisplayName": LABEL,
}
ONE_TO_MANY = {
    "@odata.type": f"{CRM}OneToManyRelationshipMetadata",
    "SchemaName": "new_account_contact",
    "ReferencedEntity": "account",
    "ReferencingEntity": "contact",
    "Lookup": LOOKUP,
}
TASK = {"@odata.type": f"{CRM}task", "activityid": ID}
MEMBER = {"@odata.type": f"{CRM}systemuser", "systemuserid": ID}
CLOSE = {"opportunityid@odata.bind": f"/opportunities({ID})", "subject": "x"}
OPTION = {"EntityLogicalName": "account", "AttributeLogicalName": "industrycode"}
TABLE_URL = "EntityDefinitions(LogicalName='account')"

#: What takes a body: method, path and a body that is right.
TAKERS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("POST", "accounts", ROW),
    ("PATCH", f"accounts({ID})", ROW),
    ("PUT", f"accounts({ID})/name", {"value": "x"}),
    ("POST", f"accounts({ID})/Account_Tasks", {"subject": "x"}),
    ("POST", f"accounts({ID})/Account_Tasks/$ref", {"@odata.id": f"tasks({ID})"}),
    ("PUT", f"accounts({ID})/primarycontactid/$ref", {"@odata.id": f"contacts({ID})"}),
    ("POST", f"accounts/{CRM}CreateMultiple", {"Targets": [{"@odata.type": f"{CRM}account"}]}),
    ("POST", f"accounts/{CRM}UpdateMultiple", {"Targets": [TARGET]}),
    ("POST", f"accounts/{CRM}UpsertMultiple", {"Targets": [TARGET]}),
    ("POST", "BulkDelete", {"QuerySet": [{"EntityName": "letter"}], "JobName": "j"}),
    ("POST", "EntityDefinitions", TABLE),
    ("POST", "CreateEntities", {"Entities": [TABLE]}),
    ("POST", f"{TABLE_URL}/Attributes", COLUMN),
    ("POST", f"{TABLE_URL}/Keys", {"SchemaName": "new_Key", "KeyAttributes": ["name"]}),
    ("POST", "RelationshipDefinitions", ONE_TO_MANY),
    ("POST", "CreateOneToMany", {"Lookup": LOOKUP, "OneToManyRelationship": ONE_TO_MANY}),
    ("POST", "GlobalOptionSetDefinitions", OPTIONS),
    ("POST", "InsertOptionValue", {**OPTION, "Label": LABEL, "Value": 999}),
    ("POST", "UpdateOptionValue", {**OPTION, "Label": LABEL, "Value": 1}),
    ("POST", "DeleteOptionValue", {**OPTION, "Value": 1}),
    ("POST", "OrderOption", {**OPTION, "Values": [33, 20, 12, 6, 2, 1]}),
    ("POST", "WinOpportunity", {"Status": -1, "OpportunityClose": CLOSE}),
    ("POST", "LoseOpportunity", {"Status": -1, "OpportunityClose": CLOSE}),
    (
        *("POST", f"leads({ID})/{CRM}QualifyLead"),
        {"CreateAccount": True, "CreateContact": True, "CreateOpportunity": True, "Status": -1},
    ),
    ("POST", f"queues({ID})/{CRM}AddToQueue", {"Target": TASK}),
    ("POST", f"teams({ID})/{CRM}AddMembersTeam", {"Members": [MEMBER]}),
    (
        *("POST", "GrantAccess"),
        {"Target": ACCOUNT, "PrincipalAccess": {"Principal": USER, "AccessMask": "ReadAccess"}},
    ),
    ("POST", "RevokeAccess", {"Target": ACCOUNT, "Revokee": USER}),
    (
        *("POST", "InitializeFileBlocksUpload"),
        {"Target": ACCOUNT, "FileAttributeName": "new_contract", "FileName": "a.txt"},
    ),
    (
        *("POST", "UploadBlock"),
        {"BlockId": "AAAA", "BlockData": "AAAA", "FileContinuationToken": "x"},
    ),
    ("POST", "DeleteFile", {"FileId": NOBODY}),
)
#: What a property of a row cannot be.
WRONG_VALUES: Mapping[str, tuple[str, ...]] = {
    "name": ("1", "true", "{}", "[]", "1.5", '{"a":1}', "[1]", '"%s"' % ("x" * 9000)),
    "revenue": ('"x"', "true", "{}", "[]", "1e400", "1e30", "-1e30", "9" * 5000),
    "numberofemployees": ('"x"', "true", "{}", "1.5", "2147483648", "1e400", "-1", "9" * 5000),
    "creditonhold": ('"x"', "1", "{}", "[]", '"true "', "0.5"),
    "lastonholdtime": ('"x"', "1", "true", "{}", '"2026-13-01T00:00:00Z"', '"2026-02-30"', '""'),
    "statecode": ('"x"', "77", "true", "1.5", "{}"),
    "industrycode": ('"x"', "99999", "true", "1.5", "[]"),
    "new_services": ("{}", "true", '"x,y"', '"99999"'),
    "new_loyaltyscore": ('"x"', "true", "{}", "1e400", "[]"),
    "address1_latitude": ('"x"', "true", "{}", "1e400", "1000"),
    "accountid": ('"x"', "1", "true", "{}", '"0a0a0a0a-0000"'),
    "entityimage": ('"x"', "1", "{}", '"AAAA"', '"é"'),
    "primarycontactid@odata.bind": ("1", "{}", '"x"', '"contacts"', '"contacts(x)"', '"tasks(1)"'),
    "primarycontactid": ('"x"', "1", "[]"),
    "Account_Tasks": ("{}", "1", "[1]", '["x"]', '[{"zz":1}]'),
    "_primarycontactid_value": ("1", '"x"', "null"),
    "new_contract": ('"x"', "1", "null"),
}


def _sent(why: str, dice: random.Random, text: str | bytes, taker: tuple[str, str, Any]) -> Request:
    body = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return Request(why, taker[0], taker[1], "", body, JSON)


def _taken(dice: random.Random) -> tuple[tuple[str, str, Mapping[str, Any]], str]:
    """Return something that takes a body, and one that is right but for the mistake to come."""
    taker = dice.choice(TAKERS)
    text = json.dumps(taker[2])
    return taker, text if dice.random() < 0.5 else text.replace(": ", ":  ").replace(", ", " , ")


def _boundaries(text: str) -> list[int]:
    """Return the places between the tokens of JSON."""
    found: list[int] = []
    quoted = False
    for at, character in enumerate(text):
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "{}[],:":
            found.append(at)
    return found


def prefix(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    return _sent("JSON cut off", dice, text[: dice.randrange(len(text))], taker)


def junk(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    at = dice.choice(_boundaries(text))
    wrong = dice.choice(("#", "x", "'", "/**/", "//\n", ";", "\x00", "=", "\\", "!", "undefined"))
    return _sent("junk between tokens", dice, text[:at] + wrong + text[at:], taker)


def doubled(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    at = dice.choice(_boundaries(text)[:-1])
    wrong = text[:at] + text[at] + text[at:] if text[at] in ",:" else text + text[at]
    return _sent("a sign twice", dice, wrong, taker)


def trailing(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    more = dice.choice(("{}", "}", "]", ",", "x", "null", '"', "[]", "\x00", "1")) + word(dice)
    return _sent("more after the end", dice, text + more, taker)


def no_object(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    wrong = (
        "null",
        "true",
        "[]",
        number(dice),
        f'"{word(dice)}"',
        f"[{text}]",
        f"[{number(dice)}]",
    )
    return _sent("no object", dice, dice.choice(wrong), taker)


def no_number(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    wrong = dice.choice(("NaN", "Infinity", "-Infinity", "+1", "01", "1.", ".5", "0x1", "1e", "-"))
    name = word(dice)
    return _sent("no number", dice, text[:-1] + f', "@odata.{name}": {wrong}}}', taker)


def no_utf8(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    bad = dice.choice((b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc0\x80"))
    wrong = text.encode()[:-1] + b', "@odata.' + bad + word(dice).encode() + b'": 1}'
    return _sent("no UTF-8", dice, wrong, taker)


def lone_surrogate(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    bad = dice.choice(("\\ud800", "\\udfff", "\\ud800x", "\\udc00\\ud800", "\\u12", "\\x41", "\\u"))
    return _sent("a lone surrogate", dice, text[:-1] + f', "{bad}{word(dice)}": 1}}', taker)


def control_character(dice: random.Random) -> Request:
    taker, text = _taken(dice)
    bad = dice.choice("\x00\x01\x08\n\t\r\x1f")
    return _sent("a control character", dice, text[:-1] + f', "a{bad}{word(dice)}": 1}}', taker)


def too_deep(dice: random.Random) -> Request:
    if dice.random() < 0.9:  # a large body each: a few are enough
        return prefix(dice)
    taker, _ = _taken(dice)
    depth = 100_000 + dice.randrange(1000)
    opened, closed = dice.choice((("[", "]"), ('{"a":', "}")))
    middle = "1" if dice.random() < 0.5 else ""
    return _sent("too deep", dice, '{"a":' + opened * depth + middle + closed * depth + "}", taker)


def wrong_value(dice: random.Random) -> Request:
    name = dice.choice(list(WRONG_VALUES))
    value = dice.choice(WRONG_VALUES[name])
    row = f'{{"name": "x{number(dice)}", "{name}": {value}}}'
    method, path = dice.choice((("POST", "accounts"), ("PATCH", f"accounts({ID})")))
    if name == "accountid":
        method, path = "POST", "accounts"
    return _sent("a value of another type", dice, row, (method, path, row))


def wrong_value_of_many(dice: random.Random) -> Request:
    name = dice.choice([name for name in WRONG_VALUES if name != "accountid"])
    value = dice.choice(WRONG_VALUES[name])
    action = dice.choice(("CreateMultiple", "UpdateMultiple", "UpsertMultiple"))
    key = "" if action == "CreateMultiple" else f'"accountid": "{ID}", '
    target = f'{{"@odata.type": "{CRM}account", {key}"{name}": {value}}}'
    good = json.dumps({"@odata.type": f"{CRM}account", "accountid": NOBODY})
    before = f"{good}, " if action != "UpdateMultiple" and dice.random() < 0.5 else ""
    body = f'{{"Targets": [{before}{target}], "@odata.a": {number(dice)}}}'
    return _sent("a target with a wrong value", dice, body, ("POST", f"accounts/{CRM}{action}", 0))


def unknown_property(dice: random.Random) -> Request:
    value = dice.choice(("1", "null", '"x"', "{}", "[]"))
    takers = ("accounts", f"accounts({ID})", f"accounts({ID})/Account_Tasks", "contacts")
    path = dice.choice(takers)
    method = "PATCH" if path.endswith(")") else "POST"
    bind = "@odata.bind" if dice.random() < 0.3 else ""
    return _sent(
        "an unknown property", dice, f'{{"{word(dice)}{bind}": {value}}}', (method, path, value)
    )


def missing_argument(dice: random.Random) -> Request:
    name = dice.choice([at for at, taker in enumerate(TAKERS) if _needs_all(taker)])
    taker = TAKERS[name]
    body = dict(taker[2])
    del body[dice.choice([name for name in body if "@" not in name or len(body) == 1])]
    body[f"@odata.{word(dice)}"] = 1
    return _sent("an argument is missing", dice, json.dumps(body), taker)


def wrong_argument(dice: random.Random) -> Request:
    taker = dice.choice([taker for taker in TAKERS if _needs_all(taker)])
    body: dict[str, Any] = dict(taker[2])
    name = dice.choice([name for name in body if "@" not in name or len(body) == 1])
    wrong: list[object] = [[], {}, {word(dice): 1}, [1], [[]], 1.5]
    body[name] = dice.choice([one for one in wrong if type(one) is not type(body[name])])
    body[f"@odata.{word(dice)}"] = 1
    return _sent("an argument of another type", dice, json.dumps(body), taker)


def _needs_all(taker: tuple[str, str, Mapping[str, Any]]) -> bool:
    """Tell whether every argument of an action is needed."""
    actions = ("Opportunity", "Lead", "Queue", "Team", "Access", "Block", "File", "Multiple")
    others = ("$ref", "BulkDelete", "Upload", "CreateOneToMany", "OrderOption")
    return any(one in taker[1] for one in (*actions, *others))


def wrong_reference(dice: random.Random) -> Request:
    taker = dice.choice([taker for taker in TAKERS if taker[1].endswith("$ref")])
    url = dice.choice(("tasks", "", "x(", "zz(1)", f"zz({ID})", "accounts(x)", "tasks(name='x')"))
    more = dice.choice(("", "$")) + word(dice)
    return _sent("a reference to nothing", dice, json.dumps({"@odata.id": url + more}), taker)


MISTAKES: tuple[Mistake, ...] = (
    *(prefix, prefix, junk, doubled, trailing, no_object, no_number, no_utf8, lone_surrogate),
    *(control_character, too_deep, wrong_value, wrong_value_of_many, unknown_property),
    *(missing_argument, wrong_argument, wrong_reference),
)

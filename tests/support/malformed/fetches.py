"""FetchXML documents with one mistake in them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from support.malformed.request import ID, NOBODY, Mistake, Request, asking, number, word

Document = Callable[[random.Random], str]


def condition(dice: random.Random) -> str:
    """Return a valid condition."""
    return dice.choice(
        (
            f"<condition attribute='name' operator='eq' value='x{number(dice)}'/>",
            f"<condition attribute='revenue' operator='gt' value='{number(dice)}'/>",
            "<condition attribute='name' operator='null'/>",
            "<condition attribute='name' operator='in'><value>a</value></condition>",
            f"<condition attribute='createdon' operator='last-x-days' value='{number(dice)[:2]}'/>",
            "<condition attribute='statecode' operator='eq' value='0'/>",
        )
    )


def around(dice: random.Random, inner: str, head: str = "") -> str:
    """Return a document with something in its entity."""
    return (
        f"<fetch no-lock='false'{head}><entity name='account'><attribute name='name'/>"
        f"<filter type='or'>{condition(dice)}{condition(dice)}</filter>{inner}</entity></fetch>"
    )


def valid(dice: random.Random) -> str:
    """Return a valid document."""
    link = (
        "<link-entity name='contact' from='contactid' to='primarycontactid' alias='c' "
        "link-type='outer'><attribute name='fullname'/><filter><condition attribute='fullname' "
        f"operator='like' value='{number(dice)}%'/></filter></link-entity>"
    )
    order = "<order attribute='name' descending='true'/>"
    return around(dice, dice.choice(("", link, order, link + order)))


def prefix(dice: random.Random) -> str:
    text = valid(dice)
    return text[: dice.randrange(1, len(text))]


def unknown_element(dice: random.Random) -> str:
    wrong = dice.choice((f"<{word(dice)}/>", "<fetch/>", "<entity name='account'/>", "<value/>"))
    return around(dice, wrong + f"<!--{number(dice)}-->")


def unknown_element_within(dice: random.Random) -> str:
    wrong = f"<{word(dice)}/>"
    filled = f"<filter>{condition(dice)}{wrong}</filter>"
    odd = f"<attribute name='fax'>{wrong}</attribute>"
    return around(dice, dice.choice((filled, odd)))


def unknown_attribute(dice: random.Random) -> str:
    text = valid(dice)
    tags = [found.end() for found in re.finditer(r"<[a-z-]+", text)]
    at = dice.choice([end for end in tags if not text.startswith(">", end)])
    return f"{text[:at]} {word(dice)}='1'{text[at:]}"


def attribute_twice(dice: random.Random) -> str:
    text = valid(dice)
    names = list(re.finditer(r" ([a-z-]+)='[^']*'", text))
    found = dice.choice(names)
    return text[: found.end()] + found[0] + text[found.end() :]


def unknown_operator(dice: random.Random) -> str:
    operator = dice.choice((word(dice), "EQ", "equals", "=", "contains", "last-x-aeons"))
    wrong = f"<condition attribute='name' operator='{operator}' value='{number(dice)}'/>"
    return around(dice, f"<filter>{wrong}</filter>")


def unknown_column(dice: random.Random) -> str:
    name = word(dice)
    wrong = (
        f"<attribute name='{name}'/>",
        f"<order attribute='{name}'/>",
        f"<filter><condition attribute='{name}' operator='null'/></filter>",
        f"<filter><condition attribute='name' operator='eq' valueof='{name}'/></filter>",
        f"<link-entity name='contact' from='{name}' to='primarycontactid'/>",
        f"<link-entity name='contact' from='contactid' to='{name}'/>",
    )
    return around(dice, dice.choice(wrong))


def unknown_table(dice: random.Random) -> str:
    return around(
        dice, f"<link-entity name='{word(dice)}' from='contactid' to='primarycontactid'/>"
    )


def unknown_alias(dice: random.Random) -> str:
    name = word(dice)
    wrong = f"<condition entityname='{name}' attribute='name' operator='null'/>"
    return around(
        dice,
        dice.choice(
            (f"<filter>{wrong}</filter>", f"<order attribute='name' entityname='{name}'/>")
        ),
    )


def alias_twice(dice: random.Random) -> str:
    name = word(dice)
    link = f"<link-entity name='contact' from='contactid' to='primarycontactid' alias='{name}'/>"
    return around(dice, link * 2)


def bad_alias(dice: random.Random) -> str:
    name = dice.choice(("1", "a-", "a b", "é", "-", "?")) + number(dice)
    return around(dice, f"<attribute name='fax' alias='{name}'/>")


def document_type(dice: random.Random) -> str:
    name = word(dice)
    heads = (
        f'<!DOCTYPE fetch [<!ENTITY {name} "x">]>',
        f'<!DOCTYPE fetch SYSTEM "file:///etc/passwd?{name}">',
        f'<!DOCTYPE fetch [<!ENTITY % {name} SYSTEM "http://127.0.0.1/">%{name};]>',
        f"<!DOCTYPE {name}>",
    )
    return dice.choice(heads) + valid(dice)


def unknown_entity(dice: random.Random) -> str:
    return around(dice, f"<attribute name='&{word(dice)};'/>")


def bad_character(dice: random.Random) -> str:
    wrong = dice.choice(
        ("&#0;", "&#xD800;", "&#x110000;", "&", "<", "\x01", "\x0b", "\ufffe", "&#;")
    )
    return around(dice, f"<attribute name='{number(dice)}{wrong}'/>")


def wrong_operands(dice: random.Random) -> str:
    many = "".join(f"<value>{number(dice)}</value>" for _ in range(dice.randint(2, 4)))
    one = f"<value>{number(dice)}</value>"
    wrong = (
        f"<condition attribute='revenue' operator='eq'>{many}</condition>",
        f"<condition attribute='name' operator='null' value='{number(dice)}'/>",
        f"<condition attribute='revenue' operator='between'>{one}</condition>",
        f"<condition attribute='revenue' operator='between'>{many}{many}</condition>",
        f"<condition attribute='createdon' operator='today' value='{number(dice)}'/>",
        "<condition attribute='revenue' operator='gt'/>",
        "<condition attribute='createdon' operator='last-x-days'/>",
        "<condition attribute='revenue' operator='in'/>",
    )
    return around(dice, f"<filter>{condition(dice)}{dice.choice(wrong)}</filter>")


def wrong_operand(dice: random.Random) -> str:
    column, operator, value = dice.choice(
        (
            ("revenue", "eq", word(dice)),
            ("createdon", "on", word(dice)),
            ("createdon", "last-x-days", word(dice)),
            ("createdon", "last-x-days", f"-{number(dice)}"),
            ("numberofemployees", "gt", f"{number(dice)}{word(dice)}"),
            ("accountid", "eq", word(dice)),
            ("creditonhold", "eq", word(dice)),
            ("statecode", "eq", word(dice)),
        )
    )
    wrong = f"<condition attribute='{column}' operator='{operator}' value='{value}'/>"
    return around(dice, f"<filter>{wrong}</filter>")


def wrong_nesting(dice: random.Random) -> str:
    text = condition(dice)
    wrong = (
        text,
        f"<filter><attribute name='name'/>{text}</filter>",
        f"<filter>{text}<order attribute='name'/></filter>",
        f"<attribute name='name'>{text}</attribute>",
        f"<filter><condition attribute='name' operator='eq'>{text}</condition></filter>",
        f"<link-entity name='contact' from='contactid' to='primarycontactid'>{text}</link-entity>",
    )
    return around(dice, dice.choice(wrong))


def swapped_ends(dice: random.Random) -> str:
    return valid(dice).replace("</entity></fetch>", dice.choice(("</fetch></entity>", "</fetch>")))


def wrong_root(dice: random.Random) -> str:
    name = dice.choice((word(dice), "Fetch", "entity", "query"))
    return valid(dice).replace("<fetch", f"<{name}").replace("</fetch>", f"</{name}>")


def two_roots(dice: random.Random) -> str:
    return valid(dice) + dice.choice((valid(dice), "x", "<a/>", "</fetch>", "&amp;"))


def two_entities(dice: random.Random) -> str:
    entity = "<entity name='account'/>"
    return valid(dice).replace("</fetch>", dice.choice((entity, f"<{word(dice)}/>")) + "</fetch>")


def bad_number(dice: random.Random) -> str:
    name = dice.choice(("top", "count", "page", "aggregatelimit"))
    value = dice.choice((f"-{number(dice)}", word(dice), "1.5", "0", "1e3", "9" * 30, "٣"))
    return around(dice, "", f" {name}='{value}'")


def bad_truth(dice: random.Random) -> str:
    name = dice.choice(("distinct", "aggregate", "returntotalrecordcount", "useraworderby"))
    return around(dice, "", f" {name}='{word(dice)}'")


def contradiction(dice: random.Random) -> str:
    other = dice.choice(("page='1'", "count='2'", "returntotalrecordcount='true'"))
    return around(dice, "", f" top='{dice.randint(1, 5000)}' {other}")


def bad_aggregate(dice: random.Random) -> str:
    marks = (
        f"name='revenue' aggregate='{word(dice)}' alias='a'",
        "name='name' aggregate='sum' alias='a'",
        "name='revenue' aggregate='sum'",
        f"name='{word(dice)}' aggregate='sum' alias='a'",
        "name='revenue' alias='a'",
        f"name='createdon' groupby='true' dategrouping='{word(dice)}' alias='a'",
    )
    entity = f"<entity name='account'><attribute {dice.choice(marks)}/>"
    return f"<fetch aggregate='true'>{entity}<filter>{condition(dice)}</filter></entity></fetch>"


def missing_mark(dice: random.Random) -> str:
    wrong: tuple[str, ...] = (
        "<attribute/>",
        "<attribute name=''/>",
        "<order/>",
        "<link-entity from='a' to='b'/>",
    )
    wrong += ("<filter><condition operator='null'/></filter>",)
    wrong += ("<filter><condition attribute='name'/></filter>", f"<filter type='{word(dice)}'/>")
    wrong += (f"<link-entity name='contact' from='contactid' to='x' link-type='{word(dice)}'/>",)
    return around(dice, dice.choice(wrong))


def bad_cookie(dice: random.Random) -> str:
    cookie = dice.choice((word(dice), "&lt;cookie", "&lt;cookie page='x'/&gt;", "&lt;", "%3C"))
    return around(dice, "", f" page='2' count='3' paging-cookie='{cookie}{number(dice)}'")


def too_deep(dice: random.Random) -> str:
    depth = dice.randint(70, 3000)
    return around(dice, "<filter>" * depth + condition(dice) + "</filter>" * depth)


def too_much(dice: random.Random) -> str:
    if dice.random() < 0.7:
        return too_deep(dice)
    if dice.random() < 0.5:
        return around(dice, f"<filter>{condition(dice) * dice.randint(501, 520)}</filter>")
    link = "<link-entity name='contact' from='contactid' to='primarycontactid'/>"
    return around(dice, link * dice.randint(16, 40))


def empty(dice: random.Random) -> str:
    texts = (" ", "x", "<", "<>", "<fetch/>", "<fetch></fetch>", "{}", "fetch", "<?xml?>", "\x00")
    return dice.choice(texts) + dice.choice(("", " ", word(dice)))


def _listed(make: Document) -> Mistake:
    def mistake(dice: random.Random) -> Request:
        return asking(make.__name__, "accounts", fetchXml=make(dice))

    return mistake


def other_set(dice: random.Random) -> Request:
    path = dice.choice(("contacts", "tasks", f"accounts({ID})/Account_Tasks"))
    return asking("the set of another table", path, fetchXml=valid(dice))


def with_options(dice: random.Random) -> Request:
    name, value = dice.choice((("$filter", "name%20eq"), ("$zz", "1"), ("fetchXml", "<fetch/>")))
    made = asking("options beside fetchXml", "accounts", fetchXml=valid(dice))
    return Request(made.why, "GET", "accounts", f"{made.query}&{name}={value}")


def unknown_view(dice: random.Random) -> Request:
    name = dice.choice(("savedQuery", "userQuery"))
    value = dice.choice((NOBODY[:-4] + f"{dice.randrange(16**4):04x}", word(dice), "", "()"))
    return asking("an unknown view", "accounts", **{name: value})


MISTAKES: tuple[Mistake, ...] = (
    *map(_listed, (prefix, prefix, prefix, unknown_element, unknown_element_within)),
    *map(_listed, (unknown_attribute, attribute_twice, unknown_operator, unknown_column)),
    *map(_listed, (unknown_table, unknown_alias, alias_twice, bad_alias, document_type)),
    *map(_listed, (unknown_entity, bad_character, wrong_operands, wrong_operand, wrong_nesting)),
    *map(_listed, (swapped_ends, wrong_root, two_roots, two_entities, bad_number, bad_truth)),
    *map(_listed, (contradiction, bad_aggregate, missing_mark, bad_cookie, too_deep, too_much)),
    *(_listed(empty), other_set, with_options, unknown_view),
)

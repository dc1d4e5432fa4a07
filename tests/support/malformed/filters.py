"""``$filter`` expressions with one mistake in them."""

from __future__ import annotations

import random
from collections.abc import Callable

from support.malformed.request import ID, Mistake, Request, asking, number, word

Text = Callable[[random.Random], str]


def _text(dice: random.Random) -> str:
    return "'" + "".join(dice.choices("abc xyz", k=dice.randint(0, 6))) + "'"


def comparison(dice: random.Random) -> str:
    """Return a valid comparison."""
    column, value = dice.choice(
        (
            ("name", _text(dice)),
            ("revenue", number(dice)),
            ("numberofemployees", number(dice)),
            ("creditonhold", "true"),
            ("createdon", f"20{dice.randint(10, 40)}-01-02T03:04:05Z"),
            ("accountid", ID),
            ("primarycontactid/fullname", _text(dice)),
            ("_ownerid_value", ID),
        )
    )
    operator = "eq" if column in ("creditonhold", "accountid", "_ownerid_value") else "lt"
    return f"{column} {dice.choice((operator, 'eq', 'ne'))} {value}"


def valid(dice: random.Random) -> str:
    """Return a valid filter."""
    parts = [comparison(dice) for _ in range(dice.randint(1, 3))]
    if dice.random() < 0.3:
        parts.append(f"contains(name,{_text(dice)})")
    if dice.random() < 0.3:
        parts.append(f"Account_Tasks/any(t:t/subject eq {_text(dice)})")
    text = f" {dice.choice(('and', 'or'))} ".join(parts)
    return f"({text})" if dice.random() < 0.3 else text


def unbalanced(dice: random.Random) -> str:
    extra = dice.randint(1, 4)
    return "(" * extra + valid(dice) if dice.random() < 0.5 else valid(dice) + ")" * extra


def unterminated(dice: random.Random) -> str:
    return f"{valid(dice)} and name eq {_text(dice)[:-1]}"


def dangling(dice: random.Random) -> str:
    after = dice.choice((" and", " or", " and not", " or (", " and ()", " and name", " or name eq"))
    return valid(dice) + after


def leading(dice: random.Random) -> str:
    return dice.choice(("and ", "or ", "eq ", "() and ", "not not or ", ") ")) + valid(dice)


def doubled(dice: random.Random) -> str:
    wrong: tuple[str, ...] = (
        "name name eq 'x'",
        "name eq eq 'x'",
        "name eq 'x' 'y'",
        "name 'x'",
        "name eq",
    )
    wrong += ("eq 'x'", "name = 'x'", "name == 'x'", "name eq 'x' and and name eq 'y'", "name")
    wrong += ("name eq 'x' name eq 'y'", "name eq 'x', name eq 'y'", "(name) eq", "'x'", "5 6")
    return f"{valid(dice)} and {dice.choice(wrong)}"


def junk(dice: random.Random) -> str:
    """Put a character that means nothing where a blank is, outside of quotes."""
    text = comparison(dice).replace("' '", "''")
    column, operator, value = text.split(" ", 2)
    sign = dice.choice('#^~`?{}|\\"!;%&*<>')
    return f" {sign} ".join((column, operator)) + f" {value} and {valid(dice)}"


def unknown_column(dice: random.Random) -> str:
    path = dice.choice(("", "primarycontactid/", "owninguser/"))
    return f"{valid(dice)} and {path}{word(dice)} eq {dice.choice(('1', 'null', _text(dice)))}"


def unknown_path(dice: random.Random) -> str:
    path = dice.choice((f"{word(dice)}/name", "name/name", "primarycontactid/", "/name", "a//b"))
    return f"{path} eq {_text(dice)} and {valid(dice)}"


def unknown_function(dice: random.Random) -> str:
    name = dice.choice((word(dice), f"Microsoft.Dynamics.CRM.{word(dice)}", "CONTAINS"))
    return f"{name}(name,{_text(dice)}) or {valid(dice)}"


def wrong_arguments(dice: random.Random) -> str:
    calls: tuple[str, ...] = (
        "contains()",
        "contains(name)",
        "contains(name,)",
        "contains(,'x')",
        "contains(name,5)",
    )
    calls += ("contains(revenue,'x')", "contains('x','y')", "startswith(name,name)", "contains")
    calls += ("endswith(name,'x','y')", "contains(name 'x')", "contains(name,null)", "contains(")
    return f"{dice.choice(calls)} and {valid(dice)}"


def unknown_operator(dice: random.Random) -> str:
    operator = dice.choice(
        (word(dice), "like", "EQ", "is", "between", "add", "has", "xor", "matches")
    )
    return f"name {operator} {_text(dice)} and {valid(dice)}"


def wrong_literal(dice: random.Random) -> str:
    pairs: tuple[str, ...] = (
        "revenue eq 'x'",
        "numberofemployees gt 'x'",
        "creditonhold eq 'yes'",
        "name eq 5",
    )
    pairs += ("createdon gt 5", "createdon lt true", "accountid eq 5", "statecode eq true")
    pairs += ("name eq true", "revenue eq true", "creditonhold eq 5", "_ownerid_value eq 5")
    pairs += ("createdon gt 2026-13-01T00:00:00Z", "createdon gt 2026-02-30", "name gt null")
    pairs += ("numberofemployees eq 1" + "0" * 70, "revenue lt NaN", "revenue lt INF")
    pairs += ("name eq abc'x'", "accountid eq 0a0a0a0a-0000", "primarycontactid eq 5")
    return f"{valid(dice)} and {dice.choice(pairs)}"


def two_literals(dice: random.Random) -> str:
    return f"{number(dice)} eq {number(dice)} and {valid(dice)}"


def wrong_lambda(dice: random.Random) -> str:
    text = _text(dice)
    lambdas = (
        *(f"Account_Tasks/any(t:x/subject eq {text})", f"Account_Tasks/any(t:subject eq {text})"),
        *(
            f"Account_Tasks/any(t/subject eq {text})",
            "Account_Tasks/any(t:)",
            "Account_Tasks/all()",
        ),
        *(f"Account_Tasks/any(t:t/{word(dice)} eq {text})", "Account_Tasks/any(", "Account_Tasks"),
        *(f"{word(dice)}/any(t:t/subject eq {text})", f"name/any(t:t/subject eq {text})"),
        *(f"Account_Tasks/some(t:t/subject eq {text})", f"any(t:t/subject eq {text})"),
        *(f"primarycontactid/any(t:t/fullname eq {text})", "Account_Tasks/any(t:t)"),
        *(f"Account_Tasks/any(t:t/subject eq {text}", f"Account_Tasks/subject eq {text}"),
    )
    return f"{valid(dice)} and {dice.choice(lambdas)}"


def wrong_query_function(dice: random.Random) -> str:
    calls = (
        *("LastXDays(PropertyName='createdon')", "Today()", "Today(PropertyName=)", "Today("),
        *("LastXDays(PropertyName='createdon',PropertyValue='x')", "Today(PropertyName='name')"),
        *("LastXDays(PropertyName='createdon',PropertyValue=-1)", "Today('createdon')"),
        *(f"Today(PropertyName='{word(dice)}')", "In(PropertyName='name',PropertyValues=['x'"),
        *("In(PropertyName='name')", "Between(PropertyName='revenue',PropertyValues=['1'])"),
        *("Between(PropertyName='revenue',PropertyValues=['a','b'])", "Today(Property='x')"),
        *("In(PropertyName='name',PropertyValues='x'", "In(PropertyName='revenue',"),
    )
    return f"Microsoft.Dynamics.CRM.{dice.choice(calls)} and {valid(dice)}"


def too_deep(dice: random.Random) -> str:
    depth = dice.randint(120, 900)
    return "(" * depth + comparison(dice) + ")" * depth


def too_many(dice: random.Random) -> str:
    if dice.random() < 0.8:
        return too_deep(dice)
    return " or ".join(f"revenue eq {one}" for one in range(dice.randint(501, 560)))


def nothing(dice: random.Random) -> str:
    return dice.choice(("'", "(", ")", "()", "not", "@", "$", "[", "1", "=")) + dice.choice(
        ("", " ", "#", word(dice))
    )


def _listed(make: Text) -> Mistake:
    def mistake(dice: random.Random) -> Request:
        path = dice.choice(("accounts", "accounts", "accounts", "accounts/$count"))
        return asking(make.__name__, path, **{"$filter": make(dice)})

    return mistake


def below(dice: random.Random) -> Request:
    wrong = dice.choice(
        ("subject eq", "zz eq 1", "(subject eq 'x'", "subject eq 5", "subject # 'x'")
    )
    text = f"{wrong} or subject eq {_text(dice)}"
    return asking("a filter of related rows", f"accounts({ID})/Account_Tasks", **{"$filter": text})


def expanded(dice: random.Random) -> Request:
    wrong = dice.choice(("subject eq", "zz eq 1", "subject eq 5", "subject # 'x'", "subject in"))
    text = f"Account_Tasks($filter=subject eq {_text(dice)} or {wrong})"
    return asking("a filter in $expand", "accounts", **{"$expand": text})


def bad_alias(dice: random.Random) -> Request:
    value = dice.choice(("'x", "x", "name", "(1)", "1 2", "#", "", "@p2", "{", "[1")) + word(dice)
    return asking("an alias for no literal", "accounts", **{"$filter": "name eq @p1", "@p1": value})


def twice(dice: random.Random) -> Request:
    made = asking("$filter twice", "accounts", **{"$filter": valid(dice)})
    return Request(made.why, "GET", "accounts", f"{made.query}&{made.query}")


MISTAKES: tuple[Mistake, ...] = (
    *map(_listed, (unbalanced, unterminated, dangling, leading, doubled, junk, unknown_column)),
    *map(_listed, (unknown_path, unknown_function, wrong_arguments, unknown_operator)),
    *map(_listed, (wrong_literal, two_literals, wrong_lambda, wrong_query_function)),
    *map(_listed, (too_deep, too_many, nothing)),
    *(below, expanded, bad_alias, twice),
)

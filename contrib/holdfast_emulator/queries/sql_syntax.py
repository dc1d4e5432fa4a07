"""SQL text to one SELECT, and how statements are refused.

Invariant: what the parser would try in exponentially many ways never reaches it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from holdfast_emulator.behaviour.faults import INVALID_ARGUMENT, DataverseFault

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.tokenizer_core import Token

MOST_TABLES: Final = 20
DEEPEST: Final = 50


def refused(what: str) -> DataverseFault:
    """Refuse a statement."""
    return DataverseFault(400, INVALID_ARGUMENT, f"Invalid SQL query. {what}")


def unsupported(what: str) -> DataverseFault:
    """Refuse what the service has not."""
    return refused(f"{what} is not supported.")


def parse_sql(text: str) -> exp.Select:
    """Return the one SELECT that the text is.

    :raises ImportError: the parser is not installed
    :raises DataverseFault: 400, it is something else
    """
    import sqlglot
    from sqlglot import exp

    try:
        _check_tokens(sqlglot.tokenize(text, dialect="tsql"))
        found = [one for one in sqlglot.parse(text, dialect="tsql") if one is not None]
    except (sqlglot.errors.SqlglotError, RecursionError, ValueError) as error:
        words = str(error).partition("\n")[0].strip()
        raise refused(f"Incorrect syntax: {words[:200]}") from None
    if len(found) != 1:
        raise refused("It must contain exactly one SELECT statement.")
    if isinstance(found[0], exp.SetOperation):
        raise unsupported(type(found[0]).__name__.upper())
    if not isinstance(found[0], exp.Select):
        raise refused("It must contain exactly one SELECT statement.")
    return found[0]


def _check_tokens(tokens: Iterable[Token]) -> None:
    """Refuse what the parser would try in exponentially many ways: nested joins and parentheses."""
    depth = joins = waiting = 0
    for at, token in enumerate(tokens):
        kind = token.token_type.name
        if at == 0 and kind not in ("SELECT", "WITH"):
            raise refused("It must contain exactly one SELECT statement.")
        depth += (kind == "L_PAREN") - (kind == "R_PAREN")
        if kind == "JOIN":
            joins += 1
            waiting += 1
        elif kind == "ON":
            waiting -= 1
        if depth > DEEPEST or joins >= MOST_TABLES:
            raise refused(f"It has more than {MOST_TABLES} tables, or is nested too deep.")
        if waiting > 1:
            raise unsupported("CROSS JOIN, or a JOIN without ON,")
    if waiting > 0:
        raise unsupported("CROSS JOIN, or a JOIN without ON,")

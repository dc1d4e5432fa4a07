"""The supported grammar, and the parser made of it.

Invariant: the grammar accepts what is supported and nothing else; what it stumbles over is named
by :mod:`holdfast_odata._refusals`. The lexer is contextual: a word is an operator only where an
operator may stand, so a column may be called ``eq``. A path is one token.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedToken

from holdfast_odata._limits import MAXIMUM_DEPTH
from holdfast_odata._refusals import Refusal, explain

_GRAMMAR: Final = r"""
?start: disjunction
?disjunction: conjunction (_OR conjunction)*
?conjunction: _negation (_AND _negation)*
_negation: negated | _condition
negated: NOT+ _condition
_condition: "(" disjunction ")" | comparison | search | call | quantified | state
comparison: _operand COMPARISON _operand
_operand: NAME | TEXT | NUMBER | GUID | DATE | DATETIME | BOOLEAN | NULL
search: SEARCH "(" _operand "," _operand ")"
call: FUNCTION "(" argument ("," argument)* ")"
argument: PARAMETER "=" (_value | list)
_value: TEXT | NUMBER | GUID | DATE | DATETIME
list: "[" _item ("," _item)* "]"
_item: TEXT | JSON | NUMBER | GUID | BOOLEAN
quantified: LAMBDA "(" [NAME ":" disjunction] ")"
state: STATE "(" ")"

_OR.3: /or(?![\w'])/
_AND.3: /and(?![\w'])/
NOT.3: /not(?![\w'.\/])/
COMPARISON.3: /(?:eq|ne|gt|ge|lt|le)(?![\w'])/
BOOLEAN.3: /(?:true|false)(?![\w'.\/(])/
NULL.3: /null(?![\w'.\/(])/
SEARCH.3: /(?:contains|startswith|endswith)(?=[ \t\r\n]*\()/
FUNCTION.3: /(?:[A-Za-z_][A-Za-z0-9_]*\/)*Microsoft\.Dynamics\.CRM\.\w+(?=[ \t\r\n]*\()/
STATE.3: /(?:[A-Za-z_][A-Za-z0-9_]*\/)*holdfast\.\w+(?=[ \t\r\n]*\()/
LAMBDA.3: /(?:[A-Za-z_][A-Za-z0-9_]*\/)+(?:any|all)(?=[ \t\r\n]*\()/
PARAMETER.3: /Property(?:Name|Values|Value[12]?)(?!\w)/

GUID.2: /[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}(?![\w-])/
DATE.2: /[0-9]{4}-[0-9]{2}-[0-9]{2}(?![\w:.-])/
DATETIME.2: /[0-9]{4}-[0-9]{2}-[0-9]{2}T/ _CLOCK _ZONE
_CLOCK: /[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,12})?)?/
_ZONE: /(?:Z|[+-][0-9]{2}:[0-9]{2})(?![\w:.-])/
NUMBER: /[+-]?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w:.-])/
TEXT: /'(?:[^']|'')*'/
JSON: /"(?:[^"\\]|\\.)*"/
NAME: /[A-Za-z_][A-Za-z0-9_]*(?:\/[A-Za-z_][A-Za-z0-9_]*)*/

%ignore /[ \t\r\n]+/
"""


class _DepthGuard:
    """Counts open parentheses on the way from the lexer to the parser."""

    always_accept: tuple[str, ...] = ()

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Pass the tokens on, refusing those nested too deeply."""
        depth = 0
        for token in stream:
            depth += {"LPAR": 1, "RPAR": -1}.get(token.type, 0)
            if depth > MAXIMUM_DEPTH:
                message = f"more than {MAXIMUM_DEPTH} parentheses are open; simplify the filter"
                raise Refusal(message, token.start_pos)
            yield token


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", postlex=_DepthGuard(), maybe_placeholders=False)


def parse_tree(source: str) -> Tree[Token]:
    """Return the tree of a filter.

    :raises Refusal: it says something that is not supported
    """
    try:
        return _parser().parse(source)
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        position = len(source.rstrip()) if ended else error.pos_in_stream
        raise explain(source, position or 0, error.accepts or error.expected) from error
    except UnexpectedCharacters as error:
        position = error.pos_in_stream or 0  # type: ignore[redundant-expr]  # lark: None until raised
        raise explain(source, position, error.allowed or set()) from error

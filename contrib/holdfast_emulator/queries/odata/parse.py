"""``$filter``, parsed by recursive descent into a condition.

Invariant: one pass, so many levels deep at most; the answer is a condition with the metadata
resolved, or a fault that says where and what was expected. There is no negation of what has an
opposite: Dataverse's query model has none, and ``not`` goes down to the operators.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from holdfast_emulator.behaviour.faults import BAD_QUERY, TOO_MANY_CONDITIONS, DataverseFault
from holdfast_emulator.behaviour.metadata import Metadata, TableDefinition
from holdfast_emulator.queries.conditions import (
    EVERY_ROW,
    All,
    Any,
    Condition,
    Negated,
    Operator,
    Related,
    Test,
)
from holdfast_emulator.queries.literals import check_operator, operands
from holdfast_emulator.queries.odata.functions import (
    STRING_FUNCTIONS,
    parameters,
    query_function,
    unknown_function,
)
from holdfast_emulator.queries.odata.negation import negate
from holdfast_emulator.queries.odata.paths import Property, find_collection, find_property
from holdfast_emulator.queries.odata.tokens import Mark, Token, Words
from holdfast_emulator.queries.odata.values import cell_of, edm_type, incompatible
from holdfast_emulator.queries.operators import TEXTS

MOST_CONDITIONS: Final = 500
MOST_LINKS: Final = 15
TOO_MANY_LINKS: Final = "0x8004430d"
_DEEPEST: Final = 100
_COMPARISONS: Final[Mapping[str, Operator]] = {
    "eq": Operator.EQ,
    "ne": Operator.NE,
    "gt": Operator.GT,
    "ge": Operator.GE,
    "lt": Operator.LT,
    "le": Operator.LE,
}
_MIRRORED: Final[Mapping[Operator, Operator]] = {
    Operator.GT: Operator.LT,
    Operator.GE: Operator.LE,
    Operator.LT: Operator.GT,
    Operator.LE: Operator.GE,
}
_REFUSED: Final = frozenset({"add", "sub", "mul", "div", "divby", "mod", "has", "in"})
_LAMBDAS: Final = ("any", "all")
_NULL: Final = "null"
#: A literal, or a property; a condition stands for itself.
_Operand: TypeAlias = Token | Property


def parse_filter(
    text: str,
    table: TableDefinition,
    metadata: Metadata,
    aliases: Mapping[str, str] | None = None,
) -> Condition:
    """Parse a ``$filter`` over rows of a table.

    :param aliases: what the parameter aliases of the request (``@p1``) stand for; None where there
        can be none
    :raises DataverseFault: it is not understood, or Dataverse does not support it
    """
    return _Parser(Words(text), metadata, aliases).whole(table)


@dataclass(frozen=True, slots=True)
class _Around:
    """The rows that names belong to, and what they are called inside a lambda."""

    table: TableDefinition
    variable: str | None = None


@dataclass(slots=True)
class _Parser:
    words: Words
    metadata: Metadata
    aliases: Mapping[str, str] | None
    depth: int = 0
    tests: int = 0
    lambdas: int = 0

    def whole(self, table: TableDefinition) -> Condition:
        condition = self._or(_Around(table))
        if self.words.now.mark is not Mark.END:
            raise self._after_condition()
        return condition

    def _or(self, around: _Around) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise self._refused("The recursion limit has been exceeded: too many levels.")
        parts = [self._and(around)]
        while self.words.accept("or"):
            parts.append(self._and(around))
        self.depth -= 1
        return parts[0] if len(parts) == 1 else Any(tuple(parts))

    def _and(self, around: _Around) -> Condition:
        parts = [self._not(around)]
        while self.words.accept("and"):
            parts.append(self._not(around))
        return parts[0] if len(parts) == 1 else All(tuple(parts))

    def _not(self, around: _Around) -> Condition:
        negated = False
        while self.words.accept("not"):
            negated = not negated
        if self.words.accept("("):
            condition = self._or(around)
            self.words.expect(")")
        else:
            condition = self._test(around)
        return negate(condition) if negated else condition

    def _test(self, around: _Around) -> Condition:
        self.tests += 1
        if self.tests > MOST_CONDITIONS:
            raise DataverseFault(
                400, TOO_MANY_CONDITIONS, "Number of conditions in query exceeded maximum limit."
            )
        left = self._operand(around)
        if not isinstance(left, Token | Property):
            return left
        word = self.words.now
        operator = _COMPARISONS.get(word.text) if word.mark is Mark.NAME else None
        if operator is None:
            raise self._no_comparison(word)
        self.words.step()
        right = self._operand(around)
        if not isinstance(right, Token | Property):
            raise self._refused("A condition cannot be compared with a value.")
        return _comparison(left, operator, right)

    def _operand(self, around: _Around) -> _Operand | Condition:
        token = self.words.now
        if token.is_literal:
            return self.literal()
        if token.mark is Mark.ALIAS:
            self.words.step()
            return self._alias(token)
        if token.mark is not Mark.NAME:
            if token.text == "-":
                raise self._refused("Arithmetic ('-') is not supported.")
            raise self.words.error("a property, a value or a function")
        names = self._names()
        if self.words.now.text == "(":
            return self._call(names, around)
        return find_property(self.metadata, around.table, self._inside(names, around))

    def literal(self) -> Token:
        token = self.words.step()
        if token.text in ("INF", "NaN"):
            raise self._refused(f"The number '{token.text}' is not supported.")
        return token

    def _names(self) -> list[str]:
        """Pass a path; what stands before a parenthesis may be a function at its end."""
        names = [self.words.step().text]
        while self.words.accept("/"):
            if self.words.now.mark is not Mark.NAME:
                raise self.words.error("the name of a property")
            names.append(self.words.step().text)
            if len(names) > _DEEPEST:
                raise self._refused("The path has too many segments.")
        return names

    def _inside(self, names: list[str], around: _Around) -> list[str]:
        """Return a path without the variable that it has to begin with inside a lambda."""
        if around.variable is None:
            return names
        if names[0] != around.variable or len(names) == 1:
            raise self._refused(
                f"'{'/'.join(names)[:200]}' is not a path of the range variable "
                f"'{around.variable}'; only that of the innermost lambda operator can be used."
            )
        return names[1:]

    def _call(self, names: list[str], around: _Around) -> Condition:
        name = names[-1]
        if name in _LAMBDAS and len(names) > 1:
            return self._lambda(self._inside(names[:-1], around), around, name)
        if name in STRING_FUNCTIONS and len(names) == 1:
            return self._string_function(name, around)
        if "." not in name:
            raise unknown_function(name)
        operator = query_function(name)
        path = self._inside([*names[:-1], "_"], around)[:-1]
        return self._query_function(name, operator, path, around)

    def _lambda(self, names: list[str], around: _Around, name: str) -> Condition:
        self.lambdas += 1
        if self.lambdas > MOST_LINKS:
            raise DataverseFault(
                400, TOO_MANY_LINKS, "Number of link entities in query exceeded maximum limit."
            )
        hop = find_collection(self.metadata, around.table, names)
        self.words.expect("(")
        if name == "any" and self.words.accept(")"):
            return Related(hop, EVERY_ROW)
        if self.words.now.mark is not Mark.NAME:
            raise self.words.error("a range variable")
        variable = self.words.step().text
        self.words.expect(":")
        where = self._or(_Around(self.metadata.tables[hop.target], variable))
        self.words.expect(")")
        return Related(hop, where) if name == "any" else Negated(Related(hop, negate(where)))

    def _string_function(self, name: str, around: _Around) -> Condition:
        self.words.expect("(")
        found = self._operand(around)
        self.words.expect(",")
        text = self._operand(around)
        self.words.expect(")")
        if not isinstance(found, Property) or found.pointer or found.column.type not in TEXTS:
            raise self._refused(f"The first argument of '{name}' must be a column of text.")
        if not isinstance(text, Token) or text.mark is not Mark.STRING:
            raise self._refused(f"The second argument of '{name}' must be a string.")
        pattern = f"%{text.string}%" if name == "contains" else text.string
        return Test(found.field, STRING_FUNCTIONS[name], (pattern,))

    def _query_function(
        self, name: str, operator: Operator, path: list[str], around: _Around
    ) -> Condition:
        given = self._arguments()
        wanted = parameters(operator)
        if set(given) != set(wanted):
            raise self._refused(
                f"The function '{name}' has the parameters {', '.join(wanted)}, not "
                f"{', '.join(given)[:200] or 'none'}."
            )
        values = [text for parameter in wanted[1:] for text in given[parameter]]
        column = "".join(given[wanted[0]][:1])
        found = find_property(
            self.metadata, around.table, [*path, *column.split("/")], logical=True
        )
        return Test(found.field, operator, operands(operator, found.column, values))

    def _arguments(self) -> dict[str, list[str]]:
        """Pass the named arguments of a query function; each is a list of texts."""
        given: dict[str, list[str]] = {}
        self.words.expect("(")
        while not self.words.accept(")"):
            if given:
                self.words.expect(",")
            if self.words.now.mark is not Mark.NAME:
                raise self.words.error("the name of a parameter")
            name = self.words.step().text
            self.words.expect("=")
            given[name] = self._argument()
        return given

    def _argument(self) -> list[str]:
        token = self.words.now
        if token.mark is Mark.ALIAS:
            self.words.step()
            return _Parser(self._aliased(token), self.metadata, {}).argument_whole()
        if token.text == "[":
            return self.words.array()
        if not token.is_literal or token.text == _NULL:
            raise self.words.error("a value")
        self.words.step()
        return [token.string if token.mark is Mark.STRING else token.text]

    def argument_whole(self) -> list[str]:
        found = self._argument()
        self.expect_end()
        return found

    def _alias(self, token: Token) -> Token:
        """Return the literal that an alias stands for; null when the request does not say."""
        inner = _Parser(self._aliased(token), self.metadata, {})
        if not inner.words.now.is_literal:
            raise inner.words.error("a value")
        found = inner.literal()
        inner.expect_end()
        return found

    def _aliased(self, token: Token) -> Words:
        if self.aliases is None:
            raise self._refused(f"The parameter alias '{token.text[:50]}' cannot be used here.")
        return Words(self.aliases.get(token.text, _NULL))

    def expect_end(self) -> None:
        if self.words.now.mark is not Mark.END:
            raise self.words.error("the end")

    def _no_comparison(self, word: Token) -> DataverseFault:
        if word.mark is Mark.NAME and word.text in _REFUSED:
            return self._refused(f"The operator '{word.text}' is not supported.")
        return self.words.error("a comparison (eq, ne, gt, ge, lt or le)")

    def _after_condition(self) -> DataverseFault:
        return self.words.error("'and', 'or' or the end")

    def _refused(self, reason: str) -> DataverseFault:
        at = self.words.now.at
        return DataverseFault(400, BAD_QUERY, f"{reason} (At position {at} of $filter.)")


def _comparison(left: _Operand, operator: Operator, right: _Operand) -> Condition:
    if isinstance(left, Property):
        if isinstance(right, Property):
            return _columns(left, operator, right)
        return _with_literal(left, operator, right)
    if isinstance(right, Token):
        raise DataverseFault(400, BAD_QUERY, "A comparison needs a property on one side.")
    return _with_literal(right, _MIRRORED.get(operator, operator), left)


def _with_literal(left: Property, operator: Operator, literal: Token) -> Condition:
    if literal.text == _NULL and literal.mark is Mark.NAME:
        if operator not in (Operator.EQ, Operator.NE):
            raise DataverseFault(
                400, BAD_QUERY, f"null can be compared with eq and ne, not {operator.value}."
            )
        return Test(left.field, Operator.NULL if operator is Operator.EQ else Operator.NOT_NULL)
    if left.pointer:
        raise DataverseFault(
            400,
            BAD_QUERY,
            f"A navigation property can be compared with null only; use '{left.column.wire_name}'.",
        )
    cell = cell_of(left.column, literal, operator)
    check_operator(operator, left.column)
    return Test(left.field, operator, (cell,))


def _columns(left: Property, operator: Operator, right: Property) -> Condition:
    one, other = edm_type(left.column), edm_type(right.column)
    if left.pointer or right.pointer or one != other:
        raise incompatible(one, other, operator)
    if left.field.via != right.field.via:
        raise DataverseFault(
            400, BAD_QUERY, "Two columns can be compared only where they are of the same row."
        )
    check_operator(operator, left.column)
    return Test(left.field, operator, (), right.field)

"""The filter algebra: one expression tree, parsed to by languages and rendered by others.

Invariant: an expression has one meaning, given here by :func:`predicate`, in three-valued logic
(true, false, unknown); whoever renders it elsewhere must agree on every row.

A comparison with null is unknown. The negative operators (``NE`` and whatever is ``negated``) are
those of Dataverse and **match null**: ``ne`` on a column and a literal is true for null, and
between two columns when exactly one is null. ``Not`` is plain logic: the negation of unknown is
unknown; a language without it pushes it down into negative operators with :func:`negate`.

Some nodes depend on who asks and when (``During``, ``IsCaller``, ``InHierarchy``, ``InState``).
They are *unsettled*: a language may write them, but before an expression is evaluated the engine
settles them, once for a whole question, into comparisons that mean the same to everybody.
"""

from __future__ import annotations

from holdfast.filters._described import described
from holdfast.filters._nodes import (
    EVERYTHING,
    And,
    Branch,
    Call,
    ColumnRef,
    Compare,
    Comparison,
    During,
    Expression,
    HasOption,
    In,
    InHierarchy,
    InState,
    IsCaller,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Period,
    Related,
    RowMark,
    Who,
    columns,
    conjuncts,
    negate,
    rebuild,
    tables,
    walk,
)
from holdfast.filters._patterns import like_regex
from holdfast.filters._predicate import (
    Function,
    Predicate,
    Record,
    RelatedRows,
    comparable,
    predicate,
)
from holdfast.filters._settle import Tree, is_settled, settle, trees

__all__ = [
    "EVERYTHING",
    "And",
    "Branch",
    "Call",
    "ColumnRef",
    "Compare",
    "Comparison",
    "During",
    "Expression",
    "Function",
    "HasOption",
    "In",
    "InHierarchy",
    "InState",
    "IsCaller",
    "IsNull",
    "Like",
    "Literal",
    "Not",
    "Operand",
    "Or",
    "Period",
    "Predicate",
    "Record",
    "Related",
    "RelatedRows",
    "RowMark",
    "Tree",
    "Who",
    "columns",
    "comparable",
    "conjuncts",
    "described",
    "is_settled",
    "like_regex",
    "negate",
    "predicate",
    "rebuild",
    "settle",
    "tables",
    "trees",
    "walk",
]

"""Cells as JSON: a decimal is its text, every other cell is itself."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Final, TypeAlias

from holdfast.schema import Kind
from holdfast.values import Cell

Json: TypeAlias = str | int | float | bool | None

_TYPES: Final = {
    Kind.TEXT: str,
    Kind.KEY: str,
    Kind.INTEGER: int,
    Kind.REAL: float,
    Kind.DECIMAL: Decimal,
    Kind.BOOLEAN: bool,
    Kind.DATETIME: str,
}


def encode(cell: Cell) -> Json:
    """Return what stands for a cell in JSON."""
    return str(cell) if isinstance(cell, Decimal) else cell


def decode(kind: Kind, written: Json) -> Cell:
    """Return the cell that was written."""
    return Decimal(str(written)) if kind is Kind.DECIMAL and written is not None else written


def fits(kind: Kind, cell: Cell) -> bool:
    """Tell whether a cell is one of its kind, and can be written."""
    if cell is None:
        return True
    if type(cell) is not _TYPES[kind]:
        return False
    match cell:
        case str():
            return not any("\ud800" <= character <= "\udfff" for character in cell)
        case int():
            return -(2**63) <= cell < 2**63
        case _:
            return math.isfinite(cell)

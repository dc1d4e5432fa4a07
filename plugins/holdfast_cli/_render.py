"""What people see: text made harmless, values made readable, tables and blocks.

Invariant: everything printed for people passes :func:`clean`; rows come from a server and may try
to move the cursor, colour the screen or turn the reading direction. Rich markup is never parsed.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from holdfast.schema import Column
from holdfast.values import Reference, Value
from holdfast_cli._plain import clean, console, one_line


def show(what: RenderableType) -> None:
    """Print for people on stdout."""
    if isinstance(what, str):
        console(sys.stdout).print(Text(clean(what)), soft_wrap=True)
    else:
        console(sys.stdout).print(what)


def local(moment: datetime) -> datetime:
    """Return an instant in this machine's time zone; at the ends of the calendar, as it is."""
    try:
        return moment.astimezone()
    except (OverflowError, OSError, ValueError):
        return moment


def in_local_time(moment: datetime) -> str:
    """Return an instant in this machine's time zone, to the minute."""
    return local(moment).isoformat(sep=" ", timespec="minutes")[:16]


def value_text(value: Value) -> str:
    """Return a value as a person reads it, and could type it; null is empty."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case datetime():
            moment = local(value) if value.tzinfo else value
            return moment.isoformat(sep=" ")
        case tuple():
            return ",".join(str(option) for option in value)
        case Reference():
            return str(value)
        case _:
            return str(value)


def cell(value: Value, label: str | None = None) -> Text:
    """Return a table cell: the label where one is known, else the value."""
    return Text(one_line(value_text(value) if label is None else label))


def number(count: int) -> str:
    """Return a count with its thousands apart."""
    return f"{count:,}"


def counted(count: int, noun: str) -> str:
    """Return ``1 row``, ``2 rows``."""
    return f"{number(count)} {noun}" + ("" if count == 1 else "s")


def size_text(size: int) -> str:
    """Return a size in bytes as a person reads it."""
    amount, unit = float(size), "B"
    for bigger in ("kB", "MB", "GB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, bigger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def heading(column: Column) -> Text:
    """Return a column's heading: its label, and its name where that differs."""
    name = Text(one_line(column.name))
    if not column.label or column.label == column.name:
        return name
    return Text.assemble(one_line(column.label), "\n", (name.plain, "dim"))


def grid(headings: Sequence[RenderableType]) -> Table:
    """Return an empty table with these headings."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for each in headings:
        table.add_column(each, overflow="fold")
    return table


def fits(table: Table) -> bool:
    """Tell whether a table can be shown without breaking words; if so, it will be."""
    screen = console(sys.stdout)
    if table.__rich_measure__(screen, screen.options).minimum > screen.width:
        return False
    for column in table.columns:  # Rich narrows the widest columns, whatever words they hold
        cells = [Measurement.get(screen, screen.options, one) for one in column.cells]
        column.min_width = max((one.minimum for one in cells), default=None)
    return True


def records(
    headings: Sequence[str], rows: Sequence[Sequence[Text]], *, right: Collection[str] = ()
) -> None:
    """Print records as a table, or each as a block where the screen is too narrow for one.

    The first field is the title of a block. Ids are never broken: somebody has to type them.
    """
    table = grid(headings)
    for column, heading_ in zip(table.columns, headings, strict=True):
        column.justify = "right" if heading_ in right else "left"
    for row in rows:
        table.add_row(*row)
    if fits(table):
        show(table)
        return
    for row in rows:
        show(block(row[0].plain, dict(zip(headings[1:], row[1:], strict=True))))
        show("")


def block(title: str, lines: Mapping[str, Text]) -> Group:
    """Return one record as lines of name and value, for records too wide for a table.

    The title is no title of the table, which would break it to the width of the values.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in lines.items():
        table.add_row(Text(one_line(name)), value)
    return Group(Text(one_line(title), style="bold"), table)

"""Text made harmless, and the way to say it; Rich is imported by the first message.

Invariant: everything printed for people passes :func:`clean`; rows come from a server and may try
to move the cursor, colour the screen or turn the reading direction. Rich markup is never parsed.
"""

from __future__ import annotations

import os
import re
import sys
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from rich.console import Console

#: A pipe has no width; nothing is cut or wrapped for it.
_ENDLESS: Final = 10_000
_LONGEST_CELL: Final = 200
_SEQUENCES: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    r"|\x1b[\]PX^_].*?(?:\x07|\x1b\\|\x9c|\Z)"  # OSC and other strings: titles, links, clipboards
    r"|\x1b[ -/]*[0-~]",
    re.DOTALL,
)
#: What must not stand as itself in anything that may reach a terminal.
CONTROLS: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, without tab and newline
    r"\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # direction, zero widths
    r"\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"  # annotations, surrogates, tags
)


def clean(text: str) -> str:
    """Return text without anything that a terminal would obey; newlines and tabs stay."""
    return CONTROLS.sub("", _SEQUENCES.sub("", text))


def one_line(text: str) -> str:
    """Return harmless text on one line, cut where it gets too long to read."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= _LONGEST_CELL else f"{flat[: _LONGEST_CELL - 1]}…"


def console(file: IO[str]) -> Console:
    """Return a console that neither parses markup nor guesses highlights; NO_COLOR is Rich's."""
    from rich.console import Console

    wide = not file.isatty() and "COLUMNS" not in os.environ
    return Console(
        file=file, width=_ENDLESS if wide else None, markup=False, highlight=False, emoji=False
    )


def say(text: str) -> None:
    """Print a message on stderr."""
    from rich.text import Text

    console(sys.stderr).print(Text(clean(text)), soft_wrap=True)

"""Where a pull from the server in memory is, and in which order it hands out changes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Changed:
    """A row that changed or went; ``marker`` sorts rows by sequence and tombstones after them."""

    row_id: str
    sequence: int
    gone: bool

    @property
    def marker(self) -> str:
        return f"{int(self.gone)}.{self.sequence:020d}"


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pull is: ``first`` reads all rows by id, else those changed in (since, until].

    ``until`` is negative in a checkpoint from which nothing was read yet.
    """

    first: bool
    since: int
    until: int
    after: str

    @property
    def text(self) -> str:
        return f"{int(self.first)}|{self.since}|{self.until}|{self.after}"

    @classmethod
    def parse(cls, text: str) -> Position:
        first, since, until, after = text.split("|")
        return cls(first == "1", int(since), int(until), after)

"""Every choice of a simulation, by label; recorded, so that it can be made again.

Invariant: each label has its own stream, made of the seed and the label alone; so one more choice
in the network does not shift those of the scheduler. 0 is the simplest answer to everything, and
the answer when a replayed tape has run out: a shorter tape is a simpler story.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from holdfast.testing._mixing import GOLDEN, MASK, mix

_FINE: Final = 2**20  # steps between 0 and 1: enough for a delay, and short on a tape


def _stream(seed: int, label: str) -> Iterator[int]:
    """Yield 64-bit numbers: SplitMix64 from a state that FNV-1a makes of the label."""
    state = 0xCBF29CE484222325
    for byte in label.encode():
        state = (state ^ byte) * 0x100000001B3 & MASK
    state = mix(state ^ mix(seed + GOLDEN))
    while True:
        state = state + GOLDEN & MASK
        yield mix(state)


class Tape:
    """Makes choices from a seed, or makes those again that another tape recorded."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._streams: dict[str, Iterator[int]] = {}
        self._replay: dict[str, Iterator[int]] | None = None
        self._recorded: dict[str, list[int]] = {}
        self._serials: dict[str, int] = {}

    @classmethod
    def replaying(cls, recorded: Mapping[str, Sequence[int]], *, seed: int = 0) -> Tape:
        """Return a tape that makes the recorded choices, and 0 when they have run out."""
        tape = cls(seed)
        tape._replay = {label: iter(tuple(choices)) for label, choices in recorded.items()}
        return tape

    @classmethod
    def load(cls, text: str) -> Tape:
        """Return a tape that replays what :meth:`dump` wrote."""
        content = json.loads(text)
        return cls.replaying(content["choices"], seed=content["seed"])

    def dump(self) -> str:
        """Return the choices made so far as JSON."""
        return json.dumps({"seed": self.seed, "choices": self._recorded}, sort_keys=True)

    @property
    def recorded(self) -> Mapping[str, Sequence[int]]:
        """The choices made so far, by label."""
        return self._recorded

    def pick(self, label: str, count: int) -> int:
        """Choose one of ``count`` possibilities; where there is one only, nothing is recorded."""
        if count < 1:
            raise ValueError(f"{label}: {count} possibilities are none to choose from")
        if count == 1:
            return 0
        choice = min(self._replayed(label), count - 1) if self._replay is not None else None
        if choice is None:
            choice = self._drawn(label) * count >> 64
        self._recorded.setdefault(label, []).append(choice)
        return choice

    def chance(self, label: str, probability: float) -> bool:
        """Decide whether something happens; 0 and 1 leave no choice."""
        if probability <= 0 or probability >= 1:
            return probability >= 1
        if self._replay is not None:
            happens = self._replayed(label) > 0
        else:
            happens = self._drawn(label) < probability * 2**64
        self._recorded.setdefault(label, []).append(int(happens))
        return happens

    def fraction(self, label: str) -> float:
        """Return a number in [0, 1)."""
        return self.pick(label, _FINE) / _FINE

    def serial(self, label: str) -> int:
        """Return a number that this label did not have before; no choice, so never replayed."""
        self._serials[label] = self._serials.get(label, 0) + 1
        return self._serials[label]

    def _drawn(self, label: str) -> int:
        return next(self._streams.setdefault(label, _stream(self.seed, label)))

    def _replayed(self, label: str) -> int:
        assert self._replay is not None
        return max(0, next(self._replay.get(label, iter(())), 0))

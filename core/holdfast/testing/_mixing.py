"""Numbers that look random and are not: the finalizer of SplitMix64 (Steele, Lea, Flood 2014).

Invariant: :func:`mix` is a bijection of 64-bit numbers, the same on every machine and version.
"""

from __future__ import annotations

from typing import Final

MASK: Final = 2**64 - 1
GOLDEN: Final = 0x9E3779B97F4A7C15


def mix(number: int) -> int:
    """Return a 64-bit number that tells nothing about the order of those it came from."""
    number &= MASK
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & MASK
    number = (number ^ number >> 27) * 0x94D049BB133111EB & MASK
    return number ^ number >> 31


def guid(high: int, low: int) -> str:
    """Return a GUID of version 4 made of two 64-bit numbers."""
    number = (high & MASK) << 64 | low & MASK
    number = number & ~(0xF << 76) | 0x4 << 76
    number = number & ~(0x3 << 62) | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

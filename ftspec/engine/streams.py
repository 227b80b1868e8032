"""Our own random numbers: the same on every machine, Python and numpy version.

numpy promises stable streams for one build only (its `numpy.random` compatibility policy) and Python guarantees nothing
about `choice` and `sample` across versions, so order, sampling and initial weights come from here.
"""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")
MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def seed_of(*parts: object) -> int:
    """A 64-bit seed out of labels: the first 8 bytes of sha256 over them, joined by colons."""
    return int.from_bytes(hashlib.sha256(":".join(map(str, parts)).encode()).digest()[:8], "big")


def mix(z: int) -> int:
    """The output function of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014)."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


class Stream:
    """A SplitMix64 stream named by its labels: `Stream("order", 7, 0)`."""

    def __init__(self, *labels: object) -> None:
        self._state = seed_of(*labels)

    def bits(self) -> int:
        """64 uniform bits."""
        self._state = (self._state + GOLDEN) & MASK
        return mix(self._state)

    def uniform(self) -> float:
        """A float in [0, 1) with 53 random bits."""
        return (self.bits() >> 11) * 2.0**-53

    def below(self, n: int) -> int:
        """An integer in [0, n); the bias of at most n / 2**64 is of no consequence here."""
        return (self.bits() * n) >> 64

    def between(self, low: int, high: int) -> int:
        """An integer in [low, high], both ends included."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        """One of `items`."""
        return items[self.below(len(items))]

    def shuffle(self, items: list[T]) -> list[T]:
        """Shuffle in place (Fisher-Yates) and return the list."""
        for i in range(len(items) - 1, 0, -1):
            j = self.below(i + 1)
            items[i], items[j] = items[j], items[i]
        return items

    def sample(self, items: Sequence[T], k: int) -> list[T]:
        """Return k different positions' items, in random order."""
        chosen: dict[int, None] = {}
        while len(chosen) < k:
            chosen[self.below(len(items))] = None
        return [items[i] for i in chosen]

"""Numbers that look drawn at random and are the same everywhere: the search for counterexamples must be repeatable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

_MASK = (1 << 64) - 1


class Lcg:
    """A linear congruential generator with Knuth's constants.

    Args:
        seed: equal seeds give equal numbers.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def below(self, limit: int) -> int:
        """A number from 0 up to but not including ``limit``."""
        self._state = (self._state * 6364136223846793005 + 1442695040888963407) & _MASK
        # The low bits of such a generator repeat soon.
        return (self._state >> 33) % limit

    def between(self, low: int, high: int) -> int:
        """A number from ``low`` up to and including ``high``."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

"""Histories of one large and one order-0 folio in a world of small page tables.

A history is plain numbers; each step does the nearest thing that is possible in its state, so that every list of
numbers is a legal history and shrinks well. They come from a generator of our own: the search is repeatable everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")

MMS = 4
ORDERS = (2, 3, 4, 5)
#: pages by which mappings of the large folio miss the start of a page table
SKEWS = (0, 3, 5)
LONGEST = 40

KINDS = (
    *("map", "map", "map", "unmap", "unmap", "split", "merge", "shift", "punch", "fill", "move", "fork", "exit"),
    *("map-pmd", "map-pmd", "unmap-pmd", "split-pmd", "move-pmd", "map-small", "unmap-small", "walk"),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what to do, in which mm and region, and two numbers that place it."""

    kind: str
    mm: int
    region: int
    at: int
    nr: int


@dataclass(frozen=True, slots=True)
class History:
    """Order of the large folio, skew of its mappings against page tables, the steps, and whether it is anonymous."""

    order: int
    skew: int
    steps: tuple[Step, ...]
    anon: bool = True


def seeded_histories(count: int, mms: int = MMS) -> Iterator[History]:
    """The same ``count`` histories in ``mms`` address spaces at every call; they grow to LONGEST steps."""
    draw = Lcg(20230206)
    for number in range(count):
        longest = min(LONGEST, 3 + number // 3)
        steps = tuple(
            Step(draw.choice(KINDS), draw.between(1, mms), draw.below(2), draw.below(32), draw.between(1, 32))
            for _ in range(draw.between(1, longest))
        )
        yield History(draw.choice(ORDERS), draw.choice(SKEWS), steps, anon=draw.below(4) > 0)


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
        # The low bits of such a generator have short periods.
        return (self._state >> 33) % limit

    def between(self, low: int, high: int) -> int:
        """A number from ``low`` up to and including ``high``."""
        return low + self.below(high - low + 1)

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

"""Histories of one large and one order-0 folio in a world of small page tables.

A history is plain numbers; each step does the nearest thing that is possible in the state that it meets, so that every
list of numbers is a legal history and shrinks well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from folioshell.contract.lcg import Lcg

MMS = 4
ORDERS = (2, 3, 4, 5)
#: by how many pages the mappings of the large folio miss the beginning of a page table
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
    """Order of the large folio, how its mappings are skewed against page tables, the steps, and whether it is anon."""

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

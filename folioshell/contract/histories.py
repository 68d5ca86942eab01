"""Histories of one large and one order-0 folio: of few address spaces, in a world of small page tables, and of many.

A history is plain numbers; each step does the nearest thing that is possible in its state, so that every list of
numbers is a legal history and shrinks well. They come from a generator of our own: the search is repeatable everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

from folioshell.records import dataclass

T = TypeVar("T")

MMS = 4
ORDERS = (2, 3, 4, 5)
#: pages by which mappings of the large folio miss the start of a page table
SKEWS = (0, 3, 5)
LONGEST = 40
SEED = 20230206
#: MM-IDs of many address spaces are drawn from 1 to this
HIGHEST_ID = 1 << 31
WIDE_ORDERS = tuple(range(11))

KINDS = (
    *("map", "map", "map", "unmap", "unmap", "split", "merge", "shift", "punch", "fill", "move", "fork", "exit"),
    *("map-pmd", "map-pmd", "unmap-pmd", "split-pmd", "move-pmd", "map-small", "unmap-small", "walk"),
)
#: what some of many address spaces do, after all have mapped the folio and before all but one exit
CROWD_KINDS = ("map", "map", "unmap", "split", "merge", "move", "fork", "exit", "swap")
#: from this order on, crowds are smaller
_MANY_PAGES = 6


@dataclass(frozen=True, slots=True)
class HistoryStep:
    """One step: what to do, in which mm and region, and two numbers that place it."""

    kind: str
    mm: int
    region: int
    at: int
    nr: int


@dataclass(frozen=True, slots=True)
class RandomHistory:
    """What is done to a large folio.

    Args:
        order: of the folio.
        skew: pages by which its mappings miss the start of a page table.
        steps: what is done.
        anon: the folios are anonymous memory.
        ids: MM-IDs of the address spaces, which steps number from 1.
    """

    order: int
    skew: int
    steps: tuple[HistoryStep, ...]
    anon: bool = True
    ids: tuple[int, ...] = tuple(range(1, MMS + 1))


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """How far a search goes.

    Args:
        histories: histories of few address spaces; a third as many more have many.
        steps: in the longest history.
        mms: address spaces in the histories that have many.
        seed: equal seeds give equal histories.
    """

    histories: int = 240
    steps: int = LONGEST
    mms: int = 300
    seed: int = SEED


def wide_histories(bounds: SearchBounds) -> Iterator[RandomHistory]:
    """Histories of many address spaces, the same at every call: of pairs that meet, and of crowds."""
    draw = Lcg(bounds.seed + 1)
    for number in range(bounds.histories // 4):
        ids = _sparse_ids(draw, bounds.mms)
        yield RandomHistory(draw.choice((2, 3)), 0, _pairs(draw, bounds), anon=False, ids=ids)
        if not number % 5:
            order = WIDE_ORDERS[number // 5 % len(WIDE_ORDERS)]
            yield RandomHistory(order, draw.choice(SKEWS), _crowd(draw, bounds, order), draw.below(2) > 0, ids)


def _sparse_ids(draw: Lcg, mms: int) -> tuple[int, ...]:
    """Different MM-IDs from 1 to HIGHEST_ID, in the order in which they are drawn."""
    ids: dict[int, None] = {}
    while len(ids) < mms:
        ids[draw.between(1, HIGHEST_ID)] = None
    return tuple(ids)


def _pairs(draw: Lcg, bounds: SearchBounds) -> tuple[HistoryStep, ...]:
    """Two address spaces map the folio, then leave it, in turn: each pair meets where nothing of others is left."""
    steps: list[HistoryStep] = []
    while len(steps) + 4 <= max(bounds.steps, 4):
        one, other = draw.between(1, bounds.mms), draw.between(1, bounds.mms)
        at, nr = draw.below(4), draw.between(1, 4)
        steps += [HistoryStep(kind, mm, 0, at, nr) for kind in ("map", "unmap") for mm in (one, other)]
    return tuple(steps)


def _crowd(draw: Lcg, bounds: SearchBounds, order: int) -> tuple[HistoryStep, ...]:
    """Every address space maps the folio, and all but one leave it: counts pass 2^8, of order 10 also 2^16."""
    nr = 1 << order
    # 65 times 1024 pages are more than 2^16 entries, and 300 mms more than 2^8: both at once would only take longer.
    mms = min(bounds.mms, bounds.mms if order < _MANY_PAGES else 70)
    first, last = draw.between(1, mms), draw.between(1, mms)
    between = tuple(
        HistoryStep(draw.choice(CROWD_KINDS), draw.between(1, mms), draw.below(2), draw.below(nr), nr) for _ in range(3)
    )
    steps = (
        HistoryStep("map", first, 0, 0, nr),
        HistoryStep("fork-all", first, 0, 0, mms),
        *between,
        HistoryStep("exit-all", last, 0, 0, 1),
    )
    return steps[: max(bounds.steps, 3)]


def seeded_histories(count: int, mms: int = MMS, longest: int = LONGEST, seed: int = SEED) -> Iterator[RandomHistory]:
    """The same ``count`` histories in ``mms`` address spaces at every call; they grow to ``longest`` steps."""
    draw = Lcg(seed)
    most = longest
    for number in range(count):
        longest = min(most, 3 + number // 3)
        steps = tuple(
            HistoryStep(draw.choice(KINDS), draw.between(1, mms), draw.below(2), draw.below(32), draw.between(1, 32))
            for _ in range(draw.between(1, longest))
        )
        yield RandomHistory(draw.choice(ORDERS), draw.choice(SKEWS), steps, anon=draw.below(4) > 0)


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

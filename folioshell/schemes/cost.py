"""What it costs to keep the number of a scheme: counts of a model, not time.

Counted is what a scheme does at an rmap call, or in a callback of its own, in addition to what Linux does there anyway:

- *atomics*: read-modify-write operations on counters and locks of the folio, and on ``page->_mapcount``. A new
  anonymous folio, which no other CPU sees yet, gets plain stores.
- *slots*: page-table slots to read to find out whether the number changes, without those of the call itself. Every
  look is counted in full, although one that finds an entry may end early.
- *ptls*: page-table locks taken for that, without the one that the caller holds.
- *lines*: cache lines of the memory map that are touched, at 64 bytes a ``struct page``: one for each page whose
  ``_mapcount`` changes, and one for the counters of a large folio, in its second ``struct page``.

Everything follows from single events, so that it can be counted afterwards from a trace. Where the cost depends on what
was mapped before, the first mapping of a page and its last unmapping are counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from folioshell import events
from folioshell.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Cost:
    """Counts of one event or of a sum of events."""

    atomics: int = 0
    slots: int = 0
    ptls: int = 0
    lines: int = 0

    def __add__(self, other: Cost) -> Cost:
        """Both together."""
        return Cost(
            self.atomics + other.atomics,
            self.slots + other.slots,
            self.ptls + other.ptls,
            self.lines + other.lines,
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """What events do not say.

    Args:
        table_pages: pages that one PTE table maps.
        orders: order of every folio that a split or merge of VMAs may straddle.
    """

    table_pages: int = 512
    orders: Mapping[int, int] = field(default_factory=dict)

    def tables(self, start: int, end: int) -> int:
        """Number of PTE tables that have the virtual pages ``[start, end)``, which are not none."""
        return (end - 1) // self.table_pages - start // self.table_pages + 1

    def table_range(self, vpn: int) -> tuple[int, int]:
        """The virtual pages ``[start, end)`` of the PTE table that has ``vpn``."""
        start = vpn - vpn % self.table_pages
        return start, start + self.table_pages


X86_64_LAYOUT = Layout()


#: atomic operations of the rmap walk that a ``maybe`` requires: the trylock of the folio, and its unlock
WALK_ATOMICS = 2


@dataclass(frozen=True, slots=True)
class PageRun:
    """Slots of one VMA in one page table: those of an rmap call or of a move.

    Args:
        order: of the folio.
        nr: pages in the run.
        vpn: virtual page of the first.
        start, end: the virtual pages ``[start, end)`` at which this VMA could map pages of the folio.
    """

    order: int
    nr: int
    vpn: int
    start: int
    end: int

    @property
    def whole(self) -> bool:
        """The run is all of the folio: nothing else of it can be in this VMA."""
        return self.nr == 1 << self.order


def run_of(event: events.Rmap | events.Moved) -> PageRun:
    """The run of an event; of a move the old place."""
    base = event.vpn - event.first
    return PageRun(event.order, event.nr, event.vpn, base + event.low, base + event.high)


def run_moved_to(event: events.Moved) -> PageRun:
    """The new place of a move."""
    base = event.to_vpn - event.first
    return PageRun(event.order, event.nr, event.to_vpn, base + event.to_low, base + event.to_high)


class Reach(Enum):
    """How far a look for other entries of the folio goes."""

    #: the slots of the VMA in the page table that the caller locked
    TABLE = "table"
    #: all slots of the VMA for the folio; those of other tables under their locks
    VMA = "vma"


def look(reach: Reach, run: PageRun, layout: Layout) -> Cost:
    """A look for entries besides those of a run, under the lock of its page table."""
    if run.whole:
        return Cost()
    if reach is Reach.VMA:
        return Cost(slots=run.end - run.start - run.nr, ptls=layout.tables(run.start, run.end) - 1)
    start, end = layout.table_range(run.vpn)
    return Cost(slots=min(end, run.end) - max(start, run.start) - run.nr)


def boundary_look(reach: Reach, order: int, base: int, vpn: int, layout: Layout) -> Cost:
    """A look at a folio on both sides of a new or removed VMA boundary at ``vpn``, with no page table locked.

    Args:
        base: virtual page of the folio's page 0.
    """
    start, end = base, base + (1 << order)
    if reach is Reach.TABLE:
        # A boundary between two tables has no tuple on both sides.
        if not vpn % layout.table_pages:
            return Cost()
        table_start, table_end = layout.table_range(vpn)
        start, end = max(start, table_start), min(end, table_end)
    return Cost(atomics=1, slots=end - start, ptls=layout.tables(start, end), lines=1)


def small_cost(event: events.Rmap) -> Cost:
    """``_mapcount`` of order-0 folios."""
    nr = len(event.folios)
    return Cost(atomics=0 if event.new else nr, lines=nr)


def page_lines(event: events.Rmap) -> int:
    """Lines of the pages of a run, and the one of the folio's counters; of a PMD entry the latter only."""
    if event.level is events.Level.PMD:
        return 1
    return event.nr if event.first <= 1 < event.first + event.nr else event.nr + 1

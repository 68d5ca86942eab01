"""anon-exclusive: a bit of each anonymous page that no one else maps it (v5.19)."""

from __future__ import annotations

from folioshell import events
from folioshell.events import Level, Rmap
from folioshell.intervals import LongIntervals, ranges
from folioshell.schemes.base import Law, Part, Scheme, Sharing
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout


class AnonExclusive(Scheme):
    """PageAnonExclusive: set for new pages, copies, reuse and swap-in; cleared by fork, and by swapping the page out.

    The bit of the first page speaks for a PMD entry. Here a bit ends with the entry that maps its page.
    Kernel: include/linux/page-flags.h: PageAnonExclusive() (v6.18); mm/memory.c: do_wp_page() (v6.18)

    Attributes:
        _pages: folio -> how many of its pages are exclusive, in runs; 0 is not kept.
        _bits: large folio -> a bit for each page that is exclusive under a PTE; 0 is not kept.
        _huge: large folios that a PMD entry maps and that are exclusive.
        _orders: large folio -> its order, from its first entry until it is freed.
    """

    name = "anon-exclusive"
    place = 53
    version = "v5.19, PageAnonExclusive()"
    about = (
        "Counts the pages that are certainly mapped by one process alone, PageAnonExclusive.",
        "Exclusive if the bit of the page, or of all pages, is set; else it cannot tell, and references decide.",
    )
    state = "a bit for each page"
    laws = frozenset(
        {
            Law.NEVER_FALSE_NEGATIVE,
            Law.NEVER_FALSE_POSITIVE,
            Law.ZERO_WHEN_UNMAPPED,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
        }
    )

    def __init__(self) -> None:
        self._pages: LongIntervals[int] = LongIntervals()
        self._bits: dict[int, int] = {}
        self._huge: set[int] = set()
        self._orders: dict[int, int] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folios."""
        self._pages.drop(event.folio, event.nr)
        if event.order:
            self._bits.pop(event.folio, None)
            self._orders.pop(event.folio, None)
            self._huge.discard(event.folio)

    def on_mapped(self, event: events.Mapped) -> None:
        """The call says what the pages are from now on; one that shares them clears the bits of all their entries."""
        self._change(event, event.exclusive or event.new)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """An exclusive page has no other entry."""
        self._change(event, False)

    def on_reused(self, event: events.Reused) -> None:
        """No one else maps the pages: all of them under a PMD entry."""
        if not event.order:
            self._pages.put(event.folio, 1, 1)
            return
        self._orders[event.folio] = event.order
        if event.nr > 1:
            self._huge.add(event.folio)
        else:
            self._bits[event.folio] = self._bits.get(event.folio, 0) | 1 << event.first
        self._settle(event.folio)

    def _change(self, event: Rmap, exclusive: bool) -> None:
        if event.order:
            if exclusive or event.folio in self._pages:
                self._orders[event.folio] = event.order
                self._change_large(event, exclusive)
                self._settle(event.folio)
            return
        for first, nr in ranges(event.folios):
            if exclusive:
                self._pages.put(first, nr, 1)
            else:
                self._pages.drop(first, nr)

    def _change_large(self, event: Rmap, exclusive: bool) -> None:
        if event.level is Level.PMD and exclusive:
            self._huge.add(event.folio)
            return
        # A PMD entry that is split leaves its PTEs as exclusive as it was.
        if event.level is Level.PMD or (event.sign > 0 and not exclusive):
            self._huge.discard(event.folio)
        if event.level is Level.PTE or event.sign > 0:
            bits, pages = self._bits.get(event.folio, 0), (1 << event.nr) - 1 << event.first
            self._bits[event.folio] = bits | pages if exclusive else bits & ~pages

    def _settle(self, folio: int) -> None:
        """Count the exclusive pages of a large folio."""
        if not self._bits.get(folio):
            self._bits.pop(folio, None)
        number = 1 << self._orders[folio] if folio in self._huge else self._bits.get(folio, 0).bit_count()
        if not number:
            self._pages.drop(folio)
        elif number != self._pages.get(folio):
            self._pages.put(folio, 1, number)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Exclusive pages of the folio, or 1 for an exclusive page."""
        if page is None or folio in self._huge or folio not in self._orders:
            number = self._pages.get(folio, 0)
            return number if page is None else min(number, 1)
        return self._bits.get(folio, 0) >> page & 1

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """One row a run of folios with equally many exclusive pages."""
        return [(start, length, number or 0) for start, length, number in self._pages.pieces(first, nr)]

    def mapped(self, folio: int) -> bool | None:
        """Cannot tell: pages may be mapped and not be exclusive."""
        return None

    def shared(self, folio: int, mm: int) -> Sharing:
        """No if all pages are exclusive, each to its one process; they became so when that one had them all."""
        exclusive = self.mapcount(folio) == 1 << self._orders.get(folio, 0)
        return Sharing.NO if exclusive else Sharing.MAYBE

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """By the bit of the page."""
        return Sharing.NO if self.mapcount(folio, page) else Sharing.MAYBE

    def why(self, folio: int) -> list[Part]:
        """The exclusive pages."""
        number = self.mapcount(folio)
        return [Part("exclusive pages", number)] if number else []

    def bytes_of_state(self, order: int) -> int:
        """None: the bit is one of the page flags."""
        return 0

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """set_bit() or clear_bit() for each page of a call that maps anonymous memory, new pages included."""
        if not isinstance(event, events.Mapped) or not event.anon:
            return Cost()
        pages = event.entries * len(event.folios)
        return Cost(atomics=pages, lines=pages)

"""per-page-v5: a mapcount in every page, compound_mapcount and PageDoubleMap (v4.5 to v6.1)."""

from __future__ import annotations

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.schemes.base import Answer, Law, Part, Sharing
from folioshell.schemes.cost import Cost, EntryFact, Layout, is_new, page_lines
from folioshell.schemes.order0 import Order0Scheme
from folioshell.schemes.page_counts import PageCounts


class DoubleMapCounts:
    """The counters of one large folio as they are stored, but from 0.

    Attributes:
        anon: it is anonymous memory.
        pages: ``_mapcount`` of every page: PTEs; of file memory PMD entries, too; of anonymous memory 1 more in each
            while ``double_map`` is set.
        compound: ``compound_mapcount``: PMD entries.
        double_map: PageDoubleMap.
        latest: (mm, vpn) of the latest event if that mapped all pages by PTEs: what a PMD entry there is split into.
    """

    __slots__ = ("anon", "compound", "double_map", "latest", "pages")

    def __init__(self, nr_pages: int, anon: bool) -> None:
        self.anon = anon
        self.pages = PageCounts(nr_pages)
        self.compound = 0
        self.double_map = False
        self.latest: tuple[int, int] | None = None

    @property
    def offset(self) -> int:
        """What every page's counter holds besides its PTEs."""
        return int(self.double_map) if self.anon else self.compound

    @property
    def total(self) -> int:
        """All entries: ``total_mapcount()``."""
        return self.compound + self.pages.total - self.offset * self.pages.nr_pages

    def page(self, page: int) -> int:
        """Entries that map one page: ``page_mapcount()``."""
        count = self.pages[page]
        return count + self.compound - self.double_map if self.anon else count

    @property
    def partial(self) -> bool:
        """Some pages are mapped and others not."""
        return not self.compound and 0 < self.pages.mapped < self.pages.nr_pages

    def add_to_all(self, delta: int) -> int:
        """Add ``delta`` to ``_mapcount`` of every page; how many came to be 0 or ceased to be."""
        return self.pages.add(0, self.pages.nr_pages, delta)


class PerPageV5(Order0Scheme):
    """Counters of the kernels before v6.2; their callers asked the mapcount of the page that they looked at.

    Kernel: mm/rmap.c: page_add_anon_rmap(), page_add_file_rmap(), page_remove_rmap() (v6.1);
        mm/huge_memory.c: __split_huge_pmd_locked() (v6.1); mm/madvise.c: madvise_cold_or_pageout_pte_range() (v6.1)

    Attributes:
        _large: large folio -> its counters; from its first entry until it is freed.
        _deferred: large folios that an unmapping put on the deferred-split queue.
    """

    name = "per-page-v5"
    place = 5
    version = "v4.5 to v6.1, page->_mapcount, compound_mapcount and PageDoubleMap"
    about = (
        "Counts the entries that map each page, and PMD entries apart; the folio's number is summed up when asked for.",
        "Shared unless the page asked about (of a folio: page 0) has exactly one entry.",
    )
    state = "a mapcount for each page, one for PMD entries, and the flag PageDoubleMap"
    laws = frozenset(
        {
            Law.DECIDES,
            Law.MAPPED_IFF_POSITIVE,
            Law.ZERO_WHEN_UNMAPPED,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_MOVE,
            Law.ONE_IS_EXCLUSIVE,
            Law.TELLS_PARTIAL,
            Law.COUNTS_PAGES,
            Law.FORGETS_HISTORY,
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, DoubleMapCounts] = {}
        self._deferred: set[int] = set()

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._large.pop(event.folio, None)
        self._deferred.discard(event.folio)

    def on_mapped(self, event: events.Mapped) -> None:
        """One more PTE for each page."""
        counts = self._counts(event)
        counts.pages.add(event.first, event.nr, 1)
        counts.latest = (event.mm, event.vpn) if event.nr == counts.pages.nr_pages else None
        if not event.anon:
            counts.double_map = True

    def on_unmapped(self, event: events.Unmapped) -> None:
        """One PTE fewer for each page."""
        counts = self._counts(event)
        counts.latest = None
        if counts.pages.add(event.first, event.nr, -1) and event.anon:
            # Even if no page is mapped any more.
            self._deferred.add(event.folio)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """One more PMD entry; of file memory, one more for each page."""
        counts = self._counts(event)
        counts.latest = None
        counts.compound += 1
        if not event.anon:
            counts.add_to_all(1)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """One PMD entry fewer, zapped or split into the PTEs that were mapped right before."""
        counts = self._counts(event)
        if not counts.compound:
            raise KernelBug(f"a PMD entry of f{event.folio} went, but it has none", [event])
        split, counts.latest = counts.latest == (event.mm, event.vpn), None
        if not event.anon:
            counts.compound -= 1
            counts.add_to_all(-1)
            return
        if split and counts.compound > 1 and not counts.double_map:
            counts.double_map = True
            counts.add_to_all(1)
        counts.compound -= 1
        if not counts.compound and counts.double_map:
            counts.double_map = False
            unmapped = counts.add_to_all(-1)
            if not split and 0 < unmapped < counts.pages.nr_pages:
                self._deferred.add(event.folio)

    def _counts(self, event: EntryFact) -> DoubleMapCounts:
        counts = self._large.get(event.folio)
        if counts is None:
            counts = self._large[event.folio] = DoubleMapCounts(1 << event.order, event.anon)
        return counts

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of the folio, summed over its pages, or of one page of it."""
        if page is not None:
            return self.page_mapcount(folio, page)
        counts = self._large.get(folio)
        return super().mapcount(folio) if counts is None else counts.total

    def page_mapcount(self, folio: int, page: int) -> int:
        """Entries that map one page: ``page_mapcount()``.

        Raises:
            IndexError: a large folio that was mapped has no such page.
        """
        counts = self._large.get(folio)
        return self.small.get(folio, 0) if counts is None else counts.page(page)

    def stored(self, folio: int, page: int) -> tuple[int, int, bool]:
        """(``_mapcount`` of a page, ``compound_mapcount``, PageDoubleMap) of a large folio, the counters from 0."""
        counts = self._large.get(folio)
        return (0, 0, False) if counts is None else (counts.pages[page], counts.compound, counts.double_map)

    def shared(self, folio: int, mm: int) -> Sharing:
        """``page_mapcount() != 1`` of page 0."""
        return self.page_shared(folio, 0, mm)

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """``page_mapcount() != 1``: other pages of the folio do not matter."""
        return Sharing.YES if self.page_mapcount(folio, page) != 1 else Sharing.NO

    def partially_mapped(self, folio: int) -> Answer:
        """Some pages have entries, and others not: a look at every page."""
        counts = self._large.get(folio)
        return Answer.of(counts is not None and counts.partial)

    def deferred(self, folio: int) -> bool:
        """Did an unmapping put the folio on the deferred-split queue?

        Kernel: mm/rmap.c: page_remove_rmap(), page_remove_anon_compound_rmap() (v6.1)
        """
        return folio in self._deferred

    def why(self, folio: int) -> list[Part]:
        """The PMD entries, and the PTEs of every run of pages that are mapped equally often."""
        counts = self._large.get(folio)
        if counts is None:
            return super().why(folio)
        parts = [Part("PMD entries", counts.compound, nr=counts.pages.nr_pages)] if counts.compound else []
        for first, nr, stored in counts.pages.runs():
            if ptes := stored - counts.offset:
                parts.append(Part("PTEs", nr * ptes, first=first, nr=nr))
        if counts.double_map:
            parts.append(Part("DoubleMap set", 0))
        return parts

    def bytes_of_state(self, order: int) -> int:
        """``_mapcount`` of every page, and ``compound_mapcount`` of a large folio."""
        return (4 << order) + (4 if order else 0)

    @classmethod
    def cost_of_entries(cls, event: EntryFact, layout: Layout) -> Cost:
        """``_mapcount`` of every page; of a PMD entry ``compound_mapcount``, and of file memory every page besides.

        Setting and clearing PageDoubleMap, which touches every page once more, depends on more than the event and is
        left out.
        """
        if isinstance(event, events.Mapped | events.Unmapped):
            return Cost(atomics=0 if is_new(event) else event.nr, lines=page_lines(event))
        if event.anon:
            return Cost(atomics=0 if is_new(event) else 1, lines=1)
        return Cost(atomics=1 + (1 << event.order), lines=1 << event.order)

"""per-page-v5: a mapcount in every page, compound_mapcount and PageDoubleMap (v4.5 to v6.1)."""

from __future__ import annotations

from typing import Any

from folioshell.errors import KernelBug
from folioshell.events import Level, Rmap
from folioshell.schemes.base import Answer, Law, Part, Sharing
from folioshell.schemes.cost import Cost, Layout, page_lines
from folioshell.schemes.entries import EntryScheme, PageCounts, entry_parts
from folioshell.schemes.order0 import Order0Scheme


class DoubleMapCounts:
    """The counters of one large folio as stored, but from 0.

    Attributes:
        anon: it is anonymous memory.
        pages: ``_mapcount`` of every page: PTEs; of file memory PMD entries, too; of anonymous memory 1 more in each
            while ``double_map`` is set.
        compound: ``compound_mapcount``: PMD entries.
        double_map: PageDoubleMap.
        latest: (mm, vpn) of the latest event if it mapped all pages by PTEs: a PMD entry there is split.
        newly_unmapped: pages that the latest unmapping left without any mapping.
    """

    __slots__ = ("anon", "compound", "double_map", "latest", "newly_unmapped", "pages")

    def __init__(self, nr_pages: int, anon: bool) -> None:
        self.anon = anon
        self.pages = PageCounts(nr_pages)
        self.compound = 0
        self.double_map = False
        self.latest: tuple[int, int] | None = None
        self.newly_unmapped = 0

    @property
    def offset(self) -> int:
        """What every page's counter holds in addition to its PTEs."""
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
    def mapped(self) -> int:
        """Pages that PTEs map."""
        offset = self.offset
        return sum(nr for _, nr, count in self.pages.runs() if count != offset) if offset else self.pages.mapped

    @property
    def partial(self) -> bool:
        """Some pages are mapped and others not."""
        return not self.compound and 0 < self.pages.mapped < self.pages.nr_pages

    def add_pmd(self, keeps_double_map: bool) -> None:
        """A PMD entry was added.

        Args:
            keeps_double_map: a folio of a file stays DoubleMap even if nothing maps it yet.
        """
        self.compound += 1
        if not self.anon and self._add_to_all(1) == self.pages.nr_pages and not keeps_double_map:
            self.double_map = False

    def remove_pmd(self, split: bool) -> int:
        """A PMD entry was removed, or split into PTEs.

        Returns: how many pages nothing maps any more, if this was the last PMD entry of anonymous memory; else 0.
        """
        if not self.anon:
            self.compound -= 1
            self._add_to_all(-1)
            return 0
        if split and self.compound > 1 and not self.double_map:
            self.double_map = True
            self._add_to_all(1)
        self.compound -= 1
        if self.compound or not self.double_map:
            return 0
        self.double_map = False
        return self._add_to_all(-1)

    def _add_to_all(self, delta: int) -> int:
        """Add ``delta`` to ``_mapcount`` of every page. Returns: how many became 0, or nonzero."""
        return self.pages.add(0, self.pages.nr_pages, delta)


class PerPageV5(Order0Scheme):
    """Counters of kernels before v6.2; callers read the mapcount of the page at hand.

    Kernel: mm/rmap.c: page_add_anon_rmap(), page_add_file_rmap(), page_remove_rmap() (v6.1);
        mm/huge_memory.c: __split_huge_pmd_locked() (v6.1); mm/madvise.c: madvise_cold_or_pageout_pte_range() (v6.1)

    Attributes:
        _large: large folio -> its counters; from its first entry until it is freed.
        _deferred: large folios that an unmapping put on the deferred-split queue.
        keeps_double_map: the first PMD entry of a file's folio leaves PageDoubleMap set, as it did before v5.18.
    """

    name = "per-page-v5"
    place = 5
    version = "v4.5 to v6.1, page->_mapcount, compound_mapcount and PageDoubleMap"
    about = (
        "Counts the entries that map each page, and PMD entries apart; the folio's number is their sum.",
        "Shared unless the page asked about (of a folio: page 0) has exactly one entry.",
    )
    state = "a mapcount for each page, one for PMD entries, and the flag PageDoubleMap"
    laws = EntryScheme.laws - {Law.NEVER_FALSE_NEGATIVE}

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, DoubleMapCounts] = {}
        self._deferred: set[int] = set()
        self.keeps_double_map = False

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        self._large.pop(folio, None)
        self._deferred.discard(folio)

    def count_large(self, event: Rmap) -> None:
        """Count PTEs of each page, or a PMD entry: zapped, or split into the PTEs that were mapped right before."""
        counts = self._large.get(event.folio)
        if counts is None:
            counts = self._large[event.folio] = DoubleMapCounts(1 << event.order, event.anon)
        split = counts.latest == (event.mm, event.vpn)
        counts.latest = None
        if event.level is Level.PTE:
            self._count_ptes(event, counts)
        elif event.sign > 0:
            counts.add_pmd(self.keeps_double_map)
        elif not counts.compound:
            raise KernelBug(f"a PMD entry of f{event.folio} was removed, but it has none", [event])
        else:
            unmapped = counts.remove_pmd(split)
            counts.newly_unmapped = 0 if split else unmapped
            if 0 < unmapped < counts.pages.nr_pages and not split:
                self._deferred.add(event.folio)

    def _count_ptes(self, event: Rmap, counts: DoubleMapCounts) -> None:
        changed = counts.pages.add(event.first, event.nr, event.sign)
        if event.sign < 0:
            counts.newly_unmapped = changed
            if changed and event.anon:
                # Even if no page is mapped any more.
                self._deferred.add(event.folio)
            return
        if event.nr == counts.pages.nr_pages:
            counts.latest = (event.mm, event.vpn)
        if not event.anon:
            counts.double_map = True

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

    def page_mapcounts(self, folio: int) -> list[tuple[int, int, int]]:
        """(first page, number of pages, entries that map each) of runs of pages; empty if it never had an entry."""
        counts = self._large.get(folio)
        if counts is not None:
            extra = counts.compound - counts.offset
            return [(first, nr, count + extra) for first, nr, count in counts.pages.runs()]
        number = self.small.get(folio, 0)
        return [(0, 1, number)] if number else []

    def entire(self, folio: int) -> int:
        """PMD entries that map the folio: ``compound_mapcount()``."""
        counts = self._large.get(folio)
        return 0 if counts is None else counts.compound

    def pages_mapped(self, folio: int) -> int:
        """Pages of a large folio that PTEs map."""
        counts = self._large.get(folio)
        return 0 if counts is None else counts.mapped

    def newly_unmapped(self, folio: int) -> int:
        """Pages of a large folio that its latest unmapping left without any mapping; 0 if there was none."""
        counts = self._large.get(folio)
        return 0 if counts is None else counts.newly_unmapped

    def stored(self, folio: int, page: int) -> tuple[int, int, bool]:
        """(``_mapcount`` of a page, ``compound_mapcount``, PageDoubleMap) of a large folio, the counters from 0."""
        counts = self._large.get(folio)
        return (0, 0, False) if counts is None else (counts.pages[page], counts.compound, counts.double_map)

    def kernel_fields(self, folio: int) -> dict[str, Any]:
        """The fields of a large folio that was mapped, counters from 0, by the names that recordings use."""
        counts = self._large[folio]
        return {
            "entire": counts.compound,
            "double_map": int(counts.double_map),
            "mapcount_raw": [[count, nr] for _, nr, count in counts.pages.runs()],
        }

    def shared(self, folio: int, mm: int) -> Sharing:
        """``page_mapcount() != 1`` of page 0."""
        return self.page_shared(folio, 0, mm)

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """``page_mapcount() != 1``: other pages do not matter."""
        return Sharing.YES if self.page_mapcount(folio, page) != 1 else Sharing.NO

    def partially_mapped(self, folio: int) -> Answer:
        """Some pages have entries, and others not: reads every page."""
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
        parts = entry_parts(counts.compound, counts.pages, counts.offset)
        if counts.double_map:
            parts.append(Part("DoubleMap set", 0))
        return parts

    def bytes_of_state(self, order: int) -> int:
        """``_mapcount`` of every page, and ``compound_mapcount`` of a large folio."""
        return (4 << order) + (4 if order else 0)

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """``_mapcount`` of every page; of a PMD entry ``compound_mapcount``, and of file memory every page besides.

        Setting and clearing PageDoubleMap, which touches every page once more, depends on more than the event and is
        left out.
        """
        if event.level is Level.PTE:
            return Cost(atomics=0 if event.new else event.nr, lines=page_lines(event))
        if event.anon:
            return Cost(atomics=0 if event.new else 1, lines=1)
        return Cost(atomics=1 + (1 << event.order), lines=1 << event.order)

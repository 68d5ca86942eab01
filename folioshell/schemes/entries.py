"""Entries of folios: PTEs by page, PMD entries, and their sum, as kernels with per-page mapcounts keep them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.schemes.base import Answer, Part, Scheme
from folioshell.schemes.cost import Cost, EntryFact, Layout, is_new, page_lines
from folioshell.schemes.order0 import Order0Scheme
from folioshell.schemes.page_counts import PageCounts


class EntryCounts:
    """The entries that map one large folio.

    Attributes:
        pages: number of PTEs of each page.
        entire: number of PMD entries.
        newly_unmapped: pages that the latest unmapping left without any mapping.
    """

    __slots__ = ("entire", "newly_unmapped", "pages")

    def __init__(self, nr_pages: int) -> None:
        self.pages = PageCounts(nr_pages)
        self.entire = 0
        self.newly_unmapped = 0

    @property
    def total(self) -> int:
        """All entries, PTEs and PMD entries: ``folio_mapcount()``."""
        return self.entire + self.pages.total

    @property
    def partial(self) -> bool:
        """Some pages are mapped and others not."""
        return not self.entire and 0 < self.pages.mapped < self.pages.nr_pages


class EntryScheme(Order0Scheme, register=False):
    """A scheme whose number of a folio is that of its entries; subclasses say what "shared" means.

    Attributes:
        _large: large folio -> its entries; from its first entry until it is freed.
    """

    #: atomic operations of a call on counters of the folio, besides those of each page or of the PMD entry
    folio_atomics: ClassVar[int]

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, EntryCounts] = {}

    def share_record(self, writer: EntryScheme) -> None:
        """Read what another scheme counts."""
        self._large = writer._large

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._large.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """One more PTE for each page."""
        self._entries(event).pages.add(event.first, event.nr, 1)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """One PTE fewer for each page."""
        entries = self._entries(event)
        last = entries.pages.add(event.first, event.nr, -1)
        entries.newly_unmapped = 0 if entries.entire else last

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """One more PMD entry."""
        self._entries(event).entire += 1

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """One PMD entry fewer."""
        entries = self._entries(event)
        if not entries.entire:
            raise KernelBug(f"a PMD entry of f{event.folio} went, but it has none", [event])
        entries.entire -= 1
        entries.newly_unmapped = 0 if entries.entire else entries.pages.nr_pages - entries.pages.mapped

    def _entries(self, event: events.Mapped | events.Unmapped | events.PmdMapped | events.PmdUnmapped) -> EntryCounts:
        entries = self._large.get(event.folio)
        if entries is None:
            entries = self._large[event.folio] = EntryCounts(1 << event.order)
        return entries

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of the folio: ``folio_mapcount()``."""
        entries = self._large.get(folio)
        return super().mapcount(folio) if entries is None else entries.total

    def entire(self, folio: int) -> int:
        """Number of PMD entries that map the folio: ``folio_entire_mapcount()``."""
        entries = self._large.get(folio)
        return 0 if entries is None else entries.entire

    def pages_mapped(self, folio: int) -> int:
        """Number of pages of a large folio that PTEs map: ``_nr_pages_mapped`` without ENTIRELY_MAPPED."""
        entries = self._large.get(folio)
        return 0 if entries is None else entries.pages.mapped

    def newly_unmapped(self, folio: int) -> int:
        """Pages of a large folio that the latest unmapping of it left without any mapping; 0 if there was none.

        The folio is partially mapped by that if the number is positive and, after PTEs, some page is still mapped, or,
        after a PMD entry, it is not the whole folio.
        Kernel: mm/rmap.c: __folio_remove_rmap() (v6.18)
        """
        entries = self._large.get(folio)
        return 0 if entries is None else entries.newly_unmapped

    def partially_mapped(self, folio: int) -> Answer:
        """Some pages have entries, and others not: ``_nr_pages_mapped`` without a PMD entry."""
        entries = self._large.get(folio)
        return Answer.of(entries is not None and entries.partial)

    def page_mapcount(self, folio: int, page: int) -> int:
        """Number of entries that map one page, PMD entries included: ``folio_precise_page_mapcount()``.

        Raises:
            IndexError: a large folio that was mapped has no such page.
        """
        entries = self._large.get(folio)
        return super().mapcount(folio) if entries is None else entries.entire + entries.pages[page]

    def page_mapcounts(self, folio: int) -> list[tuple[int, int, int]]:
        """(first page, number of pages, entries that map each) of runs of pages; empty if it never had an entry."""
        entries = self._large.get(folio)
        if entries is not None:
            return [(first, nr, entries.entire + count) for first, nr, count in entries.pages.runs()]
        number = super().mapcount(folio)
        return [(0, 1, number)] if number else []

    def why(self, folio: int) -> list[Part]:
        """The PMD entries, and the PTEs of every run of pages that are mapped equally often."""
        entries = self._large.get(folio)
        if entries is None:
            return super().why(folio)
        parts = [Part("PMD entries", entries.entire, nr=entries.pages.nr_pages)] if entries.entire else []
        return parts + [
            Part("PTEs", nr * count, first=first, nr=nr) for first, nr, count in entries.pages.runs() if count
        ]

    @classmethod
    def cost_of_entries(cls, event: EntryFact, layout: Layout) -> Cost:
        """``_mapcount`` of every page or ``_entire_mapcount``, and the counters of the folio."""
        own = event.nr if isinstance(event, events.Mapped | events.Unmapped) else 1
        return Cost(atomics=0 if is_new(event) else own + cls.folio_atomics, lines=page_lines(event))


#: what an EntryScheme counts by; one that overrides none of these keeps nothing but the common record
_HANDLERS = ("on_mapped", "on_unmapped", "on_pmd_mapped", "on_pmd_unmapped")


def share_entries(schemes: Iterable[Scheme]) -> frozenset[Scheme]:
    """Let all schemes that count the entries of large folios read one record of them.

    Returns: those that need not be told of such entries any more, because another one is.
    """
    alike = [scheme for scheme in schemes if isinstance(scheme, EntryScheme)]
    plain = [
        scheme
        for scheme in alike
        if all(getattr(type(scheme), handler) is getattr(EntryScheme, handler) for handler in _HANDLERS)
    ]
    writer = next((scheme for scheme in alike if scheme not in plain), None)
    if writer is None:
        return frozenset()
    for scheme in plain:
        scheme.share_record(writer)
    return frozenset(plain)

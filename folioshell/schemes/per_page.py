"""per-page: a mapcount in every page, and how many pages are mapped (v6.2)."""

from __future__ import annotations

from folioshell.events import Rmap
from folioshell.schemes.base import Sharing
from folioshell.schemes.cost import Cost, Layout, page_lines
from folioshell.schemes.entries import EntryScheme


class PerPage(EntryScheme):
    """``page->_mapcount``, ``_entire_mapcount`` and ``_nr_pages_mapped``; madvise took every second entry for a sharer.

    Kernel: include/linux/mm.h: folio_mapcount() (v6.3);
        mm/madvise.c: madvise_cold_or_pageout_pte_range() (v6.3)
    """

    name = "per-page"
    place = 10
    version = "v6.2, page->_mapcount and _nr_pages_mapped; v6.3 madvise() rule"
    about = (
        "Counts the entries that map each page and, for the folio, all entries.",
        "Shared unless the folio has exactly one entry: a folio mapped by PTEs always looks shared.",
    )
    state = "a mapcount for each page, one for PMD entries, and the number of pages mapped by PTEs"

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of the folio, or of one page of it."""
        return super().mapcount(folio) if page is None else self.page_mapcount(folio, page)

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_mapcount() != 1``, whatever maps the folio."""
        return Sharing.YES if self.mapcount(folio) != 1 else Sharing.NO

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """``_mapcount`` of every page, and ``_nr_pages_mapped`` once for each that becomes mapped or unmapped.

        Kernel: mm/rmap.c: page_add_file_rmap() (v6.2)
        """
        return Cost(atomics=0 if event.new else 2 * event.entries, lines=page_lines(event))

    def bytes_of_state(self, order: int) -> int:
        """``_mapcount`` of every page; ``_entire_mapcount`` and ``_nr_pages_mapped`` of a large folio."""
        return (4 << order) + (8 if order else 0)

"""likely and exact-fit: guesses from the number of entries (v6.10)."""

from __future__ import annotations

from typing import Any

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.entries import EntryScheme


class Likely(EntryScheme):
    """``folio_likely_mapped_shared()`` on top of per-page mapcounts and ``_large_mapcount``.

    Kernel: include/linux/mm.h: folio_likely_mapped_shared() (v6.12)
    """

    name = "likely"
    place = 50
    version = "v6.10 to v6.14, folio_likely_mapped_shared()"
    about = (
        "Counts the entries of the folio, and those of each page.",
        "Shared if a PMD entry is one of several, if there are more entries than pages, or if page 0 has two PTEs.",
    )
    state = "as per-page, and one counter of all entries"
    # _nr_pages_mapped and _large_mapcount.
    folio_atomics = 2
    laws = EntryScheme.laws - {Law.NEVER_FALSE_NEGATIVE}

    def shared(self, folio: int, mm: int) -> Sharing:
        """The guess; exact for order 0 and for a single entry."""
        mapcount = self.mapcount(folio)
        if mapcount <= 1:
            return Sharing.NO
        entries = self._large.get(folio)
        # Before the guess by the first page: a PMD entry beside another entry is another mapping of every page.
        if entries is None or entries.entire or mapcount > entries.pages.nr_pages:
            return Sharing.YES
        return Sharing.YES if entries.pages[0] > 1 else Sharing.NO

    def kernel_fields(self, folio: int) -> dict[str, Any]:
        """As per-page, and ``_large_mapcount``."""
        return {**super().kernel_fields(folio), "large": self.mapcount(folio)}

    def bytes_of_state(self, order: int) -> int:
        """As per-page, and ``_large_mapcount``."""
        return (4 << order) + (12 if order else 0)


class ExactFit(EntryScheme):
    """``folio_mapcount() == folio_nr_pages()``, for a batch of PTEs that covers the folio.

    The entries of the batch are as many as the folio has pages. Any more are those of others; if there are none, the
    asking mm has them all. Without such a batch the number says little: a PMD entry alone looks shared.
    Kernel: mm/madvise.c: madvise_cold_or_pageout_pte_range(), madvise_free_pte_range() (v6.12)
    """

    name = "exact-fit"
    place = 52
    version = "v6.10, folio_mapcount() == folio_nr_pages() (madvise of a whole folio by PTEs)"
    about = (
        "Counts the entries of the folio, and those of each page.",
        "Exclusive if there are as many entries as pages: right if the asking process maps each page by one PTE.",
    )
    state = Likely.state
    folio_atomics = Likely.folio_atomics
    laws = Likely.laws

    def shared(self, folio: int, mm: int) -> Sharing:
        """``!=``: also fewer entries than pages look shared."""
        entries = self._large.get(folio)
        nr_pages = 1 if entries is None else entries.pages.nr_pages
        return Sharing.YES if self.mapcount(folio) != nr_pages else Sharing.NO

    def bytes_of_state(self, order: int) -> int:
        """As likely."""
        return (4 << order) + (12 if order else 0)

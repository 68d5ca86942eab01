"""estimated-gt1: page 0 is mapped more than once (v6.3 to v6.8)."""

from __future__ import annotations

from folioshell.schemes.base import Sharing
from folioshell.schemes.first_page import FIRST_PAGE_LAWS, FirstPageScheme


class EstimatedGt1(FirstPageScheme):
    """``folio_estimated_sharers(folio) > 1``, as madvise(MADV_COLD) of PTEs and NUMA hinting asked.

    Kernel: include/linux/mm.h: folio_estimated_sharers() (v6.3); mm/memory.c: do_numa_page() (v6.3)
    """

    name = "estimated-gt1"
    place = 45
    version = "v6.3 to v6.8, folio_estimated_sharers() > 1"
    about = (
        "Takes the mapcount of page 0, PMD entries included, for that of the folio.",
        "Shared if that is more than 1: a folio whose page 0 is not mapped looks exclusive.",
    )
    state = "nothing of its own: it reads the mapcount of page 0"
    laws = FIRST_PAGE_LAWS

    def shared(self, folio: int, mm: int) -> Sharing:
        """``> 1``: no entry of page 0 reads as exclusive."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

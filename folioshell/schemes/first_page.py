"""estimated-ne1, estimated-gt1, likely-v6.9: the mapcount of page 0, taken for that of the folio (v6.3 to v6.9)."""

from __future__ import annotations

from folioshell.events import Event, Rmap
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout
from folioshell.schemes.order0 import Order0Scheme


class FirstPageScheme(Order0Scheme, register=False):
    """A scheme whose number of a folio is that of the entries of its page 0: shared above 1, unless a subclass differs.

    They keep nothing: they read what the kernel keeps for each page anyway. Callers put the other questions to that,
    not to the estimate, which cannot answer them.

    Attributes:
        _first: large folio -> PTEs of its page 0, and PMD entries; a folio that is not in it has none.
    """

    state = "nothing of its own: it reads the mapcount of page 0"
    laws = frozenset(
        {
            Law.DECIDES,
            Law.ZERO_WHEN_UNMAPPED,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
            Law.FORGETS_HISTORY,
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[int, int] = {}

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        self._first.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """One more entry, or one fewer, if page 0 is among the pages."""
        if not event.first:
            self._first[event.folio] = self._first.get(event.folio, 0) + event.sign

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of page 0: ``page_mapcount(folio_page(folio, 0))``."""
        return self._first.get(folio, 0) or super().mapcount(folio)

    def mapped(self, folio: int) -> bool | None:
        """Cannot tell: other pages may be mapped."""
        return None

    def shared(self, folio: int, mm: int) -> Sharing:
        """``> 1``, for every asker: no entry of page 0 reads as exclusive."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The entries of page 0 in one row."""
        number = self._first.get(folio, 0)
        return [Part("entries of page 0", number, nr=1)] if number else super().why(folio)

    def bytes_of_state(self, order: int) -> int:
        """None of its own."""
        return 0

    @classmethod
    def cost_of(cls, event: Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """Nothing: it keeps nothing of its own."""
        return Cost()


class EstimatedNe1(FirstPageScheme):
    """``folio_estimated_sharers(folio) != 1``, as mempolicy asked, and madvise(MADV_COLD, MADV_FREE) since August 2023.

    Before, madvise() of v6.3 and v6.4 asked ``folio_mapcount() != 1``, as ``per-page`` does.
    Kernel: include/linux/mm.h: folio_estimated_sharers() (v6.3); mm/mempolicy.c: queue_folios_pte_range() (v6.3);
        mm/madvise.c: madvise_cold_or_pageout_pte_range(), madvise_free_pte_range() (v6.6)
    """

    name = "estimated-ne1"
    place = 44
    version = "v6.3 to v6.8 and 6.1.y, folio_estimated_sharers() != 1 (mempolicy; madvise since August 2023)"
    about = (
        "Takes the mapcount of page 0, PMD entries included, for that of the folio.",
        "Shared unless that is exactly 1: a folio whose page 0 is not mapped looks shared.",
    )

    def shared(self, folio: int, mm: int) -> Sharing:
        """``!= 1``: no entry of page 0 reads as shared."""
        return Sharing.YES if self.mapcount(folio) != 1 else Sharing.NO


class EstimatedGt1(FirstPageScheme):
    """``folio_estimated_sharers(folio) > 1``, as NUMA hinting faults asked, for order-0 folios only.

    MADV_COLD got it with a patch of 21 February 2024, which folio_likely_mapped_shared() soon replaced.
    Kernel: include/linux/mm.h: folio_estimated_sharers() (v6.7); mm/memory.c: do_numa_page() (v6.7)
    """

    name = "estimated-gt1"
    place = 45
    version = "v6.7 and v6.8, folio_estimated_sharers() > 1 (NUMA hinting faults of order-0 folios)"
    about = (
        "Takes the mapcount of page 0, PMD entries included, for that of the folio.",
        "Shared if that is more than 1: a folio whose page 0 is not mapped looks exclusive.",
    )


class LikelyV69(FirstPageScheme):
    """``folio_likely_mapped_shared()`` before there was a counter of all entries.

    Kernel: include/linux/mm.h: folio_likely_mapped_shared() (v6.9)
    """

    name = "likely-v6.9"
    place = 48
    version = "v6.9, folio_likely_mapped_shared()"
    about = (
        "Takes the mapcount of page 0, PMD entries included, for that of the folio.",
        "Shared if that is more than 1, for every caller: if page 0 is not mapped, the folio looks exclusive.",
    )

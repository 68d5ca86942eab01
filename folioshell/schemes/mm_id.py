"""mm-id: two owners remembered in each large folio (v6.15)."""

from __future__ import annotations

from folioshell import events
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.mm_slots import MmSlots, Slot, maybe_mapped_shared, slots_of


class MmId(EntryScheme):
    """MM owner tracking with CONFIG_PAGE_MAPCOUNT.

    Kernel: include/linux/rmap.h: folio_add_return_large_mapcount(), folio_sub_return_large_mapcount() (v6.18);
        include/linux/mm.h: folio_maybe_mapped_shared() (v6.18)
    """

    name = "mm-id"
    place = 60
    version = "v6.15, CONFIG_MM_ID, folio_maybe_mapped_shared()"
    about = (
        "Counts the entries of the folio, and of two address spaces how many of them are theirs.",
        "Shared if the SHARED bit is set and there is more than one entry; the bit may stay when a third one is left.",
    )
    state = "as per-page, one counter of all entries, two slots of MM-ID and counter, and the SHARED bit"
    # _nr_pages_mapped, and the bit spinlock; under it _large_mapcount and the slots take plain stores.
    folio_atomics = 2
    laws = frozenset(
        {
            Law.NEVER_FALSE_NO,
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
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, MmSlots] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._slots.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """PTEs are added, to the slot of their mm too."""
        entries = self._entries(event)
        entries.pages.add(event.first, event.nr, 1)
        self._slots_of(event.folio).add(event.mm, event.nr, entries.total)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """PTEs are taken away, from the slot of their mm too."""
        entries = self._entries(event)
        last = entries.pages.add(event.first, event.nr, -1)
        entries.newly_unmapped = 0 if entries.entire else last
        self._slots_of(event.folio).sub(event.mm, event.nr, entries.total)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry is added: one mapping."""
        super().on_pmd_mapped(event)
        self._slots_of(event.folio).add(event.mm, 1, self._large[event.folio].total)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry is taken away: one mapping."""
        super().on_pmd_unmapped(event)
        self._slots_of(event.folio).sub(event.mm, 1, self._large[event.folio].total)

    def _slots_of(self, folio: int) -> MmSlots:
        slots = self._slots.get(folio)
        if slots is None:
            slots = self._slots[folio] = MmSlots()
        return slots

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_maybe_mapped_shared()``: the same whoever asks."""
        return maybe_mapped_shared(self.mapcount(folio), self._slots.get(folio))

    def slots(self, folio: int) -> tuple[Slot, Slot, bool]:
        """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
        return slots_of(self._slots.get(folio))

    def why(self, folio: int) -> list[Part]:
        """The slots, what is in neither, and the SHARED bit."""
        slots = self._slots.get(folio)
        return super().why(folio) if slots is None else slots.parts(self.mapcount(folio))

    def bytes_of_state(self, order: int) -> int:
        """As likely, ``_nr_pages_mapped`` included, and 16 bytes for both slots."""
        return (4 << order) + (28 if order else 0)

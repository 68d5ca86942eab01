"""mm-id: two owners remembered in each large folio (v6.15)."""

from __future__ import annotations

from typing import Any

from folioshell.events import Rmap
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
    laws = EntryScheme.laws - {Law.FORGETS_HISTORY}

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, MmSlots] = {}

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        super().forget_large(folio)
        self._slots.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """Count entries, and those of the mm in its slot: a PMD entry is one mapping."""
        super().count_large(event)
        slots = self._slots.get(event.folio)
        if slots is None:
            slots = self._slots[event.folio] = MmSlots()
        total = self._large[event.folio].total
        if event.sign > 0:
            slots.add(event.mm, event.entries, total)
        else:
            slots.sub(event.mm, event.entries, total)

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_maybe_mapped_shared()``: the same for every asker."""
        return maybe_mapped_shared(self.mapcount(folio), self._slots.get(folio))

    def slots(self, folio: int) -> tuple[Slot, Slot, bool]:
        """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
        return slots_of(self._slots.get(folio))

    def kernel_fields(self, folio: int) -> dict[str, Any]:
        """As likely, the slots, and the SHARED bit."""
        first, second, shared = self.slots(folio)
        owners = {"mm_ids": [list(first), list(second)], "maybe_shared": int(shared)}
        return {**super().kernel_fields(folio), "large": self.mapcount(folio), **owners}

    def why(self, folio: int) -> list[Part]:
        """The slots, what is in neither, and the SHARED bit."""
        slots = self._slots.get(folio)
        return super().why(folio) if slots is None else slots.parts(self.mapcount(folio))

    def bytes_of_state(self, order: int) -> int:
        """As likely, ``_nr_pages_mapped`` included, and 16 bytes for both slots."""
        return (4 << order) + (28 if order else 0)

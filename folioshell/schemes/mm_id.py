"""mm-id, mm-id-v1, rfc-2026-a: two owners remembered in each large folio (v6.15), before and after."""

from __future__ import annotations

from typing import Any, ClassVar

from folioshell.events import Rmap
from folioshell.schemes.base import Answer, Law, Part, Sharing
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.mm_slots import FixedMmSlots, MmSlots, Slot, maybe_mapped_shared, slots_of


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
    #: how the slots are filled and freed
    slots_kind: ClassVar[type[MmSlots]] = MmSlots

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, MmSlots] = {}

    def share_record(self, leader: EntryScheme) -> None:
        """Read what another scheme counts, its slots too."""
        super().share_record(leader)
        assert isinstance(leader, MmId)
        self._slots = leader.owners

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        super().forget_large(folio)
        self._slots.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """Count entries, and those of the mm in its slot: a PMD entry is one mapping."""
        super().count_large(event)
        slots = self._slots.get(event.folio)
        if slots is None:
            slots = self._slots[event.folio] = self.slots_kind()
        total = self._large[event.folio].total
        if event.sign > 0:
            slots.add(event.mm, event.entries, total)
        else:
            slots.sub(event.mm, event.entries, total)

    @property
    def owners(self) -> dict[int, MmSlots]:
        """Large folio -> its slots, from its first entry until it is freed."""
        return self._slots

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


class MmIdV1(MmId):
    """MM owner tracking as first posted: an mm gets a slot only while one mm has all entries.

    So a slot counts all entries of its mm, and one that an mm leaves stays taken until the other has them all.
    """

    name = "mm-id-v1"
    place = 58
    version = "the RFC of 29 August 2024"
    about = (
        "Counts the entries of the folio, and of two address spaces how many of them are theirs.",
        "Shared unless one of the two has all entries: a third one that is left alone looks shared.",
    )
    state = "as mm-id, with MM-IDs of 20 bits"
    slots_kind = FixedMmSlots

    def count_large(self, event: Rmap) -> None:
        """As mm-id, with slots of its own."""
        super().count_large(event)


class RfcWithoutPagesMapped(MmId):
    """The first step of the RFC of April 2026: mapcounts of pages stay, the number of pages mapped is gone.

    So statistics count whole folios, and whether a folio is partially mapped is guessed from the number of entries.
    """

    name = "rfc-2026-a"
    place = 76
    version = "the RFC of 12 April 2026, after patch 1"
    about = (
        "Counts the entries of the folio, and those of each page, but not how many pages are mapped.",
        "Shared as mm-id says, from the SHARED bit of two owners.",
    )
    state = "as mm-id, without the number of pages mapped"
    # The bit spinlock; under it all counters of the folio but _entire_mapcount take plain stores.
    folio_atomics = 1
    laws = MmId.laws - {Law.TELLS_PARTIAL}

    def partially_mapped(self, folio: int) -> Answer:
        """Yes if there are fewer PTEs than pages and no PMD entry; a "no" may be wrong."""
        entries = self._large.get(folio)
        return Answer.of(entries is not None and not entries.entire and 0 < entries.total < entries.pages.nr_pages)

    def bytes_of_state(self, order: int) -> int:
        """As mm-id, without ``_nr_pages_mapped``."""
        return super().bytes_of_state(order) - (4 if order else 0)

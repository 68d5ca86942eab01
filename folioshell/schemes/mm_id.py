"""mm-id: two owners remembered in each large folio (v6.15), and the bookkeeping that the kernel's paths ask."""

from __future__ import annotations

from folioshell import facts
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.entries import EntryScheme

Slot = tuple[int, int]


class MmSlots:
    """The two slots of a large folio and its SHARED bit.

    Attributes:
        ids: MM-ID in each slot, 0 if it is free.
        counts: entries of that mm that were counted in the slot; may be fewer than it has.
        shared: the SHARED bit.
    """

    __slots__ = ("counts", "ids", "shared")

    def __init__(self) -> None:
        self.ids = [0, 0]
        self.counts = [0, 0]
        self.shared = False

    def add(self, mm: int, nr: int, total: int) -> None:
        """``nr`` entries of ``mm`` were added; ``total`` are all entries of the folio now.

        Kernel: include/linux/rmap.h: folio_add_return_large_mapcount() (v6.18)
        """
        ids = self.ids
        if ids[0] == mm:
            self.counts[0] += nr
        elif ids[1] == mm:
            self.counts[1] += nr
        elif not ids[0]:
            ids[0], self.counts[0] = mm, nr
            # Others that have no slot, or this mm before it had one, may have mapped the folio already.
            if total != nr:
                self.shared = True
        elif not ids[1]:
            ids[1], self.counts[1] = mm, nr
            self.shared = True

    def sub(self, mm: int, nr: int, total: int) -> None:
        """``nr`` entries of ``mm`` went; ``total`` are all entries of the folio now.

        Kernel: include/linux/rmap.h: folio_sub_return_large_mapcount() (v6.18)
        """
        counts = self.counts
        if mm in self.ids:
            slot = self.ids.index(mm)
            counts[slot] -= nr
            if counts[slot] > 0:
                return
            # Below 0 if some of the entries were mapped while the mm had no slot.
            self.ids[slot] = counts[slot] = 0
        if total in counts:
            self.shared = False


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
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, MmSlots] = {}
        self._newly_unmapped: dict[int, int] = {}

    def on_folio_freed(self, fact: facts.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(fact)
        self._slots.pop(fact.folio, None)
        self._newly_unmapped.pop(fact.folio, None)

    def on_mapped(self, fact: facts.Mapped) -> None:
        """PTEs are added, to the slot of their mm too."""
        entries = self._entries(fact)
        entries.pages.add(fact.first, fact.nr, 1)
        self._slots_of(fact.folio).add(fact.mm, fact.nr, entries.total)

    def on_unmapped(self, fact: facts.Unmapped) -> None:
        """PTEs are taken away, from the slot of their mm too."""
        entries = self._entries(fact)
        last = entries.pages.add(fact.first, fact.nr, -1)
        self._newly_unmapped[fact.folio] = 0 if entries.entire else last
        self._slots_of(fact.folio).sub(fact.mm, fact.nr, entries.total)

    def on_pmd_mapped(self, fact: facts.PmdMapped) -> None:
        """A PMD entry is added: one mapping."""
        super().on_pmd_mapped(fact)
        self._slots_of(fact.folio).add(fact.mm, 1, self._large[fact.folio].total)

    def on_pmd_unmapped(self, fact: facts.PmdUnmapped) -> None:
        """A PMD entry is taken away: one mapping."""
        super().on_pmd_unmapped(fact)
        entries = self._large[fact.folio]
        self._newly_unmapped[fact.folio] = 0 if entries.entire else entries.pages.nr_pages - entries.pages.mapped
        self._slots_of(fact.folio).sub(fact.mm, 1, entries.total)

    def _slots_of(self, folio: int) -> MmSlots:
        slots = self._slots.get(folio)
        if slots is None:
            slots = self._slots[folio] = MmSlots()
        return slots

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_maybe_mapped_shared()``: the same whoever asks."""
        slots = self._slots.get(folio)
        # One entry decides before the bit, which may have stayed.
        return Sharing.YES if self.mapcount(folio) > 1 and (slots is None or slots.shared) else Sharing.NO

    def slots(self, folio: int) -> tuple[Slot, Slot, bool]:
        """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
        slots = self._slots.get(folio)
        if slots is None:
            return (0, 0), (0, 0), False
        return (slots.ids[0], slots.counts[0]), (slots.ids[1], slots.counts[1]), slots.shared

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
        return self._newly_unmapped.get(folio, 0)

    def why(self, folio: int) -> list[Part]:
        """The slots, what is in neither, and the SHARED bit."""
        slots = self._slots.get(folio)
        if slots is None:
            return super().why(folio)
        parts = [
            Part(f"slot {slot}", count, mm=mm)
            for slot, (mm, count) in enumerate(zip(slots.ids, slots.counts, strict=True))
            if mm
        ]
        if rest := self.mapcount(folio) - sum(slots.counts):
            parts.append(Part("in no slot", rest))
        return [*parts, Part(f"SHARED {'set' if slots.shared else 'clear'}", 0)]

    def bytes_of_state(self, order: int) -> int:
        """As likely, ``_nr_pages_mapped`` included, and 16 bytes for both slots."""
        return (4 << order) + (28 if order else 0)

"""The two owners that a large folio remembers, and what they say of sharing (v6.15)."""

from __future__ import annotations

from folioshell.schemes.base import Part, Sharing

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

    def parts(self, total: int) -> list[Part]:
        """``total`` entries of the folio taken apart: the slots, what is in neither, and the SHARED bit."""
        parts = [
            Part(f"slot {slot}", count, mm=mm)
            for slot, (mm, count) in enumerate(zip(self.ids, self.counts, strict=True))
            if mm
        ]
        if rest := total - sum(self.counts):
            parts.append(Part("in no slot", rest))
        return [*parts, Part(f"SHARED {'set' if self.shared else 'clear'}", 0)]


def maybe_mapped_shared(total: int, slots: MmSlots | None) -> Sharing:
    """The answer from ``total`` entries and the slots; an order-0 folio has none.

    Kernel: include/linux/mm.h: folio_maybe_mapped_shared() (v6.18)
    """
    # One entry decides before the bit, which may have stayed.
    return Sharing.YES if total > 1 and (slots is None or slots.shared) else Sharing.NO


def slots_of(slots: MmSlots | None) -> tuple[Slot, Slot, bool]:
    """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
    if slots is None:
        return (0, 0), (0, 0), False
    return (slots.ids[0], slots.counts[0]), (slots.ids[1], slots.counts[1]), slots.shared

"""rmap-id: a checksum of who maps the folio (RFC of November 2023)."""

from __future__ import annotations

from functools import lru_cache

from folioshell.events import Rmap
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.cost import Cost, Layout
from folioshell.schemes.order0 import ENTRY_LAWS, TallyScheme

#: (highest order, number of 64-bit values of the checksum up to it)
VALUES = ((2, 1), (5, 2), (9, 3), (10, 4), (12, 5), (15, 6))


@lru_cache(maxsize=4096)
def sub_id(rmap_id: int, order: int) -> int:
    """What one mapping by the address space adds to the checksum of a folio: its bits as digits to base P + 1.

    Up to P mappings carry no digit into the next, so that a sum shows the bits of its addends. The kernel keeps it in
    pieces of 64 bits; here it is one number.
    """
    base = (1 << order) + 1
    return sum(base**bit for bit in range(rmap_id.bit_length()) if rmap_id >> bit & 1)


def values(order: int) -> int:
    """64-bit values that the checksum of a folio takes."""
    return next((number for highest, number in VALUES if order <= highest), VALUES[-1][1])


class RmapId(TallyScheme):
    """Total mapcount and rmap values of a large folio; order 0 has a mapcount only.

    Attributes:
        _large: large folio -> [order, mappings, sum of the sub-IDs of all of them].
    """

    name = "rmap-id"
    place = 46
    version = "the RFC of 24 November 2023 on precise exclusive mappings; never merged"
    about = (
        "Counts the entries of the folio, and sums a value for each that depends on the address space.",
        "Exclusive if the sum is that of the asker alone: exact unless there are more entries than pages.",
    )
    state = "one counter of all entries, one to six 64-bit values by order, and a sequence counter"
    laws = ENTRY_LAWS | {Law.EXACT_WITHIN_PAGES, Law.FORGETS_HISTORY}

    def count_large(self, event: Rmap) -> None:
        """One value for each entry, added or subtracted."""
        counts = self._large.get(event.folio)
        if counts is None:
            counts = self._large[event.folio] = [event.order, 0, 0]
        counts[1] += event.change
        counts[2] += event.change * sub_id(event.mm, event.order)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Mappings of the folio: its entries."""
        counts = self._large.get(folio)
        return super().mapcount(folio) if counts is None else counts[1]

    def checksum(self, folio: int) -> int:
        """The rmap values of a large folio as one number; 0 for order 0."""
        return self._large.get(folio, (0, 0, 0))[2]

    def shared(self, folio: int, mm: int) -> Sharing:
        """More mappings than pages, or a sum that is not the asker's alone; for order 0, more than one entry."""
        counts = self._large.get(folio)
        if counts is None:
            return Sharing.YES if super().mapcount(folio) > 1 else Sharing.NO
        order, mapcount, checksum = counts
        if mapcount > 1 << order:
            return Sharing.YES
        return Sharing.NO if checksum == mapcount * sub_id(mm, order) else Sharing.YES

    def why(self, folio: int) -> list[Part]:
        """The mappings in one row, and the sum."""
        counts = self._large.get(folio)
        if counts is None:
            return super().why(folio)
        return [Part("mappings", counts[1]), Part(f"rmap value {counts[2]}", 0)]

    def bytes_of_state(self, order: int) -> int:
        """A mapcount; of a large folio the rmap values and a sequence counter as well."""
        return 8 + 8 * values(order) if order else 4

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """The mapcount, the values, and the sequence counter before and after them."""
        return Cost(atomics=0 if event.new else 3 + values(event.order), lines=1)

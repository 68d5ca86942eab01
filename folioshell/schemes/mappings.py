"""Mappings of large folios without any counter a page: how many, how many by PMD entries, and two owners."""

from __future__ import annotations

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.cost import EntryFact
from folioshell.schemes.mm_slots import MmSlots, Slot, maybe_mapped_shared, slots_of
from folioshell.schemes.order0 import Order0Scheme

#: what holds for every scheme that answers from the slots
OWNER_LAWS = frozenset(
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
    }
)


class Mappings:
    """The mappings of one large folio.

    Attributes:
        order: of the folio.
        total: PTEs and PMD entries that map it: ``_large_mapcount``.
        entire: the PMD entries among them.
        slots: its owners.
    """

    __slots__ = ("entire", "order", "slots", "total")

    def __init__(self, order: int) -> None:
        self.order = order
        self.total = 0
        self.entire = 0
        self.slots = MmSlots()

    @property
    def nr_pages(self) -> int:
        """Pages in the folio."""
        return 1 << self.order

    @property
    def pages(self) -> int:
        """Sum over all entries of the pages that each maps: ``_total_mapped_pages``."""
        return self.total - self.entire + (self.entire << self.order)

    def add(self, event: EntryFact, nr: int, pmds: int) -> None:
        """``nr`` entries came, or went if it is negative; ``pmds`` of them are PMD entries.

        Raises:
            KernelBug: more went than there were.
        """
        self.total += nr
        self.entire += pmds
        if self.total < self.entire or self.entire < 0:
            self.total -= nr
            self.entire -= pmds
            raise KernelBug(
                f"f{event.folio} has {self.total} entries, {self.entire} of them PMD entries; {event.call}", [event]
            )
        if nr > 0:
            self.slots.add(event.mm, nr, self.total)
        else:
            self.slots.sub(event.mm, -nr, self.total)


class MappingScheme(Order0Scheme, register=False):
    """A scheme that counts mappings and owners of large folios, and nothing for a page.

    Attributes:
        _large: large folio -> its mappings; from its first one until it is freed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, Mappings] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._large.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """PTEs came."""
        self._mappings(event).add(event, event.nr, 0)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """PTEs went."""
        self._mappings(event).add(event, -event.nr, 0)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry came: one mapping."""
        self._mappings(event).add(event, 1, 1)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry went: one mapping."""
        self._mappings(event).add(event, -1, -1)

    def _mappings(self, event: EntryFact) -> Mappings:
        mappings = self._large.get(event.folio)
        if mappings is None:
            mappings = self._large[event.folio] = Mappings(event.order)
        return mappings

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Mappings of the folio; of a page, what ``page_mapcount`` makes of them."""
        mappings = self._large.get(folio)
        if mappings is None:
            return super().mapcount(folio)
        if page is None:
            return mappings.total
        number = self.page_mapcount(folio, page)
        return mappings.total if number is None else number

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_maybe_mapped_shared()``: the same whoever asks."""
        mappings = self._large.get(folio)
        return maybe_mapped_shared(self.mapcount(folio), None if mappings is None else mappings.slots)

    def slots(self, folio: int) -> tuple[Slot, Slot, bool]:
        """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
        mappings = self._large.get(folio)
        return slots_of(None if mappings is None else mappings.slots)

    def why(self, folio: int) -> list[Part]:
        """The slots, what is in neither, and the SHARED bit."""
        mappings = self._large.get(folio)
        return super().why(folio) if mappings is None else mappings.slots.parts(mappings.total)

"""Two owners in every large folio (v6.15): the slots, and schemes that count mappings and owners but no pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from folioshell.errors import KernelBug
from folioshell.events import Level, Rmap
from folioshell.schemes.base import Part, Scheme, Sharing
from folioshell.schemes.order0 import ENTRY_LAWS, Order0Scheme

Slot = tuple[int, int]


class MmSlots:
    """The two slots of a large folio and its SHARED bit.

    Attributes:
        ids: MM-ID in each slot, 0 if it is free.
        counts: entries of that mm that were counted in the slot; perhaps not all of its entries.
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
            # Mms without a slot, or this mm before it had one, may have mapped the folio already.
            if total != nr:
                self.shared = True
        elif not ids[1]:
            ids[1], self.counts[1] = mm, nr
            self.shared = True

    def sub(self, mm: int, nr: int, total: int) -> None:
        """``nr`` entries of ``mm`` were removed; ``total`` are all entries of the folio now.

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


class FixedMmSlots(MmSlots):
    """The slots as first posted (August 2024): they change hands only while one mm has all entries."""

    __slots__ = ()

    def add(self, mm: int, nr: int, total: int) -> None:
        """As in MmSlots; an mm that comes while the folio is shared gets no slot."""
        if mm not in self.ids:
            if self.shared:
                return
            # The other slot is free: without sharing, one has all entries.
            self.ids[self.ids.index(0)] = mm
        self.counts[self.ids.index(mm)] += nr
        self._settle(total)

    def sub(self, mm: int, nr: int, total: int) -> None:
        """As in MmSlots; an mm that leaves while the folio is shared keeps its slot."""
        if mm in self.ids:
            self.counts[self.ids.index(mm)] -= nr
        self._settle(total)

    def _settle(self, total: int) -> None:
        self.shared = total not in self.counts
        if not self.shared:
            self.ids = [mm if count else 0 for mm, count in zip(self.ids, self.counts, strict=True)]


def maybe_mapped_shared(total: int, slots: MmSlots | None) -> Sharing:
    """The answer from ``total`` entries and the slots; an order-0 folio has none.

    Kernel: include/linux/mm.h: folio_maybe_mapped_shared() (v6.18)
    """
    # One entry decides before the bit, which may still be set.
    return Sharing.YES if total > 1 and (slots is None or slots.shared) else Sharing.NO


def slots_of(slots: MmSlots | None) -> tuple[Slot, Slot, bool]:
    """Both slots as (MM-ID, counted entries), (0, 0) if free, and the SHARED bit; all free for order 0."""
    if slots is None:
        return (0, 0), (0, 0), False
    return (slots.ids[0], slots.counts[0]), (slots.ids[1], slots.counts[1]), slots.shared


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

    def count(self, event: Rmap) -> None:
        """Entries were added or removed.

        Raises:
            KernelBug: more were removed than there were.
        """
        total = self.total + event.change
        entire = self.entire + (event.sign if event.level is Level.PMD else 0)
        if not 0 <= entire <= total:
            raise KernelBug(
                f"f{event.folio} has {self.total} entries, {self.entire} of them PMD entries; {event.call}", [event]
            )
        self.total, self.entire = total, entire
        if event.sign > 0:
            self.slots.add(event.mm, event.entries, total)
        else:
            self.slots.sub(event.mm, event.entries, total)


class MappingScheme(Order0Scheme, register=False):
    """A scheme that counts mappings and owners of large folios, and nothing for a page.

    Attributes:
        _large: large folio -> its mappings; from its first one until it is freed.
    """

    laws = ENTRY_LAWS

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, Mappings] = {}

    def share_record(self, writer: MappingScheme) -> None:
        """Read what another scheme counts."""
        self._large = writer._large

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        self._large.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """Count mappings and owners: a PMD entry is one mapping."""
        mappings = self._large.get(event.folio)
        if mappings is None:
            mappings = self._large[event.folio] = Mappings(event.order)
        mappings.count(event)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Mappings of the folio; for a page, ``page_mapcount``."""
        mappings = self._large.get(folio)
        if mappings is None:
            return super().mapcount(folio)
        if page is None:
            return mappings.total
        number = self.page_mapcount(folio, page)
        return mappings.total if number is None else number

    def shared(self, folio: int, mm: int) -> Sharing:
        """``folio_maybe_mapped_shared()``: the same for every asker."""
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


def share_mappings(schemes: Iterable[Scheme]) -> Iterator[Scheme]:
    """Let all schemes that count mappings and owners alike read the record of the first one.

    Yields: the others: they need no events about large folios any more.
    """
    writer: MappingScheme | None = None
    for scheme in schemes:
        if isinstance(scheme, MappingScheme) and type(scheme).count_large is MappingScheme.count_large:
            if writer is None:
                writer = scheme
            else:
                scheme.share_record(writer)
                yield scheme

"""Physical memory: which folio a pfn belongs to, and the next free pfn; and the slots of the swap device.

Deterministic; neither a pfn nor a slot is ever used again.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from folioshell.model.folio import SECTION, Folio, FolioLooks, looks_of
from folioshell.model.folios import FolioRun, Folios

_SECTION_BITS = SECTION.bit_length() - 1


class PhysicalMemory:
    """The memmap in sections of 512 pages: a list of folios a section, or one folio that covers whole sections.

    Attributes:
        folios: the same folios by number.
    """

    def __init__(self) -> None:
        self.folios = Folios(self)
        self._sections: dict[int, list[Folio | FolioRun | None] | Folio] = {}
        # Section 0 holds the zero pages.
        self._next_section = 1
        self._small_pfn = 0
        self._small_end = 0

    def allocate_page(self) -> int:
        """The next free page."""
        pfn = self._small_pfn
        if pfn == self._small_end:
            return self.allocate_pfn(0)
        self._small_pfn = pfn + 1
        return pfn

    @property
    def free_in_a_row(self) -> int:
        """How many pages ``allocate_pages`` can give at once."""
        return self._small_end - self._small_pfn or SECTION

    def allocate_pages(self, nr: int) -> int:
        """The first of ``nr`` free pages in a row; there are ``free_in_a_row``."""
        pfn = self.allocate_page()
        self._small_pfn = pfn + nr
        return pfn

    def allocate_pfn(self, order: int) -> int:
        """The first pfn of a free naturally aligned block of ``1 << order`` pages."""
        nr = 1 << order
        if order >= _SECTION_BITS:
            sections = nr >> _SECTION_BITS
            first = -(-self._next_section // sections) * sections
            self._next_section = first + sections
            return first << _SECTION_BITS
        pfn = -(-self._small_pfn // nr) * nr
        if pfn + nr > self._small_end:
            pfn = self._next_section << _SECTION_BITS
            self._next_section += 1
            self._small_end = pfn + SECTION
        self._small_pfn = pfn + nr
        return pfn

    def place(self, folio: Folio) -> None:
        """Assign the pages from ``folio.pfn`` on to the folio."""
        pfn, order = folio.pfn, folio.order
        pages = self._sections.get(pfn >> _SECTION_BITS)
        if not order and pages.__class__ is list:
            pages[pfn & (SECTION - 1)] = folio
            return
        section = pfn >> _SECTION_BITS
        if order >= _SECTION_BITS:
            for number in range(section, section + (folio.nr_pages >> _SECTION_BITS)):
                self._sections[number] = folio
            return
        self._assign(pfn, folio.nr_pages, folio)

    def remove(self, folio: Folio) -> None:
        """The pages of the folio belong to no folio any more."""
        section = folio.pfn >> _SECTION_BITS
        if folio.order >= _SECTION_BITS:
            for number in range(section, section + (folio.nr_pages >> _SECTION_BITS)):
                del self._sections[number]
            return
        self._assign(folio.pfn, folio.nr_pages, None)

    def place_run(self, run: FolioRun) -> None:
        """Assign the pages from ``run.first.pfn`` on, all in one section, to the folios of a run."""
        self._assign(run.first.pfn, run.nr, run)
        self.folios.add_run(run)

    def append(self, run: FolioRun, later: Folio | FolioRun) -> None:
        """Append to a run the folios of the pages after it, which are alike."""
        self._assign(later.first.pfn, later.nr, run)
        self.folios.assign(later.first.id, [run] * later.nr)
        run.append(later)

    def remove_run(self, run: FolioRun) -> None:
        """The folios of a run are freed; their pages belong to no folio any more."""
        self._assign(run.first.pfn, run.nr, None)
        self.folios.remove(run)

    def _assign(self, pfn: int, nr: int, owner: Folio | FolioRun | None) -> None:
        """Assign ``nr`` pages from ``pfn`` on, all in one section of small folios."""
        offset = pfn & (SECTION - 1)
        self._pages(pfn)[offset : offset + nr] = [owner] * nr

    def _pages(self, pfn: int) -> list[Folio | FolioRun | None]:
        """The pages of a section of small folios, which a large one may have filled until now."""
        pages = self._sections.get(pfn >> _SECTION_BITS)
        if not isinstance(pages, list):
            pages = self._sections[pfn >> _SECTION_BITS] = [None] * SECTION
        return pages

    def at(self, pfn: int) -> Folio | FolioRun:
        """What page ``pfn`` belongs to: a folio, or a run of them.

        Raises:
            KeyError: it belongs to none.
        """
        pages = self._sections[pfn >> _SECTION_BITS]
        if pages.__class__ is list:
            found = pages[pfn & (SECTION - 1)]
            if found is None:
                raise KeyError(pfn)
            return found
        return pages  # type: ignore[return-value]

    def pages_that_differ(self, other: PhysicalMemory) -> set[int]:
        """The pages that belong to folios of other numbers or orders, or are other pages of them."""
        differ: set[int] = set()
        for section in {*self._sections, *other._sections}:
            old, new = self._owners(section), other._owners(section)
            if old != new:
                first = section << _SECTION_BITS
                differ.update(first + at for at in range(SECTION) if old[at] != new[at])
        return differ

    def _owners(self, section: int) -> list[tuple[int, int] | None]:
        """The folio of each page of a section: (number less pfn of it or of the first of its run, order)."""
        pages = self._sections.get(section)
        if not isinstance(pages, list):
            return [None if pages is None else (pages.id - pages.pfn, pages.order)] * SECTION
        return [None if one is None else (one.first.id - one.first.pfn, one.first.order) for one in pages]

    def folio(self, pfn: int) -> Folio:
        """The folio that page ``pfn`` belongs to, read-only.

        Raises:
            KeyError: it belongs to none.
        """
        found = self.at(pfn)
        return found.view(pfn - found.first.pfn) if isinstance(found, FolioRun) else found

    def alike(self, pfn: int, end: int) -> tuple[FolioLooks, int]:
        """What the order-0 folio of page ``pfn`` looks like, and up to which page, ``end`` at most, the next ones do.

        They have consecutive numbers, and are of one run, or of none and in one section.
        """
        owner = self.at(pfn)
        if isinstance(owner, FolioRun):
            place = pfn - owner.first.pfn
            return owner.folio(place).looks, min(pfn + owner.nr_alike(place), end)
        looks, number, pages = looks_of(owner), owner.id - pfn, self._pages(pfn)
        end = min(end, (pfn | SECTION - 1) + 1)
        while pfn < end:
            found = pages[pfn & (SECTION - 1)]
            if not isinstance(found, Folio) or found.id - pfn != number or looks_of(found) != looks:
                break
            pfn += 1
        return FolioLooks._make(looks), pfn

    def single_out(self, pfn: int) -> Folio:
        """The folio that page ``pfn`` belongs to, to be changed: it leaves its run.

        Raises:
            KeyError: it belongs to none.
        """
        found = self.at(pfn)
        return self._apart(found, pfn) if isinstance(found, FolioRun) else found

    def single_out_all(self, pfn: int, nr: int) -> list[Folio]:
        """The folios of ``nr`` pages in a row, to be changed one by one: that of page ``pfn``, or those of its run.

        Args:
            nr: pages in a row that belong to one folio or run.
        """
        found = self.part(pfn, nr) if nr > 1 else self.single_out(pfn)
        if not isinstance(found, FolioRun):
            return [found]
        folios = [found.folio(place) for place in range(found.nr)]
        self.folios.divide(found, folios)
        offset = pfn & (SECTION - 1)
        self._pages(pfn)[offset : offset + nr] = folios
        return folios

    def span(self, pfn: int, nr: int) -> Folio | FolioSpan:
        """The folio of page ``pfn``; if it is in a run, the folios of ``nr`` pages from there, which stay in it.

        Args:
            nr: pages in a row that belong to that run.
        """
        found = self.at(pfn)
        return FolioSpan(self, pfn, nr) if isinstance(found, FolioRun) else found

    def owners(self, pfn: int, nr: int) -> Iterator[tuple[Folio | FolioRun, int, int]]:
        """(folio or run, place in it, pages) of all that ``nr`` pages in a row belong to; it may be split meanwhile."""
        end = pfn + nr
        while pfn < end:
            owner = self.at(pfn)
            place = pfn - owner.first.pfn
            length = min(owner.nr - place, end - pfn)
            yield owner, place, length
            pfn += length

    def part(self, pfn: int, nr: int) -> Folio | FolioRun:
        """The folio of page ``pfn``; if it is in a run, the folios of ``nr`` pages from there as a run of their own.

        Args:
            nr: pages in a row that belong to that run.
        """
        found = self.at(pfn)
        return self._part(found, pfn, nr) if isinstance(found, FolioRun) else found

    def _part(self, run: FolioRun, pfn: int, nr: int) -> FolioRun:
        if run.first.pfn < pfn:
            run = self._split(run, pfn - run.first.pfn)
        if nr < run.nr:
            self._split(run, nr)
        return run

    def _apart(self, run: FolioRun, pfn: int) -> Folio:
        """Take the folio of one page out of its run."""
        if run.first.pfn < pfn:
            run = self._split(run, pfn - run.first.pfn)
        folio = run.folio(0)
        self.folios.take_first(run)
        self.folios.add(folio)
        self._pages(pfn)[pfn & (SECTION - 1)] = folio
        return folio

    def _split(self, run: FolioRun, nr: int) -> FolioRun:
        """Shorten a run to ``nr`` folios; the rest becomes a run of its own, which is returned."""
        rest = run.split(nr)
        self.place_run(rest)
        return rest


class SwapSlots:
    """The slots of the swap device, in clusters: what refers to each, and what it holds.

    Args:
        size: slots of a cluster.

    Attributes:
        counts: slot -> entries of page tables and of page caches that refer to it, the swap cache not counted.
        cache: slot -> the page that the swap cache has for it; 0 for none.
        nonzero: slot -> is the page that was written not all zero? 0 if nothing refers to it.
    Kernel: include/linux/swap.h: struct swap_info_struct (v6.18)
    """

    __slots__ = ("_next", "_size", "cache", "counts", "nonzero")

    def __init__(self, size: int) -> None:
        self._size = size
        self.counts, self.cache, self.nonzero = array("I"), array("q"), array("B")
        #: order of folios -> the next slot of the cluster that they are written to; a multiple of its size: it is full
        self._next: dict[int, int] = {}

    def allocate(self, order: int, times: int = 1) -> int:
        """The first of ``1 << order`` free slots in a row, aligned. Each order takes them from a cluster of its own.

        Args:
            times: so many folios of order 0 get slots in a row, at most ``free_in_a_row``.
        Kernel: mm/swapfile.c: cluster_alloc_swap_entry() (v6.18)
        """
        nr, size = 1 << order, self._size
        at = self._next.get(order, 0)
        # The device's first slot holds its header.
        while at % size == 0:
            at = len(self.counts)
            for slots in (self.counts, self.cache, self.nonzero):
                slots.frombytes(bytes(size * slots.itemsize))
            if at:
                break
            at = nr
        self._next[order] = at + nr * times
        return at

    @property
    def free_in_a_row(self) -> int:
        """How many folios of order 0 get slots in a row next."""
        used = self._next.get(0, 0) % self._size
        # The device's first slot holds its header.
        return self._size - (used if used or self.counts else 1)

    def alike(self, slot: int, nr: int) -> int:
        """Number of slots from one on, at most ``nr``, with equal counts and contents, all in the cache or none."""
        counts, nonzero, cached = self.counts[slot], self.nonzero[slot], bool(self.cache[slot])
        for one in range(slot + 1, slot + nr):
            if (self.counts[one], self.nonzero[one], bool(self.cache[one])) != (counts, nonzero, cached):
                return one - slot
        return nr

    def refer(self, slot: int, change: int, nr: int = 1) -> None:
        """Count more entries, or fewer, that refer to each of ``nr`` slots in a row."""
        for one in range(slot, slot + nr):
            self.counts[one] += change
            if not self.counts[one]:
                self.nonzero[one] = 0

    def write(self, slot: int, nr: int, is_nonzero: bool) -> None:
        """Note what was written to ``nr`` slots in a row."""
        for one in range(slot, slot + nr):
            self.nonzero[one] = is_nonzero

    def contents(self, slot: int, nr: int) -> int:
        """Bit i: the page that was written to the i-th of ``nr`` slots in a row is not all zero."""
        return sum(self.nonzero[slot + page] << page for page in range(nr))

    def add_to_cache(self, folios: Folio | FolioRun, slot: int) -> None:
        """Put a folio, or each folio of a run, into the swap cache, from a slot on; it has a reference a page."""
        folio = folios.first
        for page in range(folios.nr << folio.order):
            self.cache[slot + page] = folio.pfn + page
        folio.swap_slot = slot
        folio.cached = True
        folios.add_refs(folio.nr_pages)

    def remove_from_cache(self, folios: Folio | FolioRun) -> None:
        """Take a folio, or each folio of a run, out of the swap cache. The references are the caller's to drop."""
        folio = folios.first
        assert folio.swap_slot is not None
        for page in range(folios.nr << folio.order):
            self.cache[folio.swap_slot + page] = 0
        folio.swap_slot = None
        folio.cached = False


class FolioSpan:
    """Folios of one run that stay in it: to be read, and their references changed. The run may be split meanwhile.

    Args:
        memory: where they are.
        pfn, nr: page of the first, and number of folios.

    Attributes:
        first: a snapshot of the first, as it was at the beginning.
    """

    __slots__ = ("_memory", "first", "nr")

    def __init__(self, memory: PhysicalMemory, pfn: int, nr: int) -> None:
        self._memory = memory
        self.first = memory.folio(pfn)
        self.nr = nr

    @property
    def numbers(self) -> range:
        """Their numbers."""
        return range(self.first.id, self.first.id + self.nr)

    def add_refs(self, change: int) -> None:
        """Add to the references of each."""
        for owner, place, nr in self._memory.owners(self.first.pfn, self.nr):
            owner.add_refs(change, place, nr)

    def unreferenced(self) -> list[tuple[int, int]]:
        """(page, number) of those that have no references."""
        owners = self._memory.owners(self.first.pfn, self.nr)
        return [row for owner, place, nr in owners for row in owner.unreferenced(place, nr)]

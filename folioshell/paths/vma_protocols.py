"""Protocols that count the VMAs of a folio: the answers to the question that the mail leaves open.

The definition "number of VMAs that map a page of the folio" says nothing of how to find out, while mapping or unmapping
a few pages, whether the VMA maps others. Each protocol is one answer. Its number is kept here and may miscount from the
definition, the scheme ``vmas``.

Rules:
- A protocol looks under the lock of its own table, before entries are set and after they were cleared.
- A call that maps or unmaps all pages of the folio needs no look.
- Locks beyond that of its own table are held until the entries are set, and released then.

Origin: M. Wilcox, linux-mm, February 2023: folio_add_file_rmap_range(), folio_mapped_in_vma().
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Sequence
from itertools import pairwise

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm
from folioshell.paths import Path
from folioshell.paths.batch import LOOK, SKIP, MappedSpan, read_unlocked
from folioshell.paths.protocol import Protocol
from folioshell.wording import counted


class VmaProtocol(Protocol):
    """Counts VMAs: a call looks whether its VMA maps other pages of the folio, and counts if it does not.

    Attributes:
        counts: folio number -> its number of VMAs. A change is one atomic operation.
    """

    # Otherwise a walk that unmaps the last other page of the old VMA might be missed.
    moves_under_rmap_locks = True

    def __init__(self) -> None:
        super().__init__()
        self.counts: dict[int, int] = {}

    def add(self, folio: Folio, delta: int) -> None:
        """Change the number of a folio."""
        self.counts[folio.id] = self.counts.get(folio.id, 0) + delta

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """No lock."""
        yield from ()
        return []

    @abstractmethod
    def look(self, span: MappedSpan) -> Path[bool]:
        """Does the VMA map a page of the folio besides the entries of the span, which are none now?"""

    def mapped(self, span: MappedSpan) -> Path[None]:
        """One VMA more if it maps no other page."""
        # The look comes before the entries are set, and what ``before`` locked stays locked until they are. Otherwise
        # two calls for one VMA could both find nothing, and count it twice.
        if span.is_whole or not (yield from self.look(span)):
            self.add(span.folio, 1)

    def unmapped(self, span: MappedSpan) -> Path[None]:
        """One VMA less if it maps no other page."""
        # After the entries are gone. Otherwise, of two calls that unmap the last pages, both could find those of the
        # other, and neither would count.
        if span.is_whole or not (yield from self.look(span)):
            self.add(span.folio, -1)

    def moved(self, old: MappedSpan, new: MappedSpan) -> None:
        """One VMA more if the old one still maps pages; one less if the new one did already."""
        if old.vma is not new.vma:
            before = any(old.found_in(*row) for row in old.tables())
            self.add(old.folio, before - new.found_besides())

    def shared(self, folio: Folio, mm: int) -> bool:
        """More than one VMA."""
        return self.counted(folio) > 1

    def counted(self, folio: Folio) -> int:
        """The number of VMAs."""
        return self.counts.get(folio.id, 0)

    def start(self, folio: Folio, spans: Sequence[MappedSpan]) -> None:
        """The number of the definition: a look would find the spans themselves."""
        self.counts[folio.id] = self.definition.mapcount(folio.id)

    def forget(self, folio: int) -> None:
        """The folio is freed."""
        super().forget(folio)
        self.counts.pop(folio, None)

    def text_of(self, value: int) -> str:
        """``2 VMAs``."""
        return counted(value, "VMA")

    def boundaries(self, k: Kernel, mm: Mm, low: int, high: int, cuts: Sequence[int], sign: int) -> Path[None]:
        """Correct the numbers of the folios around each cut, looking under the lock of each table in turn."""
        folios: dict[tuple[int, int], Folio] = {}
        reach = k.largest_folio - 1
        for block, _, table in mm.tables.blocks_in(max(0, low), high):
            if not isinstance(table, PageTable) or not any(
                abs(cut - block) <= reach + len(table.entries) for cut in cuts
            ):
                continue
            yield table.ptl.acquire("vma_complete")
            for index, entry in enumerate(table.entries):
                if pte.maps_folio(entry) and low <= block + index < high:
                    folio = k.physmem.folio(entry >> pte.PFN_SHIFT)
                    if folio.order:
                        folios[folio.id, block + index - (pte.pfn_of(entry) - folio.pfn)] = folio
            yield table.ptl.release()
        for (number, base), folio in folios.items():
            edges = [max(low, base), *(cut for cut in cuts if base < cut < base + folio.nr_pages), high]
            edges[-1] = min(high, base + folio.nr_pages)
            parts = sum(_maps_any(mm, folio, start, end) for start, end in pairwise(edges))
            if parts > 1:
                self.counts[number] = self.counts.get(number, 0) + sign * (parts - 1)


def walk_table(span: MappedSpan, table: PageTable, first: int, last: int, sync: bool) -> Path[bool]:
    """Look through entries of a table, taking its lock at the first that is not none, or at once if ``sync``.

    Kernel: mm/page_vma_mapped.c: page_vma_mapped_walk() (v6.18)
    """
    start = first
    # Without PVMW_SYNC, map_pte() skips entries that are none without a lock: it may overlook one that is just being
    # set.
    if not sync:
        entries = yield from read_unlocked(table, first, last, SKIP)
        start = next((index for index, entry in enumerate(entries, first) if entry), last)
        if start == last:
            return False
    yield table.ptl.acquire(LOOK, nested=True)
    found = span.found_in(table, start, last)
    yield table.ptl.release()
    return found


class AsMailed(VmaProtocol):
    """The sketch of the mail: a walk over the whole window, own table included."""

    name = "as-mailed"
    about = "walks the whole window without SYNC: takes the lock that it holds as soon as its own table is not empty"
    sync = False

    def look(self, span: MappedSpan) -> Path[bool]:
        """A walk over the window."""
        for table, first, last in span.tables():
            if (yield from walk_table(span, table, first, last, self.sync)):
                return True
        return False


class AsMailedSync(AsMailed):
    """The sketch with PVMW_SYNC."""

    name = "as-mailed-sync"
    about = "walks the whole window with SYNC: takes the lock that it holds, always"
    sync = True


class ExcludeOwn(VmaProtocol):
    """The fix that the mail suggests: skip the current table."""

    name = "exclude-own"
    about = "walks the other tables only, under their locks: a second call in one table counts again"

    def look(self, span: MappedSpan) -> Path[bool]:
        """A walk over the other tables."""
        for table, first, last in span.others():
            if (yield from walk_table(span, table, first, last, sync=False)):
                return True
        return False


class OwnTableFirst(ExcludeOwn):
    """Scans its own table under the lock that it holds; walks others only if that maps no page of the folio."""

    name = "own-table-first"
    about = "scans its own table first, then walks the others under their locks"

    def look(self, span: MappedSpan) -> Path[bool]:
        """Its own table, then the others."""
        if span.found_in_own():
            return True
        return (yield from super().look(span))


class LocklessLook(VmaProtocol):
    """Other tables are read without their lock."""

    name = "lockless-look"
    about = "scans its own table, reads the others without a lock: no deadlock, but two threads may miss each other"

    def look(self, span: MappedSpan) -> Path[bool]:
        """Its own table, then a lockless look at each of the others."""
        if span.found_in_own():
            return True
        for table, first, last in span.others():
            if any(map(span.maps, (yield from read_unlocked(table, first, last)))):
                return True
        return False


class AddressOrder(VmaProtocol):
    """The locks of all tables of the window, in ascending order, until the entries are set.

    A table's number stands for the address of its lock.
    Kernel: mm/userfaultfd.c: double_pt_lock() (v6.18)
    """

    name = "address-order"
    about = "holds the locks of all tables of the window, taken in ascending order; drops its own to take a lower one"

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The locks of the other tables. For a lower one: drop its own, take all in order, re-check."""
        if span.is_whole:
            return []
        wanted = sorted((row[0] for row in span.others()), key=_number)
        own = span.table
        assert isinstance(own, PageTable)
        if not wanted or wanted[0].id > own.id:
            for table in wanted:
                yield table.ptl.acquire(LOOK, nested=True)
            return [table.ptl for table in wanted]
        # Not held for a moment: another thread may map the span's pages, or free the table.
        entries = span.entries()
        yield span.lock.release()
        for nested, table in enumerate(sorted([*wanted, own], key=_number)):
            yield table.ptl.acquire(LOOK, nested=nested > 0)
        locks = [table.ptl for table in wanted]
        if _is_unchanged(span, entries, wanted):
            return locks
        # Own table's lock stays with the caller, who looks again.
        for lock in reversed(locks):
            yield lock.release()
        return None

    def look(self, span: MappedSpan) -> Path[bool]:
        """All tables, whose locks are held."""
        yield from ()
        return any(span.found_in(*row) for row in span.tables())


class TrylockRetry(AddressOrder):
    """As address-order, but a lock that is not free is no reason to wait: everything is dropped and begun again."""

    name = "trylock-retry"
    about = "tries the locks of the other tables; if one is taken, drops all and retries"

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The locks of the other tables, or none of them."""
        if span.is_whole:
            return []
        entries = span.entries()
        while True:
            wanted = [row[0] for row in span.others()]
            taken: list[Lock] = []
            for table in wanted:
                if (yield table.ptl.trylock(LOOK)):
                    break
                taken.append(table.ptl)
            if len(taken) == len(wanted):
                return taken
            # Nothing is held while it waits, so no deadlock; but two threads may do this forever (livelock).
            for lock in reversed(taken):
                yield lock.release()
            yield span.lock.release()
            yield span.lock.acquire(LOOK)
            if not _is_unchanged(span, entries, []):
                return None


class PmdLock(AddressOrder):
    """The lock of the PMD table outside that of its own table: levels are ordered, tables of one level are not.

    A thread that maps or unmaps part of a folio below a PMD table holds its lock, so other tables may be read without
    theirs. A window across two PMD tables needs both, in ascending order: the question comes back one level up, a
    thousand times rarer. The idea of a bit in the upper entry, proposed for HGM, is this with the answer cached.
    """

    name = "pmd-lock"
    about = "drops its own lock, takes that of the PMD table and its own again; others are read without theirs"

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The locks of the PMD tables above the window, unless all of it lies in its own table.

        What is not there yet may be put there meanwhile: under the lock that is taken for a PTE table, under
        page_table_lock, which is taken too then, for a PMD table.
        """
        start, end = span.window()
        if span.is_whole or start // span.size == (end - 1) // span.size:
            return []
        mm = span.vma.mm
        found = (mm.tables.pmd_table(start), mm.tables.pmd_table(end - 1))
        above = {pmd.id: pmd.lock for pmd in found if pmd is not None}
        entries = span.entries()
        yield span.lock.release()
        locks = [above[number] for number in sorted(above)]
        # A PMD table that does not exist has no lock: page_table_lock keeps another thread from installing it.
        if None in found:
            locks.insert(0, mm.page_table_lock)
        for before, lock in zip([None, *locks], locks, strict=False):
            yield lock.acquire(LOOK, nested=before is not None and before.lock_class is lock.lock_class)
        yield span.lock.acquire(LOOK, nested=True)
        if _is_unchanged(span, entries, []):
            return locks
        for lock in reversed(locks):
            yield lock.release()
        return None


class FolioBitLock(VmaProtocol):
    """One bit spinlock a folio inside the page-table lock, held over look and change by all who change its entries."""

    name = "folio-bit-lock"
    about = "a bit lock of the folio inside its own page-table lock; other tables are read without theirs"

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The folio's bit lock, for a call on all of its pages too."""
        # Also for a call on all pages: an unlocked look at the other tables counts on it.
        lock = self.bit_lock(span.folio, "vmas")
        yield lock.acquire(LOOK)
        return [lock]

    def look(self, span: MappedSpan) -> Path[bool]:
        """All tables; no other thread changes an entry of the folio meanwhile."""
        yield from ()
        return any(span.found_in(*row) for row in span.tables())


def _number(table: PageTable) -> int:
    return table.id


def _is_unchanged(span: MappedSpan, entries: array[int], others: list[PageTable]) -> bool:
    """Are the span's entries what they were, and its tables still those of the window?"""
    if span.vma.mm.tables.leaf(span.vpn) is not span.table or span.entries() != entries:
        return False
    return not others or sorted(map(_number, (row[0] for row in span.others()))) == sorted(map(_number, others))


def _maps_any(mm: Mm, folio: Folio, start: int, end: int) -> bool:
    low, high = folio.pfn << pte.PFN_SHIFT, folio.pfn + folio.nr_pages << pte.PFN_SHIFT
    return any(low <= mm.tables.entry(vpn) < high for vpn in range(start, end))


#: name -> protocol, from the one that was mailed to those that work
PROTOCOLS: dict[str, type[Protocol]] = dict(Protocol.registry)

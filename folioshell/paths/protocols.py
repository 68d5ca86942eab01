"""The protocols themselves, from the one that was mailed to those that work."""

from __future__ import annotations

from array import array

from folioshell.model.lock import Lock, LockClass
from folioshell.model.pagetable import PageTable
from folioshell.paths.protocol import LOOK, Protocol, Span, walk_table
from folioshell.paths.step import Path


class AsMailed(Protocol):
    """The sketch of the mail: a walk over the whole window, own table included."""

    name = "as-mailed"
    about = "walks the whole window without SYNC: takes the lock that it holds as soon as its own table is not empty"
    sync = False

    def look(self, span: Span) -> Path[bool]:
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


class ExcludeOwn(Protocol):
    """The fix that the mail suggests: skip the current table."""

    name = "exclude-own"
    about = "walks the other tables only, under their locks: a second call in one table counts again"

    def look(self, span: Span) -> Path[bool]:
        """A walk over the other tables."""
        for table, first, last in span.others():
            if (yield from walk_table(span, table, first, last, sync=False)):
                return True
        return False


class OwnTableFirst(ExcludeOwn):
    """Scans its own table under the lock that it holds; walks others only if that maps no page of the folio."""

    name = "own-table-first"
    about = "scans its own table first, then walks the others under their locks"

    def look(self, span: Span) -> Path[bool]:
        """Its own table, then the others."""
        if span.found_in_own():
            return True
        return (yield from super().look(span))


class LocklessLook(Protocol):
    """Other tables are read without their lock."""

    name = "lockless-look"
    about = "scans its own table, reads the others without a lock: no deadlock, but two may overlook each other"

    def look(self, span: Span) -> Path[bool]:
        """Its own table, then a lockless look at each of the others."""
        if span.found_in_own():
            return True
        for table, first, last in span.others():
            yield table.ptl.peek(LOOK)
            if span.found_in(table, first, last):
                return True
        return False


class AddressOrder(Protocol):
    """The locks of all tables of the window, in ascending order, until the entries are set.

    A table's number stands for the address of its lock.
    Kernel: mm/userfaultfd.c: double_pt_lock() (v6.18)
    """

    name = "address-order"
    about = "holds the locks of all tables of the window, taken in ascending order; drops its own to take a lower one"

    def before(self, span: Span) -> Path[list[Lock] | None]:
        """The locks of the other tables. For a lower one: drop its own, take all in order, re-check."""
        if span.is_whole:
            return []
        wanted = sorted((row[0] for row in span.others()), key=_number)
        own = span.table
        if not wanted or wanted[0].id > own.id:
            for table in wanted:
                yield table.ptl.acquire(LOOK, nested=True)
            return [table.ptl for table in wanted]
        entries = span.entries()
        yield own.ptl.release()
        for nested, table in enumerate(sorted([*wanted, own], key=_number)):
            yield table.ptl.acquire(LOOK, nested=nested > 0)
        locks = [table.ptl for table in wanted]
        if _is_unchanged(span, entries, wanted):
            return locks
        for lock in reversed(locks):
            yield lock.release()
        return None

    def look(self, span: Span) -> Path[bool]:
        """All tables, whose locks are held."""
        yield from ()
        return any(span.found_in(*row) for row in span.tables())


class TrylockRetry(AddressOrder):
    """As address-order, but a lock that is not free is no reason to wait: everything is dropped and begun again."""

    name = "trylock-retry"
    about = "tries the locks of the other tables; if one is not free, drops all and begins again"

    def before(self, span: Span) -> Path[list[Lock] | None]:
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
            for lock in reversed(taken):
                yield lock.release()
            yield span.table.ptl.release()
            yield span.table.ptl.acquire(LOOK)
            if not _is_unchanged(span, entries, []):
                return None


class PmdLock(AddressOrder):
    """The lock of the PMD table outside that of its own table: levels are ordered, tables of one level are not.

    Whoever maps or unmaps a part of a folio below a PMD table holds its lock, so the others' tables may be read without
    theirs. A window across two PMD tables needs both, in ascending order: the question comes back one level up, a
    thousand times rarer. The idea of a bit in the upper entry, proposed for HGM, is this with the answer cached.
    """

    name = "pmd-lock"
    about = "drops its own lock, takes that of the PMD table and its own again; others are read without theirs"

    def before(self, span: Span) -> Path[list[Lock] | None]:
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
        yield span.table.ptl.release()
        locks = [above[number] for number in sorted(above)]
        if None in found:
            locks.insert(0, mm.page_table_lock)
        for before, lock in zip([None, *locks], locks, strict=False):
            yield lock.acquire(LOOK, nested=before is not None and before.lock_class is lock.lock_class)
        yield span.table.ptl.acquire(LOOK, nested=True)
        if _is_unchanged(span, entries, []):
            return locks
        for lock in reversed(locks):
            yield lock.release()
        return None


class FolioBitLock(Protocol):
    """One bit spinlock a folio inside the page-table lock, held over look and change by all who change its entries."""

    name = "folio-bit-lock"
    about = "a bit lock of the folio inside its own page-table lock; other tables are read without theirs"

    def __init__(self) -> None:
        super().__init__()
        self._locks: dict[int, Lock] = {}

    def before(self, span: Span) -> Path[list[Lock] | None]:
        """The folio's bit lock, for a call on all of its pages too."""
        lock = self._locks.setdefault(span.folio.id, Lock(LockClass.MCL, f"{span.folio}.vmas"))
        yield lock.acquire(LOOK)
        return [lock]

    def look(self, span: Span) -> Path[bool]:
        """All tables; no other thread changes an entry of the folio meanwhile."""
        yield from ()
        return any(span.found_in(*row) for row in span.tables())


def _number(table: PageTable) -> int:
    return table.id


def _is_unchanged(span: Span, entries: array[int], others: list[PageTable]) -> bool:
    """Are the span's entries what they were, and its tables still those of the window?"""
    if span.vma.mm.tables.leaf(span.vpn) is not span.table or span.entries() != entries:
        return False
    return not others or sorted(map(_number, (row[0] for row in span.others()))) == sorted(map(_number, others))


#: name -> protocol, from the one that was mailed to those that work
PROTOCOLS: dict[str, type[Protocol]] = dict(Protocol.registry)

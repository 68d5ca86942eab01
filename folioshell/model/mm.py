"""Address spaces of processes: their VMAs, page tables and counters."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from folioshell.model.folio import Folio
from folioshell.model.lock import Lock, LockClass, LockOp
from folioshell.model.pagetable import PageTable, TableTree
from folioshell.model.vma import Vma


class VmaSet:
    """The VMAs of an address space, ascending and disjoint."""

    __slots__ = ("_starts", "_vmas")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._vmas: list[Vma] = []

    def __iter__(self) -> Iterator[Vma]:
        return iter(tuple(self._vmas))

    def __len__(self) -> int:
        return len(self._vmas)

    def find(self, vpn: int) -> Vma | None:
        """The VMA that covers a virtual page."""
        position = bisect_right(self._starts, vpn) - 1
        if position >= 0:
            vma = self._vmas[position]
            if vpn < vma.end:
                return vma
        return None

    def prev(self, vpn: int) -> Vma | None:
        """The last VMA that starts below ``vpn``."""
        position = bisect_right(self._starts, vpn - 1) - 1
        return self._vmas[position] if position >= 0 else None

    def next(self, vpn: int) -> Vma | None:
        """The first VMA that starts at or above ``vpn``."""
        position = bisect_right(self._starts, vpn - 1)
        return self._vmas[position] if position < len(self._vmas) else None

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """VMAs that cover any page of ``[start, end)``, ascending."""
        low = bisect_right(self._starts, start) - 1
        if low < 0 or self._vmas[low].end <= start:
            low += 1
        high = bisect_right(self._starts, end - 1)
        return self._vmas[low:high]

    def insert(self, vma: Vma) -> None:
        """Add a VMA whose range is free."""
        position = bisect_right(self._starts, vma.start)
        self._starts.insert(position, vma.start)
        self._vmas.insert(position, vma)

    def remove(self, vma: Vma) -> None:
        """Take a VMA out; its start must be what it was when it went in."""
        position = bisect_right(self._starts, vma.start) - 1
        assert self._vmas[position] is vma
        del self._starts[position]
        del self._vmas[position]

    def moved_start(self, vma: Vma, old_start: int) -> None:
        """Note that the start of a VMA was changed; its order among the others must not have."""
        position = bisect_right(self._starts, old_start) - 1
        assert self._vmas[position] is vma
        self._starts[position] = vma.start


class Rss:
    """Pages that an address space maps, by kind, as in /proc/PID/status."""

    __slots__ = ("anon", "file", "shmem", "swap")

    def __init__(self) -> None:
        self.file = 0
        self.anon = 0
        self.shmem = 0
        self.swap = 0

    def as_tuple(self) -> tuple[int, int, int, int]:
        """(file, anon, shmem, swap entries)."""
        return self.file, self.anon, self.shmem, self.swap


class Mm:
    """An address space; processes are named by it (``A``).

    Attributes:
        name: name of the process.
        mm_id: the number that the MM-ID slots of folios hold.
        parent: name of the process that forked it.
        vmas: its VMAs.
        tables: its page tables.
        rss: mapped pages by kind.
        nr_ptes: leaf tables, deposited ones included.
        pins: virtual page at which a page was pinned for this process -> its folio, once a pin.
        write_marked: numbers of the VMAs that are being written until mmap_lock is let go (vm_lock_seq).
        has_pinned: a page of it was ever pinned (MMF_HAS_PINNED); a fork needs to look for pins only then.
    """

    __slots__ = (
        "has_pinned",
        "mm_id",
        "mmap_lock",
        "name",
        "nr_ptes",
        "page_table_lock",
        "parent",
        "pins",
        "rss",
        "tables",
        "vmas",
        "write_marked",
    )

    def __init__(self, name: str, mm_id: int, parent: str | None, table_bits: int) -> None:
        self.name = name
        self.mm_id = mm_id
        self.parent = parent
        self.vmas = VmaSet()
        self.tables = TableTree(table_bits)
        self.rss = Rss()
        self.nr_ptes = 0
        self.pins: dict[int, list[Folio]] = {}
        self.has_pinned = False
        self.write_marked: set[int] = set()
        self.mmap_lock = Lock(LockClass.MMAP, name)
        self.page_table_lock = Lock(LockClass.MMPTL, name)

    @property
    def nr_entries(self) -> int:
        """Entries that map pages or stand for swapped ones; a PMD entry is one."""
        huge = sum(not isinstance(entry, PageTable) for _, _, entry in self.tables.blocks())
        return sum(self.rss.as_tuple()) - huge * self.tables.last

    def is_readable(self, vma: Vma, vpn: int) -> bool:
        """May who just got the lock of a VMA for reading use it for ``vpn``: is it still there, and not being written?

        Kernel: mm/mmap_lock.c: lock_vma_under_rcu() (v6.18)
        """
        return vma.id not in self.write_marked and self.vmas.find(vpn) is vma

    def write_unlock(self) -> LockOp:
        """Operation: let go of mmap_lock held for writing; no VMA is marked as being written any more.

        Kernel: include/linux/mmap_lock.h: mmap_write_unlock() (v6.18)
        """
        self.write_marked.clear()
        return self.mmap_lock.release("W")

    def write_downgrade(self) -> LockOp:
        """Operation: hold mmap_lock for reading from here on; no VMA is marked as being written any more."""
        self.write_marked.clear()
        return self.mmap_lock.downgrade("mmap_write_downgrade")

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Mm {self.name}>"

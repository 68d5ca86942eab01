"""Address spaces of processes and the VMAs in them, with the VM_* flags.

Kernel: include/linux/mm_types.h: struct mm_struct, struct vm_area_struct (v6.18); include/linux/mm.h: VM_READ (v6.18)
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from folioshell.model.lock import Lock, LockClass, LockOp
from folioshell.model.pagetable import PageTable, TableTree
from folioshell.records import dataclass

if TYPE_CHECKING:
    from folioshell.model.folio import Folio
    from folioshell.model.mapping import AddressSpace, AnonVma


# VM_* flags, those that the model needs, as plain integers. Kernel: include/linux/mm.h: VM_READ (v6.18)
READ = 1
WRITE = 2
SHARED = 8
MAYREAD = 0x10
MAYWRITE = 0x20
MAYEXEC = 0x40
MAYSHARE = 0x80
#: the VMA may hold guard regions; a VMA that absorbs another one keeps it (VM_STICKY)
MAYBE_GUARD = 0x800
LOCKED = 0x2000
#: never of a mapping here: with LOCKED it says that mlock() is counting what the VMA maps
IO = 0x4000
DONTCOPY = 0x20000
ACCOUNT = 0x100000
WIPEONFORK = 0x2000000
HUGEPAGE = 0x20000000
NOHUGEPAGE = 0x40000000

#: VMAs in a chunk of a VmaSet after it was split
_CHUNK = 256

PROT_FLAGS = {"none": 0, "r": READ, "rw": READ | WRITE}

#: (flag, word) in the order in which /proc/PID/smaps prints VmFlags
_SMAPS_WORDS = (
    (READ, "rd"),
    (WRITE, "wr"),
    (SHARED, "sh"),
    (MAYREAD, "mr"),
    (MAYWRITE, "mw"),
    (MAYEXEC, "me"),
    (MAYSHARE, "ms"),
    (MAYBE_GUARD, "gu"),
    (LOCKED, "lo"),
    (DONTCOPY, "dc"),
    (ACCOUNT, "ac"),
    (WIPEONFORK, "wf"),
    (HUGEPAGE, "hg"),
    (NOHUGEPAGE, "nh"),
)


@cache
def _words_of(flags: int) -> str:
    return " ".join(word for flag, word in _SMAPS_WORDS if flags & flag)


class Vma:
    """A range of virtual pages with one backing and one set of flags (``v1``).

    Attributes:
        id: number that it prints with.
        mm: its address space.
        start, end: virtual pages, half-open.
        flags: VM_* bits as an integer.
        pgoff: page offset of ``start`` in the file; for anonymous memory the same as ``anon_pgoff``.
        anon_pgoff: index of an anonymous page at ``start``, by which the rmap finds it.
        file: address space of the file or shared memory; None for private anonymous memory.
        anon_vma: what its own anonymous folios point to; None before the first.
        chain: anon_vmas whose trees hold it, in order of linking (anon_vma_chain).
        lock: the per-VMA lock.
    """

    __slots__ = ("anon_pgoff", "anon_vma", "chain", "end", "file", "flags", "id", "lock", "mm", "pgoff", "start")

    def __init__(
        self,
        number: int,
        mm: Mm,
        start: int,
        end: int,
        flags: int,
        pgoff: int,
        file: AddressSpace | None,
        anon_pgoff: int,
    ) -> None:
        self.id = number
        self.mm = mm
        self.start = start
        self.end = end
        self.flags = flags
        self.pgoff = pgoff
        self.anon_pgoff = anon_pgoff
        self.file = file
        self.anon_vma: AnonVma | None = None
        self.chain: list[AnonVma] = []
        self.lock = Lock(LockClass.VMA, f"v{number}")

    @property
    def nr_pages(self) -> int:
        """Pages in its range."""
        return self.end - self.start

    @property
    def is_anonymous(self) -> bool:
        """Private anonymous memory: no file, no vm_ops."""
        return self.file is None

    @property
    def is_cow(self) -> bool:
        """A private mapping that may become writable: fork write-protects it, a write copies.

        Kernel: include/linux/mm.h: is_cow_mapping() (v6.18)
        """
        return self.flags & (SHARED | MAYWRITE) == MAYWRITE

    @property
    def mlocks_new(self) -> bool:
        """What is mapped in it now is counted as mlocked by who maps it: not while mlock() counts all that it maps.

        Kernel: mm/internal.h: mlock_vma_folio() (v6.18)
        """
        return self.flags & (LOCKED | IO) == LOCKED

    @property
    def perm(self) -> str:
        """Permissions as in /proc/PID/maps."""
        flags = self.flags
        return f"{'r' if flags & READ else '-'}{'w' if flags & WRITE else '-'}-{'s' if flags & MAYSHARE else 'p'}"

    @property
    def flag_words(self) -> str:
        """VmFlags as in /proc/PID/smaps, without the soft-dirty word."""
        return _words_of(self.flags)

    def pgoff_of(self, vpn: int) -> int:
        """Page offset that a virtual page of it maps."""
        return self.pgoff + vpn - self.start

    def anon_pgoff_of(self, vpn: int) -> int:
        """Index of an anonymous page at a virtual page of it.

        Kernel: include/linux/pagemap.h: linear_page_index() (v6.18)
        """
        return self.anon_pgoff + vpn - self.start

    def vpn_of(self, folio: Folio) -> int:
        """Virtual page at which it maps the first page of a folio, if it maps that; it may lie outside.

        Kernel: mm/internal.h: vma_address() (v6.18)
        """
        return self.start + folio.index - (self.anon_pgoff if folio.anon else self.pgoff)

    def __str__(self) -> str:
        return f"v{self.id}"

    def __repr__(self) -> str:
        return f"<Vma v{self.id} {self.start:#x}-{self.end:#x} {self.perm}>"


class VmaSet:
    """The VMAs of an address space, ascending and disjoint.

    They are kept in chunks, so that an insertion among tens of thousands moves a few hundred.
    """

    # The starts of the first VMA of each chunk; of all VMAs by chunk; the VMAs by chunk. No chunk is empty.
    __slots__ = ("_firsts", "_starts", "_vmas")

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self._starts: list[list[int]] = []
        self._vmas: list[list[Vma]] = []

    def __iter__(self) -> Iterator[Vma]:
        return iter([vma for vmas in self._vmas for vma in vmas])

    def __len__(self) -> int:
        return sum(map(len, self._vmas))

    def find(self, vpn: int) -> Vma | None:
        """The VMA that covers a virtual page."""
        vma = self._last_up_to(vpn)
        return vma if vma is not None and vpn < vma.end else None

    def _last_up_to(self, vpn: int) -> Vma | None:
        """The last VMA that starts at or below ``vpn``."""
        chunk = bisect_right(self._firsts, vpn) - 1
        return self._vmas[chunk][bisect_right(self._starts[chunk], vpn) - 1] if chunk >= 0 else None

    def prev(self, vpn: int) -> Vma | None:
        """The last VMA that starts below ``vpn``."""
        return self._last_up_to(vpn - 1)

    def next(self, vpn: int) -> Vma | None:
        """The first VMA that starts at or above ``vpn``."""
        chunk = bisect_right(self._firsts, vpn - 1) - 1
        if chunk >= 0:
            position = bisect_right(self._starts[chunk], vpn - 1)
            if position < len(self._vmas[chunk]):
                return self._vmas[chunk][position]
        return self._vmas[chunk + 1][0] if chunk + 1 < len(self._vmas) else None

    def overlapping(self, start: int, end: int) -> list[Vma]:
        """VMAs that cover any page of ``[start, end)``, ascending."""
        found = []
        vma = self.find(start) or self.next(start)
        while vma is not None and vma.start < end:
            found.append(vma)
            vma = self.next(vma.end)
        return found

    def parts(self, start: int, end: int) -> Iterator[tuple[Vma | None, int, int]]:
        """(VMA, low, high) of each VMA's part of ``[start, end)``; the first hole ends it, with None for the VMA.

        VMAs may be changed while iterating: each is looked up by address when it is reached.
        """
        while start < end:
            vma = self.find(start)
            stop = end if vma is None else min(end, vma.end)
            yield vma, start, stop
            if vma is None:
                return
            start = stop

    def insert(self, vma: Vma) -> None:
        """Add a VMA whose range is free."""
        start = vma.start
        if not self._firsts:
            self._firsts, self._starts, self._vmas = [start], [[start]], [[vma]]
            return
        chunk = max(bisect_right(self._firsts, start) - 1, 0)
        starts, vmas = self._starts[chunk], self._vmas[chunk]
        position = bisect_right(starts, start)
        starts.insert(position, start)
        vmas.insert(position, vma)
        self._firsts[chunk] = starts[0]
        if len(vmas) > 2 * _CHUNK:
            self._firsts.insert(chunk + 1, starts[_CHUNK])
            self._starts[chunk : chunk + 1] = starts[:_CHUNK], starts[_CHUNK:]
            self._vmas[chunk : chunk + 1] = vmas[:_CHUNK], vmas[_CHUNK:]

    def remove(self, vma: Vma) -> None:
        """Remove a VMA; its start must be the one that it was inserted with."""
        chunk, position = self._place_of(vma, vma.start)
        starts, vmas = self._starts[chunk], self._vmas[chunk]
        del starts[position], vmas[position]
        if vmas:
            self._firsts[chunk] = starts[0]
        else:
            del self._firsts[chunk], self._starts[chunk], self._vmas[chunk]

    def moved_start(self, vma: Vma, old_start: int) -> None:
        """Note that the start of a VMA was changed; its place among the others must be the same."""
        chunk, position = self._place_of(vma, old_start)
        self._starts[chunk][position] = vma.start
        self._firsts[chunk] = self._starts[chunk][0]

    def _place_of(self, vma: Vma, start: int) -> tuple[int, int]:
        """Chunk of a VMA that was inserted with ``start``, and its position there."""
        chunk = bisect_right(self._firsts, start) - 1
        position = bisect_right(self._starts[chunk], start) - 1
        assert self._vmas[chunk][position] is vma
        return chunk, position


@dataclass(slots=True, eq=False)
class Rss:
    """Pages that an address space maps, by kind, as in /proc/PID/status."""

    file: int = 0
    anon: int = 0
    shmem: int = 0
    swap: int = 0

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
        nr_ptes: PTE tables, deposited ones included.
        pins: virtual page at which a page was pinned for this process -> its folio, once a pin.
        write_marked: numbers of the VMAs that are marked as written until mmap_lock is released (vm_lock_seq).
        has_pinned: a page of it was ever pinned (MMF_HAS_PINNED); only then does fork look for pins.
        has_guards: a guard marker was ever installed in it or its parent; only then do readers look for some.
        lost_mlock: a VMA ceased to be locked with its folios still counted as mlocked, as Linux may leave them.
        users: who keeps it from being freed: its process, until that exits, and each thread that runs a command in a
            race (mm_users).
        exiting: its process has exited; threads of it that are within a command still end that.
        scans: scans of khugepaged that are under way (khugepaged_scan.mm_slot).
        pte_mapped_thp: blocks whose PTE tables the next scan of khugepaged removes, before v6.6.
    """

    __slots__ = (
        *(
            "exiting",
            "has_guards",
            "has_pinned",
            "lost_mlock",
            "mm_id",
            "mmap_lock",
            "name",
            "nr_ptes",
            "page_table_lock",
            "parent",
            "pins",
        ),
        *("pte_mapped_thp", "rss", "scans", "tables", "users", "vmas", "write_marked"),
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
        self.has_guards = False
        self.lost_mlock = False
        self.users = 1
        self.exiting = False
        self.scans = 0
        self.pte_mapped_thp: list[int] = []
        self.write_marked: set[int] = set()
        self.mmap_lock = Lock(LockClass.MMAP, name)
        self.page_table_lock = Lock(LockClass.MMPTL, name)

    @property
    def nr_entries(self) -> int:
        """Entries that map pages or stand for swapped ones; a PMD entry is one."""
        huge = sum(not isinstance(entry, PageTable) for _, _, entry in self.tables.blocks())
        return sum(self.rss.as_tuple()) - huge * self.tables.last

    def is_readable(self, vma: Vma, vpn: int) -> bool:
        """After the lock of a VMA was taken for reading: does it still cover ``vpn``, and is it not being written?

        Kernel: mm/mmap_lock.c: lock_vma_under_rcu() (v6.18)
        """
        return vma.id not in self.write_marked and self.vmas.find(vpn) is vma

    def write_unlock(self) -> LockOp:
        """Operation: release mmap_lock held for writing, which unmarks all VMAs.

        Kernel: include/linux/mmap_lock.h: mmap_write_unlock() (v6.18)
        """
        self.write_marked.clear()
        return self.mmap_lock.release("W")

    def write_downgrade(self) -> LockOp:
        """Operation: downgrade mmap_lock to reading, which unmarks all VMAs."""
        self.write_marked.clear()
        return self.mmap_lock.downgrade("mmap_write_downgrade")

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Mm {self.name}>"

"""VMAs: what a range of virtual pages maps, and when two neighbours may be one."""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

from folioshell.model.lock import Lock, LockClass

if TYPE_CHECKING:
    from folioshell.model.anon_vma import AnonVma
    from folioshell.model.mapping import AddressSpace
    from folioshell.model.mm import Mm


class VmFlags(IntFlag):
    """Flags of a VMA, those of the kernel that the model needs.

    Kernel: include/linux/mm.h: VM_READ (v6.18)
    """

    READ = 1
    WRITE = 2
    SHARED = 8
    MAYREAD = 0x10
    MAYWRITE = 0x20
    MAYEXEC = 0x40
    MAYSHARE = 0x80
    LOCKED = 0x2000
    DONTCOPY = 0x20000
    ACCOUNT = 0x100000
    WIPEONFORK = 0x2000000
    HUGEPAGE = 0x20000000
    NOHUGEPAGE = 0x40000000


#: Plain integers for the hot paths: an IntFlag operation costs a hundred times that of an int.
READ = int(VmFlags.READ)
WRITE = int(VmFlags.WRITE)
SHARED = int(VmFlags.SHARED)
MAYREAD = int(VmFlags.MAYREAD)
MAYWRITE = int(VmFlags.MAYWRITE)
MAYEXEC = int(VmFlags.MAYEXEC)
MAYSHARE = int(VmFlags.MAYSHARE)
LOCKED = int(VmFlags.LOCKED)
DONTCOPY = int(VmFlags.DONTCOPY)
ACCOUNT = int(VmFlags.ACCOUNT)
WIPEONFORK = int(VmFlags.WIPEONFORK)
HUGEPAGE = int(VmFlags.HUGEPAGE)
NOHUGEPAGE = int(VmFlags.NOHUGEPAGE)

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
    (LOCKED, "lo"),
    (DONTCOPY, "dc"),
    (ACCOUNT, "ac"),
    (WIPEONFORK, "wf"),
    (HUGEPAGE, "hg"),
    (NOHUGEPAGE, "nh"),
)


class Vma:
    """A range of virtual pages that are mapped alike (``v1``).

    Attributes:
        id: number that it prints with.
        mm: the address space that it is part of.
        start, end: virtual pages, half-open.
        flags: VM_* bits as an integer.
        pgoff: page offset of ``start`` in the file; for anonymous memory the linear offset that the rmap uses.
        file: address space of the file or shared memory; None for private anonymous memory.
        anon_vma: where its own anonymous folios point to; None before the first.
        chain: anon_vmas that have it in their tree, in order of linking (anon_vma_chain).
        lock: the per-VMA lock.
    """

    __slots__ = ("anon_vma", "chain", "end", "file", "flags", "id", "lock", "mm", "pgoff", "start")

    def __init__(
        self, number: int, mm: Mm, start: int, end: int, flags: int, pgoff: int, file: AddressSpace | None
    ) -> None:
        self.id = number
        self.mm = mm
        self.start = start
        self.end = end
        self.flags = flags
        self.pgoff = pgoff
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
    def perm(self) -> str:
        """Permissions as in /proc/PID/maps."""
        flags = self.flags
        return f"{'r' if flags & READ else '-'}{'w' if flags & WRITE else '-'}-{'s' if flags & MAYSHARE else 'p'}"

    @property
    def flag_words(self) -> str:
        """VmFlags as in /proc/PID/smaps, without the soft-dirty word."""
        return " ".join(word for flag, word in _SMAPS_WORDS if self.flags & flag)

    def pgoff_of(self, vpn: int) -> int:
        """Page offset that a virtual page of it maps."""
        return self.pgoff + vpn - self.start

    def address_of(self, index: int, nr: int) -> int:
        """Virtual page where pages ``[index, index + nr)`` of the mapping begin in it, clipped to its start.

        Kernel: mm/internal.h: vma_address() (v6.18)
        """
        return max(self.start, self.start + index - self.pgoff)

    def __str__(self) -> str:
        return f"v{self.id}"

    def __repr__(self) -> str:
        return f"<Vma v{self.id} {self.start:#x}-{self.end:#x} {self.perm}>"


def can_anon_vmas_merge(left: AnonVma | None, right: AnonVma | None, chain_of: Vma | None) -> bool:
    """May VMAs with these anon_vmas become one?

    Args:
        left, right: their anon_vmas.
        chain_of: the VMA that has an anon_vma when only one has; it must not be a fork child.
    Kernel: mm/vma.c: is_mergeable_anon_vma() (v6.18)
    """
    if left is right:
        return True
    if left is not None and right is not None:
        return False
    return chain_of is None or len(chain_of.chain) <= 1

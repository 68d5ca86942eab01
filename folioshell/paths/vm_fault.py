"""What the page-fault handlers share: the record of a fault, its outcomes, and what several of them do first.

Kernel: include/linux/mm.h: struct vm_fault (v6.18)
"""

from __future__ import annotations

from folioshell.errors import KernelBug
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, anon
from folioshell.paths.batch import same_pte_batch
from folioshell.records import dataclass

#: most faults that one access may take: a RETRY for read-ahead, lost races, a page that is mapped and then copied
_MAX_FAULTS = 8

#: outcome of a fault that dropped the VMA lock or mmap_lock to wait: everything must be looked up again
#: (VM_FAULT_RETRY)
RETRY = "RETRY"
#: outcome of a fault under the VMA lock, which is still held, that needs mmap_lock: it starts over under that
#: (VM_FAULT_RETRY, too)
UNDER_MMAP_LOCK = "UNDER_MMAP_LOCK"


@dataclass(slots=True)
class Fault:
    """One page fault, as it is handed from handler to handler. It does not change on the way.

    Attributes:
        vma, vpn: the VMA and the virtual page that was accessed.
        write: the access was a write (FAULT_FLAG_WRITE).
        vma_locked: the VMA lock is held; else mmap_lock (FAULT_FLAG_VMA_LOCK).
        tried: the fault was handled before and ended in RETRY (FAULT_FLAG_TRIED).
        times: number of consecutive pages, from ``vpn`` on, whose faults this record stands for. More than one only
            where order-0 folios alike, new ones or cached ones, are mapped where nothing was, are copied, become
            writable, or come from swap.
    Kernel: include/linux/mm.h: struct vm_fault (v6.18)
    """

    vma: Vma
    vpn: int
    write: bool
    vma_locked: bool = False
    tried: bool = False
    times: int = 1

    @property
    def index(self) -> int:
        """Index of the page's entry in its PTE table."""
        return self.vpn & self.vma.mm.tables.last

    @property
    def pgoff(self) -> int:
        """Page offset in the file, or in the anonymous memory."""
        return self.vma.pgoff_of(self.vpn)


def refault(mm: Mm, vpn: int, faults: int) -> int:
    """Count a fault for a page.

    Returns: the number of its faults, this one included.
    Raises:
        KernelBug: there were more than one access may take (livelock).
    """
    if faults >= _MAX_FAULTS:
        raise KernelBug(f"an access of {mm} to page {vpn:#x} refaults without progress (livelock)")
    return faults + 1


def equal_file_faults(k: Kernel, vma: Vma, vpn: int, write: bool, most: int) -> int:
    """Number of pages of a file's VMA, from ``vpn`` on, at most ``most``, whose faults differ only in the page.

    They fill holes of shared memory, map order-0 folios that are cached, or make entries of such writable, and do no
    more. 1 where they may do anything else: map a window, copy a page, allocate a huge folio, mlock one, bring one back
    from swap.
    """
    file, tree, index = vma.file, vma.mm.tables, vma.pgoff_of(vpn)
    assert file is not None
    folio, table, at = file.find(index), tree.leaf(vpn), vpn & tree.last
    if folio is not None and folio.order:
        return 1
    if table is not None and table.entries[at]:
        return _equal_writes(file, folio, table, at, most) if write and vma.flags & vm.SHARED else 1
    if vma.mlocks_new or not (vma.flags & vm.SHARED if write else k.config.fault_around == 1):
        return 1
    # Other files are read, or huge folios are allocated.
    if folio is None and (file.fs != "tmpfs" or file.swapped):
        return 1
    most = min(most, file.size - index)
    if table is not None:
        most = same_pte_batch(table, at, at + most)
    if folio is not None:
        return 1 + len(file.alike_after(folio, most))
    most = min(most, k.physmem.free_in_a_row)
    return next((nr for nr in range(1, most) if file.find(index + nr) is not None), max(most, 1))


def _equal_writes(file: AddressSpace, folio: Folio | None, table: PageTable, first: int, most: int) -> int:
    """Number of entries from ``first`` on that map alike order-0 folios of a file, in a row, from ``folio`` on."""
    entry, nr = table.entries[first], 1
    if folio is None or pte.pfn_of(entry) != folio.pfn:
        return 1
    while nr < most and table.entries[first + nr] == entry + (nr << pte.PFN_SHIFT):
        nr += 1
    return 1 + len(file.alike_after(folio, nr))


def maybe_unlock_for_io(fault: Fault) -> Path[bool]:
    """Drop the lock that the fault is handled under, because it will wait: for a disk, or for a folio lock.

    So munmap() and other faults need not wait for it. Only at the first try, or a fault could be kept from its page
    indefinitely: a retried one waits with mmap_lock held.
    Returns: the lock was dropped, and the fault must end in RETRY.
    Kernel: mm/internal.h: maybe_unlock_mmap_for_io() (v6.18)
    """
    if fault.tried:
        return False
    vma = fault.vma
    yield vma.lock.release("R", fault.times) if fault.vma_locked else vma.mm.mmap_lock.release("R")
    return True


def folio_lock_drop_mmap(fault: Fault, folio: Folio) -> Path[bool]:
    """Wait for the lock of a folio of the page cache, to which the fault holds a reference.

    Returns: True if the lock of the fault was dropped meanwhile: then the fault must end in RETRY, for the page table
        may be gone that the folio was to be mapped in.
    Kernel: mm/filemap.c: lock_folio_maybe_drop_mmap() (v6.18)
    """
    dropped = yield from maybe_unlock_for_io(fault)
    yield folio.lock.acquire("filemap_fault")
    return dropped


def folio_lock_or_retry(fault: Fault, folio: Folio | FolioRun) -> Path[bool]:
    """Lock a folio of the swap cache for a fault that holds a reference; a run for as many faults.

    Returns: False if the lock of the fault was dropped, and the folio lock was only waited for: then the fault must end
        in RETRY.
    Kernel: mm/filemap.c: __folio_lock_or_retry() (v6.18)
    """
    if not (yield folio.lock.trylock("do_swap_page", times=fault.times)):
        return True
    if (yield from maybe_unlock_for_io(fault)):
        yield folio.lock.wait("do_swap_page")
        return False
    yield folio.lock.acquire("do_swap_page")
    return True


def written(vma: Vma) -> int:
    """Flags of the entry of a page that was just written to.

    Without write permission (fork copies a pinned page of a VMA that is read-only by now) the entry stays read-only.
    Kernel: include/linux/mm.h: maybe_mkwrite() (v6.18)
    """
    return pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)


def suitable_block(vma: Vma, vpn: int, nr: int) -> bool:
    """Does the naturally aligned block of ``nr`` pages around ``vpn`` lie in the VMA?

    Kernel: include/linux/huge_mm.h: thp_vma_suitable_order() (v6.18)
    """
    block = vpn - vpn % nr
    return vma.start <= block and block + nr <= vma.end


def anon_prepare(k: Kernel, fault: Fault) -> Path[bool]:
    """Give the fault's VMA an anon_vma.

    Returns: False if that needs mmap_lock and a trylock failed: the fault must start over under mmap_lock.
    Kernel: mm/memory.c: __vmf_anon_prepare() (v6.18)
    """
    vma = fault.vma
    if vma.anon_vma is not None:
        return True
    # find_mergeable_anon_vma() reads the adjacent VMAs, which the lock of this VMA does not protect. Waiting for
    # mmap_lock here would deadlock with a writer that holds it and waits for this VMA: hence the trylock.
    if fault.vma_locked and (yield vma.mm.mmap_lock.trylock("__vmf_anon_prepare", "R")):
        return False
    yield from anon.prepare(k, vma)
    if fault.vma_locked:
        yield vma.mm.mmap_lock.release("R")
    return True

"""mmap, munmap and exit: mappings come and go.

Kernel: mm/mmap.c: do_mmap(), exit_mmap() (v6.18); mm/vma.c: do_vmi_align_munmap() (v6.18)
"""

from __future__ import annotations

from typing import TypeVar

from folioshell.events import MmGone
from folioshell.model import vm
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Mm
from folioshell.paths import Path, gup, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.gup import mm_populate
from folioshell.paths.zap import ZapDetails, zap_range

T = TypeVar("T")

KINDS = ("anon", "shared", "private")


def do_mmap(
    k: Kernel,
    mm: Mm,
    start: int,
    nr: int,
    *,
    kind: str = "anon",
    prot: str = "rw",
    file: AddressSpace | None = None,
    pgoff: int = 0,
    populate: bool = False,
    fixed: bool = False,
    name: str = "",
) -> Path[str | None]:
    """Map ``nr`` pages at ``start``.

    Args:
        start, nr: virtual page and number of pages.
        kind: ``anon`` (private anonymous), ``shared`` (``file``, or anonymous without one) or ``private`` (``file``).
        prot: ``r``, ``rw`` or ``none``.
        pgoff: page offset in the file.
        populate: fault in all pages afterwards (MAP_POPULATE).
        fixed: unmap what is mapped there first (MAP_FIXED); else EEXIST (MAP_FIXED_NOREPLACE).
        name: name of shared anonymous memory.
    Returns: EINVAL for an empty range, EEXIST.
    Kernel: mm/vma.c: __mmap_region() (v6.18)
    """
    if nr <= 0:
        return "EINVAL"
    end = start + nr
    flags = _vm_flags(kind, prot)
    yield mm.mmap_lock.acquire("vm_mmap_pgoff", "W")
    if mm.vmas.overlapping(start, end):
        if not fixed:
            yield mm.write_unlock()
            return "EEXIST"
        yield from unmap_locked(k, mm, start, end, downgrade=False)
    if kind == "shared" and file is None:
        file = AddressSpace(f"shm:{name}", nr, "tmpfs")
        k.shared_memory.append(file)
    # Anonymous memory is indexed by its address, so that adjacent VMAs have consecutive offsets and can merge.
    if file is None:
        pgoff = start
    anon_pgoff = start if k.release.indexes_copies_by_address else pgoff
    vma = yield from vma_paths.merge_new(k, vma_paths.Merge(mm, start, end, flags, pgoff, anon_pgoff, file))
    if vma is None:
        vma = k.new_vma(mm, start, end, flags, pgoff, file, anon_pgoff)
        yield from vma_paths.start_write(vma)
        yield from vma_paths.insert(k, vma)
    # Populating takes mmap_lock itself, for reading: others may map and unmap in between.
    yield mm.write_unlock()
    if populate:
        yield from mm_populate(k, mm, start, end)
    return None


def _vm_flags(kind: str, prot: str) -> int:
    flags = vm.PROT_FLAGS[prot] | vm.MAYREAD | vm.MAYWRITE | vm.MAYEXEC
    if kind == "shared":
        return flags | vm.SHARED | vm.MAYSHARE
    if flags & vm.WRITE:
        flags |= vm.ACCOUNT
    return flags


def do_munmap(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Unmap ``[start, start + nr)``, which may contain holes.

    Args:
        start, nr: virtual page and number of pages.
    Returns: EINVAL for an empty range.
    """
    if nr <= 0:
        return "EINVAL"
    yield mm.mmap_lock.acquire("__vm_munmap", "W")
    held = yield from unmap_locked(k, mm, start, start + nr, downgrade=True)
    yield mm.mmap_lock.release("R") if held == "R" else mm.write_unlock()
    return None


def unmap_locked(k: Kernel, mm: Mm, start: int, end: int, downgrade: bool) -> Path[str]:
    """Unmap ``[start, end)`` under mmap_lock held for writing.

    Args:
        downgrade: hold mmap_lock for reading while pages are zapped, once the VMAs cannot be found any more.
    Returns: the mode in which mmap_lock is held now.
    Kernel: mm/vma.c: vms_gather_munmap_vmas(), vms_complete_munmap_vmas() (v6.18)
    """
    victims = mm.vmas.overlapping(start, end)
    if not victims:
        return "W"
    if victims[0].start < start:
        yield from vma_paths.split(k, victims[0], start, new_below=True)
    if victims[-1].end > end:
        yield from vma_paths.split(k, victims[-1], end, new_below=False)
    # Out of the tree before any entry is cleared: a fault would fill again what was just zapped.
    for vma in victims:
        yield from vma_paths.start_write(vma)
        mm.vmas.remove(vma)
    if downgrade:
        yield mm.write_downgrade()
    # Entries, then links of the rmap, then tables: see unlink_rmap().
    for vma in victims:
        yield from zap_range(k, vma, vma.start, vma.end, ZapDetails(drop_markers=True))
    for vma in victims:
        yield from vma_paths.unlink_rmap(k, vma)
    # A table is freed if no adjacent VMA uses any of it: floor and ceiling are where they start.
    before, after = mm.vmas.prev(victims[0].start), mm.vmas.next(victims[-1].end)
    floor = before.end if before is not None else 0
    ceiling = after.start if after is not None else 0
    yield from tables.free_pgtables(mm, victims[0].start, victims[-1].end, floor, ceiling)
    return "R" if downgrade else "W"


def do_exit(k: Kernel, mm: Mm) -> Path[None]:
    """End a process. Threads of it that run in the kernel still end what they do; the last one frees the address space.

    Kernel: kernel/exit.c: exit_mm() (v6.18)
    """
    mm.exiting = True
    yield from mmput(k, mm)


def in_thread(k: Kernel, mm: Mm, path: Path[T]) -> Path[T]:
    """Run a path as one of several threads, each of which keeps the address space until it is done.

    Kernel: kernel/fork.c: copy_mm() (v6.18)
    """
    mm.users += 1
    ending = yield from path
    yield from mmput(k, mm)
    return ending


def mmput(k: Kernel, mm: Mm) -> Path[None]:
    """Drop a user of an address space; the last one frees it.

    Kernel: kernel/fork.c: mmput() (v6.18)
    """
    mm.users -= 1
    if not mm.users:
        yield from _exit_mmap(k, mm)


def _exit_mmap(k: Kernel, mm: Mm) -> Path[None]:
    """Unmap everything and forget the address space.

    Kernel: mm/mmap.c: exit_mmap() (v6.18); mm/khugepaged.c: __khugepaged_exit() (v6.12)
    """
    # khugepaged has no reference that keeps the page tables: wait until it sees, under mmap_lock, that no user is left.
    if mm.scans:
        yield mm.mmap_lock.acquire("__khugepaged_exit", "W")
        yield mm.write_unlock()
    # For reading: the OOM reaper may zap at the same time, and no thread is left that could fault.
    yield mm.mmap_lock.acquire("exit_mmap", "R")
    vmas = list(mm.vmas)
    for vma in vmas:
        yield from zap_range(k, vma, vma.start, vma.end, ZapDetails(drop_markers=True))
    yield mm.mmap_lock.release("R")
    # For writing from here on: tables are freed.
    yield mm.mmap_lock.acquire("exit_mmap", "W")
    for vma in vmas:
        yield from vma_paths.unlink_rmap(k, vma)
        mm.vmas.remove(vma)
    if vmas:
        yield from tables.free_pgtables(mm, vmas[0].start, vmas[-1].end, 0, 0)
    yield mm.write_unlock()
    del k.mms[mm.name]
    # Pins are dropped when the process's files are closed, which is after its memory was freed.
    yield from gup.release_all(k, mm)
    yield MmGone(mm.mm_id)

"""Faulting memory in on behalf of a system call: MAP_POPULATE, mlock, MADV_POPULATE_*.

Kernel: mm/gup.c (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths.fault import handle_mm_fault
from folioshell.paths.page_cache import RETRY
from folioshell.paths.step import Path


def mm_populate(k: Kernel, mm: Mm, start: int, end: int, ignore_errors: bool = True) -> Path[str | None]:
    """Fault in all VMAs of ``[start, end)``, as writable private memory where they are writable.

    Returns: ENOMEM if a VMA cannot be read at all, unless errors are ignored.
    Kernel: mm/gup.c: __mm_populate() (v6.18)
    """
    yield mm.mmap_lock.acquire("__mm_populate", "R")
    error = None
    for vma in mm.vmas.overlapping(start, end):
        low, high = max(start, vma.start), min(end, vma.end)
        failed = yield from populate_vma_page_range(k, vma, low, high)
        if failed is not None and not ignore_errors:
            error = "ENOMEM" if failed == "EFAULT" else failed
            break
    yield mm.mmap_lock.release("R")
    return error


def populate_vma_page_range(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Fault in ``[start, end)`` of a VMA: for writing if it is private and writable, which breaks COW.

    Returns: EFAULT if a page could not be had.
    Kernel: mm/gup.c: populate_vma_page_range() (v6.18)
    """
    if not vma.flags & (vm.READ | vm.WRITE):
        return "EFAULT"
    write = vma.flags & (vm.WRITE | vm.SHARED) == vm.WRITE
    return (yield from get_user_pages(k, vma, start, end, write))


def get_user_pages(
    k: Kernel,
    vma: Vma,
    start: int,
    end: int,
    write: bool,
    remembers: bool = False,
    pins: list[tuple[int, Folio]] | None = None,
) -> Path[str | None]:
    """Look each page up and fault it in where it is missing. The caller holds mmap_lock.

    Args:
        remembers: a fault that has to be tried again knows that it was tried (FOLL_TRIED).
        pins: each page is pinned (FOLL_PIN), and (virtual page, folio) added here.
    Returns: EFAULT for the first page that could not be had.
    Kernel: mm/gup.c: __get_user_pages() (v6.18)
    """
    size = k.geometry.pmd_pages
    vpn = start
    while vpn < end:
        tried = False
        for _ in range(4):
            nr = yield from _follow_page(k, vma, vpn, end, write, pins)
            if nr:
                break
            failed = yield from handle_mm_fault(k, vma, vpn, write, tried=tried)
            tried = remembers and failed == RETRY
            if failed not in (None, RETRY):
                return "EFAULT"
        vpn = vpn + 1 if nr <= 1 else vpn - vpn % size + size
    return None


def _follow_page(
    k: Kernel, vma: Vma, vpn: int, end: int, write: bool, pins: list[tuple[int, Folio]] | None
) -> Path[int]:
    """How many pages the entry for ``vpn`` gives access to: 0, 1, or those of a PMD. A page to be written is dirtied.

    Kernel: mm/gup.c: follow_page_mask() (v6.18)
    """
    tree = vma.mm.tables
    pmd = tree.pmd_table(vpn)
    found = tree.pmd_entry(vpn)
    if pmd is None or found == pte.NONE:
        return 0
    if isinstance(found, PageTable):
        yield found.ptl.acquire("follow_page_pte")
        entry = found.entries[vpn % k.geometry.pmd_pages]
        usable = entry > 0 and (not write or bool(entry & pte.WRITE))
        if usable and write and not entry & pte.DIRTY:
            k.physmem.single_out(pte.pfn_of(entry)).mark_dirty()
        if usable and pins is not None:
            _grab(k.physmem.single_out(pte.pfn_of(entry)), vpn, 1, pins)
        yield found.ptl.release()
        return 1 if usable else 0
    yield pmd.lock.acquire("follow_pmd_mask")
    usable = found > 0 and (not write or bool(found & pte.WRITE))
    if usable:
        pmd.entries[tree.pmd_index(vpn)] = found | (pte.YOUNG | pte.DIRTY if write else pte.YOUNG)
        if pins is not None:
            size = k.geometry.pmd_pages
            _grab(k.physmem.single_out(pte.pfn_of(found)), vpn, min(end, vpn - vpn % size + size) - vpn, pins)
    yield pmd.lock.release()
    return k.geometry.pmd_pages if usable else 0


def _grab(folio: Folio, vpn: int, nr: int, pins: list[tuple[int, Folio]]) -> None:
    """Pin ``nr`` pages of a folio, the first of them mapped at ``vpn``.

    A reference a page; Linux takes 1024 for a page of a small folio, which has no counter of its own for pins.
    Kernel: mm/gup.c: try_grab_folio() (v6.18)
    """
    folio.ref += nr
    folio.pins += nr
    pins.extend((vpn + page, folio) for page in range(nr))

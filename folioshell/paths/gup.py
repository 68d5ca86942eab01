"""get_user_pages(): faulting pages in for system calls (MAP_POPULATE, mlock, MADV_POPULATE_*), and pinning them.

A pin holds a page for a device that reads or writes it without any page table. Rules:
- Pins are for writing. A long-term one (FOLL_LONGTERM) is refused where a file system tracks first writes. Linux also
  migrates pages out of ZONE_MOVABLE and CMA for it; the model has no zones, so every page may be pinned where it is.
- All or nothing: if fewer pages than wanted can be pinned, those are unpinned, as io_uring and vfio do.
- A pin belongs to the process that took it and is found by its address, which need not be mapped any more.

Kernel: mm/gup.c (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from folioshell.events import PINS, Held
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, rmap
from folioshell.paths.batch import small_pte_batch
from folioshell.paths.fault import equal_faults, handle_mm_fault
from folioshell.paths.vm_fault import RETRY, Fault, refault

#: flags of get_user_pages(): pages are to be written; a retried fault knows that it was tried; mmap_lock, which is held
#: for reading, may be dropped to wait; entries are accessed, and pages that are to be written are dirty at once
FOLL_WRITE, FOLL_TRIED, FOLL_UNLOCKABLE, FOLL_TOUCH = 1, 2, 4, 8

#: pages that were pinned: (virtual page, folio)
Pins = list[tuple[int, Folio]]


def mm_populate(k: Kernel, mm: Mm, start: int, end: int, ignore_errors: bool = True) -> Path[str | None]:
    """Fault in all VMAs of ``[start, end)``, private writable ones by writing.

    Returns: ENOMEM if a VMA cannot be read at all, unless errors are ignored.
    Kernel: mm/gup.c: __mm_populate() (v6.18)
    """
    yield mm.mmap_lock.acquire("__mm_populate", "R")
    error, position = None, start
    # By address: mmap_lock may have been dropped meanwhile.
    while position < end:
        vma = mm.vmas.find(position) or mm.vmas.next(position)
        if vma is None or vma.start >= end:
            break
        low, position = max(position, vma.start), min(end, vma.end)
        failed = yield from populate_vma_page_range(k, vma, low, position)
        if failed is not None and not ignore_errors:
            error = "ENOMEM" if failed == "EFAULT" else failed
            break
    yield mm.mmap_lock.release("R")
    return error


def populate_vma_page_range(
    k: Kernel, vma: Vma, start: int, end: int, flags: int = FOLL_UNLOCKABLE
) -> Path[str | None]:
    """Fault in ``[start, end)`` of a VMA: for writing if it is private and writable, which breaks COW.

    Args:
        flags: 0 if the caller holds mmap_lock for writing.
    Returns: EFAULT if a page could not be had.
    Kernel: mm/gup.c: populate_vma_page_range() (v6.18)
    """
    if not vma.flags & (vm.READ | vm.WRITE):
        return "EFAULT"
    # A shared mapping needs no copy, and a write would only make its pages dirty.
    write = vma.flags & (vm.WRITE | vm.SHARED) == vm.WRITE
    flags |= FOLL_TOUCH | (FOLL_WRITE if write else 0)
    return (yield from get_user_pages(k, vma, start, end, flags))


def get_user_pages(k: Kernel, vma: Vma, start: int, end: int, flags: int, pins: Pins | None = None) -> Path[str | None]:
    """Look each page up and fault it in where it is missing. The caller holds mmap_lock; it may be dropped meanwhile.

    Args:
        flags: FOLL_WRITE, FOLL_TRIED, FOLL_UNLOCKABLE and FOLL_TOUCH.
        pins: pin each page (FOLL_PIN), and add it here.
    Returns: EFAULT at the first page that could not be had.

    Pages in a row that are looked up, or faulted in, in the same way are handled as one, as by ``touch``.
    Kernel: mm/gup.c: __get_user_pages() (v6.18)
    """
    mm, write = vma.mm, bool(flags & FOLL_WRITE)
    needed = vm.WRITE if write else vm.READ | vm.WRITE
    vpn = start
    while vpn < end:
        tried, faults, times = False, 0, 1
        # One fault may not be enough (read, then copy), and the page may be gone again: look it up after each.
        while True:
            # While mmap_lock was dropped the page may have come to another VMA, or to none, or lost its permissions.
            found = mm.vmas.find(vpn)
            if found is None or not found.flags & needed:
                return "EFAULT"
            vma = found
            last = min(end, vma.end) if not faults else min(end, vma.end, vpn + times)
            times = _alike(k, vma, vpn, last, write)
            nr = yield from _follow_page(k, vma, vpn, end, flags, pins, times)
            if nr:
                break
            faults = refault(mm, vpn, faults)
            # A fault that may not drop mmap_lock waits with it held, as one that was tried before (FAULT_FLAG_TRIED).
            waits = tried or not flags & FOLL_UNLOCKABLE
            failed = yield from handle_mm_fault(k, Fault(vma, vpn, write, tried=waits, times=times))
            # populate_vma_page_range() calls __get_user_pages() itself, which forgets a retry; pin_user_pages() and
            # MADV_POPULATE_* go through __get_user_pages_locked(), which repeats the page with FOLL_TRIED.
            tried = bool(flags & FOLL_TRIED) and failed == RETRY
            if failed == RETRY:
                yield mm.mmap_lock.acquire("__get_user_pages_locked" if tried else "__mm_populate", "R")
            elif failed is not None:
                return "EFAULT"
        vpn += nr
    return None


def _alike(k: Kernel, vma: Vma, vpn: int, end: int, write: bool) -> int:
    """Number of pages from ``vpn`` on, below ``end``, that one PTE table maps alike: usable, or to be faulted in alike.

    1 where there is no PTE table or no anon_vma yet, which are allocated by the first fault.
    """
    tree = vma.mm.tables
    table = tree.pmd_entry(vpn)
    if not k.batches or not isinstance(table, PageTable):
        return 1
    index = vpn & tree.last
    entry = table.entries[index]
    if not _is_usable(entry, write):
        is_prepared = vma.anon_vma is not None or not write or bool(vma.flags & vm.SHARED)
        return equal_faults(k, vma.mm, vpn, end, write) if entry >= 0 and is_prepared else 1
    return _nr_usable(table.entries[index : index + end - vpn], write)


def _is_usable(entry: int, write: bool) -> bool:
    return entry > 0 and (not write or bool(entry & pte.WRITE))


def _nr_usable(entries: Sequence[int], write: bool) -> int:
    """Number of entries, from the first on, that give access."""
    for nr, entry in enumerate(entries):
        if entry <= 0 or (write and not entry & pte.WRITE):
            return nr
    return len(entries)


def _follow_page(k: Kernel, vma: Vma, vpn: int, end: int, flags: int, pins: Pins | None, times: int = 1) -> Path[int]:
    """Number of pages from ``vpn`` on that entries give access to, 0 if none.

    Args:
        times: number of pages that PTEs map alike, which are looked up one by one.
    Kernel: mm/gup.c: follow_page_mask() (v6.18)
    """
    tree, size, write = vma.mm.tables, k.geometry.pmd_pages, bool(flags & FOLL_WRITE)
    pmd = tree.pmd_table(vpn)
    found = tree.pmd_entry(vpn)
    if pmd is None or found == pte.NONE:
        return 0
    if isinstance(found, PageTable):
        yield found.ptl.acquire("follow_page_pte", times=times)
        usable = _is_usable(found.entries[vpn % size], write)
        if usable and write:
            _touch(k, found, vpn, times, flags, pins)
        yield found.ptl.release(times=times)
        return times if usable else 0
    yield pmd.lock.acquire("follow_pmd_mask")
    # MADV_DONTNEED and reclaim hold mmap_lock for reading, too, or not at all: they may have split the entry since.
    if pmd.entries.get(tree.pmd_index(vpn)) != found:
        yield pmd.lock.release()
        return 0
    usable = found > 0 and (not write or bool(found & pte.WRITE))
    if usable:
        if flags & FOLL_TOUCH:
            pmd.entries[tree.pmd_index(vpn)] = found | (pte.YOUNG | pte.DIRTY if write else pte.YOUNG)
        if pins is not None:
            _grab(k.physmem.single_out(pte.pfn_of(found)), vpn, min(end, vpn - vpn % size + size) - vpn, pins)
    yield pmd.lock.release()
    return size - vpn % size if usable else 0


def _touch(k: Kernel, table: PageTable, vpn: int, nr: int, flags: int, pins: Pins | None) -> None:
    """Note that ``nr`` pages of writable entries, from ``vpn`` on, will be written to; pin them. Under the PTL.

    Kernel: mm/gup.c: follow_page_pte() (v6.18)
    """
    index = vpn % k.geometry.pmd_pages
    end = index + nr
    while index < end:
        entry = table.entries[index]
        # The caller writes to the page without this entry, so no CPU will set the entry's dirty bit.
        dirties = bool(flags & FOLL_TOUCH) and not entry & pte.DIRTY
        if not dirties and pins is None:
            index, vpn = index + 1, vpn + 1
            continue
        pfn = pte.pfn_of(entry)
        for folio in k.physmem.single_out_all(pfn, small_pte_batch(table, index, end, k.physmem.at(pfn))):
            if dirties:
                folio.mark_dirty()
            # Under the PTL, or the page could be unmapped and freed between looking and pinning.
            if pins is not None:
                _grab(folio, vpn, 1, pins)
            index, vpn = index + 1, vpn + 1


def _grab(folio: Folio, vpn: int, nr: int, pins: Pins) -> None:
    """Pin ``nr`` pages of a folio, the first of them mapped at ``vpn``.

    A reference a page; Linux takes 1024 for a page of a small folio, which has no counter of its own for pins.
    Kernel: mm/gup.c: try_grab_folio() (v6.18)
    """
    folio.ref += nr
    folio.pins += nr
    pins += [(vpn + page, folio) for page in range(nr)]


def do_pin(k: Kernel, mm: Mm, start: int, nr: int, longterm: bool = False) -> Path[str | None]:
    """Pin the pages ``[start, start + nr)`` for writing; they are faulted in by writing, which breaks COW.

    Args:
        longterm: for as long as user space likes, as RDMA and io_uring buffers are (FOLL_LONGTERM).
    Returns: EFAULT if there is a hole, a VMA that may not be written or pinned so long, or a page that could not be
        had.
    Kernel: mm/gup.c: pin_user_pages() (v6.18)
    """
    # Set before the first pin and never cleared: fork() tests it first, and must not miss a pin.
    mm.has_pinned = True
    pins: Pins = []
    yield mm.mmap_lock.acquire("pin_user_pages", "R")
    failed = yield from _pin_range(k, mm, start, start + nr, pins, longterm)
    yield mm.mmap_lock.release("R")
    if pins:
        k.count("nr_foll_pin_acquired", len(pins))
    if failed is None:
        yield from _announce([folio for _, folio in pins], 1)
    # Without mmap_lock: dropping the last reference may free the folio.
    for vpn, folio in pins:
        if failed is None:
            mm.pins.setdefault(vpn, []).append(folio)
        else:
            yield from _unpin(k, folio)
    return failed


def _pin_range(k: Kernel, mm: Mm, start: int, end: int, pins: Pins, longterm: bool) -> Path[str | None]:
    """Pin up to ``end``, or to the first page that cannot be.

    Kernel: mm/gup.c: check_vma_flags(), writable_file_mapping_allowed(), gup_fast_fallback() (v6.18)
    """
    vpn, usable = start, _writable_at_once(mm, start, end) if k.release.pins_fast else end
    while vpn < end:
        vma = mm.vmas.find(vpn)
        if vma is None or not vma.flags & vm.WRITE:
            return "EFAULT"
        # Writeback write-protects and cleans a shared page, but a device keeps writing to it, and the file system is
        # not notified. A long-term pin would make that the rule.
        if longterm and vma.flags & vm.SHARED and vma.file is not None and vma.file.needs_mkwrite:
            return "EFAULT"
        high = min(vma.end, usable if vpn < usable else end)
        # What its driver writes, it marks dirty when it unpins. Only the slow part of a fast call touches pages.
        touch = FOLL_TOUCH if vpn >= usable else 0
        failed = yield from get_user_pages(k, vma, vpn, high, FOLL_WRITE | FOLL_TRIED | FOLL_UNLOCKABLE | touch, pins)
        if failed is not None:
            return failed
        vpn = high
    return None


def _writable_at_once(mm: Mm, start: int, end: int) -> int:
    """The first page of ``[start, end)`` that no entry maps for writing: up to there no lock is needed.

    In Linux this walk pins what it finds, with interrupts off; in the model the pages are pinned under the usual locks.
    Kernel: mm/gup.c: gup_fast() (v6.18)
    """
    tree, vpn = mm.tables, start
    while vpn < end:
        index = vpn & tree.last
        most = min(end - vpn, tree.last + 1 - index)
        found = tree.pmd_entry(vpn)
        entries = found.entries[index : index + most] if isinstance(found, PageTable) else [found] * most
        nr = _nr_usable(entries, write=True)
        vpn += nr
        if nr < most:
            return vpn
    return end


def do_unpin(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Drop the most recent pin of each page ``[start, start + nr)``, by the addresses at which they were pinned.

    Returns: EINVAL if one of them is not pinned; then all stay.
    Kernel: mm/gup.c: unpin_user_pages() (v6.18)
    """
    pages = range(start, start + nr)
    if not all(vpn in mm.pins for vpn in pages):
        return "EINVAL"
    yield from _announce([mm.pins[vpn][-1] for vpn in pages], -1)
    for vpn in pages:
        held = mm.pins[vpn]
        folio = held.pop()
        if not held:
            del mm.pins[vpn]
        yield from _unpin(k, folio)
    return None


def _announce(folios: Sequence[Folio], sign: int) -> Path[None]:
    """The events of pages that were pinned or are to be unpinned: folios with as many of them together."""
    pinned = [(number, len([*pages])) for number, pages in groupby(sorted([folio.id for folio in folios]))]
    # Made before the first is announced: a path that is stopped there must hold nothing that cannot be copied.
    events = [
        Held(tuple([number for number, _ in alike]), sign * nr, PINS)
        for nr, alike in groupby(pinned, key=itemgetter(1))
    ]
    yield from events


def release_all(k: Kernel, mm: Mm) -> Path[None]:
    """Drop all pins of a process, ascending by address."""
    yield from _announce([folio for held in mm.pins.values() for folio in held], -1)
    for vpn in sorted(mm.pins):
        for folio in mm.pins.pop(vpn):
            yield from _unpin(k, folio)


def _unpin(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/gup.c: gup_put_folio() (v6.18)"""
    k.count("nr_foll_pin_released")
    folio.pins -= 1
    yield from rmap.put(k, folio)

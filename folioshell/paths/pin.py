"""Pins: pages held for a device that reads or writes them bypassing page tables and mapcounts.

Rules:
- A pin is for writing, and not for long (no FOLL_LONGTERM): shared pages of files can be had, nothing is migrated
  before.
- All or nothing: if fewer pages than requested could be pinned, those are unpinned, as in io_uring and vfio.
- A pin belongs to the process that made it and is found again by the address, which need not be mapped any more.

Kernel: mm/gup.c: pin_user_pages() (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths import rmap
from folioshell.paths.populate import get_user_pages
from folioshell.paths.step import Path


def do_pin(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Pin the pages ``[start, start + nr)`` for writing; they are faulted in by writing, which breaks COW.

    Returns: EFAULT if there is a hole, a VMA that may not be written, or a page that could not be had.
    Kernel: mm/gup.c: pin_user_pages() (v6.18)
    """
    mm.has_pinned = True
    pins: list[tuple[int, Folio]] = []
    yield mm.mmap_lock.acquire("pin_user_pages", "R")
    failed = yield from _pin_range(k, mm, start, start + nr, pins)
    yield mm.mmap_lock.release("R")
    if pins:
        k.count("nr_foll_pin_acquired", len(pins))
    for vpn, folio in pins:
        if failed is None:
            mm.pins.setdefault(vpn, []).append(folio)
        else:
            yield from _unpin(k, folio)
    return failed


def _pin_range(k: Kernel, mm: Mm, start: int, end: int, pins: list[tuple[int, Folio]]) -> Path[str | None]:
    """Pin up to ``end``, or to the first page that cannot be.

    Kernel: mm/gup.c: check_vma_flags() (v6.18)
    """
    vpn = start
    while vpn < end:
        vma = mm.vmas.find(vpn)
        if vma is None or not vma.flags & vm.WRITE:
            return "EFAULT"
        high = min(end, vma.end)
        failed = yield from get_user_pages(k, vma, vpn, high, write=True, remembers=True, pins=pins)
        if failed is not None:
            return failed
        vpn = high
    return None


def do_unpin(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Drop the most recent pin of each page ``[start, start + nr)``, by the addresses at which they were pinned.

    Returns: EINVAL if one of them is not pinned; then all stay.
    Kernel: mm/gup.c: unpin_user_pages() (v6.18)
    """
    pages = range(start, start + nr)
    if not all(vpn in mm.pins for vpn in pages):
        return "EINVAL"
    for vpn in pages:
        held = mm.pins[vpn]
        folio = held.pop()
        if not held:
            del mm.pins[vpn]
        yield from _unpin(k, folio)
    return None


def release_all(k: Kernel, mm: Mm) -> Path[None]:
    """Drop all pins of a process, in order of addresses."""
    for vpn in sorted(mm.pins):
        for folio in mm.pins.pop(vpn):
            yield from _unpin(k, folio)


def _unpin(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/gup.c: gup_put_folio() (v6.18)"""
    k.count("nr_foll_pin_released")
    folio.pins -= 1
    yield from rmap.put(k, folio)

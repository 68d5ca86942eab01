"""munmap.

Kernel: mm/vma.c: do_vmi_align_munmap() (v6.18)
"""

from __future__ import annotations

from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths import tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.step import Path
from folioshell.paths.zap import zap_range


def do_munmap(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Unmap ``[start, start + nr)``; holes in it do not matter.

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
    """Unmap ``[start, end)`` under mmap_lock held for write.

    Args:
        downgrade: let others read while pages are zapped, once the VMAs are out of reach.
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
    for vma in victims:
        yield from vma_paths.start_write(vma)
        mm.vmas.remove(vma)
    if downgrade:
        yield mm.write_downgrade()
    for vma in victims:
        yield from zap_range(k, vma, vma.start, vma.end)
    for vma in victims:
        yield from vma_paths.unlink_rmap(k, vma)
    before, after = mm.vmas.prev(victims[0].start), mm.vmas.next(victims[-1].end)
    floor = before.end if before is not None else 0
    ceiling = after.start if after is not None else 0
    yield from tables.free_pgtables(mm, victims[0].start, victims[-1].end, floor, ceiling)
    return "R" if downgrade else "W"

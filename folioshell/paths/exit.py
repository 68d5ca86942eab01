"""exit: an address space is torn down.

Kernel: mm/mmap.c: exit_mmap() (v6.18)
"""

from __future__ import annotations

from folioshell.events import MmGone
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths import pin, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.step import Path
from folioshell.paths.zap import zap_range


def do_exit(k: Kernel, mm: Mm) -> Path[None]:
    """Unmap everything of a process and forget it."""
    yield mm.mmap_lock.acquire("exit_mmap", "R")
    vmas = list(mm.vmas)
    for vma in vmas:
        yield from zap_range(k, vma, vma.start, vma.end)
    yield mm.mmap_lock.release("R")
    yield mm.mmap_lock.acquire("exit_mmap", "W")
    for vma in vmas:
        yield from vma_paths.unlink_rmap(k, vma)
        mm.vmas.remove(vma)
    if vmas:
        yield from tables.free_pgtables(mm, vmas[0].start, vmas[-1].end, 0, 0)
    yield mm.write_unlock()
    del k.mms[mm.name]
    # Who pinned for the process lets go when its files are closed, which is after its memory went.
    yield from pin.release_all(k, mm)
    yield MmGone(mm.mm_id)

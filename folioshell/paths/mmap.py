"""mmap.

Kernel: mm/mmap.c: do_mmap() (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Mm
from folioshell.paths import vma as vma_paths
from folioshell.paths.munmap import unmap_locked
from folioshell.paths.populate import mm_populate
from folioshell.paths.step import Path

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
        kind: ``anon`` (private anonymous), ``shared`` (of ``file``, else anonymous) or ``private`` (of ``file``).
        prot: ``r``, ``rw`` or ``none``.
        pgoff: page offset in the file.
        populate: fault all of it in afterwards (MAP_POPULATE).
        fixed: what is mapped there is unmapped first (MAP_FIXED); else it is EEXIST (MAP_FIXED_NOREPLACE).
        name: what shared anonymous memory is called.
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
    if file is None:
        pgoff = start
    vma = yield from vma_paths.merge_new(k, mm, start, end, flags, pgoff, file)
    if vma is None:
        vma = k.new_vma(mm, start, end, flags, pgoff, file)
        yield from vma_paths.start_write(vma)
        yield from vma_paths.insert(k, vma)
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

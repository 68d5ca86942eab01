"""madvise: which advice does what, under which lock.

Kernel: mm/madvise.c: do_madvise() (v6.18)
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from folioshell.model import vm
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, Step, guard_regions, gup, khugepaged, madvise_hints, truncate
from folioshell.paths import vma as vma_paths
from folioshell.paths.zap import ZapDetails, zap_range

#: advice -> what it does, in a line
ADVICES = {
    "cold": "deactivate; a partially covered large folio is split first",
    "pageout": "reclaim now what no other process maps",
    "free": "discard the contents under memory pressure (lazyfree)",
    "dontneed": "unmap the pages; private contents are lost",
    "willneed": "read ahead; maps nothing",
    "remove": "punch a hole into the file or shared memory",
    "hugepage": "allow huge pages",
    "nohugepage": "forbid huge pages",
    "collapse": "copy into a new huge page now",
    "populate_read": "fault in for reading",
    "populate_write": "fault in for writing",
    "dontfork": "do not copy to children",
    "dofork": "undo dontfork",
    "wipeonfork": "wipe in child",
    "keeponfork": "undo wipeonfork",
    "guard_install": "make every access raise SIGSEGV; what is mapped is zapped",
    "guard_remove": "undo guard_install",
}

_FLAG_ADVICE = {
    "dontfork": (vm.DONTCOPY, 0),
    "dofork": (0, vm.DONTCOPY),
    "wipeonfork": (vm.WIPEONFORK, 0),
    "keeponfork": (0, vm.WIPEONFORK),
    "hugepage": (vm.HUGEPAGE, vm.NOHUGEPAGE),
    "nohugepage": (vm.NOHUGEPAGE, vm.HUGEPAGE),
}

_Behaviour = Callable[[Kernel, Vma, int, int], Generator[Step, Any, str | None]]


def do_madvise(k: Kernel, mm: Mm, start: int, nr: int, advice: str) -> Path[str | None]:
    """Give advice on ``[start, start + nr)``.

    Returns: ENOMEM for a hole, after the advice was given to the mapped parts; or the errno of the advice. After
        ERESTARTNOINTR Linux makes the same call once more; here that is a command of its own.
    """
    if nr == 0:
        return None
    if not _is_known(k, advice):
        return "EINVAL"
    if advice == "collapse":
        return (yield from _locked(mm, "R", _walk_vmas(k, mm, start, start + nr, khugepaged.madvise_collapse)))
    if advice in ("populate_read", "populate_write"):
        write = advice == "populate_write"
        path = _populate(k, mm, start, start + nr, write)
        if not k.release.populate_stops_at_hole:
            path = _walk_vmas(
                k, mm, start, start + nr, lambda k, vma, low, high: _populate(k, vma.mm, low, high, write)
            )
        return (yield from _locked(mm, "R", path))
    if advice in _FLAG_ADVICE:
        return (yield from _locked(mm, "W", _walk_vmas(k, mm, start, start + nr, _flags_behaviour(advice))))
    return (yield from _advise(k, mm, start, start + nr, advice))


def _is_known(k: Kernel, advice: str) -> bool:
    """Kernel: mm/madvise.c: madvise_behavior_valid() (v6.18)"""
    if advice == "collapse":
        return k.release.has_collapse
    if advice.startswith("populate"):
        return k.release.has_populate
    return k.release.has_guard_regions or not advice.startswith("guard")


def _advise(k: Kernel, mm: Mm, start: int, end: int, advice: str) -> Path[str | None]:
    """Give advice that changes no flags: under the lock of a VMA if that will do, else under mmap_lock.

    Kernel: mm/madvise.c: get_lock_mode(), try_vma_read_lock() (v6.18)
    """
    behaviour = _BEHAVIOURS[advice]
    by_vma_lock = advice in ("dontneed", "free") and k.release.madvise_by_vma_lock
    if advice.startswith("guard"):
        by_vma_lock = k.release.guards_by_vma_lock
    vma = mm.vmas.find(start) if by_vma_lock else None
    if vma is not None and end <= vma.end and not (yield vma.lock.trylock("madvise_lock", "R")):
        # If a writer changed the VMA meanwhile, mmap_lock is taken instead; as it is to prepare an anon_vma.
        usable = mm.is_readable(vma, start) and end <= vma.end
        if advice == "guard_install" and vma.is_anonymous and vma.anon_vma is None:
            usable = False
        error = (yield from behaviour(k, vma, start, end)) if usable else None
        yield vma.lock.release("R")
        if usable:
            return error
    return (yield from _locked(mm, "R", _walk_vmas(k, mm, start, end, behaviour)))


def _locked(mm: Mm, mode: str, path: Generator[Step, Any, str | None]) -> Path[str | None]:
    yield mm.mmap_lock.acquire("madvise_lock", mode)
    error = yield from path
    yield mm.mmap_lock.release("R") if mode == "R" else mm.write_unlock()
    return error


def _walk_vmas(k: Kernel, mm: Mm, start: int, end: int, behaviour: _Behaviour) -> Path[str | None]:
    """Kernel: mm/madvise.c: madvise_walk_vmas() (v6.18)"""
    # A hole is an error in the end, but does not stop the advice.
    unmapped = None
    position = start
    while position < end:
        vma = mm.vmas.find(position)
        if vma is None:
            unmapped = "ENOMEM"
            vma = mm.vmas.next(position)
            if vma is None or vma.start >= end:
                return unmapped
            position = vma.start
        stop = min(end, vma.end)
        error = yield from behaviour(k, vma, position, stop)
        if error is not None:
            return error
        # The advice may have split or merged VMAs: continue by address.
        position = stop
    return unmapped


def _flags_behaviour(advice: str) -> _Behaviour:
    on, off = _FLAG_ADVICE[advice]

    def behaviour(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
        if advice == "wipeonfork" and (vma.file is not None or vma.flags & vm.SHARED):
            return "EINVAL"
        flags = vma.flags & ~off | on
        if flags != vma.flags:
            vma, flags = yield from vma_paths.modify_flags(k, vma, start, end, flags)
            yield from vma_paths.start_write(vma)
            vma.flags = flags
        return None

    return behaviour


def _dontneed(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Kernel: mm/madvise.c: madvise_dontneed_single_vma() (v6.18)"""
    if vma.flags & vm.LOCKED:
        return "EINVAL"
    yield from zap_range(k, vma, start, end, ZapDetails(reclaim_pt=k.release.frees_empty_pte_tables))
    return None


def _willneed(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Kernel: mm/madvise.c: madvise_willneed() (v6.18)"""
    if vma.file is None:
        return None if k.config.swap else "EBADF"
    yield from ()
    return None


def _populate(k: Kernel, mm: Mm, start: int, end: int, write: bool) -> Path[str | None]:
    """Kernel: mm/madvise.c: madvise_populate() (v6.18)"""
    flags = gup.FOLL_UNLOCKABLE | gup.FOLL_TRIED | gup.FOLL_TOUCH | (gup.FOLL_WRITE if write else 0)
    for vma, low, high in mm.vmas.parts(start, end):
        if vma is None:
            return "ENOMEM"
        if not vma.flags & (vm.WRITE if write else vm.READ):
            return "EINVAL" if write or not vma.flags & vm.WRITE else None
        error = yield from gup.get_user_pages(k, vma, low, high, flags)
        if error is not None:
            return error
    return None


_BEHAVIOURS: dict[str, _Behaviour] = {
    "cold": madvise_hints.madvise_cold,
    "pageout": madvise_hints.madvise_pageout,
    "free": madvise_hints.madvise_free,
    "dontneed": _dontneed,
    "willneed": _willneed,
    "remove": truncate.madvise_remove,
    "guard_install": guard_regions.guard_install,
    "guard_remove": guard_regions.guard_remove,
}

"""anon_vma: prepared at the first anonymous fault, cloned when VMAs are split or copied, unlinked with them.

Kernel: mm/rmap.c (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AnonVma
from folioshell.model.vm import Vma
from folioshell.paths import Path

#: flags in which VMAs that share an anon_vma may differ
_IGNORED_FLAGS = vm.READ | vm.WRITE | vm.MAYBE_GUARD


def link(vma: Vma, anon_vma: AnonVma) -> None:
    """Put a VMA into the tree of an anon_vma.

    Kernel: mm/rmap.c: anon_vma_chain_link() (v6.18)
    """
    vma.chain.append(anon_vma)
    anon_vma.tree.insert(vma)


def _find_mergeable(vma: Vma) -> AnonVma | None:
    """The anon_vma of a neighbor that this VMA may share, so that the two can be merged later.

    Kernel: mm/vma.c: find_mergeable_anon_vma() (v6.18)
    """
    # The next VMA first: the one that is found decides which two can merge.
    after = vma.mm.vmas.next(vma.end)
    if after is not None and _is_reusable(vma, after, after):
        return after.anon_vma
    before = vma.mm.vmas.prev(vma.start)
    if before is not None and _is_reusable(before, vma, before):
        return before.anon_vma
    return None


def _is_reusable(left: Vma, right: Vma, owner: Vma) -> bool:
    # Read and write access may differ, since mprotect() can make the VMAs equal later. A neighbor with several
    # anon_vmas (after a fork) is refused: VMAs whose chains differ do not merge, so sharing would gain nothing.
    return (
        left.end == right.start
        and left.file is right.file
        and not (left.flags ^ right.flags) & ~_IGNORED_FLAGS
        and left.pgoff_of(right.start) == right.pgoff
        and left.anon_pgoff_of(right.start) == right.anon_pgoff
        and owner.anon_vma is not None
        and len(owner.chain) == 1
    )


def prepare(k: Kernel, vma: Vma) -> Path[None]:
    """Give a VMA an anon_vma before its first anonymous folio. The caller holds mmap_lock.

    Kernel: mm/rmap.c: __anon_vma_prepare() (v6.18)
    """
    anon_vma = _find_mergeable(vma)
    fresh = anon_vma is None
    if anon_vma is None:
        anon_vma = k.new_anon_vma()
        anon_vma.children = 1  # its own parent
    # A neighbor's anon_vma is in use, so its tree must be locked. mmap_lock is held for reading only: another thread
    # may prepare the same VMA, and page_table_lock decides which one is first.
    yield anon_vma.rwsem.acquire("__anon_vma_prepare", "W")
    yield vma.mm.page_table_lock.acquire("__anon_vma_prepare")
    if vma.anon_vma is None:
        vma.anon_vma = anon_vma
        link(vma, anon_vma)
        anon_vma.active_vmas += 1
    # The other thread was first: what this one allocated is freed.
    elif fresh:
        anon_vma.children = 0
    yield vma.mm.page_table_lock.release()
    yield anon_vma.rwsem.release("W")


def clone(k: Kernel, dst: Vma, src: Vma) -> Path[AnonVma | None]:
    """Link ``dst`` to every anon_vma of ``src``. On fork (``dst`` has no anon_vma yet) one of them may be reused.

    Returns: the anon_vma of ``dst``.

    Kernel: mm/rmap.c: anon_vma_clone() (v6.18)
    """
    if src.chain:
        # All anon_vmas of a chain have the same root, whose rwsem is the lock of each.
        rwsem = src.chain[0].rwsem
        yield rwsem.acquire("anon_vma_clone", "W")
        newest_first = k.release.clones_newest_first
        for anon_vma in reversed(src.chain) if newest_first else src.chain:
            link(dst, anon_vma)
            # Left over from a process that is gone: reused, or chains would grow with every generation of a process
            # that forks and exits. Never the root: it is its own child, and has a second one by now.
            if (
                dst.anon_vma is None
                and src.anon_vma is not None
                and anon_vma.children < 2
                and anon_vma.active_vmas == 0
            ):
                dst.anon_vma = anon_vma
        # Under the lock, or another fork could take the same one for unused.
        if dst.anon_vma is not None:
            dst.anon_vma.active_vmas += 1
        yield rwsem.release("W")
    return dst.anon_vma


def fork(k: Kernel, child: Vma, parent: Vma) -> Path[None]:
    """Link a child's VMA to the parent's anon_vmas, and give it an anon_vma for its own folios.

    Kernel: mm/rmap.c: anon_vma_fork() (v6.18)
    """
    if parent.anon_vma is None:
        return
    child.anon_vma = None
    # The parent's first, so that an rmap walk finds the child as soon as it maps a folio of the parent's. Folios that
    # the child allocates go to its own anon_vma: a walk for one of those need not visit the parent or its other
    # children.
    adopted = yield from clone(k, child, parent)
    if adopted is not None:
        return
    anon_vma = k.new_anon_vma(parent.anon_vma)
    yield anon_vma.rwsem.acquire("anon_vma_fork", "W")
    child.anon_vma = anon_vma
    anon_vma.active_vmas = 1
    link(child, anon_vma)
    parent.anon_vma.children += 1
    yield anon_vma.rwsem.release("W")


def unlink(vma: Vma) -> Path[None]:
    """Take a VMA out of all its anon_vma trees, newest first.

    Kernel: mm/rmap.c: unlink_anon_vmas() (v6.18)
    """
    if not vma.chain:
        return
    rwsem = vma.chain[0].rwsem
    yield rwsem.acquire("unlink_anon_vmas", "W")
    for anon_vma in reversed(vma.chain):
        anon_vma.tree.remove(vma)
        # Without VMAs it is freed, so it no longer counts as a child; its parent may now be reused by the next fork.
        if not len(anon_vma.tree):
            anon_vma.parent.children -= 1
    if vma.anon_vma is not None:
        vma.anon_vma.active_vmas -= 1
    vma.chain = []
    vma.anon_vma = None
    yield rwsem.release("W")

"""What anonymous folios point to, and from which their VMAs are found."""

from __future__ import annotations

from folioshell.model.interval_index import IntervalIndex
from folioshell.model.lock import Lock, LockClass


class AnonVma:
    """What the anonymous folios of a family of VMAs point to (``av1``).

    Attributes:
        id: number that it prints with.
        root: the oldest ancestor; its lock serves the whole family.
        parent: the anon_vma that it was forked from; itself for a root.
        children: anon_vmas that were forked from it and are alive.
        active_vmas: VMAs whose anon_vma this is.
        rwsem: the lock that is really taken: that of the root.
        tree: all VMAs that may map its folios, those of descendants included.
    Kernel: include/linux/rmap.h: struct anon_vma (v6.18)
    """

    __slots__ = ("active_vmas", "children", "id", "parent", "root", "rwsem", "tree")

    def __init__(self, number: int, parent: AnonVma | None = None) -> None:
        self.id = number
        self.parent = parent or self
        self.root: AnonVma = parent.root if parent else self
        self.children = 0
        self.active_vmas = 0
        self.tree = IntervalIndex()
        self.rwsem: Lock = parent.rwsem if parent else Lock(LockClass.AVR, f"av{number}")

    def __str__(self) -> str:
        return f"av{self.id}"

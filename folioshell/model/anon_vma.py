"""The ways from a folio to the VMAs that may map it: interval indexes of anon_vma and of a file's i_mmap."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import TYPE_CHECKING

from folioshell.model.lock import Lock, LockClass

if TYPE_CHECKING:
    from folioshell.model.vma import Vma


class IntervalIndex:
    """VMAs by the page offsets ``[pgoff, pgoff + pages)`` that they map, ascending by pgoff, equal ones as inserted.

    The key of a VMA is read when it goes in: whoever changes start, end or pgoff takes it out before and puts it back
    after, as vma_prepare() and vma_complete() do.
    Kernel: mm/interval_tree.c: vma_interval_tree_insert() (v6.18)
    """

    __slots__ = ("_longest", "_starts", "_vmas")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._vmas: list[Vma] = []
        self._longest = 0

    def __len__(self) -> int:
        return len(self._vmas)

    def __iter__(self) -> Iterator[Vma]:
        return iter(self._vmas)

    def insert(self, vma: Vma) -> None:
        """Add a VMA behind those of the same pgoff."""
        self._insert(bisect_right(self._starts, vma.pgoff), vma)

    def insert_after(self, vma: Vma, previous: Vma) -> None:
        """Add a VMA directly behind ``previous``, which has the same pgoff: how fork adds a child's file VMA.

        Kernel: mm/interval_tree.c: vma_interval_tree_insert_after() (v6.18)
        """
        self._insert(self._position(previous) + 1, vma)

    def _insert(self, position: int, vma: Vma) -> None:
        self._starts.insert(position, vma.pgoff)
        self._vmas.insert(position, vma)
        self._longest = max(self._longest, vma.end - vma.start)

    def remove(self, vma: Vma) -> None:
        """Take a VMA out; its key must be what it was when it went in."""
        position = self._position(vma)
        del self._starts[position]
        del self._vmas[position]

    def _position(self, vma: Vma) -> int:
        position = bisect_left(self._starts, vma.pgoff)
        while self._vmas[position] is not vma:
            position += 1
        return position

    def overlapping(self, first: int, last: int) -> list[Vma]:
        """VMAs that map any page offset of ``[first, last]``, in tree order."""
        low = bisect_left(self._starts, first - self._longest + 1)
        high = bisect_right(self._starts, last)
        return [vma for vma in self._vmas[low:high] if vma.pgoff + vma.end - vma.start > first]


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

"""VMAs by the page offsets that they map: the trees of an anon_vma and of a file's i_mmap."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from folioshell.model.vma import Vma


#: VMAs in a chunk of an interval index when it is cut in two
_CHUNK = 64

_pgoff = attrgetter("pgoff")


def _end(vma: Vma) -> int:
    """First page offset behind those that a VMA maps."""
    return vma.pgoff + vma.end - vma.start


class _Chunk:
    """A stretch of an interval index: VMAs in tree order, never none.

    Attributes:
        vmas: at most twice _CHUNK.
        pgoff: page offset of the first VMA.
        end: highest page offset behind one of them.
    """

    __slots__ = ("end", "pgoff", "vmas")

    def __init__(self, vmas: list[Vma]) -> None:
        self.vmas = vmas
        self.measure()

    def measure(self) -> None:
        """Note where its VMAs begin and end."""
        self.pgoff = self.vmas[0].pgoff
        self.end = max([vma.pgoff + vma.end - vma.start for vma in self.vmas])


class IntervalIndex:
    """VMAs by the page offsets ``[pgoff, pgoff + pages)`` that they map, ascending by pgoff, equal ones as inserted.

    The key of a VMA is read when it goes in: whoever changes start, end or pgoff takes it out before and puts it back
    after, as vma_prepare() and vma_complete() do. Ten thousand VMAs of one pgoff (a fork server's) and ten thousand
    beside a long one are both common, so VMAs stand in chunks that know how far they reach, and each knows its chunk.
    Kernel: mm/interval_tree.c: vma_interval_tree_insert() (v6.18)
    """

    # Keys of states name a chunk by the last attribute that leads to it: its place among the others, not a VMA in it.
    __slots__ = ("_chunk_of", "_chunks")

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._chunk_of: dict[int, _Chunk] = {}

    def __len__(self) -> int:
        return len(self._chunk_of)

    def __iter__(self) -> Iterator[Vma]:
        return (vma for chunk in self._chunks for vma in chunk.vmas)

    def insert(self, vma: Vma) -> None:
        """Add a VMA behind those of the same pgoff."""
        if self._chunks:
            place = bisect_right(self._chunks, vma.pgoff, key=_pgoff)
            chunk = self._chunks[max(place - 1, 0)]
            self._insert(chunk, bisect_right(chunk.vmas, vma.pgoff, key=_pgoff), vma)
        else:
            self._chunk_of[vma.id] = chunk = _Chunk([vma])
            self._chunks.append(chunk)

    def insert_after(self, vma: Vma, previous: Vma) -> None:
        """Add a VMA directly behind ``previous``, which has the same pgoff: how fork adds a child's file VMA.

        Kernel: mm/interval_tree.c: vma_interval_tree_insert_after() (v6.18)
        """
        chunk = self._chunk_of[previous.id]
        self._insert(chunk, chunk.vmas.index(previous) + 1, vma)

    def _insert(self, chunk: _Chunk, position: int, vma: Vma) -> None:
        vmas = chunk.vmas
        vmas.insert(position, vma)
        self._chunk_of[vma.id] = chunk
        chunk.pgoff = vmas[0].pgoff
        chunk.end = max(chunk.end, _end(vma))
        if len(vmas) > 2 * _CHUNK:
            behind = _Chunk(vmas[_CHUNK:])
            del vmas[_CHUNK:]
            chunk.measure()
            self._chunks.insert(self._chunks.index(chunk) + 1, behind)
            self._chunk_of.update((moved.id, behind) for moved in behind.vmas)

    def remove(self, vma: Vma) -> None:
        """Take a VMA out; its key must be what it was when it went in."""
        chunk = self._chunk_of.pop(vma.id)
        chunk.vmas.remove(vma)
        if not chunk.vmas:
            self._chunks.remove(chunk)
        elif vma.pgoff == chunk.pgoff or _end(vma) == chunk.end:
            chunk.measure()

    def overlapping(self, first: int, last: int) -> list[Vma]:
        """VMAs that map any page offset of ``[first, last]``, in tree order."""
        near = self._chunks[: bisect_right(self._chunks, last, key=_pgoff)]
        return [
            vma for chunk in near if chunk.end > first for vma in chunk.vmas if vma.pgoff <= last and _end(vma) > first
        ]

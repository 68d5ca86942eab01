"""What a folio's ``mapping`` points to: an anon_vma or an address space, each with the tree of its VMAs.

Kernel: include/linux/rmap.h: struct anon_vma (v6.18); include/linux/fs.h: struct address_space (v6.18)
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from folioshell.model.folio import Folio
from folioshell.model.lock import Lock, LockClass
from folioshell.records import dataclass, field

if TYPE_CHECKING:
    from folioshell.model.vm import Vma

#: VMAs in a chunk of an interval index after it was split
_CHUNK = 64


class _Chunk:
    """A part of an interval index: VMAs in tree order, never none.

    Attributes:
        vmas: at most twice _CHUNK.
        pgoffs: their page offsets.
        ends: the ends of all VMAs as page offsets, ascending. A split removes the VMA with the highest end and inserts
            it again, so looking for the next highest each time would be a search of the whole chunk.
    """

    __slots__ = ("ends", "pgoffs", "vmas")

    def __init__(self, vmas: list[Vma], key: attrgetter[int]) -> None:
        self.vmas = vmas
        self.measure(key)

    def measure(self, key: attrgetter[int]) -> None:
        """Note where its VMAs begin and end; ``key`` is that of the index."""
        self.pgoffs = [key(vma) for vma in self.vmas]
        self.ends = sorted([key(vma) + vma.end - vma.start for vma in self.vmas])


class IntervalIndex:
    """VMAs by the page offsets ``[pgoff, pgoff + pages)`` that they map, ascending by pgoff, equal ones as inserted.

    The pgoff of a VMA is what ``key`` reads: that of its file, or of its anonymous pages (``AnonIntervalIndex``).
    It is read on insertion: to change start, end or pgoff, remove the VMA first and insert it again, as
    vma_prepare() and vma_complete() do. Ten thousand VMAs of one pgoff (a fork server) and ten thousand beside a long
    one are both common, so VMAs are kept in chunks with a known end, and the index maps a VMA's number to its chunk.
    Kernel: mm/interval_tree.c: vma_interval_tree_insert() (v6.18)
    """

    # Keys of states name a chunk by the last attribute that leads to it: its place among the others, not a VMA in it.
    # ``_firsts`` are the page offsets at which the chunks begin.
    __slots__ = ("_chunk_of", "_chunks", "_firsts")

    key: ClassVar[attrgetter[int]] = attrgetter("pgoff")

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._chunk_of: dict[int, _Chunk] = {}
        self._firsts: list[int] = []

    def __len__(self) -> int:
        return len(self._chunk_of)

    def __iter__(self) -> Iterator[Vma]:
        return (vma for chunk in self._chunks for vma in chunk.vmas)

    def insert(self, vma: Vma) -> None:
        """Add a VMA after those of the same pgoff."""
        pgoff = self.key(vma)
        if self._chunks:
            chunk = self._chunks[max(bisect_right(self._firsts, pgoff) - 1, 0)]
            self._insert(chunk, bisect_right(chunk.pgoffs, pgoff), vma, pgoff)
        else:
            self._chunk_of[vma.id] = chunk = _Chunk([vma], self.key)
            self._chunks.append(chunk)
            self._firsts.append(pgoff)

    def insert_after(self, vma: Vma, previous: Vma) -> None:
        """Add a VMA directly after ``previous``, which has the same pgoff: how fork adds a child's file VMA.

        Kernel: mm/interval_tree.c: vma_interval_tree_insert_after() (v6.18)
        """
        chunk = self._chunk_of[previous.id]
        self._insert(chunk, chunk.vmas.index(previous) + 1, vma, self.key(vma))

    def _insert(self, chunk: _Chunk, position: int, vma: Vma, pgoff: int) -> None:
        vmas = chunk.vmas
        vmas.insert(position, vma)
        chunk.pgoffs.insert(position, pgoff)
        insort(chunk.ends, pgoff + vma.end - vma.start)
        self._chunk_of[vma.id] = chunk
        if not position:
            # Before all others: any other chunk begins at or below what is inserted into it.
            self._firsts[0] = pgoff
        if len(vmas) > 2 * _CHUNK:
            second = _Chunk(vmas[_CHUNK:], self.key)
            del vmas[_CHUNK:]
            chunk.measure(self.key)
            place = self._chunks.index(chunk) + 1
            self._chunks.insert(place, second)
            self._firsts.insert(place, second.pgoffs[0])
            self._chunk_of.update((moved.id, second) for moved in second.vmas)

    def remove(self, vma: Vma) -> None:
        """Remove a VMA; its key must be the one that it was inserted with."""
        chunk, pgoff = self._chunk_of.pop(vma.id), self.key(vma)
        position = chunk.vmas.index(vma, bisect_left(chunk.pgoffs, pgoff))
        del chunk.vmas[position], chunk.pgoffs[position]
        del chunk.ends[bisect_left(chunk.ends, pgoff + vma.end - vma.start)]
        if not position:
            place = self._chunks.index(chunk)
            if chunk.vmas:
                self._firsts[place] = chunk.pgoffs[0]
            else:
                del self._chunks[place], self._firsts[place]

    def overlapping(self, first: int, last: int) -> list[Vma]:
        """VMAs that map any page offset of ``[first, last]``, in tree order."""
        return [
            vma
            for chunk in self._chunks[: bisect_right(self._firsts, last)]
            if chunk.ends[-1] > first
            for pgoff, vma in zip(chunk.pgoffs, chunk.vmas, strict=True)
            if pgoff <= last and pgoff + vma.end - vma.start > first
        ]


class AnonIntervalIndex(IntervalIndex):
    """VMAs by the indexes of the anonymous pages that they may map.

    Kernel: mm/interval_tree.c: anon_vma_interval_tree_insert() (v6.18)
    """

    __slots__ = ()

    key = attrgetter("anon_pgoff")


class AnonVma:
    """The anonymous memory of a VMA and, after forks, of its copies (``av1``).

    Attributes:
        id: number that it prints with.
        root: the oldest ancestor; its lock protects the whole family.
        parent: the anon_vma that it was forked from; itself for a root.
        children: anon_vmas that were forked from it and are alive.
        active_vmas: VMAs whose anon_vma this is.
        rwsem: the lock that is taken: the root's.
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
        self.tree = AnonIntervalIndex()
        self.rwsem: Lock = parent.rwsem if parent else Lock(LockClass.AVR, f"av{number}")

    def __str__(self) -> str:
        return f"av{self.id}"


#: kinds of file systems that a file may live on, as typed
FILE_SYSTEMS = ("ext4", "tmpfs", "tmpfs-huge", "tmpfs-within")


@dataclass(slots=True)
class ReadAhead:
    """The last read-ahead window. All mappings of a file share it, as they share the open file.

    Attributes:
        start, size: first page and pages of it.
        async_size: the next window is read when a fault comes this many pages before the end.
        order: largest order of its folios.
        pending: folios that are being read: not up to date until a fault waits for one of them.
    Kernel: include/linux/fs.h: struct file_ra_state (v6.18)
    """

    start: int = 0
    size: int = 0
    async_size: int = 0
    order: int = 0
    pending: list[Folio] = field(default_factory=list)

    def complete(self) -> None:
        """End the reading of all pending folios."""
        for folio in self.pending:
            folio.uptodate = True
        self.pending.clear()


class AddressSpace:
    """A file's or a shared mapping's memory.

    Attributes:
        name: the file's name; ``shm:REGION`` for shared anonymous memory.
        fs: one of FILE_SYSTEMS.
        size: pages up to EOF.
        i_mmap: VMAs that map it, by page offset.
        readahead: its last read-ahead window.
        swapped: page of shared memory that is in swap -> (its slot, order of the folio that was written).
    Kernel: include/linux/fs.h: struct address_space (v6.18)
    """

    __slots__ = (
        *("_heads", "_orders", "fs", "i_mmap", "i_mmap_rwsem", "inode_lock", "invalidate_lock", "name"),
        *("readahead", "size", "swapped", "xa_lock"),
    )

    def __init__(self, name: str, size: int, fs: str) -> None:
        self.name = name
        self.size = size
        self.fs = fs
        self.readahead = ReadAhead()
        self.i_mmap = IntervalIndex()
        self.i_mmap_rwsem = Lock(LockClass.IMMAP, name)
        self.invalidate_lock = Lock(LockClass.INVAL, name)
        self.inode_lock = Lock(LockClass.IRW, name)
        self.xa_lock = Lock(LockClass.XA, name)
        self.swapped: dict[int, tuple[int, int]] = {}
        self._heads: dict[int, Folio] = {}
        # Number of folios of each order, largest order first: a look-up tries each.
        self._orders: dict[int, int] = {}

    @property
    def is_shmem(self) -> bool:
        """Shared memory or tmpfs: swap-backed, dirty only by being written, mapped writable at once."""
        return self.fs != "ext4"

    @property
    def needs_mkwrite(self) -> bool:
        """The file system is notified of the first write to each page (page_mkwrite, dirty tracking)."""
        return self.fs == "ext4"

    @property
    def folios(self) -> Iterator[Folio]:
        """Folios in the page cache, ascending by index."""
        return (self._heads[index] for index in sorted(self._heads))

    def find(self, index: int) -> Folio | None:
        """The folio that holds page ``index`` of the file."""
        for order in self._orders:
            folio = self._heads.get(index >> order << order)
            if folio is not None and folio.order == order:
                return folio
        return None

    def next_from(self, first: int, last: int) -> Iterator[Folio]:
        """Folios that hold any page of ``[first, last]``, ascending by index."""
        index = first
        while index <= last:
            folio = self.find(index)
            if folio is None:
                index += 1
            else:
                yield folio
                index = folio.index + folio.nr_pages

    def alike_after(self, folio: Folio, most: int) -> list[Folio]:
        """The folios after one, in a row, that faults find and map as they do that one, all of order 0.

        Args:
            most: number of folios at most, ``folio`` included.
        """
        found: list[Folio] = []
        if folio.order or not folio.uptodate or folio.readahead or folio.frozen:
            return found
        for nr in range(1, most):
            one = self._heads.get(folio.index + nr)
            if one is None or one.order or one.id != folio.id + nr or one.pfn != folio.pfn + nr:
                break
            # What filemap_fault() and next_uptodate_folio() look at, and what the entry is made of.
            if not one.uptodate or one.readahead or one.frozen or not one.ref or one.dirty != folio.dirty:
                break
            found.append(one)
        return found

    def any_in(self, first: int, nr: int) -> bool:
        """Is any page of ``[first, first + nr)`` cached, or in swap?"""
        return any(index in self.swapped or self.find(index) is not None for index in range(first, first + nr))

    def insert(self, folio: Folio) -> None:
        """Add a folio at its index; its pages must be absent."""
        self._heads[folio.index] = folio
        self._orders[folio.order] = self._orders.get(folio.order, 0) + 1
        if len(self._orders) > 1:
            self._orders = dict(sorted(self._orders.items(), reverse=True))

    def remove(self, folio: Folio) -> None:
        """Remove a folio from the cache."""
        del self._heads[folio.index]
        self._orders[folio.order] -= 1
        if not self._orders[folio.order]:
            del self._orders[folio.order]

    def __str__(self) -> str:
        return self.name


def write_orders(size: int, chunk: int, max_order: int, beyond_end: bool) -> Iterator[tuple[int, int]]:
    """(index, order) of the folios that fill a file of ``size`` pages when it is written ``chunk`` pages at a time.

    Each gets the largest order that the rest of its chunk and the alignment of its index allow.

    Args:
        max_order: largest order that the page cache takes.
        beyond_end: the last folio may reach beyond EOF (tmpfs with huge=always).
    Kernel: mm/filemap.c: __filemap_get_folio() (v6.18)
    """
    index = 0
    while index < size:
        left = chunk - index % chunk
        if not beyond_end:
            left = min(left, size - index)
        order = min(left.bit_length() - 1, max_order)
        if index:
            order = min(order, (index & -index).bit_length() - 1)
        yield index, order
        index += 1 << order

"""Address spaces of files and shared memory: the page cache and the VMAs that map it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from folioshell.model.folio import Folio
from folioshell.model.interval_index import IntervalIndex
from folioshell.model.lock import Lock, LockClass

#: kinds of file systems that a file may live on, as typed
FILE_SYSTEMS = ("ext4", "tmpfs", "tmpfs-huge", "tmpfs-within")


@dataclass(slots=True)
class ReadAhead:
    """The window that was read ahead last. All mappings of a file share it, as they share the open file.

    Attributes:
        start, size: first page and pages of it.
        async_size: how many pages before its end the next one is read.
        order: largest order of its folios.
        pending: folios of windows whose reading nobody has waited for yet; they are not up to date.
    Kernel: include/linux/fs.h: struct file_ra_state (v6.18)
    """

    start: int = 0
    size: int = 0
    async_size: int = 0
    order: int = 0
    pending: list[Folio] = field(default_factory=list)

    def complete(self) -> None:
        """Everything that was to be read has been read."""
        for folio in self.pending:
            folio.uptodate = True
        self.pending.clear()


class AddressSpace:
    """A file's or a shared mapping's memory.

    Attributes:
        name: the file's name; ``shm:REGION`` for shared anonymous memory.
        fs: one of FILE_SYSTEMS.
        size: pages up to the end of the file.
        i_mmap: VMAs that map it, by page offset.
        readahead: the window that was read ahead last.
    Kernel: include/linux/fs.h: struct address_space (v6.18)
    """

    __slots__ = (
        "_heads",
        "_orders",
        "fs",
        "i_mmap",
        "i_mmap_rwsem",
        "inode_lock",
        "invalidate_lock",
        "name",
        "readahead",
        "size",
        "xa_lock",
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
        self._heads: dict[int, Folio] = {}
        # Orders that occur, largest first, with how often: a look-up tries each.
        self._orders: dict[int, int] = {}

    @property
    def is_shmem(self) -> bool:
        """Shared memory or tmpfs: swap-backed, dirty only by being written, mapped writable at once."""
        return self.fs != "ext4"

    @property
    def needs_mkwrite(self) -> bool:
        """The file system wants to know of the first write to each page (page_mkwrite, dirty tracking)."""
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

    def any_in(self, first: int, nr: int) -> bool:
        """Is any page of ``[first, first + nr)`` cached?"""
        return next(self.next_from(first, first + nr - 1), None) is not None

    def insert(self, folio: Folio) -> None:
        """Put a folio at its index into the cache; its pages must be absent."""
        self._heads[folio.index] = folio
        self._orders[folio.order] = self._orders.get(folio.order, 0) + 1
        if len(self._orders) > 1:
            self._orders = dict(sorted(self._orders.items(), reverse=True))

    def remove(self, folio: Folio) -> None:
        """Take a folio out of the cache."""
        del self._heads[folio.index]
        self._orders[folio.order] -= 1
        if not self._orders[folio.order]:
            del self._orders[folio.order]

    def __str__(self) -> str:
        return self.name


def write_orders(size: int, chunk: int, max_order: int, beyond_end: bool) -> Iterator[tuple[int, int]]:
    """(index, order) of the folios that fill a file of ``size`` pages when it is written ``chunk`` pages at a time.

    Each gets the largest order that the rest of its chunk, and the alignment of its index, allow.

    Args:
        max_order: largest order that the page cache takes.
        beyond_end: the last folio may reach over the end (tmpfs with huge=always).
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

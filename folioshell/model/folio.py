"""Folios: identity, flags and references. Mapcounts are kept by schemes alone."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from folioshell.model.lock import Lock, LockClass
from folioshell.records import NamedTuple, dataclass

if TYPE_CHECKING:
    from folioshell.model.mapping import AddressSpace, AnonVma


#: references that a pin of an order-0 folio takes (GUP_PIN_COUNTING_BIAS)
_PIN_BIAS = 1024
#: pages of a section of physical memory
SECTION = 512


class FolioLooks(NamedTuple):
    """What user space can see of a folio, besides its number and its mapcounts."""

    order: int
    anon: bool
    ref: int
    dirty: bool
    swapbacked: bool


#: the same as a tuple without names
looks_of = attrgetter(*FolioLooks._fields)


@dataclass(slots=True, eq=False, repr=False)
class Folio:
    """A run of ``1 << order`` physical pages kept as one.

    Attributes:
        id: number that it prints with (``f3``); never used again.
        pfn: first physical page, aligned to the order.
        order: log2 of its pages.
        anon: anonymous memory; else page cache (shmem included).
        mapping: anon_vma or address space that leads to its mappings.
        index: page offset of its first page in the mapping (anonymous: linear page offset of the VMA).
        ref: references: one an entry, one a page in the page cache or swap cache, one for buffer heads, one a pin of
            a page, and those that running paths hold.
        pins: pins of its pages for DMA.
        isolated: off the LRU: reclaim, migration or collapse works on it, and holds a reference (PG_lru is clear).
        frozen: a path that is about to free, replace or split it has made its references 0 for everyone else.
        anon_exclusive: bit i: PageAnonExclusive of page i (of page 0 for the whole folio while a PMD maps it).
        nonzero: bit i: page i holds a byte that is not zero.
        has_buffers: buffer heads are attached (PG_private), as of an ext4 folio that was written, not merely read.
        dirty_buffers: bit i: the buffer of page i of an ext4 folio is dirty (blocks of one page).
        cached: it is in the page cache, or in the swap cache.
        readahead: a fault for it reads the next window of the file (PG_readahead). Reclaim sets the same bit on a dirty
            file folio, as PG_reclaim.
    """

    id: int
    pfn: int
    order: int
    mapping: AnonVma | AddressSpace
    index: int
    anon: bool
    ref: int = 0
    pins: int = 0
    isolated: bool = False
    frozen: bool = False
    anon_exclusive: int = 0
    nonzero: int = 0
    #: anonymous and not swap-backed: lazyfree
    swapbacked: bool = True
    cached: bool = False
    swap_slot: int | None = None
    uptodate: bool = True
    dirty: bool = False
    has_buffers: bool = False
    dirty_buffers: int = 0
    active: bool = False
    readahead: bool = False
    mlocked: bool = False
    #: mappings in locked VMAs, as far as the kernel counts them: pieces of a split folio start at 0
    mlock_count: int = 0
    #: on the deferred-split queue
    deferred: bool = False
    #: flagged partially mapped: mapping the missing pages again does not clear it
    partially_mapped: bool = False
    _lock: Lock | None = None
    _map_lock: Lock | None = None

    @property
    def nr_pages(self) -> int:
        """Number of its pages."""
        return 1 << self.order

    @property
    def refcount(self) -> int:
        """``_refcount``: a pin of an order-0 folio counts GUP_PIN_COUNTING_BIAS; a large folio counts pins apart."""
        return self.ref if self.order else self.ref + self.pins * (_PIN_BIAS - 1)

    @property
    def looks(self) -> FolioLooks:
        """What user space can see of it."""
        return FolioLooks._make(looks_of(self))

    # As of a run of one folio: see FolioRun.

    #: number of folios, and what a run has besides its first
    nr = 1
    more_refs = indexes = None

    @property
    def first(self) -> Folio:
        """Itself."""
        return self

    @property
    def numbers(self) -> range:
        """Its number."""
        return range(self.id, self.id + 1)

    def add_refs(self, change: int, place: int = 0, nr: int = 1) -> None:
        """Add to its references."""
        self.ref += change

    def unreferenced(self, place: int = 0, nr: int = 1) -> list[tuple[int, int]]:
        """[(its first page, 1)] if it has no references."""
        return [] if self.ref else [(self.pfn, 1)]

    @property
    def lock(self) -> Lock:
        """The folio lock (PG_locked), one whatever the order."""
        if self._lock is None:
            self._lock = Lock(LockClass.FOLIO, str(self))
        return self._lock

    @property
    def map_lock(self) -> Lock:
        """The bit spinlock of a large folio's mapcount.

        Kernel: include/linux/rmap.h: folio_lock_large_mapcount() (v6.18)
        """
        if self._map_lock is None:
            self._map_lock = Lock(LockClass.MCL, str(self))
        return self._map_lock

    def try_get(self) -> bool:
        """Take a reference if the folio has one: not on a folio that is frozen or free. False: there is none to take.

        Kernel: include/linux/page_ref.h: folio_try_get() (v6.18)
        """
        if self.frozen or not self.ref:
            return False
        self.ref += 1
        return True

    def isolate(self) -> bool:
        """Take the folio off the LRU, with a reference. False: another path has, or there is no reference to take.

        Kernel: mm/vmscan.c: folio_isolate_lru() (v6.18)
        """
        if self.isolated or not self.try_get():
            return False
        self.isolated = True
        return True

    def freeze(self, expected: int) -> bool:
        """Make the references 0 for everyone else if they are exactly those expected. False: there are others.

        Kernel: include/linux/page_ref.h: folio_ref_freeze() (v6.18)
        """
        if self.frozen or self.ref != expected:
            return False
        self.frozen = True
        return True

    def unfreeze(self) -> None:
        """End a freeze; ``ref`` is what the folio has from now on.

        Kernel: include/linux/page_ref.h: folio_ref_unfreeze() (v6.18)
        """
        self.frozen = False

    def create_buffers(self) -> None:
        """Attach buffer heads, which hold a reference, unless there are some: the file system is about to write to it.

        Kernel: fs/buffer.c: create_empty_buffers() (v6.12)
        """
        if not self.has_buffers:
            self.has_buffers = True
            self.ref += 1

    def mark_dirty(self) -> None:
        """Set PG_dirty and clear PG_readahead, which means PG_reclaim on a dirty folio; all buffers become dirty.

        Kernel: mm/page-writeback.c: folio_mark_dirty() (v6.18); fs/buffer.c: block_dirty_folio() (v6.18)
        """
        self.dirty = True
        self.readahead = False
        if self.has_buffers:
            self.dirty_buffers = page_bits(0, self.nr_pages)

    def invalidate(self, first: int, nr: int) -> None:
        """Clean the buffers of ``nr`` pages whose blocks are about to be freed. PG_dirty stays.

        Kernel: fs/buffer.c: block_invalidate_folio() (v6.18)
        """
        self.dirty_buffers &= ~page_bits(first, nr)

    def release_buffers(self) -> bool:
        """Drop all buffers, which cleans the folio: they tell what is to be written. False: one is dirty, all stay.

        Kernel: mm/filemap.c: filemap_release_folio() (v6.18); fs/buffer.c: try_to_free_buffers() (v6.18)
        """
        if self.dirty_buffers:
            return False
        if self.has_buffers:
            self.dirty = self.has_buffers = False
            self.ref -= 1
        return True

    def move_buffers(self, new: Folio) -> None:
        """Hand the buffers over to the folio that takes this one's place.

        Kernel: mm/migrate.c: __buffer_migrate_folio() (v6.12)
        """
        if self.has_buffers:
            new.create_buffers()
            new.dirty_buffers, self.dirty_buffers = self.dirty_buffers, 0
            self.has_buffers = False
            self.ref -= 1

    def mlock(self) -> None:
        """Count a mapping by a locked VMA, which keeps it from reclaim.

        Kernel: mm/mlock.c: mlock_folio() (v6.18)
        """
        self.mlock_count += 1
        if not self.mlocked:
            self.mlocked = True
            self.mlock_count = 1
            self.active = False

    def munlock(self) -> None:
        """Uncount a mapping by a locked VMA; with the last, reclaim may take the folio again.

        Kernel: mm/mlock.c: munlock_folio() (v6.18)
        """
        self.mlock_count = max(0, self.mlock_count - 1)
        if not self.mlock_count:
            self.mlocked = False

    def __str__(self) -> str:
        return f"f{self.id}"

    def __repr__(self) -> str:
        return f"<Folio f{self.id} order {self.order} pfn {self.pfn:#x}>"


class FolioView(Folio):
    """A read-only folio of a run. A write to it would be lost, as the run stores no object for it."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{self} is part of a run: single it out before setting {name}")


#: what each folio of a run has of its own
_OWN = {"id", "pfn", "index", "ref", "swap_slot", "_lock", "_map_lock"}
#: the rest of the state of a folio
common_state = attrgetter(*(name for name in Folio.__slots__ if name not in _OWN))


def page_bits(first: int, nr: int) -> int:
    """Bit mask of pages ``[first, first + nr)`` of a folio."""
    return ((1 << nr) - 1) << first

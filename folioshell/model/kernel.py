"""The state of the simulated kernel: its objects by name or number, and its settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.lock import Lock, LockClass
from folioshell.model.mapping import AddressSpace, AnonVma, write_orders
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import PhysicalMemory, SwapSlots
from folioshell.model.policy import SharingQuestion
from folioshell.model.release import DEFAULT, Release
from folioshell.model.vm import Mm, Vma
from folioshell.records import dataclass, field
from folioshell.units import X86_64, Geometry

THP_MODES = ("always", "madvise", "never")


class Counting(Protocol):
    """A protocol under test by which the kernel counts under its locks what a scheme defines: see paths/protocol.py."""

    @property
    def name(self) -> str:
        """The word typed after ``set protocol``."""

    @property
    def scheme(self) -> str:
        """The scheme that defines what it counts."""

    @property
    def moves_under_rmap_locks(self) -> bool:
        """Mremap takes the rmap locks to move entries."""

    def text_of(self, value: object) -> str:
        """What it counted, in words."""


class SchemeAnswer(Protocol):
    """An answer of a scheme: an enumeration member."""

    @property
    def value(self) -> str:
        """``no``, ``yes`` or ``maybe``."""


class Decider(Protocol):
    """A scheme whose answer to "does anyone else map it?" the kernel acts on."""

    @property
    def name(self) -> str:
        """The name of the scheme."""

    def shared(self, folio: int, mm: int) -> SchemeAnswer:
        """``no``, ``yes`` or ``maybe``."""

    def page_shared(self, folio: int, page: int, mm: int) -> SchemeAnswer:
        """As ``shared``, by a caller that looks at the entry of one page."""


class Bookkeeping(Decider, Protocol):
    """The kernel's own counts of a folio, which paths read where the kernel compares counts with references."""

    def mapcount(self, folio: int) -> int:
        """Entries that map the folio."""

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """(first, nr, entries that map each) of the folios ``[first, first + nr)``, ascending."""

    def page_mapcount(self, folio: int, page: int) -> int:
        """Entries that map one page of the folio."""

    def page_mapcounts(self, folio: int) -> list[tuple[int, int, int]]:
        """(first page, pages, entries that map each) of runs; empty for a folio that was never mapped."""

    def entire(self, folio: int) -> int:
        """PMD entries that map the folio."""

    def pages_mapped(self, folio: int) -> int:
        """Pages of the folio that PTEs map."""

    def newly_unmapped(self, folio: int) -> int:
        """Pages that the last unmapping of the folio left without any mapping, as __folio_remove_rmap() counts them."""


@dataclass(slots=True)
class Config:
    """Switches of the kernel.

    Attributes:
        thp: order -> always, madvise or never; absent orders are never.
        fault_around: pages of the fault-around window, a power of two; 1 turns it off.
        read_ahead: pages that a miss in a file on a disk reads (read_ahead_kb; 128K by default).
        page_mapcount: CONFIG_PAGE_MAPCOUNT; without it (CONFIG_NO_PAGE_MAPCOUNT, v6.15) averages of folios take the
            place of single pages' counts.
        swap: there is a swap device.
        sync_swap: it is read synchronously, as zram is (SWP_SYNCHRONOUS_IO).
        max_ptes_none, max_ptes_shared, max_ptes_swap: entries of a block that may be none, map shared pages, or be
            swap entries, for khugepaged to collapse it.
    """

    thp: dict[int, str] = field(default_factory=dict)
    fault_around: int = 16
    read_ahead: int = 32
    page_mapcount: bool = True
    swap: bool = False
    sync_swap: bool = False
    max_ptes_none: int = 511
    max_ptes_shared: int = 256
    max_ptes_swap: int = 64


class Kernel:
    """All objects, and the numbers of the next ones.

    Attributes:
        mms: address spaces by process name, in order of creation.
        files: files by name. shared_memory: address spaces of shared anonymous mappings, in order of creation.
        folios: folios by number.
        slots: the slots of the swap device.
        batches: identical consecutive faults are handled as one, and the pieces of a split folio are not locked one by
            one; off while other threads may run between.
        deferred: folios on the deferred-split queue by number.
        release: which release it behaves like.
        counts: the kernel's own bookkeeping, of the release.
        deciders: the scheme that answers each question; None: the kernel looks at its own fields alone, or does not
            ask.
        protocol: how the deciding scheme counts under locks; None: without any lock, as its definition says.
        vm_events: counters such as thp_split_pmd.
        tainted: folios that a wrong answer of the decider has corrupted, with a finding for each.
    """

    def __init__(self, schemes: Mapping[str, Decider], counts: Bookkeeping, geometry: Geometry = X86_64) -> None:
        self.geometry = geometry
        self.config = Config(
            thp={geometry.pmd_order: "madvise"},
            fault_around=geometry.fault_around_pages,
            max_ptes_none=geometry.pmd_pages - 1,
            max_ptes_shared=geometry.pmd_pages // 2,
            max_ptes_swap=geometry.pmd_pages // 8,
        )
        self.deciders: dict[SharingQuestion, Decider | None]
        self.follow(DEFAULT, schemes, counts)
        self.protocol: Counting | None = None
        self.physmem = PhysicalMemory()
        self.mms: dict[str, Mm] = {}
        self.files: dict[str, AddressSpace] = {}
        self.shared_memory: list[AddressSpace] = []
        self.folios = self.physmem.folios
        self.batches = True
        self.deferred: dict[int, Folio] = {}
        self.tainted: set[int] = set()
        self.vm_events: dict[str, int] = {}
        self.lru_lock = Lock(LockClass.LRU, "")
        self.deferred_lock = Lock(LockClass.DSQ, "")
        self.swap_lock = Lock(LockClass.SWAP, "")
        self.slots = SwapSlots(geometry.pmd_pages)
        #: swap slot -> the folio that a fault is reading it into, without the swap cache
        self.swap_prepared: dict[int, Folio] = {}
        #: pages of the largest folio so far: how far around an address a folio may reach
        self.largest_folio = 1
        self._last: dict[str, int] = {}

    def follow(self, release: Release, schemes: Mapping[str, Decider], counts: Bookkeeping) -> None:
        """Behave like a release: count as it does, and ask the schemes that it asks.

        Args:
            schemes: by name. counts: the one that is the release's books.
        """
        self.release = release
        self.counts = counts
        asked = {question: release.policy.scheme(question) for question in SharingQuestion if question.in_model}
        self._own = {question: None if name is None else schemes[name] for question, name in asked.items()}
        self._native = schemes[release.policy.decider]
        self.decider = self._native

    def looks_at(self, question: SharingQuestion, field: str) -> bool:
        """Is a field of the kernel among what decides a question in this release (``folioshell.model.policy``)?"""
        return field in self.release.policy.answers[question]

    @property
    def decider(self) -> Decider:
        """The scheme that sharing tests ask: the release's own, which leaves some questions to others, or another."""
        return self._decider

    @decider.setter
    def decider(self, decider: Decider) -> None:
        """Let a scheme answer what schemes answer; the release's own leaves its exceptions to others again."""
        self._decider = decider
        own = decider.name == self._native.name
        self.deciders = {
            question: native if native is None or (own and native is not self._native) else decider
            for question, native in self._own.items()
        }

    def next_number(self, kind: str) -> int:
        """The next number of a kind of object, from 1."""
        number = self._last.get(kind, 0) + 1
        self._last[kind] = number
        return number

    def last_number(self, kind: str) -> int:
        """The highest number of a kind so far."""
        return self._last.get(kind, 0)

    def count(self, event: str, by: int = 1) -> None:
        """Add to an event counter."""
        self.vm_events[event] = self.vm_events.get(event, 0) + by

    # New objects.

    def new_mm(self, name: str, parent: str | None = None) -> Mm:
        """A new, empty address space for process ``name``."""
        mm = Mm(name, self.next_number("mm"), parent, self.geometry.table_bits)
        self.mms[name] = mm
        return mm

    def new_vma(
        self, mm: Mm, start: int, end: int, flags: int, pgoff: int, file: AddressSpace | None, anon_pgoff: int
    ) -> Vma:
        """A new VMA, not linked yet."""
        return Vma(self.next_number("vma"), mm, start, end, flags, pgoff, file, anon_pgoff)

    def new_anon_vma(self, parent: AnonVma | None = None) -> AnonVma:
        """A new anon_vma, a root unless it has a parent."""
        return AnonVma(self.next_number("anon_vma"), parent)

    def new_pte_table(self, mm: Mm) -> PageTable:
        """A new PTE table, counted for the mm, not installed yet."""
        mm.nr_ptes += 1
        return PageTable(self.next_number("pt"), self.geometry.table_entries)

    def new_pmd_table(self) -> PmdTable:
        """A new PMD table, not installed yet."""
        return PmdTable(self.next_number("pmd"))

    def new_folio(self, order: int, mapping: AnonVma | AddressSpace, index: int, anon: bool) -> Folio:
        """A new folio with no reference yet; the caller announces it."""
        physmem = self.physmem
        number = self._last["folio"] = self._last.get("folio", 0) + 1
        pfn = physmem.allocate_pfn(order) if order else physmem.allocate_page()
        folio = Folio(number, pfn, order, mapping, index, anon)
        if not anon:
            assert isinstance(mapping, AddressSpace)
            folio.swapbacked = mapping.is_shmem
        physmem.place(folio)
        self.folios.add(folio)
        if order and folio.nr_pages > self.largest_folio:
            self.largest_folio = folio.nr_pages
        return folio

    def new_folios(self, nr: int, mapping: AnonVma, index: int) -> Folio | FolioRun:
        """``nr`` new anonymous order-0 folios for consecutive pages, without a reference; the caller announces them.

        Args:
            nr: at most ``physmem.free_in_a_row``.
            index: page offset of the first in the mapping.
        """
        if nr == 1:
            return self.new_folio(0, mapping, index, anon=True)
        number = self.last_number("folio") + 1
        self._last["folio"] = number + nr - 1
        run = FolioRun(Folio(number, self.physmem.allocate_pages(nr), 0, mapping, index, anon=True), nr)
        self.physmem.place_run(run)
        return run

    def new_piece(self, folio: Folio, first: int, order: int) -> Folio:
        """A folio made of pages ``[first, first + (1 << order))`` of a folio that is being split; same pages."""
        piece = Folio(
            self.next_number("folio"), folio.pfn + first, order, folio.mapping, folio.index + first, folio.anon
        )
        self.physmem.place(piece)
        self.folios.add(piece)
        return piece

    def forget_folio(self, folio: Folio) -> None:
        """Forget a folio that has no reference left, or whose pages belong to its pieces now."""
        self.folios.remove(folio)
        self.deferred.pop(folio.id, None)
        self.tainted.discard(folio.id)

    def create_file(self, file: AddressSpace, order: int, cached: bool, chunk: int = 0) -> AddressSpace:
        """Fill a new file with nonzero bytes; a tmpfs file that is not cached is a hole.

        Args:
            order: order of the folios that its page cache holds.
            chunk: pages of each write, which decides the orders; 0: ``1 << order``.
        Returns: the file; its folios are in ``file.folios`` for the caller to announce.
        Kernel: mm/filemap.c: __filemap_get_folio() (v6.18)
        """
        self.files[file.name] = file
        if cached:
            beyond_end = file.fs == "tmpfs-huge"
            most = max(order, self.geometry.pmd_order)
            for index, folio_order in write_orders(file.size, chunk or 1 << order, most, beyond_end):
                folio = self.new_folio(folio_order, file, index, anon=False)
                self.add_to_cache(file, folio)
                folio.nonzero = (1 << folio.nr_pages) - 1
                # ext4 is written back at once, and keeps the buffers; tmpfs has no backing store to be clean against.
                folio.dirty = file.is_shmem
                if not file.is_shmem:
                    folio.create_buffers()
        return file

    def add_to_cache(self, file: AddressSpace, folio: Folio) -> None:
        """Add a folio to the page cache: one reference a page."""
        file.insert(folio)
        folio.cached = True
        folio.ref += folio.nr_pages

    def remove_from_cache(self, file: AddressSpace, folio: Folio) -> None:
        """Remove a folio from the page cache, whose references are dropped; the caller holds another."""
        file.remove(folio)
        folio.cached = False
        folio.ref -= folio.nr_pages

    # Look-ups.

    def entry(self, mm: Mm, vpn: int) -> int:
        """The PTE of a virtual page; under a PMD mapping, the PTE that a split would install."""
        return mm.tables.entry(vpn)

    def folio_at(self, mm: Mm, vpn: int) -> tuple[Folio, int] | None:
        """The folio, to be read, and the index of the page in it, that a present entry maps.

        Returns: None for no entry or the zero page.
        """
        entry = mm.tables.entry(vpn)
        if not pte.maps_folio(entry):
            return None
        pfn = pte.pfn_of(entry)
        folio = self.physmem.folio(pfn)
        return folio, pfn - folio.pfn

"""The rmap calls: the only place that announces mapping and unmapping; and the references that go with them.

Rules:
- The caller takes a reference for every entry before the call that adds it, and drops it after the call that removes
  it: the mapcount never exceeds the references, on which every test for other users relies.
- A protocol under test may read entries without a lock, so with one the change of entries is a step of its own.
- Unmapping is announced after the entries were cleared: a scheme never counts fewer entries than there are.

Kernel: mm/rmap.c (v6.18)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from folioshell.errors import KernelBug
from folioshell.events import FolioFreed, FolioNew, Level, Mapped, Unmapped
from folioshell.model import vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.vm import Vma
from folioshell.paths import Path
from folioshell.paths.batch import CLEAR, SET, MappedSpan
from folioshell.paths.protocol import (
    Protocol,
    RmapClaim,
    alone,
    cannot_drop,
    claim,
    claim_pmd,
    count_call,
    finish,
    protocol_of,
)

R = TypeVar("R", Mapped, Unmapped)


def window(folio: Folio, vma: Vma, base: int) -> tuple[int, int]:
    """Pages ``[low, high)`` of a folio that a VMA covers if page 0 is at virtual page ``base``."""
    return max(0, vma.start - base), min(folio.nr_pages, vma.end - base)


def _rmap(
    kind: type[R],
    folio: Folio,
    first: int,
    nr: int,
    vma: Vma,
    table: PageTable | PmdTable,
    vpn: int,
    call: str,
    new: bool = False,
) -> R:
    """The event about entries that map pages ``[first, first + nr)`` of one folio at ``vpn``."""
    low, high = window(folio, vma, vpn - first)
    level = Level.PMD if isinstance(table, PmdTable) else Level.PTE
    exclusive = kind is Mapped and bool(folio.anon_exclusive >> first & 1)
    folios, (anon_vma, root, file, locked) = (folio.id,), _of_vma(vma, kind is Mapped)
    return kind(
        folio.id, folio.order, folio.anon, first, nr, vma.mm.mm_id, vma.id, table.id, vpn, low, high, call,
        level, new, folios, anon_vma, root, file, locked, exclusive,
    )  # fmt: skip


def _rmap_small(
    kind: type[R],
    folios: Sequence[int],
    anon: bool,
    vma: Vma,
    table: PageTable,
    vpn: int,
    call: str,
    new: bool = False,
    exclusive: bool = False,
) -> R:
    """The event about entries that map one order-0 folio each, the first at ``vpn``; one rmap call a folio."""
    return kind(
        *(folios[0], 0, anon, 0, 1, vma.mm.mm_id, vma.id, table.id, vpn, 0, 1, call),
        *(Level.PTE, new, folios, *_of_vma(vma, kind is Mapped), exclusive),
    )


def _of_vma(vma: Vma, maps: bool) -> tuple[int, int, str, bool]:
    """What an event says of the VMA: anon_vma, its root, file, and whether new pages are mlocked, or old ones were."""
    file, locked = vma.file.name if vma.file else "", vma.mlocks_new if maps else bool(vma.flags & vm.LOCKED)
    if vma.anon_vma is None:
        return 0, 0, file, locked
    return vma.anon_vma.id, vma.anon_vma.root.id, file, locked


def folio_new(folio: Folio, origin: tuple[int, int] | None = None, nr: int = 1) -> FolioNew:
    """The event of a new folio, or of ``nr`` consecutive ones of order 0."""
    return FolioNew(folio.id, folio.order, folio.anon, origin, nr)


def new_anon(k: Kernel, folio: Folio, vma: Vma, table: PageTable | PmdTable, vpn: int, nr: int = 1) -> Mapped:
    """The event of mapping a whole new anonymous folio, by a PMD entry if ``table`` is a PMD table.

    The folio becomes exclusive to the VMA's mm and points to its anon_vma.

    Args:
        nr: number of consecutive order-0 folios that are mapped so; ``folio`` is the first.
    Kernel: mm/rmap.c: folio_add_new_anon_rmap() (v6.18)
    """
    call = "folio_add_new_anon_rmap"
    assert vma.anon_vma is not None
    folio.mapping = vma.anon_vma
    folio.index = vma.anon_pgoff_of(vpn)
    if vma.mlocks_new:
        folio.mlock()
    folio.anon_exclusive = 1
    if isinstance(k.protocol, Protocol) and folio.order:
        # No one else sees the folio: plain stores, without any lock.
        alone(k.protocol, "mapped", MappedSpan(folio, 0, folio.nr_pages, vma, table, vpn, k.geometry.pmd_pages))
    if folio.order == 0:
        assert isinstance(table, PageTable)
        numbers = (folio.id,) if nr == 1 else range(folio.id, folio.id + nr)
        return _rmap_small(Mapped, numbers, True, vma, table, vpn, call, new=True, exclusive=True)
    if not isinstance(table, PmdTable):
        folio.anon_exclusive = (1 << folio.nr_pages) - 1
    return _rmap(Mapped, folio, 0, folio.nr_pages, vma, table, vpn, call, new=True)


def add_ptes(
    k: Kernel,
    folios: Folio | FolioRun,
    first: int,
    nr: int,
    vma: Vma,
    table: PageTable,
    vpn: int,
    call: str,
    install: Callable[[], None] | None = None,
) -> Path[bool]:
    """Add entries of ``table`` that map pages ``[first, first + nr)`` of a folio, or the folios of a run, at ``vpn``.

    Args:
        call: the rmap function that the kernel calls for it.
        install: sets the entries, while a protocol under test holds its locks; None: the caller sets them.
    Returns: False if a protocol had to drop the PTL and the entries changed meanwhile: nothing was announced, and the
        caller must look again.
    Kernel: mm/rmap.c: folio_add_file_rmap_ptes(), folio_add_anon_rmap_ptes() (v6.18)
    """
    folio, counted = folios.first, None
    if folio.order == 0:
        yield _rmap_small(Mapped, folios.numbers, folio.anon, vma, table, vpn, call, False, bool(folio.anon_exclusive))
    else:
        if k.protocol is not None:
            counted = yield from claim(k, folio, first, nr, vma, table, vpn)
            if counted is None and install is not None:
                return False
            if counted is None:
                raise cannot_drop(k, folio, vma, table, "changes entries, which were changed meanwhile")
            yield from count_call(k, "mapped", counted)
            yield table.ptl.peek(SET)
        yield from _announce(k, folio, call, _rmap(Mapped, folio, first, nr, vma, table, vpn, call), counted)
    if nr == folio.nr_pages:
        _mlock_mapped(k, folio, vma)
    if install is not None:
        install()
    if counted is not None:
        yield from finish(k, counted)
    return True


def _announce(k: Kernel, folio: Folio, call: str, event: Mapped | Unmapped, counted: RmapClaim | None) -> Path[None]:
    """Announce the event of a large folio, with the mapcount bit lock held where the release has one."""
    if k.release.tracks_mm_owners:
        yield folio.map_lock.acquire(call)
    if counted is None:
        yield event
    else:
        answers, definition = protocol_of(k).answers, protocol_of(k).definition
        answers.before_event(counted.call, definition, [mm.mm_id for mm in k.mms.values()])
        yield event
        answers.after_event(definition, counted.call)
    if k.release.tracks_mm_owners:
        yield folio.map_lock.release()


def add_pmd(k: Kernel, folio: Folio, vma: Vma, table: PmdTable, vpn: int, call: str) -> Path[None]:
    """Add a PMD entry that maps the folio at ``vpn``.

    Kernel: mm/rmap.c: folio_add_file_rmap_pmd(), folio_add_anon_rmap_pmd() (v6.18)
    """
    counted = None
    if k.protocol is not None:
        counted = yield from claim_pmd(k, folio, vma, table, vpn)
        yield from count_call(k, "mapped", counted)
    yield from _announce(k, folio, call, _rmap(Mapped, folio, 0, folio.nr_pages, vma, table, vpn, call), counted)
    if counted is not None:
        yield from finish(k, counted)
    _mlock_mapped(k, folio, vma)


def _mlock_mapped(k: Kernel, folio: Folio, vma: Vma) -> None:
    """Mlock a folio all of whose pages one call has mapped, if the VMA is locked.

    Older releases mlock order-0 folios here, and leave large ones to reclaim.
    Kernel: mm/rmap.c: __folio_add_anon_rmap(), __folio_add_file_rmap() (v6.18)
    """
    if vma.mlocks_new and (not folio.order or k.release.mlocks_fully_mapped_folio):
        folio.mlock()


def add_small(folios: Sequence[int], anon: bool, vma: Vma, table: PageTable, vpn: int, call: str) -> Mapped:
    """The event of consecutive new entries that map one order-0 folio each; one rmap call a folio."""
    return _rmap_small(Mapped, folios, anon, vma, table, vpn, call)


def remove_small(
    folios: Sequence[int], anon: bool, vma: Vma, table: PageTable, vpn: int, call: str = "folio_remove_rmap_ptes"
) -> Unmapped:
    """The event of consecutive cleared entries that mapped one order-0 folio each; one rmap call a folio."""
    return _rmap_small(Unmapped, folios, anon, vma, table, vpn, call)


def remove_ptes(
    k: Kernel,
    folios: Folio | FolioRun,
    first: int,
    nr: int,
    vma: Vma,
    table: PageTable,
    vpn: int,
    clear: Callable[[], None] | None = None,
    claimed: RmapClaim | None = None,
) -> Path[bool]:
    """Remove entries that mapped pages ``[first, first + nr)`` of a folio, or the folios of a run, at ``vpn``.

    Args:
        clear: clears the entries, after a protocol under test took its locks; None: the caller has cleared them.
        claimed: from ``claim``, if the caller let the protocol take its locks before it cleared them.
    Returns: False if a protocol had to drop the PTL and the entries changed meanwhile: nothing was cleared or
        announced, and the caller must look again.
    Kernel: mm/rmap.c: folio_remove_rmap_ptes() (v6.18)
    """
    call = "folio_remove_rmap_ptes"
    folio, counted = folios.first, None
    if k.protocol is not None and folio.order:
        counted = claimed or (yield from claim(k, folio, first, nr, vma, table, vpn))
        while counted is None:
            if clear is not None:
                return False
            # The entries are cleared already. What another thread put there meanwhile is its own.
            if vma.mm.tables.leaf(vpn) is not table:
                raise cannot_drop(k, folio, vma, table, "clears entries, and the table was freed meanwhile")
            counted = yield from claim(k, folio, first, nr, vma, table, vpn)
        # A caller that has claimed has done this before it cleared the entries.
        if claimed is None:
            yield table.ptl.peek(CLEAR)
    if clear is not None:
        clear()
    if folio.order == 0:
        yield remove_small(folios.numbers, folio.anon, vma, table, vpn)
    else:
        yield from _announce(k, folio, call, _rmap(Unmapped, folio, first, nr, vma, table, vpn, call), counted)
        if counted is not None:
            yield from count_call(k, "unmapped", counted)
            yield from finish(k, counted)
        if _became_partial(k, folio, not k.counts.entire(folio.id) and k.counts.pages_mapped(folio.id) > 0):
            yield from deferred_split(k, folio, partially_mapped=True)
    if vma.flags & vm.LOCKED:
        folio.munlock()
    return True


def remove_pmd(k: Kernel, folio: Folio, vma: Vma, table: PmdTable, vpn: int) -> Path[None]:
    """Remove a PMD entry that mapped a folio at ``vpn``.

    Kernel: mm/rmap.c: folio_remove_rmap_pmd() (v6.18)
    """
    call = "folio_remove_rmap_pmd"
    counted = None
    if k.protocol is not None:
        counted = yield from claim_pmd(k, folio, vma, table, vpn)
    yield from _announce(k, folio, call, _rmap(Unmapped, folio, 0, folio.nr_pages, vma, table, vpn, call), counted)
    if counted is not None:
        yield from count_call(k, "unmapped", counted)
        yield from finish(k, counted)
    others_left = k.counts.newly_unmapped(folio.id) < folio.nr_pages
    if others_left and _became_partial(k, folio, others_left):
        yield from deferred_split(k, folio, partially_mapped=True)
    if vma.flags & vm.LOCKED:
        folio.munlock()


def _became_partial(k: Kernel, folio: Folio, others_left: bool) -> bool:
    """Did the last unmapping leave the folio partially mapped, as far as the kernel can tell?

    Args:
        others_left: other pages of it are still mapped, and none by a PMD entry.
    Kernel: mm/rmap.c: __folio_remove_rmap() (v6.18)
    """
    counts = k.counts
    if not k.release.flags_partially_mapped:
        return bool(counts.newly_unmapped(folio.id))
    if k.config.page_mapcount:
        return others_left and counts.newly_unmapped(folio.id) > 0
    # Without mapcounts of pages: fewer entries than pages cannot map all of them. More may not either, which is missed.
    return 0 < counts.mapcount(folio.id) < folio.nr_pages and not counts.entire(folio.id)


def deferred_split(k: Kernel, folio: Folio, partially_mapped: bool) -> Path[None]:
    """Put an anonymous folio on the deferred-split queue, flagged if it is known to be partially mapped.

    Kernel: mm/huge_memory.c: deferred_split_folio() (v6.18)
    """
    if not folio.anon or folio.order < 2 or folio.swap_slot is not None:
        return
    # Queued already. A folio that was queued when it was new is queued once more to be flagged, and counted then.
    if folio.deferred and (folio.partially_mapped or not partially_mapped):
        return
    yield k.deferred_lock.acquire("deferred_split_folio")
    if partially_mapped and not folio.partially_mapped:
        folio.partially_mapped = True
        k.count("split_deferred")
        if folio.order == k.geometry.pmd_order:
            k.count("thp_deferred_split_page")
    folio.deferred = True
    k.deferred.setdefault(folio.id, folio)
    yield k.deferred_lock.release()


def unqueue_deferred_split(k: Kernel, folio: Folio) -> Path[None]:
    """Take a folio off the deferred-split queue: it is freed, or frozen.

    Kernel: mm/huge_memory.c: __folio_unqueue_deferred_split() (v6.18)
    """
    if folio.deferred:
        yield k.deferred_lock.acquire("__folio_unqueue_deferred_split")
        folio.deferred = folio.partially_mapped = False
        k.deferred.pop(folio.id, None)
        yield k.deferred_lock.release()


def put(k: Kernel, folios: Folio | FolioRun | FolioSpan, nr: int = 1) -> Path[None]:
    """Drop ``nr`` references of each folio, and free those without any left.

    Kernel: mm/swap.c: folios_put_refs() (v6.18)
    """
    folios.add_refs(-nr)
    for first, length in folios.unreferenced():
        unused = k.physmem.part(first, length)
        if isinstance(unused, FolioRun):
            k.physmem.remove_run(unused)
            yield FolioFreed(unused.first.id, 0, length)
        else:
            yield from free(k, unused)


def putback(k: Kernel, folio: Folio) -> Path[None]:
    """Return an isolated folio to the LRU, and drop the reference of the isolation.

    Raises:
        KernelBug: it is on the LRU.
    Kernel: mm/vmscan.c: folio_putback_lru() (v6.18)
    """
    if not folio.isolated:
        raise KernelBug(f"{folio} is put back on the LRU twice")
    folio.isolated = False
    yield from put(k, folio)


def free(k: Kernel, folio: Folio) -> Path[None]:
    """Free a folio that has no reference left."""
    # A folio that is freed is unqueued first: the queue holds no reference of its own.
    if folio.deferred:
        yield from unqueue_deferred_split(k, folio)
    k.physmem.remove(folio)
    k.forget_folio(folio)
    if isinstance(k.protocol, Protocol):
        k.protocol.forget(folio.id)
    yield FolioFreed(folio.id, folio.order)


def expected_references(k: Kernel, folio: Folio) -> int:
    """References that entries, the page cache or swap cache, and buffers hold; more are transient, or pins.

    Kernel: include/linux/mm.h: folio_expected_ref_count() (v6.18)
    """
    return k.counts.mapcount(folio.id) + (folio.nr_pages if folio.cached else 0) + folio.has_buffers


def clear_exclusive(folio: Folio, first: int, nr: int) -> None:
    """Clear PageAnonExclusive of pages."""
    folio.anon_exclusive &= ~page_bits(first, nr)


def try_share(folio: Folio, page: int) -> bool:
    """Clear PageAnonExclusive of a page whose entry is about to be removed; not if it is exclusive and pinned.

    A pinned page must stay the one that the mm maps: shared, it would be copied by the next write.

    Args:
        page: index of the page; 0 for a PMD entry.
    Returns: False: its entry must stay.
    Kernel: include/linux/rmap.h: folio_try_share_anon_rmap_pte(), folio_try_share_anon_rmap_pmd() (v6.18)
    """
    if folio.pins and folio.anon_exclusive >> page & 1:
        return False
    clear_exclusive(folio, page, 1)
    return True


def rss_add(vma: Vma, folio: Folio, nr: int) -> None:
    """Add ``nr`` pages of a folio to the rss of the VMA's mm, or subtract them if negative."""
    rss = vma.mm.rss
    if folio.anon:
        rss.anon += nr
    elif folio.swapbacked:
        rss.shmem += nr
    else:
        rss.file += nr

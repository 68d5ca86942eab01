"""Announcing what is mapped: the only place that makes Mapped and Unmapped facts.

Rules:
- The caller has taken the reference of every entry before, and drops it after, so that the mapcount never exceeds it.
- Unmapping is announced after the entries were cleared.

Kernel: mm/rmap.c (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.facts import (
    FolioFreed,
    FolioNew,
    Mapped,
    MappedSmall,
    PmdMapped,
    PmdUnmapped,
    Unmapped,
    UnmappedSmall,
)
from folioshell.model import vma as vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vma import Vma
from folioshell.paths.step import Path


def window(folio: Folio, vma: Vma, base: int) -> tuple[int, int]:
    """Pages ``[low, high)`` of a folio that a VMA could map, if page 0 would stand at virtual page ``base``."""
    return max(0, vma.start - base), min(folio.nr_pages, vma.end - base)


def folio_new(folio: Folio, origin: tuple[int, int] | None = None) -> FolioNew:
    """The fact that a folio exists now."""
    return FolioNew(folio.id, folio.order, folio.anon, origin)


def new_anon(folio: Folio, vma: Vma, table: PageTable | PmdTable, vpn: int) -> MappedSmall | Mapped | PmdMapped:
    """The fact that a new anonymous folio is mapped whole, by a PMD entry if ``table`` is a PMD table.

    The folio becomes exclusive to the VMA's mm and points to its anon_vma.
    Kernel: mm/rmap.c: folio_add_new_anon_rmap() (v6.18)
    """
    call = "folio_add_new_anon_rmap"
    assert vma.anon_vma is not None
    folio.mapping = vma.anon_vma
    folio.index = vma.pgoff + vpn - vma.start
    folio.mlocked = bool(vma.flags & vm.LOCKED)
    folio.anon_exclusive = 1
    mm, order = vma.mm.mm_id, folio.order
    if order == 0:
        return MappedSmall((folio.id,), True, mm, vma.id, table.id, vpn, call, True)
    if isinstance(table, PmdTable):
        return PmdMapped(folio.id, order, True, mm, vma.id, table.id, vpn, call, True)
    folio.anon_exclusive = (1 << folio.nr_pages) - 1
    low, high = window(folio, vma, vpn)
    return Mapped(folio.id, order, True, 0, folio.nr_pages, mm, vma.id, table.id, vpn, low, high, call, True)


def add_ptes(
    k: Kernel, folio: Folio, first: int, nr: int, vma: Vma, table: PageTable, vpn: int, call: str
) -> Path[None]:
    """Pages ``[first, first + nr)`` of a folio are mapped at ``vpn`` by entries of ``table``.

    Args:
        call: the rmap function that the kernel calls for it.
    Kernel: mm/rmap.c: folio_add_file_rmap_ptes(), folio_add_anon_rmap_ptes() (v6.18)
    """
    if folio.order == 0:
        yield MappedSmall((folio.id,), folio.anon, vma.mm.mm_id, vma.id, table.id, vpn, call)
    else:
        low, high = window(folio, vma, vpn - first)
        locks = not k.config.is_6_12
        if locks:
            yield folio.map_lock.acquire(call)
        yield Mapped(folio.id, folio.order, folio.anon, first, nr, vma.mm.mm_id, vma.id, table.id, vpn, low, high, call)
        if locks:
            yield folio.map_lock.release()
    if vma.flags & vm.LOCKED and (folio.order == 0 or (nr == folio.nr_pages and not k.config.is_6_12)):
        folio.mlocked = True


def add_pmd(k: Kernel, folio: Folio, vma: Vma, table: PmdTable, vpn: int, call: str) -> Path[None]:
    """A PMD entry maps the folio at ``vpn``.

    Kernel: mm/rmap.c: folio_add_file_rmap_pmd(), folio_add_anon_rmap_pmd() (v6.18)
    """
    locks = not k.config.is_6_12
    if locks:
        yield folio.map_lock.acquire(call)
    yield PmdMapped(folio.id, folio.order, folio.anon, vma.mm.mm_id, vma.id, table.id, vpn, call)
    if locks:
        yield folio.map_lock.release()
    if vma.flags & vm.LOCKED:
        folio.mlocked = True


def add_small(folios: Sequence[int], anon: bool, vma: Vma, table: PageTable, vpn: int, call: str) -> MappedSmall:
    """The fact that consecutive entries map one order-0 folio each; one rmap call a folio."""
    return MappedSmall(folios, anon, vma.mm.mm_id, vma.id, table.id, vpn, call)


def remove_small(
    folios: Sequence[int], anon: bool, vma: Vma, table: PageTable, vpn: int, call: str = "folio_remove_rmap_ptes"
) -> UnmappedSmall:
    """The fact that entries which mapped one order-0 folio each are gone; one rmap call a folio."""
    return UnmappedSmall(folios, anon, vma.mm.mm_id, vma.id, table.id, vpn, call)


def remove_ptes(k: Kernel, folio: Folio, first: int, nr: int, vma: Vma, table: PageTable, vpn: int) -> Path[None]:
    """Entries that mapped pages ``[first, first + nr)`` of a folio at ``vpn`` are gone.

    Kernel: mm/rmap.c: folio_remove_rmap_ptes() (v6.18)
    """
    call = "folio_remove_rmap_ptes"
    if folio.order == 0:
        yield remove_small((folio.id,), folio.anon, vma, table, vpn)
    else:
        low, high = window(folio, vma, vpn - first)
        locks = not k.config.is_6_12
        if locks:
            yield folio.map_lock.acquire(call)
        yield Unmapped(
            folio.id, folio.order, folio.anon, first, nr, vma.mm.mm_id, vma.id, table.id, vpn, low, high, call
        )
        if locks:
            yield folio.map_lock.release()
        if k.counts.newly_unmapped(folio.id) and k.counts.pages_mapped(folio.id) and not k.counts.entire(folio.id):
            yield from deferred_split(k, folio, partially_mapped=True)
    if vma.flags & vm.LOCKED:
        folio.mlocked = False


def remove_pmd(k: Kernel, folio: Folio, vma: Vma, table: PmdTable, vpn: int) -> Path[None]:
    """A PMD entry that mapped a folio at ``vpn`` is gone.

    Kernel: mm/rmap.c: folio_remove_rmap_pmd() (v6.18)
    """
    call = "folio_remove_rmap_pmd"
    locks = not k.config.is_6_12
    if locks:
        yield folio.map_lock.acquire(call)
    yield PmdUnmapped(folio.id, folio.order, folio.anon, vma.mm.mm_id, vma.id, table.id, vpn, call)
    if locks:
        yield folio.map_lock.release()
    if 0 < k.counts.newly_unmapped(folio.id) < folio.nr_pages:
        yield from deferred_split(k, folio, partially_mapped=True)
    if vma.flags & vm.LOCKED:
        folio.mlocked = False


def deferred_split(k: Kernel, folio: Folio, partially_mapped: bool) -> Path[None]:
    """Put an anonymous folio on the deferred-split queue, flagged if it is known to be partially mapped.

    Kernel: mm/huge_memory.c: deferred_split_folio() (v6.18)
    """
    if not folio.anon or folio.order < 2 or folio.swap_slot is not None:
        return
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


def put(k: Kernel, folio: Folio, nr: int = 1) -> Path[None]:
    """Drop ``nr`` references; without any left the folio is freed.

    Kernel: mm/swap.c: folios_put_refs() (v6.18)
    """
    folio.ref -= nr
    if folio.ref == 0:
        yield from free(k, folio)


def free(k: Kernel, folio: Folio) -> Path[None]:
    """Free a folio that has no reference left."""
    if folio.deferred:
        yield k.deferred_lock.acquire("__folio_unqueue_deferred_split")
        folio.deferred = False
        yield k.deferred_lock.release()
    k.physmem.remove(folio)
    k.forget_folio(folio)
    yield FolioFreed(folio.id)


def clear_exclusive(folio: Folio, first: int, nr: int) -> None:
    """The pages are no longer exclusive to one mm (PageAnonExclusive off)."""
    folio.anon_exclusive &= ~page_bits(first, nr)


def rss_add(vma: Vma, folio: Folio, nr: int) -> None:
    """Count ``nr`` pages of a folio as mapped (or no longer, if negative) by the VMA's mm."""
    rss = vma.mm.rss
    if folio.anon:
        rss.anon += nr
    elif folio.swapbacked:
        rss.shmem += nr
    else:
        rss.file += nr

"""PMD entries that map a whole folio: splitting them into a PTE table."""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import rmap, tables
from folioshell.paths.step import Path
from folioshell.units import align_down, align_up


def split_huge_pmd_address(k: Kernel, vma: Vma, vpn: int, frozen: Folio | None = None) -> Path[None]:
    """Split the PMD entry that covers ``vpn``, if it maps a folio; the lock is taken if there is a PMD table at all.

    Args:
        frozen: as for split_huge_pmd.
    Kernel: mm/huge_memory.c: split_huge_pmd_address() (v6.18)
    """
    pmd = vma.mm.tables.pmd_table(vpn)
    if pmd is not None:
        yield from split_huge_pmd(k, vma, pmd, align_down(vpn, k.geometry.pmd_pages), frozen)


def split_huge_pmd_if_needed(k: Kernel, vma: Vma, vpn: int) -> Path[None]:
    """Split the PMD entry around a future VMA boundary, if the VMA covers all that one entry maps there.

    Kernel: mm/huge_memory.c: split_huge_pmd_if_needed() (v6.18)
    """
    size = k.geometry.pmd_pages
    if vpn % size and vma.start <= align_down(vpn, size) and align_up(vpn, size) <= vma.end:
        yield from split_huge_pmd_address(k, vma, vpn)


def split_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, frozen: Folio | None = None) -> Path[None]:
    """Replace a PMD entry that maps a folio by a PTE table (anonymous memory), or zap it (files).

    Args:
        block: first virtual page that the entry maps.
        frozen: a folio that is about to be split: only an entry that maps it is, and into migration entries.
    Kernel: mm/huge_memory.c: __split_huge_pmd() (v6.18)
    """
    yield pmd.lock.acquire("__split_huge_pmd")
    entry = pmd.entries.get(vma.mm.tables.pmd_index(block), pte.NONE)
    dropped = None
    if not isinstance(entry, PageTable) and entry > 0 and (frozen is None or pte.pfn_of(entry) == frozen.pfn):
        dropped = yield from split_huge_pmd_locked(k, vma, pmd, block, freeze=frozen is not None)
    yield pmd.lock.release()
    if dropped is not None:
        yield from rmap.put(k, dropped)


def split_huge_pmd_locked(k: Kernel, vma: Vma, pmd: PmdTable, block: int, freeze: bool) -> Path[Folio | None]:
    """As split_huge_pmd, under the lock. Returns the folio whose reference the caller has to drop, if any.

    Kernel: mm/huge_memory.c: __split_huge_pmd_locked() (v6.18)
    """
    k.count("thp_split_pmd")
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries[index]
    assert isinstance(entry, int)
    if pte.is_zero_page(entry):
        table = tables.withdraw(pmd)
        flags = pte.YOUNG if vma.flags & (vm.READ | vm.WRITE) else pte.YOUNG | pte.PROTNONE
        table.entries[:] = pte.packed([pte.make(pte.ZERO_PFN, flags)] * len(table.entries))
        pmd.entries[index] = table
        yield Tracepoint(f"huge zero page at {pmd} split into {table}")
        return None
    folio = k.physmem.single_out(pte.pfn_of(entry))
    if not folio.anon:
        del pmd.entries[index]
        if entry & pte.DIRTY and not folio.dirty:
            folio.mark_dirty()
        rmap.rss_add(vma, folio, -folio.nr_pages)
        yield Tracepoint(f"PMD mapping of {folio} at {pmd} dropped: a file comes back by faults")
        yield from rmap.remove_pmd(k, folio, vma, pmd, block)
        return folio
    table = yield from _split_anon(k, vma, pmd, block, folio, entry, freeze)
    pmd.entries[index] = table
    return folio if freeze else None


def _split_anon(
    k: Kernel, vma: Vma, pmd: PmdTable, block: int, folio: Folio, entry: int, freeze: bool
) -> Path[PageTable]:
    exclusive = bool(folio.anon_exclusive & 1)
    table = tables.withdraw(pmd)
    entries = pte.ramp(entry, folio.nr_pages)
    folio.dirty = folio.dirty or bool(entry & pte.DIRTY)
    yield Tracepoint(f"PMD mapping of {folio} at {pmd} split into {table}")
    if freeze:
        folio.anon_exclusive = 0
        table.entries[:] = pte.packed([pte.migration(one, exclusive) for one in entries])
    else:
        folio.ref += folio.nr_pages - 1
        folio.anon_exclusive = (1 << folio.nr_pages) - 1 if exclusive else 0
        table.entries[:] = entries
        call = "folio_add_anon_rmap_ptes"
        yield from rmap.add_ptes(k, folio, 0, folio.nr_pages, vma, table, block, call)
    yield from rmap.remove_pmd(k, folio, vma, pmd, block)
    return table

"""Taking a folio's entries away for a while, and putting them back: try_to_migrate and remove_migration_ptes.

Kernel: mm/rmap.c: try_to_migrate_one() (v6.18); mm/migrate.c: remove_migration_pte() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import rmap
from folioshell.paths.huge import split_huge_pmd_address
from folioshell.paths.step import Path
from folioshell.paths.walk import Hit, VmaWalk, vmas_of


def try_to_migrate(k: Kernel, folio: Folio, split_pmd: bool) -> Path[None]:
    """Replace every entry that maps a folio by a migration entry, up to one of a pinned page, which must stay.

    The caller holds the rmap lock.

    Args:
        split_pmd: PMD entries are split first, because the folio is about to be; else they become migration entries
            of a PMD.
    """
    stuck = False

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        nonlocal stuck
        if isinstance(hit.table, PmdTable):
            stuck = yield from _set_pmd_migration_entry(k, folio, vma, hit.table, hit)
        else:
            stuck = yield from _set_migration_pte(k, folio, vma, hit.table, hit)
        return stuck

    for vma in vmas_of(folio):
        if split_pmd and folio.order == k.geometry.pmd_order:
            address = vma.address_of(folio.index, folio.nr_pages)
            yield from split_huge_pmd_address(k, vma, address, frozen=folio)
        yield from VmaWalk(k, folio, vma, visit, sync=True).run()
        if stuck or not k.counts.mapcount(folio.id):
            return


def _set_pmd_migration_entry(k: Kernel, folio: Folio, vma: Vma, pmd: PmdTable, hit: Hit) -> Path[bool]:
    """Replace one entry. True: it must stay.

    Kernel: mm/huge_memory.c: set_pmd_migration_entry() (v6.18)
    """
    entry = pmd.entries[hit.index]
    assert isinstance(entry, int)
    exclusive = bool(folio.anon_exclusive & 1)
    if not rmap.try_share(folio, 0):
        return True
    folio.dirty = folio.dirty or bool(entry & pte.DIRTY)
    pmd.entries[hit.index] = pte.migration(entry, exclusive)
    yield from rmap.remove_pmd(k, folio, vma, pmd, hit.vpn)
    folio.ref -= 1
    return False


def _set_migration_pte(k: Kernel, folio: Folio, vma: Vma, table: PageTable, hit: Hit) -> Path[bool]:
    """Replace one entry. True: it must stay."""
    entry = table.entries[hit.index]
    page = pte.pfn_of(entry) - folio.pfn
    exclusive = bool(folio.anon_exclusive >> page & 1)
    if not rmap.try_share(folio, page):
        return True
    folio.dirty = folio.dirty or bool(entry & pte.DIRTY)
    table.entries[hit.index] = pte.migration(entry, exclusive)
    yield from rmap.remove_ptes(k, folio, page, 1, vma, table, hit.vpn)
    folio.ref -= 1
    return False


def remove_migration_ptes(k: Kernel, folio: Folio, source: Folio, use_shared_zeropage: bool = False) -> Path[None]:
    """Replace the migration entries for the pages of ``source`` that are now ``folio`` by present ones.

    Args:
        folio: the folio that holds the pages now; for a split folio's piece its own pages, else a copy.
        source: where the entries point to: the same pfns for a split, those of the old folio for a migration.
        use_shared_zeropage: map the zero page instead of a page that holds only zeros.
    """

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        if isinstance(hit.table, PmdTable):
            yield from _remove_migration_pmd(k, folio, vma, hit.table, hit)
        else:
            yield from _remove_migration_pte(k, folio, source, vma, hit.table, hit, use_shared_zeropage)
        return False

    for vma in vmas_of(folio):
        yield from VmaWalk(k, source, vma, visit, migration=True, sync=True).run()


def _remove_migration_pte(
    k: Kernel, folio: Folio, source: Folio, vma: Vma, table: PageTable, hit: Hit, use_shared_zeropage: bool
) -> Path[None]:
    entry = table.entries[hit.index]
    page = pte.migration_pfn(entry) - source.pfn
    flags = pte.migration_flags(entry)
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    if use_shared_zeropage and _is_zero_filled(folio, page) and not folio.mlocked and not vma.flags & vm.LOCKED:
        table.entries[hit.index] = pte.make(pte.ZERO_PFN, flags & (pte.YOUNG | pte.PROTNONE))
        rmap.rss_add(vma, folio, -1)
        return
    folio.ref += 1
    if pte.migration_is_exclusive(entry):
        folio.anon_exclusive |= 1 << page
    call = "folio_add_anon_rmap_ptes" if folio.anon else "folio_add_file_rmap_ptes"
    yield from rmap.add_ptes(k, folio, page, 1, vma, table, hit.vpn, call)
    table.entries[hit.index] = pte.make(folio.pfn + page, flags)


def _remove_migration_pmd(k: Kernel, folio: Folio, vma: Vma, pmd: PmdTable, hit: Hit) -> Path[None]:
    """Kernel: mm/huge_memory.c: remove_migration_pmd() (v6.18)"""
    entry = pmd.entries[hit.index]
    assert isinstance(entry, int)
    folio.ref += 1
    if pte.migration_is_exclusive(entry):
        folio.anon_exclusive |= 1
    call = "folio_add_anon_rmap_pmd" if folio.anon else "folio_add_file_rmap_pmd"
    yield from rmap.add_pmd(k, folio, vma, pmd, hit.vpn, call)
    pmd.entries[hit.index] = pte.make(folio.pfn, pte.migration_flags(entry))


def _is_zero_filled(folio: Folio, page: int) -> bool:
    return not folio.nonzero >> page & 1

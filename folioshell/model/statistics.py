"""Node statistics about mapped pages, under three ways to keep them.

Rules:
- Every figure is a function of what maps the folios now: each way adds when it maps and takes the same away when it
  unmaps, so the sum over the folios is what a running counter would hold.

Kernel: mm/rmap.c: __folio_add_rmap(), __folio_remove_rmap(), __folio_mod_stat() (v6.18)
"""

from __future__ import annotations

from collections.abc import Callable

from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel

#: the counters, as /proc/vmstat names them, in its order
COUNTERS = ("nr_anon_pages", "nr_mapped", "nr_shmem_pmdmapped", "nr_file_pmdmapped", "nr_anon_transparent_hugepages")
#: the names that the kernel's source gives them
SYMBOLS = {
    "nr_anon_pages": "NR_ANON_MAPPED",
    "nr_mapped": "NR_FILE_MAPPED",
    "nr_shmem_pmdmapped": "NR_SHMEM_PMDMAPPED",
    "nr_file_pmdmapped": "NR_FILE_PMDMAPPED",
    "nr_anon_transparent_hugepages": "NR_ANON_THPS",
}


def _precise(k: Kernel, folio: Folio) -> int:
    """Pages that anything maps: a page counts from its first mapping to its last."""
    counts = k.counts
    if not folio.order:
        return 1 if counts.mapcount(folio.id) else 0
    return folio.nr_pages if counts.entire(folio.id) else counts.pages_mapped(folio.id)


def _whole(k: Kernel, folio: Folio) -> int:
    """All pages of a folio that is mapped at all."""
    return folio.nr_pages if k.counts.mapcount(folio.id) else 0


def _as_mailed(k: Kernel, folio: Folio) -> int:
    """NR_FILE_MAPPED += nr at every mapping: a page counts once a mapping. Anonymous pages as in the kernel."""
    if folio.anon:
        return _precise(k, folio)
    entire = k.counts.entire(folio.id)
    return k.counts.mapcount(folio.id) + entire * (folio.nr_pages - 1)


#: way to keep the statistics -> (what it is, pages of a folio that it counts as mapped)
WAYS: dict[str, tuple[str, Callable[[Kernel, Folio], int]]] = {
    "precise": ("CONFIG_PAGE_MAPCOUNT: pages that anything maps", _precise),
    "no-page-mapcount": ("CONFIG_NO_PAGE_MAPCOUNT: all pages of folios that are mapped at all", _whole),
    "as-mailed": ("the sketch of February 2023: NR_FILE_MAPPED += nr, mapped before or not", _as_mailed),
}


def statistics(k: Kernel, way: str) -> dict[str, int]:
    """The counters, in pages, under one of the ways.

    Raises:
        KeyError: there is no such way.
    """
    pages = WAYS[way][1]
    sums = dict.fromkeys(COUNTERS, 0)
    for folio in k.folios.looks():
        sums["nr_anon_pages" if folio.anon else "nr_mapped"] += pages(k, folio)
        if k.counts.entire(folio.id):
            sums[_pmd_counter(folio)] += folio.nr_pages
    return sums


def native_way(k: Kernel) -> str:
    """The way in which the simulated kernel itself keeps them."""
    return "precise" if k.config.page_mapcount else "no-page-mapcount"


def _pmd_counter(folio: Folio) -> str:
    """Kernel: mm/rmap.c: __folio_mod_stat() (v6.18)"""
    if folio.anon:
        return "nr_anon_transparent_hugepages"
    return "nr_shmem_pmdmapped" if folio.swapbacked else "nr_file_pmdmapped"

"""How many entries in a row map consecutive pages of one folio alike: what the kernel handles in one go."""

from __future__ import annotations

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.pagetable import PageTable


def folio_pte_batch(table: PageTable, index: int, limit: int, folio: Folio, significant: int = 0) -> int:
    """Number of entries from ``index`` on, below ``limit``, that map consecutive pages of ``folio`` and agree.

    Args:
        table: the leaf table; ``index`` and ``limit`` are entries in it.
        significant: flags (WRITE, DIRTY) in which the entries must agree; others may differ.
    Kernel: mm/util.c: folio_pte_batch_flags() (v6.18)
    """
    entries = table.entries
    mask = ~(pte.FLAGS ^ (significant | pte.PRESENT | pte.PROTNONE))
    expected = entries[index] & mask
    last = min(limit, index + folio.nr_pages - (pte.pfn_of(entries[index]) - folio.pfn))
    step = 1 << pte.PFN_SHIFT
    position = index + 1
    expected += step
    while position < last and entries[position] & mask == expected and entries[position] > 0:
        position += 1
        expected += step
    return position - index

"""What user space sees of memory: /proc/PID/smaps, the bits of /proc/PID/pagemap, /proc/kpagecount.

Kernel: fs/proc/task_mmu.c: smaps_pte_range(), pagemap_pmd_range() (v6.18); fs/proc/page.c: kpagecount_read() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from folioshell.model import pte
from folioshell.model import vma as vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vma import Vma
from folioshell.units import PAGE_SIZE

#: rows of smaps that the model fills, in kB and in the order in which the kernel prints them
SMAPS_ROWS = (
    "Rss",
    "Pss",
    "Shared_Clean",
    "Shared_Dirty",
    "Private_Clean",
    "Private_Dirty",
    "Anonymous",
    "LazyFree",
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Swap",
    "Locked",
)

_PSS_SHIFT = 12
_KB = PAGE_SIZE // 1024


@dataclass(slots=True, frozen=True)
class MappedPage:
    """A present page of a VMA, or a run of them that one PMD entry maps.

    Args:
        vpn: virtual page.
        folio: the folio; None for the (huge) zero page.
        page: index of the page in the folio.
        entry: the entry, as a leaf entry of this page would be.
        pmd: a PMD entry maps it.
    """

    vpn: int
    folio: Folio | None
    page: int
    entry: int
    pmd: bool


def present_pages(k: Kernel, vma: Vma) -> Iterator[MappedPage]:
    """The present pages of a VMA, ascending."""
    size = k.geometry.pmd_pages
    folio_of = k.physmem.folio
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        low, high = max(vma.start, block), min(vma.end, block + size)
        if isinstance(found, PageTable):
            for vpn in range(low, high):
                entry = found.entries[vpn - block]
                if entry > pte.FLAGS:
                    pfn = entry >> pte.PFN_SHIFT
                    folio = folio_of(pfn)
                    yield MappedPage(vpn, folio, pfn - folio.pfn, entry, False)
                elif entry > 0:
                    yield MappedPage(vpn, None, 0, entry, False)
        elif found > 0:
            folio_or_none = folio_of(found >> pte.PFN_SHIFT) if pte.maps_folio(found) else None
            for offset in range(low - block, high - block):
                entry = found + (offset << pte.PFN_SHIFT) if folio_or_none is not None else found
                yield MappedPage(block + offset, folio_or_none, offset, entry, True)


def kpagecount(k: Kernel, folio: Folio, page: int) -> int:
    """Entries that map one page, as /proc/kpagecount prints them."""
    return k.counts.page_mapcount(folio.id, page)


def pagemap_bits(k: Kernel, mapped: MappedPage) -> str:
    """Bits of pagemap for a present page: ``p`` present, ``f`` file or shared, ``x`` exclusive, ``h`` by a PMD.

    A PMD entry asks for its first page only, and 512 times the same.
    """
    if mapped.folio is None:
        return "pfh" if mapped.pmd else "p"
    first = mapped.page
    if mapped.pmd and not k.config.is_6_12:
        first = 0
    bits = "p"
    if not mapped.folio.anon:
        bits += "f"
    if kpagecount(k, mapped.folio, first) == 1:
        bits += "x"
    return bits + ("h" if mapped.pmd else "")


def smaps(k: Kernel, vma: Vma) -> dict[str, int]:
    """Figures of a VMA in kB, those that are not 0.

    A page is private if one entry maps it, or if its folio has one reference; its share of Pss is 4 kB by the number
    of entries.
    """
    sums = dict.fromkeys(SMAPS_ROWS, 0)
    pss = 0
    for mapped in present_pages(k, vma):
        folio = mapped.folio
        if folio is None:
            continue
        count = 1 if folio.ref == 1 else max(1, kpagecount(k, folio, mapped.page))
        dirty = bool(mapped.entry & pte.DIRTY) or folio.dirty
        sums["Rss"] += _KB
        pss += (PAGE_SIZE << _PSS_SHIFT) // count
        sums[f"{'Shared' if count > 1 else 'Private'}_{'Dirty' if dirty else 'Clean'}"] += _KB
        if folio.anon:
            sums["Anonymous"] += _KB
            if not folio.swapbacked and not folio.dirty and not mapped.entry & pte.DIRTY:
                sums["LazyFree"] += _KB
        if mapped.pmd:
            sums["AnonHugePages" if folio.anon else "ShmemPmdMapped" if folio.swapbacked else "FilePmdMapped"] += _KB
    sums["Pss"] = pss >> (10 + _PSS_SHIFT)
    sums["Swap"] = _KB * _swap_entries(k, vma)
    if vma.flags & vm.LOCKED:
        sums["Locked"] = sums["Pss"]
    return {name: value for name, value in sums.items() if value}


def _swap_entries(k: Kernel, vma: Vma) -> int:
    size = k.geometry.pmd_pages
    number = 0
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        if isinstance(found, PageTable):
            low, high = max(vma.start, block), min(vma.end, block + size)
            number += sum(1 for entry in found.entries[low - block : high - block] if pte.is_swap(entry))
    return number

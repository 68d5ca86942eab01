"""The truth: who maps a folio, computed from page tables and VMAs alone, and the invariants checked against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.records import dataclass, field


@dataclass(slots=True, frozen=True)
class Mapping:
    """Consecutive entries that map consecutive pages of a folio, in one VMA and one page table.

    Args:
        mm, vma, table: where; a PMD table for a PMD entry.
        vpn: virtual page of the first entry.
        first, nr: pages of the folio.
        pmd: one PMD entry maps all of them.
    """

    mm: Mm
    vma: Vma
    table: PageTable | PmdTable
    vpn: int
    first: int
    nr: int
    pmd: bool


@dataclass(slots=True, frozen=True)
class TruthCounts:
    """How many mms, VMAs, (VMA, table) tuples and entries map a folio, and how many of its pages are mapped."""

    mms: int
    vmas: int
    tuples: int
    entries: int
    pages: int
    pmds: int

    @property
    def shared(self) -> bool:
        """More than one address space maps a page of it."""
        return self.mms > 1


def mappings(k: Kernel, folio: Folio) -> list[Mapping]:
    """Every run of entries that maps pages of the folio: address spaces in order of creation, addresses ascending."""
    return [mapping for mm in k.mms.values() for mapping in mappings_in(k, mm, folio)]


def mappings_in(k: Kernel, mm: Mm, folio: Folio) -> Iterator[Mapping]:
    """The runs of one address space."""
    low = folio.pfn << pte.PFN_SHIFT
    high = (folio.pfn + folio.nr_pages) << pte.PFN_SHIFT
    for block, pmd, entry in mm.tables.blocks():
        if isinstance(entry, PageTable):
            used = entry.used
            found = entry.entries[used.start : used.stop]
            if not found or max(found) < low:
                continue
            indexes = [index for index, value in enumerate(found, used.start) if low <= value < high]
            if indexes:
                yield from _runs(mm, entry, block, indexes, folio)
        elif low <= entry < high:
            vma = mm.vmas.find(block)
            assert vma is not None
            first = pte.pfn_of(entry) - folio.pfn
            yield Mapping(mm, vma, pmd, block, first, k.geometry.pmd_pages, True)


def _runs(mm: Mm, table: PageTable, block: int, indexes: list[int], folio: Folio) -> Iterator[Mapping]:
    """Group the entries at ``indexes`` of a PTE table into runs of consecutive pages within one VMA."""
    entries = table.entries
    position = 0
    while position < len(indexes):
        index = indexes[position]
        first = pte.pfn_of(entries[index]) - folio.pfn
        vma = mm.vmas.find(block + index)
        assert vma is not None
        nr = 1
        while (
            position + nr < len(indexes)
            and indexes[position + nr] == index + nr
            and pte.pfn_of(entries[index + nr]) - folio.pfn == first + nr
            and block + index + nr < vma.end
        ):
            nr += 1
        yield Mapping(mm, vma, table, block + index, first, nr, False)
        position += nr


def truth(k: Kernel, folio: Folio) -> TruthCounts:
    """What the page tables say about a folio."""
    found = mappings(k, folio)
    pages = 0
    for mapping in found:
        pages |= ((1 << mapping.nr) - 1) << mapping.first
    return TruthCounts(
        mms=len({mapping.mm.name for mapping in found}),
        vmas=len({mapping.vma.id for mapping in found}),
        tuples=len({(mapping.vma.id, str(mapping.table)) for mapping in found}),
        entries=sum(1 if mapping.pmd else mapping.nr for mapping in found),
        pages=pages.bit_count(),
        pmds=sum(mapping.pmd for mapping in found),
    )


# Invariants.


@dataclass(slots=True)
class _Seen:
    """What the page tables say of one folio.

    Attributes:
        ptes: page -> number of PTEs. pmds: number of PMD entries. mms: MM-ID -> entries.
        locked: number of entries in locked VMAs.
    """

    ptes: dict[int, int] = field(default_factory=dict)
    pmds: int = 0
    mms: dict[int, int] = field(default_factory=dict)
    locked: int = 0


def broken_invariants(k: Kernel) -> list[str]:
    """What is wrong, a sentence each; empty if nothing is.

    Folios that a wrong answer of the deciding scheme has corrupted (``tainted``) are exempt from the rules of exclusive
    pages: that was reported as a finding.
    """
    broken: list[str] = []
    seen: dict[int, _Seen] = {}
    for mm in k.mms.values():
        broken.extend(_check_mm(k, mm, seen))
    pins = Counter(folio.id for mm in k.mms.values() for held in mm.pins.values() for folio in held)
    for folio in k.folios.values():
        if folio.pins != pins.pop(folio.id, 0):
            broken.append(f"{folio} counts {folio.pins} pins, which are not those that mms hold")
        broken.extend(_check_folio(k, folio, seen.pop(folio.id, _Seen())))
    broken.extend(f"f{number} is pinned but does not exist" for number in pins)
    broken.extend(f"f{number} is mapped but does not exist" for number in seen)
    return broken


def _check_mm(k: Kernel, mm: Mm, seen: dict[int, _Seen]) -> Iterator[str]:
    rss = {"anon": 0, "file": 0, "shmem": 0, "swap": 0}
    tables = 0
    last_end = 0
    for vma in mm.vmas:
        if vma.start < last_end or vma.start >= vma.end:
            yield f"{mm}: {vma} overlaps the next VMA or is empty"
        last_end = vma.end
    for block, pmd, entry in mm.tables.blocks():
        if isinstance(entry, PageTable):
            tables += 1
            for index, value in enumerate(entry.entries):
                if value:
                    yield from _check_entry(k, mm, block + index, value, seen, rss)
        else:
            yield from _check_huge(k, mm, block, entry, seen, rss)
        del pmd
    tables += sum(len(pmd.deposited) for pmd in mm.tables.pmds.values())
    if tables != mm.nr_ptes:
        yield f"{mm}: {tables} PTE tables, but nr_ptes is {mm.nr_ptes}"
    counted = (rss["file"], rss["anon"], rss["shmem"], rss["swap"])
    if counted != mm.rss.as_tuple():
        yield f"{mm}: entries give rss {counted}, the counters are {mm.rss.as_tuple()}"


def _kind(folio: Folio) -> str:
    return "anon" if folio.anon else "shmem" if folio.swapbacked else "file"


def _check_entry(k: Kernel, mm: Mm, vpn: int, entry: int, seen: dict[int, _Seen], rss: dict[str, int]) -> Iterator[str]:
    vma = mm.vmas.find(vpn)
    if vma is None:
        yield f"{mm}: an entry at {vpn:#x} outside of all VMAs"
        return
    if pte.is_swap(entry):
        rss["swap"] += 1
        return
    if not pte.maps_folio(entry):
        if pte.is_migration(entry):
            yield f"{mm}: a migration entry is left at {vpn:#x}"
        elif entry > 0 and entry & pte.WRITE:
            yield f"{mm}: the zero page is writable at {vpn:#x}"
        return
    pfn = pte.pfn_of(entry)
    folio = k.physmem.folio(pfn)
    page = pfn - folio.pfn
    rss[_kind(folio)] += 1
    record = seen.setdefault(folio.id, _Seen())
    record.ptes[page] = record.ptes.get(page, 0) + 1
    record.mms[mm.mm_id] = record.mms.get(mm.mm_id, 0) + 1
    record.locked += bool(vma.flags & vm.LOCKED) or mm.lost_mlock
    yield from _check_reverse(vma, vpn, folio, page)
    exclusive = folio.anon and folio.anon_exclusive >> page & 1
    if entry & pte.WRITE and vma.is_cow and not exclusive and folio.id not in k.tainted:
        yield f"{mm}: page {page} of {folio} is writable at {vpn:#x} but not exclusive"
    if entry & pte.WRITE and not vma.flags & vm.WRITE:
        yield f"{mm}: a writable entry at {vpn:#x} in {vma}, which is read-only"


def _check_huge(
    k: Kernel, mm: Mm, block: int, entry: int, seen: dict[int, _Seen], rss: dict[str, int]
) -> Iterator[str]:
    vma = mm.vmas.find(block)
    if vma is None or vma.end < block + k.geometry.pmd_pages:
        yield f"{mm}: a PMD entry at {block:#x} reaches beyond its VMA"
        return
    if not pte.maps_folio(entry):
        return
    folio = k.physmem.folio(pte.pfn_of(entry))
    rss[_kind(folio)] += folio.nr_pages
    record = seen.setdefault(folio.id, _Seen())
    record.pmds += 1
    record.mms[mm.mm_id] = record.mms.get(mm.mm_id, 0) + 1
    record.locked += bool(vma.flags & vm.LOCKED) or mm.lost_mlock
    if folio.order != k.geometry.pmd_order:
        yield f"{mm}: a PMD entry maps {folio} of order {folio.order}"
    yield from _check_reverse(vma, block, folio, 0)


def _check_reverse(vma: Vma, vpn: int, folio: Folio, page: int) -> Iterator[str]:
    """The rmap must find the VMA, and the offsets must agree."""
    if vma.vpn_of(folio) + page != vpn:
        index = vma.anon_pgoff_of(vpn) if folio.anon else vma.pgoff_of(vpn)
        yield f"{vma} maps page {page} of {folio} at {vpn:#x}: its offset there is {index}"
    if isinstance(folio.mapping, AnonVma):
        if folio.mapping not in vma.chain:
            yield f"{vma} maps {folio}, but is not in the tree of {folio.mapping}"
    elif vma.file is not folio.mapping:
        yield f"{vma} maps {folio} of {folio.mapping}, but is not a mapping of it"
    elif not folio.cached:
        # Truncation and reclaim unmap it first, and faults look again once they have locked it.
        yield f"{vma} maps {folio}, which is no longer in the page cache of {folio.mapping}"
    # Private copies go with the pages of the file. Of a folio across EOF fault-around may map all: it reads the size
    # first and locks the folio then.
    if folio.anon and vma.file is not None and vma.pgoff_of(vpn) >= vma.file.size:
        yield f"{vma} maps page {page} of {folio} at {vpn:#x}, beyond EOF of {vma.file}"


def _check_folio(k: Kernel, folio: Folio, seen: _Seen) -> Iterator[str]:
    counts = k.counts
    entries = sum(seen.ptes.values()) + seen.pmds
    if counts.mapcount(folio.id) != entries:
        yield f"{folio}: {entries} entries, but the mapcount is {counts.mapcount(folio.id)}"
    if folio.order:
        if counts.entire(folio.id) != seen.pmds:
            yield f"{folio}: {seen.pmds} PMD entries, but the entire mapcount is {counts.entire(folio.id)}"
        if counts.pages_mapped(folio.id) != len(seen.ptes):
            yield f"{folio}: {len(seen.ptes)} pages mapped, but counted {counts.pages_mapped(folio.id)}"
    expected = entries + (folio.nr_pages if folio.cached else 0) + folio.has_buffers + folio.pins
    if folio.ref != expected:
        yield f"{folio}: {folio.ref} references, {expected} are accounted for"
    if not folio.ref:
        yield f"{folio} has no reference left, but is not freed"
    if folio.isolated:
        yield f"{folio} is left off the LRU"
    yield from _check_cached(k, folio)
    # It may be lower: a large folio counts as a whole.
    if folio.mlock_count > seen.locked:
        yield f"{folio}: {seen.locked} entries in locked VMAs, but mlock_count is {folio.mlock_count}"
    if folio.partially_mapped and not folio.deferred:
        yield f"{folio} is flagged partially mapped but not on the deferred-split queue"
    yield from _check_exclusive(k, folio, seen)
    has_owners = folio.order and k.release.tracks_mm_owners
    if has_owners and len(seen.mms) > 1 and k.counts.shared(folio.id, 0).value == "no":
        yield f"{folio}: SHARED is clear, but {len(seen.mms)} address spaces map it"


def _check_cached(k: Kernel, folio: Folio) -> Iterator[str]:
    """What the page cache or the swap cache finds is the folio that is in it; no folio of shmem begins beyond EOF."""
    if not folio.cached:
        return
    if isinstance(folio.mapping, AddressSpace) and folio.swap_slot is None:
        if any(folio.index + page in folio.mapping.swapped for page in range(folio.nr_pages) if folio.mapping.swapped):
            yield f"{folio} is in the page cache of {folio.mapping}, and a page of it in swap, too"
        if folio.mapping.find(folio.index) is not folio:
            yield f"{folio} is not the one that the page cache of {folio.mapping} finds at {folio.index}"
        # Read-ahead of a file on a disk reads the size before it takes invalidate_lock: it may add pages beyond EOF.
        if folio.mapping.is_shmem and folio.index >= folio.mapping.size:
            yield f"{folio} is in the page cache of {folio.mapping} beyond EOF"
        return
    assert folio.swap_slot is not None
    for page in range(folio.nr_pages):
        slot = folio.swap_slot + page
        if k.slots.cache[slot] != folio.pfn + page:
            yield f"{folio} is not the one that the swap cache finds at slot {slot}"
        # The entry of another mm: a write of the owner would reach it.
        elif folio.anon_exclusive >> page & 1 and k.slots.counts[slot]:
            yield f"page {page} of {folio} is exclusive, but a swap entry refers to its slot"


def _check_exclusive(k: Kernel, folio: Folio, seen: _Seen) -> Iterator[str]:
    if not folio.anon_exclusive or folio.id in k.tainted:
        return
    if not folio.anon:
        yield f"{folio} is not anonymous but has exclusive pages"
    if seen.pmds:
        if folio.anon_exclusive != 1 or seen.pmds != 1:
            yield f"{folio} is exclusive under {seen.pmds} PMD entries"
        return
    for page, times in seen.ptes.items():
        if times > 1 and folio.anon_exclusive >> page & 1:
            yield f"page {page} of {folio} is exclusive but mapped {times} times"

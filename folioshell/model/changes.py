"""When a difference between releases came, and those in counting, in what /proc shows, in VMAs, and in collapse.

The others stand in ``release.py``.
"""

from __future__ import annotations

from typing import Any

from folioshell.records import dataclass, field


@dataclass(frozen=True, slots=True)
class KernelChange:
    """When a difference came into the kernel.

    Attributes:
        since: the version that brought it.
        where: file and function, or configuration option, that changed.
        about: what kernels do since then, and what others do.
        commit: the upstream commit; empty where only the version is known.
        until: the version that took it away again.
    """

    since: str
    where: str
    about: str
    commit: str = ""
    until: str = ""

    def holds_in(self, version: str) -> bool:
        """Does the unpatched ``version`` do it?"""
        at = _number(version)
        return _number(self.since) <= at and not (self.until and _number(self.until) <= at)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def change(since: str, where: str, about: str, commit: str = "", until: str = "") -> Any:
    """The field of one difference: see ``KernelChange``."""
    return field(metadata={"change": KernelChange(since, where, about, commit, until)})


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AddressSpaceChanges:
    """For each named difference whether a release does that."""

    # Counting.

    tracks_mm_owners: bool = change(
        "6.15",
        "mm/rmap.c: folio_add_return_large_mapcount()",
        "large folios keep two MM-IDs and their shares, and rmap calls update them under a bit spinlock of the folio",
        commit="6af8cb80d3a9",
    )
    page_mapcount_is_optional: bool = change(
        "6.15",
        "CONFIG_NO_PAGE_MAPCOUNT",
        "the mapcounts of single pages can be configured away",
        commit="e63ee43e3eda",
    )
    clears_double_map_of_files: bool = change(
        "5.18",
        "mm/rmap.c: page_add_file_rmap()",
        "the first PMD entry of a file's folio clears PageDoubleMap, until v6.1 the flag of PTEs beside PMD entries",
        commit="bd55b0c2d64e",
    )
    pagemap_looks_at_each_page: bool = change(
        "6.11",
        "fs/proc/task_mmu.c: pagemap_pmd_range()",
        "pagemap's exclusive bit of a PMD-mapped page is that page's; others show the first page's for all",
        commit="2c1f057e5be6",
        until="6.15",
    )

    pagemap_tells_file_pmds: bool = change(
        "5.11",
        "fs/proc/task_mmu.c: pagemap_pmd_range()",
        "pagemap's file bit is set for pages that a PMD entry of a file or the huge zero page maps",
    )
    huge_zero_page_looks_like_file: bool = change(
        "5.11",
        "fs/proc/task_mmu.c: pagemap_pmd_range()",
        "pagemap's file bit is set for the huge zero page",
        until="7.1",
    )

    smaps_misses_none_pmds: bool = change(
        "6.1",
        "fs/proc/task_mmu.c: smaps_pmd_entry()",
        "smaps leaves out what a PMD entry under PROT_NONE maps",
        commit="474098edac26",
        until="6.6",
    )

    # VMAs.

    merges_next_first: bool = change(
        "6.1",
        "mm/mmap.c: mmap_region()",
        "a new mapping that fits both adjacent VMAs joins the next one, and the previous one if that fits the next",
        until="6.11",
    )
    dontunmap_of_files: bool = change(
        "5.13",
        "mm/mremap.c: vma_to_resize()",
        "MREMAP_DONTUNMAP takes files and shared memory; else EINVAL",
        commit="a4609387859f",
    )
    dontunmap_unlinks_source: bool = change(
        "5.13",
        "mm/mremap.c: move_vma()",
        "the VMA that MREMAP_DONTUNMAP leaves is linked to no anon_vma any more; else fork still copies its tables",
    )
    merges_faulted_with_unfaulted: bool = change(
        "6.16",
        "mm/vma.c: is_mergeable_anon_vma()",
        "a range with an anon_vma joins an adjacent VMA without one; else only the other way round",
        commit="879bca0a2c4f",
    )
    unaccounts_unfaulted: bool = change(
        "6.7",
        "mm/mprotect.c: mprotect_fixup()",
        "private memory without an anon_vma that becomes read-only is accounted no more",
    )
    has_guard_regions: bool = change(
        "6.13",
        "mm/madvise.c: madvise_guard_install()",
        "MADV_GUARD_INSTALL and MADV_GUARD_REMOVE exist; else EINVAL",
        commit="662df3e5c376",
    )
    flags_guard_regions: bool = change(
        "6.19",
        "mm/madvise.c: madvise_guard_install()",
        "a VMA with guard regions is flagged so, which merges ignore and keep, and a file's gets no anon_vma for them",
        commit="49e14dabed7a",
    )
    guards_by_vma_lock: bool = change(
        "6.19",
        "mm/madvise.c: is_vma_lock_sufficient()",
        "guard regions within one VMA are installed and removed under its lock instead of the mm's",
    )
    indexes_copies_by_address: bool = change(
        "7.1",
        "include/linux/mm.h: vma_start_anon_pgoff()",
        "copies of a private file's pages are indexed by address, as anonymous memory is, and VMAs merge only if these "
        "indexes are in a row, too; else by file offset",
    )
    clones_newest_first: bool = change(
        "7.0",
        "mm/rmap.c: anon_vma_clone()",
        "a VMA's anon_vmas are linked to its copy from the newest on, and fork reuses the first that is left over; "
        "else from the oldest on",
    )
    dontunmap_copy_joins_source: bool = change(
        "5.7",
        "mm/vma.c: copy_vma()",
        "the copy of MREMAP_DONTUNMAP may merge with the VMA that it was copied from",
        until="7.1",
    )
    dontunmap_splits_locked: bool = change(
        "7.1",
        "mm/mremap.c: move_vma()",
        "MREMAP_DONTUNMAP of a part of a locked VMA splits that first; else all that stays is locked no more",
    )
    dontunmap_indexes_source_anew: bool = change(
        "7.1",
        "mm/mremap.c: move_vma()",
        "the VMA that MREMAP_DONTUNMAP leaves is indexed by its address, if all of it moved; else it keeps its offset",
    )
    pins_fast: bool = change(
        "6.10",
        "io_uring/memmap.c: io_pin_pages()",
        "buffers are pinned by pin_user_pages_fast(): from the first page that is not mapped for writing on, pages are "
        "marked dirty; else by pin_user_pages(), which marks none",
    )
    dontunmap_unaccounts_source: bool = change(
        "6.16",
        "mm/mremap.c: move_vma()",
        "the VMA that MREMAP_DONTUNMAP leaves is accounted no more",
        until="6.17",
    )

    # Walks of the rmap, and splits.

    walks_past_other_pmds: bool = change(
        "7.1",
        "mm/page_vma_mapped.c: page_vma_mapped_walk()",
        "a walk for a folio passes over PMD entries that map others; else its part in that VMA ends there",
    )
    unmaps_file_batches: bool = change(
        "7.1",
        "mm/rmap.c: folio_unmap_pte_batch()",
        "reclaim and splits unmap the entries of a large folio of a file together, by one rmap call",
    )
    queues_before_restoring: bool = change(
        "7.1",
        "mm/migrate.c: migrate_folio_move()",
        "a migrated folio joins the deferred-split queue before its entries are restored; else after",
    )
    split_locks_queue_of_anon: bool = change(
        "7.1",
        "mm/huge_memory.c: __folio_split()",
        "the split of a folio takes split_queue_lock for anonymous memory alone; else for files, too",
    )
    split_drops_i_mmap_first: bool = change(
        "7.1",
        "mm/huge_memory.c: __folio_split()",
        "the split of a file's folio drops i_mmap_rwsem before it unlocks the pieces; else after",
    )

    # Entries that mprotect and mremap change.

    mprotect_restores_write: bool = change(
        "6.1",
        "mm/mprotect.c: can_change_pte_writable()",
        "mprotect makes entries of exclusive anonymous pages writable, if they are dirty",
        commit="64fe24a3e05e",
    )
    mprotect_restores_write_of_clean: bool = change(
        "6.2",
        "mm/mprotect.c: can_change_private_pte_writable()",
        "mprotect makes clean entries of exclusive anonymous pages writable, and PMD entries",
        commit="6a56ccbcf6c6",
    )
    mprotect_cleans_pmd: bool = change(
        "6.16",
        "arch/x86/include/asm/pgtable.h: pmd_modify()",
        "mprotect makes a PMD entry clean",
        until="7.1",
    )
    mprotect_batches: bool = change(
        "6.17",
        "mm/mprotect.c: mprotect_folio_pte_batch()",
        "mprotect changes the entries of a large folio together: each gets the young and dirty bits that any had",
        commit="cac1db8c3aad",
    )
    mremap_checks_first: bool = change(
        "6.17",
        "mm/mremap.c: check_prep_vma()",
        "an mremap beyond the end of its VMA fails before it unmaps anything; else what is at its new place, and what "
        "it cuts off, are gone",
    )
    mremap_moves_several_vmas: bool = change(
        "6.17",
        "mm/mremap.c: remap_move()",
        "one mremap moves several VMAs and the holes between them, if the size stays; else EFAULT",
        commit="d23cb648e365",
    )


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class CollapseChanges(AddressSpaceChanges):
    """The same of MADV_COLLAPSE and khugepaged."""

    has_collapse: bool = change(
        "6.1",
        "mm/khugepaged.c: madvise_collapse()",
        "MADV_COLLAPSE exists; else EINVAL",
        commit="7d8faaf15545",
    )
    collapse_retracts_tables_of_others: bool = change(
        "6.6",
        "mm/khugepaged.c: retract_page_tables()",
        "COLLAPSE of shared memory frees the empty tables of other processes, too",
        commit="1d65b771bc08",
    )
    collapse_shares_mmap_lock: bool = change(
        "6.6",
        "mm/khugepaged.c: collapse_pte_mapped_thp()",
        "COLLAPSE removes a PTE table of a file with mmap_lock for reading; else for writing, under one PTL",
        commit="1043173eb5eb",
    )
    collapses_any_file: bool = change(
        "7.1",
        "mm/khugepaged.c: file_thp_enabled()",
        "COLLAPSE takes every file whose page cache can have folios of PMD order; else shared memory alone",
    )
    collapse_without_block_succeeds: bool = change(
        "7.1",
        "mm/khugepaged.c: madvise_collapse()",
        "COLLAPSE of a range without a whole block of PMD size is no error",
    )
    collapses_read_only_range: bool = change(
        "6.18",
        "mm/khugepaged.c: hpage_collapse_scan_pmd()",
        "COLLAPSE takes a range without any writable entry; else EINVAL",
    )
    collapse_passes_blocks_without_table: bool = change(
        "7.0",
        "mm/khugepaged.c: madvise_collapse()",
        "COLLAPSE continues after a block without a PTE table (SCAN_NO_PTE_TABLE); else it ends there (SCAN_PMD_NONE)",
    )
    collapse_spares_cached_swap: bool = change(
        "4.0",
        "mm/khugepaged.c: __collapse_huge_page_isolate()",
        "khugepaged leaves a block alone with a read-only page in the swap cache that has other users",
        until="5.18",
    )
    khugepaged_knows_huge_blocks: bool = change(
        "6.1",
        "mm/khugepaged.c: find_pmd_or_thp_or_none()",
        "khugepaged tells a PMD-mapped block, and removes the PTE table of a huge folio; else SCAN_PMD_NULL and "
        "SCAN_PAGE_COMPOUND",
    )
    khugepaged_spares_lazyfree: bool = change(
        "7.1",
        "mm/khugepaged.c: collapse_scan_pmd()",
        "khugepaged leaves a block alone with a clean lazyfree page",
    )
    khugepaged_makes_mthp: bool = change(
        "7.2",
        "mm/khugepaged.c: mthp_collapse()",
        "khugepaged collapses parts of a block of anonymous memory to all enabled orders; else whole blocks alone",
    )
    collapse_batches: bool = change(
        "6.17",
        "mm/khugepaged.c: __collapse_huge_page_copy_succeeded()",
        "COLLAPSE removes the entries of a large folio by one rmap call",
    )

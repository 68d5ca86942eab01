"""Races that Linux excludes by a reference, a re-check after a lock, or a freeze: explored to the end, nothing breaks.

Each row failed before the path took the reference or looked again.
"""

from __future__ import annotations

import pytest

from folioshell.commands import Session

#: what excludes it -> setup, threads; the others run with ``-m full``
RACES = {
    "__get_user_pages_locked() looks the VMA up again": (
        "file lib 8 uncached ; mmap w 8 file=lib shared prot=rw",
        "A.t1: pin w[0..1] ; A.t2: mprotect w r",
    ),
    "filemap_get_entry() takes a reference": (
        "set fault_around 4K ; file lib 16 order=2 ; mmap w 8 file=lib",
        "A.t1: read w[1] ; A.t2: migrate f1",
    ),
    "shmem_get_folio_gfp() adds a locked folio": (
        "file lib 16 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw",
        "A.t1: write w[1] ; A.t2: madvise remove w",
    ),
    "wp_page_shared() takes a reference": (
        "file lib 8 fs=tmpfs ; mmap w 8 file=lib shared prot=rw ; read w[0] ; mprotect w r ; mprotect w rw",
        "A.t1: write w[0] ; A.t2: madvise remove w[0]",
    ),
    "swap_cache_get_folio() takes a reference": (
        "set swap on ; mmap b 8 ; write b[0]",
        "A.t1: write b[0] ; A.t2: reclaim f1",
    ),
    "do_swap_page() looks at the swap cache and the entry again": (
        "set swap on ; mmap b 8 ; write b[0] ; reclaim b[0]",
        "A.t1: read b[0] ; A.t2: madvise free b",
    ),
    "pmd_migration_entry_wait() waits for a folio": (
        "set thp.pmd always ; mmap w 8 ; write w[0]",
        "A.t1: migrate f1 ; A.t2: read w[0]",
    ),
    "hugepage_vma_revalidate() after mmap_lock was dropped": (
        "mmap w 8 ; write w[0..2]",
        "A.t1: madvise collapse w ; A.t2: munmap w[1]",
    ),
    "filemap_lock_folio() before a PMD entry is installed": (
        "file lib 8 fs=tmpfs ; mmap w 8 file=lib shared prot=rw ; read w[0..3] ; madvise collapse w",
        "A.t1: madvise collapse w ; A.t2: migrate w[0]",
    ),
    "folio_isolate_lru() takes a folio once": (
        "set swap on ; mmap w 4 ; write w[0]",
        "A.t1: reclaim f1 ; A.t2: reclaim f1",
    ),
    "__remove_mapping() freezes a page in swap": (
        "set swap on ; mmap w 4 ; write w[0]",
        "A.t1: reclaim f1 ; A.t2: madvise dontneed w[0]",
    ),
    "__remove_mapping() freezes a page of a file": (
        "set fault_around 4K ; file lib 4 ; mmap w 4 file=lib ; read w[0]",
        "A.t1: reclaim f1 ; A.t2: read w[0]",
    ),
    "__folio_split() freezes a folio in the page cache": (
        "set fault_around 4K ; file lib 4 order=2 ; mmap w 4 file=lib ; read w[0]",
        "A.t1: split f1 ; A.t2: read w[0]",
    ),
    "split_huge_pages_in_file() takes a reference": (
        "set fault_around 4K ; file lib 4 order=2 ; mmap w 4 file=lib ; read w[0]",
        "A.t1: split f1 ; A.t2: migrate f1",
    ),
}
MORE_RACES = {
    "check_pmd_still_valid() under the VMA lock": (
        "mmap w 8 ; write w[0..2]",
        "A.t1: madvise collapse w ; A.t2: madvise dontneed w",
    ),
    "thp_vma_suitable_order() after mmap_lock was dropped": (
        "mmap w 8 ; write w[0..2]",
        "A.t1: madvise collapse w ; A.t2: mprotect w[1] r",
    ),
    "__collapse_huge_page_isolate() restores the table if a folio is locked": (
        "mmap w 8 ; write w[0..2]",
        "A.t1: madvise collapse w ; A.t2: migrate f1",
    ),
    "collapse_file() starts over where a hole was filled": (
        "file lib 8 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw ; write w[0..3]",
        "A.t1: madvise collapse w ; A.t2: pin w[5]",
    ),
    "collapse_file() only tries folio locks, and isolates": (
        "file lib 8 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw ; write w[0..3]",
        "A.t1: madvise collapse w ; A.t2: migrate w[0]",
    ),
    "retract_page_tables() looks at the PMD entry under its lock": (
        "file lib 8 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw ; write w[0..3]",
        "A.t1: madvise collapse w ; A.t2: madvise dontneed w",
    ),
    "collapse_pte_mapped_thp() looks the VMA up again": (
        "file lib 8 fs=tmpfs ; mmap w 8 file=lib shared prot=rw ; read w[0..3] ; madvise collapse w ; fork B",
        "A.t1: madvise collapse w ; A.t2: munmap w",
    ),
    "mlock_vma_pages_range() marks the VMA with VM_IO": (
        "mmap b 8 align=8 ; madvise hugepage b ; write b",
        "A.t1: mlock b ; A.t2: migrate f1",
    ),
    "migrate_folio_move() keeps a reference to the copy": (
        "mmap w 4 ; write w[0] ; fork B",
        "A.t1: migrate f1 ; A.t2: read w[0]",
    ),
    "__split_huge_pmd_locked() splits PMD migration entries": (
        "set thp.pmd always ; mmap w 8 ; write w[0]",
        "A.t1: migrate f1 ; A.t2: mprotect w[1] r",
    ),
    "split and migration of one folio exclude each other": (
        "set thp.16K always ; mmap w 4 ; write w[0]",
        "A.t1: split f1 ; A.t2: migrate f1",
    ),
    "the pieces of a folio are locked until the split is over": (
        "set thp.16K always ; mmap w 4 ; write w[0]",
        "A.t1: split f1 ; A.t2: read w[0]",
    ),
    "__folio_split() fails if wp_page_copy() has a reference": (
        "set thp.16K always ; mmap w 4 ; write w[0] ; fork B",
        "A.t1: split f1 ; A.t2: write w[0]",
    ),
    "reclaim does not get a folio that is being split": (
        "set thp.16K always ; mmap w 4 ; write w[0]",
        "A.t1: split f1 ; A.t2: reclaim f1",
    ),
    "next_uptodate_folio() takes a reference": (
        "file lib 16 order=2 ; mmap w 8 file=lib",
        "A.t1: read w[1] ; A.t2: reclaim f1",
    ),
    "filemap_fault() looks at the mapping again": (
        "set fault_around 4K ; file lib 16 order=2 ; mmap w 8 file=lib",
        "A.t1: read w[1] ; A.t2: reclaim f1",
    ),
    "do_cow_fault() keeps the reference": (
        "file lib 16 order=2 ; mmap w 8 file=lib prot=rw",
        "A.t1: write w[1] ; A.t2: reclaim f1",
    ),
    "shmem_get_folio_gfp() looks at the mapping again": (
        "file lib 16 order=2 fs=tmpfs ; mmap w 8 file=lib shared prot=rw",
        "A.t1: write w[1] ; A.t2: madvise remove w",
    ),
    "do_page_mkwrite() keeps the reference": (
        "set fault_around 4K ; file lib 8 order=2 ; mmap w 8 file=lib shared prot=rw ; read w[0]",
        "A.t1: write w[0] ; A.t2: reclaim f1",
    ),
    "ext4_page_mkwrite() looks at the mapping again": (
        "set fault_around 4K ; file lib 8 ; mmap w 8 file=lib shared prot=rw ; read w[0]",
        "A.t1: write w[0] ; A.t2: madvise remove w[0]",
    ),
    "shmem_get_folio_gfp() looks at EOF again": (
        "file lib 8 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw",
        "A.t1: write w[5] ; A.t2: truncate lib 4",
    ),
    "do_cow_fault() holds the folio lock until the copy is mapped": (
        "file lib 8 ; mmap w 8 file=lib prot=rw",
        "A.t1: write w[5] ; A.t2: truncate lib 4",
    ),
    "finish_fault() compares the entry": (
        "file lib 8 ; mmap w 8 file=lib prot=rw ; write w[0]",
        "A.t1: write w[5] ; A.t2: write w[5]",
    ),
    "__filemap_add_folio() finds the hole filled": (
        "file lib 16 fs=tmpfs uncached ; mmap w 8 file=lib shared prot=rw",
        "A.t1: write w[1] ; A.t2: read w[1]",
    ),
    "swapcache_prepare() finds the slot cached": (
        "set swap on ; mmap b 8 ; write b[0] ; reclaim b[0]",
        "A.t1: read b[0] ; A.t2: read b[0]",
    ),
    "do_swap_page() compares the entry": (
        "set swap on ; mmap b 4 ; write b[0] ; fork B ; reclaim f1",
        "A.t1: read b[0] ; A.t2: read b[0]",
    ),
    "wp_can_reuse_anon_folio() counts references under the folio lock": (
        "set swap on ; mmap b 4 ; write b[0] ; fork B ; reclaim f1 ; read b[0]",
        "A.t1: write b[0] ; B.t1: read b[0]",
    ),
    "do_huge_pmd_wp_page() waits with a reference": (
        "mmap b 8 align=8 ; madvise hugepage b ; write b ; fork B ; exit B",
        "A.t1: write b[0] ; A.t2: migrate f1",
    ),
    "follow_pmd_mask() compares the PMD entry": (
        "mmap b 8 align=8 ; madvise hugepage b ; write b",
        "A.t1: pin b[0..1] ; A.t2: split f1",
    ),
    "__get_user_pages() does not keep the VMA": (
        "file lib 8 uncached ; mmap w 8 file=lib shared prot=rw",
        "A.t1: madvise populate_write w[0..1] ; A.t2: mmap n 8 at=0x10000 fixed",
    ),
    "folio_isolate_lru() of MADV_PAGEOUT takes a folio once": (
        "set swap on ; mmap b 8 align=8 ; madvise hugepage b ; write b",
        "A.t1: madvise pageout b ; A.t2: madvise pageout b",
    ),
    "swap-in by two processes beside a reclaim": (
        "set swap on ; mmap b 8 ; write b[0] ; fork B",
        "A.t1: write b[0] ; B.t1: reclaim f1",
    ),
}


@pytest.mark.parametrize(
    ("setup", "threads"),
    [
        *(pytest.param(*race, id=rule) for rule, race in RACES.items()),
        *(pytest.param(*race, id=rule, marks=pytest.mark.full) for rule, race in MORE_RACES.items()),
    ],
)
def test_what_linux_excludes_is_not_found(setup: str, threads: str) -> None:
    """No interleaving breaks an invariant, deadlocks or ends in an internal error."""
    session = Session()
    assert not any(report.failed for report in session.execute(f"set geometry classroom ; {setup}"))

    (report,) = session.execute(f"race {{ {threads} }}")

    assert report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []

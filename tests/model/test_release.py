"""The table of releases: every difference is seen somewhere, and rows follow from versions."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import folioshell
from folioshell.commands import Session
from folioshell.engine import machine
from folioshell.errors import Refused
from folioshell.model import pte
from folioshell.model.lock import LockOp
from folioshell.model.policy import MM_ID, SharingQuestion
from folioshell.model.release import DEFAULT, DIFFERENCES, RELEASES, Release, nearest_release, release, release_of
from folioshell.paths.gup import do_pin
from folioshell.paths.mmap import do_mmap
from folioshell.paths.mremap import do_mremap
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.split import do_split
from folioshell.paths.swap import add_to_swap
from folioshell.paths.unmap import do_migrate, try_to_unmap
from folioshell.recording import ptl
from folioshell.recording.observe import emit
from folioshell.recording.scenario import ScenarioRun
from folioshell.schemes.per_page_v5 import PerPageV5
from tests.paths.memory import Memory

RECORDINGS = Path(__file__).parents[1] / "recordings"
FOLIOSHELL = Path(folioshell.__file__).parent


def _memory() -> Memory:
    m = Memory()
    m.machine.set_profile(DEFAULT.version)
    return m


def _locks_of_unmapping() -> object:
    """The locks of unmapping a THP."""
    m = _memory()
    m.munmap(m.thp(), 512)
    return m.locks()


def _calls_of_a_dirty_entry() -> object:
    """The rmap events of unmapping three pages of a file, the first of them dirty."""
    m = _memory()
    p = m.mmap(3, kind="shared", file=m.file("lib", 3))
    m.write(p)
    m.read(p + 1, 2)
    m.munmap(p, 3)
    return [str(event) for event in m.machine.trace]


def _setting() -> object:
    """Is ``set page_mapcount off`` refused?"""
    session = Session()
    session.execute(f"set profile {DEFAULT.version}")
    try:
        session.execute("set page_mapcount off")
    except Refused as refused:
        return str(refused)
    return None


def _entry_of_a_dirty_folio() -> object:
    """Is the entry dirty that a read through a writable shared mapping of tmpfs installs?"""
    m = _memory()
    p = m.mmap(4, kind="shared", file=m.file("f", 4, fs="tmpfs"))
    m.read(p)
    return bool(m.kernel.entry(m.mm("A"), p) & pte.DIRTY)


def _locked_file_folio() -> object:
    """Is a page-cache folio mlocked that mlock maps whole?"""
    m = _memory()
    p = m.mmap(16, prot="r", kind="shared", file=m.file("f", 32, order=4))
    m.mlock(p, 16)
    return m.folio(p).mlocked


def _orders_of_read_ahead() -> object:
    """The orders of the folios that windows of read-ahead bring, the second from a page that is no multiple of any."""
    m = _memory()
    m.kernel.config.fault_around = 1
    m.kernel.config.read_ahead = 16
    file = m.file("f", 256, cached=False)
    p = m.mmap(256, kind="private", file=file)
    for page in (226, 230):
        m.read(p + page)
    return [(folio.index, folio.order) for folio in file.folios]


def _locks_of_dontneed() -> object:
    """The locks of a DONTNEED within one VMA."""
    m = _memory()
    p = m.mmap(4)
    m.write(p)
    m.madvise("dontneed", p, 4)
    return m.locks()


def _collapse_without_block() -> object:
    """The errno of a COLLAPSE of ten pages."""
    m = _memory()
    p = m.mmap(1024)
    m.write(p)
    return m.madvise("collapse", p + 10, 10)


def _collapse_behind_a_hole() -> object:
    """What is mapped in the second block, if a COLLAPSE of both finds no page table for the first."""
    m = _memory()
    p = m.mmap(1024)
    m.write(p + 512)
    m.madvise("collapse", p, 1024)
    return m.look(p + 512, 512)


def _scan(*writes: int, free: int = 0) -> object:
    """What khugepaged maps in a block of which pages were written, and some of them freed lazily."""
    m = _memory()
    m.kernel.config.max_ptes_none = 0 if len(writes) > 2 else 511
    p = m.mmap(512)
    for page in writes:
        m.write(p + page)
    m.madvise("free", p, free)
    m.kernel.config.thp[2] = "always"
    m.madvise("hugepage", p, 512)
    return m.khugepaged(), m.look(p, 512)


def _scan_of_a_huge_block() -> object:
    """The word of khugepaged for a PMD-mapped block."""
    m = _memory()
    m.thp()
    return m.khugepaged()


def _scan_of_cached_swap() -> object:
    """What khugepaged does with a page that was read from swap, where another process has it still."""
    m = _memory()
    m.kernel.config.swap = True
    p = m.mmap(512)
    m.write(p, 2)
    m.fork("B")
    m.do(do_reclaim(m.kernel, m.folio(p)))
    m.read(p)
    m.madvise("hugepage", p, 512)
    return m.khugepaged()


def _lazyfree_thp() -> object:
    """What a write maps after a lazyfree THP was paged out."""
    m = _memory()
    p = m.thp()
    m.madvise("free", p, 512)
    m.madvise("pageout", p, 512)
    m.write(p)
    return m.look(p, 512)


def _vmas_after_dontunmap() -> object:
    """The number of VMAs if memory is moved directly behind itself and its old place stays."""
    m = _memory()
    p = m.mmap(4)
    m.mremap(p, 4, p + 4, dontunmap=True)
    return len(m.mm("A").vmas)


def _vmas_of_a_locked_source() -> object:
    """The number of VMAs if a part of locked memory moves and its old place stays."""
    m = _memory()
    p = m.mmap(4)
    m.mlock(p, 4)
    m.mremap(p + 1, 2, m.place(), dontunmap=True)
    return len(m.mm("A").vmas)


def _vmas_around_a_source() -> object:
    """The number of VMAs if memory moves twice, the second time leaving a VMA, and is then mapped behind that."""
    m = _memory()
    p, q, r = m.mmap(4), m.place(), m.place()
    m.write(p, 4)
    m.mremap(p, 4, q)
    m.mremap(q, 4, r, dontunmap=True)
    m.do(do_mmap(m.kernel, m.mm("A"), q + 4, 4, kind="anon", prot="rw"))
    return len(m.mm("A").vmas)


def _dirty_pages_after_a_pin() -> object:
    """Which of three pages of shared memory are dirty after a pin, if the second is not yet there."""
    m = _memory()
    p = m.mmap(3, kind="shared")
    m.read(p)
    m.read(p + 2)
    m.do(do_pin(m.kernel, m.mm("A"), p, 3, longterm=True))
    return m.smaps(p, "Private_Dirty")


def _vmas_after_a_failed_mremap() -> object:
    """The number of VMAs after a range with a hole was to be made smaller, and moved."""
    m = _memory()
    p = m.mmap(3)
    m.munmap(p + 1, 1)
    assert m.do(do_mremap(m.kernel, m.mm("A"), p, 3, m.place(), 2)) == "EFAULT"
    return len(m.mm("A").vmas)


def _dontunmap_of_a_file() -> object:
    """The errno of an MREMAP_DONTUNMAP of a file."""
    m = Memory("6.12")
    return m.mremap(m.mmap(4, kind="shared", file=m.file("f", 4)), 4, m.place(), dontunmap=True)


def _tables_of_a_child() -> object:
    """The PTE tables of a child of a process that moved its memory away and kept the VMA."""
    m = _memory()
    p = m.mmap(4)
    m.write(p)
    m.mremap(p, 4, m.place(), dontunmap=True)
    return m.fork("B").nr_ptes


def _flag_of_a_file_folio() -> object:
    """Is a folio of tmpfs still DoubleMap in 6.1 after its PTEs were unmapped, and a PMD entry mapped it?"""
    m = Memory()
    m.machine.set_profile("6.1")
    file = m.file("f", 512, fs="tmpfs-huge")
    p = m.mmap(16, kind="shared", file=file)
    m.read(p)
    folio = m.folio(p)
    m.munmap(p, 16)
    m.read(m.mmap(512, kind="shared", file=file))
    counts = m.machine.schemes["per-page-v5"]
    assert isinstance(counts, PerPageV5)
    return counts.stored(folio.id, 0)


def _entry_after_migration() -> object:
    """Is the entry of a written page still dirty after the page was migrated?"""
    m = _memory()
    p = m.mmap(1)
    m.write(p)
    m.do(do_migrate(m.kernel, m.folio(p)))
    return bool(m.kernel.entry(m.mm("A"), p) & pte.DIRTY)


def _unmapped_in_two_calls() -> object:
    """How often a THP was queued to be split when its pages were unmapped in two calls."""
    m = _memory()
    p = m.pte_thp()
    m.kernel.deferred.clear()
    m.folio(p).deferred = False
    m.madvise("dontneed", p, 512)
    return m.count("thp_deferred_split_page")


def _write_of_cached_swap() -> object:
    """Does a write copy a page that only the swap cache refers to besides? 6.1 frees that first."""
    m = Memory()
    m.machine.set_profile("6.1")
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.machine.run(do_reclaim(m.kernel, m.folio(p)))
    m.read(p)
    m.exit("B")
    before = m.pfn(p)
    m.write(p)
    return m.pfn(p) == before


def _vmas_around_a_new_mapping() -> object:
    """The VMAs after a mapping fills the gap between two with anon_vmas of their own."""
    m = _memory()
    p = m.mmap(24)
    m.munmap(p + 8, 8)
    m.write(p)
    m.write(p + 16)
    m.mmap(8, at=p + 8)
    return [vma.nr_pages for vma in m.mm("A").vmas]


def _faults_after_mprotect(advice: str = "") -> object:
    """Faults of a write to a page that was read-only for a while."""
    m = _memory()
    p = m.mmap(1)
    m.write(p)
    if advice:
        m.madvise(advice, p, 1)
    m.mprotect(p, 1, "r")
    m.mprotect(p, 1, "rw")
    m.write(p)
    return m.faults()


def _entries_after_pmd_split() -> object:
    """Is the PTE of a written THP dirty after its PMD entry was split?"""
    m = _memory()
    return bool(m.kernel.entry(m.mm("A"), m.pte_thp() + 100) & pte.DIRTY)


def _queue_of_a_fresh_thp() -> object:
    """Is a THP queued to be split as soon as it is mapped?"""
    m = _memory()
    return m.folio(m.thp()).deferred


def _layout_within_size() -> object:
    """The folios of a file of tmpfs with huge=within_size that was written 64 pages at a time."""
    files = {"f": {"pages": 512, "fs": "tmpfs_within", "cached": True, "chunk_pages": 64}}
    return ScenarioRun({"setup": {"files": files}, "ops": []}, DEFAULT.version).layout("f")


def _swapping() -> Memory:
    m = _memory()
    m.kernel.config.swap = m.kernel.config.sync_swap = True
    return m


def _order_from_swap() -> object:
    """The order of the folio that a fault reads from zram, after 16 pages were paged out as one."""
    m = _swapping()
    m.kernel.config.thp[4] = "always"
    p = m.mmap(16)
    m.write(p)
    m.madvise("pageout", p, 16)
    m.read(p)
    return m.look(p, 16)


def _cached_in_swap() -> object:
    """How much of a large folio a fault maps that is in the swap cache."""
    m = _swapping()
    m.kernel.config.thp[4] = "always"
    p = m.mmap(16)
    m.write(p)
    m.do(add_to_swap(m.kernel, m.folio(p)))
    folio = m.folio(p)
    m.machine.run(try_to_unmap(m.kernel, folio))
    m.read(p)
    return m.look(p, 16)


def _read_from_swap() -> object:
    """Faults of a write to a page that a read brought back from swap."""
    m = _swapping()
    p = m.mmap(1)
    m.write(p)
    m.madvise("pageout", p, 1)
    m.read(p)
    m.write(p)
    return m.faults()


def _swap_cache_after_a_copy() -> object:
    """Pages in the swap cache after a copy on write of one that no one else maps. 5.10 copies it."""
    m = Memory()
    m.machine.set_profile("5.10")
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.madvise("pageout", p, 1)
    m.read(p)
    m.write(p)
    return sum(map(bool, m.kernel.slots.cache))


def _last_of_zram() -> object:
    """Is a page exclusive that a read brings back from zram, after the process that shared it has ended?"""
    m = Memory()
    m.machine.set_profile("7.3")
    m.kernel.config.swap = m.kernel.config.sync_swap = True
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.machine.run(do_reclaim(m.kernel, m.folio(p)))
    m.exit("B")
    m.read(p)
    return m.folio(p).anon_exclusive


def _last_reference() -> object:
    """Is a page exclusive that a write brings back from swap, after the process that shared it has ended?"""
    m = _memory()
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.machine.run(do_reclaim(m.kernel, m.folio(p)))
    m.exit("B")
    m.write(p)
    return m.count("pgreuse")


#: difference -> the recording, or the small scenario, whose outcome it changes
def _guard_region() -> object:
    """The result of MADV_GUARD_INSTALL in a file, its locks, and the VMA's flags afterwards."""
    m = _memory()
    p = m.mmap(4, kind="private", file=m.file("lib", 4))
    return m.madvise("guard_install", p, 2), m.locks(), m.vma(p).flag_words


def _index_of_a_copy() -> object:
    """The index of a copy of a file's page, counted from its address."""
    m = _memory()
    p = m.mmap(4, kind="private", file=m.file("lib", 4))
    m.write(p)
    return m.folio(p).index - p


def _reused_anon_vma() -> object:
    """The anon_vma that a great-grandchild gets when two processes between it and A have exited."""
    m = _memory()
    p = m.mmap(1)
    m.write(p)
    for parent, child in ("AB", "BC", "CD", "DE"):
        m.fork(child, parent)
    for gone in "BCD":
        m.exit(gone)
    m.fork("F", "E")
    return str(m.vma(p, "F").anon_vma)


def _last_window() -> object:
    """What faults map of a file that one window of read-ahead holds."""
    m = _memory()
    p = m.mmap(28, prot="r", kind="private", file=m.file("lib", 28, cached=False))
    m.read(p + 4)
    m.read(p + 20)
    return m.look(p, 28)


def _walk_past_a_new_thp() -> object:
    """How reclaim finds the second half of a THP in a VMA that maps a new THP by a PMD entry before it."""
    m = _memory()
    p = m.mmap(1536, thp=True)
    m.write(p + 512)
    q = m.place(256)
    m.mremap(p, 1536, q)
    m.madvise("dontneed", q + 256, 512)
    m.write(q + 256)
    m.madvise("pageout", q + 768, 256)
    return m.look(q + 768, 256)


def _calls_of_unmapping_a_file() -> object:
    """The rmap calls of a hole that is punched into a large folio of a file."""
    m = _memory()
    p = m.mmap(16, prot="r", kind="shared", file=m.file("lib", 32, order=4))
    m.read(p, 16)
    m.do(do_reclaim(m.kernel, m.folio(p)))
    return m.calls()


def _locks_of_migration() -> object:
    """The locks of migrating a THP, which is on the deferred-split queue."""
    m = _memory()
    m.do(do_migrate(m.kernel, m.folio(m.thp())))
    return m.locks()


def _locks_of_a_split() -> object:
    """The locks of splitting a folio of a file, each piece with its own."""
    m = _memory()
    p = m.mmap(4, prot="r", kind="shared", file=m.file("lib", 4, order=2))
    m.read(p)
    folio = m.folio(p)
    m.kernel.batches = False
    return [str(step) for step in do_split(m.kernel, folio) if isinstance(step, LockOp)]


SHOWN_BY: dict[str, str | Callable[[], object]] = {
    "frees_swap_cache_after_copy": _swap_cache_after_a_copy,
    "bypasses_swap_cache": _last_of_zram,
    "split_locks_queue_of_anon": _locks_of_a_split,
    "split_drops_i_mmap_first": _locks_of_a_split,
    "walks_past_other_pmds": _walk_past_a_new_thp,
    "unmaps_file_batches": _calls_of_unmapping_a_file,
    "queues_before_restoring": _locks_of_migration,
    "marks_no_last_window": _last_window,
    "indexes_copies_by_address": _index_of_a_copy,
    "clones_newest_first": _reused_anon_vma,
    "has_guard_regions": _guard_region,
    "flags_guard_regions": _guard_region,
    "guards_by_vma_lock": _guard_region,
    "tracks_mm_owners": _locks_of_unmapping,
    "page_mapcount_is_optional": _setting,
    "pagemap_looks_at_each_page": "d11_child_dontneed",
    "allocates_thp_on_huge_zero_write": "c02_huge_zero",
    "fault_maps_whole_file_folio": "fuzz0055",
    "fault_around_maps_whole_folio": "h07_tmpfs_huge_remove",
    "fault_around_spares_last_folio": "fuzz0057",
    "inherits_dirty_of_folio": _entry_of_a_dirty_folio,
    "mlocks_fully_mapped_folio": _locked_file_folio,
    "ext4_has_large_folios": "g10_pmd_file",
    "aligns_read_ahead_window": _orders_of_read_ahead,
    "splits_around_hole": "h07_tmpfs_huge_remove",
    "delays_rmap_of_dirty": _calls_of_a_dirty_entry,
    "madvise_by_vma_lock": _locks_of_dontneed,
    "frees_empty_pte_tables": "ptl/madv_dontneed__pte_thp_whole__excl",
    "collapses_read_only_range": "c24_collapse_shared",
    "collapse_batches": "ptl/madv_collapse_pte_mapped_thp",
    "mprotect_batches": "found/mprotect_batches_dirty",
    "mremap_moves_several_vmas": "i04_move_holes",
    "unmaps_lazyfree_batches": "found/lazyfree_reclaim_thp",
    "swaps_in_large_folios": _order_from_swap,
    "maps_cached_swap_whole": _cached_in_swap,
    "swapin_by_read_is_writable": _read_from_swap,
    "has_collapse": "a11_errors",
    "has_populate": "a11_errors",
    "populate_stops_at_hole": "found/populate_hole_6_1",
    "unaccounts_unfaulted": "a11_errors",
    "huge_zero_page_looks_like_file": "c02_huge_zero",
    "mprotect_cleans_pmd": "c06_mprotect_whole",
    "split_drops_zero_pages": "c08_free_part",
    "has_mthp": "e01_64k",
    "madvise_takes_whole_folios": "e07_64k_madvise_shared",
    "tmpfs_write_sizes_folio": "f06_shmem_straddle",
    "smaps_misses_none_pmds": "fuzz0000",
    "dontunmap_unaccounts_source": "fuzz0002",
    "unmaps_unsplit_folio": "fuzz0016",
    "shmem_fault_looks_at_vma": "fuzz0026",
    "pagemap_tells_file_pmds": "fuzz0038",
    "keeps_read_ahead_order": "g12_uncached",
    "merges_faulted_with_unfaulted": "g18_mlock_file",
    "collapses_any_file": "g22_collapse_ext4",
    "collapse_retracts_tables_of_others": "h09_tmpfs_collapse",
    "collapse_without_block_succeeds": _collapse_without_block,
    "collapse_passes_blocks_without_table": _collapse_behind_a_hole,
    "collapse_spares_cached_swap": _scan_of_cached_swap,
    "khugepaged_knows_huge_blocks": _scan_of_a_huge_block,
    "khugepaged_spares_lazyfree": partial(_scan, 0, 1, free=1),
    "khugepaged_makes_mthp": partial(_scan, 0, 1, 2, 3),
    "discards_lazyfree_pmd": _lazyfree_thp,
    "dontunmap_copy_joins_source": _vmas_after_dontunmap,
    "dontunmap_splits_locked": _vmas_of_a_locked_source,
    "dontunmap_indexes_source_anew": _vmas_around_a_source,
    "mremap_checks_first": _vmas_after_a_failed_mremap,
    "pins_fast": _dirty_pages_after_a_pin,
    "clears_double_map_of_files": _flag_of_a_file_folio,
    "dontunmap_unlinks_source": _tables_of_a_child,
    "migration_keeps_accessed_and_dirty": _entry_after_migration,
    "unmap_splits_pmd_in_walk": "ptl/madv_pageout__pmd_thp_whole__excl",
    "migrate_splits_pmd_in_walk": "ptl/madv_cold__pte_thp_part__excl",
    "pageout_ignores_references": "ptl/madv_pageout_one_anon_page",
    "inlines_map_pte": "ptl/madv_pageout_one_anon_page",
    "collapse_shares_mmap_lock": "ptl/madv_collapse_shmem_pte_mapped_thp",
    "dontunmap_of_files": _dontunmap_of_a_file,
    "flags_partially_mapped": _unmapped_in_two_calls,
    "has_anon_exclusive": _write_of_cached_swap,
    "merges_next_first": _vmas_around_a_new_mapping,
    "mprotect_restores_write": _faults_after_mprotect,
    "mprotect_restores_write_of_clean": partial(_faults_after_mprotect, "free"),
    "pmd_split_keeps_dirty": _entries_after_pmd_split,
    "queues_fresh_thp": _queue_of_a_fresh_thp,
    "tmpfs_within_size_by_write": _layout_within_size,
}


def _outcome(shown_by: str | Callable[[], object]) -> object:
    if callable(shown_by):
        return shown_by()
    document: dict[str, Any] = json.loads(gzip.decompress((RECORDINGS / f"{shown_by}.json.gz").read_bytes()))
    if shown_by.startswith("ptl/"):
        return ptl.trace(ptl.parse(document).scenario, DEFAULT.version)
    return emit(document["scenario"], DEFAULT.version)


def test_no_difference_is_without_a_witness() -> None:
    """Each difference names what it changes."""
    assert SHOWN_BY.keys() == DIFFERENCES.keys()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_difference_changes_an_outcome(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has this one difference the other way is seen to do otherwise."""
    before = _outcome(SHOWN_BY[name])
    flipped = {version: replace(row, **{name: not getattr(row, name)}) for version, row in RELEASES.items()}
    monkeypatch.setattr(machine, "RELEASES", flipped)

    assert _outcome(SHOWN_BY[name]) != before


def test_rows_follow_from_versions() -> None:
    """A release has what came up to its version and has not gone; a row may say otherwise."""
    row = release("6.16", "6.16.12", MM_ID, mprotect_batches=True)

    assert [row.allocates_thp_on_huge_zero_write, row.unmaps_lazyfree_batches] == [True, True]
    assert [row.fault_maps_whole_file_folio, row.pagemap_looks_at_each_page] == [False, False]
    assert row.mprotect_batches


@pytest.mark.parametrize("otherwise", [{"mprotect_batches": True}, {"maps_backwards": True}])
def test_a_row_says_nothing_twice(otherwise: dict[str, bool]) -> None:
    """What a row adds is known, and is not what the version says already."""
    with pytest.raises((AssertionError, KeyError)):
        release("6.18", "6.18.44", MM_ID, **otherwise)


def test_releases_are_ordered() -> None:
    """Oldest first, each with the point release it was read from."""
    versions = [tuple(map(int, version.split("."))) for version in RELEASES]

    assert versions == sorted(versions)
    assert all(row.point.startswith(f"{version}.") for version, row in RELEASES.items())


def _deciders(row: Release) -> dict[SharingQuestion, str | None]:
    m = Memory()
    m.machine.set_profile(row.version)
    return {question: getattr(decider, "name", None) for question, decider in m.kernel.deciders.items()}


@pytest.mark.parametrize("row", RELEASES.values(), ids=list(RELEASES))
def test_a_decider_per_question(row: Release) -> None:
    """Each question that the model asks goes to the scheme of its row, if any; the books are the release's too."""
    m = Memory(row.version)

    assert _deciders(row) == {one: row.policy.scheme(one) for one in SharingQuestion if one.in_model}
    assert m.kernel.counts is m.machine.schemes[row.policy.books]


def test_the_release_of_a_kernel() -> None:
    """The first two numbers tell."""
    assert release_of("6.18.44-amd64") is RELEASES["6.18"]
    assert release_of("5.15.1") is release_of("") is None


@pytest.mark.parametrize(
    ("kernel", "nearest"),
    [
        ("6.18.44-fc", "6.18"),
        ("6.17.3", "6.16"),
        ("6.14.0", "6.12"),
        ("6.15.9", "6.16"),
        ("6.0.2", "6.1"),
        ("5.4.1", "5.10"),
        ("6.19.14+deb13", "6.18"),
        ("7.2.0-rc1", "7.3"),
        ("9.0.0", "7.3"),
        ("unnamed", "6.18"),
    ],
)
def test_the_nearest_release_of_a_kernel(kernel: str, nearest: str) -> None:
    """Releases are counted across major versions; of two equally near ones the older."""
    assert nearest_release(kernel) is RELEASES[nearest]


def test_a_new_release_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """6.15 recombines what is known: it reuses pages of large folios, and moves one VMA at a time."""
    monkeypatch.setattr(machine, "RELEASES", {**RELEASES, "6.15": release("6.15", "6.15.11", MM_ID)})
    m = Memory("6.15")
    p = m.pte_thp()
    m.fork("B")
    m.exit("B")
    before = m.pfn(p)
    m.write(p)

    assert m.pfn(p) == before
    m.mprotect(p + 10, 1, "r")
    assert m.mremap(p + 8, 4, m.place()) == "EFAULT"


@pytest.mark.parametrize("row", RELEASES.values(), ids=list(RELEASES))
def test_set_decide_answers_what_schemes_answer(row: Release) -> None:
    """A scheme that was set takes the place of all; fields of the kernel stay; the release's own brings all back."""
    m = Memory(row.version)
    m.machine.decide("vmas")
    answered = {one for one in SharingQuestion if one.in_model and row.policy.scheme(one) is not None}
    assert {one: getattr(decider, "name", None) for one, decider in m.kernel.deciders.items()} == {
        one: "vmas" if one in answered else None for one in SharingQuestion if one.in_model
    }
    m.machine.decide(row.policy.decider)
    assert _deciders(row) == {one: getattr(decider, "name", None) for one, decider in m.kernel.deciders.items()}


def _asking() -> str:
    """The source of what may ask: paths, and the readers of /proc."""
    files = [*(FOLIOSHELL / "paths").glob("*.py"), FOLIOSHELL / "model" / "proc.py"]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("question", SharingQuestion)
def test_questions_of_the_model_are_asked(question: SharingQuestion) -> None:
    """A question is asked somewhere exactly if the table says so."""
    assert bool(re.search(rf"\b{question.name}\b", _asking())) is question.in_model


#: question -> the recording, or the small scenario, whose outcome its answer in an older release changes
ANSWER_SHOWN_BY: dict[SharingQuestion, tuple[str, str | Callable[[], object]]] = {
    SharingQuestion.REUSE_LARGE: ("6.12", "d05_disjoint_munmap"),
    SharingQuestion.SWAP_IN: ("7.3", _last_reference),
}


@pytest.mark.parametrize("question", ANSWER_SHOWN_BY)
def test_an_answer_of_the_table_decides(question: SharingQuestion, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel in which this one question is answered as in another release is seen to do otherwise."""
    other, shown_by = ANSWER_SHOWN_BY[question]
    before = _outcome(shown_by)
    answers = {**DEFAULT.policy.answers, question: RELEASES[other].policy.answers[question]}
    row = replace(DEFAULT, policy=replace(DEFAULT.policy, answers=answers))
    monkeypatch.setattr(machine, "RELEASES", {**RELEASES, DEFAULT.version: row})

    assert _outcome(shown_by) != before

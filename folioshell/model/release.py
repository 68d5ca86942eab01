"""What each Linux release does differently: one table of named differences, and the releases in order.

Paths ask by name: ``if k.release.has_mthp``. A field of ``Release`` is one difference; its ``change()`` says
which version brought it (or took it away again), the commit, and the place in the source. What a release does follows
from its version, so a release that recombines known differences is one row of ``RELEASES``; a backport, or a rule that
its point release has the other way, is a keyword in that row.

Who answers a sharing question stands in ``policy.py``. The sources of names, versions and commits are
the kernel's history and the 6.12.117 and 6.18 trees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from folioshell.model.changes import CollapseChanges, KernelChange, change
from folioshell.model.policy import (
    DOUBLE_MAP,
    DOUBLE_MAP_EXCLUSIVE,
    LIKELY,
    MM_ID,
    MM_ID_SWAP_BIT,
    Policy,
    SharingQuestion,
)
from folioshell.records import NamedTuple, dataclass, fields, replace


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Release(CollapseChanges):
    """One Linux release: its version, and for each named difference whether it does that.

    Attributes:
        version: the word of ``set profile``.
        point: the point release that the rules were read from and recorded on.
        policy: what it counts, and who answers its questions.
    """

    version: str
    point: str
    policy: Policy

    # Faults.

    has_anon_exclusive: bool = change(
        "5.19",
        "mm/memory.c: do_wp_page()",
        "a page marked PageAnonExclusive is written in place; before, references alone decide",
        commit="6c287605fd56",
    )
    frees_swap_cache_after_copy: bool = change(
        "5.14",
        "mm/memory.c: wp_page_copy()",
        "a copy on write by the last process that maps a page takes that out of the swap cache",
        commit="f4c4a3f48480",
    )
    bypasses_swap_cache: bool = change(
        "4.15",
        "mm/memory.c: do_swap_page()",
        "a page that no one else refers to is read from a synchronous swap device without the swap cache",
        commit="0bcac06f27d7",
        until="7.1",
    )
    has_mthp: bool = change(
        "6.8",
        "mm/memory.c: alloc_anon_folio()",
        "anonymous folios of orders below the PMD's can be had",
        commit="19eaf44954df",
    )
    shmem_fault_looks_at_vma: bool = change(
        "6.12",
        "mm/shmem.c: shmem_suitable_orders()",
        "a fault in a hole of a huge tmpfs file allocates a huge folio only if the VMA could map it by a PMD entry",
    )
    allocates_thp_on_huge_zero_write: bool = change(
        "6.13",
        "mm/huge_memory.c: do_huge_zero_wp_pmd()",
        "a write to the huge zero page allocates a THP; else it splits the PMD and copies one page",
        commit="1ced09e0331f",
    )
    fault_maps_whole_file_folio: bool = change(
        "6.18",
        "mm/memory.c: finish_fault()",
        "a fault maps all of a file folio that fits VMA and table; else only shared anonymous memory does that",
        commit="19773df031bc",
    )
    fault_around_maps_whole_folio: bool = change(
        "6.18",
        "mm/filemap.c: filemap_map_folio_range()",
        "fault-around maps all of a file folio that fits VMA and table; else what lies in the window",
        commit="357b92761d94",
    )
    fault_around_spares_last_folio: bool = change(
        "6.18",
        "mm/filemap.c: filemap_map_pages()",
        "fault-around leaves a none PMD alone where the folio reaches the end of a file, unless it is shared memory",
        commit="74207de2ba10",
    )
    inherits_dirty_of_folio: bool = change(
        "6.16",
        "mm/memory.c: set_pte_range()",
        "a writable entry that a read faults in is dirty if the file folio is",
        commit="4e92030c05dc",
    )
    mlocks_fully_mapped_folio: bool = change(
        "6.18",
        "mm/rmap.c: __folio_add_file_rmap()",
        "a call that maps all of a large folio in a locked VMA mlocks it; before, this was left to reclaim",
        commit="ab521b4142aa",
    )

    swaps_in_large_folios: bool = change(
        "6.12",
        "mm/memory.c: alloc_swap_folio()",
        "a fault reads entries in a row from a synchronous swap device into one large folio",
        commit="242d12c98174",
    )
    maps_cached_swap_whole: bool = change(
        "6.11",
        "mm/memory.c: do_swap_page()",
        "a fault maps all of a large folio from the swap cache if all of its entries are there; else one page",
        commit="508758960b8d",
    )
    swapin_by_read_is_writable: bool = change(
        "6.10",
        "mm/memory.c: do_swap_page()",
        "a read maps an exclusive page from swap writable",
    )

    # Page cache.

    ext4_has_large_folios: bool = change(
        "6.16",
        "fs/ext4/inode.c: ext4_should_enable_large_folio()",
        "ext4 has large folios, by the size of writes and by read-ahead",
        commit="7ac67301e82f",
    )
    keeps_read_ahead_order: bool = change(
        "6.17",
        "mm/readahead.c: page_cache_ra_order()",
        "read-ahead starts at order 0, and each window is two orders above the last; else above the marked folio",
    )
    marks_no_last_window: bool = change(
        "7.1",
        "mm/readahead.c: page_cache_ra_order()",
        "read-ahead marks no folio in a window that reaches EOF, so fault-around maps all of them",
    )
    tmpfs_write_sizes_folio: bool = change(
        "6.14",
        "mm/shmem.c: shmem_huge_global_enabled()",
        "the size of a write decides the orders of folios in tmpfs with huge=always; else they have PMD order",
        commit="acd7ccb284b8",
        until="6.17",
    )
    tmpfs_within_size_by_write: bool = change(
        "6.14",
        "mm/shmem.c: shmem_huge_global_enabled()",
        "the size of a write decides the orders of folios in tmpfs with huge=within_size; else they have order 0",
        commit="acd7ccb284b8",
    )
    unmaps_unsplit_folio: bool = change(
        "6.18",
        "mm/truncate.c: try_folio_split_or_unmap()",
        "a file folio that a hole reaches into is unmapped whole if it cannot be split",
    )
    aligns_read_ahead_window: bool = change(
        "6.17",
        "mm/readahead.c: page_cache_async_ra()",
        "a read-ahead window ends at a multiple of its folios' size",
    )
    splits_around_hole: bool = change(
        "6.15",
        "mm/truncate.c: truncate_inode_partial_folio()",
        "a hole punched into a large folio splits it around the hole; else into single pages",
        commit="7460b470a131",
    )

    # Zapping, madvise, reclaim.

    delays_rmap_of_dirty: bool = change(
        "6.2",
        "mm/memory.c: zap_pte_range()",
        "the rmap calls of a table's dirty file entries follow those of all its other entries",
        commit="5df397dec7c4",
    )
    madvise_by_vma_lock: bool = change(
        "6.17",
        "mm/madvise.c: get_lock_mode()",
        "DONTNEED and FREE within one VMA take its lock instead of the mm's",
        commit="a6fde7add78d",
    )
    frees_empty_pte_tables: bool = change(
        "6.14",
        "mm/pt_reclaim.c: try_get_and_clear_pmd()",
        "DONTNEED frees a PTE table that it empties",
        commit="6375e95f381e",
    )
    has_populate: bool = change(
        "5.14",
        "mm/madvise.c: madvise_populate()",
        "MADV_POPULATE_READ and MADV_POPULATE_WRITE exist; else EINVAL",
        commit="4ca9b3859dac",
    )
    populate_stops_at_hole: bool = change(
        "6.10",
        "mm/madvise.c: do_madvise()",
        "MADV_POPULATE_* ends at a hole; else it fails after it has populated what lies beyond",
        commit="fa9fcd8bb6e4",
    )
    madvise_takes_whole_folios: bool = change(
        "6.10",
        "mm/madvise.c: madvise_folio_pte_batch()",
        "COLD, PAGEOUT and FREE keep large folios that the range covers, and continue after a shared one; else they "
        "split each, and leave the rest of a table from the first shared one on",
        commit="3931b871c494",
    )
    flags_partially_mapped: bool = change(
        "6.12",
        "mm/rmap.c: __folio_remove_rmap()",
        "a folio is flagged partially mapped while some of its pages are mapped; else any page that PTEs map no more "
        "puts it on the deferred-split queue",
        commit="8422acdc97ed",
    )
    unmap_splits_pmd_in_walk: bool = change(
        "6.11",
        "mm/rmap.c: try_to_unmap_one()",
        "reclaim splits a PMD entry where its walk finds one; else before it looks at the VMA",
        commit="29e847d2ebf8",
    )
    migrate_splits_pmd_in_walk: bool = change(
        "6.16",
        "mm/rmap.c: try_to_migrate_one()",
        "the split of a folio splits a PMD entry where its walk finds one; else before it looks at the VMA",
        commit="60fbb14396d5",
    )
    pageout_ignores_references: bool = change(
        "6.10",
        "mm/vmscan.c: reclaim_folio_list()",
        "PAGEOUT takes accessed pages too; else it makes its entries old, and looks for others by a walk of the rmap",
        commit="2864f3d0f583",
    )
    inlines_map_pte: bool = change(
        "6.12",
        "mm/page_vma_mapped.c: map_pte()",
        "the recorded build takes the PTL in page_vma_mapped_walk() itself, unless the walk has PVMW_SYNC",
        until="6.13",
    )
    migration_keeps_accessed_and_dirty: bool = change(
        "6.1",
        "include/linux/swapops.h: make_migration_entry_dirty()",
        "entries are as young and dirty after a migration, or the split of the folio, as before; else old and clean",
        commit="2e3468778dbe",
    )
    split_drops_zero_pages: bool = change(
        "6.12",
        "mm/migrate.c: try_to_map_unused_to_zeropage()",
        "the split of a folio maps the zero page in place of pages of zeros",
        commit="b1f202060afe",
    )
    pmd_split_keeps_dirty: bool = change(
        "6.2",
        "mm/huge_memory.c: __split_huge_pmd_locked()",
        "the PTEs that a PMD entry is split into are dirty if it was; else the folio alone is",
        commit="0ccf7f168e17",
    )
    queues_fresh_thp: bool = change(
        "6.12",
        "mm/huge_memory.c: map_anon_folio_pmd()",
        "every new anonymous THP is on the deferred-split queue; else partially mapped folios alone",
        commit="dafff3f4c850",
    )
    discards_lazyfree_pmd: bool = change(
        "6.11",
        "mm/huge_memory.c: unmap_huge_pmd_locked()",
        "reclaim discards a lazyfree THP by its PMD entry; else it splits that, and a PTE table stays",
        commit="735ecdfaf4e8",
        until="7.1",
    )
    unmaps_lazyfree_batches: bool = change(
        "6.16",
        "mm/rmap.c: folio_unmap_pte_batch()",
        "reclaim discards the entries of a lazyfree large folio together, or none of them",
        commit="354dffd29575",
    )


#: the fields of ``Release`` that are differences, in reading order
DIFFERENCES: Mapping[str, KernelChange] = MappingProxyType(
    {one.name: one.metadata["change"] for one in fields(Release) if "change" in one.metadata}
)


def release(version: str, point: str, policy: Policy, **otherwise: bool) -> Release:
    """A row of the table: a release does what its version has, except ``otherwise``.

    Args:
        otherwise: name of a difference -> whether this point release does it, where its version says the opposite.
    """
    does = {name: found.holds_in(version) for name, found in DIFFERENCES.items()}
    assert all(does[name] is not value for name, value in otherwise.items()), "the version says so already"
    return Release(version=version, point=point, policy=policy, **{**does, **otherwise})


#: what the kernels of Debian 12 have from later ones
_BACKPORTS = {f"dontunmap_{name}": True for name in ("splits_locked", "indexes_source_anew")}
_BACKPORTS["dontunmap_copy_joins_source"] = False
#: the profiles, oldest first
RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        row.version: row
        for row in (
            release("5.10", "5.10.223", DOUBLE_MAP),
            release("6.1", "6.1.192", DOUBLE_MAP_EXCLUSIVE, **_BACKPORTS),
            release("6.12", "6.12.117", LIKELY, **_BACKPORTS, discards_lazyfree_pmd=False),
            release("6.16", "6.16.12", MM_ID),
            release(
                *("6.18", "6.18.44", MM_ID),
                discards_lazyfree_pmd=False,
                mprotect_cleans_pmd=False,
                flags_guard_regions=True,
            ),
            release("7.0", "7.0.13", MM_ID),
            release("7.3", "7.3.4", MM_ID_SWAP_BIT),
        )
    }
)


def release_of(kernel: str) -> Release | None:
    """The release of a kernel, by the first two numbers of its version: ``6.18.44`` -> 6.18; None if there is none."""
    return RELEASES.get(".".join(kernel.split(".")[:2]))


#: the profile unless another is set
DEFAULT = RELEASES["6.18"]


def nearest_release(kernel: str) -> Release:
    """The release of a kernel, or the nearest one that is modeled, the older of two: ``6.17.3`` -> 6.16."""
    number = _ordinal(kernel)
    return min(RELEASES.values(), key=lambda row: (abs(_ordinal(row.version) - number), _ordinal(row.version)))


def _ordinal(kernel: str) -> int:
    """The number of a release in order: 5.19 and 6.19 were the last of theirs."""
    found = re.match(r"(\d+)\.(\d+)", kernel)
    return 20 * int(found[1]) + int(found[2]) if found else _ordinal(DEFAULT.version)


# What makes two releases differ.


class ReleaseDifference(NamedTuple):
    """A difference between two releases that can be flipped on its own.

    Args:
        name: of the field, or of the question.
        text: where in the kernel, and what it is.
        flipped: the first release, with this as the second one has it.
    """

    name: str
    text: str
    flipped: Callable[[Release, Release], Release]


def differences_between(older: Release, newer: Release) -> list[ReleaseDifference]:
    """The differences between two releases, in the order of the table; then the questions that others answer."""
    found = []
    for name, one in DIFFERENCES.items():
        if getattr(older, name) is not getattr(newer, name):
            when = f"v{one.since}{f', until v{one.until}' if one.until else ''}"
            found.append(ReleaseDifference(name, f"{one.where} ({when}): {one.about}", _flip(name)))
    if older.policy is newer.policy:
        return found
    for question in SharingQuestion:
        older_words, newer_words = (row.policy.answers[question] for row in (older, newer))
        if question.in_model and older_words != newer_words:
            answers = f"{answer_text(older_words)} in {older.version}; {answer_text(newer_words)} in {newer.version}"
            text = f"{question.function}(), {question.about}: {answers}"
            found.append(ReleaseDifference(question.name, text, _flip_answer(question)))
    if older.policy.books != newer.policy.books:
        text = f"folio_mapcount(): {older.policy.books} in {older.version}, {newer.policy.books} in {newer.version}"
        found.append(ReleaseDifference("books", text, lambda one, other: _with_policy(one, books=other.policy.books)))
    return found


def answer_text(words: tuple[str, ...]) -> str:
    """What a question looks at, in words: ``anon-exclusive, references``."""
    return ", ".join(words) or "not asked"


def _flip(name: str) -> Callable[[Release, Release], Release]:
    return lambda one, other: replace(one, **{name: getattr(other, name)})


def _flip_answer(question: SharingQuestion) -> Callable[[Release, Release], Release]:
    def flipped(one: Release, other: Release) -> Release:
        return _with_policy(one, answers={**one.policy.answers, question: other.policy.answers[question]})

    return flipped


def _with_policy(release: Release, **changed: Any) -> Release:
    return replace(release, policy=replace(release.policy, **changed))

"""What each Linux release does differently: one table of named differences, and the releases in order.

Paths ask by name: ``if k.release.reuses_large_folios``. A field of ``Release`` is one difference; its ``change()`` says
which version brought it (or took it away again), the commit, and the place in the source. What a release does follows
from its version, so a release that recombines known differences is one row of ``RELEASES``; a backport, or a rule that
its point release has the other way, is a keyword in that row.

Each ``SharingQuestion`` has its own decider: see ``Policy``. The sources of names, versions and commits are
the kernel's history and the 6.12.117 and 6.18 trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from types import MappingProxyType
from typing import Any


class SharingQuestion(Enum):
    """A place where the kernel asks whether another mm maps a folio.

    Attributes:
        function: the kernel function that asks.
        about: the entries that it looks at.
    """

    COLD_PMD = ("madvise_cold_or_pageout_pte_range", "a PMD entry")
    COLD_PART = ("madvise_cold_or_pageout_pte_range", "PTEs of some pages of a large folio")
    COLD_WHOLE = ("madvise_cold_or_pageout_pte_range", "PTEs of all pages of the folio")
    FREE_PMD = ("madvise_free_huge_pmd", "a PMD entry")
    FREE_PART = ("madvise_free_pte_range", "PTEs of some pages of a large folio")
    FREE_WHOLE = ("madvise_free_pte_range", "PTEs of all pages of a folio that is dirty or in the swap cache")
    REUSE_LARGE = ("wp_can_reuse_anon_folio", "a write-protected PTE of a large folio")

    def __init__(self, function: str, about: str) -> None:
        self.function = function
        self.about = about

    # Members are singletons, and Enum's own hash is a Python function: dear where each page asks.
    __hash__ = object.__hash__


#: the answer that no scheme gives: exclusive if folio_mapcount() is folio_nr_pages(), the entries of the asking mm
EXACT_FIT = "exact-fit"


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What a release counts, and whose answers it acts on.

    Attributes:
        books: the scheme that is the kernel's own: what folio_mapcount() and _nr_pages_mapped say.
        decider: the scheme that answers a question.
        answers: questions that another scheme answers, or ``EXACT_FIT``.
    """

    books: str
    decider: str
    answers: Mapping[SharingQuestion, str]


_COUNTS_DECIDE = MappingProxyType({SharingQuestion.COLD_WHOLE: EXACT_FIT, SharingQuestion.FREE_WHOLE: EXACT_FIT})
#: _large_mapcount (v6.10), and folio_likely_mapped_shared() as its caller's answer, until v6.14
LIKELY = Policy(books="likely", decider="likely", answers=_COUNTS_DECIDE)
#: two MM-ID slots a large folio (v6.15), and folio_maybe_mapped_shared()
MM_ID = Policy(books="mm-id", decider="mm-id", answers=_COUNTS_DECIDE)


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


@dataclass(frozen=True, slots=True, eq=False)
class Release:
    """One Linux release: its version, and for each named difference whether it does that.

    Attributes:
        version: the word of ``set profile``.
        point: the point release that the rules were read from and recorded on.
        policy: what it counts, and who answers its questions.
    """

    version: str
    point: str
    policy: Policy

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
    pagemap_looks_at_each_page: bool = change(
        "6.11",
        "fs/proc/task_mmu.c: pagemap_pmd_range()",
        "pagemap's exclusive bit of a PMD-mapped page is that page's; others show the first page's for all",
        commit="2c1f057e5be6",
        until="6.15",
    )

    # Faults.

    reuses_large_folios: bool = change(
        "6.15",
        "mm/memory.c: __wp_can_reuse_large_anon_folio()",
        "a write to a large anonymous folio that no one else maps or references is done in place; else it copies",
        commit="1da190f4d0a6",
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

    # Page cache.

    ext4_has_large_folios: bool = change(
        "6.16",
        "fs/ext4/inode.c: ext4_should_enable_large_folio()",
        "ext4 has large folios, by the size of writes and by read-ahead",
        commit="7ac67301e82f",
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

    # Zapping, madvise, mprotect, mremap, reclaim.

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
    collapses_read_only_range: bool = change(
        "6.18",
        "mm/khugepaged.c: hpage_collapse_scan_pmd()",
        "COLLAPSE takes a range without any writable entry; else EINVAL",
    )
    collapse_batches: bool = change(
        "6.17",
        "mm/khugepaged.c: __collapse_huge_page_copy_succeeded()",
        "COLLAPSE removes the entries of a large folio by one rmap call",
    )
    mprotect_batches: bool = change(
        "6.17",
        "mm/mprotect.c: mprotect_folio_pte_batch()",
        "mprotect changes the entries of a large folio together: each gets the young and dirty bits that any had",
        commit="cac1db8c3aad",
    )
    mremap_moves_several_vmas: bool = change(
        "6.17",
        "mm/mremap.c: remap_move()",
        "one mremap moves several VMAs and the holes between them, if the size stays; else EFAULT",
        commit="d23cb648e365",
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
    return Release(version, point, policy, **{**does, **otherwise})


#: the profiles, oldest first
RELEASES: Mapping[str, Release] = MappingProxyType(
    {
        row.version: row
        for row in (
            release("6.12", "6.12.117", LIKELY),
            release("6.18", "6.18.44", MM_ID),
        )
    }
)
#: the profile unless another is set
DEFAULT = RELEASES["6.18"]

"""Who answers, in a release, whether another mm maps a folio: the places that ask, and what each looks at.

One table. Paths, the pages of docs/, ``show schemes`` and ``compare profiles`` read it. A place looks at the answer of
a scheme, at the kernel's own fields, or at both, one after the other. ``set decide`` puts another scheme in the place
of the schemes here; the kernel's own fields stay: a page has one reference an entry whatever scheme counts.

The sources of these rules are the 5.10.223, 6.1.192, 6.12.117, 6.18.35 and 7.3.4 trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

from folioshell.records import dataclass

#: the references of the folio: any beyond those that the place expects may be a mapping, or a pin
REFERENCES = "references"
#: PageAnonExclusive of the page: if it is set no one else maps the page; if it is clear others may
ANON_EXCLUSIVE = "anon-exclusive"
#: pins of the folio by a process that has ever pinned
PINS = "pins"
#: page_mapcount() of the page in the kernel's own counts
PAGE_MAPCOUNT = "page-mapcount"
#: folio_mapcount() is folio_nr_pages(): the entries of the asking mm are all that there are
EXACT_FIT = "exact-fit"
#: what is no scheme's answer here but a field of the kernel
OWN_FIELDS = frozenset({REFERENCES, ANON_EXCLUSIVE, PINS, PAGE_MAPCOUNT})


class SharingQuestion(Enum):
    """A place where the kernel asks whether another mm maps a folio.

    Attributes:
        function: the kernel function that asks.
        topic: what user space calls it.
        about: the entries or pages that it looks at.
        in_model: a path of the model asks it; the others stand here for the history alone.
    """

    COLD_PMD = ("madvise_cold_or_pageout_pte_range", "MADV_COLD", "a PMD entry")
    COLD_PART = ("madvise_cold_or_pageout_pte_range", "MADV_COLD", "PTEs of some pages of a large folio")
    COLD_WHOLE = ("madvise_cold_or_pageout_pte_range", "MADV_COLD", "PTEs of all pages of the folio")
    FREE_PMD = ("madvise_free_huge_pmd", "MADV_FREE", "a PMD entry")
    FREE_PART = ("madvise_free_pte_range", "MADV_FREE", "PTEs of some pages of a large folio")
    FREE_WHOLE = (
        *("madvise_free_pte_range", "MADV_FREE"),
        "PTEs of all pages of a folio that is dirty or in the swap cache",
    )
    REUSE_SMALL = ("do_wp_page", "copy on write", "a write-protected PTE of an order-0 folio")
    REUSE_LARGE = ("wp_can_reuse_anon_folio", "copy on write", "a write-protected PTE of a large folio")
    REUSE_PMD = ("do_huge_pmd_wp_page", "copy on write", "a write-protected PMD entry")
    SWAP_IN = ("do_swap_page", "swap-in", "the entry of a page that is read from swap")
    FORK_COPY = ("copy_present_page", "fork", "a page that must be copied at once")
    COLLAPSE_SHARED = ("collapse_scan_pmd", "khugepaged", "a page that counts against max_ptes_shared")
    COLLAPSE_REFERENCES = ("is_refcount_suitable", "COLLAPSE", "a folio that is to be copied")
    SPLIT = ("can_split_folio", "folio split", "a folio that is to be split")
    EXITING_MM = ("folio_referenced_one", "reclaim", "an anonymous folio, under an mm that exits")
    MUNLOCK = ("munlock_vma_page", "munlock", "a page that other locked VMAs may map", False)
    SMAPS = ("smaps_account", "smaps, pagemap, kpagecount", "a page: private, and its part of Pss")
    SMAPS_AVERAGE = (
        *("__folio_page_mapped_exclusively", "smaps, pagemap, kpagecount"),
        "a page, without CONFIG_PAGE_MAPCOUNT",
    )
    PAGEMAP_PMD = ("pagemap_pmd_range", "smaps, pagemap, kpagecount", "a page that a PMD entry maps: bit 56 of pagemap")
    PROT_NUMA = ("change_pte_range", "NUMA", "an entry of private memory to be sampled", False)
    NUMA_GROUP = ("numa_migrate_check", "NUMA", "a page of a shared VMA that faulted: TNF_SHARED", False)
    NUMA_EXEC = ("migrate_misplaced_folio_prepare", "NUMA", "a page of an executable file to be migrated", False)
    NUMA_THP = ("migrate_misplaced_transhuge_page", "NUMA", "a THP to be migrated", False)
    MIGRATE = ("queue_folios_pte_range", "mbind, move_pages", "a page to be moved, without MOVE_ALL", False)
    KSM = ("write_protect_page", "KSM", "a page to be merged", False)
    SEAL = ("memfd_wait_for_pins", "memfd, uprobes", "a page with references beyond its entries", False)

    def __init__(self, function: str, topic: str, about: str, in_model: bool = True) -> None:
        self.function = function
        self.topic = topic
        self.about = about
        self.in_model = in_model

    # Members are singletons, and Enum's own hash is a Python function: dear where each page asks.
    __hash__ = object.__hash__


#: page_mapcount() (v4.5 to v6.8): the entries of the page that a path looks at
_PAGE = "per-page-v5"
#: question -> what it looks at in 5.10, 6.1, 6.12 and from 6.15 on, in this order; nothing: it is not asked
_ANSWERS: Mapping[SharingQuestion, tuple[str, str, str, str]] = {
    SharingQuestion.COLD_PMD: (_PAGE, _PAGE, "likely", "mm-id"),
    SharingQuestion.COLD_PART: (_PAGE, _PAGE, "likely", "mm-id"),
    SharingQuestion.COLD_WHOLE: (_PAGE, _PAGE, EXACT_FIT, EXACT_FIT),
    SharingQuestion.FREE_PMD: ("per-page", "per-page", "likely", "mm-id"),
    # folio_estimated_sharers() came to 6.1 by a backport.
    SharingQuestion.FREE_PART: (_PAGE, "estimated-ne1", "likely", "mm-id"),
    SharingQuestion.FREE_WHOLE: (_PAGE, _PAGE, EXACT_FIT, EXACT_FIT),
    SharingQuestion.REUSE_SMALL: (REFERENCES, *(f"{ANON_EXCLUSIVE} {REFERENCES}",) * 3),
    SharingQuestion.REUSE_LARGE: (
        *(REFERENCES, f"{ANON_EXCLUSIVE} {REFERENCES}"),
        *(ANON_EXCLUSIVE, f"{ANON_EXCLUSIVE} mm-id {REFERENCES}"),
    ),
    SharingQuestion.REUSE_PMD: ("max-page", *(f"{ANON_EXCLUSIVE} {REFERENCES}",) * 3),
    SharingQuestion.SWAP_IN: (PAGE_MAPCOUNT, *(f"{ANON_EXCLUSIVE} {REFERENCES}",) * 3),
    SharingQuestion.FORK_COPY: (PINS, *(f"{ANON_EXCLUSIVE} {PINS}",) * 3),
    SharingQuestion.COLLAPSE_SHARED: (_PAGE, _PAGE, "likely", "mm-id"),
    SharingQuestion.COLLAPSE_REFERENCES: (REFERENCES,) * 4,
    SharingQuestion.SPLIT: (REFERENCES,) * 4,
    SharingQuestion.EXITING_MM: ("", "", "likely", "mm-id"),
    SharingQuestion.MUNLOCK: (_PAGE, "", "", ""),
    SharingQuestion.SMAPS: (PAGE_MAPCOUNT,) * 4,
    SharingQuestion.SMAPS_AVERAGE: ("", "", "", "mm-id"),
    SharingQuestion.PAGEMAP_PMD: (PAGE_MAPCOUNT,) * 4,
    SharingQuestion.PROT_NUMA: (REFERENCES, REFERENCES, f"{PINS} likely", f"{PINS} mm-id"),
    SharingQuestion.NUMA_GROUP: (_PAGE, _PAGE, "likely", "mm-id"),
    SharingQuestion.NUMA_EXEC: (_PAGE, _PAGE, "likely", "mm-id"),
    SharingQuestion.NUMA_THP: ("", "per-page", "", ""),
    SharingQuestion.MIGRATE: (_PAGE, "estimated-ne1", "likely", "mm-id"),
    SharingQuestion.KSM: (REFERENCES,) * 4,
    SharingQuestion.SEAL: (REFERENCES,) * 4,
}


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """What a release counts, and whose answers it acts on.

    Attributes:
        books: the scheme that is the kernel's own: what folio_mapcount() and _nr_pages_mapped say.
        decider: the scheme that answers most questions: the one that ``set decide`` replaces by name.
        answers: question -> the schemes and fields that it looks at, in this order; empty: it is not asked.
    """

    books: str
    decider: str
    answers: Mapping[SharingQuestion, tuple[str, ...]]

    def scheme(self, question: SharingQuestion) -> str | None:
        """The scheme that answers a question; None if the kernel looks at its own fields alone."""
        return next((word for word in self.answers[question] if word not in OWN_FIELDS), None)


def _policy(books: str, column: int, **otherwise: str) -> Policy:
    """The policy of a column of the table, some questions answered ``otherwise``."""
    words = {question: otherwise.get(question.name, row[column]) for question, row in _ANSWERS.items()}
    return Policy(books, books, MappingProxyType({question: tuple(text.split()) for question, text in words.items()}))


#: a mapcount a page, compound_mapcount and PageDoubleMap, until v6.1
DOUBLE_MAP = _policy(_PAGE, 0)
#: as before, with PageAnonExclusive (v5.19)
DOUBLE_MAP_EXCLUSIVE = _policy(_PAGE, 1)
#: _large_mapcount (v6.10), and folio_likely_mapped_shared() as its caller's answer, until v6.14
LIKELY = _policy("likely", 2)
#: two MM-ID slots a large folio (v6.15), and folio_maybe_mapped_shared()
MM_ID = _policy("mm-id", 3)
#: as before; swap-in trusts the bit of the swap entry alone (v7.1)
MM_ID_SWAP_BIT = _policy("mm-id", 3, SWAP_IN=ANON_EXCLUSIVE)

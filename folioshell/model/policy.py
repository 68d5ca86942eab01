"""Who answers, in a release, whether another mm maps a folio: the places that ask, and the scheme for each.

The sources of these rules are the 5.10.223, 6.1.192, 6.12.117 and 6.18 trees.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType


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


#: page_mapcount() (v4.5 to v6.8): the entries of the page that a path looks at
_PAGE = "per-page-v5"
#: a mapcount a page, compound_mapcount and PageDoubleMap, until v6.1
DOUBLE_MAP = Policy(books=_PAGE, decider=_PAGE, answers=MappingProxyType({SharingQuestion.FREE_PMD: "per-page"}))
#: as before; folio_estimated_sharers() came to 6.1 by a backport
DOUBLE_MAP_ESTIMATED = Policy(
    books=_PAGE,
    decider=_PAGE,
    answers=MappingProxyType({SharingQuestion.FREE_PMD: "per-page", SharingQuestion.FREE_PART: "estimated-ne1"}),
)
_COUNTS_DECIDE = MappingProxyType({SharingQuestion.COLD_WHOLE: EXACT_FIT, SharingQuestion.FREE_WHOLE: EXACT_FIT})
#: _large_mapcount (v6.10), and folio_likely_mapped_shared() as its caller's answer, until v6.14
LIKELY = Policy(books="likely", decider="likely", answers=_COUNTS_DECIDE)
#: two MM-ID slots a large folio (v6.15), and folio_maybe_mapped_shared()
MM_ID = Policy(books="mm-id", decider="mm-id", answers=_COUNTS_DECIDE)

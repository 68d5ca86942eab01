"""What a mapcount scheme is: a fold over events, with a number and an answer.

Rules:
- A scheme learns events and nothing else: this package never imports the model.
- Registration is by subclassing; a new scheme is one new file in this package.
- A scheme may be wrong. It declares which laws it keeps (``laws``), and the contract test demands a counterexample
  for every law that it does not declare.
"""

# Methods are empty on purpose: a scheme overrides those of the events that it counts.
# ruff: noqa: B027

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from folioshell import events
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout


class Sharing(StrEnum):
    """Answers to "I have it mapped, does anybody else?"."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Answer(StrEnum):
    """Answers to a question that a definition may have nothing to say about."""

    NO = "no"
    YES = "yes"
    CANNOT = "cannot"

    @staticmethod
    def of(event: bool) -> Answer:
        """Yes if it is so, else no."""
        return Answer.YES if event else Answer.NO


class Law(StrEnum):
    """Properties that a definition may or may not have; the contract test knows how to check each."""

    #: "no" is never answered while two address spaces map a page of the folio
    NEVER_FALSE_NO = "never-false-no"
    #: "yes" is never answered while at most one address space does
    NEVER_FALSE_YES = "never-false-yes"
    #: the answer is never "maybe"
    DECIDES = "decides"
    #: the number is positive exactly when a page of the folio is mapped
    MAPPED_IFF_POSITIVE = "mapped-iff-positive"
    #: the number is 0 when nothing maps the folio any more
    ZERO_WHEN_UNMAPPED = "zero-when-unmapped"
    #: mapping pages of a folio and unmapping them again, in any pieces, restores the number
    UNMAP_UNDOES_MAP = "unmap-undoes-map"
    #: the number does not depend on how pages were grouped into calls
    BATCHING_IS_IRRELEVANT = "batching-is-irrelevant"
    #: splitting and merging VMAs never changes the number
    IGNORES_VMA_SPLIT = "ignores-vma-split"
    #: splitting a PMD entry of anonymous memory into PTEs never changes the number
    IGNORES_PMD_SPLIT = "ignores-pmd-split"
    #: moving entries to another address of the same address space never changes the number
    IGNORES_MOVE = "ignores-move"
    #: a number of 1 is never given while two address spaces map a page of the folio
    ONE_IS_EXCLUSIVE = "one-is-exclusive"
    #: the answer is right as long as the folio has no more entries than pages
    EXACT_WITHIN_PAGES = "exact-within-pages"
    #: whether the folio is partially mapped is answered, and rightly
    TELLS_PARTIAL = "tells-partial"
    #: how often a page is mapped is answered, and rightly, PMD entries included
    COUNTS_PAGES = "counts-pages"
    #: number and answer depend on the entries that there are, not on how they came about
    FORGETS_HISTORY = "forgets-history"


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a number taken apart.

    Args:
        label: what counts: ``pt1`` for the entries of that table, ``slot 0``, ``PMD entries``.
        amount: what it adds to the number; 0 where it only explains.
        mm: MM-ID of the address space; 0 where the scheme does not know it.
        first, nr: the pages ``[first, first + nr)`` of the folio that it speaks of; ``nr`` is 0 where it knows none.
        vpn: virtual page of the page ``first`` in ``mm``; None where the scheme does not know it; with ``mm`` it
            finds the VMA.
    """

    label: str
    amount: int
    mm: int = 0
    first: int = 0
    nr: int = 0
    vpn: int | None = None


class Scheme(ABC):
    """One definition of the mapcount of a folio.

    Subclasses set the class variables and override the ``on_...`` methods of the events that they count; those that are
    not overridden cost nothing. ``MappedSmall`` and ``UnmappedSmall`` must be overridden by every scheme that counts.
    A class that only helps others is declared with ``register=False``.

    Five questions can be asked: is any page mapped (``mapped``), how many mappings are there (``mapcount``), does
    anybody else map it (``shared``), is it partially mapped (``partially_mapped``), how often is this page mapped
    (``page_mapcount``). Each has a way to say that the definition cannot answer.
    """

    #: the word typed in commands and shown as a column header
    name: ClassVar[str]
    #: its place in tables: the smaller, the further left; leave room between two
    place: ClassVar[int] = 1000
    #: where it stands: a kernel version and symbol, or a mail
    version: ClassVar[str]
    #: two lines: what the number counts, and how "does anybody else?" is answered from it
    about: ClassVar[tuple[str, str]]
    #: the state that is kept for a folio, in words
    state: ClassVar[str]
    #: the laws that it keeps
    laws: ClassVar[frozenset[Law]] = frozenset()

    registry: ClassVar[dict[str, type[Scheme]]] = {}

    def __init_subclass__(cls, register: bool = True, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if register:
            Scheme.registry[cls.name] = cls

    def on_folio_new(self, event: events.FolioNew) -> None:
        """A folio exists now."""

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """A folio exists no more: forget it."""

    def on_mapped(self, event: events.Mapped) -> None:
        """A run of pages of a large folio is mapped."""

    def on_unmapped(self, event: events.Unmapped) -> None:
        """A run of pages of a large folio is no longer mapped."""

    def on_mapped_small(self, event: events.MappedSmall) -> None:
        """A run of order-0 folios is mapped."""

    def on_unmapped_small(self, event: events.UnmappedSmall) -> None:
        """A run of order-0 folios is no longer mapped."""

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry maps the folio."""

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry that mapped the folio is gone."""

    def on_vma_split(self, event: events.VmaSplit) -> None:
        """A VMA was cut in two."""

    def on_vma_merged(self, event: events.VmaMerged) -> None:
        """Two VMAs became one."""

    def on_moved(self, event: events.Moved) -> None:
        """Entries were moved by mremap."""

    def on_walked(self, event: events.Walked) -> None:
        """A reverse-map walk over a folio was made."""

    @abstractmethod
    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The scheme's number of a folio, or of one page of it where the scheme counts pages (else the folio's).

        Args:
            folio: number of the folio; one that nothing was ever said about has 0.
            page: index of a page within it.
        """

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """(first, nr, number) of the folios ``[first, first + nr)``, ascending; a scheme that keeps runs joins them."""
        return [(folio, 1, self.mapcount(folio)) for folio in range(first, first + nr)]

    @abstractmethod
    def shared(self, folio: int, mm: int) -> Sharing:
        """Does anybody but address space ``mm``, which maps it, map a page of the folio?"""

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """As ``shared``, asked about one page: that of the entry that the caller looks at."""
        return self.shared(folio, mm)

    def mapped(self, folio: int) -> bool | None:
        """Is any page of the folio mapped, as far as the scheme can tell? None: it cannot."""
        return self.mapcount(folio) > 0

    def partially_mapped(self, folio: int) -> Answer:
        """Are some pages of a large folio mapped and others not?"""
        return Answer.CANNOT

    def page_mapcount(self, folio: int, page: int) -> int | None:
        """How often is one page of the folio mapped, PMD entries included? None: the scheme cannot tell."""
        return None

    def why(self, folio: int) -> list[Part]:
        """The number taken apart, in a fixed order: the amounts add up to ``mapcount(folio)``."""
        return [Part("mapcount", self.mapcount(folio))]

    @abstractmethod
    def bytes_of_state(self, order: int) -> int:
        """Bytes that the scheme keeps for a folio of this order."""

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """What an event costs under this definition: counts of a model, see folioshell.schemes.cost."""
        return Cost()


#: event type -> name of the method that a scheme overrides to learn it
HANDLERS: dict[type, str] = {
    events.FolioNew: "on_folio_new",
    events.FolioFreed: "on_folio_freed",
    events.Mapped: "on_mapped",
    events.Unmapped: "on_unmapped",
    events.MappedSmall: "on_mapped_small",
    events.UnmappedSmall: "on_unmapped_small",
    events.PmdMapped: "on_pmd_mapped",
    events.PmdUnmapped: "on_pmd_unmapped",
    events.VmaSplit: "on_vma_split",
    events.VmaMerged: "on_vma_merged",
    events.Moved: "on_moved",
    events.Walked: "on_walked",
}

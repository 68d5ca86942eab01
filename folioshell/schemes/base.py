"""What a mapcount scheme is: a fold over events, with a number and an answer.

Rules:
- A scheme learns events and nothing else: this package never imports the model.
- Registration is by subclassing; a new scheme is one new file in this package.
- A scheme may be wrong. It declares which laws hold for it (``laws``), and the contract test demands a counterexample
  for every law that it does not declare.

How runs are counted:
- An event about order-0 folios stands for a run of them. ``Order0Scheme`` keeps one number a run (``Intervals``), so
  that a million faults cost what their runs cost. ``mapcount_pieces()`` reads numbers in runs as well.
- An event about a large folio stands for a run of its pages. ``PageCounts`` keeps one number for each run of pages that
  are mapped equally often; ``Window`` keeps sets of pages as integers.
- Schemes of one machine that would keep equal records share one: all of ``Order0Scheme``, of ``EntryScheme`` and of
  ``WindowScheme``. ``folioshell.engine.counting`` links them and calls only those that write.
"""

# Methods are empty on purpose: a scheme overrides those of the events that it counts.
# ruff: noqa: B027

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from enum import StrEnum
from types import CodeType
from typing import ClassVar

from folioshell import events
from folioshell.events import CALLBACKS
from folioshell.records import dataclass
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout

#: gives (first, nr, number) of consecutive folios, ascending
PiecesReader = Callable[[], Sequence[tuple[int, int, int]]]


class Sharing(StrEnum):
    """Answers to "I map it, does anyone else?"."""

    NO = "no"
    YES = "yes"
    MAYBE = "maybe"


class Answer(StrEnum):
    """Answers to a question that a scheme may be unable to answer."""

    NO = "no"
    YES = "yes"
    CANNOT = "cannot"

    @staticmethod
    def of(holds: bool) -> Answer:
        """Yes if true, else no."""
        return Answer.YES if holds else Answer.NO


class Law(StrEnum):
    """Properties of a scheme; the contract test checks each."""

    #: "no" is never answered while two address spaces map a page of the folio
    NEVER_FALSE_NEGATIVE = "never-false-negative"
    #: "yes" is never answered while at most one address space does
    NEVER_FALSE_POSITIVE = "never-false-positive"
    #: the answer is never "maybe"
    DECIDES = "decides"
    #: the number is positive exactly when a page of the folio is mapped
    MAPPED_IFF_POSITIVE = "mapped-iff-positive"
    #: the number is 0 once nothing maps the folio
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
    #: the answer to "partially mapped?" is given, and right
    TELLS_PARTIAL = "tells-partial"
    #: the number of entries that map a page is given, and right, PMD entries included
    COUNTS_PAGES = "counts-pages"
    #: number and answer depend on the present entries alone
    FORGETS_HISTORY = "forgets-history"


@dataclass(frozen=True, slots=True)
class Part:
    """One row of a number taken apart.

    Args:
        label: what counts: ``pt1`` for the entries of that table, ``slot 0``, ``PMD entries``.
        amount: what it adds to the number; 0 for a row that only explains.
        mm: MM-ID of the address space; 0 if unknown.
        first, nr: pages ``[first, first + nr)`` of the folio; ``nr`` is 0 if unknown.
        vpn: virtual page of the page ``first`` in ``mm``; None if unknown. With ``mm`` it finds the VMA.
    """

    label: str
    amount: int
    mm: int = 0
    first: int = 0
    nr: int = 0
    vpn: int | None = None


class UnknownCallback(TypeError):
    """A scheme defines an ``on_...`` method that no event calls.

    Args:
        scheme, method: names of the class and of the method.
        code: the code of the method, if it is a function: where it is defined.

    Attributes:
        allowed: all callbacks.
        nearest: the one that was probably meant; may be empty.
        line: number of the line that defines the method; 0 if unknown.
    """

    def __init__(self, scheme: str, method: str, code: CodeType | None) -> None:
        from difflib import get_close_matches

        self.allowed = tuple(CALLBACKS.values())
        self.nearest = next(iter(get_close_matches(method, self.allowed, 1)), "")
        self.line = code.co_firstlineno if code is not None else 0
        self.message = f"{scheme}.{method}() is not a callback: no event calls it"
        meant = f"; did you mean {self.nearest}()?" if self.nearest else ""
        super().__init__(f"{self.message}{meant} Callbacks: {', '.join(self.allowed)}")


class Scheme(ABC):
    """One way to keep the mapcount of a folio.

    Subclasses set the class variables and override the callbacks (``on_...``) of the events that they count; those not
    overridden cost nothing. Every scheme that counts overrides ``on_mapped`` and ``on_unmapped``. An ``on_...`` method
    that no event calls is an error (``UnknownCallback``). A class that only helps others is declared with
    ``register=False``.

    Five questions can be asked: is any page mapped (``mapped``), how many mappings are there (``mapcount``), does
    another address space map it (``shared``), is it partially mapped (``partially_mapped``), how often is this page
    mapped (``page_mapcount``). Each has an answer for a scheme that cannot tell.
    """

    #: the word typed in commands and shown as a column header
    name: ClassVar[str]
    #: its place in tables: the smaller, the further left; leave room between two
    place: ClassVar[int] = 1000
    #: its source: a kernel version and symbol, or a mail
    version: ClassVar[str]
    #: two lines: what the number counts, and how "does anyone else map it?" is answered from it
    about: ClassVar[tuple[str, str]]
    #: the state that is kept for a folio, in words
    state: ClassVar[str]
    #: the laws that hold for it
    laws: ClassVar[frozenset[Law]] = frozenset()

    registry: ClassVar[dict[str, type[Scheme]]] = {}

    def __init_subclass__(cls, register: bool = True, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name, method in vars(cls).items():
            if name.startswith("on_") and name not in CALLBACKS.values():
                raise UnknownCallback(cls.__name__, name, getattr(method, "__code__", None))
        if register:
            Scheme.registry[cls.name] = cls

    def on_folio_new(self, event: events.FolioNew) -> None:
        """Folios exist."""

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Folios are gone: forget all of ``event.folios``."""

    def on_mapped(self, event: events.Mapped) -> None:
        """Entries map ``event.folios``, each by ``event.entries``."""

    def on_unmapped(self, event: events.Unmapped) -> None:
        """Entries that mapped ``event.folios`` are gone."""

    def on_vma_split(self, event: events.VmaSplit) -> None:
        """A VMA was split in two."""

    def on_vma_merged(self, event: events.VmaMerged) -> None:
        """Two VMAs became one."""

    def on_moved(self, event: events.Moved) -> None:
        """Entries of a folio were moved by mremap."""

    def on_mlocked(self, event: events.Mlocked) -> None:
        """mlock(2) or munlock(2) mlocked or munlocked mapped folios."""

    def on_forked(self, event: events.Forked) -> None:
        """An address space was duplicated."""

    def on_mm_gone(self, event: events.MmGone) -> None:
        """An address space ended."""

    def on_walked(self, event: events.Walked) -> None:
        """The reverse map of a folio was walked."""

    def on_asked(self, event: events.Asked) -> None:
        """A kernel path asked the deciding scheme."""

    def on_reused(self, event: events.Reused) -> None:
        """A write made pages writable without a copy."""

    def on_held(self, event: events.Held) -> None:
        """The swap cache, or pins, took references of folios or dropped them."""

    def on_finding(self, event: events.Finding) -> None:
        """A wrong answer of the deciding scheme violated a rule."""

    def on_scanned(self, event: events.Scanned) -> None:
        """A block was scanned by khugepaged."""

    def on_added_to_swap(self, event: events.AddedToSwap) -> None:
        """Folios were added to the swap cache, to be written out."""

    def on_tracepoint(self, event: events.Tracepoint) -> None:
        """Something else worth a line in the trace happened."""

    @abstractmethod
    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The scheme's number of a folio, or of one page of it where the scheme counts pages (else the folio's).

        Args:
            folio: number of the folio; an unknown one has 0.
            page: index of a page within it.
        """

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """(first, nr, number) of the folios ``[first, first + nr)``, ascending; one row a run where runs are kept."""
        return [(folio, 1, self.mapcount(folio)) for folio in range(first, first + nr)]

    def mapcount_reader(self, first: int, nr: int) -> PiecesReader:
        """Gives later what ``mapcount_pieces`` gives now; where runs are kept, it is worked out then, from a copy."""
        pieces = self.mapcount_pieces(first, nr)
        return lambda: pieces

    @abstractmethod
    def shared(self, folio: int, mm: int) -> Sharing:
        """Does an address space other than ``mm``, which maps it, map a page of the folio?"""

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """As ``shared``, for one page: that of the entry that the caller looks at."""
        return self.shared(folio, mm)

    def mapped(self, folio: int) -> bool | None:
        """Is any page of the folio mapped? None: the scheme cannot tell."""
        return self.mapcount(folio) > 0

    def partially_mapped(self, folio: int) -> Answer:
        """Are some pages of a large folio mapped and others not?"""
        return Answer.CANNOT

    def page_mapcount(self, folio: int, page: int) -> int | None:
        """How many entries map one page, PMD entries included? None: the scheme cannot tell."""
        return None

    def why(self, folio: int) -> list[Part]:
        """The number taken apart, in a fixed order: the amounts add up to ``mapcount(folio)``."""
        return [Part("mapcount", self.mapcount(folio))]

    @abstractmethod
    def bytes_of_state(self, order: int) -> int:
        """Bytes that the scheme keeps for a folio of this order."""

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """What an event costs in this scheme: counts of a model, see folioshell.schemes.cost."""
        return Cost()

"""Reports: what executing a line gives back. Plain data; no rendering, no reference to the model.

A report is everything that the terminal shows, the runner prints and ``--json`` writes. Its parts are named tuples
rather than frozen dataclasses, which take ten times as long to define, at every start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypedDict

from folioshell.records import NamedTuple, dataclass, field, replace


class StepResult(TypedDict, total=False):
    """How the kernel ended a step: ok, an errno, or signals: [first access, number of accesses, name]."""

    ok: bool
    errno: str
    signals: list[tuple[int, int, str]]


class Change(NamedTuple):
    """A number before and after a step; equal when it did not change."""

    old: int
    new: int


class FolioChange(NamedTuple):
    """A folio that a step touched, or a run of consecutive ones that it touched alike.

    Args:
        id: ``f3``; the first of the run.
        order: order of each.
        mapcounts: scheme name -> its number before and after.
        nr: how many folios with consecutive ids this row stands for.
        note: ``new``, ``freed``, ``split from f1`` or empty.
    """

    id: str
    order: int
    mapcounts: dict[str, Change]
    nr: int = 1
    note: str = ""


class Visit(NamedTuple):
    """One VMA that a reverse-map walk visited.

    Args:
        process, vma: whose it is.
        tables: (lock name of the table entered, entries found there); empty for a miss.
        note: why nothing was found, where a reader would ask.
    """

    process: str
    vma: str
    tables: tuple[tuple[str, int], ...]
    note: str = ""


class Walk(NamedTuple):
    """A reverse-map walk: over which folio, on whose behalf, what it visited."""

    folio: str
    reason: str
    through: str
    visits: tuple[Visit, ...]

    @property
    def ptls(self) -> int:
        """Page-table locks that the walk took."""
        return sum(len(visit.tables) for visit in self.visits)

    @property
    def entries(self) -> int:
        """Page-table entries that the walk found."""
        return sum(count for visit in self.visits for _, count in visit.tables)


class LockRow(NamedTuple):
    """A page-table lock that was taken, ``times`` times in a row the same way.

    Args:
        name: ``pt1``, ``pmd1`` or ``A.mm``.
        depth: page-table locks held before.
        function: the kernel function that took it.
        times: number of equal acquisitions in a row.
    """

    name: str
    depth: int
    function: str
    times: int = 1


class QueryRow(NamedTuple):
    """One scheme's answer.

    Args:
        scheme: its name.
        number: its count of what was asked about.
        answer: ``no``, ``yes``, ``maybe``, ``cannot`` or a number as text.
        cost: what resolving a ``maybe`` costs, in words; empty where there is nothing to resolve.
        verdict: ``exact``, ``false negative``, ``false positive`` or ``undecided``; of a page's number ``exact``,
            ``too few`` or ``too many``; empty where there is nothing to judge.
        page: how often it says that the page is mapped, as text, or ``cannot``; empty if no page was asked about.
    """

    scheme: str
    number: int | None
    answer: str
    cost: str = ""
    verdict: str = ""
    page: str = ""


class Truth(NamedTuple):
    """What the page tables alone say about a folio.

    Args:
        answer: to the question that was asked.
        mms, vmas, tuples, entries, pages: numbers of address spaces, VMAs, (VMA, page table) tuples and entries that
            map a page of it, and of its pages that are mapped.
        page: number of entries that map the page asked about, PMD entries included; None if none was asked about.
    """

    answer: str
    mms: int
    vmas: int
    tuples: int
    entries: int
    pages: int
    page: int | None = None


class Query(NamedTuple):
    """A question and its answers. ``target`` is the folio or place asked about, ``folio`` the folio found there."""

    kind: str
    target: str
    folio: str = ""
    order: int = 0
    rows: tuple[QueryRow, ...] = ()
    truth: Truth | None = None
    answer: str = ""


class Since(NamedTuple):
    """The step that last changed a value.

    Args:
        step, command: which it was, as it would be typed.
        before: the value before it; empty if there was none, because what it is about did not exist.
    """

    step: int
    command: str
    before: str = ""


class Expect(NamedTuple):
    """An assertion and how it went.

    Args:
        text: the assertion as typed, without the word expect.
        passed: whether it held.
        operator, actual, expected: the comparison, values as text.
        why: lines that explain the actual value, when it failed.
        start, end: columns, in the line as typed, of what did not hold; half-open, from 0.
        since: when the value became what it is; None if it passed, or if the value is not one of the state.
        kind: ``expect``, or of lines for class ``question``, ``wrong`` (an answer), ``goal`` or ``solution``.
    """

    text: str
    passed: bool
    operator: str
    actual: str
    expected: str
    why: tuple[str, ...] = ()
    start: int = 0
    end: int = 0
    since: Since | None = None
    kind: str = "expect"


class WatchedValue(NamedTuple):
    """One thing that a watch read, before (empty if nothing could be read) and now."""

    old: str
    new: str


class Watched(NamedTuple):
    """A watch whose value changed, or that was asked for.

    Args:
        number: of the watch, from 1.
        text: what is watched: ``f1`` or ``shared? A:buf[0]``.
        values: scheme, or whatever else was read -> its value.
        note: why nothing can be read now; empty if something was.
    """

    number: int
    text: str
    values: dict[str, WatchedValue] = {}  # noqa: RUF012  # it is never written to
    note: str = ""


class Table(NamedTuple):
    """Rows under columns; numbers are set flush right. ``words`` say the same for mode spoken where labels do not."""

    title: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | int | None, ...], ...] = ()
    note: str = ""
    words: tuple[str, ...] = ()


class Text(NamedTuple):
    """Lines of prose or a drawing, already laid out; ``words`` say the same as a drawing, one fact each."""

    lines: tuple[str, ...] = ()
    title: str = ""
    words: tuple[str, ...] = ()


class Stretch(NamedTuple):
    """Virtual addresses within which no process has more than one VMA, or one run of entries.

    ``label`` names the regions there: ``buf[0..2]``; ``gap`` counts the pages before it without a VMA.
    """

    address: str
    pages: int
    label: str = ""
    gap: int = 0


class Bar(NamedTuple):
    """A VMA in a picture.

    ``perm`` is that of /proc/PID/maps, ``maps`` is ``anon``, or file and page offset: ``lib+0``.
    """

    id: str
    perm: str
    maps: str
    address: str
    pages: int
    label: str = ""


class Cell(NamedTuple):
    """What a process has in a stretch.

    Args:
        vma: id of its VMA; empty where it has none.
        table: page table that holds its entries, or several: ``pt1..pt9``; empty if there is none.
        maps: what the entries map: ``f1..f3 [0] r``; empty if they are none.
        sharing: of the folios mapped there: ``shared``, ``exclusive`` or ``mixed``; empty without any.
    """

    vma: str = ""
    table: str = ""
    maps: str = ""
    sharing: str = ""


class TableRow(NamedTuple):
    """A PTE table, or a PMD table for its huge entry, in a geometry whose tables have few entries.

    Args:
        address: what its first entry maps.
        entries: what each maps: ``f1[6]``, a folio of order 0 as ``f3``, ``zero page``, ``swap``; empty for none.
        maps: the same in runs: ``f1[6..7] r, f3 rw``.
    """

    table: str
    address: str
    entries: tuple[str, ...]
    maps: str = ""


class Lane(NamedTuple):
    """A process in a picture: its VMAs, a cell a stretch, and its page tables where these are small."""

    process: str
    current: bool = False
    vmas: tuple[Bar, ...] = ()
    cells: tuple[Cell, ...] = ()
    tables: tuple[TableRow, ...] = ()


class FolioLane(NamedTuple):
    """A folio in a picture, or several with consecutive ids that are alike.

    Args:
        id: ``f3``; the first.
        order: of each.
        maps: what they are pages of: ``anon av1``, or file and index of the first page: ``lib+0``.
        counts: (pages, entries that map each of them) of the runs of pages of a folio.
        sharing: ``shared``, ``exclusive`` or ``unmapped``: what the page tables say.
        nr: how many.
        wrong: shown schemes that answer otherwise to a process that maps it.
        undecided: shown schemes that answer ``maybe``.
        mappers: every VMA that maps a page, with its tables and the entries there.
    """

    id: str
    order: int
    maps: str
    counts: tuple[tuple[int, int], ...]
    sharing: str
    nr: int = 1
    wrong: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    mappers: tuple[Visit, ...] = ()


class Picture(NamedTuple):
    """Address spaces over page tables over folios: who shares what.

    Args:
        title: what there is.
        stretches: the addresses that any process maps, ascending; gaps are left out.
        lanes: a lane a process, in order of creation.
        folios: by number.
        notes: what was left out, and which command shows it.
    """

    title: str
    stretches: tuple[Stretch, ...]
    lanes: tuple[Lane, ...]
    folios: tuple[FolioLane, ...]
    notes: tuple[str, ...] = ()


Section = Table | Text | Picture


class Target(NamedTuple):
    """A file that a report goes to instead of the screen, and its mode; empty for that of the screen."""

    path: str
    mode: str = ""


MADE_LATER = ("sentence", "folios", "walks", "locks", "findings", "sections", "state")


class _MadeWhenRead:
    """Fields that are made when one of them is first read: only what is not set is asked of ``__getattr__``."""

    __slots__ = ("__weakref__", "_make")
    _make: Callable[[], Mapping[str, Any]] | None

    def __post_init__(self) -> None:
        self._make = None

    def make_later(self, make: Callable[[], Mapping[str, Any]]) -> None:
        """Leave the fields of MADE_LATER to ``make``, once one of them is read, or ``complete`` is called."""
        self._make = make
        for name in MADE_LATER:
            delattr(self, name)

    def __getattr__(self, name: str) -> Any:
        if name == "_make" or self._make is None:
            raise AttributeError(name)
        self.complete()
        return getattr(self, name)

    def complete(self) -> None:
        """Make what is not made yet; later the state that it is about is another."""
        make, self._make = self._make, None
        if make is not None:
            for field_name, value in make().items():
                setattr(self, field_name, value)


@dataclass(slots=True)
class Report(_MadeWhenRead):
    """What one command did or answered.

    Args:
        command: the command in its normal form.
        process: the process that ran it.
        step: number of the step that it was; None for what is no step.
        result: ``{"ok": True}``, ``{"errno": "ENOMEM"}`` or ``{"signals": [[first access, number, "SIGSEGV"], ...]}``;
            None for what is no step.
        sentence: what happened, in one sentence.
        folios, walks, locks: what the shell prints after a step, chosen by ``set after``; all with ``--json=full``.
        findings: rules of memory that broke because the deciding scheme was wrong.
        watched: what is watched and changed, or was asked for.
        query, expect: the answer, when that was asked.
        sections: what a view asked for.
        state: the whole state, when it was asked for (``--json=full``).
        extra: further keys for JSON that a command has to say.
        target: the file that it goes to; None for the screen.
        hidden: parts that only documents have, as ``set after`` leaves them out.
    """

    command: str
    process: str
    step: int | None = None
    result: dict[str, Any] | None = None
    sentence: str = ""
    folios: tuple[FolioChange, ...] = ()
    walks: tuple[Walk, ...] = ()
    locks: tuple[LockRow, ...] = ()
    findings: tuple[str, ...] = ()
    watched: tuple[Watched, ...] = ()
    query: Query | None = None
    expect: Expect | None = None
    sections: tuple[Section, ...] = ()
    state: dict[str, Any] | None = None
    extra: dict[str, Any] = field(default_factory=dict)
    target: Target | None = None
    hidden: tuple[str, ...] = ()

    @property
    def as_shown(self) -> Report:
        """The same without what only documents have."""
        if not self.hidden:
            return self
        parts = {"mapcounts": "folios", "walks": "walks", "locks": "locks"}
        return replace(self, hidden=(), **{parts[part]: () for part in self.hidden})  # type: ignore[arg-type]

    @property
    def says_nothing(self) -> bool:
        """True if there is nothing to print, as of ``quit``."""
        step = (self.sentence, self.result, self.folios, self.walks, self.locks, self.findings, self.watched)
        return not any((*step, self.query, self.expect, self.sections))

    @property
    def skipped(self) -> bool:
        """True of an assertion that holds under other profiles only."""
        return self.expect is None and self.command.startswith("expect[")

    @property
    def failed_expect(self) -> Expect | None:
        """The assertion, if it did not hold."""
        return None if self.expect is None or self.expect.passed else self.expect

    @property
    def failed(self) -> bool:
        """True if the kernel failed the command with an errno or a signal."""
        return self.result is not None and "ok" not in self.result

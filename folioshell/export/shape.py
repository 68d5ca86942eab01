"""The shape of the documents that ``--json`` writes: what is written and what the schema says are made from this.

A field that equals its default is left out of a document.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

VERSION: Literal[1] = 1


class Closed:
    """An object that has no keys but those declared."""

    __slots__ = ()
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(slots=True)
class ChangeDocument(Closed):
    """A number before and after a step."""

    old: int
    new: int


@dataclass(slots=True)
class FolioDocument(Closed):
    """A folio that a step touched, or ``n`` with consecutive ids that it touched alike."""

    id: str
    order: int
    mapcounts: dict[str, ChangeDocument]
    n: int = 1
    note: str = ""


@dataclass(slots=True)
class VisitDocument(Closed):
    """A VMA that a reverse-map walk visited, with the tables entered and the entries found in each."""

    process: str
    vma: str
    tables: list[tuple[str, int]]
    note: str = ""


@dataclass(slots=True)
class WalkDocument(Closed):
    """A reverse-map walk."""

    folio: str
    reason: str
    through: str
    ptls: int
    entries: int
    visits: list[VisitDocument]


@dataclass(slots=True)
class RowDocument(Closed):
    """One scheme's answer."""

    scheme: str
    number: int | None
    answer: str
    cost: str = ""
    verdict: str = ""
    page: str = ""


@dataclass(slots=True)
class TruthDocument(Closed):
    """What the page tables say."""

    answer: str
    mms: int
    vmas: int
    tuples: int
    entries: int
    pages: int
    page: int | None = None


@dataclass(slots=True)
class QueryDocument(Closed):
    """A question and its answers."""

    kind: str
    target: str
    folio: str = ""
    order: int = 0
    rows: list[RowDocument] = field(default_factory=list)
    truth: TruthDocument | None = None
    answer: str = ""


@dataclass(slots=True)
class SinceDocument(Closed):
    """The step that last changed a value, and the value before it; absent if there was none."""

    step: int
    command: str
    before: str = ""


@dataclass(slots=True)
class ExpectDocument(Closed):
    """An assertion: the comparison, its values as text, and why it did not hold.

    If it did not: ``column`` (from 1) is where the comparison stands in its line, ``since`` when the value became what
    it is, ``reopen`` the command that opens the shell there.
    """

    text: str
    passed: bool
    operator: str
    actual: str
    expected: str
    why: list[str] = field(default_factory=list)
    column: int = 0
    since: SinceDocument | None = None
    reopen: str = ""


@dataclass(slots=True)
class WatchedValueDocument(Closed):
    """One thing that a watch read, as text, before and now; ``old`` is empty if nothing could be read before."""

    old: str
    new: str


@dataclass(slots=True)
class WatchedDocument(Closed):
    """Something that is watched, because it changed or was asked for; ``note`` says why nothing can be read now."""

    number: int
    watch: str
    values: dict[str, WatchedValueDocument] = field(default_factory=dict)
    note: str = ""


@dataclass(slots=True)
class StretchDocument(Closed):
    """A stretch of virtual addresses; ``gap`` pages before it belong to no VMA."""

    address: str
    pages: int
    label: str = ""
    gap: int = 0


@dataclass(slots=True)
class BarDocument(Closed):
    """A VMA."""

    id: str
    perm: str
    maps: str
    address: str
    pages: int


@dataclass(slots=True)
class CellDocument(Closed):
    """What a process has in a stretch: its VMA, page tables, what their entries map, whether the folios are shared."""

    vma: str = ""
    table: str = ""
    maps: str = ""
    sharing: str = ""


@dataclass(slots=True)
class LaneDocument(Closed):
    """A process: its VMAs, and a cell a stretch."""

    process: str
    current: bool = False
    vmas: list[BarDocument] = field(default_factory=list)
    cells: list[CellDocument] = field(default_factory=list)


@dataclass(slots=True)
class FolioLaneDocument(Closed):
    """``n`` folios with consecutive ids that are alike; ``counts`` has (pages, entries that map each) of a folio."""

    id: str
    order: int
    maps: str
    counts: list[tuple[int, int]]
    sharing: str
    n: int = 1
    wrong: list[str] = field(default_factory=list)
    undecided: list[str] = field(default_factory=list)
    mappers: list[VisitDocument] = field(default_factory=list)


@dataclass(slots=True)
class PictureDocument(Closed):
    """Address spaces over page tables over folios."""

    stretches: list[StretchDocument]
    lanes: list[LaneDocument]
    folios: list[FolioLaneDocument]
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class SectionDocument(Closed):
    """A table (columns and rows), text (lines) or a picture that a view showed."""

    title: str = ""
    columns: list[str] = field(default_factory=list)
    rows: list[list[str | int | None]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    note: str = ""
    picture: PictureDocument | None = None


@dataclass(slots=True)
class ResultDocument(Closed):
    """How the kernel ended a step: ok, with an errno, or with signals: [first access, number of accesses, name]."""

    ok: bool = False
    errno: str = ""
    signals: list[tuple[int, int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Document(Closed):
    """What one command did or answered."""

    v: Literal[1]
    process: str
    command: str
    file: str = ""
    line: int = 0
    step: int | None = None
    result: ResultDocument | None = None
    sentence: str = ""
    folios: list[FolioDocument] = field(default_factory=list)
    walks: list[WalkDocument] = field(default_factory=list)
    locks: list[tuple[str, int, str]] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    watched: list[WatchedDocument] = field(default_factory=list)
    query: QueryDocument | None = None
    expect: ExpectDocument | None = None
    sections: list[SectionDocument] = field(default_factory=list)
    state: dict[str, Any] | None = None
    race: dict[str, Any] | None = None
    hang: dict[str, str] | None = None


#: keys of a document in the order in which they are written
ORDER = (
    "v",
    "file",
    "line",
    "step",
    "process",
    "command",
    "result",
    "sentence",
    "folios",
    "walks",
    "locks",
    "findings",
    "watched",
    "query",
    "expect",
    "sections",
    "state",
)

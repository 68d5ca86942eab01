"""Why a race found nothing, where that is no proof: what the threads never did, and what to type so that they do.

Everything is decided from what was explored and from the state in which the race begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from folioshell.explore.lockdep import Observed
from folioshell.explore.locks import kernel_text
from folioshell.explore.race import Race
from folioshell.model import pte, vm
from folioshell.model.lock import LockClass
from folioshell.model.vm import Mm, Vma
from folioshell.paths.batch import CLEAR, LOOK, SET, SKIP
from folioshell.records import NamedTuple, dataclass
from folioshell.session.workspace import Workspace, labels_of


class Straddling(NamedTuple):
    """A large folio in a VMA: pages ``[start, middle)`` lie in one PTE table, ``[middle, end)`` in the next."""

    vma: Vma
    start: int
    middle: int
    end: int


@dataclass(frozen=True, slots=True)
class NearMiss:
    """Why there was no finding.

    Args:
        why: what the threads never did, or what kept them apart; a sentence.
        what: what the lines lead to.
        lines: what to type instead.
        again: then the same race once more; else the lines end with a race.
    """

    why: str
    what: str
    lines: str
    again: bool = False

    @property
    def text(self) -> str:
        """Both as sentences."""
        if self.again:
            return f"{self.why} `{self.lines}` first {self.what}."
        return f"{self.why} Try `{self.lines}`, which {self.what}."

    def document(self) -> dict[str, str | bool]:
        """For JSON."""
        return {"why": self.why, "instead": self.lines, "again": self.again}


@dataclass(frozen=True, slots=True)
class _Case:
    """A race that found nothing.

    Args:
        workspace: in the state in which it begins.
        race: as explored.
        seen: what its threads did.
        straddling: a folio in reach of its threads, if there is one.
    """

    workspace: Workspace
    race: Race
    seen: Observed
    straddling: Straddling | None

    @property
    def has_protocol(self) -> bool:
        """Is a protocol under test?"""
        return self.workspace.kernel.protocol is not None

    @property
    def changes(self) -> set[tuple[str, str]]:
        """(function, table) of all changes of entries in which the protocol was asked."""
        return {(op.function, op.lock) for op in self.seen.ops if op.verb == "?" and op.function in (SET, CLEAR)}

    def looks(self, *functions: str) -> set[tuple[str, str]]:
        """(verb, lock) of what the protocol did in functions that look at other tables."""
        return {(op.verb, op.lock) for op in self.seen.ops if op.function in functions}

    @property
    def has_skipped(self) -> bool:
        """Did walks skip none entries of a table without its lock, and no thread wait for a second one?"""
        skipped = any(
            op is not None and op.function == SKIP and (then is None or (then.verb, then.lock) != ("+", op.lock))
            for op, _, then in self.seen.steps
        )
        return skipped and not self.seen.second_ptls

    @property
    def can_copy(self) -> bool:
        """Could ``copies`` put something new into the tables?"""
        if self.straddling is None or not self.straddling.vma.is_cow:
            return False
        kernel, entry_of = self.workspace.kernel, self.straddling.vma.mm.tables.entry
        found = [entry_of(page) for page in self._middles()]
        return not all(pte.maps_folio(entry) and kernel.physmem.at(pte.pfn_of(entry)).first.anon for entry in found)

    @property
    def folio_lock_failed(self) -> bool:
        """Did a thread find a folio locked?"""
        return any(failed and op is not None and op.lock_class is LockClass.FOLIO for op, failed, _ in self.seen.steps)

    def pages(self, start: int, end: int) -> str:
        """Pages as they are typed: ``win[0..7]``."""
        return labels_of(self.workspace.regions.values(), start, end).split()[0]

    def both_halves(self) -> str:
        """Lines that map the straddling folio and unmap both of its halves at once."""
        assert self.straddling is not None
        vma, start, middle, end = self.straddling
        first, second = self.pages(start, middle), self.pages(middle, end)
        return _halves(vma.mm.name, self.pages(start, start + 1), self.pages(middle, middle + 1), first, second)

    def new_straddling(self) -> str:
        """The same for a folio of a new file."""
        size, names = self.workspace.kernel.geometry.pmd_pages, self.workspace
        order = min(4, self.workspace.kernel.geometry.pmd_order)
        half, nr = 1 << order - 1, 1 << order
        file, region = _free("big", names.kernel.files), _free("wide", names.regions)
        lines = f"file {file} {2 * nr} order={order} ; mmap {region} {nr} file={file} prot=rw align={size}"
        process = self.race.tasks[0].mm
        pages = f"{region}[0]", f"{region}[{half}]", f"{region}[0..{half - 1}]", f"{region}[{half}..{nr - 1}]"
        return f"{lines} skew={size - half} ; {_halves(process, *pages)}"

    def copies(self) -> str:
        """Lines that put a copy of a page into the middle of each half."""
        assert self.straddling is not None
        vma, start, _, end = self.straddling
        allow = "" if vma.flags & vm.WRITE else f"mprotect {self.pages(start, end)} rw ; "
        return allow + " ; ".join(f"write {self.pages(page, page + 1)}" for page in self._middles())

    def _middles(self) -> list[int]:
        assert self.straddling is not None
        _, start, middle, end = self.straddling
        return [(start + middle - 1) // 2, (middle + end) // 2]


def _halves(process: str, one: str, other: str, first: str, second: str) -> str:
    threads = f"{process}.t1: madvise dontneed {first} ; {process}.t2: madvise dontneed {second}"
    return f"fault {one} read ; fault {other} read ; race {{ {threads} }}"


def _free(name: str, taken: object) -> str:
    """A name that is not taken."""
    number, free = 1, name
    while free in taken:  # type: ignore[operator]
        number += 1
        free = f"{name}{number}"
    return free


class _Row(NamedTuple):
    """A typical near miss: when it is one, why, what to type, and what that leads to."""

    applies: Callable[[_Case], bool]
    why: Callable[[_Case], str]
    lines: Callable[[_Case], str]
    what: str
    again: bool = False


def _all_ascend(case: _Case) -> bool:
    pairs = case.seen.second_ptls
    return case.seen.holds_two and all(int(held[2:]) < int(wanted[2:]) for held, wanted in pairs)


def _guards(case: _Case) -> list[str]:
    """Locks above or inside those of the PTE tables under which the protocol looked."""
    classes = (LockClass.PMDL, LockClass.MMPTL, LockClass.MCL)
    return sorted({kernel_text(op.lock) for op in case.seen.ops if op.function == LOOK and op.lock_class in classes})


_HALVES = "unmaps both halves of a folio at once"
#: in the order in which they are looked for
_ROWS = (
    _Row(
        lambda case: not case.has_protocol,
        lambda case: "No protocol is set: the scheme counts events, and no order of the threads can make it wrong.",
        lambda case: f"set protocol exclude-own ; {case.both_halves()}",
        "counts it under page-table locks, and " + _HALVES,
    ),
    _Row(
        lambda case: not case.changes,
        lambda case: "The protocol was never called: no thread mapped or unmapped a page of a large folio by a PTE.",
        lambda case: case.both_halves() if case.straddling else case.new_straddling(),
        _HALVES,
    ),
    _Row(
        lambda case: case.straddling is None,
        lambda case: "No look left its own PTE table: no large folio in reach of the threads lies across two.",
        lambda case: case.new_straddling(),
        _HALVES,
    ),
    _Row(
        lambda case: len({task.mm for task in case.race.tasks}) == len(case.race.tasks) > 1,
        lambda case: "Each thread changed the entries of its own process, and each process has its own VMAs.",
        lambda case: case.both_halves(),
        _HALVES + ", in one process",
    ),
    _Row(
        lambda case: case.has_skipped and case.can_copy,
        lambda case: "No thread ever waited for a second PTE-table lock: the walk skipped empty entries.",
        lambda case: case.copies(),
        "gives each table an entry that is not the folio's",
        again=True,
    ),
    _Row(
        lambda case: len(case.race.tasks) == 1,
        lambda case: "One thread ran alone: nothing came between its look and its change.",
        lambda case: case.both_halves(),
        _HALVES + ", by two threads",
    ),
    _Row(
        lambda case: len({table for _, table in case.changes}) == 1,
        lambda case: f"All changes of entries were made under one lock, that of {min(case.changes)[1]}.",
        lambda case: case.both_halves(),
        "changes both tables of a folio at once",
    ),
    _Row(
        lambda case: case.folio_lock_failed and all(function == SET for function, _ in case.changes),
        lambda case: "The folio lock kept the faults apart: a fault holds it together with the PTE-table lock.",
        lambda case: case.both_halves(),
        "takes no folio lock",
    ),
    _Row(
        lambda case: not case.looks(LOOK, SKIP),
        lambda case: "No look left its own PTE table: each found another page of the folio there.",
        lambda case: case.both_halves(),
        "leaves none",
    ),
    _Row(
        _all_ascend,
        lambda case: "Every thread that held one PTE-table lock and wanted another held the lower one.",
        lambda case: f"set protocol own-table-first ; {case.both_halves()}",
        "takes them in any order",
    ),
    _Row(
        lambda case: bool(_guards(case)),
        lambda case: f"Each look at another PTE table was made under {' or '.join(_guards(case))}.",
        lambda case: f"set protocol lockless-look ; {case.both_halves()}",
        "looks without a lock",
    ),
)


def near_miss(workspace: Workspace, race: Race) -> NearMiss | None:
    """Why a race that was explored whole found nothing; None if no typical reason applies.

    Only protocols that count VMAs are known well enough, and Linux itself if it acts on that number.
    """
    kernel = workspace.kernel
    if kernel.decider.name != "vmas":
        return None
    mms = [mm for mm in (workspace.process(task.mm) for task in race.tasks) if mm is not None]
    case = _Case(workspace, race, race.observed(), next(_straddling(workspace, mms), None))
    if not case.has_protocol and case.straddling is None:
        return None
    for row in _ROWS:
        if row.applies(case):
            return NearMiss(row.why(case), row.what, row.lines(case), row.again)
    return None


def _straddling(workspace: Workspace, mms: list[Mm]) -> Iterator[Straddling]:
    """Large folios of files that VMAs of some processes map across two PTE tables, or would."""
    size = workspace.kernel.geometry.pmd_pages
    for mm in mms:
        for vma in mm.vmas:
            for folio in vma.file.folios if vma.file is not None else ():
                base = vma.vpn_of(folio)
                start, end = max(vma.start, base), min(vma.end, base + folio.nr_pages)
                middle = min(start - start % size + size, end)
                if start < middle < end and len(labels_of(workspace.regions.values(), start, end).split()) == 1:
                    yield Straddling(vma, start, middle, end)

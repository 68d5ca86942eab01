"""Protocols: how a kernel keeps under its locks what a scheme counts, and answers from it. ``set protocol`` picks one.

A scheme defines a number as a fold over events, which no lock can disturb. A protocol computes it where Linux would: in
the rmap calls, while other threads run. Its calls yield steps: lock operations, marks of lockless reads, accesses of
shared words. Other threads can come before each step; from one step to the next, a call is alone.

Rules:
- A call begins and ends with the lock of its own page table held; in between it may drop it.
- ``mapped`` runs before the entries are set, ``unmapped`` after they were cleared. Locks that ``before`` took are held
  until the entries are set, or until ``unmapped`` ended, and released by the caller.
- Entries that are read without their lock are marked (``read_unlocked``), as is the change of them by the caller.
- Words are sequentially consistent: a reordering that the memory model of Linux allows is not explored.
"""

from __future__ import annotations

import traceback
from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from folioshell.errors import FolioshellError, KernelBug, ProtocolError
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock, LockClass, LockOp, SharedWord, WordAccess, Words
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma

if TYPE_CHECKING:
    from folioshell.paths.step import Path

#: what the kernel function that looks is called, and the one that skips none entries on its way
LOOK = "folio_mapped_in_vma"
SKIP = "map_pte"
#: the functions that change the entries of a span
SET, CLEAR = "set_ptes", "get_and_clear_full_ptes"
#: steps of one call while no other thread runs: then nothing changes that it could wait for
MOST_STEPS = 10_000


@dataclass(slots=True)
class MappedSpan:
    """Entries of one page table that are about to map pages of a folio, or mapped them until now.

    Args:
        folio, first, nr: pages ``[first, first + nr)`` of the folio.
        vma, table, vpn: the VMA, the page table whose lock is held, the virtual page of the first entry.
        size: entries of a table.

    Attributes:
        held: locks that ``before`` took, in this order.
    """

    folio: Folio
    first: int
    nr: int
    vma: Vma
    table: PageTable | PmdTable
    vpn: int
    size: int
    held: Sequence[Lock] = ()

    @property
    def mm(self) -> int:
        """The MM-ID of the address space."""
        return self.vma.mm.mm_id

    @property
    def lock(self) -> Lock:
        """The lock of its own table."""
        return self.table.ptl if isinstance(self.table, PageTable) else self.table.lock

    @property
    def nr_entries(self) -> int:
        """Entries: one a page, or one PMD entry."""
        return self.nr if isinstance(self.table, PageTable) else 1

    @property
    def is_whole(self) -> bool:
        """All pages of the folio are mapped, or were."""
        return self.nr == self.folio.nr_pages

    def window(self) -> tuple[int, int]:
        """Virtual pages ``[start, end)`` of the VMA that the folio's pages would occupy."""
        base = self.vpn - self.first
        return max(self.vma.start, base), min(self.vma.end, base + self.folio.nr_pages)

    def tables(self) -> Iterator[tuple[PageTable, int, int]]:
        """(PTE table, first entry, last entry + 1) of the window, ascending; where there is no table, nothing is."""
        start, end = self.window()
        block = start - start % self.size
        while block < end:
            table = self.vma.mm.tables.leaf(block)
            if table is not None:
                yield table, max(start, block) - block, min(end, block + self.size) - block
            block += self.size

    def others(self) -> list[tuple[PageTable, int, int]]:
        """The tables of the window except its own."""
        return [row for row in self.tables() if row[0] is not self.table]

    def maps(self, entry: int) -> bool:
        """Does an entry map a page of the folio?"""
        return entry > 0 and self.folio.pfn <= entry >> pte.PFN_SHIFT < self.folio.pfn + self.folio.nr_pages

    def found_in(self, table: PageTable, first: int, last: int) -> bool:
        """Does any of the entries ``[first, last)`` map a page of the folio?"""
        return any(self.maps(entry) for entry in table.entries[first:last])

    def found_in_own(self) -> bool:
        """Does its own table map a page of the folio in this VMA?"""
        return any(self.found_in(*row) for row in self.tables() if row[0] is self.table)

    def entries(self) -> array[int]:
        """A copy of the entries that the span speaks of, as they are now."""
        assert isinstance(self.table, PageTable)
        index = self.vpn % self.size
        return self.table.entries[index : index + self.nr]

    def __str__(self) -> str:
        pages = f"{self.first}..{self.first + self.nr - 1}" if self.nr > 1 else str(self.first)
        return f"{self.folio}[{pages}] in {self.table} of {self.vma.mm}"


def read_unlocked(table: PageTable, first: int, last: int, function: str = LOOK) -> Path[array[int]]:
    """Read entries ``[first, last)`` of a table without its lock: others may change them just before, or just after."""
    yield table.ptl.peek(function)
    return table.entries[first:last]


# Protocols.


@dataclass(slots=True, eq=False)
class OpenQuestion:
    """A question that is being answered, and the right answers: those that were right at some time meanwhile."""

    folio: int
    mm: int
    right: tuple[str, ...]


class Protocol(ABC):
    """A way to keep, for large folios, what a scheme counts; an order-0 folio needs none, its mapcount is exact.

    Calls that yield steps are generators; one without any may be a plain method.

    Attributes:
        definition: the scheme that it names, from ``set protocol`` on.
        questions: the questions that are being answered.
        wrong: sentences about wrong answers.
    """

    name: ClassVar[str]
    #: what it does and what it costs, in a line
    about: ClassVar[str]
    #: the scheme that defines what it counts
    scheme: ClassVar[str] = "vmas"
    #: the file that it was loaded from; empty for ours
    path: ClassVar[str] = ""

    registry: ClassVar[dict[str, type[Protocol]]] = {}

    definition: Any

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Protocol.registry[cls.name] = cls

    def __init__(self) -> None:
        self._words = Words()
        self._locks: dict[tuple[int, str], Lock] = {}
        self.questions: list[OpenQuestion] = []
        self.wrong: list[str] = []

    def word(self, folio: Folio, name: str) -> SharedWord:
        """A shared word of a folio."""
        return SharedWord(self._words, folio.id, name)

    def bit_lock(self, folio: Folio, name: str = "") -> Lock:
        """A bit spinlock of a folio, inside the page-table locks."""
        name = name or self.name
        return self._locks.setdefault((folio.id, name), Lock(LockClass.MCL, f"{folio}.{name}"))

    # What a protocol does.

    def before(self, span: MappedSpan) -> Any:
        """Take the locks beyond that of its own table before entries are changed.

        Returns: the locks taken, in this order; None if entries of the span changed meanwhile and the caller must look
        at them again (the lock of its own table is held).
        """
        return []

    @abstractmethod
    def mapped(self, span: MappedSpan) -> Any:
        """Entries are about to be set: count."""

    @abstractmethod
    def unmapped(self, span: MappedSpan) -> Any:
        """Entries were cleared: count."""

    def shared(self, folio: Folio, mm: int) -> Any:
        """Does another address space map the folio? Asked by the kernel with a page-table lock held.

        Returns: True or False, or a scheme's answer; by default that of the definition.
        """
        return self.definition.shared(folio.id, mm)

    @abstractmethod
    def counted(self, folio: Folio) -> Any:
        """What it has counted by now, to be compared with ``expected`` when no thread runs."""

    def expected(self, folio: Folio) -> Any:
        """What it should have counted: by default the number of the definition."""
        return self.definition.mapcount(folio.id)

    def start(self, folio: Folio, spans: Sequence[MappedSpan]) -> None:
        """It is switched on: count what maps a folio already. By default ``mapped`` runs for each span."""
        for span in spans:
            alone(self, "mapped", span)

    def boundaries(self, k: Kernel, mm: Mm, low: int, high: int, cuts: Sequence[int], sign: int) -> Path[None]:
        """A VMA ``[low, high)`` is split at ``cuts`` (sign +1), or merged again (sign -1); no rmap function is called.

        The caller holds mmap_lock and the rmap locks, so no fault and no walker is under way.
        """
        yield from ()

    def forget(self, folio: int) -> None:
        """A folio is freed; nothing maps it."""
        for key in [key for key in self._words.values if key[0] == folio]:
            del self._words.values[key]

    def text_of(self, value: Any) -> str:
        """A value of ``counted`` in words."""
        return str(value)

    # What is said of it.

    def definition_changed(self) -> None:
        """What the definition counts may have changed: note the answers that are right from now on."""
        for question in self.questions:
            right = str(self.definition.shared(question.folio, question.mm).value)
            question.right = tuple(sorted({*question.right, right}))

    def fault(self, call: str, about: str, text: str) -> FolioshellError:
        """The exception for a rule that a call broke: a finding about a file, a bug of a protocol of ours."""
        if self.path:
            return ProtocolError(self.name, call, about, text)
        return KernelBug(f"protocol {self.name}, {call}({about}): {text}")


# Calls.


def steps(protocol: Protocol, call: str, *args: Any, held: Sequence[Lock] = (), is_alone: bool = False) -> Path[Any]:
    """Run one call of a protocol: the lock operations of its steps. Returns what it returned.

    Args:
        call: its method.
        held: locks that it holds when it begins, and when it ends, besides those that ``before`` returns.
        is_alone: no other thread can come between, so it may not take steps without end.
    Raises:
        ProtocolError: it raised, or broke a rule; for a protocol of ours KernelBug.
    """
    running = _ProtocolCall(protocol, call, args)
    result = running.begin()
    if not isinstance(result, GeneratorType):
        return running.checked(result, held, {})
    path, reply, nr = result, None, 0
    #: lock -> the line where it was taken, 0 for those of the caller
    taken: dict[Lock, int] = dict.fromkeys(held, 0)
    while True:
        over, step = running.advance(path, reply)
        if over:
            return running.checked(step, held, taken)
        nr += is_alone
        running.check(path, step, taken, nr)
        if step.__class__ is WordAccess:
            yield step.op(running.name)
            reply = step.perform()
            continue
        reply = yield step
        if step.verb in "+~" and not reply:
            taken[step.lock] = _line_of(path, protocol.path)
        elif step.verb == "-":
            del taken[step.lock]


def alone(protocol: Protocol, call: str, *args: Any) -> Any:
    """Run one call while no one else can see what it changes, or no thread runs at all: no lock matters.

    Raises:
        ProtocolError: as ``steps``.
    """
    spans = [span for span in args if isinstance(span, MappedSpan)]
    path = steps(protocol, call, *args, held=[span.lock for span in spans], is_alone=True)
    try:
        while True:
            next(path)
    except StopIteration as end:
        return end.value


@dataclass(slots=True)
class _ProtocolCall:
    """A call of a protocol, for what is said of its faults.

    Args:
        protocol, method, args: what is called, with what.
    """

    protocol: Protocol
    method: str
    args: tuple[Any, ...]

    @property
    def name(self) -> str:
        """As the function of an operation: ``mm-id-lock.mapped``."""
        return f"{self.protocol.name}.{self.method}"

    def begin(self) -> Any:
        """What the method returns: a generator, or a result."""
        try:
            return getattr(self.protocol, self.method)(*self.args)
        except Exception as error:
            raise self._raised(error) from error

    def advance(self, path: Any, reply: Any) -> tuple[bool, Any]:
        """(it has ended, its result), or (False, its next step)."""
        try:
            return False, path.send(reply)
        except StopIteration as end:
            return True, end.value
        except Exception as error:
            raise self._raised(error) from error

    def check(self, path: Any, step: Any, taken: dict[Lock, int], nr: int) -> None:
        """Check a step.

        Raises:
            ProtocolError: it is none, or a lock is released that is not held, or there are too many.
        """
        place = _place(path, self.protocol.path)
        if step.__class__ is WordAccess:
            if not all(type(value) is int for value in step.values):
                raise self.fault(f"{step.verb} of {step.values!r}, where numbers are wanted{place}")
        elif step.__class__ is not LockOp:
            raise self.fault(f"yielded {step!r}, which is no step{place}")
        elif step.verb == "-" and step.lock not in taken:
            raise self.fault(f"released {step.lock}, which it does not hold{place}")
        if nr > MOST_STEPS:
            raise self.fault(f"takes steps without end: {step}{place}, is step {nr:,}, and no other thread runs")

    def checked(self, result: Any, held: Sequence[Lock], taken: dict[Lock, int]) -> Any:
        """The result of a call that has ended.

        Raises:
            ProtocolError: it holds other locks than it should.
        """
        kept = [*held, *self._kept(result, taken)] if self.method == "before" else [*held]
        for lock, line in taken.items():
            if lock not in kept:
                where = f", taken at {self.protocol.path}:{line}" if line else ""
                raise self.fault(f"ended without releasing {lock}{where}")
        if taken or self.method == "before":
            for lock in held:
                if taken and lock not in taken:
                    raise self.fault(f"ended without {lock}, which its caller holds")
        return result

    def _kept(self, result: Any, taken: dict[Lock, int]) -> Sequence[Lock]:
        """The locks that ``before`` hands to its caller."""
        if result is None:
            return ()
        if not isinstance(result, list):
            raise self.fault(f"returned {result!r}, which is neither a list of locks nor None")
        for lock in result:
            if lock not in taken:
                raise self.fault(f"returned {lock}, which it does not hold")
        return result

    def fault(self, text: str) -> FolioshellError:
        """The exception for a rule that it broke."""
        about = next((str(one) for one in self.args if isinstance(one, (MappedSpan, Folio))), "")
        return self.protocol.fault(self.method, about, text)

    def _raised(self, error: Exception) -> Exception:
        """The exception for one that the protocol raised."""
        path = self.protocol.path
        if not path or isinstance(error, FolioshellError):
            return error
        text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return self.fault(f"{text}, at {path}:{lines[-1]}" if lines else text)


def _line_of(path: Any, file: str) -> int:
    """The line of a file at which a suspended generator stands, in the innermost generator of that file; 0 if none."""
    line = 0
    while path is not None and getattr(path, "gi_frame", None) is not None:
        if path.gi_code.co_filename == file:
            line = path.gi_frame.f_lineno
        path = path.gi_yieldfrom
    return line


def _place(path: Any, file: str) -> str:
    line = _line_of(path, file)
    return f", at {file}:{line}" if line else ""

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

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar

from folioshell.errors import FolioshellError, KernelBug, ProtocolError
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock, LockClass, LockOp, SharedWord, WordAccess, Words
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths.batch import MappedSpan
from folioshell.records import dataclass

if TYPE_CHECKING:
    from folioshell.paths import Path
    from folioshell.paths.sharing import AnswerCheck, RmapCall

#: steps of one call while no other thread runs: then nothing changes that it could wait for
MOST_STEPS = 10_000
#: rounds of loops of a file between two steps
MOST_ROUNDS = 100_000


# Protocols.


class Protocol(ABC):
    """A way to keep, for large folios, what a scheme counts; an order-0 folio needs none, its mapcount is exact.

    Calls that yield steps are generators; one without any may be a plain method.

    Attributes:
        definition: the scheme that it names, from ``set protocol`` on.
        answers: whether its answers were right, from then on.
    """

    name: ClassVar[str]
    #: what it does and what it costs, in a line
    about: ClassVar[str]
    #: the scheme that defines what it counts
    scheme: ClassVar[str] = "vmas"
    #: the file that it was loaded from; empty for ours
    path: ClassVar[str] = ""
    #: mremap takes the rmap locks to move entries, so that no walk is under way when ``moved`` is called
    moves_under_rmap_locks: ClassVar[bool] = False

    registry: ClassVar[dict[str, type[Protocol]]] = {}

    definition: Any
    answers: AnswerCheck

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            Protocol.registry[cls.name] = cls

    def __init__(self) -> None:
        self._words = Words()
        self._locks: dict[tuple[int, str], Lock] = {}

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

    def moved(self, old: MappedSpan, new: MappedSpan) -> Any:
        """Mremap moved entries, which are ``new`` by now, from where they were ``old``; no rmap function is called.

        The caller holds mmap_lock for writing and the locks of both tables, so no fault is under way.
        """
        return None

    def forget(self, folio: int) -> None:
        """A folio is freed; nothing maps it."""
        for key in [key for key in self._words.values if key[0] == folio]:
            del self._words.values[key]

    def text_of(self, value: Any) -> str:
        """A value of ``counted`` in words."""
        return str(value)

    # What is said of it.

    def fault(self, call: str, about: str, text: str) -> FolioshellError:
        """The exception for a rule that a call broke: a finding about a file, a bug of a protocol of ours."""
        if self.path:
            return ProtocolError(self.name, call, about, text)
        return KernelBug(f"protocol {self.name}, {call}({about}): {text}")


class EndlessLoop(BaseException):
    """A loop of loaded code that never ends; not an Exception, which that code might catch."""


class Patience:
    """How many rounds the loops of loaded code may still take; unlimited outside ``begin`` and ``end``."""

    def __init__(self) -> None:
        self._left = 0

    def begin(self) -> None:
        """The code runs from here to its next step."""
        self._left = MOST_ROUNDS

    def end(self) -> None:
        """It took a step, or ended."""
        self._left = 0

    def notice(self) -> None:
        """A round of a loop begins.

        Raises:
            EndlessLoop: there were too many.
        """
        if self._left > 1:
            self._left -= 1
        elif self._left:
            raise EndlessLoop(f"loops without end: {MOST_ROUNDS:,} rounds without a step")


PATIENCE = Patience()
#: what loaded code may raise; not KeyboardInterrupt, which is the user's, nor OutOfTime
_RAISED = (Exception, EndlessLoop, SystemExit, GeneratorExit)

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
        return running.checked(result, held, dict.fromkeys(held))
    path, reply, nr = result, None, 0
    #: lock -> the line where it was taken; None for those of the caller
    taken: dict[Lock, int | None] = dict.fromkeys(held)
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
        PATIENCE.begin()
        try:
            return getattr(self.protocol, self.method)(*self.args)
        except _RAISED as error:
            raise self._raised(error) from error
        finally:
            PATIENCE.end()

    def advance(self, path: Any, reply: Any) -> tuple[bool, Any]:
        """(it has ended, its result), or (False, its next step)."""
        PATIENCE.begin()
        try:
            return False, path.send(reply)
        except StopIteration as end:
            return True, end.value
        except _RAISED as error:
            raise self._raised(error) from error
        finally:
            PATIENCE.end()

    def check(self, path: Any, step: Any, taken: dict[Lock, int | None], nr: int) -> None:
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
        elif self.protocol.path and (problem := _misuse(step, taken)):
            raise self.fault(f"{problem}{place}")
        if nr > MOST_STEPS:
            raise self.fault(f"takes steps without end: {step}{place}, is step {nr:,}, and no other thread runs")

    def checked(self, result: Any, held: Sequence[Lock], taken: dict[Lock, int | None]) -> Any:
        """The result of a call that has ended.

        Raises:
            ProtocolError: it holds other locks than it should.
        """
        kept = [*held, *self._kept(result, taken)] if self.method == "before" else [*held]
        for lock, line in taken.items():
            if lock not in kept:
                where = f", taken at {self.protocol.path}:{line}" if line else ""
                raise self.fault(f"ended without releasing {lock}{where}")
        for lock in held:
            if lock not in taken:
                raise self.fault(f"ended without {lock}, which its caller holds")
        return result

    def _kept(self, result: Any, taken: dict[Lock, int | None]) -> Sequence[Lock]:
        """The locks that ``before`` hands to its caller."""
        if result is None:
            return ()
        if not isinstance(result, list):
            raise self.fault(f"returned {result!r}, which is neither a list of locks nor None")
        for lock in result:
            if taken.get(lock) is None:
                raise self.fault(f"returned {lock}, which it has not taken")
        return result

    def fault(self, text: str) -> FolioshellError:
        """The exception for a rule that it broke."""
        about = next((str(one) for one in self.args if isinstance(one, (MappedSpan, Folio))), "")
        return self.protocol.fault(self.method, about, text)

    def _raised(self, error: BaseException) -> BaseException:
        """The exception for one that the protocol raised."""
        path = self.protocol.path
        if not path or isinstance(error, FolioshellError):
            return error
        text = ": ".join(part for part in (type(error).__name__, str(error)) if part)
        text = str(error) if isinstance(error, EndlessLoop) else text
        from traceback import extract_tb

        lines = [frame.lineno or 0 for frame in extract_tb(error.__traceback__) if frame.filename == path]
        return self.fault(f"{text}, at {path}:{lines[-1]}" if lines else text)


def _misuse(op: LockOp, taken: dict[Lock, int | None]) -> str:
    """What is wrong with a lock operation, apart from recursive locking, which is a deadlock; empty if nothing is."""
    lock, sleeps = op.lock, op.lock.lock_class in _SLEEPING
    if op.verb in "-v" and lock not in taken:
        return f"released {lock}, which it does not hold"
    if op.verb == "w" and lock in taken:
        return f"waits for {lock}, which it holds"
    if op.verb == "v" or (op.verb in "+~-" and op.mode and not sleeps):
        return f"uses a mode of {lock}, which has none"
    spins = next((held for held in taken if held.lock_class not in _SLEEPING), None)
    if sleeps and op.verb in "+w" and spins is not None:
        return f"waits for {lock}, which may sleep, with the spinlock {spins} held"
    return ""


#: locks that a thread may sleep on, so that it must hold no spinlock
_SLEEPING = frozenset(getattr(LockClass, name) for name in ("IRW", "MMAP", "INVAL", "FOLIO", "VMA", "IMMAP", "AVR"))


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


# Rmap calls.


def protocol_of(k: Kernel) -> Protocol:
    """The protocol under test."""
    assert isinstance(k.protocol, Protocol)
    return k.protocol


@dataclass(slots=True)
class RmapClaim:
    """An rmap call that a protocol under test counts, with the locks that it took for it."""

    span: MappedSpan
    call: RmapCall


def moved(k: Kernel, old: MappedSpan, new: MappedSpan) -> Path[None]:
    """Mremap moved entries of a large folio: see ``Protocol.moved``."""
    held = dict.fromkeys((old.lock, new.lock))
    yield from steps(protocol_of(k), "moved", old, new, held=(*held,), is_alone=k.batches)
    protocol_of(k).answers.after_event(protocol_of(k).definition)


def claim(
    k: Kernel, folio: Folio, first: int, nr: int, vma: Vma, table: PageTable | PmdTable, vpn: int
) -> Path[RmapClaim | None]:
    """Let the protocol under test take its locks before entries change. None: it had to drop that of the table."""
    protocol = protocol_of(k)
    span = MappedSpan(folio, first, nr, vma, table, vpn, k.geometry.pmd_pages)
    call = protocol.answers.begin_call(folio.id, str(table))
    was = span.entries() if isinstance(table, PageTable) else None
    held = yield from steps(protocol, "before", span, held=(span.lock,), is_alone=k.batches)
    if held is None:
        protocol.answers.end_call(call)
        if was is not None and span.entries() == was and vma.mm.tables.leaf(vpn) is table:
            raise protocol.fault("before", str(span), "returned None, but no entry of the span has changed")
        return None
    span.held = held
    return RmapClaim(span, call)


def count_call(k: Kernel, method: str, counted: RmapClaim) -> Path[None]:
    """Let the protocol under test count entries."""
    held = (counted.span.lock, *counted.span.held)
    yield from steps(protocol_of(k), method, counted.span, held=held, is_alone=k.batches)


def finish(k: Kernel, counted: RmapClaim) -> Path[None]:
    """Release the locks that the protocol under test took before entries changed."""
    protocol_of(k).answers.end_call(counted.call)
    for lock in reversed(counted.span.held):
        yield lock.release()


def on_boundaries(k: Kernel, mm: Mm, low: int, high: int, cuts: Sequence[int], sign: int) -> Path[None]:
    """A VMA ``[low, high)`` is split at ``cuts`` (sign +1), or merged again (sign -1): see ``Protocol.boundaries``."""
    if k.protocol is not None:
        yield from steps(protocol_of(k), "boundaries", k, mm, low, high, cuts, sign, is_alone=k.batches)
        protocol_of(k).answers.after_event(protocol_of(k).definition)


def claim_pmd(k: Kernel, folio: Folio, vma: Vma, table: PmdTable, vpn: int) -> Path[RmapClaim]:
    """As ``_claim``, for a PMD entry, whose lock no protocol may drop."""
    counted = yield from claim(k, folio, 0, folio.nr_pages, vma, table, vpn)
    if counted is None:
        raise cannot_drop(k, folio, vma, table, "changes a PMD entry")
    return counted


def cannot_drop(k: Kernel, folio: Folio, vma: Vma, table: PageTable | PmdTable, why: str) -> Exception:
    """The error of a protocol that drops a lock where the caller cannot look again."""
    return protocol_of(k).fault("before", f"{folio} in {table} of {vma.mm}", f"dropped {table}, whose holder {why}")

"""A machine: one simulated kernel and its schemes, driven one kernel path at a time."""

from __future__ import annotations

import gc
from collections.abc import Collection, Generator, Mapping, Sequence
from typing import Any, TypeVar

from folioshell.engine.counting import Mark, Schemes
from folioshell.engine.numbers import Numbers, NumbersBefore, Row
from folioshell.errors import FolioshellError, KernelBug, SelfDeadlock
from folioshell.events import Event
from folioshell.intervals import Intervals
from folioshell.model.folio import Folio
from folioshell.model.kernel import Bookkeeping, Kernel
from folioshell.model.lock import Lock, LockClass, LockOp
from folioshell.model.policy import SharingQuestion
from folioshell.model.release import DEFAULT, RELEASES, Release
from folioshell.model.truth import TruthCounts, broken_invariants, mappings, truth
from folioshell.paths.batch import MappedSpan
from folioshell.paths.protocol import Protocol, alone
from folioshell.paths.sharing import AnswerCheck, ProtocolDecider
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.records import NamedTuple
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.per_page_v5 import PerPageV5
from folioshell.units import X86_64, Geometry

T = TypeVar("T")

#: the locks that a protocol under test takes
_OF_PROTOCOLS = (LockClass.MMPTL, LockClass.PMDL, LockClass.PTL, LockClass.MCL)
#: how many of the last events a KernelBug carries
_LAST_EVENTS = 20


class Miscount(NamedTuple):
    """A folio of which a protocol has counted something else than its definition."""

    folio: int
    counted: object
    expected: object


class Uncollected:
    """A context without collection of garbage: what makes objects by the million, and no garbage to speak of.

    Collecting would take as long as making them.
    """

    __slots__ = ("_collecting",)

    def __enter__(self) -> None:
        self._collecting = gc.isenabled()
        gc.disable()

    def __exit__(self, *_: object) -> None:
        if self._collecting:
            gc.enable()


class Machine:
    """A kernel with its schemes and the trace of the current step.

    Args:
        geometry: shape of the page tables.
        loaded: schemes from files by name; they count in addition to the registered ones.
        counting: names of the registered schemes that count from the start, None for all. Others join when they are
            first looked up in ``schemes``, with the numbers that they would have had from the start.
        protocols: protocols from files by name.

    Attributes:
        protocols: every protocol by name.
        loaded: names of the schemes and protocols from files.
        kernel: the model's state.
        schemes: every scheme by name, in reading order.
        trace: lock operations and events of the current step, in order.
        noted: the schemes whose numbers before the step are noted.
    """

    def __init__(
        self,
        geometry: Geometry = X86_64,
        loaded: Mapping[str, type[Scheme]] | None = None,
        counting: Collection[str] | None = None,
        protocols: Mapping[str, type[Protocol]] | None = None,
    ) -> None:
        loaded = loaded or {}
        protocols = protocols or {}
        self.protocols = {**PROTOCOLS, **protocols}
        self.loaded = (*loaded, *protocols)
        kinds = sorted({**all_schemes(), **loaded}.values(), key=lambda kind: (kind.place, kind.name))
        self._before = NumbersBefore()
        self._numbers: dict[tuple[str, ...], Numbers] = {}
        self.schemes = Schemes({kind.name: kind for kind in kinds}, loaded, counting, self._before.callbacks)
        self.kernel = Kernel(self.schemes, self._books(DEFAULT), geometry)
        self.kernel.new_mm("A")
        self._held: dict[Lock, str] = {}
        self.noted: tuple[str, ...] = ()
        self.begin()
        self.note(tuple(self.schemes.counting))

    def begin(self) -> None:
        """Begin a step with an empty trace."""
        self.trace: list[LockOp | Event] = []
        self.schemes.begin(self.trace)
        self._held = {}
        self._before.begin()

    def mark(self) -> Mark:
        """What ``rewind`` needs to come back to the present step."""
        return self.schemes.mark()

    def rewind(self, mark: Mark) -> None:
        """Begin a step at a mark; the caller has restored what kernel and schemes held then."""
        if self.schemes.rewind(mark):
            self._numbers.clear()
            self.note(())
        self.begin()

    def run(self, path: Generator[LockOp | Event, Any, T]) -> T:
        """Drive a kernel path to its end; every lock is free, every trylock succeeds.

        Raises:
            KernelBug: a lock was taken twice or is held at the end, or an invariant was violated.
        """
        self.kernel.batches = True
        with Uncollected():
            try:
                return self._drive(path)
            except KernelBug as bug:
                if not bug.events:
                    bug.events = self.last_events()
                raise

    def _drive(self, path: Generator[LockOp | Event, Any, T]) -> T:
        log = self.trace.append
        held, callbacks_of = self._held, self.schemes.callbacks.get
        # Half the price of __next__() or of next().
        resume = path.send
        while True:
            try:
                step = resume(None)
            except StopIteration as stop:
                if held:
                    raise KernelBug(f"locks still held: {' '.join(lock.name for lock in held)}") from None
                result: T = stop.value
                return result
            log(step)
            if step.__class__ is LockOp:
                if step.verb == "-":
                    if held.pop(step.lock, None) is None:
                        raise KernelBug(f"{step.lock} is released but not held")
                elif step.verb in "+~vw":
                    if step.lock in held and step.verb != "v":
                        raise self._recursion(step)
                    if step.verb != "w":
                        held[step.lock] = step.mode
            else:
                for callback in callbacks_of(step.__class__, ()):
                    callback(step)

    def join_folios(self) -> None:
        """Make runs again of the folios that the step has left alike."""
        self.kernel.folios.join(self._before.touched())

    def announce(self, event: Event) -> None:
        """Append an event to the trace and call every scheme that counts it."""
        self.trace.append(event)
        for callback in self.schemes.callbacks.get(event.__class__, ()):
            callback(event)

    def is_counted(self, event: Event) -> bool:
        """Does such an event call any scheme, whether or not it counts at present, or note numbers before the step?"""
        return event.__class__ in self.schemes.counted

    @property
    def deciding(self) -> tuple[str, ...]:
        """The schemes that kernel paths query: the books of the release, and all that may decide."""
        policy = self.kernel.release.policy
        names = {policy.books, self.kernel.decider.name, *map(policy.scheme, SharingQuestion)}
        return tuple(name for name in self.schemes if name in names and name in self.schemes.counting)

    def _recursion(self, op: LockOp) -> FolioshellError:
        """A held lock is taken: recursive locking of a protocol under test, else a bug of a path."""
        if self.kernel.protocol is not None and op.lock.lock_class in _OF_PROTOCOLS:
            return SelfDeadlock(op.lock.name, op.function, self.kernel.protocol.name)
        return KernelBug(f"{op.function} takes {op.lock}, which it holds already")

    def last_events(self) -> tuple[object, ...]:
        """The last events of the step, oldest first."""
        recent = [event for event in self.trace[-10 * _LAST_EVENTS :] if event.__class__ is not LockOp]
        return tuple(recent[-_LAST_EVENTS:])

    # Numbers before the step.

    def note(self, names: Sequence[str]) -> None:
        """Choose the schemes whose numbers are noted before a step changes them, from the next step on; may be none.

        Raises:
            KeyError: there is no such scheme.
        """
        noted = tuple(names)
        if noted != self.noted:
            self.noted = noted
            self._before.note(self.numbers(noted) if noted else None)

    def touched(self) -> Intervals[Row]:
        """Folio -> its numbers before the step, in the order of ``noted``, for all folios named by its events."""
        return self._before.rows

    def numbers(self, names: Sequence[str]) -> Numbers:
        """Reads the present numbers of folios in these schemes, a column each.

        Raises:
            KeyError: there is no such scheme.
        """
        key = tuple(names)
        reader = self._numbers.get(key)
        if reader is None:
            schemes = [self.schemes[name] for name in key]
            reader = self._numbers[key] = Numbers(schemes, self.schemes.small)
        return reader

    # Questions.

    def decide(self, name: str) -> None:
        """Let the kernel act on this scheme's answers.

        Raises:
            KeyError: there is no such scheme.
        """
        self.kernel.protocol = None
        self.kernel.decider = self.schemes[name]

    def set_profile(self, profile: str) -> None:
        """Let the kernel behave like another release: count as it does, and act on the schemes of that release.

        Raises:
            KeyError: there is no such profile.
        """
        self.follow(RELEASES[profile])

    def follow(self, release: Release) -> None:
        """As ``set_profile``, for a release that need not be one of the table."""
        self.kernel.protocol = None
        self.kernel.follow(release, self.schemes, self._books(release))

    def _books(self, release: Release) -> Bookkeeping:
        """The scheme that is the kernel's own bookkeeping in a release."""
        counts = self.schemes[release.policy.books]
        assert isinstance(counts, EntryScheme | PerPageV5)
        if isinstance(counts, PerPageV5):
            counts.keeps_double_map = not release.clears_double_map_of_files
        return counts

    def set_protocol(self, name: str | None) -> None:
        """Let the kernel count by a protocol, starting with what is mapped, and act on its answers.

        Args:
            name: a protocol, or None for the deciding scheme itself.
        Raises:
            KeyError: there is no such protocol.
        """
        kernel = self.kernel
        if name is None:
            self.decide(kernel.decider.name)
            return
        protocol = self.protocols[name]()
        protocol.definition, protocol.answers = self.schemes[protocol.scheme], AnswerCheck()
        size = kernel.geometry.pmd_pages
        for folio, _ in kernel.folios.groups():
            if folio.order:
                found = mappings(kernel, folio)
                spans = [MappedSpan(folio, one.first, one.nr, one.vma, one.table, one.vpn, size) for one in found]
                alone(protocol, "start", folio, spans)
        kernel.protocol = protocol
        kernel.decider = ProtocolDecider(protocol, kernel.folios)

    def miscounts(self) -> list[Miscount]:
        """The large folios of which the protocol has counted something else than its definition.

        Raises:
            ProtocolError: it could not say.
        """
        protocol = self.kernel.protocol
        if not isinstance(protocol, Protocol):
            return []
        found = []
        for folio, _ in self.kernel.folios.groups():
            if folio.order:
                counted, expected = alone(protocol, "counted", folio), alone(protocol, "expected", folio)
                if counted != expected:
                    found.append(Miscount(folio.id, counted, expected))
        return found

    def truth(self, folio: Folio) -> TruthCounts:
        """What the page tables say about a folio."""
        return truth(self.kernel, folio)

    def check(self) -> list[str]:
        """The violated invariants of the model, in words."""
        return broken_invariants(self.kernel)

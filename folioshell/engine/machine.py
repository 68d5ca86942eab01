"""A machine: one simulated kernel and every scheme, driven one kernel path at a time."""

from __future__ import annotations

import gc
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, TypeVar

from folioshell import events
from folioshell.engine.numbers import Numbers, Row
from folioshell.engine.protocol import ProtocolDecider
from folioshell.errors import FolioshellError, KernelBug, SelfDeadlock
from folioshell.events import Event
from folioshell.intervals import Intervals, ranges
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock, LockClass, LockOp
from folioshell.model.release import DEFAULT, RELEASES, Release
from folioshell.model.truth import TruthCounts, broken_invariants, truth
from folioshell.paths.protocols import PROTOCOLS
from folioshell.schemes import all_schemes
from folioshell.schemes.base import HANDLERS, Scheme
from folioshell.schemes.entries import EntryScheme, share_entries
from folioshell.schemes.order0 import one_by_one, share_order0
from folioshell.schemes.windows import share_windows
from folioshell.units import X86_64, Geometry

T = TypeVar("T")

#: how many of the last events a KernelBug carries
_LAST_EVENTS = 20


class _Forgetting:
    """Tells schemes of a folio that is gone; of an order-0 folio those only that keep a record of such."""

    def __init__(self, handlers: Mapping[Scheme, Callable[[Any], None]], covered: frozenset[Scheme]) -> None:
        self._all = tuple(handlers.values())
        self._order0 = tuple(handler for scheme, handler in handlers.items() if scheme not in covered)

    def __call__(self, event: events.FolioFreed) -> None:
        for handler in self._all if event.order else self._order0:
            handler(event)


class Machine:
    """A kernel with its schemes and the trace of the current step.

    Args:
        geometry: shape of the page tables.
        definitions: schemes by name that count beside the registered ones.

    Attributes:
        kernel: the model's state.
        schemes: every scheme by name, in reading order; all of them keep counting.
        trace: lock operations and events of the step that is being made, in order.
        noted: the schemes whose numbers before the step are noted.
    """

    def __init__(self, geometry: Geometry = X86_64, definitions: Mapping[str, type[Scheme]] | None = None) -> None:
        kinds = {**all_schemes(), **(definitions or {})}
        self.schemes: dict[str, Scheme] = {
            kind.name: kind() for kind in sorted(kinds.values(), key=lambda kind: (kind.place, kind.name))
        }
        self.kernel = Kernel(self.schemes, self._books(DEFAULT), geometry)
        self.kernel.new_mm("A")
        self.trace: list[LockOp | Event] = []
        self._held: dict[Lock, str] = {}
        self._before: Intervals[Row] = Intervals()
        covered = share_order0(self.schemes.values())
        # Definitions from files keep records of large folios of their own: what they do to them must not reach ours.
        ours = [scheme for name, scheme in self.schemes.items() if name not in (definitions or ())]
        share_windows(ours)
        self._entry_readers = share_entries(ours)
        self._covered = covered
        self._readers: dict[tuple[str, ...], Numbers] = {}
        self.note(tuple(self.schemes))
        self._listeners = {kind: self._listeners_of(kind, covered) for kind in HANDLERS}

    def _listeners_of(self, kind: type, covered: frozenset[Scheme]) -> tuple[Callable[[Any], None], ...]:
        """What is called with an event: the note of earlier numbers, then the schemes that override it."""
        handlers = self._handlers(kind)
        if kind in (events.Mapped, events.Unmapped, events.PmdMapped, events.PmdUnmapped):
            readers = self._entry_readers
            handlers = {scheme: handler for scheme, handler in handlers.items() if scheme not in readers}
        if kind in (events.MappedSmall, events.UnmappedSmall):
            handlers = {scheme: handler for scheme, handler in handlers.items() if scheme not in covered}
        if kind is events.FolioFreed:
            return (_Forgetting(handlers, covered),)
        return (*self._notes(kind), *handlers.values())

    def _handlers(self, kind: type) -> dict[Scheme, Callable[[Any], None]]:
        """The handlers of an event that schemes override."""
        name = HANDLERS[kind]
        unused = getattr(Scheme, name)
        counting = [scheme for scheme in self.schemes.values() if getattr(type(scheme), name) is not unused]
        handlers = {scheme: getattr(scheme, name) for scheme in counting}
        if kind in (events.FolioNew, events.FolioFreed):
            return {scheme: one_by_one(scheme, handler) for scheme, handler in handlers.items()}
        return handlers

    def _notes(self, kind: type) -> tuple[Callable[[Any], None], ...]:
        if kind is events.FolioNew:
            return (self._note_new,)
        if kind is events.MappedSmall:
            return (self._note_mapped_small,)
        if kind is events.UnmappedSmall:
            return (self._note_unmapped_small,)
        if kind in (events.Mapped, events.Unmapped, events.PmdMapped, events.PmdUnmapped, events.Moved):
            return (self._note,)
        if kind in (events.VmaSplit, events.VmaMerged):
            return (self._note_straddling,)
        return ()

    def begin(self) -> None:
        """Begin a step: forget the trace of the last one."""
        self.trace = []
        self._held = {}
        self._before = Intervals()

    def run(self, path: Generator[LockOp | Event, Any, T]) -> T:
        """Drive a kernel path to its end; every lock is free, every trylock succeeds.

        Raises:
            KernelBug: a lock was taken twice, or is still held at the end; or an invariant broke within.
        """
        collecting = gc.isenabled()
        gc.disable()
        self.kernel.batches = True
        try:
            return self._drive(path)
        except KernelBug as bug:
            if not bug.events:
                bug.events = self.last_events()
            raise
        finally:
            if collecting:
                gc.enable()

    def _drive(self, path: Generator[LockOp | Event, Any, T]) -> T:
        log = self.trace.append
        held, listeners_of = self._held, self._listeners.get
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
                        raise KernelBug(f"{step.lock} is let go but not held")
                elif step.verb != "?":
                    if step.lock in held and step.verb != "v":
                        raise self._recursion(step)
                    held[step.lock] = step.mode
            else:
                for listener in listeners_of(step.__class__, ()):
                    listener(step)

    def announce(self, event: Event) -> None:
        """Write an event into the trace and tell it to every scheme that counts it."""
        self.trace.append(event)
        for listener in self._listeners.get(event.__class__, ()):
            listener(event)

    def is_counted(self, event: Event) -> bool:
        """Does any scheme, or the note of the numbers before the step, learn from such an event?"""
        return bool(self._listeners.get(event.__class__))

    def _recursion(self, op: LockOp) -> FolioshellError:
        """A lock is taken that is held: the hang of a protocol under test, else a bug of a path."""
        if self.kernel.protocol is not None and op.lock.lock_class is LockClass.PTL:
            return SelfDeadlock(op.lock.name, op.function, self.kernel.protocol.name)
        return KernelBug(f"{op.function} takes {op.lock}, which it holds already")

    def last_events(self) -> tuple[object, ...]:
        """The last events of the step, oldest first."""
        recent = [event for event in self.trace[-10 * _LAST_EVENTS :] if event.__class__ is not LockOp]
        return tuple(recent[-_LAST_EVENTS:])

    # Numbers before the step.

    def note(self, names: Sequence[str]) -> None:
        """Choose the schemes whose numbers are noted before a step changes them, from the next step on; perhaps none.

        Raises:
            KeyError: there is no such scheme.
        """
        self.noted = tuple(names)
        self._numbers = self.numbers(self.noted)

    def _note_new(self, event: events.FolioNew) -> None:
        self._before.put(event.folio, event.nr, self._numbers.zeros)

    def _note(self, event: events.Mapped) -> None:
        self._note_folios(event.folio, 1)

    def _note_mapped_small(self, event: events.MappedSmall) -> None:
        # New folios were noted when they were made.
        if not event.new:
            for first, nr in ranges(event.folios):
                self._note_folios(first, nr)

    def _note_unmapped_small(self, event: events.UnmappedSmall) -> None:
        for first, nr in ranges(event.folios):
            self._note_folios(first, nr)

    def _note_straddling(self, event: events.VmaSplit) -> None:
        for folio, _ in event.straddling:
            self._note_folios(folio, 1)

    def _note_folios(self, first: int, nr: int) -> None:
        before = self._before
        if not self.noted:
            before.put(first, nr, ())
        elif nr == 1:
            if first not in before:
                before.put(first, 1, self._numbers.row(first))
        else:
            for start, length, known in before.pieces(first, nr):
                if known is None:
                    for at, run, row in self._numbers.pieces(start, length):
                        before.put(at, run, row)

    def touched(self) -> Intervals[Row]:
        """Folio -> its numbers before the step, in the order of ``noted``, for the folios that the step spoke of."""
        return self._before

    def numbers(self, names: Sequence[str]) -> Numbers:
        """Reads the present numbers of folios under these schemes, a column each.

        Raises:
            KeyError: there is no such scheme.
        """
        key = tuple(names)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = Numbers([self.schemes[name] for name in key], self._covered)
        return reader

    # Questions.

    def decide(self, name: str) -> None:
        """Let the kernel's sharing tests ask this scheme.

        Raises:
            KeyError: there is no such scheme.
        """
        self.kernel.protocol = None
        self.kernel.decider = self.schemes[name]

    def set_profile(self, profile: str) -> None:
        """Let the kernel behave like another release: count as it does, and ask the schemes that it asks.

        Raises:
            KeyError: there is no such profile.
        """
        release = RELEASES[profile]
        self.kernel.protocol = None
        self.kernel.follow(release, self.schemes, self._books(release))

    def _books(self, release: Release) -> EntryScheme:
        """The scheme that is the kernel's own bookkeeping in a release."""
        counts = self.schemes[release.policy.books]
        assert isinstance(counts, EntryScheme)
        return counts

    def set_protocol(self, name: str | None) -> None:
        """Let the kernel count VMAs by a protocol, from the present numbers on, and act on what that counts.

        Args:
            name: a protocol, or None for none: then the deciding scheme is asked as such.
        Raises:
            KeyError: there is no such protocol.
        """
        definition = self.schemes["vmas"]
        if name is None:
            self.kernel.protocol = None
            self.kernel.decider = definition
            return
        protocol = PROTOCOLS[name]()
        protocol.counts = {
            folio.id: definition.mapcount(folio.id) for folio, _ in self.kernel.folios.groups() if folio.order
        }
        self.kernel.protocol = protocol
        self.kernel.decider = ProtocolDecider(self.kernel, protocol)

    def miscounts(self) -> dict[int, tuple[int, int]]:
        """Folio -> (number of the protocol, number of the definition) where the two differ."""
        if self.kernel.protocol is None:
            return {}
        definition, counts = self.schemes["vmas"], self.kernel.protocol.counts
        large = [folio.id for folio, _ in self.kernel.folios.groups() if folio.order]
        numbers = {number: (counts.get(number, 0), definition.mapcount(number)) for number in large}
        return {number: pair for number, pair in numbers.items() if pair[0] != pair[1]}

    def truth(self, folio: Folio) -> TruthCounts:
        """What the page tables say about a folio."""
        return truth(self.kernel, folio)

    def check(self) -> list[str]:
        """The invariants of the model that do not hold; empty if all do."""
        return broken_invariants(self.kernel)

    def fingerprint(self) -> str:
        """A digest of everything that can be seen of kernel and schemes."""
        # Few ask, and hashing is slow to import.
        from folioshell.engine.fingerprint import fingerprint

        return fingerprint(self.kernel, self.schemes)

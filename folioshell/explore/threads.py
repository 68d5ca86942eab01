"""Kernel paths of several threads over one machine, each run from one switch point to the next.

Rules:
- Scheduling is decided elsewhere: a thread that is resumed has its lock, and learns only whether its trylock failed.
- A thread stops *before* an operation. A segment, from one stop to the next, is atomic.
- Code that runs while a thread holds no lock at all is a segment of its own: whatever it reads, it reads locklessly.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable
from typing import Any

from folioshell.engine.machine import Machine
from folioshell.errors import KernelBug, ProtocolError
from folioshell.events import Event
from folioshell.explore.keys import CountKeys, Keys
from folioshell.explore.locks import Op, Reduction, kernel_text, value_of
from folioshell.explore.snapshot import Snapshot
from folioshell.model import pte
from folioshell.model.lock import SET_LOCKED, LockClass, LockOp
from folioshell.model.pagetable import PageTable
from folioshell.paths import Path
from folioshell.paths.rmap import expected_references
from folioshell.records import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """A thread of a process.

    Args:
        name: as printed: ``A.t1``.
        mm: name of its process.
        commands: executed in order; each creates its path from the current machine.
        is_born: says whether its process exists on the current machine: until then other threads run; None: always.
    """

    name: str
    mm: str
    commands: tuple[Callable[[], Path[Any]], ...]
    is_born: Callable[[], bool] | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """Where a thread stopped.

    Args:
        kind: ``op``: before an operation; ``event``: before an event is announced; ``go``: between segments; ``end``;
            ``broken``: it cannot continue.
        op: the operation.
        flaw: kind and text of a broken one.
    """

    kind: str
    op: Op | None = None
    flaw: tuple[str, str] = ("", "")


GO = Stop("go")
END = Stop("end")


def _broken(text: str, kind: str = "invariant") -> Stop:
    return Stop("broken", flaw=(kind, text))


@dataclass(frozen=True, slots=True)
class Repeat:
    """What is needed to repeat a segment without examining it.

    Args:
        steps: number of resumptions of the thread's path, its end included.
        counts: number of the state of the schemes afterwards.
        stop, held, refs, referred: of the thread afterwards.
    """

    steps: int
    counts: int
    stop: Stop
    held: dict[str, Op]
    refs: dict[int, int]
    referred: frozenset[Hashable]


@dataclass(frozen=True, slots=True)
class Segment:
    """What a thread did from one stop to the next, as values.

    Args:
        ops: lock operations, without the one before which it stopped.
        stop: where it stopped.
        place: its private state there.
        state: number of the machine's state.
        repeat: how to repeat it.
    """

    ops: tuple[Op, ...]
    stop: Stop
    place: Hashable
    state: int
    repeat: Repeat


def _folio_of(op: Op) -> int | None:
    """The number of the folio whose lock it is: ``FOLIO(f3)``; None for any other lock."""
    number = op.lock.removeprefix("FOLIO(f").removesuffix(")")
    return int(number) if number.isdecimal() else None


#: bits that the CPU sets in entries without any lock
_HARDWARE = pte.YOUNG | pte.DIRTY


@dataclass(slots=True)
class _ThreadState:
    """A suspended thread. ``next_command`` counts commands begun; ``held`` are its locks, by name.

    ``pending`` is the operation or event before which it stopped; ``steps`` counts resumptions of its path in the
    current segment; ``refs`` are the references that it holds, by folio number; ``referred`` are names of objects of
    the machine that its path refers to.
    """

    path: Any = None
    next_command: int = 0
    stop: Stop = GO
    pending: Any = None
    held: dict[str, Op] = field(default_factory=dict)
    results: tuple[object, ...] = ()
    steps: int = 0
    refs: dict[int, int] = field(default_factory=dict)
    referred: frozenset[Hashable] = frozenset()


class ThreadRunner:
    """The threads of a race and the machine that they run on.

    Args:
        machine: in its initial state.
        tasks: the threads.
        reduction: where they need not stop.
        names: objects besides the machine that the threads' commands change.

    Attributes:
        present: number of a state -> names of the objects that the machine refers to in it.
    """

    def __init__(
        self, machine: Machine, tasks: tuple[Task, ...], reduction: Reduction, names: tuple[object, ...] = ()
    ) -> None:
        self.machine = machine
        self.tasks = tasks
        self.reduction = reduction
        # Faults are not batched, as other threads may come between, and a folio is one object in every state.
        machine.kernel.batches = False
        self._runs = machine.kernel.folios.keep_apart()
        counting = machine.schemes.counting
        named: dict[tuple[str, ...], object] = {("names", str(number)): one for number, one in enumerate(names)}
        self._kernel = Keys({("kernel",): machine.kernel, **named}, apart=tuple(counting.values()))
        # Other schemes count too, but the kernel does not depend on them.
        deciding: dict[tuple[str, ...], object] = {("scheme", name): counting[name] for name in machine.deciding}
        self._counts = CountKeys(Keys(deciding))
        self._states: dict[Hashable, int] = {}
        self._stops: dict[Hashable, tuple[Stop, dict[str, Op], dict[int, int]]] = {}
        self.present: list[frozenset[Hashable]] = []
        #: number of a state of the machine -> the tasks whose process does not exist in it
        self.unborn: list[frozenset[int]] = []
        self._mark = machine.mark()
        self._start = Snapshot([machine.kernel, *counting.values(), *names])
        self._threads = [_ThreadState() for _ in tasks]
        reduction.share_out([task.mm for task in tasks])

    def reset(self) -> None:
        """Return to the initial state, with every folio kept alone."""
        self._start.restore()
        self._counts.reset()
        self.machine.rewind(self._mark)
        self._threads = [_ThreadState() for _ in self.tasks]

    def rejoin(self) -> None:
        """Make runs of folios again where the threads left them identical; no thread may run before ``reset``."""
        self.machine.kernel.folios.join(self._runs)

    def state(self) -> int:
        """The number of the machine's state, including objects that only a thread still refers to."""
        kernel = self._kernel.state()
        present = self._kernel.present
        left = tuple(
            (task, self._kernel.path(thread.path)[0])
            for task, thread in enumerate(self._threads)
            if not thread.referred <= present
        )
        number = self._states.setdefault((kernel, self._counts.state, left), len(self._states))
        if number == len(self.present):
            self.present.append(present)
            unborn = [task for task, one in enumerate(self.tasks) if one.is_born is not None and not one.is_born()]
            self.unborn.append(frozenset(unborn))
        return number

    def results(self, task: int) -> tuple[object, ...]:
        """The results of the commands that a thread has completed."""
        return self._threads[task].results

    def resume(self, task: int, failed: bool) -> Segment:
        """Run a thread to its next stop.

        Args:
            failed: the trylock before which it stopped failed.
        Raises:
            AssumptionError: the reduction was wrong.
            Exception: an internal error in the path; it ends the race, and is no finding.
        """
        thread = self._threads[task]
        before = self._tables()
        held = [*thread.held.values()]
        ops: list[Op] = []
        thread.steps = 0
        try:
            self._run(task, thread, failed, ops)
        except KernelBug as bug:
            thread.stop = _broken(bug.message)
        except ProtocolError as error:
            thread.stop = _broken(f"{self.tasks[task].name}: {error}", "protocol error")
        if thread.stop.kind != "broken":
            self._check_exclusion(task, before, [*held, *ops, *thread.held.values()])
            self._check_references(task, thread)
        thread.referred = frozenset()
        state = self.state()
        private, thread.referred = self._kernel.path((thread.path, thread.results))
        place = (thread.next_command, private, len(thread.held), tuple(thread.refs.items()))
        stop, locks, refs = self._once(thread)
        after = Repeat(thread.steps, self._counts.state, stop, locks, refs, thread.referred)
        return Segment(tuple(ops), thread.stop, place, state, after)

    def _once(self, thread: _ThreadState) -> tuple[Stop, dict[str, Op], dict[int, int]]:
        """Where a thread stopped, its locks and references, the same objects each time: there are many segments."""
        key = (thread.stop, tuple(thread.held.items()), tuple(thread.refs.items()))
        known = self._stops.get(key)
        if known is None:
            known = self._stops[key] = (thread.stop, dict(thread.held), thread.refs)
        return known

    def repeat(self, task: int, failed: bool, known: Repeat) -> None:
        """Repeat a known segment from the same state of machine and thread."""
        thread = self._threads[task]
        if known.stop.kind == "broken":
            self.resume(task, failed)
            return
        announce = self.machine.announce
        reply: bool | None = None
        if thread.stop.kind == "op":
            self._log(thread, failed)
            reply = failed or None
        elif thread.stop.kind == "event":
            announce(thread.pending)
        for left in range(known.steps, 0, -1):
            step = self._advance(task, thread, reply)
            reply = None
            if left == 1 and known.stop.kind != "go":
                thread.pending = step
            elif step.__class__ is LockOp:
                self.machine.trace.append(step)
            else:
                announce(step)
        self._counts.state = known.counts
        thread.stop = known.stop
        thread.held = dict(known.held)
        thread.refs = known.refs
        thread.referred = known.referred

    def _run(self, task: int, thread: _ThreadState, failed: bool, ops: list[Op]) -> None:
        announce, is_counted = self._announce, self.machine.is_counted
        trace = self.machine.trace
        reply: bool | None = None
        alone = False
        if thread.stop.kind == "op":
            op = thread.stop.op
            assert op is not None
            self._log(thread, failed)
            self._perform(thread, op, failed)
            if op.verb == "-" and not thread.held:
                thread.stop = GO
                return
            reply = failed or None
        elif thread.stop.kind == "event":
            announce(thread.pending)
        while True:
            step = self._advance(task, thread, reply)
            thread.steps += 1
            reply = None
            if step is None:
                return
            if step.__class__ is LockOp:
                op = value_of(step)
                self.reduction.check(task, op)
                if op.verb in "-v" and op.lock not in thread.held:
                    raise KernelBug(f"{op.lock} is {'released' if op.verb == '-' else 'downgraded'} but not held")
                if op.verb == "-" and op.mode != thread.held[op.lock].mode:
                    raise KernelBug(f"{op.lock} is released for {op.mode}, but held for {thread.held[op.lock].mode}")
                if self.reduction.must_stop(task, op):
                    thread.stop, thread.pending = Stop("op", op), step
                    return
                trace.append(step)
                ops.append(op)
                alone = alone or (op.verb == "+" and op.function != SET_LOCKED)
                self._perform(thread, op, False)
                if op.verb == "-" and not thread.held:
                    thread.stop = GO
                    return
            elif alone and is_counted(step):
                thread.stop, thread.pending = Stop("event"), step
                return
            else:
                announce(step)

    def _log(self, thread: _ThreadState, failed: bool) -> None:
        """Trace the operation before which a thread stopped, unless it is a failed trylock."""
        if not failed:
            self.machine.trace.append(thread.pending)

    def _announce(self, event: Event) -> None:
        self.machine.announce(event)
        if self.machine.is_counted(event):
            self._counts.announced(event)

    def _advance(self, task: int, thread: _ThreadState, reply: bool | None) -> Any:
        """The next step of a thread, possibly of its next command; None at the end of the last."""
        commands = self.tasks[task].commands
        while True:
            if thread.path is None:
                if thread.next_command == len(commands):
                    thread.stop = END
                    if thread.held:
                        thread.stop = _broken(f"exits holding {', '.join(map(kernel_text, thread.held))}")
                    return None
                thread.path = commands[thread.next_command]()
                thread.next_command += 1
            try:
                return thread.path.send(reply)
            except StopIteration as stop:
                thread.results = (*thread.results, stop.value)
                thread.path = None
                reply = None

    def _perform(self, thread: _ThreadState, op: Op, failed: bool) -> None:
        """Track the locks that the thread holds.

        Raises:
            KernelBug: it is the lock of a folio that was freed: the thread holds no reference.
        """
        if op.verb == "-":
            del thread.held[op.lock]
        elif op.verb in "+~v" and not failed:
            thread.held[op.lock] = op
            number = _folio_of(op)
            if number is not None and number not in self.machine.kernel.folios:
                raise KernelBug(f"{op.function}() locks f{number}, which was freed")

    # References.

    def _check_references(self, task: int, thread: _ThreadState) -> None:
        """The references of a folio are those that are expected, and those that the threads hold.

        What a segment changed besides entries, page cache, swap cache and pins, the thread took or dropped. It may not
        drop what it does not hold, nor end with one, and a folio is not freed while another thread holds one.
        """
        kernel = self.machine.kernel
        others: dict[int, int] = {}
        for other in self._threads:
            if other is not thread:
                for number, nr in other.refs.items():
                    others[number] = others.get(number, 0) + nr
        thread.refs = {}
        for folio in kernel.folios.values():
            extra = folio.ref - expected_references(kernel, folio) - folio.pins - others.pop(folio.id, 0)
            if extra:
                thread.refs[folio.id] = extra
        name = self.tasks[task].name
        # Under the lock of a table an entry and its reference may change in any order: a PMD mapping that is split is
        # counted besides its PTEs for a moment.
        under_ptl = any(op.lock_class.is_page_table_lock for op in thread.held.values())
        for number, nr in thread.refs.items():
            if nr < 0 and not under_ptl:
                thread.stop = _broken(f"{name} dropped a reference to f{number} that it does not hold")
            elif thread.stop.kind == "end":
                thread.stop = _broken(f"{name} exits holding a reference to f{number}")
        for number in others:
            thread.stop = _broken(f"{name} freed f{number}, to which another thread holds a reference")

    # Unlocked updates.

    def _tables(self) -> list[tuple[PageTable, array[int]]]:
        """The installed PTE tables, with their entries."""
        return [
            (entry, entry.entries[:])
            for mm in self.machine.kernel.mms.values()
            for pmd in mm.tables.pmds.values()
            for entry in pmd.entries.values()
            if isinstance(entry, PageTable)
        ]

    def _check_exclusion(self, task: int, before: list[tuple[PageTable, array[int]]], locks: list[Op]) -> None:
        """A PTE table may be written only under its lock, or, while it is being installed, that of a PMD table."""
        if any(op.lock_class is LockClass.PMDL for op in locks):
            return
        names = {op.lock for op in locks}
        installed = None
        for table, entries in before:
            if table.entries == entries or table.ptl.name in names:
                continue
            if all(old | _HARDWARE == new | _HARDWARE for old, new in zip(entries, table.entries, strict=True)):
                continue
            installed = installed or {id(other) for other, _ in self._tables()}
            if id(table) in installed:
                text = f"{self.tasks[task].name} changed {table} without its lock"
                self._threads[task].stop = _broken(text, "unlocked update")

"""Races: every interleaving of some threads' lock operations, what is wrong in any of them, and how to get there.

A state is three numbers and a tuple: the machine's state, each thread's private state, the state of the locks. What a
thread does from one stop to the next depends on the machine's state, its own, and whether its trylock failed, so it is
executed once for each of these and remembered. Most interleavings differ in the order of things that do not touch each
other; they are gone through without executing anything.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from folioshell.engine.machine import Machine
from folioshell.explore.locks import AssumptionError, LockState, LockTable, Op, Reduction, Wait
from folioshell.explore.search import Action, Counterexample, Flaw, SearchResult, search
from folioshell.explore.threads import GO, Repeat, Segment, Stop, Task, ThreadRunner

#: sentences about what is wrong with a machine; empty if nothing is
Check = Callable[[Machine], list[str]]


def _nothing_wrong(_: Machine) -> list[str]:
    return []


@dataclass(slots=True)
class RaceResult:
    """What became of a race.

    Args:
        search: states, transitions, schedules, findings, and whether that is all.
        stretches: how many stretches of threads were executed; the others were known already.
    """

    search: SearchResult
    stretches: int

    @property
    def deadlocks(self) -> int:
        """Number of states in which threads wait for each other, or for themselves."""
        return self.search.count("deadlock")

    @property
    def miscounts(self) -> int:
        """Number of miscounts in end states."""
        return self.search.count("miscount")

    @property
    def findings(self) -> list[Counterexample]:
        """All findings, shortest schedule first."""
        return self.search.findings


class _Numbering:
    """Numbers of values, from 0."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        return self._numbers.setdefault(value, len(self._numbers))


@dataclass(slots=True)
class _Trail:
    """How the machine is brought to a state: by that of ``before``, and then by resuming a thread."""

    before: _Trail | None
    task: int
    failed: bool
    repeat: Repeat


@dataclass(slots=True)
class _Result:
    """A stretch, by numbers: the machine's state, the thread's place, the operations on locks."""

    state: int
    place: int
    ops: tuple[Op, ...]
    over: bool
    ops_number: int
    repeat: Repeat


#: the machine is in no state of the race: others may have changed it
_ELSEWHERE = object()

#: (state of the machine, places of the threads, state of the locks)
_Key = tuple[int, tuple[int, ...], int]


class Race:
    """Threads over a machine: what ``search`` explores. The machine is at its beginning after ``reset`` and ``sync``.

    Args:
        machine: as it is when the race begins; it is given back so by ``restore``.
        tasks: the threads.
        end_check: miscounts, asked when all threads have ended.
        invariant_check: broken invariants, asked then too; those of the model unless given.
        reduction: leave out switch points that make no difference.
    """

    def __init__(
        self,
        machine: Machine,
        tasks: Sequence[Task],
        end_check: Check = _nothing_wrong,
        reduction: bool = True,
        invariant_check: Check = Machine.check,
    ) -> None:
        self.machine = machine
        self.tasks = tuple(tasks)
        self.end_check = end_check
        self.invariant_check = invariant_check
        self.reduction = Reduction(on=reduction)
        self.threads = ThreadRunner(machine, self.tasks, self.reduction)
        self._forget()

    def _forget(self) -> None:
        """Begin with no knowledge of what threads do."""
        self._results: dict[tuple[int, int, int, bool], _Result] = {}
        self._places = _Numbering()
        self._stops: list[Stop] = []
        self._ops = _Numbering()
        self._lock_states: dict[LockState, int] = {}
        self._locks: list[LockState] = []
        self._waiting: list[frozenset[int]] = []
        self._begun: dict[tuple[int, int, int], tuple[int, bool | None]] = {}
        self._applied: dict[tuple[int, int, int], int] = {}
        self._flaws: dict[int, tuple[Flaw, ...]] = {}
        self._at: object | None = None
        self.threads.reset()
        place = self._place(GO, None)
        self._first: _Key = (self.threads.state(), (place,) * len(self.tasks), self._lock_number(LockTable()))
        self._key = self._first
        self._trail: _Trail | None = None

    @property
    def stretches(self) -> int:
        """Number of different stretches that were executed."""
        return len(self._results)

    # What search asks for.

    def reset(self) -> None:
        """Go to the beginning."""
        self._key, self._trail = self._first, None

    def key(self) -> _Key:
        """The state as a value."""
        return self._key

    def save(self) -> object:
        """The state, to come back to."""
        return self._key, self._trail

    def load(self, state: object) -> None:
        """Come back to a state."""
        self._key, self._trail = state  # type: ignore[misc]

    def enabled(self) -> tuple[Action, ...]:
        """Threads that can run: not over, and not waiting. None at all once something is broken."""
        _, places, locks = self._key
        stops, waiting = self._stops, self._waiting[locks]
        able = []
        for task, place in enumerate(places):
            kind = stops[place].kind
            if kind == "broken":
                return ()
            if kind != "end" and task not in waiting:
                able.append(task)
        return tuple(able)

    def do(self, action: Action) -> None:
        """Run a thread to its next stop, or into the queue of a lock."""
        state, places, locks = self._key
        place = places[action]
        begun = self._begun.get((locks, action, place))
        if begun is None:
            begun = self._begun[locks, action, place] = self._begin(locks, action, self._stops[place])
        locks, failed = begun
        if failed is None:
            self._key = (state, places, locks)
            return
        result = self._results.get((state, action, place, failed))
        if result is None:
            self.sync()
            stretch = self.threads.resume(action, failed)
            result = self._results[state, action, place, failed] = self._remember(stretch)
            self._trail = self._at = _Trail(self._trail, action, failed, stretch.repeat)
        else:
            self._trail = _Trail(self._trail, action, failed, result.repeat)
        if result.ops_number:
            number = self._applied.get((locks, action, result.ops_number))
            if number is None:
                number = self._applied[locks, action, result.ops_number] = self._apply(locks, action, result)
            locks = number
        self._key = (result.state, (*places[:action], result.place, *places[action + 1 :]), locks)

    def verdict(self) -> tuple[Flaw, ...]:
        """What is wrong with a state in which no thread can run."""
        state, places, locks = self._key
        stops = [self._stops[place] for place in places]
        broken = tuple(Flaw(*stop.flaw) for stop in stops if stop.kind == "broken")
        if broken:
            return broken
        if any(stop.kind != "end" for stop in stops):
            return (Flaw("deadlock", self._describe(LockTable(self._locks[locks]))),)
        flaws = self._flaws.get(state)
        if flaws is None:
            self.sync()
            flaws = self._flaws[state] = (
                *self._ask("miscount", self.end_check),
                *self._ask("invariant", self.invariant_check),
            )
        return flaws

    def _ask(self, kind: str, check: Check) -> list[Flaw]:
        """The violations that a check finds; if the check itself fails, that is one."""
        try:
            return [Flaw(kind, text) for text in check(self.machine)]
        except (LookupError, AssertionError) as error:
            return [
                Flaw(
                    "invariant",
                    f"internal error in folioshell (checking: {type(error).__name__} {error}); please report",
                )
            ]

    # The machine.

    def sync(self) -> None:
        """Bring the machine to the state that this is in."""
        left: list[_Trail] = []
        trail = self._trail
        while trail is not None and trail is not self._at:
            left.append(trail)
            trail = trail.before
        if trail is not self._at:
            self.threads.reset()
        for step in reversed(left):
            self.threads.repeat(step.task, step.failed, step.repeat)
        self._at = self._trail

    def restore(self) -> None:
        """Give the machine back as it was before the race, runs of folios included."""
        self.reset()
        self.threads.reset()
        self.leave()

    def leave(self) -> None:
        """Leave the machine in its current state for others to use; ``sync`` returns to it."""
        self.threads.rejoin()
        self._at = _ELSEWHERE

    def learn(self, error: AssumptionError) -> None:
        """Assume less, and forget the results that relied on the assumption."""
        self.reduction.learn(error)
        self._forget()

    def locks(self) -> LockTable:
        """Who holds what and who waits for what in the present state."""
        return LockTable(self._locks[self._key[2]])

    def stop_of(self, task: int) -> Stop:
        """Where a thread has stopped in the present state."""
        return self._stops[self._key[1][task]]

    def results(self, task: int) -> tuple[object, ...]:
        """What the commands of a thread returned, as far as they are over in the machine's state."""
        return self.threads.results(task)

    # Numbers.

    def _place(self, stop: Stop, place: Hashable) -> int:
        number = self._places.of((stop, place))
        if number == len(self._stops):
            self._stops.append(stop)
        return number

    def _remember(self, stretch: Segment) -> _Result:
        place = self._place(stretch.stop, stretch.place)
        ops, over = stretch.ops, stretch.stop.kind == "end"
        number = self._ops.of((ops, over)) + 1 if ops or over else 0
        return _Result(stretch.state, place, ops, over, number, stretch.repeat)

    def _lock_number(self, table: LockTable) -> int:
        state = table.state()
        number = self._lock_states.setdefault(state, len(self._locks))
        if number == len(self._locks):
            self._locks.append(state)
            self._waiting.append(frozenset(wait.task for wait in table.waits()))
        return number

    def _begin(self, locks: int, task: int, stop: Stop) -> tuple[int, bool | None]:
        """Perform the operation that a thread stopped before: (locks, the trylock failed; None if it has to wait)."""
        op = stop.op
        if op is None or op.verb == "?":
            return locks, False
        table = LockTable(self._locks[locks])
        answer: bool | None = False
        if op.verb == "~":
            answer = not table.attempt(task, op)
        elif op.verb == "+":
            if table.is_granted(task):
                table.go_on(task)
            elif not table.request(task, op):
                answer = None
        else:
            _perform(table, task, op)
        return self._lock_number(table), answer

    def _apply(self, locks: int, task: int, result: _Result) -> int:
        table = LockTable(self._locks[locks])
        for op in result.ops:
            _perform(table, task, op)
        if result.over:
            table.finish(task)
        return self._lock_number(table)

    def _describe(self, table: LockTable) -> str:
        """A deadlock in a sentence: those who wait in a circle, or for want of one all that wait."""
        circle = table.circle()
        names = [task.name for task in self.tasks]
        rows = [wait for wait in sorted(table.waits(), key=lambda wait: wait.task) if wait.task in circle or not circle]
        return "; ".join(f"{names[wait.task]} waits for {wait.lock} ({_obstacles(names, wait)})" for wait in rows)


def _obstacles(names: list[str], wait: Wait) -> str:
    """Why a task waits: which tasks hold the lock, and which were queued before it."""
    held = f"held by {_listed(names, wait.holders)}" if wait.holders else ""
    queued = f"{_listed(names, wait.ahead)} queued first" if wait.ahead else ""
    return ", ".join(part for part in (held, queued) if part)


def _listed(names: list[str], tasks: Sequence[int]) -> str:
    return " and ".join(names[task] for task in tasks)


def _perform(table: LockTable, task: int, op: Op) -> None:
    """An operation that does not wait."""
    if op.verb == "-":
        table.release(task, op)
    elif op.verb == "v":
        table.downgrade(task, op)
    elif op.verb == "+" and not table.attempt(task, op):
        raise AssumptionError(lock=op.lock)


def explore(race: Race, max_states: int | None = None, stop: Callable[[int], bool] | None = None) -> RaceResult:
    """See every interleaving of a race. The machine is left as it was when the race began.

    Args:
        max_states: give up when so many states were seen.
        stop: asked now and then, told how many states were seen; True gives up.
    Returns: what was found; ``search.exhausted`` says whether it is all. Ctrl-C gives up too.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        while True:
            try:
                return RaceResult(search(race, max_states=max_states, stop=stop), race.stretches)
            except AssumptionError as error:
                race.learn(error)
    finally:
        race.restore()
        if collecting:
            gc.enable()

"""Races: every interleaving of the lock operations of some threads, the flaws in any of them, and their schedules.

A state is the number of the machine's state, a number for each thread's private state, and the number of the state of
the locks. A segment (what a thread does between two stops) depends on the machine's state, the thread's own, and
whether its trylock failed; it is executed once for each of these and memoized. Most interleavings differ only in the
order of independent segments and are explored without executing anything.

The machine follows only when a segment has to be executed: it repeats the trail that leads there, from where it is or
from the start. Coming back to the start is what costs, so once a segment was executed, those near it are executed too.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

from folioshell.engine.machine import Machine, Uncollected
from folioshell.explore.graph import Action
from folioshell.explore.lockdep import Observed
from folioshell.explore.locks import (
    AssumptionError,
    LockState,
    LockTable,
    Op,
    Reduction,
    Wait,
    kernel_text,
)
from folioshell.explore.search import Flaw, SearchResult, search
from folioshell.explore.threads import GO, Repeat, Segment, Stop, Task, ThreadRunner
from folioshell.records import dataclass

#: sentences about the flaws of a machine
Check = Callable[[Machine], list[str]]


def _nothing_wrong(_: Machine) -> list[str]:
    return []


@dataclass(slots=True)
class _Trail:
    """How to bring the machine to a state: the trail ``before``, then a segment of a thread."""

    before: _Trail | None
    task: int
    failed: bool
    repeat: Repeat


@dataclass(slots=True)
class _Result:
    """A memoized segment: the machine's state and the thread's place after it, and its lock operations.

    ``dropped`` are the objects that it took out of the machine. A thread that still refers to one keeps it, as a part
    of the state. So the segment has another result for each place of such a thread.
    """

    state: int
    place: int
    ops: tuple[Op, ...]
    over: bool
    ops_number: int
    repeat: Repeat
    dropped: frozenset[Hashable]


#: positions that are looked at for another segment to execute while the machine is near
_NEAR = 16

#: the machine is in no state of the race: others may have changed it
_ELSEWHERE = object()

#: (state of the machine, places of the threads, state of the locks)
_Key = tuple[int, tuple[int, ...], int]

#: a segment: state of the machine, thread, its place, whether its trylock failed
_Done = tuple[int, int, int, bool]

#: a state, and how to bring the machine there
_Position = tuple[_Key, _Trail | None]


class Race:
    """Threads over a machine: what ``search`` explores. The machine is at its beginning after ``reset`` and ``sync``.

    Args:
        machine: in its initial state, to which ``restore`` returns it.
        tasks: the threads.
        end_check: miscounts, when all threads have ended.
        invariant_check: violated invariants, when all threads have ended (default: those of the model).
        reduction: omit switch points that make no difference.
        names: objects besides the machine that the threads' commands change.

    Attributes:
        reads_ahead: ``do`` also executes segments that no one asked for yet: for a search, which will.
    """

    def __init__(
        self,
        machine: Machine,
        tasks: Sequence[Task],
        end_check: Check = _nothing_wrong,
        reduction: bool = True,
        invariant_check: Check = Machine.check,
        names: tuple[object, ...] = (),
    ) -> None:
        self.machine = machine
        self.tasks = tuple(tasks)
        self.end_check = end_check
        self.invariant_check = invariant_check
        self.reduction = Reduction(on=reduction)
        self.reads_ahead = False
        self.threads = ThreadRunner(machine, self.tasks, self.reduction, names)
        self._forget()

    def _forget(self) -> None:
        """Discard everything memoized."""
        self._results: dict[_Done, _Result] = {}
        #: the results of segments that took objects out of the machine, by who kept them
        self._kept: dict[tuple[_Done, tuple[tuple[int, int], ...]], _Result] = {}
        self._places: dict[Hashable, int] = {}
        self._stops: list[Stop] = []
        self._referred: list[frozenset[Hashable]] = []
        self._ops: dict[Hashable, int] = {}
        self._lock_states: dict[LockState, int] = {}
        self._locks: list[LockState] = []
        self._waiting: list[frozenset[int]] = []
        self._begun: dict[tuple[int, int, int], tuple[int, bool | None]] = {}
        self._applied: dict[tuple[int, int, int], int] = {}
        self._flaws: dict[int, tuple[Flaw, ...]] = {}
        self._at: object | None = None
        self.threads.reset()
        place = self._place(GO, None, frozenset())
        self._first: _Key = (self.threads.state(), (place,) * len(self.tasks), self._lock_number(LockTable()))
        self._position: _Position = (self._first, None)

    @property
    def segments(self) -> int:
        """Number of segments that were executed, not memoized."""
        return len(self._results)

    # The interface of search.

    def reset(self) -> None:
        """Go to the initial state."""
        self._position = (self._first, None)

    def key(self) -> int:
        """The state as a value."""
        state, places, locks = self._position[0]
        for place in places:
            state = state << 32 | place
        return state << 32 | locks

    def save(self) -> object:
        """The state, for ``load``."""
        return self._position

    def load(self, state: object) -> None:
        """Return to a saved state."""
        self._position = state  # type: ignore[assignment]

    def enabled(self) -> tuple[Action, ...]:
        """Threads that can run: neither ended nor waiting. None at all once a thread is broken.

        A thread begins once its process was forked; if no one else can run, it finds that there is no such process.
        """
        state, places, locks = self._position[0]
        stops, waiting = self._stops, self._waiting[locks]
        able = []
        for task, place in enumerate(places):
            kind = stops[place].kind
            if kind == "broken":
                return ()
            if kind != "end" and task not in waiting:
                able.append(task)
        born = [task for task in able if not self.is_unborn(task)] if self.threads.unborn[state] else able
        return tuple(born or able)

    def is_unborn(self, task: int) -> bool:
        """Has a thread not begun, because its process does not exist in the current state?"""
        state, places, _ = self._position[0]
        return task in self.threads.unborn[state] and places[task] == self._first[1][task]

    def do(self, action: Action) -> None:
        """Run a thread to its next stop, or into the queue of a lock."""
        position = self._known(self._position, action)
        if position is not None:
            self._position = position
            return
        self.sync()
        here = self._execute(action)
        if self.reads_ahead:
            while (near := self._near()) is not None:
                self._position, action = near
                self.sync()
                self._execute(action)
        self._position = here

    def _begun_by(self, locks: int, task: int, place: int) -> tuple[int, bool | None]:
        """As ``_begin``, memoized."""
        begun = self._begun.get((locks, task, place))
        if begun is None:
            begun = self._begun[locks, task, place] = self._begin(locks, task, self._stops[place])
        return begun

    def _known(self, position: _Position, task: int) -> _Position | None:
        """The position after a thread ran on; None if that segment was never executed."""
        (state, places, locks), trail = position
        place = places[task]
        locks, failed = self._begun_by(locks, task, place)
        if failed is None:
            return (state, places, locks), trail
        segment = (state, task, place, failed)
        result = self._results.get(segment)
        if result is not None and result.dropped:
            result = self._kept.get((segment, self._keepers(places, task, result.dropped)))
        if result is None:
            return None
        if result.ops_number:
            number = self._applied.get((locks, task, result.ops_number))
            if number is None:
                number = self._applied[locks, task, result.ops_number] = self._apply(locks, task, result)
            locks = number
        key = (result.state, (*places[:task], result.place, *places[task + 1 :]), locks)
        return key, _Trail(trail, task, failed, result.repeat)

    def _execute(self, task: int) -> _Position:
        """Execute the segment of a thread in the position of the machine. Returns: the position after it."""
        state, places, locks = self._position[0]
        _, failed = self._begun_by(locks, task, places[task])
        assert failed is not None
        result = self._remember(state, self.threads.resume(task, failed))
        segment = (state, task, places[task], failed)
        self._results[segment] = result
        if result.dropped:
            self._kept[segment, self._keepers(places, task, result.dropped)] = result
        position = self._known(self._position, task)
        assert position is not None
        self._position, self._at = position, position[1]
        return position

    def _keepers(self, places: tuple[int, ...], task: int, dropped: frozenset[Hashable]) -> tuple[tuple[int, int], ...]:
        """(thread, its place) of all others that refer to one of the objects that a thread takes out of the machine."""
        return tuple(
            (other, place)
            for other, place in enumerate(places)
            if other != task and not self._referred[place].isdisjoint(dropped)
        )

    def _near(self) -> tuple[_Position, int] | None:
        """The nearest position in which a thread's segment was never executed, and the thread; None if none is near."""
        here = self._position
        near, seen = [here], {here[0]}
        for position in near:
            self._position = position
            for task in self.enabled():
                following = self._known(position, task)
                if following is None:
                    return position, task
                if following[0] not in seen and len(near) < _NEAR:
                    seen.add(following[0])
                    near.append(following)
        self._position = here
        return None

    def verdict(self) -> tuple[Flaw, ...]:
        """The flaws of a state in which no thread can run."""
        state, places, locks = self._position[0]
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
                *(Flaw("miscount", text) for text in self.end_check(self.machine)),
                *(Flaw("invariant", text) for text in self.invariant_check(self.machine)),
            )
        return flaws

    # The machine.

    def sync(self) -> None:
        """Bring the machine to the current state."""
        left: list[_Trail] = []
        trail = self._position[1]
        while trail is not None and trail is not self._at:
            left.append(trail)
            trail = trail.before
        if trail is not self._at:
            self.threads.reset()
        for step in reversed(left):
            self.threads.repeat(step.task, step.failed, step.repeat)
        self._at = self._position[1]

    def restore(self) -> None:
        """Give the machine back as it was before the race, runs of folios included."""
        self.reset()
        self.threads.reset()
        self.leave()

    def leave(self) -> None:
        """Leave the machine in its state for other users; ``sync`` starts over."""
        self.threads.rejoin()
        self._at = _ELSEWHERE

    def learn(self, error: AssumptionError) -> None:
        """Assume less, and forget the results that relied on the assumption."""
        self.reduction.learn(error)
        self._forget()

    def locks(self) -> LockTable:
        """The locks in the current state."""
        return LockTable(self._locks[self._position[0][2]])

    def stop_of(self, task: int) -> Stop:
        """Where a thread has stopped in the current state."""
        return self._stops[self._position[0][1][task]]

    def results(self, task: int) -> tuple[object, ...]:
        """The results of the commands that a thread has completed in the machine's state."""
        return self.threads.results(task)

    def observed(self) -> Observed:
        """What the threads did about locks, over everything that was explored since the reduction last learned."""
        stops = self._stops
        steps = {(stops[at].op, failed, stops[to.place].op) for (_, _, at, failed), to in self._results.items()}
        return Observed.of(steps, self._locks)

    # Numbers.

    def _place(self, stop: Stop, place: Hashable, referred: frozenset[Hashable]) -> int:
        number = self._places.setdefault((stop, place), len(self._places))
        if number == len(self._stops):
            self._stops.append(stop)
            self._referred.append(referred)
        return number

    def _remember(self, state: int, segment: Segment) -> _Result:
        place = self._place(segment.stop, segment.place, segment.repeat.referred)
        ops, over = segment.ops, segment.stop.kind == "end"
        number = self._ops.setdefault((ops, over), len(self._ops)) + 1 if ops or over else 0
        dropped = self.threads.present[state] - self.threads.present[segment.state]
        return _Result(segment.state, place, ops, over, number, segment.repeat, dropped)

    def _lock_number(self, table: LockTable) -> int:
        state = table.state()
        number = self._lock_states.setdefault(state, len(self._locks))
        if number == len(self._locks):
            self._locks.append(state)
            self._waiting.append(frozenset(wait.task for wait in table.waits()))
        return number

    def _begin(self, locks: int, task: int, stop: Stop) -> tuple[int, bool | None]:
        """Perform the operation that a thread stopped before: (locks, whether a trylock failed; None if it waits)."""
        op = stop.op
        if op is None or op.is_access:
            return locks, False
        table = LockTable(self._locks[locks])
        answer: bool | None = False
        if op.verb == "~":
            answer = not table.attempt(task, op)
        elif op.verb in "+w":
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
        """A deadlock in a sentence: the tasks of a cycle, or all waiting tasks if there is none."""
        circle = table.circle()
        names = [task.name for task in self.tasks]
        rows = [wait for wait in sorted(table.waits(), key=lambda wait: wait.task) if wait.task in circle or not circle]
        return "; ".join(
            f"{names[wait.task]} waits for {kernel_text(wait.lock)} ({_obstacles(names, wait)})" for wait in rows
        )


def _obstacles(names: list[str], wait: Wait) -> str:
    """Why a task waits: which tasks hold the lock, and which were queued before it."""
    held = f"held by {_listed(names, wait.holders)}" if wait.holders else ""
    queued = f"{_listed(names, wait.ahead)} queued first" if wait.ahead else ""
    return ", ".join(part for part in (held, queued) if part)


def _listed(names: list[str], tasks: Sequence[int]) -> str:
    return " and ".join(names[task] for task in tasks)


def _perform(table: LockTable, task: int, op: Op) -> None:
    """Perform an operation that does not wait."""
    if op.verb == "-":
        table.release(task, op)
    elif op.verb == "v":
        table.downgrade(task, op)
    elif op.verb == "+" and not table.attempt(task, op):
        raise AssumptionError(lock=op.lock)


def explore(race: Race, max_states: int | None = None, stop: Callable[[int], bool] | None = None) -> SearchResult:
    """Explore every interleaving of a race; the machine is returned to its initial state.

    Args: see ``search``.
    Returns: the result; ``exhausted`` says whether it is complete. Ctrl-C stops the search, too.
    """
    race.reads_ahead = True
    with Uncollected():
        try:
            while True:
                try:
                    return search(race, max_states=max_states, stop=stop)
                except AssumptionError as error:
                    race.learn(error)
        finally:
            race.reads_ahead = False
            race.restore()

"""Races in a session: threads made of statements, what exploring them found, and schedules replayed.

Whatever happens, the machine is given back as it was, unless a schedule was followed to the end of all threads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from typing import Protocol as TypingProtocol

from folioshell.engine.machine import Machine
from folioshell.errors import Refused
from folioshell.explore.race import Race, explore
from folioshell.explore.replay import RaceStep, deadlock_picture, deadlock_words, picture_document, replay, step
from folioshell.explore.search import Lasso, Schedule, SearchResult
from folioshell.explore.snapshot import SnapshotError
from folioshell.explore.threads import Task
from folioshell.model.lock import LockClass, LockOp
from folioshell.paths import Path
from folioshell.paths.batch import LOOK
from folioshell.paths.mmap import in_thread
from folioshell.paths.protocol import Protocol
from folioshell.records import NamedTuple, dataclass
from folioshell.report import Text
from folioshell.session.history import Ending
from folioshell.session.workspace import Workspace

#: kinds of findings, the gravest first: what a session and its reports call them -> what the search does
KINDS = {
    "deadlocks": "deadlock",
    "livelocks": "livelock",
    "miscounts": "miscount",
    "invariants": "invariant",
    "unlocked": "unlocked update",
    "errors": "protocol error",
}


class Racer(TypingProtocol):
    """A command that can race: one kernel path."""

    def path(self, workspace: Workspace, process: str) -> Path[Ending]:
        """Its path from the present state on.

        Raises:
            Refused: there is none.
        """


class Thread(NamedTuple):
    """A thread of a race: its process, its name within it (empty for the main one), what it does."""

    process: str
    name: str
    commands: tuple[Racer, ...]

    @property
    def label(self) -> str:
        """As it is printed: ``A.t1``."""
        return f"{self.process}.{self.name}" if self.name else self.process


class Found(NamedTuple):
    """A fault that some interleavings have.

    Args:
        kind: one of the values of ``KINDS``.
        text: what is wrong.
        states: number of states that have it.
        schedule: the shortest one that leads to it; empty if only one was run.
        picture: of a deadlock: a column a thread, a line for each lock held or waited for.
        rows, words: the same as plain data, and as a numbered list.
    """

    kind: str
    text: str
    states: int
    schedule: str
    picture: tuple[str, ...] = ()
    rows: tuple[dict[str, Any], ...] = ()
    words: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """For JSON."""
        made = {"kind": self.kind, "text": self.text, "states": self.states, "schedule": self.schedule}
        return made | ({"picture": list(self.rows)} if self.rows else {})


class RaceCycle(NamedTuple):
    """A cycle of states, in which no thread makes progress.

    Args:
        schedule: the shortest one to a state of such a cycle.
        cycle: the schedule from that state back to it.
        threads: those that run in it.
        starved: those that could run the whole time and never do; if there are any, it needs an unfair scheduler.
        states: number of states on such cycles.
    """

    schedule: str
    cycle: str
    threads: tuple[str, ...]
    starved: tuple[str, ...]
    states: int

    @property
    def is_fair(self) -> bool:
        """Can a scheduler that lets no thread wait forever run it forever?"""
        return not self.starved

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {**self._asdict(), "fair": self.is_fair}


@dataclass(frozen=True, slots=True)
class RaceVerdict:
    """What exploring a race found.

    Args:
        schedules: complete orders of the switch points; None if there are infinitely many.
        states: distinct states.
        findings: shortest schedule first.
        stopped: why not everything was seen: ``max-states``, ``timeout``, ``interrupted`` or empty.
        cycles: shortest schedule first; those that a fair scheduler can run forever are findings as well (livelock).
    """

    schedules: int | None
    states: int
    findings: tuple[Found, ...]
    stopped: str = ""
    cycles: tuple[RaceCycle, ...] = ()

    def count(self, kind: str) -> int:
        """Number of states with a fault of a kind, which is one of ``KINDS``."""
        return sum(found.states for found in self.findings if found.kind == KINDS[kind])

    @property
    def loop(self) -> str:
        """The shortest schedule to a state on a cycle, or nothing."""
        return self.cycles[0].schedule if self.cycles else ""

    @property
    def kinds(self) -> list[str]:
        """The kinds of faults that were found, of ``KINDS``."""
        return [kind for kind in KINDS if self.count(kind)]

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schedules": self.schedules,
            "states": self.states,
            "exhausted": not self.stopped,
            **({"stopped": self.stopped} if self.stopped else {}),
            **{kind: self.count(kind) for kind in KINDS},
            **({"loop": self.loop, "cycles": [one.document() for one in self.cycles]} if self.cycles else {}),
            "findings": [found.document() for found in self.findings],
        }


def verdict_of_one(flaws: Sequence[tuple[str, str]]) -> RaceVerdict:
    """The verdict on a single run, from (kind, text) of what was wrong where it ended."""
    return RaceVerdict(1, 1, tuple(Found(kind, text, 1, "") for kind, text in flaws))


def miscount_texts(machine: Machine) -> list[str]:
    """A sentence for each folio that the protocol miscounts, and for each wrong answer that it gave."""
    protocol = machine.kernel.protocol
    wrong = protocol.answers.wrong if isinstance(protocol, Protocol) else []
    return [*(f"f{one.folio}: counted {one.counted}, expected {one.expected}" for one in machine.miscounts()), *wrong]


def race_of(workspace: Workspace, threads: Sequence[Thread], coming: Collection[str] = ()) -> Race:
    """The race of some threads from the present state on.

    Args:
        coming: names that commands of the race make.
    Raises:
        Refused: the first command of a thread cannot be done, and not because a name is yet to be made.
    """
    protocol = workspace.kernel.protocol
    if isinstance(protocol, Protocol):
        protocol.answers.wrong.clear()
    for thread in threads:
        if workspace.process(thread.process) is None:
            continue
        # A path does nothing before it is driven: this one only shows that there is one.
        try:
            thread.commands[0].path(workspace, thread.process).close()
        except Refused as error:
            name = error.text[error.start : error.end]
            if name not in coming or workspace.kind_of(name):
                raise
    tasks = [_task(workspace, thread) for thread in threads]
    with _snapshots(workspace.machine):
        return Race(workspace.machine, tasks, miscount_texts, names=workspace.names)


@contextmanager
def _snapshots(machine: Machine) -> Iterator[None]:
    """Snapshots are made: what cannot be copied is the fault of loaded code, if there is any.

    Raises:
        Refused: a loaded scheme or protocol holds such an object.
    """
    try:
        yield
    except SnapshotError as error:
        if not machine.loaded:
            raise
        hint = "let it hold numbers, strings, tuples, lists, dicts, sets, and objects of classes of its file"
        raise Refused(f"{error}: {' or '.join(machine.loaded)} cannot race", hint=hint) from None


def _task(workspace: Workspace, thread: Thread) -> Task:
    process = thread.process
    commands = tuple(_beginning(workspace, process, command) for command in thread.commands)
    # A process that another thread is to fork.
    is_new = workspace.process(process) is None
    return Task(thread.label, process, commands, (lambda: workspace.process(process) is not None) if is_new else None)


def _beginning(workspace: Workspace, process: str, command: Racer) -> Callable[[], Path[Any]]:
    def begin() -> Path[Any]:
        mm = workspace.process(process)
        if mm is None:
            # It has exited, or was never forked.
            return _nothing("no such process")
        try:
            return in_thread(workspace.kernel, mm, command.path(workspace, process))
        except Refused as error:
            # Another thread removed what the command names, or has not made it yet.
            return _nothing(error.message)

    return begin


def _nothing(reason: str) -> Path[str]:
    yield from ()
    return reason


def explored(race: Race, max_states: int | None, stop: Callable[[int], bool] | None) -> RaceVerdict:
    """Every interleaving of a race; the machine is as before."""
    with _snapshots(race.machine):
        result = explore(race, max_states, stop)
    cycles = tuple(_cycle(race, lasso) for lasso in result.lassos)
    livelocks = [Found("livelock", _livelock(cycle), cycle.states, cycle.schedule) for cycle in cycles if cycle.is_fair]
    findings = sorted([*_found(race, result), *livelocks], key=lambda found: len(Schedule.parse(found.schedule)))
    return RaceVerdict(result.schedules, result.states, tuple(findings), result.stopped, cycles)


def _cycle(race: Race, lasso: Lasso) -> RaceCycle:
    threads, starved = (tuple(race.tasks[number].name for number in some) for some in (lasso.actors, lasso.starved))
    return RaceCycle(str(lasso.schedule), str(lasso.cycle), threads, starved, lasso.states)


def _livelock(cycle: RaceCycle) -> str:
    return f"{' and '.join(cycle.threads)} repeat {cycle.cycle} without progress"


def _found(race: Race, result: SearchResult) -> Iterator[Found]:
    names = [task.name for task in race.tasks]
    for finding in result.findings:
        found = Found(finding.flaw.kind, finding.flaw.text, finding.states, str(finding.schedule))
        if found.kind == "deadlock":
            steps = list(replay(race, finding.schedule))
            found = found._replace(
                picture=tuple(deadlock_picture(steps, names)),
                rows=tuple(picture_document(steps, names)),
                words=tuple(deadlock_words(steps, names)),
            )
        yield found
    race.restore()


@dataclass(slots=True)
class Followed:
    """A schedule that was followed.

    Args:
        steps: what each step did.
        flaws: (kind, text) of what is wrong where it ended, if no thread can continue.
        over: all threads have ended.
        results: thread -> what its commands ended with.
    """

    steps: list[RaceStep]
    flaws: list[tuple[str, str]]
    over: bool
    results: dict[str, tuple[Any, ...]]


def follow(race: Race, schedule: Schedule) -> Followed:
    """Follow a schedule; the machine is where it ends.

    Raises:
        ValueError: a step names a thread that does not exist or cannot continue.
    """
    steps = list(replay(race, schedule))
    ended = not race.enabled()
    flaws = [(flaw.kind, flaw.text) for flaw in race.verdict()] if ended else []
    over = all(race.stop_of(number).kind == "end" for number in range(len(race.tasks)))
    results = {task.name: race.results(number) for number, task in enumerate(race.tasks)}
    if over:
        race.leave()
    return Followed(steps, flaws, over, results)


def picture_of(race: Race, steps: Sequence[RaceStep], title: str) -> Text:
    """What is held and waited for after some steps, drawn and in words."""
    names = [task.name for task in race.tasks]
    return Text(tuple(deadlock_picture(steps, names)), title, tuple(deadlock_words(steps, names)))


@dataclass(frozen=True, slots=True)
class RaceCost:
    """What a race took, driven in one way.

    Args:
        table_locks, bit_locks: page-table locks and bit locks of folios that were taken.
        retries: how often a protocol dropped its own lock and looked again.
        ended: all threads came to an end.
    """

    table_locks: int
    bit_locks: int
    retries: int
    ended: bool


#: steps after which threads that make no progress count as a livelock
_PATIENCE = 400


def cost_of(race: Race, by_turns: bool) -> RaceCost:
    """Drive a race that was explored before; the machine is as before.

    Args:
        by_turns: the threads take turns at every switch point; else one runs after the other.
    """
    for task in _driven(race, by_turns):
        race.do(task)
    ended = all(race.stop_of(number).kind == "end" for number in range(len(race.tasks)))
    race.sync()
    taken = [op for op in race.machine.trace if isinstance(op, LockOp) and op.verb in "+~"]
    race.restore()
    tables = [op for op in taken if op.lock.lock_class.is_page_table_lock]
    return RaceCost(
        len(tables),
        sum(op.lock.lock_class is LockClass.MCL for op in taken),
        sum(op.function == LOOK and op.verb == "+" and not op.nested for op in tables),
        ended,
    )


def steps_by_turns(race: Race) -> list[RaceStep]:
    """One schedule of a race that was explored before: the threads take turns. ``race.restore()`` takes it back."""
    return [step(race, task) for task in _driven(race, by_turns=True)]


def _driven(race: Race, by_turns: bool) -> Iterator[int]:
    """The thread that runs next, which the caller then runs, until none can or none makes progress."""
    race.restore()
    race.machine.begin()
    last = len(race.tasks) - 1
    for _ in range(_PATIENCE):
        if able := race.enabled():
            start = last + by_turns
            last = min(able, key=lambda task: (task - start) % len(race.tasks))
            yield last

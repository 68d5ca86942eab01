"""Schedules: the order in which threads, or other actors, made their steps. Values, printed, parsed and replayed."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from folioshell.units import parse_number


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of choices, each the number of an actor from 1.

    Args:
        steps: the choices, in order.
    """

    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, choices: Iterable[int]) -> Schedule:
        """The schedule of choices that are counted from 0."""
        return cls(tuple(choice + 1 for choice in choices))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that prints as ``text``: ``1,1,2``, spaces allowed; an empty text is an empty schedule.

        Raises:
            ValueError: a part of it is not a number from 1; the message quotes that part.
        """
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        steps = []
        for part in parts:
            number = parse_number(part)
            if not number:
                raise ValueError(f"{part!r} is no number of a thread")
            steps.append(number)
        return cls(tuple(steps))

    @property
    def choices(self) -> Iterator[int]:
        """The choices counted from 0."""
        return (step - 1 for step in self.steps)

    @property
    def switches(self) -> int:
        """How often the next step is that of another actor than the one before."""
        return sum(left != right for left, right in zip(self.steps, self.steps[1:], strict=False))

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))


#: number of an actor, from 0: what ``enabled`` lists and ``do`` makes
Action = int

#: transitions between two questions whether to stop
_PATIENCE = 256


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something that is wrong with a state.

    Args:
        kind: ``deadlock``, ``miscount``, ``invariant``, ``unlocked update`` or whatever else a system knows.
        text: what is wrong, the same for every state with the same fault.
    """

    kind: str
    text: str


class System(Protocol):
    """What can be searched. Equal keys must mean equal futures, and the same actions must lead to the same state."""

    def reset(self) -> None:
        """Go to the initial state."""

    def enabled(self) -> tuple[Action, ...]:
        """What can be done now, in a fixed order; nothing in a state that is not to be left."""

    def do(self, action: Action) -> None:
        """Do one of the enabled actions."""

    def key(self) -> Hashable:
        """The state as a value."""

    def verdict(self) -> tuple[Flaw, ...]:
        """What is wrong with the state; asked where nothing is enabled."""


@runtime_checkable
class Resumable(Protocol):
    """A system that can go back to a state without repeating what led there."""

    def save(self) -> object:
        """The present state, to come back to."""

    def load(self, state: object) -> None:
        """Come back to a state."""


@dataclass(slots=True)
class Counterexample:
    """One kind of fault, with the shortest way to it.

    Args:
        flaw: the fault.
        schedule: the shortest schedule that leads to it; of several the one with the smallest numbers first.
        states: number of states that have it.
    """

    flaw: Flaw
    schedule: Schedule
    states: int


@dataclass(slots=True)
class SearchResult:
    """What a search found.

    Attributes:
        states, transitions: distinct states seen, and actions between them.
        schedules: number of complete interleavings, counted over the graph; None if there are infinitely many, since a
            state can be come back to. Without ``exhausted`` it counts those that were seen whole.
        ends: states where nothing is enabled.
        findings: in the order of their schedules' lengths.
        loop: the shortest schedule to a state that can be come back to, if there is one.
        exhausted: every state was seen. stopped: why not: ``max-states``, ``timeout`` or ``interrupted``.
    """

    states: int = 0
    transitions: int = 0
    schedules: int | None = 0
    ends: int = 0
    findings: list[Counterexample] = field(default_factory=list)
    loop: Schedule | None = None
    exhausted: bool = True
    stopped: str = ""

    def count(self, kind: str) -> int:
        """Number of states with a fault of a kind, a state with two such faults counted twice."""
        return sum(finding.states for finding in self.findings if finding.flaw.kind == kind)

    def of_kind(self, kind: str) -> list[Counterexample]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.flaw.kind == kind]


class _Graph:
    """The states seen, numbered from 0 in the order in which they were, and what leads from one to another."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        #: state -> (action, state that it leads to), in the order of the actions
        self.edges: list[list[tuple[Action, int]]] = []
        self.flaws: dict[int, tuple[Flaw, ...]] = {}
        self.ends: list[int] = []
        self.transitions = 0

    def schedules_to(self, wanted: set[int]) -> dict[int, Schedule]:
        """The shortest schedule to each of some states, the smallest actions first among equally short ones."""
        came_from: dict[int, tuple[int, Action]] = {0: (0, -1)}
        found: dict[int, Schedule] = {}
        queue = deque([0])
        while queue and len(found) < len(wanted):
            state = queue.popleft()
            if state in wanted:
                found[state] = self._way_to(state, came_from)
            for action, following in self.edges[state]:
                if following not in came_from:
                    came_from[following] = (state, action)
                    queue.append(following)
        return found

    @staticmethod
    def _way_to(state: int, came_from: dict[int, tuple[int, Action]]) -> Schedule:
        way: list[Action] = []
        while state:
            state, action = came_from[state]
            way.append(action)
        return Schedule.of(reversed(way))

    def count_paths(self) -> tuple[int | None, int | None]:
        """(number of paths from the first state to an end, or None if there is a loop; a state on a loop)."""
        counts: dict[int, int] = dict.fromkeys(self.ends, 1)
        on_path: set[int] = {0}
        path = [0]
        positions = [0]
        while path:
            state = path[-1]
            edges = self.edges[state]
            if positions[-1] == len(edges):
                counts.setdefault(state, sum(counts[following] for _, following in edges))
                path.pop()
                positions.pop()
                on_path.discard(state)
                continue
            following = edges[positions[-1]][1]
            positions[-1] += 1
            if following in on_path:
                return None, following
            if following not in counts:
                path.append(following)
                positions.append(0)
                on_path.add(following)
        return counts[0], None


def search(system: System, *, max_states: int | None = None, stop: Callable[[int], bool] | None = None) -> SearchResult:
    """See every state that a system can reach, depth first.

    Args:
        system: what is searched; left in some state.
        max_states: give up when so many states were seen.
        stop: asked now and then, and told how many states were seen; True gives up (a timeout, with a clock that is
            not ours).
    Returns: what was found; ``exhausted`` says whether that is all there is. Ctrl-C gives up too.
    """
    graph = _Graph()
    result = SearchResult()
    try:
        result.stopped = _explore(system, graph, max_states, stop)
    except KeyboardInterrupt:
        result.stopped = "interrupted"
    result.exhausted = not result.stopped
    _conclude(graph, result)
    return result


def _explore(system: System, graph: _Graph, max_states: int | None, stop: Callable[[int], bool] | None) -> str:
    """Fill the graph. Returns why not all of it was filled, or nothing."""
    come_back = _Resuming(system) if isinstance(system, Resumable) else _Repeating(system)
    numbers, edges = graph.numbers, graph.edges
    system.reset()
    numbers[system.key()] = 0
    edges.append([])
    #: (state, actions that are left to try, place to come back to)
    stack = [(0, _expand(system, graph, 0), come_back.place())]
    fresh = True
    limit = max_states if max_states is not None else -1
    while stack:
        state, left, place = stack[-1]
        if not left:
            stack.pop()
            fresh = False
            continue
        if not fresh:
            come_back.to(place)
        action = left.pop()
        come_back.note(action)
        system.do(action)
        graph.transitions += 1
        if stop is not None and not graph.transitions % _PATIENCE and stop(len(numbers)):
            return "timeout"
        number = numbers.setdefault(system.key(), len(numbers))
        edges[state].append((action, number))
        fresh = number == len(edges)
        if fresh:
            edges.append([])
            if number + 1 == limit:
                return "max-states"
            stack.append((number, _expand(system, graph, number), come_back.place()))
    return ""


def _expand(system: System, graph: _Graph, number: int) -> list[Action]:
    """The enabled actions of a new state, the last first; what is wrong with it is noted if there are none."""
    actions = system.enabled()
    if not actions:
        graph.ends.append(number)
        flaws = system.verdict()
        if flaws:
            graph.flaws[number] = flaws
    return list(reversed(actions))


class _Repeating:
    """Comes back to a state by repeating what led there."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._way: list[Action] = []

    def note(self, action: Action) -> None:
        self._way.append(action)

    def place(self) -> object:
        return len(self._way)

    def to(self, place: object) -> None:
        assert isinstance(place, int)
        del self._way[place:]
        self._system.reset()
        for action in self._way:
            self._system.do(action)


class _Resuming:
    """Comes back to a state that the system has saved."""

    def __init__(self, system: Resumable) -> None:
        self._system = system

    def note(self, action: Action) -> None:
        pass

    def place(self) -> object:
        return self._system.save()

    def to(self, place: object) -> None:
        self._system.load(place)


def _conclude(graph: _Graph, result: SearchResult) -> None:
    """Compute schedules and numbers from the graph."""
    # An interrupt may have come between the number of a state and its place in the graph.
    graph.edges.extend([] for _ in range(len(graph.numbers) - len(graph.edges)))
    result.states = len(graph.numbers)
    result.transitions = graph.transitions
    result.ends = len(graph.ends)
    result.schedules, loop = graph.count_paths()
    first: dict[Flaw, Schedule] = {}
    often: dict[Flaw, int] = {}
    wanted = set(graph.flaws) | ({loop} if loop is not None else set())
    for state, schedule in graph.schedules_to(wanted).items():
        if state == loop:
            result.loop = schedule
        for flaw in graph.flaws.get(state, ()):
            first.setdefault(flaw, schedule)
            often[flaw] = often.get(flaw, 0) + 1
    result.findings = [Counterexample(flaw, schedule, often[flaw]) for flaw, schedule in first.items()]

"""Exhaustive search over a system of enabled actions, and the shortest schedule to each flaw.

The system is executed, not described: it starts with ``reset``, performs actions, and returns to saved states. Keys
identify states, so each is expanded once however many schedules lead to it. The graph of states is recorded; shortest
schedules and the number of interleavings are computed from it afterwards.

This module does not know what the actions are: segments of threads, or commands.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from folioshell.units import parse_number


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of choices, each the number of an actor from 1; a value that is printed, parsed and replayed."""

    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, choices: Iterable[int]) -> Schedule:
        """The schedule of choices counted from 0."""
        return cls(tuple(choice + 1 for choice in choices))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that prints as ``text``: ``1,1,2``, spaces allowed; an empty text is an empty schedule.

        Raises:
            ValueError: a part is not a number from 1; the message quotes it.
        """
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        steps = []
        for part in parts:
            number = parse_number(part)
            if not number:
                raise ValueError(f"{part!r} is not a thread number")
            steps.append(number)
        return cls(tuple(steps))

    @property
    def choices(self) -> Iterator[int]:
        """The choices counted from 0."""
        return (step - 1 for step in self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))


#: number of an actor, from 0
Action = int

#: transitions between two calls of ``stop``
_PATIENCE = 256


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw of a state.

    Args:
        kind: ``deadlock``, ``miscount``, ``invariant``, ``unlocked update``, or another kind of the system.
        text: the same for every state with the same flaw.
    """

    kind: str
    text: str


class System(Protocol):
    """What can be searched. Equal keys mean equal futures, and equal actions lead to equal states."""

    def reset(self) -> None:
        """Go to the initial state."""

    def enabled(self) -> tuple[Action, ...]:
        """The enabled actions, in a fixed order; none in an end state."""

    def do(self, action: Action) -> None:
        """Perform an enabled action."""

    def key(self) -> Hashable:
        """The state as a value."""

    def verdict(self) -> tuple[Flaw, ...]:
        """The flaws of an end state."""

    def save(self) -> object:
        """The current state, for ``load``."""

    def load(self, state: object) -> None:
        """Return to a saved state."""


@dataclass(slots=True)
class Counterexample:
    """A flaw, with the shortest schedule that leads to it.

    Args:
        flaw: the flaw.
        schedule: the lexicographically first of the shortest schedules.
        states: number of states with this flaw.
    """

    flaw: Flaw
    schedule: Schedule
    states: int


@dataclass(slots=True)
class SearchResult:
    """The result of a search.

    Attributes:
        states, transitions: distinct states, and actions between them.
        schedules: number of complete interleavings in the graph; None if there are infinitely many because of a cycle.
            Without ``exhausted`` it counts those that were completed.
        ends: number of end states.
        findings: shortest schedule first.
        loop: the shortest schedule to a state on a cycle, if there is one.
        exhausted: every reachable state was explored.
        stopped: why not: ``max-states``, ``timeout`` or ``interrupted``.
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
        """Number of states with a flaw of a kind; a state with two such flaws counts twice."""
        return sum(finding.states for finding in self.findings if finding.flaw.kind == kind)

    def of_kind(self, kind: str) -> list[Counterexample]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.flaw.kind == kind]


class _Graph:
    """The explored states, numbered from 0 in order, and their transitions."""

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        #: state -> (action, successor), in the order of the actions
        self.edges: list[list[tuple[Action, int]]] = []
        self.flaws: dict[int, tuple[Flaw, ...]] = {}
        self.ends: list[int] = []
        self.transitions = 0

    def schedules_to(self, wanted: set[int]) -> dict[int, Schedule]:
        """The shortest schedule to each of some states; of equally short ones the lexicographically first."""
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
        """(number of paths from the initial state to an end, None if there is a cycle; a state on a cycle)."""
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
    """Explore every reachable state of a system, depth first.

    Args:
        system: left in an arbitrary state.
        max_states: stop after this many states.
        stop: called periodically with the number of states; True stops the search (a timeout by the caller's clock).
    Returns: the result; ``exhausted`` says whether it is complete. Ctrl-C stops the search, too.
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
    """Fill the graph. Returns why it is incomplete; empty if it is not."""
    numbers, edges = graph.numbers, graph.edges
    system.reset()
    numbers[system.key()] = 0
    edges.append([])
    #: (state, actions left to try, what save() gave)
    stack = [(0, _expand(system, graph, 0), system.save())]
    fresh = True
    limit = sys.maxsize if max_states is None else max_states
    if limit <= 1:
        return "max-states"
    while stack:
        state, left, saved = stack[-1]
        if not left:
            stack.pop()
            fresh = False
            continue
        if not fresh:
            system.load(saved)
        action = left.pop()
        system.do(action)
        graph.transitions += 1
        if stop is not None and not graph.transitions % _PATIENCE and stop(len(numbers)):
            return "timeout"
        number = numbers.setdefault(system.key(), len(numbers))
        edges[state].append((action, number))
        fresh = number == len(edges)
        if fresh:
            edges.append([])
            if number + 1 >= limit:
                return "max-states"
            stack.append((number, _expand(system, graph, number), system.save()))
    return ""


def _expand(system: System, graph: _Graph, number: int) -> list[Action]:
    """The enabled actions of a new state, the last first; records its flaws if there are none."""
    actions = system.enabled()
    if not actions:
        graph.ends.append(number)
        flaws = system.verdict()
        if flaws:
            graph.flaws[number] = flaws
    return list(reversed(actions))


def _conclude(graph: _Graph, result: SearchResult) -> None:
    """Compute schedules and counts from the graph."""
    # An interrupt may have come between numbering a state and adding it to the graph.
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

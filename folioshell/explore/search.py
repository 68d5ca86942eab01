"""Exhaustive search over a system of enabled actions, and the shortest schedule to each flaw.

The system is executed, not described: it starts with ``reset``, performs actions, and returns to saved states. Keys
identify states, so each is expanded once however many schedules lead to it. The graph of states is recorded; shortest
schedules, the number of schedules and livelocks are computed from it afterwards.

A livelock is a lasso: a schedule to a cycle of states, and the cycle. No actor makes progress in it, as everything that
an actor has done is part of a state. It is *fair* if every actor acts in it, or cannot act somewhere in it: a scheduler
that lets no actor wait forever can run it forever (weak fairness). Any other cycle needs a scheduler that never runs an
actor that could run the whole time, as when one spins until another releases a lock.

This module does not know what the actions are: segments of threads, or commands.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Protocol

from folioshell.explore.graph import UNKNOWN, Action, Cycles, ShortestWays, StateGraph, count_ways
from folioshell.records import dataclass, field
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


#: transitions between two calls of ``stop``
_PATIENCE = 256


@dataclass(frozen=True, slots=True)
class Flaw:
    """A flaw of a state.

    Args:
        kind: ``deadlock``, ``miscount``, ``invariant``, ``unlocked update``, or another kind of the system.
        text: the same forevery state with the same flaw.
    """

    kind: str
    text: str


#: state -> its flaws
_Flaws = dict[int, tuple[Flaw, ...]]


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


@dataclass(frozen=True, slots=True)
class Lasso:
    """A cycle of states, with the shortest schedule that leads to it.

    Args:
        schedule: the shortest schedule to a state of the cycle.
        cycle: leads from that state to itself.
        actors: those that act in the cycle, ascending.
        starved: those that could act in every state of the cycle, and never do; none if it is fair.
        states: number of states from which these actors can return, whichever cycle they are on.
    """

    schedule: Schedule
    cycle: Schedule
    actors: tuple[Action, ...]
    starved: tuple[Action, ...]
    states: int

    @property
    def is_fair(self) -> bool:
        """Can a scheduler that lets no actor wait forever run the cycle forever?"""
        return not self.starved


@dataclass(slots=True)
class SearchResult:
    """The result of a search.

    Attributes:
        states, transitions: distinct states, and actions between them.
        schedules: number of schedules that end, in the graph; None if there are infinitely many because of a cycle.
            Without ``exhausted`` it counts those that were completed.
        ends: number of end states.
        findings: shortest schedule first.
        lassos: one for each set of actors that cycle and that starve; shortest schedule first.
        exhausted: every reachable state was explored.
        stopped: why not: ``max-states``, ``timeout`` or ``interrupted``.
    """

    states: int = 0
    transitions: int = 0
    schedules: int | None = 0
    ends: int = 0
    findings: list[Counterexample] = field(default_factory=list)
    lassos: list[Lasso] = field(default_factory=list)
    exhausted: bool = True
    stopped: str = ""

    @property
    def loop(self) -> Schedule | None:
        """The shortest schedule to a state on a cycle, if there is one."""
        return self.lassos[0].schedule if self.lassos else None

    def count(self, kind: str) -> int:
        """Number of states with a flaw of a kind; a state with two such flaws counts twice."""
        return sum(finding.states for finding in self.findings if finding.flaw.kind == kind)

    def of_kind(self, kind: str) -> list[Counterexample]:
        """The findings of a kind."""
        return [finding for finding in self.findings if finding.flaw.kind == kind]


def search(system: System, *, max_states: int | None = None, stop: Callable[[int], bool] | None = None) -> SearchResult:
    """Explore every reachable state of a system, those first that few changes from one actor to another lead to.

    So a search that is stopped early has seen whole runs, and the shallow end of all others.

    Args:
        system: left in an arbitrary state.
        max_states: stop after this many states.
        stop: called periodically with the number of states; True stops the search (a timeout by the caller's clock).
    Returns: the result; ``exhausted`` says whether it is complete. Ctrl-C stops the search, too.
    """
    graph = StateGraph()
    flaws: _Flaws = {}
    result = SearchResult()
    try:
        result.stopped = _explore(system, graph, flaws, max_states, stop)
    except KeyboardInterrupt:
        result.stopped = "interrupted"
    result.exhausted = not result.stopped
    _conclude(graph, flaws, result)
    return result


def _explore(
    system: System, graph: StateGraph, flaws: _Flaws, max_states: int | None, stop: Callable[[int], bool] | None
) -> str:
    """Fill the graph and the flaws of its states. Returns why it is incomplete; empty if it is not."""
    numbers, following = graph.numbers, graph.following
    limit = sys.maxsize if max_states is None else max_states
    system.reset()
    numbers[system.key()] = 0
    _expand(system, graph, flaws)
    if limit <= 1:
        return "max-states"
    #: (state, what save() gave, the action that led there)
    queue = deque([(0, system.save(), -1)])
    transitions = 0
    while queue:
        state, saved, last = queue.popleft()
        for place in range(graph.first[state], graph.first[state + 1]):
            action = graph.actions[place]
            system.load(saved)
            system.do(action)
            transitions += 1
            if stop is not None and not transitions % _PATIENCE and stop(len(numbers)):
                return "timeout"
            number = following[place] = numbers.setdefault(system.key(), len(numbers))
            if number == graph.states:
                if number + 1 >= limit:
                    return "max-states"
                _expand(system, graph, flaws)
                (queue.appendleft if action == last else queue.append)((number, system.save(), action))
    return ""


def _expand(system: System, graph: StateGraph, flaws: _Flaws) -> None:
    """Give a new state its actions; notes its flaws if there are none."""
    actions = system.enabled()
    if not actions:
        found = system.verdict()
        if found:
            flaws[graph.states] = found
        graph.ends.append(graph.states)
    graph.expand(actions)


def _conclude(graph: StateGraph, flaws: _Flaws, result: SearchResult) -> None:
    """Compute schedules and counts from the graph."""
    # The last state was numbered, and not expanded.
    while graph.states < len(graph.numbers):
        graph.expand(())
    result.states = graph.states
    result.transitions = len(graph.following) - graph.following.count(UNKNOWN)
    result.ends = len(graph.ends)
    result.schedules, cycles = count_ways(graph)
    ways = ShortestWays(graph)
    first: dict[Flaw, Schedule] = {}
    often: dict[Flaw, int] = {}
    for state in ways.order if flaws else ():
        for flaw in flaws.get(state, ()):
            if flaw not in first:
                first[flaw] = Schedule.of(ways.to(state))
            often[flaw] = often.get(flaw, 0) + 1
    result.findings = [Counterexample(flaw, schedule, often[flaw]) for flaw, schedule in first.items()]
    result.lassos = _lassos(graph, ways, cycles)


def _lassos(graph: StateGraph, ways: ShortestWays, components: list[list[int]]) -> list[Lasso]:
    """The shortest lasso of each kind, and how many states have such a cycle."""
    home = {member: number for number, members in enumerate(components) for member in members}
    entries: dict[int, int] = {}
    for state in ways.order if components else ():
        if state in home:
            entries.setdefault(home[state], state)
    kinds: dict[tuple[frozenset[Action], frozenset[Action]], tuple[Cycles, int]] = {}
    states: Counter[tuple[frozenset[Action], frozenset[Action]]] = Counter()
    for number, entry in entries.items():
        cycles = Cycles(graph, components[number])
        kind = (cycles.actors, cycles.starved)
        kinds.setdefault(kind, (cycles, entry))
        states[kind] += len(components[number])
    lassos = []
    for kind, (cycles, entry) in kinds.items():
        way = cycles.through(entry)
        actors, starved = (tuple(sorted(some)) for some in (set(way), cycles.starved))
        lassos.append(Lasso(Schedule.of(ways.to(entry)), Schedule.of(way), actors, starved, states[kind]))
    return lassos

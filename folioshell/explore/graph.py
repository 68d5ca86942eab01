"""The graph of the states of a search: shortest ways, the number of ways, and cycles.

States are numbered from 0, the initial one, in the order in which they were reached. Everything is in arrays: a state
of a large search takes tens of bytes besides its key.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator

#: number of an actor, from 0
Action = int

#: a successor that is not known yet, or a state that was not reached
UNKNOWN = 0xFFFFFFFF


class StateGraph:
    """States and their transitions.

    Attributes:
        numbers: key -> state.
        first: state -> place of its first transition in the two arrays; its last comes before that of the next state.
        actions, following: the action of each transition, and where it leads to; ``UNKNOWN`` if that was not tried.
        ends: states without actions.
    """

    def __init__(self) -> None:
        self.numbers: dict[Hashable, int] = {}
        self.first = array("Q", (0,))
        self.actions = array("H")
        self.following = array("I")
        self.ends = array("I")

    @property
    def states(self) -> int:
        """Number of states with transitions, or without any."""
        return len(self.first) - 1

    def expand(self, actions: Iterable[Action]) -> None:
        """Give the next state its actions; where they lead to is not known yet."""
        self.actions.extend(actions)
        self.following.extend((UNKNOWN,) * (len(self.actions) - len(self.following)))
        self.first.append(len(self.actions))

    def edges(self, state: int) -> list[tuple[Action, int]]:
        """(action, successor) of a state, in the order of the actions, as far as they are known."""
        start, end = self.first[state], self.first[state + 1]
        pairs = zip(self.actions[start:end], self.following[start:end], strict=True)
        return [pair for pair in pairs if pair[1] != UNKNOWN]

    def enabled(self, state: int) -> frozenset[Action]:
        """The actions of a state, known or not."""
        return frozenset(self.actions[self.first[state] : self.first[state + 1]])


class ShortestWays:
    """The shortest way from the initial state to every state; of equally short ones the lexicographically first.

    Attributes:
        order: the states, nearest first.
    """

    def __init__(self, graph: StateGraph) -> None:
        self._before = array("I", (UNKNOWN,)) * graph.states
        self._by = array("H", (0,)) * graph.states
        self._before[0] = 0
        self.order = array("I", (0,))
        for state in self.order:
            for action, following in graph.edges(state):
                if self._before[following] == UNKNOWN:
                    self._before[following] = state
                    self._by[following] = action
                    self.order.append(following)

    def to(self, state: int) -> list[Action]:
        """The actions that lead to a state."""
        way: list[Action] = []
        while state:
            way.append(self._by[state])
            state = self._before[state]
        return way[::-1]


def _components(graph: StateGraph) -> Iterator[list[int]]:
    """The strongly connected components of the states, each after all that it leads to (Tarjan's algorithm)."""
    size = graph.states
    position = array("Q", graph.first)
    reached, low = array("I", (0,)) * size, array("I", (0,)) * size
    complete = bytearray(size)
    order, path, pending = 1, [0], [0]
    reached[0] = low[0] = order
    while path:
        state = path[-1]
        if position[state] < graph.first[state + 1]:
            following = graph.following[position[state]]
            position[state] += 1
            if following == UNKNOWN or complete[following]:
                continue
            if not reached[following]:
                order += 1
                reached[following] = low[following] = order
                path.append(following)
                pending.append(following)
            else:
                low[state] = min(low[state], reached[following])
            continue
        path.pop()
        if path:
            low[path[-1]] = min(low[path[-1]], low[state])
        if low[state] == reached[state]:
            members: list[int] = []
            while not complete[state]:
                members.append(pending.pop())
                complete[members[-1]] = 1
            yield members


def count_ways(graph: StateGraph) -> tuple[int | None, list[list[int]]]:
    """(number of ways from the initial state to an end, None if there is a cycle; the components with cycles)."""
    counts = [0] * graph.states
    for end in graph.ends:
        counts[end] = 1
    cycles = []
    for members in _components(graph):
        state, following = members[0], [following for _, following in graph.edges(members[0])]
        if len(members) > 1 or state in following:
            cycles.append(members)
        elif following:
            counts[state] = sum(counts[one] for one in following)
    return (None if cycles else counts[0]), cycles


class Cycles:
    """The cycles within one strongly connected component of a graph.

    Args:
        graph: the states.
        members: the states of the component.

    Attributes:
        actors: those that act from one member to another.
        starved: those that can act in every member, and always leave the component.
    """

    def __init__(self, graph: StateGraph, members: Iterable[int]) -> None:
        self._graph = graph
        self._members = frozenset(members)
        self.actors = frozenset(action for state in self._members for action, _ in self._edges(state))
        # An actor that can act in every member, and leaves by every action, does not act in any cycle, and can act in
        # all of it. So if any cycle is fair, the one through all members is.
        self.starved = frozenset.intersection(*map(graph.enabled, self._members)) - self.actors

    def through(self, entry: int) -> tuple[Action, ...]:
        """A short cycle from a member to itself: all act, or cannot act somewhere, but those who starve."""
        actions, states = self._way(entry, lambda _, following: following == entry)
        while left := frozenset.intersection(*map(self._graph.enabled, states)) - self.starved - set(actions):
            more, passed = self._way(entry, self._met(min(left)))
            actions, states = [*actions, *more], [*states, *passed]
            if states[-1] != entry:
                more, passed = self._way(states[-1], lambda _, following: following == entry)
                actions, states = [*actions, *more], [*states, *passed]
        return tuple(actions)

    def _edges(self, state: int) -> Iterator[tuple[Action, int]]:
        return (edge for edge in self._graph.edges(state) if edge[1] in self._members)

    def _met(self, actor: Action) -> Callable[[Action, int], bool]:
        """Does a transition let an actor act, or lead to where it cannot?"""
        return lambda action, following: action == actor or actor not in self._graph.enabled(following)

    def _way(self, start: int, is_goal: Callable[[Action, int], bool]) -> tuple[list[Action], list[int]]:
        """(actions, states after them) of the shortest way whose last transition is a goal."""
        came_from: dict[int, tuple[int, Action]] = {}
        queue = deque([start])
        while queue:
            state = queue.popleft()
            for action, following in self._edges(state):
                if is_goal(action, following):
                    actions, states = [action], [following]
                    while state != start:
                        states.append(state)
                        state, by = came_from[state]
                        actions.append(by)
                    return actions[::-1], states[::-1]
                if following not in came_from and following != start:
                    came_from[following] = (state, action)
                    queue.append(following)
        raise AssertionError("a strongly connected component has a way between any two states")

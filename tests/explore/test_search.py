"""Schedules as values."""

from __future__ import annotations

from collections.abc import Hashable
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.explore.graph import Action
from folioshell.explore.search import Flaw, Schedule, SearchResult, search


@given(st.lists(st.integers(0, 20)))
def test_a_schedule_is_parsed_as_it_was_printed(choices: list[int]) -> None:
    """Printing and parsing give the same schedule back, and the choices count from 0."""
    schedule = Schedule.of(choices)

    assert Schedule.parse(str(schedule)) == schedule
    assert list(schedule.choices) == choices


def test_printed_form() -> None:
    """ThreadRunner are numbered from 1 and separated by commas."""
    assert str(Schedule.of([0, 0, 1])) == "1,1,2"
    assert Schedule.parse(" 1, 2 ,1").steps == (1, 2, 1)
    assert len(Schedule.parse("")) == 0


@pytest.mark.parametrize("text", ["1,,2", "0", "1,-1", "a", "1.5", "²"])
def test_what_is_no_schedule(text: str) -> None:
    """Every part is a number from 1; the wrong part is quoted."""
    with pytest.raises(ValueError, match="is not a thread number"):
        Schedule.parse(text)


class Letters:
    """Actors that write their letters one by one; a state is told by what was written, or by the positions alone."""

    def __init__(self, *words: str, merged: bool = False) -> None:
        self.words = words
        self.merged = merged
        self.resets = 0
        self.reset()

    def reset(self) -> None:
        self.resets += 1
        self.at = [0] * len(self.words)
        self.text = ""

    def enabled(self) -> tuple[Action, ...]:
        return tuple(actor for actor, word in enumerate(self.words) if self.at[actor] < len(word))

    def do(self, action: Action) -> None:
        self.text += self.words[action][self.at[action]]
        self.at[action] += 1

    def key(self) -> Hashable:
        return tuple(self.at) if self.merged else self.text

    def verdict(self) -> tuple[Flaw, ...]:
        return (Flaw("text", "over" if self.merged else self.text),)

    def save(self) -> object:
        return list(self.at), self.text

    def load(self, state: object) -> None:
        at, self.text = state  # type: ignore[misc]
        self.at = list(at)


class Circle:
    """One actor that goes round and round, another that may end it."""

    def save(self) -> object:
        return self.place, self.over

    def load(self, state: object) -> None:
        self.place, self.over = state  # type: ignore[misc]

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.place, self.over = 0, False

    def enabled(self) -> tuple[Action, ...]:
        return () if self.over else (0, 1) if self.place == 2 else (0,)

    def do(self, action: Action) -> None:
        if action:
            self.over = True
        else:
            self.place = (self.place + 1) % 3

    def key(self) -> Hashable:
        return self.place, self.over

    def verdict(self) -> tuple[Flaw, ...]:
        return (Flaw("end", "over"),)


def texts(result: SearchResult) -> list[str]:
    return sorted(finding.flaw.text for finding in result.findings)


def test_all_interleavings_of_two_by_two() -> None:
    """Two actors of two steps each have the six interleavings that one can list by hand."""
    result = search(Letters("ab", "cd"))

    assert texts(result) == ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]
    assert result.schedules == result.ends == 6
    assert result.exhausted


def test_all_interleavings_of_three() -> None:
    """Three actors of one step each have all permutations."""
    assert texts(search(Letters("a", "b", "c"))) == sorted("".join(order) for order in permutations("abc"))


def test_interleavings_of_three_uneven_actors() -> None:
    """One actor of two steps and two of one have twelve interleavings."""
    expected = ["abcd", "abdc", "acbd", "acdb", "adbc", "adcb", "cabd", "cadb", "cdab", "dabc", "dacb", "dcab"]

    assert texts(search(Letters("ab", "c", "d"))) == expected


def test_merged_states_are_expanded_once_and_all_schedules_counted() -> None:
    """A grid of positions has (n + 1) ** 2 states, and as many schedules as there are ways through it."""
    result = search(Letters("abcde", "fghij", merged=True))

    assert (result.states, result.transitions, result.ends) == (36, 60, 1)
    assert result.schedules == 252


def test_the_number_of_schedules_is_exact_however_large() -> None:
    """Ways are counted in integers over the graph, not walked."""
    result = search(Letters("a" * 30, "b" * 30, merged=True))

    assert result.schedules == 118264581564861424


@pytest.mark.parametrize("merged", [False, True])
def test_a_search_resets_once(merged: bool) -> None:
    """It returns to saved states; a system that repeats its actions instead gives the same result."""

    class Repeating(Letters):
        def save(self) -> object:
            return list(self.at), self.text

        def load(self, state: object) -> None:
            _, text = state  # type: ignore[misc]
            self.reset()
            for letter in text:
                self.do(next(actor for actor, word in enumerate(self.words) if letter in word))

    saved, repeated = Letters("abc", "de", "f", merged=merged), Repeating("abc", "de", "f", merged=merged)
    first, second = search(saved), search(repeated)

    assert first == second
    assert saved.resets == 2
    assert saved.resets < repeated.resets


def test_the_shortest_schedule_is_given() -> None:
    """A fault that can be met early is reported with the shortest way to it, whatever the depth-first order was."""

    class Grid(Letters):
        def enabled(self) -> tuple[Action, ...]:
            return () if self.at[1] >= 2 else super().enabled()

    result = search(Grid("aaaa", "bbb", merged=True))

    assert [str(finding.schedule) for finding in result.findings] == ["2,2"]
    assert result.findings[0].states == 5


def test_a_loop_has_no_number_of_schedules() -> None:
    """Where a state can be come back to there are infinitely many schedules: none is counted, the loop is named."""
    result = search(Circle())

    assert result.exhausted
    assert result.schedules is None
    assert len(result.lassos) == 1
    assert [str(finding.schedule) for finding in result.findings] == ["1,1,2"]


def test_max_states() -> None:
    """A search that is cut short says so, and has seen as many states as it was allowed to."""
    result = search(Letters("abcde", "fghij", merged=True), max_states=10)

    assert (result.states, result.exhausted, result.stopped) == (10, False, "max-states")


def test_stop() -> None:
    """The callable that is given can end the search."""
    result = search(Letters("a" * 40, "b" * 40, merged=True), stop=lambda states: states > 1)

    assert (result.exhausted, result.stopped) == (False, "timeout")
    assert 0 < result.states < 41 * 41


@pytest.mark.parametrize("after", [1, 2, 17, 40])
def test_interrupt(after: int) -> None:
    """Ctrl-C ends the search at any step; what was seen until then is told."""

    class Interrupted(Letters):
        left = after

        def do(self, action: Action) -> None:
            self.left -= 1
            if not self.left:
                raise KeyboardInterrupt
            super().do(action)

    result = search(Interrupted("abcde", "fghij", merged=True))

    assert (result.exhausted, result.stopped) == (False, "interrupted")
    assert 0 < result.states <= after


def test_a_system_without_actions() -> None:
    """The empty schedule is the only one where nothing can be done."""
    result = search(Letters())

    assert (result.states, result.schedules, result.ends) == (1, 1, 1)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_max_states_as_low_as_can_be(most: int) -> None:
    """The beginning is a state as well: 1 ends the search before the first step."""
    result = search(Letters("abcde", "fghij", merged=True), max_states=most)

    assert (result.states, result.stopped) == (max(most, 1), "max-states")


class Steps:
    """A system written as a table: state -> {actor: next state}; a state without actors is an end."""

    def __init__(self, table: dict[str, dict[Action, str]], first: str = "a") -> None:
        self.table = table
        self.first = self.at = first

    def reset(self) -> None:
        self.at = self.first

    def enabled(self) -> tuple[Action, ...]:
        return tuple(self.table.get(self.at, ()))

    def do(self, action: Action) -> None:
        self.at = self.table[self.at][action]

    def key(self) -> Hashable:
        return self.at

    def verdict(self) -> tuple[Flaw, ...]:
        return ()

    def save(self) -> object:
        return self.at

    def load(self, state: object) -> None:
        self.at = str(state)


def lassos(table: dict[str, dict[Action, str]]) -> list[tuple[str, str, tuple[Action, ...], tuple[Action, ...], int]]:
    """(schedule, cycle, who acts, who starves, states) of each lasso."""
    return [
        (str(one.schedule), str(one.cycle), one.actors, one.starved, one.states) for one in search(Steps(table)).lassos
    ]


def test_without_a_cycle_there_is_no_lasso() -> None:
    """States that are met again on other ways are no cycle."""
    assert lassos({"a": {0: "b", 1: "c"}, "b": {1: "d"}, "c": {0: "d"}}) == []


def test_two_that_retry_because_of_each_other_are_in_a_livelock() -> None:
    """Both act in the cycle, so it needs no unfair scheduler; it does not matter that each step may also leave it."""
    table: dict[str, dict[Action, str]] = {"a": {0: "b"}, "b": {1: "c", 0: "end"}, "c": {0: "b", 1: "end"}}

    assert lassos(table) == [("1", "2,1", (0, 1), (), 2)]


def test_a_spin_loop_needs_a_scheduler_that_never_runs_the_other() -> None:
    """The first spins until the second, which can run the whole time, lets it pass: no livelock under fairness."""
    table: dict[str, dict[Action, str]] = {"a": {0: "b", 1: "free"}, "b": {0: "a", 1: "free"}, "free": {0: "end"}}

    assert lassos(table) == [("", "1,1", (0,), (1,), 2)]


def test_one_that_cannot_act_somewhere_in_the_cycle_does_not_starve() -> None:
    """Weak fairness runs only those who can run the whole time: who waits in between may be left out forever."""
    table: dict[str, dict[Action, str]] = {"a": {0: "b", 1: "end"}, "b": {0: "a"}}

    assert lassos(table) == [("", "1,1", (0,), (), 2)]


def test_a_short_cycle_that_starves_somebody_is_extended_to_a_fair_one() -> None:
    """The first may spin, but a second that acts and comes back belongs to the cycle under fairness."""
    table: dict[str, dict[Action, str]] = {"a": {0: "a", 1: "b"}, "b": {0: "b", 1: "c"}, "c": {1: "a"}}

    assert lassos(table) == [("", "1,2,2,2", (0, 1), (), 3)]


def test_a_state_may_lead_to_itself() -> None:
    """One that acts alone without changing anything is in a livelock with itself."""
    assert lassos({"a": {0: "b"}, "b": {0: "b"}}) == [("1", "1", (0,), (), 1)]


def test_cycles_of_one_kind_are_one_lasso_with_the_shortest_schedule() -> None:
    """The same actors in two cycles: the nearer one is shown, the states of both are counted."""
    table: dict[str, dict[Action, str]] = {
        "a": {0: "b", 1: "c"},
        "b": {0: "b1", 1: "end"},
        "b1": {0: "c", 1: "end"},
        "c": {0: "d"},
        "d": {0: "c", 1: "e"},
        "e": {0: "f"},
        "f": {0: "e"},
    }

    assert lassos(table) == [("2", "1,1", (0,), (), 4)]


def test_schedules_lead_into_the_cycle_and_around_it() -> None:
    """Followed step by step, the schedule reaches a state to which the cycle returns."""
    table: dict[str, dict[Action, str]] = {
        "a": {0: "b", 1: "c"},
        "b": {0: "d", 1: "e"},
        "c": {0: "e"},
        "d": {1: "g"},
        "e": {1: "b", 0: "d"},
        "g": {0: "e", 1: "c"},
    }
    (lasso,) = search(Steps(table)).lassos
    at = "a"
    for action in lasso.schedule.choices:
        at = table[at][action]
    entry = at
    for action in lasso.cycle.choices:
        at = table[at][action]

    assert at == entry
    assert len(lasso.schedule) == 1
    assert lasso.is_fair

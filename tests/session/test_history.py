"""Tests of folioshell.session.history."""

from __future__ import annotations

import tracemalloc

from folioshell.session.history import MAIN, Entry, History, HistoryPoint


def entry(text: str) -> Entry:
    return Entry("A", "", text, {"ok": True}, "A", "A")


def history_of(*texts: str) -> History:
    history = History()
    for text in texts:
        history.append(entry(text))
    return history


def test_branches_share_their_beginning() -> None:
    """A line begins with the steps in force; what is done in one does not touch the other."""
    history = history_of("one", "two", "three")
    history.position = 2
    history.start_branch("other")
    history.append(entry("four"))

    assert [step.text for step in history.branches[MAIN]] == ["one", "two", "three"]
    assert [step.text for step in history.entries] == ["one", "two", "four"]
    assert (history.shared(MAIN), history.shared("other")) == ({"other": 2}, {MAIN: 2})
    assert history.origins() == {"other": (2, MAIN)}
    assert history.branches_with(history.entries[1]) == [MAIN, "other"]
    assert history.branches_with(history.entries[2]) == ["other"]


def test_marks_name_steps_not_numbers() -> None:
    """A mark leads to its step, in the current line if that has it."""
    history = history_of("one", "two")
    history.mark("m")
    history.position = 1
    history.start_branch("other")
    history.append(entry("three"))
    history.mark("n")

    assert history.point("m") == HistoryPoint(MAIN, 2)
    assert history.point("n") == HistoryPoint("other", 2)
    assert history.point(MAIN) == HistoryPoint(MAIN, 2)
    history.position = 1
    history.mark("shared")
    assert history.point("shared") == HistoryPoint("other", 1)
    history.current = MAIN
    assert history.point("shared") == HistoryPoint(MAIN, 1)


def test_a_mark_goes_with_the_last_line_that_has_its_step() -> None:
    """A forgotten step takes its marks along, unless another line keeps it."""
    history = history_of("one", "two")
    history.mark("kept")
    history.start_branch("other")
    history.append(entry("three"))
    history.mark("lost")
    history.position = 1

    assert history.append(entry("four")) == ["lost"]
    assert list(history.marks) == ["kept"]


def test_equal_commands_are_different_steps() -> None:
    """Two steps with the same text are told apart."""
    history = history_of("one", "one")
    history.mark("second")

    assert history.point("second") == HistoryPoint(MAIN, 2)


def test_script_has_the_marks() -> None:
    """Marks stand behind their steps, that of the beginning first; those of undone steps are no part of the state."""
    history = History()
    history.mark("start")
    history.append(entry("one"))
    history.mark("m")
    history.append(entry("two"))
    history.mark("undone")
    history.position = 1

    assert history.script() == ["mark start", "one", "mark m"]


def test_branches_cost_nothing() -> None:
    """Thousands of branches of a long history share it; what each one has, and where it starts, is found at once."""
    history = history_of(*map(str, range(9000)))
    tracemalloc.start()
    for number in range(9000):
        history.start_branch(f"b{number}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 4 << 20
    assert len(history.branches) == 9001
    assert set(history.origins().values()) == {(9000, MAIN)}
    assert set(history.shared("b8999").values()) == {9000}
    assert history.entries[-1] is history.branches[MAIN][8999]

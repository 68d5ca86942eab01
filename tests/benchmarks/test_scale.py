"""The benchmarks of large sizes, and of ordinary work, run at small sizes."""

from __future__ import annotations

import pytest

from tests.benchmarks import ordinary
from tests.benchmarks.scale import WORKS, idle, rows

SIZES = {"faults": 600, "faults-all": 600, "thp": 1, "sharers": 12, "vmas": 40, "memory": 600, "undo": 20, "script": 30}
#: sizes of the benchmark of ordinary work: at 2,000 one recording is verified
ORDINARY = {"server": 4, "left": 60, "faults": 40, "verify": 2000, "start": 1, "script": 30}


@pytest.mark.parametrize("name", WORKS)
def test_every_row_is_measured(name: str) -> None:
    """Each measurement has all the numbers that its rows speak of, none of them 0."""
    work = WORKS[name]
    measured = {**work.measure(SIZES[name]), "additions": 0.2}
    runs = {size: [measured] for size in (100, 300, 1000)}
    table = list(rows(work, list(runs), runs))

    assert len(table) == len(work.goals) + len(work.steps)
    assert all(measured[name] > 0 for name in (*work.goals, *work.steps) if name != "GiB")


def test_times_and_rates_are_those_of_an_idle_machine() -> None:
    """On a machine that is busy with something else, times shrink and rates grow; ratios stay."""
    measured = {"step": 3.0, "additions": 0.37}

    assert [idle("step", unit, measured) for unit in ("s", "commands/s", "x")] == [1.5, 6.0, 3.0]


@pytest.mark.parametrize("name", ordinary.WORKS)
def test_every_row_of_ordinary_work_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each measurement has all the numbers that its rows speak of."""
    monkeypatch.setattr(ordinary, "_COPIES", 2)
    work, size = ordinary.WORKS[name], ORDINARY.get(name, 20)
    measured = {**work.measure(size), "additions": 0.2}
    table = list(ordinary.rows(work, size, [measured]))

    assert len(table) == len(work.goals)
    assert all(row.startswith("| ") and row.count("|") == 6 for row, _ in table)


@pytest.mark.parametrize(
    ("goal", "value", "fails"),
    [
        (ordinary.Goal("", "µs", 9, True), 12.1, True),
        (ordinary.Goal("", "µs", 9, True), 11.9, False),
        (ordinary.Goal("", "µs", 9, False), 12.1, False),
        (ordinary.Goal("", "steps/s", 900, True), 670.0, True),
        (ordinary.Goal("", "steps/s", 900, True), 680.0, False),
    ],
)
def test_a_goal_that_was_met_is_guarded(goal: ordinary.Goal, value: float, fails: bool) -> None:
    """Missing it by more than a third fails; missing one that was never met does not."""
    work = ordinary.Work(lambda _: {}, 1, "{}", {"value": goal})
    (row,) = ordinary.rows(work, 1, [{"value": value, "additions": ordinary.IDLE}])

    assert row[1] is fails

"""The benchmark of large sizes runs at small ones."""

from __future__ import annotations

import pytest

from tests.benchmarks.scale import WORKS, idle, rows

SIZES = {"faults": 600, "faults-all": 600, "thp": 1, "sharers": 12, "vmas": 40, "memory": 600, "undo": 20, "script": 30}


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

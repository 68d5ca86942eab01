"""The scenarios about locks: what they assert holds, and the shipped races are told in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell.commands.shipped_races import RACES, ShippedRace
from folioshell.scenario.runner import run_file

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "locks").glob("*.fs"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_what_it_asserts_holds(path: Path) -> None:
    """The scenario runs to its end, and every expect of it passes."""
    runner = run_file(path)
    failed = [
        played.text for played in runner if played.report and played.report.expect and not played.report.expect.passed
    ]

    assert failed == []
    assert runner.status == 0
    assert runner.expects > 3


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_shipped_races_are_told(race: ShippedRace) -> None:
    """The threads of each race that `protocols` runs stand in a scenario, on the same files and mappings."""
    mapping = " ; ".join(race.setup.split(" ; ")[:2])
    telling = [
        path.stem for path in SCENARIOS if f"race {race.block}" in path.read_text() and mapping in path.read_text()
    ]

    assert telling

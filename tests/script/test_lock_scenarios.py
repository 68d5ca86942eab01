"""The scenarios about locks: the shipped races are told in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell.commands.locks import RACES, ShippedRace

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios" / "locks").glob("*.fs"))


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.name)
def test_shipped_races_are_told(race: ShippedRace) -> None:
    """The threads of each race that `protocols` runs stand in a scenario, on the same files and mappings."""
    mapping = " ; ".join(race.setup.split(" ; ")[:2])
    telling = [
        path.stem for path in SCENARIOS if f"race {race.block}" in path.read_text() and mapping in path.read_text()
    ]

    assert telling

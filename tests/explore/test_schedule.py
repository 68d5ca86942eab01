"""Schedules as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.explore.schedule import Schedule


@given(st.lists(st.integers(0, 20)))
def test_a_schedule_is_parsed_as_it_was_printed(choices: list[int]) -> None:
    """Printing and parsing give the same schedule back, and the choices count from 0."""
    schedule = Schedule.of(choices)

    assert Schedule.parse(str(schedule)) == schedule
    assert list(schedule.choices) == choices


def test_printed_form() -> None:
    """Threads are numbered from 1 and separated by commas."""
    assert str(Schedule.of([0, 0, 1])) == "1,1,2"
    assert Schedule.parse(" 1, 2 ,1").steps == (1, 2, 1)
    assert Schedule.parse("1,1,2,1").switches == 2
    assert len(Schedule.parse("")) == 0


@pytest.mark.parametrize("text", ["1,,2", "0", "1,-1", "a", "1.5", "²"])
def test_what_is_no_schedule(text: str) -> None:
    """Every part is a number from 1; the wrong part is quoted."""
    with pytest.raises(ValueError, match="is no number of a thread"):
        Schedule.parse(text)

"""Work in several processes gives what one process gives."""

from __future__ import annotations

import os
from itertools import count, islice

import pytest

from folioshell.shell.race_sweep import in_order


def square(number: int) -> int:
    """The work."""
    if number == 13:
        raise ValueError("unlucky")
    return number * number


def process(_: int) -> int:
    """Who does it."""
    return os.getpid()


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_order_is_that_of_the_tasks(jobs: int) -> None:
    """Results come in the order of the tasks; an endless series of them ends when no more are wanted."""
    assert list(in_order(square, range(10), jobs)) == [number * number for number in range(10)]
    assert list(islice(in_order(square, (number % 10 for number in count()), jobs), 25))[-3:] == [4, 9, 16]
    assert list(in_order(square, [], jobs)) == []


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_exception_ends_it_after_the_results_before(jobs: int) -> None:
    """What the work raises comes in its turn."""
    outcomes = in_order(square, range(10, 20), jobs)

    assert [next(outcomes) for _ in range(3)] == [100, 121, 144]
    with pytest.raises(ValueError, match="unlucky"):
        next(outcomes)


def test_one_job_is_this_process() -> None:
    """A debugger and a limit of memory reach it."""
    assert set(in_order(process, range(3), 1)) == {os.getpid()}
    assert os.getpid() not in set(in_order(process, range(3), 2))

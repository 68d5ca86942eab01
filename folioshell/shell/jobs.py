"""Work in several processes: the results are those of one process, in the same order.

Used by ``race-sweep`` and by the fuzzer in tests/fuzz.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

#: tasks given to the processes in advance, for each of them: a long one does not keep the others waiting
_AHEAD = 4


def in_order(work: Callable[[Task], Outcome], tasks: Iterable[Task], jobs: int = 1) -> Generator[Outcome, None, None]:
    """The outcome of each task, in the order of the tasks, as soon as it and all before it are known.

    Tasks may be endless: they are taken a few at a time, and no more once the caller stops asking.

    Args:
        work: a function of a module that depends on its argument alone; arguments and outcomes are pickled.
        tasks: its arguments.
        jobs: processes; with 1 all is done in this one.
    Raises:
        Exception: what ``work`` raised; the tasks after that one are discarded.
    """
    if jobs == 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        running: deque[Future[Outcome]] = deque()
        try:
            for task in tasks:
                running.append(pool.submit(work, task))
                if len(running) == _AHEAD * jobs:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

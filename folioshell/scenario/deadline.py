"""The time that a script may take, taken from the clock of the host.

Rules:
- Whatever runs is stopped by a signal, so that nothing has to ask for the time. Where there are no such signals, or in
  a thread that gets none, the time is looked at between commands only.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from time import monotonic

from folioshell.errors import OutOfTime


class Deadline:
    """Time that is used up by what is done within ``running``.

    Args:
        seconds: how much there is; None for as much as is wanted.
    """

    def __init__(self, seconds: int | None) -> None:
        self.seconds = seconds
        self._left = float(seconds or 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Do something for as long as there is time.

        Raises:
            OutOfTime: there is no more.
        """
        if self.seconds is None:
            yield
            return
        if self._left <= 0:
            raise OutOfTime
        begin = monotonic()
        try:
            with _alarm(self._left):
                yield
        finally:
            self._left -= monotonic() - begin


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in so many seconds; an alarm that somebody else waits for comes when it would have come."""
    if not hasattr(signal, "setitimer") or current_thread() is not main_thread():
        yield
        return
    begin = monotonic()
    others, _ = signal.getitimer(signal.ITIMER_REAL)
    if others and others <= seconds:
        yield
        return
    handler = signal.signal(signal.SIGALRM, _ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if others:
            signal.setitimer(signal.ITIMER_REAL, max(others - (monotonic() - begin), 1e-3))


def _ring(*_: object) -> None:
    raise OutOfTime

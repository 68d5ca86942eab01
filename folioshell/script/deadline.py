"""The time limit of a script, on the host's clock.

Rules:
- A signal stops whatever runs, so that no code has to poll the clock. Without such signals, or outside the main thread,
  the clock is checked between commands only.
- It stops our own code or a loaded scheme: a library or a garbage-collector callback would swallow the exception.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from folioshell.errors import OutOfTime

#: seconds between two attempts to stop, and until code is stopped whatever it is
_TICK, _PATIENCE = 0.01, 1.0


class Deadline:
    """A time budget that code within ``running`` uses up.

    Args:
        seconds: the budget; None for no limit.
    """

    def __init__(self, seconds: int | None) -> None:
        self.seconds = seconds
        self._left = float(seconds or 0)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run code within the budget.

        Raises:
            OutOfTime: it is used up.
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
    """Raise OutOfTime after so many seconds; another alarm that is pending goes off when it would have."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    begin = monotonic()
    others, _ = signal.getitimer(signal.ITIMER_REAL)
    if others and others <= seconds:
        yield
        return

    def ring(_: int, frame: FrameType | None) -> None:
        late = monotonic() - begin - seconds
        if _may_be_stopped(frame, late):
            # An exception within __del__ is lost: rearm.
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
            raise OutOfTime
        signal.setitimer(signal.ITIMER_REAL, _TICK)

    try:
        handler = signal.signal(signal.SIGALRM, ring)
    except ValueError:
        # Only the main thread gets signals.
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if others:
            signal.setitimer(signal.ITIMER_REAL, max(others - (monotonic() - begin), 1e-3))


def _may_be_stopped(frame: FrameType | None, late: float) -> bool:
    """Is this our own code, or are we too late to be choosy? Never within this module, which sets up the alarm."""
    name = "" if frame is None else str(frame.f_globals.get("__name__"))
    return name != __name__ and (name.startswith("folioshell") or late > _PATIENCE)

"""The time that a script may take, taken from the clock of the host.

Rules:
- Whatever runs is stopped by a signal, so that nothing has to ask for the time. Where there are no such signals, or in
  a thread that gets none, the time is looked at between commands only.
- It is stopped in code of ours or of a loaded definition: a library, or somebody's callback of the garbage collector,
  would take the exception for its own.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from types import FrameType

from folioshell.errors import OutOfTime

#: seconds between two looks at whose code runs, and until it is stopped whosever it is
_TICK, _PATIENCE = 0.01, 1.0


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
            # Whoever destroys an object throws away what is raised meanwhile: then it comes again.
            signal.setitimer(signal.ITIMER_REAL, _PATIENCE)
            raise OutOfTime
        signal.setitimer(signal.ITIMER_REAL, _TICK)

    try:
        handler = signal.signal(signal.SIGALRM, ring)
    except ValueError:
        # Signals come to the main thread, and this is another.
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
    """Is this a good place for an exception, or has one been waited for long enough? Never while an alarm is set up."""
    name = "" if frame is None else str(frame.f_globals.get("__name__"))
    return name != __name__ and (name.startswith("folioshell") or late > _PATIENCE)

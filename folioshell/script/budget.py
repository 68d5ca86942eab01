"""How long a script may compute and how much memory it may take: all that it causes, showing its output included.

Rules:
- Time is that of the processor, so a busy machine fails no script.
- A signal stops whatever runs, so that no code has to poll the clock. Without such signals, or outside the main thread,
  the clock is checked between commands only.
- It stops our own code or a loaded scheme: a library or a garbage-collector callback would swallow the exception.
- Memory is what the process takes beyond what it has when the script begins. Where the system has no such limit, there
  is none.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from time import process_time
from types import FrameType

from folioshell.errors import OutOfTime, Refused
from folioshell.session.host import Limits, raised_by
from folioshell.wording import counted

#: seconds between two attempts to stop, and until code is stopped whatever it is
_TICK, _PATIENCE = 0.01, 1.0
_MEGABYTE = 1 << 20

#: what code within ``Budget.running`` raises when it exceeds them
EXCEEDED = (OutOfTime, MemoryError)


class Budget:
    """Time and memory that code within ``running`` may take, all together.

    Args:
        limits: ``seconds`` and ``memory`` of them.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._left = float(limits.seconds or 0)
        self._base: int | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run code within the budget.

        Raises:
            OutOfTime: there is no time left.
            MemoryError: there is no memory left.
        """
        with self._memory():
            if self._limits.seconds is None:
                yield
                return
            if self._left <= 0:
                raise OutOfTime
            begin = process_time()
            try:
                with _alarm(self._left):
                    yield
            finally:
                self._left -= process_time() - begin

    def refusal(self, error: BaseException, what: str = "the script") -> Refused:
        """The refusal that one of EXCEEDED becomes."""
        limits = self._limits
        if isinstance(error, OutOfTime):
            text = counted(limits.seconds or 0, "CPU second")
            return Refused(f"{what} exceeds the limit of {text}", hint=raised_by("seconds"))
        if limits.memory is None:
            return Refused(f"{what} needs more memory than there is")
        return Refused(f"{what} exceeds the limit of {limits.memory:,} MB of memory", hint=raised_by("memory"))

    @contextmanager
    def _memory(self) -> Iterator[None]:
        if self._limits.memory is None or (used := _address_space()) is None:
            yield
            return
        # Not on every system; this one has it.
        from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit

        if self._base is None:
            self._base = used
        soft, hard = getrlimit(RLIMIT_AS)
        most = self._base + self._limits.memory * _MEGABYTE
        others = [limit for limit in (soft, hard) if limit != RLIM_INFINITY]
        setrlimit(RLIMIT_AS, (min([most, *others]), hard))
        try:
            yield
        finally:
            setrlimit(RLIMIT_AS, (soft, hard))


def _address_space() -> int | None:
    """Bytes of the process's address space; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 - pathlib would be a tenth of a short script's start
            return int(stream.read().split()[0]) * 4096
    except OSError:
        return None


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTime after so much CPU time; another alarm that is pending goes off when it would have."""
    if not hasattr(signal, "setitimer"):
        yield
        return
    begin = process_time()
    others, _ = signal.getitimer(signal.ITIMER_PROF)
    if others and others <= seconds:
        yield
        return

    def ring(_: int, frame: FrameType | None) -> None:
        late = process_time() - begin - seconds
        if _may_be_stopped(frame, late):
            # An exception within __del__ is lost: rearm.
            signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
            raise OutOfTime
        signal.setitimer(signal.ITIMER_PROF, _TICK)

    try:
        handler = signal.signal(signal.SIGPROF, ring)
    except ValueError:
        # Only the main thread gets signals.
        yield
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        if others:
            signal.setitimer(signal.ITIMER_PROF, max(others - (process_time() - begin), 1e-3))


def _may_be_stopped(frame: FrameType | None, late: float) -> bool:
    """Is this our own code, or are we too late to be choosy? Never within this module, which sets up the alarm."""
    name = "" if frame is None else str(frame.f_globals.get("__name__"))
    return name != __name__ and (name.startswith("folioshell") or late > _PATIENCE)

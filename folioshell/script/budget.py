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
from collections.abc import Callable
from time import process_time
from types import FrameType

from folioshell.errors import OutOfTime, Refused
from folioshell.session.host import Limits, raised_by
from folioshell.wording import counted

#: seconds between two attempts to stop, and until code is stopped whatever it is
_TICK, _PATIENCE = 0.01, 1.0
_MEGABYTE = 1 << 20

#: ``signal.signal()`` without the search of an enum for the handler before, which takes as long as a small command
_set_handler = signal._signal.signal  # type: ignore[attr-defined]  # noqa: SLF001

#: what code within ``Budget.running`` raises when it exceeds them
EXCEEDED = (OutOfTime, MemoryError)


class Budget:
    """Time and memory that code within ``running`` may take, all together.

    Args:
        limits: ``seconds`` and ``memory`` of them.

    Attributes:
        left: seconds that are left.
        base: bytes of the process's address space when code first ran; 0 before, None where the system does not tell.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = float(limits.seconds or 0)
        self.base: int | None = 0

    def running(self) -> Running:
        """A context that runs code within the budget.

        Raises:
            OutOfTime: there is no time left.
            MemoryError: there is no memory left.
        """
        return Running(self)

    def refusal(self, error: BaseException, what: str = "the script") -> Refused:
        """The refusal that one of EXCEEDED becomes."""
        limits = self.limits
        if isinstance(error, OutOfTime):
            text = counted(limits.seconds or 0, "CPU second")
            return Refused(f"{what} exceeds the limit of {text}", hint=raised_by("seconds"))
        if limits.memory is None:
            return Refused(f"{what} needs more memory than there is")
        return Refused(f"{what} exceeds the limit of {limits.memory:,} MB of memory", hint=raised_by("memory"))


class Running:
    """A context that runs code within a budget: a small command is entered and left in a twentieth of its own time."""

    __slots__ = ("_alarm", "_begin", "_budget", "_memory")

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._alarm: _Alarm | None = None

    def __enter__(self) -> None:
        budget = self._budget
        if budget.limits.seconds is not None and budget.left <= 0:
            raise OutOfTime
        self._begin = process_time()
        self._memory = _limited_memory(budget)
        if budget.limits.seconds is not None:
            self._alarm = _Alarm(budget.left)

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Give the time that is left, and the limits before, back."""
        try:
            if self._alarm is not None:
                self._alarm.stop()
        finally:
            self._budget.left -= process_time() - self._begin
            if self._memory is not None:
                # Not on every system; this one has it.
                from resource import RLIMIT_AS, setrlimit

                setrlimit(RLIMIT_AS, self._memory)


class Telling:
    """The same, but what exceeds the budget is passed to ``told``, not raised.

    Args:
        told: takes it.
    """

    __slots__ = ("_running", "_told")

    def __init__(self, budget: Budget, told: Callable[[BaseException], None]) -> None:
        self._running: Running | None = Running(budget)
        self._told = told

    def __enter__(self) -> None:
        try:
            if self._running is not None:
                self._running.__enter__()
        except EXCEEDED as error:
            # Nothing is left, and what follows is short.
            self._running = None
            self._told(error)

    def __exit__(self, _: object, error: BaseException | None, trace: object) -> bool:
        if self._running is not None:
            self._running.leave()
        if isinstance(error, EXCEEDED):
            self._told(error)
            return True
        return False


def _limited_memory(budget: Budget) -> tuple[int, int] | None:
    """Limit the address space of the process; returns the limits before, None where it is not limited."""
    if budget.limits.memory is None or budget.base is None:
        return None
    if not budget.base and (used := _address_space()) != budget.base:
        budget.base = used
    if budget.base is None:
        return None
    from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit, setrlimit

    soft, hard = getrlimit(RLIMIT_AS)
    most = budget.base + budget.limits.memory * _MEGABYTE
    others = [limit for limit in (soft, hard) if limit != RLIM_INFINITY]
    setrlimit(RLIMIT_AS, (min([most, *others]), hard))
    return soft, hard


def _address_space() -> int | None:
    """Bytes of the process's address space; None where the system does not tell."""
    try:
        with open("/proc/self/statm", "rb") as stream:  # noqa: PTH123 - pathlib would be a tenth of a short script's start
            return int(stream.read().split()[0]) * 4096
    except OSError:
        return None


class _Alarm:
    """Raises OutOfTime after so much CPU time, until it is stopped.

    Another alarm that is pending, and the handler before, are as they were when it is stopped.
    """

    __slots__ = ("_begin", "_handler", "_others", "_seconds", "_set")

    def __init__(self, seconds: float) -> None:
        self._begin, self._seconds, self._set = process_time(), seconds, False
        if not hasattr(signal, "setitimer"):
            return
        self._others, _ = signal.getitimer(signal.ITIMER_PROF)
        if self._others and self._others <= seconds:
            return
        try:
            self._handler = _set_handler(signal.SIGPROF, self._ring)
        except ValueError:
            # Only the main thread gets signals.
            return
        self._set = True
        signal.setitimer(signal.ITIMER_PROF, seconds)

    def stop(self) -> None:
        """Let the time pass."""
        if not self._set:
            return
        signal.setitimer(signal.ITIMER_PROF, 0)
        _set_handler(signal.SIGPROF, self._handler)
        if self._others:
            signal.setitimer(signal.ITIMER_PROF, max(self._others - (process_time() - self._begin), 1e-3))

    def _ring(self, _: int, frame: FrameType | None) -> None:
        late = process_time() - self._begin - self._seconds
        if _may_be_stopped(frame, late):
            # An exception within __del__ is lost: rearm.
            signal.setitimer(signal.ITIMER_PROF, _PATIENCE)
            raise OutOfTime
        signal.setitimer(signal.ITIMER_PROF, _TICK)


def _may_be_stopped(frame: FrameType | None, late: float) -> bool:
    """Is this our own code, or are we too late to be choosy? Never within this module, which sets up the alarm."""
    name = "" if frame is None else str(frame.f_globals.get("__name__"))
    return name != __name__ and (name.startswith("folioshell") or late > _PATIENCE)

"""What can go wrong, and for whom the message is.

A failure that Linux itself has (an errno, a signal) is not here: it is a result that a kernel path returns.
"""

from __future__ import annotations

from collections.abc import Sequence


class FolioshellError(Exception):
    """Base of everything that folioshell raises on purpose."""


class Refused(FolioshellError):
    """What was typed cannot be done; nothing was changed.

    Args:
        message: what is wrong, without the place.
        start, end: columns of the offending word in ``text``, half-open, from 0; None when it is the whole line.
        text: the line as typed.
        allowed: what could stand there, in the order in which it should be read.
        hint: the nearest right word, or another way forward.
        file, line: where the line stands, when it was read from a script (line counts from 1).
    """

    def __init__(
        self,
        message: str,
        *,
        start: int | None = None,
        end: int | None = None,
        text: str = "",
        allowed: Sequence[str] = (),
        hint: str = "",
        file: str = "",
        line: int = 0,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.start = start
        self.end = end
        self.text = text
        self.allowed = tuple(allowed)
        self.hint = hint
        self.file = file
        self.line = line


class KernelBug(FolioshellError):
    """An invariant of the model broke: our VM_BUG_ON. Never caught below the shell.

    Args:
        message: the invariant, with the values that break it.
        events: the last events before it, oldest first.
    """

    def __init__(self, message: str, events: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.events = tuple(events)


class SelfDeadlock(FolioshellError):
    """A task wants a page-table lock that it holds: the protocol under test hangs the simulated kernel.

    Args:
        lock: the lock, as a trace names it.
        function: the kernel function that wants it.
        protocol: the protocol under test.
    """

    def __init__(self, lock: str, function: str, protocol: str) -> None:
        super().__init__(f"self-deadlock on {lock}: {function}() wants it, and the same task holds it")
        self.lock = lock
        self.function = function
        self.protocol = protocol


class SchemeError(FolioshellError):
    """A definition that was loaded from a file raised, or answered what is no answer.

    Args:
        scheme: its name.
        asked: what it was told or asked: ``on_mapped`` or ``shared``.
        error: what it raised, with the place in its file.
        event: the event that it was told; None where it was asked.

    Attributes:
        told: the event in words, once somebody who knows the names in it has put it so.
    """

    def __init__(self, scheme: str, asked: str, error: str, event: object = None) -> None:
        super().__init__(f"{scheme}.{asked}(): {error}")
        self.scheme = scheme
        self.asked = asked
        self.error = error
        self.event = event
        self.told = ""

    def __str__(self) -> str:
        return f"{self.args[0]}; it was told: {self.told}" if self.told else str(self.args[0])


class OutOfTime(BaseException):
    """The time that a script may take is over. Like a KeyboardInterrupt, nobody catches it but whoever set the time."""


class DeterminismError(FolioshellError):
    """A replay of typed commands did not lead to the state that it led to before."""


def reason_of(error: Exception) -> str:
    """Why a file of the host could not be read or written, in the words of the system."""
    return str(getattr(error, "strerror", None) or error)

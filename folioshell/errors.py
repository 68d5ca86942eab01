"""The exceptions of folioshell.

A failure of the simulated system call (an errno, a signal) is not among them: a kernel path returns it as a result.
"""

from __future__ import annotations

from collections.abc import Sequence


class FolioshellError(Exception):
    """Base of the exceptions that folioshell raises on purpose."""


class Refused(FolioshellError):
    """A command cannot be executed; nothing was changed.

    Args:
        message: what is wrong, without the place.
        start, end: columns of the offending word in ``text``, half-open, from 0; None for the whole line.
        text: the line as typed.
        allowed: the alternatives, in reading order.
        hint: the nearest right word, or another way forward.
        file, line: place of the line in a script (line counts from 1).
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
    """Recursive locking: a task acquires a page-table lock that it holds, and the simulated kernel deadlocks.

    Args:
        lock: the lock, as a trace names it.
        function: the kernel function that acquires it.
        protocol: the protocol under test.
    """

    def __init__(self, lock: str, function: str, protocol: str) -> None:
        super().__init__(f"recursive locking (AA deadlock) on {lock}: {function}() acquires it, but its task holds it")
        self.lock = lock
        self.function = function
        self.protocol = protocol


class LoadedCodeError(FolioshellError):
    """Code that was loaded from a file failed: the command is discarded, and the state stays as it was."""


class SchemeError(LoadedCodeError):
    """A scheme that was loaded from a file raised, or returned a value of the wrong type.

    Args:
        scheme: its name.
        asked: its method: ``on_mapped`` or ``shared``.
        error: the exception with its place in the file, or the wrong value.
        event: the event that it was called with; None for a question.

    Attributes:
        told: the event in words, filled in where the names in it are known.
    """

    def __init__(self, scheme: str, asked: str, error: str, event: object = None) -> None:
        super().__init__(f"scheme {scheme}, {asked}(): {error}")
        self.scheme = scheme
        self.asked = asked
        self.error = error
        self.event = event
        self.told = ""

    def __str__(self) -> str:
        return f"{self.args[0]}; event: {self.told}" if self.told else str(self.args[0])


class ProtocolError(LoadedCodeError):
    """A protocol that was loaded from a file raised, or broke a rule: a lock never released, steps without end.

    Args:
        protocol: its name.
        call: its method: ``mapped``.
        about: the entries or the folio that it was called for, and the process.
        error: what is wrong, with its place in the file.
    """

    def __init__(self, protocol: str, call: str, about: str, error: str) -> None:
        super().__init__(f"protocol {protocol}, {call}({about}): {error}")
        self.protocol = protocol
        self.call = call
        self.error = error


class OutOfTime(BaseException):
    """The time limit of a script is exceeded. Like KeyboardInterrupt, caught only by the code that set the limit."""


class DeterminismError(FolioshellError):
    """A replay did not lead to the same state as before."""


def reason_of(error: Exception) -> str:
    """Why a file of the host could not be read or written: the system's error text."""
    return str(getattr(error, "strerror", None) or error)

"""Running a script: every command of it, what it printed, and the exit status."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.session.session import Session

PASSED, FAILED, REFUSED = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Played:
    """One thing that happened while a script ran: exactly one of the last four is set.

    Attributes:
        file, line: where, lines from 1.
        text: the line as written.
        prose: Markdown for the reader.
        report: what a command did or answered; a failed ``expect`` is a report too.
        failure: why the script stops here although it could be read (a command failed without ``fails``, or the reverse).
        refused: why the script stops here with status 2.
    """

    file: str
    line: int
    text: str
    prose: str | None = None
    report: Report | None = None
    failure: str | None = None
    refused: Refused | None = None


class Runner:
    """Iterate over it to run the script; then look at the attributes.

    Attributes:
        session: the session that the script runs in; it stays usable afterwards (``-i``).
        status: 0 passed, 1 an expect or a command failed, 2 refused. Final when the iteration has ended.
        steps, expects, failed: numbers of steps done, of expects evaluated, and of those that failed.
    """

    session: Session
    status: int
    steps: int
    expects: int
    failed: int

    def __iter__(self) -> Iterator[Played]:
        raise NotImplementedError


def run_file(
    path: str | Path,
    *,
    session: Session | None = None,
    until: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    confined: bool = True,
) -> Runner:
    """A runner for a script file, ``-`` for standard input; nothing runs until it is iterated over.

    Args:
        session: run in this one instead of a fresh one.
        until: stop when this many steps were done.
        allow_files, allow_code: permit commands that write files, that load code.
        confined: the rules for scripts given to ``run`` (see above, and ``source`` only below the script's folder); False
            for what is typed at the prompt.
    A file that is missing, unreadable or cannot be parsed gives one ``Played`` with ``refused`` and status 2.
    """
    raise NotImplementedError


def run_text(
    text: str,
    *,
    name: str = "-",
    session: Session | None = None,
    until: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
) -> Runner:
    """As ``run_file``, for a script already at hand (``-c``, standard input)."""
    raise NotImplementedError

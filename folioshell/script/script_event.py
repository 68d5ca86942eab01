"""What happens while a script runs, one thing after the other."""

from __future__ import annotations

from typing import NamedTuple

from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script.golden import Compared
from folioshell.session.result import failure_of, is_failure


class ScriptEvent(NamedTuple):
    """One thing that happened while a script ran: exactly one of prose to golden is set.

    Args:
        file, line: where, lines from 1.
        text: the line as written.
        prose: Markdown for the reader.
        report: what a command did or answered; a failed ``expect`` is a report too.
        failure: why the script stops here with status 1: a command failed without ``fails``, or did not under it.
        refused: why the script stops here with status 2.
        golden: the output of the line above, compared with the block below it.
        column: where the command begins, from 1; 0 if it is none.
        reopen: the command that opens the shell where something failed; empty if nothing did, or if no file can be
            run again.
    """

    file: str
    line: int
    text: str
    prose: str | None = None
    report: Report | None = None
    failure: str | None = None
    refused: Refused | None = None
    golden: Compared | None = None
    column: int = 0
    reopen: str = ""


def unexpected(report: Report, expected: str) -> str:
    """Why a step did not end as its script says; empty if it did.

    Args:
        expected: the errno or signal after ``fails``, or empty.
    """
    if report.result is None:
        return f"{expected} expected, it did not come to an end" if expected else ""
    ending = failure_of(report.result)
    if expected:
        return "" if is_failure(report.result, expected) else f"{expected} expected, it ended with {ending or 'ok'}"
    return f"failed with {ending}, which `fails {ending} …` would expect" if ending else ""

"""What failed while a script ran, in the words in which all that run scripts tell it."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.report import Report
from folioshell.script.golden import WIDTH, difference
from folioshell.script.script_event import ScriptEvent
from folioshell.views.answer_view import Place, golden_blocks, stop_blocks
from folioshell.views.blocks import Block
from folioshell.views.plain import render
from folioshell.views.refusal_view import refusal_blocks
from folioshell.views.report_view import plain_lines, report_blocks


def failure_blocks(played: ScriptEvent) -> list[Block]:
    """What is shown of something that failed; nothing if it did not."""
    place = Place(played.file, played.line, played.text, played.reopen)
    if played.refused is not None:
        return refusal_blocks(played.refused, WIDTH)
    if played.failure is not None:
        return list(stop_blocks(played.failure, place, max(played.column - 1, 0)))
    if played.golden is not None and not played.golden.passed:
        # Names are quoted in what failed only.
        from shlex import join

        diff = difference(played.golden.golden.lines, played.golden.actual)
        return list(golden_blocks(diff, place, join(["folioshell", "run", "--update", played.file])))
    if played.report is not None and played.report.failed_expect is not None:
        return report_blocks(played.report, place)
    return []


def failure_text(played: ScriptEvent) -> str:
    """The same as plain text; empty if it did not fail."""
    return render(failure_blocks(played), WIDTH).rstrip()


def golden_lines(reports: Sequence[Report]) -> list[str]:
    """The text of reports as golden blocks hold it."""
    return plain_lines(reports, WIDTH)

"""What a wrong decider does is shown, loudly, and the run goes on."""

from __future__ import annotations

from folioshell.script.runner import run_text
from folioshell.views.plain import render
from folioshell.views.report_view import report_blocks

REUSE = """\
set decide estimated-gt1
set check on
set thp.64K always
mmap buf 16
write buf[0]
fork B
B: munmap buf[0]
expect shared? estimated-gt1 buf[3] == no
expect shared? truth buf[3] == yes
write buf[3]
expect findings == 1
expect same buf[3] B:buf[3]
write buf[4]
set decide mm-id
write buf[5]
expect findings == 0
B: write buf[6]
"""


def test_a_write_that_another_process_sees_is_a_finding() -> None:
    """COW reuse on a wrong "no" is told with folio, page and both processes; right decisions later give none."""
    runner = run_text(REUSE)
    played = list(runner)
    reports = [one.report for one in played if one.report is not None]
    found = {report.command: report.findings for report in reports if report.findings}

    assert runner.status == 0
    assert list(found) == ["write buf[3]", "write buf[4]"]
    assert found["write buf[3]"] == (
        "estimated-gt1 called f1 exclusive to A, so its page 3 is written in place: B will see the write of A",
    )
    text = render(report_blocks(next(report for report in reports if report.command == "write buf[3]")), 200)
    assert text.splitlines()[1].startswith("!!! FINDING: estimated-gt1 called f1 exclusive to A")

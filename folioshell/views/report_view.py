"""A whole report as blocks: the order in which its parts are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.report import Report
from folioshell.views.answer_view import Place, expect_blocks, query_blocks, section_blocks
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.plain import render
from folioshell.views.step_view import folio_blocks, lock_blocks, walk_blocks
from folioshell.views.watch_view import watched_blocks


def report_blocks(report: Report, place: Place | None = None) -> list[Block]:
    """What a report says: the sentence, the failure, findings, what changed, and what was asked.

    Args:
        report: of one command.
        place: where the command stands in a script, which a failed expect tells.
    """
    return list(_parts(report, place))


def plain_lines(reports: Sequence[Report], width: int) -> list[str]:
    """What reports say as plain text, one after another; expects stand together."""
    lines: list[str] = []
    before: Report | None = None
    for report in reports:
        if before is not None and (before.expect is None or report.expect is None):
            lines.append("")
        lines += render(report_blocks(report), width).split("\n")[:-1]
        before = report
    return lines


def _parts(report: Report, place: Place | None) -> Iterator[Block]:
    failure = failure_text(report) if report.failed else ""
    if report.sentence:
        yield line(report.sentence, Tone.BAD if failure else Tone.STRONG)
    if failure and failure not in report.sentence:
        yield Line((Span("failed in the kernel: ", Tone.BAD), Span(failure)))
    for finding in report.findings:
        yield Line((Span("!!! FINDING: ", Tone.LOUD), Span(finding, Tone.BAD)))
    yield from folio_blocks(report.folios)
    yield from walk_blocks(report.walks, titled=report.step is not None or not report.sentence)
    yield from lock_blocks(report.locks)
    if report.query is not None:
        yield from query_blocks(report.query)
    if report.expect is not None:
        yield from expect_blocks(report.expect, place)
    for section in report.sections:
        yield from section_blocks(section)
    yield from watched_blocks(report.watched)


def failure_text(report: Report) -> str:
    """The errno, or which accesses, counted from 0, got which signal; empty if the kernel failed nothing."""
    result = report.result or {}
    if "errno" in result:
        return str(result["errno"])
    return ", ".join(
        f"{signal} at {f'access {first}' if nr == 1 else f'accesses {first}..{first + nr - 1}'}"
        for first, nr, signal in result.get("signals", ())
    )

"""The reproducer: lines that lead whoever reads a mail to what it shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from folioshell.commands.grammar import OUTPUT, VIEW, registry
from folioshell.commands.lex import scan
from folioshell.report import Report
from folioshell.session.session import Session
from folioshell.views.glyphs import visible

_TITLE = "Reproducer (folioshell 1):"
#: topics whose answers are not about what was simulated
_ABOUT_US = ("settings", "session")


def answers(report: Report) -> bool:
    """True if a report answers a question about the simulated kernel."""
    command = registry.commands.get(report.command.partition(" ")[0])
    return report.step is None and command is not None and command.kind == VIEW and command.topic not in _ABOUT_US


def lines_to(session: Session, reports: Sequence[Report]) -> list[str]:
    """The lines that lead from a fresh session to its present state, and ask what was answered just now."""
    asked = [
        f"{report.process}: {report.command}" if report.process != session.process else report.command
        for report in reports
        if answers(report)
    ]
    return [*session.script(), *asked]


def statements(line: str) -> list[str]:
    """The commands of a line as they were typed, without those that only say where output goes."""
    ends = [token.start for token in scan(line) if token.kind == ";"]
    pieces = [line[start + 1 : end].strip() for start, end in pairwise((-1, *ends, len(line)))]
    return [piece for piece in pieces if piece and not _is_about_output(piece)]


def _is_about_output(text: str) -> bool:
    command = registry.commands.get(text.split(maxsplit=1)[0])
    return command is not None and command.kind == OUTPUT


def reproducer(lines: Iterable[str]) -> str:
    """The lines as they stand under a mail, unbroken, lest they cannot be pasted."""
    pieces = [f"  {visible(piece)}" for line in lines for piece in line.strip().split("\n")]
    return "\n".join((_TITLE, *pieces)) + "\n"

"""Showing reports in the mode that is set: on the screen, in the pager, or in the file that `once` named.

Rules:
- json and csv are for programs: nothing but documents and tables is written there. What else must be said goes to the
  error stream; what only a reader needs (empty lines, echoed commands, prose, summaries) is left out.
- A file that cannot be written loses nothing: what was meant for it is shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from folioshell.errors import Refused, reason_of
from folioshell.report import Report, Target
from folioshell.session.session import Session
from folioshell.shell.reproducer import answers, lines_to, reproducer
from folioshell.views.answer_view import Place
from folioshell.views.blocks import Block, Line, Span, Tone, line, preformatted
from folioshell.views.glyphs import visible
from folioshell.views.prose import paragraphs
from folioshell.views.report_view import report_blocks
from folioshell.views.screen import Screen
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.shell.pager import Pager

#: modes that programs read
_FOR_PROGRAMS = ("json", "csv")
#: modes that have no room for errors
_ERRORS_APART = (*_FOR_PROGRAMS, "markdown")
#: modes that a pager suits; what is copied elsewhere is better printed
_PAGED = ("table", "plain")


class Presenter:
    """Shows what happens in a session.

    Args:
        session: its output says the mode.
        screen: where reports go.
        errors: what the modes for programs have no room for.
        pager: None if nobody sits at a terminal.
        asked: somebody asks and is answered: in mode mail each answer has its reproducer.
    """

    def __init__(
        self,
        session: Session,
        screen: Screen,
        errors: Screen,
        *,
        pager: Pager | None = None,
        asked: bool = False,
    ) -> None:
        self.session = session
        self.screen = screen
        self.errors = errors
        self._pager = pager
        self._asked = asked

    @property
    def mode(self) -> str:
        """The mode of what is shown next."""
        return self.session.output.mode

    def show(self, reports: Sequence[Report], place: Place | None = None) -> None:
        """Show the reports of one command; ``place`` is where it stands in a script."""
        target = reports[0].target if reports else None
        if target is not None:
            self._write_file(target, reports, place)
            return
        if self.mode == "csv":
            self._say_remarks(reports, place)
        text = _text(reports, self.mode, self.screen, place, self.screen.has_table)
        self.screen.has_table |= self.mode == "csv" and bool(text)
        if self.mode == "mail" and self._asked and any(map(answers, reports)):
            text += "\n" + reproducer(lines_to(self.session, reports))
        pager = self._pager if self.session.output.pager and self.mode in _PAGED else None
        if pager is None or not pager.show(text):
            self.screen.stream.write(text)

    def write(self, blocks: Sequence[Block]) -> None:
        """Show what only a reader needs; nothing where a program reads."""
        if not self._for_programs:
            self.screen.write(blocks, self.mode)

    def gap(self) -> None:
        """Set what follows apart for a reader."""
        if not self._for_programs:
            self.screen.stream.write("\n")

    def part(self) -> None:
        """Set the answers to the commands of one line apart, where they would flow together."""
        if self.mode == "markdown":
            self.gap()

    def echo(self, texts: Sequence[str]) -> None:
        """Show lines as they would stand behind the prompt."""
        self.write([Line((Span(text, Tone.STRONG),), wraps=False) for text in texts])
        if self.mode == "markdown":
            self.gap()

    def prose(self, lines: Sequence[str]) -> None:
        """Show the prose of a script, which is Markdown already."""
        if self.mode == "markdown":
            self.screen.stream.writelines(f"{text}\n" for text in lines)
        else:
            self.write([preformatted(text) for text in paragraphs(lines)])

    def remark(self, blocks: Sequence[Block]) -> None:
        """Show what must be said and is no report."""
        if not self._for_programs:
            self.screen.write(blocks, self.mode)
        elif blocks:
            self.screen.flush()
            self.errors.write(blocks)
            self.errors.flush()

    def refusal(self, error: Refused) -> None:
        """Show a refusal to whoever typed."""
        self.screen.flush()
        self._for_errors.refusal(error, self.session.step)
        self._for_errors.flush()

    def bug(self, error: Exception, typed: str) -> None:
        """Show what should never happen, and what was typed for it."""
        self.screen.flush()
        self._for_errors.bug(error, self.session.step, typed)
        self._for_errors.flush()

    @property
    def _for_programs(self) -> bool:
        return self.mode in _FOR_PROGRAMS

    @property
    def _for_errors(self) -> Screen:
        return self.errors if self.mode in _ERRORS_APART else self.screen

    def flush(self) -> None:
        """Hand everything written to the system."""
        self.screen.flush()

    def reproduce(self, lines: Iterable[str]) -> None:
        """Show the lines of a run where a mode has them: in mail."""
        if self.mode == "mail":
            self.screen.stream.write("\n" + reproducer(lines))

    def _say_remarks(self, reports: Sequence[Report], place: Place | None) -> None:
        """Say what CSV has no room for."""
        from folioshell.views.csv_view import remark_blocks

        self.remark([block for report in reports for block in remark_blocks(report, place)])

    def _write_file(self, target: Target, reports: Sequence[Report], place: Place | None) -> None:
        mode = target.mode or self.mode
        text = _text(reports, mode, self.screen.paper(), place, False)
        if mode == "mail":
            text += "\n" + reproducer(lines_to(self.session, reports))
        from pathlib import Path

        try:
            Path(target.path).write_text(text, encoding="utf-8", errors="backslashreplace")
        except (OSError, ValueError) as error:
            what = f"cannot write {target.path}: {reason_of(error)}; it is shown instead"
            self.remark([Line((Span("error: ", Tone.BAD), Span(visible(what), Tone.STRONG)))])
            self.show([replace(report, target=None) for report in reports], place)
            return
        if mode == "csv":
            self._say_remarks(reports, place)
        else:
            self.remark([block for report in reports if report.failed_expect for block in report_blocks(report, place)])
        nr = text.count("\n")
        self.remark([line(f"{counted(nr, 'line')} written to {visible(target.path)}.", Tone.DIM)])


def _text(reports: Sequence[Report], mode: str, screen: Screen, place: Place | None, has_table: bool) -> str:
    """The reports of one command in a mode; ``has_table``: a CSV table stands before them already."""
    if mode == "json":
        from folioshell.export.document import document_line

        file, number, _, reopen = place or Place("", 0, "")
        return "".join(
            document_line(report, file=file, line=number, reopen=reopen, ascii_only=not screen.signs)
            for report in reports
        )
    if mode == "csv":
        from folioshell.views.csv_view import csv_tables

        tables = [table for report in reports for table in csv_tables(report)]
        return "\n" * (has_table and bool(tables)) + "\n".join(tables)
    return "\n".join(screen.rendered(report_blocks(report, place), mode) for report in reports)

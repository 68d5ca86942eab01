"""Showing reports in the mode that is set: on the screen, in the pager, or in the file that `once` named.

Rules:
- json and csv are for programs: nothing but documents and tables is written there. What else there is to say goes to
  the error stream, and what only a reader needs (empty lines, echoed commands, prose, summaries) is left out.
- A file that cannot be written loses nothing: what was meant for it is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from folioshell.errors import Refused
from folioshell.report import Report, Target
from folioshell.session.session import Session
from folioshell.shell.pager import Pager
from folioshell.shell.reproducer import answers, reproducer
from folioshell.views.blocks import Block, Tone, line
from folioshell.views.report_view import report_blocks
from folioshell.views.runs import counted
from folioshell.views.screen import Screen

#: modes that programs read
FOR_PROGRAMS = ("json", "csv")
#: modes in which errors stay out of what is shown
_ERRORS_APART = (*FOR_PROGRAMS, "markdown")
#: modes that a pager suits: what is copied elsewhere is better printed
_PAGED = ("table", "plain")


class Place(NamedTuple):
    """Where a command stands in a script; empty for one that was typed."""

    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.file else ""


class Presenter:
    """Shows what happens in a session.

    Args:
        session: its output says the mode.
        screen: where reports go.
        errors: where refusals go in the modes that have no room for them.
        mode: holds whatever the session says; empty if the session may choose.
        pager: for a person at a terminal.
        asked: somebody asks and is answered: in mode mail each answer has its reproducer.
    """

    def __init__(
        self,
        session: Session,
        screen: Screen,
        errors: Screen,
        *,
        mode: str = "",
        pager: Pager | None = None,
        asked: bool = False,
    ) -> None:
        self.session = session
        self.screen = screen
        self.errors = errors
        self._mode = mode
        self._pager = pager
        self._asked = asked
        self._csv = _Csv()

    @property
    def mode(self) -> str:
        """The mode of what is shown next."""
        return self._mode or self.session.output.mode

    @property
    def for_programs(self) -> bool:
        """True if a program reads what is shown."""
        return self.mode in FOR_PROGRAMS

    def show(self, reports: Sequence[Report], place: Place = Place()) -> None:  # noqa: B008 - immutable
        """Show the reports of one command."""
        target = reports[0].target if reports else None
        if target is not None:
            self._write_file(target, reports, place)
            return
        with_script = self._asked and self.mode == "mail" and any(map(answers, reports))
        text = self._text(self.screen, self.mode, reports, place, self._csv, with_script)
        if self._pager is None or not self.session.output.pager or self.mode not in _PAGED:
            self.screen.stream.write(text)
        elif not self._pager.show(text):
            self.screen.stream.write(text)

    def write(self, blocks: Sequence[Block]) -> None:
        """Show what is for a reader alone; nothing where a program reads."""
        if not self.for_programs:
            self.screen.write(blocks, self.mode)

    def prose(self, text: str, blocks: Sequence[Block]) -> None:
        """Show the prose of a script: ``text`` is its Markdown, ``blocks`` the same for any other mode."""
        if self.mode == "markdown":
            self.screen.stream.write(f"{text}\n")
        else:
            self.write(blocks)

    def remark(self, blocks: Sequence[Block]) -> None:
        """Show what must be seen, and is no report."""
        if self.for_programs:
            self._apart(blocks)
        else:
            self.screen.write(blocks, self.mode)

    def refusal(self, error: Refused) -> None:
        """Show a refusal to whoever typed."""
        if self.mode in _ERRORS_APART:
            self.screen.flush()
            self.errors.refusal(error, self.session.step)
            self.errors.flush()
        else:
            self.screen.refusal(error, self.session.step)

    def flush(self) -> None:
        """Hand everything written to the system."""
        self.screen.flush()

    def _apart(self, blocks: Sequence[Block]) -> None:
        if blocks:
            self.screen.flush()
            self.errors.write(blocks)
            self.errors.flush()

    def _text(
        self, screen: Screen, mode: str, reports: Sequence[Report], place: Place, tables: _Csv, with_script: bool
    ) -> str:
        """The reports as text of a mode; what csv has no room for is said at once."""
        if mode == "json":
            from folioshell.export.document import document_line

            ascii_only = not screen.has_signs
            return "".join(
                document_line(report, file=place.file, line=place.line, ascii_only=ascii_only) for report in reports
            )
        if mode == "csv":
            self._say_remarks(reports)
            return tables.text(reports)
        texts = [screen.rendered(report_blocks(report, str(place)), mode) for report in reports]
        if with_script:
            texts.append(reproducer(self.session, reports))
        return "\n".join(texts)

"""Showing reports in the current mode: on the screen, in the pager, or in the file that `once` named.

Rules:
- json and csv are for programs: they get documents and tables only. Remarks go to the error stream; what only a human
  needs (empty lines, echoed commands, prose, summaries) is left out.
- If a file cannot be written, its content is shown instead.
- mail ends with a reproducer: the lines that lead to the answer.
- The pager is for a terminal alone. If it is missing or fails, the text is printed instead. While input is waiting
  there is no pager, which would take it for its own commands. less runs without the commands that write files or
  start programs, and its prompt names the key that ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import TextIO

from folioshell.commands.glossary import Term, lookup, words_in
from folioshell.commands.grammar import OUTPUT, VIEW, registry
from folioshell.commands.lex import scan
from folioshell.errors import Refused, reason_of
from folioshell.records import replace
from folioshell.report import Report, Table, Target
from folioshell.script.script import ScriptEvent
from folioshell.session.session import Session
from folioshell.views.blocks import Block, Line, Span, Tone, line, preformatted
from folioshell.views.glyphs import visible
from folioshell.views.report_view import ScriptPlace, report_blocks
from folioshell.views.screen import Screen, window_of
from folioshell.wording import counted, paragraphs

#: modes for programs
_FOR_PROGRAMS = ("json", "csv")
#: modes whose errors go to the error stream
_ERRORS_APART = (*_FOR_PROGRAMS, "markdown")
#: modes shown in a pager; the others are meant to be copied
_PAGED = ("table", "plain")
#: modes in which terms are explained to a class, and how many at once
_FOR_CLASS, _FEW_TERMS = (*_PAGED, "spoken"), 2
#: default of $LESS: exit if all fits, pass colors on, leave the text on the screen
_LESS = "FRX"
#: what less shows on its last line, in its notation: short, medium and long, so that each of its modes has it
_PROMPT = "?e(end) .Space\\: next page, q\\: back to the prompt"
_PROMPTS = "".join(f"-P{size}{_PROMPT}$" for size in "smM")
#: exit statuses by which a shell says that it cannot run a program
_NOT_FOUND = (126, 127)
#: rows of the prompt and the toolbar
_PROMPT_LINES = 2


def _lists_lessons(reports: Sequence[Report]) -> bool:
    """Is the list of lessons among the answers? Its titles name what lessons are still to explain."""
    tables = (section for report in reports for section in report.sections if isinstance(section, Table))
    return any(table.title == "lessons" for table in tables)


class Presenter:
    """Shows the reports of a session.

    Args:
        session: its output has the mode.
        screen: where reports go.
        errors: where remarks go in the modes for programs.
        pager: None without a terminal.
        asked: interactive use: in mode mail each answer gets its own reproducer.
    """

    def __init__(
        self, session: Session, screen: Screen, errors: Screen, *, pager: Pager | None = None, asked: bool = False
    ) -> None:
        self.session = session
        self.screen = screen
        self.errors = errors
        self._pager = pager
        self._asked = asked
        #: terms of the glossary that were explained to a class
        self._explained: set[str] = set()

    @property
    def mode(self) -> str:
        """The current mode."""
        return self.session.host.output.mode

    def show(self, reports: Sequence[Report], place: ScriptPlace | None = None) -> None:
        """Show the reports of one command; ``place`` is its place in a script."""
        target = reports[0].target if reports else None
        if target is not None:
            self._write_file(target, reports, place)
            return
        if self.mode == "csv":
            self._show_remarks(reports, place)
        text = _text(reports, self.mode, self.screen, place, self.screen.has_table)
        self.screen.has_table |= self.mode == "csv" and bool(text)
        if self.mode == "mail" and self._asked and any(map(answers, reports)):
            text += "\n" + reproducer(lines_to(self.session, reports))
        pager = self._pager if self.session.host.output.pager and self.mode in _PAGED else None
        if pager is None or not pager.show(text):
            self.screen.stream.write(text)
        if self._asked and self.mode in _FOR_CLASS and not _lists_lessons(reports):
            self.write([line(term.short, Tone.DIM) for term in self._new_terms(text)])

    def _new_terms(self, text: str) -> list[Term]:
        """The terms that a class reads for the first time: a few of them, unless its lesson has introduced them."""
        session = self.session
        if session.settings.audience_of(session.workspace.kernel) != "class":
            return []
        lesson = int(session.teacher.name or 0) if session.teacher is not None else 0
        found: dict[str, Term] = {}
        for use in words_in(text):
            term = lookup(use.name)[0] if use.lesson and use.lesson > lesson else None
            if term is not None and term.term not in self._explained:
                found[term.term] = term
        few = list(found.values())[:_FEW_TERMS]
        self._explained |= {term.term for term in few}
        return few

    def write(self, blocks: Sequence[Block]) -> None:
        """Show what only a human needs; nothing in the modes for programs."""
        if not self._for_programs:
            self.screen.write(blocks, self.mode)

    def gap(self) -> None:
        """Write an empty line, unless a program reads."""
        if not self._for_programs:
            self.screen.stream.write("\n")

    def part(self) -> None:
        """Separate the answers to the commands of one line where they would run together."""
        if self.mode == "markdown":
            self.gap()

    def echo(self, texts: Sequence[str]) -> None:
        """Show lines of input."""
        self.write([Line((Span(text, Tone.STRONG),), wraps=False) for text in texts])
        if self.mode == "markdown":
            self.gap()

    def prose(self, lines: Sequence[str]) -> None:
        """Show the prose of a script, which is Markdown."""
        if self.mode == "markdown":
            self.screen.stream.writelines(f"{text}\n" for text in lines)
        else:
            self.write([preformatted(text) for text in paragraphs(lines)])

    def show_text(self, event: ScriptEvent) -> None:
        """Show a line of prose, or a comment, of a script as a document of its own."""
        from folioshell.export.document import text_line

        kind, text = ("comment", event.comment) if event.prose is None else ("prose", event.prose)
        if self.mode == "json":
            self.screen.stream.write(text_line(kind, text or "", event.file, event.line, not self.screen.signs))

    def remark(self, blocks: Sequence[Block]) -> None:
        """Show a message that is no report."""
        if not self._for_programs:
            self.screen.write(blocks, self.mode)
        elif blocks:
            self.screen.flush()
            self.errors.write(blocks)
            self.errors.flush()

    def refusal(self, error: Refused) -> None:
        """Show a refusal."""
        self.screen.flush()
        self._for_errors.refusal(error, self.session.step, self._error_mode)
        self._for_errors.flush()

    def bug(self, error: Exception, typed: str) -> None:
        """Show an internal error, and the input that led to it."""
        self.screen.flush()
        self._for_errors.bug(error, self.session.step, typed, self._error_mode)
        self._for_errors.flush()

    @property
    def _for_programs(self) -> bool:
        return self.mode in _FOR_PROGRAMS

    @property
    def _for_errors(self) -> Screen:
        return self.errors if self.mode in _ERRORS_APART else self.screen

    @property
    def _error_mode(self) -> str:
        """Errors are spoken where all else is, and only there; in the other modes they have the form of the stream."""
        return "spoken" if self.mode == "spoken" else "plain" if self.screen.spoken else ""

    def flush(self) -> None:
        """Flush the output."""
        self.screen.flush()

    def reproduce(self, lines: Iterable[str]) -> None:
        """In mode mail, end a run with the lines that reproduce it."""
        if self.mode == "mail":
            self.screen.stream.write("\n" + reproducer(lines))

    def _show_remarks(self, reports: Sequence[Report], place: ScriptPlace | None) -> None:
        """Show what reports say besides their tables."""
        from folioshell.views.csv_view import remark_blocks

        self.remark([block for report in reports for block in remark_blocks(report, place)])

    def _write_file(self, target: Target, reports: Sequence[Report], place: ScriptPlace | None) -> None:
        mode = target.mode or self.mode
        text = _text(reports, mode, self.screen.paper(), place, False)
        if mode == "mail":
            text += "\n" + reproducer(lines_to(self.session, reports))
        from folioshell.script.files import write_file

        try:
            write_file(target.path, text.encode("utf-8", "backslashreplace"))
        except (OSError, ValueError) as error:
            what = f"cannot write {target.path}: {reason_of(error)}; shown here instead"
            self.remark([Line((Span("error: ", Tone.BAD), Span(visible(what), Tone.STRONG)))])
            self.show([replace(report, target=None) for report in reports], place)
            return
        if mode == "csv":
            self._show_remarks(reports, place)
        else:
            self.remark([block for report in reports if report.failed_expect for block in report_blocks(report, place)])
        nr = text.count("\n")
        self.remark([line(f"{counted(nr, 'line')} written to {visible(target.path)}.", Tone.DIM)])


def _text(reports: Sequence[Report], mode: str, screen: Screen, place: ScriptPlace | None, has_table: bool) -> str:
    """The reports of one command in a mode; ``has_table``: they follow a CSV table."""
    if mode == "json":
        from folioshell.export.document import document_line

        at = place or ScriptPlace("", 0, "")
        return "".join(
            document_line(report, at.file, at.line, at.reopen, at.comment, ascii_only=not screen.signs)
            for report in reports
        )
    if mode == "csv":
        from folioshell.views.csv_view import csv_tables

        tables = [table for report in reports for table in csv_tables(report)]
        return "\n" * (has_table and bool(tables)) + "\n".join(tables)
    return "\n".join(screen.rendered(report_blocks(report, place), mode) for report in reports)


_TITLE = "Reproducer (folioshell 1):"
#: topics whose answers are not about the simulated kernel
_ABOUT_US = ("settings", "session", "class")


def answers(report: Report) -> bool:
    """True if a report answers a question about the simulated kernel."""
    command = registry.commands.get(report.command.partition(" ")[0])
    return report.step is None and command is not None and command.kind == VIEW and command.topic not in _ABOUT_US


def lines_to(session: Session, reports: Sequence[Report]) -> list[str]:
    """The lines that lead from a fresh session to its current state, and the questions just answered."""
    asked = [
        f"{report.process}: {report.command}" if report.process != session.process else report.command
        for report in reports
        if answers(report)
    ]
    return [*session.script(), *asked]


def statements(line: str) -> list[str]:
    """The commands of a line as typed, without those that only direct output."""
    ends = [token.start for token in scan(line) if token.kind == ";"]
    pieces = [line[start + 1 : end].strip() for start, end in pairwise((-1, *ends, len(line)))]
    return [piece for piece in pieces if piece and not _is_about_output(piece)]


def _is_about_output(text: str) -> bool:
    command = registry.commands.get(text.split(maxsplit=1)[0])
    return command is not None and command.kind == OUTPUT


def reproducer(lines: Iterable[str]) -> str:
    """The lines as they stand below a mail, not wrapped, so that they can be pasted."""
    pieces = [f"  {visible(piece)}" for line in lines for piece in line.strip().split("\n")]
    return "\n".join((_TITLE, *pieces)) + "\n"


# The pager.


def pager_command(environ: Mapping[str, str]) -> list[str]:
    """The pager and its arguments: $FOLIOSHELL_PAGER, else $PAGER, else less; empty for none.

    A variable that is empty, ``cat``, or not valid shell syntax means no pager.
    """
    import shlex
    import shutil

    wanted = environ.get("FOLIOSHELL_PAGER", environ.get("PAGER", "less"))
    try:
        words = shlex.split(wanted)
    except ValueError:
        return []
    if not words or words == ["cat"] or shutil.which(words[0], path=environ.get("PATH")) is None:
        return []
    return [*words, "-R"] if words == ["less"] else words


class Pager:
    """Shows long text on a terminal.

    Args:
        environ: names the pager.
        stream: the terminal.
        waiting: was more typed than has been read?
    """

    def __init__(self, environ: Mapping[str, str], stream: TextIO, waiting: Callable[[], bool] = lambda: False) -> None:
        self._environ = environ
        self._stream = stream
        self._waiting = waiting

    def show(self, text: str) -> bool:
        """Show ``text`` in the pager; False if it fits on the screen, if there is no pager, or if input is waiting."""
        if self._fits(text) or self._waiting():
            return False
        command = pager_command(self._environ)
        return bool(command) and self._run(command, text)

    def _fits(self, text: str) -> bool:
        rows = window_of(self._stream).lines
        return rows == 0 or text.count("\n") <= max(rows - _PROMPT_LINES, 1)

    def _run(self, command: list[str], text: str) -> bool:
        import signal
        import subprocess

        self._stream.flush()
        # Options of the user come later and win.
        environ = {**self._environ, "LESSSECURE": "1", "LESS": f"{_PROMPTS} {self._environ.get('LESS', _LESS)}"}
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
        except OSError:
            return False
        assert process.stdin is not None
        # Ctrl-C belongs to the pager, which was started before we ignore it here.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.communicate(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        finally:
            signal.signal(signal.SIGINT, before)
        return process.returncode not in _NOT_FOUND

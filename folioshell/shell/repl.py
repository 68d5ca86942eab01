"""The interactive shell: read, execute, show, until ``quit`` or the end of input."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from select import select
from typing import TYPE_CHECKING, Protocol, TextIO

from folioshell import __version__
from folioshell.commands.lex import LogicalLine, is_open, logical_lines, unquoted
from folioshell.engine.machine import Uncollected
from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script.runner import FAILED, Runner
from folioshell.script.script import unexpected
from folioshell.session.history import expected_failure
from folioshell.session.session import Session
from folioshell.shell.presenter import Pager, Presenter
from folioshell.views.blocks import Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen, waited_for, warm_up
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.shell.crash_log import CrashLog

#: what messages call several lines that were typed or pasted at once
PASTED = "pasted"
#: shown above the first prompt on a terminal
GREETING = f"folioshell {__version__}. Type `help` for the list of commands, Tab to complete, `quit` to exit."

#: opens the crash log of a session in a folder; returns it, and messages for the user
Start = Callable[[Session, Path | None], tuple["CrashLog", list[str]]]


class LineReader(Protocol):
    """A source of typed lines."""

    def read(self, prompt: str) -> str:
        """The next line, or several that were pasted at once or that braces hold together.

        Raises:
            EOFError: the end of input.
            KeyboardInterrupt: the line was discarded.
        """
        ...

    def keep(self, text: str) -> bool:
        """Put text where the user can recall it; False if there is no such place."""
        ...

    def offer(self, text: str) -> bool:
        """Put text into the next input line, to be changed or entered; False if there is no such place."""
        ...

    def warn(self, text: str) -> None:
        """Show a warning with each prompt from now on; none if it is empty."""
        ...

    def waiting(self) -> bool:
        """Was more typed than has been read?"""
        ...


def has_input(stream: TextIO | int) -> bool:
    """Can something be read from a terminal, or from its descriptor, at once?"""
    try:
        return bool(select([stream], [], [], 0)[0])
    except (OSError, ValueError):
        return False


class DumbReader:
    """Reads from a terminal that can only print: no color, no menus, no repainting."""

    def __init__(self) -> None:
        self._warned = ""

    def read(self, prompt: str) -> str:
        """The next line, and those that follow while a brace is open; see LineReader."""
        try:
            text = input(prompt)
            while is_open(text):
                text += "\n" + input("... ".rjust(len(prompt)))
        except (EOFError, KeyboardInterrupt):
            # The terminal left the cursor after the prompt.
            sys.stdout.write("\n")
            raise
        return text

    def keep(self, text: str) -> bool:
        """There is no place to recall lines from; see LineReader."""
        return False

    def offer(self, text: str) -> bool:
        """Nothing can be put into the input line; see LineReader."""
        return False

    def warn(self, text: str) -> None:
        """Print a warning once; see LineReader."""
        if text and text != self._warned:
            sys.stdout.write(f"{text}\n")
        self._warned = text

    def waiting(self) -> bool:
        """See LineReader."""
        return has_input(sys.stdin)


class LoggedReader:
    """Writes input to the crash log before it is executed.

    Args:
        reader: reads it.
        log: the crash log.
    """

    def __init__(self, reader: LineReader, log: CrashLog) -> None:
        self._reader = reader
        self._log = log

    def read(self, prompt: str) -> str:
        """See LineReader."""
        self._log.end()
        self._log.retry()
        self._reader.warn(f"crash log not written: {self._log.problem}" if self._log.problem else "")
        text = self._reader.read(prompt)
        self._log.begin(text)
        return text

    def keep(self, text: str) -> bool:
        """See LineReader."""
        return self._reader.keep(text)

    def offer(self, text: str) -> bool:
        """See LineReader."""
        return self._reader.offer(text)

    def warn(self, text: str) -> None:
        """See LineReader."""
        self._reader.warn(text)

    def waiting(self) -> bool:
        """See LineReader."""
        return self._reader.waiting()


class Repl:
    """A read-execute-show loop.

    Args:
        session: executes the lines.
        screen: shows what they did.
        reader: reads the lines.
        errors: where refusals go in the modes that have no room for them; default: the screen.
        pager: shows what does not fit on the screen; None for no pager.
    """

    def __init__(
        self,
        session: Session,
        screen: Screen,
        reader: LineReader,
        *,
        errors: Screen | None = None,
        pager: Pager | None = None,
    ) -> None:
        self.session = session
        self.presenter = Presenter(session, screen, errors or screen, pager=pager, asked=True)
        self.reader = reader

    def run(self) -> int:
        """Run until ``quit`` or the end of input; returns the exit status."""
        while not self.session.finished:
            try:
                text = self.reader.read(f"{self.session.prompt} ")
            except KeyboardInterrupt:
                continue
            except EOFError:
                break
            self.execute(text)
        return 0

    def execute(self, text: str) -> None:
        """Execute one input: a line, or several as a script. What is quoted from a mail is read without its ``>``."""
        text = unquoted(text.replace("\r\n", "\n").replace("\r", "\n"))
        lines = [typed for typed in logical_lines(text) if typed.text.strip()]
        if len(lines) > 1:
            self._execute_script(text)
        elif lines or self.session.teacher is not None:
            typed = lines[0] if lines else LogicalLine(1, "", "")
            self._completes(typed.raw, lambda: self._execute_line(typed))
        offered, self.session.host.output.offered = self.session.host.output.offered, ""
        if offered and not self.reader.offer(offered):
            # Not wrapped, so that it can be copied.
            self.presenter.write([Line((Span(offered),), wraps=False)])
        self.presenter.flush()

    def _execute_line(self, typed: LogicalLine) -> None:
        answered = False
        try:
            for reports in waited_for(self.session.stream(typed.text), self.session, self.presenter.screen):
                if answered:
                    self.presenter.part()
                answered = True
                self.presenter.show(reports)
                self._check_expected(reports)
                self.presenter.flush()
            if answered:
                self.presenter.gap()
        except Refused as error:
            self.presenter.refusal(typed.located(error))

    def _check_expected(self, reports: Sequence[Report]) -> None:
        """Report a command under ``fails`` that did not fail as expected."""
        for report in reports:
            expected, _ = expected_failure(report.command, self.session.profile)
            if expected and (failure := unexpected(report, expected)):
                self.presenter.remark([line(failure, Tone.BAD)])

    def _execute_script(self, text: str) -> None:
        """Run lines as a script: all are parsed first, and a refusal or an unexpected failure stops them."""
        from folioshell.shell.replay import Replay

        access, limits = self.session.host.access, self.session.host.limits
        runner = Runner(PASTED, text, self.session, access, limits=limits, typed=True)
        replay = Replay(self.presenter.screen, self.presenter.errors, echo=True, quiet=False, summary=False)
        if not self._completes(text, lambda: replay.run(runner, PASTED)) or runner.stopped:
            self._keep_rest(text.rstrip("\n").split("\n"), runner)
        self.presenter.gap()

    def _keep_rest(self, rows: list[str], runner: Runner) -> None:
        """Say at which line the input stopped, and keep the lines that did not run."""
        if not runner.line:
            text = f"none of these {len(rows)} lines was executed"
            left = rows
        else:
            # A line that failed in the kernel was executed; one that was refused or interrupted was not.
            failed = runner.stopped and runner.status == FAILED
            left = rows[runner.line - (not failed) :]
            text = f"stopped at line {runner.line} of {len(rows)}; {counted(len(left), 'line')} not executed"
        if self.session.finished or not any(row.strip() for row in left):
            return
        if self.reader.keep("\n".join(left)):
            text += " (press Up to recall)"
        self.presenter.remark([line(f"note: {text}", Tone.DIM)])

    def _completes(self, typed: str, act: Callable[[], object]) -> bool:
        """Call ``act``; an error is shown and the session continues. Returns whether it completed."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - an internal error must not end the session
            self.presenter.bug(error, typed)
        except KeyboardInterrupt:
            step = self.session.step
            if self.session.is_cut_off:
                text = f"interrupted, and rollback too; the next command first completes the rollback to step {step}"
            else:
                text = f"interrupted; rolled back to step {step}"
            self.presenter.remark([line(text, Tone.BAD)])
        else:
            return True
        return False


def interact(session: Session, screen: Screen, errors: Screen, start: Start | None = None, *, first: str = "") -> int:
    """Run the shell at a terminal; returns the exit status.

    Args:
        start: ``crash_log.begin`` (default) or ``crash_log.resume``.
        first: a command that is executed before the first prompt.
    Raises:
        Refused: there is nothing to resume.
    """
    from folioshell.script.files import state_folder
    from folioshell.shell.crash_log import FOLDER, begin

    reader: LineReader = DumbReader()
    if screen.rich:
        with Uncollected():
            from folioshell.shell.prompt import PromptReader

            reader = PromptReader(session, when_idle=_warm_up)
            # All that lives as long as the program: no collection needs to look at it again.
            gc.freeze()
    session.host.output.pager, session.host.output.fixed = screen.rich, False
    pager = Pager(os.environ, screen.stream, reader.waiting) if screen.stream.isatty() else None
    state = state_folder(os.environ)
    folder = state / FOLDER if state else None
    [(log, messages)] = waited_for((first(session, folder) for first in (start or begin,)), session, screen)
    session.host.state = str(state or "")
    if screen.stream.isatty() and start is None and not session.step and not first:
        screen.write_dim(GREETING)
    if messages:
        screen.write([line(visible(text)) for text in messages])
    repl = Repl(session, screen, LoggedReader(reader, log), errors=errors, pager=pager)
    if first:
        repl.execute(first)
    status = repl.run()
    log.remove()
    return status


def _warm_up() -> None:
    from threading import Thread

    Thread(target=warm_up).start()

"""The shell's turn: read, execute, show; nothing that is typed ends it but ``quit`` and the end of input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from folioshell.commands.lines import LogicalLine, logical_lines
from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script.runner import FAILED, Runner
from folioshell.script.script_event import unexpected
from folioshell.session.result import expected_failure
from folioshell.session.session import Session
from folioshell.shell.presenter import Presenter
from folioshell.shell.reader import Reader
from folioshell.shell.waiting import waited_for
from folioshell.views.blocks import Tone, line
from folioshell.views.screen import Screen
from folioshell.wording import counted

#: what messages call several lines that were typed or pasted at once
PASTED = "pasted"

if TYPE_CHECKING:
    from folioshell.shell.pager import Pager


class Repl:
    """A session that a person talks to.

    Args:
        session: executes the lines.
        screen: shows what they did.
        reader: brings the lines.
        errors: where refusals go in the modes that have no room for them; the screen, unless said.
        pager: shows what does not fit on the screen; None if nothing does.
    """

    def __init__(
        self,
        session: Session,
        screen: Screen,
        reader: Reader,
        *,
        errors: Screen | None = None,
        pager: Pager | None = None,
    ) -> None:
        self.session = session
        self.presenter = Presenter(session, screen, errors or screen, pager=pager, asked=True)
        self.reader = reader

    def run(self) -> int:
        """Talk until ``quit`` or the end of input; returns the exit status."""
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
        """Run what was typed: a line, or several as a script is run."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines = [typed for typed in logical_lines(text) if typed.text.strip()]
        if len(lines) > 1:
            self._execute_script(text)
        elif lines:
            typed = lines[0]
            self._survives(typed.raw, lambda: self._execute_line(typed))
        self.presenter.flush()

    def _execute_line(self, typed: LogicalLine) -> None:
        answered = False
        try:
            for reports in waited_for(self.session.stream(typed.text), self.session, self.presenter.screen):
                if answered:
                    self.presenter.part()
                answered = True
                self.presenter.show(reports)
                self._judge(reports)
                self.presenter.flush()
            if answered:
                self.presenter.gap()
        except Refused as error:
            self.presenter.refusal(typed.located(error))

    def _judge(self, reports: Sequence[Report]) -> None:
        """Say it if a command did not fail as ``fails`` expected_failure."""
        for report in reports:
            expected, _ = expected_failure(report.command)
            if expected and (failure := unexpected(report, expected)):
                self.presenter.remark([line(failure, Tone.BAD)])

    def _execute_script(self, text: str) -> None:
        """Run lines as a script is run: all are read first, and what is refused or fails unforeseen ends them."""
        from folioshell.shell.replay import Replay

        runner = Runner(PASTED, text, self.session, None, self.session.access, limits=self.session.limits)
        replay = Replay(self.presenter.screen, self.presenter.errors, echo=True, quiet=False, summary=False)
        if not self._survives(text, lambda: replay.run(runner, PASTED)) or runner.stopped:
            self._keep_rest(text.rstrip("\n").split("\n"), runner)
        self.presenter.gap()

    def _keep_rest(self, rows: list[str], runner: Runner) -> None:
        """Say where lines ended before their end, and keep those that were not run."""
        if not runner.line:
            text = f"nothing of these {len(rows)} lines was run"
            left = rows
        else:
            # A line that failed in the kernel was run, one that was refused or interrupted was not.
            failed = runner.stopped and runner.status == FAILED
            left = rows[runner.line - (not failed) :]
            text = f"stopped at line {runner.line} of {len(rows)}; {counted(len(left), 'line')} not run"
        if self.session.finished or not any(row.strip() for row in left):
            return
        if self.reader.keep("\n".join(left)):
            text += ": the up arrow brings them back"
        self.presenter.remark([line(f"note: {text}", Tone.DIM)])

    def _survives(self, typed: str, act: Callable[[], object]) -> bool:
        """Do something; whatever becomes of it is shown, and the session goes on.

        Returns: whether it came to its end.
        """
        try:
            act()
        except Exception as error:  # noqa: BLE001 - a bug of ours must not end the session
            self.presenter.bug(error, typed)
        except KeyboardInterrupt:
            step = self.session.step
            if self.session.is_cut_off:
                text = f"interrupted on the way back, too; the next command goes back to step {step} first"
            else:
                text = f"interrupted; the state is that of step {step}"
            self.presenter.remark([line(text, Tone.BAD)])
        else:
            return True
        return False

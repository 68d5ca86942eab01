"""The shell's turn: read, execute, show; nothing that is typed ends it but ``quit`` and the end of input."""

from __future__ import annotations

from folioshell.errors import Refused
from folioshell.session.session import Session
from folioshell.shell.pager import Pager
from folioshell.shell.presenter import Presenter
from folioshell.shell.reader import Reader
from folioshell.shell.waiting import waited_for
from folioshell.views.blocks import Tone, line
from folioshell.views.screen import Screen


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
        """Run lines; the first one that is refused ends what was pasted with it."""
        for typed in text.splitlines():
            if self.session.finished or not self._execute_line(typed):
                break
        self.presenter.flush()

    def _execute_line(self, typed: str) -> bool:
        try:
            for reports in waited_for(self.session.batches(typed), self.session, self.presenter.screen):
                self.presenter.show(reports)
                self.presenter.gap()
                self.presenter.flush()
        except Refused as error:
            self.presenter.refusal(error)
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

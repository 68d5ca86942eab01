"""A shell that does not forgive itself: what it would tell as a bug is raised, and what it prints is looked at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO, TextIOWrapper
from random import Random

from prompt_toolkit.document import Document

from folioshell.commands.complete import complete, hint
from folioshell.commands.lex import line_before
from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script import Session
from folioshell.session.host import Access, Limits
from folioshell.session.workspace import Workspace
from folioshell.shell.highlight import CommandLexer
from folioshell.shell.presenter import Presenter
from folioshell.shell.prompt import hint_pieces, state_text
from folioshell.shell.repl import Repl
from folioshell.views.glyphs import visible
from folioshell.views.report_view import ScriptPlace
from folioshell.views.screen import Screen
from tests.fingerprint import fingerprint
from tests.fuzz import hostile
from tests.fuzz.lines import SCENARIOS

LIMITS = Limits(pages=3000, files=5000, processes=8, steps=200, states=100)
#: modes of sessions; most of what people see is plain
_MODES = ("plain", "plain", "plain", "plain", "table", "json", "json", "csv", "markdown", "mail")
_WIDTHS = (24, 72, 80, 100, 238)


class StrictPresenter(Presenter):
    """Raises where a shell says that it has a bug; a refusal must leave everything as it was.

    Args:
        session: what is shown.
        screen: where everything goes.
    """

    def __init__(self, session: Session, screen: Screen) -> None:
        super().__init__(session, screen, screen, asked=True)
        self.shown = 0
        self._thorough = False
        self._before = ("", "")

    def begin(self, thorough: bool) -> None:
        """Something is going to be typed; ``thorough``: the whole state is compared if it is refused."""
        self._thorough = thorough
        self._before = self._state()

    def _state(self) -> tuple[str, str]:
        session = self.session
        compares = self._thorough and session.spawned is None
        return session.prompt, fingerprint(session.workspace.machine) if compares else ""

    def show(self, reports: Sequence[Report], place: ScriptPlace | None = None) -> None:
        """Show a report, and remember the state that it left."""
        super().show(reports, place)
        most = self.session.host.limits.states
        for report in reports:
            states = report.extra.get("race", {}).get("states", 0) if report.extra else 0
            assert most is None or states <= most, f"{states} states, at most {most} allowed"
        self.shown += 1
        self.begin(self._thorough)

    def refusal(self, error: Refused) -> None:
        """Show a refusal; nothing has changed since the last report, unless a script was read up to there."""
        super().refusal(error)
        assert error.file or self._state() == self._before, "a refusal changed something"

    def bug(self, error: Exception, typed: str) -> None:
        """There is none to be shown here."""
        raise error


class _Silent:
    """Nobody types: lines are handed to the shell."""

    def read(self, prompt: str) -> str:
        raise EOFError

    def waiting(self) -> bool:
        """See LineReader."""
        return False

    def warn(self, text: str) -> None:
        pass

    def keep(self, text: str) -> bool:
        return True


class StrictShell:
    """A shell in which lines are typed, on a screen that is drawn by lot.

    Args:
        seed: of the lot.

    Attributes:
        session: what is typed at; see ``fresh_session``.
        screen: where it is shown.
        notes: the lines that lead where it is, as a shell that crashes leaves them.
    """

    def __init__(self, seed: str) -> None:
        random = Random(f"screen {seed}")
        self._seed = seed
        self.notes: list[str] = []
        self._folder = random.choice(("class", "mail", "schemes"))
        self._limits = hostile.limits(Random(f"limits {seed}"), LIMITS)
        self.session = fresh_session(self._folder, self._limits)
        self.session.note = self.notes.append
        self.session.host.output.mode = random.choice(_MODES)
        self._paper = BytesIO()
        self.screen = drawn_screen(self._paper, random)
        self._repl = Repl(self.session, self.screen, _Silent())
        self._presenter = StrictPresenter(self.session, self.screen)
        self._repl.presenter = self._presenter

    def type(self, text: str) -> int:
        """Do with a text what a shell does: colour it, help with it, run it, show what came of it.

        Returns how many of its commands were run.
        """
        # What happens does not depend on the lines before this one that are left out to find the shortest way to it.
        random = Random(f"{self._seed} {text!r}")
        session = self.session
        styled = CommandLexer().lex_document(Document(text))
        pieces = [piece[1] for row in range(text.count("\n") + 1) for piece in styled(row)]
        assert "".join(pieces) == text.replace("\n", ""), "colour changes what is typed"
        before = line_before(text[: random.randrange(len(text) + 1)])
        complete(session, before, len(before))
        if told := hint(session, before, len(before)):
            hint_pieces(told, random.choice(_WIDTHS))
        state_text(session, random.choice(_WIDTHS))
        shown, mode = self._presenter.shown, session.host.output.mode
        self._presenter.begin(thorough=random.random() < 0.03)
        self._repl.execute(text)
        check_printed(printed(self._paper, self.screen), mode if mode == session.host.output.mode else "")
        return self._presenter.shown - shown

    def check(self) -> None:
        """What must be so after any lines: no invariant is broken, and every way back leads to the same state."""
        session, random = self.session, Random(f"check {self._seed}")
        if session.spawned is not None:
            return
        if session.is_cut_off:
            session.go_to(session.step)
        assert session.workspace.machine.check() == []
        here, runs, traced = _state(session), folio_runs(session.workspace), _trace(session)
        replayed = session.replay(session.step)
        assert fingerprint(replayed.machine) == here[1], "a replay leads elsewhere"
        assert folio_runs(replayed) == runs, "a replay keeps folios in other runs"
        if random.random() < 0.3:
            step = session.step
            session.go_to(random.randrange(len(session.history.entries) + 1))
            session.go_to(step)
            assert _state(session) == here, "the way back and forth leads elsewhere"
            assert folio_runs(session.workspace) == runs, "the way back and forth keeps folios in other runs"
            assert _trace(session) == traced, "the way back and forth leads to another trace"
        if random.random() < 0.2:
            again = _typed_again(session.script(), self._folder, self._limits)
            assert _state(again) == here, "what `save` writes leads elsewhere"
        if random.random() < 0.2:
            again = _typed_again(self.notes, self._folder, self._limits)
            assert _state(again) == here, "the notes of a shell lead elsewhere"
            assert again.script() == session.script(), "the notes of a shell show something else"


def fresh_session(folder: str = "class", limits: Limits = LIMITS) -> Session:
    """A session that may read the shipped scripts of a folder, and touch nothing else outside it."""
    session = Session()
    session.host.limits = limits
    place = str(SCENARIOS / folder)
    session.host.access = Access(place, True, place, may_write=False, may_load=False)
    return session


def _state(session: Session) -> tuple[str, str]:
    # Not the prompt: a lesson is none of the state, and its prompt is another.
    return f"{session.process} {session.step}", fingerprint(session.workspace.machine)


def folio_runs(workspace: Workspace) -> list[tuple[int, int]]:
    """How a state keeps its folios: the first number of each run, and how many it has."""
    return [(first.id, nr) for first, nr in workspace.kernel.folios.groups()]


def _trace(session: Session) -> list[Report]:
    """The events of the last step; a session without steps has none."""
    return session.execute("trace events") if session.step else []


def _typed_again(lines: Sequence[str], folder: str, limits: Limits) -> Session:
    session = fresh_session(folder, limits)
    for line in lines:
        session.execute(line)
    return session


def drawn_screen(paper: BytesIO, random: Random) -> Screen:
    """A screen of some width and encoding that writes on paper."""
    encoding = random.choice(("utf-8", "utf-8", "utf-8", "ascii", "latin-1"))
    stream = TextIOWrapper(paper, encoding=encoding, errors="backslashreplace", newline="\n")
    return Screen(stream, rich=False, width=random.choice(_WIDTHS), spoken=random.random() < 0.2)


def printed(paper: BytesIO, screen: Screen) -> str:
    """What a screen wrote on paper, which is empty again then."""
    text = paper.getvalue().decode(screen.stream.encoding)
    paper.seek(0)
    paper.truncate()
    return text


def check_printed(text: str, mode: str) -> None:
    """No character reaches a terminal that could do something there, and documents can be read.

    Args:
        text: what was printed.
        mode: the mode that it was printed in, if one and no other.
    """
    shown = text.replace("\n", "")
    assert visible(shown) == shown, "what is printed would do something to a terminal"
    if mode == "json":
        for row in text.split("\n"):
            if row.startswith("{"):
                json.loads(row)

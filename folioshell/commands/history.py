"""undo, redo, goto, mark, branch, history, reset, quit: moving in the history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from typing import TYPE_CHECKING

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import PROGRAM, SESSION, VIEW, Arg, Form, command
from folioshell.commands.lex import Token
from folioshell.commands.operands import COUNT, NEW_NAME, Operand, Pair, StepNumber, nearest, read_name
from folioshell.errors import DeterminismError, Refused
from folioshell.records import NamedTuple, replace
from folioshell.report import Report, Table
from folioshell.session.history import Entry, History, HistoryPoint
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.session.language import Statement
    from folioshell.session.session import Session


TOPIC = "session"

#: branches that `history` names at a step
MOST_BRANCHES = 16

_NUMBER = StepNumber()


class PointName(Operand):
    """A step's number, a mark or a branch; names are looked up when the command runs."""

    label = "a step, mark or branch"
    usage = "N|NAME"

    def read(self, token: Token) -> int | str:
        """The number or name."""
        return _NUMBER.read(token) if token.text[:1].isdecimal() else read_name(token)

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The marks, then the branches, then the steps of the current one."""
        history = session.history
        marks = [(name, f"mark at {point_text(history, history.point(name))}") for name in history.marks]
        lines = [(name, f"branch of {counted(len(steps), 'step')}") for name, steps in history.branches.items()]
        return [*marks, *lines, *_NUMBER.candidates(session)]


POINT = PointName()


def point_text(history: History, point: HistoryPoint) -> str:
    """``step 3``, or ``step 3 of main`` where there are several branches."""
    return f"step {point.position} of {point.branch}" if len(history.branches) > 1 else f"step {point.position}"


def point_of(call: Call, name: str) -> HistoryPoint:
    """The state that an argument names; a number counts in the current branch.

    Raises:
        Refused: there is none.
    """
    history, word = call.session.history, call.arguments.get(name, object)
    if isinstance(word, int):
        last = len(history.entries)
        if word > last:
            raise call.refused_at(name, f"there is no step {word}", hint=f"steps go from 0 to {last}")
        return HistoryPoint(history.current, word)
    assert isinstance(word, str)
    if not history.has_name(word):
        names = [*history.marks, *history.branches]
        hint = nearest(word, names) or "`mark NAME` names the present step"
        raise call.refused_at(name, "no such mark or branch", allowed=names, hint=hint)
    return history.point(word)


@contextmanager
def aside(session: Session) -> Iterator[None]:
    """Do something on a branch of its own; afterwards everything is as it was, what could be redone included."""
    history, noted, session.note = session.history, session.note, None
    branch, position, names, marks = history.current, history.position, {*history.branches}, dict(history.marks)
    current, verdict, settings = session.process, session.verdict, replace(session.settings)
    watches = [replace(one) for one in session.watches]
    history.start_branch(next(name for name in map("aside{}".format, count()) if not history.has_name(name)))
    try:
        yield
    finally:
        session.go_to(position, branch)
        history.branches = {name: steps for name, steps in history.branches.items() if name in names}
        history.marks, session.workspace.current = marks, current
        history.note_current(current)
        session.settings, session.watches, session.verdict, session.note = settings, watches, verdict, noted


class Milestone(NamedTuple):
    """A state on a track, and the step that led there; None for the beginning."""

    point: HistoryPoint
    entry: Entry | None


class Track:
    """A branch that only its owner extends, step by step: what is typed in between goes to branches of its own.

    Args:
        session: at the beginning of the track.

    Attributes:
        playing: the owner runs a command.
        at: number of the milestone that the present state follows, 0 being the beginning.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.playing = False
        self.at = 0
        self._milestones = [self._here()]

    def _here(self) -> Milestone:
        history = self.session.history
        return Milestone(HistoryPoint(history.current, history.position), history.entries.at(history.position))

    @property
    def _last(self) -> Milestone:
        return self._milestones[self.at]

    @property
    def steps_beside(self) -> int:
        """How many steps the present state is beyond that of the track."""
        return self.session.step - self._last.point.position

    def follow(self) -> bool:
        """Undo and redo on the track move along it; returns whether they did."""
        here = self._here()
        if here.point.branch != self._last.point.branch or here == self._last:
            return False
        before = [at for at, one in enumerate(self._milestones) if one.point.position <= here.point.position]
        self.at = before[-1] if before else 0
        return True

    def back(self) -> bool:
        """Return to the track; False if the session is in that state."""
        if self._here() == self._last:
            return False
        branch, position = self._last.point
        for name in (branch, position):
            self.run(self.session.language.parse(f"goto {name}"))
        return True

    def leave(self, stem: str) -> None:
        """A step is about to be typed: if the session is on the track, it goes to a branch of this name, or like it."""
        history = self.session.history
        if history.current == self._last.point.branch:
            names = chain((stem,), (f"{stem}-{number}" for number in count(2)))
            self.run(self.session.language.parse(f"branch {next(one for one in names if not history.has_name(one))}"))

    def run(self, statements: Iterable[Statement]) -> list[Report]:
        """Run commands as the owner."""
        playing, self.playing = self.playing, True
        try:
            commands = [one for statement in statements for one in statement.expanded()]
            return [report for one in commands for report in self.session.run(one)]
        finally:
            self.playing = playing

    def advance(self) -> None:
        """The present state is the next milestone."""
        here = self._here()
        self._milestones[self.at + 1 :] = [here if here.point.branch == self._last.point.branch else self._last]
        self.at += 1


def _moved(call: Call, move: Callable[[int], None], verb: str) -> Report:
    nr = call.number("N", 1)
    try:
        move(nr)
    except Refused as error:
        raise call.refused_at("N", error.message) from None
    return done(call, f"{verb} {counted(nr, 'step')} (now at step {call.session.step}).")


@command("undo", Form(args=(Arg("N", COUNT, "how many steps (default: 1)", optional=True),)), kind=SESSION, topic=TOPIC)
def undo(call: Call) -> Report:
    """Undo steps.

    Goes back to the exact state before the last N steps: ids of undone commands are given out again.

    Example:
        mmap buf 16 ; undo
    """
    return _moved(call, call.session.undo, "Undid")


@command("redo", Form(args=(Arg("N", COUNT, "how many steps (default: 1)", optional=True),)), kind=SESSION, topic=TOPIC)
def redo(call: Call) -> Report:
    """Redo undone steps.

    Repeats the next N undone steps. A new step discards what was undone; `branch` before it keeps it.

    Example:
        mmap buf 16 ; undo ; redo
    """
    return _moved(call, call.session.redo, "Redid")


@command(
    "goto",
    Form(args=(Arg("STEP", POINT, "number of a step, 0 for the beginning; a mark; a branch, for its last step"),)),
    kind=SESSION,
    topic=TOPIC,
)
def goto(call: Call) -> Report:
    """Go to the state after a step.

    Goes to the state after step N of the current branch, to a mark, or to the last step of a branch; later steps can be
    redone. A mark of another branch switches to that branch.

    Example:
        mmap buf 16 ; fault buf ; goto 1
        mmap buf 16 ; mark mapped ; fault buf ; goto mapped
    """
    point, history = point_of(call, "STEP"), call.session.history
    name = call.arguments.get("STEP", object)
    try:
        call.session.go_to(point.position, point.branch)
    except DeterminismError as error:
        if not call.session.loaded_schemes:
            raise
        hint = "a loaded scheme now decides otherwise"
        raise call.refused_at("STEP", f"that state cannot be reached again: {error}", hint=hint) from None
    named = f" {name}," if name in history.marks else ""
    return done(call, f"Now at{named} {point_text(history, point)}.")


@command("mark", Form(args=(Arg("NAME", NEW_NAME, "name for the present step"),)), kind=SESSION, topic=TOPIC)
def mark(call: Call) -> Report:
    """Name the present step.

    `goto NAME` returns to it. A mark that exists moves here, and the shell says where it was. A mark is no step; it is
    dropped with its step, when a new one replaces that.

    Example:
        mmap buf 16 ; mark before-fork ; fork B ; goto before-fork
    """
    name, history = call.word("NAME"), call.session.history
    here = HistoryPoint(history.current, history.position)
    if name in history.branches:
        raise call.refused_at("NAME", f"{name} is a branch", hint="marks and branches share their names")
    before = history.point(name) if name in history.marks else None
    history.mark(name)
    moved = f"; it was {point_text(history, before)}" if before not in (None, here) else ""
    return done(call, f"{name} is {point_text(history, here)}{moved}.")


@command(
    "branch",
    Form(args=(Arg("NAME", NEW_NAME, "the new branch; without it, list the branches", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
)
def branch(call: Call) -> Report:
    """Start a branch of the history here, or list the branches.

    From here on steps go to the new branch; the one that was current keeps its steps, undone ones too. `goto NAME` goes
    to the last step of a branch; undo, redo and step numbers stay within the current one. The first branch is `main`.
    Without `branch`, a new step discards what was undone.

    Example:
        mmap buf 16 ; fault buf ; undo ; branch lazy ; fork B ; goto main
        mmap buf 16 ; branch other ; branch
    """
    name, history = call.word("NAME"), call.session.history
    if not name:
        return done(call, sections=(_branches(history),))
    if history.has_name(name):
        what, hint = "mark", "marks and branches share their names"
        if name in history.branches:
            what, hint = "branch", f"`goto {name}` goes there"
        raise call.refused_at("NAME", f"there is already a {what} {name}", hint=hint)
    left, nr = history.current, len(history.entries)
    history.start_branch(name)
    return done(call, f"Branch {name} starts at step {history.position}; {left} keeps its {counted(nr, 'step')}.")


def _branches(history: History) -> Table:
    rows = []
    origins = history.origins()
    for name, entries in history.branches.items():
        begins = "step {} of {}".format(*origins[name]) if name in origins else ""
        marks = history.marks_in(name)
        last = entries[-1].line if entries else ""
        here = f"here, at step {history.position}" if name == history.current else ""
        rows.append((name, len(entries), begins, last, ", ".join(marks), here))
    columns = ("branch", "steps", "starts at", "last step", "marks", "")
    return Table("branches", columns, tuple(rows), "`goto NAME` goes to the last step of a branch")


@command("history", kind=VIEW, topic=TOPIC)
def history(call: Call) -> Report:
    """List the steps.

    The steps of the current branch: those that led here, and undone ones that can be redone, with their marks and the
    other branches that share them.

    Example:
        mmap buf 16 ; mark mapped ; fault buf ; undo ; history
    """
    found = call.session.history
    shared = found.shared(found.current)
    rows = []
    if not found.position or found.marks_of(None):
        rows.append((0, "", "the beginning", "", ", ".join(found.marks_of(None)), "", _state(found, 0)))
    for number, entry in enumerate(found.entries, 1):
        what = (number, entry.named or entry.process, entry.text, entry.failure)
        others = _names([name for name, nr in shared.items() if number <= nr])
        rows.append((*what, ", ".join(found.marks_of(entry)), others, _state(found, number)))
    title = f"history of {found.current}" if len(found.branches) > 1 else "history"
    columns = ("step", "process", "command", "failed with", "marks", "also in", "")
    return done(call, sections=(_without_empty(Table(title, columns, tuple(rows))),))


def _names(names: Sequence[str]) -> str:
    left = len(names) - MOST_BRANCHES
    return (
        ", ".join(names) if left <= 0 else f"{', '.join(names[:MOST_BRANCHES])} and {left:,} more (`branch` lists them)"
    )


def _state(history: History, number: int) -> str:
    return "here" if number == history.position else "undone" if number > history.position else ""


def _without_empty(table: Table) -> Table:
    """The table without its empty columns, of those after the command."""
    kept = [
        place
        for place, name in enumerate(table.columns)
        if place < 3 or not name or any(row[place] for row in table.rows)
    ]
    columns = tuple(table.columns[place] for place in kept)
    return Table(table.title, columns, tuple(tuple(row[place] for place in kept) for row in table.rows))


@command("reset", kind=SESSION, topic=TOPIC)
def reset(call: Call) -> Report:
    """Reset the session.

    Starts from a fresh machine, an empty history and the default settings. This cannot be undone.

    Example:
        mmap buf 16 ; reset
    """
    call.session.reset()
    return done(call, "Session reset.")


@command("quit", kind=PROGRAM, topic=TOPIC)
def quit_(call: Call) -> Report:
    """End the session.

    Ends the shell. In a script it ends that file only, and assertions after it fail the run. After a crash, or when the
    terminal went away, nothing is lost: `folioshell --resume` continues where it was.

    Example:
        quit
    """
    call.session.finished = True
    return done(call)

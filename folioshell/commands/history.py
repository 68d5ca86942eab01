"""undo, redo, goto, mark, branch, history, reset, quit: moving in what was typed."""

from __future__ import annotations

from folioshell.commands.build import COUNT, NEW_NAME, arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import PROGRAM, SESSION, VIEW, Form
from folioshell.commands.history_points import SPOT, spot_of, spot_text
from folioshell.errors import DeterminismError, Refused
from folioshell.report import Report, Table
from folioshell.session.history import History, HistoryPoint
from folioshell.wording import counted

TOPIC = "session"


def _moved(call: Call, text: str) -> Report:
    return done(call, f"{text}; the prompt is {call.session.prompt}")


@command(
    "undo",
    Form(args=(arg("N", COUNT, "how many steps; 1 unless said", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
    summary="undo steps",
    explained="Goes back to the state before the last N steps, exactly: ids of undone commands are given out again.",
    examples=("mmap buf 16 ; undo",),
)
def undo(call: Call) -> Report:
    """Undo steps."""
    nr, session = call.number("N", 1), call.session
    try:
        session.undo(nr)
    except Refused as error:
        raise call.refused_at("N", error.message) from None
    return _moved(call, f"{counted(nr, 'step')} undone")


@command(
    "redo",
    Form(args=(arg("N", COUNT, "how many steps; 1 unless said", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
    summary="do again what was undone",
    explained="Does the next N undone steps again. A new step forgets what was undone; `branch` before it keeps it.",
    examples=("mmap buf 16 ; undo ; redo",),
)
def redo(call: Call) -> Report:
    """Do again what was undone."""
    nr, session = call.number("N", 1), call.session
    try:
        session.redo(nr)
    except Refused as error:
        raise call.refused_at("N", error.message) from None
    return _moved(call, f"{counted(nr, 'step')} done again")


@command(
    "goto",
    Form(args=(arg("STEP", SPOT, "number of a step, 0 for the beginning; a mark; a line, for its last step"),)),
    kind=SESSION,
    topic=TOPIC,
    summary="go to the state after a step",
    explained="Goes to the state after step N of the current line, to a mark, or to the last step of a line; later "
    "steps can be redone. A mark of another line leads into that line.",
    examples=("mmap buf 16 ; fault buf ; goto 1", "mmap buf 16 ; mark mapped ; fault buf ; goto mapped"),
)
def goto(call: Call) -> Report:
    """Go to the state after a step."""
    spot, history = spot_of(call, "STEP"), call.session.history
    name = call.arguments.get("STEP", object)
    try:
        call.session.go_to(spot.position, spot.line)
    except DeterminismError as error:
        if not call.session.definitions:
            raise
        hint = "a definition that was loaded decides otherwise now"
        raise call.refused_at("STEP", f"that state cannot be reached again: {error}", hint=hint) from None
    what = f"{name}, the state" if isinstance(name, str) else "the state"
    return _moved(call, f"this is {what} after {spot_text(history, spot)}")


@command(
    "mark",
    Form(args=(arg("NAME", NEW_NAME, "what the present step is to be called"),)),
    kind=SESSION,
    topic=TOPIC,
    summary="name the present step",
    explained="`goto NAME` comes back to it. A mark that exists moves here, and the shell says where it was. A mark is "
    "no step; it goes when its step is forgotten, because a new one was made in place of it.",
    examples=("mmap buf 16 ; mark before-fork ; fork B ; goto before-fork",),
)
def mark(call: Call) -> Report:
    """Name the present step."""
    name, history = call.word("NAME"), call.session.history
    here = HistoryPoint(history.current, history.position)
    if name in history.lines:
        raise call.refused_at("NAME", f"{name} is a line of the history", hint="`goto` knows marks and lines by name")
    before = history.spot(name) if name in history.marks else None
    history.mark(name)
    moved = f"; it was {spot_text(history, before)}" if before not in (None, here) else ""
    return done(call, f"{name} is {spot_text(history, here)}{moved}.")


@command(
    "branch",
    Form(args=(arg("NAME", NEW_NAME, "the line that begins here; without it, the lines are listed", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
    summary="begin another line of history here, or list the lines",
    explained="From here on steps go to the new line; the line that was current keeps its steps, those that were "
    "undone too. `goto NAME` goes to the last step of a line; undo, redo and numbers of steps stay within the current "
    "one. The first line is `main`. Without `branch`, a new step forgets what was undone.",
    examples=(
        "mmap buf 16 ; fault buf ; undo ; branch lazy ; fork B ; goto main",
        "mmap buf 16 ; branch other ; branch",
    ),
)
def branch(call: Call) -> Report:
    """Begin another line of history here, or list the lines."""
    name, history = call.word("NAME"), call.session.history
    if not name:
        return done(call, sections=(_lines(history),))
    if what := history.what_has(name):
        hint = f"`goto {name}` goes there" if what == "line" else "marks and lines share their names"
        raise call.refused_at("NAME", f"there is a {what} {name} already", hint=hint)
    left, nr = history.current, len(history.entries)
    history.begin_line(name)
    return done(call, f"Line {name} begins at step {history.position}; {left} keeps its {counted(nr, 'step')}.")


def _lines(history: History) -> Table:
    rows = []
    seen: list[str] = []
    for name, entries in history.lines.items():
        shared, parent = max(((history.shared(name, other), other) for other in seen), key=_first, default=(0, ""))
        begins = f"step {shared} of {parent}" if parent else ""
        marks = [mark for entry in (None, *entries) for mark in history.marks_of(entry)]
        last = entries[-1].line if entries else ""
        here = f"here, at step {history.position}" if name == history.current else ""
        rows.append((name, len(entries), begins, last, ", ".join(marks), here))
        seen.append(name)
    columns = ("line", "steps", "begins at", "last step", "marks", "")
    return Table("lines", columns, tuple(rows), "`goto NAME` goes to the last step of a line")


def _first(pair: tuple[int, str]) -> int:
    return pair[0]


@command(
    "history",
    kind=VIEW,
    topic=TOPIC,
    summary="list the steps",
    explained="The steps of the current line: those that led here, and those that were undone and can be redone; their "
    "marks, and the other lines that share them.",
    examples=("mmap buf 16 ; mark mapped ; fault buf ; undo ; history",),
)
def history(call: Call) -> Report:
    """List the steps."""
    found = call.session.history
    shared = {name: found.shared(found.current, name) for name in found.lines if name != found.current}
    rows = []
    if not found.position or found.marks_of(None):
        rows.append((0, "", "the beginning", "", ", ".join(found.marks_of(None)), "", _state(found, 0)))
    for number, entry in enumerate(found.entries, 1):
        what = (number, entry.named or entry.process, entry.text, entry.failure)
        others = [name for name, nr in shared.items() if number <= nr]
        rows.append((*what, ", ".join(found.marks_of(entry)), ", ".join(others), _state(found, number)))
    title = f"history of {found.current}" if len(found.lines) > 1 else "history"
    columns = ("step", "process", "command", "failed with", "marks", "also in", "")
    return done(call, sections=(_without_empty(Table(title, columns, tuple(rows))),))


def _state(history: History, number: int) -> str:
    return "here" if number == history.position else "undone" if number > history.position else ""


def _without_empty(table: Table) -> Table:
    """The table without the columns, of those behind the command, that say nothing."""
    kept = [
        place
        for place, name in enumerate(table.columns)
        if place < 3 or not name or any(row[place] for row in table.rows)
    ]
    columns = tuple(table.columns[place] for place in kept)
    return Table(table.title, columns, tuple(tuple(row[place] for place in kept) for row in table.rows))


@command(
    "reset",
    kind=SESSION,
    topic=TOPIC,
    summary="begin anew",
    explained="A fresh machine, an empty history, the usual settings. This cannot be undone.",
    examples=("mmap buf 16 ; reset",),
)
def reset(call: Call) -> Report:
    """Begin anew."""
    call.session.reset()
    return done(call, "Everything begins anew.")


@command(
    "quit",
    kind=PROGRAM,
    topic=TOPIC,
    summary="end the session",
    explained="Ends the shell; in a script, the script. A shell that ended otherwise, because it was killed or its "
    "terminal went away, has lost nothing: `folioshell --resume` goes on where it was.",
    examples=("quit",),
)
def quit_(call: Call) -> Report:
    """End the session."""
    call.session.finished = True
    return done(call)

"""undo, redo, goto, history, reset, quit: moving in what was typed."""

from __future__ import annotations

from folioshell.commands.build import COUNT, arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import SESSION, VIEW, Form
from folioshell.commands.operands import Number
from folioshell.report import Report, Table
from folioshell.session.sentence import plural

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
    if nr > session.step:
        message = (
            "there is nothing to undo" if not session.step else f"only {plural(session.step, 'step')} can be undone"
        )
        raise call.refused_at("N", message)
    session.undo(nr)
    return _moved(call, f"{plural(nr, 'step')} undone")


@command(
    "redo",
    Form(args=(arg("N", COUNT, "how many steps; 1 unless said", optional=True),)),
    kind=SESSION,
    topic=TOPIC,
    summary="do again what was undone",
    explained="Does the next N undone steps again. A new step forgets what was undone.",
    examples=("mmap buf 16 ; undo ; redo",),
)
def redo(call: Call) -> Report:
    """Do again what was undone."""
    nr, session = call.number("N", 1), call.session
    undone = len(session.history.entries) - session.step
    if nr > undone:
        message = "there is nothing to redo" if not undone else f"only {plural(undone, 'step')} can be redone"
        raise call.refused_at("N", message)
    session.redo(nr)
    return _moved(call, f"{plural(nr, 'step')} done again")


@command(
    "goto",
    Form(args=(arg("N", Number(), "number of the step, 0 for the beginning"),)),
    kind=SESSION,
    topic=TOPIC,
    summary="go to the state after a step",
    explained="Goes to the state after step N, back or forward; later steps can be redone.",
    examples=("mmap buf 16 ; fault buf ; goto 1",),
)
def goto(call: Call) -> Report:
    """Go to the state after a step."""
    number, last = call.number("N"), len(call.session.history.entries)
    if number > last:
        raise call.refused_at("N", f"there is no step {number}", hint=f"steps go from 0 to {last}")
    call.session.go_to(number)
    return _moved(call, f"this is the state after step {number}")


@command(
    "history",
    kind=VIEW,
    topic=TOPIC,
    summary="list the steps",
    explained="The steps that led here, and those that were undone and can be redone.",
    examples=("mmap buf 16 ; fault buf ; undo ; history",),
)
def history(call: Call) -> Report:
    """List the steps."""
    session = call.session
    rows = []
    for number, entry in enumerate(session.history.entries, 1):
        state = "undone" if number > session.step else "here" if number == session.step else ""
        ending = "" if "ok" in entry.result else str(entry.result.get("errno") or entry.result["signals"][0][2])
        rows.append((number, entry.named or entry.process, entry.text, ending, state))
    columns = ("step", "process", "command", "failed with", "")
    return done(call, sections=(Table("history", columns, tuple(rows)),))


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
    kind=SESSION,
    topic=TOPIC,
    summary="end the session",
    explained="Ends the shell; in a script, the script.",
    examples=("quit",),
)
def quit_(call: Call) -> Report:
    """End the session."""
    call.session.finished = True
    return done(call)

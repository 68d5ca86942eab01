"""save, once, load and source: the commands that read and write files."""

from __future__ import annotations

import os

from folioshell.commands.build import arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import OUTPUT, PROGRAM, Form
from folioshell.commands.output import MODE
from folioshell.commands.statement import ParsedStatement
from folioshell.errors import Refused, reason_of
from folioshell.report import Report, Target
from folioshell.script import script
from folioshell.script.file_name import FileName
from folioshell.session.language import Statement
from folioshell.session.session import Session
from folioshell.wording import counted

TOPIC = "session"

#: scripts that may be read by one another
DEPTH = 32


SCRIPT = FileName(".fs", "a script")
DEFINITION = FileName(".py", "Python")


@command(
    "save",
    Form(args=(arg("FILE", SCRIPT, "the script that is written"),)),
    kind=PROGRAM,
    topic=TOPIC,
    summary="write the steps as a script",
    explained="Writes a script that leads to the present state: the steps of the current line up to here, their marks, "
    "what is set, what is watched, and who is current. What was undone and other lines are not part of it. A file of "
    "that name is replaced. In a script given to `run` it needs --allow-files.",
    examples=("save session.fs",),
)
def save(call: Call) -> Report:
    """Write the steps as a script."""
    path = call.word("FILE")
    _check_permitted(call)
    from pathlib import Path

    lines = [script.MAGIC, *call.session.script()]
    try:
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise call.refused_at("FILE", f"cannot write {path}: {reason_of(error)}") from None
    text = f"{counted(call.session.step, 'step')} written to {path}"
    others = [name for name in call.session.history.lines if name != call.session.history.current]
    if others:
        text += f"; {'line' if len(others) == 1 else 'lines'} {' and '.join(others)} left out"
    return done(call, f"{text}.")


@command(
    "once",
    Form(
        args=(
            arg("FILE", FileName("", "a file"), "the file that is written"),
            arg("MODE", MODE, "its form; that of the screen unless said", optional=True),
        )
    ),
    kind=OUTPUT,
    topic="settings",
    summary="let the output of the next command go to a file",
    explained="What the next command says is written to a file instead of the screen; a file of that name is replaced "
    "then. Another `once` takes its place, and `mode`, or a command that is refused, leaves it as it is. "
    "In a script given to `run` it needs --allow-files.",
    examples=("mmap buf 16 ; fault buf ; once answer.txt mail ; query shared? buf[0]",),
)
def once(call: Call) -> Report:
    """Let the output of the next command go to a file."""
    path = call.word("FILE")
    _check_permitted(call)
    _check_writable(call, path)
    target = Target(path, call.word("MODE"))
    call.session.output.once = target
    form = f" in mode {target.mode}" if target.mode else ""
    return done(call, f"The output of the next command goes to {path}{form}.")


def _check_permitted(call: Call) -> None:
    if not call.session.access.may_write:
        raise call.refused_at("FILE", "a script may not write files", hint="`--allow-files` permits it")


def _check_writable(call: Call, path: str) -> None:
    """Look whether a file could be written, without touching it.

    Raises:
        Refused: it could not.
    """
    try:
        reason = _obstacle(path)
    except (OSError, ValueError) as error:
        reason = reason_of(error)
    if reason:
        raise call.refused_at("FILE", f"cannot write {path}: {reason}")


def _obstacle(path: str) -> str:
    from pathlib import Path

    file = Path(path)
    if file.is_dir():
        return "it is a directory"
    if not file.parent.is_dir():
        return f"there is no directory {file.parent}"
    return "" if os.access(file if file.exists() else file.parent, os.W_OK) else "permission denied"


@command(
    "source",
    Form(args=(arg("FILE", SCRIPT, "the script that is run"),)),
    kind=PROGRAM,
    topic=TOPIC,
    summary="run the commands of a script here",
    explained="Runs a script in this session, as if its lines were typed. In a script it reads only below the folder "
    "of the script that was given to `run`.",
    examples=("source setup.fs",),
)
def source(call: Call) -> list[Report]:
    """Run the commands of a script here."""
    return _run_here(call, readable(call))


def _load_scheme(call: Call) -> Report:
    """Let the definitions of a file count."""
    access = call.session.access
    if not access.may_load:
        raise call.refused_at("FILE", "a script may not load code", hint="`--allow-code` permits it")
    # Loading needs more of the standard library than all of a script that does not.
    from folioshell.script.definitions import define

    try:
        loaded = define(call.session, script.below(access.folder, call.word("FILE")))
    except Refused as error:
        if error.text or error.line:
            raise
        raise call.refused_at("FILE", error.message, hint=error.hint) from None
    names = " and ".join(definition.scheme.name for definition in loaded)
    return done(call, f"{names} {'counts' if len(loaded) == 1 else 'count'} now, from the first step on.")


@command(
    "load",
    Form(args=(arg("FILE", SCRIPT, "the script that is run"),), summary="begin anew with a script"),
    Form(
        "scheme",
        (arg("FILE", DEFINITION, "the Python file"),),
        summary="count by the definitions of a file, too",
        handler=_load_scheme,
    ),
    kind=PROGRAM,
    topic=TOPIC,
    summary="begin anew with a script, or load a definition",
    explained="`load FILE` is `reset`, then `source FILE`; nothing is reset if the script cannot be read. "
    "`load scheme` adds the definitions of a Python file: they count from the first step on, and have a column, "
    "`why` and completion like any other; the same file may be loaded again after it was edited. "
    "In a script given to `run` it needs --allow-code.",
    examples=("load session.fs", "load scheme mine.py"),
)
def load(call: Call) -> list[Report]:
    """Begin anew with a script."""
    path = readable(call)
    call.session.reset()
    return _run_here(call, path)


def readable(call: Call) -> str:
    """The path of a script that may be read and can be parsed.

    Raises:
        Refused: it may not, or it cannot.
    """
    access = call.session.access
    path = script.below(access.folder, call.word("FILE"))
    try:
        real = os.path.realpath(path)
    except ValueError as error:
        raise call.refused_at("FILE", f"cannot read {path}: {reason_of(error)}") from None
    root = os.path.realpath(access.root or ".")
    if access.confined and os.path.commonpath([root, real]) != root:
        raise call.refused_at("FILE", "a script reads only below its own folder", hint=f"that is {access.root or '.'}")
    if access.confined and script.would_wait(real):
        raise call.refused_at("FILE", "this is no file")
    if len(access.sources) >= DEPTH:
        raise call.refused_at("FILE", f"scripts read each other more than {DEPTH} deep")
    if real in access.sources:
        raise call.refused_at("FILE", "this script is being read already: it would never end")
    try:
        script.parse(script.read_text(path), path, call.session.language)
    except Refused as error:
        if error.line:
            raise
        raise call.refused_at("FILE", error.message) from None
    return path


def _run_here(call: Call, path: str) -> list[Report]:
    # The runner lies above the commands of this file: it runs `source` line by line itself.
    from folioshell.script.runner import Runner

    before = call.session.access
    sources = (*before.sources, os.path.realpath(path))
    access = before._replace(folder=script.folder_of(path), sources=sources)
    reports = []
    for played in Runner(path, None, call.session, None, access):
        if played.refused is not None:
            raise played.refused
        if played.report is not None:
            reports.append(played.report)
        if played.failure is not None:
            reports.append(done(call, f"{played.file}:{played.line}: {played.failure}; the script stops here."))
    return reports


def included_script(session: Session, statement: Statement) -> str | None:
    """The script that a ``source`` or ``load`` names, ready to be read; None for any other command.

    Raises:
        Refused: it may not or cannot be read.
    """
    if not isinstance(statement, ParsedStatement) or statement.command.verb not in ("source", "load"):
        return None
    if statement.form.lead:
        return None
    call = Call(statement, session.workspace, session.process, session)
    try:
        path = readable(call)
    except Refused as error:
        error.text = error.text or statement.line
        raise
    if statement.command.verb == "load":
        session.reset()
    return path

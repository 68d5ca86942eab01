"""save, once, load and source: the commands that read and write files of the host."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import OUTPUT, PROGRAM, Arg, Form, command
from folioshell.commands.operands import Asking, Pair, Path
from folioshell.commands.settings import MODE
from folioshell.errors import Refused, reason_of
from folioshell.report import Report, Target
from folioshell.script import script
from folioshell.script.files import write_file
from folioshell.script.runner import Runner
from folioshell.session.host import STRICT, stricter
from folioshell.session.session import Session
from folioshell.wording import counted

#: maximum number of folder entries that completion reads
MOST = 1000


class FileName(Path):
    """The operand for a file name of the host.

    Args:
        ending: of the files that completion offers: ``.fs``; empty for any.
        description: what such a file is.
    """

    def __init__(self, ending: str, description: str) -> None:
        self.ending = ending
        self.description = description

    def offered(self, session: Session, asking: Asking) -> Iterable[Pair]:
        """The files of the folder that is typed so far, then its folders; hidden ones only after a dot."""
        folder, slash, begun = asking.typed.rpartition("/")
        try:
            with os.scandir(script.below(session.host.access.folder, folder + slash) or ".") as found:
                entries = sorted((entry.name, _is_folder(entry)) for entry in islice(found, MOST))
        except (OSError, ValueError):
            return
        names = [(name, inner) for name, inner in entries if name.startswith(begun) and (begun or name[0] != ".")]
        before = f"{folder}{slash}"
        yield from (
            (_quoted(before + name), self.description)
            for name, inner in names
            if not inner and name.endswith(self.ending)
        )
        yield from ((_quoted(f"{before}{name}/"), "a folder") for name, inner in names if inner)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _quoted(name: str) -> str:
    """A name as it must be typed: quoted if it holds a character that ends a word."""
    if not any(sign in name for sign in " \t;\"'{}<>#=!"):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'


TOPIC = "session"

SCRIPT = FileName(".fs", "a script")
DEFINITION = FileName(".py", "Python")


@command(
    "save",
    Form(args=(Arg("FILE", SCRIPT, "the script to write"),)),
    kind=PROGRAM,
    topic=TOPIC,
)
def save(call: Call) -> Report:
    """Write the steps as a script.

    Writes a script that leads to the current state: the steps of the current branch, marks, settings, watches and the
    current process. Undone steps and other branches are left out. An existing file is replaced. In a script given to
    `run` it needs --allow-files.

    Example:
        save session.fs
    """
    path = call.word("FILE")
    _check_permitted(call)
    lines = [script.MAGIC, *call.session.script()]
    try:
        write_file(path, ("\n".join(lines) + "\n").encode())
    except (OSError, ValueError) as error:
        raise call.refused_at("FILE", f"cannot write {path}: {reason_of(error)}") from None
    text = f"{counted(call.session.step, 'step')} written to {path}"
    others = [name for name in call.session.history.branches if name != call.session.history.current]
    if others:
        text += f"; {'branch' if len(others) == 1 else 'branches'} {' and '.join(others)} left out"
    return done(call, f"{text}.")


@command(
    "once",
    Form(
        args=(
            Arg("FILE", FileName("", "a file"), "the file to write"),
            Arg("MODE", MODE, "output mode (default: that of the screen)", optional=True),
        )
    ),
    kind=OUTPUT,
    topic="settings",
)
def once(call: Call) -> Report:
    """Redirect the next command's output to a file.

    The output of the next command goes to a file instead of the screen; an existing file is replaced then. Another
    `once` supersedes it; `mode` and refused commands do not count as the next command. In a script given to `run` it
    needs --allow-files.

    Example:
        mmap buf 16 ; fault buf ; once answer.txt mail ; query shared? buf[0]
    """
    path = call.word("FILE")
    _check_permitted(call)
    _check_writable(call, path)
    target = Target(path, call.word("MODE"))
    call.session.host.output.once = target
    form = f" in mode {target.mode}" if target.mode else ""
    return done(call, f"Next command's output redirected to {path}{form}.")


def _check_permitted(call: Call) -> None:
    if not call.session.host.access.may_write:
        raise call.refused_at("FILE", "scripts may not write files", hint="`--allow-files` permits it")


def _check_writable(call: Call, path: str) -> None:
    """Check that a file can be written, without touching it.

    Raises:
        Refused: it cannot.
    """
    from pathlib import Path

    file, reason = Path(path), ""
    try:
        if file.is_dir():
            reason = "it is a directory"
        elif not file.parent.is_dir():
            reason = f"no such directory: {file.parent}"
        elif not os.access(file if file.exists() else file.parent, os.W_OK):
            reason = "permission denied"
    except (OSError, ValueError) as error:
        reason = reason_of(error)
    if reason:
        raise call.refused_at("FILE", f"cannot write {path}: {reason}")


@command(
    "source",
    Form(args=(Arg("FILE", SCRIPT, "the script that is run"),)),
    kind=PROGRAM,
    topic=TOPIC,
)
def source(call: Call) -> list[Report]:
    """Run a script in this session.

    Runs a script as if its lines were typed here. In a script it reads only below the folder of the script that was
    given to `run`.

    Example:
        source setup.fs
    """
    return _run_here(call, script.readable(call))


def _load_code(call: Call) -> Report:
    """Use the schemes and protocols of a file."""
    access = call.session.host.access
    if not access.may_load:
        raise call.refused_at("FILE", "scripts may not load code", hint="`--allow-code` permits it")
    # Loading needs more of the standard library than the rest of a script.
    from folioshell.script.loading import load_into

    try:
        loaded = load_into(call.session, script.below(access.folder, call.word("FILE")), call.word("lead"))
    except Refused as error:
        if error.text or error.line:
            raise
        raise call.refused_at("FILE", error.message, hint=error.hint) from None
    said = [f"{kind.name} loaded; `set decide {kind.scheme} ; set protocol {kind.name}`" for kind in loaded.protocols]
    if loaded.schemes:
        names = " and ".join(kind.name for kind in loaded.schemes)
        said.insert(0, f"{names} loaded, counting from the first step")
    return done(call, f"{'. '.join(said)}.")


@command(
    "load",
    Form(args=(Arg("FILE", SCRIPT, "the script to run"),), summary="reset the session, then run a script"),
    Form(
        "scheme",
        (Arg("FILE", DEFINITION, "the Python file"),),
        summary="also count with the schemes of a Python file",
        handler=_load_code,
    ),
    Form(
        "protocol",
        (Arg("FILE", DEFINITION, "the Python file"),),
        summary="add the protocols of a Python file for `set protocol`",
        handler=_load_code,
    ),
    kind=PROGRAM,
    topic=TOPIC,
)
def load(call: Call) -> list[Report]:
    """Reset and run a script, or load schemes and protocols.

    `load FILE` is `reset`, then `source FILE`; nothing is reset if the script cannot be read. `load scheme` adds the
    schemes of a Python file: they count from the first step on, and get a column, `why` and completion like any other.
    `load protocol` adds protocols: ways to keep under the kernel's locks what a scheme counts, for `set protocol` and
    `protocols`. Both load all that the file defines; load it again after editing it. In a script given to `run` they
    need --allow-code.

    Example:
        load session.fs
        load scheme mine.py
        load protocol seqcount.py ; set decide rmap-id ; set protocol rmap-seqcount
    """
    path = script.readable(call)
    call.session.reset()
    return _run_here(call, path)


def _run_here(call: Call, path: str) -> list[Report]:
    """Run a script to its end. Within a script it is the runner that runs what ``source`` names, line by line."""
    before = call.session.host.access
    sources = (*before.sources, os.path.realpath(path))
    access = before._replace(folder=script.folder_of(path), sources=sources)
    reports = []
    limits = stricter(STRICT, call.session.host.limits)
    for event in Runner(path, None, call.session, access, limits=limits):
        if event.refused is not None:
            raise event.refused
        if event.report is not None:
            reports.append(event.report)
        if event.unreached is not None:
            reports.append(
                done(call, f"{event.file}:{event.line}: not reached, `quit` ended the script: {event.unreached}")
            )
        if event.failure is not None:
            reports.append(done(call, f"{event.file}:{event.line}: {event.failure}; script stopped."))
    return reports

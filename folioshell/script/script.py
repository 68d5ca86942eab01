"""Scripts: from bytes to parsed lines, all of them before any is run; which files a script may read; writing files."""

from __future__ import annotations

import os
import re
import stat
import sys
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from folioshell.commands.call import Call
from folioshell.commands.lex import LogicalLine, is_golden, is_prose, logical_lines, scan
from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused, reason_of
from folioshell.script.golden import Golden
from folioshell.session.language import Language, Statement
from folioshell.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: optional first line of a script in this version of the language
MAGIC = "#!folioshell 1"
_MAGIC_FORM = re.compile(r"#!\s*folioshell\s+(\S+)\s*\Z")
#: maximum size of a script in bytes
SIZE = 1 << 24
#: maximum depth of nested `source` commands
DEPTH = 32


class ScriptLine(NamedTuple):
    """One line of a script that is not empty.

    Args:
        written: as it stands in the script; several physical lines if braces hold them together.
        statements: its commands.
        prose: Markdown for the reader; None if the line holds something else.
        comment: the text of a line that is a comment; None of any other.
        golden: the expected output of its commands, if the script has it.
    """

    written: LogicalLine
    statements: tuple[Statement, ...] = ()
    prose: str | None = None
    golden: Golden | None = None
    comment: str | None = None

    @property
    def number(self) -> int:
        """Of its first physical line, from 1."""
        return self.written.number

    @property
    def text(self) -> str:
        """As written."""
        return self.written.raw


def read_text(path: str) -> str:
    """The text of a script file, ``-`` for standard input.

    Raises:
        Refused: it cannot be read, or is not UTF-8 text.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(SIZE + 1)
        else:
            # pathlib would be a tenth of what a short script takes to start.
            with open(path, "rb") as stream:  # noqa: PTH123
                data = stream.read(SIZE + 1)
    except (OSError, ValueError) as error:
        raise Refused(f"cannot read {path}: {reason_of(error)}", file=path) from None
    if len(data) > SIZE:
        raise Refused(f"script too large: more than {SIZE >> 20}M bytes", file=path)
    return decoded(data, path)


def would_wait(path: str) -> bool:
    """True for a FIFO or device: reading it may block forever."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib would be a tenth of what a short script takes to start
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_of(path: str) -> str:
    """The folder of a script."""
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


def below(folder: str, name: str) -> str:
    """The path of a script named relative to a folder; an absolute name is unchanged."""
    return name if name.startswith("/") or folder in ("", ".") else f"{folder}/{name}"


def decoded(data: bytes, name: str) -> str:
    """The text of UTF-8 bytes.

    Raises:
        Refused: they are not UTF-8; line and column are those of the first invalid byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n") - 1
        text = data.split(b"\n")[line - 1].decode("utf-8", "replace").rstrip("\r")
        raise Refused("this is not UTF-8 text", start=column, end=column + 1, text=text, file=name, line=line) from None


def parse(text: str, name: str, language: Language) -> list[ScriptLine]:
    """The lines of a script, without empty ones.

    Args:
        name: what messages call the script.

    Raises:
        Refused: a line cannot be parsed; file, line and columns say where.
    """
    lines: list[ScriptLine] = []
    block: list[LogicalLine] = []
    for line in logical_lines(text.replace("\r\n", "\n")):
        try:
            if line.number == 1 and line.raw.startswith("#!"):
                _check_magic(line.raw)
            statements = tuple(language.parse(line.text))
            if is_golden(line.text):
                _check_golden(line, block[-1] if block else lines[-1].written if lines else None, lines)
        except Refused as error:
            raise located(error, name, line) from None
        if is_golden(line.text):
            block.append(line)
            golden = Golden(block[0].number, tuple(one.raw for one in block))
            lines[-1] = lines[-1]._replace(golden=golden)
            continue
        block.clear()
        if is_prose(line.text):
            lines.append(ScriptLine(line, prose=scan(line.text)[0].text))
        elif statements:
            lines.append(ScriptLine(line, statements))
        elif (comment := comment_of(line.text)) and not line.raw.startswith("#!"):
            lines.append(ScriptLine(line, comment=comment))
    return lines


def comment_of(line: str) -> str:
    """The comment that ends a line, or is all of it; empty if there is none."""
    words = scan(line)
    return words[-1].text if words and words[-1].kind == "comment" else ""


def _check_golden(line: LogicalLine, above: LogicalLine | None, lines: list[ScriptLine]) -> None:
    """Check that a line of a golden block stands directly below its command.

    Raises:
        Refused: it does not.
    """
    what = "a golden block stands directly below the command whose output it is"
    end = len(line.text)
    if above is None or above.number + above.nr_lines != line.number or not lines[-1].statements:
        raise Refused("there is no command above this golden block", start=line.text.index(">"), end=end, hint=what)
    if any(has_command(statement, "source", "load") for statement in lines[-1].statements):
        hint = "put the block into the included script"
        raise Refused("`source` and `load` cannot have a golden block", start=line.text.index(">"), end=end, hint=hint)


def has_command(statement: Statement, *verbs: str) -> bool:
    """Is this a command with one of these verbs, or a loop that holds one?"""
    text = statement.text
    if text.startswith("for "):
        return any(f"{before} {verb}{after}" in text for verb in verbs for before in "{;" for after in " [")
    return text.split()[0].partition("[")[0] in verbs


def located(error: Refused, name: str, line: LogicalLine) -> Refused:
    """The same error, with its place in a script unless it already has one."""
    if not error.file:
        error.text = error.text or line.text
        error.line = line.number
        error = line.located(error)
        error.file = name
    return error


def _check_magic(line: str) -> None:
    form = _MAGIC_FORM.match(line)
    if form is None:
        raise Refused("a script for another program", start=0, end=len(line), hint=f"ours begin with `{MAGIC}`")
    if form[1] != "1":
        raise Refused(f"unknown version {form[1]} of the language", start=form.start(1), end=form.end(1), allowed=["1"])


def readable(call: Call) -> str:
    """The path of the script that ``source`` or ``load`` names.

    Raises:
        Refused: access is denied, or it cannot be read or parsed.
    """
    access = call.session.host.access
    path = below(access.folder, call.word("FILE"))
    try:
        real = os.path.realpath(path)
    except ValueError as error:
        raise call.refused_at("FILE", f"cannot read {path}: {reason_of(error)}") from None
    root = os.path.realpath(access.root or ".")
    if access.confined and os.path.commonpath([root, real]) != root:
        raise call.refused_at(
            "FILE", "a script may read only files below its own folder", hint=f"that is {access.root or '.'}"
        )
    if access.confined and would_wait(real):
        raise call.refused_at("FILE", "not a regular file")
    if len(access.sources) >= DEPTH:
        raise call.refused_at("FILE", f"more than {DEPTH} nested scripts")
    if real in access.sources:
        raise call.refused_at("FILE", "this script is already being run: endless recursion")
    try:
        parse(read_text(path), path, call.session.language)
    except Refused as error:
        if error.line:
            raise
        raise call.refused_at("FILE", error.message) from None
    return path


def included_script(session: Session, statement: Statement) -> str | None:
    """The script that a ``source`` or ``load`` names; None for any other command.

    Raises:
        Refused: as in ``readable``.
    """
    if not isinstance(statement, ParsedStatement) or statement.command.verb not in ("source", "load"):
        return None
    if statement.form.lead:
        return None
    call = Call(statement, session.workspace, session.process, session)
    try:
        path = readable(call)
    except Refused as error:
        raise statement.placed(error) from None
    if statement.command.verb == "load":
        session.reset()
    return path


# The scenarios that come with folioshell: data of the package, and the folder `scenarios/` of a checkout.


def scenario_folder() -> Path | None:
    """Where the scenarios are that come with folioshell; None if they were not installed."""
    from pathlib import Path

    package = Path(__file__).resolve().parents[1]
    return next((place for place in (package / "scenarios", package.parent / "scenarios") if place.is_dir()), None)


def scenario_names() -> list[str]:
    """Their names, as ``run`` takes them: ``mail/straddle``."""
    place = scenario_folder()
    found = sorted(place.rglob("*.fs")) if place is not None else []
    return [path.relative_to(place).with_suffix("").as_posix() for path in found if place is not None]


def scenario_titles() -> Iterator[tuple[str, str]]:
    """(name, title) of each: the title is its first line of prose."""
    place = scenario_folder()
    for name in scenario_names():
        assert place is not None
        lines = (place / f"{name}.fs").read_text(encoding="utf-8").split("\n")
        yield name, next((line.lstrip("|# ") for line in lines if line.startswith("|")), "")


def path_of(name: str) -> str:
    """The path of a script: a file of this name, else the scenario that has it, else the name itself."""
    if name == "-" or os.path.exists(name):  # noqa: PTH110 - pathlib is a tenth of what a short script takes to start
        return name
    place = scenario_folder()
    scenario = name.removeprefix("scenarios/").removesuffix(".fs")
    return str(place / f"{scenario}.fs") if place is not None and scenario in scenario_names() else name


def copy_scenarios(target: str) -> int:
    """Copy all of them into a new folder; returns how many.

    Raises:
        Refused: there is such a folder, or it cannot be written.
    """
    # Imported for a copy only.
    from shutil import copytree

    place = scenario_folder()
    if place is None:
        raise Refused("the scenarios were not installed")
    try:
        copytree(place, target)
    except OSError as error:
        raise Refused(f"cannot copy to {target}: {reason_of(error)}", file=target) from None
    return len(scenario_names())


# Files that commands write: whole or not at all, so that a full disk leaves what was there before.


def write_file(path: str, data: bytes) -> None:
    """Write a file; one that exists is replaced atomically and keeps its permissions.

    Symbolic links are followed. Only a regular file can be replaced: a FIFO or device is written to directly, and so is
    a file whose folder is not writable.

    Raises:
        OSError, ValueError: it cannot be written; a file that could be replaced is unchanged.
    """
    from pathlib import Path

    target = Path(os.path.realpath(path))
    if not target.exists():
        _replace(target, data, None)
    elif target.is_file() and os.access(target.parent, os.W_OK):
        # A file that is not writable must not be replaced either.
        with target.open("ab"):
            _replace(target, data, target.stat().st_mode & 0o7777)
    else:
        target.write_bytes(data)


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                temporary.chmod(mode)
            stream.write(data)
            stream.flush()
            # Some file systems report only now that the disk is full.
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(target: Path) -> tuple[Path, int]:
    """A new file beside another one, and its descriptor."""
    for number in count():
        path = target.with_name(f".{target.name[:64]}.{os.getpid()}.{number}")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
    raise AssertionError("numbers do not end")

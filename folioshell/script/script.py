"""Scripts: from bytes to lines whose statements are parsed, all of them before any is run."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import NamedTuple

from folioshell.commands.lex import is_golden, is_prose, scan
from folioshell.commands.lines import LogicalLine, logical_lines
from folioshell.errors import Refused, reason_of
from folioshell.script.golden import Golden
from folioshell.session.language import Language, Statement

#: a script of the version that this program speaks may begin with this line
MAGIC = "#!folioshell 1"
_MAGIC_FORM = re.compile(r"#!\s*folioshell\s+(\S+)\s*\Z")
#: bytes of a script at most
SIZE = 1 << 24


class Line(NamedTuple):
    """One line of a script that says something.

    Args:
        written: as it stands in the script; several lines if braces hold them together.
        statements: its commands.
        prose: Markdown for the reader; None if the line holds commands.
        golden: what its commands show, if that is written below it.
    """

    written: LogicalLine
    statements: tuple[Statement, ...] = ()
    prose: str | None = None
    golden: Golden | None = None

    @property
    def number(self) -> int:
        """Of its first line, from 1."""
        return self.written.number

    @property
    def text(self) -> str:
        """As written."""
        return self.written.raw


def read_text(path: str) -> str:
    """The text of a script file, ``-`` for standard input.

    Raises:
        Refused: it cannot be read, or is no UTF-8 text.
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
        raise Refused(f"too large for a script: more than {SIZE >> 20}M bytes", file=path)
    return decoded(data, path)


def would_wait(path: str) -> bool:
    """True for what is no file and no folder: reading it might never end."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib would be a tenth of what a short script takes to start
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_of(path: str) -> str:
    """The folder that a script lies in."""
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


def below(folder: str, name: str) -> str:
    """The path of a script that is named from a folder; an absolute name stays as it is."""
    return name if name.startswith("/") or folder in ("", ".") else f"{folder}/{name}"


def decoded(data: bytes, name: str) -> str:
    """The text of UTF-8 bytes.

    Raises:
        Refused: they are none; line and column are those of the first byte that is wrong.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n") - 1
        text = data.split(b"\n")[line - 1].decode("utf-8", "replace").rstrip("\r")
        raise Refused("this is not UTF-8 text", start=column, end=column + 1, text=text, file=name, line=line) from None


def parse(text: str, name: str, language: Language) -> list[Line]:
    """The lines of a script that say something.

    Args:
        name: what messages call the script.

    Raises:
        Refused: a line cannot be read; file, line and columns say where.
    """
    lines: list[Line] = []
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
            lines.append(Line(line, prose=scan(line.text)[0].text))
        elif statements:
            lines.append(Line(line, statements))
    return lines


def _check_golden(line: LogicalLine, above: LogicalLine | None, lines: list[Line]) -> None:
    """Check that a line of a golden block stands right below what it is the output of.

    Raises:
        Refused: it does not.
    """
    what = "output stands right below the command that shows it"
    end = len(line.text)
    if above is None or above.number + above.nr_lines != line.number or not lines[-1].statements:
        raise Refused("there is no command above this", start=line.text.index(">"), end=end, hint=what)
    if any(statement.text.split()[0] in ("source", "load") for statement in lines[-1].statements):
        hint = "put it into the script that is read"
        raise Refused("output of a script that is read", start=line.text.index(">"), end=end, hint=hint)


def located(error: Refused, name: str, line: LogicalLine) -> Refused:
    """The same error, with the place in a script; what already has one keeps it."""
    if not error.file:
        error.text = error.text or line.text
        error.line = line.number
        error = line.located(error)
        error.file = name
    return error


def _check_magic(line: str) -> None:
    form = _MAGIC_FORM.match(line)
    if form is None:
        raise Refused("another program's script", start=0, end=len(line), hint=f"ours may begin with `{MAGIC}`")
    if form[1] != "1":
        raise Refused(
            f"version {form[1]} of the language is not known", start=form.start(1), end=form.end(1), allowed=["1"]
        )

"""``run --update``: golden blocks are rewritten with what was shown; nothing else in a script is touched.

Rules:
- Nothing is written unless everything else of every script passed: output of a run that went wrong is nothing to keep.
- A file is replaced as a whole, so that whoever reads it meanwhile sees the old one or the new one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from folioshell.errors import Refused, reason_of
from folioshell.script.golden import Compared, updated
from folioshell.script.script_event import ScriptEvent
from folioshell.views.answer_view import diff_blocks
from folioshell.views.blocks import Block, Tone, line
from folioshell.wording import counted


def check_permitted(environ: Mapping[str, str], *, forced: bool) -> None:
    """Check that golden blocks may be rewritten here: on a build machine nobody would see what changed.

    Raises:
        Refused: they may not.
    """
    if not forced and environ.get("CI", "").lower() not in ("", "0", "false", "no"):
        raise Refused("--update rewrites nothing where CI is set", hint="`--update --force` does it all the same")


class Update:
    """Notes what runs showed, then rewrites the blocks that differ.

    Attributes:
        failures: number of things that went wrong besides golden blocks.
    """

    def __init__(self) -> None:
        self.failures = 0
        #: real path -> first line of a block -> what was shown
        self._found: dict[str, dict[int, Compared]] = {}
        self._names: dict[str, str] = {}

    def note(self, played: ScriptEvent) -> None:
        """Take in something that happened while a script ran.

        Raises:
            Refused: a block that is met twice was shown two ways.
        """
        if played.failure or played.refused or (played.report and played.report.failed_expect):
            self.failures += 1
        if played.golden is None:
            return
        path = os.path.realpath(played.file)
        self._names.setdefault(path, played.file)
        before = self._found.setdefault(path, {}).setdefault(played.line, played.golden)
        if before.actual != played.golden.actual:
            hint = "the script is read twice, from different states; `[..]` or `...` can stand for what differs"
            if not (before.passed and played.golden.passed):
                message = "this block cannot be what is shown both times"
                raise Refused(message, text=played.text, file=played.file, line=played.line, hint=hint)

    def write(self) -> list[Block]:
        """Rewrite the blocks that differ; returns the differences, and how many there were.

        Raises:
            Refused: something else failed, or a file cannot be written; nothing was changed in it.
        """
        if self.failures:
            raise Refused(f"no golden block was rewritten: {counted(self.failures, 'failure')} besides them")
        blocks: list[Block] = []
        nr_blocks = nr_files = 0
        for path, found in self._found.items():
            changed = [one for one in found.values() if not one.passed]
            if changed:
                blocks += _rewrite(path, self._names[path], changed)
                nr_blocks += len(changed)
                nr_files += 1
        if not nr_files:
            return [line("every golden block is up to date", Tone.GOOD)]
        return [*blocks, line(f"{counted(nr_blocks, 'golden block')} in {counted(nr_files, 'file')} rewritten")]


def _rewrite(path: str, name: str, changed: list[Compared]) -> list[Block]:
    """Rewrite the blocks of one file."""
    try:
        before = Path(path).read_bytes().decode("utf-8")
        lines = before.split("\n")
        for golden, actual, _ in sorted(changed, key=lambda one: one.golden.number, reverse=True):
            first, nr = golden.number - 1, len(golden.lines)
            end = "\r" if lines[first].endswith("\r") else ""
            if tuple(text.removesuffix("\r") for text in lines[first : first + nr]) != golden.written:
                raise Refused("the script was changed while it ran", file=name, line=golden.number)
            lines[first : first + nr] = [text + end for text in golden.rewritten(updated(golden.lines, actual))]
        after = "\n".join(lines)
        _replace(path, after)
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot write {name}: {reason_of(error)}", file=name) from None
    return _difference(before, after, name)


def _replace(path: str, text: str) -> None:
    from shutil import copymode
    from tempfile import NamedTemporaryFile

    folder, base = os.path.split(path)
    with NamedTemporaryFile("wb", dir=folder, prefix=f".{base}.", delete=False) as stream:
        stream.write(text.encode("utf-8"))
    try:
        copymode(path, stream.name)
        Path(stream.name).replace(path)
    except OSError:
        Path(stream.name).unlink(missing_ok=True)
        raise


def _difference(before: str, after: str, name: str) -> list[Block]:
    from difflib import unified_diff

    return list(diff_blocks(unified_diff(before.splitlines(), after.splitlines(), name, name, n=2, lineterm="")))

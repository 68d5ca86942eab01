"""docs/scenarios.md: an index of scenarios/, made from the title and first paragraph of each script."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from folioshell.commands import Session
from folioshell.script import script
from tests.repo.tree import ROOT

FOLDER = ROOT / "scenarios"
#: folder of scenarios/ -> heading and introduction of its section, in the order of the page
FOLDERS = {
    "class": (
        "For class",
        "In the classroom geometry (8 entries per table), in the order of [tutorial.md](tutorial.md).",
    ),
    "mail": ("The mails", "The examples of the two mails of early 2023 that proposed the first two schemes."),
    "schemes": (
        "Worked examples",
        "The number and the answer of *every* scheme; [how to read them](../scenarios/schemes/README.md).",
    ),
    "locks": (
        "Locks",
        "Counting VMAs under page-table locks, in every interleaving of two threads: see [locking.md](locking.md).",
    ),
    "history": (
        "What changed from 5.10 to 7.3",
        "Expects for every profile: `folioshell run --profiles all FILE` shows where the kernels part, and why.",
    ),
}
_INTRODUCTION = """\
# Scenarios

Generated from the first lines of each script. `folioshell run FILE` prints the script's prose and the result of each
step, with `--quiet` only failures. `folioshell run FILE --until 3 -i` stops after step 3 and opens the shell there.
They are installed with folioshell: `folioshell run mail/straddle` needs no checkout.
"""


class Opening(NamedTuple):
    """The prose before a script's first command."""

    title: str
    paragraph: str


def scripts(folder: str) -> list[Path]:
    """The scripts of a folder: numbered examples first, then the others by name."""
    return sorted((FOLDER / folder).glob("*.fs"), key=_place)


def _place(path: Path) -> tuple[float, str]:
    number = re.match(r"Example (\d+):", opening(path).title)
    return (int(number[1]) if number else math.inf, path.name)


def opening(path: Path) -> Opening:
    """The title of a script and its first paragraph."""
    lines = script.parse(path.read_text(encoding="utf-8"), path.name, Session().language)
    first = lines[0].number if lines else 0
    prose = [
        line.prose.strip() for at, line in enumerate(lines) if line.prose is not None and line.number == first + at
    ]
    title, *rest = [" ".join(group.split("\n")) for group in "\n".join(prose).split("\n\n")]
    return Opening(title.removeprefix("# "), rest[0] if rest else "")


def scenario_index() -> str:
    """The page: a section a folder, a row a script."""
    lines = [_INTRODUCTION]
    for folder, (heading, text) in FOLDERS.items():
        lines += [f"## {heading}", "", text, "", "| script | shows |", "| --- | --- |"]
        lines += [*_rows(folder), ""]
    return "\n".join(lines)


def _rows(folder: str) -> Iterator[str]:
    for path in scripts(folder):
        said = opening(path)
        link = f"[{path.name}](../{path.relative_to(ROOT).as_posix()})"
        title = said.title if said.title.endswith("?") else f"{said.title}."
        yield f"| {link} | **{title}** {said.paragraph.replace('|', chr(92) + '|')} |"

"""How things are written: counts with their noun, runs of ids and of rows, folios and their pages, paragraphs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter

from folioshell.records import NamedTuple

_NUMBERED = re.compile(r"([A-Za-z_.]*?)([1-9][0-9]*)\Z")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: (1, 'VMA') -> '1 VMA', (2, 'entry', 'entries') -> '2 entries'."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def folio_run(number: int, nr: int) -> str:
    """``nr`` folios with consecutive numbers: ``f3`` or ``f1..f8``."""
    return f"f{number}" if nr == 1 else f"f{number}..f{number + nr - 1}"


def page_index(first: int, nr: int) -> str:
    """Pages of a folio or region, as they are typed: ``[3]`` or ``[0..7]``."""
    return f"[{first}]" if nr == 1 else f"[{first}..{first + nr - 1}]"


def pages_text(first: int, nr: int) -> str:
    """Pages of a folio, as in sentences: ``page 3`` or ``pages 0..7``."""
    return f"page {first}" if nr == 1 else f"pages {first}..{first + nr - 1}"


def id_run(first: str, nr: int) -> str:
    """``nr`` objects with consecutive ids: ('f3', 1) -> 'f3', ('f1', 8) -> 'f1..f8'."""
    match = _NUMBERED.match(first)
    if nr == 1 or match is None:
        return first
    kind, number = match.groups()
    return f"{first}..{kind}{int(number) + nr - 1}"


def id_runs(ids: Sequence[str]) -> list[str]:
    """Ids with consecutive ones as runs: ['pt1', 'pt2', 'pt5'] -> ['pt1..pt2', 'pt5']."""
    groups: list[tuple[str, int]] = []
    for one in ids:
        if groups and follows(groups[-1][0], one, groups[-1][1]):
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((one, 1))
    return [id_run(first, nr) for first, nr in groups]


def follows(earlier: str, later: str, distance: int = 1) -> bool:
    """True if ``later`` is the id ``distance`` after ``earlier``, as pt3 is 1 after pt2."""
    a, b = _NUMBERED.match(earlier), _NUMBERED.match(later)
    return a is not None and b is not None and a[1] == b[1] and int(b[2]) - int(a[2]) == distance


# Runs of rows.

Cell = str | int | None
Row = tuple[Cell, ...]
#: rows of a table that belong together: those of one process, or of one step
_Block = tuple[Row, ...]

_DIGITS = re.compile(r"(\d+)")
#: so many blocks that are alike are still shown one by one
MOST_APART = 4


#: by how much each cell increases from row to row: as a number, or as the numbers in its text; 0 if it is equal
_Steps = tuple[int | tuple[int, ...], ...]


class _Run(NamedTuple):
    """Consecutive blocks in which the same numbers increase by the same amounts, and all else is equal."""

    blocks: tuple[_Block, ...]
    steps: _Steps = ()


def row_runs(rows: Iterable[Row], key: int = 0) -> tuple[Row, ...]:
    """Rows in which many processes, or steps, that are alike are shown as one.

    Rows are alike if they differ only in numbers that increase evenly: those of ids, steps, counts. A run is shown by
    its first and last: ``P1..P9``, ``v2, v4..v18``, ``f5[0] rw … f9[0] rw``.

    Args:
        rows: of a table.
        key: the column of what they are about; consecutive rows with the same value there stay together.
    """
    blocks = (tuple(block) for _, block in groupby(rows, key=itemgetter(key)))
    return tuple(row for run in _runs(blocks) for row in _rows_of(run))


def text_runs(texts: Iterable[str]) -> list[str]:
    """Texts in which many that are alike are shown as one: 9 mappers -> ``P1:v2 pt2 … P9:v10 pt10``."""
    return [str(row[0]) for run in _runs(((text,),) for text in texts) for row in _rows_of(run)]


def _runs(blocks: Iterable[_Block]) -> Iterator[_Run]:
    run: list[_Block] = []
    steps: _Steps = ()
    for block in blocks:
        found = _steps(run[-1], block) if run else None
        if found is not None and len(run) == 2 and found != steps:
            # The second may as well begin a run of its own.
            yield _Run((run.pop(0),))
        if found is not None and (len(run) == 1 or found == steps):
            steps = found
            run.append(block)
            continue
        if run:
            yield _Run(tuple(run), steps)
        run = [block]
    if run:
        yield _Run(tuple(run), steps)


def _steps(block: _Block, later: _Block) -> _Steps | None:
    """By how much each number increases; None if something else differs, or no number does."""
    if len(block) != len(later):
        return None
    steps: list[int | tuple[int, ...]] = []
    for row, later_row in zip(block, later, strict=True):
        for cell, other in zip(row, later_row, strict=False):
            if cell is other:
                steps.append(0)
                continue
            if cell.__class__ is not other.__class__:
                return None
            step = 0 if cell == other else _cell_steps(cell, other)
            if step is None:
                return None
            steps.append(step)
    return tuple(steps) if any(steps) else None


def _cell_steps(cell: Cell, other: Cell) -> int | tuple[int, ...] | None:
    """By how much each number in a cell increases; 0 if none does, None if one decreases or something else differs."""
    if isinstance(cell, int) and isinstance(other, int) and cell >= 0:
        return other - cell if other >= cell else None
    parts, others = _DIGITS.split(str(cell)), _DIGITS.split(str(other))
    if parts[::2] != others[::2]:
        return None
    steps = tuple([int(after) - int(before) for before, after in zip(parts[1::2], others[1::2], strict=True)])
    return None if min(steps) < 0 else steps if any(steps) else 0


def _rows_of(run: _Run) -> Iterator[Row]:
    if len(run.blocks) <= MOST_APART:
        for block in run.blocks:
            yield from block
        return
    first, second, *_, last = run.blocks
    for rows in zip(first, second, last, strict=True):
        yield tuple(_cell_of(*cells) for cells in zip(*rows, strict=True))


def _cell_of(first: Cell, second: Cell, last: Cell) -> Cell:
    """A cell of a run from those of its first, second and last row."""
    if first == last:
        return first
    before, _, word = str(first).rpartition(" ")
    after, _, end = str(last).rpartition(" ")
    is_id = _NUMBERED.match(word) is not None or isinstance(first, int)
    if before != after or not is_id:
        return f"{first} … {last}"
    following = str(second).rpartition(" ")[2]
    gap = "" if follows(word, following) else f", {following}"
    return f"{first}{gap}..{end}"


# A heading, a quotation, a row of a table, a fence; a wide gap means columns.
_ALONE = re.compile(r"#|>|\||```|~~~|.*\S {2,}\S")
_ITEM = re.compile(r"[-*+] |\d+[.)] ")


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The prose of a script, which is Markdown, with the lines of each paragraph joined so that they can be wrapped.

    Headings, quotations, tables, fences and lines with wide gaps stay alone; an item keeps its continuation lines.
    """
    paragraph = ""
    for line in lines:
        if paragraph and line and not (_ALONE.match(paragraph) or _ALONE.match(line) or _ITEM.match(line)):
            paragraph += f" {line}"
            continue
        if paragraph:
            yield paragraph
        if not line:
            yield ""
        paragraph = line
    if paragraph:
        yield paragraph

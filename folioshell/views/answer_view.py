"""What was asked: queries with the truth beside them, expects, and the sections of a view."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from folioshell.report import Expect, Picture, Query, QueryRow, Section, Table, Truth
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line, preformatted
from folioshell.views.glyphs import visible
from folioshell.views.refusal_view import caret_blocks
from folioshell.wording import counted

#: columns that what explains a failure is set in, and those left for a line with a caret
_INDENT = 6
_CARET_ROOM = 90
_WRONG = ("false negative", "false positive", "too few", "too many")
_DIFF_TONES = {"-": Tone.BAD, "+": Tone.GOOD, "@": Tone.DIM}
_VERDICT_TONES = {"exact": Tone.GOOD, "undecided": Tone.DIM}


def query_blocks(query: Query) -> Iterator[Block]:
    """A row a scheme with its number, answer, cost and verdict, and the truth; empty columns are left out."""
    title = f"{query.kind} {query.target}"
    if query.folio:
        which = f"order {query.order}" if query.folio == query.target else f"{query.folio}, order {query.order}"
        title += f" ({which})"
    if query.answer:
        title += f": {query.answer}"
    if query.rows:
        yield _answers(query, title)
    else:
        yield line(title)
    if query.truth is not None:
        yield Line((Span("truth: ", Tone.STRONG), Span(truth_text(query.truth))), indent=2)


def _answers(query: Query, title: str) -> Grid:
    rows = query.rows
    columns: list[tuple[Column, list[Span]]] = [(Column("scheme"), [Span(row.scheme) for row in rows])]
    numbers = ["-" if row.number is None else str(row.number) for row in rows]
    if any(row.number is not None for row in rows):
        columns.append((Column("number", True), [Span(number) for number in numbers]))
    if any(row.answer and row.answer != number for row, number in zip(rows, numbers, strict=True)):
        columns.append((Column("answer"), [Span(row.answer, Tone.STRONG) for row in rows]))
    if any(row.page for row in rows):
        columns.append((Column("this page", True), [Span(row.page, Tone.STRONG) for row in rows]))
    if any(row.verdict for row in rows):
        columns.append((Column("verdict"), [_verdict(row) for row in rows]))
    if any(row.cost for row in rows):
        columns.append((Column("cost to resolve"), [Span(row.cost) for row in rows]))
    return Grid(
        tuple(column for column, _ in columns), tuple(zip(*(cells for _, cells in columns), strict=True)), title
    )


def _verdict(row: QueryRow) -> Span:
    if row.verdict in _WRONG:
        return Span(f"! {row.verdict}", Tone.BAD)
    return Span(row.verdict, _VERDICT_TONES.get(row.verdict, Tone.PLAIN))


def truth_text(truth: Truth) -> str:
    """The answer of the page tables, and their counts."""
    counts = ", ".join(
        (
            counted(truth.mms, "mm"),
            counted(truth.vmas, "VMA"),
            counted(truth.tuples, "tuple"),
            counted(truth.entries, "entry", "entries"),
            counted(truth.pages, "page") + " mapped",
            *((f"this page {counted(truth.page, 'time')}",) if truth.page is not None else ()),
        )
    )
    return f"{truth.answer}; {counts}" if truth.answer else counts


class Place(NamedTuple):
    """Where a command stands in a script.

    Args:
        file, line: its place; lines count from 1.
        text: the line as written.
        reopen: the command that opens the shell there; empty if there is none.
    """

    file: str
    line: int
    text: str
    reopen: str = ""

    def at(self, column: int) -> str:
        """``file:line:column``, as compilers write it; the column counts from 0."""
        return f"{visible(self.file)}:{self.line}:{column + 1}"


def expect_blocks(expect: Expect, place: Place | None = None) -> Iterator[Block]:
    """Whether an assertion held; if not, where, both values, why, and how to look at the state."""
    if expect.passed:
        yield Line((Span("pass  ", Tone.GOOD), Span(f"expect {expect.text}")))
        return
    what = f"is {expect.actual}, expected {expect.operator} {expect.expected}"
    if place is None:
        yield _failed(f"expect {expect.text}")
        yield line(what, indent=_INDENT)
    else:
        yield _failed(f"{place.at(expect.start)}: {what}")
        yield from caret_blocks(place.text, expect.start, expect.end, _CARET_ROOM, _INDENT)
    for text in expect.why:
        yield line(text, Tone.DIM, indent=_INDENT)
    if expect.since is not None:
        yield line(since_text(expect), indent=_INDENT)
    yield from _reopening(place)


def since_text(expect: Expect) -> str:
    """Which step last changed the value of a failed assertion."""
    assert expect.since is not None
    step, command, before = expect.since
    was = f" from {before}" if before else ""
    return f"step {step}, `{visible(command)}`, made it {expect.actual}{was}"


def stop_blocks(failure: str, place: Place, column: int) -> Iterator[Block]:
    """Why a script stops at a command; ``column`` is where that begins, from 0."""
    yield _failed(f"{place.at(column)}: {visible(' '.join(place.text.split()))}")
    yield line(f"{failure}; the script stops here", indent=_INDENT)
    yield from _reopening(place)


def golden_blocks(diff: Sequence[str], place: Place, rewrite: str) -> Iterator[Block]:
    """That the output of a line is not the block below it; ``rewrite`` is the command that would make it so."""
    yield _failed(f"{visible(place.file)}:{place.line}: the output is not this block: - expected, + shown")
    yield from diff_blocks(diff, _INDENT)
    yield Line((Span("to accept it: "), Span(visible(rewrite))), _INDENT, wraps=False)
    yield from _reopening(place)


def diff_blocks(diff: Iterable[str], indent: int = 0) -> Iterator[Line]:
    """The lines of a unified diff."""
    for text in diff:
        yield Line((Span(visible(text), _DIFF_TONES.get(text[:1], Tone.PLAIN)),), indent, wraps=False)


def _failed(text: str) -> Line:
    return Line((Span("FAIL  ", Tone.BAD), Span(text, Tone.STRONG)))


def _reopening(place: Place | None) -> Iterator[Block]:
    if place is not None and place.reopen:
        yield Line((Span("look:  ", Tone.GOOD), Span(visible(place.reopen))), _INDENT, wraps=False)


def section_blocks(section: Section) -> Iterator[Block]:
    """A table, a picture, or lines that are laid out already, as a command gave them."""
    if isinstance(section, Table):
        yield _table(section)
        return
    if isinstance(section, Picture):
        # Scripts hardly ever draw.
        from folioshell.views.picture_view import picture_blocks

        yield from picture_blocks(section)
        return
    if section.title:
        yield line(section.title, Tone.STRONG)
    for text in section.lines:
        yield preformatted(text)


def _table(table: Table) -> Grid:
    numeric = [all(isinstance(row[index], int | None) for row in table.rows) for index in range(len(table.columns))]
    columns = tuple(
        Column(header, bool(table.rows) and number) for header, number in zip(table.columns, numeric, strict=True)
    )
    rows = tuple(tuple(Span("-" if cell is None else str(cell)) for cell in row) for row in table.rows)
    note = table.note if table.rows or table.note else "nothing"
    return Grid(columns, rows, table.title, note)

"""What was asked: queries with the truth beside them, expects, and the sections of a view."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.report import Expect, Query, QueryRow, Section, Table, Truth
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, laid_out, line
from folioshell.views.runs import counted

_WRONG = ("false no", "false yes", "too few", "too many")
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


def expect_blocks(expect: Expect, place: str = "") -> Iterator[Block]:
    """Whether an assertion held; if not, both values and why. ``place`` is its ``file:line`` in a script."""
    if expect.passed:
        yield Line((Span("pass  ", Tone.GOOD), Span(f"expect {expect.text}")))
        return
    yield Line((Span("FAIL  ", Tone.BAD), Span(f"{f'{place}: ' if place else ''}expect {expect.text}", Tone.STRONG)))
    yield line(f"is {expect.actual}, expected {expect.operator} {expect.expected}", indent=6)
    for text in expect.why:
        yield line(text, Tone.DIM, indent=6)


def section_blocks(section: Section) -> Iterator[Block]:
    """A table, or lines that are laid out already, as a command gave them."""
    if isinstance(section, Table):
        yield _table(section)
        return
    if section.title:
        yield line(section.title, Tone.STRONG)
    for text in section.lines:
        yield laid_out(text)


def _table(table: Table) -> Grid:
    numeric = [all(isinstance(row[index], int | None) for row in table.rows) for index in range(len(table.columns))]
    columns = tuple(
        Column(header, bool(table.rows) and number) for header, number in zip(table.columns, numeric, strict=True)
    )
    rows = tuple(tuple(Span("-" if cell is None else str(cell)) for cell in row) for row in table.rows)
    note = table.note if table.rows or table.note else "nothing"
    return Grid(columns, rows, table.title, note)

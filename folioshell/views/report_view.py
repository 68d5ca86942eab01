"""A report as blocks: its parts in reading order, with queries, expects and sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from folioshell.records import NamedTuple
from folioshell.report import Expect, Picture, Query, QueryRow, Report, Section, Table, Text, Truth
from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span, Tone, line, preformatted
from folioshell.views.glyphs import visible
from folioshell.views.plain import render
from folioshell.views.refusal_view import caret_block
from folioshell.views.step_view import folio_blocks, lock_blocks, walk_blocks, watched_blocks
from folioshell.views.words import answer_words
from folioshell.wording import counted


def report_blocks(report: Report, place: ScriptPlace | None = None) -> list[Block]:
    """The sentence, the failure, findings, what changed, and the answers.

    Args:
        report: of one command.
        place: of the command in a script, shown with a failed expect.
    """
    return list(_parts(report.as_shown, place))


def plain_lines(reports: Sequence[Report], width: int) -> list[str]:
    """Reports as plain text, separated by empty lines; consecutive expects are not separated."""
    lines: list[str] = []
    before: Report | None = None
    for report in reports:
        if before is not None and (before.expect is None or report.expect is None):
            lines.append("")
        lines += render(report_blocks(report), width).split("\n")[:-1]
        before = report
    return lines


def _parts(report: Report, place: ScriptPlace | None) -> Iterator[Block]:
    failure = failure_text(report) if report.failed else ""
    if report.sentence:
        # The text of a line for class is what a stranger has written.
        yield line(visible(report.sentence), Tone.BAD if failure else Tone.STRONG)
    if failure and failure not in report.sentence:
        yield Line((Span("system call failed: ", Tone.BAD), Span(failure)))
    for finding in report.findings:
        yield Line((Span("!!! FINDING: ", Tone.LOUD), Span(finding, Tone.BAD)))
    yield from folio_blocks(report.folios)
    yield from walk_blocks(report.walks, titled=report.step is not None or not report.sentence)
    yield from lock_blocks(report.locks)
    if report.query is not None:
        yield from query_blocks(report.query)
    if report.expect is not None:
        yield from expect_blocks(report.expect, place)
    for section in report.sections:
        yield from section_blocks(section)
    yield from watched_blocks(report.watched)


def failure_text(report: Report) -> str:
    """The errno, or which accesses, counted from 0, got which signal; empty without a failure."""
    result = report.result or {}
    if "errno" in result:
        return str(result["errno"])
    return ", ".join(
        f"{signal} at {f'access {first}' if nr == 1 else f'accesses {first}..{first + nr - 1}'}"
        for first, nr, signal in result.get("signals", ())
    )


#: indent of the explanation of a failure, and columns for a line with a caret
_INDENT = 6
_CARET_ROOM = 90
_WRONG = ("false negative", "false positive", "too few", "too many")
_DIFF_TONES = {"-": Tone.BAD, "+": Tone.GOOD, "@": Tone.DIM}
_VERDICT_TONES = {"exact": Tone.GOOD, "undecided": Tone.DIM}


def query_blocks(query: Query) -> Iterator[Block]:
    """A row per scheme with number, answer, cost and verdict, and the truth; empty columns are left out."""
    title = f"{query.kind} {query.target}".rstrip()
    if query.folio:
        which = f"order {query.order}" if query.folio == query.target else f"{query.folio}, order {query.order}"
        title += f" ({which})"
    if query.answer:
        title += f": {query.answer}"
    if query.rows:
        grid = _answers(query, title)
        yield Drawing(lambda _: (grid,), lambda: [line(f"{title}:"), *answer_words(query.rows, _WRONG)])
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
        columns.append((Column("verdict", whole=True), [_verdict(row) for row in rows]))
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
    """The answer from the page tables, and their counts."""
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


class ScriptPlace(NamedTuple):
    """The place of a command in a script.

    Args:
        file, line: lines count from 1.
        text: the line as written.
        reopen: the shell command that opens folioshell there; may be empty.
        comment: the comment that ends the line, for ``--json=full``.
    """

    file: str
    line: int
    text: str
    reopen: str = ""
    comment: str = ""

    def at(self, column: int) -> str:
        """``file:line:column`` as compilers print it; ``column`` counts from 0, the text from 1."""
        return f"{visible(self.file)}:{self.line}:{column + 1}"


def expect_blocks(expect: Expect, place: ScriptPlace | None = None) -> Iterator[Block]:
    """Whether an assertion holds; if not, its place, both values, the reason, and how to open the shell there."""
    claim = {"expect": f"expect {expect.text}", "question": f"? {expect.text}"}.get(expect.kind, expect.text)
    if expect.passed:
        if expect.kind == "question":
            yield Line((Span("answer  ", Tone.GOOD), Span(expect.actual, Tone.STRONG)))
        elif expect.kind != "wrong":
            yield Line((Span("pass  ", Tone.GOOD), Span(claim)))
        return
    what = f"is {expect.actual}, expected {expect.operator} {expect.expected}"
    if place is None:
        yield _failed(claim)
        yield line(what, indent=_INDENT)
    else:
        yield _failed(f"{place.at(expect.start)}: {what}")
        yield caret_block(place.text, expect.start, expect.end, _CARET_ROOM, _INDENT)
    for text in expect.why:
        yield line(text, Tone.DIM, indent=_INDENT)
    if expect.since is not None:
        yield line(since_text(expect), indent=_INDENT)
    yield from _reopening(place)


def since_text(expect: Expect) -> str:
    """The step that last changed the value of a failed assertion."""
    assert expect.since is not None
    step, command, before = expect.since
    was = f" from {before}" if before else ""
    return f"changed to {expect.actual}{was} by step {step}: `{visible(command)}`"


def stop_blocks(failure: str, place: ScriptPlace, column: int) -> Iterator[Block]:
    """Why a script stops at a command; ``column`` counts from 0."""
    yield _failed(f"{place.at(column)}: {visible(' '.join(place.text.split()))}")
    yield line(f"{failure}; script stopped", indent=_INDENT)
    yield from _reopening(place)


def unreached_blocks(what: str, place: ScriptPlace, column: int) -> Iterator[Block]:
    """An assertion that ``quit`` left out; ``column`` counts from 0."""
    yield _failed(f"{place.at(column)}: not reached: {visible(what)}")
    yield line("`quit` ended the script before it", indent=_INDENT)


def unasked_blocks(kinds: str, place: ScriptPlace, column: int) -> Iterator[Block]:
    """The kinds of findings of a race for which no ``expect`` asked."""
    yield _failed(f"{place.at(column)}: {visible(' '.join(place.text.split()))}")
    yield line(f"found {kinds}, and no `expect` asks for that", indent=_INDENT)


def golden_blocks(diff: Sequence[str], place: ScriptPlace, rewrite: str) -> Iterator[Block]:
    """The diff of a golden block and the output; ``rewrite`` is the shell command that accepts the output."""
    yield _failed(f"{visible(place.file)}:{place.line}: output differs from the golden block (- expected, + actual)")
    yield from diff_blocks(diff, _INDENT)
    yield Line((Span("to accept: "), Span(visible(rewrite))), _INDENT, wraps=False)
    yield from _reopening(place)


def diff_blocks(diff: Iterable[str], indent: int = 0) -> Iterator[Line]:
    """The lines of a unified diff."""
    for text in diff:
        yield Line((Span(visible(text), _DIFF_TONES.get(text[:1], Tone.PLAIN)),), indent, wraps=False)


def _failed(text: str) -> Line:
    return Line((Span("FAIL  ", Tone.BAD), Span(text, Tone.STRONG)))


def _reopening(place: ScriptPlace | None) -> Iterator[Block]:
    if place is not None and place.reopen:
        yield Line((Span("open:  ", Tone.GOOD), Span(visible(place.reopen))), _INDENT, wraps=False)


def section_blocks(section: Section) -> Iterator[Block]:
    """A table, a picture, or preformatted lines."""
    if isinstance(section, Table):
        grid = _table(section)
        yield Drawing(lambda _: (grid,), lambda: _said(section)) if section.words else grid
        return
    if isinstance(section, Picture):
        # Scripts hardly ever draw.
        from folioshell.views.picture_view import picture_blocks

        yield from picture_blocks(section)
        return
    lines = [line(section.title, Tone.STRONG)] if section.title else []
    lines += map(preformatted, section.lines)
    if section.words:
        yield Drawing(lambda _: lines, lambda: _said(section))
    else:
        yield from lines


def _said(section: Table | Text) -> list[Line]:
    """The words of a section, below its title."""
    title = f"{section.title}:" if section.title else ""
    note = section.note if isinstance(section, Table) else ""
    return [line(text) for text in (title, *section.words, *note.split("\n")) if text]


def _table(table: Table) -> Grid:
    numeric = [all(isinstance(row[index], int | None) for row in table.rows) for index in range(len(table.columns))]
    columns = tuple(
        Column(header, bool(table.rows) and number) for header, number in zip(table.columns, numeric, strict=True)
    )
    rows = tuple(tuple(Span("-" if cell is None else str(cell)) for cell in row) for row in table.rows)
    note = table.note if table.rows or table.note else "nothing"
    return Grid(columns, rows, table.title, note)

"""The tables of a report as CSV, and separately its remarks.

Rules:
- A table is complete data: old and new numbers have their own columns, and a missing value is an empty cell.
- Sentences, findings, drawings and notes are never part of it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from folioshell.records import replace
from folioshell.report import Picture, Query, Report, Section, Table, Text
from folioshell.views.blocks import Block
from folioshell.views.report_view import ScriptPlace, report_blocks

_Cell = str | int | None
#: the rows of a table, its header first
_Rows = list[Sequence[_Cell]]


def csv_tables(report: Report) -> list[str]:
    """Each table of a report as CSV, header first."""
    return [_written(rows) for rows in _tables(report.as_shown)]


def remark_blocks(report: Report, place: ScriptPlace | None = None) -> list[Block]:
    """What a report says besides its tables, including a failed expect with its ``place``."""
    said = tuple(text for section in report.sections for text in _text_of(section))
    unread = tuple(one for one in report.watched if one.note)
    rest = replace(
        report, folios=(), walks=(), locks=(), query=None, expect=report.failed_expect, sections=said, watched=unread
    )
    return report_blocks(rest, place)


def _written(rows: Iterable[Sequence[_Cell]]) -> str:
    out = StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()


def _text_of(section: Section) -> Iterator[Section]:
    if isinstance(section, Picture):
        yield Text((section.title, *section.notes))
    elif isinstance(section, Text):
        yield section
    elif section.note:
        yield Text((f"{section.title}: {section.note}" if section.title else section.note,))


def _tables(report: Report) -> Iterator[_Rows]:
    if report.folios:
        yield _folios(report)
    if report.walks:
        yield _walks(report)
    if report.locks:
        header = ("step", "lock", "depth", "function", "times")
        yield [header, *((report.step, row.name, row.depth, row.function, row.times) for row in report.locks)]
    if report.query is not None:
        yield from _answers(report.query)
    if report.expect is not None:
        expect = report.expect
        values = (expect.text, "yes" if expect.passed else "no", expect.operator, expect.actual, expect.expected)
        yield [("expect", "passed", "operator", "actual", "expected"), values]
    if report.watched:
        news = (
            (report.step, one.number, one.text, name, *value)
            for one in report.watched
            for name, value in one.values.items()
        )
        yield [("step", "watch", "watched", "what", "old", "new"), *news]
    for section in report.sections:
        if isinstance(section, Table):
            # Indented cells are accompanied by a depth column.
            cells = ([cell.strip() if isinstance(cell, str) else cell for cell in row] for row in section.rows)
            yield [section.columns, *cells]
        elif isinstance(section, Picture):
            yield from _picture(section)


def _folios(report: Report) -> _Rows:
    schemes = list(dict.fromkeys(name for folio in report.folios for name in folio.mapcounts))
    rows: _Rows = [
        ("step", "folio", "count", "order", *(f"{name} {when}" for name in schemes for when in ("old", "new")), "note")
    ]
    for folio in report.folios:
        changes = [folio.mapcounts.get(name) for name in schemes]
        numbers = [number for change in changes for number in (change or (None, None))]
        rows.append((report.step, folio.id, folio.nr, folio.order, *numbers, folio.note))
    return rows


def _picture(picture: Picture) -> Iterator[_Rows]:
    """A row per process and column of the picture where it has a VMA, and a row per run of folios."""
    yield [
        ("process", "vma", "address", "pages", "label", "table", "maps", "sharing"),
        *(
            (lane.process, cell.vma, stretch.address, stretch.pages, stretch.label, cell.table, cell.maps, cell.sharing)
            for lane in picture.lanes
            for stretch, cell in zip(picture.stretches, lane.cells, strict=True)
            if cell.vma
        ),
    ]
    yield [
        ("folio", "count", "order", "of", "entries", "sharing", "wrong", "undecided", "mapped by"),
        *(
            (
                *(row.id, row.nr, row.order, row.maps, " ".join(f"{entries}*{pages}" for pages, entries in row.counts)),
                *(row.sharing, " ".join(row.wrong), " ".join(row.undecided)),
                " ".join(f"{visit.process}:{visit.vma}" for visit in row.mappers),
            )
            for row in picture.folios
        ),
    ]


def _walks(report: Report) -> _Rows:
    """A row per page table entered; one without a table for a VMA in which none was."""
    rows: _Rows = [("step", "folio", "reason", "through", "process", "vma", "table", "entries", "note")]
    for walk in report.walks:
        for visit in walk.visits:
            rows += [
                (report.step, walk.folio, walk.reason, walk.through, visit.process, visit.vma, table, nr, visit.note)
                for table, nr in visit.tables or (("", 0),)
            ]
    return rows


def _answers(query: Query) -> Iterator[_Rows]:
    about = ("query", "target", "folio")
    asked = (query.kind, query.target, query.folio)
    if query.answer or not query.rows:
        yield [(*about, "answer"), (*asked, query.answer)]
    if query.rows:
        columns = ("scheme", "number", "answer", "cost", "verdict", "page")
        yield [(*about, *columns), *((*asked, *row) for row in query.rows)]
    if query.truth is not None:
        yield [(*about, "truth", "mms", "vmas", "tuples", "entries", "pages", "page"), (*asked, *query.truth)]

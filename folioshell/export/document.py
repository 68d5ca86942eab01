"""Reports as JSON documents, one a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

from folioshell.export import shape
from folioshell.report import (
    Expect,
    FolioChange,
    FolioLane,
    Picture,
    Query,
    Report,
    Section,
    Table,
    Visit,
    Walk,
    Watched,
)


def document(report: Report, *, file: str = "", line: int = 0, reopen: str = "") -> dict[str, Any]:
    """The document of a report; keys whose value is absent are left out.

    Args:
        file, line: where the command stands, when it was read from a script.
        reopen: the command that opens the shell where an expect failed.
    """
    whole = shape.Document(
        v=shape.VERSION,
        file=file,
        line=line,
        step=report.step,
        process=report.process,
        command=report.command,
        result=shape.ResultDocument(**report.result) if report.result is not None else None,
        sentence=report.sentence,
        folios=[shape.FolioDocument(row.id, row.order, _changes(row), row.nr, row.note) for row in report.folios],
        walks=[_walk(walk) for walk in report.walks],
        locks=[(row.name, row.depth, row.function) for row in report.locks for _ in range(row.times)],
        findings=list(report.findings),
        watched=[_watched(watched) for watched in report.watched],
        query=_query(report.query) if report.query is not None else None,
        expect=_expect(report.expect, reopen) if report.expect is not None else None,
        sections=[_section(section) for section in report.sections],
        state=report.state,
    )
    made = _plain(whole)
    return {**{key: made[key] for key in shape.ORDER if key in made}, **report.extra}


def document_line(report: Report, *, file: str = "", line: int = 0, reopen: str = "", ascii_only: bool = False) -> str:
    """The document of a report as one line of JSON Lines, its newline included.

    Args:
        file, line, reopen: as in ``document``.
        ascii_only: write what is beyond ASCII as JSON's escapes.
    """
    made = document(report, file=file, line=line, reopen=reopen)
    return json.dumps(made, ensure_ascii=ascii_only, separators=(",", ":")) + "\n"


def _changes(row: FolioChange) -> dict[str, shape.ChangeDocument]:
    return {name: shape.ChangeDocument(change.old, change.new) for name, change in row.mapcounts.items()}


def _expect(expect: Expect, reopen: str) -> shape.ExpectDocument:
    made = shape.ExpectDocument(expect.text, expect.passed, expect.operator, expect.actual, expect.expected)
    if not expect.passed:
        made.why, made.column, made.reopen = list(expect.why), expect.start + 1, reopen
        made.since = shape.SinceDocument(*expect.since) if expect.since is not None else None
    return made


def _watched(watched: Watched) -> shape.WatchedDocument:
    values = {name: shape.WatchedValueDocument(*value) for name, value in watched.values.items()}
    return shape.WatchedDocument(watched.number, watched.text, values, watched.note)


def _walk(walk: Walk) -> shape.WalkDocument:
    return shape.WalkDocument(walk.folio, walk.reason, walk.through, walk.ptls, walk.entries, _visits(walk.visits))


def _visits(visits: Iterable[Visit]) -> list[shape.VisitDocument]:
    return [shape.VisitDocument(visit.process, visit.vma, list(visit.tables), visit.note) for visit in visits]


def _query(query: Query) -> shape.QueryDocument:
    truth = query.truth
    return shape.QueryDocument(
        query.kind,
        query.target,
        query.folio,
        query.order,
        [shape.RowDocument(*row) for row in query.rows],
        shape.TruthDocument(*truth) if truth is not None else None,
        query.answer,
    )


def _section(section: Section) -> shape.SectionDocument:
    if isinstance(section, Table):
        rows = [list(row) for row in section.rows]
        return shape.SectionDocument(section.title, list(section.columns), rows, note=section.note)
    if isinstance(section, Picture):
        return shape.SectionDocument(section.title, picture=_picture(section))
    return shape.SectionDocument(section.title, lines=list(section.lines))


def _picture(picture: Picture) -> shape.PictureDocument:
    return shape.PictureDocument(
        [shape.StretchDocument(*stretch) for stretch in picture.stretches],
        [
            shape.LaneDocument(
                lane.process,
                lane.current,
                [shape.BarDocument(*bar) for bar in lane.vmas],
                [shape.CellDocument(*cell) for cell in lane.cells],
            )
            for lane in picture.lanes
        ],
        [_folio_lane(folio) for folio in picture.folios],
        list(picture.notes),
    )


def _folio_lane(folio: FolioLane) -> shape.FolioLaneDocument:
    return shape.FolioLaneDocument(
        folio.id,
        folio.order,
        folio.maps,
        list(folio.counts),
        folio.sharing,
        folio.nr,
        list(folio.wrong),
        list(folio.undecided),
        _visits(folio.mappers),
    )


def _plain(value: Any) -> Any:
    """Dataclasses as dictionaries without the fields that equal their defaults."""
    if is_dataclass(value):
        made = {}
        for one in fields(value):
            inner = getattr(value, one.name)
            if not _is_default(one, inner):
                made[one.name] = _plain(inner)
        return made
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple) and value and not isinstance(value[0], str | int):
        return [_plain(inner) for inner in value]
    return value


def _is_default(one: Field[Any], value: Any) -> bool:
    if one.default is not MISSING:
        return bool(value == one.default)
    if one.default_factory is not MISSING:
        return bool(value == one.default_factory())
    return False

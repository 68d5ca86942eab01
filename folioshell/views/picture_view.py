"""The whole picture as blocks: lanes over a common axis and a grid of folios, or the same in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.report import Bar, Cell, FolioLane, Lane, Picture, Stretch, Visit
from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import TIMES
from folioshell.views.lanes import SIGNS, drawn
from folioshell.views.runs import joined_runs
from folioshell.wording import counted, id_run, id_runs

#: pages of a row that are written a digit each
_MOST_DIGITS = 32
_UNMAPPED = "·"
_LEGEND = {
    "*": "* current",
    "S": "S shared",
    "x": "x exclusive",
    "?": "?NAME says maybe",
    "!": "!NAME is wrong",
    _UNMAPPED: f"{_UNMAPPED} not mapped",
    "┊": "┊ gap in the addresses",
}


def picture_blocks(picture: Picture) -> Iterator[Block]:
    """The title, the lanes, the folios, a legend of the signs that occur, and what was left out."""
    yield line(picture.title, Tone.STRONG)
    yield Drawing(lambda width: drawn(picture, width), tuple(_lane_words(picture)))
    yield from _folios(picture)
    for note in picture.notes:
        yield line(note, Tone.DIM)


# The folios.


def _folios(picture: Picture) -> Iterator[Block]:
    """A row a folio or run of folios, then the legend of all signs."""
    rows = picture.folios
    sharing = [_sharing(row) for row in rows]
    columns = [
        (Column("folio"), [Span(id_run(row.id, row.nr)) for row in rows]),
        (Column("order", True), [Span(str(row.order)) for row in rows]),
        (Column("of"), [Span(row.maps) for row in rows]),
        (Column("entries"), [Span(digits(row)) for row in rows]),
        (Column("sharing"), [Span(text, _tone(text)) for text in sharing]),
        (Column("mapped by"), [Span(_mappers(row)) for row in rows]),
    ]
    if rows:
        cells = zip(*(spans for _, spans in columns), strict=True)
        yield Grid(tuple(column for column, _ in columns), tuple(cells))
    if legend := _legend(picture, sharing):
        yield Line((Span(legend, Tone.DIM),))


def digits(row: FolioLane) -> str:
    """How many entries map each page: a digit a page, or for many pages ``1×512``."""
    counts = [(row.nr * row.counts[0][0], row.counts[0][1])] if len(row.counts) == 1 else list(row.counts)
    if sum(pages for pages, _ in counts) <= _MOST_DIGITS and all(entries < 10 for _, entries in counts):
        text = "".join((str(entries) if entries else _UNMAPPED) * pages for pages, entries in counts)
    else:
        text = " ".join(f"{entries or _UNMAPPED}{TIMES}{pages:,}" for pages, entries in counts)
    return f"{text} each" if row.nr > 1 and len(row.counts) > 1 else text


def _sharing(row: FolioLane) -> str:
    """What the page tables say, and who says otherwise: ``x !per-page ?tuples``."""
    errs = (*(f"!{name}" for name in row.wrong), *(f"?{name}" for name in row.undecided))
    return " ".join((SIGNS[row.sharing], *errs))


def _tone(sharing: str) -> Tone:
    return Tone.BAD if "!" in sharing else Tone.STRONG if sharing.startswith(SIGNS["shared"]) else Tone.PLAIN


def _mappers(row: FolioLane) -> str:
    """Who maps it, through which tables; of a single large folio with the entries in each."""
    single = row.nr == 1 and row.order > 0
    return (
        "; ".join(
            f"{visit.process}:{visit.vma} {joined_runs(visit.tables) if single else _tables(visit)}"
            for visit in row.mappers
        )
        or "nobody"
    )


def _tables(visit: Visit) -> str:
    return ", ".join(id_runs([name for name, _ in visit.tables]))


def _legend(picture: Picture, sharing: Sequence[str]) -> str:
    """What the signs mean that occur."""
    shown = "".join(sign for text in sharing for sign in _LEGEND if sign in text.split(" ")[0] or f" {sign}" in text)
    shown += "".join(digits(row) for row in picture.folios)
    shown += "*" if picture.stretches and any(lane.current for lane in picture.lanes) else ""
    shown += "┊" if any(stretch.gap for stretch in picture.stretches) else ""
    shown += _UNMAPPED if any(_is_hole(cell) for lane in picture.lanes for cell in lane.cells) else ""
    return ", ".join(text for sign, text in _LEGEND.items() if sign in shown)


def _is_hole(cell: Cell) -> bool:
    return bool(cell.vma) and not cell.maps


# The lanes in words.


def _lane_words(picture: Picture) -> Iterator[Line]:
    """For each process its VMAs, and under each its stretches."""
    for lane in picture.lanes:
        current = " (current)" if lane.current else ""
        yield line(f"{lane.process}{current}: {counted(len(lane.vmas), 'VMA')}", Tone.STRONG)
        for bar in lane.vmas:
            yield from _vma_words(picture, lane, bar)


def _vma_words(picture: Picture, lane: Lane, bar: Bar) -> Iterator[Line]:
    yield line(f"{bar.id}: {bar.perm}, {bar.maps}, {counted(bar.pages, 'page')} at {bar.address}", indent=2)
    for stretch, cell in zip(picture.stretches, lane.cells, strict=True):
        if cell.vma == bar.id:
            yield line(f"{_where(stretch)}: {_cell_words(cell)}", indent=4)


def _where(stretch: Stretch) -> str:
    return stretch.label or f"{counted(stretch.pages, 'page')} at {stretch.address}"


def _cell_words(cell: Cell) -> str:
    words = (cell.maps or "not mapped", cell.sharing, f"in {cell.table}" if cell.table else "no page table")
    return ", ".join(word for word in words if word)

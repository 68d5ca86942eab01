"""The parts of a report in words, one fact a line: what mode spoken says in place of their tables and drawings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.report import Bar, Cell, FolioChange, FolioLane, Lane, Picture, QueryRow, Stretch, Visit, Walk
from folioshell.views.blocks import Line, Span, Tone, line
from folioshell.wording import counted, folio_run, id_run, page_index, text_runs


def folio_words(folios: Sequence[FolioChange]) -> Iterator[Line]:
    """``f1, order 2: per-page 2 to 4, tuples 1 to 2, vmas stays 1.``; what changed comes first."""
    for folio in folios:
        about = [id_run(folio.id, folio.nr), f"order {folio.order}", *filter(None, (folio.note,))]
        changed = [f"{name} {old} to {new}" for name, (old, new) in folio.mapcounts.items() if old != new]
        stays = " " if folio.note == "new" else " stays "
        equal = [f"{name}{stays}{new}" for name, (old, new) in folio.mapcounts.items() if old == new]
        numbers = ", ".join((*changed, *equal))
        yield line(f"{', '.join(about)}{': ' if numbers else ''}{numbers}.")


def walk_words(walk: Walk) -> Iterator[Line]:
    """A line for each VMA visited: how many entries were found, and where."""
    for visit in walk.visits:
        found = sum(count for _, count in visit.tables)
        places = ", ".join(f"{count} in {name}" for name, count in visit.tables)
        note = f"; {visit.note}" if visit.note else ""
        where = places if len(visit.tables) > 1 else ", ".join(name for name, _ in visit.tables)
        tables = f": {where}" if len(visit.tables) > 1 else f" in {where}" if where else ", no table entered"
        yield line(f"{visit.process} {visit.vma}: {counted(found, 'entry', 'entries')}{tables}{note}.")


def lock_words(groups: Sequence[tuple[str, int, str]]) -> Iterator[Line]:
    """A numbered list of locks: (names, page-table locks held before, function)."""
    for number, (names, depth, function) in enumerate(groups, 1):
        under = f", under {counted(depth, 'other')}" if depth else ""
        yield line(f"{number}. {names}{under}, by {function}.")


def answer_words(rows: Sequence[QueryRow], wrong: Sequence[str]) -> Iterator[Line]:
    """What each scheme answers, whether that is right, its number, and the cost to resolve a ``maybe``.

    Args:
        rows: the answers.
        wrong: verdicts that say that an answer is wrong.
    """
    for row in rows:
        number = "" if row.number is None else str(row.number)
        parts = (
            row.answer if row.answer != number else "",
            f"wrong, {row.verdict}" if row.verdict in wrong else row.verdict,
            f"number {number}" if number else "",
            f"this page {row.page}" if row.page else "",
            f"to resolve it: {row.cost}" if row.cost else "",
        )
        yield line(f"{row.scheme}: {', '.join(filter(None, parts))}.")


# The picture.


def lane_words(picture: Picture) -> Iterator[Line]:
    """Each process, its VMAs, and what is mapped in each."""
    for lane in picture.lanes:
        current = ", the current process" if lane.current else ""
        yield line(f"{lane.process}{current}: {counted(len(lane.vmas), 'VMA')}.", Tone.STRONG)
        for bar in lane.vmas:
            yield from _vma_words(picture, lane, bar)


def _vma_words(picture: Picture, lane: Lane, bar: Bar) -> Iterator[Line]:
    about = f"{bar.perm}, {bar.maps}, {counted(bar.pages, 'page')} at {bar.address}"
    yield line(f"{lane.process} {bar.id}: {about}.")
    for stretch, cell in zip(picture.stretches, lane.cells, strict=True):
        if cell.vma == bar.id:
            yield line(f"{_where(stretch)} of {lane.process}: {_cell_words(cell)}.")


def _where(stretch: Stretch) -> str:
    return stretch.label or f"{counted(stretch.pages, 'page')} at {stretch.address}"


def _cell_words(cell: Cell) -> str:
    words = (cell.maps or "not mapped", cell.sharing, f"in {cell.table}" if cell.table else "no page table")
    return ", ".join(word for word in words if word)


def lane_folio_words(folios: Sequence[FolioLane]) -> Iterator[Line]:
    """Each folio or run: whether it is shared and which schemes are wrong; then its entries, and who maps it."""
    for row in folios:
        name = folio_run(int(row.id[1:]), row.nr)
        verdicts = [f"{scheme} is wrong" for scheme in row.wrong] + [f"{scheme} says maybe" for scheme in row.undecided]
        yield line(f"{name}, order {row.order}, of {row.maps}: {', '.join((row.sharing, *verdicts))}.")
        if row.mappers:
            yield line(f"{name}: {_entries(row)}, mapped by {' and '.join(_mappers(row.mappers))}.")


def _entries(row: FolioLane) -> str:
    """The entries that map each page: ``2 entries a page``, or of which pages how many."""
    if len(row.counts) == 1:
        return f"{counted(row.counts[0][1], 'entry', 'entries')} a page"
    texts: list[str] = []
    first = 0
    for pages, entries in row.counts:
        noun = f"page{page_index(first, pages)}"
        texts.append(f"{noun} {counted(entries, 'entry', 'entries') if entries else 'not mapped'}")
        first += pages
    return ", ".join(texts) + (" of each" if row.nr > 1 else "")


def _mappers(visits: Sequence[Visit]) -> list[str]:
    return text_runs(
        f"{visit.process} {visit.vma} in {', '.join(name for name, _ in visit.tables)}" for visit in visits
    )


# A place in a line.


def caret_words(text: str, start: int, end: int) -> Iterator[Line]:
    """A line, and the place in it that carets would mark: which word, and its column."""
    yield Line((Span(text),))
    column = f"column {start + 1}"
    if start >= len(text.rstrip()):
        yield line(f"at the end of the line, {column}")
        return
    number = len(text[:start].split()) + (not text[:start] or text[start - 1] == " ")
    yield line(f"at word {number}, {column}: {text[start:end].strip()}")

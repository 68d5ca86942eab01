"""The picture: a lane per process over a common axis of addresses, and a grid of folios.

The axis is broken into as many bands as the width needs.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping, Sequence

from folioshell.records import dataclass
from folioshell.report import Bar, Cell, FolioLane, Lane, Picture, Stretch, TableRow, Visit
from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import ELLIPSIS, TIMES
from folioshell.views.layout import columns_of, padded
from folioshell.views.step_view import joined_runs
from folioshell.views.words import lane_folio_words, lane_words
from folioshell.wording import id_run, id_runs, text_runs

#: maximum pages of a row that are shown as one digit each
_MOST_DIGITS = 32
_UNMAPPED = "·"
#: sign -> what the legend says; the signs of entries are those of ``_entry_signs``
_LEGEND = {
    "*": "* current",
    "S": "S shared",
    "x": "x exclusive",
    "!": "! wrong",
    "?": "? maybe",
    _UNMAPPED: f"{_UNMAPPED} none",
    "┊": "┊ address gap",
}


def picture_blocks(picture: Picture) -> Iterator[Block]:
    """The title, the lanes, the folios, a legend of the signs that occur, and notes."""
    yield line(picture.title, Tone.STRONG)
    small = any(lane.tables for lane in picture.lanes)
    yield Drawing(
        lambda width: entry_lines(picture) if small else drawn(picture, width), lambda: [*lane_words(picture)]
    )
    folios = [*_folios(picture)]
    yield Drawing(lambda _: folios, lambda: [*lane_folio_words(picture.folios)])
    for note in picture.notes:
        yield line(note, Tone.DIM)


# The folios.


def _folios(picture: Picture) -> Iterator[Line | Grid]:
    """A row per folio or run of folios, then the legend."""
    rows = picture.folios
    sharing = [_sharing(row) for row in rows]
    columns = [
        (Column("folio"), [Span(id_run(row.id, row.nr)) for row in rows]),
        (Column("order", True), [Span(str(row.order)) for row in rows]),
        (Column("of"), [Span(row.maps) for row in rows]),
        (Column("entries"), [Span(digits(row)) for row in rows]),
        (Column("sharing", whole=True), [Span(text, _tone(text)) for text in sharing]),
        (Column("mapped by"), [Span(_mappers(row)) for row in rows]),
    ]
    if rows:
        cells = zip(*(spans for _, spans in columns), strict=True)
        yield Grid(tuple(column for column, _ in columns), tuple(cells))
    if legend := _legend(picture, sharing):
        yield Line((Span(legend, Tone.DIM),))


def digits(row: FolioLane) -> str:
    """The number of entries that map each page: a digit per page, or ``1×512`` for many pages."""
    counts = [(row.nr * row.counts[0][0], row.counts[0][1])] if len(row.counts) == 1 else list(row.counts)
    if sum(pages for pages, _ in counts) <= _MOST_DIGITS and all(entries < 10 for _, entries in counts):
        text = "".join((str(entries) if entries else _UNMAPPED) * pages for pages, entries in counts)
    else:
        text = " ".join(f"{entries or _UNMAPPED}{TIMES}{pages:,}" for pages, entries in counts)
    return f"{text} each" if row.nr > 1 and len(row.counts) > 1 else text


def _sharing(row: FolioLane) -> str:
    """What the page tables say, and the schemes that disagree: ``x !per-page ?tuples``."""
    errs = (*(f"!{name}" for name in row.wrong), *(f"?{name}" for name in row.undecided))
    return " ".join((SIGNS[row.sharing], *errs))


def _tone(sharing: str) -> Tone:
    return Tone.BAD if "!" in sharing else Tone.STRONG if sharing.startswith(SIGNS["shared"]) else Tone.PLAIN


def _mappers(row: FolioLane) -> str:
    """Who maps it, through which tables; for a single large folio also the entries in each."""
    single = row.nr == 1 and row.order > 0
    mappers = (
        f"{visit.process}:{visit.vma} {joined_runs(visit.tables) if single else _tables(visit)}"
        for visit in row.mappers
    )
    return "; ".join(text_runs(mappers)) or "none"


def _tables(visit: Visit) -> str:
    return ", ".join(id_runs([name for name, _ in visit.tables]))


def _legend(picture: Picture, sharing: Sequence[str]) -> str:
    """The meaning of the signs that occur."""
    shown = "".join(sign for text in sharing for sign in _LEGEND if sign in text.split(" ")[0] or f" {sign}" in text)
    shown += "".join(digits(row) for row in picture.folios)
    shown += "*" if picture.stretches and any(lane.current for lane in picture.lanes) else ""
    entries = [*_entry_legend(picture)]
    shown += "┊" if not entries and any(stretch.gap for stretch in picture.stretches) else ""
    shown += _UNMAPPED if any(_is_hole(cell) for lane in picture.lanes for cell in lane.cells) else ""
    shown += _UNMAPPED if any("" in row.entries for lane in picture.lanes for row in lane.tables) else ""
    return ", ".join([*(text for sign, text in _LEGEND.items() if sign in shown), *entries])


def _is_hole(cell: Cell) -> bool:
    return bool(cell.vma) and not cell.maps


# Small tables, entry by entry.

#: what an entry maps that is no folio -> its sign
_OTHERS = {"zero page": "@", "swap": "%", "migration": "~"}
_LETTERS = string.ascii_letters


def entry_lines(picture: Picture) -> list[Line]:
    """A line of VMAs a process, then a line a table with a sign an entry; equal signs are the same page."""
    heads = [f"{lane.process}{'*' if lane.current else ''}" for lane in picture.lanes]
    margin = max(map(columns_of, heads)) + 1
    signs = _entry_signs(picture)
    names = max(columns_of(row.table) for lane in picture.lanes for row in lane.tables or (TableRow("", "", ()),))
    widest = max(map(len, signs.values()))
    lines: list[Line] = []
    for head, lane in zip(heads, picture.lanes, strict=True):
        vmas = "; ".join(
            " ".join(filter(None, (bar.id, bar.label, bar.perm, bar.maps, "at", bar.address))) for bar in lane.vmas
        )
        lines.append(Line((Span(padded(head, margin), Tone.STRONG), Span(vmas or "no VMA")), hang=margin))
        for row in lane.tables:
            between = _RULE if _is_huge(row) else " "
            entries = between.join(f"{signs[text]:>{widest}}" for text in row.entries)
            text = f"{padded(row.table, names)} {row.address} [ {entries} ] {row.maps}"
            lines.append(Line((Span(text.rstrip()),), indent=margin, hang=names + 1))
    return lines


def _is_huge(row: TableRow) -> bool:
    """It is one PMD entry."""
    return row.table.startswith("pmd")


def _entry_signs(picture: Picture) -> dict[str, str]:
    """What an entry maps -> its sign: a letter for a folio, a digit for a page; both if several folios are large."""
    texts = dict.fromkeys(text for lane in picture.lanes for row in lane.tables for text in row.entries)
    folios = dict.fromkeys(text.partition("[")[0] for text in texts if text and text not in _OTHERS)
    large = {text.partition("[")[0] for text in texts if text.endswith("]")}
    lettered = [folio for folio in folios if folio not in large or len(large) > 1]
    letters = dict(zip(lettered, _LETTERS, strict=False))
    signs = {"": _UNMAPPED} | _OTHERS
    for text in texts:
        if text not in signs:
            folio, _, page = text.rstrip("]").partition("[")
            letter = letters.get(folio, "#" if folio in lettered else "")
            signs[text] = f"{letter}{page[-1:]}"
    return signs


def _entry_legend(picture: Picture) -> Iterator[str]:
    """The meaning of the signs of entries that occur."""
    signs = _entry_signs(picture)
    texts = {text for lane in picture.lanes for row in lane.tables for text in row.entries}
    kinds = {
        "[0] page": any(text.endswith("]") and len(signs[text]) == 1 for text in texts),
        "[a0] page 0 of a": any(text.endswith("]") and len(signs[text]) > 1 for text in texts),
        "[a] folio": any(text and not text.endswith("]") and text not in _OTHERS for text in texts),
        f"[0{_RULE}1] PMD entry": any(_is_huge(row) for lane in picture.lanes for row in lane.tables),
        "# another folio": any(signs[text].startswith("#") for text in texts),
    }
    yield from (legend for legend, occurs in kinds.items() if occurs)
    yield from (f"{sign} {text}" for text, sign in _OTHERS.items() if text in texts)


# The lanes.


#: signs of sharing according to the page tables
SIGNS = {"shared": "S", "exclusive": "x", "mixed": "S+x", "unmapped": "-", "": ""}
_TONES = {"shared": Tone.STRONG, "mixed": Tone.STRONG}
_ROWS = ("VMAs", "tables", "maps")
_RULE = "─"
_GAP = " ┊ "
#: maximum columns per page
_WIDEST_PAGE = 8
#: minimum columns for the axis
_NARROWEST = 16


@dataclass(slots=True)
class _BandItem:
    """A stretch of the axis in a band.

    Args:
        index: its number.
        width: its columns.
        begins, ends: the addresses directly before it, after it, are unmapped.
        after_gap: there is a gap between it and the stretch on its left.
    """

    index: int
    width: int
    begins: bool
    ends: bool
    after_gap: bool


def drawn(picture: Picture, width: int) -> list[Line]:
    """The lanes as lines of at most ``width`` columns."""
    heads = [f"{lane.process}{'*' if lane.current else ''}" for lane in picture.lanes]
    widest = max(map(columns_of, heads), default=0)
    margin = widest + len(f" {_ROWS[1]} ")
    lines: list[Line] = []
    for band in _bands(picture, max(width - margin, _NARROWEST)):
        lines.append(_line(_axis(picture, band), margin))
        for head, lane in zip(heads, picture.lanes, strict=True):
            rows = _lane_rows(lane, band)
            for name, spans in zip(_ROWS, rows, strict=False):
                prefix = f"{padded(head if spans is rows[0] else '', widest)} {padded(name, len(_ROWS[1]))} "
                lines.append(_line([Span(prefix, Tone.STRONG), *spans]))
    return lines


def _line(spans: Sequence[Span], indent: int = 0) -> Line:
    *others, last = spans
    return Line((*others, Span(last.text.rstrip(), last.tone)), indent=indent, wraps=False)


# Bands.


def _bands(picture: Picture, room: int) -> Iterator[list[_BandItem]]:
    """The stretches in bands that fit, widened to the full width.

    Stretches without a gap between them stay in one band if that is wide enough.
    """
    band: list[_BandItem] = []
    used = 0
    for group in _without_gap(picture):
        whole = sum(_least(picture, index, index == group[0]) for index in group)
        for index in group:
            gap = len(_GAP) if band and index == group[0] else 0
            least = min(_least(picture, index, not band or gap > 0), room)
            wanted = whole if gap and whole <= room else least
            if band and used + gap + wanted > room:
                yield _widened(picture, band, room - used)
                band, used, gap = [], 0, 0
                least = min(_least(picture, index, True), room)
            band.append(_BandItem(index, least, index == group[0], index == group[-1], gap > 0))
            used += gap + least
    if band:
        yield _widened(picture, band, room - used)


def _without_gap(picture: Picture) -> Iterator[list[int]]:
    """The numbers of adjacent stretches, in groups."""
    group: list[int] = []
    for index, stretch in enumerate(picture.stretches):
        if stretch.gap and group:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _least(picture: Picture, index: int, begins: bool) -> int:
    """Columns that the texts of a stretch need, and one for separation."""
    stretch = picture.stretches[index]
    texts = [stretch.label or _address(stretch, begins)]
    for lane in picture.lanes:
        cell = lane.cells[index]
        texts += [f"[{cell.vma}]", f"[{cell.table}]", f"{cell.maps} {SIGNS[cell.sharing]}".rstrip()]
    return max(map(columns_of, texts)) + 1


def _widened(picture: Picture, band: list[_BandItem], spare: int) -> list[_BandItem]:
    """Distribute the spare columns in proportion to the pages."""
    pages = [picture.stretches[place.index].pages for place in band]
    total = sum(pages)
    for place, nr in zip(band, pages, strict=True):
        place.width = max(place.width, min(place.width + spare * nr // total, _WIDEST_PAGE * nr))
    return band


# Rows of a band.


def _axis(picture: Picture, band: Sequence[_BandItem]) -> list[Span]:
    """The labels of the regions, or their addresses."""
    texts = []
    for at, place in enumerate(band):
        stretch = picture.stretches[place.index]
        texts.append(Span(stretch.label or _address(stretch, at == 0 or place.after_gap), Tone.DIM))
    return _spread(band, texts)


def _address(stretch: Stretch, begins: bool) -> str:
    """The address of a stretch; only its last digits if it adjoins the one before."""
    return stretch.address if begins else f"{ELLIPSIS}{stretch.address[-7:]}"


def _lane_rows(lane: Lane, band: Sequence[_BandItem]) -> list[list[Span]]:
    """The rows VMAs, tables and maps; only the first for a process without a VMA here."""
    cells = [lane.cells[place.index] for place in band]
    if not any(cell.vma for cell in cells):
        return [[Span("-", Tone.DIM)]]
    bars = {bar.id: bar for bar in lane.vmas}
    return [
        _bars(band, [cell.vma for cell in lane.cells], bars),
        _bars(band, [cell.table for cell in lane.cells], {}),
        _spread(band, [Span(_mapped(cell), _TONES.get(cell.sharing, Tone.PLAIN)) for cell in cells]),
    ]


def _mapped(cell: Cell) -> str:
    """What is mapped, with the sign of sharing; a dot where a VMA has no entries."""
    return f"{cell.maps} {SIGNS[cell.sharing]}".rstrip() or ("·" if cell.vma else "")


def _spread(band: Sequence[_BandItem], texts: Sequence[Span]) -> list[Span]:
    """A text at the beginning of each stretch."""
    spans: list[Span] = []
    for place, span in zip(band, texts, strict=True):
        if place.after_gap:
            spans.append(Span(_GAP, Tone.DIM))
        spans.append(Span(padded(_cut(span.text, place.width), place.width), span.tone))
    return spans


def _bars(band: Sequence[_BandItem], names: Sequence[str], bars: Mapping[str, Bar]) -> list[Span]:
    """A bar over adjacent stretches of the same name, open at an end that continues in another band.

    Args:
        names: of all stretches, those of other bands included.
    """
    spans: list[Span] = []
    at = 0
    while at < len(band):
        first = last = band[at]
        width = first.width
        while (at := at + 1) < len(band) and not band[at].after_gap and names[band[at].index] == names[first.index]:
            last = band[at]
            width += last.width
        if first.after_gap:
            spans.append(Span(_GAP, Tone.DIM))
        name = names[first.index]
        before = first is band[0] and not first.begins and names[first.index - 1] == name
        after = last is band[-1] and not last.ends and names[last.index + 1] == name
        spans.append(Span(_bar(_texts(name, bars), width, before, after) if name else " " * width))
    return spans


def _texts(name: str, bars: Mapping[str, Bar]) -> Iterator[str]:
    """Possible texts of a bar, the longest first."""
    if bar := bars.get(name):
        yield f"{name} {bar.perm} {bar.maps} {bar.address}"
        yield f"{name} {bar.perm} {bar.maps}"
        yield f"{name} {bar.perm}"
    yield name


def _bar(texts: Iterable[str], width: int, before: bool, after: bool) -> str:
    """A bar of ``width`` columns with the first text that fits, open where it continues before or after."""
    inner = width - 2
    text = next((text for text in texts if columns_of(text) <= inner), "")
    fill = f" {_RULE * (inner - columns_of(text) - 1)}" if text and inner > columns_of(text) else ""
    return f"{_RULE if before else '['}{text}{fill or _RULE * (inner - columns_of(text))}{_RULE if after else ']'}"


def _cut(text: str, width: int) -> str:
    return text if columns_of(text) <= width else text[: max(width - 1, 0)] + ELLIPSIS

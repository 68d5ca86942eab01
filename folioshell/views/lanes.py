"""The drawing of a picture: a lane a process over a common axis of addresses, in as many bands as the width needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from folioshell.report import Bar, Cell, Lane, Picture, Stretch
from folioshell.views.blocks import Line, Span, Tone
from folioshell.views.glyphs import ELLIPSIS
from folioshell.views.measure import columns_of, padded

#: signs of sharing: what the page tables say
SIGNS = {"shared": "S", "exclusive": "x", "mixed": "S+x", "unmapped": "-", "": ""}
_TONES = {"shared": Tone.STRONG, "mixed": Tone.STRONG}
_ROWS = ("VMAs", "tables", "maps")
_RULE = "─"
_GAP = " ┊ "
#: a stretch is drawn no wider than this for each of its pages
_WIDEST_PAGE = 8
#: columns that the stretches get in any case
_NARROWEST = 16


@dataclass(slots=True)
class _Place:
    """A stretch in a band.

    Args:
        index: its number.
        width: columns that it takes.
        begins, ends: nobody maps what lies directly before it, behind it.
        after_gap: another stretch stands on its left, and a gap between them.
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


# Where each stretch goes.


def _bands(picture: Picture, room: int) -> Iterator[list[_Place]]:
    """The stretches in bands that fit, each widened by what room there is.

    Stretches without a gap between them stay in one band if that is wide enough.
    """
    band: list[_Place] = []
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
            band.append(_Place(index, least, index == group[0], index == group[-1], gap > 0))
            used += gap + least
    if band:
        yield _widened(picture, band, room - used)


def _without_gap(picture: Picture) -> Iterator[list[int]]:
    """The numbers of stretches that lie side by side."""
    group: list[int] = []
    for index, stretch in enumerate(picture.stretches):
        if stretch.gap and group:
            yield group
            group = []
        group.append(index)
    if group:
        yield group


def _least(picture: Picture, index: int, begins: bool) -> int:
    """Columns that the texts of a stretch need, and one between it and the next."""
    stretch = picture.stretches[index]
    texts = [stretch.label or _address(stretch, begins)]
    for lane in picture.lanes:
        cell = lane.cells[index]
        texts += [f"[{cell.vma}]", f"[{cell.table}]", f"{cell.maps} {SIGNS[cell.sharing]}".rstrip()]
    return max(map(columns_of, texts)) + 1


def _widened(picture: Picture, band: list[_Place], spare: int) -> list[_Place]:
    """Hand out the spare columns in proportion to the pages."""
    pages = [picture.stretches[place.index].pages for place in band]
    total = sum(pages)
    for place, nr in zip(band, pages, strict=True):
        place.width = max(place.width, min(place.width + spare * nr // total, _WIDEST_PAGE * nr))
    return band


# What stands there.


def _axis(picture: Picture, band: Sequence[_Place]) -> list[Span]:
    """The labels of the regions; addresses of what has none."""
    texts = []
    for at, place in enumerate(band):
        stretch = picture.stretches[place.index]
        texts.append(Span(stretch.label or _address(stretch, at == 0 or place.after_gap), Tone.DIM))
    return _spread(band, texts)


def _address(stretch: Stretch, begins: bool) -> str:
    """The address of a stretch; of one that follows another its last digits do."""
    return stretch.address if begins else f"{ELLIPSIS}{stretch.address[-7:]}"


def _lane_rows(lane: Lane, band: Sequence[_Place]) -> list[list[Span]]:
    """VMAs, tables and what they map; of a process that has nothing here only the first."""
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
    """What is mapped there with the sign of sharing; a dot where a VMA has no entries."""
    return f"{cell.maps} {SIGNS[cell.sharing]}".rstrip() or ("·" if cell.vma else "")


def _spread(band: Sequence[_Place], texts: Sequence[Span]) -> list[Span]:
    """A text at the beginning of each stretch."""
    spans: list[Span] = []
    for place, span in zip(band, texts, strict=True):
        if place.after_gap:
            spans.append(Span(_GAP, Tone.DIM))
        spans.append(Span(padded(_cut(span.text, place.width), place.width), span.tone))
    return spans


def _bars(band: Sequence[_Place], names: Sequence[str], bars: Mapping[str, Bar]) -> list[Span]:
    """A bar over neighbouring stretches of the same name; open at the end where it goes on in another band.

    Args:
        names: of all stretches, also those of other bands.
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
    """What a bar may say, the longest first."""
    if bar := bars.get(name):
        yield f"{name} {bar.perm} {bar.maps} {bar.address}"
        yield f"{name} {bar.perm} {bar.maps}"
        yield f"{name} {bar.perm}"
    yield name


def _bar(texts: Iterable[str], width: int, before: bool, after: bool) -> str:
    """A bar of ``width`` columns with the first text that fits, open where it goes on before or after it."""
    inner = width - 2
    text = next((text for text in texts if columns_of(text) <= inner), "")
    fill = f" {_RULE * (inner - columns_of(text) - 1)}" if text and inner > columns_of(text) else ""
    return f"{_RULE if before else '['}{text}{fill or _RULE * (inner - columns_of(text))}{_RULE if after else ']'}"


def _cut(text: str, width: int) -> str:
    return text if columns_of(text) <= width else text[: max(width - 1, 0)] + ELLIPSIS

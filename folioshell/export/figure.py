"""The figure of a state: processes, their VMAs and page tables, and lines from entries to the pages of folios.

Rules:
- It is drawn from the state of a document alone. One unit is about a CSS pixel of a telephone: WIDTH of them fit.
- In the classroom geometry an entry is a cell; tables of 512 are drawn as runs, with as many pages as they say.
- Color never carries a meaning alone: entries have the page of the folio as a digit, or the folio; permissions are
  letters, and read-only entries and their lines are dashed; what the step changed has a thick border.
- The first process is above the folios, the others are below them, upside down: no line crosses what it leads from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from html import escape
from itertools import groupby, pairwise
from typing import Any

from folioshell.records import NamedTuple
from folioshell.session.state import MappedRun, StateSpace, page_at
from folioshell.wording import id_run

Row = Mapping[str, Any]
State = Mapping[str, Any]

WIDTH = 344
#: side of a cell, and what is between two tables
_CELL, _GAP = 20, 10
#: height of lines between entries and folios, and of a row of folios
_BETWEEN, _SHELF = 34, 40
#: most tables of 8 entries that are drawn cell by cell; most columns of runs, more are summed up by VMA; a few are wide
_MOST_BLOCKS, _MOST_RUNS, _FEW = 8, 14, 3
#: colors of folios, after which they repeat
COLORS = 6
#: most of each that are drawn, and how many folios that are alike stand apart
_MOST_FOLIOS, _MOST_LANES, _APART = 24, 6, 8
#: most schemes that are named as wrong beside a folio
_MOST_NAMES = 2
#: width of a letter, of the usual and of the small size
_WIDE, _SMALL = 6.0, 4.8
#: what stands in an entry that maps no folio
_OTHERS = {"zero page": "zero", "migration": "migr."}


class AxisColumn(NamedTuple):
    """Virtual pages ``[start, end)`` of the axis, where it is drawn, and in which row of bands."""

    start: int
    end: int
    x: float
    width: float
    band: int

    @property
    def middle(self) -> float:
        """Where a line leaves it."""
        return self.x + self.width / 2


class PageBox(NamedTuple):
    """Where pages of a folio are drawn, or folios with consecutive numbers.

    Args:
        first, nr: numbers of the folios.
        page, pages: those of each.
        entries: that map each page.
        signs: ``!`` and ``?``, where there is no room for the schemes that are wrong or undecided.
    """

    first: int
    nr: int
    page: int
    pages: int
    entries: int
    signs: str = ""

    @property
    def width(self) -> float:
        """Enough for its text."""
        return float(_CELL) if self.nr == self.pages == 1 else 56.0

    def is_mapped_by(self, entry: MappedRun, order: int) -> bool:
        """Does an entry map a page of it?"""
        folios = entry.nr >> order if entry.several else 1
        if self.nr > 1 or entry.several:
            return entry.folio < self.first + self.nr and self.first < entry.folio + folios
        return entry.folio == self.first and entry.page < self.page + self.pages and self.page < entry.page + entry.nr


class Shelved(NamedTuple):
    """A folio, or a run of them, as it is drawn: boxes side by side, and texts to their right, where no line goes.

    Args:
        width: of all.
        wanted: x at which it would be in the middle of what maps it.
    """

    boxes: tuple[PageBox, ...]
    texts: tuple[str, ...]
    width: float
    wanted: float


class Figure:
    """The figure of a state.

    Args:
        before: the state before the step; what differs is emphasized.

    Attributes:
        right, height: how much room it takes.
    """

    def __init__(self, state: State, before: State | None) -> None:
        self._state = state
        self._orders = {number: row["order"] for row in state["folios"] for number in _numbers(row)}
        self._spaces = {name: StateSpace(process) for name, process in state["processes"].items()}
        self._lanes = list(self._spaces)[:_MOST_LANES]
        self._before = None
        if before is not None:
            self._before = {name: StateSpace(process) for name, process in before["processes"].items()}
        spaces = [self._spaces[name] for name in self._lanes]
        self._cells = _cell_columns(spaces) if state["geometry"] == "classroom" else []
        self._axis = self._cells or list(_run_columns(spaces, self._label))
        #: markup in front of the lines, and class -> path of the lines
        self._parts: list[str] = []
        self._paths: dict[str, list[str]] = {}
        #: (x, y, entry, class) where a line leaves an entry
        self._ends: list[tuple[float, float, MappedRun, str]] = []
        self.right = max((column.x + column.width for column in self._axis), default=0)
        self.height = self._draw()

    def svg(self, ident: str, title: str, words: str, width: float = WIDTH) -> str:
        """The figure as SVG.

        Args:
            ident: prefix of the ids in it.
            title, words: for those who do not see it.
            width: of the part of it that is shown, at least ``right``; equal for all figures of a page.
        """
        paths = "".join(f'<path class="l{kind}" d="{"".join(one)}"/>' for kind, one in self._paths.items())
        return svg_of((width, self.height), ident, title, words, f"{paths}{''.join(self._parts)}")

    def _draw(self) -> float:
        """Draw all of it; returns where it ends."""
        first, others = self._lanes[:1], self._lanes[1:]
        y = 2.0
        for name in first:
            y = self._lane(name, y, below=False)
        upper, self._ends = self._ends, []
        shelves = _shelves(list(self._shelved())[:_MOST_FOLIOS])
        top = y + (_BETWEEN if upper else 8)
        y = top + _SHELF * len(shelves)
        if others:
            y += _BETWEEN - 8 if any(run[2].get("folio") for name in others for run in self._spaces[name].runs) else 0
            for name in others:
                y = self._lane(name, y, below=True) + 8
        for at, shelf in enumerate(shelves):
            for x, box in self._folios(shelf, top + at * _SHELF):
                self._connect(upper, box, x, top + at * _SHELF)
                self._connect(self._ends, box, x, top + at * _SHELF + 28)
        return max(self._left_out(y), 20)

    def _connect(self, ends: Iterable[tuple[float, float, MappedRun, str]], box: PageBox, x: float, y: float) -> None:
        """Lines from entries to a box that they map."""
        for start, top, entry, kind in ends:
            if box.is_mapped_by(entry, self._orders.get(entry.folio, 0)):
                self._paths.setdefault(kind, []).append(f"M{start:g} {top:g}L{x:g} {y:g}")

    def _text(self, x: float, y: float, text: str, kind: str = "") -> None:
        if text:
            shape = f' class="{kind}"' if kind else ""
            self._parts.append(f'<text x="{x:g}" y="{y:g}"{shape}>{escape(text)}</text>')
            if "m" not in kind:
                self.right = max(self.right, min(x + len(text) * (_SMALL if "s" in kind else _WIDE), WIDTH))

    def _rect(self, kind: str, x: float, y: float, width: float, height: float) -> None:
        self._parts.append(f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="2"/>')

    # Lanes.

    def _lane(self, name: str, y: float, *, below: bool) -> float:
        """Draw a process from ``y`` on; returns where it ends."""
        space = self._spaces[name]
        spare = [table["id"] for table in self._state["processes"][name]["tables"] if table.get("deposited")]
        notes = ["current"] if name == self._state["current"] else []
        notes += [f"deposited: {', '.join(spare)}"] if spare else []
        mine = [one for one in self._axis if space.vma_at(one.start) or space.table_in(one.start, one.end)]
        bands = [[one for one in self._axis if one.band == band] for band in sorted({one.band for one in mine})]
        # VMAs, names of tables, entries; mirrored below the folios.
        bar, label, cell = (31, 28, 0) if below else (0, 24, 27)
        head = y + 49 * len(bands) if below else y
        top = y if below else y + 13
        for row in reversed(bands) if below else bands:
            for first, last, vma in _grouped(row, lambda one: space.vma_at(one.start)):
                if vma:
                    self._vma(name, vma, first, last, top + bar)
            for first, last, table in _grouped(row, lambda one: space.table_in(one.start, one.end)):
                if table:
                    inner = [one for one in row if first.x <= one.x <= last.x]
                    self._table(name, table, inner, (top + cell, top + label), top if below else top + cell + 20)
            top += 49
        self._text(0, head + 10, name, "b")
        self._text(_WIDE * len(name) + 6, head + 10, "".join(f"· {note} " for note in notes).rstrip(), "s")
        return y + 49 * len(bands) + 13

    def _vma(self, name: str, vma: Row, first: AxisColumn, last: AxisColumn, y: float) -> None:
        width = last.x + last.width - first.x
        label, perm = self._region(vma), vma["perm"][:3]
        maps = "anon" if vma["file"] is None else f"{vma['file']}+{vma['pgoff']}"
        words = (f"{label} {vma['id']} {perm} {maps}", f"{label} {vma['id']} {perm}", f"{label} {perm}", perm)
        text = next((one.strip() for one in words if len(one.strip()) * _WIDE + 6 <= width), "")
        is_old = self._before is None or (name in self._before and self._before[name].has_vma(vma))
        self._rect("v" if is_old else "v new", first.x, y, width, 14)
        self._text(first.x + 4, y + 10.5, text)

    def _region(self, vma: Row) -> str:
        start = page_at(vma["address"])
        for name, region in self._state["regions"].items():
            if 0 <= start - page_at(region["address"]) < region["pages"]:
                return str(name)
        return ""

    def _table(self, name: str, table: str, columns: list[AxisColumn], y: tuple[float, float], edge: float) -> None:
        """A page table: its outline, and what its entries map.

        Args:
            y: of its entries, and of its name.
            edge: where lines leave it.
        """
        first, last = columns[0], columns[-1]
        if self._spaces[name].entry(first.start, last.end).pmd:
            columns = [first._replace(end=last.end, width=last.x + last.width - first.x)]
        inner = "".join(f"M{one.x:g} {y[0]:g}v20" for one in columns[1:])
        width = last.x + last.width - first.x
        self._parts.append(f'<path class="t" d="M{first.x:g} {y[0]:g}h{width:g}v20h-{width:g}z{inner}"/>')
        self._text(first.x, y[1], table, "s b")
        known, free = 0, first.x + len(table) * _SMALL + 4
        for column in columns:
            entry = self._spaces[name].entry(column.start, column.end)
            if not entry.is_some:
                continue
            was = self._before and (name not in self._before or self._before[name].entry(column.start, column.end))
            kind = _color(entry.folio) + ("" if "w" in entry.perm else " d")
            kind += "" if self._before is None or was == entry else " new"
            self._entry(entry, column, y[0], kind)
            if entry.folio:
                self._ends.append((column.middle, edge, entry, kind))
            if self._cells and entry.folio != known and self._orders.get(entry.folio, 0) and not entry.pmd:
                # Its cells have the numbers of pages alone.
                known, x = entry.folio, max(column.x, free)
                self._text(x, y[1], f"f{known}", "s")
                free = x + 18

    def _entry(self, entry: MappedRun, column: AxisColumn, y: float, kind: str) -> None:
        self._rect(f"e{kind}", column.x + 1.5, y + 1.5, column.width - 3, 17)
        text, perm = self._label(entry), entry.perm.replace("none", "no") or "-"
        self._text(column.middle, y + 9.5, text, "m s" if len(text) * _WIDE > column.width - 3 else "m")
        many = not self._cells and entry.nr > 1
        self._text(column.middle, y + 17, f"{entry.nr:,} {perm}" if many else perm, "m x")

    def _label(self, entry: MappedRun) -> str:
        if not entry.folio:
            return _OTHERS.get(entry.other, entry.other)
        order = self._orders.get(entry.folio, 0)
        if self._cells and order and not entry.pmd:
            return str(entry.page)
        if entry.several or not order or entry.nr == 1 << order:
            return id_run(f"f{entry.folio}", entry.nr >> order)
        return f"f{entry.folio}[{_range(entry.page, entry.nr)}]"

    # Folios.

    def _shelved(self) -> Iterator[Shelved]:
        """The folios that are mapped."""
        for row in self._state["folios"]:
            if row["sharing"] == "unmapped":
                continue
            nr = 1 if row["n"] <= _APART else row["n"]
            named = row["order"] or nr > 1
            for number in _numbers(row)[::nr]:
                boxes = tuple(self._boxes(row, number, nr))
                texts = (*self._about(row, number, nr), *self._verdicts(row)) if named else ()
                cells = sum(box.width for box in boxes)
                width = cells + max((len(text) * _SMALL + 11 for text in texts), default=0)
                middles = [one.middle for one in self._axis if self._is_mapped(one, number, nr)]
                yield Shelved(boxes, texts, width, sum(middles) / len(middles) - cells / 2 if middles else 0)

    def _is_mapped(self, column: AxisColumn, number: int, nr: int) -> bool:
        found = (self._spaces[name].entry(column.start, column.end).folio for name in self._lanes)
        return any(number <= folio < number + nr for folio in found)

    def _boxes(self, row: Row, number: int, nr: int) -> Iterator[PageBox]:
        """Pages of a folio, or runs of them where there are many."""
        order = row["order"]
        if nr > 1 or not order:
            signs = "" if order or nr > 1 else "".join(text[0] for text in self._verdicts(row))
            yield PageBox(number, nr, 0, 1 << order, row["entries"][0][1], signs)
            return
        cuts = set(range(1 << order))
        if order > 3:
            entries = (self._spaces[name].entry(one.start, one.end) for name in self._lanes for one in self._axis)
            ours = [entry for entry in entries if entry.folio == number]
            cuts = {page for entry in ours for page in (entry.page, entry.page + entry.nr)}
        page = 0
        for pages, entries_each in row["entries"]:
            ends = sorted({page, page + pages} | {cut for cut in cuts if page < cut < page + pages})
            yield from (PageBox(number, 1, start, end - start, entries_each) for start, end in pairwise(ends))
            page += pages

    def _about(self, row: Row, number: int, nr: int) -> tuple[str, str]:
        """What stands beside a folio, unless its cell says all."""
        maps = "anon" if row["anon"] else f"{row['mapping']}+{row['index']}"
        return f"{id_run(f'f{number}', nr)} order {row['order']}", maps

    def _verdicts(self, row: Row) -> Iterator[str]:
        """Who of the shown schemes is wrong about a folio, and who cannot tell."""
        for sign, kinds in (("!", ("false negative", "false positive")), ("?", ("undecided",))):
            names = [name for name in self._state["schemes"] if row["verdicts"].get(name) in kinds]
            more = f" +{len(names) - _MOST_NAMES}" if len(names) > _MOST_NAMES else ""
            yield from (f"{sign} {', '.join(names[:_MOST_NAMES])}{more}" for _ in names[:1])

    def _folios(self, shelf: Sequence[tuple[float, Shelved]], y: float) -> Iterator[tuple[float, PageBox]]:
        """Draw folios side by side; yields the middle of each box."""
        for left, one in shelf:
            x = left
            for box in one.boxes:
                self._rect(f"f{_color(box.first)}" if box.entries else "f", x + 0.5, y, box.width - 1, 18)
                order = self._orders[box.first]
                whole = f"{box.nr:,} folios" if box.nr > 1 else f"f{box.first}"
                middle = x + box.width / 2
                self._text(middle, y + 12.5, _range(box.page, box.pages) if order and box.nr == 1 else whole, "m")
                self._text(middle, y + 26, f"×{box.entries}{box.signs}", "m s k")
                yield middle, box
                x += box.width
            self.right = max(self.right, x)
            for line, text in enumerate(one.texts):
                kind = "s bad" if text.startswith("!") else "s" if line else "s b"
                self._text(x + 3, y + 7 + line * 8.5, text, kind)

    def _left_out(self, y: float) -> float:
        """Name the folios that are not mapped, and count what is left out."""
        rows = [row for row in self._state["folios"] if row["sharing"] == "unmapped"]
        names = [id_run(row["id"], row["n"]) for row in rows[:_MOST_LANES]]
        more = sum(row["n"] for row in rows[_MOST_LANES:])
        texts = [f"not mapped: {', '.join(names)}{f' and {more:,} more' if more else ''}"] if names else []
        folios, lanes = sum(1 for _ in self._shelved()) - _MOST_FOLIOS, len(self._spaces) - len(self._lanes)
        undrawn = ((folios, "mapped folios"), (lanes, "processes"))
        texts += [f"{left:,} more {noun}" for left, noun in undrawn if left > 0]
        for text in texts:
            self._text(0, y + 10, text, "s dim")
            y += 12
        return y


def svg_of(size: tuple[float, float], ident: str, title: str, words: str, inner: str) -> str:
    """Markup as a picture with a title and a description."""
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" preserveAspectRatio="xMinYMin" role="img" '
        f'aria-labelledby="{ident}t {ident}d"><title id="{ident}t">{escape(title)}</title>'
        f'<desc id="{ident}d">{escape(words.strip())}</desc>{inner}</svg>'
    )


# The axis.


def _cell_columns(spaces: Sequence[StateSpace]) -> list[AxisColumn]:
    """Eight cells a table, two tables side by side, or three narrow ones; none if there are too many."""
    spans = {(start, end) for space in spaces for start, end, _ in (*space.vmas, *space.tables)}
    if any(end - start > 8 * _MOST_BLOCKS for start, end in spans):
        return []
    blocks = sorted({block for start, end in spans for block in range(start // 8, (end - 1) // 8 + 1)})
    if len(blocks) > _MOST_BLOCKS:
        return []
    abreast, cell = (3, 13.5) if len(blocks) == 3 else (2, float(_CELL))
    made = []
    for at, block in enumerate(blocks):
        left = at % abreast * (8 * cell + _GAP)
        pages = range(8 * block, 8 * block + 8)
        made += [AxisColumn(page, page + 1, left + page % 8 * cell, cell, at // abreast) for page in pages]
    return made


def _run_columns(spaces: Sequence[StateSpace], label: Callable[[MappedRun], str]) -> Iterator[AxisColumn]:
    """Columns that end where anything changes, in bands that fit."""
    cuts = {page for space in spaces for span in space.vmas for page in span[:2]}
    fine = cuts | {page for space in spaces for span in space.runs for page in span[:2]}
    finest = fine | {page for space in spaces for span in space.tables for page in span[:2] if space.vma_at(page)}
    found: list[tuple[int, int]] = []
    for chosen in (finest, fine, cuts):
        pairs = pairwise(sorted(chosen))
        found = [(start, end) for start, end in pairs if any(space.vma_at(start) for space in spaces)]
        if len(found) <= _MOST_RUNS:
            break
    x, band, last = 0.0, 0, 0
    least = 26.0 if len(found) > _FEW else 90.0
    for start, end in found:
        longest = max(len(label(space.entry(start, end))) for space in spaces)
        width = min(max(least, longest * _WIDE + 8) + min((end - start).bit_length(), 10) * 2, WIDTH)
        gap = _GAP if x and (last != start or not start % 512) else 0
        if x and x + gap + width > WIDTH:
            x, band, gap = 0.0, band + 1, 0
        yield AxisColumn(start, end, x + gap, width, band)
        x, last = x + gap + width, end


def _grouped(
    row: Sequence[AxisColumn], key: Callable[[AxisColumn], Any]
) -> Iterator[tuple[AxisColumn, AxisColumn, Any]]:
    """(first, last, value) of neighbors in a band for which ``key`` is the same."""
    for value, group in groupby(row, key):
        alike = list(group)
        start = 0
        for at in range(1, len(alike) + 1):
            if at == len(alike) or alike[at].start != alike[at - 1].end:
                yield alike[start], alike[at - 1], value
                start = at


def _shelves(folios: Iterable[Shelved]) -> list[list[tuple[float, Shelved]]]:
    """Folios in rows that fit, each with its x, as near to what maps it as the others let it be."""
    rows: list[list[Shelved]] = [[]]
    for one in folios:
        if rows[-1] and sum(other.width for other in rows[-1]) + one.width > WIDTH:
            rows.append([])
        rows[-1].append(one)
    placed = []
    for row in filter(None, rows):
        x, spare = 0.0, max(WIDTH - sum(one.width for one in row), 0)
        made = []
        for one in row:
            shift = min(max(one.wanted - x, 0), spare)
            made.append((x + shift, one))
            x, spare = x + shift + one.width, spare - shift
        placed.append(made)
    return placed


def _numbers(row: Row) -> range:
    first = int(row["id"][1:])
    return range(first, first + row["n"])


def _range(first: int, nr: int) -> str:
    return str(first) if nr == 1 else f"{first}..{first + nr - 1}"


def _color(folio: int) -> str:
    return f" c{(folio - 1) % COLORS}" if folio else ""

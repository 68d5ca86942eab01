"""`show` drawn again from nothing but the state of a document: what the state lacks, the picture would lack.

It shares no code with folioshell/session: pages are looked at one by one, and cut where anything changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

from folioshell.report import Bar, Cell, FolioLane, Lane, Picture, Stretch, TableRow, Visit


class Mapped(NamedTuple):
    """What a page is mapped to, by which table."""

    table: str
    folio: int
    page: int
    order: int
    perm: str
    other: str
    pmd: bool


def picture_of(state: dict[str, Any]) -> Picture:
    """The picture of a state of moderate size: nothing is summed up."""
    names = list(state["processes"])
    pages = {name: dict(_pages(state, process)) for name, process in state["processes"].items()}
    cuts = sorted(set(_cuts(state, pages)))
    columns = [
        (start, end) for start, end in pairwise(cuts) if any(_vma(state, name, start) is not None for name in names)
    ]
    cells = [[_cell(state, name, pages[name], start, end) for name in names] for start, end in columns]
    return Picture(
        _title(state),
        tuple(_stretches(state, columns)),
        tuple(
            Lane(
                name,
                name == state["current"],
                tuple(
                    Bar(one["id"], one["perm"], _maps(one), one["address"], one["pages"], _label(state, one))
                    for one in state["processes"][name]["vmas"]
                ),
                tuple(found[at] for found in cells),
                tuple(_rows(state, name, pages[name])) if state["geometry"] == "classroom" else (),
            )
            for at, name in enumerate(names)
        ),
        tuple(_folios(state)),
    )


def _maps(vma: dict[str, Any]) -> str:
    return "anon" if vma["file"] is None else f"{vma['file']}+{vma['pgoff']}"


def _title(state: dict[str, Any]) -> str:
    processes = state["processes"].values()
    tables = sum(table["level"] == "pte" for process in processes for table in process["tables"])
    return ", ".join(
        f"{number:,} {one if number == 1 else many}"
        for number, one, many in (
            (len(processes), "process", "processes"),
            (sum(len(process["vmas"]) for process in processes), "VMA", "VMAs"),
            (tables, "PTE table", "PTE tables"),
            (sum(row["n"] for row in state["folios"]), "folio", "folios"),
        )
    )


def _page(address: str) -> int:
    return int(address, 16) >> 12


def _orders(state: dict[str, Any]) -> dict[int, int]:
    return {int(row["id"][1:]) + at: row["order"] for row in state["folios"] for at in range(row["n"])}


def _pages(state: dict[str, Any], process: dict[str, Any]) -> Iterator[tuple[int, Mapped]]:
    orders = _orders(state)
    for run in process["entries"]:
        for at in range(run["pages"]):
            number, page = 0, 0
            if "folio" in run:
                further, page = divmod(run["page"] + at, run["step"]) if "step" in run else (0, run["page"] + at)
                number = int(run["folio"][1:]) + further
            yield (
                _page(run["address"]) + at,
                Mapped(
                    run["table"],
                    number,
                    page,
                    orders.get(number, 0),
                    run.get("perm", ""),
                    run.get("other", ""),
                    run["level"] == "pmd",
                ),
            )


def _vma(state: dict[str, Any], name: str, page: int) -> dict[str, Any] | None:
    for one in state["processes"][name]["vmas"]:
        if _page(one["address"]) <= page < _page(one["address"]) + one["pages"]:
            return one  # type: ignore[no-any-return]
    return None


def _table(state: dict[str, Any], name: str, page: int) -> str:
    for one in state["processes"][name]["tables"]:
        if one["level"] == "pte" and "address" in one and 0 <= page - _page(one["address"]) < one["pages"]:
            return str(one["id"])
    return ""


def _cuts(state: dict[str, Any], pages: dict[str, dict[int, Mapped]]) -> Iterator[int]:
    for region in state["regions"].values():
        yield from (_page(region["address"]), _page(region["address"]) + region["pages"])
    for name, process in state["processes"].items():
        for vma in process["vmas"]:
            yield from (_page(vma["address"]), _page(vma["address"]) + vma["pages"])
        for table in process["tables"]:
            if table["level"] == "pte" and "address" in table:
                yield from (_page(table["address"]), _page(table["address"]) + table["pages"])
        for page, mapped in pages[name].items():
            if not _goes_on(state, pages[name].get(page - 1), mapped, 1):
                yield page
            if page + 1 not in pages[name]:
                yield page + 1
            if mapped.pmd:
                size = 8 if state["geometry"] == "classroom" else 512
                yield from (page - page % size, page - page % size + size)


def _goes_on(state: dict[str, Any], one: Mapped | None, other: Mapped, step: int) -> bool:
    """Is `other` a page after `one`, ``step`` pages on, mapped in the same way to what follows?"""
    if one is None or (one.table, one.perm, one.other, one.pmd) != (other.table, other.perm, other.other, other.pmd):
        return False
    if not one.folio or not other.folio:
        return one.folio == other.folio
    if one.folio == other.folio:
        return other.page == one.page + step
    return (
        one.order == other.order == 0
        and other.folio == one.folio + step
        and _sharing(state, one.folio) == _sharing(state, other.folio)
    )


def _sharing(state: dict[str, Any], folio: int) -> str:
    for row in state["folios"]:
        if 0 <= folio - int(row["id"][1:]) < row["n"]:
            return str(row["sharing"])
    raise AssertionError(folio)


def _ids(first: int, nr: int) -> str:
    return f"f{first}" if nr == 1 else f"f{first}..f{first + nr - 1}"


def _cell(state: dict[str, Any], name: str, pages: dict[int, Mapped], start: int, end: int) -> Cell:
    vma = _vma(state, name, start)
    if vma is None:
        return Cell()
    found = [pages[page] for page in range(start, end) if page in pages]
    if not found:
        return Cell(vma["id"], _table(state, name, start))
    first, last = found[0], found[-1]
    tables = first.table if first.table == last.table else f"{first.table}..{last.table}"
    if not first.folio:
        return Cell(vma["id"], tables, f"{first.other} {first.perm}".rstrip())
    nr = last.folio - first.folio + 1
    whole = first.page == 0 and len(found) == nr << first.order
    inner = "" if whole else f"[{first.page}]" if len(found) == 1 else f"[{first.page}..{last.page}]"
    return Cell(vma["id"], tables, f"{_ids(first.folio, nr)}{inner} {first.perm}", _sharing(state, first.folio))


def _rows(state: dict[str, Any], name: str, pages: dict[int, Mapped]) -> Iterator[TableRow]:
    """The tables of 8 entries, and PMD entries in their place."""
    blocks = {
        _page(one["address"]): str(one["id"])
        for one in state["processes"][name]["tables"]
        if one["level"] == "pte" and "address" in one
    }
    blocks |= {page - page % 8: mapped.table for page, mapped in pages.items() if mapped.pmd}
    for start, table in sorted(blocks.items()):
        found = [pages.get(page) for page in range(start, start + 8)]
        yield TableRow(table, f"{start << 12:#x}", tuple(map(_entry, found)), ", ".join(_runs(found)))


def _entry(mapped: Mapped | None) -> str:
    if mapped is None:
        return ""
    page = f"[{mapped.page}]" if mapped.order else ""
    return f"f{mapped.folio}{page}" if mapped.folio else mapped.other


def _runs(found: list[Mapped | None]) -> Iterator[str]:
    """What consecutive entries map, until something else than the page changes."""
    runs: list[list[Mapped]] = []
    for before, mapped in zip([None, *found], found, strict=False):
        if mapped is not None and before is not None and _continues(before, mapped):
            runs[-1].append(mapped)
        elif mapped is not None:
            runs.append([mapped])
    for at in range(len(runs) - 1, 0, -1):
        if all(one.order and len(run) == 1 << one.order for run in runs[at - 1 : at + 1] for one in run[:1]) and (
            runs[at - 1][-1].folio + 1 == runs[at][0].folio and runs[at - 1][0][3:] == runs[at][0][3:]
        ):
            runs[at - 1 : at + 1] = [runs[at - 1] + runs[at]]
    for run in runs:
        first, last = run[0], run[-1]
        if not first.folio:
            yield f"{first.other} {first.perm}".rstrip()
            continue
        nr = last.folio - first.folio + 1
        inner = "" if len(run) == nr << first.order else _index(first.page, last.page)
        yield f"{_ids(first.folio, nr)}{inner} {first.perm}"


def _continues(one: Mapped, other: Mapped) -> bool:
    if (one.perm, one.other, one.pmd, one.order) != (other.perm, other.other, other.pmd, other.order):
        return False
    if one.folio == other.folio:
        return not one.folio or other.page == one.page + 1
    return other.folio == one.folio + 1 and one.order == 0


def _index(first: int, last: int) -> str:
    return f"[{first}]" if first == last else f"[{first}..{last}]"


def _label(state: dict[str, Any], vma: dict[str, Any]) -> str:
    return _labels(state, _page(vma["address"]), _page(vma["address"]) + vma["pages"])


def _labels(state: dict[str, Any], start: int, end: int) -> str:
    labels = []
    for name, region in state["regions"].items():
        first = max(start, _page(region["address"])) - _page(region["address"])
        last = min(end, _page(region["address"]) + region["pages"]) - _page(region["address"]) - 1
        if first <= last:
            labels.append(name if (first, last) == (0, region["pages"] - 1) else f"{name}{_index(first, last)}")
    return " ".join(labels)


def _stretches(state: dict[str, Any], columns: Iterable[tuple[int, int]]) -> Iterator[Stretch]:
    before: int | None = None
    for start, end in columns:
        label = _labels(state, start, end)
        yield Stretch(f"{start << 12:#x}", end - start, label, 0 if before is None else start - before)
        before = end


def _folios(state: dict[str, Any]) -> Iterator[FolioLane]:
    rows: list[list[dict[str, Any]]] = []
    for row in state["folios"]:
        if rows and _alike(state, rows[-1][-1], row):
            rows[-1].append(row)
        else:
            rows.append([row])
    for alike in rows:
        first, nr = alike[0], sum(row["n"] for row in alike)
        yield FolioLane(
            first["id"],
            first["order"],
            f"anon {first['mapping']}" if first["anon"] else f"{first['mapping']}+{first['index']}",
            tuple((pages, entries) for pages, entries in first["entries"]),
            first["sharing"],
            nr,
            tuple(name for name in state["schemes"] if _verdicts(alike, name) & {"false negative", "false positive"}),
            tuple(
                name
                for name in state["schemes"]
                if "undecided" in (found := _verdicts(alike, name)) and not found - {"exact", "undecided"}
            ),
            tuple(_mappers(state, _number(first), nr)),
        )


def _verdicts(rows: list[dict[str, Any]], scheme: str) -> set[str]:
    return {row["verdicts"].get(scheme, "exact") for row in rows}


def _number(row: dict[str, Any]) -> int:
    return int(row["id"][1:])


def _alike(state: dict[str, Any], row: dict[str, Any], later: dict[str, Any]) -> bool:
    """Are two rows of the state, which also tells apart what the shown schemes do not, one row of `show`?"""
    if (
        _number(row) + row["n"] != _number(later)
        or row["order"] != later["order"]
        or row["entries"] != later["entries"]
    ):
        return False
    if any(row["mapcounts"][name] != later["mapcounts"][name] for name in state["schemes"]):
        return False
    ours, theirs = (list(_mappers(state, _number(one), one["n"])) for one in (row, later))
    return [visit.vma for visit in ours] == [visit.vma for visit in theirs]


def _mappers(state: dict[str, Any], first: int, nr: int) -> Iterator[Visit]:
    """Who maps some folios, from the entries of all processes."""
    for name, process in state["processes"].items():
        tables: dict[str, dict[str, int]] = {}
        for run in process["entries"]:
            if "folio" in run and (entries := _entries_for(run, first, nr)):
                sums = tables.setdefault(run["vma"], {})
                sums[run["table"]] = sums.get(run["table"], 0) + entries
        yield from (Visit(name, vma, tuple(sums.items())) for vma, sums in tables.items())


def _entries_for(run: dict[str, Any], first: int, nr: int) -> int:
    """How many entries of a run map folios ``first`` to ``first + nr``."""
    step = run.get("step", run["pages"])
    folio, folios = int(run["folio"][1:]), run["pages"] // step
    low, high = max(folio, first), min(folio + folios, first + nr)
    return max(high - low, 0) * (1 if run["level"] == "pmd" else step)

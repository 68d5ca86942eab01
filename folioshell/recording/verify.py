"""Replaying a recording of a real kernel on the model, and comparing every step."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from folioshell.engine.machine import Uncollected
from folioshell.errors import KernelBug
from folioshell.events import Asked, Event, Finding
from folioshell.live.format import Op, Recording
from folioshell.model.lock import LockOp
from folioshell.model.release import DEFAULT
from folioshell.recording.observe import files_of, regions_of, steps_of, without_folios
from folioshell.recording.scenario import ScenarioRun
from folioshell.records import NamedTuple, dataclass
from folioshell.session.step_events import Describer

#: maximum number of events that explain a difference
RULES = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """An event that led to the model's result: its text, and the kernel function."""

    text: str
    function: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What a step of model and kernel differs in.

    Args:
        step: its number; -1 for the initial state.
        op: its operation.
        rows: all differences; none if both are the same.
        rules: the events of the step that concern the first row, in order.
        books: the kernel's own books were compared too.
        unseen: why the kernel's step cannot be compared; empty if it can.
    """

    step: int
    op: Op | None
    rows: tuple[DiffRow, ...]
    rules: tuple[Rule, ...] = ()
    books: bool = False
    unseen: str = ""


class RecordingMatch(NamedTuple):
    """How far a recording and the model match.

    Args:
        steps: number of steps of the recording.
        difference: the first difference; None if everything matches.
        books: number of steps before it whose books were compared.
    """

    steps: int
    difference: Difference | None = None
    books: int = 0

    @property
    def matched(self) -> int:
        """Number of steps before the first difference."""
        return self.steps if self.difference is None else max(self.difference.step, 0)


def verify(recording: Recording, profile: str = DEFAULT.version, books: bool = False) -> RecordingMatch:
    """Replay a recording with steps up to the first that differs.

    Args:
        profile: the kernel to model.
        books: compare the kernel's own books, too, where the recording has them.
    """
    assert recording.steps is not None
    nr, compared = len(recording.steps), 0
    with Uncollected():
        for one in compared_steps(recording, profile, books):
            if one.rows:
                return RecordingMatch(nr, one, compared)
            compared += one.books
    return RecordingMatch(nr, None, compared)


def compared_steps(recording: Recording, profile: str = DEFAULT.version, books: bool = False) -> Iterator[Difference]:
    """Replay a recording, and compare each step; arguments as for ``verify``.

    Nothing follows a difference in the initial state, nor a step in which the model fails. A step without a result
    cannot be compared: the runs that were recorded do not agree in it.
    """
    assert recording.steps is not None
    replay = ScenarioRun(recording.scenario, profile)
    if before := _setup_rows(recording, replay):
        yield Difference(-1, None, tuple(before))
        return
    made = steps_of(replay, recording.scenario, books)
    for number, (wanted, op) in enumerate(zip(recording.steps, recording.scenario["ops"], strict=True)):
        raw = recording.books[number] if books and recording.books else None
        try:
            found = next(made)
        except KernelBug as bug:
            row = DiffRow("the model", "continues", f"fails: {bug.message}")
            yield Difference(number, op, (row,), _rules(replay, row))
            return
        if "result" not in wanted:
            yield Difference(number, op, (), unseen="its runs differ")
            continue
        if recording.partial:
            found = without_folios(found)
        rows = differences(wanted, found) or ([] if raw is None else book_differences(raw, found["raw"], replay))
        yield Difference(number, op, tuple(rows), _rules(replay, rows[0]) if rows else (), books=raw is not None)


def _setup_rows(recording: Recording, replay: ScenarioRun) -> list[DiffRow]:
    regions, files = regions_of(replay), files_of(replay, recording.scenario)
    if recording.partial:
        files = {name: {**spec, "layout": None} for name, spec in files.items()}
    return [
        DiffRow(f"{what} {name}, {key}", str(kernel.get(key, ABSENT)), str(model.get(key, ABSENT)))
        for what, wanted, made in (("region", recording.regions, regions), ("file", recording.files, files))
        for name in dict.fromkeys((*wanted, *made))
        for kernel, model in ((wanted.get(name, {}), made.get(name, {})),)
        for key in dict.fromkeys((*kernel, *model))
        if kernel.get(key) != model.get(key)
    ]


def _rules(replay: ScenarioRun, row: DiffRow) -> tuple[Rule, ...]:
    """The last events of the step that concern the difference; without any, the last events."""
    about = _About(replay, row)
    events = [event for event in replay.machine.trace if not isinstance(event, LockOp)]
    chosen = [event for event in events if about.concerns(event)] or events
    asked = [event for event in chosen if isinstance(event, Asked | Finding)]
    # Keep the last sharing tests: they decide what follows.
    kept = [event for event in chosen if event in asked[-2:] or event in chosen[-RULES:]][-RULES - 2 :]
    describer = Describer(replay)
    return tuple(Rule(describer.text(event), describer.who(event)) for event in kept)


class _About:
    """The objects of the model that a difference concerns, in the state after the step."""

    def __init__(self, replay: ScenarioRun, row: DiffRow) -> None:
        self._folios: set[int] = set()
        self._vma = 0
        self._vpn = -1
        self._mm = 0
        mm = replay.machine.kernel.mms.get(row.process)
        if mm is None or row.region not in replay.regions:
            return
        self._mm, self._vpn = mm.mm_id, replay.vpn(row.region, row.page)
        vma = mm.vmas.find(self._vpn)
        self._vma = vma.id if vma is not None else 0
        found = replay.machine.kernel.folio_at(mm, self._vpn)
        if found is not None:
            self._folios.add(found[0].id)
        self._folios |= {
            folio
            for event in replay.machine.trace
            if getattr(event, "mm", 0) == self._mm and 0 <= self._vpn - getattr(event, "vpn", -1) < _length(event)
            for folio in _folios_of(event)
        }

    def concerns(self, event: Event) -> bool:
        """Does an event concern the folio, the VMA or the page?"""
        if self._folios & set(_folios_of(event)):
            return True
        if self._vma and self._vma in (getattr(event, key, 0) for key in ("vma", "new", "gone", "to_vma")):
            return True
        text = getattr(event, "text", "")
        return any(re.search(rf"\bf{number}\b", text) for number in self._folios)


def _length(event: object) -> int:
    return max(getattr(event, "nr", 1), len(getattr(event, "folios", ())))


def _folios_of(event: object) -> tuple[int, ...]:
    folio = getattr(event, "folio", None)
    return tuple(getattr(event, "folios", () if folio is None else (folio,)))


#: a page as it is compared: bits, folio, index, kpagecount
_Page = tuple[Any, ...]

ABSENT = "-"


@dataclass(frozen=True, slots=True)
class DiffRow:
    """One difference.

    Args:
        what: ``A, VMA t[0+512], Rss``.
        kernel, model: the values; ``-`` for none.
        process, region, page: its place, as far as it has one.
        folio: its number in the model's recording; 0 if it is not about a folio.
    """

    what: str
    kernel: str
    model: str
    process: str = ""
    region: str = ""
    page: int = 0
    folio: int = 0


def differences(kernel: Mapping[str, Any], model: Mapping[str, Any]) -> list[DiffRow]:
    """All differences between a recorded step and the model: result, VMAs, pages, folios, smaps, in this order."""
    rows: list[DiffRow] = []
    if kernel["result"] != model["result"]:
        rows.append(DiffRow("result", result_text(kernel["result"]), result_text(model["result"])))
    if kernel["procs"] == model["procs"] and kernel["folios"] == model["folios"]:
        return rows
    if list(kernel["procs"]) != list(model["procs"]):
        rows.append(DiffRow("processes", " ".join(kernel["procs"]), " ".join(model["procs"])))
    both = [(name, one, model["procs"][name]) for name, one in kernel["procs"].items() if name in model["procs"]]
    for name, one, two in both:
        rows += _vma_rows(name, one["vmas"], two["vmas"])
    for name, one, two in both:
        rows += _page_rows(name, one["pages"], two["pages"], (kernel, model))
    rows += _folio_rows(kernel["folios"], model["folios"])
    for name, one, two in both:
        rows += _smaps_rows(name, one["vmas"], two["vmas"])
    return rows or [DiffRow("encoding", "equal content, another encoding", "equal content")]


def result_text(result: Mapping[str, Any]) -> str:
    """The result of an operation in words: ``ok``, ``ENOMEM``, ``SIGBUS at access 3, 2 times``."""
    if "signals" in result:
        return ", ".join(
            f"{signal} at access {first}" + (f", {nr} times" if nr > 1 else "")
            for first, nr, signal in result["signals"]
        )
    parts = [str(result[key]) for key in ("errno", "skipped") if key in result] or ["ok"]
    if "thp_errno" in result:
        parts.append(f"then {result['thp_errno']}")
    return ", ".join(parts)


def _vma_name(vma: Mapping[str, Any]) -> str:
    return f"{vma.get('region')}[{vma.get('page')}+{vma.get('count')}]"


def _vma_rows(process: str, kernel: list[Any], model: list[Any]) -> Iterator[DiffRow]:
    if [_vma_name(vma) for vma in kernel] != [_vma_name(vma) for vma in model]:
        extra = next((two for one, two in zip(kernel, model, strict=False) if _vma_name(one) != _vma_name(two)), None)
        at = extra or (model or kernel)[-1]
        names = [" ".join(_vma_name(vma) for vma in vmas) or ABSENT for vmas in (kernel, model)]
        yield DiffRow(f"{process}, VMAs", names[0], names[1], process, str(at.get("region")), int(at.get("page", 0)))
        return
    for one, two in zip(kernel, model, strict=True):
        for key in _keys(one, two):
            if key != "smaps" and one.get(key) != two.get(key):
                what = f"{process}, VMA {_vma_name(two)}, {key}"
                values = str(one.get(key, ABSENT)), str(two.get(key, ABSENT))
                yield DiffRow(what, *values, process, str(two["region"]), int(two["page"]))


def _smaps_rows(process: str, kernel: list[Any], model: list[Any]) -> Iterator[DiffRow]:
    for one, two in zip(kernel, model, strict=False):
        if _vma_name(one) != _vma_name(two):
            return
        figures = one.get("smaps", {}), two["smaps"]
        for key in _keys(*figures):
            values = [figure.get(key, 0) for figure in figures]
            if values[0] != values[1]:
                what = f"{process}, VMA {_vma_name(two)}, {key}"
                yield DiffRow(what, f"{values[0]} kB", f"{values[1]} kB", process, str(two["region"]), int(two["page"]))


def _keys(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((*one, *two)))


def orders(folios: list[dict[str, Any]]) -> dict[int, int]:
    """Number of a folio -> its order."""
    return {row["id"] + number: row["order"] for row in folios for number in range(row["n"])}


def expand(runs: list[list[Any]], order_of: Mapping[int, int]) -> dict[int, _Page]:
    """Page of a region -> bits, folio, index, kpagecount, from the run-length encoding of recordings."""
    pages: dict[int, _Page] = {}
    for first, nr, bits, number, page, count in runs:
        if number in ("zero", None):
            pages.update((first + offset, (bits, number, None, None)) for offset in range(nr))
            continue
        folio, index = number, page
        for offset in range(nr):
            pages[first + offset] = (bits, folio, index, count)
            index += 1
            if index >= 1 << order_of.get(folio, 0):
                folio, index = folio + 1, 0
    return pages


def _page_rows(
    process: str,
    kernel: Mapping[str, Any],
    model: Mapping[str, Any],
    steps: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Iterator[DiffRow]:
    for region in _keys(kernel, model):
        if kernel.get(region) == model.get(region):
            continue
        one = expand(kernel.get(region, []), orders(steps[0]["folios"]))
        two = expand(model.get(region, []), orders(steps[1]["folios"]))
        differing = [page for page in sorted({*one, *two}) if one.get(page) != two.get(page)]
        if not differing:
            continue
        page = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        found = two.get(page)
        number = found[1] if found and isinstance(found[1], int) else 0
        texts = _page_text(one.get(page)), _page_text(found)
        yield DiffRow(f"{process}, {region}[{page}]{more}", *texts, process, region, page, number)


def _page_text(page: _Page | None) -> str:
    if page is None:
        return ABSENT
    bits, folio, index, count = page
    if folio is None:
        return f"{bits} in swap" if "s" in bits else bits
    return f"{bits} zero page" if folio == "zero" else f"{bits} folio {folio} page {index}, mapcount {count}"


def _folio_rows(kernel: list[dict[str, Any]], model: list[dict[str, Any]]) -> Iterator[DiffRow]:
    one, two = _by_number(kernel), _by_number(model)
    for number in sorted({*one, *two}):
        if one.get(number) != two.get(number):
            yield DiffRow(f"folio {number}", _folio_text(one.get(number)), _folio_text(two.get(number)), folio=number)


def _by_number(folios: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in folios:
        for offset in range(row["n"]):
            one = {key: value for key, value in row.items() if key not in ("id", "n")}
            if "from" in one:
                one["from"] = [one["from"][0], one["from"][1] + (offset << row["order"])]
            found[row["id"] + offset] = one
    return found


def _folio_text(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ABSENT
    counts = " ".join(f"{count}×{nr}" for count, nr in row.get("mapcounts", ()))
    parts = [f"order {row['order']}", "anon" if row.get("anon") else "file", f"mapcounts {counts}"]
    if row.get("pmd"):
        parts.append(f"PMD of {' '.join(row['pmd'])}")
    if "from" in row:
        parts.append(f"from page {row['from'][1]} of folio {row['from'][0]}")
    return ", ".join(parts)


#: key of a field of the books -> its name
_FIELDS = {
    "ref": "_refcount",
    "anon_exclusive": "PageAnonExclusive",
    "entire": "_entire_mapcount",
    "double_map": "PageDoubleMap",
    "nr_pages_mapped": "_nr_pages_mapped",
    "large": "_large_mapcount",
    "partially_mapped": "partially mapped",
    "mm_ids": "MM-ID slots",
    "maybe_shared": "SHARED bit",
    "mapcount_raw": "_mapcount of its pages",
}


def book_differences(kernel: Mapping[str, Any], model: Mapping[str, Any], replay: ScenarioRun) -> list[DiffRow]:
    """All differences between the books of a kernel and of the model: fields of folios, PTE tables, their entries.

    Counters are from 0. What a kernel does not have, or its recording left out, is not compared.
    """
    rows: list[DiffRow] = []
    wanted, found = (_folio_fields(books["folios"]) for books in (kernel, model))
    for number in sorted({*wanted, *found}):
        one, two = wanted.get(number, {}), found.get(number, {})
        for key in (key for key in one if one[key] != two.get(key)):
            values = _field_text(one[key]), _field_text(two.get(key))
            rows.append(DiffRow(f"folio {number}, {_FIELDS.get(key, key)}", *values, folio=number))
    for process in _keys(kernel["tables"], model["tables"]):
        tables = [
            {index: _normal(runs) for index, runs in books["tables"].get(process, ())} for books in (kernel, model)
        ]
        for index in sorted({*tables[0], *tables[1]}):
            rows += _table_rows(process, index, tables[0].get(index), tables[1].get(index), replay)
    return rows


def _folio_fields(folios: list[list[Any]]) -> dict[int, dict[str, Any]]:
    return {first + offset: fields for first, nr, fields in folios for offset in range(nr)}


def _field_text(value: Any) -> str:
    if value is None:
        return ABSENT
    if not isinstance(value, list):
        return str(value)
    return " ".join(f"{ABSENT if one is None else one}×{nr}" for one, nr in value)


def _normal(runs: Sequence[Any]) -> list[list[Any]]:
    """Runs of present entries without the dirty bit of read-only ones, which since v6.6 is kept by software."""
    rows: list[list[Any]] = []
    for first, nr, bits in runs:
        kept = bits if "w" in bits else ""
        if rows and sum(rows[-1][:2]) == first and rows[-1][2] == kept:
            rows[-1][1] += nr
        else:
            rows.append([first, nr, kept])
    return rows


def _table_rows(
    process: str, index: int, kernel: list[Any] | None, model: list[Any] | None, replay: ScenarioRun
) -> Iterator[DiffRow]:
    """A PTE table that one side has alone; else the first entry that differs, and the number of others."""
    if kernel == model:
        return
    size = replay.machine.kernel.geometry.pmd_pages
    if kernel is None or model is None:
        place = _place(replay, index * size, size)
        exist = ["exists" if table is not None else ABSENT for table in (kernel, model)]
        yield DiffRow(f"{process}, PTE table of {place[0]}[{place[1]}]", exist[0], exist[1], process, *place)
        return
    one, two = (
        {first + offset: bits or "r" for first, nr, bits in table for offset in range(nr)} for table in (kernel, model)
    )
    first, *others = (entry for entry in range(size) if one.get(entry) != two.get(entry))
    place = _place(replay, index * size + first, 1)
    more = f" and {len(others)} more" if others else ""
    values = one.get(first, ABSENT), two.get(first, ABSENT)
    yield DiffRow(f"{process}, entry of {place[0]}[{place[1]}]{more}", *values, process, *place)


def _place(replay: ScenarioRun, start: int, nr: int) -> tuple[str, int]:
    """The first page of ``nr`` from ``start`` in the arena that is in a region: the last region made there, page."""
    for region, (vpn, pages) in reversed(replay.regions.items()):
        if vpn < start + nr and start < vpn + pages:
            return region, max(start - vpn, 0)
    return f"page {start:#x} of the arena", 0

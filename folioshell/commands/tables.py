"""The tables of ``show``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, partial

from folioshell.commands.call import Call, done
from folioshell.commands.question import target
from folioshell.events import AddedToSwap, Event, Tracepoint
from folioshell.intervals import Intervals
from folioshell.model.decisions import decisions_of
from folioshell.model.mapping import AnonVma
from folioshell.model.proc import (
    AS_MAILED,
    SMAPS_ROWS,
    SYMBOLS,
    WAYS,
    kpagecounts,
    mlocked_folios,
    native_way,
    smaps,
    statistics,
)
from folioshell.model.vm import Vma
from folioshell.paths.rmap import expected_references
from folioshell.records import NamedTuple
from folioshell.report import Report, Section, Table, Text
from folioshell.schemes.base import Scheme
from folioshell.session.changes import changes_between, numbers_of
from folioshell.session.entries import is_next, joined_where, table_run, table_runs, vma_maps
from folioshell.session.step_events import StepEvents
from folioshell.session.workspace import labels_of
from folioshell.units import format_address, format_pages
from folioshell.wording import Row, folio_run, row_runs, text_runs


def _labels(call: Call) -> Callable[[int, int], str]:
    """The labels of a range of pages; processes that were forked have the same ranges."""
    return cache(partial(labels_of, list(call.workspace.regions.values())))


def _processes(call: Call) -> Table:
    rows = []
    for mm in call.kernel.mms.values():
        file, anon, shmem, _ = mm.rss.as_tuple()
        current = "*" if mm.name == call.workspace.current else ""
        rows.append((mm.name, current, mm.mm_id, mm.parent or "", len(mm.vmas), file, anon, shmem, mm.nr_ptes))
    columns = ("process", "current", "mm id", "parent", "VMAs", "file", "anon", "shmem", "PTE tables")
    return Table("processes", columns, row_runs(rows), "file, anon and shmem are pages mapped")


def _vmas(call: Call) -> Table:
    rows: list[Row] = []
    label = _labels(call)
    for mm in call.kernel.mms.values():
        rows += [(mm.name, *_vma_row(vma, label)) for vma in mm.vmas]
    columns = ("process", "vma", "start", "end", "size", "perm", "flags", "maps", "anon_vma", "label")
    hidden = ("flags", "anon_vma") if call.session.settings.audience_of(call.kernel) == "class" else ()
    kept = [at for at, column in enumerate(columns) if column not in hidden]
    shown = [tuple(row[at] for at in kept) for row in rows]
    return Table("VMAs", tuple(columns[at] for at in kept), row_runs(shown))


def _vma_row(vma: Vma, label: Callable[[int, int], str]) -> Row:
    return (
        str(vma),
        format_address(vma.start),
        format_address(vma.end),
        format_pages(vma.nr_pages),
        vma.perm,
        vma.flag_words,
        vma_maps(vma),
        str(vma.anon_vma or ""),
        label(vma.start, vma.end),
    )


def _tables(call: Call) -> Table:
    rows: list[Row] = []
    label = _labels(call)
    for mm in call.kernel.mms.values():
        rows.extend(
            (mm.name, run.table, format_address(run.vpn), run.nr, run.text, label(run.vpn, run.end))
            for run in table_runs(call.kernel, mm)
        )
        deposited = [str(table) for pmd in mm.tables.pmds.values() for table in pmd.deposited]
        rows += [(mm.name, tables, "", None, "deposited", "") for tables in joined_where(deposited, is_next, table_run)]
    columns = ("process", "table", "address", "pages", "maps", "label")
    return Table("page tables", columns, row_runs(rows), "runs of entries that are not none")


def _folios(call: Call) -> Table:
    kernel, shown = call.kernel, call.session.shown_schemes
    folios = kernel.folios
    refs: Intervals[tuple[int, int]] = Intervals()
    for folio, nr in folios.groups():
        refs.put(folio.id, nr, (folio.ref, expected_references(kernel, folio)))
    rows: list[Row] = []
    for change in changes_between((), numbers_of(call.workspace, shown), shown):
        for number, nr, references in refs.pieces(int(change.id[1:]), change.nr):
            assert references is not None
            first = folios[number]
            kind = "anon" if first.anon else "file"
            numbers = (change.mapcounts[name].new for name in shown)
            mapping = f"{first.mapping}+{first.index}"
            rows.append((folio_run(number, nr), nr, first.order, kind, mapping, *references, *numbers))
    columns = ("folio", "number", "order", "kind", "mapping+index", "refs", "expected", *shown)
    note = "mapping and index are those of the first of a run; refs beyond those expected are pins"
    return Table("folios", columns, tuple(rows), note)


def _rmap(call: Call) -> Table:
    rows: list[Row] = []
    kernel = call.kernel
    for anon_vma in anon_vmas(call):
        root = "" if anon_vma.root is anon_vma else str(anon_vma.root)
        rows.append((f"anon_vma {anon_vma}", root, _names(anon_vma.tree)))
    files = (*kernel.files.values(), *kernel.shared_memory)
    rows += [(f"i_mmap of {file.name}", "", _names(file.i_mmap)) for file in files]
    return Table("reverse map", ("from", "root", "VMAs, in the order of a walk"), row_runs(rows))


def _names(vmas: Iterable[Vma]) -> str:
    return " ".join(text_runs(f"{vma.mm}:{vma}" for vma in vmas))


def anon_vmas(call: Call) -> list[AnonVma]:
    """The anon_vmas that VMAs are linked to, ascending."""
    found = {
        anon_vma.id: anon_vma
        for mm in call.kernel.mms.values()
        for vma in mm.vmas
        for anon_vma in (*vma.chain, *([vma.anon_vma] if vma.anon_vma else []))
    }
    return [found[number] for number in sorted(found)]


def _locks(call: Call) -> Table:
    journal = call.workspace.journal
    last: dict[str, int] = {}
    for row in StepEvents(journal[-1].trace).locks if journal else ():
        last[row.name] = last.get(row.name, 0) + row.times
    rows = tuple((name, times) for name, times in last.items())
    note = "no lock is held between steps; these are the page-table locks that the last step took"
    return Table("locks", ("lock", "taken"), rows, note)


_ALWAYS = ("Rss", "Pss")


def smaps_table(call: Call) -> Table:
    """One row a VMA, in kB; a figure that is 0 everywhere has no column."""
    figures = [(mm, vma, smaps(call.kernel, vma)) for mm in call.kernel.mms.values() for vma in mm.vmas]
    names = [name for name in SMAPS_ROWS if name in _ALWAYS or any(name in sums for _, _, sums in figures)]
    rows: list[tuple[str | int | None, ...]] = [
        (
            mm.name,
            str(vma),
            f"{format_address(vma.start)}-{format_address(vma.end)}",
            vma.perm,
            *(sums.get(name, 0) for name in names),
        )
        for mm, vma, sums in figures
    ]
    note = "in kB; figures that are 0 for all VMAs are left out"
    return Table("smaps", ("process", "vma", "addresses", "perm", *names), row_runs(rows), note)


def kpagecount_table(call: Call) -> Table:
    """One row a run of physical pages with the same count, of one folio or of order-0 folios."""
    runs = joined_where(_counted(call), _CountRun.goes_on, _CountRun.joined)
    rows = [(f"{run.pfn:#x}", run.pages, run.entries, run.folio, run.of_folio) for run in runs]
    return Table("kpagecount", ("pfn", "pages", "count", "folio", "its pages"), tuple(rows))


class _CountRun(NamedTuple):
    """Physical pages with the same count.

    Args:
        pfn, pages: which.
        entries: the count, as /proc/kpagecount has it.
        number, nr: the folios that they belong to; several of order 0, or one.
        first: index of the first page in its folio.
    """

    pfn: int
    pages: int
    entries: int
    number: int
    nr: int
    first: int = 0
    small: bool = False

    @property
    def folio(self) -> str:
        """``f3``, or ``f1..f16``."""
        return folio_run(self.number, self.nr)

    @property
    def of_folio(self) -> str:
        """The pages of the folio; of order-0 folios the only one that each has."""
        if self.small or self.pages == 1:
            return str(self.first)
        return f"{self.first}..{self.first + self.pages - 1}"

    def goes_on(self, later: _CountRun) -> bool:
        """Are both of order-0 folios that follow each other, with the same count?"""
        follows = (self.pfn + self.pages, self.number + self.nr) == (later.pfn, later.number)
        return follows and self.small and later.small and self.entries == later.entries

    def joined(self, later: _CountRun) -> _CountRun:
        """Both as one; ``later`` continues it."""
        return self._replace(pages=self.pages + later.pages, nr=self.nr + later.nr)


def _counted(call: Call) -> Iterator[_CountRun]:
    """The runs of each folio, and of order-0 folios that are kept together."""
    kept = call.workspace.machine.schemes["mm-id"]
    for folio, nr in call.kernel.folios.groups():
        if folio.order:
            for first, pages, count in kpagecounts(call.kernel, folio):
                yield _CountRun(folio.pfn + first, pages, count, folio.id, 1, first)
        else:
            for number, length, count in kept.mapcount_pieces(folio.id, nr):
                yield _CountRun(folio.pfn + number - folio.id, length, count, number, length, small=True)


def show_stats(call: Call) -> Report:
    """Mapped pages, the folios that are mlocked if there are any, and counters of events."""
    events = [event for record in call.workspace.journal for event in record.events()]
    mlocked = _mlocked_folios(call, events)
    sections = (_mapped_pages(call, events), *((mlocked,) if mlocked.rows else ()), _event_counters(call, events))
    return done(call, sections=sections)


def _mapped_pages(call: Call, events: Sequence[Event]) -> Table:
    sums = {way: statistics(call.kernel, way, events) for way in WAYS}
    rows: list[Row] = [(name, symbol, *(sums[way][name] for way in WAYS)) for name, symbol in SYMBOLS.items()]
    note = f"in pages; this kernel keeps them {native_way(call.kernel)}"
    return Table("mapped pages", ("counter", "symbol", *WAYS), tuple(rows), note)


def _mlocked_folios(call: Call, events: Sequence[Event]) -> Table:
    """mlock_count in the kernel and in the sketch, and which rmap calls change that of a large folio."""
    found = joined_where(
        mlocked_folios(call.kernel, events),
        lambda row, later: (
            row[0].id + row[1] == later[0].id and (row[0].order, *row[2:]) == (later[0].order, *later[2:])
        ),
        lambda row, later: (row[0], row[1] + later[1], *row[2:]),
    )
    rows = tuple((folio_run(folio.id, nr), folio.nr_pages, *mlock_counts) for folio, nr, *mlock_counts in found)
    mapping = "mapping all of it mlocks it" if call.kernel.release.mlocks_fully_mapped_folio else "no mapping mlocks it"
    note = (
        f"mlock_count, or - without PG_mlocked. {AS_MAILED} mlocks and munlocks a large folio only if "
        f"nr == {call.kernel.geometry.pmd_pages}; in this kernel {mapping}, and any unmapping munlocks it"
    )
    return Table("mlocked folios", ("folio", "pages", "this kernel", AS_MAILED), rows, note)


def _event_counters(call: Call, events: Sequence[Event]) -> Table:
    counts = dict(call.kernel.vm_events)
    for event in events:
        if isinstance(event, AddedToSwap):
            counts["swpout"] = counts.get("swpout", 0) + len(event.folios)
        elif isinstance(event, Tracepoint) and event.count:
            counts[event.count] = counts.get(event.count, 0) + 1
    return Table("event counters", ("counter", "value"), tuple(sorted(counts.items())), "as /proc/vmstat names them")


#: orders whose bytes are shown where no folio is named: one page, the 64K of many examples, a PMD's worth
USUAL_ORDERS = (0, 4, 9)


def scheme_sections(call: Call, orders: Sequence[int]) -> tuple[Section, ...]:
    """Every scheme in words, then the bytes that each keeps for a folio of these orders."""
    schemes = call.workspace.machine.schemes
    shown = call.session.shown_schemes
    decider = call.kernel.decider.name
    roles = {
        name: ", ".join(word for word, holds in (("decides", name == decider), ("shown", name in shown)) if holds)
        for name in schemes
    }
    lines = [line for name, scheme in schemes.items() for line in scheme_lines(scheme, roles[name])]
    rows: list[tuple[str | int | None, ...]] = [
        (name, roles[name], *(scheme.bytes_of_state(order) for order in orders)) for name, scheme in schemes.items()
    ]
    columns = ("scheme", "role", *(f"order {order}" for order in orders))
    return (Text(tuple(lines), "schemes"), Table("bytes of state of a folio", columns, tuple(rows)))


def scheme_lines(scheme: Scheme, role: str) -> Iterator[str]:
    """Name and version, the two lines about it, the state that it keeps, and what releases asked it for."""
    yield f"{scheme.name}{f' ({role})' if role else ''}: {scheme.version}"
    yield from (f"  {line}" for line in scheme.about)
    yield f"  State: {scheme.state}."
    if decided := decisions_of(scheme.name):
        yield f"  Decided in {'; '.join(map(str, decided))}."


def show_schemes(call: Call) -> Report:
    """The handler: with a folio, the bytes for one of its order."""
    orders = (target(call, "FOLIO").order,) if "FOLIO" in call.arguments else USUAL_ORDERS
    return done(call, sections=scheme_sections(call, orders))


#: word after ``show`` -> (what it shows, how the table is made)
TABLES: dict[str, tuple[str, Callable[[Call], Table]]] = {
    "vmas": ("VMAs of all processes", _vmas),
    "tables": ("page tables and what their entries map", _tables),
    "folios": ("folios and their mapcounts", _folios),
    "rmap": ("anon_vmas and i_mmaps with their VMAs", _rmap),
    "locks": ("page-table locks that the last step took", _locks),
    "smaps": ("figures of /proc/PID/smaps", smaps_table),
    "kpagecount": ("counts of /proc/kpagecount", kpagecount_table),
    "processes": ("processes", _processes),
}

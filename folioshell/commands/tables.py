"""The tables of ``show``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache, partial

from folioshell.commands.call import Call
from folioshell.commands.user_space import kpagecount_table, smaps_table
from folioshell.intervals import Intervals
from folioshell.model.mapping import AnonVma
from folioshell.model.vm import Vma
from folioshell.report import Table
from folioshell.session.changes import changes_between, numbers_of
from folioshell.session.entries import is_next, joined_where, table_run, table_runs
from folioshell.session.picture import vma_maps
from folioshell.session.region import labels_of
from folioshell.session.step_events import StepEvents
from folioshell.units import format_address, format_pages
from folioshell.wording import folio_run

Row = tuple[str | int | None, ...]


def _labels(call: Call) -> Callable[[int, int], str]:
    """The labels of a range of pages; processes that were forked have the same ranges."""
    return cache(partial(labels_of, list(call.workspace.regions.values())))


def _processes(call: Call) -> Table:
    rows = []
    for mm in call.kernel.mms.values():
        file, anon, shmem, _ = mm.rss.as_tuple()
        current = "*" if mm.name == call.workspace.current else ""
        rows.append((mm.name, current, mm.mm_id, mm.parent or "", len(mm.vmas), file, anon, shmem, mm.nr_ptes))
    columns = ("process", "current", "mm id", "parent", "VMAs", "file", "anon", "shmem", "leaf tables")
    return Table("processes", columns, tuple(rows), "file, anon and shmem are pages mapped")


def _vmas(call: Call) -> Table:
    rows: list[Row] = []
    label = _labels(call)
    for mm in call.kernel.mms.values():
        rows += [(mm.name, *_vma_row(vma, label)) for vma in mm.vmas]
    columns = ("process", "vma", "start", "end", "size", "perm", "flags", "maps", "anon_vma", "label")
    return Table("VMAs", columns, tuple(rows))


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
    return Table("page tables", columns, tuple(rows), "runs of entries that are not none")


def _folios(call: Call) -> Table:
    shown = call.session.shown_schemes
    folios = call.kernel.folios
    rows: list[Row] = []
    for change in changes_between(Intervals(), numbers_of(call.workspace, shown), shown):
        first = folios.get(int(change.id[1:]))
        assert first is not None
        kind = "anon" if first.anon else "file"
        numbers = (change.mapcounts[name].new for name in shown)
        mapping = f"{first.mapping}+{first.index}"
        rows.append((folio_run(first.id, change.nr), change.nr, first.order, kind, mapping, *numbers))
    columns = ("folio", "number", "order", "kind", "mapping+index", *shown)
    return Table("folios", columns, tuple(rows), "mapping and index are those of the first of a run")


def _rmap(call: Call) -> Table:
    rows: list[Row] = []
    kernel = call.kernel
    for anon_vma in anon_vmas(call):
        root = "" if anon_vma.root is anon_vma else str(anon_vma.root)
        rows.append((f"anon_vma {anon_vma}", root, _names(anon_vma.tree)))
    files = (*kernel.files.values(), *kernel.shared_memory)
    rows += [(f"i_mmap of {file.name}", "", _names(file.i_mmap)) for file in files]
    return Table("reverse map", ("from", "root", "VMAs, in the order of a walk"), tuple(rows))


def _names(vmas: Iterable[Vma]) -> str:
    return " ".join(f"{vma.mm}:{vma}" for vma in vmas)


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
    note = "between two steps no lock is held; these are the page-table locks that the last step took"
    return Table("locks", ("lock", "taken"), rows, note)


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

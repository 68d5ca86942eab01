"""The whole state as plain data, for ``--json=full`` and for comparing two moments."""

from __future__ import annotations

from typing import Any

from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.mm import Mm
from folioshell.model.observation import observation
from folioshell.model.pagetable import PageTable
from folioshell.session.region import BASE_VPN
from folioshell.session.workspace import Workspace
from folioshell.units import format_address


def snapshot(workspace: Workspace) -> dict[str, Any]:
    """What can be observed, as a step of a recording has it, and what no user space sees of it.

    ``procs`` and ``folios`` have the form of recordings, with our own numbers of folios; ``processes`` and ``counts``
    add page tables, references and every scheme's number.
    """
    kernel = workspace.kernel
    schemes = workspace.machine.schemes
    regions = {region.name: (region.start, region.nr) for region in workspace.regions.values()}
    return {
        "current": workspace.current,
        "geometry": kernel.geometry.name,
        "decide": kernel.decider.name,
        "regions": {
            name: {"vpn": start - BASE_VPN, "pages": nr, "address": format_address(start)}
            for name, (start, nr) in regions.items()
        },
        "files": {file.name: {"pages": file.size, "fs": file.fs} for file in kernel.files.values()},
        **observation(kernel, regions),
        "processes": {mm.name: _process(kernel, mm) for mm in kernel.mms.values()},
        "counts": [
            {
                "id": folio.id,
                "ref": folio.ref,
                "mapping": str(folio.mapping),
                "index": folio.index,
                "mapcounts": {name: scheme.mapcount(folio.id) for name, scheme in schemes.items()},
            }
            for folio in kernel.folios.looks()
        ],
    }


def _process(kernel: Kernel, mm: Mm) -> dict[str, Any]:
    return {
        "mm_id": mm.mm_id,
        "parent": mm.parent,
        "rss": dict(zip(("file", "anon", "shmem", "swap"), mm.rss.as_tuple(), strict=True)),
        "vmas": [
            {
                "id": str(vma),
                "address": format_address(vma.start),
                "pages": vma.nr_pages,
                "perm": vma.perm,
                "flags": vma.flag_words,
                "file": vma.file.name if vma.file is not None else None,
                "pgoff": vma.pgoff,
                "anon_vma": str(vma.anon_vma) if vma.anon_vma is not None else None,
            }
            for vma in mm.vmas
        ],
        "entries": [
            {"table": table, "address": format_address(vpn), "pages": nr, "maps": what}
            for table, vpn, nr, what in entry_runs(kernel, mm)
        ],
    }


#: (table, first virtual page, entries, what they map)
EntryRun = tuple[str, int, int, str]


def entry_runs(kernel: Kernel, mm: Mm) -> list[EntryRun]:
    """Runs of entries of one table that map consecutive pages of one folio with the same permission, ascending."""
    runs: list[EntryRun] = []
    for block, pmd, entry in mm.tables.blocks():
        if isinstance(entry, PageTable):
            runs += _leaf_runs(kernel, entry, block)
        else:
            name, _, access = _parts(kernel, entry)
            whole = "" if name in ("zero page", "swap", "migration") else " whole"
            runs.append((str(pmd), block, kernel.geometry.pmd_pages, f"{name}{whole} {access}".strip()))
    return runs


def _leaf_runs(kernel: Kernel, table: PageTable, block: int) -> list[EntryRun]:
    runs: list[EntryRun] = []
    start, nr = 0, 0
    first: tuple[str, int, str] = ("", 0, "")
    for index, entry in enumerate(table.entries):
        if entry == pte.NONE:
            continue
        parts = _parts(kernel, entry)
        step = nr if parts[1] >= 0 else 0
        if nr and index == start + nr and parts == (first[0], first[1] + step, first[2]):
            nr += 1
            continue
        if nr:
            runs.append((str(table), block + start, nr, _text(first, nr)))
        start, nr, first = index, 1, parts
    if nr:
        runs.append((str(table), block + start, nr, _text(first, nr)))
    return runs


def _text(first: tuple[str, int, str], nr: int) -> str:
    name, page, access = first
    if page < 0:
        return f"{name} {access}".strip()
    return f"{name}[{page}] {access}" if nr == 1 else f"{name}[{page}..{page + nr - 1}] {access}"


def _parts(kernel: Kernel, entry: int) -> tuple[str, int, str]:
    """(what an entry maps, page of the folio or -1, permission)."""
    if pte.maps_folio(entry):
        pfn = pte.pfn_of(entry)
        folio = kernel.physmem.look(pfn)
        return str(folio), pfn - folio.pfn, "rw" if entry & pte.WRITE else "r"
    if entry > 0:
        return "zero page", -1, "r"
    if pte.is_swap(entry):
        return "swap", -1, ""
    return ("migration", -1, "") if pte.is_migration(entry) else ("marker", -1, "")

"""The whole state as plain data, for ``--json=full`` and for comparing two moments."""

from __future__ import annotations

from typing import Any

from folioshell.model.kernel import Kernel
from folioshell.model.observation import observation
from folioshell.model.vm import Mm
from folioshell.session.entries import runs_by_table
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
            name: {"vpn": start - kernel.geometry.base, "pages": nr, "address": format_address(start)}
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
            for folio in kernel.folios.values()
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
            {"table": run.table, "address": format_address(run.vpn), "pages": run.nr, "maps": run.text}
            for run in runs_by_table(kernel, mm)
        ],
    }

"""Limits, asked before anything of a command is done: what it would need, and whether that may be."""

from __future__ import annotations

from folioshell.commands.call import Call, Range
from folioshell.errors import Refused
from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm
from folioshell.paths.anon_fault import huge_fault_allowed
from folioshell.session.limits import raised_by
from folioshell.units import align_down, align_up


def admit_pages(call: Call, name: str, nr: int, place: Range | None = None) -> None:
    """Check that ``nr`` pages may be mapped besides those that are.

    Args:
        name: the argument that asks for them.
        place: where; pages of it that are mapped already are no new ones.

    Raises:
        Refused: there would be more than the limit.
    """
    workspace, limit = call.workspace, call.workspace.limits.pages
    # What was ever admitted bounds what is mapped; only if that is too much, it is counted.
    workspace.admitted += nr
    if limit is None or workspace.admitted <= limit:
        return
    mapped = workspace.admitted = sum(mm.nr_entries for mm in call.kernel.mms.values())
    if place is not None:
        nr = missing_entries(call.kernel, place.mm, place.start, place.end)
    workspace.admitted += nr
    if mapped + nr > limit:
        workspace.admitted = mapped
        what = f"{nr:,} more than the {mapped:,} mapped" if mapped else f"{nr:,} pages"
        raise _limited(call, name, "pages", what, f"{limit:,} pages mapped")


def admit_file(call: Call, name: str, nr: int) -> None:
    """Check that files may have ``nr`` pages more; ``name`` is the argument that asks for them.

    Raises:
        Refused: there would be more than the limit.
    """
    limit, present = call.workspace.limits.files, sum(file.size for file in call.kernel.files.values())
    if limit is not None and present + nr > limit:
        what = f"{nr:,} more than the {present:,} that there are" if present else f"{nr:,} pages"
        raise _limited(call, name, "files", what, f"{limit:,} pages of files")


def admit_process(call: Call, name: str) -> None:
    """Check that there may be one more process; ``name`` is the argument that names it.

    Raises:
        Refused: there would be more than the limit.
    """
    limit = call.workspace.limits.processes
    if limit is not None and len(call.kernel.mms) >= limit:
        raise _limited(call, name, "processes", "one process more", f"{limit:,} processes")


def _limited(call: Call, name: str, limit: str, what: str, most: str) -> Refused:
    return call.refused_at(name, f"{what} would pass the limit of {most}", hint=raised_by(limit))


def missing_entries(k: Kernel, mm: Mm, start: int, end: int) -> int:
    """How many page-table entries accesses to all of ``[start, end)`` may need besides those that it has.

    A block that may get a huge page needs one.
    """
    size = k.geometry.pmd_pages
    missing = end - start
    for block, _, entry in mm.tables.blocks_in(start, end):
        low, high = max(start, block) - block, min(end, block + size) - block
        missing -= sum(map(bool, entry.entries[low:high])) if isinstance(entry, PageTable) else high - low
    for vma in mm.vmas.overlapping(start, end):
        if vma.file is None and huge_fault_allowed(k, vma):
            blocks = range(align_up(max(vma.start, start), size), align_down(min(vma.end, end), size), size)
            missing -= sum(mm.tables.pmd_entry(block) == pte.NONE for block in blocks) * (size - 1)
    return missing

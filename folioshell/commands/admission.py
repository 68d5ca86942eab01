"""What a command would need, for limits to be asked before anything of it is done."""

from __future__ import annotations

from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.mm import Mm
from folioshell.model.pagetable import PageTable
from folioshell.paths.anon_fault import huge_fault_allowed
from folioshell.units import align_down, align_up


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

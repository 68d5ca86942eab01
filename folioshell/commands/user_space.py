"""Tables of what user space sees of memory: smaps and kpagecount."""

from __future__ import annotations

from folioshell.commands.call import Call
from folioshell.model.smaps import SMAPS_ROWS, kpagecounts, smaps
from folioshell.report import Table
from folioshell.units import format_address

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
    return Table("smaps", ("process", "vma", "addresses", "perm", *names), tuple(rows), note)


def kpagecount_table(call: Call) -> Table:
    """One row a run of physical pages of a folio with the same count."""
    rows = [
        (f"{folio.pfn + first:#x}", nr, count, str(folio), f"{first}..{first + nr - 1}")
        for folio in call.kernel.folios.looks()
        for first, nr, count in kpagecounts(call.kernel, folio)
    ]
    return Table("kpagecount", ("pfn", "pages", "count", "folio", "its pages"), tuple(rows))

"""Tables of what user space sees of memory: smaps and kpagecount."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from folioshell.commands.call import Call
from folioshell.model.proc import SMAPS_ROWS, kpagecounts, smaps
from folioshell.report import Table
from folioshell.session.entries import joined_where
from folioshell.units import format_address
from folioshell.wording import folio_run

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
        """Both as one, which ``later`` goes on."""
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

"""Entries of page tables as runs: which pages of which folios they map, never a row a page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from typing import TypeVar

from folioshell.intervals import Intervals
from folioshell.model import pte
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdEntry, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.records import NamedTuple
from folioshell.wording import MOST_APART, folio_run, follows, page_index

T = TypeVar("T")

_BY_PMD = " (PMD)"
_NEXT_PAGE = 1 << pte.PFN_SHIFT


class EntryRun(NamedTuple):
    """Consecutive entries of one table that map consecutive pages with the same permission.

    Args:
        table: ``pt1``, or ``pmd1`` for PMD entries.
        vpn, nr: virtual pages.
        folio: number of the folio; 0 if none is mapped.
        nr_folios: number of folios with consecutive numbers; if several, each is fully mapped.
        order: of each folio.
        page: first page of the folio.
        access: ``r``, ``rw``, or ``none`` under PROT_NONE; empty for an entry that is not present.
        other: what is there in place of a folio: ``zero page``, ``swap``, ``migration`` or ``guard``.
        pmd: PMD entries.
    """

    table: str
    vpn: int
    nr: int
    folio: int = 0
    nr_folios: int = 0
    order: int = 0
    page: int = 0
    access: str = ""
    other: str = ""
    pmd: bool = False

    @property
    def end(self) -> int:
        """First virtual page after it."""
        return self.vpn + self.nr

    @property
    def last_table(self) -> str:
        """The table of its last entry."""
        return self.table.rpartition("..")[2]

    @property
    def text(self) -> str:
        """What is mapped: ``f1[0..7] r``, ``f1..f16 [0] rw``, ``f1 whole rw``, ``swap``."""
        if not self.folio:
            return f"{self.other} {self.access}".rstrip()
        if self.nr_folios > 1:
            pages = "whole" if self.pmd else page_index(0, 1 << self.order)
            return f"{folio_run(self.folio, self.nr_folios)} {pages} {self.access}"
        if self.pmd and self.nr == 1 << self.order:
            return f"f{self.folio} whole {self.access}"
        return f"f{self.folio}{page_index(self.page, self.nr)} {self.access}{_BY_PMD if self.pmd else ''}"

    @property
    def brief(self) -> str:
        """The same, for use beside order and table: pages only for a part of a folio."""
        if self.folio and self.is_whole:
            return f"{folio_run(self.folio, self.nr_folios)} {self.access}"
        return self.text.removesuffix(_BY_PMD)

    @property
    def is_whole(self) -> bool:
        """It maps every page of its folios."""
        return self.page == 0 and self.nr == self.nr_folios << self.order

    def part(self, start: int, end: int) -> EntryRun:
        """The entries of ``[start, end)``, of order-0 folios or of a single one."""
        if start <= self.vpn and self.end <= end:
            return self
        start, end = max(start, self.vpn), min(end, self.end)
        skipped, nr = start - self.vpn, end - start
        if not self.folio:
            return self._replace(vpn=start, nr=nr)
        if self.order == 0:
            return self._replace(vpn=start, nr=nr, folio=self.folio + skipped, nr_folios=nr)
        return self._replace(vpn=start, nr=nr, page=self.page + skipped)

    def goes_on(self, later: EntryRun) -> bool:
        """Does ``later`` map the next virtual pages to the next pages or folios, by the same kind of entry?"""
        folio, next_folio = self.folio, later.folio
        # Most neighbors map unrelated folios.
        if folio != next_folio and folio + self.nr_folios != next_folio:
            return False
        if (self.end, self.access, self.other, self.pmd) != (later.vpn, later.access, later.other, later.pmd):
            return False
        if folio == next_folio:
            return not folio or later.page == self.page + self.nr
        return self.order == later.order and self.is_whole and later.is_whole

    def joined(self, later: EntryRun) -> EntryRun:
        """Both as one; ``later`` continues this run."""
        nr_folios = self.nr_folios if self.folio == later.folio else self.nr_folios + later.nr_folios
        return self._replace(table=table_run(self.table, later.table), nr=self.nr + later.nr, nr_folios=nr_folios)


def table_run(first: str, last: str) -> str:
    """Tables with consecutive ids: ('pt1', 'pt1') -> 'pt1', ('pt1..pt2', 'pt3') -> 'pt1..pt3'."""
    first, last = first.partition("..")[0], last.rpartition("..")[2]
    return first if first == last else f"{first}..{last}"


def is_next(table: str, later: str) -> bool:
    """Is ``later`` numbered next to the last of ``table``?"""
    return follows(table.rpartition("..")[2], later.partition("..")[0])


def joined_where(items: Iterable[T], goes_on: Callable[[T, T], bool], joined: Callable[[T, T], T]) -> list[T]:
    """``items`` with neighbors joined wherever one continues the other."""
    made: list[T] = []
    for item in items:
        if made and goes_on(made[-1], item):
            made[-1] = joined(made[-1], item)
        else:
            made.append(item)
    return made


def joined_if_many(items: Iterable[T], goes_on: Callable[[T, T], bool], joined: Callable[[T, T], T]) -> Iterator[T]:
    """As ``joined_where``, but runs of at most MOST_APART stay apart."""
    group: list[T] = []
    for item in items:
        if group and not goes_on(group[-1], item):
            yield from [reduce(joined, group)] if len(group) > MOST_APART else group
            group = []
        group.append(item)
    yield from [reduce(joined, group)] if len(group) > MOST_APART else group


def vma_maps(vma: Vma) -> str:
    """What a VMA maps: ``anon``, or file and page offset: ``lib+0``."""
    return "anon" if vma.file is None else f"{vma.file.name}+{vma.pgoff}"


def entry_runs(kernel: Kernel, mm: Mm) -> list[EntryRun]:
    """The entries of an address space that are not none, ascending; no run has two large folios or two tables."""
    return [run for found in mm.tables.blocks() for run in block_runs(kernel, *found)]


def entry_runs_in(kernel: Kernel, mm: Mm, start: int, end: int) -> list[EntryRun]:
    """The same for the virtual pages ``[start, end)`` alone."""
    found = (run for block in mm.tables.blocks_in(start, end) for run in block_runs(kernel, *block))
    return [run.part(start, end) for run in found if run.vpn < end and run.end > start]


def present_runs(kernel: Kernel, mm: Mm, start: int, end: int) -> list[tuple[int, int, bool]]:
    """(first, nr, whether their entries are present) of the virtual pages ``[start, end)``, ascending."""
    present: Intervals[bool] = Intervals()
    for run in entry_runs_in(kernel, mm, start, end):
        if run.access:
            present.put(run.vpn, run.nr, True)
    return [(first, nr, bool(there)) for first, nr, there in present.pieces(start, end - start)]


def block_runs(kernel: Kernel, block: int, pmd: PmdTable, entry: PmdEntry) -> list[EntryRun]:
    """The same of one PTE table or PMD entry, as ``blocks()`` has it."""
    if isinstance(entry, PageTable):
        return _leaf_runs(kernel, entry, block)
    return [run._replace(pmd=True) for run in _mapped(kernel, entry, str(pmd), block, kernel.geometry.pmd_pages)]


def runs_by_table(kernel: Kernel, mm: Mm) -> list[EntryRun]:
    """The same with whole large folios of a table joined."""
    return joined_where(entry_runs(kernel, mm), goes_on_in_table, EntryRun.joined)


def table_runs(kernel: Kernel, mm: Mm) -> list[EntryRun]:
    """The same with long sequences of tables joined, for reading."""
    return list(joined_if_many(runs_by_table(kernel, mm), goes_on_over_tables, EntryRun.joined))


def _goes_on_small(run: EntryRun, later: EntryRun) -> bool:
    return run.goes_on(later) and (run.folio == later.folio or run.order == 0)


def goes_on_in_table(run: EntryRun, later: EntryRun) -> bool:
    """Does ``later`` continue in the same table?"""
    return run.table == later.table and run.goes_on(later)


def goes_on_over_tables(run: EntryRun, later: EntryRun) -> bool:
    """Does ``later`` continue in the same table or the next one, without a folio that straddles both?"""
    if not run.goes_on(later):
        return False
    if run.last_table != later.table:
        across = run.folio == later.folio and bool(run.folio)
        return not across and is_next(run.table, later.table)
    return True


def _leaf_runs(kernel: Kernel, table: PageTable, block: int) -> list[EntryRun]:
    """Runs of entries that are alike in all bits, divided where a folio ends, and joined across bits not shown."""
    runs: list[EntryRun] = []
    entries, name, at = table.entries, str(table), kernel.physmem.at
    used = table.used
    index, limit = used.start, used.stop
    #: the folio after those of the last run
    following = 0
    while index < limit:
        entry = entries[index]
        start = index
        index += 1
        if entry == pte.NONE:
            continue
        if entry >= _NEXT_PAGE:
            expected = entry + _NEXT_PAGE
            while index < limit and entries[index] == expected:
                index += 1
                expected += _NEXT_PAGE
            if expected == entry + _NEXT_PAGE:
                pfn = entry >> pte.PFN_SHIFT
                first = at(pfn).first
                number = first.id + pfn - first.pfn
                if not first.order and number != following:
                    # Of scattered pages, most entries are a run of their own.
                    runs.append(EntryRun(name, block + start, 1, number, 1, 0, 0, _access(entry)))
                    following = number + 1
                    continue
        else:
            while index < limit and entries[index] == entry:
                index += 1
        found = _mapped(kernel, entry, name, block + start, index - start)
        if runs and _goes_on_small(runs[-1], found[0]):
            found[0] = runs.pop().joined(found[0])
        runs += found
        following = runs[-1].folio + runs[-1].nr_folios
    return runs


def _mapped(kernel: Kernel, entry: int, table: str, vpn: int, nr: int) -> list[EntryRun]:
    """What ``nr`` pages map from ``vpn`` on, the first of which has ``entry``."""
    if entry < _NEXT_PAGE:
        access = _access(entry) if entry > 0 else ""
        return [EntryRun(table, vpn, nr, access=access, other=_other(entry))]
    access = _access(entry)
    runs = []
    for folio, nr_folios, order, page, length in _folios(kernel, entry >> pte.PFN_SHIFT, nr):
        runs.append(EntryRun(table, vpn, length, folio, nr_folios, order, page, access))
        vpn += length
    return runs


def _access(entry: int) -> str:
    """What user space may do through a present entry."""
    if entry & pte.PROTNONE:
        return "none"
    return "rw" if entry & pte.WRITE else "r"


def _other(entry: int) -> str:
    if entry > 0:
        return "zero page"
    if entry == pte.GUARD:
        return "guard"
    return "swap" if pte.is_swap(entry) else "migration"


def _folios(kernel: Kernel, pfn: int, nr: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, folios, order, first page, pages) of the folios that ``nr`` physical pages belong to.

    Consecutive pages of order-0 folios with consecutive numbers are one row.
    """
    end, at = pfn + nr, kernel.physmem.at
    number = small = 0
    while pfn < end:
        found = at(pfn)
        if isinstance(found, FolioRun):
            skipped = pfn - found.first.pfn
            first, length = found.first.id + skipped, min(found.nr - skipped, end - pfn)
        elif found.order:
            if small:
                yield number, small, 0, 0, small
            skipped, small = pfn - found.pfn, 0
            length = min(found.nr_pages - skipped, end - pfn)
            yield found.id, 1, found.order, skipped, length
            pfn += length
            continue
        else:
            first, length = found.id, 1
        if small and number + small != first:
            yield number, small, 0, 0, small
            small = 0
        number, small = number if small else first, small + length
        pfn += length
    if small:
        yield number, small, 0, 0, small

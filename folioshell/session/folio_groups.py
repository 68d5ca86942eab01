"""Folios in groups that are alike: how many entries map their pages, who maps them, and every scheme's number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from folioshell.model.truth import TruthCounts
from folioshell.report import Visit
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.order0 import counts_order0_entries
from folioshell.session.changes import numbers_of
from folioshell.session.entries import EntryRun, entry_runs
from folioshell.session.workspace import Workspace


class Mapper(NamedTuple):
    """A VMA that maps pages of a folio, or of each folio of a group.

    Args:
        process, mm_id, vma: whose it is.
        tables: (table, entries there), in order of the entries.
    """

    process: str
    mm_id: int
    vma: str
    tables: tuple[tuple[str, int], ...]

    @property
    def visit(self) -> Visit:
        """The same as a row of a report."""
        return Visit(self.process, self.vma, self.tables)


class FolioGroup(NamedTuple):
    """Folios with consecutive numbers that are alike.

    Args:
        first, nr: their numbers.
        order: of each.
        numbers: scheme -> its number of each.
        counts: (pages, entries that map each of them) of runs of pages of a folio.
        mappers: who maps them.
    """

    first: int
    nr: int
    order: int
    numbers: dict[str, int]
    counts: tuple[tuple[int, int], ...]
    mappers: tuple[Mapper, ...]

    @property
    def mms(self) -> list[int]:
        """MM-IDs of the address spaces that map a page, in order."""
        return list(dict.fromkeys(mapper.mm_id for mapper in self.mappers))

    @property
    def truth(self) -> TruthCounts:
        """What the page tables say about each folio of a group of order-0 folios."""
        nr = len(self.mappers)
        return TruthCounts(mms=len(self.mms), vmas=nr, tuples=nr, entries=nr, pages=min(nr, 1), pmds=0)

    @property
    def sharing(self) -> str:
        """``shared``, ``exclusive`` or ``unmapped``."""
        return ("unmapped", "exclusive", "shared")[min(len(self.mms), 2)]


#: (first page, pages, who maps them by one run of entries)
_Piece = tuple[int, int, Mapper]


#: process -> its entries
EntriesOf = Mapping[str, Sequence[EntryRun]]


def entries_of_all(workspace: Workspace) -> EntriesOf:
    """The entries of every process; see ``entry_runs``."""
    return {mm.name: entry_runs(workspace.kernel, mm) for mm in workspace.kernel.mms.values()}


def folio_groups(workspace: Workspace, shown: Sequence[str], entries: EntriesOf) -> list[FolioGroup]:
    """All living folios in groups, by number.

    Args:
        shown: the schemes whose numbers are wanted.
        entries: what ``entries_of_all`` gave.
    """
    small, large = _mappings(workspace, entries)
    small_pieces = list(_overlaid(small))
    at = 0
    groups: list[list[FolioGroup]] = []
    for first, nr, (order, row) in numbers_of(workspace, shown).runs():
        numbers = dict(zip(shown, row, strict=True))
        made: Iterable[FolioGroup]
        if order:
            made = (_large(number, order, numbers, large) for number in range(first, first + nr))
        else:
            while at < len(small_pieces) and small_pieces[at][0] + small_pieces[at][1] <= first:
                at += 1
            made = _small(first, nr, numbers, small_pieces, at)
        for group in made:
            if groups and _are_alike(groups[-1][-1], group):
                groups[-1].append(group)
            else:
                groups.append([group])
    return [_one(alike) for alike in groups]


def by_group(run: EntryRun, groups: Sequence[FolioGroup]) -> Iterator[tuple[EntryRun, FolioGroup]]:
    """A run that maps folios, divided where a group of them ends.

    Args:
        run: of a single large folio, or of order-0 folios.
        groups: what ``folio_groups`` gave.
    """
    at = bisect_right(groups, run.folio, key=_first) - 1
    start, end = run.folio, run.folio + run.nr_folios
    while start < end:
        group = groups[at]
        stop = min(group.first + group.nr, end)
        whole = (start, stop) == (run.folio, end)
        yield (run if whole else run.part(run.vpn + start - run.folio, run.vpn + stop - run.folio)), group
        start = stop
        at += 1


def _first(group: FolioGroup) -> int:
    return group.first


def knows_entries_only(scheme: Scheme) -> bool:
    """Does the scheme know only the number of entries of an order-0 folio? Then its answers are the same in a group."""
    return counts_order0_entries(type(scheme))


def answers_in(scheme: Scheme, group: FolioGroup) -> set[Sharing]:
    """What the scheme answers to everybody who maps a folio of the group."""
    alike = not group.order and knows_entries_only(scheme)
    numbers = range(group.first, group.first + (1 if alike else group.nr))
    return {scheme.shared(number, mm) for number in numbers for mm in group.mms}


def _mappings(workspace: Workspace, entries: EntriesOf) -> tuple[list[_Piece], dict[int, list[_Piece]]]:
    """Runs of order-0 folios by number, and runs of pages of each large folio, with who maps them."""
    small: list[_Piece] = []
    large: dict[int, list[_Piece]] = {}
    for mm in workspace.kernel.mms.values():
        runs = [run for run in entries[mm.name] if run.folio]
        for vma, run in runs_by_vma(runs, [(vma.start, vma.end, str(vma)) for vma in mm.vmas]):
            mapper = Mapper(mm.name, mm.mm_id, vma, ((run.table, 1 if run.pmd else run.nr),))
            if run.order:
                large.setdefault(run.folio, []).append((run.page, run.nr, mapper))
            else:
                small.append((run.folio, run.nr, mapper))
    return small, large


def runs_by_vma(runs: Sequence[EntryRun], vmas: Sequence[tuple[int, int, str]]) -> Iterator[tuple[str, EntryRun]]:
    """(VMA, run) of ascending runs of ``entry_runs``, divided where VMAs, which are (start, end, name), end."""
    at = 0
    for start, end, name in vmas:
        while at < len(runs) and runs[at].end <= start:
            at += 1
        while at < len(runs) and runs[at].vpn < end:
            yield name, runs[at].part(start, end)
            if runs[at].end > end:
                break
            at += 1


def _overlaid(pieces: Iterable[_Piece]) -> Iterator[tuple[int, int, tuple[Mapper, ...]]]:
    """(first, nr, who maps them) of the pieces in which the mappers do not change, ascending."""
    events: list[tuple[int, int, Mapper | None]] = []
    for key, (first, nr, mapper) in enumerate(pieces):
        events += [(first, key, mapper), (first + nr, key, None)]
    events.sort(key=lambda event: event[0])
    present: dict[int, Mapper] = {}
    last = 0
    for place, key, begins in events:
        if place > last and present:
            yield last, place - last, tuple(present[one] for one in sorted(present))
        last = place
        if begins is None:
            del present[key]
        else:
            present[key] = begins


def _large(number: int, order: int, numbers: dict[str, int], large: dict[int, list[_Piece]]) -> FolioGroup:
    """One large folio."""
    pieces = large.get(number, ())
    counts: list[tuple[int, int]] = []
    done = 0
    for first, nr, mappers in (*_overlaid(pieces), (1 << order, 0, ())):
        if first > done:
            counts.append((first - done, 0))
        if nr and counts and counts[-1][1] == len(mappers):
            counts[-1] = (counts[-1][0] + nr, len(mappers))
        elif nr:
            counts.append((nr, len(mappers)))
        done = first + nr
    return FolioGroup(number, 1, order, numbers, tuple(counts), _merged(mapper for _, _, mapper in pieces))


def _small(
    first: int, number: int, numbers: dict[str, int], pieces: Sequence[tuple[int, int, tuple[Mapper, ...]]], at: int
) -> Iterator[FolioGroup]:
    """``number`` order-0 folios, divided where their mappers change; ``at``: the first piece that may be of use."""
    end = first + number
    while first < end:
        start, nr, mappers = pieces[at] if at < len(pieces) else (end, 0, ())
        if start > first:
            nr, mappers = min(start, end) - first, ()
        else:
            nr = min(start + nr, end) - first
            at += 1
        cut = tuple(mapper._replace(tables=((mapper.tables[0][0], nr),)) for mapper in mappers)
        yield FolioGroup(first, nr, 0, numbers, ((1, len(mappers)),), _merged(cut))
        first += nr


def _merged(mappers: Iterable[Mapper]) -> tuple[Mapper, ...]:
    """One mapper a VMA: entries of the same table are added up."""
    whose: dict[str, Mapper] = {}
    tables: dict[str, dict[str, int]] = {}
    for mapper in mappers:
        whose.setdefault(mapper.vma, mapper)
        sums = tables.setdefault(mapper.vma, {})
        for name, entries in mapper.tables:
            sums[name] = sums.get(name, 0) + entries
    return tuple(mapper._replace(tables=tuple(tables[vma].items())) for vma, mapper in whose.items())


def _are_alike(group: FolioGroup, later: FolioGroup) -> bool:
    return (group.first + group.nr, group.order, group.numbers, group.counts) == (
        later.first,
        later.order,
        later.numbers,
        later.counts,
    ) and [mapper.vma for mapper in group.mappers] == [mapper.vma for mapper in later.mappers]


def _one(groups: Sequence[FolioGroup]) -> FolioGroup:
    """Groups that are alike as one."""
    if len(groups) == 1:
        return groups[0]
    mappers = _merged(mapper for group in groups for mapper in group.mappers)
    return groups[0]._replace(nr=sum(group.nr for group in groups), mappers=mappers)

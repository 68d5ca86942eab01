"""Folios in groups that are alike: how many entries map their pages, who maps them, and every scheme's number."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from sys import maxsize

from folioshell.model.truth import TruthCounts
from folioshell.records import NamedTuple
from folioshell.report import Visit
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.order0 import counts_order0_entries
from folioshell.session.changes import number_pieces
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


class VmaTable(NamedTuple):
    """A VMA that maps pages by entries of one table."""

    process: str
    mm_id: int
    vma: str
    table: str


class FolioGroup(NamedTuple):
    """Folios with consecutive numbers that are alike.

    Args:
        first, nr: their numbers.
        order: of each.
        numbers: scheme -> its number of each.
        counts: (pages, entries that map each of them) of runs of pages of a folio.
        pieces: (entries, who has so many of them each), by folio and page.
    """

    first: int
    nr: int
    order: int
    numbers: dict[str, int]
    counts: tuple[tuple[int, int], ...]
    pieces: tuple[tuple[int, tuple[VmaTable, ...]], ...]

    @property
    def owners(self) -> Iterable[VmaTable]:
        """Who maps any of them: small ones are all mapped by the same VMAs."""
        if self.order:
            return chain.from_iterable(owners for _, owners in self.pieces)
        return self.pieces[0][1] if self.pieces else ()

    @property
    def vmas(self) -> list[str]:
        """The VMAs that map them, in order."""
        return list(dict.fromkeys([owner.vma for owner in self.owners]))

    @property
    def mms(self) -> list[int]:
        """MM-IDs of the address spaces that map a page, in order."""
        return list(dict.fromkeys([owner.mm_id for owner in self.owners]))

    @property
    def mappers(self) -> tuple[Mapper, ...]:
        """Who maps them, one mapper a VMA: entries of the same table are added up."""
        whose: dict[str, VmaTable] = {}
        tables: dict[str, dict[str, int]] = {}
        for entries, owners in self.pieces:
            for owner in owners:
                whose.setdefault(owner.vma, owner)
                sums = tables.setdefault(owner.vma, {})
                sums[owner.table] = sums.get(owner.table, 0) + entries
        return tuple(Mapper(one.process, one.mm_id, vma, tuple(tables[vma].items())) for vma, one in whose.items())

    @property
    def truth(self) -> TruthCounts:
        """What the page tables say about each folio of a group of order-0 folios."""
        nr = len(self.vmas)
        return TruthCounts(mms=len(self.mms), vmas=nr, tuples=nr, entries=nr, pages=min(nr, 1), pmds=0)

    @property
    def sharing(self) -> str:
        """``shared``, ``exclusive`` or ``unmapped``."""
        if not self.pieces:
            return "unmapped"
        mm = self.pieces[0][1][0].mm_id
        for owner in self.owners:
            if owner.mm_id != mm:
                return "shared"
        return "exclusive"


#: (first folio or page, how many, who maps them)
_Piece = tuple[int, int, tuple[VmaTable, ...]]


#: beyond all folios
_NOWHERE: _Piece = (maxsize, 1, ())


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
    mapped = _overlaid(small)
    begin, length, whose = next(mapped, _NOWHERE)
    named: dict[tuple[int, ...], dict[str, int]] = {}
    groups = _Groups()
    for first, nr, order, row in number_pieces(workspace, shown):
        numbers = named.get(row)
        if numbers is None:
            numbers = named[row] = dict(zip(shown, row, strict=True))
        if order:
            for number in range(first, first + nr):
                groups.add(_large(number, order, numbers, large.get(number, ())))
            continue
        start, end = first, first + nr
        while start < end:
            # Order-0 folios, divided where their owners change.
            while begin + length <= start:
                begin, length, whose = next(mapped, _NOWHERE)
            owners, stop = (whose, begin + length) if begin <= start else ((), begin)
            if stop > end:
                stop = end
            groups.add_small(start, stop - start, numbers, owners)
            start = stop
    return groups.done()


def by_group(
    run: EntryRun, groups: Sequence[FolioGroup], starts: Sequence[int]
) -> Iterator[tuple[EntryRun, FolioGroup]]:
    """A run that maps folios, divided where a group of them ends.

    Args:
        run: of a single large folio, or of order-0 folios.
        groups: what ``folio_groups`` gave.
        starts: the first number of each.
    """
    at = bisect_right(starts, run.folio) - 1
    start, end = run.folio, run.folio + run.nr_folios
    while start < end:
        group = groups[at]
        stop = min(group.first + group.nr, end)
        whole = (start, stop) == (run.folio, end)
        yield (run if whole else run.part(run.vpn + start - run.folio, run.vpn + stop - run.folio)), group
        start = stop
        at += 1


def knows_entries_only(scheme: Scheme) -> bool:
    """Does the scheme know only the number of entries of an order-0 folio? Then its answers are the same in a group."""
    return counts_order0_entries(type(scheme))


def answers_in(scheme: Scheme, group: FolioGroup) -> set[Sharing]:
    """What the scheme answers to everybody who maps a folio of the group."""
    alike = not group.order and knows_entries_only(scheme)
    numbers = range(group.first, group.first + (1 if alike else group.nr))
    mms = group.mms
    return {scheme.shared(number, mm) for number in numbers for mm in mms}


def _mappings(workspace: Workspace, entries: EntriesOf) -> tuple[list[_Piece], dict[int, list[tuple[int, _Piece]]]]:
    """What runs of entries map: order-0 folios by number, and of each large folio (entries, its pages)."""
    small: list[_Piece] = []
    large: dict[int, list[tuple[int, _Piece]]] = {}
    for mm in workspace.kernel.mms.values():
        runs = [run for run in entries[mm.name] if run.folio]
        owners = (VmaTable("", 0, "", ""),)
        for vma, run in runs_by_vma(runs, [(vma.start, vma.end, str(vma)) for vma in mm.vmas]):
            if vma != owners[0].vma or run.table != owners[0].table:
                owners = (VmaTable(mm.name, mm.mm_id, vma, run.table),)
            if run.order:
                entry = (1 if run.pmd else run.nr, (run.page, run.nr, owners))
                large.setdefault(run.folio, []).append(entry)
            else:
                small.append((run.folio, run.nr, owners))
    return small, large


def runs_by_vma(runs: Sequence[EntryRun], vmas: Sequence[tuple[int, int, str]]) -> Iterator[tuple[str, EntryRun]]:
    """(VMA, run) of ascending runs of ``entry_runs``, divided where VMAs, which are (start, end, name), end."""
    at, nr = 0, len(runs)
    for start, end, name in vmas:
        while at < nr:
            run = runs[at]
            stop = run.vpn + run.nr
            if stop > start:
                if run.vpn >= end:
                    break
                yield name, run if start <= run.vpn and stop <= end else run.part(start, end)
                if stop > end:
                    break
            at += 1


def _overlaid(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """The pieces in which the owners do not change, ascending; owners stand in the order of the pieces given."""
    found = [(first, place, first + nr, owners) for place, (first, nr, owners) in enumerate(pieces)]
    found.sort()
    found.append((maxsize, 0, maxsize, ()))
    #: (end, place among the pieces given, owners) of those that are not passed yet, by end
    present: list[tuple[int, int, tuple[VmaTable, ...]]] = []
    last = 0
    for first, place, end, owners in found:
        while present and last < first:
            nearest, _, whose = present[0]
            stop = nearest if nearest < first else first
            if len(present) > 1:
                whose = tuple([owner for _, owners in sorted(map(_BY_PLACE, present)) for owner in owners])
            yield last, stop - last, whose
            while present and present[0][0] <= stop:
                del present[0]
            last = stop
        last = first
        insort(present, (end, place, owners))


_BY_PLACE = itemgetter(1, 2)


def _large(number: int, order: int, numbers: dict[str, int], pieces: Sequence[tuple[int, _Piece]]) -> FolioGroup:
    """One large folio."""
    counts: list[tuple[int, int]] = []
    done = 0
    for first, nr, owners in (*_overlaid(piece for _, piece in pieces), (1 << order, 0, ())):
        if first > done:
            counts.append((first - done, 0))
        if nr and counts and counts[-1][1] == len(owners):
            counts[-1] = (counts[-1][0] + nr, len(owners))
        elif nr:
            counts.append((nr, len(owners)))
        done = first + nr
    owned = tuple((entries, owners) for entries, (_, _, owners) in pieces)
    return FolioGroup(number, 1, order, numbers, tuple(counts), owned)


#: before the first group
_NO_GROUP = FolioGroup(0, 0, 0, {}, (), ())


class _Groups:
    """Groups of folios, ascending, joined where they are alike."""

    def __init__(self) -> None:
        self._groups: list[FolioGroup] = []
        #: of the last group: a folio like each of it; the pieces of all
        self._last = _NO_GROUP
        self._pieces: list[tuple[int, tuple[VmaTable, ...]]] = []
        self._end = 0

    def add(self, group: FolioGroup) -> None:
        """Add the next folios."""
        last = self._last
        shape, theirs = ((one.order, one.counts, one.numbers) for one in (group, last))
        if self._end == group.first and shape == theirs and last.vmas == group.vmas:
            self._pieces += group.pieces
        else:
            self._close()
            self._last, self._pieces = group, [*group.pieces]
        self._end = group.first + group.nr

    def add_small(self, first: int, nr: int, numbers: dict[str, int], owners: tuple[VmaTable, ...]) -> None:
        """Add the next order-0 folios, mapped by the same owners."""
        last = self._last
        # The numbers of neighbors differ most often.
        if last.numbers is numbers and self._end == first and not last.order:
            theirs = last.pieces[0][1] if last.pieces else ()
            if theirs is owners or [one.vma for one in theirs] == [one.vma for one in owners]:
                if owners:
                    self._pieces.append((nr, owners))
                self._end = first + nr
                return
        self._close()
        self._pieces = pieces = [(nr, owners)] if owners else []
        self._last = FolioGroup(first, nr, 0, numbers, ((1, len(owners)),), tuple(pieces))
        self._end = first + nr

    def _close(self) -> None:
        last = self._last
        nr = self._end - last.first
        if nr:
            self._groups.append(last if nr == last.nr else last._replace(nr=nr, pieces=tuple(self._pieces)))

    def done(self) -> list[FolioGroup]:
        """All of them."""
        self._close()
        return self._groups

"""What differs: the numbers of the folios that a step touched, and all that differs between two states, in runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

from folioshell.engine.numbers import Row
from folioshell.intervals import Intervals, together, union
from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdEntry, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.records import NamedTuple
from folioshell.report import Change, FolioChange
from folioshell.session.entries import (
    EntryRun,
    block_runs,
    goes_on_over_tables,
    joined_if_many,
    joined_where,
    vma_maps,
)
from folioshell.session.step_events import NewFolios, StepEvents
from folioshell.session.workspace import Workspace
from folioshell.units import format_address

#: (numbers before, numbers after, order, note)
Key = tuple[tuple[int, ...], tuple[int, ...], int, str]

#: (first, nr, order, numbers under the shown schemes) of all living folios, ascending
Numbers = Sequence[tuple[int, int, int, tuple[int, ...]]]

Picker = Callable[[tuple[int, ...]], tuple[int, ...]]


def folio_changes(workspace: Workspace, step: StepEvents, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """A row for each run of folios with consecutive numbers that a step changed alike, ascending.

    Args:
        shown: names of the schemes whose numbers are wanted.
    """
    pick = _picker(workspace.machine.noted, shown)
    return tuple(_grouped(_changed(_touched(workspace, step), pick), shown))


def _touched(workspace: Workspace, step: StepEvents) -> Iterator[tuple[int, int, Key]]:
    """(first, nr, numbers under the noted schemes) of all folios in events of a step, ascending."""
    before = workspace.machine.touched()
    present = workspace.machine.numbers(workspace.machine.noted)
    zeros = present.zeros
    for first, nr, _ in _spoken_of(before, step.freed).runs():
        maps = (before, step.new, step.freed)
        pieces = [workspace.kernel.folios.orders(first, nr), *(numbers.pieces(first, nr) for numbers in maps)]
        for start, length, (order, old, new, freed) in together(*pieces):
            note = _note(new, freed)
            if order is None:
                yield start, length, (old or zeros, zeros, freed, note)
                continue
            for at, run, after in present.pieces(start, length):
                yield at, run, (old or zeros, after, order, note)


def _spoken_of(before: Intervals[Row], freed: Intervals[int]) -> Intervals[Any]:
    """The folios in events of a step: those with a note of their numbers, new ones included, and freed ones."""
    if all(before.covers(first, nr) for first, nr, _ in freed.runs()):
        return before
    return union(before, freed)


def _changed(rows: Iterable[tuple[int, int, Key]], pick: Picker) -> Iterator[tuple[int, int, Key]]:
    """The rows that say something, with the picked columns only."""
    for first, nr, (before, after, order, note) in rows:
        key = (pick(before), pick(after), order, note)
        if key[0] != key[1] or note:
            yield first, nr, key


def _picker(noted: Sequence[str], shown: Sequence[str]) -> Picker:
    """Takes the columns of the schemes shown out of a row of those noted, as a tuple."""
    columns = [noted.index(name) for name in shown]
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda row: tuple([row[column] for column in columns])


def _note(new: NewFolios | None, freed: int | None) -> str:
    if freed is not None:
        return "freed" if new is None else "new, freed"
    if new is None:
        return ""
    return f"split from f{new.origin}" if new.origin else "new"


def _grouped(rows: Iterable[tuple[int, int, Key]], shown: Sequence[str]) -> Iterator[FolioChange]:
    """The rows, equal ones of consecutive folios as one."""
    last: Key | None = None
    first = nr = 0
    for number, length, key in (*rows, (0, 0, None)):
        if key == last and number == first + nr:
            nr += length
            continue
        if last is not None:
            yield _row(first, nr, last, shown)
        first, nr, last = number, length, key


def _row(first: int, nr: int, key: Key, shown: Sequence[str]) -> FolioChange:
    old, new, order, note = key
    changes = {name: Change(old[place], new[place]) for place, name in enumerate(shown)}
    return FolioChange(f"f{first}", order, changes, nr, note)


def numbers_of(workspace: Workspace, shown: Sequence[str]) -> Numbers:
    """The orders and numbers of all living folios, under the shown schemes."""
    return list(number_pieces(workspace, shown))


def number_pieces(workspace: Workspace, shown: Sequence[str]) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
    """The same as (first, nr, order, numbers), ascending, perhaps in more pieces."""
    present = workspace.machine.numbers(shown)
    for start, nr, order in workspace.kernel.folios.spans():
        for first, length, row in present.pieces(start, nr):
            yield first, length, order, row


def changes_between(before: Numbers, after: Numbers, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """The rows that lead from one state's ``numbers_of`` to another's."""
    zeros = (0,) * len(shown)
    rows: list[tuple[int, int, Key]] = []
    equal = {*before}.intersection(after)
    sides: list[Intervals[tuple[int, tuple[int, ...]]]] = [Intervals(), Intervals()]
    for side, numbers in zip(sides, (before, after), strict=True):
        for first, nr, order, row in numbers:
            if (first, nr, order, row) not in equal:
                side.put(first, nr, (order, row))
    for first, nr, _ in union(*sides).runs():
        for start, length, (old, new) in together(*[side.pieces(first, nr) for side in sides]):
            if old == new:
                continue
            note = "new" if old is None else "freed" if new is None else ""
            order = (new or old)[0]
            rows.append((start, length, (old[1] if old else zeros, new[1] if new else zeros, order, note)))
    return tuple(_grouped(rows, shown))


# Two states.


class EntryChange(NamedTuple):
    """Consecutive virtual pages whose entries differ, or that lie in other tables.

    Args:
        process: whose they are.
        vpn, nr: virtual pages.
        old, new: what they mapped and map; None if there is no entry.
    """

    process: str
    vpn: int
    nr: int
    old: EntryRun | None
    new: EntryRun | None

    @property
    def table(self) -> str:
        """The table, or tables, of the entries: ``pt1``, or ``pmd1 → pt3``."""
        old, new = self.old.table if self.old else "", self.new.table if self.new else ""
        return f"{old} → {new}" if old and new and old != new else new or old

    @property
    def end(self) -> int:
        """First virtual page after it."""
        return self.vpn + self.nr

    def goes_on(self, later: EntryChange) -> bool:
        """Can both be one row: is ``later`` in the same tables or the next ones, and do both sides continue?"""
        sides = ((self.old, later.old), (self.new, later.new))
        return (self.process, self.end) == (later.process, later.vpn) and all(_side_goes_on(*side) for side in sides)

    def goes_on_in_table(self, later: EntryChange) -> bool:
        """The same within one table."""
        return self.table == later.table and self.goes_on(later)

    def joined(self, later: EntryChange) -> EntryChange:
        """Both as one; ``later`` continues this one."""
        old, new = (a and b and a.joined(b) for a, b in ((self.old, later.old), (self.new, later.new)))
        return self._replace(nr=self.nr + later.nr, old=old, new=new)


def _side_goes_on(run: EntryRun | None, later: EntryRun | None) -> bool:
    return run is later if run is None or later is None else goes_on_over_tables(run, later)


def entry_changes(before: Workspace, after: Workspace) -> list[EntryChange]:
    """The entries that differ, by process and address."""
    kernels = before.kernel, after.kernel
    moved = kernels[0].physmem.pages_that_differ(kernels[1].physmem)
    changes: list[EntryChange] = []
    for name in _names(before, after):
        old, new = ({found[0]: found for found in _blocks(kernel, name)} for kernel in kernels)
        same = {block for block, found in old.items() if block in new and _maps_alike(found[2], new[block][2], moved)}
        sides = [
            [run for block, found in blocks.items() if block not in same for run in block_runs(kernel, *found)]
            for kernel, blocks in zip(kernels, (old, new), strict=True)
        ]
        found = joined_where(_changes(name, *sides), EntryChange.goes_on_in_table, EntryChange.joined)
        changes += joined_if_many(found, EntryChange.goes_on, EntryChange.joined)
    return changes


def _names(before: Workspace, after: Workspace) -> list[str]:
    """The processes of either state, in order of creation."""
    return list(dict.fromkeys((*before.kernel.mms, *after.kernel.mms)))


def _blocks(kernel: Kernel, name: str) -> Iterable[tuple[int, PmdTable, PmdEntry]]:
    mm = kernel.mms.get(name)
    return () if mm is None else mm.tables.blocks()


def _maps_alike(one: PmdEntry, other: PmdEntry, moved: set[int]) -> bool:
    """Are both the same PTE table with the same entries, none of which maps a page that is in ``moved``?"""
    if not (isinstance(one, PageTable) and isinstance(other, PageTable)) or one.id != other.id:
        return False
    return one.entries == other.entries and moved.isdisjoint([entry >> pte.PFN_SHIFT for entry in one.entries])


def _changes(process: str, old: Sequence[EntryRun], new: Sequence[EntryRun]) -> Iterator[EntryChange]:
    """The pieces between ends of runs that differ."""
    cuts = sorted({vpn for run in (*old, *new) for vpn in (run.vpn, run.end)})
    places = [0, 0]
    for start, end in pairwise(cuts):
        found: list[EntryRun | None] = []
        for side, runs in enumerate((old, new)):
            while places[side] < len(runs) and runs[places[side]].end <= start:
                places[side] += 1
            run = runs[places[side]] if places[side] < len(runs) else None
            found.append(run.part(start, end) if run is not None and run.vpn <= start else None)
        if found[0] != found[1]:
            yield EntryChange(process, start, end - start, *found)


#: (process, id, a VMA before and after, in words; empty if there is none)
VmaChange = tuple[str, str, str, str]


def vma_changes(before: Workspace, after: Workspace) -> list[VmaChange]:
    """The VMAs that differ, by process and number; of one in both states only what differs."""
    old, new = _vmas(before), _vmas(after)
    changes: list[VmaChange] = []
    names = _names(before, after)
    for key in sorted(old.keys() | new.keys(), key=lambda key: (names.index(key[0]), key[1])):
        one, other = old.get(key), new.get(key)
        if one == other:
            continue
        if one is not None and other is not None:
            pairs = [(a, b) for a, b in zip(one, other, strict=True) if a != b]
            one, other = ([pair[side] for pair in pairs] for side in (0, 1))
        old_text, new_text = (", ".join(filter(None, side or ())) for side in (one, other))
        changes.append((key[0], f"v{key[1]}", old_text, new_text))
    return changes


def _vmas(workspace: Workspace) -> dict[tuple[str, int], list[str]]:
    return {(mm.name, vma.id): _vma_texts(vma) for mm in workspace.kernel.mms.values() for vma in mm.vmas}


#: VmFlags that the permissions show, or that every VMA of its kind has
_IN_PERM = {"rd", "wr", "sh", "mr", "mw", "me", "ms", "ac"}


def _vma_texts(vma: Vma) -> list[str]:
    rooted = str(vma.anon_vma) if vma.anon_vma is not None else "no anon_vma"
    flags = " ".join(word for word in vma.flag_words.split() if word not in _IN_PERM)
    return [f"{format_address(vma.start)}+{vma.nr_pages}", vma.perm, vma_maps(vma), rooted, flags]


_COUNTERS = ("VMAs", "file pages", "anon pages", "shmem pages", "swap entries", "PTE tables")
_NONE: tuple[int | None, ...] = (None,) * len(_COUNTERS)


#: (process, what is counted, number before, number after; None for a process that did not live)
CountChange = tuple[str, str, int | None, int | None]


def count_changes(before: Workspace, after: Workspace) -> list[CountChange]:
    """The counters of processes that differ."""
    changes: list[CountChange] = []
    for name in _names(before, after):
        old, new = (_counts(workspace.kernel.mms.get(name)) for workspace in (before, after))
        counters = zip(_COUNTERS, old or _NONE, new or _NONE, strict=True)
        changes += [(name, what, one, other) for what, one, other in counters if (one or 0) != (other or 0)]
    return changes


def _counts(mm: Mm | None) -> tuple[int, ...] | None:
    return None if mm is None else (len(mm.vmas), *mm.rss.as_tuple(), mm.nr_ptes)

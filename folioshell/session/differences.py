"""What differs between two states: processes, VMAs and entries of page tables, in runs; what is equal is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from folioshell.model.vm import Mm, Vma
from folioshell.session.entries import (
    EntryRun,
    entry_runs,
    goes_on_over_tables,
    joined_if_many,
    joined_where,
)
from folioshell.session.picture import vma_maps
from folioshell.session.workspace import Workspace
from folioshell.units import format_address


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
        """First virtual page behind it."""
        return self.vpn + self.nr

    def goes_on(self, later: EntryChange) -> bool:
        """May both be told as one: is ``later`` in the same tables or the next ones, and do both sides go on?"""
        sides = ((self.old, later.old), (self.new, later.new))
        return (self.process, self.end) == (later.process, later.vpn) and all(_side_goes_on(*side) for side in sides)

    def goes_on_in_table(self, later: EntryChange) -> bool:
        """The same within one table."""
        return self.table == later.table and self.goes_on(later)

    def joined(self, later: EntryChange) -> EntryChange:
        """Both as one, which ``later`` goes on."""
        old, new = (a and b and a.joined(b) for a, b in ((self.old, later.old), (self.new, later.new)))
        return self._replace(nr=self.nr + later.nr, old=old, new=new)


def _side_goes_on(run: EntryRun | None, later: EntryRun | None) -> bool:
    return run is later if run is None or later is None else goes_on_over_tables(run, later)


def entry_changes(before: Workspace, after: Workspace) -> list[EntryChange]:
    """The entries that differ, by process and address."""
    changes: list[EntryChange] = []
    for name in _names(before, after):
        old, new = (_entries(workspace, name) for workspace in (before, after))
        found = joined_where(_changes(name, old, new), EntryChange.goes_on_in_table, EntryChange.joined)
        changes += joined_if_many(found, EntryChange.goes_on, EntryChange.joined)
    return changes


def _names(before: Workspace, after: Workspace) -> list[str]:
    """The processes of either state, in order of creation."""
    return list(dict.fromkeys((*before.kernel.mms, *after.kernel.mms)))


def _entries(workspace: Workspace, name: str) -> list[EntryRun]:
    mm = workspace.kernel.mms.get(name)
    return [] if mm is None else entry_runs(workspace.kernel, mm)


def _changes(process: str, old: Sequence[EntryRun], new: Sequence[EntryRun]) -> Iterator[EntryChange]:
    """Piece by piece between any two ends of runs."""
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


#: (process, id, what is told of a VMA before, and after; empty if there was, or is, none)
VmaChange = tuple[str, str, str, str]


def vma_changes(before: Workspace, after: Workspace) -> list[VmaChange]:
    """The VMAs that differ, by process and number; of one that was and is only what differs is told."""
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


#: words of VmFlags that the permissions tell, or that every VMA of its kind has
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

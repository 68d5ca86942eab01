"""All allocated folios, by number. Consecutive order-0 folios are stored as one run as long as they are alike.

Reading and changing have different names. ``get``, ``[]``, ``values`` and ``groups`` read: they leave runs as they are,
and what they give of a run cannot be written to. ``single_out`` gives a folio that may be changed: it leaves its run.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING

from folioshell.intervals import Intervals, joined, ranges
from folioshell.model.folio import SECTION, Folio, FolioView, common_state
from folioshell.model.lock import Lock
from folioshell.records import dataclass

if TYPE_CHECKING:
    from folioshell.model.physmem import PhysicalMemory


@dataclass(slots=True, eq=False, repr=False)
class FolioRun:
    """Anonymous order-0 folios of consecutive numbers and pages that are alike but for their references and indexes.

    A path may change all of them at once through ``first``, whose references count for each; to change some, take them
    out of the run. All pages lie in one section of physical memory.

    Attributes:
        first: the first of them; its flags and contents are those of each.
        nr: number of folios.
        more_refs: how many references each has more than the first; None if all have as many.
        indexes: the index of each; None if they are consecutive.
    """

    first: Folio
    nr: int
    more_refs: array[int] | None = None
    indexes: array[int] | None = None

    @property
    def lock(self) -> Lock:
        """The locks of all of them: an operation stands for one on each, as its ``times`` says."""
        return self.first.lock.run(self.nr)

    @property
    def numbers(self) -> range:
        """Their numbers."""
        return range(self.first.id, self.first.id + self.nr)

    def folio(self, place: int) -> Folio:
        """A new folio equal to the one at ``place``, counted from 0."""
        first = self.first
        index = first.index + place if self.indexes is None else self.indexes[place]
        folio = Folio(first.id + place, first.pfn + place, 0, first.mapping, index, True)
        folio.ref = first.ref if self.more_refs is None else first.ref + self.more_refs[place]
        folio.anon_exclusive = first.anon_exclusive
        folio.nonzero = first.nonzero
        folio.mlocked = first.mlocked
        folio.mlock_count = first.mlock_count
        folio.isolated = first.isolated
        folio.dirty = first.dirty
        if first.swap_slot is not None:
            folio.cached = True
            folio.swap_slot = first.swap_slot + place
        return folio

    def isolate(self) -> bool:
        """Take all of them off the LRU: see ``Folio``."""
        return self.first.isolate()

    def view(self, place: int) -> Folio:
        """A snapshot of the folio at ``place``; writing to it raises AttributeError."""
        folio = self.folio(place)
        folio.__class__ = FolioView
        return folio

    def add_refs(self, change: int, place: int = 0, nr: int = 0) -> None:
        """Add to the references of ``nr`` of them from ``place`` on; of all if ``nr`` is 0."""
        end = place + nr if nr else self.nr
        if not place:
            self.first.ref += change
            # As many fewer for the others.
            place, end, change = end, self.nr, -change
        if place == end:
            return
        more = self.more_refs
        if more is None:
            more = self.more_refs = _as_many(self.nr)[:]
        more[place:end] = _plus(more[place:end], change)

    def unreferenced(self, place: int = 0, nr: int = 0) -> list[tuple[int, int]]:
        """(page, number) of those without references among ``nr`` from ``place`` on; among all if ``nr`` is 0."""
        nr, pfn, missing = nr or self.nr, self.first.pfn + place, -self.first.ref
        if self.more_refs is None:
            return [] if missing else [(pfn, nr)]
        more = self.more_refs[place : place + nr]
        return [*ranges([pfn + at for at, ref in enumerate(more) if ref == missing])] if missing in more else []

    def nr_referenced(self, place: int, nr: int) -> int:
        """How many of ``nr`` from ``place`` on, in a row, have more than one reference."""
        missing = 1 - self.first.ref
        more = (self.more_refs or _as_many(self.nr))[place : place + nr]
        return more.index(missing) if missing in more else nr

    def nr_alike(self, place: int) -> int:
        """How many from ``place`` on, in a row, are alike in their references, too, and have consecutive indexes."""
        if self.more_refs is None and self.indexes is None:
            return self.nr - place
        refs, indexes = self.more_refs or _as_many(self.nr), self.indexes or range(self.nr)
        ref, shift = refs[place], indexes[place] - place
        differ = (end for end in range(place + 1, self.nr) if refs[end] != ref or indexes[end] - end != shift)
        return next(differ, self.nr) - place

    def alike(self) -> Iterator[tuple[int, int]]:
        """(place, number) of the parts that ``nr_alike`` tells of."""
        place = 0
        while place < self.nr:
            nr = self.nr_alike(place)
            yield place, nr
            place += nr

    def is_continued_by(self, folio: Folio) -> bool:
        """Could the folio, or the first of a run, be appended to the run?"""
        first, nr = self.first, self.nr
        if not folio.anon or folio.id != first.id + nr or folio.pfn != first.pfn + nr or not folio.pfn % SECTION:
            return False
        slot = first.swap_slot
        return folio.swap_slot == (slot if slot is None else slot + nr) and common_state(first) == common_state(folio)

    def append(self, later: Folio | FolioRun) -> None:
        """Take in folios that continue the run."""
        first, nr, rest = self.first, self.nr, later.first
        more = rest.ref - first.ref
        if self.more_refs is not None or later.more_refs is not None or more:
            self.more_refs = self.more_refs or _as_many(nr)[:]
            self.more_refs += _plus(later.more_refs or _as_many(later.nr), more)
        if self.indexes is not None or later.indexes is not None or first.index + nr != rest.index:
            self.indexes = self.indexes or _consecutive(first.index, nr)
            self.indexes += later.indexes or _consecutive(rest.index, later.nr)
        self.nr += later.nr

    def split(self, nr: int) -> FolioRun:
        """Shorten the run to its first ``nr`` folios; the others are a run of their own, which is returned."""
        more, indexes = self.more_refs, self.indexes
        rest = FolioRun(self.folio(nr), self.nr - nr, more and _plus(more[nr:], -more[nr]), indexes and indexes[nr:])
        self.nr, self.more_refs, self.indexes = nr, more and more[:nr], indexes and indexes[:nr]
        return rest

    def drop_first(self) -> None:
        """Shrink the run by its first folio, which is not its last."""
        rest = self.split(1)
        self.first, self.nr, self.more_refs, self.indexes = rest.first, rest.nr, rest.more_refs, rest.indexes

    def settle(self) -> None:
        """Keep one number for what has become equal, or consecutive."""
        if self.more_refs is not None and self.more_refs == _as_many(self.nr):
            self.more_refs = None
        indexes, nr = self.indexes, self.nr
        if indexes is not None and indexes[-1] - indexes[0] == nr - 1 and indexes == _consecutive(indexes[0], nr):
            self.indexes = None

    def __repr__(self) -> str:
        return f"<FolioRun f{self.first.id} nr {self.nr} pfn {self.first.pfn:#x}>"

    @property
    def keeps_all(self) -> bool:
        """Of a run of one: is that an anonymous order-0 folio, all of whose state a run keeps?"""
        return self.first.anon and common_state(self.folio(0)) == common_state(self.first)


@cache
def _as_many(nr: int) -> array[int]:
    """No more references than the first, for ``nr`` folios; not to be changed."""
    return array("i", bytes(4 * nr))


def _plus(more: array[int], change: int) -> array[int]:
    """A copy with ``change`` added to each."""
    return array("i", [ref + change for ref in more]) if change else more[:]


def _consecutive(index: int, nr: int) -> array[int]:
    return array("q", range(index, index + nr))


#: log2 of the numbers of a block
_BLOCK_BITS = 9
_BLOCK = 1 << _BLOCK_BITS


class Folios:
    """A mapping of numbers to folios.

    Args:
        memory: knows the same folios by page.

    Attributes:
        nr_groups: number of folios, a run counted once.
        nr_large: number of folios that are not of order 0.
    """

    __slots__ = ("_blocks", "_memory", "nr_groups", "nr_large")

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        #: number of a block -> what each of its numbers belongs to, up to the last that was used
        self._blocks: dict[int, list[Folio | FolioRun | None]] = {}
        self.nr_groups = self.nr_large = 0

    def __len__(self) -> int:
        return sum(owner.nr for owner in self._owners())

    def __contains__(self, number: int) -> bool:
        return self._owner(number) is not None

    def __iter__(self) -> Iterator[int]:
        for owner in self._owners():
            yield from owner.numbers

    def __getitem__(self, number: int) -> Folio:
        folio = self.get(number)
        if folio is None:
            raise KeyError(number)
        return folio

    def get(self, number: int) -> Folio | None:
        """The folio of this number, read-only; None if it is not allocated."""
        owner = self._owner(number)
        return owner.view(number - owner.first.id) if isinstance(owner, FolioRun) else owner

    def single_out(self, number: int) -> Folio:
        """The folio of this number, to be changed: it leaves its run.

        Raises:
            KeyError: it is not allocated.
        """
        owner = self._owner(number)
        if isinstance(owner, FolioRun):
            return self._memory.single_out(owner.first.pfn + number - owner.first.id)
        if owner is None:
            raise KeyError(number)
        return owner

    def groups(self) -> Iterator[tuple[Folio, int]]:
        """(first, number) of those that are alike and consecutive in number, page and index; ascending, to be read."""
        for owner in self._owners():
            if isinstance(owner, FolioRun):
                for place, nr in owner.alike():
                    yield owner.view(place) if place else owner.first, nr
            else:
                yield owner, 1

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """(first, nr, order) of the folios with consecutive numbers that are of one order, ascending."""
        return joined((owner.first.id, owner.nr, owner.first.order) for owner in self._owners())

    def values(self) -> Iterator[Folio]:
        """All folios one by one, ascending, to be read."""
        for owner in self._owners():
            if isinstance(owner, FolioRun):
                yield from map(owner.view, range(owner.nr))
            else:
                yield owner

    def orders(self, first: int, nr: int) -> list[tuple[int, int, int | None]]:
        """(first, nr, order) of the numbers ``[first, first + nr)``, ascending; None for those not allocated."""
        orders: Intervals[int] = Intervals()
        end = first + nr
        for owner in self._owners(first, end):
            low, high = max(owner.first.id, first), min(owner.first.id + owner.nr, end)
            orders.put(low, high - low, owner.first.order)
        return orders.pieces(first, nr)

    def keep_apart(self) -> list[range]:
        """Single out every folio, for searches that compare states by the objects in them.

        Returns: the numbers of each former run, for ``join``.
        """
        runs = [owner.numbers for owner in self._owners() if isinstance(owner, FolioRun)]
        for number in chain.from_iterable(runs):
            self.single_out(number)
        return runs

    def join(self, changed: Iterable[range]) -> None:
        """Make runs again of folios that have become alike.

        Args:
            changed: the numbers of folios that may have; those next to them are looked at, too.
        """
        for numbers in changed:
            run: FolioRun | None = None
            for found in self._owners(numbers.start - 1, numbers.stop + 1):
                if run is not None and run.is_continued_by(found.first) and self._append(run, found):
                    continue
                if isinstance(found, FolioRun):
                    run = found
                    run.settle()
                else:
                    run = FolioRun(found, 1) if found.anon and not found.order | found.pins else None

    def _append(self, run: FolioRun, found: Folio | FolioRun) -> bool:
        """Append folios to a run, or to a single folio that becomes one. False: such folios are in no run."""
        if self._owner(run.first.id) is not run:
            if not run.keeps_all:
                return False
            self.remove(run.first)
            self._memory.place_run(run)
        self._memory.append(run, found)
        self.nr_groups -= 1
        return True

    def _owner(self, number: int) -> Folio | FolioRun | None:
        """The folio of a number, or the run that it is in."""
        slots, at = self._blocks.get(number >> _BLOCK_BITS), number & _BLOCK - 1
        return slots[at] if slots is not None and at < len(slots) else None

    def _owners(self, start: int = 0, end: int = 1 << 62) -> Iterator[Folio | FolioRun]:
        """The single folios and the runs that have one of the numbers ``[start, end)``, ascending.

        Those found may be joined while iterating.
        """
        blocks: Sequence[int] = range(max(start, 0) >> _BLOCK_BITS, (end - 1 >> _BLOCK_BITS) + 1)
        # Loop over the shorter of the two: all blocks, or those asked for.
        if len(blocks) > len(self._blocks):
            blocks = sorted(filter(blocks.__contains__, self._blocks))
        last: Folio | FolioRun | None = None
        for block in blocks:
            slots, base = self._blocks.get(block, ()), block << _BLOCK_BITS
            at, stop = max(start - base, 0), min(end - base, len(slots))
            while at < stop:
                owner = slots[at]
                if owner is None:
                    at += 1
                    continue
                at = owner.first.id + owner.nr - base
                # A run may continue in the next block.
                if owner is not last:
                    last = owner
                    yield owner

    # For physical memory and the kernel, which keep this up to date.

    def add(self, folio: Folio) -> None:
        """Add a single folio: most are new, and have the next number."""
        slots = self._blocks.get(folio.id >> _BLOCK_BITS)
        if slots is not None and len(slots) == folio.id & _BLOCK - 1:
            slots.append(folio)
        else:
            self.assign(folio.id, (folio,))
        self.nr_groups += 1
        self.nr_large += folio.order > 0

    def add_run(self, run: FolioRun) -> None:
        """Add a run: newly allocated, or split off another run."""
        self.assign(run.first.id, [run] * run.nr)
        self.nr_groups += 1

    def remove(self, owner: Folio | FolioRun) -> None:
        """Remove a single folio or a run: freed, or replaced by others."""
        self.assign(owner.first.id, [None] * owner.nr)
        self.nr_groups -= 1
        self.nr_large -= owner.first.order > 0

    def divide(self, run: FolioRun, folios: Sequence[Folio]) -> None:
        """Replace a run by its folios."""
        self.assign(run.first.id, folios)
        self.nr_groups += len(folios) - 1

    def take_first(self, run: FolioRun) -> None:
        """Remove the first folio from its run."""
        self.assign(run.first.id, (None,))
        self.nr_groups -= run.nr == 1
        if run.nr > 1:
            run.drop_first()

    def assign(self, number: int, owners: Sequence[Folio | FolioRun | None]) -> None:
        """Say what the numbers from ``number`` on belong to."""
        block, at = number >> _BLOCK_BITS, number & _BLOCK - 1
        slots = self._blocks.setdefault(block, [])
        if at > len(slots):
            slots += [None] * (at - len(slots))
        inside = _BLOCK - at
        slots[at : at + len(owners)] = owners[:inside]
        if owners[0] is None and not any(slots):
            del self._blocks[block]
        if len(owners) > inside:
            self.assign(number + inside, owners[inside:])

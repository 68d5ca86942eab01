"""All allocated folios, by number. Consecutive order-0 folios are stored as one run as long as they are alike.

Reading and changing have different names. ``get``, ``[]``, ``values`` and ``groups`` read: they leave runs as they are,
and what they give of a run cannot be written to. ``single_out`` gives a folio that may be changed: it leaves its run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from sys import maxsize
from typing import TYPE_CHECKING

from folioshell.intervals import Intervals
from folioshell.model.folio import Folio, FolioRun, may_be_in_run

if TYPE_CHECKING:
    from folioshell.model.physmem import PhysicalMemory


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
        if owner is None:
            raise KeyError(number)
        if isinstance(owner, FolioRun):
            return self._memory.single_out(owner.first.pfn + number - owner.first.id)
        return owner

    def groups(self) -> Iterator[tuple[Folio, int]]:
        """(first folio, number of folios) of those that are alike, ascending, to be read.

        Their numbers, pages and indexes are consecutive.
        """
        for owner in self._owners():
            if isinstance(owner, FolioRun):
                for place, nr in owner.alike():
                    yield owner.view(place) if place else owner.first, nr
            else:
                yield owner, 1

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """(first, nr, order) of the folios with consecutive numbers that are of one order, ascending."""
        first = nr = order = 0
        for owner in self._owners():
            folio = owner.first
            if nr and folio.id == first + nr and folio.order == order:
                nr += owner.nr
                continue
            if nr:
                yield first, nr, order
            first, nr, order = folio.id, owner.nr, folio.order
        if nr:
            yield first, nr, order

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
                    run = FolioRun(found, 1) if found.anon and not found.order else None

    def _append(self, run: FolioRun, found: Folio | FolioRun) -> bool:
        """Append folios to a run, or to a single folio that becomes one. False: such folios are in no run."""
        if self._owner(run.first.id) is not run:
            if not may_be_in_run(run.first):
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

    def _owners(self, start: int = 0, end: int = maxsize) -> Iterator[Folio | FolioRun]:
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
        """Add a single folio."""
        self._assign(folio.id, 1, folio)
        self.nr_groups += 1
        self.nr_large += folio.order > 0

    def remove(self, folio: Folio) -> None:
        """Remove a single folio that was freed."""
        self._assign(folio.id, 1, None)
        self.nr_groups -= 1
        self.nr_large -= folio.order > 0

    def add_run(self, run: FolioRun) -> None:
        """Add a run: newly allocated, or split off another run."""
        self._assign(run.first.id, run.nr, run)
        self.nr_groups += 1

    def remove_run(self, run: FolioRun) -> None:
        """Remove a run: freed, or replaced by single folios."""
        self._assign(run.first.id, run.nr, None)
        self.nr_groups -= 1

    def extend_run(self, run: FolioRun, nr: int) -> None:
        """The ``nr`` numbers after a run belong to it from now on."""
        self._assign(run.first.id + run.nr, nr, run)

    def take_first(self, run: FolioRun) -> None:
        """Remove the first folio from its run."""
        self._assign(run.first.id, 1, None)
        if run.nr == 1:
            self.nr_groups -= 1
        else:
            run.drop_first()

    def _assign(self, first: int, nr: int, owner: Folio | FolioRun | None) -> None:
        """Let the numbers ``[first, first + nr)`` belong to a folio or run."""
        end = first + nr
        while first < end:
            block, at = first >> _BLOCK_BITS, first & _BLOCK - 1
            length = min(end - first, _BLOCK - at)
            slots = self._blocks.setdefault(block, [])
            if at > len(slots):
                slots += [None] * (at - len(slots))
            slots[at : at + length] = [owner] * length
            if owner is None and not any(slots):
                del self._blocks[block]
            first += length

"""Page tables: PTE tables, and PMD tables above them.

A table is an object of its own: its lock belongs to the table, not to a range of addresses, and moves with it when
mremap moves the table or a PMD split installs a deposited one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from functools import cache

from folioshell.model import pte
from folioshell.model.lock import Lock, LockClass


class PageTable:
    """A PTE table (``pt1``): ``entries[i]`` maps the i-th page of the block that the PMD entry covers.

    Attributes:
        id: number that it prints with.
        nr_entries: number of its entries.
        entries: one integer an entry, see model/pte.py.
        ptl: its split page-table lock.

    Entries and lock are made on first use: most tables deposited for huge pages are never installed.
    """

    __slots__ = ("entries", "id", "nr_entries", "ptl")

    entries: array[int]
    ptl: Lock

    def __init__(self, number: int, nr_entries: int) -> None:
        self.id = number
        self.nr_entries = nr_entries

    def __getattr__(self, name: str) -> object:
        if name == "entries":
            self.entries = _none(self.nr_entries)[:]
        elif name == "ptl":
            self.ptl = Lock(LockClass.PTL, str(self))
        else:
            raise AttributeError(name)
        return getattr(self, name)

    @property
    def is_empty(self) -> bool:
        """True if every entry is none."""
        return self.entries == _none(self.nr_entries)

    @property
    def used(self) -> range:
        """The indexes from the first entry that is not none to the last: most tables are empty but for a few."""
        entries = self.entries
        data, size = entries.tobytes(), entries.itemsize
        end = len(data.rstrip(b"\0"))
        start = min(len(data) - len(data.lstrip(b"\0")), end)
        return range(start // size, -(-end // size))

    def __str__(self) -> str:
        return f"pt{self.id}"


@cache
def _none(nr: int) -> array[int]:
    return pte.packed([pte.NONE] * nr)


#: What a PMD entry holds: a PTE table, or an integer that maps a whole folio (negative: a migration entry of one).
PmdEntry = PageTable | int


class PmdTable:
    """A PMD table (``pmd1``).

    Attributes:
        id: number that it prints with.
        entries: index -> entry; absent means none.
        deposited: spare PTE tables, first in first out, one for each anonymous PMD-mapped folio.
        lock: its page-table lock.
    """

    __slots__ = ("deposited", "entries", "id", "lock")

    def __init__(self, number: int) -> None:
        self.id = number
        self.entries: dict[int, PmdEntry] = {}
        self.deposited: list[PageTable] = []
        self.lock = Lock(LockClass.PMDL, f"pmd{number}")

    def sorted_entries(self) -> Iterator[tuple[int, PmdEntry]]:
        """(index, entry) of the entries that are not none, ascending."""
        return iter(sorted(self.entries.items()))

    def __str__(self) -> str:
        return f"pmd{self.id}"


class TableTree:
    """The page tables of one address space, from the root down to the PMD tables.

    Levels above the PMD keep no entries, only which tables exist: all that is observed of them is their allocation
    under page_table_lock.

    Attributes:
        bits: log2 of the entries in a table.
        pmd_shift: log2 of the pages that a PMD table covers.
        last: index of the last entry of a table: ``vpn & last`` is the index of the entry of a page.
        pmds: vpn >> (2 * bits) -> PMD table.
        puds: vpn >> (3 * bits) of the PUD tables that exist.
    """

    __slots__ = ("bits", "last", "pmd_shift", "pmds", "puds")

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self.pmd_shift = 2 * bits
        self.last = (1 << bits) - 1
        self.pmds: dict[int, PmdTable] = {}
        self.puds: set[int] = set()

    def pmd_table(self, vpn: int) -> PmdTable | None:
        """The PMD table that covers a virtual page."""
        return self.pmds.get(vpn >> self.pmd_shift)

    def pmd_index(self, vpn: int) -> int:
        """Index of the entry for a virtual page within its PMD table."""
        return (vpn >> self.bits) & self.last

    def pmd_entry(self, vpn: int) -> PmdEntry:
        """The PMD entry that covers a virtual page; 0 if there is none."""
        table = self.pmds.get(vpn >> self.pmd_shift)
        if table is None:
            return pte.NONE
        return table.entries.get((vpn >> self.bits) & self.last, pte.NONE)

    def leaf(self, vpn: int) -> PageTable | None:
        """The PTE table that covers a virtual page."""
        entry = self.pmd_entry(vpn)
        return entry if isinstance(entry, PageTable) else None

    def entry(self, vpn: int) -> int:
        """The PTE of a virtual page; under a PMD mapping, the PTE that a split would install; 0 if none."""
        table = self.pmds.get(vpn >> self.pmd_shift)
        if table is None:
            return pte.NONE
        found = table.entries.get((vpn >> self.bits) & self.last, pte.NONE)
        if isinstance(found, PageTable):
            return found.entries[vpn & self.last]
        if pte.maps_folio(found):
            return found + ((vpn & self.last) << pte.PFN_SHIFT)
        return found

    def blocks(self) -> Iterator[tuple[int, PmdTable, PmdEntry]]:
        """(first vpn, PMD table, entry) of every PMD entry that is not none, ascending."""
        for number in sorted(self.pmds):
            table = self.pmds[number]
            for index, entry in table.sorted_entries():
                yield (number << self.pmd_shift) + (index << self.bits), table, entry

    def blocks_in(self, start: int, end: int) -> Iterator[tuple[int, PmdTable, PmdEntry]]:
        """(first vpn, PMD table, entry) of the PMD entries that are not none and touch ``[start, end)``, ascending.

        Only tables that exist are visited, however long the range is. Entries may be changed, and tables added, while
        iterating; each entry is read when it is reached.
        """
        number, last = start >> self.pmd_shift, end - 1 >> self.pmd_shift
        return self._entries_in(number, start, end) if number == last else self._entries_of(number, last, start, end)

    def _entries_of(self, number: int, last: int, start: int, end: int) -> Iterator[tuple[int, PmdTable, PmdEntry]]:
        """What ``blocks_in`` yields of the PMD tables from ``number`` to ``last``."""
        while True:
            nr = len(self.pmds)
            for found in sorted(one for one in self.pmds if number <= one <= last):
                yield from self._entries_in(found, start, end)
                number = found + 1
                if len(self.pmds) != nr:
                    # Another thread has added a table, perhaps one further on.
                    break
            else:
                return

    def _entries_in(self, number: int, start: int, end: int) -> Iterator[tuple[int, PmdTable, PmdEntry]]:
        """What ``blocks_in`` yields of one PMD table."""
        table = self.pmds.get(number)
        if table is None or not table.entries:
            return
        first = number << self.pmd_shift
        low = max(start - first >> self.bits, 0)
        high = min(end - 1 - first >> self.bits, self.last)
        for index in range(low, high + 1):
            entry = table.entries.get(index, pte.NONE)
            if entry != pte.NONE:
                yield first + (index << self.bits), table, entry

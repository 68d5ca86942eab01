"""Page-table entries as integers, as the hardware keeps them.

A present entry is ``pfn << PFN_SHIFT | flags`` and positive, none is 0, and an entry that is neither present nor none
(swap, migration, guard) is negative. So the entries that map pfns ``[a, b)`` are those in ``[a << PFN_SHIFT,
b << PFN_SHIFT)``. The same encoding serves a PMD entry that maps a whole folio.

pfn 0 is the shared zero page; at PMD level it is the huge zero folio. Neither has a folio or a count.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable
from functools import lru_cache

NONE = 0

PRESENT = 1
WRITE = 2
YOUNG = 4
DIRTY = 8
PROTNONE = 16
PFN_SHIFT = 8
FLAGS = (1 << PFN_SHIFT) - 1
#: the byte of an entry that holds the flags
_FLAGS_OCTET = 0 if sys.byteorder == "little" else 7

ZERO_PFN = 0

# Kinds of entries that are not present: bits 0-2 of the negated entry.
SWAP = 1
MIGRATION = 2
_MARKER = 3

#: the entry of a page in a guard region: every access gets SIGSEGV (PTE_MARKER_GUARD)
GUARD = -_MARKER

# Payload flags of a swap entry (bit 3 on: flags, then the slot).
SWAP_EXCLUSIVE = 1 << 3
# Payload flags of a migration entry (then the pfn): whether the page was exclusive, and what is kept of the flags of
# the present entry, which are the same bits further left.
MIGRATION_EXCLUSIVE = 1 << 3
_KEPT = WRITE | YOUNG | DIRTY
_KEPT_SHIFT = 3
MIGRATION_WRITE = WRITE << _KEPT_SHIFT
_PAYLOAD_SHIFT = 8


def packed(entries: Iterable[int]) -> array[int]:
    """Entries as tables hold them, 8 bytes each."""
    return array("q", entries)


def ramp(entry: int, nr: int) -> array[int]:
    """``nr`` entries that map consecutive pages with the same flags, ``entry`` the first of them."""
    step = 1 << PFN_SHIFT
    return array("q", range(entry, entry + nr * step, step))


def is_ramp(entries: array[int]) -> bool:
    """Do entries, the first of them present, map consecutive pages with the same flags? One comparison for all."""
    if sys.byteorder != "little":
        return entries == ramp(entries[0], len(entries))
    ones, steps = _ramp_parts(len(entries))
    return int.from_bytes(entries, "little") == entries[0] * ones + steps


@lru_cache(maxsize=512)
def _ramp_parts(nr: int) -> tuple[int, int]:
    """(1 in each of ``nr`` entries, each one's distance from the first), as one number each."""
    ones = int.from_bytes(packed([1] * nr), "little")
    return ones, int.from_bytes(ramp(0, nr), "little")


def ramps(entries: array[int]) -> tuple[tuple[int, int, int], ...]:
    """(index, number, first entry) of the runs of present entries that map consecutive pages with the same flags.

    Entries that map the zero page are a run if they are equal.
    """
    return _ramps(entries.tobytes())


@lru_cache(maxsize=128)
def _ramps(octets: bytes) -> tuple[tuple[int, int, int], ...]:
    """As ``ramps``, made once for tables with the same content: most observations are of tables that did not change."""
    entries = array("q", octets)
    found: list[tuple[int, int, int]] = []
    index, limit = 0, len(entries)
    while index < limit:
        entry = entries[index]
        first = index
        index += 1
        if entry <= 0:
            continue
        step = 1 << PFN_SHIFT if entry > FLAGS else 0
        expected = entry + step
        while index < limit and entries[index] == expected:
            index += 1
            expected += step
        found.append((first, index - first, entry))
    return tuple(found)


def with_flags(entries: array[int], flags: int) -> array[int]:
    """The same present entries, all with these flags."""
    octets = bytearray(entries)
    octets[_FLAGS_OCTET::8] = bytes((flags,)) * len(entries)
    return array("q", bytes(octets))


def make(pfn: int, flags: int) -> int:
    """A present entry."""
    return pfn << PFN_SHIFT | flags | PRESENT


def pfn_of(entry: int) -> int:
    """The page that a present entry maps."""
    return entry >> PFN_SHIFT


def is_zero_page(entry: int) -> bool:
    """True for a present entry that maps the (huge) zero page."""
    return 0 < entry <= FLAGS


def maps_folio(entry: int) -> bool:
    """True for a present entry that maps a page of a folio."""
    return entry > FLAGS


def swap(slot: int, exclusive: bool) -> int:
    """An entry of a page that was written to swap ``slot``."""
    return -(slot << _PAYLOAD_SHIFT | (SWAP_EXCLUSIVE if exclusive else 0) | SWAP)


def is_swap(entry: int) -> bool:
    """True for a swap entry."""
    return entry < 0 and -entry & 7 == SWAP


def swap_slot(entry: int) -> int:
    """The slot of a swap entry."""
    return -entry >> _PAYLOAD_SHIFT


def swap_is_exclusive(entry: int) -> bool:
    """True if the page was exclusive to this mm when it was swapped out."""
    return bool(-entry & SWAP_EXCLUSIVE)


def migration(entry: int, exclusive: bool) -> int:
    """The migration entry that stands for a present entry while its page is frozen.

    Args:
        entry: the present entry.
        exclusive: PageAnonExclusive of the page was set.
    """
    flags = (entry & _KEPT) << _KEPT_SHIFT | (MIGRATION_EXCLUSIVE if exclusive else 0) | MIGRATION
    return -(pfn_of(entry) << _PAYLOAD_SHIFT | flags)


def absent_ramp(entry: int, nr: int) -> array[int]:
    """``nr`` swap or migration entries of consecutive slots or pages with the same flags, ``entry`` the first."""
    return array("q", range(entry, entry - (nr << _PAYLOAD_SHIFT), -1 << _PAYLOAD_SHIFT))


def is_migration(entry: int) -> bool:
    """True for a migration entry."""
    return entry < 0 and -entry & 7 == MIGRATION


def migration_pfn(entry: int) -> int:
    """The page that a migration entry stands for."""
    return -entry >> _PAYLOAD_SHIFT


def migration_is_exclusive(entry: int) -> bool:
    """True if the page was exclusive to this mm when it was frozen."""
    return bool(-entry & MIGRATION_EXCLUSIVE)


def migration_to_read(entry: int) -> int:
    """The same migration entry without write permission and exclusivity, as fork leaves it on both sides."""
    return -(-entry & ~(MIGRATION_WRITE | MIGRATION_EXCLUSIVE))


def migration_flags(entry: int) -> int:
    """Flags of the present entry to be restored from a migration entry."""
    return PRESENT | -entry >> _KEPT_SHIFT & _KEPT

"""Page-table entries as integers."""

from __future__ import annotations

import pytest

from folioshell.model import pte


def test_present_entries_are_ordered_by_page() -> None:
    """Entries that map pages [a, b) are those between the two shifted pfns, whatever their flags."""
    entries = [pte.make(pfn, flags) for pfn in (7, 8) for flags in (0, pte.WRITE | pte.DIRTY | pte.YOUNG)]

    assert all(7 << pte.PFN_SHIFT <= entry < 9 << pte.PFN_SHIFT for entry in entries)
    assert [pte.pfn_of(entry) for entry in entries] == [7, 7, 8, 8]


def test_zero_page() -> None:
    """The zero page is present and maps no folio."""
    entry = pte.make(pte.ZERO_PFN, pte.YOUNG)

    assert pte.is_zero_page(entry)
    assert not pte.maps_folio(entry)
    assert not pte.is_zero_page(pte.NONE)


@pytest.mark.parametrize("exclusive", [False, True])
def test_swap_entry(exclusive: bool) -> None:
    """A swap entry is not present, and keeps its slot and whether the page was exclusive."""
    entry = pte.swap(12345, exclusive)

    assert entry < 0
    assert pte.is_swap(entry)
    assert not pte.is_migration(entry)
    assert (pte.swap_slot(entry), pte.swap_is_exclusive(entry)) == (12345, exclusive)


@pytest.mark.parametrize("flags", [0, pte.WRITE, pte.YOUNG, pte.DIRTY, pte.WRITE | pte.YOUNG | pte.DIRTY])
def test_migration_entry(flags: int) -> None:
    """A migration entry keeps the page and all flags for the way back."""
    entry = pte.migration(pte.make(99, flags), exclusive=True)

    assert pte.is_migration(entry)
    assert not pte.is_swap(entry)
    assert (pte.migration_pfn(entry), pte.migration_is_exclusive(entry)) == (99, True)
    assert pte.migration_flags(entry) == flags | pte.PRESENT


def test_fork_makes_migration_entries_readable() -> None:
    """After fork a migration entry is neither writable nor exclusive; the rest stays."""
    entry = pte.migration_to_read(pte.migration(pte.make(99, pte.WRITE | pte.DIRTY), exclusive=True))

    assert not pte.migration_is_exclusive(entry)
    assert pte.migration_flags(entry) == pte.PRESENT | pte.DIRTY


def test_ramps() -> None:
    """Entries that map pages in a row with the same flags, and every way not to."""
    ramp = pte.ramp(pte.make(700, pte.WRITE), 512)
    assert [pte.pfn_of(entry) for entry in ramp] == list(range(700, 1212))
    assert pte.is_ramp(ramp) and pte.is_ramp(ramp[5:6]) and pte.is_ramp(ramp[9:200])
    for at, entry in ((1, 0), (3, ramp[3] ^ pte.DIRTY), (511, ramp[510]), (100, -ramp[100]), (0, ramp[1])):
        other = ramp[:]
        other[at] = entry
        assert not pte.is_ramp(other)
    assert pte.with_flags(ramp, pte.PRESENT) == pte.ramp(pte.make(700, 0), 512)

"""Regions: labels for the ranges that mmap and mremap made, and where the next one goes.

Rules:
- A label is valid in every process: the address is the same. It stays when the mapping under it splits, merges or goes.
- A range that is placed by us never touches another label's range, so that VMAs merge only where that was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from folioshell.units import align_up
from folioshell.wording import page_index

#: 0x7f0000000000, where the first region goes
BASE_VPN = 0x7F0000000
#: user space ends here (47 bits of address)
END_VPN = 1 << 35


class Region(NamedTuple):
    """A label.

    Args:
        name: the word typed.
        start: first virtual page.
        nr: pages.
    """

    name: str
    start: int
    nr: int

    @property
    def end(self) -> int:
        """First virtual page behind it."""
        return self.start + self.nr


def labels_of(regions: Iterable[Region], start: int, end: int) -> str:
    """The labels under which pages ``[start, end)`` lie: ``win[0..15]``, a whole region by its name."""
    found = []
    for region in regions:
        first, last = max(start, region.start) - region.start, min(end, region.end) - region.start - 1
        if first <= last:
            whole = first == 0 and last == region.nr - 1
            found.append(region.name if whole else f"{region.name}{page_index(first, last - first + 1)}")
    return " ".join(found)


class Regions(dict[str, Region]):
    """All labels by name, in the order in which they were made; none is ever taken away.

    Attributes:
        behind: lowest virtual page, from BASE_VPN on, of a range that lies behind all of them and adjoins none.
    """

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        super().__init__()
        self.behind = BASE_VPN
        for region in regions:
            self.add(region)

    def add(self, region: Region) -> None:
        """Remember a label."""
        self[region.name] = region
        self.behind = max(self.behind, region.end + 1)


def next_free(regions: Regions, nr: int, boundary: int, skew: int = 0) -> int | None:
    """First virtual page of the range that lies ``skew`` pages behind the next free boundary.

    That is the lowest boundary behind all regions there are, so that no page table is shared with one by accident; if
    there is no room any more, the lowest one from which the range touches no region.

    Args:
        regions: those that exist.
        nr: pages wanted.
        boundary: pages between two boundaries.
        skew: pages from the boundary to the range.
    Returns: None if user space has no room.
    """
    start = align_up(regions.behind, boundary) + skew
    if start + nr <= END_VPN:
        return start
    start = align_up(BASE_VPN, boundary) + skew
    for region in sorted(regions.values(), key=lambda region: region.start):
        if start <= region.end and region.start <= start + nr:
            start = align_up(region.end + 1, boundary) + skew
    return start if start + nr <= END_VPN else None

"""The races that are shipped: what ``protocols`` runs under every protocol, and ``scenarios/locks`` tells one by one.

All are about an order-4 folio of a file across two page tables: pages 0..7 lie in the first, 8-15 in the second.
"""

from __future__ import annotations

from typing import NamedTuple


class ShippedRace(NamedTuple):
    """A race and what leads to it.

    Args:
        name: as the table of protocols has it.
        about: what happens, in a line.
        setup: commands that lead to it, counted by the definition.
        block: its threads.
    """

    name: str
    about: str
    setup: str
    block: str


_STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504"
_ONE_COPY_EACH = f"{_STRADDLE} ; write win[3] ; write win[12]"

RACES = (
    ShippedRace(
        "map, map",
        "two faults, each for one half of the folio; a page of each table was written before",
        _ONE_COPY_EACH,
        "{ A.t1: fault win[0] read ; A.t2: fault win[8] read }",
    ),
    ShippedRace(
        "unmap, map",
        "one half goes while the other is faulted in",
        f"{_STRADDLE} ; fault win[0]",
        "{ A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }",
    ),
    ShippedRace(
        "unmap, unmap",
        "both halves go at once, the last pages of the folio that are mapped",
        f"{_STRADDLE} ; fault win[0] ; fault win[8]",
        "{ A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }",
    ),
    ShippedRace(
        "unmap some",
        "some pages of each half go at once, others stay",
        f"{_ONE_COPY_EACH} ; fault win[0] read ; fault win[8] read",
        "{ A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }",
    ),
    ShippedRace(
        "unmap beside copies",
        "the last pages of the folio go from both tables, a page that is not the folio's stays in each",
        f"{_ONE_COPY_EACH} ; fault win[0] read ; fault win[8] read ; "
        "madvise dontneed win[4..7] ; madvise dontneed win[13..15]",
        "{ A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }",
    ),
    ShippedRace(
        "cut, map",
        "the VMA is cut between the tables while the second half is faulted in",
        f"{_STRADDLE} ; fault win[0]",
        "{ A.t1: mprotect win[8..15] r ; A.t2: fault win[8] read }",
    ),
)

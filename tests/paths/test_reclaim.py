"""Reclaim of one folio on request."""

from __future__ import annotations

import pytest

from folioshell.paths.reclaim import do_reclaim
from tests.paths.memory import Memory


@pytest.mark.parametrize("swap", [False, True])
def test_locked_folio_is_not_evictable(swap: bool) -> None:
    """A folio that is locked in memory is neither split nor given a place in swap."""
    m = Memory(thp={4: "always"})
    m.kernel.config.swap = swap
    p = m.mmap(16)
    m.write(p, 16)
    m.mlock(p, 16)
    folio = m.folio(p)
    m.do(do_reclaim(m.kernel, folio))

    assert (m.look(p, 16), m.folio(p) is folio, folio.swap_slot, folio.active) == ("T×16(1)", True, None, False)


def test_unmapping_stops_at_a_locked_vma() -> None:
    """Half of the folio is locked: it has a place in swap, and the entries before the locked VMA are swapped out."""
    m = Memory(thp={4: "always"})
    m.kernel.config.swap = True
    p = m.mmap(16)
    m.write(p, 16)
    m.mlock(p + 8, 8)
    folio = m.folio(p)
    m.do(do_reclaim(m.kernel, folio))

    assert (m.look(p, 16), folio.swap_slot is not None) == ("-×8 T×8(1)", True)

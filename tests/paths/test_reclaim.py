"""Reclaim of one folio on request."""

from __future__ import annotations

import pytest

from folioshell.events import Asked, Walked
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.unmap import do_migrate
from folioshell.units import CLASSROOM
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


def visited(m: Memory) -> list[tuple[str, int]]:
    """The walks of the last step: why, and how many VMAs they visited."""
    return [(event.reason, len(event.visits)) for event in m.machine.trace if isinstance(event, Walked)]


def test_a_walk_ends_at_a_locked_vma() -> None:
    """No other process is visited after the one that locked the page."""
    m = Memory()
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.mprotect(p, 1, "r")
    m.fork("B")
    m.mlock(p, 1)
    m.folio(p).mlocked = False
    m.do(do_reclaim(m.kernel, m.folio(p)))

    assert visited(m) == [("folio_referenced", 1), ("try_to_unmap", 1)]
    assert m.look(p, 1, "B") == "A×1(2)"


def test_a_walk_ends_when_all_entries_were_seen() -> None:
    """A VMA behind the last entry is not visited."""
    m = Memory()
    file = m.file("lib", 4)
    p = m.mmap(4, file=file)
    q = m.mmap(4, file=file)
    m.read(p, 4)
    folio = m.folio(p)
    m.do(do_reclaim(m.kernel, folio))

    assert visited(m) == [("folio_referenced", 1), ("try_to_unmap", 1)]
    assert (m.look(p, 1), m.look(q, 1)) == ("-×1", "-×1")


def test_a_lazyfree_page_that_another_process_wrote_stays() -> None:
    """One process gave the page up, the other wrote it before: it is an ordinary page again, in both of them."""
    m = Memory()
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.madvise("free", p, 1, "B")
    assert not m.folio(p).swapbacked
    m.do(do_reclaim(m.kernel, m.folio(p)))

    assert m.folio(p).swapbacked
    assert (m.look(p, 1), m.look(p, 1, "B")) == ("A×1(2)", "A×1(2)")


def test_buffers_hold_a_reference() -> None:
    """An ext4 folio that was read has none, a write through a mapping attaches them; shared memory never has any."""
    m = Memory()
    p = m.mmap(2, kind="shared", file=m.file("f", 2, cached=False))
    m.read(p, 2)
    m.write(p)
    q = m.mmap(1, kind="shared", file=m.file("g", 1, fs="tmpfs"))
    m.write(q)

    found = [(m.folio(vpn).has_buffers, m.folio(vpn).ref) for vpn in (p, p + 1, q)]
    assert found == [(True, 3), (False, 2), (False, 2)]


def test_buffers_go_with_migration_and_reclaim() -> None:
    """The new folio has the buffers, and the old one is freed; reclaim drops clean ones, and keeps a dirty folio."""
    m = Memory()
    file = m.file("f", 2)
    p = m.mmap(2, kind="shared", file=file)
    m.read(p)
    old = m.folio(p)
    m.do(do_migrate(m.kernel, old))
    new = m.folio(p)
    assert (old.has_buffers, old.ref, new.has_buffers, new.ref) == (False, 0, True, 3)

    m.write(p + 1)
    for page in range(2):
        m.do(do_reclaim(m.kernel, m.folio(p + page)))

    kept = file.find(1)
    assert file.find(0) is None and kept is not None
    assert (kept.has_buffers, kept.dirty, kept.ref) == (True, True, 2)


@pytest.mark.parametrize(("profile", "exclusive", "writes"), [("6.18", 1, 0), ("7.0", 1, 0), ("7.3", 0, 1)])
def test_zram_and_the_swap_cache(profile: str, exclusive: int, writes: int) -> None:
    """Since 7.1 a page goes through the swap cache, so that only the bit of its entry tells if it is exclusive."""
    m = Memory(profile, thp={4: "always"})
    m.kernel.config.swap = m.kernel.config.sync_swap = True
    p, q = m.mmap(1), m.mmap(16)
    m.write(p)
    m.fork("B")
    m.do(do_reclaim(m.kernel, m.folio(p)))
    m.exit("B")
    m.read(p)

    assert m.folio(p).anon_exclusive == exclusive
    assert (any(m.kernel.slots.cache), m.folio(p).ref) == (False, 1)
    m.write(p)
    assert (m.folio(p).anon_exclusive, m.faults()) == (1, writes)

    m.write(q, 16)
    m.madvise("pageout", q, 16)
    m.read(q + 3)
    assert (m.look(q, 16), any(m.kernel.slots.cache), m.folio(q).ref) == ("T×16(1)", False, 16)


@pytest.mark.parametrize("profile", ["5.10", "6.18", "7.3"])
def test_the_last_entry_ends_the_swap_cache(profile: str) -> None:
    """A page from swap is freed when nothing maps it and no entry refers to its slot; until then it stays."""
    m = Memory(profile)
    m.kernel.config.swap = True
    p = m.mmap(3)
    m.write(p, 3)
    m.fork("B")
    for page in range(3):
        m.do(do_reclaim(m.kernel, m.folio(p + page)))
    m.read(p, 3)
    m.read(p + 1, 2, who="B")
    folios = [m.folio(p + page) for page in range(3)]
    m.madvise("dontneed", p, 3)
    left = [folio.swap_slot for folio in folios]
    m.exit("B")

    # B has a swap entry for the first, and maps the others.
    assert None not in left
    assert [folio.swap_slot for folio in folios[1:]] == [None, None]
    assert not any(m.kernel.slots.cache) and not any(m.kernel.slots.counts)
    assert not [folio for folio in folios if folio.ref]


def test_collapse_reads_shared_memory_from_swap() -> None:
    """What was swapped out is in the new folio, and in swap no more."""
    m = Memory(geometry=CLASSROOM)
    m.kernel.config.swap = m.kernel.config.sync_swap = True
    file = m.file("lib", 8, fs="tmpfs")
    p = m.mmap(8, kind="shared", file=file)
    m.write(p, 8)
    m.madvise("pageout", p, 4)

    assert m.madvise("collapse", p, 8) is None
    assert (m.look(p, 8), m.folio(p).nonzero, file.swapped) == ("F!×8(1)", 0xFF, {})


@pytest.mark.parametrize(("profile", "kept"), [("6.1", False), ("6.12", True), ("6.18", True)])
def test_memory_of_a_process_that_ends_is_left_to_its_exit(profile: str, kept: bool) -> None:
    """It is freed anyway: nothing is written to swap for it, unless another process may map it."""
    for shared in (False, True):
        m = Memory(profile)
        m.kernel.config.swap = True
        p = m.mmap(1)
        m.write(p)
        if shared:
            m.fork("B")
        # As between the last user's exit and the end of exit_mmap().
        m.mm("A").users = 0
        folio = m.folio(p)
        m.do(do_reclaim(m.kernel, folio))

        asked = [event.answer for event in m.machine.trace if isinstance(event, Asked)]
        assert asked == ((["yes"] if shared else ["no"]) if kept else [])
        assert bool(m.kernel.counts.mapcount(folio.id)) is (kept and not shared)
        assert not folio.active

"""Writes to read-only anonymous pages: in place, or a copy."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.events import Mapped
from folioshell.model.lock import LockOp
from folioshell.paths.batch import CLEAR
from tests.paths.memory import Memory


def _forked(order: int, profile: str = "6.18") -> tuple[Memory, int]:
    m = Memory(profile, thp={order: "always"} if order else None)
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    return m, p


@pytest.mark.parametrize("order", [0, 4])
def test_shared_pages_are_copied(order: int) -> None:
    """While another process has it a page is copied, always into an order-0 folio."""
    m, p = _forked(order)
    before = m.pfn(p)
    m.write(p)

    assert m.pfn(p) != before
    assert (m.folio(p).order, m.pfn(p, "B")) == (0, before)


@pytest.mark.parametrize(("profile", "order", "same"), [("6.18", 0, 1), ("6.12", 0, 1), ("6.18", 4, 1), ("6.12", 4, 0)])
def test_the_last_process_writes_in_place(profile: str, order: int, same: bool) -> None:
    """Alone again a process writes in place; from a large folio 6.12 still copies."""
    m, p = _forked(order, profile)
    before = m.pfn(p)
    m.exit("B")
    m.write(p)

    assert (m.pfn(p) == before) == bool(same)


def test_any_page_of_another_blocks_all() -> None:
    """A child that has one page left of a large folio makes its parent copy pages that only it has."""
    m, p = _forked(4)
    m.munmap(p, 15, "B")
    before = m.pfn(p)
    m.write(p)

    assert m.pfn(p) != before


def test_the_last_page_is_copied() -> None:
    """The last page that is mapped of a large folio is copied, so that the folio can be freed."""
    m, p = _forked(4)
    m.exit("B")
    folio = m.folio(p)
    m.munmap(p + 1, 15)
    m.write(p)

    assert m.folio(p).order == 0
    assert folio.id not in m.kernel.folios


def test_reuse_is_page_by_page() -> None:
    """A write in place makes one page writable; each other costs a fault of its own."""
    m, p = _forked(4)
    m.exit("B")
    m.write(p)
    m.write(p, 16)

    assert m.faults() == 15


def test_third_mm_is_never_known() -> None:
    """A folio knows two mms: the third stays a sharer though it is alone, until one entry is left."""
    m, p = _forked(4)
    m.fork("C")
    m.exit("A")
    m.exit("B")
    before = m.pfn(p, "C")
    m.write(p, who="C")
    assert m.pfn(p, "C") != before

    m.fork("D", "C")
    m.exit("C")
    kept = m.pfn(p + 1, "D")
    m.write(p + 1, who="D")
    assert m.pfn(p + 1, "D") == kept


def test_owner_of_a_slot_reuses() -> None:
    """Whoever holds a slot writes in place as soon as all entries are its own, in whatever order others leave."""
    m, p = _forked(4)
    m.fork("C")
    m.exit("C")
    m.exit("A")
    before = m.pfn(p, "B")
    m.write(p, who="B")

    assert m.pfn(p, "B") == before


def test_read_does_not_copy() -> None:
    """Reads of shared pages change nothing."""
    m, p = _forked(4)
    m.read(p, 16, "B")

    assert m.look(p, 16) == m.look(p, 16, "B") == "T×16(2)"
    assert m.faults() == 0


def test_private_file_page() -> None:
    """A write to a file page that is mapped read-only copies it; the page cache keeps its own."""
    m = Memory()
    f = m.file("f", 4)
    p = m.mmap(4, kind="private", file=f)
    m.read(p, 4)
    m.write(p + 1)

    assert m.look(p, 4) == "F×1(1) A×1(1) F×2(1)"
    cached = f.find(1)
    assert cached is not None
    # The page cache's and the buffers'.
    assert (cached.ref, cached.nonzero) == (2, 1)


def test_a_change_that_a_protocol_can_see_is_marked() -> None:
    """With a protocol under test the entry is marked before it is cleared: a lockless read may come between."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504 ; fault win[0] read")
    session.execute("set decide vmas ; set protocol lockless-look ; write win[3]")

    trace = session.workspace.machine.trace
    marks = [at for at, step in enumerate(trace) if isinstance(step, LockOp) and step.function == CLEAR]
    new = next(at for at, step in enumerate(trace) if isinstance(step, Mapped))

    assert len(marks) == 1
    assert marks[0] < new


@pytest.mark.parametrize(("profile", "kept"), [("5.10", True), ("6.1", False), ("6.18", False)])
def test_a_pinned_thp_is_written_in_place_where_mapcounts_decide(profile: str, kept: bool) -> None:
    """5.10 looks at the page that is mapped most often; references, which came after it, make the THP look shared."""
    m = Memory(profile)
    p = m.thp()
    m.fork("B")
    m.exit("B")
    folio = m.folio(p)
    folio.ref += 1
    folio.pins += 1
    m.mm("A").pins[p] = [folio]
    m.write(p)

    assert (m.folio(p) is folio) is kept
    assert bool(m.kernel.counts.entire(folio.id)) is kept


def test_a_thp_that_another_process_maps_in_part_is_shared_in_5_10() -> None:
    """One page has two entries: the PMD entry is split, and the page copied."""
    m = Memory("5.10")
    p = m.thp()
    m.fork("B")
    m.munmap(p, 8, "B")
    before = m.pfn(p + 8)
    m.write(p)

    assert m.pfn(p) != before - 8
    assert m.pfn(p + 8) == before


@pytest.mark.parametrize(("profile", "moves"), [("5.10", False), ("6.1", True)])
def test_reuse_moves_a_page_to_the_anon_vma_of_its_process(profile: str, moves: bool) -> None:
    """Later walks visit one process only; 5.10 leaves the page with the anon_vma of the parent."""
    m = Memory(profile)
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.munmap(p, 1)
    m.write(p, 1, "B")

    assert (m.folio(p, "B").mapping is m.vma(p, "B").anon_vma) is moves

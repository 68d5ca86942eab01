"""Splitting folios and PMD mappings, and putting pages together again."""

from __future__ import annotations

import pytest

from folioshell.events import FolioNew
from folioshell.paths.split import do_split
from folioshell.paths.swap import add_to_swap
from folioshell.paths.unmap import try_to_unmap
from tests.paths.memory import Memory


def test_pieces_know_where_they_come_from() -> None:
    """A split announces a folio for each page, with the page of the old one that it was."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    pfn = m.pfn(p)
    m.madvise("cold", p, 4)
    made = [event for event in m.machine.trace if isinstance(event, FolioNew)]

    assert [(event.order, event.origin) for event in made] == [(0, (1, page)) for page in range(16)]
    assert [m.pfn(p + page) for page in range(16)] == [pfn + page for page in range(16)]
    assert 1 not in m.kernel.folios


def test_pieces_stay_exclusive() -> None:
    """Pages of a split folio can be written without a fault, as before."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.madvise("cold", p, 4)
    m.write(p, 16)

    assert m.faults() == 0


def test_zero_pages_of_locked_memory_stay() -> None:
    """A split replaces pages that are all zero by the zero page, but not in locked VMAs."""
    m = Memory()
    p = m.mmap(512, thp=True)
    m.write(p)
    m.mlock(p, 8)
    m.madvise("cold", p + 8, 4)

    assert m.look(p, 512) == "A×8(1) Z×504"


def test_unmapped_pages_are_freed_by_a_split() -> None:
    """Pages that nobody maps any more come free when the folio is split."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.munmap(p + 8, 8)
    m.madvise("cold", p, 4)

    assert m.look(p, 16) == "A×8(1) -×8"
    assert len(m.kernel.folios) == 8


@pytest.mark.parametrize(
    ("first", "left"),
    [
        (0, [(4, 1), (5, 1), (6, 2), (8, 8)]),
        (4, [(0, 4), (8, 1), (9, 1), (10, 2), (12, 4)]),
        (12, [(0, 8), (8, 4)]),
    ],
)
def test_remove_splits_around_the_hole(first: int, left: list[tuple[int, int]]) -> None:
    """A hole of four pages in a large tmpfs folio: it is halved towards the hole's first page, then towards its end."""
    m = Memory()
    f = m.file("f", 16, 4, fs="tmpfs-within")
    p = m.mmap(16, kind="shared", file=f)
    m.read(p, 16)
    assert m.madvise("remove", p + first, 4) is None

    assert [(folio.index, folio.nr_pages) for folio in f.folios] == left


def test_a_split_of_a_file_folio_takes_i_pages() -> None:
    """The pieces replace it in the page cache under that lock, within which the split queue and the LRU are locked.

    The folio lock goes to the first piece.
    """
    m = Memory()
    m.read(m.mmap(16, kind="shared", file=m.file("lib", 16, order=4)))
    (folio,) = m.kernel.folios.values()
    assert m.do(do_split(m.kernel, folio)) is None
    ops = m.locks()

    start = ops.index("+XA(lib)")
    nested = ["+XA(lib)", "+DSQ", "-DSQ", "+LRU", "+FOLIO(f2)", "-FOLIO(f1)", "-LRU", "-XA(lib)"]
    assert ops[start : start + 8] == nested


def test_pmd_split_does_not_change_the_folio() -> None:
    """A PMD split maps the same folio by 512 entries; the other process's PMD is not touched."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    folio = m.folio(p)
    m.mprotect(p, 1, "r")

    assert (m.folio(p), folio.order, folio.ref) == (folio, 9, 513)
    assert (m.look(p, 512), m.look(p, 512, "B")) == ("T×512(2)", "T!×512(2)")


def test_slot_got_late_counts_too_little() -> None:
    """A third mm that splits its PMD may get a slot, but for 511 of its 512 entries: it counts less than it has."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.fork("C")
    m.exit("B")
    m.mprotect(p, 1, "r", "C")
    scheme = m.machine.schemes["mm-id"]
    slots = dict(scheme.slots(m.folio(p).id)[:2])  # type: ignore[attr-defined]

    assert slots[m.mm("C").mm_id] == 511
    assert m.machine.truth(m.folio(p)).entries == 513


def test_collapse_leaves_the_child_its_pages() -> None:
    """COLLAPSE copies; who shared the pages keeps them, alone."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    before = m.folio(p)
    m.write(p + 3)
    assert m.madvise("collapse", p, 512) is None

    assert (m.look(p, 512), m.look(p, 512, "B")) == ("T!×512(1)", "T!×512(1)")
    assert m.folio(p, "B") is before
    assert m.folio(p) is not before


def test_pieces_that_only_the_swap_cache_keeps() -> None:
    """A large folio from the swap cache was unmapped in part: the pieces without an entry are freed by the split."""
    m = Memory(thp={4: "always"})
    m.kernel.config.swap = m.kernel.config.sync_swap = True
    p = m.mmap(16)
    m.write(p, 16)
    m.do(add_to_swap(m.kernel, m.folio(p)))
    m.machine.run(try_to_unmap(m.kernel, m.folio(p)))
    m.read(p, 16)
    folio = m.folio(p)
    m.munmap(p + 4, 4)
    m.do(do_split(m.kernel, folio))

    assert m.look(p, 16) == "A×4(1) -×4 A×8(1)"
    assert sum(map(bool, m.kernel.slots.cache)) == 12

"""Pins for writing: who may have them, what they hold, and what a kernel may not do to a pinned page."""

from __future__ import annotations

import pytest

from folioshell.events import FolioFreed, FolioNew
from folioshell.model import pte
from folioshell.paths.gup import do_pin, do_unpin
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.split import do_split
from folioshell.paths.truncate import do_truncate
from folioshell.paths.unmap import do_migrate
from folioshell.units import CLASSROOM
from tests.paths.memory import Memory

ORDER_4 = {4: "always"}


def pin(m: Memory, start: int, nr: int = 1, who: str = "A") -> str | None:
    """Pin pages."""
    return m.do(do_pin(m.kernel, m.mm(who), start, nr))


def unpin(m: Memory, start: int, nr: int = 1, who: str = "A") -> str | None:
    """Unpin pages."""
    return m.do(do_unpin(m.kernel, m.mm(who), start, nr))


def writable(m: Memory, vpn: int, who: str = "A") -> bool:
    """Can the page be written without a fault?"""
    return bool(m.kernel.entry(m.mm(who), vpn) & pte.WRITE)


def test_pin_faults_in_and_holds() -> None:
    """A pin brings the page in by writing, and adds a reference that is no mapping."""
    m = Memory()
    p = m.mmap(2)

    assert pin(m, p, 2) is None
    folio = m.folio(p)
    assert m.look(p, 2) == "A×2(1)"
    assert (folio.ref, folio.pins, folio.anon_exclusive) == (2, 1, 1)
    assert (m.count("nr_foll_pin_acquired"), m.count("nr_foll_pin_released")) == (2, 0)


def test_pin_leaves_pages_clean() -> None:
    """A pin marks no page dirty that can be written at once: who pins it does, after the device has written."""
    m = Memory()
    p = m.mmap(2, kind="shared")
    m.read(p, 2)

    assert pin(m, p, 2) is None
    assert (m.smaps(p, "Private_Clean"), m.smaps(p, "Private_Dirty")) == (8, 0)


@pytest.mark.parametrize(("profile", "dirty"), [("6.1", 4), ("6.12", 8)])
def test_pin_after_a_missing_page(profile: str, dirty: int) -> None:
    """A fast pin falls back to the slow one at a page that is not there, and that touches this page and all others."""
    m = Memory(profile)
    p = m.mmap(3, kind="shared")
    m.read(p)
    m.read(p + 2)

    assert pin(m, p, 3) is None
    assert m.smaps(p, "Private_Dirty") == dirty


def test_pin_of_a_lazyfree_page() -> None:
    """It stays lazyfree, so a pin alone does not keep it."""
    m = Memory()
    p = m.mmap(1)
    m.write(p)
    m.madvise("free", p, 1)

    assert pin(m, p) is None
    assert m.smaps(p, "LazyFree") == 4


def test_pin_breaks_copy_on_write() -> None:
    """Of a page shared with a child the pinner gets a copy of its own; the child's stays."""
    m = Memory()
    p = m.mmap(1)
    m.write(p)
    shared = m.folio(p)
    m.fork("B")

    assert pin(m, p) is None
    assert (m.folio(p) is shared, m.folio(p, "B") is shared) == (False, True)
    assert (shared.pins, m.folio(p).pins) == (0, 1)


@pytest.mark.parametrize("prot", ["r", "none"])
def test_pin_needs_a_writable_vma(prot: str) -> None:
    """Where user space may not write, a pin for writing ends with EFAULT."""
    m = Memory()
    p = m.mmap(2, prot=prot)

    assert pin(m, p, 2) == "EFAULT"
    assert m.look(p, 2) == "-×2"


def test_pin_over_a_hole_keeps_no_page() -> None:
    """Before a hole pages are faulted in, and let go again, for the caller wants all or none."""
    m = Memory()
    p = m.mmap(4)
    m.munmap(p + 2, 1)

    assert pin(m, p, 4) == "EFAULT"
    assert m.look(p, 4) == "A×2(1) -×2"
    assert (m.folio(p).ref, m.mm("A").pins) == (1, {})
    assert m.count("nr_foll_pin_acquired") == m.count("nr_foll_pin_released") == 2


def test_pin_beyond_the_end_of_a_file() -> None:
    """A page that would be SIGBUS is EFAULT for a pin."""
    m = Memory()
    p = m.mmap(4, kind="shared", file=m.file("lib", 2))

    assert pin(m, p + 1, 2) == "EFAULT"


def test_unpin_after_munmap_frees() -> None:
    """A pinned folio outlives its last mapping; a mapcount of 0 does not free it, the unpin does."""
    m = Memory()
    p = m.mmap(1)
    pin(m, p)
    folio = m.folio(p)
    m.munmap(p, 1)

    assert m.kernel.counts.mapcount(folio.id) == 0
    assert folio.id in m.kernel.folios
    assert unpin(m, p) is None
    assert folio.id not in m.kernel.folios


def test_pins_of_one_page_add_up() -> None:
    """Each unpin takes one pin, the newest first: it may be of another folio than the older one."""
    m = Memory()
    p = m.mmap(1)
    pin(m, p)
    old = m.folio(p)
    m.madvise("dontneed", p, 1)
    pin(m, p)
    pin(m, p)
    new = m.folio(p)

    assert (old.pins, new.pins) == (1, 2)
    unpin(m, p)
    assert (old.pins, new.pins) == (1, 1)
    unpin(m, p)
    assert (old.pins, new.pins) == (1, 0)
    unpin(m, p)
    assert old.id not in m.kernel.folios


def test_unpin_of_what_is_not_pinned() -> None:
    """One page that is not pinned makes EINVAL of the whole range, and all pins stay."""
    m = Memory()
    p = m.mmap(3)
    pin(m, p, 2)

    assert unpin(m, p, 3) == "EINVAL"
    assert [m.folio(p + page).pins for page in range(2)] == [1, 1]


def test_exit_lets_go() -> None:
    """Pins of a process go with it."""
    m = Memory()
    m.fork("B")
    p = m.mmap(3, who="B")
    pin(m, p, 3, "B")
    m.munmap(p, 1, "B")
    m.exit("B")

    assert not m.kernel.folios


def test_fork_copies_a_pinned_page() -> None:
    """The child gets a copy at once; the parent keeps the page, exclusive and writable, whatever it does next."""
    m = Memory()
    p = m.mmap(3)
    m.write(p, 3)
    pin(m, p + 1)
    folio = m.folio(p + 1)
    m.fork("B")

    assert m.look(p, 3) == m.look(p, 3, "B") == "A×1(2) A×1(1) A×1(2)"
    assert (m.folio(p + 1) is folio, m.folio(p + 1, "B") is folio) == (True, False)
    assert (folio.anon_exclusive, m.folio(p + 1, "B").anon_exclusive, m.folio(p + 1, "B").nonzero) == (1, 1, 1)
    assert (writable(m, p), writable(m, p + 1), writable(m, p + 1, "B")) == (False, True, True)


def test_fork_without_any_pin_looks_for_none() -> None:
    """A mm that never pinned shares even a page that the bits call pinned: only its own pins could matter."""
    m = Memory()
    p = m.mmap(1)
    m.write(p)
    assert not m.mm("A").has_pinned
    m.fork("B")

    assert m.look(p, 1, "B") == "A×1(2)"


def test_fork_copies_a_pinned_large_folio_page_by_page() -> None:
    """One pinned page makes the child's copies order-0 pages, and both PTLs are let go for each of them."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    pin(m, p + 3)
    m.fork("B")

    assert (m.look(p, 16), m.look(p, 16, "B")) == ("T×16(1)", "A×16(1)")
    taken = [event for event in m.locks() if event.startswith("+pt")]
    assert taken == ["+pt2", "+pt1 nested"] * 17


def test_fork_shares_what_is_not_exclusive_in_a_pinned_folio() -> None:
    """Pages that were shared once and not written since are duplicated; only the exclusive one is copied."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    m.exit("B")
    m.write(p + 3)
    pin(m, p + 3)
    m.fork("C")

    assert m.look(p, 16) == "T×3(2) T×1(1) T×12(2)"
    assert m.look(p, 16, "C") == "T×3(2) A×1(1) T×12(2)"
    made = [event for event in m.machine.trace if isinstance(event, FolioNew)]
    gone = [event for event in m.machine.trace if isinstance(event, FolioFreed)]
    # Pages 0 to 2 are in the way of the batch: each of them gets a spare folio that it does not need.
    assert (len(made), len(gone)) == (4, 3)


def test_fork_splits_the_pmd_of_a_pinned_folio() -> None:
    """A pinned PMD-mapped folio is mapped by PTEs first, then its pages are copied."""
    m = Memory(geometry=CLASSROOM)
    p = m.thp(8)
    pin(m, p + 2)
    m.fork("B")

    assert (m.look(p, 8), m.look(p, 8, "B")) == ("T×8(1)", "A×8(1)")
    assert m.count("thp_split_pmd") == 1


def test_fork_shares_pinned_pages_of_a_file() -> None:
    """Pages of the page cache are shared anyway: pinned or not, the child refaults them."""
    m = Memory()
    p = m.mmap(4, kind="shared", file=m.file("lib", 4, fs="tmpfs"))
    pin(m, p)
    m.fork("B")
    m.read(p, who="B")

    assert m.folio(p, "B") is m.folio(p)


def test_write_in_place_is_refused_with_a_pin_elsewhere() -> None:
    """Entries and references differ by the pin, so the kernel copies although nobody else maps the folio."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    m.exit("B")
    m.write(p)
    assert m.look(p, 16) == "T×16(1)"
    pin(m, p)
    m.write(p + 1)

    assert m.look(p, 16) == "T×1(1) A×1(1) T×14(1)"
    unpin(m, p)
    m.write(p + 2)
    assert m.look(p, 16) == "T×1(1) A×1(1) T×14(1)"


def test_split_and_migration_are_refused() -> None:
    """Split and migration of a pinned folio end with EAGAIN and leave every entry and its exclusive pages."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    pin(m, p)
    folio = m.folio(p)

    assert m.do(do_split(m.kernel, folio)) == "EAGAIN"
    assert m.do(do_migrate(m.kernel, folio)) == "EAGAIN"
    assert (m.look(p, 16), m.folio(p) is folio, folio.anon_exclusive) == ("T×16(1)", True, 0xFFFF)
    assert m.calls() == []
    unpin(m, p)
    assert m.do(do_migrate(m.kernel, folio)) is None


def test_migration_of_a_pinned_pmd_mapped_folio() -> None:
    """The PMD entry of a pinned folio never becomes a migration entry."""
    m = Memory()
    p = m.thp()
    pin(m, p)

    assert m.do(do_migrate(m.kernel, m.folio(p))) == "EAGAIN"
    assert (m.look(p, 512), m.calls()) == ("T!×512(1)", [])


def test_migration_stops_at_the_pinned_page() -> None:
    """Entries before the pinned page, which are not exclusive, were replaced already; they come back as they were."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    m.exit("B")
    m.write(p + 3)
    pin(m, p + 3)

    assert m.do(do_migrate(m.kernel, m.folio(p))) == "EAGAIN"
    assert m.calls() == [("folio_remove_rmap_ptes", 1)] * 3 + [("folio_add_anon_rmap_ptes", 1)] * 3
    assert [page for page in range(16) if writable(m, p + page)] == [3]


def test_collapse_is_refused() -> None:
    """A pinned page in the range makes MADV_COLLAPSE end with EAGAIN."""
    m = Memory()
    p = m.mmap(512)
    m.write(p, 512)
    pin(m, p + 7)

    assert m.madvise("collapse", p, 512) == "EAGAIN"
    unpin(m, p + 7)
    assert m.madvise("collapse", p, 512) is None


def test_cold_does_not_split() -> None:
    """MADV_COLD of a part finds the folio exclusive and cannot split it for the pin."""
    m = Memory(thp=ORDER_4)
    p = m.mmap(16)
    m.write(p, 16)
    pin(m, p)

    m.madvise("cold", p, 8)
    assert m.look(p, 16) == "T×16(1)"
    unpin(m, p)
    m.madvise("cold", p, 8)
    assert m.look(p, 16) == "A×16(1)"


def test_reclaim_leaves_a_pinned_page() -> None:
    """A pinned anonymous page is not even given a swap slot."""
    m = Memory()
    m.kernel.config.swap = True
    p = m.mmap(1)
    pin(m, p)

    m.do(do_reclaim(m.kernel, m.folio(p)))
    assert (m.look(p, 1), m.folio(p).swap_slot) == ("A×1(1)", None)
    unpin(m, p)
    m.do(do_reclaim(m.kernel, m.folio(p)))
    assert m.look(p, 1) == "-×1"


def test_unmapping_for_swap_stops_at_a_pinned_folio() -> None:
    """A folio that is in the swap cache already keeps the entries of its exclusive pages while one is pinned."""
    m = Memory(thp=ORDER_4)
    m.kernel.config.swap = True
    p = m.mmap(16)
    m.write(p, 16)
    m.mlock(p + 8, 8)
    m.do(do_reclaim(m.kernel, m.folio(p)))
    assert m.look(p, 16) == "-×8 T×8(1)"
    folio = m.folio(p + 8)
    pin(m, p + 10)
    m.munlock(p + 8, 8)

    m.do(do_reclaim(m.kernel, folio))
    assert (m.look(p, 16), folio.swap_slot is not None) == ("-×8 T×8(1)", True)
    unpin(m, p + 10)
    m.do(do_reclaim(m.kernel, folio))
    assert m.look(p, 16) == "-×16"


@pytest.mark.parametrize(
    ("kind", "fs", "errno"),
    [("shared", "ext4", "EFAULT"), ("private", "ext4", None), ("shared", "tmpfs", None)],
)
def test_longterm_pin(kind: str, fs: str, errno: str | None) -> None:
    """A file system that tracks first writes must not have its pages written for long without its notice."""
    m = Memory()
    p = m.mmap(4, kind=kind, prot="rw", file=m.file("lib", 4, fs=fs))

    assert m.do(do_pin(m.kernel, m.mm("A"), p, 4, longterm=True)) == errno
    assert (m.folio(p).pins if errno is None else m.look(p, 4)) in (1, "-×4")
    assert pin(m, p, 4) is None


def test_longterm_pin_up_to_a_shared_file() -> None:
    """All or nothing: the pages before the VMA that is refused are unpinned."""
    m = Memory()
    p = m.mmap(2)
    m.mmap(2, kind="shared", file=m.file("lib", 2), at=p + 2)

    assert m.do(do_pin(m.kernel, m.mm("A"), p, 4, longterm=True)) == "EFAULT"
    assert m.folio(p).pins == 0
    assert m.count("nr_foll_pin_released") == 2


def test_pinned_folio_of_a_truncated_file() -> None:
    """Truncation unmaps a pinned folio and takes it out of the page cache; it is freed with the unpin."""
    m = Memory()
    file = m.file("lib", 32, order=4, fs="tmpfs")
    p = m.mmap(32, kind="shared", file=file)
    pin(m, p + 16)
    folio = m.folio(p + 16)
    m.do(do_truncate(m.kernel, file, 16))

    assert (m.look(p + 16, 16), folio.cached, folio.ref) == ("-×16", False, 1)
    unpin(m, p + 16)
    assert folio.id not in m.kernel.folios


@pytest.mark.parametrize(("profile", "copied"), [("5.10", True), ("6.1", False), ("6.18", False)])
def test_fork_copies_a_pinned_page_by_its_bit_or_by_the_pin_alone(profile: str, copied: bool) -> None:
    """A page that is shared already may be shared again; without PageAnonExclusive no one can tell."""
    m = Memory(profile)
    p = m.mmap(1)
    assert pin(m, p) is None
    m.mprotect(p, 1, "r")
    m.folio(p).anon_exclusive = 0
    m.fork("B")

    assert (m.pfn(p) != m.pfn(p, "B")) is copied

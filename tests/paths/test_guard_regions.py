"""Guard regions, as a 6.18.44 kernel was seen to treat them: markers, VmFlags, signals and errnos."""

from __future__ import annotations

import pytest

from folioshell.model import pte
from folioshell.model.lock import LockClass, LockOp
from folioshell.model.proc import other_runs, pagemap_bits, present_runs
from folioshell.paths.collapse_file import Scan
from folioshell.paths.madvise import do_madvise
from tests.paths.memory import Memory

EINVAL, SEGV = "EINVAL", "SIGSEGV"


def _guarded(prot: str = "rw", profile: str = "6.18") -> tuple[Memory, int]:
    """Sixteen pages, the first four written, pages 2 to 5 guarded."""
    m = Memory(profile)
    p = m.mmap(16, prot=prot)
    m.write(p, 4)
    assert m.madvise("guard_install", p + 2, 4) is None
    return m, p


def _pages(m: Memory, start: int, nr: int, who: str = "A") -> str:
    """A letter a page: p present, s in swap, g guarded, - nothing."""
    letters = ["-"] * nr
    for vma in m.mm(who).vmas.overlapping(start, start + nr):
        for run in (*present_runs(m.kernel, vma), *other_runs(m.kernel, vma)):
            for vpn in range(max(run.vpn, start), min(run.vpn + run.nr, start + nr)):
                letters[vpn - start] = run.other[:1] or "p"
    return "".join(letters)


def _flags(m: Memory, start: int, nr: int, who: str = "A") -> list[tuple[int, int, bool]]:
    """(first page, pages, ``gu`` in VmFlags?) of each VMA."""
    vmas = m.mm(who).vmas.overlapping(start, start + nr)
    return [(vma.start - start, vma.nr_pages, "gu" in vma.flag_words.split()) for vma in vmas]


def test_an_access_raises_sigsegv() -> None:
    """What was mapped is gone, the rest of the VMA is as it was; the flag is the whole VMA's."""
    m, p = _guarded()

    assert _pages(m, p, 16) == "ppgggg----------"
    assert [m.read(p + 3), m.write(p + 5), m.read(p + 6)] == [[[0, 1, SEGV]], [[0, 1, SEGV]], []]
    assert m.vma(p).flag_words == "rd wr mr mw me gu ac"


def test_user_space_sees_swap_bit_and_guard_bit() -> None:
    """Bits 62 and 58 of pagemap; smaps counts no swap."""
    m, p = _guarded()
    runs = list(other_runs(m.kernel, m.vma(p)))

    assert [(run.vpn - p, run.nr, pagemap_bits(m.kernel, run)) for run in runs] == [(2, 4, "sg")]
    assert (m.smaps(p, "Swap"), m.smaps(p, "Rss")) == (0, 8)


def test_advice_that_zaps_leaves_markers() -> None:
    """DONTNEED drops contents, a guard region has none; FREE, COLD and PAGEOUT pass over it."""
    m, p = _guarded()
    for advice in ("free", "cold", "pageout"):
        assert m.madvise(advice, p, 16) is None
        assert _pages(m, p, 16)[2:7] == "gggg-"
    assert m.madvise("dontneed", p, 16) is None

    assert _pages(m, p, 16) == "--gggg----------"


def test_faulting_in_fails_at_the_first_marker() -> None:
    """EFAULT; mlock says ENOMEM and leaves the VMA locked."""
    m, p = _guarded()

    assert [m.madvise(advice, p, 16) for advice in ("populate_write", "populate_read")] == ["EFAULT", "EFAULT"]
    assert m.mlock(p, 16) == "ENOMEM"
    assert _pages(m, p, 16) == "ppgggg----------"
    assert m.madvise("guard_install", p, 2) == EINVAL
    assert m.madvise("guard_remove", p + 2, 1) is None
    assert _pages(m, p, 16) == "pp-ggg----------"


def test_markers_move_and_are_split_like_entries() -> None:
    """Mprotect splits the VMA and keeps them, mremap takes them along; both halves keep the flag."""
    m, p = _guarded()
    m.mprotect(p + 3, 2, "r")
    assert _flags(m, p, 16) == [(0, 3, True), (3, 2, True), (5, 11, True)]
    m.mprotect(p + 3, 2, "rw")
    assert _flags(m, p, 16) == [(0, 16, True)]
    to = m.place()
    m.mremap(p, 16, to)

    assert _pages(m, to, 16) == "ppgggg----------"
    assert _flags(m, to, 16) == [(0, 16, True)]


def test_dontunmap_takes_the_markers() -> None:
    """The source is empty and keeps the flag."""
    m, p = _guarded()
    to = m.place()
    m.mremap(p, 16, to, dontunmap=True)

    assert (_pages(m, p, 16), _pages(m, to, 16)) == ("-" * 16, "ppgggg----------")
    assert _flags(m, p, 16) == _flags(m, to, 16) == [(0, 16, True)]


def test_remove_clears_markers_and_nothing_else() -> None:
    """The flag stays for good; pages can be faulted in again."""
    m, p = _guarded()
    m.madvise("guard_remove", p, 16)

    assert _pages(m, p, 16) == "pp--------------"
    assert _flags(m, p, 16) == [(0, 16, True)]
    assert m.read(p, 16) == []


def test_munmap_drops_markers() -> None:
    """A new mapping there has none."""
    m, p = _guarded()
    m.munmap(p, 16)
    m.mmap(16, at=p)

    assert _pages(m, p, 16) == "-" * 16
    assert _flags(m, p, 16) == [(0, 16, False)]


def test_a_child_has_them_too() -> None:
    """Unless its memory is wiped; then the flag alone is left."""
    m, p = _guarded()
    q = m.mmap(8)
    m.madvise("guard_install", q, 2)
    m.madvise("wipeonfork", q, 8)
    m.fork("B")

    assert _pages(m, p, 16, "B") == "ppgggg----------"
    assert (_pages(m, q, 8, "B"), _flags(m, q, 8, "B")) == ("-" * 8, [(0, 8, True)])
    assert m.read(p + 2, who="B") == [[0, 1, SEGV]]


def test_a_merge_ignores_and_keeps_the_flag() -> None:
    """A VMA with guard regions merges with one without, and the result has the flag."""
    m = Memory()
    p = m.mmap(8)
    q = m.mmap(8, prot="r", at=p + 8)
    m.madvise("guard_install", q, 2)
    assert _flags(m, p, 16) == [(0, 8, False), (8, 8, True)]
    m.mprotect(q, 8, "rw")
    assert _flags(m, p, 16) == [(0, 16, True)]
    m.mmap(8, at=p + 16)

    assert _flags(m, p, 24) == [(0, 24, True)]


def test_a_range_over_several_vmas() -> None:
    """A hole is an error in the end; a locked VMA ends it there."""
    m = Memory()
    p = m.mmap(8)
    assert m.madvise("guard_install", p, 16) == "ENOMEM"
    assert _pages(m, p, 8) == "g" * 8
    q = m.mmap(16)
    m.mlock(q + 8, 8)
    assert m.madvise("guard_install", q + 6, 4) == EINVAL

    assert _pages(m, q, 16) == "------ggpppppppp"


def test_part_of_a_huge_page() -> None:
    """The PMD entry is split for the zap."""
    m = Memory()
    p = m.thp()
    m.madvise("guard_install", p + 10, 2)

    assert m.look(p, 512) == "T×10(1) -×2 T×500(1)"
    assert _pages(m, p, 14) == "ppppppppppggpp"


def test_a_whole_huge_page() -> None:
    """The table is full of markers, which keep it from being freed by DONTNEED; a THP cannot come back."""
    m = Memory()
    p = m.thp()
    m.madvise("guard_install", p, 512)
    m.madvise("dontneed", p, 512)
    assert _pages(m, p, 512) == "g" * 512
    m.madvise("guard_remove", p, 512)
    m.write(p)

    assert m.look(p, 2) == "A×1(1) -×1"


def test_large_folios_keep_clear_of_a_marker() -> None:
    """An mTHP fault takes an order whose block has no marker."""
    m = Memory(thp={4: "always"})
    p = m.mmap(32)
    m.madvise("guard_install", p + 5, 1)
    m.write(p)
    m.write(p + 16)

    assert (m.look(p, 16), m.folio(p + 16).order) == ("A×1(1) -×15", 4)


@pytest.mark.parametrize("kind", ["private", "shared"])
def test_file_pages(kind: str) -> None:
    """Fault-around maps what is around the markers; truncation and holes leave them."""
    m = Memory()
    file = m.file("lib", 16, fs="tmpfs")
    p = m.mmap(16, kind=kind, file=file)
    m.madvise("guard_install", p + 2, 2)
    m.read(p)
    assert _pages(m, p, 16) == "ppgg" + "p" * 12
    other = m.mmap(16, kind="shared", file=file)
    assert m.madvise("remove", other + 2, 1) is None

    assert _pages(m, p, 16) == "ppgg" + "p" * 12
    assert m.vma(p).anon_vma is None


@pytest.mark.parametrize("profile", ["6.18", "7.3"])
def test_collapse_of_a_guarded_block(profile: str) -> None:
    """EINVAL, and later blocks are left alone, too: the scan takes the marker for swap, and faulting it in fails."""
    m = Memory(profile)
    p = m.mmap(1024)
    m.write(p, 3)
    m.write(p + 512, 2)
    m.madvise("hugepage", p, 1024)
    m.madvise("guard_install", p + 10, 1)

    assert m.madvise("collapse", p, 1024) == Scan.FAIL.errno == EINVAL
    assert m.look(p + 512, 512) == "A×2(1) -×510"
    assert _pages(m, p, 12) == "ppp-------g-"


def test_collapse_of_a_file_spares_the_table_of_a_guarded_vma() -> None:
    """The other process's table goes, the one that held a marker stays, even if the marker is gone."""
    m = Memory()
    p = m.mmap(512, kind="shared", file=m.file("t", 512, fs="tmpfs"))
    m.read(p, 512)
    m.fork("B")
    m.fork("C")
    for who in "BC":
        m.read(p, 512, who)
    m.madvise("guard_install", p, 1, "B")
    m.madvise("guard_remove", p, 1, "B")
    m.madvise("collapse", p, 512)

    assert m.mm("A").tables.pmd_entry(p) != m.mm("C").tables.pmd_entry(p) == pte.NONE
    assert m.mm("B").tables.leaf(p) is not None


def test_before_6_13() -> None:
    """Unknown advice."""
    for profile in ("5.10", "6.1", "6.12"):
        m = Memory(profile)
        p = m.mmap(4)
        assert {m.madvise(advice, p, 4) for advice in ("guard_install", "guard_remove")} == {EINVAL}


_MMAP, _VMA = ["+MMAP(A)(R)", "+pt1", "-pt1", "-MMAP(A)(R)"], ["~VMA(v1)(R)", "+pt1", "-pt1", "-VMA(v1)(R)"]


@pytest.mark.parametrize(("profile", "expected"), [("6.16", _MMAP), ("6.18", _MMAP), ("7.0", _VMA), ("7.3", _VMA)])
def test_one_vma_is_enough(profile: str, expected: list[str]) -> None:
    """Since 6.19 its lock is taken in place of mmap_lock."""
    m = Memory(profile)
    p = m.mmap(8)
    m.write(p + 7)
    for advice in ("guard_install", "guard_remove"):
        m.madvise(advice, p, 2)
        assert m.locks() == expected


def test_an_anon_vma_is_prepared_under_mmap_lock() -> None:
    """The lock of the VMA is taken in vain, and dropped."""
    m = Memory("7.3")
    p = m.mmap(8)
    m.madvise("guard_install", p, 2)

    assert m.locks()[:4] == ["~VMA(v1)(R)", "-VMA(v1)(R)", "+MMAP(A)(R)", "+AVR(av1)(W)"]
    assert m.locks()[-3:] == ["+pt1", "-pt1", "-MMAP(A)(R)"]


def test_it_gives_up_when_faults_are_faster() -> None:
    """After three rounds the call drops its locks, to be made again."""
    m = Memory()
    p = m.mmap(1)
    path = do_madvise(m.kernel, m.mm("A"), p, 1, "guard_install")
    ops: list[str] = []
    try:
        step = next(path)
        while True:
            if isinstance(step, LockOp) and step.lock.lock_class in (LockClass.MMAP, LockClass.PTL):
                ops.append(str(step))
                table = m.mm("A").tables.leaf(p)
                # Another thread's read fault, just before this one has the lock; three times.
                if table is not None and step.function == "walk_pte_range" and ops.count("+pt1") % 2:
                    table.entries[p % 512] = pte.make(pte.ZERO_PFN, pte.YOUNG)
            step = path.send(None)
    except StopIteration as stop:
        assert stop.value == "ERESTARTNOINTR"

    assert ops == ["+MMAP(A)(R)", *["+pt1", "-pt1"] * 6, "-MMAP(A)(R)"]
    assert _pages(m, p, 1) == "-"

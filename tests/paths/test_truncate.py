"""Holes and truncation: what becomes of a folio that lies in the hole only in part."""

from __future__ import annotations

import pytest

from folioshell.model.mapping import AddressSpace
from folioshell.paths.gup import do_pin
from folioshell.paths.split import do_split
from folioshell.paths.truncate import do_truncate
from tests.paths.memory import Memory


def _written(m: Memory, fs: str = "ext4") -> tuple[AddressSpace, int]:
    """A file of one folio of 16 pages, written through a shared mapping and dropped from it; file and mapping."""
    file = m.file("lib", 16, 4, fs=fs)
    p = m.mmap(16, kind="shared", file=file)
    m.write(p + 3)
    m.madvise("dontneed", p, 16)
    return file, p


def _layout(file: AddressSpace) -> list[tuple[int, int, bool]]:
    """(index, pages, dirty) of the folios in the page cache."""
    return [(folio.index, folio.nr_pages, folio.dirty) for folio in file.folios]


def test_one_write_dirties_all_buffers() -> None:
    """A written ext4 folio cannot be split as long as one of its buffers is dirty, wherever the write was."""
    m = Memory()
    file, p = _written(m)
    m.madvise("remove", p, 8)

    assert _layout(file) == [(0, 16, True)]
    assert next(file.folios).dirty_buffers == 0xFF00


def test_holes_that_clean_all_buffers() -> None:
    """The hole that cleans the last dirty buffer leaves the folio clean, and splits it."""
    m = Memory()
    file, p = _written(m)
    m.madvise("remove", p, 8)
    m.madvise("remove", p + 8, 8)

    assert _layout(file) == [(0, 8, False)]


def test_a_dirty_entry_dirties_all_buffers_again() -> None:
    """Zapping a dirty entry marks the folio dirty, with buffers that an earlier hole had cleaned."""
    m = Memory()
    file, p = _written(m)
    m.madvise("remove", p, 8)
    m.write(p + 9)
    m.madvise("remove", p + 8, 8)

    assert (_layout(file), next(file.folios).dirty_buffers) == ([(0, 16, True)], 0xFFFF)


def test_hole_ends_at_the_page_of_i_size() -> None:
    """A written folio that was truncated in part has clean buffers beyond EOF; a hole up to EOF cleans the rest."""
    m = Memory()
    file, p = _written(m)
    m.do(do_truncate(m.kernel, file, 8))
    assert (_layout(file), next(file.folios).dirty_buffers) == ([(0, 16, True)], 0xFF)
    m.madvise("remove", p, 16)

    # Split at page 0, with the pieces beyond EOF dropped. A hole of all 16 pages would have removed it unsplit.
    assert _layout(file) == []
    assert m.count("split") == 1


def test_hole_beyond_eof_does_nothing() -> None:
    """There is nothing to punch beyond i_size, though a folio may reach there."""
    m = Memory()
    file, p = _written(m)
    m.do(do_truncate(m.kernel, file, 8))
    m.madvise("remove", p + 8, 8)

    assert _layout(file) == [(0, 16, True)]


def test_hole_within_a_folio_that_reaches_beyond_eof() -> None:
    """A hole that begins two pages beyond EOF is none, also where the first folio of the hole ends later."""
    m = Memory()
    file, p = _written(m)
    m.do(do_truncate(m.kernel, file, 8))
    m.madvise("remove", p + 10, 2)

    assert _layout(file) == [(0, 16, True)]


@pytest.mark.parametrize(("fs", "mapped"), [("tmpfs-huge", "-×1"), ("ext4", "F×1(1)")])
def test_truncation_to_the_same_size(fs: str, mapped: str) -> None:
    """Shared memory splits the folio that reaches beyond EOF, which unmaps it; a file on a disk stays as it is."""
    m = Memory()
    file = m.file("f", 1, fs=fs)
    p = m.mmap(1, kind="shared", file=file)
    m.read(p)
    m.do(do_truncate(m.kernel, file, 1))

    assert m.look(p, 1) == mapped
    assert [folio.order for folio in file.folios] == [0]


def test_split_of_clean_buffers_cleans_the_folio() -> None:
    """A split drops the buffers of a folio, which cleans it, before it finds the folio pinned."""
    m = Memory()
    file, _ = _written(m)
    folio = next(file.folios)
    folio.invalidate(0, 16)
    folio.ref += 1

    assert m.kernel.folios.get(folio.id) is folio
    assert folio.dirty
    m.machine.begin()
    assert m.machine.run(do_split(m.kernel, folio)) == "EAGAIN"
    assert not folio.dirty


@pytest.mark.parametrize("truncated", [False, True], ids=["hole", "truncation"])
def test_shared_memory_is_dirtied(truncated: bool) -> None:
    """Shared memory has no disk to read the rest of the folio from: what is zeroed in part is dirty."""
    m = Memory()
    file = m.file("tmp", 512, fs="tmpfs-huge", cached=False)
    p = m.mmap(512, kind="shared", file=file)
    m.read(p)
    assert _layout(file) == [(0, 512, False)]
    if truncated:
        m.do(do_truncate(m.kernel, file, 256 + 64))
        assert _layout(file) == [(0, 256, True), (256, 64, True)]
    else:
        m.madvise("remove", p, 256)
        assert _layout(file)[-2:] == [(320, 64, True), (384, 128, True)]


@pytest.mark.parametrize("truncated", [False, True], ids=["hole", "truncation"])
def test_pinned_shared_memory_stays_whole(truncated: bool) -> None:
    """A pinned folio cannot be split, and as it is dirty it is kept, mapped as it is outside of the hole."""
    m = Memory()
    file = m.file("tmp", 16, 4, fs="tmpfs-within")
    p = m.mmap(16, kind="shared", file=file)
    m.read(p, 16)
    m.do(do_pin(m.kernel, m.mm("A"), p + 15, 1))
    m.folio(p).dirty = False
    if truncated:
        m.do(do_truncate(m.kernel, file, 4))
        assert m.look(p, 16) == "F×4(1) -×12"
    else:
        m.madvise("remove", p + 4, 4)
        assert m.look(p, 16) == "F×4(1) -×4 F×8(1)"

    assert _layout(file) == [(0, 16, True)]


def test_pinned_file_is_unmapped() -> None:
    """A folio of a file that cannot be split is unmapped, so that accesses beyond EOF fault; dirty, it stays cached."""
    m = Memory()
    file = m.file("lib", 16, 4)
    p = m.mmap(16, kind="shared", file=file)
    m.do(do_pin(m.kernel, m.mm("A"), p, 1))
    m.madvise("remove", p + 4, 4)

    assert (m.look(p, 16), _layout(file)) == ("-×16", [(0, 16, True)])


def test_truncation_unmaps_private_copies_once_more() -> None:
    """Until a folio is out of the page cache, a write to a private mapping can copy one of its pages: they go last."""
    m = Memory()
    file = m.file("lib", 16, 2)
    m.read(m.mmap(16, kind="private", file=file), 16)

    m.do(do_truncate(m.kernel, file, 4))

    locks = m.locks()
    first, last = locks.index("+IMMAP(lib)(R)"), len(locks) - 1 - locks[::-1].index("+IMMAP(lib)(R)")
    assert locks[:2] == ["+IRW(lib)(W)", "+INVAL(lib)(W)"]
    assert first < locks.index("~FOLIO(f2)") < last
    assert locks[-2:] == ["-INVAL(lib)(W)", "-IRW(lib)(W)"]

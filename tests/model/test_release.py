"""The table of releases: every difference is seen somewhere, and rows follow from versions."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from folioshell.commands import Session
from folioshell.engine import machine
from folioshell.errors import Refused
from folioshell.model import pte
from folioshell.model.release import DEFAULT, DIFFERENCES, MM_ID, RELEASES, Release, SharingQuestion, release
from folioshell.recording import ptl
from folioshell.recording.observe import emit
from tests.paths.memory import Memory

RECORDINGS = Path(__file__).parents[1] / "recordings"


def _memory() -> Memory:
    m = Memory()
    m.machine.set_profile(DEFAULT.version)
    return m


def _locks_of_unmapping() -> object:
    """The locks of unmapping a THP."""
    m = _memory()
    m.munmap(m.thp(), 512)
    return m.locks()


def _calls_of_a_dirty_entry() -> object:
    """The rmap events of unmapping three pages of a file, the first of them dirty."""
    m = _memory()
    p = m.mmap(3, kind="shared", file=m.file("lib", 3))
    m.write(p)
    m.read(p + 1, 2)
    m.munmap(p, 3)
    return [str(event) for event in m.machine.trace]


def _setting() -> object:
    """Is ``set page_mapcount off`` refused?"""
    session = Session()
    session.execute(f"set profile {DEFAULT.version}")
    try:
        session.execute("set page_mapcount off")
    except Refused as refused:
        return str(refused)
    return None


def _entry_of_a_dirty_folio() -> object:
    """Is the entry dirty that a read through a writable shared mapping of tmpfs installs?"""
    m = _memory()
    p = m.mmap(4, kind="shared", file=m.file("f", 4, fs="tmpfs"))
    m.read(p)
    return bool(m.kernel.entry(m.mm("A"), p) & pte.DIRTY)


def _locked_file_folio() -> object:
    """Is a page-cache folio mlocked that mlock maps whole?"""
    m = _memory()
    p = m.mmap(16, prot="r", kind="shared", file=m.file("f", 32, order=4))
    m.mlock(p, 16)
    return m.folio(p).mlocked


def _orders_of_read_ahead() -> object:
    """The orders of the folios that windows of read-ahead bring, the second from a page that is no multiple of any."""
    m = _memory()
    m.kernel.config.fault_around = 1
    m.kernel.config.read_ahead = 16
    file = m.file("f", 256, cached=False)
    p = m.mmap(256, kind="private", file=file)
    for page in (226, 230):
        m.read(p + page)
    return [(folio.index, folio.order) for folio in file.folios]


def _locks_of_dontneed() -> object:
    """The locks of a DONTNEED within one VMA."""
    m = _memory()
    p = m.mmap(4)
    m.write(p)
    m.madvise("dontneed", p, 4)
    return m.locks()


#: difference -> the recording, or the small scenario, whose outcome it changes
SHOWN_BY: dict[str, str | Callable[[], object]] = {
    "tracks_mm_owners": _locks_of_unmapping,
    "page_mapcount_is_optional": _setting,
    "pagemap_looks_at_each_page": "d11_child_dontneed",
    "reuses_large_folios": "d05_disjoint_munmap",
    "allocates_thp_on_huge_zero_write": "c02_huge_zero",
    "fault_maps_whole_file_folio": "fuzz0055",
    "fault_around_maps_whole_folio": "h07_tmpfs_huge_remove",
    "fault_around_spares_last_folio": "fuzz0057",
    "inherits_dirty_of_folio": _entry_of_a_dirty_folio,
    "mlocks_fully_mapped_folio": _locked_file_folio,
    "ext4_has_large_folios": "g10_pmd_file",
    "aligns_read_ahead_window": _orders_of_read_ahead,
    "splits_around_hole": "h07_tmpfs_huge_remove",
    "delays_rmap_of_dirty": _calls_of_a_dirty_entry,
    "madvise_by_vma_lock": _locks_of_dontneed,
    "frees_empty_pte_tables": "ptl/madv_dontneed__pte_thp_whole__excl",
    "collapses_read_only_range": "c24_collapse_shared",
    "collapse_batches": "ptl/madv_collapse_pte_mapped_thp",
    "mprotect_batches": "found/mprotect_batches_dirty",
    "mremap_moves_several_vmas": "i04_move_holes",
    "unmaps_lazyfree_batches": "found/lazyfree_reclaim_thp",
}


def _outcome(shown_by: str | Callable[[], object]) -> object:
    if callable(shown_by):
        return shown_by()
    document: dict[str, Any] = json.loads(gzip.decompress((RECORDINGS / f"{shown_by}.json.gz").read_bytes()))
    if shown_by.startswith("ptl/"):
        return ptl.trace(ptl.parse(document).scenario, DEFAULT.version)
    return emit(document["scenario"], DEFAULT.version)


def test_no_difference_is_without_a_witness() -> None:
    """Each difference names what it changes."""
    assert SHOWN_BY.keys() == DIFFERENCES.keys()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_every_difference_changes_an_outcome(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has this one difference the other way is seen to do otherwise."""
    before = _outcome(SHOWN_BY[name])
    flipped = replace(DEFAULT, **{name: not getattr(DEFAULT, name)})
    monkeypatch.setattr(machine, "RELEASES", {DEFAULT.version: flipped})

    assert _outcome(SHOWN_BY[name]) != before


def test_rows_follow_from_versions() -> None:
    """A release has what came up to its version and has not gone; a row may say otherwise."""
    row = release("6.16", "6.16.12", MM_ID, mprotect_batches=True)

    assert [row.reuses_large_folios, row.unmaps_lazyfree_batches] == [True, True]
    assert [row.fault_maps_whole_file_folio, row.pagemap_looks_at_each_page] == [False, False]
    assert row.mprotect_batches


@pytest.mark.parametrize("otherwise", [{"mprotect_batches": True}, {"maps_backwards": True}])
def test_a_row_says_nothing_twice(otherwise: dict[str, bool]) -> None:
    """What a row adds is known, and is not what the version says already."""
    with pytest.raises((AssertionError, KeyError)):
        release("6.18", "6.18.44", MM_ID, **otherwise)


def test_releases_are_ordered() -> None:
    """Oldest first, each with the point release it was read from."""
    versions = [tuple(map(int, version.split("."))) for version in RELEASES]

    assert versions == sorted(versions)
    assert all(row.point.startswith(f"{version}.") for version, row in RELEASES.items())


def _deciders(row: Release) -> dict[SharingQuestion, str]:
    m = Memory()
    m.machine.set_profile(row.version)
    return {question: getattr(m.kernel.deciders[question], "name", "") for question in SharingQuestion}


@pytest.mark.parametrize("row", RELEASES.values(), ids=list(RELEASES))
def test_a_decider_per_question(row: Release) -> None:
    """Each question goes to the release's scheme, or to a comparison of counts; the books are the release's too."""
    exact = {question for question, name in _deciders(row).items() if not name}
    m = Memory(row.version)

    assert exact == {SharingQuestion.COLD_WHOLE, SharingQuestion.FREE_WHOLE}
    assert set(_deciders(row).values()) == {row.policy.decider, ""}
    assert m.kernel.counts is m.machine.schemes[row.policy.books]


def test_a_new_release_is_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """6.16 recombines what is known: it reuses pages of large folios, and moves one VMA at a time."""
    monkeypatch.setattr(machine, "RELEASES", {**RELEASES, "6.16": release("6.16", "6.16.12", MM_ID)})
    m = Memory("6.16")
    p = m.pte_thp()
    m.fork("B")
    m.exit("B")
    before = m.pfn(p)
    m.write(p)

    assert m.pfn(p) == before
    m.mprotect(p + 10, 1, "r")
    assert m.mremap(p + 8, 4, m.place()) == "EFAULT"


def test_set_decide_answers_every_question() -> None:
    """A scheme that was set takes the place of all; the release's own brings its comparisons back."""
    m = Memory()
    m.machine.decide("vmas")
    assert {getattr(m.kernel.deciders[question], "name", "") for question in SharingQuestion} == {"vmas"}
    m.machine.decide("mm-id")
    assert m.kernel.deciders[SharingQuestion.COLD_WHOLE] is None

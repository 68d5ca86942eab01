"""Faults that are taken as one, and folios that are kept as a run, are what single ones would be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.model.folios import FolioRun, Folios
from folioshell.model.lock import LockOp
from folioshell.model.mapping import AddressSpace
from folioshell.paths import fault, gup, madvise_hints, reclaim
from folioshell.report import LockRow
from folioshell.session.history import Happening
from folioshell.session.step_events import lock_rows
from tests.fingerprint import fingerprint
from tests.paths.histories import COMMAND, PLACE

#: lines that fault pages in by other means than an access; of files, fault-around maps pages that are cached
POPULATE = st.one_of(
    st.builds("madvise populate_{} {}".format, st.sampled_from(("read", "write")), PLACE),
    st.builds("{} {}".format, st.sampled_from(("mlock", "munlock", "pin", "unpin")), PLACE),
    st.builds("madvise willneed {}".format, PLACE),
    st.builds("set fault_around {}".format, st.sampled_from(("4K", "16K", "64K"))),
)
#: lines that write pages to swap and bring them back
SWAP = st.one_of(
    st.builds("{}madvise pageout {}".format, st.sampled_from(("", "B: ")), PLACE),
    st.builds("{}{} {}".format, st.sampled_from(("", "B: ")), st.sampled_from(("read", "write")), PLACE),
    st.sampled_from(("madvise pageout buf", "read buf", "write buf", "fork B", "exit B", "mlock buf", "munlock buf")),
    st.builds("{} f{}".format, st.sampled_from(("reclaim", "migrate")), st.integers(1, 60)),
    st.builds("munmap {}".format, PLACE),
    st.builds("madvise populate_write {}".format, PLACE),
)
#: lines after which there are runs, or swap entries in a row
BEFORE = (
    "write buf[3..25] ; madvise populate_write buf",
    "madvise populate_write buf[9..13] ; write buf ; madvise pageout buf",
    "write buf ; madvise pageout buf ; fork B",
    "write buf ; fork B ; write buf[0..20] ; B: madvise pageout buf",
    "write buf ; madvise pageout buf ; read buf",
)
#: kinds of memory, as typed
KINDS = (
    *("anon", "shared", "file=lib private prot=rw", "file=lib shared", "file=cold private", "file=cold shared"),
    *("file=tmp shared", "file=hole private prot=rw"),
)


@contextmanager
def one_by_one() -> Iterator[None]:
    """Nothing is batched: each page is faulted in, looked up and mapped alone."""
    with ExitStack() as patches:
        patches.enter_context(mock.patch.object(fault, "equal_faults", return_value=1))
        patches.enter_context(mock.patch.object(gup, "_alike", return_value=1))
        patches.enter_context(mock.patch.object(AddressSpace, "alike_after", return_value=[]))
        patches.enter_context(mock.patch.object(madvise_hints, "small_pte_batch", return_value=1))
        patches.enter_context(mock.patch.object(reclaim, "_equal_folios", return_value=1))
        yield


def played(commands: Sequence[str], kind: str = "anon") -> Session:
    """A session in which the commands were typed; those that are refused are left out."""
    session = Session()
    session.execute("set geometry classroom ; set swap on ; file lib 40 cached ; file tmp 40 fs=tmpfs cached")
    session.execute("file hole 40 fs=tmpfs ; file cold 40")
    session.execute(f"mmap buf 32 {kind}")
    for command in commands:
        try:
            session.execute(command)
        except Refused:
            continue
    return session


def acquisitions(session: Session) -> list[Counter[tuple[str, str, str]]]:
    """Step -> (verb, lock, function) -> how often it was done; folios of a run have locks of their own."""
    return [Counter(chain.from_iterable(map(_singly, record.trace))) for record in session.workspace.journal]


def _singly(happening: Happening) -> Iterator[tuple[str, str, str]]:
    if not isinstance(happening, LockOp):
        return
    first, _, last = happening.lock.owner.partition("..")
    names = [f"f{number}" for number in range(int(first[1:]), int(last[1:]) + 1)] if last else [first] * happening.times
    assert len(names) == happening.times
    for name in names:
        yield happening.verb, f"{happening.lock.lock_class.value}({name})", happening.function


@given(st.lists(COMMAND | POPULATE, min_size=1, max_size=12), st.sampled_from(KINDS))
def test_same_state_as_by_single_faults(commands: list[str], kind: str) -> None:
    """Whatever is done to runs and to parts of them, every object and number is as after faults one by one."""
    together = played(commands, kind)
    with one_by_one():
        apart = played(commands, kind)

    assert together.workspace.machine.check() == []
    assert fingerprint(together.workspace.machine) == fingerprint(apart.workspace.machine)
    assert [entry.result for entry in together.history.entries] == [entry.result for entry in apart.history.entries]
    assert list(together.workspace.kernel.folios) == list(apart.workspace.kernel.folios)
    assert acquisitions(together) == acquisitions(apart)


@pytest.mark.parametrize("command", ["fork B", "exit A", "munmap buf", "madvise dontneed buf", "mprotect buf r"])
def test_steps_leave_runs_whole(command: str) -> None:
    """What is done to many folios alike is done to their run: nobody is taken out of it."""
    session = Session()
    session.execute("mmap buf 1200 ; fault buf ; fork C ; as A")
    session.execute(command)
    groups = list(session.workspace.kernel.folios.groups())

    assert len(groups) <= 4


def test_report_is_that_of_single_faults() -> None:
    """The same rows of folios and locks, however the faults were taken."""
    lines = (
        "mmap buf 40",
        "fault buf[0]",
        "fault buf",
        "fork B",
        "B: fault buf[3..9] write",
        "fault buf[2..4]",
        "B: write buf",
        "exit B",
        "mmap zero 20 ; read zero[1..18] ; write zero",
        "fork C ; munmap zero[3] ; write zero[0..9] ; write buf ; write buf",
        "file lib 10 ; mmap text 10 private file=lib prot=rw ; write text[2..7] ; fork D ; write text",
        "mmap sh 20 shared ; write sh[1..6] ; munmap sh[3] ; write sh[4..19] ; write sh",
        "mlock zero ; fork E ; E: write zero ; write zero",
        "mmap new 600 populate ; pin new[2..590] ; fork F ; F: pin new[500..530] ; F: madvise populate_write new",
        "mmap more 40 ; madvise populate_read more[3..9]",
        "madvise populate_write more ; mlock more ; unpin new[2..590]",
        "file big 60 cached ; mmap one 60 file=big ; read one[5] ; read one ; fork G ; G: read one",
        "mmap two 40 shared ; madvise populate_write two ; pin two[2..7]",
        "set fault_around 4K ; G: mmap each 60 file=big shared ; G: read each[3..9] ; G: read each ; G: write each",
        "file disk 60 ; mmap late 60 file=disk ; read late ; mmap later 60 file=disk shared ; write later ; exit G",
        "file tmp 60 fs=tmpfs ; mmap hole 60 file=tmp ; read hole[9] ; mmap sparse 60 file=tmp shared ; read sparse",
        "fork H ; H: munmap sparse[5] ; H: madvise populate_read hole ; H: write sparse ; write sparse",
    )

    def reports() -> list[object]:
        session = Session()
        return [(report.folios, report.locks, report.sentence) for line in lines for report in session.execute(line)]

    together = reports()
    with one_by_one():
        assert together == reports()


def test_reading_leaves_a_run_whole_and_singling_out_does_not() -> None:
    """Who changes one folio gets it alone; the others stay together. What readers get cannot be written to."""
    session = Session()
    session.execute("mmap buf 100 ; fault buf[0] ; fault buf")
    kernel = session.workspace.kernel
    assert [nr for _, nr in kernel.folios.groups()] == [100]

    read = kernel.folios[50]
    assert (read.id, read.pfn) == (50, kernel.folios[2].pfn + 48)
    with pytest.raises(AttributeError, match="single it out"):
        read.dirty = True
    assert [folio.id for folio in kernel.folios.values()] == list(range(1, 101))
    assert kernel.folio_at(kernel.mms["A"], 0x7F0000000 + 49)[0].id == 50  # type: ignore[index]
    assert [nr for _, nr in kernel.folios.groups()] == [100]

    folio = kernel.folios.single_out(50)
    folio.dirty = True
    assert kernel.folios[50] is folio is kernel.physmem.folio(folio.pfn) is kernel.physmem.single_out(folio.pfn)
    assert [(first.id, nr) for first, nr in kernel.folios.groups()] == [(1, 49), (50, 1), (51, 50)]
    assert kernel.folios.orders(1, 101) == [(1, 100, 0), (101, 1, None)]
    assert isinstance(kernel.physmem.at(folio.pfn + 1), FolioRun)
    assert len(kernel.folios) == 100
    assert kernel.folios.get(101) is None and 101 not in kernel.folios
    with pytest.raises(KeyError):
        kernel.folios[101]
    with pytest.raises(KeyError):
        kernel.folios.single_out(101)


def test_runs_rejoin_where_folios_are_still_alike() -> None:
    """Folios that were kept apart are runs again, but for those that were changed or are gone meanwhile."""
    session = Session()
    session.execute("mmap buf 10 ; fault buf")
    folios = session.workspace.kernel.folios
    (numbers,) = folios.keep_apart()
    assert (numbers, folios.nr_groups) == (range(1, 11), 10)
    session.execute("munmap buf[2] ; pin buf[7] ; madvise free buf[9]")
    folios.join([numbers])

    assert [(first.id, nr) for first, nr in folios.groups()] == [(1, 2), (4, 4), (8, 1), (9, 1), (10, 1)]
    assert session.workspace.machine.check() == []
    session.execute("unpin buf[7] ; exit")
    assert not len(folios)


def test_what_a_child_copied_and_left_joins_its_run_again() -> None:
    """After children that copied scattered pages have exited, the heap is as few runs as before, and forks as fast."""
    session = Session()
    session.execute("mmap buf 1200 ; write buf ; fork B ; exit B")
    folios = session.workspace.kernel.folios
    fresh = [(first.id, nr) for first, nr in folios.groups()]
    session.execute("fork C ; C: write buf[700] ; C: write buf[3] ; C: write buf[511..513]")
    assert len(list(folios.groups())) > len(fresh)
    session.execute("exit C")

    assert [(first.id, nr) for first, nr in folios.groups()] == fresh
    assert session.workspace.machine.check() == []


@given(st.lists(COMMAND, min_size=1, max_size=12))
def test_same_state_without_joined_runs(commands: list[str]) -> None:
    """Folios that joined a run again are what they would be had they stayed alone."""
    joined = played(commands)
    with mock.patch.object(Folios, "join"):
        apart = played(commands)

    assert joined.workspace.machine.check() == []
    assert fingerprint(joined.workspace.machine) == fingerprint(apart.workspace.machine)
    assert list(joined.workspace.kernel.folios) == list(apart.workspace.kernel.folios)


def locks(session: Session) -> list[list[LockRow]]:
    """Step -> the page-table locks that it took, in order."""
    return [lock_rows(record.trace) for record in session.workspace.journal]


def slots(session: Session) -> tuple[list[int], list[int], list[int]]:
    """What is known of the slots of the swap device."""
    kept = session.workspace.kernel.slots
    return list(kept.counts), list(kept.cache), list(kept.nonzero)


@given(
    st.sampled_from(BEFORE),
    st.lists(SWAP, min_size=1, max_size=8),
    st.sampled_from(("6.18", "6.18", "7.3", "6.1", "5.10")),
    st.sampled_from(("on", "on", "sync")),
)
def test_same_state_as_by_single_pages_of_swap(before: str, commands: list[str], profile: str, device: str) -> None:
    """Pages that are written to swap, or brought back, together are what they are one by one; so are slots."""
    lines = [f"set profile {profile}", f"set swap {device}", *before.split(" ; "), *commands]
    together = played(lines)
    with one_by_one():
        apart = played(lines)

    assert together.workspace.machine.check() == []
    assert fingerprint(together.workspace.machine) == fingerprint(apart.workspace.machine)
    assert slots(together) == slots(apart)
    assert acquisitions(together) == acquisitions(apart)
    assert locks(together) == locks(apart)


def test_report_of_swap_is_that_of_single_pages() -> None:
    """The same sentences, walks and locks, and the same costs and counters."""
    lines = (
        "set swap on ; mmap buf 1200 ; write buf[0..900] ; mmap other 20 ; write other",
        "madvise pageout buf[3..9] ; read buf[4..7] ; write buf[0..9]",
        "madvise pageout buf ; read buf[100..700] ; madvise pageout buf[150..600] ; fork B",
        "B: read buf ; read buf[20..800] ; B: write buf[300..400] ; write buf[9..350] ; exit B",
        "munlock other ; madvise pageout other ; mlock other ; munmap buf[200..500]",
        "show stats",
        "cost",
    )

    def reports() -> list[object]:
        session = Session()
        found = [report for line in lines for report in session.execute(line)]
        return [(one.sentence, one.folios, one.walks, one.locks, one.sections) for one in found]

    together = reports()
    with one_by_one():
        assert together == reports()


def test_pages_from_swap_are_a_run() -> None:
    """Folios in the swap cache are kept as a run, written to swap as one, and single again when they are freed."""
    session = Session()
    session.execute("set swap on ; mmap buf 100 ; write buf ; madvise pageout buf ; read buf")
    folios = session.workspace.kernel.folios
    ((first, nr),) = folios.groups()
    assert (nr, first.ref, first.swap_slot, folios[first.id + 9].swap_slot) == (100, 2, 1, 10)

    session.execute("madvise pageout buf ; write buf")
    assert [(first.swap_slot, nr) for first, nr in folios.groups()] == [(None, 100)]
    session.execute("madvise pageout buf ; read buf ; munmap buf")
    assert not len(folios)
    assert not any(session.workspace.kernel.slots.counts)
    assert session.workspace.machine.check() == []


def test_a_scheme_that_cannot_tell_is_asked_about_folios_of_a_run() -> None:
    """Whoever answers maybe has the folio locked and its reverse map walked: it leaves its run."""
    session = Session()
    session.execute("mmap buf 4 ; write buf ; fork B ; set decide anon-exclusive ; madvise cold buf")
    (report,) = session.execute("madvise cold buf[1..2]")

    assert report.sentence == "madvise(buf[1..2], MADV_COLD): f2..f3 shared? maybe (anon-exclusive); 2 rmap walks."

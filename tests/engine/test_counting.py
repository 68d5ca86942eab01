"""Which schemes count, and one that joins later: its numbers are those that it would have had from the start."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.engine.machine import Machine
from folioshell.events import (
    CALLBACKS,
    FolioFreed,
    FolioNew,
    Forked,
    Mapped,
    Mlocked,
    MmGone,
    Rmap,
    Tracepoint,
    Unmapped,
    Walked,
)
from folioshell.explore.snapshot import Snapshot
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.order0 import Order0Scheme, share_order0
from folioshell.session.history import StepRecord
from folioshell.session.workspace import Workspace
from tests.fingerprint import fingerprint
from tests.schemes.costs import mapped, small_mapped, small_unmapped

LINES = (
    "set thp.64K always ; mmap buf 64 ; write buf ; fork B",
    "B: munmap buf[4..19] ; mprotect buf[8..23] r ; exit B",
    "file lib 64 order=4 ; mmap win 32 file=lib ; read win ; fork C",
    "mremap win 32 new=other ; C: madvise dontneed win[3..9]",
    "set thp.2M always ; mmap big 512 align=512 ; write big ; fork D ; D: write big[7] ; munmap big[0..99]",
)


def counting(session: Session) -> set[str]:
    """The schemes that count at present."""
    return set(session.workspace.machine.schemes.counting)


def run(session: Session, *lines: str) -> None:
    """Execute lines, none of which is refused."""
    for line in lines:
        session.execute(line)


def answers(session: Session, name: str) -> list[object]:
    """All that a scheme says about every folio."""
    scheme, kernel = session.workspace.machine.schemes[name], session.workspace.kernel
    mms = [mm.mm_id for mm in kernel.mms.values()]
    return [
        (folio, scheme.mapcount(folio), scheme.why(folio), [scheme.shared(folio, mm) for mm in mms])
        for folio in range(1, 40)
    ]


def test_at_the_prompt_all_count() -> None:
    """So that a question after a long history is answered at once."""
    assert counting(Session()) == set(all_schemes())


def test_on_demand_only_those_in_use_count() -> None:
    """The shown ones, and those that the kernel acts on."""
    session = Session(counting=())
    acting = {"mm-id", "exact-fit"}
    assert counting(session) == acting
    run(session, "set schemes vmas,tuples ; mmap buf 4 ; write buf")
    assert counting(session) == acting | {"vmas", "tuples"}
    run(session, "set decide likely ; set schemes owner ; fork B")
    assert counting(session) == acting | {"vmas", "tuples", "likely", "owner"}
    assert list(session.workspace.machine.schemes) == list(all_schemes())


@pytest.mark.parametrize("joins_at", [0, 2, len(LINES)])
def test_schemes_that_join_later_have_the_numbers_of_those_that_counted_all_along(joins_at: int) -> None:
    """Whenever they join, and also after what comes then."""
    whole, late = Session(), Session(counting=())
    for number, line in enumerate((*LINES, "fork E")):
        if number == joins_at:
            for name in all_schemes():
                assert answers(late, name) == answers(whole, name)
        run(whole, line)
        run(late, line)
    for name in all_schemes():
        assert answers(late, name) == answers(whole, name)


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_joining_does_not_matter(order: int) -> None:
    """Records are shared between old and new schemes; fingerprints cover every answer of every scheme."""
    whole, late = Session(), Session(counting=())
    names = [*all_schemes()][::order]
    for number, line in enumerate((*LINES, "fork E", "E: write buf", "exit E")):
        for name in names[2 * number : 2 * number + 2]:
            assert late.workspace.machine.schemes[name].name == name
        run(whole, line)
        run(late, line)
    assert fingerprint(late.workspace.machine) == fingerprint(whole.workspace.machine)


def test_undo_and_redo_keep_the_numbers_right() -> None:
    """By replay, with schemes that joined at a state that is undone."""
    whole, late = Session(), Session(counting=())
    for session in (whole, late):
        run(session, *LINES)
    assert answers(late, "per-page") == answers(whole, "per-page")
    for line in ("undo 5", "redo 2", "undo 9", "fork E", "undo"):
        run(whole, line)
        run(late, line)
        assert fingerprint(late.workspace.machine) == fingerprint(whole.workspace.machine)


def test_a_checkpoint_knows_which_schemes_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restoring one drops those that joined since; they join again with the right numbers."""
    monkeypatch.setattr("folioshell.session.checkpoints.FEWEST_EVENTS", 1)
    monkeypatch.setattr("folioshell.session.checkpoints.EVENTS_AN_OBJECT", 0)
    late, whole = Session(counting=()), Session()
    for session in (late, whole):
        session._checkpoints._due = 1
        run(session, *LINES[:2])
    run(late, "mmap more 4")
    machine = late.workspace.machine
    assert machine.schemes["total-pages"].mapcount(1) == whole.workspace.machine.schemes["total-pages"].mapcount(1)
    run(late, "undo")
    assert late.workspace.machine is machine
    assert "total-pages" not in counting(late)
    assert fingerprint(machine) == fingerprint(whole.workspace.machine)


def test_rewinding_forgets_what_was_yielded_since() -> None:
    """A scheme that joins after a rewind is not folded over steps that were taken back."""
    machine = Machine(counting=())
    machine.announce(FolioNew(1, 4, True))
    machine.announce(mapped(4))
    mark, snapshot = machine.mark(), Snapshot([machine.kernel, *machine.schemes.counting.values()])
    machine.begin()
    machine.announce(small_mapped(2, 3))
    assert machine.schemes["vmas"].mapcount(2) == 1
    snapshot.restore()
    machine.rewind(mark)
    assert "vmas" not in machine.schemes.counting
    machine.announce(small_mapped(3))
    assert [machine.schemes["vmas"].mapcount(folio) for folio in (1, 2, 3)] == [1, 0, 1]


def test_a_scheme_may_join_within_a_step() -> None:
    """It is folded over the events of the step so far, and counts the rest of them."""
    machine = Machine(counting=())
    machine.announce(small_mapped(1, 2))
    machine.begin()
    machine.announce(small_mapped(1, mm=2))
    assert machine.schemes["owner"].mapcount(1) == 2
    machine.announce(small_unmapped(1, 2))
    machine.announce(FolioFreed(2, 0))
    assert [machine.schemes["owner"].mapcount(folio) for folio in (1, 2)] == [1, 0]


def test_reports_of_a_script_do_not_depend_on_who_counts() -> None:
    """Every question of every kind gives the same reports, whether all schemes count or those in use."""
    runs = [Session(), Session(counting=())]
    questions = ("query shared? f1", "why f1 per-page-v5", "cost", "set schemes all", "cost", "query mapcount f1")
    for line in ("file lib 32 order=4 ; mmap win 32 file=lib ; read win ; fork B ; B: read win", *questions, "exit B"):
        told = [session.execute(line) for session in runs]
        assert told[0] == told[1], line


def test_every_event_has_a_callback() -> None:
    """Also those that no scheme of ours overrides; a scheme that does gets them."""
    seen: list[str] = []

    def note(self: Scheme, event: object) -> None:
        seen.append(CALLBACKS[type(event)])

    members = dict.fromkeys(CALLBACKS.values(), note)
    kind = type("Nosy", (all_schemes()["vmas"],), {**members, "name": "nosy"}, register=False)
    machine = Workspace({"nosy": kind}).machine
    for event in (FolioNew(1, 4, True), Forked(1, 2), mapped(4), Walked(1, "test", ()), MmGone(2), Tracepoint("text")):
        machine.announce(event)
    assert seen == ["on_folio_new", "on_forked", "on_mapped", "on_walked", "on_mm_gone", "on_tracepoint"]


def test_fork_and_exit_are_announced() -> None:
    """By kernel paths: the fork before what the child maps, the exit after all that the mm mapped."""
    session = Session()
    run(session, "mmap buf 4 ; write buf", "fork B", "exit B")
    *_, fork, end = session.workspace.journal
    rmap = [type(event) for event in fork.events() if isinstance(event, Rmap | Forked)]
    assert rmap[0] is Forked
    assert set(rmap[1:]) == {Mapped}
    last = [type(event) for event in end.events() if isinstance(event, Rmap | MmGone)]
    assert last[-1] is MmGone
    assert set(last[:-1]) == {Unmapped}


def test_mlock_of_mapped_folios_is_announced() -> None:
    """Once for each large folio and for each run of small ones; what mlock faults in says so by ``locked``."""
    session = Session()
    run(session, "file lib 32 order=4 ; mmap win 32 file=lib prot=r ; mmap buf 16", "read win[0..15] ; write buf[0..7]")
    run(session, "mlock win", "mlock buf", "munlock buf[4..7]")
    *_, win, buf, undone = session.workspace.journal

    def told(record: StepRecord) -> list[tuple[list[int], int]]:
        return [(list(event.folios), event.sign) for event in record.events() if isinstance(event, Mlocked)]

    assert told(win) == [([1], 1)]
    assert [event.folio for event in win.events() if isinstance(event, Mapped) and event.locked] == [2]
    assert told(buf) == [([*range(3, 11)], 1)]
    assert told(undone) == [([7, 8, 9, 10], -1)]
    (report,) = session.execute("trace events")
    assert "f7..f10 munlocked by A" in str(report)


def test_a_scheme_that_counts_more_keeps_its_own_record() -> None:
    """One that overrides count_small() and does not ask for the common record cannot spoil it; ours reads it."""

    class Twice(Order0Scheme, register=False):
        """Counts each entry twice."""

        name = "twice"
        version = state = "none"
        about = ("a", "b")

        def count_small(self, event: Rmap) -> None:
            super().count_small(event)
            super().count_small(event)

        def shared(self, folio: int, mm: int) -> Sharing:
            return Sharing.NO

        def bytes_of_state(self, order: int) -> int:
            return 0

    entries, twice, counters = all_schemes()["vmas"](), Twice(), all_schemes()["zero-one-two-many"]()
    readers = [*share_order0([twice, entries, counters])]
    for scheme in (twice, entries, counters):
        scheme.on_mapped(small_mapped(1, mm=1))
        scheme.on_mapped(small_mapped(1, mm=2))

    assert readers == []
    assert [scheme.mapcount(1) for scheme in (twice, entries, counters)] == [4, 2, 2]

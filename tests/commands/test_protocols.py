"""Tests of set protocol, hangs, locks order, protocols, and threads by hand."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.export.document import document
from folioshell.export.schema import adapter
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.report import Report, Table, Text
from folioshell.script.runner import run_text
from tests.fingerprint import fingerprint

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504"
HANG = f"{STRADDLE} ; fault win[0] ; madvise dontneed win[0..2] ; set decide vmas ; set protocol as-mailed"


def one(session: Session, line: str) -> Report:
    """The report of the last command of a line."""
    return session.execute(line)[-1]


def test_a_protocol_wants_the_definition_that_it_counts() -> None:
    """Without `set decide vmas` a protocol is refused; with another decider it is gone."""
    session = Session()
    with pytest.raises(Refused, match="act") as caught:
        session.execute("set protocol as-mailed")
    assert caught.value.hint == "`set decide vmas` first"

    session.execute("set decide vmas ; set protocol as-mailed")
    assert session.workspace.kernel.protocol.name == "as-mailed"  # type: ignore[union-attr]
    session.execute("set protocol none")
    assert session.workspace.kernel.protocol is None
    session.execute("set protocol lockless-look ; set decide tuples")
    assert session.workspace.kernel.protocol is None


def test_a_protocol_is_a_step() -> None:
    """Undo takes a protocol back, and a saved script sets it."""
    session = Session()
    session.execute("set decide vmas ; set protocol pmd-lock")

    assert session.script() == ["set decide vmas", "set protocol pmd-lock"]
    session.undo()
    assert session.workspace.kernel.protocol is None


def test_a_hang_is_reported_and_is_no_step() -> None:
    """A command that waits for its own lock: a finding in lockdep's words, and the state before it."""
    session = Session()
    session.execute(HANG)
    before, step = fingerprint(session.workspace.machine), session.step

    report = one(session, "fault win[0] read")

    assert report.step is None
    what = "recursive locking (AA deadlock) on pt1: folio_mapped_in_vma() acquires it, but its task holds it"
    assert report.findings == (f"{what} since filemap_map_pages() (as-mailed)",)
    (text,) = report.sections
    assert isinstance(text, Text)
    assert text.lines[0] == "WARNING: possible recursive locking detected"
    assert text.lines[-4:] == (
        "3 locks held by A:",
        "  #0: v1 (vm_lock) (R), at: lock_vma_under_rcu()",
        "  #1: f1 (folio lock), at: next_uptodate_folio()",
        "  #2: pt1 (ptlock_ptr(ptdesc)), at: filemap_map_pages()",
    )
    assert (fingerprint(session.workspace.machine), session.step) == (before, step)
    adapter().validate_python(document(report))


def test_a_script_goes_on_after_a_hang() -> None:
    """A hang does not stop a script; under `fails` it does, since no errno came."""
    runner = run_text(f"{HANG}\nfault win[0] read\nexpect present? win[0] == no\nexpect deadlocks == 1\n")
    list(runner)
    assert (runner.status, runner.expects) == (0, 2)

    runner = run_text(f"{HANG}\nfails EINVAL fault win[0] read\n")
    failures = [played.failure for played in runner if played.failure]
    assert failures == ["expected EINVAL, but it did not complete"]


def test_a_drift_is_said_after_the_step() -> None:
    """A step after which the protocol's number differs from the definition's says so."""
    session = Session()
    session.execute(f"{STRADDLE} ; write win[3] ; set decide vmas ; set protocol exclude-own")

    report = one(session, "fault win[0] read")

    assert report.findings == ("f1 miscounted: exclude-own counts 2 VMAs, expected 1",)
    assert one(session, "expect counted f1 == 2").expect.passed  # type: ignore[union-attr]


def test_counted_wants_a_protocol() -> None:
    """Without a protocol nobody has counted."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf[0]")

    with pytest.raises(Refused, match="no protocol counts"):
        session.execute("expect counted f1 == 1")


def test_the_hierarchy_is_printed() -> None:
    """Outermost first, and below it the orders that the last step showed, with lockdep's subclass."""
    session = Session()
    hierarchy = one(session, "locks order").sections[0]
    assert isinstance(hierarchy, Table)
    classes = [row[1] for row in hierarchy.rows]
    assert classes.index("MMAP") < classes.index("FOLIO") < classes.index("AVR") < classes.index("PTL")

    session.execute("mmap buf 16 ; fault buf ; fork B")
    seen = one(session, "locks order").sections[1]

    assert isinstance(seen, Table)
    assert ("PTL", "PTL/1") in [row[:2] for row in seen.rows]


@pytest.mark.full
def test_all_protocols_in_all_races() -> None:
    """The table has every protocol, and what is right is what neither deadlocks nor miscounts in any race."""
    matrix, totals, _ = one(Session(), "protocols").sections
    assert isinstance(matrix, Table) and isinstance(totals, Table)

    assert [row[0] for row in totals.rows] == list(PROTOCOLS)
    right = {row[0] for row in totals.rows if str(row[-1]).startswith("yes")}
    assert right == {"address-order", "trylock-retry", "pmd-lock", "folio-bit-lock"}
    for row in totals.rows:
        assert (row[0] in right) == (row[1] == row[2] == 0)
    words = {row[0]: row[1:] for row in matrix.rows}
    assert "deadlock" in words["own-table-first"] and "miscount" in words["own-table-first"]
    assert "livelock" in words["trylock-retry"]
    assert set(words["folio-bit-lock"]) == {"ok"}
    extra = {row[0]: row[3] for row in totals.rows}
    assert extra["folio-bit-lock"] == extra["lockless-look"] < extra["address-order"] < extra["pmd-lock"]  # type: ignore[operator]


def test_threads_by_hand() -> None:
    """Spawned threads go on one operation a step, hold what `show locks` says, and finish as one step."""
    session = Session()
    session.execute("mmap buf 16 ; spawn t1: fault buf[0] ; spawn t2: fault buf[1] ; step t1 ; step t1")

    locks = one(session, "show locks").sections[0]
    assert isinstance(locks, Table)
    assert locks.rows == (("VMA(v1)", "A.t1 (R)", ""),)
    assert session.step == 1
    with pytest.raises(Refused, match="spawned threads have not finished"):
        session.execute("fault buf[5]")

    report = one(session, "finish")

    assert (report.step, session.step, session.spawned) == (2, 2, None)
    assert report.command.startswith("race { A.t1: { fault buf[0] } ; A.t2: { fault buf[1] } } schedule=1,1,")
    assert one(session, "expect present? buf[1] == yes").expect.passed  # type: ignore[union-attr]


def test_a_wait_is_shown() -> None:
    """A thread that waits stands beside the holder, and cannot be stepped."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; spawn t1: munmap buf[0] ; spawn t2: munmap buf[1]")
    session.execute("step t1 ; step t1 ; step t2 ; step t2")

    locks = one(session, "show locks").sections[0]
    assert isinstance(locks, Table)
    assert locks.rows == (("MMAP(A)", "A.t1 (W)", "A.t2 (W)"),)
    with pytest.raises(Refused, match=r"A\.t2 waits for"):
        session.execute("step t2")
    assert one(session, "finish").result == {"ok": True}


def test_a_deadlock_by_hand() -> None:
    """Finishing runs into a deadlock: shown, no step, and the threads are forgotten."""
    session = Session()
    session.execute(f"{STRADDLE} ; write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read")
    session.execute("set decide vmas ; set protocol exclude-own")
    session.execute("spawn t1: madvise dontneed win[0..2] ; spawn t2: madvise dontneed win[8..10]")
    step = session.step

    report = one(session, "finish")

    assert report.findings[0].startswith("deadlock: A.t1 waits for pt2 (held by A.t2)")
    assert (session.step, session.spawned) == (step, None)


def test_undo_forgets_spawned_threads() -> None:
    """Going to another state ends what was under way."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf[0] ; spawn t1: fault buf[1] ; undo")

    assert session.spawned is None
    with pytest.raises(Refused, match="no thread is spawned"):
        session.execute("step t1")


def test_a_thread_runs_a_command() -> None:
    """`A.t1: verb …` wants a thread that exists; the history keeps its name."""
    session = Session()
    session.execute("mmap buf 16")
    with pytest.raises(Refused, match="A has no thread t1") as refused:
        session.execute("A.t1: fault buf[0]")
    assert (refused.value.start, refused.value.end) == (2, 4)

    session.execute("thread t1 ; A.t1: fault buf[0]")

    assert session.script()[1:] == ["thread t1", "A.t1: fault buf[0]"]
    session.undo()
    session.redo()
    assert one(session, "expect present? buf[0] == yes").expect.passed  # type: ignore[union-attr]


@pytest.mark.parametrize("protocol", ["address-order", "pmd-lock", "folio-bit-lock"])
@pytest.mark.parametrize("mapped", ["fault win[0]", "fault win[0] ; fault win[8]"])
def test_a_folio_across_two_pmd_tables(protocol: str, mapped: str) -> None:
    """What is right for a folio across two PTE tables is right across two PMD tables, the second there or not."""
    session = Session()
    session.execute(f"file lib 32 order=4 ; mmap win 16 file=lib prot=rw at=0x7f003fff8000 ; {mapped}")
    session.execute(f"set decide vmas ; set protocol {protocol}")

    for thread in ("fault win[8] read", "madvise dontneed win[8..15]"):
        report = one(session, f"race {{ A.t1: madvise dontneed win[0..7] ; A.t2: {thread} }}")

        assert report.extra["race"]["exhausted"]
        assert report.extra["race"]["findings"] == []
    assert len(session.workspace.kernel.mms["A"].tables.pmds) == mapped.count("fault")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("spawn t1: B: write buf", "a command in a race belongs to its thread"),
        ("spawn t1: fails EINVAL write buf", "`fails` does not go with a race"),
    ],
)
def test_a_spawned_command_is_one_of_a_race(line: str, message: str) -> None:
    """Neither the process before it nor what it would end with is dropped in silence."""
    session = Session()
    session.execute("mmap buf 4 ; fork B")
    with pytest.raises(Refused, match=message):
        session.execute(line)

    assert session.spawned is None


@pytest.mark.full
def test_finish_runs_long_commands_to_their_end() -> None:
    """A thread has three switch points a page here."""
    session = Session()
    session.execute("mmap buf 340 ; spawn t1: write buf ; finish")

    assert session.step == 2

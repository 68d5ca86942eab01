"""Checkpoints: a shorter way to a state, and never to another one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.session import checkpoints
from folioshell.session.workspace import Workspace
from tests.fingerprint import fingerprint

LINES = (
    *("set swap on", "mmap buf 40", "fault buf", "fork B", "B: write buf[3..9]", "file lib 32 order=4", "thread t2"),
    *("mmap win 16 file=lib align=512 skew=504", "fault win", "B: madvise pageout buf[0..2]", "munmap buf[5..6]"),
    *("as B", "mmap huge 512", "madvise hugepage huge", "write huge", "fork C", "mprotect huge[7] r", "exit A"),
    *("set decide tuples", "madvise cold huge", "migrate f1", "exit C", "write buf", "munmap huge[100..200]", "exit B"),
)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A checkpoint after every step, ten of them."""
    monkeypatch.setattr(checkpoints, "FEWEST_EVENTS", 0)
    monkeypatch.setattr(checkpoints, "EVENTS_AN_OBJECT", 0)
    monkeypatch.setattr(checkpoints, "MOST_KEPT", 10)
    return


def state(session: Session) -> tuple[object, ...]:
    """All that can be seen of the state."""
    workspace = session.workspace
    journal = [(record.number, record.command, [str(event) for event in record.trace]) for record in workspace.journal]
    return session.prompt, fingerprint(workspace.machine), journal, list(workspace.regions), repr(workspace.threads)


def test_ways_back_lead_to_the_same_states(often: None) -> None:
    """Back, forth, and on again from a checkpoint: every state is what it was, and so is what the next step does."""
    session = Session()
    states = [state(session)]
    for line in LINES:
        session.execute(line)
        if session.step == len(states):
            states.append(state(session))
        else:
            states[session.step] = state(session)

    for position in (23, 17, 20, 4, 22, 9, 10, 11, 23, 0, 23):
        session.execute(f"goto {position}")
        assert state(session) == states[position]
    session.execute("undo 3")
    for line in LINES[-4:]:
        session.execute(line)
    assert state(session)[1:] == states[-1][1:]
    assert session.workspace.machine.check() == []


def test_a_step_that_was_forgotten_is_no_checkpoint(often: None) -> None:
    """After another step in its place, the way leads along that one."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf[0..3] ; undo ; fault buf[8..15] ; fork B ; undo ; undo ; redo")

    fresh = Session()
    fresh.execute("mmap buf 16 ; fault buf[8..15]")
    assert state(session) == state(fresh)


def test_a_new_scheme_starts_from_the_beginning(often: None) -> None:
    """Checkpoints of machines without it are not come back to."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; fork B")
    session.load([])
    assert session._checkpoints.before(session.history.entries, 3) is None
    session.execute("reset ; mmap buf 16")
    assert session.workspace.step == 1


def test_a_replay_that_is_interrupted_is_made_up_for(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C on the way from a checkpoint leaves a state that nobody sees: the next command goes back first."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; fork B")
    before = state(session)
    with monkeypatch.context() as context:
        context.setattr(Session, "_replayed", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.execute("undo")
    assert session.is_cut_off

    session.execute("show")
    assert state(session) == before


def interrupted(*_: object) -> Iterator[None]:
    """A replay that does not come far."""
    raise KeyboardInterrupt
    yield


def test_when_they_are_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only after much was done for each object that they hold, and no more than a few are kept."""
    monkeypatch.setattr(checkpoints, "FEWEST_EVENTS", 500)
    monkeypatch.setattr(checkpoints, "EVENTS_AN_OBJECT", 3)
    session = Session()
    session.execute("set fault_around 4K ; file lib 600 ; mmap buf 600 file=lib shared")
    kept = session._checkpoints._kept
    for page in range(260):
        session.execute(f"read buf[{page * 7 % 600}]")
    assert 0 < len(kept) < 3
    monkeypatch.setattr(checkpoints, "MOST_OBJECTS", 100)
    held = list(kept)
    for page in range(260, 600):
        session.execute(f"read buf[{page * 7 % 600}]")
    assert kept == held


def test_what_a_definition_keeps_may_be_anything(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """If nobody knows how to copy it, the way back is the replay."""
    session = Session()
    session.workspace.machine.schemes["vmas"].memo = memoryview(b"")  # type: ignore[attr-defined]
    session.execute("mmap buf 16 ; fault buf ; undo")

    assert session._checkpoints._kept == []
    assert session.step == 1


def test_the_way_back_from_a_checkpoint_has_no_limits(often: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was admitted is not asked for again: a split may have mapped more entries than anybody asked for."""
    session = Session()
    session.host.limits = session.host.limits._replace(pages=24)
    session.execute("set geometry classroom ; mmap buf 8 ; madvise hugepage buf ; fault buf ; mmap a 8 ; fault a[0]")
    session.execute("fork B ; reclaim f1")
    monkeypatch.setattr(checkpoints, "FEWEST_EVENTS", 1 << 30)
    session.execute("fork C")
    before = state(session)
    session.execute("undo ; redo")

    assert state(session) == before
    with pytest.raises(Refused, match="would exceed the limit of 24 pages mapped"):
        session.execute("fork D")


def test_a_state_that_was_compared_is_not_replayed_again() -> None:
    """`diff` goes on from the state that it made the last time, and undo goes there. Every state is what it was."""
    session, other = Session(), Session()
    for at, line in enumerate(LINES):
        for one in (session, other):
            one.execute(line)
        compared = session.execute("diff")[0]
        fresh = Session()
        fresh.execute(" ; ".join(LINES[: at + 1]))
        assert (compared.sentence, compared.folios, compared.sections) == _compared(fresh)
    for _ in range(5):
        session.execute("undo ; diff ; undo ; redo")
        other.execute("undo")
        assert state(session) == state(other)


def _compared(session: Session) -> tuple[object, object, object]:
    report = session.execute("diff")[0]
    return report.sentence, report.folios, report.sections


def test_the_process_of_a_state_that_was_kept() -> None:
    """`as` after a step changes who is current in its state, also in one that is kept."""
    session = Session()
    session.execute("mmap buf 4 ; fork B ; write buf ; diff ; undo ; as B ; redo ; diff ; undo")
    assert session.process == "B"
    session.execute("redo ; diff 2 ; goto 1 ; redo")
    assert session.process == "B"


def test_a_checkpoint_is_opened_beside(often: None) -> None:
    """A state that is asked for is one of its own: what is done there or here does not change the other."""
    session = Session()
    expected = {}
    for line in LINES:
        session.execute(line)
        expected[session.step] = seen(session.workspace)
    present = state(session)
    for position in (22, 17, 20, 4, 9, 14, 22, 21):
        beside = session.replay(position)
        assert seen(beside) == expected[position]
        (statement,) = session.language.parse("mmap more 16 populate")
        beside.run(statement, beside.current)
        assert beside.machine.check() == []
        assert state(session) == present
    for checkpoint in session._checkpoints._kept:
        beside = checkpoint.opened(session._fresh_workspace())
        for _ in session._replayed(beside, session.step, "main"):
            pass
        assert seen(beside) == expected[session.step]
        assert state(session) == present
    session.execute("undo ; mmap late 4 ; undo ; redo")
    assert session.workspace.machine.check() == []


def seen(workspace: Workspace) -> tuple[object, ...]:
    """A state, for a workspace that no session has."""
    names = list(workspace.regions), {**workspace.process_names}, repr(workspace.threads)
    return fingerprint(workspace.machine), workspace.current, len(workspace.journal), *names


def test_a_scheme_that_joined_after_a_checkpoint(often: None) -> None:
    """It counts again where it had joined, also after a visit to a state in which it had not."""
    session = Session(counting=["per-page"])
    session.execute("set thp.64K always ; mmap buf 16 ; write buf ; fork B")
    assert session.workspace.machine.schemes["references"].mapcount(1) == 32
    session.execute("B: munmap buf[3] ; undo 3 ; redo 3")
    assert session.workspace.machine.schemes["references"].mapcount(1) == 31


def test_a_scheme_that_joins_on_another_branch(often: None) -> None:
    """It counts what was done on this branch, also if a checkpoint of it was come back to from another one."""
    session = Session(counting=["per-page"])
    session.execute("set thp.64K always ; mmap buf 16 ; write buf ; fork B ; branch other ; undo 2")
    session.execute("fork C ; C: write buf[3] ; goto main ; fork D")
    assert session.workspace.machine.schemes["references"].mapcount(1) == 48


def test_freed_folios_of_another_branch(often: None) -> None:
    """The order of a folio that is gone is that of the branch where it lived."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; mark here ; write buf ; munmap buf")
    assert session.workspace.order_of(1) == 4
    session.execute("branch other ; goto here ; set thp.64K never ; write buf ; munmap buf")
    assert session.workspace.order_of(1) == 0


def test_back_to_another_geometry(often: None) -> None:
    """A machine that was booted anew is left again with all that it had named."""
    session = Session()
    session.execute("set geometry classroom ; set geometry x86-64 ; undo ; fork B ; undo")
    assert list(session.workspace.process_names.values()) == ["A"]

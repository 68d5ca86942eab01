"""Tests of folioshell.session.session."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.errors import DeterminismError, KernelBug, Refused
from folioshell.session.workspace import Workspace
from tests.fingerprint import fingerprint

STRADDLE = ["file lib 32 order=4", "mmap win 16 file=lib align=512 skew=504", "fault win[0]", "fault win[8]"]


def session_after(*lines: str) -> Session:
    session = Session()
    for line in lines:
        session.execute(line)
    return session


def everything(session: Session) -> tuple[object, ...]:
    """All that can be printed of a session's state."""
    workspace = session.workspace
    return (fingerprint(workspace.machine), workspace.current, dict(workspace.regions), session.prompt)


def test_steps_and_prompt() -> None:
    """Commands that change state are steps; queries, expects, views and view settings are not."""
    session = Session()
    prompts = [session.prompt]
    for line in [*STRADDLE, "query shared? win[0]", "expect order f1 == 4", "show", "set after none", "fork B", "as B"]:
        session.execute(line)
        prompts.append(session.prompt)

    assert prompts == ["A 0>", "A 1>", "A 2>", "A 3>", "A 4>", "A 4>", "A 4>", "A 4>", "A 4>", "A 5>", "B 5>"]


def test_a_failure_in_the_kernel_is_a_step() -> None:
    """An errno or a signal is a result like any other."""
    session = session_after("mmap buf 4", "munmap buf[1]")
    (report,) = session.execute("mprotect buf r")

    assert report.result == {"errno": "ENOMEM"}
    assert (report.step, session.prompt) == (3, "A 3>")
    assert session.execute("write buf[0..1]")[0].result == {"signals": [[0, 2, "SIGSEGV"]]}


def test_refused_lines_change_nothing() -> None:
    """A refused command leaves state, labels, current process and history alone."""
    session = session_after(*STRADDLE, "fork B")
    before = everything(session)
    for line in (
        "mmap win 4",
        "mmap x 4 file=no",
        "as C",
        "fault win[16]",
        "C: fault win",
        "B: fork A",
        "undo 6",
        "exit C",
    ):
        with pytest.raises(Refused):
            session.execute(line)

    assert everything(session) == before
    assert len(session.history.entries) == 5


def test_a_line_is_read_whole_before_it_runs() -> None:
    """A word that cannot be parsed keeps the commands before it from running; a name that is missing does not."""
    session = Session()
    with pytest.raises(Refused):
        session.execute("mmap buf 4 ; falut buf")
    assert session.step == 0
    reports: list[object] = []
    with pytest.raises(Refused):
        reports.extend(session.stream("mmap buf 4 ; fault bfu"))
    assert session.step == 1


def test_undo_gives_ids_out_again() -> None:
    """After undo the same command makes the same ids."""
    session = session_after("mmap buf 4", "fault buf[0]")
    before = everything(session)
    session.execute("undo ; fault buf[1]")
    assert session.workspace.kernel.last_number("folio") == 1
    session.execute("undo ; fault buf[0]")

    assert everything(session) == before


def test_redo_restores_the_current_process() -> None:
    """As is no step, but redo comes back to where the user was."""
    session = session_after("mmap buf 4", "fork B", "as B", "fault buf")
    after = everything(session)
    session.execute("undo 2")
    assert session.prompt == "A 1>"
    session.execute("redo")
    assert session.prompt == "B 2>"
    session.execute("redo")

    assert everything(session) == after


def test_a_new_step_forgets_what_was_undone() -> None:
    """Without a branch the line goes on from where it is."""
    session = session_after("mmap buf 4", "undo", "mmap other 4")

    with pytest.raises(Refused, match="nothing to redo"):
        session.execute("redo")


def test_exit_of_the_current_process() -> None:
    """Its parent becomes current, else the first one that lives; the last one leaves nobody."""
    session = session_after("fork B", "as B", "fork C", "as C")
    assert (session.execute("exit"), session.process)[1] == "B"
    session.execute("exit A")
    assert (session.execute("exit"), session.prompt)[1] == "- 5>"
    with pytest.raises(Refused, match="no process is left") as refused:
        session.execute("exit")
    assert refused.value.hint == "`undo` goes back, `quit` ends the session"
    session.execute("undo")
    assert session.prompt == "B 4>"


def test_script_replays_to_the_same_state() -> None:
    """What save would write leads to the same state, failures and process switches included."""
    session = session_after(
        "mmap buf 8",
        "fault buf",
        "fork B",
        "as B",
        "munmap buf[2]",
        "mprotect buf r",
        "A: write buf[0]",
        "write buf[1]",
    )
    lines = session.script()
    assert "fails ENOMEM mprotect buf r" in lines
    assert "A: write buf[0]" in lines

    assert everything(session_after(*lines)) == everything(session)


def test_view_settings_survive_undo_and_reset_ends_them() -> None:
    """What is shown is not the simulated kernel's business."""
    session = session_after("mmap buf 4", "set schemes tuples", "undo")
    assert session.shown_schemes == ["tuples"]
    session.execute("reset")
    assert "vmas" in session.shown_schemes
    assert session.prompt == "A 0>"


class Interrupting:
    """A machine's run that is cut off in the middle of a path."""

    def __init__(self, run: object, error: BaseException) -> None:
        self.run = run
        self.error = error

    def __call__(self, path: Iterator[object]) -> None:
        for _ in range(3):
            next(path)
        raise self.error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), KernelBug("broken"), ZeroDivisionError()])
def test_a_command_that_is_cut_off_leaves_no_trace(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, a bug of the kernel's or of ours: the state before the command comes back, and the error is passed on."""
    session = session_after(*STRADDLE)
    before = everything(session)
    with monkeypatch.context() as patch:
        patch.setattr(session.workspace.machine, "run", Interrupting(session.workspace.machine.run, error))
        with pytest.raises(type(error)):
            session.execute("munmap win")

    assert everything(session) == before
    assert session.execute("munmap win")[0].step == 5


def test_an_interrupted_restoration_is_done_later(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the way back is cut off too, the next command goes it."""
    session = session_after(*STRADDLE)
    before = everything(session)
    broken = session.workspace.machine
    with monkeypatch.context() as patch:
        patch.setattr(broken, "run", Interrupting(broken.run, KeyboardInterrupt()))
        patch.setattr(session, "replay", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            session.execute("munmap win")
    assert session.execute("query shared? f1")[0].query is not None

    assert everything(session) == before


def test_a_replay_that_diverges_is_an_error() -> None:
    """History that does not lead where it led before is not passed over in silence."""
    session = session_after("mmap buf 4", "fault buf")
    session.history.entries[0].result = {"errno": "ENOMEM"}

    with pytest.raises(DeterminismError, match="step 1"):
        session.undo()


def test_check_finds_a_broken_invariant(monkeypatch: pytest.MonkeyPatch) -> None:
    """With set check on, a state that breaks a rule is a KernelBug, and the step is taken back."""
    session = session_after("set check on", "mmap buf 4")
    monkeypatch.setattr(session.workspace.machine, "check", lambda: ["f1: ref 0 < 1"])

    with pytest.raises(KernelBug, match="f1: ref 0 < 1"):
        session.execute("fault buf")
    assert session.prompt == "A 1>"


def test_set_after_and_walks() -> None:
    """Set after chooses the parts of a report; set walks always walks touched folios."""
    session = session_after(*STRADDLE[:3], "set after walks", "set walks always")
    (report,) = session.execute(STRADDLE[3])

    assert (report.folios, report.locks) == ((), ())
    assert [(walk.folio, walk.ptls, walk.entries) for walk in report.walks] == [("f1", 2, 16)]


_COMMANDS = st.sampled_from(
    [
        "fault buf", "write buf[3]", "read buf[8..11]", "munmap buf[2..5]", "mprotect buf[4] r", "mprotect buf[4] rw",
        "madvise dontneed buf[0..7]", "madvise cold buf[1]", "fork B", "B: write buf[1]", "B: exit", "as B", "as A",
        "set thp.16K always", "set decide vmas", "mmap more 8 after=buf", "mremap buf[8..11] new=moved",
        "file lib 8 order=2", "mmap win 8 file=lib", "fault win", "write win[0]",
    ]
)  # fmt: skip


@given(st.lists(_COMMANDS, max_size=12), st.integers(0, 12))
def test_undo_is_exact(lines: list[str], steps: int) -> None:
    """Going back and forth over any history leads to equal states, by fingerprint."""
    session = Session()
    states = {}
    for line in ["mmap buf 16", *lines]:
        try:
            session.execute(line)
        except Refused:
            continue
        states[session.step] = everything(session)
    last = session.step
    session.go_to(last - min(steps, last))
    assert session.step == 0 or everything(session) == states[session.step]
    session.go_to(last)
    assert everything(session) == states[last]


_DETERMINISM = """
from folioshell import Session
from tests.fingerprint import fingerprint
session = Session()
for line in ["set thp.16K always", "mmap buf 16", "fault buf", "fork B", "fork C", "B: write buf[3]",
             "C: munmap buf[1..9]", "madvise cold buf[1]", "B: exit", "show", "why f1", "trace"]:
    print(session.execute(line))
print(fingerprint(session.workspace.machine))
"""


def test_output_does_not_depend_on_the_hash_seed() -> None:
    """Two interpreters with different hash seeds report the same."""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _DETERMINISM],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "77")
    }
    assert len(outputs) == 1
    assert b"fork B" in outputs.pop()


def test_replay_does_not_touch_the_session() -> None:
    """A replay is a workspace of its own."""
    session = session_after(*STRADDLE)
    before = session.workspace
    replayed = session.replay(2)

    assert isinstance(replayed, Workspace)
    assert session.workspace is before
    assert replayed.step == 2


def test_a_programming_error_takes_the_step_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a command raises, the state is that before it."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf[0]")
    before = fingerprint(session.workspace.machine)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("folioshell.session.session.step_report", broken)
    with pytest.raises(ZeroDivisionError):
        session.execute("fault buf[1]")

    assert session.step == 2
    assert fingerprint(session.workspace.machine) == before


def test_entries_of_the_pieces_of_a_split_folio_are_all_counted() -> None:
    """Three pages mapped in two processes are six entries."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf[3..5] ; fork B")
    (report,) = session.execute("split f1")

    assert "6 entries of order-0 folios mapped; 32 entries of f1 unmapped" in report.sentence

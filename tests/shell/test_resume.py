"""Tests of folioshell.shell.resume: a crash loses nothing typed."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folioshell import Session
from folioshell.errors import Refused
from folioshell.shell.crash_log import Notes
from folioshell.shell.resume import FOLDER, begin, resume
from tests.script.test_save import COMMANDS
from tests.shell.terminal import Terminal
from tests.shell.test_crash_log import crash, left_with
from tests.shell.test_terminal import COMMAND, environ

__all__ = ["environ"]

LINES = (
    "set thp.16K always ; set after mapcounts ; set schemes vmas,mm-id",
    "mmap buf 16 ; fault buf[0] ; mark faulted",
    "fork B ; as B ; thread t1 ; B.t1: write buf[3]",
    "munmap buf[1] ; mprotect buf r ; write buf[0]",
    "undo 2 ; branch other ; A: munmap buf[2..5] ; watch buf[0]",
    "spawn t2: fault buf[1] ; spawn t3: fault buf[8] ; step t2 ; finish ; query shared? f1",
    "goto main ; mode csv ; undo ; mark later ; exit A",
    "watch shared? f1 ; unwatch 1 ; spawn t1: fault buf[9] ; step t1",
)


def everything(session: Session) -> dict[str, object]:
    """All that a person could tell two sessions apart by."""
    history, workspace = session.history, session.workspace
    names = {
        "marks": {name: history.spot(name) for name in history.marks},
        "lines": {name: [entry.line for entry in entries] for name, entries in history.lines.items()},
        "mode": session.output.mode,
        "where": (history.current, history.position, session.prompt),
        "spawned": session.spawned,
    }
    state = {"state": workspace.machine.fingerprint(), "threads": workspace.threads, "script": session.script()}
    return names | state


def test_everything_comes_back(tmp_path: Path) -> None:
    """State, settings, marks, lines, threads, what is watched, what was undone: as it was after every line."""
    session = Session()
    notes, told = begin(session, tmp_path)
    assert told == []
    for line in LINES:
        session.execute(line)
        assert notes.path is not None
        copy = tmp_path / "copy"
        left_with(copy, notes.path.read_text())
        again = Session()
        adopted, _ = resume(again, copy)

        assert everything(again) == everything(session), line
        adopted.remove()


@settings(max_examples=50, deadline=None)
@given(st.lists(COMMANDS, max_size=14))
def test_anything_comes_back(lines: list[str]) -> None:
    """Whatever was typed, refused lines among it."""
    with TemporaryDirectory() as folder:
        session = Session()
        notes, _ = begin(session, Path(folder))
        for line in ["mmap buf 16", *lines]:
            with suppress(Refused):
                session.execute(line)
        crash(notes)
        again = Session()
        adopted, told = resume(again, Path(folder))

        assert len(told) == 1
        assert everything(again) == everything(session)
        adopted.remove()


def test_a_resumed_shell_is_noted_on(tmp_path: Path) -> None:
    """What follows is noted behind what was resumed, and can be resumed again."""
    left_with(tmp_path, "mmap buf 16\n", "#> fault buf\n")
    session = Session()
    notes, told = resume(session, tmp_path)
    assert told == ["Resumed at step 1.", "Typed last, and perhaps not all of it done: `fault buf`."]
    session.execute("fork B")
    crash(notes)
    again = Session()
    notes, told = resume(again, tmp_path)

    assert told == ["Resumed at step 2."]
    assert everything(again) == everything(session)
    notes.remove()
    assert list(tmp_path.iterdir()) == []


def test_scripts_that_were_read_come_back_as_they_were(tmp_path: Path) -> None:
    """The commands of source and load are noted, not the file's name: it may be another one by then."""
    script = tmp_path / "script.fs"
    script.write_text("mmap buf 16\nmark mapped\nfault buf\n")
    session = Session()
    folder = tmp_path / "running"
    notes, _ = begin(session, folder)
    session.execute(f"fork B ; load {script}")
    script.write_text("mmap other 4\n")
    session.execute(f"source {script} ; save {script}")
    script.unlink()
    crash(notes)
    again = Session()
    resume(again, folder)

    assert everything(again) == everything(session)
    assert not script.exists()


def test_definitions_come_back(tmp_path: Path) -> None:
    """A scheme that was loaded at the prompt counts again."""
    path = tmp_path / "mine.py"
    path.write_text("from folioshell.schemes.vmas import Vmas\n\nclass Mine(Vmas):\n    name = 'mine'\n")
    session = Session()
    notes, _ = begin(session, tmp_path / "running")
    session.execute(f'mmap buf 16 ; load scheme "{path}" ; fault buf')
    crash(notes)
    again = Session()
    resume(again, tmp_path / "running")

    assert "mine" in again.shown_schemes
    assert everything(again) == everything(session)


def test_a_session_that_began_with_a_script(tmp_path: Path) -> None:
    """What stood before the first prompt is noted, too."""
    session = Session()
    session.execute("mmap buf 16 ; mark mapped ; fork B ; as B ; set walks always")
    notes, _ = begin(session, tmp_path)
    crash(notes)
    again = Session()
    resume(again, tmp_path)

    assert everything(again) == everything(session)


def test_others_are_told_of(tmp_path: Path) -> None:
    """The newest is taken; that there are more, and that there are any, is said."""
    left_with(tmp_path, "fork B\n", name="1.fs", newest=1)
    left_with(tmp_path, "fork C\n", name="2.fs", newest=2)
    notes, told = begin(Session(), tmp_path)
    assert told == [
        "2 shells that ran before did not end with `quit`: `folioshell --resume` goes on where the last of them was."
    ]
    notes.remove()
    session = Session()
    _, told = resume(session, tmp_path)

    assert list(session.workspace.kernel.mms) == ["A", "C"]
    assert told[1] == (
        "A shell that ran before did not end with `quit` either: `folioshell --resume` again goes on with the next."
    )


@pytest.mark.parametrize("wrong", ["fault bfu", "fualt buf", "fault buf[", "\x00\x00", "load scheme /nowhere.py"])
def test_what_cannot_be_done_again(tmp_path: Path, wrong: str) -> None:
    """All before it is done, the rest is kept, and the shell opens; a crash after that finds what was done."""
    left = left_with(tmp_path, "mmap buf 16\n", "fork B\n", f"{wrong}\n", "fork C\n")
    session = Session()
    notes, told = resume(session, tmp_path)

    assert session.step == 2
    assert "It could not all be done again: line 3" in told[-1]
    assert told[-1].endswith(f"Its notes are kept in {left.with_suffix('.kept')}.")
    assert left.with_suffix(".kept").read_text().endswith("fork C\n")
    crash(notes)
    again = Session()
    assert resume(again, tmp_path)[1] == ["Resumed at step 2."]


def test_a_line_that_was_cut_off_is_told(tmp_path: Path) -> None:
    """It was not written to its end, so nobody knows what it was."""
    left_with(tmp_path, "mmap buf 16\n", "fork")
    session = Session()
    _, told = resume(session, tmp_path)

    assert told == ["Resumed at step 1.", "The last line of its notes was cut off: `fork`."]


def test_nothing_to_resume(tmp_path: Path) -> None:
    """There is no folder, or only a shell that runs: a refusal that says so."""
    with pytest.raises(Refused, match="there is nothing to resume"):
        resume(Session(), tmp_path / "nowhere")
    notes, _ = begin(Session(), tmp_path)
    with pytest.raises(Refused, match="there is nothing to resume"):
        resume(Session(), tmp_path)
    assert isinstance(notes, Notes)
    notes.remove()


def test_interrupted_while_it_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives up waiting can resume later."""
    left_with(tmp_path, "mmap buf 16\n", "fork B\n")
    session = Session()
    monkeypatch.setattr(session, "run", lambda _: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        resume(session, tmp_path)
    again = Session()
    resume(again, tmp_path)

    assert again.step == 2


def test_kill(environ: dict[str, str], tmp_path: Path) -> None:
    """On a real terminal: kill -9, another shell says so, --resume goes on; after a normal end nothing is left."""
    running = tmp_path / "folioshell" / FOLDER
    with Terminal(COMMAND, environ) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 16 ; mark mapped ; fork B ; as B\r")
        terminal.wait_for("B 2>")
        terminal.send("branch other ; fault buf[0]\r")
        terminal.wait_for("B 3>")
        terminal.kill(signal.SIGKILL)
        terminal.wait()
    with Terminal(COMMAND, {**environ, "TERM": "dumb"}) as terminal:
        assert "did not end with `quit`: `folioshell --resume`" in terminal.wait_for("A 0>")
        terminal.send("quit\n")
        assert terminal.wait() == 0
    with Terminal((*COMMAND, "--resume"), environ) as terminal:
        assert "Resumed at step 3 of other." in terminal.wait_for("B 3>")
        terminal.send("goto mapped ; history\r")
        terminal.wait_for("process A  |  step 1 of other")
        terminal.send("\x04")
        assert terminal.wait() == 0
    assert list(running.iterdir()) == []


def test_killed_in_a_long_command(environ: dict[str, str]) -> None:
    """What was under way is told, and not done again."""
    with Terminal(COMMAND, environ) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 16000000\r")
        terminal.wait_for("A 1>")
        terminal.forget()
        terminal.send("fault buf\r")
        terminal.wait_for("fault buf")
        for _ in range(100):
            notes = next((Path(environ["XDG_STATE_HOME"]) / "folioshell" / FOLDER).glob("*.fs")).read_text()
            if notes.endswith("#> fault buf\n"):
                break
            time.sleep(0.05)
        terminal.kill(signal.SIGKILL)
        terminal.wait()
    with Terminal((*COMMAND, "--resume"), environ) as terminal:
        assert "perhaps not all of it done: `fault buf`." in terminal.wait_for("A 1>")

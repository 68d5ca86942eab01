"""Tests of folioshell.shell.crash_log."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from errno import ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.errors import Refused
from folioshell.shell.crash_log import FOLDER, MOST_LEFT, CrashLog, Leftover, begin, leftovers, open_log, resume
from folioshell.shell.prompt import open_history
from folioshell.shell.repl import LoggedReader
from tests.fingerprint import fingerprint
from tests.script.test_verbs import COMMANDS
from tests.shell.stubs import Typist
from tests.shell.terminal import Terminal
from tests.shell.test_terminal import COMMAND, environ


def crash(log: CrashLog) -> None:
    """What the system does with the file of a process that is killed."""
    log._close()


def left_with(folder: Path, *lines: str, name: str = "7.fs", newest: int = 1) -> Path:
    """A file that some shell left behind; the larger ``newest``, the later."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(lines))
    os.utime(path, ns=(newest, newest))
    return path


def only(found: list[Leftover]) -> Leftover:
    (one,) = found
    return one


def test_a_file_of_its_own_for_every_shell(tmp_path: Path) -> None:
    """Two that run have two files, readable by their owner only; each is gone at a normal end."""
    folder = tmp_path / "deep" / "running"
    one, other = open_log(folder, ["fork B"]), open_log(folder, [])
    one.note("exit B")
    other.note("fork C")

    assert one.path is not None and other.path is not None and one.path != other.path
    assert one.path.read_text() == "#!folioshell 1\nfork B\nexit B\n"
    assert one.path.stat().st_mode & 0o777 == 0o600
    one.remove()
    other.remove()
    assert list(folder.iterdir()) == []


def test_a_running_shell_is_passed_over(tmp_path: Path) -> None:
    """Its file is taken only when it has ended."""
    log = open_log(tmp_path, [])
    log.note("fork B")
    assert leftovers(tmp_path) == []
    crash(log)
    found = only(leftovers(tmp_path))
    assert found.text.endswith("fork B\n")
    assert leftovers(tmp_path) == []  # taken: nobody else gets it
    found.release()

    assert only(leftovers(tmp_path)).path == found.path


def test_what_was_typed_and_not_done(tmp_path: Path) -> None:
    """It is known from the comments; what was executed to the end is not told."""
    log = open_log(tmp_path, [])
    reader = LoggedReader(Typist("fork B", "fork C\nexit B", "never"), log)
    assert reader.read("A> ") == "fork B"
    log.note("fork B")
    reader.read("A> ")
    log.note("fork C")
    crash(log)

    assert only(leftovers(tmp_path)).unfinished == ("fork C", "exit B")


def test_a_line_that_is_cut_off(tmp_path: Path) -> None:
    """It is no part of the text, and what is noted later does not hang on it."""
    path = left_with(tmp_path, "#!folioshell 1\n", "fork B\n", "fork")
    found = only(leftovers(tmp_path))
    assert (found.text, found.partial) == ("#!folioshell 1\nfork B\n", "fork")
    log = found.adopt()
    log.note("fork C")

    assert path.read_text() == "#!folioshell 1\nfork B\nfork C\n"
    crash(log)


def test_the_newest_first(tmp_path: Path) -> None:
    """What says nothing is removed, and the oldest beyond the limit."""
    nothing = left_with(tmp_path, "#!folioshell 1\n", "# a comment\n", name="1.fs")
    for number in range(2, MOST_LEFT + 4):
        left_with(tmp_path, f"fork P{number}\n", name=f"{number}.fs", newest=number)
    found = leftovers(tmp_path)
    for one in found:
        one.release()

    assert [one.path.name for one in found] == [f"{number}.fs" for number in range(MOST_LEFT + 3, 3, -1)]
    assert not nothing.exists()
    assert len(list(tmp_path.iterdir())) == MOST_LEFT


def test_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of its own each time; where a file cannot be renamed it stays."""
    for name in ("7.kept", "7.kept1"):
        left_with(tmp_path, "fork B\n")
        assert only(leftovers(tmp_path)).set_aside() == tmp_path / name
    path = left_with(tmp_path, "fork B\n")
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert only(leftovers(tmp_path)).set_aside() == path


def test_without_a_place_to_write(tmp_path: Path) -> None:
    """No home, a file where the folder should be: the shell goes on without log."""
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file" / "running"):
        log = open_log(folder, ["fork B"])
        log.note("exit B")
        log.begin("fork C")
        log.end()
        log.remove()
        assert log.path is None
        assert leftovers(folder) == []


def test_text_that_is_none(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and half characters that were typed, are read and written without an error."""
    left_with(tmp_path, "fork B\n").write_bytes(b"fork B\n\xff\xfe\nfork C\n")
    found = only(leftovers(tmp_path))
    log = found.adopt()
    log.note("\udc80")

    assert found.path.read_bytes() == b"fork B\n\xff\xfe\nfork C\n\\udc80\n"
    crash(log)


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
        "marks": {name: history.point(name) for name in history.marks},
        "lines": {name: [entry.line for entry in entries] for name, entries in history.branches.items()},
        "mode": session.host.output.mode,
        "where": (history.current, history.position, session.prompt),
        "spawned": session.spawned,
    }
    state = {"state": fingerprint(workspace.machine), "threads": workspace.threads, "script": session.script()}
    return names | state


def test_everything_comes_back(tmp_path: Path) -> None:
    """State, settings, marks, lines, threads, what is watched, what was undone: as it was after every line."""
    session = Session()
    log, messages = begin(session, tmp_path)
    assert messages == []
    for line in LINES:
        session.execute(line)
        assert log.path is not None
        copy = tmp_path / "copy"
        left_with(copy, log.path.read_text())
        again = Session()
        adopted, _ = resume(again, copy)

        assert everything(again) == everything(session), line
        adopted.remove()


@given(st.lists(COMMANDS, max_size=14))
def test_anything_comes_back(lines: list[str]) -> None:
    """Whatever was typed, refused lines among it."""
    with TemporaryDirectory() as folder:
        session = Session()
        log, _ = begin(session, Path(folder))
        for line in ["mmap buf 16", *lines]:
            with suppress(Refused):
                session.execute(line)
        crash(log)
        again = Session()
        adopted, messages = resume(again, Path(folder))

        assert len(messages) == 1
        assert everything(again) == everything(session)
        adopted.remove()


def test_a_resumed_shell_is_noted_on(tmp_path: Path) -> None:
    """What follows is noted behind what was resumed, and can be resumed again."""
    left_with(tmp_path, "mmap buf 16\n", "#> fault buf\n")
    session = Session()
    log, messages = resume(session, tmp_path)
    assert messages == ["Resumed at step 1.", "The last input may not have been executed: `fault buf`."]
    session.execute("fork B")
    crash(log)
    again = Session()
    log, messages = resume(again, tmp_path)

    assert messages == ["Resumed at step 2."]
    assert everything(again) == everything(session)
    log.remove()
    assert list(tmp_path.iterdir()) == []


def test_scripts_that_were_read_come_back_as_they_were(tmp_path: Path) -> None:
    """The commands of source and load are noted, not the file's name: it may be another one by then."""
    script = tmp_path / "script.fs"
    script.write_text("mmap buf 16\nmark mapped\nfault buf\n")
    session = Session()
    folder = tmp_path / "running"
    log, _ = begin(session, folder)
    session.execute(f"fork B ; load {script}")
    script.write_text("mmap other 4\n")
    session.execute(f"source {script} ; save {script}")
    script.unlink()
    crash(log)
    again = Session()
    resume(again, folder)

    assert everything(again) == everything(session)
    assert not script.exists()


def test_loaded_schemes_come_back(tmp_path: Path) -> None:
    """A scheme that was loaded at the prompt counts again."""
    path = tmp_path / "mine.py"
    path.write_text("from folioshell.schemes.vmas import Vmas\n\nclass Mine(Vmas):\n    name = 'mine'\n")
    session = Session()
    log, _ = begin(session, tmp_path / "running")
    session.execute(f'mmap buf 16 ; load scheme "{path}" ; fault buf')
    crash(log)
    again = Session()
    resume(again, tmp_path / "running")

    assert "mine" in again.shown_schemes
    assert everything(again) == everything(session)


def test_a_session_that_began_with_a_script(tmp_path: Path) -> None:
    """What stood before the first prompt is noted, too."""
    session = Session()
    session.execute("mmap buf 16 ; mark mapped ; fork B ; as B ; set walks always")
    log, _ = begin(session, tmp_path)
    crash(log)
    again = Session()
    resume(again, tmp_path)

    assert everything(again) == everything(session)


def test_others_are_told_of(tmp_path: Path) -> None:
    """The newest is taken; that there are more, and that there are any, is said."""
    left_with(tmp_path, "fork B\n", name="1.fs", newest=1)
    left_with(tmp_path, "fork C\n", name="2.fs", newest=2)
    log, messages = begin(Session(), tmp_path)
    assert messages == ["2 earlier shells ended without `quit`. `folioshell --resume` restores the most recent one."]
    log.remove()
    session = Session()
    _, messages = resume(session, tmp_path)

    assert list(session.workspace.kernel.mms) == ["A", "C"]
    assert messages[1] == ("Another shell ended without `quit`. `folioshell --resume` restores the next.")


@pytest.mark.parametrize("wrong", ["fault bfu", "fualt buf", "fault buf[", "\x00\x00", "load scheme /nowhere.py"])
def test_what_cannot_be_done_again(tmp_path: Path, wrong: str) -> None:
    """All before it is done, the rest is kept, and the shell opens; a crash after that finds what was done."""
    left = left_with(tmp_path, "mmap buf 16\n", "fork B\n", f"{wrong}\n", "fork C\n")
    session = Session()
    log, messages = resume(session, tmp_path)

    assert session.step == 2
    assert "Replay stopped at line 3" in messages[-1]
    assert messages[-1].endswith(f"The old crash log is kept in {left.with_suffix('.kept')}.")
    assert left.with_suffix(".kept").read_text().endswith("fork C\n")
    crash(log)
    again = Session()
    assert resume(again, tmp_path)[1] == ["Resumed at step 2."]


def test_a_line_that_was_cut_off_is_told(tmp_path: Path) -> None:
    """It was not written to its end, so nobody knows what it was."""
    left_with(tmp_path, "mmap buf 16\n", "fork")
    session = Session()
    _, messages = resume(session, tmp_path)

    assert messages == ["Resumed at step 1.", "The last line of the crash log is incomplete: `fork`."]


def test_nothing_to_resume(tmp_path: Path) -> None:
    """There is no folder, or only a shell that runs: a refusal that says so."""
    with pytest.raises(Refused, match="nothing to resume"):
        resume(Session(), tmp_path / "nowhere")
    log, _ = begin(Session(), tmp_path)
    with pytest.raises(Refused, match="nothing to resume"):
        resume(Session(), tmp_path)
    assert isinstance(log, CrashLog)
    log.remove()


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
        assert "ended without `quit`. `folioshell --resume`" in terminal.wait_for("A 0>")
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
    """What was under way is messages, and not done again."""
    with Terminal(COMMAND, environ) as terminal:
        terminal.wait_for("A 0>")
        terminal.send("mmap buf 16000000\r")
        terminal.wait_for("A 1>")
        terminal.forget()
        terminal.send("fault buf\r")
        terminal.wait_for("fault buf")
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            log = next((Path(environ["XDG_STATE_HOME"]) / "folioshell" / FOLDER).glob("*.fs")).read_text()
            if log.endswith("#> fault buf\n"):
                break
            time.sleep(0.05)
        terminal.kill(signal.SIGKILL)
        terminal.wait()
    with Terminal((*COMMAND, "--resume"), environ) as terminal:
        assert "may not have been executed: `fault buf`." in terminal.wait_for("A 1>")


def test_folders_are_private(tmp_path: Path) -> None:
    """Each folder that is made belongs to its owner only, whatever the umask; one that is there stays as it is."""
    tmp_path.chmod(0o755)
    before = os.umask(0)
    try:
        log = open_log(tmp_path / "state" / "folioshell" / "running", [])
        open_history(tmp_path / "other" / "folioshell" / "history")
    finally:
        os.umask(before)
    log.remove()

    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(made) == 5
    assert {path.stat().st_mode & 0o777 for path in made} == {0o700}
    assert tmp_path.stat().st_mode & 0o777 == 0o755


class Disk:
    """Stands for os.write() on a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if not self.room:
            raise OSError(ENOSPC, os.strerror(ENOSPC))
        nr = self._write(descriptor, data[: self.room])
        self.room -= nr
        return nr


def test_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written is told at the next prompt, stays in memory, and is written as soon as there is room."""
    log = open_log(tmp_path, [])
    assert log.path is not None
    disk = Disk(22)
    monkeypatch.setattr(os, "write", disk.write)
    typist = Typist("fork B", "fork C", "fork D", "fork E")
    reader = LoggedReader(typist, log)
    for line in ("fork B", "fork C"):
        reader.read("A> ")
        log.note(line)
    reader.read("A> ")
    log.note("fork D")
    problem = "crash log not written: No space left on device"
    assert typist.warnings == ["", "", problem]
    assert log.path.read_text() == "#!folioshell 1\n#> fork B\nfork B\n#.\n#>"

    disk.room = 1 << 20
    reader.read("A> ")
    assert typist.warnings[-1] == ""
    crash(log)
    found = only(leftovers(tmp_path))
    assert [line for line in found.text.split("\n") if not line.startswith("#")] == ["fork B", "fork C", "fork D", ""]
    assert found.unfinished == ("fork E",)


def test_full_disk_at_the_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that cannot be made for lack of room is a problem that is told, too."""

    def full(*_: object) -> int:
        raise OSError(ENOSPC, os.strerror(ENOSPC))

    monkeypatch.setattr(os, "open", full)

    assert open_log(tmp_path, []).problem == "No space left on device"

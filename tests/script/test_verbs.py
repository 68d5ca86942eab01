"""Tests of save and load: the script leads to the same state."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.errors import Refused
from folioshell.script.runner import run_file
from tests.fingerprint import fingerprint

#: what may be typed in a session with a region buf; much of it is refused, or fails in the kernel, here and there
COMMANDS = st.sampled_from(
    [
        "fault buf", "write buf[3]", "B: write buf[1]", "munmap buf[2..5]", "mprotect buf r", "mprotect buf[4] rw",
        "fork B", "B: fork C", "as B", "as A", "exit A", "B: exit", "thread t1", "B: thread t1", "A.t1: fault buf[7]",
        "set thp.16K always", "set decide vmas", "set after none", "set after all", "set walks always", "set check on",
        "set schemes vmas,mm-id", "set schemes usual", "mark one", "mark two", "undo", "undo 2", "redo", "branch other",
        "goto main", "goto one", "goto other", "watch buf[0]", "watch f1", "unwatch 1", "fails ENOMEM munmap buf",
        "mmap more 8 after=buf", "mremap buf[8..11] new=moved", "file lib 8 order=2", "mmap win 8 file=lib",
        "write win[0]", "spawn t2: fault buf[9]", "finish", "reset", "mmap buf 16", "fault win[0] ; fault 0x1000",
    ]
)  # fmt: skip


def everything(session: Session) -> tuple[object, ...]:
    """All that a saved script brings back."""
    history, workspace, chosen = session.history, session.workspace, session.settings
    marks = {name: point.position for name in history.marks if (point := history.point(name)).position <= session.step}
    held = {name: at for name, at in marks.items() if history.point(name).branch == history.current}
    return (
        fingerprint(workspace.machine),
        session.prompt,
        dict(workspace.regions),
        {process: names for process, names in workspace.threads.items() if names},
        held,
        (chosen.after, chosen.walks, chosen.schemes, chosen.check),
        [watch.question.text for watch in session.watches],
        [(entry.line, entry.process) for entry in history.in_force],
    )


@given(st.lists(COMMANDS, max_size=14))
def test_load_leads_where_save_was(lines: list[str]) -> None:
    """Whatever was done, load of the saved script gives the same; so does run, and nothing in it fails."""
    session = Session()
    for line in ["mmap buf 16", *lines]:
        with suppress(Refused):
            session.execute(line)
    with TemporaryDirectory() as folder:
        saved, again = f"{folder}/saved.fs", f"{folder}/again.fs"
        session.execute(f"save {saved}")
        loaded = Session()
        loaded.execute(f"load {saved} ; save {again}")
        runner = run_file(saved)
        assert all(played.refused is None and played.failure is None for played in runner)
        assert Path(saved).read_text() == Path(again).read_text()

    assert everything(loaded) == everything(session)
    assert everything(runner.session) == everything(session)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("mmap buf 16", "fault 0x1000"), ["mmap buf 16", "fails SIGSEGV fault 0x1000"]),
        (("mark a", "fork B", "mark b", "undo"), ["mark a"]),
        (("fork B", "as B", "mark b"), ["fork B", "mark b", "as B"]),
        (("fork B", "as B", "fork C", "undo"), ["fork B", "as B"]),
        (("thread t1", "mmap buf 4", "A.t1: fault buf"), ["thread t1", "mmap buf 4", "A.t1: fault buf"]),
        (("fork B", "B: exit", "set walks always"), ["set walks always", "fork B", "B: exit"]),
        (("fork B", "undo", "branch other", "fork C", "goto main"), ["fork B"]),
    ],
)
def test_lines(lines: tuple[str, ...], expected: list[str]) -> None:
    """What is announced, named, marked and switched stands where it belongs."""
    session = Session()
    for line in lines:
        session.execute(line)

    assert session.script() == expected


def test_other_lines_are_left_out_and_told(tmp_path: Path) -> None:
    """A script has one line of history."""
    session = Session()
    session.execute("fork B ; branch other ; fork C")
    (report,) = session.execute(f"save {tmp_path}/a.fs")

    assert report.sentence == f"2 steps written to {tmp_path}/a.fs; branch main left out."

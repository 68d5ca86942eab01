"""mode, once and `set pager`: where output goes is no step, and nothing that moves in the history changes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.report import Target
from folioshell.session.host import MODES


def refused(line: str) -> Refused:
    session = Session()
    with pytest.raises(Refused) as caught:
        session.execute(line)
    assert session.host.output.once is None
    return caught.value


def test_output_is_no_step() -> None:
    """Mode, pager and a waiting `once` outlive undo and reset, and no script that is saved holds them."""
    session = Session()
    session.execute("mmap buf 4 ; mode csv ; set pager off ; once x.csv ; undo")
    session.execute("once y.csv ; mode mail")

    assert (session.step, session.host.output.mode, session.host.output.pager) == (0, "mail", False)
    assert session.host.output.once == Target("y.csv")

    session.execute("reset")

    assert session.host.output.mode == "mail"
    assert session.host.output.once is None
    assert session.script() == []


def test_every_mode() -> None:
    """Each mode can be set, and none that is not one."""
    session = Session()
    for mode in MODES:
        assert session.execute(f"mode {mode}")[0].says_nothing
        assert session.execute("mode")[0].sentence.startswith(f"The mode is {mode}: ")
    error = refused("mode html")

    assert (error.start, error.end) == (5, 9)
    assert set(MODES) == set(error.allowed)


def test_a_fixed_mode() -> None:
    """Whoever runs a script with a mode of their own keeps it."""
    session = Session()
    session.host.output.mode, session.host.output.fixed = "json", True
    session.execute("mode csv")

    assert session.host.output.mode == "json"


def test_once_takes_one_command() -> None:
    """All reports of the next command that is done are for the file, those after it for the screen."""
    session = Session()
    session.execute("once out.txt plain")
    with pytest.raises(Refused):
        session.execute("fork A")
    reports = session.execute("mode csv ; mmap buf 4 ; fault buf[0]")

    assert [report.target for report in reports] == [None, Target("out.txt", "plain"), None]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing/out.txt", "no such directory: missing"),
        (".", "it is a directory"),
        ("x" * 300, "File name too long"),
        ("file.txt/out.txt", "no such directory: file.txt"),
    ],
)
def test_once_refuses_what_cannot_be_written(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The word is pointed at before anything is written."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.txt").write_text("kept")
    error = refused(f"once {name}")

    assert error.message == f"cannot write {name}: {reason}"
    assert (error.start, error.end) == (5, 5 + len(name))
    assert (tmp_path / "file.txt").read_text() == "kept"


def test_sizes_that_a_release_lacks() -> None:
    """Before 6.8 there is no setting of a size but that of a PMD."""
    session = Session()
    session.execute("set profile 6.1 ; set thp.pmd always")
    with pytest.raises(Refused) as error:
        session.execute("set thp.64K always")

    assert (error.value.message, error.value.hint) == (
        "Linux 6.1 lacks mm/memory.c: alloc_anon_folio()",
        "v6.8 added it",
    )

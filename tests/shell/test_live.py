"""``live``: what is shown of a kernel that does as the model does, and of others; the tests make the kernels."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from folioshell.commands import Session
from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.format import load
from folioshell.live.guest import GuestError
from folioshell.recording.observe import emit
from folioshell.shell.live import LiveChoice, LiveComparison
from folioshell.views.screen import Screen
from tests.command_line import folioshell

SCRIPT = "mmap buf 4\nwrite buf[0]\nfork B\nexpect page_mapcount buf[0] == 2\nexpect shared? mm-id buf[0] == yes\n"


class FakeKernel:
    """A kernel that does what the model of a profile does, but for ``change``.

    Args:
        change: is given each recording.
        entered: is called at the start.
    """

    def __init__(
        self,
        release: str = "6.18.44-test",
        change: Callable[[dict[str, Any]], None] = lambda document: None,
        entered: Callable[[], None] = lambda: None,
    ) -> None:
        self.release = release
        self.options: list[RecorderOptions | None] = []
        self._change = change
        self._entered = entered

    def __enter__(self) -> Self:
        self._entered()
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
        self.options.append(options)
        document = emit(scenario, self.release.rpartition(".")[0])
        self._change(document)
        return document

    def described(self) -> str:
        return "in a test"


def live(kernel: FakeKernel, *scripts: str | Path, **choice: Any) -> tuple[int, list[str], str]:
    """Status, lines, and complaints."""
    texts = io.StringIO(), io.StringIO()
    screen, errors = (Screen(text, rich=False, width=1000) for text in texts)
    comparison = LiveComparison(kernel, Session(counting=()).language, screen, errors, LiveChoice(**choice))
    status = comparison.run([str(one) for one in scripts])
    lines = texts[0].getvalue().splitlines()
    # How long it took is no matter of a test.
    return status, [line.rpartition(" (")[0] if line.endswith(" s)") else line for line in lines], texts[1].getvalue()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "s.fs"
    found.write_text(SCRIPT)
    return found


def copy_at_fork(document: dict[str, Any]) -> None:
    """The kernel's fork copies the page instead of sharing it."""
    step = document["steps"][2]
    for name, folio in (("A", 1), ("B", 2)):
        step["procs"][name]["pages"]["buf"] = [[0, 1, "px", folio, 0, 1]]
    step["folios"] = [{"id": 1, "n": 2, "order": 0, "anon": True, "mapcounts": [[1, 1]], "pmd": []}]


def test_a_kernel_that_does_the_same(path: Path) -> None:
    """A line for the kernel, one for the script, and a summary; status 0."""
    status, lines, _ = live(FakeKernel(), path)
    assert status == 0
    assert lines == [
        "Linux 6.18.44-test, in a test; profile 6.18",
        f"{path}: 3 steps: 3 same; 1 of 1 expect hold",
        "1 script under profile 6.18: 3 steps: 3 same; 1 of 1 expect hold",
    ]


def test_verbose_lists_steps(path: Path) -> None:
    """``-v`` names every step by its command."""
    _, lines, _ = live(FakeKernel(), path, verbose=True)
    assert lines[2:5] == ["  0  mmap buf 4: same", "  1  write buf[0]: same", "  2  fork B: same"]


def test_a_kernel_that_differs(path: Path) -> None:
    """A table of the step that differs, as that of ``verify -v``, and the assertion that fails; status 1."""
    status, lines, _ = live(FakeKernel(change=copy_at_fork), path)
    assert status == 1
    text = "\n".join(lines)
    assert f"{path}: 3 steps: 2 same, 1 differs; 0 of 1 expect hold" in lines
    assert "step 2, A: fork child=B" in lines
    assert any("px folio 2 page 0, mapcount 1" in line and "p folio 1 page 0, mapcount 2" in line for line in lines)
    assert "line 4: expect page_mapcount buf[0] == 2: the kernel says 1" in text
    assert "line 5" not in text


def test_runs_that_differ_are_not_compared(path: Path) -> None:
    """What the recorder found unstable is no difference, and says so."""

    def disturb(document: dict[str, Any]) -> None:
        document["soft"] = {"unstable": {"steps/2/procs/A/vmas/0/smaps/Rss": [4, 8]}}
        del document["steps"][2]["procs"]["A"]["vmas"]

    status, lines, _ = live(FakeKernel(change=disturb), path)
    assert status == 0
    assert f"{path}: 3 steps: 2 same, 1 not comparable on this kernel" in lines
    assert "  2  fork B: not comparable: its runs differ" in lines


def test_without_root(path: Path) -> None:
    """A partial recording is compared as far as it goes, and says what was not seen."""

    def hide(document: dict[str, Any]) -> None:
        document["partial"] = True
        for step in document["steps"]:
            step["folios"] = []
            for process in step["procs"].values():
                pages = process["pages"]
                process["pages"] = {
                    name: [[*run[:3], None, None, None] for run in runs] for name, runs in pages.items()
                }

    status, lines, _ = live(FakeKernel(change=hide), path)
    assert status == 0
    assert f"{path}: 3 steps: 3 same (page frame numbers are hidden: no folios, no mapcounts)" in lines


@pytest.mark.parametrize(
    ("release", "profile"), [("6.18.44-test", "6.18"), ("6.1.192-test", "6.1"), ("7.0.13-x", "7.0"), ("7.3.4-x", "7.3")]
)
def test_the_profile_is_that_of_the_kernel(path: Path, release: str, profile: str) -> None:
    """The first two numbers name it."""
    _, lines, _ = live(FakeKernel(release), path)
    assert lines[0] == f"Linux {release}, in a test; profile {profile}"


def test_the_nearest_profile(path: Path) -> None:
    """A release that is not modeled is compared with the nearest, and the first line says so; --profile overrides."""
    kernel = FakeKernel("6.17.2-test")
    kernel.record = lambda scenario, options: emit(scenario, "6.16")  # type: ignore[method-assign]
    status, lines, _ = live(kernel, path)
    assert (status, lines[0]) == (0, "Linux 6.17.2-test, in a test; profile 6.16, the nearest to it")
    assert live(kernel, path, profile="6.12")[1][0] == "Linux 6.17.2-test, in a test; profile 6.12"


def test_expects_of_another_release(tmp_path: Path) -> None:
    """What neither kernel nor model do in 6.1 is listed with -v, and fails nothing: it was written for 6.18."""
    path = tmp_path / "s.fs"
    path.write_text("file lib 16 order=4 ; mmap win 16 file=lib ; fault win[0] ; expect order win[0] == 4\n")
    status, lines, _ = live(FakeKernel("6.1.192-x"), path, verbose=True)
    assert status == 0
    assert f"{path}: 2 steps: 2 same; 0 of 1 expect hold, 1 not in this release" in lines
    assert "  line 1: expect order win[0] == 4: the kernel says 0, and the model under this profile the same" in lines
    assert live(FakeKernel(), path)[0] == 0


def test_what_no_kernel_can_run(path: Path, tmp_path: Path) -> None:
    """Of several scripts one that cannot run is named and left out; alone it is a refusal."""
    other = tmp_path / "classroom.fs"
    other.write_text("set geometry classroom\nmmap buf 4\n")
    status, lines, _ = live(FakeKernel(), path, other)
    assert status == 0
    assert lines[2].startswith(f"{other}: cannot run live: line 1: ")
    assert lines[3].startswith("1 script under profile 6.18: ")
    assert lines[3].endswith("; 1 cannot run live")
    assert live(FakeKernel(), other)[0] == 2


def test_what_this_kernel_cannot_record(path: Path) -> None:
    """A refusal of the recorder is one sentence."""

    def refuse(document: dict[str, Any]) -> None:
        raise CannotRecord("swap needs root")

    status, lines, _ = live(FakeKernel(change=refuse), path)
    assert (status, lines[1]) == (2, f"{path}: cannot run live: swap needs root")


def test_a_kernel_that_ends(path: Path) -> None:
    """A crash while a script runs is a difference, and the others still run."""
    crashes = iter([True, False])

    def crash(document: dict[str, Any]) -> None:
        if next(crashes):
            raise GuestError("vmlinuz ended; its console ends:\n    Kernel panic")

    status, lines, errors = live(FakeKernel(change=crash), path, path)
    assert status == 1
    assert errors.splitlines() == [f"{path}: vmlinuz ended; its console ends:", "    Kernel panic"]
    assert lines[-1].endswith("3 steps: 3 same; 1 of 1 expect hold; the kernel ended in 1")


def test_a_kernel_that_does_not_boot(path: Path) -> None:
    """The message is the only output; status 2."""

    def fail() -> None:
        raise GuestError("vmlinuz did not boot")

    assert live(FakeKernel(entered=fail), path) == (2, [], "error: vmlinuz did not boot\n")


def test_unreadable_scripts_end_it_before_a_kernel_runs(tmp_path: Path) -> None:
    """A script with an error is refused with its place, and nothing runs."""
    path = tmp_path / "bad.fs"
    path.write_text("mmap buf 4\nfrobnicate\n")
    kernel = FakeKernel()
    status, lines, errors = live(kernel, path)
    assert (status, lines, kernel.options) == (2, [], [])
    assert "bad.fs:2:1: error" in errors


def test_scripts_that_include_others(path: Path, tmp_path: Path) -> None:
    """``source`` needs --allow-live; the included script is run in its place, and named from its own folder."""
    outer = tmp_path / "outer.fs"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.fs").write_text("source b.fs\n")
    (tmp_path / "in" / "b.fs").write_text("mmap a 1\n")
    outer.write_text("source in/a.fs\nsource s.fs\n")
    status, lines, _ = live(FakeKernel(), outer)
    assert (status, lines[1]) == (
        2,
        f"{outer}: cannot run live: line 1: a script includes others on a real kernel only with --allow-live",
    )
    status, lines, _ = live(FakeKernel(), outer, allow_live=True, verbose=True)
    assert status == 0
    assert lines[2:4] == ["  0  mmap a 1: same", "  1  mmap buf 4: same"]


BRANCHES = """\
mmap buf 4
write buf
fork B
expect truth mms buf[0] == 2
undo
expect truth mms buf[0] == 1
munmap buf[0]
expect present? buf[0] == no
set decide vmas
munmap buf
expect vmas A == 0
"""


def test_branches(tmp_path: Path) -> None:
    """A script that undoes is run once for each branch; what no kernel can do ends a branch, and is named."""
    path = tmp_path / "s.fs"
    path.write_text(BRANCHES)
    kernel = FakeKernel()
    status, lines, _ = live(kernel, path, verbose=True, folder=str(tmp_path))
    assert status == 0
    assert lines[1:-1] == [
        f"{path}: 6 steps: 6 same; 3 of 3 expects hold in 2 branches",
        "  branch 1",
        *("  0  mmap buf 4: same", "  1  write buf: same", "  2  fork B: same"),
        "  branch 2",
        *("  0  mmap buf 4: same", "  1  write buf: same", "  2  munmap buf[0]: same"),
        "  what depends on line 9 is left out: a scenario cannot express decide",
    ]
    assert len(load(str(tmp_path / "s-2.json.gz")).steps or ()) == 3


def test_json_of_branches(tmp_path: Path) -> None:
    """A document has all branches of its script."""
    path = tmp_path / "s.fs"
    path.write_text(BRANCHES)
    one = json.loads(live(FakeKernel(), path, as_json=True)[1][0])
    assert (one["branches"], one["steps"], one["held"], one["unasked"]) == (2, 6, 3, 1)
    assert one["left_out"] == ["line 9: a scenario cannot express decide"]


def test_json(path: Path) -> None:
    """A document for each script, with what is not the same, and one for all."""
    status, lines, _ = live(FakeKernel(change=copy_at_fork), path, as_json=True)
    assert status == 1
    one, summary = map(json.loads, lines)
    counts = {"steps": 3, "same": 2, "differ": 1, "not_comparable": 0, "expects": 1, "held": 0, "not_in_release": 0}
    assert {key: one[key] for key in counts} == counts
    assert (one["script"], one["unasked"], one["partial"]) == (str(path), 1, False)
    assert [(step["step"], step["command"]) for step in one["unlike"]] == [(2, "fork B")]
    assert one["failed"] == [{"line": 4, "expect": "page_mapcount buf[0] == 2", "kernel": "1"}]
    assert summary == {
        "summary": {
            "release": "6.18.44-test",
            "where": "in a test",
            "profile": "6.18",
            "scripts": 1,
            **counts,
            "left_out": 0,
            "ended": 0,
        }
    }


def test_recordings_are_kept(path: Path, tmp_path: Path) -> None:
    """``-o`` writes what was recorded, as ``verify`` reads it."""
    live(FakeKernel(), path, folder=str(tmp_path))
    recording = load(str(tmp_path / "s.json.gz"))
    assert (recording.name, len(recording.steps or ())) == ("s", 3)


def test_recordings_overwrite_none(path: Path, tmp_path: Path) -> None:
    """The folder is made; scripts whose recordings would be one file are refused before a kernel runs."""
    other = tmp_path / "other" / "s.fs"
    other.parent.mkdir()
    other.write_text(SCRIPT)
    kernel, folder = FakeKernel(), tmp_path / "new" / "folder"

    status, _, errors = live(kernel, path, other, folder=str(folder))
    assert (status, kernel.options, folder.exists()) == (2, [], False)
    assert f"the recordings of {path} and {other} would be one file, s.json.gz" in errors

    assert live(kernel, path, folder=str(folder))[0] == 0
    assert [one.name for one in folder.iterdir()] == ["s.json.gz"]


def test_an_initial_state_that_differs(path: Path) -> None:
    """What differs in it is named; no step after it is compared, and none counts as the same."""

    def move(document: dict[str, Any]) -> None:
        document["regions"]["buf"]["vpn"] += 1

    status, lines, _ = live(FakeKernel(change=move), path)
    assert status == 1
    assert f"{path}: 3 steps: 0 same, 1 differs, 3 not comparable on this kernel; 1 of 1 expect hold" in lines
    assert any(line.split() == ["region", "buf,", "vpn", "513", "512"] for line in lines)


def test_quiet(path: Path) -> None:
    """Only what differs, and the summary."""
    assert len(live(FakeKernel(), path, quiet=True)[1]) == 1
    assert live(FakeKernel(change=copy_at_fork), path, quiet=True)[1][0].startswith(
        f"{path}: 3 steps: 2 same, 1 differs"
    )


def test_the_command_line() -> None:
    """What is piped in needs --allow-live; options of guests need --kernel; an image is looked at first."""
    assert folioshell("live", "-", stdin="mmap a 1\n").stderr == (
        "error: what is piped in runs on a real kernel only with --allow-live\n"
    )
    assert folioshell("record", "-", "-o", "/nonexistent/s.json", stdin="mmap a 1\n").stderr == (
        "folioshell: record: what is piped in runs on a real kernel only with --allow-live\n"
    )
    assert "go with --kernel" in folioshell("live", "--accel", "tcg", "mail/simple").stderr
    refused = folioshell("live", "--kernel", "/nonexistent", "mail/simple")
    assert refused.returncode == 2
    assert refused.stderr.count("\n") == 1


def test_a_plan_has_the_limits_of_the_run(tmp_path: Path) -> None:
    """``--dry-run`` says what ``live`` would, under the same ``--limit``."""
    script = tmp_path / "large.fs"
    script.write_text("mmap b 4000\nwrite b\n")
    done = folioshell("live", "--dry-run", "--limit", "pages=100", str(script))

    assert "the limit is 100" in done.stdout + done.stderr

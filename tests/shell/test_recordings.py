"""Verifying and converting files: lines, tables, statuses, and what becomes of files that are bad."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from folioshell.cli import main
from folioshell.live import RecorderOptions
from folioshell.live.format import load
from folioshell.live.host import Setting
from folioshell.live.recorder import LivePlan
from folioshell.recording.scenario import operation_text
from folioshell.script import Session
from folioshell.shell.recordings import Verification, emit_files, show_plans
from folioshell.views.screen import Screen
from tests.command_line import folioshell
from tests.recording.samples import FOLDER, RECORDINGS, document, scenario, small_recording


class _Output:
    """Two screens, and what was written on them."""

    def __init__(self) -> None:
        self.texts = io.StringIO(), io.StringIO()
        self.screen, self.errors = (Screen(text, rich=False, width=1000) for text in self.texts)

    @property
    def out(self) -> list[str]:
        return self.texts[0].getvalue().splitlines()

    @property
    def err(self) -> list[str]:
        return self.texts[1].getvalue().splitlines()


@pytest.fixture
def wrong(tmp_path: Path) -> str:
    """A recording that differs at step 8, where a sharing test decided."""
    found = document("d25")
    page = found["steps"][8]["procs"]["C"]["pages"]["t"][1]
    page[2], page[5] = "p", 2
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(found))
    return str(path)


def test_all_match() -> None:
    """A line a recording, then a summary; status 0."""
    output = _Output()
    names = [str(path) for path in RECORDINGS[:3]]

    assert Verification(output.screen, output.errors).run(names) == 0
    assert output.out == [
        f"{RECORDINGS[0].name}: 4 of 4 steps match",
        f"{RECORDINGS[1].name}: {len(load(names[1]).steps or ())} of {len(load(names[1]).steps or ())} steps match",
        f"{RECORDINGS[2].name}: {len(load(names[2]).steps or ())} of {len(load(names[2]).steps or ())} steps match",
        "3 recordings under profile 6.18: 3 match",
    ]


def test_books(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --books lines and the summary say how many steps were matched with them; --emit writes them."""
    kernel = FOLDER / "releases" / "6.1.192" / "c10_cold.json.gz"
    assert main(["verify", "--books", str(kernel), str(RECORDINGS[0])]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "c10_cold.json.gz: 5 of 5 steps match, 5 with their books",
        f"{RECORDINGS[0].name}: 4 of 4 steps match, 0 with their books",
        "2 recordings under profile 6.1, 6.18: 2 match; books of 5 of 9 steps match",
    ]
    assert main(["verify", "--emit", "--books", str(kernel)]) == 0
    document = json.loads(capsys.readouterr().out)
    document["soft"]["steps"][2]["raw"]["folios"][0][2]["double_map"] = 1
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(document))
    assert main(["verify", "-v", "--books", str(path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wrong.json: 2 of 5 steps match, 2 with their books"
    assert any(line.split() == ["folio", "1,", "PageDoubleMap", "1", "0"] for line in lines)


def test_one_differs(wrong: str) -> None:
    """The first difference stands under the line; status 1."""
    output = _Output()

    assert Verification(output.screen, output.errors, quiet=True).run([str(RECORDINGS[0]), wrong]) == 1
    assert output.out[0] == "wrong.json: 8 of 15 steps match"
    assert "step 8, C: madvise t[0+64] advice=cold: C, t[2] and 508 more" in output.out[1]
    assert output.out[-1] == "2 recordings under profile 6.18: 1 match, 1 differs"


def test_the_table(wrong: str) -> None:
    """-v shows what the kernel showed, what the model says, and the event that decided it with its function."""
    output = _Output()

    assert Verification(output.screen, output.errors, verbose=True).run([wrong]) == 1
    text = "\n".join(output.out)
    assert "model" in text
    assert "event" in text
    (asked,) = [line for line in output.out if "f1 shared? yes (mm-id)" in line]
    assert asked.endswith("madvise_cold_or_pageout_pte_range")


def test_bad_files_do_not_stop_the_others(tmp_path: Path) -> None:
    """A file of another version, one that was cut, and one with an unknown operation are named; status 2."""
    other, cut, unknown = (tmp_path / f"{name}.json" for name in ("other", "cut", "unknown"))
    other.write_text(json.dumps({**small_recording(), "format": "mm-oracle-recording/9"}))
    cut.write_text(json.dumps(small_recording())[:300])
    unknown.write_text(json.dumps(small_recording()).replace('"munmap"', '"unmap"'))
    output = _Output()

    assert Verification(output.screen, output.errors).run([str(other), str(cut), str(unknown), str(RECORDINGS[0])]) == 2
    assert [line.partition(": ")[0] for line in output.err] == [str(other), str(cut), str(unknown)]
    assert "'mm-oracle-recording/9'" in output.err[0]
    assert "truncated JSON" in output.err[1]
    assert "operation 5: no operation 'unmap'; did you mean 'munmap'?" in output.err[2]
    assert output.out[-1] == "4 recordings under profile 6.18: 1 match, 3 unusable"


def test_emit(tmp_path: Path) -> None:
    """A document a line, of recordings and of bare scenarios; a bad file is named and left out."""
    bare, bad = tmp_path / "bare.json", tmp_path / "bad.json"
    bare.write_text(json.dumps(scenario()))
    bad.write_text("{}")
    output = _Output()
    stream = io.StringIO()

    assert emit_files([str(RECORDINGS[0]), str(bad), str(bare)], stream, output.errors) == 2
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["steps"] == load(str(RECORDINGS[0])).steps
    assert list(second) == ["format", "name", "doc", "scenario", "env", "regions", "files", "steps"]
    assert len(output.err) == 1


def test_emitted_recording_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What --emit writes is a recording that verify accepts."""
    assert main(["verify", "--emit", str(RECORDINGS[5])]) == 0
    path = tmp_path / "emitted.json"
    path.write_text(capsys.readouterr().out)

    assert main(["verify", str(path)]) == 0


def test_convert_there_and_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording becomes a script, and the script a scenario of the file's name."""
    assert main(["convert", str(RECORDINGS[0])]) == 0
    script = tmp_path / "first.fs"
    script.write_text(capsys.readouterr().out)
    assert script.read_text().startswith("#!folioshell 1\n| Writes to fresh anonymous memory")

    assert main(["convert", str(script)]) == 0
    back = json.loads(capsys.readouterr().out)
    assert (back["name"], back["doc"]) == ("first", load(str(RECORDINGS[0])).scenario["doc"])


def test_convert_refuses_with_a_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a scenario has no word for is refused with file, line and column; so is a file that is not there."""
    script = tmp_path / "no.fs"
    script.write_text("mmap a 4\nfault a\nmmap b 4 populate\n")

    done = folioshell("convert", str(script))
    assert (done.returncode, done.stderr.startswith(f"{script}:3:10: ")) == (2, True)
    assert main(["convert", str(tmp_path / "none.fs")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_operation_text() -> None:
    """Operations have one line."""
    made = [operation_text(op) for op in scenario()["ops"]]

    assert made[1] == "A: touch r[0+16] access=write"
    assert made[2] == "A: fork child=B"


TRACE = RECORDINGS[0].parent / "ptl" / "anon_write_new_pte_table.json.gz"


def test_a_trace_of_locks_is_verified_and_emitted() -> None:
    """A recording of page-table locks is compared lock by lock, and emitted written out, with its locks' names."""
    output, stream = _Output(), io.StringIO()

    assert Verification(output.screen, output.errors).run([str(TRACE)]) == 0
    assert output.out[0] == f"{TRACE.name}: 2 PTLs and their nesting match"
    assert emit_files([str(TRACE)], stream, output.errors) == 0
    assert json.loads(stream.getvalue()) == {
        "name": "anon_write_new_pte_table",
        "result": {"ok": True},
        "ptl": [["pmd:A", 0, "pmd_install"], ["pte:A:r0:1", 0, "do_anonymous_page"]],
        "held_together": [],
    }


@pytest.mark.parametrize("verbose", [False, True])
def test_a_trace_that_differs(tmp_path: Path, verbose: bool) -> None:
    """The first lock that differs is named, kernel and model side by side; status 1."""
    found = json.loads(gzip.decompress(TRACE.read_bytes()))
    found["ptl"][1][2] = "wp_page_copy"
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(found))
    output = _Output()

    assert Verification(output.screen, output.errors, verbose=verbose).run([str(path)]) == 1
    text = "\n".join(output.out)
    assert "wrong.json: lock 1 differs" in text
    assert "pte:A:r0:1 at depth 0 in wp_page_copy()" in text
    assert "pte:A:r0:1 at depth 0 in do_anonymous_page()" in text


def bomb(folder: Path) -> Path:
    """A small gzip file of a recording with very many operations."""
    path = folder / "bomb.json.gz"
    with gzip.open(path, "wt", compresslevel=1) as stream:
        stream.write('{"ops": [')
        for _ in range(400):
            stream.write('{"op": "fork", "proc": "A", "child": "B"},' * 20_000)
        stream.write("null]}")
    return path


@pytest.mark.parametrize("action", [("verify",), ("verify", "--emit"), ("convert",)])
def test_a_gzip_bomb(action: tuple[str, ...], tmp_path: Path) -> None:
    """What unpacks to more than anybody records is unusable: its size, the time and the memory are limited."""
    path = str(bomb(tmp_path))

    done = folioshell(*action, path)
    assert (done.returncode, "too large: more than 256M bytes unpacked" in done.stderr) == (2, True)
    done = folioshell(*action, "--limit", "memory=64", path)
    assert (done.returncode, "the recording exceeds the limit of 64 MB of memory" in done.stderr) == (2, True)
    done = folioshell(*action, "--limit", "seconds=0", path)
    assert (done.returncode, "the recording exceeds the limit of 0 CPU seconds" in done.stderr) == (2, True)


def _planned(monkeypatch: pytest.MonkeyPatch, found: LivePlan, *names: str) -> tuple[int, list[str]]:
    """Status and lines of a plan of scripts on a machine where ``found`` is the plan of each."""
    monkeypatch.setattr("folioshell.shell.recordings.plan", lambda *_: found)
    output = _Output()
    status = show_plans(names, output.screen, output.errors, Session().language, RecorderOptions(), verbose=False)
    return status, [*output.out, *output.texts[1].getvalue().splitlines()]


def test_a_plan_says_what_it_would_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What a live run would set, mount, swap to and not see; and how many steps can run."""
    script = tmp_path / "s.fs"
    script.write_text("mmap a 4\nwrite a\nundo\nread a\n")
    settings = [Setting("/sys/a", "never", "always")]
    found = LivePlan(settings, ["tmpfs, huge=always"], "a zram device", [], ["folios: not root"])

    status, lines = _planned(monkeypatch, found, str(script))

    assert status == 0
    assert lines[:5] == [
        f"{script}: 2 steps can run",
        "  sets /sys/a to always (now never)",
        "  mounts tmpfs, huge=always, in no mount namespace",
        "  swaps to a zram device",
        "  does not see folios: not root",
    ]
    # The other branch.
    assert lines[5] == lines[0]


def test_a_plan_says_why_nothing_can_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Obstacles are named; a script that no kernel can run is refused at its place."""
    script, other = tmp_path / "s.fs", tmp_path / "other.fs"
    script.write_text("mmap a 4\n")
    other.write_text("set geometry classroom\n")

    status, lines = _planned(monkeypatch, LivePlan([], [], "", ["swap needs root"], []), str(script), str(other))

    assert status == 2
    assert lines[:2] == [f"{script}: none of 1 step can run", "  cannot run: swap needs root"]
    assert "no kernel has page tables of another geometry" in lines[2]

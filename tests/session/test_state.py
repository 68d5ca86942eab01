"""The state behind ``--json=full``: each fact once, and enough to draw ``show`` again from it alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from folioshell.commands import Session
from folioshell.recording.observe import emit
from folioshell.report import Picture
from folioshell.script.runner import run_file
from folioshell.session.state import snapshot
from tests.docs.scenario_index import FOLDER
from tests.export.redrawn import picture_of
from tests.recording.test_convert import scenario_of

LINES = ("file lib 32 order=4", "mmap win 16 file=lib at=0x7f0000200000", "fault win[0]", "fork B", "B: fault win[3]")
SCRIPTS = sorted(FOLDER.rglob("*.fs"))


def state_after(*lines: str, shown: tuple[str, ...] = ()) -> dict[str, Any]:
    """The state after some lines, as a reader of the document gets it."""
    session = Session()
    for line in lines:
        session.execute(line)
    made: dict[str, Any] = json.loads(json.dumps(snapshot(session.workspace, shown)))
    return made


def test_a_state_has_what_a_recording_has() -> None:
    """VMAs with smaps, bits of pagemap and kpagecount are those of the recording that the same commands give."""
    session = Session()
    statements = [statement for line in LINES for statement in session.language.parse(line)]
    recording = emit(scenario_of(statements, "made"))
    state = state_after(*LINES)

    for name, seen in recording["steps"][-1]["procs"].items():
        process = state["processes"][name]
        for vma, row in zip(process["vmas"], seen["vmas"], strict=True):
            assert (vma["pages"], vma["perm"], vma["flags"], vma["smaps"]) == tuple(
                row[key] for key in ("count", "perm", "flags", "smaps")
            )
        pages = {region: [[*row[:3], row[5]] for row in rows] for region, rows in seen["pages"].items()}
        assert process["pagemap"] == pages
    assert state["regions"]["win"] == {**recording["regions"]["win"], "address": "0x7f0000200000"}


def test_folios() -> None:
    """References, the truth, every scheme's number, answer and verdict."""
    state = state_after(*LINES)
    first, second = state["folios"]

    assert (first["id"], first["order"], first["mapping"], first["index"], first["anon"]) == ("f1", 4, "lib", 0, False)
    assert first["truth"] == {"mms": 2, "vmas": 2, "tuples": 2, "entries": 32, "pages": 16}
    assert (first["sharing"], first["entries"], second["sharing"]) == ("shared", [[16, 2]], "unmapped")
    assert set(first["mapcounts"]) == set(Session().workspace.machine.schemes) == set(first["verdicts"])
    assert (first["answers"]["tuples"], first["verdicts"]["tuples"]) == ("maybe", "undecided")
    assert second["verdicts"] == {}
    assert state["processes"]["B"]["parent"] == "A"


def test_verdicts_of_a_scheme_that_is_wrong() -> None:
    """The folio is straddled by one process: entries look like those of two."""
    (folio, *_) = state_after("file lib 4 order=2 ; mmap win 4 file=lib align=512 skew=510", "fault win")["folios"]

    assert folio["truth"]["mms"] == 1
    assert (folio["answers"]["per-page"], folio["verdicts"]["per-page"]) == ("yes", "false positive")
    assert (folio["verdicts"]["tuples"], folio["verdicts"]["vmas"]) == ("undecided", "exact")


def test_entries_are_no_text() -> None:
    """Table, level, VMA, address, folio and page stand apart; `step` pages of each folio where there are several."""
    lines = (
        "set thp.16K always ; mmap buf 20",
        "write buf[0..3]",
        "set thp.16K never ; write buf[16..18]",
        "read buf[4]",
    )
    large, zero, several = state_after(*lines)["processes"]["A"]["entries"]

    place = {"table": "pt1", "level": "pte", "vma": "v1", "address": "0x7f0000000000", "pages": 4}
    assert large == place | {"folio": "f1", "page": 0, "perm": "rw"}
    assert (zero["other"], zero["perm"], "folio" in zero) == ("zero page", "r", False)
    assert (several["folio"], several["page"], several["step"], several["pages"]) == ("f2", 0, 1, 3)


def test_runs_end_where_a_vma_ends() -> None:
    """Large folios that one run could hold lie in two VMAs."""
    entries = state_after("set thp.16K always ; mmap buf 16 ; write buf ; mlock buf[4..7]")["processes"]["A"]["entries"]

    assert len({run["vma"] for run in entries}) == 3
    assert [(run["folio"], run["pages"], run.get("step")) for run in entries] == [
        ("f1", 4, None),
        ("f2", 4, None),
        ("f3", 8, 4),
    ]


def test_tables_that_hold_nothing() -> None:
    """PMD tables, PTE tables without an entry, and deposited ones are there."""
    lines = (
        "set thp.pmd always ; mmap buf 1024 ; mmap more 1",
        "write buf[0]",
        "write more[0] ; madvise dontneed more",
    )
    tables = state_after(*lines)["processes"]["A"]["tables"]

    assert tables == [
        {"id": "pmd1", "level": "pmd", "address": "0x7f0000000000", "pages": 512 * 512, "used": 2},
        {"id": "pt2", "level": "pte", "in": "pmd1", "address": "0x7f0000600000", "pages": 512, "used": 0},
        {"id": "pt1", "level": "pte", "in": "pmd1", "deposited": True},
    ]
    (entry,) = state_after(*lines)["processes"]["A"]["entries"]
    assert (entry["table"], entry["level"], entry["pages"]) == ("pmd1", "pmd", 512)


def redrawn(path: Path) -> int:
    """Compare the picture of every state of a script with `show` there; returns how many there were."""
    session = Session(counting=())
    session.settings.full = True
    # A class is shown less.
    session.settings.audience = "expert"
    nr = 0
    for event in run_file(path, session=session, confined=False):
        if event.report is not None and event.report.state is not None:
            shown = session.execute("show")[0].sections[0]
            assert isinstance(shown, Picture)
            assert picture_of(json.loads(json.dumps(event.report.state))) == shown, f"{path}:{event.line}"
            nr += 1
    return nr


@pytest.mark.parametrize("path", SCRIPTS[:3], ids=lambda path: path.stem)
def test_show_from_the_state_alone(path: Path) -> None:
    """`show` is drawn from the state of a document, without the session, after each command that changes it."""
    assert redrawn(path) > 2


@pytest.mark.full
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_show_of_all_scripts_from_the_state_alone(path: Path) -> None:
    """The same of every script that is shipped."""
    assert redrawn(path)

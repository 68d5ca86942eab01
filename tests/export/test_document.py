"""Tests of folioshell.export: documents and their schema."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from folioshell import Session
from folioshell.commands.grammar import Command, registry
from folioshell.errors import Refused
from folioshell.export.document import FIELDS, document, document_line
from folioshell.export.schema import adapter, schema, schema_text
from folioshell.script.runner import run_text
from folioshell.views.csv_view import csv_tables
from folioshell.views.report_view import plain_lines
from tests.command_line import folioshell

SCRIPT = """set thp.64K always
mmap buf 64
fault buf
fork B
B: write buf[3]
as B
munmap buf[20..25]
fails ENOMEM mprotect buf r
fails SIGSEGV write buf[0]
madvise cold buf[60]
query shared? buf[40]
query present? buf[0]
query shared? buf
expect mapcount vmas buf[0] == 2
expect mapcount vmas buf[0] == 1
rmap buf[40]
show
trace
why buf[40]
diff
history
help mmap
set
undo
watch truth mms buf[40]
munmap buf[40]
"""


def documents(full: bool = False) -> list[dict[str, Any]]:
    runner = run_text(SCRIPT, name="test.fs")
    runner.session.settings.full = full
    lines = [document_line(item.report, file=item.file, line=item.line) for item in runner if item.report]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("full", [False, True])
def test_documents_fit_the_schema(full: bool) -> None:
    """Every document of a run validates, strictly, and its command has the pattern of the schema."""
    found = documents(full)
    pattern = schema()["$defs"]["Document"]["properties"]["command"]["pattern"]

    assert len(found) == len(SCRIPT.splitlines())
    for one in found:
        adapter().validate_json(json.dumps(one), strict=True)
        assert re.match(pattern, one["command"])
        assert (one["v"], one["file"]) == (2, "test.fs")
        assert list(one) == [key for key in ("v", "file", "line", *FIELDS) if key in one]


#: commands whose examples take seconds
LONG = ("protocols",)


@pytest.mark.parametrize(
    "command",
    [pytest.param(one, marks=pytest.mark.full if one.verb in LONG else ()) for one in registry],
    ids=lambda command: command.verb,
)
def test_documents_of_examples_fit_the_schema(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So do those of every command, in its examples."""
    monkeypatch.chdir(tmp_path)
    for example in command.explanation.examples:
        session = Session()
        session.settings.full = True
        with contextlib.suppress(Refused):
            for reports in session.stream(example):
                for report in reports:
                    adapter().validate_json(document_line(report), strict=True)


def test_keys_of_a_step() -> None:
    """A step has number, result, sentence, and what it touched; absent keys are left out."""
    fork = documents()[3]

    assert (fork["line"], fork["step"], fork["process"], fork["command"], fork["result"]) == (
        4,
        4,
        "A",
        "fork B",
        {"ok": True},
    )
    assert fork["folios"][0]["mapcounts"]["vmas"] == {"old": 1, "new": 2}
    assert (fork["folios"][0]["id"], fork["folios"][0]["order"], fork["folios"][0]["n"]) == ("f1", 4, 4)
    assert all(len(row) == 3 for row in fork["locks"])
    assert not {"query", "expect", "walks", "findings", "sections", "state"} & set(fork)


def test_results_are_those_of_recordings() -> None:
    """ok, errno, or signals with first access and number."""
    results = [one["result"] for one in documents() if "result" in one]

    assert results[6:8] == [{"errno": "ENOMEM"}, {"signals": [[0, 1, "SIGSEGV"]]}]
    assert results[0] == {"ok": True}


def test_locks_are_written_one_row_an_acquisition() -> None:
    """Rows that a report groups are written out."""
    runner = run_text("mmap buf 4\nfault buf\n")
    report = [item.report for item in runner if item.report][1]
    rows = document(report)["locks"]

    assert any(row.times == 4 for row in report.locks)
    assert len(rows) == sum(row.times for row in report.locks)
    assert [list(row) for row in rows[-2:]] == [["pt1", 0, "do_anonymous_page"]] * 2


def test_query_and_expect() -> None:
    """Answers are whole, a failed assertion says why."""
    found = documents()
    query = found[10]["query"]
    assert {row["scheme"] for row in query["rows"]} >= {"tuples", "vmas"}
    assert query["truth"]["mms"] == 2
    assert (found[11]["query"]["kind"], found[11]["query"]["answer"]) == ("present?", "yes")
    assert "step" not in found[10] and "result" not in found[10]
    passed, failed = found[13]["expect"], found[14]["expect"]
    assert {passed["passed"], failed["passed"]} == {True, False}


def test_full_documents_have_the_state() -> None:
    """--json=full adds everything after each step."""
    steps = [one for one in documents(full=True) if "step" in one]

    assert all("state" in one for one in steps)
    assert set(steps[4]["state"]["processes"]) == {"A", "B"}
    assert steps[4]["state"]["regions"]["buf"]["pages"] == 64


def test_full_documents_of_commands_that_are_no_steps() -> None:
    """What moves in the history, or switches the process, leads to a state, too."""
    session = Session()
    session.settings.full = True
    session.execute("mmap buf 4 ; fork B")
    for line, step, current in (
        ("undo", 1, "A"),
        ("redo", 2, "A"),
        ("as B", 2, "B"),
        ("goto 0", 0, "A"),
        ("reset", 0, "A"),
    ):
        (report,) = session.execute(line)
        assert report.step is None
        assert report.state is not None
        assert (report.state["step"], report.state["current"]) == (step, current), line


def test_full_documents_do_not_depend_on_what_is_shown() -> None:
    """`set after` chooses what is printed; documents have all of it."""
    session = Session()
    session.settings.full = True
    (*_, report) = session.execute("set after none ; mmap buf 4 ; fault buf ; fork B ; B: write buf[0]")

    found = document(report)
    assert {"folios", "locks"} <= set(found)
    assert plain_lines([report], 100) == [report.sentence]
    assert csv_tables(report) == []


def test_prose_and_comments_are_documents() -> None:
    """In full each line of prose or comment is one, and a comment after a command stands with it."""
    text = "#!folioshell 1\n| # A page\n# for the teacher\nmmap a 4   # four pages\n"
    done = folioshell("--json=full", "run", "-", stdin=text)
    found = [json.loads(line) for line in done.stdout.splitlines()]

    assert found[:2] == [
        {"v": 2, "file": "-", "line": 2, "prose": "# A page"},
        {"v": 2, "file": "-", "line": 3, "comment": "for the teacher"},
    ]
    assert found[2]["comment"] == "four pages"
    for one in found:
        adapter().validate_json(json.dumps(one), strict=True)


def test_schedules_are_no_text() -> None:
    """A race says of its shortest schedules who does what, who waits for which lock, and who holds it."""
    session = Session()
    session.settings.full = True
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504")
    session.execute("write win[3] ; write win[12]")
    session.execute("fault win[0] read ; fault win[8] read ; set decide vmas ; set protocol exclude-own")
    race = "race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }"
    explored = document(session.execute(race)[0])["race"]
    deadlock = explored["findings"][0]
    followed = document(session.execute(f"{race} schedule={deadlock['schedule']}")[0])["schedule"]

    assert deadlock["kind"] == "deadlock"
    assert [(row["thread"], row["lock"], row["waits"]) for row in deadlock["picture"]]
    assert sum(row["waits"] for row in deadlock["picture"]) == 2
    (shortest, *_) = explored["schedules"]
    assert shortest["steps"] == followed["steps"]
    waiting = [step for step in followed["steps"] if "waits" in step]
    held = {row["lock"]: row["thread"] for row in followed["steps"][-1]["held"]}
    assert all(held[step["waits"]["lock"]] != step["thread"] for step in waiting)


def test_the_schema_rejects_what_is_not_declared() -> None:
    """Unknown keys and wrong types are errors."""
    good = documents()[0]
    for wrong in ({**good, "extra": 1}, {**good, "v": 1}, {**good, "folios": [{"id": "f1"}]}):
        with pytest.raises(ValidationError):
            adapter().validate_python(wrong)


def test_the_schema_names_every_command() -> None:
    """The schema is made from the declarations, too."""
    made = json.loads(schema_text())

    assert made["$schema"].endswith("2020-12/schema")
    pattern = made["$defs"]["Document"]["properties"]["command"]["pattern"]
    assert made["$defs"]["commands"]["x-usage"]["fork"] == ["fork NAME [count=N]"]
    assert re.match(pattern, "fails ENOMEM mprotect buf r")
    assert not re.match(pattern, "frok B")


def test_run_imports_no_pydantic() -> None:
    """Writing documents needs neither pydantic nor rich nor prompt_toolkit."""
    code = (
        "import sys; from folioshell.script.runner import run_text\n"
        "from folioshell.export.document import document_line\n"
        "for item in run_text('mmap a 4\\nfault a\\n'): document_line(item.report)\n"
        "print([name for name in ('pydantic', 'rich', 'prompt_toolkit', 'difflib', 'inspect') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() in ("[]", "['inspect']")


def test_what_is_watched() -> None:
    """Old and new as text, and why nothing can be read; absent keys are left out."""
    *_, asked, gone = documents()

    assert asked["watched"] == [
        {"number": 1, "watch": "truth mms B:buf[40]", "values": {"mms": {"old": "2", "new": "2"}}}
    ]
    assert gone["watched"][0]["note"].startswith("B has no present entry")
    assert "values" not in gone["watched"][0]

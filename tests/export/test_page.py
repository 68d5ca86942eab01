"""Pages: a section a step, numbers as in the documents, questions, and no byte too many."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from html import escape
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import process_time

import pytest

from folioshell.export.page import page, standalone
from folioshell.report import Picture
from tests.command_line import folioshell
from tests.docs.scenario_index import FOLDER
from tests.export.pages import LESSON, counts, drawn_counts, entry_labels, page_of, rows, script, script_text, texts

SCRIPTS = sorted(FOLDER.rglob("*.fs"))
CLASS = sorted((FOLDER / "class").glob("*.fs"))
_COUNT = re.compile(r"×\d+[!?]*\Z")
#: scripts in which no page is mapped after a step
WITHOUT_FIGURES: set[str] = set()
#: the drawing of a figure gives up beyond these
MOST_FOLIOS = 24


def check_numbers(path: Path) -> int:
    """Compare the numbers of figures and tables with those of the documents; returns how many figures there were."""
    found = script(path)
    made = page_of(found)
    states = [shot for shot in found.shots if shot.document.get("state") is not None]
    drawn = {ident: svg for ident, svg in made.figures.items() if "r" not in ident}
    nr = 0
    for shot in states:
        state, number = shot.document["state"], f"Step {shot.document['state']['step']}: "
        figures = [svg for svg in drawn.values() if number in svg and escape(shot.words.strip()) in svg]
        if figures and len([row for row in state["folios"] if row["sharing"] != "unmapped"]) <= MOST_FOLIOS:
            labels = texts(figures[-1])
            pairs = [(one[1], two[1]) for one, two in pairwise(labels) if _COUNT.match(two[1])]
            if state["geometry"] == "classroom" and not any("PMD" in text for _, text in labels):
                cells = [(one[1], two[1]) for one, two in pairwise(labels) if two[0] == "m x" and one[1] != "zero"]
                assert sorted(cells) == sorted(entry_labels(state)), f"{path}: {number}"
            if not any("more mapped folios" in text for _, text in labels):
                assert drawn_counts(pairs, state) == counts(state), f"{path}: {number}"
                nr += 1
        table = rows(shot.html)
        for folio in shot.document.get("folios", ()) if "mapcounts" not in shot.html else ():
            new = {name: f"{one['old']} → {one['new']}" for name, one in folio["mapcounts"].items()}
            changed = {name: text for name, text in new.items() if text.split()[0] != text.split()[2]}
            row = next((row for row in table if row[0].partition("..")[0] == folio["id"] and len(row) > 2), None)
            if changed and row is not None and set(changed.values()) & set(row):
                head = next(head for head in table if head[0] == "folio")
                assert {name: row[head.index(name)] for name in changed if name in head} == changed
        for folio in state["folios"]:
            assert sum(pages for pages, _ in folio["entries"]) == 1 << folio["order"]
    return nr


@pytest.mark.parametrize("path", CLASS[:2], ids=lambda path: path.stem)
def test_numbers_agree(path: Path) -> None:
    """Figures, tables and documents give the same numbers."""
    assert check_numbers(path) > 2


@pytest.mark.full
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: str(path.relative_to(FOLDER)))
def test_numbers_agree_in_all_scripts(path: Path) -> None:
    """At every step of every script that is shipped."""
    assert check_numbers(path) or path.name in WITHOUT_FIGURES


def test_sections(tmp_path: Path) -> None:
    """Each step has a section with its number, its prose, what the shell says, and a figure described as by `show`."""
    found = script_text(tmp_path, LESSON)
    made = page_of(found)

    assert made.title == "Two processes, one page"
    assert re.findall(r'<section id="(\w+)"', made.html) == ["s0", "s2", "s3", "s4", "s5"]
    assert found.about == "How a <code>fork</code> shares pages."
    fork = made.sections[3]
    assert "<code>fork B</code></h2>" in fork and "fork() = B" in fork
    assert "✓ <code>expect mapcount per-page f1 == 2</code>" in fork
    words = re.search(r"<desc[^>]*>(.*?)</desc>", made.figures["s4"], re.DOTALL)
    said = folioshell("--mode", "spoken", "-c", "set geometry classroom ; mmap buf 8 ; write buf[0..3] ; fork B ; show")
    assert words is not None
    assert words[1].splitlines()[1:3] == said.stdout.splitlines()[-len(words[1].splitlines()) :][1:3]


def test_nothing_is_fetched(tmp_path: Path) -> None:
    """The policy allows style and script by hash alone, and the page names no other file."""
    made = page_of(script_text(tmp_path, LESSON)).html

    policy = re.search(r'Content-Security-Policy content="([^"]*)"', made)
    assert policy is not None and policy[1].startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (inner,) = re.findall(f"<{tag}>(.*?)</{tag}>", made, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inner.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy[1]
    assert not re.search(r"(?:src|href)=(?![\"']?(?:#|data:,))|url\(|@import|style=|onclick=", made)


def test_everything_is_escaped(tmp_path: Path) -> None:
    """What an author writes is text."""
    made = page_of(script_text(tmp_path, LESSON + "| <script>alert(1)</script> & **so**\n"))

    assert "<the>" not in made.html
    assert "&lt;the&gt; fork" in made.html
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; <strong>so</strong>" in made.html


def test_questions_are_asked(tmp_path: Path) -> None:
    """A question is a form below the state before its command, with hints, wrong answers and the model's answer."""
    made = page_of(script_text(tmp_path, LESSON))
    before, fork = made.sections[2], made.sections[3]

    assert 'data-v="2"' in before and 'data-w="4"' in before and "Next: <code>fork B</code>" in before
    assert "<summary>Hint</summary><p>Fork copies page tables" in before
    assert "Now the child gets" in before and "Now the child gets" not in fork
    assert "<select><option></option><option>no</option>" in fork
    assert "<li>two processes map it</li>" in made.sections[4]
    assert "fork C" not in made.html


def test_a_figure_does_not_answer_a_question(tmp_path: Path) -> None:
    """Above a question about what a scheme answers, the figure does not mark the scheme as wrong or undecided."""
    lines = (
        "set geometry classroom",
        "set schemes per-page,tuples",
        "set thp.16K always",
        "mmap buf 8",
        "write buf[0]",
    )
    asked = "? shared? per-page f1 | Is it shared?\nquery shared? f1"
    text = "#!folioshell 1\n" + "\n".join((*lines, asked, "fork B", "B: munmap buf[0]")) + "\n"
    for questions, marked in (("ask", False), ("none", False), ("show", True)):
        made = page_of(script_text(tmp_path, text), questions=questions)
        figure = made.figures["s4" if "s4" in made.figures else "s5"]
        assert ("! per-page" in figure) == marked
        assert ("per-page is wrong" in figure) == marked


def test_answers_are_shown(tmp_path: Path) -> None:
    """For a reader each question has its answer, each task a solution."""
    made = page_of(script_text(tmp_path, LESSON), questions="show").html

    assert "Answer: <b>2</b>. Each process has an entry of its own." in made
    assert "One way: <code>fork C ; B: munmap buf[1]</code>" in made
    assert "<form" not in made


def test_an_exam_has_no_answers(tmp_path: Path) -> None:
    """The file ends with the state before the first question: neither answers nor prose nor states follow."""
    made = page_of(script_text(tmp_path, LESSON), questions="none")

    assert re.findall(r'<section id="(\w+)"', made.html) == ["s0", "s2", "s3"]
    assert list(made.figures) == ["s2", "s3"]
    for told in (
        "data-v",
        "data-w",
        "Hint",
        "fork() = B",
        "expect",
        "entry of its own",
        "gets a copy",
        "The end",
        "fork C",
    ):
        assert told not in made.html.partition("<main>")[2].partition("</main>")[0], told
    assert made.html.count("<p class=a>Answer") == 2
    assert "<code>B: write buf[0]</code>" in made.html and "Let two processes map page 1." in made.html


def test_some_steps(tmp_path: Path) -> None:
    """`--steps` chooses sections; what leads to them is done all the same."""
    made = page_of(script_text(tmp_path, LESSON), steps=(4, 4))

    assert re.findall(r'<section id="(\w+)"', made.html) == ["s4"]


def test_a_step_that_is_seen_again(tmp_path: Path) -> None:
    """After undo a step has a second section, with an id and a heading of its own."""
    made = page_of(script_text(tmp_path, "mmap buf 4\nwrite buf\nundo\nread buf\n")).html

    assert re.findall(r'<section id="([\w-]+)"', made) == ["s1", "s2", "s1-2", "s2-2"]
    assert len(set(re.findall(r"<h2.*?</h2>", made))) == 4


def test_several_scripts(tmp_path: Path) -> None:
    """On one page their ids differ."""
    found = script_text(tmp_path, LESSON)
    made = page([found, found], "made by a test").html

    idents = re.findall(r' id="([^"]*)"', made)
    assert len(set(idents)) == len(idents)
    assert 'href="#2-s4"' in made


def test_a_race_is_a_page_too() -> None:
    """Its schedules are timelines, in which each step is a group."""
    made = page_of(script(FOLDER / "locks" / "l2-abba.fs"))
    timelines = {ident: svg for ident, svg in made.figures.items() if "r" in ident}

    assert len(timelines) >= 4
    assert all('<g class="r"' in svg for svg in timelines.values())
    assert "waits for pt2" in timelines["s9-2r1"]
    assert "deadlock: schedule 1,1," in made.html


def test_a_figure_alone(tmp_path: Path) -> None:
    """`--svg` writes figures with a style of their own."""
    made = page_of(script_text(tmp_path, LESSON))
    alone = standalone(made.figures["s4"])

    assert alone.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="')
    assert "prefers-color-scheme:dark" in alone and ".c0{--c:#0072b2}" in alone
    assert texts(alone.replace(' xmlns="http://www.w3.org/2000/svg"', "")) == texts(made.figures["s4"])


# Budgets.


@pytest.mark.full
def test_the_budget() -> None:
    """The fixed part has at most 12 KB, the median step 6 KB; class/ gzipped 60 KB."""
    pages = [page_of(script(path)) for path in CLASS]
    steps = [len(section.encode()) for made in pages for section in made.sections]
    fixed = [len(made.html.encode()) - sum(len(section.encode()) for section in made.sections) for made in pages]

    assert max(fixed) <= 12 << 10
    assert median(steps) <= 6 << 10
    assert len(gzip.compress("".join(made.html for made in pages).encode(), mtime=0)) <= 60 << 10


@pytest.mark.full
def test_a_hundred_steps(tmp_path: Path) -> None:
    """They are a page in two seconds of CPU time."""
    lines = ["set geometry classroom ; mmap buf 16", *(f"write buf[{at % 16}]" for at in range(16)), "fork B"]
    lines += [f"B: write buf[{at % 16}]\nmadvise dontneed buf[{at % 16}]" for at in range(41)]
    start = process_time()
    made = page_of(script_text(tmp_path, "\n".join(lines)))
    spent = process_time() - start

    assert len(made.sections) > 100
    assert spent <= 2


# The command.


def test_export(tmp_path: Path) -> None:
    """A page, and its figures; the same bytes each time."""
    source = tmp_path / "lesson.fs"
    source.write_text(LESSON, encoding="utf-8")
    target = tmp_path / "out" / "page.html"
    done = folioshell("export", str(source), "-o", str(target), "--svg", str(tmp_path / "svg"))

    assert (done.returncode, done.stdout) == (0, f"1 page written to {target}\n")
    assert sorted(path.name for path in (tmp_path / "svg").iterdir()) == [
        f"lesson-s{step}.svg" for step in (2, 3, 4, 5)
    ]
    assert folioshell("export", str(source), "-o", "-").stdout == target.read_text(encoding="utf-8")


def test_export_of_a_folder(tmp_path: Path) -> None:
    """A page a script, and an index that links to them."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.fs").write_text(LESSON, encoding="utf-8")
    done = folioshell("export", "--index", str(tmp_path), "-o", str(tmp_path / "site"))

    assert done.returncode == 0
    assert sorted(path.name for path in (tmp_path / "site").iterdir()) == ["a.html", "b.html", "index.html"]
    index = (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
    assert 'href="a.html">Two processes, one page</a>' in index


def test_no_page_of_a_script_that_fails(tmp_path: Path) -> None:
    """It would show what its author did not mean; nothing is written."""
    source, target = tmp_path / "wrong.fs", tmp_path / "page.html"
    for text in ("mmap buf 4\nexpect vmas A == 2\n", "mmap buf\n"):
        source.write_text(text, encoding="utf-8")
        done = folioshell("export", str(source), "-o", str(target))
        assert done.returncode == 2
        assert "wrong.fs" in done.stderr
        assert not target.exists()


def test_wrong_options(tmp_path: Path) -> None:
    """A range that is none; a folder without scripts."""
    with_steps = folioshell("export", "mail/straddle", "-o", str(tmp_path / "p.html"), "--steps", "5..3")
    assert "neither a step nor a range of steps" in with_steps.stderr
    assert "no scripts in" in folioshell("export", "--index", str(tmp_path), "-o", str(tmp_path / "site")).stderr


def test_pictures_of_show_are_left_to_the_figure(tmp_path: Path) -> None:
    """`show` repeats what the figure shows; other views stay."""
    found = script_text(tmp_path, "mmap buf 4\nshow\nshow vmas\n")

    commands = [shot.document["command"] for shot in found.shots]
    assert commands == ["mmap buf 4", "show vmas"]
    assert Picture.__name__ not in json.dumps([shot.html for shot in found.shots])

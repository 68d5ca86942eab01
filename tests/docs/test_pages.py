"""The generated pages match the program, its docstrings and its scripts."""

from __future__ import annotations

import re
from dataclasses import fields
from xml.etree import ElementTree as ET

import pytest

from folioshell.events import Rmap
from tests.docs.events import described
from tests.docs.pages import PAGES
from tests.docs.picture import picture
from tests.docs.scenario_index import FOLDER, FOLDERS, opening, scripts
from tests.repo.tree import ROOT


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    """If it is not, `python -m tests.docs.pages` writes all of them. It ends as `tests.docs.retype` ends it."""
    page = PAGES[name]()
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == page
    assert page.endswith("\n") and not page.endswith("\n\n")


def test_every_script_is_in_the_index() -> None:
    """Every folder of scripts is listed, and every script has a title and a paragraph before its first command."""
    indexed = [path for folder in FOLDERS for path in scripts(folder)]

    assert sorted(FOLDER.rglob("*.fs")) == sorted(indexed)
    assert [path for path in indexed if not all(opening(path))] == []


def test_no_answer_of_the_tutorial_stands_before_its_question() -> None:
    """Solutions of tasks are at the end of the page; what answers a question stands below what is printed."""
    lessons, solutions = PAGES["tutorial.md"]().split("\n## Solutions\n")

    assert len(re.findall(r"^- \*\*\w+\*\*: `", solutions, re.MULTILINE)) == lessons.count("**Task `") == 24
    assert len(re.findall(r"\*\*Guess:\*\* .*\n\n```folioshell\n(?:(?!```).*\n)+```\n\n\*\*", lessons)) == 36
    told = re.findall(r"^- \*\*\w+\*\*: `(.*?)`", solutions, re.MULTILINE)
    assert [text for text in told if f"> {text}\n" in lessons] == []


def test_the_kernel_map_names_both_sides() -> None:
    """A kernel function is listed with its version and the function of ours that follows it."""
    page = PAGES["kernel-map.md"]()

    assert "\n## mm/rmap.c\n" in page
    assert "| `do_read_fault()` | v6.18 | [paths/file_fault.py: " in page
    assert page.index("| `folio_likely_mapped_shared()` | v6.9 |") < page.index(
        "| `folio_likely_mapped_shared()` | v6.12 |"
    )


def test_the_picture_stands_alone() -> None:
    """It has a description in words and colors for light and dark mode, and fetches nothing."""
    root = ET.fromstring(picture())
    said = {child.tag.rpartition("}")[2]: child.text or "" for child in root}
    texts = ["".join(text.itertext()) for text in root.iter("{http://www.w3.org/2000/svg}text")]

    assert said["title"] == "Step 5: processes, page tables, folios"
    assert "win[2..3] of A: f1[2..3] r, exclusive, in pt2." in said["desc"]
    assert "prefers-color-scheme:dark" in said["style"]
    assert not re.search(r"https?:|url\(|@import|@font-face", picture().replace("http://www.w3.org/2000/svg", ""))
    assert {"pt1", "pt2", "f1 order 2", "! per-page", "? tuples"} <= set(texts)
    assert texts.count("×1") == 4


def test_every_field_of_an_rmap_event_is_described() -> None:
    """In the docstring, and so in docs/schemes-own.md, in the order of the fields."""
    assert [name for names, _ in described(Rmap) for name in names] == [field.name for field in fields(Rmap)]

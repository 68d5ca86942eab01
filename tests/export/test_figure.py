"""Figures: drawn from a state alone; what is not drawn is counted."""

from __future__ import annotations

import re

from folioshell import Session
from folioshell.export.figure import WIDTH, Figure
from folioshell.session.state import snapshot
from tests.export.pages import texts


def figure_after(*lines: str, before: str = "") -> str:
    """The figure after some lines, compared with the state after ``before``."""
    session = Session()
    earlier = None
    if before:
        session.execute(before)
        earlier = snapshot(session.workspace)
    for line in lines:
        session.execute(line)
    shown = ("per-page", "tuples", "vmas", "mm-id")
    return Figure(snapshot(session.workspace, shown), earlier).svg("x", "a title", "words < here\n")


def test_cells() -> None:
    """Tables of 8 entries are 8 cells: the page of a large folio, or the order-0 folio, and the permission."""
    svg = figure_after("set geometry classroom ; file lib 16 order=2 ; mmap win 4 file=lib align=8 skew=6 ; fault win")
    drawn = texts(svg)

    assert svg.count("h160v20h-160z") == 2
    assert [text for kind, text in drawn if kind == "m x"] == ["r"] * 4
    assert [text for kind, text in drawn if kind == "m"] == ["0", "1", "2", "3"] * 2
    assert ("s bad", "! per-page") in drawn and ("s", "? tuples") in drawn
    assert ("s dim", "not mapped: f2..f4") in drawn
    assert svg.count("M") - svg.count("M", 0, svg.index("<rect")) > 0
    assert 'aria-labelledby="xt xd"><title id="xt">a title</title><desc id="xd">words &lt; here</desc>' in svg


def test_runs() -> None:
    """Tables of 512 entries are runs, which say how many pages they map; large folios are cut where runs end."""
    svg = figure_after("file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win")
    drawn = [text for _, text in texts(svg)]

    assert {"f1[0..7]", "f1[8..15]", "8 r", "0..7", "8..15", "×1"} <= set(drawn)


def test_a_huge_page() -> None:
    """A PMD entry is one cell, and the deposited table is named."""
    svg = figure_after("set geometry classroom ; set thp.pmd always ; mmap buf 8 ; write buf[0]")
    drawn = texts(svg)

    assert ("s b", "pmd1") in drawn and ("s", "· current · deposited: pt1") in drawn
    assert [text for kind, text in drawn if kind == "m x"] == ["rw"]
    assert len(re.findall(r"L[\d.]+ [\d.]+", svg)) == 8


def test_signs_of_small_folios() -> None:
    """There is no room for the names of schemes: a sign stands with the number."""
    svg = figure_after("set geometry classroom ; mmap buf 2 ; write buf ; fork B")

    assert [text for _, text in texts(svg) if text.startswith("×")] == ["×2?", "×2?"]


def test_what_changed() -> None:
    """Entries and VMAs that the state before did not have are emphasized, and only those."""
    start = "set geometry classroom ; mmap buf 4 ; write buf[0]"
    svg = figure_after("write buf[1]", before=start)
    assert len(re.findall(r'<rect class="e[^"]* new"', svg)) == 1
    svg = figure_after("mprotect buf[0] r", before=start)
    assert len(re.findall(r'<rect class="v new"', svg)) == 2


def test_what_is_not_drawn_is_counted() -> None:
    """Nothing is wider than the figure, and the rest is told."""
    faults = " ; ".join(f"fault buf[{2 * page}]" for page in range(40))
    svg = figure_after(f"mmap buf 100 ; {faults} ; fork B count=9")
    drawn = [text for _, text in texts(svg)]

    assert "4 more processes" in drawn
    assert any(text.endswith("more mapped folios") for text in drawn)
    assert any("pages in" in text for text in drawn)
    edges = [float(x) + float(width) for x, width in re.findall(r'<rect [^>]*x="([\d.]+)"[^>]*width="([\d.]+)"', svg)]
    assert max(edges) <= WIDTH


def test_nothing_is_left() -> None:
    """A state without processes has a figure, too."""
    assert "<svg" in figure_after("fork B ; exit A ; exit B")

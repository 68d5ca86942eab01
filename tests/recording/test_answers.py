"""Questions of scripts, asked of recorded steps: places and folios are translated, counts read from what was seen."""

from __future__ import annotations

from typing import Any

import pytest

from folioshell.commands import Session
from folioshell.commands.parse import ParsedStatement
from folioshell.live.format import recording_of
from folioshell.model.release import DEFAULT
from folioshell.recording.answers import LiveScript, _answer_of
from folioshell.recording.observe import emit, without_folios


def live(text: str, profile: str = "") -> LiveScript:
    """A script; its lines count from 1."""
    script = LiveScript(profile)
    for number, line in enumerate(text.strip().splitlines(), 1):
        for statement in Session(counting=()).language.parse(line):
            for one in statement.expanded():
                assert isinstance(one, ParsedStatement)
                script.add(one, number)
    return script


def answers(text: str, *, partial: bool = False, change: Any = None) -> list[tuple[bool, str] | None]:
    """What the model's own recording of a script says to its expects; ``change`` is applied to the document."""
    script = live(text)
    document = emit(script.scenario("test"), DEFAULT.version)
    if partial:
        document["partial"] = True
        document["steps"] = [without_folios(step) for step in document["steps"]]
    if change is not None:
        change(document)
    return [_answer_of(expect, recording_of(document)) for expect in script.expects]


_SHARED = """
mmap buf 16
write buf[0+8]
fork B
B: write buf[0]
"""


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("present? buf[0] == yes", "yes"),
        ("present? buf[9] == yes", "no"),
        ("page_mapcount truth buf[1] == 2", "2"),
        ("page_mapcount truth buf[0] == 1", "1"),
        ("same buf[1] B:buf[1]", "yes"),
        ("same buf[0] B:buf[0]", "no"),
        ("order buf[1] == 0", "0"),
        ("shared? truth buf[1] == yes", "yes"),
        ("shared? truth buf[0] == yes", "no"),
        ("mapped? buf[1] == yes", "yes"),
        ("partial? buf[1] == no", "no"),
        ("mapcount truth buf[1] == 2", "2"),
        ("mapcount vmas buf[1] == 2", "2"),
        ("mapcount per-page buf[1] == 2", "2"),
        ("truth mms buf[1] == 2", "2"),
        ("vmas B == 1", "1"),
    ],
)
def test_questions(asked: str, says: str) -> None:
    """Each question that an observation answers gets the kernel's answer, whether that was expected or not."""
    (answer,) = answers(f"{_SHARED}expect {asked}")
    assert answer is not None
    assert answer[1] == says


@pytest.mark.parametrize("asked", ["shared? mm-id buf[1] == yes", "mapcount average buf[1] == 2", "free f1 == no"])
def test_what_no_observation_answers(asked: str) -> None:
    """A scheme with a history, and a folio that is not mapped, are not asked of a kernel."""
    script = live(f"{_SHARED}{'exit B ; exit A ;' if 'free' in asked else ''} expect {asked}")
    assert (script.expects, script.unasked) == ([], 1)


def test_counts_of_a_large_folio() -> None:
    """VMAs, pairs of VMA and table, entries and pages of a folio across two tables, in two processes and three VMAs."""
    script = """
        file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504
        fault win[0] ; fault win[8] ; fork B ; B: fault win[0] ; munmap win[4+2]
        expect truth mms f1 == 2 ; expect truth vmas f1 == 3 ; expect truth tuples f1 == 4
        expect truth entries f1 == 22 ; expect truth pages f1 == 16 ; expect mapcount tuples f1 == 4
        expect partial? f1 == no ; expect mapcount per-page f1 == 22 ; expect mapcount per-page win[0] == 2
    """
    assert answers(script) == [(True, answer) for answer in ("2", "3", "4", "22", "16", "4", "no", "22", "2")]


def test_a_pmd_is_one_entry() -> None:
    """A THP that a PMD maps in one process and PTEs in another."""
    script = """
        mmap buf 512 ; madvise hugepage buf ; write buf[0] ; fork B ; B: munmap buf[0]
        expect truth entries f1 == 512 ; expect truth vmas f1 == 2 ; expect truth pages f1 == 512 ; expect order f1 == 9
    """
    assert answers(script) == [(True, answer) for answer in ("512", "2", "512", "9")]


def test_places_are_those_of_the_scenario() -> None:
    """A region that mremap moved is asked about where it is now."""
    script = "mmap buf 4 ; write buf ; mremap buf new=to ; expect present? to[3] == yes ; expect present? to[0] == yes"
    assert answers(script) == [(True, "yes"), (True, "yes")]


def test_failures_are_assertions() -> None:
    """``fails`` is one about the result of its operation; it is the kernel's result that counts."""
    script = "mmap buf 4 prot=r ; fails SIGSEGV write buf[0] ; expect present? buf[0] == no"
    assert answers(script) == [(True, "SIGSEGV at access 0"), (True, "no")]

    def succeed(document: dict[str, Any]) -> None:
        document["steps"][1]["result"] = {"ok": True}

    assert answers(script, change=succeed)[0] == (False, "ok")


def test_the_kernel_is_asked_and_not_the_model() -> None:
    """Another number in the recording is another answer."""

    def share(document: dict[str, Any]) -> None:
        for name in ("A", "B"):
            document["steps"][-1]["procs"][name]["pages"]["buf"][1][5] = 3

    assert answers(f"{_SHARED}expect page_mapcount truth buf[1] == 2", change=share) == [(False, "3")]


def test_without_root() -> None:
    """Pages and VMAs are seen, folios are not."""
    script = f"{_SHARED}expect present? buf[1] == yes ; expect vmas A == 1 ; expect truth mms buf[1] == 2"
    assert answers(script, partial=True) == [(True, "yes"), (True, "1"), None]


def test_a_page_that_is_gone() -> None:
    """What the model maps and the kernel does not is no folio there."""

    def lose(document: dict[str, Any]) -> None:
        document["steps"][-1]["procs"]["A"]["pages"] = {}

    script = f"{_SHARED}expect order buf[0] == 0 ; expect page_mapcount truth buf[0] == 1"
    assert answers(script, change=lose) == [(False, "not mapped"), (False, "0")]


def test_commands_of_operations_and_profiles() -> None:
    """Each operation has its command; an expect of other profiles is not asked."""
    script = live("mmap buf 4 ; fork B count=2 ; expect[5.10] vmas A == 9 ; expect[6.1] vmas A == 1", "6.1")
    assert script.commands == ["mmap buf 4", "fork B count=2", "fork B count=2"]
    assert [expect.text for expect in script.expects] == ["vmas A == 1"]

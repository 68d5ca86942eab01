"""Verifying recordings: where the model first differs, and what decided it."""

from __future__ import annotations

import copy
from collections.abc import Generator
from typing import Any

import pytest

from folioshell.errors import KernelBug
from folioshell.events import Tracepoint
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.recording import scenario as replaying
from folioshell.recording.verify import ABSENT, Difference, differences, expand, result_text, verify
from tests.recording.samples import document, recording, small_recording


def _difference(found: dict[str, Any]) -> Difference:
    difference = verify(recording(found)).difference
    assert difference is not None
    return difference


def test_all_steps_match() -> None:
    """A recording of the model itself matches to its end."""
    verdict = verify(recording(small_recording()))

    assert (verdict.matched, verdict.steps, verdict.difference) == (6, 6, None)


def test_the_first_difference_ends_it() -> None:
    """Steps count as matched up to the first that differs; later ones are not looked at."""
    found = small_recording()
    for step in found["steps"][3:]:
        step["procs"]["A"]["vmas"][0]["perm"] = "r--p"

    verdict = verify(recording(found))

    assert verdict.matched == 3
    assert verdict.difference is not None
    assert (verdict.difference.step, verdict.difference.op) == (3, found["scenario"]["ops"][3])
    assert [row.what for row in verdict.difference.rows] == ["A, VMA r[0+32], perm"]


def test_a_sharing_test_is_the_rule() -> None:
    """Where the model asked whether a folio is shared, the answer is the rule that decided the difference."""
    found = document("d25")
    page = found["steps"][8]["procs"]["C"]["pages"]["t"][1]
    page[2], page[5] = "p", 2

    difference = _difference(found)

    assert difference.step == 8
    assert difference.rows[0].what == "C, t[2] and 508 more"
    assert difference.rules[0].text == "f1 shared? yes (mm-id)"
    assert difference.rules[0].function == "madvise_cold_or_pageout_pte_range"


def test_the_rmap_call_is_the_rule() -> None:
    """A page that is mapped otherwise is explained by the events that mapped it, with the rmap function."""
    found = small_recording()
    found["steps"][4]["procs"]["B"]["pages"]["m"] = [[2, 1, "pfx", 2, 2, 1]]

    rules = _difference(found).rules

    assert any("mapped by B" in rule.text and rule.function == "folio_add_file_rmap_ptes" for rule in rules)


def test_regions_and_files_are_compared() -> None:
    """Where regions lie and what the page cache holds is a part of the recording."""
    found = small_recording()
    found["regions"]["m"]["vpn"] += 1
    found["files"]["f"]["layout"] = [[0, 0, 20]]

    difference = _difference(found)

    assert (difference.step, difference.op) == (-1, None)
    assert [row.what for row in difference.rows] == ["region m", "file f"]


def test_a_model_that_breaks_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken invariant of the model is a difference, and no reason to stop before the other recordings."""

    def broken(k: Kernel, mm: Mm, name: str) -> Generator[Tracepoint, None, Mm]:
        yield Tracepoint("about to break")
        raise KernelBug("a counter fell below 0")

    found = small_recording()
    monkeypatch.setattr(replaying, "do_fork", broken)

    difference = _difference(found)

    assert (difference.step, difference.rows[0].model) == (2, "fails: a counter fell below 0")
    assert difference.rules[-1].text == "about to break"


STEP = small_recording()["steps"][5]


def _changed() -> dict[str, Any]:
    return copy.deepcopy(STEP)


def test_equal_steps() -> None:
    """Nothing differs between equal steps."""
    assert differences(STEP, _changed()) == []


def test_result() -> None:
    """Results are compared first."""
    model = {**_changed(), "result": {"errno": "ENOMEM"}}

    assert [(row.what, row.kernel, row.model) for row in differences(STEP, model)] == [("result", "ok", "ENOMEM")]


def test_a_page() -> None:
    """Pages that differ are one row a region, which names the first."""
    model = _changed()
    model["procs"]["A"]["pages"]["r"][0][2] = "pw"

    (row,) = differences(STEP, model)

    assert (row.what, row.process, row.region, row.page) == ("A, r[0] and 3 more", "A", "r", 0)
    assert (row.kernel, row.model) == ("p folio 1 page 0, mapcount 2", "pw folio 1 page 0, mapcount 2")


def test_a_page_that_is_absent() -> None:
    """A run that is missing on one side shows as nothing there."""
    model = _changed()
    del model["procs"]["B"]["pages"]["m"]

    (row,) = differences(STEP, model)

    assert (row.what.split(" ")[1], row.model) == ("m[0]", ABSENT)


def test_vmas_in_other_places() -> None:
    """VMAs with other bounds are compared as lists, not figure by figure."""
    model = _changed()
    del model["procs"]["A"]["vmas"][0]

    (row,) = differences(STEP, model)

    assert (row.what, row.kernel, row.model) == ("A, VMAs", "r[0+4] r[8+24]", "r[8+24]")


def test_vma_figures() -> None:
    """Flags and smaps figures that differ have a row each; smaps stand last, a figure that is missing is 0."""
    model = _changed()
    model["procs"]["A"]["vmas"][0]["flags"] = "rd"
    model["procs"]["A"]["vmas"][0]["smaps"]["Locked"] = 8
    model["folios"][0]["pmd"] = ["A"]

    rows = differences(STEP, model)

    assert [row.what for row in rows] == ["A, VMA r[0+4], flags", "folio 1", "A, VMA r[0+4], Locked"]
    assert (rows[-1].kernel, rows[-1].model) == ("0 kB", "8 kB")


def test_processes() -> None:
    """A process that one side does not have is named."""
    model = _changed()
    del model["procs"]["B"]

    assert differences(STEP, model)[0].kernel == "A B"


def test_the_same_in_another_form() -> None:
    """Runs that say the same, but are cut otherwise than the format asks, differ in form."""
    model = _changed()
    page, nr, *rest = model["procs"]["A"]["pages"]["r"][0]
    head, tail = [page, 1, *rest], [page + 1, nr - 1, rest[0], rest[1], rest[2] + 1, rest[3]]
    model["procs"]["A"]["pages"]["r"][0:1] = [head, tail]

    assert [row.what for row in differences(STEP, model)] == ["encoding"]


def test_expand() -> None:
    """After the last page of a folio comes the first of the next; zero pages have no folio."""
    pages = expand([[3, 4, "px", 7, 2, 1], [9, 2, "p", "zero", None, None]], {7: 2, 8: 2})

    assert pages == {
        3: ("px", 7, 2, 1),
        4: ("px", 7, 3, 1),
        5: ("px", 8, 0, 1),
        6: ("px", 8, 1, 1),
        9: ("p", "zero", None, None),
        10: ("p", "zero", None, None),
    }


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ({"ok": True}, "ok"),
        ({"errno": "EINVAL"}, "EINVAL"),
        ({"ok": True, "thp_errno": "EINVAL"}, "ok, then EINVAL"),
        ({"signals": [[2, 1, "SIGBUS"], [5, 3, "SIGSEGV"]]}, "SIGBUS at access 2, SIGSEGV at access 5, 3 times"),
        ({"skipped": "no such process"}, "no such process"),
    ],
)
def test_result_text(result: dict[str, Any], text: str) -> None:
    """Results have words."""
    assert result_text(result) == text

"""Comparing observations: every part that differs has a row that says where and what."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from folioshell.recording.compare import ABSENT, differences, expand, result_text
from tests.recording.samples import small_recording

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

    assert [row.what for row in differences(STEP, model)] == ["form"]


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

"""Verifying recordings: where the model first differs, and what decided it."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from folioshell.errors import KernelBug
from folioshell.events import Tracepoint
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.recording import scenario as replaying
from folioshell.recording.verify import Difference, verify
from tests.recording.samples import document, recording, small_recording


def _difference(found: dict[str, Any]) -> Difference:
    difference = verify(recording(found)).difference
    assert difference is not None
    return difference


def test_all_steps_match() -> None:
    """A recording of the model itself matches to its end."""
    verdict = verify(recording(small_recording()))

    assert (verdict.name, verdict.matched, verdict.steps, verdict.difference) == ("small", 6, 6, None)


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
    assert difference.rules[0].text == "mm-id asked about f1: yes"
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

    assert (difference.step, difference.rows[0].model) == (2, "breaks: a counter fell below 0")
    assert difference.rules[-1].text == "about to break"

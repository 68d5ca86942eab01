"""Verifying recordings: where the model first differs, and what decided it."""

from __future__ import annotations

import copy
import json
from collections.abc import Generator
from typing import Any

import pytest

from folioshell.errors import KernelBug
from folioshell.events import Tracepoint
from folioshell.live.format import load
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.release import RELEASES
from folioshell.model.vm import Mm
from folioshell.paths import fork, rmap, tables
from folioshell.recording import scenario as replaying
from folioshell.recording.observe import emit
from folioshell.recording.ptl import profile_of
from folioshell.recording.verify import ABSENT, Difference, DiffRow, differences, expand, result_text, verify
from folioshell.schemes.entries import PageCounts
from folioshell.schemes.mm_slots import MmSlots
from folioshell.schemes.per_page_v5 import DoubleMapCounts
from tests.recording.samples import FOLDER, document, recording, small_recording


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
    assert [row.what for row in difference.rows] == ["region m, vpn", "file f, layout"]


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


# The kernel's own books.


def _with_books(profile: str) -> dict[str, Any]:
    """A recording of the model, as that release, of a THP whose PMD entry a child shares and splits; with books."""
    thp = {"op": "mmap", "proc": "A", "region": "t", "kind": "anon", "pages": 512, "prot": "rw", "thp": "hugepage"}
    write = {"op": "touch", "proc": "A", "region": "t", "page": 0, "count": 1, "access": "write"}
    split = {"op": "munmap", "proc": "B", "region": "t", "page": 0, "count": 16}
    again = {"op": "touch", "proc": "B", "region": "t", "page": 16, "count": 1, "access": "write"}
    file = {"op": "mmap", "proc": "A", "region": "f", "kind": "file_shared", "pages": 4, "prot": "rw", "file": "f"}
    written = {"op": "touch", "proc": "A", "region": "f", "page": 1, "count": 1, "access": "write"}
    ops = [thp, write, {"op": "fork", "proc": "A", "child": "B"}, split, again, file, written]
    setup = {"files": {"f": {"pages": 4, "fs": "ext4", "cached": False}}}
    made: dict[str, Any] = json.loads(json.dumps(emit({"setup": setup, "ops": ops}, profile, books=True)))
    return made


def _first_row(found: dict[str, Any], profile: str) -> DiffRow | None:
    match = verify(recording(found), profile, books=True)
    return None if match.difference is None else match.difference.rows[0]


@pytest.mark.parametrize("profile", RELEASES)
def test_books_match(profile: str) -> None:
    """What the model records of its own books it finds again; they are compared on request only."""
    made = _with_books(profile)
    match = verify(recording(made), profile, books=True)

    assert (match.difference, match.matched, match.books) == (None, 7, 7)
    assert verify(recording(made), profile).books == 0


@pytest.mark.parametrize(
    ("profile", "key", "value", "what"),
    [
        ("6.18", "ref", 9, "folio 1, _refcount"),
        ("6.18", "anon_exclusive", [[1, 512]], "folio 1, PageAnonExclusive"),
        ("6.18", "mm_ids", [["A", 1], [None, 0]], "folio 1, MM-ID slots"),
        ("6.18", "maybe_shared", 0, "folio 1, SHARED bit"),
        ("6.12", "large", 1, "folio 1, _large_mapcount"),
        ("6.12", "nr_pages_mapped", 512, "folio 1, _nr_pages_mapped"),
        ("6.12", "partially_mapped", 1, "folio 1, partially mapped"),
        ("6.1", "entire", 3, "folio 1, _entire_mapcount"),
        ("6.1", "double_map", 0, "folio 1, PageDoubleMap"),
        ("5.10", "mapcount_raw", [[1, 512]], "folio 1, _mapcount of its pages"),
    ],
)
def test_a_field_of_the_books(profile: str, key: str, value: object, what: str) -> None:
    """Each field is compared, and named as the kernel has it; one that the recording leaves out is not."""
    found = _with_books(profile)
    fields = found["soft"]["steps"][3]["raw"]["folios"][0][2]
    assert fields[key] != value
    fields[key] = value

    row = _first_row(found, profile)
    assert row is not None and row.what == what

    del fields[key]
    assert _first_row(found, profile) is None


def test_tables_of_the_books() -> None:
    """A table that one side lacks, and the first entry that differs; not whether a read-only entry is dirty."""
    found = _with_books("6.18")
    tables = found["soft"]["steps"][4]["raw"]["tables"]["B"]
    assert tables == [[1, [[16, 1, "wd"], [17, 495, ""]]]]
    tables[0][1][1][2] = "d"
    assert _first_row(found, "6.18") is None

    tables[0][1] = [[16, 4, "wd"], [20, 492, "d"]]
    row = _first_row(found, "6.18")
    assert row is not None
    assert (row.what, row.kernel, row.model) == ("B, entry of t[17] and 2 more", "wd", "r")

    del tables[0]
    row = _first_row(found, "6.18")
    assert row is not None
    assert (row.what, row.kernel, row.model) == ("B, PTE table of t[0]", ABSENT, "exists")


def _one_slot(slots: MmSlots, mm: int, nr: int, total: int) -> None:
    """As of a folio that has one slot only."""
    if slots.ids[0] in (0, mm):
        slots.ids[0], slots.counts[0] = mm, slots.counts[0] + nr
    else:
        slots.shared = True


def _entries_for_pages(counts: PageCounts, first: int, nr: int, delta: int) -> int:
    """_nr_pages_mapped counts every entry of a page, not the first."""
    changed = _ADD(counts, first, nr, delta)
    counts.mapped += delta * (nr - changed)
    return changed


_ADD = PageCounts.add


def _never_double(counts: DoubleMapCounts, split: bool) -> int:
    """A PMD entry goes as if no other were left."""
    counts.compound -= 1
    return 0


def _stays_exclusive(folio: Folio, first: int, nr: int) -> None:
    """Nothing is cleared."""


def _writable(copy: fork.CopyRange) -> Generator[Tracepoint, None, None]:
    """The parent may write on."""
    entries = copy.source.entries
    entries[:] = pte.packed([entry | pte.WRITE if entry > pte.FLAGS else entry for entry in entries])
    yield from _FLUSH(copy)


_FLUSH = fork._flush


def _stays(mm: Mm, block: int, table: PageTable) -> Generator[Tracepoint, None, bool]:
    """The table is not freed."""
    yield Tracepoint("an empty table")
    return True


#: a fault on purpose -> recording, what is replaced, by what, and the field of the books that is wrong then
FAULTS: dict[str, tuple[str, object, str, object, str]] = {
    "slots of MM-IDs": ("7.0.13/d05_disjoint_munmap", MmSlots, "add", _one_slot, "MM-ID slots"),
    "pages mapped": ("6.12.117/d25_third_mm_last_stays", PageCounts, "add", _entries_for_pages, "_nr_pages_mapped"),
    "PMD split": ("6.1.192/d11_child_dontneed", DoubleMapCounts, "remove_pmd", _never_double, "PageDoubleMap"),
    "exclusive": ("7.3.4/e07_64k_madvise_shared", rmap, "clear_exclusive", _stays_exclusive, "PageAnonExclusive"),
    "write protection": ("7.3.4/b02_child_exit_reuse", fork, "_flush", _writable, "entry of"),
    "write to a file": ("6.16.12/fuzz0001", Folio, "create_buffers", lambda folio: None, "_refcount"),
    "empty table": ("7.0.13/d11_child_dontneed", tables, "try_get_and_clear_pmd", _stays, "PTE table of"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_on_purpose_is_seen_in_the_books(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme or a path that does something else than the kernel: the field that it keeps differs."""
    name, place, attribute, replacement, field = FAULTS[fault]
    found = load(str(FOLDER / "releases" / f"{name}.json.gz"))
    profile = profile_of(found)
    assert verify(found, profile, books=True).difference is None
    monkeypatch.setattr(place, attribute, replacement)

    difference = verify(found, profile, books=True).difference

    assert difference is not None
    assert any(field in row.what for row in difference.rows), difference.rows

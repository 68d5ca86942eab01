"""The worked examples as scenarios: the cells that no ``expect`` can reach, step by step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from folioshell.commands import Session
from folioshell.model.proc import kpagecounts, smaps, statistics
from folioshell.schemes.average import Average
from folioshell.schemes.mm_id import MmId
from folioshell.schemes.owner import Owner
from folioshell.schemes.per_page_v5 import PerPageV5
from folioshell.schemes.rmap_id import RmapId
from folioshell.schemes.total_pages import TotalPages
from folioshell.script.runner import run_file

FOLDER = Path(__file__).parents[2] / "scenarios" / "schemes"
_LABEL = re.compile(r"([0-9]{1,2}[a-gxy]?)[:,] ")

#: example -> step -> the two slots as process:entries, and * if SHARED is set
SLOTS = {
    1: {"1": "A:4 -"},
    2: {"2a": "A:8 -", "2b": "A:16 -"},
    3: {"3a": "A:1 -", "3b": "A:512 -"},
    4: {"4": "A:16 B:16 *"},
    5: {"5a": "A:16 -", "5b": "A:16 -", "5c": "A:8 -"},
    6: {"6": "A:16 -"},
    7: {"7a": "A:16 B:16 *", "7b": "A:15 B:16 *"},
    8: {"8": "A:8 B:8 *"},
    9: {"9": "A:8 B:8 *"},
    10: {"10a": "A:32 -"},
    11: {"11a": "A:4 B:4 *", "11b": "- B:4"},
    12: {"12a": "A:4 B:4 *", "12b": "- - *", "12c": "- - *", "12d": "C:1 - *", "13x": "A:4 B:4 *", "13y": "- B:4"},
    13: {
        "13a": "A:16 B:16 *",
        "13b": "- B:16 *",
        "13c": "C:8 B:16 *",
        "13d": "C:8 - *",
        "13e": "- - *",
        "13f": "- -",
        "13g": "A:16 -",
    },
    14: {
        "14a": "A:1 B:1 *",
        "14b": "A:512 B:1 *",
        "14c": "A:256 B:1 *",
        "14d": "A:256 B:512 *",
        "14e": "A:256 B:256 *",
        "14f": "A:256 -",
    },
    15: {"15a": "A:4 B:4 *", "15b": "A:1 B:1 *", "15c": "A:1 -"},
    16: {"16a": "A:1 B:512 *", "16b": "- B:512"},
    17: {"17": "A:1 B:1 *"},
    18: {"18": "A:16 -"},
    19: {"19a": "A:16 B:1 *", "19b": "A:15 B:1 *"},
    20: {"20a": "A:1024 -", "20b": "A:1024 -"},
    21: {"21a": "A:8 -"},
    22: {"22": "A:16 B:16 *"},
    23: {"23": "A:512 B:1 *"},
    24: {"24": "- B:16"},
    25: {"25": "A:512 -"},
    27: {"27": "A:16 -"},
}

#: step -> total pages mapped, pages mapped by PTEs, PMD entries, DoubleMap, _mapcount of page 0 as v6.1 stores it + 1,
#: average of average and of total-pages
COUNTERS = {
    "14a": (1024, 0, 2, False, 0, 2, 2),
    "14b": (1024, 512, 1, True, 2, 2, 2),
    "14c": (768, 256, 1, True, 1, 2, 2),
    "14d": (768, 512, 0, False, 1, 2, 2),
    "14e": (512, 256, 0, False, 0, 1, 1),
    "14f": (256, 256, 0, False, 0, 1, 1),
    "15a": (16, 4, 0, False, 4, 4, 4),
    "15b": (4, 1, 0, False, 4, 1, 1),
    "15c": (1, 1, 0, False, 1, 1, 1),
    "16a": (1024, 512, 1, True, 2, 2, 2),
    "16b": (512, 512, 0, False, 1, 1, 1),
    "17": (1025, 1, 2, True, 2, 2, 2),
}

#: step -> is the folio on the deferred-split queue of v6.1, and flagged partially mapped with counts of pages
QUEUED = {
    "14a": (False, False),
    "14c": (False, False),
    "14d": (False, False),
    "14e": (True, True),
    "14f": (True, True),
    "15a": (False, False),
    "15b": (True, True),
    "15c": (True, True),
    "16b": (False, False),
    "17": (False, False),
}


def steps(number: int, session: Session | None = None) -> Iterator[tuple[str, Session]]:
    """(label, session) at every step of an example, before anything is asked there."""
    (path,) = FOLDER.glob(f"{number:02}-*.fs")
    runner = run_file(path, session=session)
    label = ""
    for played in runner:
        if played.prose is not None:
            match = _LABEL.match(played.prose)
            label = match[1] if match else label
        elif label and played.report is not None and played.report.expect is not None:
            yield label, runner.session
            label = ""


def slots(session: Session, folio: int) -> str:
    """The slots of a folio as the table has them."""
    mm_id = session.workspace.machine.schemes["mm-id"]
    assert isinstance(mm_id, MmId)
    *owners, shared = mm_id.slots(folio)
    name = session.workspace.process_name
    return " ".join([f"{name(mm)}:{count}" if mm else "-" for mm, count in owners] + ["*"] * shared)


@pytest.mark.parametrize("number", SLOTS)
def test_slots_and_bit(number: int) -> None:
    """Both slots of MM-ID and the SHARED bit are those of the table."""
    seen = {label: slots(session, 1) for label, session in steps(number)}

    assert {label: cell for label, cell in seen.items() if label in SLOTS[number]} == SLOTS[number]


@pytest.mark.parametrize("number", [14, 15, 16, 17])
def test_counters_of_mixed_entries(number: int) -> None:
    """Total pages, pages by PTEs, PMD entries, DoubleMap and the averages are those of the table."""
    seen = {}
    for label, session in steps(number):
        schemes = session.workspace.machine.schemes
        mm_id, v5, average, total = (schemes[name] for name in ("mm-id", "per-page-v5", "average", "total-pages"))
        assert isinstance(mm_id, MmId)
        assert isinstance(v5, PerPageV5)
        assert isinstance(average, Average)
        assert isinstance(total, TotalPages)
        stored, _, double_map = v5.stored(1, 0)
        seen[label] = (
            *(total.total_mapped_pages(1), mm_id.pages_mapped(1), mm_id.entire(1), double_map, stored),
            *(average.page_mapcount(1, 0), total.page_mapcount(1, 0)),
        )

    assert seen == {label: row for label, row in COUNTERS.items() if label.startswith(str(number))}


@pytest.mark.parametrize("number", [14, 15, 16, 17])
def test_deferred_split(number: int) -> None:
    """The folio is queued where the table says so, in v6.1 and with counts of pages in v6.18."""
    seen = {}
    for label, session in steps(number):
        v5 = session.workspace.machine.schemes["per-page-v5"]
        assert isinstance(v5, PerPageV5)
        seen[label] = (v5.deferred(1), session.workspace.kernel.folios[1].partially_mapped)

    assert QUEUED.items() >= {label: row for label, row in seen.items() if label in QUEUED}.items()
    assert {label for label in QUEUED if label.startswith(str(number))} <= set(seen)


@pytest.mark.parametrize(("number", "missed", "found"), [(14, "14e", "14f"), (15, "15b", "15c")])
def test_deferred_split_without_counts_of_pages(number: int, missed: str, found: str) -> None:
    """CONFIG_NO_PAGE_MAPCOUNT misses the folio that nobody maps whole, until one process is left with it."""
    session = Session()
    session.execute("set page_mapcount off")
    seen = {label: now.workspace.kernel.folios[1].partially_mapped for label, now in steps(number, session)}

    assert (seen[missed], seen[found]) == (False, True)


def test_rmap_id_sums() -> None:
    """16: the sums of rmap IDs 1 and 2 in an order-9 folio, whose digits count to 513."""
    sums = {}
    for label, session in steps(16):
        rmap_id = session.workspace.machine.schemes["rmap-id"]
        assert isinstance(rmap_id, RmapId)
        sums[label] = rmap_id.checksum(1)

    assert sums == {"16a": 1 + 512 * 513, "16b": 512 * 513}


def test_owner_and_others() -> None:
    """24: the owner has left, and the entries of the other still count as those of another."""
    found = {}
    for label, session in steps(24):
        owner = session.workspace.machine.schemes["owner"]
        assert isinstance(owner, Owner)
        found[label] = owner.owner(1)

    assert found == {"24": (1, 0, 16)}


def test_user_space_and_statistics() -> None:
    """23: shares and counts with counts of pages and without, and NR_FILE_MAPPED in all three ways."""
    for _, session in steps(23):
        kernel = session.workspace.kernel
        for on, pss, private, counts in (
            (True, [2046, 2], [2044, 0], [(0, 1, 2), (1, 511, 1)]),
            (False, [2048, 4], [0, 0], [(0, 512, 1)]),
        ):
            kernel.config.page_mapcount = on
            vmas = [next(vma for vma in mm.vmas if smaps(kernel, vma)) for mm in kernel.mms.values()]
            figures = [smaps(kernel, vma) for vma in vmas]
            assert [row["Pss"] for row in figures] == pss
            assert [row.get("Private_Clean", 0) + row.get("Private_Dirty", 0) for row in figures] == private
            assert kpagecounts(kernel, kernel.folios[1]) == counts
        ways = ("precise", "no-page-mapcount", "as-mailed")
        assert [statistics(kernel, way)["nr_mapped"] for way in ways] == [512, 512, 513]
        session.execute("munmap win")
        assert [statistics(kernel, way)["nr_mapped"] for way in ways] == [1, 512, 1]
        return
    raise AssertionError("the example has no step")


def test_a_swapped_entry_is_a_reference_elsewhere() -> None:
    """27: one process maps the folio, 16 entries; its references are 16 more, of the swap cache."""
    seen = [(slots(session, 1), session.workspace.kernel.folios[1].ref) for _, session in steps(27)]
    assert seen == [("A:16 -", 32)]

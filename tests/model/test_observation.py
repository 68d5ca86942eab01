"""Observations in the form of recordings."""

from __future__ import annotations

from folioshell.model.observation import Places, observation
from tests.paths.memory import Memory


def test_places() -> None:
    """A page lies in the region made last that has it; without one its address is its name."""
    places = Places({"a": (16, 8), "b": (20, 8)})

    assert [places.find(vpn) for vpn in (16, 20, 27, 28, 17)] == [
        ("a", 0, 20),
        ("b", 0, 28),
        ("b", 7, 28),
        ("0x1c000", 0, 29),
        ("a", 1, 20),
    ]


def test_a_region_over_another() -> None:
    """A region made over the middle of another leaves that its ends."""
    places = Places({"a": (16, 8), "b": (18, 2), "c": (4, 2)})

    assert [places.find(vpn) for vpn in (5, 17, 19, 20)] == [("c", 1, 6), ("a", 1, 18), ("b", 1, 20), ("a", 4, 24)]


def test_runs_go_on_over_folios() -> None:
    """Order-0 folios with consecutive numbers are one run and one row; so are equal large ones."""
    m = Memory(thp={2: "always"})
    p = m.mmap(8)
    m.write(p, 8)
    q = m.mmap(4)
    m.kernel.config.thp[2] = "never"
    m.write(q, 4)

    seen = observation(m.kernel, {"p": (p, 8), "q": (q, 4)})

    assert seen["procs"]["A"]["pages"] == {"p": [[0, 8, "px", 1, 0, 1]], "q": [[0, 4, "px", 3, 0, 1]]}
    assert [(row["id"], row["n"], row["order"]) for row in seen["folios"]] == [(1, 2, 2), (3, 4, 0)]


def test_a_folio_in_two_regions() -> None:
    """A run ends where its region does."""
    m = Memory()
    p = m.thp()

    seen = observation(m.kernel, {"low": (p, 100), "high": (p + 100, 412)})

    assert seen["procs"]["A"]["pages"] == {"low": [[0, 100, "pxh", 1, 0, 1]], "high": [[0, 412, "pxh", 1, 100, 1]]}
    assert seen["folios"] == [
        {"id": 1, "n": 1, "order": 9, "anon": True, "mapcounts": [[1, 512]], "pmd": ["A"]},
    ]


def test_vmas() -> None:
    """A VMA is named by the region that it begins in, and shared memory by the region that it was first seen in."""
    m = Memory()
    p = m.mmap(8, kind="shared")
    m.mprotect(p + 2, 2, "r")

    rows = observation(m.kernel, {"shm": (p, 8)})["procs"]["A"]["vmas"]

    assert [(row["region"], row["page"], row["count"], row["perm"]) for row in rows] == [
        ("shm", 0, 2, "rw-s"),
        ("shm", 2, 2, "r--s"),
        ("shm", 4, 4, "rw-s"),
    ]
    assert [(row["object"], row["off"]) for row in rows] == [("shm:shm", 0), ("shm:shm", 2), ("shm:shm", 4)]

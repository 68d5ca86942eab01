"""Timelines of schedules: who does what, who holds which lock meanwhile."""

from __future__ import annotations

from typing import Any

from folioshell.export.timeline import rows_of, timeline
from tests.export.pages import texts


def step(thread: str, *actions: dict[str, str], held: tuple[tuple[str, str], ...] = (), **more: Any) -> dict[str, Any]:
    """A step of a schedule; ``held``: (lock, thread)."""
    holders = [{"lock": name, "thread": holder} for name, holder in held]
    return {"thread": thread, "actions": list(actions), "held": holders, **more}


def lock(name: str, action: str = "lock") -> dict[str, str]:
    return {"action": action, "lock": name, "function": "f"}


ABBA = {
    "threads": ["A.t1", "A.t2"],
    "steps": [
        step("A.t1", lock("pt1"), held=(("pt1", "A.t1"),)),
        step("A.t2", lock("pt2"), lock("pt3"), lock("pt3", "unlock"), held=(("pt1", "A.t1"), ("pt2", "A.t2"))),
        step("A.t1", held=(("pt1", "A.t1"), ("pt2", "A.t2")), waits=lock("pt2")),
        step("A.t2", lock("pt4", "trylock"), held=(("pt1", "A.t1"), ("pt2", "A.t2")), ends=True),
    ],
}


def test_rows() -> None:
    """A lock is held from its row on, until it is dropped; a trylock that failed is not."""
    rows = [(thread, [(row.text, row.held[thread]) for row in found]) for thread, found in rows_of(ABBA)]

    assert rows == [
        ("A.t1", [("lock pt1", ("pt1",))]),
        ("A.t2", [("lock pt2", ("pt2",)), ("lock pt3", ("pt2", "pt3")), ("drop pt3", ("pt2", "pt3"))]),
        ("A.t1", [("waits for pt2", ("pt1",))]),
        ("A.t2", [("try pt4", ("pt2", "pt4")), ("ends", ("pt2",))]),
    ]


def test_timeline() -> None:
    """A group of rows a step, which a page can dim; bars for what both threads hold; the words of all."""
    svg = timeline(ABBA, "x", "a title")

    assert svg.count('<g class="r"') == 4
    assert svg.count('<rect class="h ') == 1 + (2 + 3 + 3) + 2 + (3 + 2)
    assert [text for kind, text in texts(svg) if "bad" in kind] == ["waits for pt2"]
    assert "2. A.t2: lock pt2; lock pt3; drop pt3." in svg
    assert 'data-s="A.t1 waits for pt2"' in svg

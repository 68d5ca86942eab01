"""lockdep: what it complains of, what it believes, and how it says so."""

from __future__ import annotations

from folioshell.explore.lockdep import Lockdep, Node, lockdep_report
from folioshell.explore.locks import HIERARCHY, Op
from folioshell.model.lock import LockClass
from tests.explore.programs import deadlocks

_CLASSES = {"A": LockClass.FOLIO, "B": LockClass.IMMAP, "C": LockClass.AVR, "p": LockClass.PTL}


def seen(*runs: str) -> Lockdep:
    """A lockdep that saw runs of words like ``+A1 -A1 ~B1 +p2/1``, each of a thread of its own."""
    dep = Lockdep()
    for number, run in enumerate(runs, 1):
        for word in run.split():
            name, _, subclass = word[1:].partition("/")
            dep.see(f"t{number}", Op(word[0], name, "", _CLASSES[name[0]], f"take_{name}", subclass == "1"))
    return dep


def kinds(*runs: str) -> list[str]:
    return [complaint.kind for complaint in seen(*runs).complaints]


def test_an_order_is_seen_once_and_kept() -> None:
    """Locks that are held make an order to the one that is taken; letting go ends that."""
    dep = seen("+A1 +B1 -A1 +C1", "+A1 +B1")
    rows = [(str(outer), str(inner)) for outer, inner, _, _ in dep.orders()]

    assert rows == [("FOLIO", "IMMAP"), ("IMMAP", "AVR")]
    assert [held.op.lock for held in dep.held("t1")] == ["B1", "C1"]
    assert dep.complaints == []


def test_recursion() -> None:
    """The very lock that is held is wanted."""
    assert kinds("+p1 +p1") == ["recursion"]
    assert kinds("+p1 +p1/1") == ["recursion"]


def test_missing_annotation() -> None:
    """Two locks of one class need a subclass for the second, and that is enough."""
    assert kinds("+p1 +p2") == ["missing annotation"]
    assert kinds("+p1 +p2/1") == []
    assert kinds("+p1 -p1 +p2") == []


def test_inversion() -> None:
    """Two classes in both orders, in different threads and of different locks."""
    assert kinds("+A1 +B1 -B1 -A1", "+B2 +A2") == ["inversion"]
    assert kinds("+A1 +B1 -B1 -A1", "+A2 +B2") == []


def test_inversion_over_a_third_class() -> None:
    """The orders A to B and B to C contradict C to A, and the chain is told."""
    dep = seen("+A1 +B1", "+B2 +C2", "+C3 +A3")
    (complaint,) = dep.complaints

    assert complaint.kind == "inversion"
    assert [(str(first.node), str(then.node)) for first, then in complaint.chain] == [
        ("FOLIO", "IMMAP"),
        ("IMMAP", "AVR"),
    ]
    assert (complaint.clash.op.lock, complaint.wanted.op.lock) == ("C3", "A3")


def test_trylocks_make_no_order_to_themselves() -> None:
    """A lock that was only tried for cannot have been waited for; what is taken under it can."""
    assert kinds("+A1 ~B1 -B1 -A1", "+B2 +A2") == []
    assert kinds("~A1 +B1 -B1 -A1", "+B2 +A2") == ["inversion"]


def test_a_complaint_is_made_once() -> None:
    """The same fault of the same classes is not told again."""
    assert kinds("+p1 +p2 -p2 +p3 -p3 -p1", "+p4 +p5") == ["missing annotation"]


def test_lockdep_believes_annotations_and_the_search_does_not() -> None:
    """Two threads that take two locks of one class in opposite orders, both annotated: silence, and a deadlock."""
    assert kinds("+p1 +p2/1", "+p2 +p1/1") == []
    assert deadlocks("+p1 +p2 -p2 -p1", "+p2 +p1 -p1 -p2") != {}


def test_report_of_a_missing_annotation() -> None:
    """One processor takes two locks of the class."""
    (complaint,) = seen("+A1 +p1 +p2").complaints

    assert lockdep_report(complaint) == [
        "WARNING: possible recursive locking detected",
        "t1 is trying to acquire lock:",
        "  p2 (ptlock_ptr(ptdesc)), at: take_p2()",
        "but task is already holding lock:",
        "  p1 (ptlock_ptr(ptdesc)), at: take_p1()",
        "",
        "Possible unsafe locking scenario:",
        "",
        "       CPU0",
        "       ----",
        "  lock(ptlock_ptr(ptdesc));",
        "  lock(ptlock_ptr(ptdesc));",
        "",
        " *** DEADLOCK ***",
        "",
        "May be due to missing lock nesting notation",
        "2 locks held by t1:",
        "  #0: A1 (folio lock), at: take_A1()",
        "  #1: p1 (ptlock_ptr(ptdesc)), at: take_p1()",
    ]


def test_report_of_an_inversion() -> None:
    """Two processors take two classes in opposite orders, side by side."""
    (complaint,) = seen("+A1 +B1 -B1 -A1", "+B2 +A2").complaints

    assert lockdep_report(complaint) == [
        "WARNING: possible circular locking dependency detected",
        "t2 is trying to acquire lock:",
        "  A2 (folio lock), at: take_A2()",
        "but task is already holding lock:",
        "  B2 (&mapping->i_mmap_rwsem), at: take_B2()",
        "which lock already depends on the new lock.",
        "the existing dependency chain (in order) is:",
        "  folio lock -> &mapping->i_mmap_rwsem: B1 (&mapping->i_mmap_rwsem), at: take_B1()",
        "",
        "Possible unsafe locking scenario:",
        "",
        f"{'       CPU0':<38}       CPU1",
        f"{'       ----':<38}       ----",
        "  lock(&mapping->i_mmap_rwsem);",
        " " * 40 + "lock(folio lock);",
        " " * 40 + "lock(&mapping->i_mmap_rwsem);",
        "  lock(folio lock);",
        "",
        " *** DEADLOCK ***",
        "",
        "1 lock held by t2:",
        "  #0: B2 (&mapping->i_mmap_rwsem), at: take_B2()",
    ]


def test_the_hierarchy_names_every_class() -> None:
    """The documented order has each class once, in the order of LockClass."""
    assert [*HIERARCHY, LockClass.WORD] == list(LockClass)
    assert str(Node(LockClass.PTL, 1)) == "PTL/1"


def test_the_hierarchy_cites_its_sources() -> None:
    """The comment of mm/rmap.c has neither the mapcount lock nor the split queue; a split takes i_pages before both."""
    sources = {lock_class: source for lock_class, (_, _, source) in HIERARCHY.items()}
    assert all(source.partition(",")[0].partition(":")[0].endswith((".c", ".h")) for source in sources.values())
    assert sources[LockClass.DSQ] == "mm/huge_memory.c: __folio_split()"
    assert sources[LockClass.MCL] == "include/linux/rmap.h: folio_add_return_large_mapcount()"
    order = list(sources)
    assert order.index(LockClass.XA) < order.index(LockClass.DSQ) < order.index(LockClass.LRU)

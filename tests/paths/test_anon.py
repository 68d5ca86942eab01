"""anon_vma: shared by pieces, inherited by children, adopted when its own VMAs are gone."""

from __future__ import annotations

from tests.paths.memory import Memory


def test_child_has_its_own_and_its_parents() -> None:
    """A child's VMA is in its parent's tree and in that of a new anon_vma; the lock is the root's."""
    m = Memory()
    p = m.mmap(2)
    m.write(p)
    m.fork("B")
    m.fork("C", "B")
    root = m.vma(p).anon_vma
    assert root is not None

    assert [len(m.vma(p, who).chain) for who in "ABC"] == [1, 2, 3]
    assert [vma.mm.name for vma in root.tree] == ["A", "B", "C"]
    assert root.children == 2  # itself and that of B
    child = m.vma(p, "C").anon_vma
    assert child is not None
    assert (child.root, child.rwsem) == (root, root.rwsem)


def test_adoption() -> None:
    """A grandchild takes over the anon_vma of a parent that has ended and left it with one child at most."""
    m = Memory()
    p = m.mmap(2)
    m.write(p)
    m.fork("B")
    m.fork("C", "B")
    middle = m.vma(p, "B").anon_vma
    m.exit("B")
    m.fork("D", "C")

    assert m.vma(p, "D").anon_vma is middle
    assert len(m.vma(p, "D").chain) == 3


def test_the_root_is_not_adopted() -> None:
    """A root counts itself as a child, so that nobody takes it over."""
    m = Memory()
    p = m.mmap(2)
    m.write(p)
    root = m.vma(p).anon_vma
    m.fork("B")
    m.exit("A")
    m.fork("C", "B")

    assert m.vma(p, "C").anon_vma is not root


def test_new_folios_of_a_child_are_its_own() -> None:
    """What a child copies is found through its own anon_vma; what it inherited through its parent's."""
    m = Memory()
    p = m.mmap(2)
    m.write(p, 2)
    m.fork("B")
    m.write(p, who="B")

    assert m.folio(p, "B").mapping is m.vma(p, "B").anon_vma
    assert m.folio(p + 1, "B").mapping is m.vma(p).anon_vma


def test_reused_folio_changes_its_anon_vma() -> None:
    """A small page that is written in place moves to the writer's anon_vma, so that fewer VMAs are walked."""
    m = Memory()
    p = m.mmap(2)
    m.write(p, 2)
    m.fork("B")
    m.exit("A")
    folio = m.folio(p, "B")
    m.write(p, who="B")

    assert m.folio(p, "B") is folio
    assert folio.mapping is m.vma(p, "B").anon_vma
    assert m.folio(p + 1, "B").mapping is not m.vma(p, "B").anon_vma


def test_pieces_of_a_vma_share() -> None:
    """A split links the new VMA to every anon_vma of the old one."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    m.fork("B")
    m.mprotect(p, 2, "r", "B")

    assert m.vma(p, "B").chain == m.vma(p + 2, "B").chain
    assert m.vma(p, "B").anon_vma is m.vma(p + 2, "B").anon_vma
    assert len(m.vma(p).chain[0].tree) == 3


def test_unmapping_unlinks() -> None:
    """A VMA that goes leaves all its trees."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    m.fork("B")
    root = m.vma(p).anon_vma
    assert root is not None
    m.munmap(p, 4, "B")

    assert [vma.mm.name for vma in root.tree] == ["A"]
    assert (root.children, root.active_vmas) == (1, 1)

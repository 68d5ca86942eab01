"""Ids and numbers are written as runs, never one by one."""

from __future__ import annotations

from folioshell.wording import counted, folio_run, follows, id_run, page_index, pages_text


def test_id_run() -> None:
    """A run names its first and last id."""
    assert [id_run("f1", 8), id_run("f9", 1), id_run("pmd2", 2)] == ["f1..f8", "f9", "pmd2..pmd3"]


def test_id_run_of_an_odd_name() -> None:
    """A name without a number stands for itself."""
    assert id_run("A.mm", 3) == "A.mm"


def test_follows() -> None:
    """Only ids of one kind follow each other."""
    assert follows("pt2", "pt3")
    assert not follows("pt2", "pmd3")
    assert not follows("pt2", "pt2")
    assert follows("pt2", "pt6", 4)


def test_counted() -> None:
    """A noun agrees with its number."""
    assert [counted(1, "VMA"), counted(0, "VMA"), counted(2, "entry", "entries")] == ["1 VMA", "0 VMAs", "2 entries"]


def test_folios_and_pages() -> None:
    """One alone, several by the first and the last."""
    assert [folio_run(3, 1), folio_run(1, 8)] == ["f3", "f1..f8"]
    assert [page_index(3, 1), page_index(0, 8)] == ["[3]", "[0..7]"]
    assert [pages_text(3, 1), pages_text(0, 8)] == ["page 3", "pages 0..7"]

"""Order-0 folios, which every scheme counts alike."""

from __future__ import annotations

import pytest

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.schemes.base import Part
from folioshell.schemes.vmas import Vmas
from tests.schemes.costs import small_mapped, small_unmapped


def test_an_entry_that_is_not_there_cannot_go() -> None:
    """Counting below 0 is a bug of the path that announced it, and names the folio."""
    scheme = Vmas()
    scheme.on_mapped(small_mapped(3))
    scheme.on_unmapped(small_unmapped(3))
    with pytest.raises(KernelBug, match="f3 was unmapped") as caught:
        scheme.on_unmapped(small_unmapped(3))
    assert len(caught.value.events) == 1


def test_entries_are_one_part() -> None:
    """Nothing tells the entries of an order-0 folio apart."""
    scheme = Vmas()
    for mm in (1, 2):
        scheme.on_mapped(small_mapped(3, mm=mm))
    assert scheme.why(3) == [Part("PTEs", 2, nr=1)]


def test_a_moved_small_folio_keeps_its_number() -> None:
    """A move of one entry is still one entry, of one VMA."""
    scheme = Vmas()
    scheme.on_mapped(small_mapped(3))
    scheme.on_moved(events.Moved(3, 0, True, 0, 1, 1, 1, 1, 0, 0, 1, 2, 2, 64, 0, 1))
    assert scheme.mapcount(3) == 1

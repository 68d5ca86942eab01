"""The set of VMAs of an address space."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.engine.machine import Machine
from folioshell.model import vm
from folioshell.model.vm import Vma, VmaSet

#: pages of the address space
_PAGES = 64


def _first(vmas: Iterator[Vma]) -> Vma | None:
    return next(vmas, None)


@given(
    cuts=st.lists(st.integers(0, _PAGES), unique=True).map(sorted),
    chance=st.randoms(use_true_random=False),
    removed=st.integers(0, 40),
)
def test_a_set_of_chunks_finds_what_a_look_at_each_vma_finds(cuts: list[int], chance: Random, removed: int) -> None:
    """Look-ups, order and number of the VMAs are those of a plain list, in chunks of any size, after removals too."""
    kernel, found = Machine().kernel, VmaSet()
    mm = kernel.mms["A"]
    # A third of the ranges are holes, the others adjacent.
    vmas = [kernel.new_vma(mm, low, high, 0, low, None, low) for low, high in pairwise(cuts) if low % 3]
    chance.shuffle(vmas)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vm, "_CHUNK", 2)
        for vma in vmas:
            found.insert(vma)
        for vma in vmas[:removed]:
            found.remove(vma)
        for vma in vmas[removed::2]:
            old, vma.start = vma.start, vma.end - 1
            found.moved_start(vma, old)
    plain = sorted(vmas[removed:], key=lambda vma: vma.start)

    assert (list(found), len(found)) == (plain, len(plain))
    for vpn in range(_PAGES + 1):
        assert found.find(vpn) is _first(vma for vma in plain if vma.start <= vpn < vma.end)
        assert found.next(vpn) is _first(vma for vma in plain if vma.start >= vpn)
        assert found.prev(vpn) is _first(vma for vma in reversed(plain) if vma.start < vpn)
        assert found.overlapping(vpn, vpn + 9) == [vma for vma in plain if vma.start < vpn + 9 and vma.end > vpn]

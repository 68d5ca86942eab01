"""Tests of folioshell.engine.numbers: rows of numbers."""

from __future__ import annotations

import pytest

from folioshell.engine.machine import Machine
from folioshell.events import FolioFreed, FolioNew, Mapped
from tests.schemes.costs import small_mapped as _small


def test_a_row_is_what_each_scheme_says() -> None:
    """Rows of mapped, unmapped and large folios are the schemes' own numbers, in the schemes' order."""
    machine = Machine()
    for number in range(1, 6):
        machine.announce(FolioNew(number, 0, True))
    machine.announce(FolioNew(6, 2, True))
    machine.announce(Mapped(6, 2, True, 1, 3, 1, 1, 1, 200, 0, 4, "folio_add_anon_rmap_ptes"))
    for mm, folios in ((1, (1, 2, 3, 4)), (2, (2, 3, 4)), (3, (3, 4)), (4, (4,))):
        machine.announce(_small(*folios, mm=mm))

    rows = [row for _, nr, row in machine.numbers(tuple(machine.schemes)).pieces(1, 6) for _ in range(nr)]
    assert rows == [tuple(scheme.mapcount(folio) for scheme in machine.schemes.values()) for folio in range(1, 7)]


def test_equal_rows_of_order0_folios_are_one_object() -> None:
    """A hundred thousand folios that are mapped alike do not need a row each."""
    machine = Machine()
    machine.announce(_small(*range(1, 100)))
    machine.announce(_small(7, mm=2))
    machine.announce(_small(9, mm=2))

    numbers = machine.numbers(tuple(machine.schemes))
    assert [(first, nr) for first, nr, _ in numbers.pieces(1, 99)] == [(1, 6), (7, 1), (8, 1), (9, 1), (10, 90)]
    assert numbers.row(7) is numbers.row(9)


def test_numbers_before_the_step_are_noted_once() -> None:
    """What a folio had when the step first spoke of it stays what it had before."""
    machine = Machine()
    machine.announce(_small(1, mm=1))
    machine.begin()
    machine.announce(_small(1, mm=2))
    machine.announce(_small(1, mm=3))

    # The call did not say that the page is PageAnonExclusive.
    assert dict(zip(machine.noted, machine.touched()[1], strict=True)) == {
        name: int(name != "anon-exclusive") for name in machine.noted
    }
    assert machine.numbers(machine.noted).row(1) != machine.touched()[1]


def test_which_numbers_are_noted() -> None:
    """Those of the schemes that are asked for; of none, only that the step spoke of the folio is known."""
    machine = Machine()
    machine.note(["vmas", "likely"])
    machine.announce(_small(1, 2))
    machine.begin()
    machine.announce(_small(1, mm=2))
    assert list(machine.touched().runs()) == [(1, 1, (1, 1))]
    assert machine.numbers(["likely", "zero-one-two-many", "vmas"]).row(1) == (2, 2, 2)
    machine.note(())
    machine.begin()
    machine.announce(_small(1, 2, mm=3))
    assert list(machine.touched().runs()) == [(1, 2, ())]
    with pytest.raises(KeyError):
        machine.note(["nonsense"])


def test_freed_folios_are_forgotten_by_every_scheme() -> None:
    """The number of a freed folio is 0 everywhere, whatever its order."""
    machine = Machine()
    machine.announce(_small(1))
    machine.announce(Mapped(2, 2, True, 0, 4, 1, 1, 1, 200, 0, 4, "folio_add_anon_rmap_ptes"))
    machine.announce(FolioFreed(1, 0))
    machine.announce(FolioFreed(2, 2))

    for _, _, row in machine.numbers(machine.noted).pieces(1, 2):
        assert not any(row)

"""Runs of folios keep what single ones would."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.mapping import AnonVma

AV = AnonVma(1)
#: (references, index) of the folios of a run
MEMBERS = st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3)), min_size=1, max_size=8)


def made(members: list[tuple[int, int]], first: int = 10) -> list[Folio]:
    """Folios of consecutive numbers and pages."""
    folios = [Folio(first + at, 100 + first + at, 0, AV, index, True) for at, (_, index) in enumerate(members)]
    for folio, (refs, _) in zip(folios, members, strict=True):
        folio.ref = refs
    return folios


def run_of(folios: list[Folio]) -> FolioRun:
    """A run to which the folios were appended one by one."""
    run = FolioRun(FolioRun(folios[0], 1).folio(0), 1)
    for folio in folios[1:]:
        assert run.is_continued_by(folio)
        run.append(folio)
    return run


def told(folios: Iterator[Folio] | list[Folio]) -> list[tuple[int, int, int, int]]:
    """What is each folio's own."""
    return [(folio.id, folio.pfn, folio.index, folio.ref) for folio in folios]


def members(run: FolioRun) -> Iterator[Folio]:
    """The folios of a run."""
    return map(run.folio, range(run.nr))


@given(MEMBERS, MEMBERS, st.data())
def test_a_run_is_its_folios(one: list[tuple[int, int]], other: list[tuple[int, int]], data: st.DataObject) -> None:
    """Appended, changed, cut and settled: each folio has its own references and index."""
    folios = made(one + other)
    run, later = run_of(folios[: len(one)]), run_of(folios[len(one) :])
    run.append(later)
    assert told(members(run)) == told(folios)

    place = data.draw(st.integers(0, run.nr - 1))
    nr = data.draw(st.integers(1, run.nr - place))
    change = data.draw(st.integers(-1, 2))
    run.add_refs(change, place, nr)
    for folio in folios[place : place + nr]:
        folio.ref += change
    assert told(members(run)) == told(folios)
    unused = {folio.pfn for folio in folios if not folio.ref}
    assert {pfn + at for pfn, length in run.unreferenced() for at in range(length)} == unused
    shared = [folio.ref > 1 for folio in folios[place:]]
    if change >= 0:
        assert run.nr_referenced(place, len(shared)) == (shared.index(False) if False in shared else len(shared))
    parts = [told(folios[start : start + length]) for start, length in run.alike()]
    for rows in parts:
        assert len({refs for *_, refs in rows}) == len({index - number for number, _, index, _ in rows}) == 1
    assert sum(map(len, parts)) == run.nr

    run.settle()
    assert told(members(run)) == told(folios)
    if (cut := data.draw(st.integers(0, run.nr - 1))) > 0:
        rest = run.split(cut)
        assert told(members(run)) + told(members(rest)) == told(folios)
        run = rest
    if run.nr > 1:
        run.drop_first()
        assert told(members(run)) == told(folios[cut + 1 :])


def test_what_may_be_in_a_run() -> None:
    """Anonymous folios of order 0 whose state a run keeps; and only what is alike continues one."""
    folio, other = made([(1, 0), (1, 1)])
    assert FolioRun(folio, 1).keeps_all and FolioRun(folio, 1).is_continued_by(other)
    other.nonzero = 1
    assert FolioRun(other, 1).keeps_all and not FolioRun(folio, 1).is_continued_by(other)
    other.pins = 1
    assert not FolioRun(other, 1).keeps_all

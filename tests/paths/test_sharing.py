"""Who is asked whether a folio is shared, and what follows from a wrong answer."""

from __future__ import annotations

import pytest

from folioshell.events import Asked, Finding, Walked
from folioshell.model.policy import SharingQuestion
from folioshell.paths.sharing import is_shared
from folioshell.schemes.base import Sharing
from tests.paths.memory import Memory


def _straddling(m: Memory) -> int:
    """A 16-page folio of A in two page tables: two tuples and one address space."""
    p = m.mmap(32, skew=496)
    m.kernel.config.thp[4] = "always"
    m.write(p, 16)
    to = m.place(504)
    m.mremap(p, 16, to)
    return to


@pytest.mark.parametrize("scheme", ["mm-id", "vmas"])
def test_the_decider_is_asked(scheme: str) -> None:
    """COLD on a part asks the deciding scheme; on `no` the folio is split."""
    m = Memory()
    p = _straddling(m)
    m.machine.decide(scheme)
    m.madvise("cold", p, 4)
    asked = [event for event in m.machine.trace if isinstance(event, Asked)]

    assert [(event.scheme, event.answer) for event in asked[:1]] == [(scheme, "no")]
    assert m.folio(p).order == 0


def test_maybe_is_resolved_by_a_walk() -> None:
    """On `maybe` the kernel tries the folio lock, drops the page-table lock, walks, and believes what it found."""
    m = Memory()
    p = _straddling(m)
    m.machine.decide("tuples")
    m.madvise("cold", p, 4)
    events = m.machine.trace
    asked = next(event for event in events if isinstance(event, Asked))
    walk = next(event for event in events if isinstance(event, Walked))

    assert asked.answer == "maybe"
    assert [visit[0] for visit in walk.visits if visit[2]] == [m.mm("A").mm_id]
    assert m.folio(p).order == 0
    at = events.index(asked)
    assert [str(event) for event in events[at + 1 : at + 3]] == ["~FOLIO(f1)", "-pt2"]
    after = [str(event) for event in events[events.index(walk) + 1 :]]
    assert after[after.index("-FOLIO(f1)") - 1] == "+pt2"


def test_a_contended_folio_is_treated_as_shared() -> None:
    """The folio lock is outside the page-table lock that is held: without it there is no walk, and the lock stays."""
    m = Memory()
    p = _straddling(m)
    m.machine.decide("tuples")
    folio = m.folio(p)
    references = folio.ref
    table = m.mm("A").tables.leaf(p)
    assert table is not None
    path = is_shared(m.kernel, m.mm("A"), folio, SharingQuestion.COLD_PART, table.ptl)

    assert isinstance(next(path), Asked)
    assert str(next(path)) == "~FOLIO(f1)"
    with pytest.raises(StopIteration) as ended:
        path.send(True)
    assert ended.value.value is True
    assert folio.ref == references


class Wrong:
    """A decider that calls every folio exclusive."""

    name = "wrong"

    def shared(self, folio: int, mm: int) -> Sharing:
        """Nobody else."""
        return Sharing.NO

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """Nobody else has the page."""
        return Sharing.NO


def test_a_wrong_no_is_a_finding() -> None:
    """A decider that calls a shared folio exclusive lets a write through to the other process, and that is said."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")

    m.kernel.decider = Wrong()
    m.write(p)
    (finding,) = [event for event in m.machine.trace if isinstance(event, Finding)]

    assert (finding.scheme, finding.text.endswith("B will see the write of A")) == ("wrong", True)
    assert m.pfn(p) == m.pfn(p, "B")
    assert m.kernel.tainted == {m.folio(p).id}

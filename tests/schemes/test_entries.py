"""Schemes that count entries alike read one record, and say what they would say with records of their own."""

from __future__ import annotations

from folioshell.engine.counting import fold
from folioshell.engine.machine import Machine
from folioshell.events import Event, FolioFreed, FolioNew, Level, Mapped, Unmapped
from folioshell.schemes.entries import EntryScheme, share_entries
from folioshell.schemes.likely import ExactFit, Likely
from folioshell.schemes.max_page import MaxPage
from folioshell.schemes.mm_id import MmId, MmIdV1, RfcWithoutPagesMapped
from folioshell.schemes.per_page import PerPage

FACTS: tuple[Event, ...] = (
    FolioNew(1, 9, True),
    Mapped(1, 9, True, 0, 512, 1, 1, 1, 512, 0, 512, "folio_add_new_anon_rmap", Level.PMD, True),
    Mapped(1, 9, True, 0, 512, 2, 2, 2, 512, 0, 512, "folio_try_dup_anon_rmap_pmd", Level.PMD),
    Mapped(1, 9, True, 0, 512, 1, 1, 1, 512, 0, 512, "folio_add_anon_rmap_ptes"),
    Unmapped(1, 9, True, 0, 512, 1, 1, 1, 512, 0, 512, "folio_remove_rmap_pmd", Level.PMD),
    Unmapped(1, 9, True, 100, 50, 1, 1, 1, 612, 0, 512, "folio_remove_rmap_ptes"),
)


def test_readers_say_what_they_would_count() -> None:
    """After each event, number, pages and parts are those of a scheme that counts on its own."""
    machine = Machine()
    alone: list[EntryScheme] = [PerPage(), Likely(), MmId(), MmIdV1(), RfcWithoutPagesMapped(), MaxPage(), ExactFit()]
    for event in FACTS:
        machine.announce(event)
        for scheme in alone:
            fold(scheme, [event])
            together = machine.schemes[scheme.name]
            assert isinstance(together, EntryScheme)
            assert together.mapcount(1) == scheme.mapcount(1)
            assert together.why(1) == scheme.why(1)
            assert together.shared(1, 1) == scheme.shared(1, 1)
            assert together.page_mapcounts(1) == scheme.page_mapcounts(1)
            assert together.partially_mapped(1) == scheme.partially_mapped(1)
    machine.announce(FolioFreed(1, 9))
    assert [machine.schemes[scheme.name].mapcount(1) for scheme in alone] == [0] * len(alone)


def test_who_reads() -> None:
    """Those that count no more than EntryScheme read what one that does writes; without one, what the first does."""
    per_page, likely, mm_id = PerPage(), Likely(), MmId()

    assert list(share_entries([per_page, likely])) == [likely]
    assert list(share_entries([per_page, likely, mm_id])) == [per_page, likely]
    # Slots are filled in another way: they are counted, the entries are read.
    first, second = MmIdV1(), RfcWithoutPagesMapped()
    assert list(share_entries([first, likely, mm_id, second])) == [likely, second]
    for event in FACTS:
        for scheme in (first, mm_id):
            fold(scheme, [event])
    assert {scheme.mapcount(1) for scheme in (first, likely, mm_id, second)} == {463}
    assert second.slots(1) == mm_id.slots(1)


def test_a_writer_counts_again_alone() -> None:
    """What read another's record writes its own once it is the first."""
    likely, mm_id = Likely(), MmId()
    assert list(share_entries([mm_id, likely])) == [likely]
    assert list(share_entries([likely])) == []
    for event in FACTS:
        fold(likely, [event])
    assert likely.mapcount(1) == 463

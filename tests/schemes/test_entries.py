"""Schemes that count entries alike read one record, and say what they would say with records of their own."""

from __future__ import annotations

from folioshell.engine.counting import fold
from folioshell.engine.machine import Machine
from folioshell.events import Event, FolioFreed, FolioNew, Level, Mapped, Unmapped
from folioshell.schemes.entries import EntryScheme, share_entries
from folioshell.schemes.likely import Likely
from folioshell.schemes.mm_id import MmId
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
    alone: list[EntryScheme] = [PerPage(), Likely(), MmId()]
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
    assert [machine.schemes[scheme.name].mapcount(1) for scheme in alone] == [0, 0, 0]


def test_who_reads() -> None:
    """Those that count no more than EntryScheme read what one that does writes; without one, what the first does."""
    per_page, likely, mm_id = PerPage(), Likely(), MmId()

    assert list(share_entries([per_page, likely])) == [likely]
    assert list(share_entries([per_page, likely, mm_id])) == [per_page, likely]

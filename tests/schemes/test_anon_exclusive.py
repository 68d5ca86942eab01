"""PageAnonExclusive as a scheme: what events tell of it, and what it can answer."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.contract.world import World
from folioshell.events import Reused
from folioshell.model.truth import truth
from folioshell.schemes.anon_exclusive import AnonExclusive
from folioshell.schemes.base import Part, Sharing


@pytest.mark.parametrize("size", ["4K", "64K", "2M"])
def test_what_makes_a_page_exclusive_is_announced(size: str) -> None:
    """A scheme that only adds up events knows PageAnonExclusive of every mapped page after each step."""
    session = Session()
    lines = (
        f"set thp.2M {'always' if size == '2M' else 'never'} ; set thp.64K {'always' if size == '64K' else 'never'}",
        "set swap on ; mmap buf 512 align=512",
        "write buf",
        "fork B",
        "B: write buf[3]",
        "exit B",
        "write buf[0]",
        "write buf[3]",
        "mprotect buf[8..11] r",
        "madvise pageout buf[16..31]",
        "read buf[16..23]",
        "madvise dontneed buf[32..33]",
        "fork C ; C: munmap buf ; write buf[40]",
    )
    reused = known = 0
    for line in lines:
        session.execute(line)
        kernel, scheme = session.workspace.kernel, session.workspace.machine.schemes["anon-exclusive"]
        reused += sum(isinstance(event, Reused) for event in session.workspace.journal[-1].events())
        for folio in kernel.folios.values():
            runs = kernel.counts.page_mapcounts(folio.id) if folio.anon else ()
            pages = [page for first, nr, count in runs if count for page in range(first, first + nr)]
            bits = [bool(folio.anon_exclusive >> page & 1) for page in pages]
            if kernel.counts.entire(folio.id) and not kernel.counts.pages_mapped(folio.id):
                bits = [bool(folio.anon_exclusive & 1)] * len(pages)
            assert [bool(scheme.mapcount(folio.id, page)) for page in pages] == bits, (line, folio)
            assert scheme.mapcount(folio.id) == sum(bits), (line, folio)
            if scheme.shared(folio.id, 1) is Sharing.NO:
                known += 1
                assert not truth(kernel, folio).shared
    assert reused and known


def test_a_folio_is_exclusive_only_as_a_whole() -> None:
    """Half of it leaves open who maps the rest; the entry of an exclusive page can be certain."""
    scheme = AnonExclusive()
    world = World([scheme])
    folio = world.folio(4)
    world.vma(1, 0, 16)
    world.map(1, folio, 0, 0, 8)

    assert scheme.mapcount(folio) == 8
    assert scheme.shared(folio, 1) is Sharing.MAYBE
    assert [scheme.page_shared(folio, page, 1) for page in (7, 8)] == [Sharing.NO, Sharing.MAYBE]
    world.map(1, folio, 0, 8, 8)
    assert scheme.shared(folio, 1) is Sharing.NO
    assert scheme.why(folio) == [Part("exclusive pages", 16)]


def test_a_fork_clears_the_bits_of_what_it_copies() -> None:
    """Also once the child is gone: only a write finds out then."""
    scheme = AnonExclusive()
    world = World([scheme], table_pages=16)
    folio = world.folio(4)
    world.vma(1, 0, 16)
    world.map_pmd(1, folio, 0)
    assert scheme.mapcount(folio) == 16
    world.fork(1, 2)
    world.exit(2)
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (0, Sharing.MAYBE)
    world.announce(Reused(folio, 4, 0, 16, 1, 0))
    world.split_pmd(1, 0)
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (16, Sharing.NO)

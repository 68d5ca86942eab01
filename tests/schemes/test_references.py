"""References as a scheme: one an entry, and those of caches and pins."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.schemes.base import Part, Sharing


@pytest.mark.parametrize("thp", ["never", "always"])
def test_references_of_anonymous_memory_are_known(thp: str) -> None:
    """After each step they are those that the folio has; the swap cache and pins are announced."""
    session = Session()
    lines = (
        f"set thp.2M {thp} ; set swap on ; mmap buf 512 align=512 ; write buf",
        "pin buf[0..1] ; pin buf[1]",
        "fork B ; B: write buf[2]",
        "unpin buf[1]",
        "B: madvise pageout buf[4..9]",
        "reclaim buf[6]",
        "read buf[4] ; B: read buf[5]",
        "unpin buf[0..1] ; reclaim buf[7]",
        "write buf[4..7] ; mremap buf new=other ; migrate other[7]",
        "exit B ; munmap other[0..255]",
    )
    seen = set()
    for line in lines:
        for part in line.split(" ; "):
            session.execute(part)
            kernel, scheme = session.workspace.kernel, session.workspace.machine.schemes["references"]
            for folio in kernel.folios.values():
                assert scheme.mapcount(folio.id) == folio.ref, (part, folio)
                seen.update(row.label for row in scheme.why(folio.id))
            last = max(1, kernel.last_number("folio"))
            for first, nr, number in scheme.mapcount_pieces(1, last):
                assert {scheme.mapcount(folio) for folio in range(first, first + nr)} == {number}
    assert seen == {"entries", "pins", "swap cache"}


def test_a_reference_that_is_no_mapping_looks_shared() -> None:
    """A page of a file, a pinned page, and a THP mapped by PTEs; a PMD entry has one reference."""
    session = Session()
    scheme = session.workspace.machine.schemes["references"]
    for line in (
        "set thp.2M always ; mmap buf 512 align=512 ; write buf",
        "file lib 4 ; mmap win 4 file=lib ; read win",
    ):
        session.execute(line)
    assert (scheme.mapcount(1), scheme.shared(1, 1)) == (1, Sharing.NO)
    assert (scheme.mapcount(2), scheme.shared(2, 1), scheme.mapped(2)) == (2, Sharing.YES, None)
    assert scheme.why(2) == [Part("entries", 1), Part("page cache", 1)]
    session.execute("mprotect buf[0] r")
    assert (scheme.mapcount(1), scheme.shared(1, 1)) == (512, Sharing.YES)
    session.execute("mmap one 1 ; write one ; pin one")
    folio = session.workspace.kernel.last_number("folio")
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (2, Sharing.YES)

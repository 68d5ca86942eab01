"""Names that live in a session, as candidates: regions, pages, folios, processes, threads, locks.

Rules:
- There may be a hundred thousand of a kind: only those that go on from what is typed are made, and few of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from folioshell.model import pte
from folioshell.session.step_events import StepEvents
from folioshell.units import format_address, format_pages, parse_number
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.commands.operands import Pair
    from folioshell.model.vm import Mm
    from folioshell.session.region import Region
    from folioshell.session.session import Session

#: folios and pages that are offered, at most
MOST = 50
#: folios while nothing of their ids is typed: places are to be seen behind them
MOST_FOLIOS = 10


def region_pairs(session: Session, typed: str = "", before: str = "") -> Iterator[Pair]:
    """The regions that begin so, each with ``before`` set before its name."""
    for region in session.workspace.regions.values():
        if region.name.startswith(typed):
            yield f"{before}{region.name}", f"{format_pages(region.nr)} at {format_address(region.start)}"


def process_pairs(session: Session) -> Iterator[Pair]:
    """The living processes."""
    for name, mm in session.workspace.kernel.mms.items():
        yield name, counted(len(mm.vmas), "VMA")


def file_pairs(session: Session) -> Iterator[Pair]:
    """The files."""
    for file in session.workspace.kernel.files.values():
        yield file.name, f"{file.size} pages on {file.fs}"


def folio_pairs(session: Session, typed: str = "") -> Iterator[Pair]:
    """Living folios by their ids."""
    digits = typed.removeprefix("f")
    if typed and (digits == typed or (digits and parse_number(digits) is None)):
        return
    kernel = session.workspace.kernel
    looks = map(kernel.folios.get, _beginning_with(digits, kernel.last_number("folio")))
    living = (folio for folio in looks if folio is not None)
    for folio in islice(living, MOST if typed else MOST_FOLIOS):
        yield str(folio), f"order {folio.order}, {'anon' if folio.anon else f'of {folio.mapping}'}"


def thread_pairs(session: Session) -> Iterator[Pair]:
    """The threads that were made, besides main ones: ``A.t1``."""
    living = session.workspace.kernel.mms
    for name, threads in session.workspace.threads.items():
        if name in living:
            yield from ((f"{name}.{thread}", f"a thread of {name}") for thread in threads)


def lock_pairs(session: Session) -> Iterator[Pair]:
    """The page-table locks that the last step took."""
    journal = session.workspace.journal
    rows = StepEvents(journal[-1].trace).locks if journal else []
    return ((row.name, f"taken by {row.function}()") for row in rows)


def place_pairs(session: Session, typed: str, process: str, *, own: bool) -> Iterable[Pair]:
    """Places: regions, or the pages of one once its bracket is open.

    Args:
        typed: the place as far as it stands.
        process: whose memory is meant unless another is named.
        own: another may not be named.
    """
    named, colon, rest = typed.rpartition(":")
    before = named + colon
    name, bracket, index = rest.partition("[")
    mm = session.workspace.kernel.mms.get(named or process)
    region = session.workspace.regions.get(name)
    if bracket:
        return _page_pairs(session, mm, region, index, before) if mm is not None and region is not None else ()
    if colon:
        return region_pairs(session, rest, before) if mm is not None and not own else ()
    others = () if own else session.workspace.kernel.mms
    return chain(
        region_pairs(session, rest),
        ((f"{other}:", f"a place in {other}") for other in others if other != process),
    )


def _page_pairs(session: Session, mm: Mm, region: Region, index: str, before: str) -> Iterator[Pair]:
    """Pages of a region with what is mapped there, and the ranges to its end."""
    first, dots, _ = index.partition("..")
    first, plus, _ = first.partition("+")
    start = parse_number(first or "0")
    if start is None:
        return
    last = region.nr - 1
    label = f"{before}{region.name}"
    if not (dots or plus):
        pages = islice(_beginning_with(first, last), MOST)
        yield from ((f"{label}[{page}]", _mapped_at(session, mm, region.start + page)) for page in pages)
    if start < last:
        what = f"pages {start} to {last}" if start else f"all {region.nr} pages"
        yield f"{label}[{start}..{last}]", what
        if plus:
            yield f"{label}[{start}+{region.nr - start}]", what


def _mapped_at(session: Session, mm: Mm, vpn: int) -> str:
    """What is mapped at a page; a folio of a run stays in it."""
    entry = mm.tables.entry(vpn)
    if pte.maps_folio(entry):
        pfn = pte.pfn_of(entry)
        folio = session.workspace.kernel.physmem.folio(pfn)
        return f"page {pfn - folio.pfn} of {folio}"
    return "the zero page" if entry > 0 else "not present"


def _beginning_with(digits: str, most: int) -> Iterator[int]:
    """Numbers up to ``most`` whose digits begin with these, short ones first."""
    if not digits:
        yield from range(most + 1)
    elif digits[0] == "0":
        yield from (0,) if digits == "0" else ()
    else:
        low, nr = int(digits), 1
        while low <= most:
            yield from range(low, min(low + nr, most + 1))
            low, nr = low * 10, nr * 10

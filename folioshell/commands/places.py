"""Places and folios as they are typed: ``buf[3..7]``, ``B:buf``, ``0x7f0000003000+5``, ``f1``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from folioshell.commands.grammar import Arg
from folioshell.commands.lex import Token
from folioshell.commands.operands import (
    ID_FORM,
    NAME,
    Asking,
    ExistingName,
    Operand,
    Pair,
    read_address,
    read_name,
    refused,
)
from folioshell.model import pte
from folioshell.records import NamedTuple
from folioshell.session.step_events import StepEvents
from folioshell.units import format_address, format_pages, parse_number
from folioshell.wording import counted, page_index

if TYPE_CHECKING:
    from folioshell.commands.operands import Pair
    from folioshell.model.vm import Mm
    from folioshell.session.session import Session
    from folioshell.session.workspace import Region


_PAGES = "pages are written [3], [3..7] (both included) or [3+5] (five from page 3)"
_FOLIO = re.compile(r"f([1-9][0-9]{0,8})\Z")
#: a region, whole or one page of it, as most places are
_ID, _NAME = (pattern.pattern.removesuffix(r"\Z") for pattern in (ID_FORM, NAME))
_PAGE = re.compile(rf"(?!{_ID}(?:\[|\Z))({_NAME})(?:\[(0|[1-9][0-9]{{0,11}})\])?\Z")
_INDEX = re.compile(r"\s*(0|[1-9][0-9]{0,11})(?:\s*(\.\.|\+)\s*(0|[1-9][0-9]{0,11}))?\s*\Z")


class PlaceRef(NamedTuple):
    """A place as typed; region and process are not looked up yet.

    Args:
        process: the process whose copy is meant, or empty.
        region: name of the region, or empty for an address.
        vpn: the address, as a virtual page number.
        first, nr: pages within the region; ``nr`` 0 stands for the whole region.
        token: the word.
    """

    process: str
    region: str
    vpn: int
    first: int
    nr: int
    token: Token

    @property
    def whole(self) -> bool:
        """It names a region without an index."""
        return self.nr == 0

    def pages_text(self, offset: int, nr: int) -> str:
        """Some of its pages, ``nr`` from the page ``offset`` on: ``buf[3..7]``."""
        if self.region:
            return f"{self.region}{page_index(self.first + offset, nr)}"
        return f"{format_address(self.vpn + offset)}{f'+{nr}' if nr > 1 else ''}"


class FolioRef(NamedTuple):
    """A folio named by its id."""

    number: int
    token: Token


def read_place(token: Token) -> PlaceRef:
    """A place.

    Raises:
        Refused: it is none; columns are those of the part that is wrong.
    """
    text, start = token.text, token.start
    if page := _PAGE.match(text):
        region, first = page.groups()
        return PlaceRef("", region, 0, 0, 0, token) if first is None else PlaceRef("", region, 0, int(first), 1, token)
    process = ""
    if ":" in text:
        process, text = text.split(":", 1)
        read_name(Token(process, start, start + len(process)))
        start += len(process) + 1
    if text.startswith("0x"):
        address, plus, count = text.partition("+")
        vpn = read_address(Token(address, start, start + len(address)))
        nr = _count(Token(count, start + len(address) + 1, token.end)) if plus else 1
        return PlaceRef(process, "", vpn, 0, nr, token)
    region, bracket, rest = text.partition("[")
    if "+" in region or ".." in region:
        raise refused(Token(text, start, token.end), "pages of a region are written in brackets", hint=_PAGES)
    read_name(Token(region, start, start + max(len(region), 1)))
    if not bracket:
        return PlaceRef(process, region, 0, 0, 0, token)
    first, nr = _index(rest, Token(bracket + rest, start + len(region), token.end))
    return PlaceRef(process, region, 0, first, nr, token)


def _count(token: Token) -> int:
    number = parse_number(token.text)
    if number is None or not 0 < number <= 1 << 34:
        raise refused(Token(token.text, token.start, max(token.end, token.start + 1)), "not a number of pages")
    return number


def _index(rest: str, token: Token) -> tuple[int, int]:
    """(first page, number of pages) of what follows a ``[``."""
    if not rest.endswith("]"):
        raise refused(token, "the closing ] is missing", hint=_PAGES)
    match = _INDEX.match(rest[:-1])
    if not match:
        raise refused(token, "not pages of a region", hint=_PAGES)
    first, kind, last = int(match[1]), match[2], int(match[3] or 0)
    if kind == "+":
        if not last:
            raise refused(token, "no pages", hint=_PAGES)
        return first, last
    if kind == "..":
        if last < first:
            raise refused(token, "the last page is before the first", hint=_PAGES)
        return first, last - first + 1
    return first, 1


class Place(Operand):
    """A place.

    Args:
        own: only the memory of the process that runs the command will do.
    """

    label = "a place"
    usage = "PLACE"
    note = "buf, buf[3], buf[3..7], buf[3+5], an address"

    def __init__(self, own: bool = False) -> None:
        self.own = own

    def read(self, token: Token) -> PlaceRef:
        """The place, not yet looked up."""
        if _FOLIO.match(token.text):
            hint = "a place is buf, buf[3], buf[3..7] or 0x…"
            raise refused(token, f"{token.text} is a folio; a place is expected", hint=hint)
        return read_place(token)

    def offered(self, session: Session, asking: Asking) -> Iterable[Pair]:
        """The regions, pages of one, and processes whose copy may be meant."""
        return place_pairs(session, asking.typed, asking.process, own=self.own)


class FolioOrPlace(Operand):
    """A folio id, or a place whose folio is meant."""

    label = "a folio or place"
    usage = "FOLIO|PLACE"
    note = "f1, buf[3] or B:buf[3]"

    def read(self, token: Token) -> PlaceRef | FolioRef:
        """The folio or place, not yet looked up."""
        folio = _FOLIO.match(token.text)
        return FolioRef(int(folio[1]), token) if folio else read_place(token)

    def offered(self, session: Session, asking: Asking) -> Iterable[Pair]:
        """Folios, then places."""
        yield from folio_pairs(session, asking.typed)
        yield from place_pairs(session, asking.typed, asking.process, own=False)


#: folios and pages that are offered, at most
MOST = 50
#: folios while nothing of their ids is typed: places should be visible after them
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
        region_pairs(session, rest), ((f"{other}:", f"a place in {other}") for other in others if other != process)
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


PLACE = Place()
OWN_PLACE = Place(own=True)
FOLIO = FolioOrPlace()


def place(meaning: str = "the pages", name: str = "PLACE") -> Arg:
    """A place that must be given."""
    return Arg(name, PLACE, meaning)


def own_place(meaning: str = "the pages") -> Arg:
    """A place in the memory of the process that runs the command."""
    return Arg("PLACE", OWN_PLACE, meaning)


FILE = ExistingName("a file", "F", file_pairs)
PROCESS = ExistingName("a process", "NAME", process_pairs)
REGION = ExistingName("a region", "REGION", region_pairs)

"""Places and folios as they are typed: ``buf[3..7]``, ``B:buf``, ``0x7f0000003000+5``, ``f1``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from folioshell.commands.lex import Token
from folioshell.commands.name_candidates import folio_pairs, place_pairs
from folioshell.commands.operands import Asking, Operand, Pair, read_address, read_name, refused
from folioshell.units import parse_number

if TYPE_CHECKING:
    from folioshell.session.session import Session

_PAGES = "pages are written [3], [3..7] (both included) or [3+5] (five from page 3)"
_FOLIO = re.compile(r"f([1-9][0-9]{0,8})\Z")
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
        raise refused(Token(text, start, token.end), "pages of a region stand in brackets", hint=_PAGES)
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
            raise refused(token, "no pages at all", hint=_PAGES)
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
        folio = _FOLIO.match(token.text)
        if folio:
            raise refused(
                token, f"{token.text} is a folio; a place is wanted", hint="a place is buf, buf[3], buf[3..7] or 0x…"
            )
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

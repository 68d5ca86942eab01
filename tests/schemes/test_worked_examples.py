"""Every cell of the worked examples: numbers, answers, and which answers are wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import pytest

from folioshell.contract.world import World
from folioshell.schemes import all_schemes
from folioshell.schemes.average import Average
from folioshell.schemes.base import Answer, Scheme, Sharing
from folioshell.schemes.mm_id import MmId, MmIdV1
from folioshell.schemes.owner import Owner
from folioshell.schemes.per_page_v5 import PerPageV5
from folioshell.schemes.rmap_id import RmapId
from folioshell.schemes.total_pages import TotalPages
from tests.schemes.worked_examples import EXAMPLES

# x is exclusive, S shared, W undecided; a ! stands behind an answer that contradicts the truth. The columns:
#   E      entries                      pages  mapped pages             truth  address spaces
#   a      per-page-v5, of the page that is asked about: page 0 unless ASKED says otherwise
#   b      per-page: the answer         A, B, Z   tuples, vmas, zero-one-two-many (M is Many)
#   e      mapcount of page 0, and the answers of estimated-ne1 and estimated-gt1
#   f, g   likely and rmap-id           h      mm-id: its slots, * for the SHARED bit, its answer
ONE_PROCESS_AND_MORE = """
step | E    | pages | truth | a    | b  | A    | B    | Z    | e        | f  | g  | h
1    | 4    | 4     | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:4 -:0 x
2a   | 8    | 8     | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:8 -:0 x
2b   | 16   | 16    | 1     | 1 x  | S! | 2 W  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
3a   | 1    | 512   | 1     | 1 x  | x  | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:1 -:0 x
3b   | 512  | 512   | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:512 -:0 x
4    | 32   | 16    | 2     | 2 S  | S  | 2 W  | 2 S  | 2 S  | 2 S/S    | S  | S  | m1:16 m2:16 * S
5a   | 16   | 16    | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
5b   | 16   | 16    | 1     | 1 x  | S! | 2 W  | 2 S! | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
6    | 16   | 16    | 1     | 1 x  | S! | 3 S! | 2 S! | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
10a  | 32   | 16    | 1     | 2 S! | S! | 2 W  | 2 S! | 2 S! | 2 S!/S!  | S! | S! | m1:32 -:0 x
10b  | 16   | 8     | 1     | 2 S! | S! | 2 W  | 2 S! | 2 S! | 2 S!/S!  | S! | x  | m1:16 -:0 x
10c  | 2    | 1     | 1     | 2 S! | S! | 2 W  | 2 S! | 2 S! | 2 S!/S!  | S! | S! | -:0 -:0 S!
18   | 16   | 16    | 1     | 1 x  | S! | 2 W  | 2 S! | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
20a  | 1024 | 1024  | 1     | 1 x  | S! | 2 W  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:1024 -:0 x
20b  | 1024 | 1024  | 1     | 1 x  | S! | 3 S! | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:1024 -:0 x
25   | 512  | 512   | 1     | 1 x  | S! | 2 W  | 2 S! | 1 x  | 1 x/x    | x  | x  | m1:512 -:0 x
7a   | 32   | 16    | 2     | 2 S  | S  | 2 W  | 2 S  | 2 S  | 2 S/S    | S  | S  | m1:16 m2:16 * S
7b   | 31   | 16    | 2     | 1 x! | S  | 2 W  | 2 S  | 2 S  | 1 x!/x!  | S  | S  | m1:15 m2:16 * S
8    | 16   | 16    | 2     | 1 x! | S  | 2 W  | 2 S  | 2 S  | 1 x!/x!  | x! | S  | m1:8 m2:8 * S
9    | 16   | 8     | 2     | 2 S  | S  | 2 W  | 2 S  | 2 S  | 0 S/x!   | x! | S  | m1:8 m2:8 * S
19a  | 17   | 16    | 2     | 1 x! | S  | 2 W  | 2 S  | 2 S  | 1 x!/x!  | S  | S  | m1:16 m2:1 * S
19b  | 16   | 16    | 2     | 1 x! | S  | 2 W  | 2 S  | 2 S  | 1 x!/x!  | x! | S  | m1:15 m2:1 * S
22   | 32   | 16    | 2     | 2 S  | S  | 4 S  | 2 S  | 2 S  | 2 S/S    | S  | S  | m1:16 m2:16 * S
23   | 513  | 512   | 2     | 1 x! | S  | 2 W  | 2 S  | 2 S  | 2 S/S    | S  | S  | m1:512 m2:1 * S
24   | 16   | 16    | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | -:0 m2:16 x
27   | 16   | 16    | 1     | 1 x  | S! | 1 x  | 1 x  | 1 x  | 1 x/x    | x  | x  | m1:16 -:0 x
"""
OWNERS_COME_AND_GO = """
step         | E  | truth | A   | B   | Z         | f | g | h
11a          | 8  | 2     | 2 W | 2 S | 2 S       | S | S | m1:4 m2:4 * S
11b          | 4  | 1     | 1 x | 1 x | 1 x       | x | x | -:0 m2:4 x
12a          | 12 | 3     | 3 S | 3 S | M S       | S | S | m1:4 m2:4 * S
12b          | 4  | 1     | 1 x | 1 x | M S!      | x | x | -:0 -:0 * S!
12c          | 1  | 1     | 1 x | 1 x | M S!      | x | x | -:0 -:0 * x
12d          | 2  | 1     | 1 x | 1 x | M S!      | x | x | m3:1 -:0 * S!
13a          | 40 | 3     | 3 S | 3 S | M S       | S | S | m1:16 m2:16 * S
13b          | 24 | 2     | 2 W | 2 S | M S       | S | S | -:0 m2:16 * S
13c          | 32 | 2     | 2 W | 2 S | M S       | S | S | m3:8 m2:16 * S
13d          | 16 | 1     | 1 x | 1 x | M S!      | x | x | m3:8 -:0 * S!
13e          | 8  | 1     | 1 x | 1 x | M S!      | x | x | -:0 -:0 * S!
13f          | 0  | 0     | 0 – | 0 – | M mapped! | – | – | -:0 -:0 –
13g          | 16 | 1     | 1 x | 1 x | M S!      | x | x | m1:16 -:0 x
13x after m3 | 8  | 2     | 2 W | 2 S | M S       | S | S | m1:4 m2:4 * S
13x after m1 | 4  | 1     | 1 x | 1 x | M S!      | x | x | -:0 m2:4 x
"""
# T      pages mapped by all entries      N   pages mapped by PTEs, +EM while a PMD entry maps the folio
# a      PageDoubleMap and _mapcount of page 0, from 0, of per-page-v5
# avg    mapcount of a page: average / total-pages
# part   partially mapped? per-page-v5 and per-page / average and total-pages
PMDS_BESIDE_PTES = """
step | E   | T    | pages | truth | N      | entire | a     | avg | part    | f  | h
14a  | 2   | 1024 | 512   | 2     | 0+EM   | 2      | no 0  | 2/2 | no/no   | S  | m1:1 m2:1 * S
14b  | 513 | 1024 | 512   | 2     | 512+EM | 1      | yes 2 | 2/2 | no/no   | S  | m1:512 m2:1 * S
14c  | 257 | 768  | 512   | 2     | 256+EM | 1      | yes 1 | 2/2 | no/no   | S  | m1:256 m2:1 * S
14d  | 768 | 768  | 512   | 2     | 512    | 0      | no 1  | 2/2 | no/no   | S  | m1:256 m2:512 * S
14e  | 512 | 512  | 256   | 2     | 256    | 0      | no 0  | 1/1 | yes/no! | x! | m1:256 m2:256 * S
14f  | 256 | 256  | 256   | 1     | 256    | 0      | no 0  | 1/1 | yes/yes | x  | m1:256 -:0 x
15a  | 16  | 16   | 4     | 4     | 4      | 0      | no 4  | 4/4 | no/no   | S  | m1:4 m2:4 * S
15b  | 4   | 4    | 1     | 4     | 1      | 0      | no 4  | 1/1 | yes/no! | S  | m1:1 m2:1 * S
15c  | 1   | 1    | 1     | 1     | 1      | 0      | no 1  | 1/1 | yes/yes | x  | m1:1 -:0 x
16a  | 513 | 1024 | 512   | 2     | 512+EM | 1      | yes 2 | 2/2 | no/no   | S  | m1:1 m2:512 * S
16b  | 512 | 512  | 512   | 1     | 512    | 0      | no 1  | 1/1 | no/no   | x  | -:0 m2:512 x
17   | 3   | 1025 | 512   | 3     | 1+EM   | 2      | yes 2 | 2/2 | no/no   | S  | m1:1 m2:1 * S
"""
# mx, xf   max-page; the answer of exact-fit         v1   mm-id-v1: its slots, as in h
# ra       partially mapped? rfc-2026-a              ref, ae   references, anon-exclusive
OTHERS = """
step         | mx   | xf | v1                | ra  | ref     | ae
1            | 1 x  | x  | m1:4 -:0 x        | no  | 8 S!    | 0 W
2a           | 1 x  | S! | m1:8 -:0 x        | yes | 24 S!   | 0 W
2b           | 1 x  | x  | m1:16 -:0 x       | no  | 32 S!   | 0 W
3a           | 1 x  | S! | m1:1 -:0 x        | no  | 1 x     | 512 x
3b           | 1 x  | x  | m1:512 -:0 x      | no  | 512 S!  | 512 x
4            | 2 S  | S  | m1:16 m2:16 * S   | no  | 48 S    | 0 W
5a           | 1 x  | x  | m1:16 -:0 x       | no  | 16 S!   | 16 x
5b           | 1 x  | x  | m1:16 -:0 x       | no  | 16 S!   | 16 x
6            | 1 x  | x  | m1:16 -:0 x       | no  | 32 S!   | 0 W
10a          | 2 S! | S! | m1:32 -:0 x       | no  | 48 S!   | 0 W
10b          | 2 S! | x  | m1:16 -:0 x       | no! | 32 S!   | 0 W
10c          | 2 S! | S! | -:0 -:0 S!        | no  | 3 S!    | 0 W
18           | 1 x  | x  | m1:16 -:0 x       | no  | 16 S!   | 16 x
20a          | 1 x  | x  | m1:1024 -:0 x     | no  | 2048 S! | 0 W
20b          | 1 x  | x  | m1:1024 -:0 x     | no  | 2048 S! | 0 W
25           | 1 x  | x  | m1:512 -:0 x      | no  | 512 S!  | 512 x
7a           | 2 S  | S  | m1:16 m2:16 * S   | no  | 32 S    | 0 W
7b           | 2 S  | S  | m1:15 m2:16 * S   | no  | 31 S    | 0 W
8            | 1 x! | x! | m1:8 m2:8 * S     | no  | 32 S    | 0 W
9            | 2 S  | x! | m1:8 m2:8 * S     | no! | 32 S    | 0 W
19a          | 2 S  | S  | m1:16 m2:1 * S    | no  | 17 S    | 0 W
19b          | 1 x! | x! | m1:15 m2:1 * S    | no  | 16 S    | 0 W
22           | 2 S  | S  | m1:16 m2:16 * S   | no  | 48 S    | 0 W
23           | 2 S  | S  | m1:512 m2:1 * S   | no  | 1025 S  | 0 W
24           | 1 x  | x  | -:0 m2:16 x       | no  | 16 S!   | 0 W
11a          | 2 S  | S  | m1:4 m2:4 * S     | yes | 24 S    | 0 W
11b          | 1 x  | S! | -:0 m2:4 x        | yes | 20 S!   | 0 W
12a          | 3 S  | S  | m1:4 m2:4 * S     | yes | 28 S    | 0 W
12b          | 1 x  | S! | m1:0 m2:0 * S!    | yes | 20 S!   | 0 W
12c          | 1 x  | S! | m1:0 m2:0 * x     | yes | 17 S!   | 0 W
12d          | 1 x  | S! | m1:0 m2:0 * S!    | yes | 18 S!   | 0 W
13a          | 3 S  | S  | m1:16 m2:16 * S   | no  | 56 S    | 0 W
13b          | 2 S  | S  | m1:0 m2:16 * S    | no  | 40 S    | 0 W
13c          | 2 S  | S  | m1:0 m2:16 * S    | no  | 48 S    | 0 W
13d          | 1 x  | x  | m1:0 m2:0 * S!    | no  | 32 S!   | 0 W
13e          | 1 x  | S! | m1:0 m2:0 * S!    | yes | 24 S!   | 0 W
13f          | 0 –  | –  | -:0 -:0 –         | no  | 16 –    | 0 –
13g          | 1 x  | x  | m1:16 -:0 x       | no  | 32 S!   | 0 W
13x after m3 | 2 S  | S  | m1:4 m2:4 * S     | yes | 24 S    | 0 W
13x after m1 | 1 x  | S! | -:0 m2:4 x        | yes | 20 S!   | 0 W
14a          | 2 S  | S  | m1:1 m2:1 * S     | no  | 2 S     | 0 W
14b          | 2 S  | S  | m1:512 m2:1 * S   | no  | 513 S   | 0 W
14c          | 2 S  | S  | m1:256 m2:1 * S   | no  | 257 S   | 0 W
14d          | 2 S  | S  | m1:256 m2:512 * S | no  | 768 S   | 0 W
14e          | 2 S  | x! | m1:256 m2:256 * S | no! | 512 S   | 0 W
14f          | 1 x  | S! | m1:256 -:0 x      | yes | 256 S!  | 0 W
15a          | 4 S  | S  | m1:4 m2:4 * S     | no  | 16 S    | 0 W
15b          | 4 S  | x! | m1:1 m2:1 * S     | no! | 4 S     | 0 W
15c          | 1 x  | S! | m1:1 -:0 x        | yes | 1 x     | 0 W
16a          | 2 S  | S  | m1:1 m2:512 * S   | no  | 513 S   | 0 W
16b          | 1 x  | x  | -:0 m2:512 x      | no  | 512 S!  | 0 W
17           | 3 S  | S  | m1:1 m2:1 * S     | no  | 515 S   | 0 W
27           | 1 x  | x  | m1:16 -:0 x       | no  | 16 S!   | 0 W
"""
#: step -> page that is asked about
ASKED = {"9": 1, "23": 1}

FOLIO = 1
ANSWERS = {Sharing.NO: "x", Sharing.YES: "S", Sharing.MAYBE: "W"}
S = TypeVar("S", bound=Scheme)


@dataclass
class Moment:
    """A world after one step of an example, with all schemes."""

    step: str
    world: World
    schemes: dict[str, Scheme]

    def scheme(self, kind: type[S]) -> S:
        """One of the schemes, by its class."""
        scheme = self.schemes[kind.name]
        assert isinstance(scheme, kind)
        return scheme

    @property
    def mms(self) -> list[int]:
        """Who maps the folio."""
        return self.world.mms_of(FOLIO)

    def answer(self, name: str, page: int | None = None) -> str:
        """What a scheme answers to all who map the folio, which must be the same."""
        scheme = self.schemes[name]
        if not self.mms:
            return "mapped!" if scheme.mapped(FOLIO) else "–"
        if page is None:
            given = {scheme.shared(FOLIO, mm) for mm in self.mms}
        else:
            given = {scheme.page_shared(FOLIO, page, mm) for mm in self.mms}
        assert len(given) == 1, "the answer depends on who asks"
        answer = given.pop()
        right = Sharing.YES if len(self.mms) > 1 else Sharing.NO
        return ANSWERS[answer] + "!" * (answer not in (right, Sharing.MAYBE))

    def numbered(self, name: str) -> str:
        """Number and answer."""
        number = self.schemes[name].mapcount(FOLIO)
        many = name == "zero-one-two-many" and number == 3
        return f"{'M' if many else number} {self.answer(name)}"


def of_page(at: Moment) -> str:
    page = ASKED.get(at.step, 0)
    return f"{at.scheme(PerPageV5).page_mapcount(FOLIO, page)} {at.answer('per-page-v5', page)}"


def estimated(at: Moment) -> str:
    number = at.schemes["estimated-ne1"].mapcount(FOLIO)
    return f"{number} {at.answer('estimated-ne1')}/{at.answer('estimated-gt1')}"


def slots(at: Moment, kind: type[MmId] = MmId) -> str:
    *both, shared = at.scheme(kind).slots(FOLIO)
    return " ".join([f"m{mm}:{count}" if mm else "-:0" for mm, count in both] + ["*"] * shared + [at.answer(kind.name)])


def guessed_partial(at: Moment) -> str:
    right = Answer.of(0 < at.world.truth(FOLIO).pages < 1 << at.world.orders[FOLIO])
    answer = at.schemes["rfc-2026-a"].partially_mapped(FOLIO)
    assert answer is at.scheme(Average).partially_mapped(FOLIO)
    return answer + "!" * (answer is not right)


def pages_mapped(at: Moment) -> str:
    mm_id = at.scheme(MmId)
    return f"{mm_id.pages_mapped(FOLIO)}{'+EM' if mm_id.entire(FOLIO) else ''}"


def double_map(at: Moment) -> str:
    mapcount, compound, flag = at.scheme(PerPageV5).stored(FOLIO, 0)
    assert compound == at.scheme(MmId).entire(FOLIO)
    return f"{'yes' if flag else 'no'} {mapcount}"


def averages(at: Moment) -> str:
    return f"{at.scheme(Average).mapcount(FOLIO, 0)}/{at.scheme(TotalPages).mapcount(FOLIO, 0)}"


def partial(at: Moment) -> str:
    right = Answer.of(0 < at.world.truth(FOLIO).pages < 1 << at.world.orders[FOLIO])
    cells = []
    for names in (("per-page-v5", "per-page"), ("average", "total-pages")):
        one, other = (at.schemes[name].partially_mapped(FOLIO) for name in names)
        assert one is other
        cells.append(one + "!" * (one is not right))
    return "/".join(cells)


CELLS: dict[str, Callable[[Moment], str]] = {
    "E": lambda at: str(at.world.truth(FOLIO).entries),
    "T": lambda at: str(at.scheme(TotalPages).total_mapped_pages(FOLIO)),
    "pages": lambda at: str(at.world.truth(FOLIO).pages),
    "truth": lambda at: str(len(at.mms)),
    "a": of_page,
    "b": lambda at: at.answer("per-page"),
    "A": lambda at: at.numbered("tuples"),
    "B": lambda at: at.numbered("vmas"),
    "Z": lambda at: at.numbered("zero-one-two-many"),
    "e": estimated,
    "f": lambda at: at.answer("likely"),
    "g": lambda at: at.answer("rmap-id"),
    "h": slots,
    "N": pages_mapped,
    "entire": lambda at: str(at.scheme(MmId).entire(FOLIO)),
    "avg": averages,
    "part": partial,
    "mx": lambda at: at.numbered("max-page"),
    "xf": lambda at: at.answer("exact-fit"),
    "v1": lambda at: slots(at, MmIdV1),
    "ra": guessed_partial,
    "ref": lambda at: at.numbered("references"),
    "ae": lambda at: at.numbered("anon-exclusive"),
}


def rows(text: str, **changed: Callable[[Moment], str]) -> dict[str, dict[Callable[[Moment], str], str]]:
    """Step -> what makes a cell -> the cell."""
    header, *lines = [[cell.strip() for cell in line.split("|")] for line in text.strip().splitlines()]
    cells = [(CELLS | changed)[column] for column in header[1:]]
    return {line[0]: dict(zip(cells, line[1:], strict=True)) for line in lines}


_OTHERS = rows(OTHERS)
TABLE = {
    step: row | _OTHERS[step]
    for step, row in (
        rows(ONE_PROCESS_AND_MORE) | rows(OWNERS_COME_AND_GO) | rows(PMDS_BESIDE_PTES, a=double_map)
    ).items()
}


@dataclass(frozen=True)
class Seen:
    """What the tests below look at after a step."""

    row: dict[Callable[[Moment], str], str]
    truth: tuple[int, list[int]]
    entries: list[int]
    pages: list[list[int | None]]
    slots: list[object]
    maybe_shared: list[str]
    first_page: list[str]
    owner: tuple[tuple[int, int, int], str]
    checksum: int
    tuples_and_vmas: tuple[str, str]
    average: int


def seen(at: Moment) -> Seen:
    schemes, world = at.schemes, at.world
    exact = (
        *("per-page-v5", "per-page", "likely", "exact-fit", "rmap-id", "owner", "mm-id", "mm-id-v1", "average"),
        *("total-pages", "rfc-2026-a", "rfc-2026-b"),
    )
    paged = ("per-page-v5", "per-page", "likely", "mm-id", "rfc-2026-a")
    pages = range(1 << world.orders[FOLIO])
    return Seen(
        row={cell: cell(at) for cell in TABLE.get(at.step, ())},
        truth=(world.truth(FOLIO).entries, world.page_entries(FOLIO)),
        entries=[schemes[name].mapcount(FOLIO) for name in exact],
        pages=[[schemes[name].page_mapcount(FOLIO, page) for page in pages] for name in paged],
        slots=[at.scheme(MmId).slots(FOLIO), at.scheme(Average).slots(FOLIO), at.scheme(TotalPages).slots(FOLIO)],
        maybe_shared=[at.answer(name) for name in ("mm-id", "average", "total-pages", "rfc-2026-a", "rfc-2026-b")],
        first_page=[at.answer(name) for name in ("estimated-gt1", "likely-v6.9")],
        owner=(at.scheme(Owner).owner(FOLIO), at.answer("owner")),
        checksum=at.scheme(RmapId).checksum(FOLIO),
        tuples_and_vmas=(at.numbered("tuples"), at.numbered("vmas")),
        average=at.scheme(Average).page_mapcount(FOLIO, 1),
    )


@pytest.fixture(scope="module", name="played")
def _played() -> dict[str, Seen]:
    """Every step of every example."""
    found = {}
    for example in EXAMPLES:
        schemes = {name: kind() for name, kind in all_schemes().items()}
        world = World(list(schemes.values()))
        for step in example(world):
            found[step] = seen(Moment(step, world, schemes))
    return found


def test_every_row_is_played(played: dict[str, Seen]) -> None:
    """The examples have the steps that the tables have, and no others."""
    assert set(played) == set(TABLE) == set(_OTHERS)
    assert len(TABLE) == 53


@pytest.mark.parametrize("step", TABLE)
def test_row(step: str, played: dict[str, Seen]) -> None:
    """Every cell of the row is that of the source."""
    assert played[step].row == TABLE[step]


@pytest.mark.parametrize("step", TABLE)
def test_entries_and_pages_are_exact(step: str, played: dict[str, Seen]) -> None:
    """All who count entries agree, and all who count those of each page do."""
    entries, pages = played[step].truth
    assert set(played[step].entries) == {entries}
    assert all(counted == pages for counted in played[step].pages)


@pytest.mark.parametrize("step", TABLE)
def test_who_answers_alike(step: str, played: dict[str, Seen]) -> None:
    """The kernels without counters a page answer as mm-id from the same slots; v6.9 as the second estimate."""
    for alike in (played[step].slots, played[step].maybe_shared, played[step].first_page):
        assert all(one == alike[0] for one in alike)


def test_the_owner_who_left(played: dict[str, Seen]) -> None:
    """24: the child is alone, but not the owner."""
    assert played["24"].owner == ((1, 0, 16), "S!")
    assert played["7a"].owner == ((1, 16, 16), "S")


def test_checksums(played: dict[str, Seen]) -> None:
    """16: digits to base 513, one of the parent and 512 of the child; then the child's alone."""
    assert (played["16a"].checksum, played["16b"].checksum) == (262657, 262656)


def test_tuples_and_vmas_of_a_split_thp(played: dict[str, Seen]) -> None:
    """14: one tuple and one VMA in each process as long as there are two."""
    assert {played[step].tuples_and_vmas for step in ("14a", "14b", "14c", "14d", "14e")} == {("2 W", "2 S")}
    assert played["14f"].tuples_and_vmas == ("1 x", "1 x")


def test_pages_of_a_half_unmapped_thp(played: dict[str, Seen]) -> None:
    """14c: page 0 is mapped once, page 256 twice."""
    assert [(pages[0], pages[256]) for pages in played["14c"].pages] == [(1, 2)] * 5


def test_the_average_hides_who_shares(played: dict[str, Seen]) -> None:
    """23: one page of 512 is shared, which the average does not show."""
    assert played["23"].average == 1

"""Every row of the worked examples, for the schemes that there are: numbers, answers, and which answers are wrong."""

from __future__ import annotations

import pytest

from folioshell.contract.world import World
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.mm_id import MmId
from tests.schemes.worked_examples import EXAMPLES

# Truth: entries, mapped pages, address spaces. Then what each scheme answers: x exclusive, S shared, W undecided, after
# the number where that is not the entries. A ! stands behind an answer that contradicts the truth, ? where the source
# has no cell. The slots are those of mm-id, * is the SHARED bit.
ROWS = """
step | truth | per-page | tuples | vmas | likely | mm-id | slots
1    | 4 4 1        | S!  | 1 x  | 1 x  | x  | x  | m1:4 -:0
2a   | 8 8 1        | S!  | 1 x  | 1 x  | x  | x  | m1:8 -:0
2b   | 16 16 1      | S!  | 2 W  | 1 x  | x  | x  | m1:16 -:0
3a   | 1 512 1      | x   | 1 x  | 1 x  | x  | x  | m1:1 -:0
3b   | 512 512 1    | S!  | 1 x  | 1 x  | x  | x  | m1:512 -:0
4    | 32 16 2      | S   | 2 W  | 2 S  | S  | S  | m1:16 m2:16 *
5a   | 16 16 1      | S!  | 1 x  | 1 x  | x  | x  | m1:16 -:0
5b   | 16 16 1      | S!  | 2 W  | 2 S! | x  | x  | m1:16 -:0
6    | 16 16 1      | S!  | 3 S! | 2 S! | x  | x  | m1:16 -:0
10a  | 32 16 1      | S!  | 2 W  | 2 S! | S! | x  | m1:32 -:0
10b  | 16 8 1       | S!  | 2 W  | 2 S! | S! | x  | m1:16 -:0
10c  | 2 1 1        | S!  | 2 W  | 2 S! | S! | S! | -:0 -:0
18   | 16 16 1      | S!  | 2 W  | 2 S! | x  | x  | m1:16 -:0
20a  | 1024 1024 1  | S!  | 2 W  | 1 x  | x  | x  | m1:1024 -:0
20b  | 1024 1024 1  | S!  | 3 S! | 1 x  | x  | x  | m1:1024 -:0
25   | 512 512 1    | S!  | 2 W  | 2 S! | x  | x  | m1:512 -:0
7a   | 32 16 2      | S   | 2 W  | 2 S  | S  | S  | m1:16 m2:16 *
7b   | 31 16 2      | S   | 2 W  | 2 S  | S  | S  | m1:15 m2:16 *
8    | 16 16 2      | S   | 2 W  | 2 S  | x! | S  | m1:8 m2:8 *
9    | 16 8 2       | S   | 2 W  | 2 S  | x! | S  | m1:8 m2:8 *
19a  | 17 16 2      | S   | 2 W  | 2 S  | S  | S  | m1:16 m2:1 *
19b  | 16 16 2      | S   | 2 W  | 2 S  | x! | S  | m1:15 m2:1 *
22   | 32 16 2      | S   | 4 S  | 2 S  | S  | S  | m1:16 m2:16 *
23   | 513 512 2    | S   | 2 W  | 2 S  | S  | S  | m1:512 m2:1 *
24   | 16 16 1      | S!  | 1 x  | 1 x  | x  | x  | -:0 m2:16
11a  | 8 4 2        | ?   | 2 W  | 2 S  | S  | S  | m1:4 m2:4 *
11b  | 4 4 1        | ?   | 1 x  | 1 x  | x  | x  | -:0 m2:4
12a  | 12 4 3       | ?   | 3 S  | 3 S  | S  | S  | m1:4 m2:4 *
12b  | 4 4 1        | ?   | 1 x  | 1 x  | x  | S! | -:0 -:0 *
12c  | 1 1 1        | ?   | 1 x  | 1 x  | x  | x  | -:0 -:0 *
12d  | 2 2 1        | ?   | 1 x  | 1 x  | x  | S! | m3:1 -:0 *
13a  | 40 16 3      | ?   | 3 S  | 3 S  | S  | S  | m1:16 m2:16 *
13b  | 24 16 2      | ?   | 2 W  | 2 S  | S  | S  | -:0 m2:16 *
13c  | 32 16 2      | ?   | 2 W  | 2 S  | S  | S  | m3:8 m2:16 *
13d  | 16 16 1      | ?   | 1 x  | 1 x  | x  | S! | m3:8 -:0 *
13e  | 8 8 1        | ?   | 1 x  | 1 x  | x  | S! | -:0 -:0 *
13f  | 0 0 0        | ?   | 0 x  | 0 x  | x  | x  | -:0 -:0
13g  | 16 16 1      | ?   | 1 x  | 1 x  | x  | x  | m1:16 -:0
13x after m3 | 8 4 2 | ?  | 2 W  | 2 S  | S  | S  | m1:4 m2:4 *
13x after m1 | 4 4 1 | ?  | 1 x  | 1 x  | x  | x  | -:0 m2:4
14a  | 2 512 2      | ?   | 2 W  | 2 S  | S  | S  | m1:1 m2:1 *
14b  | 513 512 2    | ?   | 2 W  | 2 S  | S  | S  | m1:512 m2:1 *
14c  | 257 512 2    | ?   | 2 W  | 2 S  | S  | S  | m1:256 m2:1 *
14d  | 768 512 2    | ?   | 2 W  | 2 S  | S  | S  | m1:256 m2:512 *
14e  | 512 256 2    | ?   | 2 W  | 2 S  | x! | S  | m1:256 m2:256 *
14f  | 256 256 1    | ?   | 1 x  | 1 x  | x  | x  | m1:256 -:0
15a  | 16 4 4       | ?   | ?    | ?    | S  | S  | m1:4 m2:4 *
15b  | 4 1 4        | ?   | ?    | ?    | S  | S  | m1:1 m2:1 *
15c  | 1 1 1        | ?   | ?    | ?    | x  | x  | m1:1 -:0
16a  | 513 512 2    | ?   | ?    | ?    | S  | S  | m1:1 m2:512 *
16b  | 512 512 1    | ?   | ?    | ?    | x  | x  | -:0 m2:512
17   | 3 512 3      | ?   | ?    | ?    | S  | S  | m1:1 m2:1 *
"""

HEADER, *LINES = [[cell.strip() for cell in line.split("|")] for line in ROWS.strip().splitlines()]
TABLE = {cells[0]: dict(zip(HEADER[1:], cells[1:], strict=True)) for cells in LINES}
ANSWERS = {Sharing.NO: "x", Sharing.YES: "S", Sharing.MAYBE: "W"}
FOLIO = 1

# Pages that PTEs map, and PMD entries, of the examples that mix them.
PAGES_MAPPED = {
    "14a": (0, 2),
    "14b": (512, 1),
    "14c": (256, 1),
    "14d": (512, 0),
    "14e": (256, 0),
    "14f": (256, 0),
    "15a": (4, 0),
    "15b": (1, 0),
    "15c": (1, 0),
    "16a": (512, 1),
    "16b": (512, 0),
    "17": (1, 2),
}


def play() -> dict[str, dict[str, str]]:
    """The table as the schemes make it."""
    table = {}
    for example in EXAMPLES:
        schemes = {name: kind() for name, kind in all_schemes().items()}
        world = World(list(schemes.values()))
        for step in example(world):
            table[step] = row_of(world, schemes)
    return table


def row_of(world: World, schemes: dict[str, Scheme]) -> dict[str, str]:
    """One row: the truth, each scheme's number and answer, and the slots."""
    truth = world.truth(FOLIO)
    row = {"truth": f"{truth.entries} {truth.pages} {truth.mms}"}
    for name in HEADER[2:-1]:
        scheme = schemes[name]
        answers = {scheme.shared(FOLIO, mm) for mm in world.mms_of(FOLIO) or [1]}
        assert len(answers) == 1, "the answer depends on who asks"
        answer = answers.pop()
        wrong = {Sharing.NO: truth.mms > 1, Sharing.YES: truth.mms <= 1, Sharing.MAYBE: False}[answer]
        number = scheme.mapcount(FOLIO)
        row[name] = "" if number == truth.entries and name not in {"tuples", "vmas"} else f"{number} "
        row[name] += ANSWERS[answer] + "!" * wrong
    mm_id = schemes["mm-id"]
    assert isinstance(mm_id, MmId)
    *slots, shared = mm_id.slots(FOLIO)
    row["slots"] = " ".join([f"m{mm}:{count}" if mm else "-:0" for mm, count in slots] + ["*"] * shared)
    return row


@pytest.fixture(scope="module", name="played")
def _played() -> dict[str, dict[str, str]]:
    return play()


def test_every_row_is_played(played: dict[str, dict[str, str]]) -> None:
    """The examples have the steps that the table has, and no others."""
    assert set(played) == set(TABLE)
    assert set(PAGES_MAPPED) <= set(TABLE)


@pytest.mark.parametrize("step", TABLE)
def test_row(step: str, played: dict[str, dict[str, str]]) -> None:
    """Numbers, answers, wrong answers and slots are those of the source."""
    known = {column: cell for column, cell in TABLE[step].items() if cell != "?"}
    assert {column: played[step][column] for column in known} == known


def test_pmds_beside_ptes() -> None:
    """Pages mapped by PTEs, and PMD entries, where a folio has both."""
    seen = {}
    for example in EXAMPLES:
        mm_id = MmId()
        for step in example(World([mm_id])):
            seen[step] = (mm_id.pages_mapped(FOLIO), mm_id.entire(FOLIO))
    assert {step: seen[step] for step in PAGES_MAPPED} == PAGES_MAPPED

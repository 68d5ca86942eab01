"""The tables of docs/locking.md are what exploring finds: a part of them is explored again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

import pytest

from folioshell.commands.locks import ShippedRace, explore_protocol, family, triples, verdict_word
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.script import Session
from tests.explore.test_naive import RACES, VERDICTS
from tests.repo.tree import ROOT

PAGE = (ROOT / "docs" / "locking.md").read_text(encoding="utf-8")
#: words of verdicts by letter
WORDS = {"D": "deadlock", "M": "miscount", "L": "livelock"}
#: the states of the family, in the order of the letters in a cell
STATES = ("", ", beside copies", ", in parent and child")
#: races of each table that are explored
SAMPLE = 24


def table(first: str) -> tuple[list[str], list[list[str]]]:
    """(columns, rows) of the table whose first column is called so."""
    lines = PAGE[PAGE.index(f"| {first} |") :].split("\n\n", 1)[0].splitlines()
    rows = [[cell.strip().strip("`") for cell in line.strip("| ").split(" | ")] for line in lines]
    return rows[0][1:], rows[2:]


def cells() -> Iterator[tuple[str, str, str]]:
    """(race, protocol, letters) of the table of two actions; what is not in it has no finding."""
    columns, rows = table("lower half, upper half")
    shown = {
        (f"{row[0]}{state}", protocol): cell.split()[number]
        for row in rows
        for protocol, cell in zip(columns, row[1:], strict=True)
        for number, state in enumerate(STATES)
    }
    for race in family():
        for protocol in PROTOCOLS:
            yield race.name, protocol, shown.pop((race.name, protocol), "-")
    assert shown == {}


def letters(protocol: str, race: ShippedRace, most: int) -> str:
    verdict = explore_protocol(Session(counting=()), protocol, race, most)
    word = verdict_word(verdict)
    return "-" if word == "ok" else "".join(letter for letter, name in WORDS.items() if name in re.split(", ", word))


def test_the_tables_are_whole() -> None:
    """Every race and protocol has a cell, and the table of the second explorer is that of its test."""
    assert len(list(cells())) == 108 * len(PROTOCOLS)
    columns, rows = table("protocol | map, map")
    assert columns == list(RACES)
    assert {row[0]: " ".join(row[1:]) for row in rows} == {
        name: " ".join(row.split()) for name, row in VERDICTS.items()
    }


@pytest.mark.full
def test_two_actions() -> None:
    """Some cells of the table of two actions, explored again."""
    races = {race.name: race for race in family()}
    chosen = Random(20230206).sample(list(cells()), SAMPLE)

    assert [(race, protocol, letters(protocol, races[race], 20_000)) for race, protocol, _ in chosen] == chosen


@pytest.mark.full
@pytest.mark.parametrize("protocol", ["address-order", "pmd-lock", "folio-bit-lock"])
def test_three_threads(protocol: str) -> None:
    """No protocol that is right for two threads has a finding with three."""
    chosen = Random(protocol).sample(list(triples()), 4)

    assert [letters(protocol, race, 20_000) for race in chosen] == ["-"] * 4


_EXCLUDED = re.compile(r"^\| `([^`]+)` <br> `(race \{ [^`]+ \})` \|", re.MULTILINE)


@pytest.mark.full
@pytest.mark.parametrize(("setup", "race"), _EXCLUDED.findall(PAGE))
def test_races_that_linux_excludes(setup: str, race: str) -> None:
    """None of the scripts in the table finds anything."""
    session = Session()
    session.execute(f"set geometry classroom ; {setup}")
    (report,) = session.execute(f"{race} max-states=20000")

    assert report.extra["race"]["findings"] == []

"""Tests of folioshell.commands.cost and session.costs: model counts folded from the events that were kept."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.report import Table
from folioshell.session.costs import step_costs

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8]"


def table(session: Session, line: str, at: int = 0) -> Table:
    section = session.execute(line)[0].sections[at]
    assert isinstance(section, Table)
    return section


def row(found: Table, name: str) -> dict[str, object]:
    cells = next(cells for cells in found.rows if cells[0] == name)
    return dict(zip(found.columns, cells, strict=True))


def test_totals_of_the_straddling_folio() -> None:
    """Vmas looks at the other table under its lock in each call, tuples does not; per-page pays for every page."""
    session = Session()
    session.execute(STRADDLE)
    found = table(session, "cost")

    assert row(found, "vmas") == {
        "scheme": "vmas",
        "atomics": 2,
        "walks": 0,
        "PTLs": 2,
        "slots": 16,
        "lines": 2,
        "bytes": 8,
    }
    assert row(found, "tuples")["PTLs"] == 0
    assert row(found, "per-page")["atomics"] == 32
    assert row(found, "(the kernel's path)")["PTLs"] == sum(step.ptls for step in step_costs(session.workspace, []))
    assert "counts of a model, not time" in found.note


def test_one_step_and_all_steps_agree() -> None:
    """The totals are the sums of the steps; bytes are those after the last."""
    session = Session()
    session.execute(f"set schemes all ; {STRADDLE} ; fork B ; B: fault win ; munmap win[0..7]")
    whole = table(session, "cost")
    steps = [table(session, f"cost {number}") for number in range(1, session.step + 1)]
    for name in session.shown_schemes:
        for column in ("atomics", "walks", "PTLs", "slots", "lines"):
            assert row(whole, name)[column] == sum(row(step, name)[column] for step in steps), (name, column)  # type: ignore[misc]
        assert row(whole, name)["bytes"] == row(steps[-1], name)["bytes"]


def test_bytes_follow_the_folios_that_live() -> None:
    """Freed folios keep no state; a split trades one large folio for small ones."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; fault buf[0]")
    assert row(table(session, "cost"), "vmas")["bytes"] == 4
    session.execute("split f1")
    assert row(table(session, "cost"), "vmas")["bytes"] == 4 * len(session.workspace.kernel.folios)
    session.execute("munmap buf")
    assert row(table(session, "cost"), "vmas")["bytes"] == 0


def test_walks_are_counted_for_those_that_would_answer_maybe() -> None:
    """What the kernel asks its decider is put to every other definition as well."""
    session = Session()
    session.execute(f"{STRADDLE} ; madvise cold win[0]")
    found = table(session, "cost")

    assert session.workspace.kernel.decider.name == "mm-id"
    assert {str(cells[0]): cells[2] for cells in found.rows if cells[2]} == {"tuples": 1}


def test_steps_share_rows_where_costs_are_equal() -> None:
    """Schemes that a step costs the same stand in one row; steps that cost nothing have none."""
    session = Session()
    session.execute(f"set schemes tuples,tuples-naive,likely ; {STRADDLE}")
    rows = table(session, "cost", 1).rows

    assert [cells[:2] for cells in rows] == [
        (3, "(the kernel's path)"),
        (3, "tuples, tuples-naive"),
        (3, "likely"),
        (4, "(the kernel's path)"),
        (4, "tuples, tuples-naive"),
        (4, "likely"),
    ]


def test_there_must_be_such_a_step() -> None:
    """A step that was not done is refused."""
    session = Session()
    with pytest.raises(Refused, match="there is no step 3"):
        session.execute("mmap buf 16 ; cost 3")
    assert table(session, "cost").title == "cost of 1 step"


def test_profiles_to_compare() -> None:
    """Several words or one list, or all; a single one, or none, is no comparison, and neither is an empty history."""
    session = Session()
    with pytest.raises(Refused, match="there is no step yet"):
        session.execute("compare profiles")
    session.execute("fork B")
    sentences = [
        session.execute(f"compare profiles {names}")[0].sentence for names in ("6.18 6.1", "6.1,6.18", "all", "")
    ]

    assert sentences[0] == sentences[1] == "1 step under 6.1 and 6.18: equal in all."
    assert sentences[2] == sentences[3] == "1 step under 5.10, 6.1, 6.12, 6.16, 6.18, 7.0 and 7.3: equal in all."
    for names, message in (("6.1", "nothing to compare with"), ("none", "no such profile"), ("6.3", "no such profile")):
        with pytest.raises(Refused, match=message):
            session.execute(f"compare profiles {names}")

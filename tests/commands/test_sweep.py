"""The set-ups and commands of race-sweep, and what exploring a pair gives."""

from __future__ import annotations

import pytest

from folioshell.commands.sweep import COMMANDS, GEOMETRY, SETUPS, Pair, RacingCommand, SetUp, Sweep, pairs_of, sampled
from folioshell.commands.threads_operand import raceable
from folioshell.script import Session
from tests.fingerprint import fingerprint


def row(name: str) -> SetUp:
    """The set-up of a name."""
    return next(setup for setup in SETUPS if setup.name == name)


def command(name: str) -> RacingCommand:
    """The command of a name."""
    return next(one for one in COMMANDS if one.name == name)


@pytest.mark.parametrize("setup", SETUPS, ids=[setup.name for setup in SETUPS])
def test_a_set_up_leads_to_what_its_row_says(setup: SetUp) -> None:
    """Nothing of it fails, and the pages named are mapped."""
    session = Session(counting=())
    reports = session.execute(f"{GEOMETRY} ; {setup.script}")
    present = [session.execute(f"query present? w[{page}]")[0].query for page in setup.page]

    assert [report.command for report in reports if report.failed] == []
    assert all(answer is not None and answer.answer.startswith("yes") for answer in present)
    assert {label.partition(".")[0] for label in setup.threads} <= session.workspace.kernel.mms.keys()
    assert session.execute("query order f1")[0].query is not None


def test_names_are_used_once() -> None:
    """A name finds one row."""
    for rows in (SETUPS, COMMANDS):
        assert len({one.name for one in rows}) == len(rows)


def test_there_are_enough() -> None:
    """At least 12 set-ups and 20 commands, among them all that race."""
    assert len(SETUPS) >= 12
    assert len(COMMANDS) >= 20
    assert set(raceable()) - {"fault", "file"} <= {one.verb for one in COMMANDS}


def test_pairs() -> None:
    """Every pair is there once, that of a command with itself too; commands on files need one."""
    nr = sum(not one.needs for one in COMMANDS)

    assert len(pairs_of(row("anon"))) == nr * (nr + 1) // 2
    assert len(pairs_of(row("anon, parent and child"))) == nr * (nr + 1) // 2
    assert len(pairs_of(row("anon, pinned"))) == (nr + 1) * (nr + 2) // 2
    assert command("truncate") in row("tmpfs").commands


def test_a_sample_depends_on_its_seed_alone() -> None:
    """Equal seeds choose equal pairs, in their order; there are never more than all."""
    pairs = pairs_of(row("anon"))
    some = sampled(pairs, 20, 3)

    assert some == sampled(pairs, 20, 3)
    assert some != sampled(pairs, 20, 4)
    assert [pairs.index(pair) for pair in some] == sorted({pairs.index(pair) for pair in some})
    assert sampled(pairs, 10_000, 1) == pairs


def test_a_pair_is_a_script_of_two_lines() -> None:
    """The lines of a result repeat it in a fresh session, with equal numbers."""
    setup = row("ext4, straddling two tables")
    result = Sweep(50_000).explore(Pair(setup, command("read"), command("dontneed")))
    session = Session()
    for line in result.lines:
        session.execute(line)

    assert result.lines[1] == "race { A.t1: read w[0] ; A.t2: madvise dontneed w[6] }"
    assert session.verdict is not None
    assert (result.states, result.stopped) == (session.verdict.states, "")
    assert result.exhausted


def test_a_result_does_not_depend_on_the_pairs_before() -> None:
    """The state is restored after each pair."""
    setup = row("THP, PTE-mapped")
    pairs = sampled(pairs_of(setup), 5, 2)
    sweep = Sweep(100)
    together = [sweep.explore(pair) for pair in pairs]

    assert together == [Sweep(100).explore(pair) for pair in pairs]


def test_a_limit_of_states() -> None:
    """A pair that exceeds it says so."""
    result = Sweep(20).explore(Pair(row("anon"), command("dontneed"), command("write")))

    assert (result.states, result.stopped, result.exhausted) == (20, "max-states", False)


def test_a_protocol_is_found_wrong() -> None:
    """Under a protocol that deadlocks a pair has a finding, with the schedule that leads to it."""
    pair = Pair(row("ext4, straddling two tables"), command("dontneed"), command("dontneed"))
    result = Sweep(50_000, "exclude-own").explore(pair)

    assert result.lines[0].endswith("set protocol exclude-own")
    assert {one.kind for one in result.findings} & {"deadlock", "miscount"}
    assert result.findings[0].schedule
    assert Sweep(50_000).explore(pair).findings == ()


def test_an_internal_error_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a path raises is reported, and the pairs after it are explored as if nothing had happened."""
    pair = Pair(row("anon"), command("dontneed"), command("read"))
    sweep = Sweep(1000)
    before = sweep.explore(pair)
    with monkeypatch.context() as patch:
        patch.setattr("folioshell.session.race.explore", lambda *_: 1 // 0)
        broken = sweep.explore(pair)

    assert [one.kind for one in broken.findings] == ["internal error"]
    assert broken.findings[0].text.startswith("ZeroDivisionError: integer division or modulo by zero in tests.commands")
    assert sweep.explore(pair) == before


def test_the_state_is_that_of_the_set_up() -> None:
    """Exploring gives the machine back as it was."""
    pair = Pair(row("tmpfs-huge"), command("migrate"), command("read"))
    sweep = Sweep(1000)
    sweep.explore(pair)
    fresh = Session(counting=())
    fresh.execute(pair.script())

    assert sweep._session is not None
    assert fingerprint(sweep._session.workspace.machine) == fingerprint(fresh.workspace.machine)


def test_what_does_not_race_is_reported() -> None:
    """A command that the shell cannot race is named."""
    pair = Pair(row("anon"), RacingCommand("show", "show"), command("read"))
    result = Sweep(1000).explore(pair)

    assert (result.refused, result.exhausted) == ("show cannot race", False)

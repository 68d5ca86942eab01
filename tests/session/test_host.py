"""Limits: what would pass one is refused before anything of it is done, and names the option that raises it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import folioshell
from folioshell import Session
from folioshell.errors import Refused
from folioshell.session.host import GENEROUS, LIMITS, STRICT, Limits, read_limits, stricter
from tests.fingerprint import fingerprint

SETUP = "file lib 32 order=4 ; mmap win 16 file=lib ; mmap buf 64 ; fault buf[0..9]"


def refusal(session: Session, line: str) -> Refused:
    """The refusal of a line, which leaves everything as it was."""
    before = session.prompt, fingerprint(session.workspace.machine)
    with pytest.raises(Refused) as error:
        session.execute(line)
    assert (session.prompt, fingerprint(session.workspace.machine)) == before
    return error.value


@pytest.mark.parametrize(
    "line",
    [
        "fault buf",
        "write buf[5..40]",
        "read buf[10..40]",
        "fails SIGSEGV fault 0x1000+40",
        "madvise populate_write buf",
        "madvise collapse buf",
        "mlock buf",
        "pin buf",
        "mmap more 32 populate",
        "race { A.t1: fault buf ; A.t2: munmap win }",
        "race { A.t1: fault buf } schedule=1",
    ],
)
def test_pages(line: str) -> None:
    """All that maps pages is told how many there may be."""
    session = Session()
    session.execute(SETUP)
    session.host.limits = Limits(pages=30)

    assert refusal(session, line).hint == "`--limit pages=N` raises it"


def test_a_sourced_script_has_the_limits_of_the_session(tmp_path: Path) -> None:
    """`source` and `load` lower limits to those of scripts; they do not raise those of the session."""
    (tmp_path / "a.fs").write_text("mmap buf 4 ; fault buf", encoding="utf-8")
    session = Session()
    session.host.limits = Limits(pages=3, steps=1, states=None)

    for verb in ("source", "load"):
        with pytest.raises(Refused, match="the limit of 1 steps is reached"):
            session.execute(f"{verb} {tmp_path / 'a.fs'}")
    session.host.limits = Limits(pages=3)
    with pytest.raises(Refused, match="would exceed the limit of 3 pages"):
        session.execute(f"load {tmp_path / 'a.fs'}")


def test_stricter() -> None:
    """Of two limits the lower one holds; none is higher than any."""
    assert stricter(Limits(pages=3, steps=0), Limits(pages=5, states=7)) == Limits(pages=3, steps=0, states=7)


@pytest.mark.parametrize(
    "line",
    ["fault buf[0..9]", "fault buf[0..29]", "munmap buf", "madvise dontneed buf", "mmap x 64G", "fork B"],
)
def test_pages_that_are_mapped_already(line: str) -> None:
    """What maps no new pages passes no limit, however large its range is."""
    session = Session()
    session.execute(SETUP)
    session.host.limits = Limits(pages=30)

    assert session.execute(line)[0].step == 5


def test_pages_of_all_processes() -> None:
    """A fork maps what its parent maps."""
    session = Session()
    session.host.limits = Limits(pages=25)
    session.execute(f"{SETUP} ; fork B")

    assert refusal(session, "fork C").message == "10 more than the 20 mapped would exceed the limit of 25 pages mapped"
    assert refusal(session, "B: fork C").start == 8
    session.execute("exit B ; fork C")


def test_files_processes_steps_states() -> None:
    """Each limit names what it bounds."""
    session = Session()
    session.host.limits = Limits(files=40, processes=2, steps=6, states=5)
    session.execute(SETUP)

    message = "9 more than the 32 there are would exceed the limit of 40 pages of files"
    assert refusal(session, "file f 9").message == message
    assert refusal(session, "truncate lib 41").hint == "`--limit files=N` raises it"
    session.execute("fork B")
    assert refusal(session, "fork C").message == "one more process would exceed the limit of 2 processes"
    race = "race { A.t1: fault buf[20] ; A.t2: fault buf[21] }"
    assert refusal(session, race).message == "this race exceeds the limit of 5 states"
    assert "NOT EXHAUSTED (max-states)" in session.execute(f"{race} max-states=5")[0].sentence
    session.execute("munmap buf")
    refused = refusal(session, "expect vmas B == 0 ; exit B")
    assert (refused.message, refused.start) == ("the limit of 6 steps is reached", 21)
    session.execute("undo 2 ; redo 2")


def test_the_way_back_has_no_limits() -> None:
    """What was done is replayed whatever the limits are now."""
    session = Session()
    session.execute(f"{SETUP} ; fork B")
    session.host.limits = Limits(*[1] * len(LIMITS))
    session.execute("undo 2 ; redo 2")

    assert session.step == 5


def test_scripts_may_do_less() -> None:
    """Every limit of a script is bounded, and no larger than at the prompt."""
    assert None not in STRICT
    assert all(most is None or strict <= most for strict, most in zip(STRICT, GENEROUS, strict=True) if strict)
    assert Limits._fields == tuple(LIMITS)


def test_read_limits() -> None:
    """Names with numbers; what is none is named."""
    assert read_limits("pages=12,steps=none") == {"pages": 12, "steps": None}
    assert read_limits("none") == dict.fromkeys(LIMITS)
    for text, message in (
        ("paegs=1", "no such limit: 'paegs'"),
        ("pages=1M", "pages= takes"),
        ("", "no such limit: ''"),
    ):
        with pytest.raises(ValueError, match=message):
            read_limits(text)


def test_documented() -> None:
    """The table of limits in docs/scripts.md is the one that holds."""
    text = (Path(__file__).parents[2] / "docs" / "scripts.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .*? \| ([\d,]+)(?: \(.*?\))? \| (?:[\d,]+|none) \|$", text, re.MULTILINE))
    prompt = dict(re.findall(r"^\| `(\w+)` \| .*? \| .*? \| ([\d,]+|none) \|$", text, re.MULTILINE))

    assert {name: int(most.replace(",", "")) for name, most in rows.items()} == STRICT._asdict()
    assert {name: prompt[name] for name in LIMITS} == {
        name: "none" if most is None else f"{most:,}" for name, most in GENEROUS._asdict().items()
    }


def test_a_session_gets_its_host() -> None:
    """Limits and access hold from the first line; another session is not affected, and by default all is permitted."""
    access = folioshell.Access(confined=True, may_write=False, may_load=False)
    session = Session(host=folioshell.Host(limits=Limits(pages=4), access=access))
    session.execute("mmap buf 8")

    assert refusal(session, "fault buf").hint == "`--limit pages=N` raises it"
    assert "--allow-files" in refusal(session, "save x.fs").hint
    assert Session().host.limits == folioshell.GENEROUS
    assert Session().host.access == folioshell.Access()
    assert Session().host.output is not session.host.output

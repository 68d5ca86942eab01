"""Protocols under test: their steps, what they may not do, and the answers that they give to the kernel."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.errors import ProtocolError, Refused
from folioshell.script.loading import load_into
from folioshell.script.runner import run_text
from tests.fingerprint import fingerprint

#: counts entries by a load and a store, without any lock: two threads lose updates
RACY = """\
from folioshell.paths.protocol import Protocol


class Racy(Protocol):
    name = "racy"
    about = "counts entries by a load and a store"
    scheme = "per-page"

    def mapped(self, span):
        yield from self.add(span, span.nr_entries)

    def unmapped(self, span):
        yield from self.add(span, -span.nr_entries)

    def add(self, span, nr):
        total = self.word(span.folio, "total")
        before = yield total.load()
        yield total.store(before + nr)

    def counted(self, folio):
        return self.word(folio, "total").value

    def expected(self, folio):
        return self.definition.mapcount(folio.id)
"""
ATOMIC = RACY.replace(
    """        before = yield total.load()
        yield total.store(before + nr)
""",
    "        yield total.fetch_add(nr)\n",
)
SETUP = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504 ; set decide per-page"
HALVES = "race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }"


def loaded(folder: Path, text: str, setup: str = SETUP) -> Session:
    """A session after these commands that counts by a protocol of a file."""
    path = folder / "mine.py"
    path.write_text(text)
    session = Session()
    load_into(session, str(path), "protocol")
    session.execute(f"{setup} ; set protocol {next(iter(session.loaded_protocols))}")
    return session


def test_others_come_between_a_load_and_a_store(tmp_path: Path) -> None:
    """An update in two steps is lost; the report names the folio, the number, and what it should be."""
    session = loaded(tmp_path, RACY)
    session.execute("fault win[0] ; fault win[8]")

    (report,) = session.execute(HALVES)

    texts = {found["text"] for found in report.extra["race"]["findings"]}
    assert texts == {"f1: counted 8, expected 0"}
    schedule = report.extra["race"]["findings"][0]["schedule"]
    (replayed,) = session.execute(f"{HALVES} schedule={schedule}")
    (steps, _) = replayed.sections
    assert any("store(f1.total, 8)" in str(row) and "racy.unmapped" in str(row) for row in steps.rows)  # type: ignore[union-attr]


def test_an_atomic_is_one_step(tmp_path: Path) -> None:
    """The same count by fetch_add is right."""
    session = loaded(tmp_path, ATOMIC)
    session.execute("fault win[0] ; fault win[8]")

    (report,) = session.execute(HALVES)

    assert report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []


def test_it_starts_with_what_is_mapped(tmp_path: Path) -> None:
    """Switched on late, it counts the present entries; new, PMD-mapped and freed folios are counted as well."""
    session = loaded(tmp_path, ATOMIC, f"set thp.pmd always ; {SETUP} ; fault win ; mmap big 512 ; write big[0]")

    for line in ("expect counted f1 == 16", "madvise dontneed win[3]", "expect counted f1 == 15"):
        assert session.execute(line)[-1].findings == ()
    session.execute("munmap win ; expect counted f1 == 0")
    for line in ("mmap new 512 ; write new[0]", "fork B", "mprotect new[0..3] r", "munmap big", "B: munmap new[0..99]"):
        assert session.execute(line)[-1].findings == (), line


def test_cmpxchg_loop(tmp_path: Path) -> None:
    """A compare-and-exchange loop retries after an update in between."""
    loop = """\
        while True:
            before = yield total.load()
            if (yield total.cmpxchg(before, before + nr)) == before:
                return
"""
    text = ATOMIC.replace("        yield total.fetch_add(nr)\n", loop)
    session = loaded(tmp_path, text)
    session.execute("fault win[0] ; fault win[8]")

    (report,) = session.execute(HALVES)

    assert report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []
    assert "loop" not in report.extra["race"]


CLASSROOM = "set geometry classroom ; file lib 8 order=2 ; mmap win 4 file=lib align=8 skew=6 ; set decide mm-id"
ASKED = "race { A.t1: madvise cold win[0] ; B.t1: fault win[2] read }"


def answering(answer: str) -> str:
    """A protocol that counts entries, and answers this from two loads of their number."""
    return f"""{ATOMIC.replace("per-page", "mm-id")}
    def shared(self, folio, mm):
        first = yield self.word(folio, "total").load()
        second = yield self.word(folio, "total").load()
        return {answer}
"""


def test_wrong_answers(tmp_path: Path) -> None:
    """An answer that the definition gave at no time between the first step and the last is reported."""
    session = loaded(tmp_path, answering("True"), f"{CLASSROOM} ; fault win")

    assert session.execute("madvise cold win[0]")[-1].findings == (
        "wrong answer of racy: f1: answered yes to A, right was no",
    )
    assert session.execute("madvise dontneed win[1]")[-1].findings == ()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        pytest.param("first > 4", set(), marks=pytest.mark.full),
        pytest.param("False", {"f1: answered no to A, right was yes"}, marks=pytest.mark.full),
        ("True", {"f1: answered yes to A, right was no"}),
        pytest.param("first != second", {"f1: answered no to A, right was yes"}, marks=pytest.mark.full),
    ],
)
def test_answers_in_a_race(tmp_path: Path, answer: str, wrong: set[str]) -> None:
    """While another thread maps the folio in a second process both answers are right; before and after, one is."""
    session = loaded(tmp_path, answering(answer), f"{CLASSROOM} ; fault win ; fork B ; B: madvise dontneed win")

    (report,) = session.execute(ASKED)

    assert report.extra["race"]["exhausted"]
    assert {found["text"] for found in report.extra["race"]["findings"]} == wrong


BAD = {
    "raises": ("nr = 1 // 0", "ZeroDivisionError: integer division or modulo by zero, at {path}:17"),
    "keeps a lock": (
        'yield self.bit_lock(span.folio).acquire("mine")',
        "ended without releasing MCL(f1.racy), taken at {path}:17",
    ),
    "releases what it does not hold": (
        "yield self.bit_lock(span.folio).release()",
        "released MCL(f1.racy), which it does not hold, at {path}:17",
    ),
    "keeps no PTL": ("yield span.lock.release()", "ended without pt1, which its caller holds"),
    "yields no step": ("yield 5", "yielded 5, which is no step, at {path}:17"),
    "stores no number": ('yield self.word(span.folio, "x").store("5")', "store of ('5',), where numbers are wanted"),
    "loops": ("while True: pass", "loops without end: 100,000 rounds without a step, at {path}:17"),
    "takes steps without end": (
        'while True: yield self.word(span.folio, "x").load()',
        "takes steps without end: load(f1.x), at {path}:17, is step 10,001, and no other thread runs",
    ),
    "waits asleep": (
        'yield span.vma.mm.mmap_lock.acquire("mine", "W")',
        "waits for MMAP(A), which may sleep, with the spinlock pt1 held, at {path}:17",
    ),
    "takes a spinlock for reading": (
        'yield self.bit_lock(span.folio).acquire("mine", "R")',
        "uses a mode of MCL(f1.racy), which has none, at {path}:17",
    ),
    "exits": ("raise SystemExit", "SystemExit, at {path}:17"),
    "recursion": ("self.add(span, nr).send(None)", "RecursionError"),
}


@pytest.mark.parametrize(("line", "message"), BAD.values(), ids=BAD)
def test_a_broken_protocol_is_named(tmp_path: Path, line: str, message: str) -> None:
    """The error has the file, the line and the call; the state is the one before; a script fails, with status 1."""
    text = ATOMIC.replace("        yield total.fetch_add(nr)\n", f"        {line}\n        yield total.fetch_add(nr)\n")
    session = loaded(tmp_path, text)
    before = fingerprint(session.workspace.machine)
    message = message.format(path=tmp_path / "mine.py")

    with pytest.raises(ProtocolError) as caught:
        session.execute("fault win[0]")

    assert str(caught.value).startswith(f"protocol racy, mapped(f1[0..7] in pt1 of A): {message}")
    assert fingerprint(session.workspace.machine) == before

    runner = run_text(
        f'load protocol "{tmp_path}/mine.py" ; {SETUP} ; set protocol racy\nfault win[0]', allow_code=True
    )
    failures = [event.failure for event in runner if event.failure]
    assert runner.status == 1
    assert len(failures) == 1 and message in failures[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("def before(self, span): return 5", "before(f1[0..7] in pt1 of A): returned 5, which is neither a list"),
        ("def before(self, span): return [span.lock]", "returned pt1, which it has not taken"),
        ("def before(self, span): return None", "returned None, but no entry of the span has changed"),
        ("def shared(self, folio, mm): return 'no'", "shared(f1): answered 'no', which is neither True nor False"),
        ("def expected(self, folio): return 1 // 0", "expected(f1): ZeroDivisionError"),
        ("def start(self, folio, spans): 1 // 0", "start(f1): ZeroDivisionError"),
    ],
)
def test_a_broken_call_is_named(tmp_path: Path, call: str, message: str) -> None:
    """Calls other than those that count are checked as well; the state is the one before."""
    path = tmp_path / "mine.py"
    path.write_text(f"{ATOMIC}\n    {call}\n")
    runner = run_text(
        f'load protocol "{path}" ; {SETUP} ; set protocol racy\nfault win[0]\nmadvise cold win', allow_code=True
    )
    failures = [event.failure for event in runner if event.failure]

    assert runner.status == 1
    assert len(failures) == 1 and message in failures[0]


def test_a_bit_lock_taken_twice_is_a_deadlock(tmp_path: Path) -> None:
    """Recursive locking is reported as lockdep would, for locks of a protocol's own, too."""
    twice = 'for _ in "12": yield self.bit_lock(span.folio).acquire("mine")\n        yield total.fetch_add(nr)\n'
    session = loaded(tmp_path, ATOMIC.replace("yield total.fetch_add(nr)\n", twice))

    (report,) = session.execute("fault win[0]")

    assert report.findings[0].startswith("recursive locking (AA deadlock) on MCL(f1.racy): mine() acquires it")
    assert report.step is None


def test_a_broken_protocol_in_a_race(tmp_path: Path) -> None:
    """A thread that fails in some interleavings is a finding, with the thread and the shortest schedule."""
    fails = """\
        if (yield total.fetch_add(nr)) == 8:
            raise ValueError("second")
"""
    session = loaded(tmp_path, ATOMIC.replace("        yield total.fetch_add(nr)\n", fails))

    (report,) = session.execute(
        "race { A.t1: madvise dontneed win[0] ; A.t2: { fault win[0] ; madvise dontneed win[0] } }"
    )

    found = report.extra["race"]["findings"]
    assert {row["kind"] for row in found} == {"protocol error"}
    text = f"protocol racy, unmapped(f1[0] in pt1 of A): ValueError: second, at {tmp_path}/mine.py:18"
    assert [row["text"] for row in found] == [f"A.t1: {text}", f"A.t2: {text}"]
    assert session.execute("expect errors == 0")[0].expect.passed is False  # type: ignore[union-attr]


def test_what_cannot_be_copied_is_refused(tmp_path: Path) -> None:
    """A race copies what a protocol holds; an object that cannot be copied is no internal error."""
    text = ATOMIC.replace("import Protocol\n", "import Protocol\nfrom collections import deque\n")
    text += "\n    def __init__(self):\n        super().__init__()\n        self.queue = deque()\n"
    session = loaded(tmp_path, text)

    with pytest.raises(Refused, match=r"cannot snapshot collections\.deque: racy cannot race"):
        session.execute(HALVES)


def test_set_protocol_wants_its_scheme(tmp_path: Path) -> None:
    """A protocol is checked against the scheme that it names, so that scheme must decide."""
    session = loaded(tmp_path, ATOMIC)
    with pytest.raises(Refused, match="racy counts what per-page defines, and the kernel acts on vmas") as caught:
        session.execute("set decide vmas ; set protocol racy")
    assert caught.value.hint == "`set decide per-page` first"
    with pytest.raises(Refused, match="no such protocol") as caught:
        session.execute("set protocol rack")
    assert caught.value.hint == "did you mean `racy`?"

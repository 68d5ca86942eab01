"""Schemes and protocols from files: loaded, refused, guarded; schemes are counted from the first step on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from folioshell import Session
from folioshell.errors import Refused, SchemeError
from folioshell.events import CALLBACKS
from folioshell.paths.protocol import Protocol
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme
from folioshell.script.loading import load_file, load_into
from folioshell.script.runner import run_file, run_text
from tests.command_line import folioshell
from tests.fingerprint import fingerprint

ROOT = Path(__file__).parents[2]
CALLS = """\
from folioshell import events
from folioshell.schemes.base import Law, Scheme, Sharing


class Calls(Scheme):
    name = "calls"
    version = "a test"
    about = ("Counts rmap calls.", "1 is exclusive.")
    state = "one counter"
    laws = frozenset({Law.DECIDES})

    def __init__(self):
        self.calls = {}

    def on_mapped(self, event):
        self.calls[event.folio] = self.calls.get(event.folio, 0) + 1

    def mapcount(self, folio, page=None):
        return self.calls.get(folio, 0)

    def shared(self, folio, mm):
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def bytes_of_state(self, order):
        return 4
"""
MAPPED = "file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0]"


@pytest.fixture
def calls(tmp_path: Path) -> Path:
    return written(tmp_path, CALLS)


def written(folder: Path, text: str, name: str = "calls.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def refusal(path: Path) -> Refused:
    with pytest.raises(Refused) as error:
        load_file(str(path))
    return error.value


def number(session: Session, scheme: str) -> int | None:
    query = session.execute("query mapcount f1")[0].query
    assert query is not None
    return next(row.number for row in query.rows if row.scheme == scheme)


def test_it_counts_from_the_first_step_on(calls: Path) -> None:
    """Steps done before it was loaded count as well, and it has a column from then on."""
    session = Session()
    session.execute(MAPPED)
    (report,) = session.execute(f'load scheme "{calls}"')

    assert report.sentence == "calls loaded, counting from the first step."
    assert number(session, "calls") == 1
    assert session.shown_schemes[-1] == "calls"
    (step,) = session.execute("munmap win[0..3]")
    assert list(step.folios[0].mapcounts)[-1] == "calls"
    expect = session.execute("expect mapcount calls f1 == 1")[0].expect
    assert expect is not None and expect.passed


def test_it_is_shown_beside_chosen_schemes(calls: Path) -> None:
    """A list of schemes that was set before grows by it."""
    session = Session()
    session.execute("set schemes tuples")
    load_into(session, str(calls))

    assert session.shown_schemes == ["tuples", "calls"]


def test_it_decides(calls: Path) -> None:
    """The simulated kernel can act on it, and undo replays that."""
    session = Session()
    load_into(session, str(calls))
    session.execute(f"set decide calls ; {MAPPED} ; madvise cold win[0]")
    session.undo()

    assert session.workspace.kernel.decider.name == "calls"


def test_loading_changes_nothing_for_others(calls: Path) -> None:
    """Neither the registry nor another session knows it."""
    before = dict(Scheme.registry)
    load_into(Session(), str(calls))

    assert before == Scheme.registry
    assert "calls" not in Session().workspace.machine.schemes


def test_it_stays_through_undo_and_reset(calls: Path) -> None:
    """Loading is no step; a reset keeps what was loaded."""
    session = Session()
    session.execute(MAPPED)
    load_into(session, str(calls))
    session.undo(3)
    session.reset()
    session.execute(MAPPED)

    assert number(session, "calls") == 1


def test_loaded_again_it_replaces_itself(calls: Path) -> None:
    """After an edit the same file is loaded again; what it held before is gone."""
    session = Session()
    session.execute(MAPPED)
    load_into(session, str(calls))
    calls.write_text(CALLS.replace("+ 1", "+ 5"))
    load_into(session, str(calls))
    assert number(session, "calls") == 5

    calls.write_text(CALLS.replace('"calls"', '"others"'))
    load_into(session, str(calls))
    assert session.shown_schemes[-1] == "others"
    assert "calls" not in session.workspace.machine.schemes


def test_a_history_that_would_go_another_way_is_refused(calls: Path) -> None:
    """A decider that is replaced by one that decides otherwise may not rewrite what happened."""
    session = Session()
    load_into(session, str(calls))
    session.execute("set decide calls")
    calls.write_text(CALLS.replace('"calls"', '"others"'))
    with pytest.raises(Refused, match="the history replays differently"):
        load_into(session, str(calls))

    assert session.workspace.kernel.decider.name == "calls"
    assert list(session.loaded_schemes) == ["calls"]


def test_another_line_that_would_go_another_way_cannot_be_reached(calls: Path) -> None:
    """Only the current line is replayed when a definition is replaced; goto says why it does not lead there."""
    session = Session()
    load_into(session, str(calls))
    session.execute("branch other ; set decide calls ; goto main")
    calls.write_text(CALLS.replace('"calls"', '"others"'))
    load_into(session, str(calls))
    with pytest.raises(Refused, match="that state cannot be reached again: replaying step 1, set decide calls"):
        session.execute("goto other")

    assert (session.history.current, session.step) == ("main", 0)


def test_a_saved_script_loads_it(calls: Path, tmp_path: Path) -> None:
    """`save` writes the line that loads it before all steps, so that `load` leads to the same numbers."""
    session = Session()
    load_into(session, str(calls))
    session.execute(f"{MAPPED} ; set schemes calls ; save {tmp_path}/saved.fs")
    runner = run_file(tmp_path / "saved.fs", allow_code=True)
    assert [played for played in runner if played.refused] == []

    assert runner.session.shown_schemes == ["calls"]
    assert number(runner.session, "calls") == 1


def test_scripts_may_not_load_code(calls: Path) -> None:
    """Without --allow-code a script is refused at that line; with it, it runs."""
    script = f'load scheme "{calls}"\n{MAPPED}\nexpect mapcount calls f1 == 1\n'
    refused = run_text(script)
    (played,) = refused
    assert played.refused is not None and played.refused.message == "scripts may not load code"
    assert refused.status == 2

    allowed = run_text(script, allow_code=True)
    assert all(played.refused is None for played in allowed)
    assert (allowed.status, allowed.expects) == (0, 1)


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("class Calls(Scheme):", "class Calls(Scheme:", 5, r"invalid syntax|was never closed|perhaps"),
        ("import events", "import fcats", 1, "ImportError: cannot import name 'fcats'"),
        ('name = "calls"', "title = 1", 5, "has no attribute 'name'"),
        ('name = "calls"', 'name = "vmas"', 5, "the name vmas is already used by a built-in scheme"),
        ('name = "calls"', 'name = "f1"', 5, "invalid name 'f1'"),
        ('name = "calls"', 'name = "truth"', 5, "invalid name 'truth'"),
        ("def shared", "def sharde", 5, "abstract methods not implemented: shared"),
        ('version = "a test"', "", 5, "version is missing"),
        ('"1 is exclusive."', "", 5, "about is missing or not a tuple of two strings"),
        ("Law.DECIDES", '"decides!"', 5, "laws must contain only Law members"),
        ("self.calls = {}", "self.calls = {}[1]", 5, "cannot be instantiated: KeyError"),
        ("class Calls(Scheme)", "class Calls(Scheme, register=False)", 0, "this file defines no scheme"),
        ("from folioshell import events", "raise SystemExit(3)", 1, "SystemExit: 3"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(tmp_path: Path, old: str, new: str, line: int, message: str) -> None:
    """A file that cannot be used is refused with its name, the line and the reason."""
    assert old in CALLS
    error = refusal(written(tmp_path, CALLS.replace(old, new)))

    assert error.file == str(tmp_path / "calls.py")
    assert error.line == line
    assert re.search(message, error.message), error.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing, or no text, is refused."""
    assert "cannot read" in refusal(tmp_path / "none.py").message
    (tmp_path / "binary.py").write_bytes(b"\xff\xfe\x00")
    assert "not UTF-8" in refusal(tmp_path / "binary.py").message
    assert refusal(written(tmp_path, "x = '\0'")).file


def test_a_name_of_another_file_is_in_use(calls: Path, tmp_path: Path) -> None:
    """Two files cannot define the same name; nothing is changed by the second."""
    session = Session()
    load_into(session, str(calls))
    other = written(tmp_path, CALLS, "other.py")
    with pytest.raises(Refused, match="the name calls is already used by"):
        load_into(session, str(other))

    assert session.loaded_schemes["calls"].path == str(calls)


def test_raising_is_a_finding_and_is_taken_back(tmp_path: Path) -> None:
    """It names scheme, place, error and event; the state before the command is restored."""
    path = written(tmp_path, CALLS.replace("+ 1", "+ 1 // (16 - event.nr)"))
    session = Session()
    load_into(session, str(path))
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib")
    before = fingerprint(session.workspace.machine)
    with pytest.raises(SchemeError) as error:
        session.execute("fault win[0]")

    assert (error.value.scheme, error.value.asked) == ("calls", "on_mapped")
    assert error.value.error == f"ZeroDivisionError: integer division or modulo by zero, at {path}:16"
    assert error.value.told.startswith("f1 pages 0..15 mapped by A at 0x7f")
    assert session.step == 2
    assert fingerprint(session.workspace.machine) == before


def test_raising_when_it_is_loaded_changes_nothing(tmp_path: Path) -> None:
    """The history is replayed for it; where it raises, it is not loaded."""
    path = written(tmp_path, CALLS.replace("+ 1", "+ event.no_such"))
    session = Session()
    session.execute(MAPPED)
    with pytest.raises(SchemeError, match="no_such"):
        load_into(session, str(path))

    assert session.loaded_schemes == {}
    assert session.step == 3


def test_a_script_stops_where_a_definition_raises(tmp_path: Path) -> None:
    """The run ends with status 1, and says which definition and what it was told."""
    path = written(tmp_path, CALLS.replace("+ 1", "+ None"))
    runner = run_text(f'load scheme "{path}"\n{MAPPED}\nfork B\n', allow_code=True)
    last = list(runner)[-1]

    assert last.failure is not None and "scheme calls, on_mapped(): TypeError" in last.failure
    assert "event: f1 pages 0..15 mapped" in last.failure
    assert runner.status == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO",
            '"no"',
            r"scheme calls, shared\(\): returned 'no', which is not a Sharing",
        ),
        (
            "return self.calls.get(folio, 0)",
            "return True",
            r"scheme calls, mapcount\(\): returned True, which is not a number",
        ),
        ("return 4", "return None", r"scheme calls, bytes_of_state\(\): returned None"),
    ],
)
def test_a_wrong_kind_of_answer_is_a_finding(tmp_path: Path, old: str, new: str, message: str) -> None:
    """An answer of the wrong type is the definition's fault and says so."""
    session = Session()
    with pytest.raises(SchemeError, match=message):
        load_into(session, str(written(tmp_path, CALLS.replace(old, new))))
        session.execute(f"{MAPPED} ; query shared? f1 ; show schemes")


def test_a_subclass_of_ours_is_guarded_too(tmp_path: Path) -> None:
    """What its author overrides is called by our code, and still blamed on the definition."""
    text = """
from folioshell.schemes.base import Sharing
from folioshell.schemes.vmas import Vmas

class Mine(Vmas):
    name = "mine"

    def on_mapped(self, event):
        self.seen = event.missing
"""
    session = Session()
    load_into(session, str(written(tmp_path, text)))
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib")
    with pytest.raises(SchemeError, match=r"scheme mine, on_mapped\(\): AttributeError: .*, at .*calls.py:9"):
        session.execute("fault win[0] ; query mapcount f1")


def test_a_subclass_of_ours_keeps_its_own_record(tmp_path: Path) -> None:
    """A definition that counts by windows and forgets to write them down is wrong itself, and nobody else is."""
    text = """
from folioshell.schemes.vmas import Vmas

class Mine(Vmas):
    name = "mine"
    place = 9999

    def on_mapped(self, event):
        pass
"""
    session = Session()
    load_into(session, str(written(tmp_path, text)))
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0]")

    assert session.execute("expect mapcount vmas f1 == 1")[0].expect.passed  # type: ignore[union-attr]
    assert session.execute("expect mapcount mine f1 == 0")[0].expect.passed  # type: ignore[union-attr]


def test_the_worked_example_of_the_docs(tmp_path: Path) -> None:
    """The definition in docs/schemes-own.md has under 60 lines, works, and answers as the truth does."""
    text = (ROOT / "docs" / "schemes-own.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert found[1].count("\n") < 60
    session = Session()
    load_into(session, str(written(tmp_path, found[1])))
    session.execute("set schemes mms ; set thp.64K always ; mmap buf 16 ; write buf[0] ; mprotect buf[4..7] r")
    assert session.execute("expect shared? mms f1 == no")[0].expect.passed  # type: ignore[union-attr]
    session.execute("fork B ; B: munmap buf[0..7]")

    for line in ("shared? mms f1 == yes", "mapcount mms f1 == 2", "shared? truth f1 == yes", "truth mms f1 == 2"):
        expect = session.execute(f"expect {line}")[0].expect
        assert expect is not None and expect.passed, line
    parts = session.execute("why f1 mms")[0].sections[0].rows  # type: ignore[union-attr]
    assert [row[1:4] for row in parts] == [("16 entries", 1, "A"), ("8 entries", 1, "B")]


def test_names_of_ours_are_those_registered() -> None:
    """What tests above rely on: vmas is one of ours, calls and mms are not."""
    assert "vmas" in all_schemes()
    assert not {"calls", "mms"} & all_schemes().keys()


def test_a_definition_learns_of_each_folio(tmp_path: Path) -> None:
    """Also those of order 0 that are made, mapped and freed in runs."""
    text = """
from folioshell.schemes.base import Scheme, Sharing

class Mine(Scheme):
    name = "mine"
    version = state = "test"
    about = ("Counts.", "No.")

    def __init__(self):
        self.living = {}

    def on_folio_new(self, event):
        self.living |= dict.fromkeys(event.folios, 0)

    def on_folio_freed(self, event):
        for folio in event.folios:
            del self.living[folio]

    def on_mapped(self, event):
        for folio in event.folios:
            self.living[folio] += event.change

    on_unmapped = on_mapped

    def mapcount(self, folio, page=None):
        return self.living.get(folio, 0)

    def shared(self, folio, mm):
        return Sharing.MAYBE

    def bytes_of_state(self, order):
        return 4
"""
    session = Session()
    load_into(session, str(written(tmp_path, text)))
    session.execute("mmap buf 1000 ; fault buf ; fork B ; munmap buf[0..99] ; B: munmap buf[0..199]")

    scheme = session.workspace.machine.schemes["mine"]
    assert [scheme.mapcount(folio) for folio in (1, 100, 101, 200, 201, 1000)] == [0, 0, 1, 1, 2, 2]
    session.execute("munmap buf ; exit B ; cost")
    assert scheme.living == {}  # type: ignore[attr-defined]


def test_a_misspelt_callback_is_refused_with_its_line(tmp_path: Path) -> None:
    """Else the scheme would silently count nothing; the nearest callback is named, and all that there are."""
    path = written(tmp_path, CALLS.replace("def on_mapped(", "def on_maped("))
    error = refusal(path)
    assert error.message == "Calls.on_maped() is not a callback: no event calls it"
    assert error.line == 1 + CALLS[: CALLS.index("def on_mapped(")].count("\n")
    assert error.text.strip() == "def on_maped(self, event):"
    assert error.hint == "did you mean `on_mapped`?"
    assert error.allowed == tuple(CALLBACKS.values())


def test_a_callback_of_an_event_that_is_gone_is_refused(tmp_path: Path) -> None:
    """Also an alias, which has the line of its function."""
    text = CALLS.replace("    def mapcount(", "    on_pmd_mapped = on_mapped\n\n    def mapcount(")
    assert refusal(written(tmp_path, text)).message == "Calls.on_pmd_mapped() is not a callback: no event calls it"


# Protocols.

COUNTER = """\
from folioshell.paths.protocol import Protocol


class Counter(Protocol):
    name = "counter"
    about = "counts entries"
    scheme = "mm-id"

    def mapped(self, span):
        yield self.word(span.folio, "total").fetch_add(span.nr_entries)

    def unmapped(self, span):
        yield self.word(span.folio, "total").fetch_add(-span.nr_entries)

    def counted(self, folio):
        return self.word(folio, "total").value
"""
COUNTED = f"set decide mm-id ; set protocol counter ; {MAPPED}"


def test_a_protocol_is_loaded(tmp_path: Path) -> None:
    """It can be set, is completed and listed, and comes back by undo and a saved script."""
    path = written(tmp_path, COUNTER, "counter.py")
    session = Session()
    (report,) = session.execute(f'load protocol "{path}"')
    session.execute(COUNTED)

    assert report.sentence == "counter loaded; `set decide mm-id ; set protocol counter`."
    assert "counter" in session.workspace.machine.protocols
    assert session.execute("expect counted f1 == 16")[0].expect.passed  # type: ignore[union-attr]
    assert session.script()[0] == f'load protocol "{path}"'
    session.undo()
    session.redo()
    assert session.execute("expect counted f1 == 16")[0].expect.passed  # type: ignore[union-attr]
    path.write_text(COUNTER.replace("span.nr_entries)", "span.nr_entries * 2)"))
    load_into(session, str(path), "protocol")
    assert session.execute("expect counted f1 == 32")[0].expect.passed  # type: ignore[union-attr]


def test_a_protocol_that_the_history_needs_stays(tmp_path: Path) -> None:
    """An edited file without it is refused, and the state is the one before."""
    path = written(tmp_path, COUNTER, "counter.py")
    session = Session()
    load_into(session, str(path), "protocol")
    session.execute(COUNTED)
    path.write_text(COUNTER.replace('"counter"', '"other"'))
    with pytest.raises(Refused, match="the history replays differently"):
        load_into(session, str(path), "protocol")

    assert list(session.loaded_protocols) == ["counter"]
    assert session.execute("expect counted f1 == 16")[0].expect.passed  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"counter"', '"pmd-lock"', "Counter: the name pmd-lock is already used by a built-in protocol"),
        ('"counter"', '"none"', "Counter: invalid name 'none'"),
        ('"mm-id"', '"nothing"', "Counter: there is no scheme nothing, which would define what it counts"),
        ('about = "counts entries"', "about = 3", "Counter: about is missing or not a string"),
        ("def counted", "def count", "Counter: abstract methods not implemented: counted"),
        ("import Protocol", "import Protocols", "ImportError"),
        ("    name", "    while True: pass\n    name", "loops without end: 100,000 rounds without a step"),
    ],
)
def test_an_unusable_protocol(tmp_path: Path, old: str, new: str, message: str) -> None:
    """It is refused with the file; the session and the registry are unchanged."""
    before = dict(Protocol.registry)
    session = Session()
    with pytest.raises(Refused) as refused:
        load_into(session, str(written(tmp_path, COUNTER.replace(old, new))), "protocol")

    assert message in refused.value.message
    assert refused.value.file == str(tmp_path / "calls.py")
    assert (session.loaded_protocols, Protocol.registry) == ({}, before)


def test_a_file_may_define_both(calls: Path) -> None:
    """A protocol may count what a scheme of its file defines; a file without what was asked for is refused."""
    with pytest.raises(Refused, match="this file defines no protocol"):
        load_into(Session(), str(calls), "protocol")
    calls.write_text(CALLS + COUNTER.replace('"mm-id"', '"calls"').replace("span.nr_entries)", "1)"))
    session = Session()
    load_into(session, str(calls), "protocol")
    session.execute(COUNTED.replace("mm-id", "calls"))

    assert number(session, "calls") == 1
    assert session.execute("expect counted f1 == 1")[0].expect.passed  # type: ignore[union-attr]


def test_scripts_may_not_load_protocols(tmp_path: Path) -> None:
    """Without --allow-code a script is refused; the command line loads them."""
    path = written(tmp_path, COUNTER, "counter.py")
    script = written(tmp_path, f"load protocol counter.py\n{COUNTED}\nexpect counted f1 == 16\n", "mine.fs")

    assert folioshell("run", str(script)).returncode == 2
    assert folioshell("run", "--allow-code", str(script)).returncode == 0
    done = folioshell("--protocol", str(path), "-c", f"{COUNTED} ; expect counted f1 == 16")
    assert done.returncode == 0


def test_the_protocol_of_the_docs(tmp_path: Path) -> None:
    """The protocol in docs/protocols-own.md has under 60 lines, and is right where readers meet writers."""
    text = (ROOT / "docs" / "protocols-own.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    assert found[1].count("\n") < 60
    path = written(tmp_path, found[1], "seqcount.py")

    done = folioshell("--plain", "check-protocol", str(path), "--race", "reclaim, cold, beside")

    assert (done.returncode, "no finding in 1 race, all exhausted" in done.stdout) == (0, True)

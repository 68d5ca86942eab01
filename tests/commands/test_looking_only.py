"""Looking does not change what is looked at: folios that are kept as a run stay one, whatever is asked about them.

The questions come from the declarations: each line that completion leads to, and the examples of every command.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands.complete import complete
from folioshell.commands.grammar import MODEL, PROGRAM, Command, registry
from folioshell.errors import Refused
from folioshell.script import Session
from tests.examples import fewer
from tests.fingerprint import fingerprint
from tests.paths.histories import COMMAND

SETUP = "set geometry classroom ; mmap buf 8 ; fault buf ; mmap one 1 ; write one"
#: candidates of an argument that are tried: the first, one in the middle, the last
MOST = 3
#: words after the verb
WORDS = 5
#: `protocols` asks about races of its own and takes long: its example is enough
LOOKING = [command for command in registry if command.kind not in (MODEL, PROGRAM) and command.verb != "protocols"]


def session_with_a_run() -> Session:
    """A session in which `buf` is mapped by a run of 8 folios."""
    session = Session()
    session.execute(SETUP)
    return session


def groups(session: Session) -> list[tuple[int, int]]:
    """How the folios are kept: (first number, number of folios)."""
    return [(first.id, nr) for first, nr in session.workspace.kernel.folios.groups()]


def lines(session: Session, command: Command) -> Iterator[str]:
    """What can be typed with a command: completion is followed from word to word, and into pages of a region."""
    pending = [(f"{command.verb} ", WORDS)]
    while pending:
        line, left = pending.pop()
        yield line
        found = complete(session, line, len(line)) if left else []
        if left < WORDS and len(found) > MOST:
            found = [found[0], found[len(found) // 2], found[-1]]
        for candidate in found:
            text = line[: candidate.start] + candidate.text
            endings = (" ", "[3] ", "[2..5] ") if candidate.text in session.workspace.regions else (" ",)
            pending += [(text + ending, left - 1) for ending in endings]


def look(session: Session, line: str) -> None:
    """Type a line; what cannot be read or asked is refused, which must not change anything either."""
    with suppress(Refused):
        session.execute(line)


@pytest.mark.parametrize(
    "command",
    [
        # help answers each term of the glossary: as many lines as all the others together; compare repeats the history.
        pytest.param(command, id=command.verb, marks=pytest.mark.full if command.verb in ("help", "compare") else ())
        for command in LOOKING
    ],
)
def test_a_run_is_in_one_piece_after_every_question(command: Command) -> None:
    """Every form of every command that is no step, completed from word to word."""
    session = session_with_a_run()
    typed = list(lines(session, command))
    assert typed
    for line in typed:
        step = session.step
        look(session, line)
        if session.step != step:
            # It went to another state, or made a step: from there nothing is known.
            session = session_with_a_run()
        assert groups(session) == [(1, 8), (9, 1)], line
        assert session.workspace.machine.check() == []


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=command.verb, marks=pytest.mark.full if command.verb == "protocols" else ())
        for command in registry
    ],
)
def test_examples_that_only_look_change_nothing(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the examples of help, every command that is no step leaves folios as they were kept."""
    monkeypatch.chdir(tmp_path)  # some write files
    for example in command.explanation.examples:
        session = Session()
        for statement in session.language.parse(example):
            before, place = groups(session), (session.workspace, session.step)
            with suppress(Refused):
                session.run(statement)
            assert groups(session) == before or place != (session.workspace, session.step), statement.text


def test_going_back_and_forth_makes_the_same_runs() -> None:
    """Undo, redo, goto and branches lead to states that are kept as they were, asked about or not."""
    session = session_with_a_run()
    session.execute("set after mapcounts,walks ; watch mapcount buf[3] ; set check on")
    session.execute("munmap buf[6] ; query shared? f3 ; mark m ; pin buf[2] ; why f8 ; diff m")
    there = groups(session)
    for line in ("undo 2 ; redo 2", "goto m ; redo", "undo ; branch other ; pin buf[2]"):
        session.execute(line)
        assert groups(session) == there, line


_ASKED = [
    line
    for command in LOOKING
    # These go to other states, explore for long, or refuse later lines.
    if command.verb not in ("race", "spawn", "undo", "redo", "goto", "branch", "reset", "finish")
    for line in lines(session_with_a_run(), command)
    if not line.startswith(("set geometry", "set profile"))
]


@fewer(2)
@given(
    st.lists(
        st.tuples(COMMAND, st.lists(st.sampled_from(_ASKED), max_size=4)),
        min_size=1,
        max_size=10,
    )
)
def test_states_are_kept_alike_with_and_without_questions(history: list[tuple[str, list[str]]]) -> None:
    """Whatever is asked between the steps of a history, the folios end up in the same groups."""
    asked, silent = Session(), Session()
    for session in (asked, silent):
        session.execute("set geometry classroom ; set swap on ; mmap buf 32 ; fault buf")
    for command, questions in history:
        for question in questions:
            before = asked.step
            look(asked, question)
            # Some questions name settings that are steps.
            if asked.step != before:
                asked.execute("undo")
        for session in (asked, silent):
            look(session, command)

    assert groups(asked) == groups(silent)
    assert fingerprint(asked.workspace.machine) == fingerprint(silent.workspace.machine)


def test_a_race_leaves_runs_as_they_were() -> None:
    """The events of a step after a race are those without the race, and those after undo and redo."""
    setup = "mmap buf 8 ; fault buf"
    texts = []
    for between, after in (("show", "show"), ("race { A.t1: munmap buf[3] }", "show"), ("show", "undo ; redo")):
        session = Session()
        session.execute(f"{setup} ; {between} ; exit A ; {after}")
        texts.append(str(session.execute("trace events")))

    assert texts[0] == texts[1] == texts[2]

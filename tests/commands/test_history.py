"""Tests of folioshell.commands.history: moving in the history."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.complete import complete
from folioshell.commands.history import aside
from folioshell.errors import Refused
from folioshell.report import Report, Table
from tests.fingerprint import fingerprint


def session_after(*lines: str) -> Session:
    session = Session()
    for line in lines:
        session.execute(line)
    return session


def said(session: Session, line: str) -> str:
    """The sentence of the last report of a line."""
    return session.execute(line)[-1].sentence


def table(report: Report) -> Table:
    (section,) = report.sections
    assert isinstance(section, Table)
    return section


def columns(found: Table, *names: str) -> list[tuple[object, ...]]:
    """The rows, with these columns only."""
    places = [found.columns.index(name) for name in names]
    return [tuple(row[place] for place in places) for row in found.rows]


def test_goto_a_mark() -> None:
    """A mark leads back to its state, exactly; the steps behind it can be redone."""
    session = session_after("mmap buf 16", "fault buf[0]", "mark before")
    before = fingerprint(session.workspace.machine)
    session.execute("fork B ; as B ; write buf[0]")
    assert said(session, "goto before") == "Now at before, step 2."

    assert fingerprint(session.workspace.machine) == before
    session.execute("redo 2")
    assert session.prompt == "B 4>"


def test_a_mark_of_the_beginning() -> None:
    """A mark may stand before the first step; setting it is no step."""
    session = session_after("mark start", "mmap buf 16")
    assert session.step == 1
    session.execute("goto start")

    assert session.prompt == "A 0>"


def test_a_mark_moves_and_says_so() -> None:
    """The second mark of a name takes it from the first."""
    session = session_after("mmap buf 16", "mark here", "fault buf")

    assert said(session, "mark here") == "here is step 2; it was step 1."
    assert said(session, "mark here") == "here is step 2."


def test_a_branch_keeps_what_was_undone() -> None:
    """Steps after undo go to the new line; goto finds both tips again, in every number."""
    session = session_after("mmap buf 16", "fault buf", "fork B")
    main = fingerprint(session.workspace.machine)
    session.execute("undo 2")
    assert said(session, "branch lazy") == "Branch lazy starts at step 1; main keeps its 3 steps."
    session.execute("fork C ; as C")
    lazy = fingerprint(session.workspace.machine)
    session.execute("goto main")
    assert (session.prompt, fingerprint(session.workspace.machine)) == ("A 3>", main)
    session.execute("goto lazy")

    assert (session.prompt, fingerprint(session.workspace.machine)) == ("C 2>", lazy)


def test_undo_and_redo_stay_within_the_line() -> None:
    """Below the place where a line began undo goes on; redo comes back along the same line."""
    session = session_after("mmap buf 16", "fault buf", "branch other", "fork B", "undo 3", "redo 3")

    assert session.history.current == "other"
    assert [entry.text for entry in session.history.in_force] == ["mmap buf 16", "fault buf", "fork B"]
    session.execute("goto main")
    with pytest.raises(Refused, match="nothing to redo"):
        session.execute("redo")


def test_a_mark_of_another_line_leads_into_it() -> None:
    """Afterwards that line is the current one."""
    session = session_after("mmap buf 16", "branch other", "fault buf", "mark faulted", "goto main")

    assert said(session, "goto faulted").startswith("Now at faulted, step 2 of other.")
    assert session.history.current == "other"


def test_a_forgotten_mark_is_told() -> None:
    """A step that takes the place of a marked one says which mark is gone."""
    session = session_after("mmap buf 16", "fault buf", "mark faulted", "undo")
    (report,) = session.execute("fork B")

    assert "and with them mark faulted." in str(report.sections)
    with pytest.raises(Refused, match="no such mark or branch"):
        session.execute("goto faulted")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("branch main", "there is already a branch main"),
        ("branch m", "there is already a mark m"),
        ("mark main", "main is a branch"),
        ("goto mian", "no such mark or branch"),
        ("goto 2", "there is no step 2"),
        ("goto f1", "f1 is an id"),
        ("mark 3", "not a name"),
        ("diff m nothing", "no such mark or branch"),
    ],
)
def test_refused(line: str, message: str) -> None:
    """Names that are taken, and what does not exist; nothing is changed by it."""
    session = session_after("mmap buf 16", "mark m")
    with pytest.raises(Refused, match=message):
        session.execute(line)

    assert (session.prompt, list(session.history.branches), list(session.history.marks)) == ("A 1>", ["main"], ["m"])


def test_history_shows_where_you_are() -> None:
    """Marks, what other lines share, what was undone; columns that say nothing are left out."""
    session = session_after("mmap buf 16", "fault buf", "fork B", "undo")
    (report,) = session.execute("history")
    assert table(report).columns == ("step", "process", "command", "")
    session.execute("mark m ; undo ; branch other ; mprotect buf[3] r ; goto m")
    (report,) = session.execute("history")

    assert table(report).title == "history of main"
    assert columns(table(report), "step", "marks", "also in", "") == [
        (1, "", "other", ""),
        (2, "m", "", "here"),
        (3, "", "", "undone"),
    ]
    session.execute("goto 0")
    assert table(session.execute("history")[0]).rows[0] == (0, "", "the beginning", "", "", "here")


def test_branch_alone_lists_the_lines() -> None:
    """Each with its steps, where it begins, and where the user is."""
    session = session_after("mmap buf 16", "fault buf", "undo", "branch a", "fork B", "mark m", "branch b", "fork C")
    (report,) = session.execute("branch")

    assert columns(table(report), "branch", "steps", "starts at", "marks", "") == [
        ("main", 2, "", "", ""),
        ("a", 2, "step 1 of main", "m", ""),
        ("b", 3, "step 2 of a", "m", "here, at step 3"),
    ]


def test_diff_of_two_lines() -> None:
    """Names stand for states as numbers do; nothing moves."""
    session = session_after("mmap buf 16", "fault buf[0]", "mark m", "branch forked", "fork B")
    (report,) = session.execute("diff main forked")

    assert report.sentence.startswith("From step 2 of main to step 3 of forked: differences in 1 folio, ")
    assert report.folios[0].mapcounts["mm-id"] == (1, 2)
    assert session.execute("diff m")[0].sentence.startswith("From step 2 of forked to step 3 of forked: ")
    assert session.prompt == "A 3>"


def test_reset_forgets_lines_and_marks() -> None:
    """Everything begins anew, the line main too."""
    session = session_after("mmap buf 16", "mark m", "branch other", "reset")

    assert (list(session.history.branches), session.history.marks) == (["main"], {})


def test_names_are_offered() -> None:
    """Behind goto, diff: marks and lines with what they are."""
    session = session_after("mmap buf 16", "mark mapped", "branch more", "fault buf")
    for text in ("goto m", "diff m"):
        offered = {candidate.text: candidate.description for candidate in complete(session, text, len(text))}
        assert offered == {"mapped": "mark at step 1 of more", "main": "branch of 1 step", "more": "branch of 2 steps"}


def test_aside_leaves_nothing() -> None:
    """The session afterwards is in every respect as before it: state, history, marks, settings, current process."""
    session = Session()
    session.execute("mmap buf 4 ; write buf ; mark here ; fork B ; as B ; watch f1 ; undo ; set schemes vmas")
    before = (session.script(), list(session.history.branches), session.execute("history"), session.execute("show"))
    with aside(session):
        session.execute("fork C ; as C ; write buf ; mark x ; mark here ; set schemes all ; unwatch ; set after none")
    after = (session.script(), list(session.history.branches), session.execute("history"), session.execute("show"))

    assert after == before
    session.redo()
    assert session.history.entries[-1].text == "fork B"

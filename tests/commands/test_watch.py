"""Tests of folioshell.commands.watch and folioshell.session.settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.commands.complete import complete
from folioshell.commands.watch import MOST
from folioshell.errors import Refused
from folioshell.report import Report, WatchedValue


def session_after(*lines: str) -> Session:
    session = Session()
    for line in lines:
        session.execute(line)
    return session


def told(report: Report) -> dict[str, object]:
    """What a report says of each watch: its changed values, or its note."""
    return {one.text: one.note or {name: tuple(value) for name, value in one.values.items()} for one in report.watched}


MAPPED = ("mmap buf 16", "fault buf[0]")


def test_old_and_new_after_a_step() -> None:
    """Only what changed is told; a folio's watch has every shown scheme's number."""
    session = session_after(*MAPPED, "set schemes vmas,mm-id", "watch f1", "watch truth pages f1")
    (report,) = session.execute("fork B")
    assert told(report) == {"f1": {"vmas": ("1", "2"), "mm-id": ("1", "2")}}
    (report,) = session.execute("mmap other 4")

    assert report.watched == ()


@pytest.mark.parametrize(
    ("line", "text", "values"),
    [
        ("watch mapcount vmas f1", "mapcount vmas f1", {"vmas": ("1", "2")}),
        ("watch shared? mm-id buf[0]", "shared? mm-id A:buf[0]", {"mm-id": ("no", "yes")}),
        ("watch shared? truth f1", "shared? truth f1", {"truth": ("no", "yes")}),
        ("watch mapcount truth buf[0]", "mapcount truth A:buf[0]", {"truth": ("1", "2")}),
        ("watch truth mms f1", "truth mms f1", {"mms": ("1", "2")}),
        ("watch present? B:buf", "present? B:buf", {"present": ("", "1 of 16 pages")}),
        ("watch present? B:buf[0]", "present? B:buf[0]", {"present": ("", "yes")}),
        ("watch present? B:buf[1..3]", "present? B:buf[1..3]", {"present": ("", "0 of 3 pages")}),
    ],
)
def test_questions(line: str, text: str, values: dict[str, tuple[str, str]]) -> None:
    """The forms of a question; a place gets its process."""
    session = session_after(*MAPPED, line)

    assert told(session.execute("fork B")[0]) == {text: values}


def test_without_a_scheme_all_answer_and_the_truth() -> None:
    """As query does."""
    session = session_after("set schemes tuples,mm-id", *MAPPED, "watch shared? f1")

    assert told(session.execute("fork B")[0]) == {
        "shared? f1": {"tuples": ("no", "maybe"), "mm-id": ("no", "yes"), "truth": ("no", "yes")}
    }


def test_what_cannot_be_answered_says_so() -> None:
    """Nothing mapped, a folio that was freed, a process that ended: a note, once, and values again afterwards."""
    session = session_after("mmap buf 16", "set schemes vmas")
    (report,) = session.execute("watch buf[0]")
    assert "A has no present entry" in report.watched[0].note
    assert told(session.execute("fault buf[0]")[0]) == {"A:buf[0]": {"folio": ("", "f1"), "vmas": ("", "1")}}
    session.execute("unwatch ; watch f1")
    assert told(session.execute("munmap buf")[0]) == {"f1": "f1 was freed, or split into others"}
    assert session.execute("mmap buf2 4")[0].watched == ()
    session.execute("fork B ; as B ; fault buf2 ; watch buf2[0] ; unwatch 1")

    assert told(session.execute("as A ; exit B")[-1]) == {"B:buf2[0]": "no such process"}


def test_a_place_is_that_of_who_set_the_watch() -> None:
    """Another current process does not give it another meaning; copy-on-write in B leaves A's page alone."""
    session = session_after(*MAPPED, "fork B", "as B", "set schemes vmas", "watch buf[0]", "as A")
    (report,) = session.execute("B: write buf[0]")

    assert told(report) == {"B:buf[0]": {"folio": ("f1", "f2"), "vmas": ("2", "1")}}


def test_watches_survive_undo_and_tell_of_it() -> None:
    """They are settings; moving in the history is compared with what was seen last."""
    session = session_after(*MAPPED, "set schemes vmas", "watch f1", "fork B")
    assert told(session.execute("undo")[0]) == {"f1": {"vmas": ("2", "1")}}
    assert told(session.execute("redo")[0]) == {"f1": {"vmas": ("1", "2")}}
    assert told(session.execute("goto 1")[0]) == {"f1": "no such folio"}
    session.execute("reset")

    assert session.watches == []


def test_other_schemes_are_no_news() -> None:
    """Showing another scheme is no change of a number."""
    session = session_after(*MAPPED, "set schemes vmas", "watch f1", "set schemes tuples,vmas")

    assert told(session.execute("fork B")[0]) == {"f1": {"tuples": ("1", "2"), "vmas": ("1", "2")}}


def test_list_and_stop() -> None:
    """Watch alone lists with present values; unwatch stops one, or all."""
    session = session_after(*MAPPED, "set schemes vmas", "watch f1", "watch truth mms f1")
    assert told(session.execute("watch")[0]) == {"f1": {"vmas": ("1", "1")}, "truth mms f1": {"mms": ("1", "1")}}
    assert session.execute("watch f1")[0].sentence == "Already watched, as 1."
    assert session.execute("unwatch 1")[0].sentence == "Stopped watching f1."
    assert [one.number for one in session.execute("watch")[0].watched] == [1]
    assert session.execute("unwatch")[0].sentence == "1 watch stopped."

    assert session.execute("watch")[0].sentence == "Nothing is watched; `watch FOLIO` begins."


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("watch buf", "one page expected, this is 16"),
        ("watch shared? buf[0..3]", "one page expected, this is 4"),
        ("watch mapcount vmsa f1", "no such scheme"),
        ("watch nonsense f1", "nothing more may follow here"),
        ("unwatch 1", "there is no watch 1"),
    ],
)
def test_refused(line: str, message: str) -> None:
    """What can never be answered is refused; nothing is watched."""
    session = session_after("mmap buf 16")
    with pytest.raises(Refused, match=message):
        session.execute(line)

    assert session.watches == []


def test_there_is_a_limit() -> None:
    """Every watch costs something after each step."""
    session = session_after(*(f"watch f{number}" for number in range(1, MOST + 1)))
    with pytest.raises(Refused, match="64 things are watched already"):
        session.execute("watch f100")


def test_a_saved_script_sets_them_again() -> None:
    """Behind the steps, where what they name exists."""
    session = session_after(*MAPPED, "fork B", "as B", "watch buf[0]", "watch shared? mm-id f1", "exit A")
    again = session_after(*session.script())

    assert [one.text for one in again.execute("watch")[0].watched] == ["B:buf[0]", "shared? mm-id f1"]
    assert again.execute("watch") == session.execute("watch")


def test_the_numbers_are_offered() -> None:
    """Unwatch knows what it may stop."""
    session = session_after(*MAPPED, "watch f1", "watch truth mms f1")

    assert [(one.text, one.description) for one in complete(session, "unwatch ", 8)] == [
        ("1", "f1"),
        ("2", "truth mms f1"),
    ]


def test_a_definition_that_raises(tmp_path: Path) -> None:
    """What is watched is no reason to take a step back: it says what was raised."""
    path = tmp_path / "mine.py"
    path.write_text(
        "from folioshell.schemes.vmas import Vmas\n\nclass Mine(Vmas):\n    name = 'mine'\n"
        "    def shared(self, folio, mm):\n        raise ValueError('not so')\n"
    )
    session = session_after(f'load scheme "{path}"', *MAPPED)
    (report,) = session.execute("watch shared? mine f1")

    assert "scheme mine, shared(): ValueError: not so" in report.watched[0].note
    assert session.execute("fork B")[0].step == 3


def test_present_pages_under_a_pmd_entry() -> None:
    """A PMD entry has all its pages present; a range may begin and end within one, or within a table."""
    session = session_after("set geometry classroom", "set thp.pmd always", "mmap buf 24", "watch present? buf[6..20]")
    assert told(session.execute("fault buf[0]")[0]) == {
        "present? A:buf[6..20]": {"present": ("0 of 15 pages", "2 of 15 pages")}
    }
    session.execute("fault buf[17] ; munmap buf[18]")

    assert told(session.execute("watch")[0]) == {
        "present? A:buf[6..20]": {"present": ("6 of 15 pages", "6 of 15 pages")}
    }


def test_what_could_not_be_set_now_is_not_saved() -> None:
    """A watch that was set on a name which is now that of many pages reads nothing, and no script begins with it."""
    session = Session()
    session.execute("watch mapped? buf ; watch buf[0] ; mmap buf 16")
    script = session.script()
    again = Session()
    for line in script:
        again.execute(line)

    assert script[-1] == "watch A:buf[0]"
    assert again.script() == script


def test_any_lasting_question_can_be_watched() -> None:
    """Questions to the state are watched like those to schemes; a list place keeps its process."""
    session = Session()
    session.execute("mmap buf 4 ; fault buf ; watch vmas A ; watch same buf[0] buf[1] ; watch free f4 ; watch order f4")
    (step,) = session.execute("mprotect buf[3] r")
    assert [(one.text, one.values) for one in step.watched] == [("vmas A", {"vmas": WatchedValue("1", "2")})]
    (step,) = session.execute("munmap buf[3]")
    assert {one.text: (one.values, one.note) for one in step.watched} == {
        "vmas A": ({"vmas": WatchedValue("2", "1")}, ""),
        "free f4": ({"free": WatchedValue("no", "yes")}, ""),
        "order f4": ({}, "f4 was freed, or split into others"),
    }
    (listed,) = session.execute("watch")
    assert listed.watched[1].text == "same A:buf[0] A:buf[1]"


def test_a_place_without_a_process_wants_one() -> None:
    """After the last process ended a place means nothing, for a watch as for any question; one that is named does."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; exit A")
    with pytest.raises(Refused, match="no process is left"):
        session.execute("watch buf[0]")
    session.execute("watch A:buf[0] ; watch f1")
    (listed,) = session.execute("watch")

    assert [watch.text for watch in listed.watched] == ["A:buf[0]", "f1"]

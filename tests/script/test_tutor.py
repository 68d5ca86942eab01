"""Tests of folioshell.script.tutor and learning: a lesson in a session, question by question."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from folioshell import Host, Session
from folioshell.errors import Refused
from folioshell.report import Report, Table, Text
from folioshell.script.files import LearnLog, QuestionRecord, shipped_lessons
from folioshell.script.learning import begin, read_lesson
from folioshell.script.lesson import Prediction
from folioshell.script.tutor import Tutor
from tests.fingerprint import fingerprint
from tests.script.test_lesson import LESSON


def session_with(tmp_path: Path, text: str = LESSON) -> tuple[Session, str]:
    """A session that keeps its progress, and a lesson file."""
    path = tmp_path / "03-two.fs"
    path.write_text(text)
    return Session(host=Host(state=str(tmp_path))), str(path)


def said(reports: Sequence[Report]) -> str:
    """All that reports say, without tables."""
    texts = [text for report in reports for one in report.sections if isinstance(one, Text) for text in one.lines]
    return "\n".join(filter(None, [*(report.sentence for report in reports), *texts]))


def typed(session: Session, *lines: str) -> str:
    """What is said to the last of some lines."""
    return said([session.execute(line) for line in lines][-1])


def records(tmp_path: Path) -> list[dict[str, object]]:
    """The questions in the progress file."""
    (lesson,) = json.loads((tmp_path / "learn.json").read_text())["lessons"].values()
    found: list[dict[str, object]] = lesson["questions"]
    return found


def test_dialogue(tmp_path: Path) -> None:
    """Prose and question first; wrong answers say why and never the value; then the output and the explanation."""
    session, path = session_with(tmp_path)
    assert typed(session, f"learn {path}").splitlines() == [
        "learn 3: How a fork shares pages. 10 minutes.",
        "`next` or Enter continues, `quit` keeps your place.",
    ]
    assert session.prompt == "3 A 1>"
    assert typed(session, "next").startswith("next: mmap buf 8\n") or session.step == 2
    typed(session, "next")
    assert typed(session, "") == "\n".join(
        (
            "After the fork the child has entries of its own.",
            "next: fork B",
            "Predict: How many entries map f1 after the fork?  A number; or hint, answer, skip.",
        )
    )
    assert session.prompt == "?"
    assert typed(session, "4") == "Not 4: Page 0 alone is in f1."
    assert typed(session, "3") == "Not 3. `hint`?"
    assert typed(session, "hint") == "Hint 1 of 1: Fork copies page tables, not pages."
    assert typed(session, "7") == "Not 7. `answer` shows it."
    assert session.step == 3
    reply = typed(session, "2")
    assert reply.startswith("Right.") or "Right." in reply
    assert "Each process has an entry of its own." in reply
    assert session.step == 4
    assert records(tmp_path) == [{"tries": 4, "hints": 1, "shown": False}]


def test_type_error_costs_no_try(tmp_path: Path) -> None:
    """What may be answered is said; nothing is counted."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5")
    for line in ("four", "two of them", "yes"):
        with pytest.raises(Refused) as caught:
            session.execute(line)
        assert caught.value.hint == "answer with a number"
    typed(session, "2")
    assert records(tmp_path)[0]["tries"] == 1


def test_several_questions_about_a_line(tmp_path: Path) -> None:
    """They are asked one after the other, before the line runs; locks are answered with or without commas."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5", "2", "next")
    assert "Which locks does it take?" in typed(session, "1")
    assert session.step == 4
    assert "Not pt1 pt2." in typed(session, "pt1, pt2")
    assert "Right." in typed(session, "pt2,pt2")
    assert session.step == 5


def test_answer_and_skip(tmp_path: Path) -> None:
    """The answer is noted; a question that is skipped has no try. The line is run."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5")
    assert typed(session, "answer").splitlines()[-2:] != []
    assert session.step == 4
    typed(session, "next", "skip", "skip")
    assert session.step == 5
    assert records(tmp_path) == [
        {"tries": 0, "hints": 0, "shown": True},
        {"tries": 0, "hints": 0, "shown": False},
        {"tries": 0, "hints": 0, "shown": False},
    ]


def test_next_and_undo_are_exact(tmp_path: Path) -> None:
    """Each state on the way is that of the script, also after `undo` and `next` again, and after `redo`."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5", "2", "next", "1", "pt2 pt2")
    after = {step: fingerprint(session.replay(step).machine) for step in range(6)}
    for back in range(1, 5):
        session.execute(f"undo {back}")
        assert fingerprint(session.workspace.machine) == after[5 - back]
        while session.step < 5:
            session.execute("next")
        assert fingerprint(session.workspace.machine) == after[5]
    session.execute("undo 2")
    session.execute("redo 2")
    assert "Task" in typed(session, "next")
    assert [entry.text for entry in session.history.entries] == [
        "set geometry classroom",
        "mmap buf 8",
        "write buf[0..3]",
        "fork B",
        "write buf[0]",
    ]


def test_wandering_off(tmp_path: Path) -> None:
    """A step that is typed goes to a branch of its own; `back`, `next` and an answer return to the lesson."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 3")
    state = fingerprint(session.workspace.machine)
    typed(session, "munmap buf", "fork X")
    assert typed(session, "back") == "Back in the lesson."
    assert fingerprint(session.workspace.machine) == state
    assert typed(session, "back") == "This is the state of the lesson already."
    assert "aside" in session.history.branches
    typed(session, "exit")
    typed(session, "next")
    typed(session, "next")
    assert session.prompt == "?"
    typed(session, "munmap buf", "2")
    assert [entry.text for entry in session.history.entries][-1] == "fork B"


def test_undo_beyond_the_beginning(tmp_path: Path) -> None:
    """The settings of a lesson can be undone, too; `next` begins after them again."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 3", "undo 3", "mmap mine 4")
    assert session.prompt == "3 A 1>"
    assert "Back in the lesson." in typed(session, "next")
    assert (session.step, session.history.current) == (2, "main")


def test_task(tmp_path: Path) -> None:
    """Goals are checked after each step: which newly hold, or do not any more; the lesson goes on from before it."""
    session, path = session_with(tmp_path, LESSON.replace("?goal truth mms buf[1] == 2", "?goal truth mms buf[1] == 4"))
    typed(session, f"learn {path}", "next 5", "2", "next", "1", "pt2 pt2")
    text = typed(session, "next")
    assert "Task: Let A and C map page 1, and no other process.  At most 2 steps.  Only fork, munmap, write." in text
    assert "[ ] two processes map it" in text
    with pytest.raises(Refused, match="this task allows only fork, munmap, write"):
        session.execute("exit B")
    assert typed(session, "B: munmap buf[1]").endswith("holds now: present? B:buf[1] == no")
    assert typed(session, "undo").endswith("holds no longer: present? B:buf[1] == no")
    typed(session, "fork C", "fork D")
    assert typed(session, "fork E").endswith("3 steps, more than 2: `undo` goes back.")
    assert "Task" in typed(session, "")
    assert typed(session, "hint") == "Hint 1 of 1: B has to unmap it."
    assert "two" in session.history.branches
    typed(session, "skip")
    assert session.execute("next")[0].sections
    assert session.step == 5


def test_task_done(tmp_path: Path) -> None:
    """When all goals hold the task is done; `answer` puts a solution into the input line and is noted."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5", "2", "next", "1", "pt2 pt2", "next", "answer")
    assert session.host.output.offered == "fork C ; B: munmap buf[1]"
    reply = typed(session, session.host.output.offered)
    assert "All goals hold, after 2 steps." in reply
    assert records(tmp_path)[-1] == {"tries": 1, "hints": 0, "shown": True}
    assert "The end." in typed(session, "next")
    assert session.step == 5
    assert "4 of 4 done" in typed(session, "next")


def test_goes_on_at_the_same_question(tmp_path: Path) -> None:
    """Another session continues at the question that was asked last, with its tries; `again` begins anew."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5", "4")
    assert records(tmp_path) == [{"tries": 1, "hints": 0, "shown": False, "open": True}]

    other = Session(host=Host(state=str(tmp_path)))
    assert "How many entries map f1 after the fork?" in typed(other, f"learn {path}")
    assert (other.prompt, other.step) == ("?", 3)
    typed(other, "2", "next", "1")
    last = Session(host=Host(state=str(tmp_path)))
    assert "Which locks does it take?" in typed(last, f"learn {path}")
    typed(last, "pt2 pt2", "next")
    assert records(tmp_path)[0] == {"tries": 2, "hints": 0, "shown": False}

    task = Session(host=Host(state=str(tmp_path)))
    assert "Task: " in typed(task, f"learn {path}")
    typed(task, "again")
    assert (records(tmp_path), task.step) == ([], 1)


def test_changed_lesson_is_asked_anew(tmp_path: Path) -> None:
    """What was answered was about another text."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next 5", "2")
    Path(path).write_text(LESSON.replace("The end.", "The end!"))
    assert "has changed: its questions are asked again" in typed(session, f"learn {path}")
    assert session.step == 1


@pytest.mark.parametrize(
    "rubbish",
    [b"", b"{", b"[]", b"\xff\xfe", b'{"v":2,"lessons":{}}', b'{"v":1,"lessons":{"a":{"text":"x","questions":[1]}}}'],
)
def test_rubbish_is_put_aside_and_told(tmp_path: Path, rubbish: bytes) -> None:
    """A progress file that cannot be read is kept under another name, and the lesson begins."""
    session, path = session_with(tmp_path)
    (tmp_path / "learn.json").write_bytes(rubbish)
    reply = typed(session, f"learn {path}")

    assert "it is kept as learn.json.kept" in reply
    assert (tmp_path / "learn.json.kept").read_bytes() == rubbish
    typed(session, "next 5", "2")
    assert records(tmp_path) == [{"tries": 1, "hints": 0, "shown": False}]


def test_progress_file_that_cannot_be_written(tmp_path: Path) -> None:
    """The lesson goes on; that nothing is kept is told."""
    _, path = session_with(tmp_path)
    (tmp_path / "file").write_text("")
    session = Session(host=Host(state=str(tmp_path / "file" / "folder")))
    assert "progress is not kept" in typed(session, f"learn {path}")
    typed(session, "next 5", "2")
    assert session.step == 4


def test_log_keeps_other_lessons(tmp_path: Path) -> None:
    """Two shells at once lose nothing of each other."""
    one, other = LearnLog(tmp_path), LearnLog(tmp_path)
    one.keep("a", "x", [QuestionRecord(2)])
    other.keep("b", "y", [QuestionRecord(1, 1, shown=True)])

    assert (tmp_path / "learn.json").read_text() == (
        '{"v":1,"lessons":{"a":{"text":"x","questions":[{"tries":2,"hints":0,"shown":false}]},'
        '"b":{"text":"y","questions":[{"tries":1,"hints":1,"shown":true}]}}}\n'
    )
    assert LearnLog(tmp_path).of("a", "x") == [QuestionRecord(2)]
    assert LearnLog(tmp_path).of("a", "z") == []


def test_present(tmp_path: Path) -> None:
    """Prose first; a question holds the output back until `next`, and is answered after it. Nothing is kept."""
    session, path = session_with(tmp_path)
    typed(session, f"present {path}", "next 2")
    text = typed(session, "next")
    assert "next: fork B" in text
    assert "Predict: How many entries map f1 after the fork?" in text
    assert (session.prompt, session.step) == ("3 A 3>", 3)
    typed(session, "fork Z", "back")
    typed(session, "next")
    assert session.step == 4
    assert "Task" in typed(session, "next 3")
    assert "The end." in typed(session, "next", "next")
    assert not (tmp_path / "learn.json").exists()


def test_present_and_ask(tmp_path: Path) -> None:
    """With `ask` it waits for the answer of the class."""
    session, path = session_with(tmp_path)
    typed(session, f"present {path} ask", "next 9")
    assert session.prompt == "?"
    assert typed(session, "4").startswith("Not 4")


def test_list_and_export(tmp_path: Path) -> None:
    """The list says how far each lesson is; without a lesson `learn` continues the one under way."""
    session = Session(host=Host(state=str(tmp_path)))
    typed(session, "learn 2")
    while session.prompt != "?":
        session.execute("next")
    session.execute("hint")
    (report,) = session.execute("lessons")
    (table,) = report.sections
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == list(shipped_lessons())
    assert table.rows[1][2] == "here 0 of 5, 1 hint"
    assert table.rows[2][2] == "-"
    other = Session(host=Host(state=str(tmp_path)))
    other.execute("learn")
    assert other.prompt == "?"
    other.execute(f"learn export={tmp_path / 'mine.json'}")
    assert (tmp_path / "mine.json").read_bytes() == (tmp_path / "learn.json").read_bytes()


def test_help() -> None:
    """`help` knows the lessons, by number and by name, and the terms that each introduces."""
    session = Session()
    text = typed(session, "help lesson 3")
    assert "How a fork shares pages" in text and "copy on write" in text and "`learn 3`" in text
    assert typed(session, "help 03-cow") == text
    assert "(lesson 3)" in typed(session, "help copy on write")


def test_no_lesson() -> None:
    """Its commands are refused until one begins, and say so; an unknown lesson is refused."""
    for command in ("next", "hint", "answer", "skip", "again", "back"):
        with pytest.raises(Refused, match="there is no lesson"):
            Session().execute(command)
    with pytest.raises(Refused, match="there is no lesson 99"):
        Session().execute("learn 99")


def test_reset_ends_a_lesson(tmp_path: Path) -> None:
    """`reset` and `load` leave it."""
    session, path = session_with(tmp_path)
    typed(session, f"learn {path}", "next", "reset")
    assert (session.teacher, session.prompt) == (None, "A 0>")


def wrong_answers(asked: Prediction) -> list[str]:
    """Three answers to a question that may be given, and are wrong."""
    words = [word for word in ("yes", "no", "maybe") if word in asked.values.words]
    words += ["pt7", "pt8", "pt9", "pt6"] if asked.values.listed else []
    words += [*map(str, range(4001, 4005))] if asked.values.number else []
    return [word for word in words * 3 if word != asked.value][:3]


def learned(number: int) -> list[QuestionRecord]:
    """Go through a shipped lesson, answering wrong three times first, and solving its tasks by the first solution."""
    session = Session(counting=())
    path = shipped_lessons()[number]
    lesson, log = read_lesson(path, session.language), LearnLog(None)
    begin(session, path, log, asking=True)
    tutor = session.teacher
    assert isinstance(tutor, Tutor)
    while (unit := tutor.unit) is not None:
        session.execute("next")
        for asked in unit.asked:
            before = session.step
            texts = {asked.read_wrong(line): line.text for line in asked.wrong}
            for nr, word in enumerate(wrong_answers(asked), 1):
                text = f"Not {word}: {texts[word]}" if word in texts else f"Not {word}."
                more = {1: "", 2: " `hint`?" if asked.hints else "", 3: " `answer` shows it."}[nr]
                assert typed(session, word) == text + more
            assert session.step == before
            assert "Right." in typed(session, asked.value)
        if unit.task is not None:
            session.execute("answer")
            assert "All goals hold" in typed(session, session.host.output.offered)
    return log.of(lesson.name, lesson.text)


def test_paragraphs_around_settings(tmp_path: Path) -> None:
    """Prose above the settings and prose below them are two paragraphs."""
    text = "#!folioshell 1\n| # 3: T\n|\n| Short.\n|\n| Above.\nset geometry classroom\n\n| Below.\nmmap buf 8\n"
    session, path = session_with(tmp_path, text)
    typed(session, f"learn {path}")
    assert typed(session, "next") == "Above.\nBelow.\nnext: mmap buf 8"


def test_the_truth_is_never_undecided(tmp_path: Path) -> None:
    """Only a question to a scheme may be answered `maybe` or `cannot`."""
    text = "#!folioshell 1\n| # 3: T\nmmap buf 8\nwrite buf[0]\n"
    for asked, allowed in (
        ("shared? truth f1", "No or yes"),
        ("mapped? f1", "No or yes"),
        ("shared? tuples f1", "No, yes or maybe"),
    ):
        session, path = session_with(tmp_path, f"{text}? {asked} | What now?\nfork B\n")
        typed(session, f"learn {path}", "next", "next")
        assert f"What now?  {allowed}; or hint" in typed(session, "next")


def test_no_lesson_follows_the_last() -> None:
    """The end of a lesson names the next one, if there is one."""
    for number, path in shipped_lessons().items():
        session = Session()
        lesson = read_lesson(path, session.language)
        tutor = Tutor(session, lesson, LearnLog(None), asking=True)
        following = f"`learn {number + 1}` begins the next one"
        assert (following in "\n".join(tutor._end())) == (number < max(shipped_lessons()))


def test_a_lesson_is_learned() -> None:
    """No wrong answer prints anything but what its author wrote; all is noted."""
    found = learned(3)

    assert [record.tries for record in found] == [4, 4, 4, 1, 1]
    assert [record.shown for record in found] == [False, False, False, True, True]


@pytest.mark.full
@pytest.mark.parametrize("number", shipped_lessons())
def test_every_lesson_is_learned(number: int) -> None:
    """The same, of each."""
    assert not any(record.open for record in learned(number))


@pytest.mark.full
@pytest.mark.parametrize("number", shipped_lessons())
def test_next_and_undo_of_every_lesson(number: int) -> None:
    """Wherever `undo` leads, the state is the one that was there, and `next` leads to the same end."""
    session = Session()
    session.execute(f"present {shipped_lessons()[number]}")
    tutor = session.teacher
    assert isinstance(tutor, Tutor)
    states = {}

    def to_the_end() -> tuple[str, str]:
        while tutor.unit is not None:
            session.execute("next")
            # A lesson may have a line that undoes steps: what it did then is not in the history.
            states[session.step] = fingerprint(session.workspace.machine)
        return session.process, fingerprint(session.workspace.machine)

    end, last = to_the_end(), session.step
    for back in range(1, last - len(tutor.lesson.settings)):
        session.execute(f"undo {back}")
        assert fingerprint(session.workspace.machine) == states.get(last - back, fingerprint(session.workspace.machine))
        assert to_the_end() == end
        assert session.step == last

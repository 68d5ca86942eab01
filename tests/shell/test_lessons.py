"""Tests of folioshell.shell.lessons: learn, present and lesson check on the command line and at a terminal."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest

from folioshell import Session
from folioshell.script.files import shipped_lessons
from folioshell.script.learning import read_lesson
from folioshell.shell.lessons import LINES
from tests.command_line import Done, folioshell
from tests.script.test_lesson import LESSON
from tests.script.test_tutor import wrong_answers
from tests.shell.terminal import Terminal
from tests.shell.test_terminal import COMMAND, environment

LESSONS = shipped_lessons()
#: a lesson without a fault, once its task is not done at its start
GOOD = (
    LESSON.replace("?goal truth mms buf[1] == 2", "?goal truth mms buf[1] == 3")
    .replace("two processes", "three")
    .replace("?solution fork C ; B: munmap buf[1]\n", "")
    .replace("?solution for i in 1..1 { B: munmap buf[1] } ; fork C", "?solution fork C ; fork D ; B: munmap buf[1]")
    .replace("steps<=2", "steps<=3")
)


def check(tmp_path: Path, text: str, name: str = "03-two.fs") -> Done:
    path = tmp_path / name
    path.write_text(text)
    return folioshell("lesson", "check", str(path))


def test_good_lesson(tmp_path: Path) -> None:
    """A lesson without a fault passes."""
    done = check(tmp_path, GOOD)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("03-two.fs: no fault: 3 questions, 1 task\n")


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("f1 == 2 |", "f1 == 3 |", "8:20", "is 2, expected == 3"),
        ("?wrong 4", "?wrong 2", "10:8", "is 2, expected != 2"),
        ("B: munmap buf[1]", "B: munmap buf[2]", "21:11", "is 4 at its goal"),
        ("buf[1] == 3 |", "buf[1] == 2 |", "18:1", "this goal holds already at the start"),
        ("?goal truth mms buf[1]", "?goal truth mms f2", "18:17", "a goal names no id"),
        ("?solution fork C ; fork D ; B: munmap buf[1]\n", "", "17:1", "this task has no solution"),
        ("10 minutes.", "", "1:1", "no first paragraph that ends with the time"),
        ("| The end.", "| The tuples end.", "22:7", "`tuples` stands before lesson 4"),
        ("| The end.", "| A pin ends it.", "22:5", "no lesson introduces `pin`"),
        ("| The end.", "| The *frob* ends.", "22:8", "`frob` is not in the glossary"),
        ("| The end.", "| The NMI ends.", "22:7", "`NMI` is not in the glossary"),
        ("| The end.", "| See mm_find_pmd().", "22:7", "`mm_find_pmd` is not in the glossary"),
        ("B gets a copy.", "It is 1: B gets a copy.", "14:13", "this tells the answer, 1"),
        ("| The end.", "| x\n|\n" * 12 + "| The end.\nshow", "47:1", "what is read before this has"),
    ],
)
def test_faults(tmp_path: Path, old: str, new: str, place: str, said: str) -> None:
    """Each is shown with its place, and the status is 1."""
    assert old in GOOD
    done = check(tmp_path, GOOD.replace(old, new, 1))

    assert done.returncode == 1
    assert re.search(rf"FAIL  \S*03-two\.fs:{place}: {re.escape(said)}", done.stdout), done.stdout
    assert re.search(r"03-two\.fs: [12] faults?: 3 questions, 1 task\n\Z", done.stdout)


def test_other_scripts_may_use_all_words(tmp_path: Path) -> None:
    """Only a lesson has a place in the order of the class."""
    assert check(tmp_path, GOOD.replace("The end.", "The tuples end."), "two.fs").returncode == 0


def test_unreadable(tmp_path: Path) -> None:
    """What cannot be parsed is refused with a caret; the others are checked."""
    bad, good = tmp_path / "bad.fs", tmp_path / "03-good.fs"
    bad.write_text("?hnt x\n")
    good.write_text(GOOD)
    done = folioshell("lesson", "check", str(bad), str(good))

    assert done.returncode == 2
    assert "no such line for class" in done.stderr and "^^^^" in done.stderr
    assert "03-good.fs: no fault" in done.stdout


def spoilt(text: str) -> list[tuple[int, str]]:
    """(line, the script) of each way to spoil a value, a wrong answer or a solution."""
    lines = text.split("\n")
    found = []
    value = ""
    for at, line in enumerate(lines):
        new = ""
        if asked := re.match(r"(\? .* == )([^|]*?)( \| .*)", line):
            value = asked[2]
            other = {"no": "yes", "yes": "no", "maybe": "no"}.get(value, f"{value}7")
            new = f"{asked[1]}{other}{asked[3]}"
        elif (wrong := re.match(r"(\?wrong )(\"[^\"]*\"|\S+)( .*)", line)) and value:
            new = wrong[1] + (f'"{value}"' if " " in value else value) + wrong[3]
        elif line.startswith("?solution "):
            new = "?solution mmap spoilt 1"
        if new:
            found.append((at + 1, "\n".join((*lines[:at], new, *lines[at + 1 :]))))
    return found


@pytest.mark.full
@pytest.mark.parametrize("number", LESSONS)
def test_spoilt_lessons(number: int, tmp_path: Path) -> None:
    """Every lesson passes; with any value, wrong answer or solution spoilt it fails, at that place."""
    path = Path(LESSONS[number])
    text = path.read_text()
    done = check(tmp_path, text, path.name)
    assert done.returncode == 0, done.stdout
    mutants = spoilt(text)
    assert len(mutants) >= 8
    for line, mutant in mutants:
        done = check(tmp_path, mutant, path.name)
        assert done.returncode == 1
        assert re.search(rf"FAIL  \S*{path.name}:{line}:\d+: ", done.stdout), (line, done.stdout)


# At a terminal, and without one.


def typed_in(lesson: str, lines: str, tmp_path: Path, *options: str) -> Done:
    """A lesson whose lines come from a pipe."""
    return folioshell("learn", lesson, *options, stdin=lines, environ={"XDG_STATE_HOME": str(tmp_path)})


def test_learn_from_a_pipe(tmp_path: Path) -> None:
    """It is line-based: no raw keys, and no escape byte. `--export` copies what was kept."""
    path = tmp_path / "03-two.fs"
    path.write_text(LESSON)
    done = typed_in(str(path), "\n\n\n4\nfour\n2\nquit\n", tmp_path)

    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert "? Not 4: Page 0 alone is in f1." in done.stdout
    assert "answer with a number" in done.stdout
    assert "Right." in done.stdout
    out = tmp_path / "mine.json"
    assert folioshell("learn", "--export", str(out), environ={"XDG_STATE_HOME": str(tmp_path)}).returncode == 0
    (lesson,) = json.loads(out.read_text())["lessons"].values()
    assert lesson["questions"] == [{"tries": 2, "hints": 0, "shown": False}]


def test_list_and_present_from_a_pipe(tmp_path: Path) -> None:
    """Without a lesson and without a terminal they are listed; `present` takes its Enter from a pipe, too."""
    path = tmp_path / "03-two.fs"
    path.write_text(LESSON)
    listed = folioshell("learn", environ={"XDG_STATE_HOME": str(tmp_path)})
    assert len(listed.stdout.splitlines()) == len(LESSONS) + 3
    done = folioshell("present", str(path), stdin="next 9\n\n", environ={"XDG_STATE_HOME": str(tmp_path)})
    assert "answer: 2" in done.stdout


def test_run_and_scenarios_by_name() -> None:
    """`class/03` is the lesson that begins so."""
    done = folioshell("run", "--quiet", "class/03")

    assert done.returncode == 0
    assert re.fullmatch(r"class/03: passed: \d+ steps, \d+ expects?, 3 questions, 2 tasks\n", done.stdout)
    assert folioshell("run", "--quiet", "class/").returncode == 2


@pytest.mark.parametrize("term", [pytest.param("xterm-256color", marks=pytest.mark.full), "dumb"])
def test_terminal_and_kill(term: str, tmp_path: Path) -> None:
    """At 80x24 a lesson is learned; after kill -9 it goes on at the same question. A dumb terminal gets no escape."""
    path = tmp_path / "03-two.fs"
    path.write_text(LESSON)
    environ = environment(tmp_path) | {"TERM": term}
    with Terminal((*COMMAND, "learn", str(path)), environ, rows=24, columns=80) as terminal:
        terminal.wait_for("3 A 1>")
        terminal.send("\r")
        terminal.wait_for("3 A 2>")
        terminal.send("\r")
        terminal.wait_for("3 A 3>")
        terminal.send("\r")
        terminal.wait_for("Predict: How many entries map f1")
        terminal.send("4\r")
        terminal.wait_for("Not 4: Page 0 alone is in f1.")
        terminal.kill(signal.SIGKILL)
        terminal.wait()
        if term == "dumb":
            assert b"\x1b" not in terminal.raw
    with Terminal((*COMMAND, "learn", str(path)), environ, rows=24, columns=80) as terminal:
        terminal.wait_for("Predict: How many entries map f1")
        terminal.send("2\r")
        text = terminal.wait_for("3 A 4>")
        assert "Right." in text and "Each process has an entry of its own." in text
        terminal.send("next\r")
        terminal.wait_for("And after B has written?")
        terminal.send("1\r")
        terminal.wait_for("Which locks")
        terminal.send("skip\r")
        terminal.wait_for("3 A 5>")
        terminal.forget()
        terminal.send("\r")
        terminal.wait_for("Type commands until all goals hold")
        terminal.send("answer\r")
        terminal.wait_for("fork C ; B: munmap buf[1]")
        terminal.send("\r" if term != "dumb" else "fork C ; B: munmap buf[1]\r")
        terminal.wait_for("All goals hold, after 2 steps.")
        terminal.send("quit\r")
        assert terminal.wait() == 0


@pytest.mark.full
@pytest.mark.parametrize("number", LESSONS)
def test_every_lesson_at_a_terminal(number: int, tmp_path: Path) -> None:
    """Each is gone through at 80x24 in plain mode, and nothing that is shown at once is longer than a screen."""
    steps = ["\n", "400\n", "pt7\n", "skip\n"] * 60
    done = typed_in(str(number), "".join(steps), tmp_path, "--plain", "--width", "80")

    assert f"This is the end of lesson {number}: 5 of 5 done." in done.stdout
    assert "\x1b" not in done.stdout
    # What is typed into a pipe is not echoed, so that the output follows the prompt.
    screens = re.split(rf"^(?:\?|{number} \w+ \d+>) ", done.stdout, flags=re.MULTILINE)
    assert max(screen.rstrip("\n").count("\n") + 1 for screen in screens) <= LINES
    assert max(len(line) for screen in screens for line in screen.splitlines()) <= 80


@pytest.mark.full
@pytest.mark.parametrize("number", LESSONS)
def test_every_lesson_with_wrong_answers_at_a_terminal(number: int, tmp_path: Path) -> None:
    """At a terminal of 80x24 each is gone through, with three wrong answers first and `answer` to each task."""
    lesson = read_lesson(LESSONS[number], Session().language)
    prompt = re.compile(rf"(?:\A|\n)(?:{number} \w+ \d+>|\?) \Z")
    environ = environment(tmp_path) | {"TERM": "dumb"}
    shown: list[str] = []
    with Terminal((*COMMAND, "learn", str(number)), environ, rows=24, columns=80) as terminal:

        def typed(line: str) -> str:
            terminal.forget()
            terminal.send(f"{line}\r")
            text = terminal.wait_until(lambda text: prompt.search(text) is not None, "prompt").replace("\r", "")
            shown.append(text)
            return text

        terminal.wait_until(lambda text: prompt.search(text) is not None, "prompt")
        for unit in lesson.units:
            text = typed("")
            for asked in unit.asked:
                for word in wrong_answers(asked):
                    assert f"Not {word}" in typed(word)
                text = typed(asked.value)
                assert "Right." in text
            if unit.task is not None:
                _, solution, *_ = filter(None, typed("answer").split("\n"))
                assert "All goals hold" in typed(solution)
            elif unit.prose and unit.line is not None and not unit.asked:
                text = typed("")
        terminal.send("quit\r")
        assert terminal.wait() == 0
    assert f"This is the end of lesson {number}: 5 of 5 done." in "".join(shown)
    assert "\x1b" not in "".join(shown)
    # Besides what the lesson shows there is the echo of what was typed, an empty line, and the prompt.
    assert max(text.strip("\n").count("\n") for text in shown) <= LINES + 2

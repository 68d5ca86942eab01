"""Lessons on the command line: `learn` and `present` open the shell in one, `lesson check` tells authors of faults.

What an author must know of a lesson before a class sees it:
- All that ``run`` checks: values, wrong answers, solutions, expects. A solution must exist, no goal may hold at the
  start of its task, and none may name an id.
- What is shown at once fits on a screen of 80x24, so that a question can be answered without scrolling.
- Every technical word is in the glossary, and stands in no lesson before the one that introduces it. Such words are the
  names in the glossary, abbreviations in capitals, identifiers, and what is *emphasized*; `code` is not read.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence

from folioshell.commands.glossary import lookup, words_in
from folioshell.commands.grammar import TEXT
from folioshell.commands.operands import ID_FORM
from folioshell.errors import Refused
from folioshell.records import NamedTuple
from folioshell.report import Report
from folioshell.script import Session, script
from folioshell.script.files import LearnLog, path_of, state_folder
from folioshell.script.learning import Lesson, begin, read_lesson
from folioshell.script.lesson import ClassLine, ClassTask, goal_text, holds
from folioshell.script.runner import REFUSED, run_file
from folioshell.script.tutor import Tutor
from folioshell.shell.presenter import Presenter
from folioshell.shell.repl import interact
from folioshell.shell.replay import failure_blocks, golden_lines
from folioshell.views.blocks import Block, Line, Span, Tone
from folioshell.views.glyphs import visible
from folioshell.views.refusal_view import caret_block
from folioshell.views.report_view import plain_lines
from folioshell.views.screen import Screen
from folioshell.wording import counted

#: the screen of a lesson: its columns, and its lines without the prompt and what is typed there
COLUMNS, LINES = 80, 22
FAILED = 1

_CODE = re.compile(r"`[^`]*`")
_EMPHASIZED = re.compile(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])")
#: abbreviations and identifiers
_TECHNICAL = re.compile(r"\b(?:[A-Z]{2,}(?:-[A-Z]+)*s?|\w+_\w+|[a-z]\w+\(\))(?!\w)")
#: abbreviations that are plain English
_PLAIN = {"CPU", "OK", "USB", "AM", "PM"}
_MINUTES = re.compile(r"\b[0-9]+ minutes?\.\Z")


class LessonFault(NamedTuple):
    """Something that an author should change.

    Args:
        line: its line, from 1.
        text: that line.
        message: what is wrong.
        start, end: columns of what is meant, half-open, from 0; equal for the whole line.
    """

    line: int
    text: str
    message: str
    start: int = 0
    end: int = 0

    def blocks(self, file: str) -> Iterator[Block]:
        """As it is shown."""
        place = f"{visible(file)}:{self.line}:{self.start + 1}: "
        yield Line((Span("FAIL  ", Tone.BAD), Span(place + self.message, Tone.STRONG)))
        if self.end > self.start:
            yield caret_block(self.text, self.start, self.end, COLUMNS + 10, 6)


def learn(session: Session, screen: Screen, errors: Screen, lesson: str, export: str | None) -> int:
    """Open the shell in a lesson, by default the one under way; returns the exit status.

    Args:
        lesson: its number or file; without one they are only listed where no one types.
        export: write a copy of the progress file here instead.
    """
    if export is None and (lesson or sys.stdin.isatty()):
        return interact(session, screen, errors, first=f"learn {_quoted(lesson)}" if lesson else "learn")
    session.host.state = str(state_folder(os.environ) or "")
    command = "lessons" if export is None else f"learn export={_quoted(export)}"
    Presenter(session, screen, errors).show(session.execute(command))
    return 0


def present(session: Session, screen: Screen, errors: Screen, file: str, *, asking: bool) -> int:
    """Open the shell to present a script; returns the exit status."""
    return interact(session, screen, errors, first=f"present {_quoted(file)}{' ask' if asking else ''}")


def _quoted(word: str) -> str:
    """A word of the command line as an argument of a command."""
    return f"'{word}'" if '"' in word else f'"{word}"'


# lesson check


def check_lessons(names: Sequence[str], screen: Screen, errors: Screen) -> int:
    """Check lessons and show what is wrong with each; returns the exit status."""
    status = 0
    for name in names:
        path = path_of(name)
        try:
            lesson = read_lesson(path, Session().language)
            lines = script.parse(script.read_text(path), path, Session().language)
        except Refused as error:
            errors.refusal(error)
            status = max(status, REFUSED)
            continue
        found, faults = list(_run_faults(path, lines)), [*line_faults(lesson, lines), *screen_faults(lesson, lines)]
        for blocks in found:
            screen.write(blocks)
        for fault in sorted(faults):
            screen.write(list(fault.blocks(path)))
        nr = len(found) + len(faults)
        what = Span(counted(nr, "fault"), Tone.BAD) if nr else Span("no fault", Tone.GOOD)
        questions = sum(len(unit.asked) for unit in lesson.units)
        counts = f": {counted(questions, 'question')}, {counted(lesson.nr_questions - questions, 'task')}"
        screen.write([Line((Span(f"{visible(name)}: "), what, Span(counts)))])
        status = max(status, FAILED if nr else 0)
    return status


def _run_faults(path: str, lines: Sequence[script.ScriptLine]) -> Iterator[list[Block]]:
    """What fails when it is run, and goals that hold at the start of their task."""
    tasks = {line.number: line.task for line in lines if line.task is not None}
    session = Session(counting=())
    for event in run_file(path, session=session, render=golden_lines):
        if blocks := failure_blocks(event):
            yield blocks
        task = tasks.pop(event.line, None) if event.prose is not None and event.file == path else None
        for fault in _early_goals(session, task) if task is not None else ():
            yield list(fault.blocks(path))


def _early_goals(session: Session, task: ClassTask) -> Iterator[LessonFault]:
    for goal in task.goals:
        found = holds(session, goal)
        if found is not None and found.passed:
            yield _at(goal, f"this goal holds already at the start of the task: {goal_text(goal)}")


def _at(about: ClassLine, message: str) -> LessonFault:
    """A fault of a whole line for class."""
    text = about.written.raw
    return LessonFault(about.written.number, text, message, about.statement.start, len(text.rstrip()))


def line_faults(lesson: Lesson, lines: Sequence[script.ScriptLine]) -> Iterator[LessonFault]:
    """What is wrong with the text of a lesson."""
    first = next((line for line in lines if line.prose), None)
    if first is None or not _MINUTES.search(lesson.summary):
        number, text = (first.number, first.text) if first is not None else (1, "")
        yield LessonFault(
            number, text, "no first paragraph that ends with the time it takes: `10 minutes.`", 0, len(text)
        )
    tasks = [line.task for line in lines if line.task is not None]
    for task in tasks:
        if not task.solutions:
            yield _at(task.line, "this task has no solution")
        for goal in task.goals:
            yield from _ids(goal)
    for asked in (asked for line in lines for asked in line.asked):
        yield from (fault for wrong in asked.wrong for fault in _tells(wrong, asked.value))
    for line in lines:
        if line.prose is not None:
            start = line.text.index("|") + 1
            yield from word_faults(line.number, line.text, start, lesson.number)
        for about in _texts(line):
            (token,) = about.statement.arguments.tokens(TEXT) or (None,)
            if token is not None:
                start = about.written.text.index(token.text, token.start)
                yield from word_faults(about.written.number, about.written.text, start, lesson.number)


def _tells(wrong: ClassLine, value: str) -> Iterator[LessonFault]:
    """The right answer in the text to a wrong one, as in `it is 2`; `no` and `yes` are words of any sentence."""
    text, start = wrong.written.text, wrong.statement.arguments.tokens(TEXT)[0].start
    said = re.compile(rf"\b(?:is|are|says|answer:?|only) {re.escape(value)}(?!\w)", re.IGNORECASE).search(text, start)
    if said is not None and value not in ("", "no", "yes", "maybe"):
        yield LessonFault(wrong.written.number, text, f"this tells the answer, {value}", *said.span())


def _ids(goal: ClassLine) -> Iterator[LessonFault]:
    """Ids in a goal: they depend on what was done before. Locks have no other names."""
    if goal.statement.form.lead == "locks":
        return
    for found in re.finditer(r"\S+", goal.written.text.partition(" | ")[0]):
        if ID_FORM.match(found[0]):
            message = f"a goal names no id, but a region, file or process: {found[0]}"
            yield LessonFault(goal.written.number, goal.written.text, message, *found.span())


def _texts(line: script.ScriptLine) -> Iterator[ClassLine]:
    """The lines for class whose text a reader sees."""
    for asked in line.asked:
        yield from (asked.line, *asked.hints, *asked.wrong, *asked.after)
    if line.task is not None:
        yield from (line.task.line, *line.task.goals, *line.task.hints, *line.task.after)


def word_faults(number: int, text: str, start: int, lesson: int) -> Iterator[LessonFault]:
    """Technical words in a line of text, from column ``start`` on, that this lesson may not use.

    Args:
        number: of the line.
        lesson: number of the lesson; 0 of any other script, which may use all of the glossary.
    """
    read = " " * start + _CODE.sub(lambda code: " " * len(code[0]), text[start:])
    known = set()
    for use in words_in(read):
        known |= set(range(use.start, use.end))
        if use.lesson is None:
            yield LessonFault(number, text, f"no lesson introduces `{use.name}`", use.start, use.end)
        elif lesson and use.lesson > lesson:
            yield LessonFault(
                number, text, f"`{use.name}` stands before lesson {use.lesson}, which introduces it", *use[1:3]
            )
    for found in (*_TECHNICAL.finditer(read), *_EMPHASIZED.finditer(read)):
        word = found[found.lastindex or 0]
        if known.isdisjoint(range(*found.span())) and word not in _PLAIN and not lookup(word):
            yield LessonFault(number, text, f"`{word}` is not in the glossary", *found.span(found.lastindex or 0))


def screen_faults(lesson: Lesson, lines: Sequence[script.ScriptLine]) -> Iterator[LessonFault]:
    """What is shown at once, and does not fit on a screen; a lesson that fails on its way is left there."""
    session = Session(counting=())
    try:
        yield from _too_long(begin(session, lesson.path, LearnLog(None), asking=True), lines[0], "the beginning")
        tutor = session.teacher
        assert isinstance(tutor, Tutor)
        while (unit := tutor.unit) is not None:
            first = unit.line or lines[0]
            yield from _too_long(tutor.next(), first, "what is read before this")
            while tutor.asks and tutor.unit is unit:
                yield from _too_long(tutor.answer(), first, "what follows the answer here")
            if unit.task is not None:
                tutor.skip()
    except Refused:
        # `run` says where and why.
        return


def _too_long(reports: Sequence[Report], about: script.ScriptLine, what: str) -> Iterator[LessonFault]:
    nr = len(plain_lines(reports, COLUMNS))
    if nr > LINES:
        yield LessonFault(
            about.number, about.text, f"{what} has {nr} lines at {COLUMNS} columns: {LINES} fit on a screen"
        )

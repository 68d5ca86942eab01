"""Lessons: what a script says to a class, unit by unit; the commands of those who learn and who lecture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import chain, groupby

from folioshell.commands import glossary
from folioshell.commands.call import Call, done
from folioshell.commands.grammar import PROGRAM, VIEW, Arg, Form, Option, command, flags
from folioshell.commands.operands import Pair, Word
from folioshell.commands.reference import HelpSource, sources
from folioshell.commands.teaching import TOPIC
from folioshell.errors import reason_of
from folioshell.records import NamedTuple
from folioshell.report import Report, Table, Text
from folioshell.script import script
from folioshell.script.files import LearnLog, lesson_number, path_of, scenario_folder, shipped_lessons, write_file
from folioshell.script.lesson import ClassTask, Prediction
from folioshell.script.script import ScriptLine, has_command
from folioshell.session.language import Language
from folioshell.session.session import Session
from folioshell.wording import counted, paragraphs


class Unit(NamedTuple):
    """What `next` shows at once: text, and the command line or the task below it.

    Args:
        prose: Markdown.
        line: the command line; None for a task, and for text at the end.
        task: the task.
        checks: the lines of assertions below the command line.
    """

    prose: tuple[str, ...] = ()
    line: ScriptLine | None = None
    task: ClassTask | None = None
    checks: tuple[ScriptLine, ...] = ()

    @property
    def asked(self) -> tuple[Prediction, ...]:
        """The questions about its command line."""
        return self.line.asked if self.line is not None else ()

    @property
    def nr_questions(self) -> int:
        """How many questions and tasks it has."""
        return len(self.asked) + (self.task is not None)

    def introduction(self) -> list[str]:
        """What is read before its command line runs."""
        text = list(paragraphs(self.prose))
        if self.line is not None:
            text += [""] * bool(text) + [f"next: {' '.join(self.line.text.split())}"]
        return text


class Lesson(NamedTuple):
    """A script to teach from.

    Args:
        name: its key in the progress file: ``03-cow``, or the path of a file.
        number: of a lesson of the class; 0 of any other script.
        text: hash of its text.
        title, summary: its first line of prose, and the first paragraph below it.
        settings: the lines of settings above its first other command.
        units: the rest.
        path: the file.
    """

    name: str
    number: int
    text: str
    title: str
    summary: str
    settings: tuple[ScriptLine, ...]
    units: tuple[Unit, ...]
    path: str

    @property
    def nr_questions(self) -> int:
        """How many questions and tasks it has."""
        return sum(unit.nr_questions for unit in self.units)


def lesson_of(lines: Sequence[ScriptLine], name: str, path: str, text: str) -> Lesson:
    """The lesson that a parsed script is; name, path and text as in ``Lesson``."""
    number = lesson_number(path)
    lines = [line for line in lines if line.comment is None]
    nr = next((at for at, line in enumerate(lines) if line.prose is None), len(lines))
    written = [line.prose or "" for line in lines[:nr]]
    first, *more = [list(one) for given, one in groupby(written, bool) if given] or [[""]]
    title, *below = first
    title = title.lstrip("# ")
    if number:
        title = title.removeprefix(f"{number}:").strip()
    rest = [below, *more] if below else more
    summary = " ".join(rest[0]) if rest else ""
    prose = tuple(chain.from_iterable([*one, ""] for one in rest[1:]))[:-1]
    settings = list(lines[nr:])
    nr_set = next((at for at, line in enumerate(settings) if not _only(line, "set")), len(settings))
    taught = settings[nr_set:]
    if prose and taught and taught[0].prose is not None:
        # Settings stand between two paragraphs.
        prose += ("",)
    units = tuple(_units(prose, taught))
    return Lesson(name, number, text, title, summary, tuple(settings[:nr_set]), units, path)


def _only(line: ScriptLine, verb: str) -> bool:
    """Does a line hold commands of one kind alone, and no question about them?"""
    return bool(line.statements) and not line.asked and all(has_command(one, verb) for one in line.statements)


def _units(prose: tuple[str, ...], lines: Sequence[ScriptLine]) -> Iterator[Unit]:
    unit = Unit(prose)
    for line in lines:
        if line.prose is not None:
            if unit.line is not None or unit.task is not None:
                yield unit
                unit = Unit()
            unit = unit._replace(prose=(*unit.prose, line.prose))
        elif unit.line is not None and _only(line, "expect"):
            unit = unit._replace(checks=(*unit.checks, line))
        else:
            if unit.line is not None or unit.task is not None:
                yield unit
                unit = Unit()
            unit = unit._replace(line=None if line.task else line, task=line.task)
    if any(unit):
        yield unit


# The lessons that come with folioshell.


def read_lesson(path: str, language: Language) -> Lesson:
    """The lesson that a script file is.

    Raises:
        Refused: it cannot be read or parsed.
    """
    # Few sessions learn.
    from hashlib import sha256

    text = script.read_text(path)
    shipped = scenario_folder()
    stem = path.rpartition("/")[2].removesuffix(".fs")
    ours = shipped is not None and os.path.realpath(path).startswith(f"{os.path.realpath(shipped)}/")
    name = stem if ours else os.path.realpath(path)
    digest = sha256(text.encode()).hexdigest()
    return lesson_of(script.parse(text, path, language), name, path, digest)


def _log(session: Session) -> LearnLog:
    """Where progress is kept."""
    from pathlib import Path

    return LearnLog(Path(session.host.state) if session.host.state else None)


def _progress(lesson: Lesson, log: LearnLog) -> str:
    """How far a lesson is, in words: ``done 3 of 3``, ``here 1 of 3, 1 hint``, or ``-``."""
    records = log.of(lesson.name, lesson.text)
    if not records:
        return "-"
    done = sum(not record.open for record in records)
    word = "done" if done >= lesson.nr_questions else "here"
    hints, shown = (sum(record.hints for record in records), sum(record.shown for record in records))
    notes = [counted(number, noun) for number, noun in ((hints, "hint"), (shown, "answer")) if number]
    return ", ".join((f"{word} {done} of {lesson.nr_questions}", *notes))


def _list(session: Session, log: LearnLog) -> tuple[Table, int]:
    """The lessons with their progress; the number of the first that is not done, one under way before others."""
    rows, begun, new = [], 0, 0
    for number, path in shipped_lessons().items():
        lesson = read_lesson(path, session.language)
        progress = _progress(lesson, log)
        rows.append((number, lesson.title, progress))
        begun = begun or (number if progress.startswith("here") else 0)
        new = new or (number if progress == "-" else 0)
    return Table("lessons", ("lesson", "title", "progress"), tuple(rows)), begun or new


def _lesson_pairs(session: Session) -> Iterator[Pair]:
    for number, path in shipped_lessons().items():
        yield str(number), read_lesson(path, session.language).title


def _lesson_names(session: Session) -> Iterator[Pair]:
    for number, path in shipped_lessons().items():
        yield path.rpartition("/")[2].removesuffix(".fs"), f"lesson {number}"


def _lesson_help(session: Session, name: str) -> Iterator[Text]:
    """What `help 03-cow` and `help lesson 3` say."""
    for number, path in shipped_lessons().items():
        if name in (f"lesson {number}", path.rpartition("/")[2].removesuffix(".fs")):
            lesson = read_lesson(path, session.language)
            terms = ", ".join(term.names[0] for term in glossary.terms() if term.lesson == number)
            new = f"New terms: {terms}." if terms else ""
            lines = (lesson.summary, new, f"`learn {number}` begins it or continues it.")
            yield Text(tuple(filter(None, lines)), title=f"lesson {number}: {lesson.title}")


sources.append(HelpSource(_lesson_names, _lesson_help))


def _found(call: Call, name: str) -> str:
    """The path of the lesson or script that an argument names: a number, a scenario, or a file."""
    word = call.word(name)
    shipped = shipped_lessons()
    if word.isdecimal():
        if int(word) not in shipped:
            raise call.refused_at(name, f"there is no lesson {word}", allowed=list(map(str, shipped)))
        return shipped[int(word)]
    path = path_of(word)
    return path if path != word else script.readable(call, name)


# The commands.


def begin(session: Session, path: str, log: LearnLog | None, *, asking: bool, afresh: bool = False) -> list[Report]:
    """Reset a session, and begin the lesson of a file in it or continue it.

    Args:
        log: where progress is kept; None for a script that is presented.
        asking: questions wait for an answer.
        afresh: forget what was answered.
    Raises:
        Refused: the file cannot be read or parsed.
    """
    from folioshell.script.tutor import Tutor

    lesson = read_lesson(path, session.language)
    said = []
    if log is not None and log.has_other_text(lesson.name, lesson.text):
        said.append("The text of this lesson has changed: its questions are asked again.")
    if log is not None:
        # At once, so that a learner sees at the start if nothing can be kept.
        log.keep(lesson.name, lesson.text, [] if afresh else log.of(lesson.name, lesson.text))
    session.reset()
    tutor = Tutor(session, lesson, log, asking=asking)
    word = f"learn {lesson.number}" if lesson.number else "learn"
    what = f"{word if log is not None else 'present'}: {lesson.summary or lesson.title}"
    keys = "`next` or Enter continues"
    keys += ", `quit` keeps your place." if log is not None else ", `back` returns to the script."
    header = Report("learn", session.process, sections=(Text((what, *said, keys)),))
    return [header, *tutor.resume()]


def _noted(reports: list[Report], log: LearnLog) -> list[Report]:
    """What the user should know of the progress file, after all else."""
    if log.problem:
        reports.append(Report("learn", "", sections=(Text((log.problem,)),)))
        log.problem = ""
    return reports


@command(
    "learn",
    Form(
        args=(
            Arg(
                "LESSON",
                Word("a lesson", _lesson_pairs),
                "number of a lesson, or a script (default: the one under way, else the next)",
                optional=True,
            ),
        ),
        options=(Option("export", script_file := Word("a file name"), "write the progress file here instead"),),
    ),
    kind=PROGRAM,
    topic=TOPIC,
)
def learn(call: Call) -> list[Report]:
    """Begin a lesson, or continue it.

    Resets the session, and goes through a lesson line by line: `next` or Enter shows the next one. Before some of them
    a question is asked; type the answer, or `hint`, `answer` or `skip`. In a task, type commands until all goals hold.
    Any other command can be typed in between; `next` returns to the lesson. Without LESSON it lists the lessons and
    continues with the one under way, or begins the next.

    What was answered is kept in learn.json in the state folder ($XDG_STATE_HOME/folioshell), so `quit` keeps the place.
    `export=FILE` copies it, to hand it in.

    Example:
        learn 1 ; next
        learn
    """
    log = _log(call.session)
    if "export" in call.arguments:
        return _noted([_export(call, log)], log)
    if "LESSON" in call.arguments:
        return _noted(begin(call.session, _found(call, "LESSON"), log, asking=True), log)
    table, number = _list(call.session, log)
    reports = [done(call, sections=(table,))]
    if number:
        reports += begin(call.session, shipped_lessons()[number], log, asking=True)
    return _noted(reports, log)


def _export(call: Call, log: LearnLog) -> Report:
    path = call.word("export")
    if not call.session.host.access.may_write:
        raise call.refused_at("export", "scripts may not write files", hint="`--allow-files` permits it")
    try:
        write_file(path, log.document().encode())
    except (OSError, ValueError) as error:
        raise call.refused_at("export", f"cannot write {path}: {reason_of(error)}") from None
    return done(call, f"Progress written to {path}.")


@command("lessons", kind=VIEW, topic=TOPIC)
def lessons(call: Call) -> Report:
    """List the lessons, and how far each is.

    `here` is under way: so many of its questions and tasks are done, with so many hints and answers.

    Example:
        lessons
    """
    log = _log(call.session)
    table, _ = _list(call.session, log)
    return done(call, sections=(table._replace(note=log.problem or "`learn N` begins lesson N or continues it"),))


@command(
    "present",
    Form(
        args=(Arg("FILE", Word("a script"), "the script, or the name of a scenario"),),
        flags=flags("how", ask="questions wait for an answer"),
    ),
    kind=PROGRAM,
    topic=TOPIC,
)
def present(call: Call) -> list[Report]:
    """Present a script to a class, line by line.

    Resets the session. `next` or Enter shows the prose above the next line, then runs it. If there is a question about
    it, Enter shows the question first and holds the output back until the next Enter; with `ask` it waits for an
    answer, as in `learn`. It stays a full shell: type what the class wants to see, and `back` returns to the script.
    Nothing is kept.

    Example:
        present class/01 ; next 3 ; back
        present mail/simple ask
    """
    return begin(call.session, _found(call, "FILE"), None, asking=call.word("how") == "ask")

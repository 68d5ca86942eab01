"""Teaching from a script: a lesson that is learned alone, or a script that a lecturer presents.

Rules:
- A lesson is played on one branch of the history, which nothing else extends: a step that is typed in between, or for a
  task, goes to a branch of its own. So every line can be undone exactly, and `back` loses nothing.
- The answer to a question is what the model says after its command line. To know it before, the line is run aside.
- No answer is printed before it was given or asked for.
"""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.commands.grammar import TEXT, registry
from folioshell.commands.history import Track, aside
from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused
from folioshell.report import Report, Text
from folioshell.script.files import LearnLog, QuestionRecord, shipped_lessons
from folioshell.script.learning import Lesson, Unit, begin
from folioshell.script.lesson import ClassLine, ClassTask, Prediction, goal_text, open_goals
from folioshell.session.language import MODEL, SESSION, Statement
from folioshell.session.session import Session
from folioshell.wording import counted

#: lines that explain an answer without an ``?after``, at most
WHY = 4
#: wrong answers after which help is offered, and the answer
_TRIES_FOR_HINT, _TRIES_FOR_ANSWER = 2, 3
NOTHING_ASKED = "Nothing is asked now; `next` or Enter continues."


class Tutor:
    """Teaches from a script in a session; see ``session.language.Teacher``.

    Args:
        session: a session at its beginning; it becomes the teacher of it.
        lesson: what is taught.
        log: where progress is kept; None for a script that is presented.
        asking: questions wait for an answer; otherwise for `next`.
    """

    def __init__(self, session: Session, lesson: Lesson, log: LearnLog | None, *, asking: bool) -> None:
        self.session = session
        self.lesson = lesson
        self.log = log
        self.asking = asking
        self._records = list(log.of(lesson.name, lesson.text)) if log is not None else []
        self._track = Track(session)
        for line in lesson.settings:
            self._track.run(line.statements)
        self._track = Track(session)
        #: the unit that comes next is shown, but not played yet
        self._shown = False
        #: the questions of it that wait for an answer, and the right answers to all of them
        self._waiting: list[Prediction] = []
        self._answers: list[str] = []
        #: the task that is under way, and its goals that do not hold
        self._task: ClassTask | None = None
        self._open: list[ClassLine] = []
        session.teacher = self

    # Where it is.

    @property
    def name(self) -> str:
        """The number of the lesson."""
        return str(self.lesson.number or "")

    @property
    def asks(self) -> str:
        """``?`` while a question waits for an answer."""
        return "?" if self._waiting and self.asking else ""

    @property
    def unit(self) -> Unit | None:
        """The one that comes next; None at the end."""
        at = self._track.at
        return self.lesson.units[at] if at < len(self.lesson.units) else None

    def _forget_unit(self) -> None:
        self._shown, self._waiting, self._answers, self._task = False, [], [], None

    def back(self) -> bool:
        """Return to the state of the lesson; False if the session is in it."""
        self._follow()
        return self._track.back()

    def _follow(self) -> None:
        """Undo and redo move in the lesson, too: what comes next is what follows the present state."""
        if self._track.follow():
            self._forget_unit()

    # Playing.

    def next(self, nr: int = 1) -> list[Report]:
        """Show or play what comes next, so many times, up to a question, a task, or the end."""
        reports: list[Report] = []
        for _ in range(nr):
            reports += self._next()
            if self.asks or self._task is not None or self.unit is None:
                break
        return reports

    def _next(self) -> list[Report]:
        if self._task is not None:
            return [_said("next", *self._task.described(self._open), "`skip` continues without it.")]
        said = [_said("next", "Back in the lesson.")] if self.back() else []
        unit = self.unit
        if unit is None:
            return [*said, _said("next", *self._end())]
        if self._waiting and self.asking:
            return [*said, _said("next", *self._prediction())]
        if not self._shown:
            self._shown = True
            if unit.task is not None:
                return [*said, self._begin_task(unit, unit.task)]
            self._waiting = [] if self._is_closed(unit) else list(unit.asked)
            self._note_asked()
            if unit.line is None:
                return [*said, _said("next", *unit.introduction()), *self._play(unit)]
            if unit.prose or unit.asked:
                return [*said, _said("next", *unit.introduction(), *self._prediction())]
            said.append(_said("next", *unit.introduction()))
        return [*said, *self._play(unit)]

    def _play(self, unit: Unit) -> list[Report]:
        """Run the commands of a unit, and explain what was asked about them."""
        self._forget_unit()
        reports: list[Report] = []
        if unit.line is not None:
            reports += self._track.run(unit.line.statements)
            for asked in unit.asked:
                reports += self._explained(asked)
            for line in unit.checks:
                reports += [report for report in self._track.run(line.statements) if report.failed_expect]
        self._track.advance()
        if self.unit is None:
            reports.append(_said("next", *self._end()))
        return reports

    def _explained(self, asked: Prediction) -> list[Report]:
        """What is said when a question is answered: its author's text, or why the model answers so."""
        answer = asked.current(self.session)
        lines = [line.text for line in asked.after] or [*(answer.reasons() if answer is not None else ())][:WHY]
        shown = [f"answer: {answer.text}"] if answer is not None and not self.asking else []
        return [_said("next", *shown, *lines)] if shown or lines else []

    def _end(self) -> Iterator[str]:
        if not self.lesson.number or self.log is None:
            yield "This is the end of the script."
            return
        done = sum(not record.open for record in self._records)
        yield f"This is the end of lesson {self.lesson.number}: {done} of {self.lesson.nr_questions} done."
        following = self.lesson.number + 1
        if following in shipped_lessons():
            yield f"`learn {following}` begins the next one, `lessons` lists them."
        else:
            yield "It was the last one; `lessons` lists them."

    # Questions.

    def _prediction(self) -> list[str]:
        if not self._waiting:
            return []
        asked = self._waiting[0]
        text = f"Predict: {asked.line.text}"
        if self.asking:
            text += f"  {asked.allowed.capitalize()}; or hint, answer, skip."
        return [text]

    @property
    def _first(self) -> int:
        """The number of the first question or task of the unit that comes next, from 0."""
        return sum(unit.nr_questions for unit in self.lesson.units[: self._track.at])

    def _is_closed(self, unit: Unit) -> bool:
        """Were all its questions answered, before it was undone?"""
        records = self._records[self._first :][: unit.nr_questions]
        return self.asking and sum(not record.open for record in records) == unit.nr_questions

    def _record(self) -> QuestionRecord:
        """What is noted of the question or task that waits."""
        number = self._first + (len(self.unit.asked) - len(self._waiting) if self.unit is not None else 0)
        while len(self._records) <= number:
            self._records.append(QuestionRecord(open=True))
        return self._records[number]

    def _note_asked(self) -> None:
        """What waits was asked: the lesson is to continue there."""
        if self._about() is not None:
            self._record()
            self._keep()

    def _keep(self) -> None:
        if self.log is not None:
            self.log.keep(self.lesson.name, self.lesson.text, self._records)

    def _right(self) -> str:
        """The right answer to the question that waits: what the model answers after the command line, run aside."""
        unit = self.unit
        assert unit is not None
        if not self._answers and unit.line is not None:
            self.back()
            with aside(self.session):
                self._track.run(unit.line.statements)
                answers = [asked.current(self.session) for asked in unit.asked]
            self._answers = [answer.text if answer is not None else "" for answer in answers]
        return self._answers[len(unit.asked) - len(self._waiting)]

    def reply(self, line: str) -> list[Report] | None:
        """See ``Teacher``."""
        words = line.split(maxsplit=1)
        if not words:
            return self.next()
        verb = words[0].partition("[")[0]
        if not self.asks or verb in registry.commands or ":" in words[0] or verb in ("#", "fails"):
            return None
        asked, record = self._waiting[0], self._record()
        try:
            answer = asked.read(line.strip())
        except Refused as error:
            error.text = line.strip()
            raise
        record.tries += 1
        if answer == self._right():
            return self._answered("Right.")
        self._keep()
        text = next((wrong.text for wrong in asked.wrong if asked.read_wrong(wrong) == answer), "")
        said = [f"Not {answer}: {text}" if text else f"Not {answer}."]
        if record.tries >= _TRIES_FOR_ANSWER:
            said.append("`answer` shows it.")
        elif record.tries >= _TRIES_FOR_HINT and record.hints < len(asked.hints):
            said.append("`hint`?")
        return [_said(f"? {answer}", " ".join(said))]

    def _answered(self, text: str) -> list[Report]:
        """The question that waits is done with: ask the next one, or run the command line."""
        self._record().open = False
        self._keep()
        unit = self.unit
        assert unit is not None
        del self._waiting[0]
        said = [_said("next", text)] if text else []
        if self._waiting:
            return [*said, _said("next", *self._prediction())]
        self.back()
        return [*said, *self._play(unit)]

    def hint(self) -> list[Report]:
        """The next hint."""
        if (about := self._about()) is None:
            return [_said("hint", NOTHING_ASKED)]
        record = self._record()
        if not about.hints:
            return [_said("hint", "There is no hint.")]
        shown = min(record.hints, len(about.hints) - 1)
        record.hints = max(record.hints, shown + 1)
        self._keep()
        return [_said("hint", f"Hint {shown + 1} of {len(about.hints)}: {about.hints[shown].text}")]

    def answer(self) -> list[Report]:
        """The answer to the question, noted; or the solution of the task, for the input line."""
        if (about := self._about()) is None:
            return [_said("answer", NOTHING_ASKED)]
        self._record().shown = True
        if isinstance(about, Prediction):
            return self._answered(f"The answer is {self._right()}.")
        self._keep()
        if not about.solutions:
            return [_said("answer", "There is no solution in the script.")]
        (token,) = about.solutions[0].line.statement.arguments.tokens(TEXT)
        self.back()
        self.session.host.output.offered = token.text
        return []

    def skip(self) -> list[Report]:
        """Continue without the question or task."""
        if (about := self._about()) is None:
            return [_said("skip", NOTHING_ASKED)]
        if isinstance(about, Prediction):
            return self._answered("")
        return self._end_task("Skipped.")

    def _about(self) -> Prediction | ClassTask | None:
        """The question or task that waits; None if none does."""
        return self._task or (self._waiting[0] if self._waiting else None)

    def again(self) -> list[Report]:
        """Begin again; what was answered is forgotten."""
        return begin(self.session, self.lesson.path, self.log, asking=self.asking, afresh=True)

    # Tasks.

    def _begin_task(self, unit: Unit, task: ClassTask) -> Report:
        self._open = open_goals(self.session, task)
        said = ["Type commands until all goals hold; or hint, answer, skip."] * self.asking
        self._task = task if self.asking else None
        self._note_asked()
        return _said("next", *unit.introduction(), *task.described(self._open), *said)

    def before(self, statement: Statement) -> None:
        """A step that is typed goes to a branch of its own; see ``Teacher``."""
        if self._track.playing or statement.kind != MODEL:
            return
        assert isinstance(statement, ParsedStatement)
        if self._task is not None and (reason := self._task.forbids(statement)):
            raise Refused(reason, text=statement.line, start=statement.start, end=statement.end)
        self._follow()
        self._track.leave(self._task.name if self._task is not None else "aside")

    def after(self, statement: Statement) -> list[Report]:
        """Which goals of the task newly hold, or do not hold any more; see ``Teacher``."""
        if self._track.playing or statement.kind not in (MODEL, SESSION):
            return []
        self._follow()
        task = self._task
        if task is None:
            return []
        before, self._open = self._open, open_goals(self.session, task)
        said = [f"holds now: {goal_text(goal)}" for goal in before if goal not in self._open]
        said += [f"holds no longer: {goal_text(goal)}" for goal in self._open if goal not in before]
        steps = self._track.steps_beside
        if task.steps is not None and steps > task.steps:
            said.append(f"{counted(steps, 'step')}, more than {task.steps}: `undo` goes back.")
        elif not self._open:
            said.append(f"All goals hold, after {counted(steps, 'step')}.")
            self._record().tries += 1
            return self._end_task(*said)
        return [_said("next", *said)] if said else []

    def _end_task(self, *said: str) -> list[Report]:
        """The task is done with; the state stays, `next` returns to the lesson."""
        task = self._task
        assert task is not None
        self._record().open = False
        self._keep()
        self._forget_unit()
        self._track.advance()
        after = [line.text for line in task.after]
        end = [*self._end()] if self.unit is None else ["`next` or Enter returns to the lesson."]
        return [_said("next", *said, *after, *end)]

    # Continuing.

    def resume(self) -> list[Report]:
        """Play what was done before, up to the question that was asked last; nothing if none was, or all are done."""
        if not self._records or self._is_done:
            self._records.clear()
            return []
        done = sum(not record.open for record in self._records)
        last = len(self._records)
        asked = 0
        while (unit := self.unit) is not None and asked + unit.nr_questions <= done and asked < last:
            asked += unit.nr_questions
            self._track.advance() if unit.task is not None else self._play(unit)
        text = f"{counted(done, 'question')} of {self.lesson.nr_questions} done; the lines before were run again."
        said = [_said("learn", text)]
        if unit is None or asked == last:
            return said
        if unit.task is None:
            self._shown, self._waiting = True, list(unit.asked[done - asked :])
            return [*said, _said("next", *unit.introduction(), *self._prediction())]
        return [*said, *self.next()]

    @property
    def _is_done(self) -> bool:
        return sum(not record.open for record in self._records) >= self.lesson.nr_questions


def _said(command: str, *lines: str) -> Report:
    """A report of lines."""
    return Report(command, "", sections=(Text(lines),))

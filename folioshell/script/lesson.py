"""The lines of a script for class, put together: a question with its hints and wrong answers, a task with its goals.

Rules:
- A question stands directly above the command line that it is about; what belongs to it stands below it, and above
  that line. A task is what stands between two other lines.
- What is wrong with an answer, a goal or a solution is found by running them: ``checks_of``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from folioshell.commands.call import Call
from folioshell.commands.compare import Values
from folioshell.commands.grammar import COMPARISON, TEXT
from folioshell.commands.history import aside
from folioshell.commands.lex import LogicalLine, Token
from folioshell.commands.operands import refused
from folioshell.commands.parse import ParsedStatement
from folioshell.commands.question import CurrentAnswer, questions
from folioshell.commands.schemes import TRUTH
from folioshell.errors import Refused
from folioshell.records import NamedTuple
from folioshell.report import Expect, Report
from folioshell.session.history import failure_of
from folioshell.session.language import MODEL, OUTPUT, PROGRAM, SESSION, Language
from folioshell.session.session import Session
from folioshell.wording import counted

_LOCK = re.compile(r"(pt|pmd)[0-9]+\Z|[A-Za-z_][A-Za-z0-9_-]*\.mm\Z|none\Z")
#: hints of a question or task at most
MOST_HINTS = 3
#: session commands that a solution may hold: it goes forward from where the task begins
_FORWARD = ("as", "set", "watch", "unwatch", "mark")


class ClassLine(NamedTuple):
    """A line for class.

    Args:
        written: as it stands in the script.
        statement: what it says.
    """

    written: LogicalLine
    statement: ParsedStatement

    @property
    def text(self) -> str:
        """The text that ends it."""
        return self.statement.arguments.get(TEXT, str, "")

    def refused(self, message: str, hint: str = "") -> Refused:
        """An error about its first word."""
        start = self.statement.start
        end = start + len(self.statement.command.verb)
        return Refused(message, start=start, end=end, text=self.written.text, hint=hint, line=self.written.number)


class Prediction(NamedTuple):
    """A question about a command line.

    Args:
        line: the ``?`` line.
        hints, wrong, after: the lines that belong to it.
    """

    line: ClassLine
    hints: tuple[ClassLine, ...] = ()
    wrong: tuple[ClassLine, ...] = ()
    after: tuple[ClassLine, ...] = ()

    @property
    def text(self) -> str:
        """The question in words."""
        return self.line.text

    @property
    def values(self) -> Values:
        """What may be answered."""
        arguments = self.line.statement.arguments
        asked = questions.by_name[arguments.get("lead", str)]
        if asked.judges is None or arguments.get("SCHEME", str, TRUTH) != TRUTH:
            return asked.values
        # Only a scheme may be unable to answer; page tables are looked at.
        return asked.values._replace(words=tuple(word for word in asked.values.words if word in ("no", "yes")))

    @property
    def value(self) -> str:
        """The right answer by the author; empty if there is none in the script."""
        arguments = self.line.statement.arguments
        return " ".join(arguments.get(COMPARISON, tuple)[1]) if COMPARISON in arguments else ""

    def read(self, text: str) -> str:
        """An answer in its normal form.

        Raises:
            Refused: it is none to this question; the columns are those of ``text``.
        """
        words, hint = text.replace(",", " ").split(), f"answer with {self.allowed}"
        whole = Token(text, 0, max(len(text), 1))
        if self.values.listed:
            if not all(_LOCK.match(word) for word in words):
                raise refused(whole, "these are no locks", hint=hint)
            return " ".join(word for word in words if word != "none") or "none"
        if len(words) != 1:
            raise refused(whole, "one answer is expected", hint=hint)
        equal = Token("==", 0, 0, "operator")
        try:
            return self.values.read([equal, Token(words[0], whole.start, whole.end)], equal).expected
        except Refused as error:
            raise refused(whole, error.message, hint=hint) from None

    def read_wrong(self, wrong: ClassLine) -> str:
        """The answer that a ``?wrong`` line is about."""
        return self.read(wrong.statement.arguments.get("VALUE", str))

    def current(self, session: Session) -> CurrentAnswer | None:
        """What the model answers in the present state; None if what it is about does not exist."""
        statement = self.line.statement
        call = Call(statement, session.workspace, session.process, session)
        try:
            return questions.of(call).answer(call)
        except Refused:
            return None

    @property
    def allowed(self) -> str:
        """What may be answered, in words."""
        if self.values.listed:
            return "locks, in the order in which they are taken: pt1 pt2"
        *words, last = ["a number"] * self.values.number + list(self.values.words)
        return f"{', '.join(words)} or {last}" if words else last


class Solution(NamedTuple):
    """A way to solve a task: its line, and the commands on it."""

    line: ClassLine
    statements: tuple[ParsedStatement, ...]


class ClassTask(NamedTuple):
    """A task.

    Args:
        line: the ``?task`` line.
        goals, hints, after: the lines that belong to it.
        solutions: each is a way to solve it.
    """

    line: ClassLine
    goals: tuple[ClassLine, ...] = ()
    hints: tuple[ClassLine, ...] = ()
    solutions: tuple[Solution, ...] = ()
    after: tuple[ClassLine, ...] = ()

    @property
    def name(self) -> str:
        """Its name."""
        return self.line.statement.arguments.get("NAME", str)

    @property
    def text(self) -> str:
        """The task in words."""
        return self.line.text

    @property
    def steps(self) -> int | None:
        """The most steps that it may take; None for no limit."""
        return self.line.statement.arguments.get("steps<", int, 0) or None

    @property
    def verbs(self) -> tuple[str, ...]:
        """The commands that may be used as steps; none if all may."""
        verbs: tuple[str, ...] = self.line.statement.arguments.get("allow", tuple, ())
        return verbs

    def described(self, missed: Sequence[ClassLine]) -> list[str]:
        """What a learner reads of it, given the goals that do not hold."""
        bounds = f"  At most {counted(self.steps, 'step')}." if self.steps is not None else ""
        bounds += f"  Only {', '.join(self.verbs)}." if self.verbs else ""
        goals = [f"{'[ ]' if goal in missed else '[x]'} {goal_text(goal)}" for goal in self.goals]
        return [f"Task: {self.line.text}{bounds}", *goals]

    def forbids(self, statement: ParsedStatement) -> str:
        """Why a command may not be used in it; empty if it may."""
        verb = statement.command.verb
        if not self.verbs or statement.kind != MODEL or verb in self.verbs:
            return ""
        return f"this task allows only {', '.join(self.verbs)}"


def goal_text(goal: ClassLine) -> str:
    """A goal in words: its own, or the expectation."""
    text = goal.statement.text.partition(" ")[2]
    return goal.text or " ".join(word for word in text.split(" ") if not word.startswith("points="))


def goal_item(goal: ClassLine) -> str:
    """A goal as an item of a list, in Markdown."""
    return f"- {goal_text(goal)}"


class Collector:
    """Puts the lines for class of a script together, line by line.

    Args:
        language: reads the commands of solutions.
    """

    def __init__(self, language: Language) -> None:
        self._language = language
        self._asked: list[Prediction] = []
        self._task: ClassTask | None = None
        self._names: set[str] = set()

    def take(self, line: ClassLine) -> ClassTask | None:
        """Add a line; returns the task that ended above it.

        Raises:
            Refused: it may not stand here.
        """
        verb = line.statement.command.verb
        ended = None
        if verb == "?task":
            self.check_no_question()
            ended, self._task = self.end_task(), ClassTask(line)
            if self._task.name in self._names:
                raise line.refused(f"there is already a task {self._task.name}")
            self._names.add(self._task.name)
        elif verb == "?":
            ended = self.end_task()
            self._asked.append(Prediction(line))
        elif self._task is not None:
            self._task = self._of_task(self._task, line, verb)
        elif self._asked and verb not in ("?goal", "?solution"):
            self._asked[-1] = self._of_question(self._asked[-1], line, verb)
        else:
            above = "task" if verb in ("?goal", "?solution") else "question"
            form = "?task NAME | TEXT" if above == "task" else "? QUERY | TEXT"
            raise line.refused(f"there is no {above} above this `{verb}`", hint=f"`{form}` stands above it")
        return ended

    def end_task(self) -> ClassTask | None:
        """Another line follows; returns the task that ended above it.

        Raises:
            Refused: the task has no goal.
        """
        ended, self._task = self._task, None
        if ended is not None and not ended.goals:
            raise ended.line.refused("this task has no goal", hint="`?goal EXPECTATION` states one")
        return ended

    def asked(self) -> tuple[Prediction, ...]:
        """A command line follows: the questions about it."""
        found, self._asked = tuple(self._asked), []
        return found

    def check_no_question(self) -> None:
        """Refuse a question without a command line directly below it.

        Raises:
            Refused: there is one; the error is about it.
        """
        if self._asked:
            hint = "it stands directly above its command line"
            raise self._asked[-1].line.refused("no command line follows this question", hint=hint)

    def _of_question(self, asked: Prediction, line: ClassLine, verb: str) -> Prediction:
        if verb == "?hint":
            return asked._replace(hints=_more(asked.hints, line, MOST_HINTS, f"{MOST_HINTS} hints"))
        if verb == "?after":
            return asked._replace(after=_more(asked.after, line, 1, "one `?after`"))
        (token,) = line.statement.arguments.tokens("VALUE")
        try:
            value = asked.read(token.text)
        except Refused as error:
            raise refused(token, error.message, hint=error.hint) from None
        if value in [other.statement.arguments.get("VALUE", str) for other in asked.wrong]:
            raise refused(token, f"there is already a `?wrong {value}` for this question")
        return asked._replace(wrong=(*asked.wrong, line))

    def _of_task(self, task: ClassTask, line: ClassLine, verb: str) -> ClassTask:
        if verb == "?hint":
            return task._replace(hints=_more(task.hints, line, MOST_HINTS, f"{MOST_HINTS} hints"))
        if verb == "?after":
            return task._replace(after=_more(task.after, line, 1, "one `?after`"))
        if verb == "?goal":
            return task._replace(goals=(*task.goals, line))
        if verb == "?solution":
            return task._replace(solutions=(*task.solutions, Solution(line, self._solving(line))))
        raise line.refused("a task has no wrong answers", hint="`?hint TEXT` helps with it")

    def _solving(self, line: ClassLine) -> tuple[ParsedStatement, ...]:
        """The commands of a solution; their columns are those of its line."""
        (token,) = line.statement.arguments.tokens(TEXT)
        found = []
        for statement in self._language.parse(" " * token.start + token.text):
            assert isinstance(statement, ParsedStatement)
            verb, kind = statement.command.verb, statement.kind
            loops = statement.command.expand is not None
            if kind == OUTPUT or (kind == PROGRAM and not loops) or (kind == SESSION and verb not in _FORWARD):
                place = Token(verb, statement.start, statement.start + len(verb))
                raise refused(place, f"`{verb}` cannot be part of a solution", hint="it goes forward, step by step")
            found.append(statement)
        return tuple(found)


def _more(lines: tuple[ClassLine, ...], line: ClassLine, most: int, what: str) -> tuple[ClassLine, ...]:
    """Lines of one kind with one more of them, unless they are too many."""
    if len(lines) == most:
        raise line.refused(f"more than {what}")
    return (*lines, line)


# What the model says to them.


def check_of_wrong(session: Session, wrong: ClassLine, actual: str) -> Report:
    """Is a wrong answer wrong? ``actual`` is the right one."""
    (token,) = wrong.statement.arguments.tokens("VALUE")
    value = " ".join(token.text.replace(",", " ").split())
    found = Expect(f"wrong {value}", value != actual, "!=", actual, value, (), token.start, token.end, None, "wrong")
    return Report(wrong.statement.text, session.process, expect=found)


def holds(session: Session, goal: ClassLine) -> Expect | None:
    """How a goal stands in the present state; None if what it is about does not exist."""
    try:
        (report,) = goal.statement.answer(session, session.process)
    except Refused:
        return None
    return report.expect


def open_goals(session: Session, task: ClassTask) -> list[ClassLine]:
    """The goals of a task that do not hold in the present state."""
    return [goal for goal in task.goals if (found := holds(session, goal)) is None or not found.passed]


def check_of_solution(session: Session, task: ClassTask, solution: Solution) -> Report:
    """Does a solution solve its task? The session is afterwards as it was."""
    line = solution.line
    (token,) = line.statement.arguments.tokens(TEXT)
    with aside(session):
        problem, start, end = _problem(session, task, solution)
    start, end = (start, end) if problem and end else (token.start, token.end)
    all_hold = "all goals hold"
    text, actual = f"solution of {task.name}", problem or all_hold
    found = Expect(text, not problem, "==", actual, all_hold, (), start, end, None, "solution")
    return Report(line.statement.text, session.process, expect=found)


def _problem(session: Session, task: ClassTask, solution: Solution) -> tuple[str, int, int]:
    """(why a solution does not solve its task, the columns of the command at fault); empty if it does."""
    before = session.step
    for statement in solution.statements:
        try:
            for one in statement.expanded():
                assert isinstance(one, ParsedStatement)
                if reason := task.forbids(one):
                    return f"not allowed: {reason}", statement.start, statement.end
                endings = [failure_of(report.result or {}) for report in session.run(one)]
                if any(ending != one.expected_under(session.profile) for ending in endings):
                    return f"not done: `{one.text}` ended with {endings[0] or 'ok'}", statement.start, statement.end
        except Refused as error:
            return f"refused: {error.message}", error.start or 0, error.end or 0
    nr = session.step - before
    if task.steps is not None and nr > task.steps:
        return f"{counted(nr, 'step')}, more than {task.steps}", 0, 0
    missed = open_goals(session, task)
    if missed:
        found = holds(session, missed[0])
        actual = "not there" if found is None else found.actual
        return f"{actual} at its goal `{goal_text(missed[0])}`", 0, 0
    return "", 0, 0

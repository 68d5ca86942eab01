"""The lines of a script for class, questions about the next command line and tasks, and the commands of a lesson.

Rules:
- Each of these lines begins with ``?``. A question is a query, asked before a command line and answered by the model
  after it. A goal is an ``expect``.
- Which line may follow which is checked where a script is read (``script.lesson``); what a line says, here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from folioshell.commands.call import Call, done
from folioshell.commands.expect import asserted
from folioshell.commands.grammar import MODEL, PROGRAM, TEXT, VIEW, Arg, Form, LineText, Option, command, registry
from folioshell.commands.operands import COUNT, NEW_NAME, Choices, Number, Word
from folioshell.commands.question import Question, questions
from folioshell.records import replace
from folioshell.report import Report
from folioshell.session.language import Teacher

TOPIC = "class"

_POINTS = Option("points", Number(most=1000), "what it is worth (default: 1)")


def _judge(one: Question) -> str:
    """What it means to name a judge in a form of ``?`` or ``?goal``."""
    return "the scheme that answers, or `truth`" + ("" if one.judges and one.judges.named else " (the default)")


def _form(one: Question, text: LineText, *, equal: bool = False, options: tuple[Option, ...] = ()) -> Form:
    """The form that a question has in a line for class.

    Args:
        equal: its value is optional, and `==` stands before it.
    """
    form = one.form(_judge(one), named=one.judges is not None and one.judges.named, compare=True)
    values = one.values._replace(optional=True, equal=True) if equal else one.values
    return replace(form, compare=values, options=options, text=text)


@command(
    "?",
    *(_form(one, LineText("the question in words", bar=True), equal=True) for one in questions),
    kind=VIEW,
    topic=TOPIC,
    lead_name="question",
)
def ask(call: Call) -> Report:
    """Ask about the next command line of a script, before it runs.

    `learn` and `present` ask it before the command line below it, and the model answers it after that line. So the
    query says what may be answered: a number, a word, or locks. `== VALUE` is the author's check: `run` fails if the
    model answers otherwise. Below it may stand `?hint`, `?wrong` and `?after`. Several questions may stand above one
    line. At the prompt it is answered at once.

    Example:
        ? vmas A == 0 | How many VMAs does process A have before its first mmap?
        ? present? 0x10000 | Is a page mapped at the address 0x10000?
    """
    report = done(call, expect=asserted(call, "question"))
    report.extra["asked"] = call.word(TEXT)
    return report


@command(
    "?hint",
    Form(text=LineText("the hint")),
    kind=VIEW,
    topic=TOPIC,
)
def hint(call: Call) -> Report:
    """Help with the question or task above it.

    Up to three may stand below a question or task; `hint` shows them one at a time.

    Example:
        ?hint fork copies page tables, not pages.
    """
    return done(call, f"Hint: {call.word(TEXT)}")


@command(
    "?wrong",
    Form(
        args=(Arg("VALUE", Word("an answer"), "the wrong answer; several locks in quotes"),),
        text=LineText("what is said about it"),
    ),
    kind=VIEW,
    topic=TOPIC,
)
def wrong(call: Call) -> Report:
    """Say why an answer to the question above is wrong.

    `learn` says the text when this is answered; it must not contain the right answer. `run` checks that it is wrong.

    Example:
        ?wrong 4 Each page has a folio of its own here, and f1 is page 0.
        ?wrong "pt1 pt2" The entry is in the second table.
    """
    return done(call, f"Not {call.word('VALUE')}: {call.word(TEXT)}")


@command("?after", Form(text=LineText("the explanation")), kind=VIEW, topic=TOPIC)
def after(call: Call) -> Report:
    """Explain the answer to the question above, or what the task above has shown.

    It is said once the question is answered or all goals hold. Without it a question is explained by what `why` says.

    Example:
        ?after The child has entries of its own, for the same page.
    """
    return done(call, call.word(TEXT))


class StepVerbs(Choices):
    """Commands that are steps, with commas between them."""

    at_once: Mapping[str, str] = {}
    short = "VERB,…"

    def __init__(self) -> None:
        super().__init__(_step_verbs, "command that is a step", show=False)

    @property
    def usage(self) -> str:  # type: ignore[override]
        """Not all of them: they are many."""
        return self.short


def _step_verbs() -> dict[str, str]:
    """Verb -> summary; known once all commands are declared."""
    return {
        found.verb: found.summary for found in registry if MODEL in (found.kind, *(form.kind for form in found.forms))
    }


@command(
    "?task",
    Form(
        args=(Arg("NAME", NEW_NAME, "its name"),),
        options=(
            _POINTS,
            Option("steps<", COUNT, "at most so many steps"),
            Option("allow", StepVerbs(), "only these commands as steps"),
        ),
        text=LineText("the task in words", bar=True),
    ),
    kind=VIEW,
    topic=TOPIC,
)
def task(call: Call) -> Report:
    """Set a task: commands are typed freely until all its goals hold.

    Below it stand its goals, `?goal`, then up to three `?hint`, a `?solution` that the author's check runs, and
    `?after`. Whatever is done in a task, the script continues from the state before it.

    Example:
        ?task shared points=2 steps<=4 allow=mmap,write,fork | Let two processes map one page.
    """
    return done(call, f"Task: {call.word(TEXT)}")


@command(
    "?goal",
    *(_form(one, LineText("the goal in words", bar=True, optional=True), options=(_POINTS,)) for one in questions),
    kind=VIEW,
    topic=TOPIC,
    lead_name="question",
)
def goal(call: Call) -> Report:
    """State a goal of the task above it.

    It is what may follow `expect`, about regions, files and processes: an id such as `f1` depends on what was done
    before.

    Example:
        ?goal points=2 vmas A == 0 | A has no VMA
        ?goal vmas A <= 3
    """
    return done(call, expect=asserted(call, "goal"))


@command("?solution", Form(text=LineText("commands, separated by ;")), kind=VIEW, topic=TOPIC)
def solution(call: Call) -> Report:
    """Solve the task above it.

    `run` and `lesson check` run it from the state in which the task begins, and undo it; all goals must hold after it.
    `answer` puts it into the input line. No hand-out contains it. Of several, each is a way of its own.

    Example:
        ?solution mmap buf 1 ; write buf ; fork B
    """
    (token,) = call.arguments.tokens(TEXT)
    call.session.language.parse(" " * token.start + token.text)
    return done(call, f"Solution: {token.text}")


# Commands of those who learn and who lecture, once `learn` or `present` has begun.


def _teacher(call: Call) -> Teacher:
    """The lesson under way.

    Raises:
        Refused: there is none.
    """
    if call.session.teacher is None:
        raise call.refused(None, "there is no lesson", hint="`learn` begins one, `lessons` lists them")
    return call.session.teacher


@command(
    "next",
    Form(args=(Arg("N", COUNT, "so many, up to a question (default: 1)", optional=True),)),
    kind=PROGRAM,
    topic=TOPIC,
)
def next_(call: Call) -> Sequence[Report]:
    """Show or run the next line of a lesson or script.

    Enter on an empty line does the same. Prose is shown first, and the command below it; the next one runs it. If
    something else was typed in between, it first returns to where the lesson was. `undo` goes back over it.

    Example:
        learn 3 ; next ; next 2 ; undo
    """
    return _teacher(call).next(call.number("N", 1))


@command("hint", kind=PROGRAM, topic=TOPIC)
def next_hint(call: Call) -> Sequence[Report]:
    """Show the next hint for the question or task.

    There are up to three; it is noted how many were shown.

    Example:
        learn 1 ; next ; hint
    """
    return _teacher(call).hint()


@command("answer", kind=PROGRAM, topic=TOPIC)
def answer(call: Call) -> Sequence[Report]:
    """Show the answer to the question, or put a solution of the task into the input line.

    It is noted. A solution is not run: change it, or press Enter.

    Example:
        learn 1 ; next ; answer
    """
    return _teacher(call).answer()


@command("skip", kind=PROGRAM, topic=TOPIC)
def skip(call: Call) -> Sequence[Report]:
    """Continue without the question or task.

    The command line of the question is run; a task is left.

    Example:
        learn 1 ; next ; skip
    """
    return _teacher(call).skip()


@command("again", kind=PROGRAM, topic=TOPIC)
def again(call: Call) -> Sequence[Report]:
    """Begin the lesson or script again.

    What was answered in it is forgotten.

    Example:
        learn 1 ; next ; again
    """
    return _teacher(call).again()


@command("back", kind=PROGRAM, topic=TOPIC)
def back(call: Call) -> Report:
    """Return to the state of the lesson or script.

    What was typed since stays on a branch of its own; `branch` lists it.

    Example:
        learn 1 ; next ; mmap mine 4 ; back
    """
    moved = _teacher(call).back()
    return done(call, "Back in the lesson." if moved else "This is the state of the lesson already.")

"""expect: an answer is compared with a value; if it is another one, also why, and which step made it so."""

from __future__ import annotations

from folioshell.commands.call import Call, done
from folioshell.commands.compare import Comparison, Value, text_of
from folioshell.commands.grammar import COMPARISON, TEXT, VIEW, command
from folioshell.commands.places import PlaceRef
from folioshell.commands.question import CurrentAnswer, questions
from folioshell.errors import Refused
from folioshell.report import Expect, Report, Since
from folioshell.session.workspace import Workspace

#: what is claimed where no comparison was typed
_YES = Comparison("==", ("yes",))


@command(
    "expect",
    *(
        one.form(
            "the scheme that answers, or `truth`" + ("" if one.judges and one.judges.named else " (the default)"),
            named=one.judges is not None and one.judges.named,
            compare=True,
        )
        for one in questions
    ),
    kind=VIEW,
    topic="asserting",
    lead_name="question",
    by_profile=True,
)
def expect(call: Call) -> Report:
    """Compare an answer with a value.

    In a script a failed assertion is reported with both values and the reason; the script continues, and the run ends
    with status 1. `same` and `free` alone stand for `== yes`. `expect[6.1,5.10] …` holds under these profiles only, and
    is skipped under others.

    Example:
        file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; expect mapcount vmas f1 == 1
        mmap buf 16 ; fault buf[0] ; expect truth mms buf[0] == 1 ; expect present? buf[1] == no
        mmap buf 16 ; fault buf[0] ; fork B ; expect same buf[0] B:buf[0] ; expect free f1 == no
        mmap buf 1 ; write buf ; expect[6.12,6.18] order f1 == 0 ; expect[5.10] order f1 == 1
    """
    statement = call.statement
    profile = call.kernel.release.version
    if statement.profiles and profile not in statement.profiles:
        return done(call, f"Skipped: {statement.text} (this is profile {profile}).")
    return done(call, expect=asserted(call))


def asserted(call: Call, kind: str = "expect") -> Expect:
    """The answer compared with the value that was typed.

    Args:
        kind: as in ``Expect``; a question may have no value.
    Raises:
        Refused: what it is about does not exist.
    """
    statement = call.statement
    answer = _answer(call)
    actual = text_of(answer.value)
    text = _claim(call)
    if kind == "question" and COMPARISON not in call.arguments:
        return Expect(text, True, "", actual, "", start=statement.start, end=statement.end, kind=kind)
    comparison, start, end = comparison_of(call), statement.start, statement.end
    if COMPARISON in call.arguments:
        (place,) = call.arguments.tokens(COMPARISON)
        start, end = statement.span(place)
    passed = comparison.holds(answer.value)
    why: tuple[str, ...] = ()
    since: Since | None = None
    if not passed:
        why = answer.reasons()
        if questions.of(call).lasting and call.session.settings.explain:
            since = _since(call)
    return Expect(text, passed, comparison.operator, actual, comparison.expected, why, start, end, since, kind)


def _claim(call: Call) -> str:
    """What is claimed, in its normal form: without the verb, and what a line for class says besides."""
    text = call.statement.text.partition(" ")[2]
    if TEXT in call.arguments:
        text = text.partition(" | ")[0]
    return text.replace(f"points={call.number('points', 1)} ", "", 1)


def comparison_of(call: Call) -> Comparison:
    """What an ``expect`` claims of the answer."""
    return call.arguments.get(COMPARISON, Comparison) if COMPARISON in call.arguments else _YES


def _answer(call: Call) -> CurrentAnswer:
    """The answer, about one page where a place is named.

    Raises:
        Refused: a place is a range, or what it is about does not exist.
    """
    for name in call.arguments:
        ref = call.arguments.get(name, object)
        if isinstance(ref, PlaceRef):
            call.page(ref)
    return questions.of(call).answer(call)


def _since(call: Call) -> Since | None:
    """The last step that changed the value that is asserted, found by asking every state that led here."""
    values = [_value(call, workspace) for workspace in call.session.states(call.session.step)]
    for step in range(len(values) - 1, 0, -1):
        if values[step] != values[step - 1]:
            before = values[step - 1]
            line = call.session.history.entries[step - 1].line
            return Since(step, line, "" if before is None else text_of(before))
    return None


def _value(call: Call, workspace: Workspace) -> Value | None:
    """The answer in another state; None if what it is about did not exist there."""
    try:
        return _answer(Call(call.statement, workspace, call.process, None)).value
    except Refused:
        return None

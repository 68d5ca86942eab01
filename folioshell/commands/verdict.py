"""How an assertion went; of one that failed also why, and which step made the value."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from folioshell.commands import ask
from folioshell.commands.build import done
from folioshell.commands.call import Call
from folioshell.commands.compare import Comparison
from folioshell.commands.grammar import COMPARISON
from folioshell.commands.schemes import TRUTH
from folioshell.commands.why import steps_of_entries
from folioshell.errors import Refused
from folioshell.model import truth as page_tables
from folioshell.report import Expect, Report, Since
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import pages_text

#: lines that explain a failure, at most
WHY_LINES = 12


def comparison_of(call: Call) -> Comparison:
    """What the value is compared with."""
    return call.arguments.get(COMPARISON, Comparison)


def judged(
    call: Call, passed: bool, actual: str, why: Callable[[], Sequence[str]] = tuple, *, lasting: bool = True
) -> Report:
    """The report of an assertion; its explanation is only made when it failed.

    Args:
        actual: the value that was found.
        why: lines that explain it.
        lasting: the value is one of the state, not of the last step or race.
    """
    statement = call.statement
    text = statement.text.removeprefix("expect ")
    sign, expected = "==", "yes"
    start, end = statement.start, statement.end
    if COMPARISON in call.arguments:
        comparison = comparison_of(call)
        sign, expected = comparison.operator, comparison.expected
        (place,) = call.arguments.tokens(COMPARISON)
        start, end = place.start, place.end
    if passed or not call.has_session:
        return done(call, expect=Expect(text, passed, sign, actual, expected, (), start, end))
    since = _since(call) if lasting and call.session.settings.explain else None
    return done(call, expect=Expect(text, passed, sign, actual, expected, _cut(why()), start, end, since))


def _cut(lines: Sequence[str]) -> tuple[str, ...]:
    left = len(lines) - WHY_LINES
    return tuple(lines) if left <= 0 else (*lines[:WHY_LINES], f"… and {left} more")


def _since(call: Call) -> Since | None:
    """The last step that changed the value that is asserted, found by asking every state that led here."""
    values = [_value(call, workspace) for workspace in call.session.states(call.session.step)]
    for step in range(len(values) - 1, 0, -1):
        if values[step] != values[step - 1]:
            return Since(step, call.session.history.entries[step - 1].line, values[step - 1])
    return None


def _value(call: Call, workspace: Workspace) -> str:
    """What an assertion is about, in another state; empty if it did not exist there."""
    handler = call.statement.form.handler
    assert handler is not None
    try:
        report: Report = handler(Call(call.statement, workspace, call.process, None))
    except Refused:
        return ""
    return report.expect.actual if report.expect is not None else ""


def judged_number(call: Call, actual: int, why: Callable[[], Sequence[str]], *, lasting: bool = True) -> Report:
    """The report of an assertion about a number; as ``judged``."""
    return judged(call, comparison_of(call).holds_for_number(actual), str(actual), why, lasting=lasting)


def judged_answer(call: Call, actual: str, why: Callable[[], Sequence[str]]) -> Report:
    """The report of an assertion about a word; as ``judged``."""
    return judged(call, comparison_of(call).holds_for_words([actual]), actual, why)


def explained(call: Call, about: ask.Target, scheme: str = "") -> list[str]:
    """What counts under a scheme, and who maps the folio."""
    lines = []
    if scheme and scheme != TRUTH:
        parts = call.workspace.machine.schemes[scheme].why(about.number)
        lines += [f"{scheme}: {part.label} adds {part.amount}" for part in parts]
    if about.folio is None:
        return [*lines, f"f{about.number} was freed"]
    found = page_tables.mappings(call.kernel, about.folio)
    made = steps_of_entries(call.workspace, about.folio)
    for mapping in found:
        steps = {made.get((mapping.mm.mm_id, mapping.vpn + page)) for page in range(mapping.nr)} - {None}
        since = f", step {', '.join(map(str, sorted(filter(None, steps))))}" if steps else ""
        lines.append(
            f"{mapping.mm} maps {pages_text(mapping.first, mapping.nr)} of f{about.number} "
            f"at {format_address(mapping.vpn)}, {mapping.vma}, {mapping.table}{since}"
        )
    return lines if found else [*lines, f"nobody maps f{about.number}"]

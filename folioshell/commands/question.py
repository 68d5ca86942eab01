"""What a question is: one declaration, of which ``query``, ``expect`` and ``watch`` make a form each.

The questions themselves are declared in ``questions``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from folioshell.commands.call import Call
from folioshell.commands.compare import Value, Values, text_of
from folioshell.commands.grammar import Arg, Flag, Form, summary_of
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.commands.schemes import TRUTH, SchemeName, scheme_of
from folioshell.events import Mapped, Moved
from folioshell.model import truth as page_tables
from folioshell.model.folio import Folio
from folioshell.model.truth import TruthCounts
from folioshell.records import NamedTuple
from folioshell.report import Report
from folioshell.schemes.base import Scheme
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import pages_text

NOTHING = TruthCounts(0, 0, 0, 0, 0, 0)
#: (MM-ID, virtual page) -> the step that made the entry there
Steps = dict[tuple[int, int], int]


class AskedFolio(NamedTuple):
    """The folio or page that a question is about.

    Args:
        text: as it prints: ``f1`` or ``win[0]``.
        number: the folio's number.
        order: its order.
        folio: the folio; None if it was freed.
        page: index of the page that a place named; None for a folio.
        asker: MM-ID of the address space that asks.
    """

    text: str
    number: int
    order: int
    folio: Folio | None
    page: int | None
    asker: int

    def counts(self, workspace: Workspace) -> TruthCounts:
        """What the page tables say of the folio; nothing of one that was freed."""
        return NOTHING if self.folio is None else page_tables.truth(workspace.kernel, self.folio)


def target(call: Call, name: str) -> AskedFolio:
    """The folio that an argument names; an id may be that of a folio that was freed.

    Raises:
        Refused: there is none, or the place is a range.
    """
    ref = call.arguments.get(name, object)
    if isinstance(ref, PlaceRef):
        mm, vpn = call.page(ref)
        folio, page = call.folio_at(mm, vpn, ref.token)
        return AskedFolio(ref.token.text, folio.id, folio.order, folio, page, mm.mm_id)
    assert isinstance(ref, FolioRef)
    number = call.folio_number(ref)
    found = call.kernel.folios.get(number)
    order = found.order if found is not None else call.workspace.order_of(number)
    return AskedFolio(f"f{number}", number, order, found, None, _asker(call, found))


def _asker(call: Call, folio: Folio | None) -> int:
    """MM-ID of who asks about a folio: who runs the query if it maps the folio, else the first that does."""
    own = call.kernel.mms.get(call.process)
    mappers = [mapping.mm for mapping in page_tables.mappings(call.kernel, folio)] if folio is not None else []
    if own is not None and (own in mappers or not mappers):
        return own.mm_id
    return mappers[0].mm_id if mappers else 0


#: lines that explain an answer, at most
WHY_LINES = 12


class CurrentAnswer(NamedTuple):
    """The answer to a question in one state.

    Args:
        value: a number, a word, or a list of words.
        why: the lines that explain it; made only when they are shown.
        about: the folio that has to live for the answer to last; None if there is none.
        label: its name in a watch, where that is not the question's.
    """

    value: Value
    why: Callable[[], Sequence[str]] = tuple
    about: AskedFolio | None = None
    label: str = ""

    @property
    def text(self) -> str:
        """The value as it prints."""
        return text_of(self.value)

    def reasons(self) -> tuple[str, ...]:
        """The first lines that explain it, and how many more there are."""
        lines = self.why()
        left = len(lines) - WHY_LINES
        command = f"why f{self.about.number}" if self.about is not None else "show"
        return tuple(lines) if left <= 0 else (*lines[:WHY_LINES], f"… {left:,} more: see `{command}`")


class Judges(NamedTuple):
    """Who answers a question about a folio or page: each scheme, and the page tables.

    Args:
        scheme: what a scheme answers.
        truth: the right answer, given what the page tables count of the folio.
        named: ``expect`` has to name a judge; otherwise the default is the truth.
    """

    scheme: Callable[[Scheme, AskedFolio], Value]
    truth: Callable[[Workspace, AskedFolio, TruthCounts], Value]
    named: bool


class Question(NamedTuple):
    """A question about the state.

    Args:
        name: the word after ``query``, ``expect`` and ``watch``.
        summary: one line.
        args, flags: what it is about.
        values: what it may be answered with.
        read: reads the answer from the state, if no judges give it.
        judges: who answers, if not the state alone.
        lasting: the answer is one of the state, not of the last step or race: it can be watched and traced back.
        ranges: ``query`` and ``watch`` take several pages at once.
        report: the answer of ``query``, where it says more than the value.
    """

    name: str
    summary: str
    args: tuple[Arg, ...]
    flags: tuple[Flag, ...]
    values: Values
    read: Callable[[Call], CurrentAnswer] | None
    judges: Judges | None
    lasting: bool
    ranges: bool
    report: Callable[[Call], Report] | None

    def form(self, judge: str = "", *, named: bool = False, compare: bool = False) -> Form:
        """The form that a command makes of it.

        Args:
            judge: what it means to name a judge; empty where none can be named.
            named: one must be named.
            compare: a comparison follows.
        """
        args = self.args
        if judge and self.judges is not None:
            args = (Arg("SCHEME", _JUDGE, judge, optional=not named), *args)
        return Form(self.name, args, self.flags, summary=self.summary, compare=self.values if compare else None)

    def answer(self, call: Call) -> CurrentAnswer:
        """The answer of the state, or of the judge that was named.

        Raises:
            Refused: what it is about does not exist.
        """
        if self.read is not None:
            return self.read(call)
        about, judge = target(call, self.args[0].name), call.word("SCHEME", TRUTH)
        return CurrentAnswer(self.judged(call, about, judge), lambda: explained(call, about, judge), about)

    def judged(self, call: Call, about: AskedFolio, judge: str) -> Value:
        """The answer of one judge.

        Raises:
            Refused: there is no such scheme.
        """
        assert self.judges is not None
        if judge == TRUTH:
            return self.judges.truth(call.workspace, about, about.counts(call.workspace))
        schemes = call.workspace.machine.schemes
        return self.judges.scheme(schemes[judge] if judge in schemes else scheme_of(call, "SCHEME"), about)

    def watched(self, call: Call) -> dict[str, str]:
        """The answers by name: of the judge that was named, else of every shown scheme and the truth.

        Raises:
            Refused: what it is about does not exist, or no longer.
        """
        if self.judges is not None and "SCHEME" not in call.arguments:
            about = living(call, target(call, self.args[0].name))
            return {judge: text_of(self.judged(call, about, judge)) for judge in (*call.session.shown_schemes, TRUTH)}
        answer = self.answer(call)
        if answer.about is not None:
            living(call, answer.about)
        return {call.word("SCHEME") or answer.label or self.name.rstrip("?"): text_of(answer.value)}


_JUDGE = SchemeName(truth=True)


def living(call: Call, about: AskedFolio) -> AskedFolio:
    """The same folio.

    Raises:
        Refused: it was freed.
    """
    if about.folio is None:
        raise call.refused(None, f"f{about.number} was freed, or split into others")
    return about


class Questions:
    """The questions by name, in the order in which they were declared."""

    def __init__(self) -> None:
        self.by_name: dict[str, Question] = {}

    def __iter__(self) -> Iterator[Question]:
        return iter(self.by_name.values())

    def of(self, call: Call) -> Question:
        """The question that a call asks."""
        return self.by_name[call.word("lead")]


questions = Questions()

Read = TypeVar("Read", bound=Callable[..., Any])


def question(
    name: str,
    *args: Arg,
    values: Values,
    flags: tuple[Flag, ...] = (),
    lasting: bool = True,
    ranges: bool = False,
    report: Callable[[Call], Report] | None = None,
) -> Callable[[Read], Read]:
    """Declare a question to the state; the decorated function reads the answer, and its docstring is the summary."""

    def declare(read: Read) -> Read:
        questions.by_name[name] = Question(
            name, summary_of(read.__doc__), args, flags, values, read, None, lasting, ranges, report
        )
        return read

    return declare


def judged_question(
    name: str,
    arg: Arg,
    *,
    values: Values,
    truth: Callable[[Workspace, AskedFolio, TruthCounts], Value],
    named: bool = False,
) -> Callable[[Read], Read]:
    """Declare a question to schemes and page tables; the decorated function gives a scheme's answer."""

    def declare(scheme: Read) -> Read:
        judges = Judges(scheme, truth, named)
        questions.by_name[name] = Question(
            name, summary_of(scheme.__doc__), (arg,), (), values, None, judges, True, False, None
        )
        return scheme

    return declare


def explained(call: Call, about: AskedFolio, judge: str = TRUTH) -> list[str]:
    """What counts under a scheme, and who maps the folio."""
    lines = []
    if judge != TRUTH:
        parts = call.workspace.machine.schemes[judge].why(about.number)
        lines += [f"{judge}: {part.label} adds {part.amount}" for part in parts]
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
    return lines if found else [*lines, f"no process maps f{about.number}"]


def steps_of_entries(workspace: Workspace, folio: Folio) -> Steps:
    """(MM-ID, virtual page) -> the step that last made an entry for the folio there, or moved one there."""
    if not folio.order:
        return _steps_of_small(workspace, folio)
    made: Steps = {}
    for record in workspace.journal:
        for event in record.events():
            if isinstance(event, Mapped) and event.folio == folio.id:
                made.update(((event.mm, event.vpn + page), record.number) for page in range(event.nr))
            elif isinstance(event, Moved) and event.folio == folio.id:
                made.update(((event.mm, event.to_vpn + page), record.number) for page in range(event.nr))
    return made


def _steps_of_small(workspace: Workspace, folio: Folio) -> Steps:
    """The same for an order-0 folio: its entries are told apart by page table, and moves of them are not announced."""
    by_table: dict[tuple[int, int], int] = {}
    by_mm: dict[int, int] = {}
    for record in workspace.journal:
        for event in record.events():
            if isinstance(event, Mapped) and folio.id in event.folios:
                by_table[event.mm, event.table] = by_mm[event.mm] = record.number
    made: Steps = {}
    for mapping in page_tables.mappings(workspace.kernel, folio):
        mm_id = mapping.mm.mm_id
        step = by_table.get((mm_id, mapping.table.id), by_mm.get(mm_id))
        if step is not None:
            made[mm_id, mapping.vpn] = step
    return made

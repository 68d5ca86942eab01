"""Two schemes over one history: after which steps their answers part, about which folios, and which of them is wrong.

The steps are done again on a workspace of its own, in which both schemes count from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from folioshell.intervals import Intervals
from folioshell.records import NamedTuple
from folioshell.report import Section, Table
from folioshell.schemes.base import Answer, Scheme
from folioshell.session.folio_groups import FolioGroup, entries_of_all, folio_groups, knows_entries_only
from folioshell.session.session import Session
from folioshell.session.workspace import Workspace
from folioshell.wording import counted, folio_run

#: the questions, in the order in which they are shown
_SHARED, _MAPPED, _PARTIAL = "shared?", "mapped?", "partial?"
_CANNOT = Answer.CANNOT.value

#: (question, process that asks) -> folio -> what both schemes answer, and what is true; of those that part
Partings = dict[tuple[str, str], Intervals[tuple[str, str, str]]]


class Answered(NamedTuple):
    """Answers of two schemes about some folios.

    Args:
        question, asker: what was asked, and by which process; empty if that does not matter.
        first, nr: numbers of the folios.
        answers: of both, and what is true.
    """

    question: str
    asker: str
    first: int
    nr: int
    answers: tuple[str, str, str]


def compared_schemes(session: Session, names: tuple[str, str]) -> tuple[str, tuple[Section, ...]]:
    """(sentence, sections) that say where the answers of two schemes part in the history so far."""
    steps = session.history.in_force
    tables: list[Section] = []
    before: Partings = {}
    states = session.states(session.step)
    for number, workspace in enumerate(states):
        schemes = [workspace.machine.schemes[name] for name in names]
        now = _parted(workspace, schemes)
        rows = [_row(one) for one in _new(now, before)]
        if rows:
            entry = steps[number - 1]
            title = f"step {number}, {entry.named or entry.process}: {entry.text}"
            tables.append(Table(title, ("question", *names, "truth"), tuple(rows), _numbers(now, schemes)))
        before = now
    where = f"they part in {counted(len(tables), 'step')}" if tables else "they answer alike in all"
    return f"{counted(session.step, 'step')} under {' and '.join(names)}: {where}.", tuple(tables)


def _parted(workspace: Workspace, schemes: Sequence[Scheme]) -> Partings:
    """Where the answers part in the present state."""
    found: Partings = {}
    names = [scheme.name for scheme in schemes]
    for group in folio_groups(workspace, names, entries_of_all(workspace)):
        for one in _answered(group, schemes):
            asked, *_ = one.answers
            if asked != one.answers[1] and _CANNOT not in one.answers:
                key = one.question, one.asker
                found.setdefault(key, Intervals()).put(one.first, one.nr, one.answers)
    return found


def _answered(group: FolioGroup, schemes: Sequence[Scheme]) -> Iterator[Answered]:
    """What both schemes answer about the folios of a group; one by one unless they know their entries alone."""
    alike = not group.order and all(knows_entries_only(scheme) for scheme in schemes)
    runs = [(group.first, group.nr)] if alike else [(group.first + at, 1) for at in range(group.nr)]
    pages = sum(nr for nr, entries in group.counts if entries)
    shared, mapped = _word(len(group.mms) > 1), _word(bool(group.mms))
    partial = _word(0 < pages < 1 << group.order)
    processes = list(dict.fromkeys((mapper.process, mapper.mm_id) for mapper in group.mappers))
    for first, nr in runs:
        for process, mm_id in processes:
            answers = [scheme.shared(first, mm_id).value for scheme in schemes]
            yield Answered(_SHARED, process, first, nr, (answers[0], answers[1], shared))
        answers = [_word(scheme.mapped(first)) for scheme in schemes]
        yield Answered(_MAPPED, "", first, nr, (answers[0], answers[1], mapped))
        if group.order:
            answers = [scheme.partially_mapped(first).value for scheme in schemes]
            yield Answered(_PARTIAL, "", first, nr, (answers[0], answers[1], partial))


def _word(holds: bool | None) -> str:
    return _CANNOT if holds is None else Answer.of(holds).value


def _new(now: Partings, before: Partings) -> Iterator[Answered]:
    """What did not part in the same way before, by folio; processes that are answered alike together."""
    nothing: Intervals[Any] = Intervals()
    found: dict[tuple[str, int, int, tuple[str, str, str]], list[str]] = {}
    for (question, asker), parted in now.items():
        for first, nr, answers in parted.runs():
            for start, length, were in before.get((question, asker), nothing).pieces(first, nr):
                if were != answers:
                    found.setdefault((question, start, length, answers), []).append(asker)
    order = (_SHARED, _MAPPED, _PARTIAL)
    for question, first, nr, answers in sorted(found, key=lambda key: (key[1], order.index(key[0]))):
        yield Answered(question, ", ".join(found[question, first, nr, answers]), first, nr, answers)


def _row(one: Answered) -> tuple[str, ...]:
    *answers, true = one.answers
    by = f" by {one.asker}" if one.asker else ""
    return (f"{one.question} {folio_run(one.first, one.nr)}{by}", *(_judged(answer, true) for answer in answers), true)


def _judged(answer: str, true: str) -> str:
    """An answer, and what is wrong about it."""
    if answer in (true, "maybe"):
        return answer
    return f"{answer} (false {'positive' if answer == 'yes' else 'negative'})"


def _numbers(now: Partings, schemes: Sequence[Scheme]) -> str:
    """The numbers of the first folio about which they part."""
    first = min(next(iter(parted)) for parted in now.values())
    return f"f{first}: {', '.join(f'{scheme.name} {scheme.mapcount(first):,}' for scheme in schemes)}"

"""The one place where the kernel asks "does anyone else map this folio?".

Who answers is a matter of the question and the release (``folioshell.model.policy``); `set decide` puts one scheme in
the place of all. On ``maybe`` the kernel tries the folio lock, drops the page-table lock, walks the reverse map, takes
the page-table lock again, and acts on what the walk found. A folio whose lock is contended is treated as shared.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any

from folioshell.events import Asked, Finding
from folioshell.model.folio import Folio
from folioshell.model.folios import Folios
from folioshell.model.kernel import Kernel, SchemeAnswer
from folioshell.model.lock import Lock
from folioshell.model.policy import EXACT_FIT, REFERENCES, SharingQuestion
from folioshell.model.truth import mappings
from folioshell.model.vm import Mm
from folioshell.paths import Path, rmap
from folioshell.paths.protocol import Protocol, alone, steps
from folioshell.paths.walk import rmap_walk
from folioshell.records import dataclass, field


def is_shared(
    k: Kernel, mm: Mm, folio: Folio, question: SharingQuestion, held: Lock | None, page: int = 0
) -> Path[bool]:
    """Does any mm but ``mm`` map a page of the folio, as the scheme sees it that answers this question?

    Args:
        question: which place in the kernel asks.
        held: the page-table lock that the caller holds and that is dropped for a walk; the caller checks its entries
            again afterwards.
        page: index of the page whose entry the caller looks at; kernels before v6.2 asked for that page alone.
    Kernel: include/linux/mm.h: folio_maybe_mapped_shared() (v6.18); mm/rmap.c: rmap_walk_file() (v6.18)
    """
    answer = yield from answer_of(k, mm, folio, question, held, page)
    if answer != "maybe":
        return answer == "yes"
    # rmap_walk_file() requires the folio lock. It is outside the PTL, so it can only be tried: "shared" is the safe
    # answer for a folio that someone else has locked.
    if (yield folio.lock.trylock(question.function)):
        return True
    # The walk takes the PTLs of the tables that it visits, that of the caller too. Without the PTL the last mapping may
    # go: the reference keeps the folio.
    folio.ref += 1
    if held is not None:
        yield held.release()
    walk = yield from rmap_walk(k, folio, question.function)
    if held is not None:
        yield held.acquire(question.function)
    yield folio.lock.release()
    yield from rmap.put(k, folio)
    return len({visit[0] for visit in walk.visits if visit[2]}) > 1


def equal_answers(k: Kernel, question: SharingQuestion, first: int, nr: int) -> int:
    """Number of order-0 folios, from one on, at most ``nr``, about which the answer is the same, and takes no step.

    Returns: 0 if the answer about the first may take one.
    """
    decider = k.deciders[question]
    if decider is None or decider.name != EXACT_FIT:
        return 0
    return k.counts.mapcount_pieces(first, nr)[0][1] if nr > 1 else 1


def answer_of(
    k: Kernel, mm: Mm, folio: Folio, question: SharingQuestion, held: Lock | None, page: int = 0
) -> Path[str]:
    """What the scheme says that answers a question: ``no``, ``yes`` or ``maybe``. Arguments as in ``is_shared``."""
    decider = k.deciders[question]
    assert decider is not None
    # Of an order-0 folio one comparison of its mapcount with 1: no scheme differs there.
    if decider.name == EXACT_FIT and not folio.order:
        return "yes" if k.counts.mapcount(folio.id) != 1 else "no"
    if isinstance(decider, ProtocolDecider):
        answer = yield from decider.ask(k, folio, mm, held)
    else:
        answer = str(decider.page_shared(folio.id, page, mm.mm_id).value)
    yield Asked(folio.id, decider.name, answer, question.function, mm.mm_id, page)
    return answer


def has_other_references(k: Kernel, folio: Folio, question: SharingQuestion, held: int = 0) -> bool:
    """Has a folio references beyond those of its entries, of caches and buffers, and ``held`` ones of the caller?

    They may be pins, or those of another path that is about to map the folio or to look at it. References stay one an
    entry, whatever scheme decides.

    Args:
        question: which place in the kernel asks.
    Kernel: include/linux/mm.h: folio_expected_ref_count() (v6.18)
    """
    return k.looks_at(question, REFERENCES) and folio.ref != rmap.expected_references(k, folio) + held


def report_wrong_reuse(k: Kernel, mm: Mm, folio: Folio, page: int) -> Path[None]:
    """Say so if a page that is about to be written in place is mapped by another process: it will see the write."""
    others = sorted(
        {
            mapping.mm.name
            for mapping in mappings(k, folio)
            if mapping.mm is not mm and mapping.first <= page < mapping.first + mapping.nr
        }
    )
    if others:
        k.tainted.add(folio.id)
        yield Finding(
            folio.id,
            k.decider.name,
            f"{k.decider.name} called {folio} exclusive to {mm}, so its page {page} is written in place: "
            f"{' and '.join(others)} will see the write of {mm}",
        )


# Answers of a protocol under test.


@dataclass(frozen=True, slots=True)
class Said:
    """An answer: ``no``, ``yes`` or ``maybe``."""

    value: str


def _answer_of(protocol: Protocol, folio: Folio, said: Any) -> str:
    """An answer of a protocol as a word.

    Raises:
        ProtocolError: it is none.
    """
    answer = ("yes" if said else "no") if isinstance(said, bool) else str(getattr(said, "value", ""))
    if answer not in ("no", "yes", "maybe"):
        raise protocol.fault("shared", str(folio), f"answered {said!r}, which is neither True nor False")
    return answer


class ProtocolDecider:
    """Answers as a protocol does; it stands where the scheme that the protocol names would.

    Args:
        protocol: the protocol.
        folios: all folios by number.
    """

    def __init__(self, protocol: Protocol, folios: Folios) -> None:
        self.name = protocol.scheme
        self._protocol = protocol
        self._folios = folios

    def page_shared(self, folio: int, page: int, mm: int) -> SchemeAnswer:
        """The same for all pages."""
        return self.shared(folio, mm)

    def shared(self, folio: int, mm: int) -> SchemeAnswer:
        """Its answer while no thread runs."""
        found = self._folios.get(folio)
        if found is None or not found.order:
            return Said(self._right(folio, mm))
        return Said(_answer_of(self._protocol, found, alone(self._protocol, "shared", found, mm)))

    def ask(self, k: Kernel, folio: Folio, mm: Mm, held: Lock | None) -> Path[str]:
        """The answer to a kernel path, step by step.

        Wrong is one that the definition gave at no time between the first step and the last: see ``AnswerCheck``.

        Args:
            held: the page-table lock of the caller.
        """
        protocol = self._protocol
        if not folio.order:
            return self._right(folio.id, mm.mm_id)
        question = protocol.answers.begin_question(folio.id, mm, protocol.definition)
        locks = () if held is None else (held,)
        answer = yield from steps(protocol, "shared", folio, mm.mm_id, held=locks, is_alone=k.batches)
        said = _answer_of(protocol, folio, answer)
        wrong = protocol.answers.end_question(question, said)
        if wrong:
            yield Finding(folio.id, protocol.name, f"wrong answer of {protocol.name}: {wrong}")
        return said

    def _right(self, folio: int, mm: int) -> str:
        return str(self._protocol.definition.shared(folio, mm).value)


@dataclass(slots=True, eq=False)
class RmapCall:
    """An rmap call under way: until it ends, a protocol may count it already or not yet.

    Args:
        folio: the folio.
        key: its place among those under way.
        before: MM-ID -> what the definition answered before its event, where it answers otherwise since.
    """

    folio: int
    key: tuple[str, int]
    before: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class OpenQuestion:
    """A question that is being answered, or is not judged yet.

    Args:
        folio, mm, name: the folio, the MM-ID of who asks, and its name.
        right: the right answers: those of the definition between the first step and the last, rmap calls that were
            under way counted or not.
        said: the answer, once it is given.
        waits: the rmap calls that were under way then and have not ended.
    """

    folio: int
    mm: int
    name: str
    right: frozenset[str]
    said: str = ""
    waits: tuple[RmapCall, ...] = ()


class AnswerCheck:
    """Compares the answers of a protocol with those of its definition.

    Attributes:
        wrong: sentences about wrong answers.
    """

    def __init__(self) -> None:
        #: (table, number) -> call; a table has several only if a protocol drops its lock
        self._calls: dict[tuple[str, int], RmapCall] = {}
        self._questions: list[OpenQuestion] = []
        self.wrong: list[str] = []

    def begin_call(self, folio: int, table: str) -> RmapCall:
        """An rmap call begins."""
        key = next((table, number) for number in count() if (table, number) not in self._calls)
        call = self._calls[key] = RmapCall(folio, key)
        return call

    def before_event(self, call: RmapCall, definition: Any, mms: Iterable[int]) -> None:
        """The schemes are about to count the call."""
        call.before = {mm: str(definition.shared(call.folio, mm).value) for mm in mms}

    def after_event(self, definition: Any, call: RmapCall | None = None) -> None:
        """The schemes have counted a call, or another change."""
        if call is not None:
            now = {mm: str(definition.shared(call.folio, mm).value) for mm in call.before}
            call.before = {mm: answer for mm, answer in call.before.items() if answer != now[mm]}
        for question in self._questions:
            question.right |= {str(definition.shared(question.folio, question.mm).value)}

    def end_call(self, call: RmapCall) -> None:
        """An rmap call has ended, or was given up."""
        del self._calls[call.key]
        for question in self._questions[:]:
            if call in question.waits:
                question.waits = tuple(other for other in question.waits if other is not call)
                self._judge(question)

    def begin_question(self, folio: int, mm: Mm, definition: Any) -> OpenQuestion:
        """A question is asked."""
        number = mm.mm_id
        right = {str(definition.shared(folio, number).value)}
        under_way = [call for call in self._calls.values() if call.folio == folio]
        right |= {call.before[number] for call in under_way if number in call.before}
        question = OpenQuestion(folio, number, mm.name, frozenset(right))
        self._questions.append(question)
        return question

    def end_question(self, question: OpenQuestion, said: str) -> str:
        """It was answered. Returns: what is wrong with the answer, as far as it is known already."""
        question.said = said
        question.waits = tuple(call for _, call in sorted(self._calls.items()) if call.folio == question.folio)
        return self._judge(question)

    def _judge(self, question: OpenQuestion) -> str:
        if not question.said or question.waits:
            return ""
        self._questions.remove(question)
        if question.said in question.right:
            return ""
        right = " or ".join(sorted(question.right))
        self.wrong.append(f"f{question.folio}: answered {question.said} to {question.name}, right was {right}")
        return self.wrong[-1]

"""expect: comparing what was asked with what should be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from folioshell.commands import ask
from folioshell.commands.build import FOLIO, arg, command, place, process_operand
from folioshell.commands.call import Call
from folioshell.commands.compare import EQUALITY, Comparison, read_answer, read_list, read_number
from folioshell.commands.grammar import VIEW, Arg, Flag, Form
from folioshell.commands.lex import Token
from folioshell.commands.operands import Choice
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.commands.schemes import TRUTH, SchemeName, scheme_of
from folioshell.commands.verdict import comparison_of, explained, judged, judged_answer, judged_number
from folioshell.report import Report
from folioshell.session.step_events import StepEvents
from folioshell.units import format_address

TOPIC = "asserting"
RACED = {
    "deadlocks": "states with a deadlock",
    "miscounts": "end states in which a protocol's number is not its definition's",
    "invariants": "states with a broken invariant",
    "unlocked": "states in which an entry changed without its lock",
    "states": "distinct states",
}
YES_NO = ("no", "yes")
SHARED_ANSWERS = ("no", "yes", "maybe")
ANSWERS = ("no", "yes", ask.CANNOT)


_SCHEME = SchemeName()
_JUDGE = SchemeName(truth=True)
_WHAT = arg("WHAT", FOLIO, "the folio, or a page that it is mapped at")


def _mapcount(call: Call) -> Report:
    scheme, about = scheme_of(call, "SCHEME"), ask.target(call, "WHAT")
    number = scheme.mapcount(about.number, about.page)
    return judged_number(call, number, lambda: explained(call, about, scheme.name))


def _asked(kind: str) -> Callable[[Call], Report]:
    """The handler of a question with a word for an answer."""

    def handler(call: Call) -> Report:
        about, judge = ask.target(call, "WHAT"), call.word("SCHEME", TRUTH)
        if judge == TRUTH:
            actual = ask.true_answer(kind, ask.counts_of(call.workspace, about.folio), about.order)
        else:
            actual = ask.scheme_answer(kind, scheme_of(call, "SCHEME"), about)
        return judged_answer(call, actual, lambda: explained(call, about, judge))

    return handler


def _page_mapcount(call: Call) -> Report:
    mm, vpn = call.page(ref := call.arguments.get("PLACE", PlaceRef))
    folio, page = call.folio_at(mm, vpn, ref.token)
    about = ask.Target(ref.token.text, folio.id, folio.order, folio, page, mm.mm_id)
    judge = call.word("SCHEME", TRUTH)
    if judge == TRUTH:
        actual = str(ask.true_page(call.workspace, about))
    else:
        actual = ask.page_answer(scheme_of(call, "SCHEME"), about)
    comparison = comparison_of(call)
    if ask.CANNOT in (actual, comparison.expected):
        passed = comparison.operator in EQUALITY and comparison.holds_for_words([actual])
    else:
        passed = comparison.holds_for_number(int(actual))
    return judged(call, passed, actual, lambda: explained(call, about, judge))


def _truth(call: Call) -> Report:
    about = ask.target(call, "WHAT")
    counts = ask.counts_of(call.workspace, about.folio)
    return judged_number(call, int(getattr(counts, call.word("COUNT"))), lambda: explained(call, about))


def _order(call: Call) -> Report:
    about = ask.target(call, "WHAT")
    return judged_number(call, about.order, lambda: [f"f{about.number} has {1 << about.order} pages"])


def _present(call: Call) -> Report:
    mm, vpn = call.page(call.arguments.get("PLACE", PlaceRef))
    entry = call.kernel.entry(mm, vpn)
    where = f"{mm} at {format_address(vpn)}"
    return judged_answer(
        call, "yes" if entry > 0 else "no", lambda: [f"{where}: {'no' if entry <= 0 else 'a'} present entry"]
    )


def _locks(call: Call) -> Report:
    journal = call.workspace.journal
    rows = StepEvents(journal[-1].trace).locks if journal else []
    every = call.word("which") == "all"
    taken = [row for row in rows if every or row.name.startswith("pt")]
    names = [name for row in taken for name in [row.name] * row.times]
    passed = comparison_of(call).holds_for_words(names)
    why = [f"{row.name} taken by {row.function}" for row in taken]
    return judged(call, passed, " ".join(names) or "none", lambda: why, lasting=False)


def _findings(call: Call) -> Report:
    journal = call.workspace.journal
    found = StepEvents(journal[-1].trace).findings if journal else []
    return judged_number(call, len(found), lambda: [finding.text for finding in found], lasting=False)


def _raced(kind: str) -> Callable[[Call], Report]:
    """The handler of a number that the last race gave."""

    def handler(call: Call) -> Report:
        verdict = call.session.verdict
        if verdict is None:
            raise call.refused_at("lead", "there was no race yet", hint="`race { A.t1: … ; A.t2: … }`")
        if kind == "states":
            seen = [f"{verdict.states} distinct states were seen"]
            return judged_number(call, verdict.states, lambda: seen, lasting=False)
        lines = [f"{found.text}: schedule {found.schedule}" for found in verdict.findings]
        why = lines or ["the race found nothing wrong"]
        return judged_number(call, verdict.count(kind), lambda: why, lasting=False)

    return handler


def _counted(call: Call) -> Report:
    about, protocol = ask.target(call, "FOLIO"), call.kernel.protocol
    if protocol is None:
        raise call.refused_at("lead", "no protocol counts", hint="`set decide vmas ; set protocol NAME`")
    return judged_number(call, protocol.counts.get(about.number, 0), lambda: explained(call, about, "vmas"))


def _same(call: Call) -> Report:
    pages = []
    for name in ("PLACE", "OTHER"):
        ref = call.arguments.get(name, PlaceRef)
        pages.append(call.folio_at(*call.page(ref), ref.token))
    texts = [f"page {page} of {folio}" for folio, page in pages]
    same = pages[0][0].id == pages[1][0].id and pages[0][1] == pages[1][1]
    return judged(call, same, "yes" if same else "no", lambda: [f"{texts[0]}; {texts[1]}"])


def _vmas(call: Call) -> Report:
    mm = call.process_named("PROCESS")
    return judged_number(
        call,
        len(mm.vmas),
        lambda: [f"{vma} {format_address(vma.start)}+{vma.nr_pages} {vma.perm}" for vma in mm.vmas],
    )


def _free(call: Call) -> Report:
    ref = call.arguments.get("FOLIO", object)
    if not isinstance(ref, FolioRef):
        raise call.refused_at("FOLIO", "a folio id is wanted: what is mapped at a place is not free")
    folio = call.kernel.folios.get(call.folio_number(ref))
    living = folio is not None
    return judged(
        call, not living, "no" if living else "yes", lambda: [f"{folio} has {folio.ref if folio else 0} references"]
    )


def _yes_no(words: Sequence[Token], last: Token) -> Comparison:
    return read_answer(words, last, YES_NO)


def _answers(words: Sequence[Token], last: Token) -> Comparison:
    return read_answer(words, last, ANSWERS)


def _shared_answers(words: Sequence[Token], last: Token) -> Comparison:
    return read_answer(words, last, SHARED_ANSWERS)


def _number_or_cannot(words: Sequence[Token], last: Token) -> Comparison:
    if len(words) > 1 and words[1].text == ask.CANNOT:
        return read_answer(words, last, (ask.CANNOT,))
    return read_number(words, last)


_NUMBER = "==|!=|<|<=|>|>= NUMBER"
_optional_judge = arg("SCHEME", _JUDGE, "who answers; the truth unless said", optional=True)


@command(
    "expect",
    Form(
        "mapcount",
        (Arg("SCHEME", _SCHEME, "whose number"), _WHAT),
        summary="a scheme's number",
        handler=_mapcount,
        compare=read_number,
        compare_usage=_NUMBER,
    ),
    Form(
        "shared?",
        (Arg("SCHEME", _JUDGE, "who answers"), _WHAT),
        summary="does anybody else map it",
        handler=_asked(ask.SHARED),
        compare=_shared_answers,
        compare_usage="==|!= no|yes|maybe",
    ),
    Form(
        "mapped?",
        (_optional_judge, _WHAT),
        summary="is any page of it mapped",
        handler=_asked(ask.MAPPED),
        compare=_answers,
        compare_usage="==|!= no|yes|cannot",
    ),
    Form(
        "partial?",
        (_optional_judge, _WHAT),
        summary="is it only partly mapped",
        handler=_asked(ask.PARTIAL),
        compare=_answers,
        compare_usage="==|!= no|yes|cannot",
    ),
    Form(
        "page_mapcount",
        (_optional_judge, place("one page")),
        summary="how often is this page mapped",
        handler=_page_mapcount,
        compare=_number_or_cannot,
        compare_usage="==|!=|<|<=|>|>= NUMBER|cannot",
    ),
    Form(
        "truth",
        (Arg("COUNT", Choice(ask.COUNTS, "count"), "what is counted"), _WHAT),
        summary="what the page tables say",
        handler=_truth,
        compare=read_number,
        compare_usage=_NUMBER,
    ),
    Form("order", (_WHAT,), summary="order of a folio", handler=_order, compare=read_number, compare_usage=_NUMBER),
    Form(
        "present?",
        (place("one page"),),
        summary="is there a present entry",
        handler=_present,
        compare=_yes_no,
        compare_usage="==|!= no|yes",
    ),
    Form(
        "locks",
        flags=(Flag("all", "which", "PMD-table locks and page_table_lock too"),),
        summary="PTE-table locks that the last step took, in order",
        handler=_locks,
        compare=read_list,
        compare_usage="==|!= LOCK …",
    ),
    Form(
        "findings",
        summary="rules of memory that the last step broke because the deciding scheme was wrong",
        handler=_findings,
        compare=read_number,
        compare_usage=_NUMBER,
    ),
    *(
        Form(
            kind,
            summary=f"{what} that the last race found",
            handler=_raced(kind),
            compare=read_number,
            compare_usage=_NUMBER,
        )
        for kind, what in RACED.items()
    ),
    Form(
        "counted",
        (arg("FOLIO", FOLIO, "the folio"),),
        summary="the number of a folio's VMAs as the protocol under test counted",
        handler=_counted,
        compare=read_number,
        compare_usage=_NUMBER,
    ),
    Form(
        "same",
        (place("one page"), place("another", "OTHER")),
        summary="do both map the same folio and page",
        handler=_same,
    ),
    Form(
        "vmas",
        (Arg("PROCESS", process_operand(), "whose"),),
        summary="number of VMAs of a process",
        handler=_vmas,
        compare=read_number,
        compare_usage=_NUMBER,
    ),
    Form("free", (arg("FOLIO", FOLIO, "its id"),), summary="the folio was freed", handler=_free),
    kind=VIEW,
    topic=TOPIC,
    summary="assert something",
    explained="Compares a query with a value. In a script a failed one is reported with both values and why; the "
    "script goes on, and the run ends with status 1.",
    examples=(
        "file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; expect mapcount vmas f1 == 1",
        "mmap buf 16 ; fault buf[0] ; expect truth mms buf[0] == 1 ; expect present? buf[1] == no",
    ),
)
def expect(call: Call) -> Report:
    """Assert something; every form has its own handler."""
    raise AssertionError("every form of expect has a handler")

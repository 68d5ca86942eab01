"""The questions: each is declared here once, and ``query``, ``expect``, ``watch``, help and completion follow from it.

A question about a folio or page that schemes answer is a ``judged_question``: the function gives a scheme's answer, and
``truth`` that of the page tables. Any other is a ``question``: the function reads the answer from the state.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from folioshell.commands.call import Call, done
from folioshell.commands.compare import Values
from folioshell.commands.grammar import Arg, Flag
from folioshell.commands.operands import Choice, Pair
from folioshell.commands.places import FOLIO, PROCESS, FolioRef, PlaceRef, lock_pairs, place
from folioshell.commands.question import AskedFolio, CurrentAnswer, explained, judged_question, question, target
from folioshell.model import pte
from folioshell.model import truth as page_tables
from folioshell.model.truth import TruthCounts
from folioshell.paths.protocol import Protocol, alone
from folioshell.report import Query, Report, Table
from folioshell.schemes.base import Scheme
from folioshell.session.entries import present_runs
from folioshell.session.session import Session
from folioshell.session.step_events import StepEvents
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import counted

NUMBER = Values(number=True)
YES_NO = Values(("no", "yes"))
CLAIM = YES_NO._replace(optional=True)
CANNOT = "cannot"
SHARED, MAPPED, MAPCOUNT, PARTIAL, PAGE_MAPCOUNT = "shared?", "mapped?", "mapcount", "partial?", "page_mapcount"
WHAT = Arg("WHAT", FOLIO, "the folio, or a page that it is mapped at")
#: what the page tables count of a folio
COUNTS = {
    "mms": "address spaces that map a page of it",
    "vmas": "VMAs that map a page of it",
    "tuples": "(VMA, page table) pairs with entries for it",
    "entries": "page-table entries that map it",
    "pages": "pages of it that are mapped",
}


def _yes(holds: bool) -> str:
    return "yes" if holds else "no"


# What schemes answer.


@judged_question(
    SHARED,
    WHAT,
    values=Values(("no", "yes", "maybe")),
    truth=lambda workspace, about, counts: _yes(counts.shared),
    named=True,
)
def _shared(scheme: Scheme, about: AskedFolio) -> str:
    """Does anyone else map it?"""
    if about.page is not None:
        return str(scheme.page_shared(about.number, about.page, about.asker))
    return str(scheme.shared(about.number, about.asker))


@judged_question(
    MAPPED, WHAT, values=Values(("no", "yes", CANNOT)), truth=lambda workspace, about, counts: _yes(counts.pages > 0)
)
def _mapped(scheme: Scheme, about: AskedFolio) -> str:
    """Is any page of it mapped?"""
    mapped = scheme.mapped(about.number)
    return CANNOT if mapped is None else _yes(mapped)


@judged_question(MAPCOUNT, WHAT, values=NUMBER, truth=lambda workspace, about, counts: counts.entries, named=True)
def _mapcount(scheme: Scheme, about: AskedFolio) -> int:
    """The mapcount of the folio, or of the page where a scheme counts pages."""
    return scheme.mapcount(about.number, about.page)


@judged_question(
    PARTIAL,
    WHAT,
    values=Values(("no", "yes", CANNOT)),
    truth=lambda workspace, about, counts: _yes(0 < counts.pages < 1 << about.order),
)
def _partial(scheme: Scheme, about: AskedFolio) -> str:
    """Is it only partially mapped?"""
    return str(scheme.partially_mapped(about.number))


def true_page(workspace: Workspace, about: AskedFolio) -> int | None:
    """Number of entries that map the page asked about, PMD entries included; None if no page was asked about."""
    if about.page is None or about.folio is None:
        return None
    found = page_tables.mappings(workspace.kernel, about.folio)
    return sum(mapping.first <= about.page < mapping.first + mapping.nr for mapping in found)


def _true_page(workspace: Workspace, about: AskedFolio, counts: TruthCounts) -> int:
    return true_page(workspace, about) or 0


@judged_question(PAGE_MAPCOUNT, place("one page"), values=Values((CANNOT,), number=True), truth=_true_page)
def page_mapcount(scheme: Scheme, about: AskedFolio) -> int | str:
    """How often is this page mapped?"""
    assert about.page is not None
    number = scheme.page_mapcount(about.number, about.page)
    return CANNOT if number is None else number


# What the state says.


@question("truth", Arg("COUNT", Choice(COUNTS, "count"), "what to count"), WHAT, values=NUMBER)
def _truth(call: Call) -> CurrentAnswer:
    """What the page tables say."""
    about, count = target(call, "WHAT"), call.word("COUNT")
    value: int = getattr(about.counts(call.workspace), count)
    return CurrentAnswer(value, lambda: explained(call, about), about, label=count)


@question("order", WHAT, values=NUMBER)
def _order(call: Call) -> CurrentAnswer:
    """The order of the folio."""
    about = target(call, "WHAT")
    return CurrentAnswer(about.order, lambda: [f"f{about.number} has {counted(1 << about.order, 'page')}"], about)


def _present_report(call: Call) -> Report:
    """What is mapped at a page; of several pages, the runs that have present entries and those that have none."""
    ref = call.arguments.get("PLACE", PlaceRef)
    found = call.range_of(ref)
    if found.nr == 1:
        mapped = call.kernel.folio_at(found.mm, found.start)
        answer = _yes(call.kernel.entry(found.mm, found.start) > 0)
        if mapped is not None:
            return done(call, query=Query("present?", ref.token.text, str(mapped[0]), mapped[0].order, answer=answer))
        zero = ", the zero page" if answer == "yes" else ""
        return done(call, query=Query("present?", ref.token.text, "", 0, answer=answer + zero))
    runs = present_runs(call.kernel, found.mm, found.start, found.end)
    rows = tuple((ref.pages_text(start - found.start, nr), _yes(there)) for start, nr, there in runs)
    present = sum(nr for _, nr, there in runs if there)
    table = Table(f"present? {ref.token.text}", ("pages", "present"), rows)
    return done(call, f"{found.mm.name} has {present} of {found.nr} pages present.", sections=(table,))


@question("present?", place("the pages looked at"), values=YES_NO, ranges=True, report=_present_report)
def _present(call: Call) -> CurrentAnswer:
    """Is there a present entry, or at how many of several pages?"""
    found = call.range_of(call.arguments.get("PLACE", PlaceRef))
    if found.nr > 1:
        runs = present_runs(call.kernel, found.mm, found.start, found.end)
        return CurrentAnswer(f"{sum(nr for _, nr, there in runs if there)} of {counted(found.nr, 'page')}")
    entry = call.kernel.entry(found.mm, found.start)
    where = f"{found.mm} at {format_address(found.start)}"
    what = "a guard marker, no present entry" if entry == pte.GUARD else f"{'no' if entry <= 0 else 'a'} present entry"
    return CurrentAnswer(_yes(entry > 0), lambda: [f"{where}: {what}"])


@question("same", place("a page"), place("another page", "OTHER"), values=CLAIM)
def _same(call: Call) -> CurrentAnswer:
    """Do both places map the same page of the same folio?"""
    pages = []
    for name in ("PLACE", "OTHER"):
        ref = call.arguments.get(name, PlaceRef)
        pages.append(call.folio_at(*call.page(ref), ref.token))
    (folio, page), (other, other_page) = pages
    texts = " and ".join(f"page {page} of {folio}" for folio, page in pages)
    return CurrentAnswer(_yes(folio.id == other.id and page == other_page), lambda: [f"they map {texts}"])


@question("free", Arg("FOLIO", FOLIO, "id of the folio"), values=CLAIM)
def _free(call: Call) -> CurrentAnswer:
    """Was the folio freed?"""
    ref = call.arguments.get("FOLIO", object)
    if not isinstance(ref, FolioRef):
        raise call.refused_at("FOLIO", "a folio id is expected: a folio mapped at a place is not free")
    number = call.folio_number(ref)
    folio = call.kernel.folios.get(number)
    held = f"f{number} was freed" if folio is None else f"{folio} has {counted(folio.ref, 'reference')}"
    return CurrentAnswer(_yes(folio is None), lambda: [held])


@question("vmas", Arg("PROCESS", PROCESS, "the process"), values=NUMBER)
def _vmas(call: Call) -> CurrentAnswer:
    """The number of VMAs of a process."""
    mm = call.process_named("PROCESS")
    return CurrentAnswer(
        len(mm.vmas), lambda: [f"{vma} {format_address(vma.start)}+{vma.nr_pages} {vma.perm}" for vma in mm.vmas]
    )


@question("counted", Arg("FOLIO", FOLIO, "the folio"), values=NUMBER)
def _counted(call: Call) -> CurrentAnswer:
    """What the protocol under test counted for a folio: of a protocol of the mail, its VMAs."""
    about, protocol = target(call, "FOLIO"), call.kernel.protocol
    if not isinstance(protocol, Protocol):
        raise call.refused_at("lead", "no protocol counts", hint="`set decide vmas ; set protocol NAME`")
    number = alone(protocol, "counted", about.folio) if about.folio is not None and about.order else 0
    if not isinstance(number, int):
        raise call.refused_at("lead", f"{protocol.name} counts {protocol.text_of(number)}, which is not a number")
    return CurrentAnswer(number, lambda: explained(call, about, protocol.scheme))


# What the last step or race did.


def _taken(session: Session, taken: Collection[str]) -> Iterable[Pair]:
    return (pair for pair in lock_pairs(session) if "which" in taken or pair[0].startswith("pt"))


@question(
    "locks",
    flags=(Flag("all", "which", "PMD-table locks and page_table_lock too"),),
    values=Values(listed="LOCK", offered=_taken),
    lasting=False,
)
def _locks(call: Call) -> CurrentAnswer:
    """The PTE-table locks that the last step took, in order."""
    every = call.word("which") == "all"
    rows = [row for row in _last_step(call).locks if every or row.name.startswith("pt")]
    names = tuple(name for row in rows for name in [row.name] * row.times)
    return CurrentAnswer(names, lambda: [f"{row.name} taken by {row.function}" for row in rows])


@question("findings", values=NUMBER, lasting=False)
def _findings(call: Call) -> CurrentAnswer:
    """The rules of memory that the last step broke because the deciding scheme was wrong."""
    found = _last_step(call).findings
    return CurrentAnswer(len(found), lambda: [finding.text for finding in found])


def _last_step(call: Call) -> StepEvents:
    journal = call.workspace.journal
    return StepEvents(journal[-1].trace if journal else ())


def _raced(kind: str, what: str) -> Callable[[Call], CurrentAnswer]:
    """The reader of a number that the last race gave."""

    def read(call: Call) -> CurrentAnswer:
        verdict = call.session.verdict
        if verdict is None:
            raise call.refused_at("lead", "there is no race yet", hint="`race { A.t1: … ; A.t2: … }`")
        if kind == "states":
            return CurrentAnswer(verdict.states, lambda: [f"the race saw {counted(verdict.states, 'distinct state')}"])
        lines = [
            f"{found.text}: schedule {found.schedule}" if found.schedule else found.text for found in verdict.findings
        ]
        return CurrentAnswer(verdict.count(kind), lambda: lines or ["the race found nothing wrong"])

    read.__doc__ = f"{what} in the last race"
    return read


for _kind, _what in (
    ("deadlocks", "States with a deadlock"),
    ("livelocks", "States on a cycle that a fair scheduler can run forever"),
    ("miscounts", "End states in which a protocol's counter differs from its definition"),
    ("invariants", "States with a broken invariant"),
    ("unlocked", "States in which an entry changed without its lock"),
    ("errors", "States in which a protocol from a file raised or broke a rule"),
    ("states", "Distinct states"),
):
    question(_kind, values=NUMBER, lasting=False)(_raced(_kind, _what))

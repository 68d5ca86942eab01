"""Questions about a folio: what each scheme answers, what the page tables say, and what a ``maybe`` costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from folioshell.commands.call import Call, Range
from folioshell.commands.places import FolioRef, PlaceRef
from folioshell.model import truth as page_tables
from folioshell.model.folio import Folio
from folioshell.report import Query, QueryRow, Truth
from folioshell.schemes.base import Scheme
from folioshell.session.entries import EntryRun, entry_runs_in, joined_where
from folioshell.session.folio_groups import FolioGroup, by_group, entries_of_all, folio_groups
from folioshell.session.walks import dry_walk
from folioshell.session.workspace import Workspace
from folioshell.wording import counted

SHARED, MAPPED, MAPCOUNT, PARTIAL = "shared?", "mapped?", "mapcount", "partial?"
CANNOT = "cannot"
#: what the page tables count of a folio
COUNTS = {
    "mms": "address spaces that map a page of it",
    "vmas": "VMAs that do",
    "tuples": "pairs of VMA and page table",
    "entries": "entries",
    "pages": "pages of it that are mapped",
}

NOTHING = page_tables.TruthCounts(0, 0, 0, 0, 0, 0)


class Target(NamedTuple):
    """What is asked about.

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


def target(call: Call, name: str) -> Target:
    """The folio that an argument names; an id may be that of a folio that was freed.

    Raises:
        Refused: there is none, or the place is a range.
    """
    ref = call.arguments.get(name, object)
    if isinstance(ref, PlaceRef):
        mm, vpn = call.page(ref)
        folio, page = call.folio_at(mm, vpn, ref.token)
        return Target(ref.token.text, folio.id, folio.order, folio, page, mm.mm_id)
    assert isinstance(ref, FolioRef)
    number = call.folio_number(ref)
    found = call.kernel.folios.get(number)
    order = found.order if found is not None else call.workspace.order_of(number)
    return Target(f"f{number}", number, order, found, None, asker_of(call, found))


def asker_of(call: Call, folio: Folio | None) -> int:
    """MM-ID of who asks about a folio: who runs the query if it maps the folio, else the first that does."""
    own = call.kernel.mms.get(call.process)
    mappers = [mapping.mm for mapping in page_tables.mappings(call.kernel, folio)] if folio is not None else []
    if own is not None and (own in mappers or not mappers):
        return own.mm_id
    return mappers[0].mm_id if mappers else 0


def counts_of(workspace: Workspace, folio: Folio | None) -> page_tables.TruthCounts:
    """What the page tables say of a folio; nothing of one that was freed."""
    return NOTHING if folio is None else page_tables.truth(workspace.kernel, folio)


def true_answer(kind: str, counts: page_tables.TruthCounts, order: int) -> str:
    """The answer of the page tables; to ``mapcount`` the number of entries."""
    if kind == SHARED:
        return "yes" if counts.shared else "no"
    if kind == MAPPED:
        return "yes" if counts.pages else "no"
    if kind == PARTIAL:
        return "yes" if 0 < counts.pages < 1 << order else "no"
    return str(counts.entries)


def true_page(workspace: Workspace, about: Target) -> int | None:
    """Number of entries that map the page asked about, PMD entries included; None if no page was asked about."""
    if about.page is None or about.folio is None:
        return None
    found = page_tables.mappings(workspace.kernel, about.folio)
    return sum(mapping.first <= about.page < mapping.first + mapping.nr for mapping in found)


def scheme_answer(kind: str, scheme: Scheme, about: Target) -> str:
    """What a scheme answers: ``no``, ``yes``, ``maybe``, ``cannot`` or a number as text."""
    if kind == SHARED:
        if about.page is not None:
            return str(scheme.page_shared(about.number, about.page, about.asker))
        return str(scheme.shared(about.number, about.asker))
    if kind == MAPPED:
        mapped = scheme.mapped(about.number)
        return CANNOT if mapped is None else "yes" if mapped else "no"
    if kind == PARTIAL:
        return str(scheme.partially_mapped(about.number))
    return str(scheme.mapcount(about.number, about.page))


def page_answer(scheme: Scheme, about: Target) -> str:
    """How often a scheme says that the page asked about is mapped, as text, or ``cannot``."""
    assert about.page is not None
    number = scheme.page_mapcount(about.number, about.page)
    return CANNOT if number is None else str(number)


def verdict(answer: str, true: str) -> str:
    """How an answer compares with the truth."""
    if answer == "maybe":
        return "undecided"
    if answer not in ("no", "yes"):
        return ""
    if answer == true:
        return "exact"
    return "false positive" if answer == "yes" else "false negative"


def page_verdict(answer: str, true: int) -> str:
    """How a number of mappings of a page compares with the truth."""
    if answer == CANNOT:
        return ""
    return "exact" if int(answer) == true else "too few" if int(answer) < true else "too many"


def ask(call: Call, kind: str, about: Target, group: FolioGroup | None = None) -> Query:
    """A question with a row for each shown scheme; ``group``: order-0 folios like this one, whose truth is known."""
    workspace = call.workspace
    counts = counts_of(workspace, about.folio) if group is None else group.truth
    true = true_answer(kind, counts, about.order)
    page = None
    if kind == MAPCOUNT:
        page = true_page(workspace, about) if group is None else counts.entries
    schemes = workspace.machine.schemes
    if page is None:
        rows = _answers(workspace, [schemes[name] for name in call.session.shown_schemes], kind, about, true)
    else:
        rows = [_page_row(schemes[name], about, page) for name in call.session.shown_schemes]
    told = Truth(true, counts.mms, counts.vmas, counts.tuples, counts.entries, counts.pages, page)
    return Query(kind, about.text, f"f{about.number}", about.order, tuple(rows), told)


def _answers(workspace: Workspace, schemes: Iterable[Scheme], kind: str, about: Target, true: str) -> list[QueryRow]:
    cost = ""
    rows = []
    for scheme in schemes:
        answer = scheme_answer(kind, scheme, about)
        if answer == "maybe" and not cost:
            cost = walk_cost(workspace, about.folio)
        number = scheme.mapcount(about.number, about.page)
        judged = "" if kind == MAPCOUNT else verdict(answer, true)
        rows.append(QueryRow(scheme.name, number, answer, cost if answer == "maybe" else "", judged))
    return rows


def _page_row(scheme: Scheme, about: Target, true: int) -> QueryRow:
    """The number, and how often the scheme says that the page is mapped."""
    number = scheme.mapcount(about.number, about.page)
    page = page_answer(scheme, about)
    return QueryRow(scheme.name, number, str(number), verdict=page_verdict(page, true), page=page)


def walk_cost(workspace: Workspace, folio: Folio | None) -> str:
    """What a full rmap_walk costs: ``a walk of 1 VMA, 2 PTLs, 16 entries``."""
    if folio is None:
        return ""
    walk = dry_walk(workspace, folio, "query")
    entries = counted(walk.entries, "entry", "entries")
    return f"a walk of {counted(len(walk.visits), 'VMA')}, {counted(walk.ptls, 'PTL')}, {entries}"


class Run(NamedTuple):
    """Consecutive pages of a range that map consecutive pages of one folio, order-0 folios that are alike, or nothing.

    Args:
        start, nr: virtual pages.
        about: the (first) folio and the first page of it; None where no folio is mapped.
        group: those that an order-0 folio is like.
    """

    start: int
    nr: int
    about: Target | None = None
    group: FolioGroup | None = None

    def goes_on(self, later: Run) -> bool:
        """May both be told as one?"""
        if self.about is None or later.about is None:
            return self.about is later.about
        if self.group is not None:
            return self.group is later.group and self.about.number + self.nr == later.about.number
        return self.about.number == later.about.number and (self.about.page or 0) + self.nr == later.about.page

    def joined(self, later: Run) -> Run:
        """Both as one, which ``later`` goes on."""
        return self._replace(nr=self.nr + later.nr)


def runs(call: Call, ref: PlaceRef) -> list[Run]:
    """The runs of a place, ascending.

    Raises:
        Refused: there is no such place.
    """
    return joined_where(_runs(call, call.range_of(ref)), Run.goes_on, Run.joined)


def _runs(call: Call, found: Range) -> Iterator[Run]:
    shown, kernel = call.session.shown_schemes, call.kernel
    groups: list[FolioGroup] = []
    vpn = found.start
    for run in entry_runs_in(kernel, found.mm, found.start, found.end):
        if not run.folio:
            continue
        if run.vpn > vpn:
            yield Run(vpn, run.vpn - vpn)
        # One folio answers for itself; many of order 0 are looked at together.
        pieces: Iterable[tuple[EntryRun, FolioGroup | None]] = [(run, None)]
        if run.nr_folios > 1:
            groups = groups or folio_groups(call.workspace, shown, entries_of_all(call.workspace))
            pieces = by_group(run, groups)
        for piece, group in pieces:
            folio = kernel.folios.get(piece.folio)
            about = Target(f"f{piece.folio}", piece.folio, piece.order, folio, piece.page, found.mm.mm_id)
            yield Run(piece.vpn, piece.nr, about, None if piece.order else group)
        vpn = run.end
    if vpn < found.end:
        yield Run(vpn, found.end - vpn)

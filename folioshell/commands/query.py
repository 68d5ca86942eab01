"""query: what every shown scheme answers, with the truth beside it and what a ``maybe`` costs; or what the state is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from folioshell.commands.call import Call, Range, done
from folioshell.commands.compare import text_of
from folioshell.commands.grammar import VIEW, command
from folioshell.commands.places import PlaceRef
from folioshell.commands.question import AskedFolio, Question, questions, target
from folioshell.commands.questions import CANNOT, MAPCOUNT, PAGE_MAPCOUNT, page_mapcount, true_page
from folioshell.model.folio import Folio
from folioshell.records import NamedTuple
from folioshell.report import Query, QueryRow, Report, Table, Text, Truth
from folioshell.schemes.base import Scheme
from folioshell.session.entries import EntryRun, entry_runs_in, joined_where
from folioshell.session.folio_groups import FolioGroup, by_group, entries_of_all, folio_groups, knows_entries_only
from folioshell.session.step_report import dry_walk
from folioshell.session.workspace import Workspace
from folioshell.wording import Row, counted, folio_run


@command("query", *(one.form() for one in questions), kind=VIEW, topic="asking", lead_name="question")
def query(call: Call) -> Report:
    """Answer a question about the state.

    A question about a folio gives a row for each shown scheme: its number, its answer (`cannot` if it has none), what
    resolving a `maybe` costs, and the verdict against the truth: `exact`, `false negative`, `false positive` or
    `undecided`. The truth of `shared?` is whether more than one address space has a present entry for any page of the
    folio, whichever process asks. A range gives a row for each run. For a page, `mapcount` is the page's own count if
    the scheme keeps one, else its folio's; next to it is how often each scheme says that this page is mapped, judged
    `exact`, `too few` or `too many`. Any other question has one answer, from the state, the last step or the last race.

    Example:
        file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; query shared? win[0]
        mmap buf 16 ; query present? buf
        mmap buf 16 ; fault buf[0] ; query order buf[0] ; query vmas A
    """
    asked = questions.of(call)
    if asked.judges is not None:
        return _about_folio(call, asked)
    if asked.report is not None:
        return asked.report(call)
    answer = asked.answer(call)
    subject = call.statement.text.partition(f"{asked.name}")[2].strip()
    about = answer.about
    folio, order = (f"f{about.number}", about.order) if about is not None else ("", 0)
    why = answer.reasons()
    found = Query(asked.name, subject, folio, order, answer=text_of(answer.value))
    return done(call, query=found, sections=(Text(why),) if why else ())


def _about_folio(call: Call, asked: Question) -> Report:
    """A question to the schemes: about one folio or page, or a table of the runs of a range."""
    name = asked.args[0].name
    ref = call.arguments.get(name, object)
    if isinstance(ref, PlaceRef) and asked.name != PAGE_MAPCOUNT:
        found = joined_where(_runs(call, call.range_of(ref)), PlaceRun.goes_on, PlaceRun.joined)
        run = found[0]
        if len(found) > 1 or (run.nr > 1 and run.group is not None):
            return done(call, sections=(_rows(call, asked, ref, found),))
        if run.nr > 1 and run.about is not None:
            return done(call, query=_asked(call, asked, run.about._replace(text=ref.token.text, page=None)))
    return done(call, query=_asked(call, asked, target(call, name)))


# One folio or page.


def _asked(call: Call, asked: Question, about: AskedFolio, group: FolioGroup | None = None) -> Query:
    """The answers of the shown schemes; ``group``: order-0 folios like this one, whose truth is known."""
    assert asked.judges is not None
    workspace = call.workspace
    counts = about.counts(workspace) if group is None else group.truth
    true = str(asked.judges.truth(workspace, about, counts))
    page = None
    if asked.name in (MAPCOUNT, PAGE_MAPCOUNT):
        page = true_page(workspace, about) if group is None else counts.entries
    schemes = [workspace.machine.schemes[name] for name in call.session.shown_schemes]
    if page is None:
        rows = _scheme_rows(workspace, schemes, asked, about, true)
    else:
        rows = [_page_row(scheme, about, page) for scheme in schemes]
    told = Truth(true, counts.mms, counts.vmas, counts.tuples, counts.entries, counts.pages, page)
    return Query(asked.name, about.text, f"f{about.number}", about.order, tuple(rows), told)


def _scheme_rows(
    workspace: Workspace, schemes: Iterable[Scheme], asked: Question, about: AskedFolio, true: str
) -> list[QueryRow]:
    assert asked.judges is not None
    cost = ""
    rows = []
    for scheme in schemes:
        answer = str(asked.judges.scheme(scheme, about))
        if answer == "maybe" and not cost:
            cost = _walk_cost(workspace, about.folio)
        number = scheme.mapcount(about.number, about.page)
        rows.append(QueryRow(scheme.name, number, answer, cost if answer == "maybe" else "", _verdict(answer, true)))
    return rows


def _verdict(answer: str, true: str) -> str:
    """How an answer compares with the truth; numbers of schemes are no claims about it."""
    if answer == "maybe":
        return "undecided"
    if answer not in ("no", "yes"):
        return ""
    if answer == true:
        return "exact"
    return "false positive" if answer == "yes" else "false negative"


def _page_row(scheme: Scheme, about: AskedFolio, true: int) -> QueryRow:
    """The number, and how often the scheme says that the page is mapped."""
    number = scheme.mapcount(about.number, about.page)
    page = page_mapcount(scheme, about)
    verdict = "" if page == CANNOT else "exact" if page == true else "too few" if int(page) < true else "too many"
    return QueryRow(scheme.name, number, str(number), verdict=verdict, page=str(page))


def _walk_cost(workspace: Workspace, folio: Folio | None) -> str:
    """What a full rmap_walk costs: ``a walk of 1 VMA, 2 PTLs, 16 entries``."""
    if folio is None:
        return ""
    walk = dry_walk(workspace, folio, "query")
    entries = counted(walk.entries, "entry", "entries")
    return f"a walk of {counted(len(walk.visits), 'VMA')}, {counted(walk.ptls, 'PTL')}, {entries}"


# The runs of a range.


class PlaceRun(NamedTuple):
    """Consecutive pages of a range that map consecutive pages of one folio, order-0 folios that are alike, or nothing.

    Args:
        start, nr: virtual pages.
        about: the (first) folio and the first page of it; None where no folio is mapped.
        group: those that an order-0 folio is like.
    """

    start: int
    nr: int
    about: AskedFolio | None = None
    group: FolioGroup | None = None

    def goes_on(self, later: PlaceRun) -> bool:
        """May both be one row?"""
        if self.about is None or later.about is None:
            return self.about is later.about
        if self.group is not None:
            return self.group is later.group and self.about.number + self.nr == later.about.number
        return self.about.number == later.about.number and (self.about.page or 0) + self.nr == later.about.page

    def joined(self, later: PlaceRun) -> PlaceRun:
        """Both as one; ``later`` continues it."""
        return self._replace(nr=self.nr + later.nr)


def _runs(call: Call, found: Range) -> Iterator[PlaceRun]:
    shown, kernel = call.session.shown_schemes, call.kernel
    groups: list[FolioGroup] = []
    starts: list[int] = []
    vpn = found.start
    for run in entry_runs_in(kernel, found.mm, found.start, found.end):
        if not run.folio:
            continue
        if run.vpn > vpn:
            yield PlaceRun(vpn, run.vpn - vpn)
        # One folio answers for itself; many of order 0 are looked at together.
        pieces: Iterable[tuple[EntryRun, FolioGroup | None]] = [(run, None)]
        if run.nr_folios > 1:
            if not groups:
                groups = folio_groups(call.workspace, shown, entries_of_all(call.workspace))
                starts = [group.first for group in groups]
            pieces = by_group(run, groups, starts)
        for piece, group in pieces:
            folio = kernel.folios.get(piece.folio)
            about = AskedFolio(f"f{piece.folio}", piece.folio, piece.order, folio, piece.page, found.mm.mm_id)
            yield PlaceRun(piece.vpn, piece.nr, about, None if piece.order else group)
        vpn = run.end
    if vpn < found.end:
        yield PlaceRun(vpn, found.end - vpn)


def _rows(call: Call, asked: Question, ref: PlaceRef, found: list[PlaceRun]) -> Table:
    """One row a run of a range."""
    schemes = call.session.shown_schemes
    start = call.range_of(ref).start
    rows: list[Row] = []
    for run in found:
        if run.about is None:
            rows.append((ref.pages_text(run.start - start, run.nr), "none", None, *("" for _ in schemes), "", None))
            continue
        rows += [
            (ref.pages_text(part.start - start, part.nr), *_cells(call, asked, part))
            for part in _alike(call, asked, run)
        ]
    return Table(f"{asked.name} {ref.token.text}", ("pages", "folio", "order", *schemes, "truth", "mms"), tuple(rows))


def _cells(call: Call, asked: Question, run: PlaceRun) -> Row:
    """What is asked about, what each scheme answers, with the verdict unless it is right, and the truth."""
    assert run.about is not None
    about = run.about
    found = _asked(call, asked, about if run.nr == 1 or run.group else about._replace(page=None), run.group)
    judged = asked.name != MAPCOUNT
    answers = [
        f"{row.answer} ({row.verdict})" if judged and row.verdict not in ("", "exact") else row.answer
        for row in found.rows
    ]
    folio = folio_run(about.number, run.nr if run.group else 1)
    assert found.truth is not None
    return (folio, found.order, *answers, found.truth.answer, found.truth.mms)


def _alike(call: Call, asked: Question, run: PlaceRun) -> list[PlaceRun]:
    """A run of order-0 folios, split where a scheme that knows more of each than its entries answers otherwise."""
    schemes = call.workspace.machine.schemes
    others = [schemes[name] for name in call.session.shown_schemes if not knows_entries_only(schemes[name])]
    if run.group is None or run.nr == 1 or not others:
        return [run]
    assert run.about is not None
    assert asked.judges is not None
    parts: list[PlaceRun] = []
    last: list[str] = []
    for at in range(run.nr):
        number = run.about.number + at
        about = run.about._replace(text=f"f{number}", number=number, folio=call.kernel.folios.get(number))
        answers = [str(asked.judges.scheme(scheme, about)) for scheme in others]
        if parts and answers == last:
            parts[-1] = parts[-1]._replace(nr=parts[-1].nr + 1)
        else:
            parts.append(run._replace(start=run.start + at, nr=1, about=about))
        last = answers
    return parts

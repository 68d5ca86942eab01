"""query: asking every shown scheme about a folio, with the truth beside the answers."""

from __future__ import annotations

from collections.abc import Callable

from folioshell.commands import ask
from folioshell.commands.build import FOLIO, arg, command, done, place
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.places import PlaceRef
from folioshell.report import Query, Report, Table
from folioshell.session.entries import present_runs
from folioshell.session.folio_groups import knows_entries_only
from folioshell.units import format_address
from folioshell.wording import folio_run, page_index

TOPIC = "asking"
Row = tuple[str | int | None, ...]


def _about_folio(kind: str) -> Callable[[Call], Report]:
    """The handler of a question about a folio."""

    def answer(call: Call) -> Report:
        ref = call.arguments.get("WHAT", object)
        if isinstance(ref, PlaceRef):
            found = ask.runs(call, ref)
            run = found[0]
            if len(found) > 1 or (run.nr > 1 and run.group is not None):
                return done(call, sections=(_rows(call, kind, ref, found),))
            if run.nr > 1 and run.about is not None:
                about = run.about._replace(text=ref.token.text, page=None)
                return done(call, query=ask.ask(call, kind, about))
        return done(call, query=ask.ask(call, kind, ask.target(call, "WHAT")))

    return answer


def _rows(call: Call, kind: str, ref: PlaceRef, found: list[ask.Run]) -> Table:
    """One row a run of a range."""
    schemes = call.session.shown_schemes
    start = call.range_of(ref).start
    rows: list[Row] = []
    for run in found:
        if run.about is None:
            rows.append((_pages(ref, run, start), "none", None, *("" for _ in schemes), "", None))
        else:
            rows += [(_pages(ref, part, start), *_cells(call, kind, part)) for part in _alike(call, kind, run)]
    return Table(f"{kind} {ref.token.text}", ("pages", "folio", "order", *schemes, "truth", "mms"), tuple(rows))


def _cells(call: Call, kind: str, run: ask.Run) -> Row:
    """What is asked about, what each scheme answers, with the verdict unless it is right, and the truth."""
    assert run.about is not None
    about = run.about
    query = ask.ask(call, kind, about if run.nr == 1 or run.group else about._replace(page=None), run.group)
    judged = kind != ask.MAPCOUNT
    answers = [
        f"{row.answer} ({row.verdict})" if judged and row.verdict not in ("", "exact") else row.answer
        for row in query.rows
    ]
    folio = folio_run(about.number, run.nr if run.group else 1)
    assert query.truth is not None
    return (folio, query.order, *answers, query.truth.answer, query.truth.mms)


def _alike(call: Call, kind: str, run: ask.Run) -> list[ask.Run]:
    """A run of order-0 folios, cut where a scheme that knows more of each than its entries answers otherwise."""
    schemes = call.workspace.machine.schemes
    others = [schemes[name] for name in call.session.shown_schemes if not knows_entries_only(schemes[name])]
    if run.group is None or run.nr == 1 or not others:
        return [run]
    assert run.about is not None
    parts: list[ask.Run] = []
    last: list[str] = []
    for at in range(run.nr):
        number = run.about.number + at
        about = run.about._replace(text=f"f{number}", number=number, folio=call.kernel.folios.get(number))
        answers = [ask.scheme_answer(kind, scheme, about) for scheme in others]
        if parts and answers == last:
            parts[-1] = parts[-1]._replace(nr=parts[-1].nr + 1)
        else:
            parts.append(run._replace(start=run.start + at, nr=1, about=about))
        last = answers
    return parts


def _pages(ref: PlaceRef, run: ask.Run, start: int) -> str:
    if not ref.region:
        return format_address(run.start) if run.nr == 1 else f"{format_address(run.start)}+{run.nr}"
    first = ref.first + run.start - start
    return f"{ref.region}{page_index(first, run.nr)}"


def _present(call: Call) -> Report:
    """Does the process have a present entry there?"""
    ref = call.arguments.get("PLACE", PlaceRef)
    found = call.range_of(ref)
    if found.nr == 1:
        mapped = call.kernel.folio_at(found.mm, found.start)
        answer = "yes" if call.kernel.entry(found.mm, found.start) > 0 else "no"
        if answer == "yes" and mapped is None:
            answer = "yes, the zero page"
        folio = mapped[0] if mapped else None
        query = Query("present?", ref.token.text, str(folio or ""), folio.order if folio else 0, answer=answer)
        return done(call, query=query)
    runs = present_runs(call.kernel, found.mm, found.start, found.end)
    rows = tuple((_pages(ref, ask.Run(start, nr), found.start), "yes" if there else "no") for start, nr, there in runs)
    present = sum(nr for _, nr, there in runs if there)
    table = Table(f"present? {ref.token.text}", ("pages", "present"), rows)
    return done(call, f"{found.mm.name} has {present} of {found.nr} pages present.", sections=(table,))


_WHAT = (arg("WHAT", FOLIO, "the folio, or a place that it is mapped at"),)


@command(
    "query",
    Form(
        ask.SHARED,
        _WHAT,
        summary="I have it mapped, does anybody else?",
        handler=_about_folio(ask.SHARED),
    ),
    Form(ask.MAPPED, _WHAT, summary="is any page of it mapped by anyone", handler=_about_folio(ask.MAPPED)),
    Form(
        ask.MAPCOUNT,
        _WHAT,
        summary="the number; of a place, how often the page is mapped",
        handler=_about_folio(ask.MAPCOUNT),
    ),
    Form(ask.PARTIAL, _WHAT, summary="is it only partly mapped", handler=_about_folio(ask.PARTIAL)),
    Form(
        "present?",
        (place("the pages looked at"),),
        summary="does the process have a present entry there",
        handler=_present,
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="ask the schemes about a folio",
    explained="One row a shown scheme: its number, its answer (`cannot` where the scheme has none), what resolving a "
    "`maybe` costs, and the verdict against the truth: `exact`, `false negative`, `false positive` or "
    "`undecided`. The truth of "
    "`shared?` is whether more than one address space has a present entry for any page of the folio, whoever asks. A "
    "range gives a row a run. For a place `mapcount` is that of the page where a scheme counts pages, else the "
    "folio's; beside it stands how often each scheme says that this page is mapped, judged `exact`, `too few` or "
    "`too many`.",
    examples=(
        "file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; query shared? win[0]",
        "mmap buf 16 ; query present? buf",
    ),
)
def query(call: Call) -> Report:
    """Ask the schemes about a folio; every form has its own handler."""
    raise AssertionError("query has no form without a word")

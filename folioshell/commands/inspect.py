"""rmap, walk and show: the state, looked at from both ends."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import Any

from folioshell.commands.build import FOLIO, arg, command, done, place
from folioshell.commands.call import Call, Range
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.manual_stepping import lock_table
from folioshell.commands.places import PlaceRef
from folioshell.commands.scheme_view import show_schemes
from folioshell.commands.stats import show_stats
from folioshell.commands.tables import TABLES
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.report import Report, Table
from folioshell.session.entries import EntryRun, entry_runs_in, goes_on_over_tables, joined_if_many, joined_where
from folioshell.session.picture import picture
from folioshell.session.walks import dry_walk, through
from folioshell.units import format_address
from folioshell.wording import counted

TOPIC = "asking"


@command(
    "rmap",
    Form(args=(arg("FOLIO", FOLIO, "the folio"),)),
    kind=VIEW,
    topic=TOPIC,
    summary="the reverse walk: from a folio to its entries",
    explained="Goes from the folio through its anon_vma or its file's i_mmap to every VMA that may map it, misses "
    "too, and shows each page table entered, whose lock was taken for it, and the entries found there.",
    examples=("file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; rmap f1",),
    kernel="mm/rmap.c: rmap_walk()",
)
def rmap(call: Call) -> Report:
    """The reverse walk."""
    folio = call.living_folio("FOLIO")
    walk = dry_walk(call.workspace, folio, "rmap")
    text = (
        f"{folio} is reached through {through(folio)}: {counted(len(walk.visits), 'VMA')} visited, "
        f"{counted(walk.ptls, 'PTL')} taken, {counted(walk.entries, 'entry', 'entries')} found."
    )
    return done(call, text, walks=(walk,))


@command(
    "walk",
    Form(args=(place("the pages walked to"),)),
    kind=VIEW,
    topic=TOPIC,
    summary="the forward walk: from an address to its entry",
    explained="Goes down the page tables, PGD to PTE, for each run of pages: the index at each level, the table "
    "there, its lock, and what the entry holds. Tables above the PMD's have no identity in the model.",
    examples=("mmap buf 16 ; fault buf ; walk buf[3]",),
    kernel="mm/pagewalk.c: walk_page_range()",
)
def walk(call: Call) -> Report:
    """The forward walk."""
    ref = call.arguments.get("PLACE", PlaceRef)
    found = call.range_of(ref)
    rows = [_walk_row(found.mm, run) for run in joined_if_many(_all_runs(call.kernel, found), *_OVER_TABLES)]
    columns = ("address", "pages", "PGD PUD PMD PTE", "PMD table", "leaf table", "entry")
    return done(call, sections=(Table(f"walk of {found.mm.name} to {ref.token.text}", columns, tuple(rows)),))


#: entries that go on in the next table are one row, if there are many
_OVER_TABLES = (goes_on_over_tables, EntryRun.joined)


def _all_runs(kernel: Kernel, found: Range) -> list[EntryRun]:
    """The runs of entries of a range and, in pieces that lie in the same tables, the pages between that have none."""
    present = joined_where(
        entry_runs_in(kernel, found.mm, found.start, found.end),
        lambda run, later: run.table == later.table and run.goes_on(later),
        EntryRun.joined,
    )
    tree = found.mm.tables
    ends = _table_ends(found)
    runs: list[EntryRun] = []
    vpn = found.start
    for run in (*present, EntryRun("", found.end, 0)):
        while vpn < run.vpn:
            end = min(run.vpn, ends[bisect_right(ends, vpn)])
            runs.append(EntryRun(str(tree.leaf(vpn) or ""), vpn, end - vpn, other="none"))
            vpn = end
        if run.nr:
            runs.append(run)
            vpn = run.end
    return runs


def _table_ends(found: Range) -> list[int]:
    """Virtual pages at which a leaf table or PMD table begins or ends, and the end of the range, ascending."""
    tree = found.mm.tables
    size, span = 1 << tree.bits, 1 << tree.pmd_shift
    ends = {vpn for block, _, _ in tree.blocks_in(found.start, found.end) for vpn in (block, block + size)}
    ends.update(vpn for number in tree.pmds for vpn in (number * span, (number + 1) * span))
    return sorted({*ends, found.end})


def _walk_row(mm: Mm, run: EntryRun) -> tuple[str | int, ...]:
    indexes = " ".join(map(str, _indexes(run.vpn, mm.tables.bits)))
    pmd = mm.tables.pmd_table(run.vpn)
    leaf = "none" if run.pmd else run.table or "none"
    return (format_address(run.vpn), run.nr, indexes, str(pmd or "none"), leaf, run.text)


def _indexes(vpn: int, bits: int) -> list[int]:
    """Index at each level, PGD first."""
    mask = (1 << bits) - 1
    return [vpn >> 3 * bits, *(vpn >> level * bits & mask for level in (2, 1, 0))]


def _view(make: Callable[[Call], Table]) -> Callable[[Call], Report]:
    def handler(call: Call) -> Report:
        return done(call, sections=(make(call),))

    return handler


def _locks(call: Call) -> Report:
    make = TABLES["locks"][1] if call.session.spawned is None else lock_table
    return done(call, sections=(make(call),))


def _picture(call: Call) -> Report:
    return done(call, sections=(picture(call.workspace, call.session.shown_schemes),))


@command(
    "show",
    Form(summary="the whole picture: address spaces, page tables, folios, and who shares what", handler=_picture),
    *(Form(name, summary=summary, handler=_view(make)) for name, (summary, make) in TABLES.items() if name != "locks"),
    Form(
        "locks",
        summary="who holds which lock and who waits, while threads are stepped; else page-table locks of the last step",
        handler=_locks,
    ),
    Form("stats", summary="statistics of mapped pages, and event counters", handler=show_stats),
    Form(
        "schemes",
        (arg("FOLIO", FOLIO, "tell the bytes for a folio of its order", optional=True),),
        summary="the mapcount schemes: what they count, how they answer, what they keep",
        handler=show_schemes,
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="show the state",
    explained="Shows one part of the state as tables; without a word the whole picture. There a column is a stretch of "
    "addresses, the same for all processes, and gaps between VMAs are left out; for each process it shows the VMAs, "
    "the page tables under them and the folios that their entries map. Below, a row a folio or run of folios shows how "
    "many entries map its pages, who maps them, and which shown schemes are wrong about its being shared. Letters say "
    "it all: S shared by several processes, x exclusive to one, ! wrong, ? maybe.",
    examples=("mmap buf 16 ; fault buf ; fork B ; B: write buf[3] ; show", "show schemes"),
)
def show(call: Call) -> Any:
    """Show the state; every form has its own handler."""
    raise AssertionError("every form of show has a handler")

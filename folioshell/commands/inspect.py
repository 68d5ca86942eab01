"""rmap, walk and show: the state, looked at from both ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from folioshell.commands.build import FOLIO, arg, command, done, place
from folioshell.commands.by_hand import lock_table
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.places import PlaceRef
from folioshell.commands.scheme_view import show_schemes
from folioshell.commands.stats import show_stats
from folioshell.commands.tables import TABLES
from folioshell.model.pagetable import PageTable
from folioshell.report import Report, Section, Table
from folioshell.session.sentence import plural
from folioshell.session.snapshot import entry_runs
from folioshell.session.walks import dry_walk, through
from folioshell.units import format_address

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
        f"{folio} is reached through {through(folio)}: {plural(len(walk.visits), 'VMA')} visited, "
        f"{plural(walk.ptls, 'PTL')} taken, {plural(walk.entries, 'entry', 'entries')} found."
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
    rows: list[tuple[str | int | None, ...]] = []
    tree = found.mm.tables
    size = call.kernel.geometry.pmd_pages
    runs = {
        vpn + i: run for run in entry_runs(call.kernel, found.mm) for vpn, i in _pages_of(run, found.start, found.end)
    }
    vpn = found.start
    while vpn < found.end:
        end = min(found.end, (vpn // size + 1) * size)
        run = runs.get(vpn)
        nr = 1
        while vpn + nr < end and runs.get(vpn + nr) == run:
            nr += 1
        pmd, leaf = tree.pmd_table(vpn), tree.leaf(vpn)
        rows.append(
            (
                format_address(vpn),
                nr,
                " ".join(str(index) for index in _indexes(vpn, tree.bits)),
                str(pmd) if pmd else "none",
                str(leaf) if isinstance(leaf, PageTable) else "none",
                _entry_text(run, vpn) if run else "none",
            )
        )
        vpn += nr
    columns = ("address", "pages", "PGD PUD PMD PTE", "PMD table", "leaf table", "entry")
    return done(call, sections=(Table(f"walk of {found.mm.name} to {ref.token.text}", columns, tuple(rows)),))


def _pages_of(run: tuple[str, int, int, str], start: int, end: int) -> list[tuple[int, int]]:
    first, last = max(run[1], start), min(run[1] + run[2], end)
    return [(first, index) for index in range(last - first)]


def _entry_text(run: tuple[str, int, int, str], vpn: int) -> str:
    _, first, nr, what = run
    return what if nr == 1 or vpn == first else f"{what}, from entry {vpn - first} of the run"


def _indexes(vpn: int, bits: int) -> list[int]:
    """Index at each level, PGD first."""
    mask = (1 << bits) - 1
    return [vpn >> 3 * bits, *(vpn >> level * bits & mask for level in (2, 1, 0))]


def _view(make: Sequence[Callable[[Call], Section]]) -> Callable[[Call], Report]:
    def handler(call: Call) -> Report:
        return done(call, sections=tuple(table(call) for table in make))

    return handler


def _locks(call: Call) -> Report:
    make = TABLES["locks"][1] if call.session.spawned is None else lock_table
    return done(call, sections=(make(call),))


_EVERYTHING = ("processes", "vmas", "tables", "folios")


@command(
    "show",
    Form(
        "locks",
        summary="who holds which lock and who waits, while threads are stepped; else page-table locks of the last step",
        handler=_locks,
    ),
    Form("stats", summary="statistics of mapped pages, and event counters", handler=show_stats),
    Form(summary="the whole picture", handler=_view([TABLES[name][1] for name in _EVERYTHING])),
    *(
        Form(name, summary=summary, handler=_view([make]))
        for name, (summary, make) in TABLES.items()
        if name != "locks"
    ),
    Form(
        "schemes",
        (arg("FOLIO", FOLIO, "tell the bytes for a folio of its order", optional=True),),
        summary="the mapcount schemes: what they count, how they answer, what they keep",
        handler=show_schemes,
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="show the state",
    explained="Shows one part of the state; without a word processes, VMAs, page tables and folios.",
    examples=("mmap buf 16 ; fault buf[0..3] ; show", "show schemes"),
)
def show(call: Call) -> Any:
    """Show the state; every form has its own handler."""
    raise AssertionError("every form of show has a handler")

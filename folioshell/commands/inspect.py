"""rmap, walk, show, why and dump: the state, looked at from both ends, and the steps that made it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any

from folioshell.commands.call import Call, Range, done
from folioshell.commands.grammar import VIEW, Arg, Form, command
from folioshell.commands.manual_stepping import lock_table
from folioshell.commands.places import FOLIO, PlaceRef, place
from folioshell.commands.question import Steps, steps_of_entries, target
from folioshell.commands.schemes import SchemeName, scheme_of
from folioshell.commands.tables import TABLES, show_schemes, show_stats
from folioshell.engine.machine import Uncollected
from folioshell.model import truth as page_tables
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths.rmap import expected_references
from folioshell.report import Report, Table, Text
from folioshell.session.entries import EntryRun, entry_runs_in, goes_on_over_tables, joined_if_many, joined_where
from folioshell.session.step_report import dry_walk, through
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import Row, counted, pages_text, row_runs

TOPIC = "asking"


@command("rmap", Form(args=(Arg("FOLIO", FOLIO, "the folio"),)), kind=VIEW, topic=TOPIC)
def rmap(call: Call) -> Report:
    """Walk the rmap from a folio to its entries.

    Goes from the folio through its anon_vma or its file's i_mmap to every VMA that may map it, misses included, and
    shows each page table entered, whose lock was taken for it, and the entries found there.

    Example:
        file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; rmap f1

    Kernel: mm/rmap.c: rmap_walk() (v6.18)
    """
    folio = call.living_folio("FOLIO")
    walk = dry_walk(call.workspace, folio, "rmap")
    text = (
        f"{folio} is found through {through(folio)}: {counted(len(walk.visits), 'VMA')} visited, "
        f"{counted(walk.ptls, 'PTL')} taken, {counted(walk.entries, 'entry', 'entries')} found."
    )
    return done(call, text, walks=(walk,))


@command("walk", Form(args=(place("the pages walked to"),)), kind=VIEW, topic=TOPIC)
def walk(call: Call) -> Report:
    """Walk the page tables from an address to its entry.

    Descends the page tables, PGD to PTE, for each run of pages: the index at each level, the table there, its lock,
    and what the entry holds: what it maps, and `rw`, `r`, or `none` under PROT_NONE. Tables above the PMD table have
    no identity in the model.

    Example:
        mmap buf 16 ; fault buf ; walk buf[3]

    Kernel: mm/pagewalk.c: walk_page_range() (v6.18)
    """
    ref = call.arguments.get("PLACE", PlaceRef)
    found = call.range_of(ref)
    rows = [_walk_row(found.mm, run) for run in joined_if_many(_all_runs(call.kernel, found), *_OVER_TABLES)]
    columns = ("address", "pages", "PGD PUD PMD PTE", "PMD table", "PTE table", "entry")
    return done(call, sections=(Table(f"walk of {found.mm.name} to {ref.token.text}", columns, tuple(rows)),))


#: entries that continue in the next table are one row, if there are many
_OVER_TABLES = (goes_on_over_tables, EntryRun.joined)


def _all_runs(kernel: Kernel, found: Range) -> list[EntryRun]:
    """The runs of entries of a range and, in pieces within the same tables, the pages between that have none."""
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
    """Virtual pages at which a PTE table or PMD table starts or ends, and the end of the range, ascending."""
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
        with Uncollected():
            return done(call, sections=(make(call),))

    return handler


def _locks(call: Call) -> Report:
    make = TABLES["locks"][1] if call.session.spawned is None else lock_table
    return done(call, sections=(make(call),))


def _picture(call: Call) -> Report:
    # Few scripts draw it.
    from folioshell.session.picture import picture

    with Uncollected():
        drawn = picture(call.workspace, call.session.shown_schemes)
    if call.session.settings.audience_of(call.kernel) == "class":
        # A class has not heard of anon_vmas.
        drawn = drawn._replace(folios=tuple(lane._replace(maps=lane.maps.partition(" av")[0]) for lane in drawn.folios))
    return done(call, sections=(drawn,))


@command(
    "show",
    Form(summary="the whole picture: address spaces, page tables, folios, and who shares what", handler=_picture),
    *(Form(name, summary=summary, handler=_view(make)) for name, (summary, make) in TABLES.items() if name != "locks"),
    Form(
        "locks",
        summary="who holds which lock and who waits, while threads are stepped; else page-table locks of the last step",
        handler=_locks,
    ),
    Form("stats", summary="statistics of mapped and mlocked pages, and event counters", handler=show_stats),
    Form(
        "schemes",
        (Arg("FOLIO", FOLIO, "tell the bytes for a folio of its order", optional=True),),
        summary="the mapcount schemes: what they count, how they answer, what they keep, which releases asked them",
        handler=show_schemes,
    ),
    kind=VIEW,
    topic=TOPIC,
    lead_name="view",
)
def show(call: Call) -> Any:
    """Show the state.

    Shows one part of the state as tables; without a word, the whole picture. A column of the picture is a range of
    addresses, the same for all processes; gaps between VMAs are left out. For each process it shows the VMAs, the page
    tables below them and the folios that their entries map. Below, a row for each folio or run of folios shows how many
    entries map its pages, who maps them, and which shown schemes give a wrong answer to `shared?`. Legend: S shared by
    several processes, x exclusive to one, ! wrong, ? maybe.

    In the classroom geometry each page table is a row of its 8 entries. A digit is a page of a large folio, a letter a
    folio of order 0; if several folios are large, both say which page of which folio. Equal signs are the same page.

    `show stats` counts pages with per-page mapcounts (`precise`), without (`no-page-mapcount`), and as the mail does
    (`as-mailed`): it takes `nr == HPAGE_PMD_NR` for a PMD entry, so 512 PTEs count as PMD-mapped and mlock the folio,
    for good if they are unmapped in smaller batches. Mlocked folios are listed with both mlock_counts.

    `show schemes` also says in which releases a scheme decided what; docs/history-of-mapcounts.md has it by release.

    Example:
        mmap buf 16 ; fault buf ; fork B ; B: write buf[3] ; show
        show schemes
    """
    raise AssertionError("every form of show has a handler")


@command(
    "why",
    Form(
        args=(
            Arg("FOLIO", FOLIO, "the folio"),
            Arg("SCHEME", SchemeName(), "take only this scheme's number apart", optional=True),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
)
def why(call: Call) -> Report:
    """Explain a folio's mapcounts.

    The number of each shown scheme as the sum of what it counts (schemes that count the same share their rows), then
    every run of entries that maps the folio, with the step that made it.

    Example:
        file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; why f1 tuples
    """
    folio = call.living_folio("FOLIO")
    names = [scheme_of(call, "SCHEME").name] if "SCHEME" in call.arguments else call.session.shown_schemes
    made = steps_of_entries(call.workspace, folio)
    # Schemes that count the same things share their rows.
    alike: dict[tuple[Row, ...], list[str]] = {}
    for name in names:
        alike.setdefault(tuple(_parts(call.workspace, name, folio, made)), []).append(name)
    rows = [
        (f"{', '.join(schemes)} = {row[0]}" if at == 0 else "", *row[1:])
        for parts, schemes in alike.items()
        for at, row in enumerate(parts)
    ]
    note = "adds 0: it only explains" if any(row[1] and row[2] == 0 for row in rows) else ""
    columns = ("scheme", "what counts", "adds", "process", "vma", "pages", "step")
    numbers = [Table(f"why {folio}", columns, row_runs(rows, key=columns.index("process")), note)] if rows else []
    return done(call, _mapped_text(call, folio), sections=(*numbers, _mappings(call, folio, made)))


def _mapped_text(call: Call, folio: Folio) -> str:
    """What the page tables say."""
    counts = page_tables.truth(call.kernel, folio)
    by = (
        counted(counts.mms, "address space"),
        counted(counts.vmas, "VMA"),
        counted(counts.tuples, "(VMA, table) tuple"),
        counted(counts.entries, "entry", "entries"),
    )
    pages = f", {counts.pages} of its {folio.nr_pages} pages" if folio.order else ""
    return f"{folio} (order {folio.order}) is mapped by {', '.join(by)}{pages}."


def _parts(workspace: Workspace, name: str, folio: Folio, made: Steps) -> Iterator[Row]:
    """The scheme's number, and each part of it with the steps that made the entries it speaks of."""
    scheme = workspace.machine.schemes[name]
    number = scheme.mapcount(folio.id)
    parts = scheme.why(folio.id)
    if not parts:
        yield (number, "", None, "", "", "", "")
    for part in parts:
        process = workspace.process_name(part.mm) if part.mm else ""
        mm = workspace.kernel.mms.get(process)
        vma = mm.vmas.find(part.vpn) if mm is not None and part.vpn is not None else None
        pages = pages_text(part.first, part.nr) if part.nr else ""
        steps: set[int] = set()
        if part.vpn is not None:
            found = (made.get((part.mm, part.vpn + page)) for page in range(max(part.nr, 1)))
            steps = {step for step in found if step is not None}
        step = ",".join(map(str, sorted(steps)))
        yield (number, part.label, part.amount, process, str(vma or ""), pages, step)


def _mappings(call: Call, folio: Folio, made: Steps) -> Table:
    """Every run of entries that maps the folio, and the command that made it."""
    rows: list[Row] = []
    for mapping in page_tables.mappings(call.kernel, folio):
        mm_id = mapping.mm.mm_id
        for first, nr, step in _by_step([made.get((mm_id, mapping.vpn + page)) for page in range(mapping.nr)]):
            where = (mapping.mm.name, str(mapping.vma), str(mapping.table), format_address(mapping.vpn + first))
            pages = pages_text(mapping.first + first, nr)
            maker = call.workspace.journal[step - 1] if step else None
            made_by = f"{maker.process}: {maker.command}" if maker else ""
            rows.append((*where, pages, 1 if mapping.pmd else nr, step, made_by))
    columns = ("process", "vma", "table", "address", "pages", "entries", "step", "made by")
    return Table(f"entries that map {folio}", columns, row_runs(rows))


def _by_step(steps: list[int | None]) -> list[tuple[int, int, int | None]]:
    """(first, nr, step) of the runs of equal steps."""
    runs: list[tuple[int, int, int | None]] = []
    for index, step in enumerate(steps):
        if runs and runs[-1][2] == step:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, step)
        else:
            runs.append((index, 1, step))
    return runs


#: flags as dump_page() prints them, in the order of their bits -> whether a folio has it
_FLAGS: dict[str, Callable[[Folio], bool]] = {
    "uptodate": lambda folio: folio.uptodate,
    "dirty": lambda folio: folio.dirty,
    "lru": lambda folio: True,
    "active": lambda folio: folio.active,
    # PG_swapcache
    "owner_priv_1": lambda folio: folio.anon and folio.cached,
    # Buffer heads.
    "private": lambda folio: folio.has_buffers,
    "head": lambda folio: folio.order > 0,
    # PG_readahead
    "reclaim": lambda folio: folio.readahead,
    "swapbacked": lambda folio: folio.swapbacked,
    "unevictable": lambda folio: folio.mlocked,
    "mlocked": lambda folio: folio.mlocked,
}


@command("dump", Form(args=(Arg("FOLIO", FOLIO, "the folio, or the page at a place"),)), kind=VIEW, topic=TOPIC)
def dump(call: Call) -> Report:
    """Dump a folio as the kernel does.

    The first lines have the form of the kernel's `dump_page()`: references, the raw mapcount of the page, mapping,
    index, pfn, the counts of a large folio, and flags. What follows is not in the kernel's dump: the references that
    entries, page cache and swap cache account for, MM-ID slots, mlock count, deferred split. Fields that the model does
    not have are left out.

    Example:
        set thp.64K always ; mmap buf 16 ; write buf ; fork B ; dump buf[3]

    Kernel: mm/debug.c: __dump_folio() (v6.18)
    """
    about = target(call, "FOLIO")
    folio = about.folio or call.living_folio("FOLIO")
    return done(call, sections=(Text(tuple(_dumped(call, folio, about.page or 0)), title=f"dump of {about.text}"),))


def _dumped(call: Call, folio: Folio, page: int) -> Iterator[str]:
    k = call.kernel
    counts, per_page = k.counts, k.config.page_mapcount
    entries, entire = counts.mapcount(folio.id), counts.entire(folio.id)
    raw = counts.page_mapcount(folio.id, page) - entire if per_page or not folio.order else 0
    yield (
        f"page: refcount:{folio.refcount} mapcount:{raw} mapping:{folio.mapping} "
        f"index:{folio.index + page:#x} pfn:{folio.pfn + page:#x}"
    )
    if folio.order:
        mapped = counts.pages_mapped(folio.id) if per_page else -1
        yield (
            f"head: order:{folio.order} mapcount:{entries} entire_mapcount:{entire} nr_pages_mapped:{mapped} "
            f"pincount:{folio.pins}"
        )
    kind = "anon " if folio.anon else ""
    yield f"{kind}flags: {'|'.join(flag for flag, is_set in _FLAGS.items() if is_set(folio))}"
    yield from _accounted(call, folio)


def _accounted(call: Call, folio: Folio) -> Iterator[str]:
    """What dump_page() does not print."""
    expected = expected_references(call.kernel, folio)
    cached = f" + {counted(folio.nr_pages, 'cached page')}" if folio.cached else ""
    cached += " + buffers" if folio.has_buffers else ""
    pins = f", {counted(folio.pins, 'pin')}" if folio.pins else ""
    entries = counted(call.kernel.counts.mapcount(folio.id), "entry", "entries")
    yield f"expected references: {expected} ({entries}{cached}){pins}"
    slots = getattr(call.kernel.counts, "slots", None)
    if folio.order and slots is not None:
        *owners, shared = slots(folio.id)
        texts = (f"{call.workspace.process_name(mm)} (mm {mm}) {nr}" if mm else "free" for mm, nr in owners)
        yield f"MM-ID slots: {', '.join(texts)}; SHARED bit {'set' if shared else 'clear'}"
    yield f"mlock count: {folio.mlock_count}"
    if folio.deferred or folio.partially_mapped:
        states = (("partially mapped", folio.partially_mapped), ("on the deferred-split queue", folio.deferred))
        yield ", ".join(text for text, holds in states if holds)

"""why: a number taken apart, down to the steps that made the entries it counts."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.commands.build import FOLIO, arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.schemes import SchemeName, scheme_of
from folioshell.events import Mapped, Moved
from folioshell.model import truth as page_tables
from folioshell.model.folio import Folio
from folioshell.report import Report, Table
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import counted, pages_text

TOPIC = "asking"
Row = tuple[str | int | None, ...]

#: (MM-ID, virtual page) -> the step that made the entry there
Steps = dict[tuple[int, int], int]


@command(
    "why",
    Form(
        args=(
            arg("FOLIO", FOLIO, "the folio"),
            arg("SCHEME", SchemeName(), "take only this scheme's number apart", optional=True),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="take the number apart",
    explained="Each shown scheme's number of the folio as the sum of what it counts (schemes that count the same share "
    "their rows), then every run of entries that maps the folio, with the step that made it.",
    examples=("file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; why f1 tuples",),
)
def why(call: Call) -> Report:
    """Take the number apart."""
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
    numbers = Table(f"why {folio}", columns, tuple(rows), note)
    return done(call, _mapped_text(call, folio), sections=(numbers, _mappings(call, folio, made)))


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
    return Table(f"entries that map {folio}", columns, tuple(rows))


def _by_step(steps: list[int | None]) -> list[tuple[int, int, int | None]]:
    """(first, nr, step) of the runs of equal steps."""
    runs: list[tuple[int, int, int | None]] = []
    for index, step in enumerate(steps):
        if runs and runs[-1][2] == step:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, step)
        else:
            runs.append((index, 1, step))
    return runs


def steps_of_entries(workspace: Workspace, folio: Folio) -> Steps:
    """(MM-ID, virtual page) -> the step that last made an entry for the folio there, or moved one there."""
    if not folio.order:
        return _steps_of_small(workspace, folio)
    made: Steps = {}
    for record in workspace.journal:
        for event in record.events():
            if isinstance(event, Mapped) and event.folio == folio.id:
                made.update(((event.mm, event.vpn + page), record.number) for page in range(event.nr))
            elif isinstance(event, Moved) and event.folio == folio.id:
                made.update(((event.mm, event.to_vpn + page), record.number) for page in range(event.nr))
    return made


def _steps_of_small(workspace: Workspace, folio: Folio) -> Steps:
    """The same for an order-0 folio: its entries are told apart by page table, and moves of them are not announced."""
    by_table: dict[tuple[int, int], int] = {}
    by_mm: dict[int, int] = {}
    for record in workspace.journal:
        for event in record.events():
            if isinstance(event, Mapped) and folio.id in event.folios:
                by_table[event.mm, event.table] = by_mm[event.mm] = record.number
    made: Steps = {}
    for mapping in page_tables.mappings(workspace.kernel, folio):
        mm_id = mapping.mm.mm_id
        step = by_table.get((mm_id, mapping.table.id), by_mm.get(mm_id))
        if step is not None:
            made[mm_id, mapping.vpn] = step
    return made

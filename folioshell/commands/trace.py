"""trace, why and diff: how the state came about."""

from __future__ import annotations

from folioshell.commands.build import FOLIO, arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Flag, Form
from folioshell.commands.operands import StepNumber
from folioshell.commands.schemes import SchemeName, scheme_of
from folioshell.commands.spots import SPOT, spot_of, spot_text
from folioshell.facts import Mapped, MappedSmall, Moved, PmdMapped
from folioshell.model import truth as page_tables
from folioshell.model.folio import Folio
from folioshell.model.lock import Lock, LockOp
from folioshell.report import FolioChange, Report, Table
from folioshell.session.changes import changes_between, numbers_of
from folioshell.session.describe import Describer, pages_text
from folioshell.session.history import Spot
from folioshell.session.journal import StepRecord
from folioshell.session.sentence import plural
from folioshell.session.workspace import Workspace
from folioshell.units import format_address

TOPIC = "asking"

#: rows of a trace; a step that touched very many pages has millions
TRACE_ROWS = 2000

STEP = StepNumber(least=1)


def _record(call: Call, name: str) -> StepRecord:
    journal = call.workspace.journal
    if not journal:
        raise call.refused_at(name, "no step was done yet", hint="a step is a command that changes state")
    number = call.number(name, len(journal))
    if not 1 <= number <= len(journal):
        raise call.refused_at(name, f"there is no step {number}", hint=f"steps go from 1 to {len(journal)}")
    return journal[number - 1]


@command(
    "trace",
    Form(
        args=(arg("N", STEP, "number of the step; the last unless said", optional=True),),
        flags=(
            Flag("locks", "part", "lock operations only"),
            Flag("facts", "part", "facts only"),
            Flag("all", "part", "both (the default)"),
        ),
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="what a step did, in order",
    explained="Every lock operation (+ acquire, - release, ~ trylock, v downgrade) with the function that made it, "
    "set in by how many locks were held, and every fact that the kernel path announced. ×512 says that as many "
    "faults in a row took the same way, each for a page of its own: they stand there as one.",
    examples=("mmap buf 16 ; fault buf[0] ; trace locks",),
)
def trace(call: Call) -> Report:
    """What a step did, in order."""
    record = _record(call, "N")
    part = call.word("part", "all")
    describer = Describer(call.workspace)
    rows: list[tuple[str | int | None, ...]] = []
    held: dict[Lock, int] = {}
    total = 0
    for event in record.events:
        depth = len(held)
        if isinstance(event, LockOp):
            if event.verb == "-":
                depth = held.pop(event.lock, 0)
            elif event.verb in "+~":
                held[event.lock] = depth
        if part == "all" or isinstance(event, LockOp) == (part == "locks"):
            total += 1
            if total <= TRACE_ROWS:
                rows.append(_trace_row(total, event, depth, describer))
    note = f"{total - TRACE_ROWS:,} more rows are left out" if total > TRACE_ROWS else ""
    title = f"step {record.number}, {record.process}: {record.command}"
    return done(call, sections=(Table(title, ("row", "depth", "what", "function"), tuple(rows), note),))


def _trace_row(number: int, event: object, depth: int, describer: Describer) -> tuple[str | int | None, ...]:
    indent = "  " * depth
    if isinstance(event, LockOp):
        return number, depth, f"{indent}{event}", event.function
    return number, depth, f"{indent}{describer.text(event)}", describer.who(event)  # type: ignore[arg-type]


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
    explained="Each shown scheme's number of the folio as the sum of what it counts, then every run of entries that "
    "maps the folio, with the step that made it.",
    examples=("file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; why f1 tuples",),
)
def why(call: Call) -> Report:
    """Take the number apart."""
    folio = call.living_folio("FOLIO")
    names = [scheme_of(call, "SCHEME").name] if "SCHEME" in call.arguments else call.session.shown_schemes
    rows: list[tuple[str | int | None, ...]] = []
    for name in names:
        rows += _parts(call.workspace, name, folio)
    columns = ("scheme", "what counts", "adds", "process", "vma", "pages", "step")
    numbers = Table(f"why {folio}", columns, tuple(rows), "adds 0: it only explains")
    return done(call, sections=(numbers, _mappings(call, folio)))


def _parts(workspace: Workspace, name: str, folio: Folio) -> list[tuple[str | int | None, ...]]:
    scheme = workspace.machine.schemes[name]
    made = steps_of_entries(workspace, folio)
    rows: list[tuple[str | int | None, ...]] = [(name, "number", scheme.mapcount(folio.id), "", "", "", "")]
    for part in scheme.why(folio.id):
        process = workspace.process_name(part.mm) if part.mm else ""
        mm = workspace.kernel.mms.get(process)
        vma = mm.vmas.find(part.vpn) if mm is not None and part.vpn is not None else None
        pages = pages_text(part.first, part.nr) if part.nr else ""
        step: str | int = ""
        if part.vpn is not None:
            found = {made.get((part.mm, part.vpn + page)) for page in range(max(part.nr, 1))} - {None}
            step = ",".join(str(number) for number in sorted(number for number in found if number is not None))
        rows.append(("", part.label, part.amount, process, str(vma or ""), pages, step))
    return rows


def _mappings(call: Call, folio: Folio) -> Table:
    made = steps_of_entries(call.workspace, folio)
    rows: list[tuple[str | int | None, ...]] = []
    for mapping in page_tables.mappings(call.kernel, folio):
        mm_id = mapping.mm.mm_id
        for first, nr, step in _by_step([made.get((mm_id, mapping.vpn + page)) for page in range(mapping.nr)]):
            where = (mapping.mm.name, str(mapping.vma), str(mapping.table), format_address(mapping.vpn + first))
            rows.append((*where, pages_text(mapping.first + first, nr), 1 if mapping.pmd else nr, step))
    columns = ("process", "vma", "table", "address", "pages of the folio", "entries", "step")
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


def steps_of_entries(workspace: Workspace, folio: Folio) -> dict[tuple[int, int], int]:
    """(MM-ID, virtual page) -> the step that last made an entry for the folio there, or moved one there."""
    if not folio.order:
        return _steps_of_small(workspace, folio)
    made: dict[tuple[int, int], int] = {}
    for record in workspace.journal:
        for fact in record.facts():
            if isinstance(fact, Mapped) and fact.folio == folio.id:
                made.update(((fact.mm, fact.vpn + page), record.number) for page in range(fact.nr))
            elif isinstance(fact, PmdMapped) and fact.folio == folio.id:
                pages = workspace.kernel.geometry.pmd_pages
                made.update(((fact.mm, fact.vpn + page), record.number) for page in range(pages))
            elif isinstance(fact, Moved) and fact.folio == folio.id:
                made.update(((fact.mm, fact.to_vpn + page), record.number) for page in range(fact.nr))
    return made


def _steps_of_small(workspace: Workspace, folio: Folio) -> dict[tuple[int, int], int]:
    """The same for an order-0 folio: its entries are told apart by page table, and moves of them are not announced."""
    by_table: dict[tuple[int, int], int] = {}
    by_mm: dict[int, int] = {}
    for record in workspace.journal:
        for fact in record.facts():
            if isinstance(fact, MappedSmall) and folio.id in fact.folios:
                by_table[fact.mm, fact.table] = by_mm[fact.mm] = record.number
    made = {}
    for mapping in page_tables.mappings(workspace.kernel, folio):
        mm_id = mapping.mm.mm_id
        step = by_table.get((mm_id, mapping.table.id), by_mm.get(mm_id))
        if step is not None:
            made[mm_id, mapping.vpn] = step
    return made


@command(
    "diff",
    Form(
        args=(
            arg("N", SPOT, "from the state after this step, at this mark, or at the end of this line", optional=True),
            arg("M", SPOT, "to the state there; the present one unless said", optional=True),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="what changed between two states",
    explained="Mapcounts and VMAs that differ between the states after step N and after step M; by default what the "
    "last step changed. `diff N` compares the state after N with the present one. A state may be named by a mark, or "
    "by a line for its last step; lines that parted give the same ids to different objects.",
    examples=(
        "mmap buf 16 ; fault buf[0] ; diff",
        "mmap buf 16 ; fault buf ; diff 0 2",
        "mmap buf 16 ; fault buf ; branch forked ; fork B ; diff main forked",
    ),
)
def diff(call: Call) -> Report:
    """What changed between two states."""
    session = call.session
    line, last = session.history.current, session.step
    if not last and "N" not in call.arguments:
        raise call.refused_at("N", "no step was done yet", hint="a step is a command that changes state")
    first = spot_of(call, "N") if "N" in call.arguments else Spot(line, last - 1)
    second = spot_of(call, "M") if "M" in call.arguments else Spot(line, last)
    before, after = (session.replay(spot.position, spot.line) for spot in (first, second))
    shown = session.shown_schemes
    folios: tuple[FolioChange, ...] = changes_between(numbers_of(before, shown), numbers_of(after, shown), shown)
    vmas = _vma_changes(before, after)
    here, there = (spot_text(session.history, spot) for spot in (first, second))
    text = f"From {here} to {there}: {plural(sum(row.nr for row in folios), 'folio')} and "
    return done(
        call, f"{text}{plural(len(vmas.rows), 'VMA')} differ.", folios=folios, sections=(vmas,) if vmas.rows else ()
    )


def _vma_changes(before: Workspace, after: Workspace) -> Table:
    old, new = _vma_texts(before), _vma_texts(after)
    rows = tuple(
        (key[0], f"v{key[1]}", old.get(key, "-"), new.get(key, "-"))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    )
    return Table("VMAs", ("process", "vma", "before", "after"), rows)


def _vma_texts(workspace: Workspace) -> dict[tuple[str, int], str]:
    return {
        (mm.name, vma.id): f"{format_address(vma.start)}+{vma.nr_pages} {vma.perm}"
        for mm in workspace.kernel.mms.values()
        for vma in mm.vmas
    }

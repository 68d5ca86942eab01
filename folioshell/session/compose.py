"""The report of a step, made of what its kernel path yielded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths.walk import vmas_of
from folioshell.report import FolioChange, LockRow, Report, Section, Text, Walk
from folioshell.session.changes import folio_changes
from folioshell.session.journal import StepRecord
from folioshell.session.language import Statement
from folioshell.session.sentence import sentence
from folioshell.session.snapshot import snapshot
from folioshell.session.step_events import Copy, StepEvents
from folioshell.session.walks import dry_walk, walk_row
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.session.session import Session

#: ``set walks always`` walks this many of the touched folios and says how many it left out
WALKED = 16
#: no more processes than this are named as mapping a page
NAMED = 3


def step_report(session: Session, statement: Statement, record: StepRecord) -> Report:
    """The report of a step that was just done; ``set after`` chooses what it holds."""
    workspace, settings = session.workspace, session.settings
    step = StepEvents(record.trace)
    after = settings.after
    folios: tuple[FolioChange, ...] = ()
    if "mapcounts" in after:
        folios = folio_changes(workspace, step, session.shown_schemes)
    walks: tuple[Walk, ...] = ()
    sections: tuple[Section, ...] = workspace.remarks
    if "walks" in after:
        walks = tuple(walk_row(workspace, event) for event in step.walks)
        if settings.walks:
            numbers = _touched(session, {event.folio for event in step.walks})
            living = workspace.kernel.folios
            walks += tuple(dry_walk(workspace, living[number], "set walks always") for number in numbers[:WALKED])
            if len(numbers) > WALKED:
                sections += (Text((f"{len(numbers) - WALKED:,} more touched folios were not walked",)),)
    # Several threads at once have no common depth; what they took stands in the schedule.
    locks: tuple[LockRow, ...] = tuple(step.locks) if "locks" in after and not workspace.remarks else ()
    return Report(
        command=statement.text,
        process=record.process,
        step=record.number,
        result=record.result,
        sentence=sentence(
            statement.subject(workspace, record.process),
            step,
            record.result,
            lambda copy: why_copied(workspace.kernel, copy),
        ),
        folios=folios,
        walks=walks,
        locks=locks,
        findings=(*(event.text for event in step.findings), *_miscounts(session)),
        sections=sections,
        state=snapshot(workspace) if settings.full else None,
    )


def why_copied(kernel: Kernel, copy: Copy) -> str:
    """Why a write copied a page instead of reusing it, as a relative clause; empty where the state does not tell."""
    folio = kernel.folios.get(copy.old)
    if folio is None:
        return ""
    if not folio.anon:
        return f" ({folio.mapping})"
    names: dict[str, None] = {}
    for vma in vmas_of(folio):
        vpn = vma.start + folio.index + copy.page - vma.pgoff
        if vma.start <= vpn < vma.end and _maps(kernel, vma.mm, vpn, folio.pfn + copy.page):
            names[vma.mm.name] = None
        if len(names) > NAMED:
            return f", which {', '.join([*names][:NAMED])} and others still map"
    if names:
        return f", which {' and '.join(names)} still map{'s' if len(names) == 1 else ''}"
    return "" if folio.order else ", which has other references"


def _maps(kernel: Kernel, mm: Mm, vpn: int, pfn: int) -> bool:
    entry = kernel.entry(mm, vpn)
    return pte.maps_folio(entry) and pte.pfn_of(entry) == pfn


def _miscounts(session: Session) -> list[str]:
    """Touched folios of which the protocol under test counts another number than its definition."""
    machine = session.workspace.machine
    protocol = machine.kernel.protocol
    if protocol is None:
        return []
    touched = machine.touched()
    return [
        f"f{number}: {protocol.name} counts {counted(nr, 'VMA')}, by definition it is {wanted}"
        for number, (nr, wanted) in machine.miscounts().items()
        if number in touched
    ]


def _touched(session: Session, walked: set[int]) -> list[int]:
    """Numbers of the touched folios that live and were not walked yet, ascending."""
    machine = session.workspace.machine
    return [number for number in machine.touched() if number in machine.kernel.folios and number not in walked]

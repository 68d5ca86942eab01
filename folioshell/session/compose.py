"""The report of a step, made of what its kernel path yielded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from folioshell.report import FolioChange, LockRow, Report, Section, Text, Walk
from folioshell.session.changes import folio_changes
from folioshell.session.journal import StepRecord
from folioshell.session.language import Statement
from folioshell.session.result import expected_failure
from folioshell.session.sentence import sentence
from folioshell.session.snapshot import snapshot
from folioshell.session.step_events import StepEvents
from folioshell.session.walks import dry_walk, walk_row
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.session.session import Session

#: ``set walks always`` walks this many of the touched folios and says how many it left out
WALKED = 16


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
        sentence=sentence(_subject(session, statement, record), step, record.result),
        folios=folios,
        walks=walks,
        locks=locks,
        findings=(*(event.text for event in step.findings), *_miscounts(session)),
        sections=sections,
        state=snapshot(workspace) if settings.full else None,
    )


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


def _subject(session: Session, statement: Statement, record: StepRecord) -> str:
    """Who did what, or tried to."""
    if "errno" in record.result:
        _, text = expected_failure(statement.text)
        return f"{record.process} tried {text}"
    return statement.subject(session.workspace, record.process)


def _touched(session: Session, walked: set[int]) -> list[int]:
    """Numbers of the touched folios that live and were not walked yet, ascending."""
    machine = session.workspace.machine
    return [number for number in machine.touched() if number in machine.kernel.folios and number not in walked]

"""The report of a step: what its kernel path yielded, as rows, walks and a sentence; or that it deadlocked.

What is shown of it is set in ``Settings``. Nothing there changes the simulated kernel, so it is no step and not undone.
``--json=full`` wants all of it, and the whole state (``session/state.py``); what ``set after`` leaves out is
hidden then.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from functools import partial
from typing import Any

from folioshell.errors import FolioshellError, SelfDeadlock
from folioshell.events import Scanned, Walked
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import LockOp
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Mm
from folioshell.paths.walk import rmap_walk, vmas_of
from folioshell.records import dataclass, replace
from folioshell.report import FolioChange, LockRow, Report, Section, Table, Text, Visit, Walk
from folioshell.session.changes import folio_changes
from folioshell.session.history import StepRecord
from folioshell.session.sentence import sentence
from folioshell.session.step_events import Copy, StepEvents
from folioshell.session.workspace import Runnable, Workspace, labels_of
from folioshell.units import format_address

#: ``set walks always`` walks this many of the touched folios and says how many it left out
WALKED = 16
#: no more processes than this are named as mapping a page
NAMED = 3

#: part of a report -> what it is
AFTER = {
    "mapcounts": "old and new mapcounts of touched folios",
    "walks": "rmap walks",
    "locks": "page-table locks in acquisition order",
}

#: the schemes shown unless others are chosen
SHOWN_SCHEMES = ("per-page", "tuples", "vmas", "likely", "mm-id", "average")

#: whom the output is for -> what that means
AUDIENCES = {
    "class": "only per-page and mapcounts unless others are set, no flags or anon_vma columns; new terms are explained",
    "expert": "all of it",
}
#: what a class sees of schemes and of a step, unless others are set
_CLASS_SCHEMES, _CLASS_AFTER = ("per-page",), ("mapcounts",)


@dataclass(slots=True)
class Settings:
    """What to show.

    Attributes:
        after: parts of a report that are shown after each step; None for the default ones of the audience.
        audience: one of AUDIENCES; empty for the one that the geometry implies.
        walks: walk the reverse map of touched folios even where the kernel would not.
        schemes: the schemes shown, in order; None for the default ones.
        check: verify every invariant of the model after each step.
        full: reports carry everything, and the whole state (``--json=full``).
        explain: look for the step that made the value of a failed expect, which replays the history.
    """

    after: tuple[str, ...] | None = None
    audience: str = ""
    walks: bool = False
    schemes: tuple[str, ...] | None = None
    check: bool = False
    full: bool = False
    explain: bool = True

    def audience_of(self, kernel: Kernel) -> str:
        """Whom the output is for: with the geometry of a classroom a class, unless another was set."""
        return self.audience or ("class" if kernel.geometry.name == "classroom" else "expert")

    def parts(self, kernel: Kernel) -> tuple[str, ...]:
        """The parts of a report that are shown after each step."""
        return self._usual_parts(kernel) if self.after is None else self.after

    def _usual_parts(self, kernel: Kernel) -> tuple[str, ...]:
        return _CLASS_AFTER if self.audience_of(kernel) == "class" else tuple(AFTER)

    def shown(self, kernel: Kernel, registered: Container[str], loaded: Iterable[str] = ()) -> list[str]:
        """Names of the schemes shown, of those that exist; by default with those that were loaded."""
        if self.schemes is not None:
            return [name for name in self.schemes if name in registered]
        usual = _CLASS_SCHEMES if self.audience_of(kernel) == "class" else SHOWN_SCHEMES
        return [*usual, *[name for name in loaded if name in registered]]

    def add_schemes(self, names: Sequence[str]) -> None:
        """Show schemes that were loaded just now, whatever else is shown."""
        if self.schemes is not None:
            self.schemes += tuple(name for name in names if name not in self.schemes)

    def script(self, kernel: Kernel, registered: list[str]) -> list[str]:
        """The lines that set what differs from the defaults."""
        lines = []
        if self.audience:
            lines.append(f"set audience {self.audience}")
        if self.after is not None:
            lines.append(f"set after {','.join(self.parts(kernel)) or 'none'}")
        if self.walks:
            lines.append("set walks always")
        if self.schemes is not None:
            lines.append(
                f"set schemes {(','.join(self.schemes) or 'none') if list(self.schemes) != registered else 'all'}"
            )
        if self.check:
            lines.append("set check on")
        return lines


def step_report(
    workspace: Workspace, settings: Settings, shown: Sequence[str], command: Runnable, record: StepRecord
) -> Report:
    """The report of a step that was just done; ``set after`` chooses what it holds, or what of it is shown.

    Most of it is made when it is first read, which must be before the next step: see ``Report.complete``.

    Args:
        shown: the schemes whose numbers it has.
    """
    report = Report(record.command, record.process, record.number, record.result)
    report.extra |= workspace.noted
    if settings.full:
        report.hidden = tuple(part for part in AFTER if part not in settings.parts(workspace.kernel))
    report.make_later(partial(_contents, workspace, settings, shown, command, record))
    return report


def _contents(
    workspace: Workspace, settings: Settings, shown: Sequence[str], command: Runnable, record: StepRecord
) -> dict[str, Any]:
    """What the report of a step says, by field."""
    step = StepEvents(record.trace)
    after = tuple(AFTER) if settings.full else settings.parts(workspace.kernel)
    folios: tuple[FolioChange, ...] = ()
    if "mapcounts" in after:
        folios = folio_changes(workspace, step, shown)
    walks: tuple[Walk, ...] = ()
    sections: tuple[Section, ...] = (*workspace.remarks, *_scans(workspace, step))
    if "walks" in after:
        walks = tuple(walk_row(workspace, event) for event in step.walks)
        if settings.walks:
            numbers = _touched(workspace, {event.folio for event in step.walks})
            living = workspace.kernel.folios
            walks += tuple(dry_walk(workspace, living[number], "set walks always") for number in numbers[:WALKED])
            if len(numbers) > WALKED:
                sections += (Text((f"{len(numbers) - WALKED:,} more touched folios not walked; see `rmap FOLIO`",)),)
    # Several threads at once have no common depth; what they took stands in the schedule.
    locks: tuple[LockRow, ...] = tuple(step.locks) if "locks" in after and not workspace.remarks else ()
    subject = command.subject(workspace, record.process)
    return {
        "findings": (*[event.text for event in step.findings], *_miscounts(workspace)),
        "sentence": sentence(subject, step, record.result, lambda copy: why_copied(workspace.kernel, copy)),
        "folios": folios,
        "walks": walks,
        "locks": locks,
        "sections": sections,
        "state": whole_state(workspace, shown) if settings.full else None,
    }


def whole_state(workspace: Workspace, shown: Sequence[str]) -> dict[str, object]:
    """What ``--json=full`` says of the state."""
    # Few runs ask for it.
    from folioshell.session.state import snapshot

    return snapshot(workspace, shown)


def _scans(workspace: Workspace, step: StepEvents) -> list[Table]:
    """What khugepaged found, a row a block, or a VMA that it passes over; blocks in a row that are alike are one."""
    found: list[Scanned] = []
    for event in step.scans:
        last = found[-1] if found else event
        if found and replace(event, vpn=last.vpn, nr=last.nr) == last and event.vpn == last.vpn + last.nr:
            found[-1] = replace(last, nr=last.nr + event.nr)
        else:
            found.append(event)
    rows = tuple((_where(workspace, one), one.nr, one.result or "passed over", one.reason) for one in found)
    return [Table("khugepaged", ("place", "pages", "result", "reason"), rows)] if rows else []


def _where(workspace: Workspace, event: Scanned) -> str:
    labels = labels_of(workspace.regions.values(), event.vpn, event.vpn + event.nr)
    return f"{labels or format_address(event.vpn)} (v{event.vma})"


def why_copied(kernel: Kernel, copy: Copy) -> str:
    """Why a write copied a page instead of reusing it, as a relative clause; empty where the state does not tell."""
    folio = kernel.folios.get(copy.old)
    if folio is None:
        return ""
    if not folio.anon:
        return f" ({folio.mapping})"
    names: dict[str, None] = {}
    for vma in vmas_of(folio):
        vpn = vma.vpn_of(folio) + copy.page
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


def _miscounts(workspace: Workspace) -> list[str]:
    """Touched folios of which the protocol under test counts another number than its definition."""
    machine = workspace.machine
    protocol = machine.kernel.protocol
    if protocol is None:
        return []
    touched = machine.touched()
    return [
        f"f{one.folio} miscounted: {protocol.name} counts {protocol.text_of(one.counted)}, expected {one.expected}"
        for one in machine.miscounts()
        if one.folio in touched
    ]


def _touched(workspace: Workspace, walked: set[int]) -> list[int]:
    """Numbers of the touched folios that live and were not walked yet, ascending."""
    machine = workspace.machine
    return [number for number in machine.touched() if number in machine.kernel.folios and number not in walked]


# Walks.


def walk_row(workspace: Workspace, event: Walked) -> Walk:
    """A walk that was announced."""
    visits = tuple(
        Visit(
            workspace.process_name(mm),
            f"v{vma}",
            tuple((str(table), count) for table, count in tables),
        )
        for mm, vma, tables in event.visits
    )
    folio = workspace.kernel.folios.get(event.folio)
    return Walk(f"f{event.folio}", event.reason, through(folio) if folio else "", visits)


def through(folio: Folio) -> str:
    """What leads from a folio to the VMAs that may map it."""
    if isinstance(folio.mapping, AddressSpace):
        return f"i_mmap of {folio.mapping.name}"
    return f"anon_vma {folio.mapping}"


def dry_walk(workspace: Workspace, folio: Folio, reason: str) -> Walk:
    """What a full rmap_walk of a folio would visit; nothing is left of it in the machine."""
    path = rmap_walk(workspace.kernel, folio, reason)
    # No one else runs, so that every lock can be had; what the path yields is not recorded.
    try:
        while True:
            next(path)
    except StopIteration as end:
        return walk_row(workspace, end.value)


# Commands that reach no end state.


class NoStep(FolioshellError):
    """A command that would be a step did not reach an end state.

    Args:
        report: why.
        flaws: (kind, text) of what is wrong where it ended, kinds as in ``race.Found``.
    """

    def __init__(self, report: Report, flaws: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(report.sentence)
        self.report = report
        self.flaws = flaws


def self_deadlock(command: str, process: str, hang: SelfDeadlock, events: Sequence[object]) -> Report:
    """The report of a command that acquires a lock which its own task holds, as lockdep words it.

    Args:
        events: what it did until then, the acquisition last.
    Kernel: kernel/locking/lockdep.c: print_deadlock_bug() (v6.18)
    """
    # Few sessions need it.
    from folioshell.explore.lockdep import Lockdep, lockdep_text
    from folioshell.explore.locks import value_of

    lockdep = Lockdep()
    lockdep.see_all((process, value_of(op)) for op in events if isinstance(op, LockOp))
    # The acquisition that is never granted stands last in the trace.
    complaint = next(complaint for complaint in lockdep.complaints if complaint.kind == "recursion")
    return Report(
        command=command,
        process=process,
        sentence=f"{process} deadlocked; command discarded, state unchanged.",
        findings=(f"{hang} since {complaint.clash.op.function}() ({hang.protocol})",),
        sections=(lockdep_text(complaint),),
        extra={"hang": {"lock": hang.lock, "held_by": process, "wanted_by": process, "protocol": hang.protocol}},
    )

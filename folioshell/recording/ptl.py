"""Traces of page-table locks: reading those of a real kernel, tracing the model, and comparing.

A lock is named by what it guards in the scenario: ``pte:A:buf:0`` the table of the first block of region buf in A,
``pmd:A`` the PMD table of the first GiB of the arena (``pmd:A:g3`` of another), ``mm:A`` page_table_lock.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from folioshell.engine.machine import Machine, Uncollected
from folioshell.events import Event
from folioshell.live.format import SLOT, BadScenario, Recording, check_scenario, document_of, read, recording_of
from folioshell.model.changes import KernelChange
from folioshell.model.lock import Lock, LockOp
from folioshell.model.pagetable import PageTable
from folioshell.model.release import DEFAULT, RELEASES, release_of
from folioshell.model.vm import Mm
from folioshell.recording.scenario import ARENA, ScenarioRun
from folioshell.records import dataclass
from folioshell.session.history import Happening
from folioshell.session.step_events import lock_groups

FORMAT = "mm-ptl-recording/1"

#: function of the model, as in 6.18 -> its name in other releases, since when, and until when
_NAMES = {
    "__collapse_huge_page_copy_succeeded": ("__collapse_huge_page_copy", "5.0", "6.4"),
    "try_get_and_clear_pmd": ("zap_empty_pte_table", "7.1", ""),
    "hpage_collapse_scan_pmd": ("collapse_scan_pmd", "7.1", ""),
    "collapse_pte_mapped_thp": ("try_collapse_pte_mapped_thp", "7.1", ""),
}

T = TypeVar("T")

#: a lock, the number of page-table locks already held, and the function that took it
PtlRow = tuple[str, int, str]


@dataclass(frozen=True, slots=True)
class PtlRecording:
    """A trace of one operation.

    Args:
        name: of the recorded operation.
        scenario: the operations before it and, last, the operation.
        result: of the operation.
        ptl: the page-table locks in the order in which they were taken, expanded.
        held_together: (outer, inner) of those held at the same time.
        kernel: the version that it was recorded on; empty for a trace of the model.
    """

    name: str
    scenario: dict[str, Any]
    result: dict[str, Any]
    ptl: tuple[PtlRow, ...]
    held_together: frozenset[tuple[str, str]]
    kernel: str = ""


def parse(document: dict[str, Any]) -> PtlRecording:
    """The trace in a JSON document.

    Raises:
        BadScenario: it is damaged, or has an unknown operation.
    """
    ops, op = document.get("ops"), document.get("op")
    if not isinstance(ops, list) or not isinstance(op, dict):
        raise BadScenario("expected a list `ops` and an object `op`")
    scenario = check_scenario({"name": document.get("name", ""), "setup": document.get("setup", {}), "ops": [*ops, op]})
    try:
        rows = tuple(written_out(document["ptl"], 3))
        ptl = tuple((str(lock), int(depth), str(function)) for lock, depth, function in rows)
        together = frozenset((str(outer), str(inner)) for outer, inner in document.get("held_together", ()))
        name, kernel = (str(document.get(key, "")) for key in ("name", "kernel"))
        return PtlRecording(name, scenario, dict(document["result"]), ptl, together, kernel)
    except (KeyError, TypeError, ValueError):
        raise BadScenario(
            "expected `ptl` with rows [lock, depth, function] and `held_together` with rows [outer, inner]"
        ) from None


def load_any(path: str) -> Recording | PtlRecording:
    """Read a recording or bare scenario as ``load``, or a trace of page-table locks.

    Raises:
        BadScenario: it cannot be read, is damaged, or has an unknown word.
    """
    with Uncollected():
        document = document_of(read(path))
        return parse(document) if document.get("format") == FORMAT else recording_of(document)


def written_out(rows: Sequence[Any], width: int) -> Iterator[Any]:
    """The rows of a run-length encoded list: n appended to a row repeats it, ["*", n, rows] repeats a group.

    Args:
        width: number of values of a row without n.
    """
    for row in rows:
        if row[0] == "*":
            for _ in range(row[1]):
                yield from written_out(row[2], width)
        else:
            for _ in range(row[width] if len(row) > width else 1):
                yield tuple(row[:width])


def trace(scenario: dict[str, Any], profile: str) -> PtlRecording:
    """Run a checked scenario and trace its last operation.

    Args:
        profile: the kernel to model.
    """
    machine = _NamingMachine()
    replay = ScenarioRun(scenario, profile, machine)
    *before, last = scenario["ops"]
    for op in before:
        replay.run(op)
    machine.replay, machine.names = replay, _names(replay)
    result = replay.run(last)
    names = machine.names
    rows, together = locks_taken(machine.trace)
    called = {
        function: name
        for function, (name, since, until) in _NAMES.items()
        if KernelChange(since, "", "", until=until).holds_in(profile)
    }
    return PtlRecording(
        str(scenario.get("name", "")),
        scenario,
        result,
        tuple((names.get(lock, lock.name), depth, called.get(function, function)) for lock, depth, function in rows),
        frozenset((names.get(outer, outer.name), names.get(inner, inner.name)) for outer, inner in together),
    )


class _NamingMachine(Machine):
    """A machine that names page-table locks, from the time that it is given a run.

    A table has the name of the place where it was when the lock was first taken: one that an operation installs and
    frees is gone when it ends.
    """

    def __init__(self) -> None:
        super().__init__(counting=())
        self.replay: ScenarioRun | None = None
        self.names: dict[Lock, str] = {}

    def run(self, path: Generator[LockOp | Event, Any, T]) -> T:
        return super().run(path if self.replay is None else self._named(path, self.replay))

    def _named(self, path: Generator[LockOp | Event, Any, T], replay: ScenarioRun) -> Generator[LockOp | Event, Any, T]:
        while True:
            try:
                step = next(path)
            except StopIteration as stop:
                result: T = stop.value
                return result
            if isinstance(step, LockOp) and step.lock.lock_class.is_page_table_lock and step.lock not in self.names:
                self.names = {**_names(replay), **self.names}
            yield step


def locks_taken(events: Sequence[Happening]) -> tuple[list[tuple[Lock, int, str]], set[tuple[Lock, Lock]]]:
    """The page-table locks taken, each with its depth and function, and the pairs held together."""
    rows: list[tuple[Lock, int, str]] = []
    together: set[tuple[Lock, Lock]] = set()
    held: list[Lock] = []
    for op in chain.from_iterable(group * group[0].times for group in lock_groups(events)):
        if op.table_locks > 0:
            together.update((outer, op.lock) for outer in held)
            rows.append((op.lock, len(held), op.function))
            held.append(op.lock)
        else:
            held.remove(op.lock)
    return rows, together


def _names(replay: ScenarioRun) -> dict[Lock, str]:
    """The names of the locks of all existing tables."""
    names: dict[Lock, str] = {}
    for mm in replay.machine.kernel.mms.values():
        names[mm.page_table_lock] = f"mm:{mm.name}"
        for number, pmd in mm.tables.pmds.items():
            gib = number - ARENA // SLOT
            names[pmd.lock] = f"pmd:{mm.name}" if not gib else f"pmd:{mm.name}:g{gib}"
        for block, _, entry in mm.tables.blocks():
            if isinstance(entry, PageTable):
                names[entry.ptl] = _table_name(replay, mm, block - ARENA)
    return names


def _table_name(replay: ScenarioRun, mm: Mm, block: int) -> str:
    """A table is named after the first region in it that is not a pad."""
    size = replay.machine.kernel.geometry.pmd_pages
    for region, (vpn, nr) in replay.regions.items():
        if not region.startswith("pad") and vpn - size < block < vpn + nr:
            return f"pte:{mm.name}:{region}:{(block - vpn + vpn % size) // size}"
    return f"pte:{mm.name}:{block:#x}"


def document(recording: PtlRecording) -> dict[str, Any]:
    """A trace for JSON, expanded."""
    return {
        "name": recording.name,
        "result": recording.result,
        "ptl": [list(row) for row in recording.ptl],
        "held_together": sorted(map(list, recording.held_together)),
    }


def first_difference(kernel: PtlRecording, model: PtlRecording) -> tuple[str, str, str] | None:
    """(what differs, kernel, model), the most significant difference; None if there is none."""
    if kernel.result != model.result:
        return "result", str(kernel.result), str(model.result)
    for number in range(max(len(kernel.ptl), len(model.ptl))):
        wanted, found = (rows[number : number + 1] for rows in (kernel.ptl, model.ptl))
        if wanted != found:
            return f"lock {number}", _shown(wanted), _shown(found)
    if kernel.held_together != model.held_together:
        return "held together", str(sorted(kernel.held_together)), str(sorted(model.held_together))
    return None


def _shown(rows: tuple[PtlRow, ...]) -> str:
    if not rows:
        return "none"
    lock, depth, function = rows[0]
    return f"{lock} at depth {depth} in {function}()"


def profile_of(recording: Recording | PtlRecording) -> str:
    """The profile of the kernel that a recording was made on; a bare scenario has the default.

    Raises:
        BadScenario: no release is modeled that the kernel belongs to.
    """
    if isinstance(recording, Recording) and recording.steps is None:
        return DEFAULT.version
    release = release_of(recording.kernel)
    if release is None:
        kernel = recording.kernel or "an unnamed kernel"
        raise BadScenario(f"a recording of {kernel}; modeled are {', '.join(RELEASES)}, and --profile chooses one")
    return release.version

"""The state that steps change: the machine, and all that typed commands made of it. The same commands make it again.

Regions are labels for the ranges that mmap and mremap made. A label is valid in every process, since the address is the
same, and stays when the mapping under it splits, merges or goes. A range that we place never touches another label's
range, so that VMAs merge only where that was asked for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from folioshell.engine.machine import Machine
from folioshell.errors import SchemeError
from folioshell.events import FolioNew
from folioshell.intervals import Intervals
from folioshell.records import NamedTuple
from folioshell.report import Section
from folioshell.session.history import Ending, StepRecord, result_of
from folioshell.session.host import Limits
from folioshell.session.step_events import Describer
from folioshell.units import X86_64, Geometry, align_up
from folioshell.wording import page_index

if TYPE_CHECKING:
    from folioshell.model.kernel import Kernel
    from folioshell.model.vm import Mm
    from folioshell.paths import Path
    from folioshell.paths import protocol as paths_protocol
    from folioshell.schemes.base import Scheme


class Region(NamedTuple):
    """A label.

    Args:
        name: the word typed.
        start: first virtual page.
        nr: pages.
    """

    name: str
    start: int
    nr: int

    @property
    def end(self) -> int:
        """First virtual page after it."""
        return self.start + self.nr


def labels_of(regions: Iterable[Region], start: int, end: int) -> str:
    """The labels under which pages ``[start, end)`` lie: ``win[0..15]``, a whole region by its name."""
    found = []
    for region in regions:
        first, last = max(start, region.start) - region.start, min(end, region.end) - region.start - 1
        if first <= last:
            whole = first == 0 and last == region.nr - 1
            found.append(region.name if whole else f"{region.name}{page_index(first, last - first + 1)}")
    return " ".join(found)


class Regions(dict[str, Region]):
    """All labels by name, in the order in which they were made; none is ever taken away.

    Attributes:
        beyond: lowest virtual page of a range above all of them that adjoins none.
        claims: names that commands under way will make, with the range that each will label, or None for a process.
    """

    def __init__(self, regions: Iterable[Region] = ()) -> None:
        super().__init__()
        self.beyond = 0
        self.claims: dict[str, Region | None] = {}
        for region in regions:
            self.add(region)

    def add(self, region: Region) -> None:
        """Remember a label."""
        self[region.name] = region
        self.beyond = max(self.beyond, region.end + 1)

    def labeled(self, region: Region, path: Path[str | None]) -> Path[Ending]:
        """Run a path that maps a range: its label is taken from the start, and known once the path has succeeded."""
        self.claims[region.name] = region
        failed = yield from path
        del self.claims[region.name]
        if failed is None:
            self.add(region)
        return failed


def next_free(regions: Regions, geometry: Geometry, nr: int, boundary: int, skew: int = 0) -> int | None:
    """First virtual page of the range that starts ``skew`` pages after the next free boundary.

    That is the lowest boundary above all regions, so that no page table is shared with one by accident; if there is
    no room left, the lowest one from which the range touches no region.

    Args:
        regions: those that exist, and those that commands under way will make.
        geometry: says where user space begins and ends.
        nr: pages wanted.
        boundary: pages between two boundaries.
        skew: pages from the boundary to the range.
    Returns: None if user space has no room.
    """
    claimed = [region for region in regions.claims.values() if region is not None]
    beyond = max([regions.beyond, geometry.base, *(region.end + 1 for region in claimed)])
    start = align_up(beyond, boundary) + skew
    if start + nr <= geometry.end:
        return start
    start = align_up(geometry.base, boundary) + skew
    for region in sorted([*regions.values(), *claimed], key=lambda region: region.start):
        if start <= region.end and region.start <= start + nr:
            start = align_up(region.end + 1, boundary) + skew
    return start if start + nr <= geometry.end else None


class LoadedScheme(NamedTuple):
    """A scheme that was loaded from a file.

    Args:
        scheme: its class, guarded, so that what it raises is a SchemeError.
        path: the file that it was loaded from.
    """

    scheme: type[Scheme]
    path: str


class LoadedProtocol(NamedTuple):
    """A protocol that was loaded from a file.

    Args:
        protocol: its class.
        path: the file that it was loaded from.
    """

    protocol: type[paths_protocol.Protocol]
    path: str


class Runnable(Protocol):
    """A command that is a step."""

    @property
    def text(self) -> str:
        """The command in its normal form, without the process that was named before it."""

    def apply(self, workspace: Workspace, process: str) -> Ending:
        """Run it.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """

    def pages(self, workspace: Workspace, process: str) -> Sequence[tuple[int, int]]:
        """(first, number) of the ranges of virtual pages that it goes through in order, if it does.

        Raises:
            Refused: as ``apply``.
        """

    def subject(self, workspace: Workspace, process: str) -> str:
        """The opening of the sentence about it, after it was run: the system call or access, without consequences."""


FIRST_PROCESS = "A"


class Workspace:
    """The state that steps change.

    Args:
        loaded: schemes from files by name; they count in addition to the registered ones.
        counting: names of the registered schemes that count from the start; None for all. Others join later.
        protocols: protocols from files by name.

    Attributes:
        machine: the simulated kernel and the schemes that watch it.
        current: name of the current process; empty when none is left.
        regions: labels by name.
        journal: a record a step.
        process_names: MM-ID -> name, of processes that ended too.
        threads: process -> its threads besides the main one.
        admitted: a bound for the entries of all page tables: what commands were admitted to map.
        limits: how much it may grow; a replay has none: what is replayed was within them.
        remarks: sections of the last step's report besides its events.
        noted: what its document has besides.
        adapts_schedules: schedules are those of another release, and are made to fit.
    """

    __slots__ = (
        *(
            "_counting",
            "_loaded",
            "_protocols",
            "_indexed",
            "_orders",
            "current",
            "journal",
            "machine",
            "process_names",
        ),
        *("adapts_schedules", "admitted", "limits", "noted", "regions", "remarks", "threads"),
    )

    def __init__(
        self,
        loaded: Mapping[str, type[Scheme]] | None = None,
        counting: Collection[str] | None = None,
        protocols: Mapping[str, type[paths_protocol.Protocol]] | None = None,
    ) -> None:
        self._loaded = loaded or {}
        self._protocols = protocols or {}
        self._counting = counting
        self.current = FIRST_PROCESS
        self.regions = Regions()
        self.journal: list[StepRecord] = []
        self.process_names: dict[int, str] = {}
        self.threads: dict[str, list[str]] = {}
        self.limits = Limits()
        self.admitted = 0
        self.remarks: tuple[Section, ...] = ()
        self.noted: dict[str, Any] = {}
        self.adapts_schedules = False
        self._orders: Intervals[int] = Intervals()
        self._indexed = 0
        self._power_on(X86_64)

    def boot(self, geometry: Geometry) -> None:
        """Start over with a fresh machine of this geometry, on which one process lives."""
        noted = self.machine.noted
        self._power_on(geometry)
        self.machine.note(noted)

    def _power_on(self, geometry: Geometry) -> None:
        self.machine = Machine(geometry, self._loaded, self._counting, self._protocols)
        self.process_names = {mm.mm_id: mm.name for mm in self.kernel.mms.values()}

    @property
    def kernel(self) -> Kernel:
        """The model's state."""
        return self.machine.kernel

    @property
    def step(self) -> int:
        """Number of steps that led here."""
        return len(self.journal)

    def process(self, name: str) -> Mm | None:
        """The address space of a process that can run commands: fork has returned, and it has not exited."""
        mm = self.kernel.mms.get(name)
        return mm if mm is not None and mm.mm_id in self.process_names and not mm.exiting else None

    @property
    def processes(self) -> dict[str, Mm]:
        """All such processes, in order of creation."""
        return {name: mm for name, mm in self.kernel.mms.items() if self.process(name) is mm}

    @property
    def names(self) -> tuple[object, ...]:
        """The objects that say what commands have named: they are part of the state that commands race over."""
        return self.regions, vars(self.regions), self.process_names

    def process_name(self, mm_id: int) -> str:
        """The name of the process with this MM-ID, living or not."""
        return self.process_names.get(mm_id, f"mm {mm_id}")

    def note_thread(self, process: str, thread: str) -> None:
        """Remember a thread, unless it is known or the main one."""
        known = self.threads.setdefault(process, [])
        if thread and thread not in known:
            known.append(thread)

    def order_of(self, number: int) -> int:
        """The order of a folio, living or freed; the journal has those that were freed."""
        folio = self.kernel.folios.get(number)
        if folio is not None:
            return folio.order
        if number not in self._orders:
            self._index_folios()
        return self._orders.get(number) or 0

    def _index_folios(self) -> None:
        """Note the orders of the folios that steps since the last time made, the one that is being done included."""
        for record in self.journal[self._indexed :]:
            for event in record.events():
                if isinstance(event, FolioNew):
                    self._orders.put(event.folio, event.nr, event.order)
        self._indexed = len(self.journal)

    def run(self, command: Runnable, process: str) -> StepRecord:
        """Run a model command: one step.

        Raises:
            Refused: it cannot be done; nothing was changed.
            SchemeError: a loaded scheme raised.
        """
        machine = self.machine
        machine.begin()
        self.remarks, self.noted = (), {}
        leader = machine.kernel.mms.get(self.current)
        try:
            ending = command.apply(self, process)
        except SchemeError as error:
            if error.event is not None:
                error.told = Describer(self).text(error.event)  # type: ignore[arg-type]
            raise
        machine = self.machine
        machine.join_folios()
        living = machine.kernel.mms
        if leader is not None and self.current not in living:
            self.current = leader.parent if leader.parent in living else next(iter(living), "")
        record = StepRecord(len(self.journal) + 1, process, command.text, result_of(ending), machine.trace)
        self.journal.append(record)
        return record

    def return_to(self, journal: Iterable[StepRecord], current: str, admitted: int) -> None:
        """Be as after these steps, replayed in a fresh workspace; machine and names are as they were then."""
        self.journal[:] = journal
        self.current, self.admitted = current, admitted
        self.limits, self.remarks, self.noted = Limits(), (), {}
        self._orders, self._indexed = Intervals(), 0

    def kind_of(self, name: str) -> str:
        """What a name stands for: ``region``, ``file``, ``process``, or empty if it is free."""
        claims = self.regions.claims
        if name in self.regions or claims.get(name):
            return "region"
        if name in self.kernel.files:
            return "file"
        return "process" if name in self.kernel.mms or name in claims else ""

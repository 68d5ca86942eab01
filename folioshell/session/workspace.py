"""A workspace: the machine and all that typed commands made of it. The same commands make an equal one again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from folioshell.engine.machine import Machine
from folioshell.errors import SchemeError
from folioshell.events import FolioNew
from folioshell.intervals import Intervals
from folioshell.report import Section
from folioshell.session.describe import Describer
from folioshell.session.journal import StepRecord
from folioshell.session.language import Statement
from folioshell.session.limits import Limits
from folioshell.session.region import Regions
from folioshell.session.result import result_of
from folioshell.units import X86_64, Geometry

if TYPE_CHECKING:
    from folioshell.model.kernel import Kernel
    from folioshell.model.vm import Mm
    from folioshell.schemes.base import Scheme

FIRST_PROCESS = "A"


class Workspace:
    """The state that steps change.

    Args:
        definitions: schemes from files by name; they count in addition to the registered ones.
        counting: names of the registered schemes that count from the start; None for all. Others join later.

    Attributes:
        machine: the simulated kernel and the schemes that watch it.
        current: name of the current process; empty when none is left.
        regions: labels by name.
        journal: a record a step.
        process_names: MM-ID -> name, of processes that ended too.
        threads: process -> its threads besides the main one.
        admitted: a bound for the entries of all page tables: what commands were admitted to map.
        limits: how much it may grow; a replay has none, since what is replayed was within them.
        remarks: what the last step has to say besides its events.
    """

    __slots__ = (
        *("_counting", "_definitions", "_indexed", "_orders", "current", "journal", "machine", "process_names"),
        *("admitted", "limits", "regions", "remarks", "threads"),
    )

    def __init__(
        self, definitions: Mapping[str, type[Scheme]] | None = None, counting: Collection[str] | None = None
    ) -> None:
        self._definitions = definitions or {}
        self._counting = counting
        self.current = FIRST_PROCESS
        self.regions = Regions()
        self.journal: list[StepRecord] = []
        self.process_names: dict[int, str] = {}
        self.threads: dict[str, list[str]] = {}
        self.limits = Limits()
        self.admitted = 0
        self.remarks: tuple[Section, ...] = ()
        self._orders: Intervals[int] = Intervals()
        self._indexed = 0
        self._power_on(X86_64)

    def boot(self, geometry: Geometry) -> None:
        """Start over with a fresh machine of this geometry, on which one process lives."""
        noted = self.machine.noted
        self._power_on(geometry)
        self.machine.note(noted)

    def _power_on(self, geometry: Geometry) -> None:
        self.machine = Machine(geometry, self._definitions, self._counting)
        self.process_names = {mm.mm_id: mm.name for mm in self.kernel.mms.values()}

    @property
    def kernel(self) -> Kernel:
        """The model's state."""
        return self.machine.kernel

    @property
    def step(self) -> int:
        """Number of steps that led here."""
        return len(self.journal)

    def process_name(self, mm_id: int) -> str:
        """The name of the process with this MM-ID, living or not."""
        return self.process_names.get(mm_id, f"mm {mm_id}")

    def note_thread(self, process: str, thread: str) -> None:
        """Remember a thread, unless it is known or the main one."""
        known = self.threads.setdefault(process, [])
        if thread and thread not in known:
            known.append(thread)

    def note_process(self, mm: Mm) -> None:
        """Remember the name of a new process."""
        self.process_names[mm.mm_id] = mm.name

    def order_of(self, number: int) -> int:
        """The order of a folio that is or was; the journal knows those that were freed."""
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

    def run(self, statement: Statement, process: str) -> StepRecord:
        """Run a model command: one step.

        Raises:
            Refused: it cannot be done; nothing was changed.
            SchemeError: a loaded definition raised.
        """
        self.machine.begin()
        self.remarks = ()
        try:
            ending = statement.apply(self, process)
        except SchemeError as error:
            if error.event is not None:
                error.told = Describer(self).text(error.event)  # type: ignore[arg-type]
            raise
        record = StepRecord(self.step + 1, process, statement.text, result_of(ending), self.machine.trace)
        self.journal.append(record)
        return record

    def what_has(self, name: str) -> str:
        """What a name stands for: ``region``, ``file``, ``process``, or empty if it is free."""
        if name in self.regions:
            return "region"
        if name in self.kernel.files:
            return "file"
        return "process" if name in self.kernel.mms else ""

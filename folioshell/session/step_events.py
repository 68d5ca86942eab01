"""What a step yielded: lock rows, the events sorted by what a report needs of them, and as lines of a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

from folioshell import events
from folioshell.events import Level
from folioshell.intervals import Intervals, ranges
from folioshell.model.lock import LockClass, LockOp
from folioshell.records import NamedTuple
from folioshell.report import LockRow
from folioshell.session.history import Happening
from folioshell.units import format_address
from folioshell.wording import counted, folio_run, pages_text


class NewFolios(NamedTuple):
    """What new folios in a row have in common.

    Args:
        order, anon: as in FolioNew.
        origin: number of the folio that they were split from; 0 if they are new memory.
    """

    order: int
    anon: bool
    origin: int


class Copy(NamedTuple):
    """A page that a write gave a copy of its own, or consecutive ones of order 0.

    Args:
        folio: number of the new order-0 folio.
        old, order, page: the folio that was mapped there before, and the index of its page.
        nr: number of pages, each of an order-0 folio.
    """

    folio: int
    old: int
    order: int
    page: int
    nr: int = 1

    def singly(self) -> Iterator[Copy]:
        """Each page for itself."""
        return (Copy(self.folio + at, self.old + at, self.order, self.page) for at in range(self.nr))


class StepEvents:
    """What happened in a step.

    Attributes:
        locks: page-table locks in the order in which they were taken.
        new: folios that came to be, in runs of consecutive numbers.
        freed: folios that ended -> their orders, in runs.
        walks, asked, findings, scans, tracepoints, vma_splits, vma_merges: these events, those about a run singly.
        mapped, unmapped: folio -> entries that were added and removed, by events about leaf entries.
        pmd_mapped, pmd_unmapped: folio -> PMD entries added and removed.
        moved: folio -> entries that mremap moved.
        copies: pages that were copied for a write, in order.
        reused: pages that were made writable without a copy, in order.
        small_mapped: the order-0 folios that were mapped -> True, in runs.
        nr_small_mapped, nr_small_unmapped: entries of order-0 folios among the above, counted but not listed.
    """

    def __init__(self, happenings: Sequence[Happening]) -> None:
        self.locks = lock_rows(happenings)
        self.new: Intervals[NewFolios] = Intervals()
        self.freed: Intervals[int] = Intervals()
        self.walks: list[events.Walked] = []
        self.asked: list[events.Asked] = []
        self.findings: list[events.Finding] = []
        self.scans: list[events.Scanned] = []
        self.tracepoints: list[events.Tracepoint] = []
        self.vma_splits: list[events.VmaSplit] = []
        self.vma_merges: list[events.VmaMerged] = []
        self.mapped: Counter[int] = Counter()
        self.unmapped: Counter[int] = Counter()
        self.pmd_mapped: Counter[int] = Counter()
        self.pmd_unmapped: Counter[int] = Counter()
        self.moved: Counter[int] = Counter()
        self.copies: list[Copy] = []
        self.reused: list[events.Reused] = []
        self._copied_at: tuple[int, int, int, int] | None = None
        self.small_mapped: Intervals[bool] = Intervals()
        self.nr_small_mapped = 0
        self.nr_small_unmapped = 0
        self._read(happenings)

    def _read(self, happenings: Sequence[Happening]) -> None:
        takers: dict[type, Callable[..., None]] = {
            events.FolioNew: self._on_new,
            events.FolioFreed: self._on_freed,
            events.Mapped: self._on_mapped,
            events.Unmapped: self._on_unmapped,
            events.Moved: self._on_moved,
            events.VmaSplit: self.vma_splits.append,
            events.VmaMerged: self.vma_merges.append,
            events.Walked: lambda event: self.walks.extend(event.singly),
            events.Asked: self.asked.append,
            events.Reused: self.reused.append,
            events.Finding: self.findings.append,
            events.Scanned: self.scans.append,
            events.AddedToSwap: lambda event: self.tracepoints.extend(event.singly),
            events.Tracepoint: self.tracepoints.append,
        }
        taker_of = takers.get
        for happening in happenings:
            if taker := taker_of(happening.__class__):
                taker(happening)

    def _on_new(self, event: events.FolioNew) -> None:
        origin = event.origin[0] if event.origin else 0
        self.new.put(event.folio, event.nr, NewFolios(event.order, event.anon, origin))

    def _on_freed(self, event: events.FolioFreed) -> None:
        self.freed.put(event.folio, event.nr, event.order)

    def _on_mapped(self, event: events.Mapped) -> None:
        if event.order:
            entries = self.pmd_mapped if event.level is Level.PMD else self.mapped
            entries[event.folio] += event.entries
            return
        self.nr_small_mapped += len(event.folios)
        if event.new:
            self._copied_at = event.folios[0], event.mm, event.vpn, len(event.folios)
        for first, nr in ranges(event.folios):
            self.small_mapped.put(first, nr, True)

    def _on_unmapped(self, event: events.Unmapped) -> None:
        if event.order:
            entries = self.pmd_unmapped if event.level is Level.PMD else self.unmapped
            entries[event.folio] += event.entries
        else:
            self.nr_small_unmapped += len(event.folios)
        # wp_page_copy() maps the copy before it unmaps the old page from the same address; no other path does.
        if self._copied_at is not None and self._copied_at[1:] == (event.mm, event.vpn, len(event.folios)):
            self.copies.append(Copy(self._copied_at[0], event.folio, event.order, event.first, len(event.folios)))
        self._copied_at = None

    def _on_moved(self, event: events.Moved) -> None:
        self.moved[event.folio] += 1 if event.level is Level.PMD else event.nr


def lock_rows(happenings: Iterable[Happening]) -> list[LockRow]:
    """The acquisitions of page-table locks; equal ones in a row are one row, and equal rows are one object."""
    rows = _LockRows()
    for ops in lock_groups(happenings):
        rows.put_alike(ops)
    return rows.ended()


def lock_groups(happenings: Iterable[Happening]) -> Iterator[list[LockOp]]:
    """The operations on page-table locks, in order; those of faults that were handled as one are a group.

    So many faults as the ``times`` of a group's operations have each done all of them, one fault after the other.
    """
    alike: list[LockOp] = []
    for op in happenings:
        if op.__class__ is not LockOp:
            continue
        if alike and _begins_others(op, alike):
            yield alike
            alike = []
        if op.table_locks and op.times > 1:
            alike.append(op)
        elif op.table_locks:
            yield [op]
    if alike:
        yield alike


def _begins_others(op: LockOp, alike: Sequence[LockOp]) -> bool:
    """Is an operation not one of the same faults as those before it? No fault does the same twice in a row."""
    if not op.table_locks:
        # Released after the faults of accesses; get_user_pages() looks pages up before and after their faults.
        return op.lock.lock_class is LockClass.VMA
    again = op.table_locks > 0 and len(alike) > 1 and op.is_like(alike[-2])
    return again or op.lock is not alike[0].lock or op.times != alike[0].times


class _LockRows:
    """Rows of a list of page-table locks, in the making.

    Attributes:
        depth: number of page-table locks held.
    """

    __slots__ = ("_last", "_last_depth", "_made", "_rows", "_times", "depth")

    def __init__(self) -> None:
        self.depth = self._last_depth = self._times = 0
        self._last: LockOp | None = None
        self._rows: list[LockRow] = []
        self._made: dict[tuple[LockOp, int, int], LockRow] = {}

    def put(self, op: LockOp, times: int) -> None:
        """Add the next operation, which stands for so many equal ones."""
        if op.table_locks < 0:
            self.depth -= 1
            return
        last = self._last
        if last is not None and self.depth == self._last_depth and (op is last or op.is_like(last)):
            self._times += times
        else:
            self.ended()
            self._last, self._last_depth, self._times = op, self.depth, times
        self.depth += 1

    def put_alike(self, ops: list[LockOp]) -> None:
        """Add the operations of faults that were handled as one, as if each fault had been handled alone."""
        faults = ops[0].times
        if len(ops) <= 2:
            for op in ops:
                self.put(op, faults)
            return
        # The first may continue what came before. Each of the others ends the rows that the second does.
        for op in ops:
            self.put(op, 1)
        nr = len(self._rows)
        for op in ops:
            self.put(op, 1)
        self._rows += self._rows[nr:] * (faults - 2)

    def ended(self) -> list[LockRow]:
        """All rows so far; the next operation begins another."""
        if self._last is not None:
            self._rows.append(self._row(self._last, self._last_depth, self._times))
            self._last = None
        return self._rows

    def _row(self, op: LockOp, depth: int, times: int) -> LockRow:
        row = self._made.get((op, depth, times))
        if row is None:
            row = self._made[op, depth, times] = LockRow(op.lock.name, depth, op.function, times)
        return row


# Events as lines of a trace.


def folios_text(numbers: Sequence[int]) -> str:
    """Runs of folios: ``f1..f16, f20``; numbers ascending."""
    return runs_text(list(ranges(numbers)))


def runs_text(runs: Sequence[tuple[int, int]]) -> str:
    """The same for runs (first, nr)."""
    return ", ".join(folio_run(first, nr) for first, nr in runs)


class ProcessNames(Protocol):
    """Who knows the names of processes: a workspace, or the replay of a recording."""

    def process_name(self, mm_id: int) -> str:
        """The name of the process with this MM-ID, living or not."""


class Describer:
    """Turns events about the processes of one machine into text."""

    def __init__(self, names: ProcessNames) -> None:
        self._name = names.process_name
        self._texts: dict[type, Callable[..., str]] = {
            events.FolioNew: self._folio_new,
            events.FolioFreed: lambda event: f"{folio_run(event.folio, event.nr)} freed",
            events.Mapped: lambda event: self._rmap("mapped", event),
            events.Unmapped: lambda event: self._rmap("unmapped", event),
            events.VmaSplit: self._vma_split,
            events.VmaMerged: self._vma_merged,
            events.Moved: self._moved,
            events.Mlocked: self._mlocked,
            events.Forked: lambda event: f"{self._name(event.mm)} forked {self._name(event.child)}",
            events.MmGone: lambda event: f"address space of {self._name(event.mm)} freed",
            events.Walked: self._walked,
            events.Asked: lambda event: f"f{event.folio} shared? {event.answer} ({event.scheme})",
            events.Reused: self._reused,
            events.Held: self._held,
            events.AddedToSwap: self._added_to_swap,
            events.Finding: lambda event: f"FINDING: {event.text}",
            events.Scanned: self._scanned,
            events.Tracepoint: lambda event: f"{event.text} ({event.count})" if event.count else event.text,
        }

    def text(self, event: events.Event) -> str:
        """What the event says."""
        return self._texts[type(event)](event)

    def who(self, event: events.Event) -> str:
        """The kernel function that announced it, where the event knows."""
        call = getattr(event, "call", "") or getattr(event, "caller", "") or getattr(event, "reason", "")
        return str(call)

    def _folio_new(self, event: events.FolioNew) -> str:
        kind = "anon" if event.anon else "file"
        if event.origin:
            return f"f{event.folio} new, order {event.order}, from page {event.origin[1]} of f{event.origin[0]}"
        return f"{folio_run(event.folio, event.nr)} new, order {event.order}, {kind}"

    def _where(self, mm: int, vma: int, table: str, vpn: int) -> str:
        return f"{self._name(mm)} at {format_address(vpn)}, v{vma}, {table}"

    def _rmap(self, verb: str, event: events.Rmap) -> str:
        where = self._where(event.mm, event.vma, f"{event.level.value}{event.table}", event.vpn)
        if not event.order:
            return f"{folios_text(sorted(event.folios))} {verb} by {where}"
        if event.level is events.Level.PMD:
            return f"f{event.folio} PMD-{verb} by {where}"
        return f"f{event.folio} {pages_text(event.first, event.nr)} {verb} by {where}"

    def _straddling(self, event: events.VmaSplit | events.VmaMerged) -> str:
        pages = ", ".join(f"page {page} of f{folio}" for folio, page in event.straddling)
        return f", at {pages}" if pages else ""

    def _vma_split(self, event: events.VmaSplit) -> str:
        where = f"{format_address(event.vpn)}{self._straddling(event)}"
        return f"v{event.vma} of {self._name(event.mm)} split at {where}: v{event.new} is new"

    def _vma_merged(self, event: events.VmaMerged) -> str:
        where = f"{format_address(event.vpn)}{self._straddling(event)}"
        return f"v{event.gone} of {self._name(event.mm)} merged into v{event.vma} at {where}"

    def _moved(self, event: events.Moved) -> str:
        level = event.level.value
        old = f"{format_address(event.vpn)} in {level}{event.table}"
        new = f"{format_address(event.to_vpn)} in {level}{event.to_table}"
        return f"f{event.folio} {pages_text(event.first, event.nr)} moved from {old} to {new}"

    def _mlocked(self, event: events.Mlocked) -> str:
        verb = "mlocked" if event.sign > 0 else "munlocked"
        return f"{folios_text(event.folios)} {verb} by {self._name(event.mm)}"

    def _reused(self, event: events.Reused) -> str:
        where = f"{self._name(event.mm)} at {format_address(event.vpn)}"
        return f"f{event.folio} {pages_text(event.first, event.nr)} made writable by {where}, no copy"

    def _held(self, event: events.Held) -> str:
        more = f"{abs(event.change)} {'more' if event.change > 0 else 'fewer'}"
        return f"references of {folios_text(event.folios)}: {more} ({event.holder})"

    def _added_to_swap(self, event: events.AddedToSwap) -> str:
        last = event.slot + len(event.folios) - 1
        slots = f"slots {event.slot}..{last}" if last > event.slot else f"slot {last}"
        return f"{folios_text(event.folios)} added to swap at {slots} (swpout)"

    def _scanned(self, event: events.Scanned) -> str:
        where = f"{event.nr} pages of {self._name(event.mm)} at {format_address(event.vpn)}, v{event.vma}"
        return f"{where}: {event.result or 'passed over'} ({event.reason})"

    def _walked(self, event: events.Walked) -> str:
        tables = sum(len(tables) for _, _, tables in event.visits)
        found = sum(count for _, _, tables in event.visits for _, count in tables)
        what = counted(len(event.visits), "VMA"), counted(tables, "table"), counted(found, "entry", "entries")
        return f"rmap walk over {folio_run(event.folio, event.nr)}: {', '.join(what)}{' each' * (event.nr > 1)}"


class Described(NamedTuple):
    """An entry of a trace.

    Args:
        text: in the notation of traces: ``+pt1 nested``.
        function: the kernel function; may be empty.
        words: the same in words.
    """

    text: str
    function: str
    words: str

    @property
    def sentence(self) -> str:
        """The words and the function."""
        return f"{self.words}, in {self.function}()" if self.function else self.words


def described(event: events.Event | LockOp, describer: Describer) -> Described:
    """An entry of a trace as text and in words."""
    if isinstance(event, LockOp):
        # Few commands show traces.
        from folioshell.explore.locks import op_words, value_of

        return Described(str(event), event.function, op_words(value_of(event), event.times))
    text = describer.text(event)
    return Described(text, describer.who(event), text)

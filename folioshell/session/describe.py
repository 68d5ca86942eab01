"""Events as lines of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from folioshell import events
from folioshell.intervals import ranges
from folioshell.units import format_address
from folioshell.wording import counted, folio_run, pages_text


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
            events.Finding: lambda event: f"FINDING: {event.text}",
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

    def _walked(self, event: events.Walked) -> str:
        tables = sum(len(tables) for _, _, tables in event.visits)
        found = sum(count for _, _, tables in event.visits for _, count in tables)
        what = counted(len(event.visits), "VMA"), counted(tables, "table"), counted(found, "entry", "entries")
        return f"rmap walk over f{event.folio}: {', '.join(what)}"

"""Facts as lines of a trace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from folioshell import facts
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
    """Turns facts about the processes of one machine into text."""

    def __init__(self, names: ProcessNames) -> None:
        self._name = names.process_name
        self._texts: dict[type, Callable[..., str]] = {
            facts.FolioNew: self._folio_new,
            facts.FolioFreed: lambda fact: f"{folio_run(fact.folio, fact.nr)} freed",
            facts.Mapped: lambda fact: self._run("mapped", fact),
            facts.Unmapped: lambda fact: self._run("unmapped", fact),
            facts.MappedSmall: lambda fact: self._small("mapped", fact),
            facts.UnmappedSmall: lambda fact: self._small("unmapped", fact),
            facts.PmdMapped: lambda fact: self._pmd("mapped", fact),
            facts.PmdUnmapped: lambda fact: self._pmd("unmapped", fact),
            facts.VmaSplit: self._vma_split,
            facts.VmaMerged: self._vma_merged,
            facts.Moved: self._moved,
            facts.Forked: lambda fact: f"{self._name(fact.mm)} duplicated as {self._name(fact.child)}",
            facts.MmGone: lambda fact: f"the address space of {self._name(fact.mm)} ended",
            facts.Walked: self._walked,
            facts.Asked: lambda fact: f"{fact.scheme} asked about f{fact.folio}: {fact.answer}",
            facts.Finding: lambda fact: f"FINDING: {fact.text}",
            facts.Event: lambda fact: f"{fact.text} ({fact.count})" if fact.count else fact.text,
        }

    def text(self, fact: facts.Fact) -> str:
        """What the fact says."""
        return self._texts[type(fact)](fact)

    def who(self, fact: facts.Fact) -> str:
        """The kernel function that announced it, where the fact knows."""
        call = getattr(fact, "call", "") or getattr(fact, "caller", "") or getattr(fact, "reason", "")
        return str(call)

    def _folio_new(self, fact: facts.FolioNew) -> str:
        kind = "anon" if fact.anon else "file"
        if fact.origin:
            return f"f{fact.folio} new, order {fact.order}, from page {fact.origin[1]} of f{fact.origin[0]}"
        return f"{folio_run(fact.folio, fact.nr)} new, order {fact.order}, {kind}"

    def _where(self, mm: int, vma: int, table: str, vpn: int) -> str:
        return f"{self._name(mm)} at {format_address(vpn)}, v{vma}, {table}"

    def _run(self, verb: str, fact: facts.Mapped | facts.Unmapped) -> str:
        where = self._where(fact.mm, fact.vma, f"pt{fact.table}", fact.vpn)
        return f"f{fact.folio} {pages_text(fact.first, fact.nr)} {verb} by {where}"

    def _small(self, verb: str, fact: facts.MappedSmall | facts.UnmappedSmall) -> str:
        where = self._where(fact.mm, fact.vma, f"pt{fact.table}", fact.vpn)
        return f"{folios_text(sorted(fact.folios))} {verb} by {where}"

    def _pmd(self, verb: str, fact: facts.PmdMapped | facts.PmdUnmapped) -> str:
        where = self._where(fact.mm, fact.vma, f"pmd{fact.table}", fact.vpn)
        return f"f{fact.folio} {verb} whole by {where}"

    def _straddling(self, fact: facts.VmaSplit | facts.VmaMerged) -> str:
        cut = ", ".join(f"page {page} of f{folio}" for folio, page in fact.straddling)
        return f", at {cut}" if cut else ""

    def _vma_split(self, fact: facts.VmaSplit) -> str:
        where = f"{format_address(fact.vpn)}{self._straddling(fact)}"
        return f"v{fact.vma} of {self._name(fact.mm)} split at {where}: v{fact.new} is new"

    def _vma_merged(self, fact: facts.VmaMerged) -> str:
        where = f"{format_address(fact.vpn)}{self._straddling(fact)}"
        return f"v{fact.gone} of {self._name(fact.mm)} merged into v{fact.vma} at {where}"

    def _moved(self, fact: facts.Moved) -> str:
        kind = "pmd" if fact.pmd else "pt"
        old = f"{format_address(fact.vpn)} in {kind}{fact.table}"
        new = f"{format_address(fact.to_vpn)} in {kind}{fact.to_table}"
        return f"f{fact.folio} {pages_text(fact.first, fact.nr)} moved from {old} to {new}"

    def _walked(self, fact: facts.Walked) -> str:
        tables = sum(len(tables) for _, _, tables in fact.visits)
        found = sum(count for _, _, tables in fact.visits for _, count in tables)
        what = counted(len(fact.visits), "VMA"), counted(tables, "table"), counted(found, "entry", "entries")
        return f"rmap walk over f{fact.folio}: {', '.join(what)}"

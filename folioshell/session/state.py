"""The whole state as plain data, for ``--json=full`` and for pages: each fact once, and enough to draw ``show`` again.

Rules:
- A row of entries, or of folios, stands for a run that are alike: ``pages``, ``step`` and ``n`` say of how many.
- Everything that scheme and page tables say of a folio stands with the folio: numbers, the truth, answers, verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.observation import observation
from folioshell.model.pagetable import PageTable
from folioshell.model.truth import TruthCounts, truth
from folioshell.model.vm import Mm, Vma
from folioshell.records import NamedTuple
from folioshell.schemes.base import Sharing
from folioshell.session.entries import EntryRun, entry_runs, goes_on_in_table, joined_where
from folioshell.session.folio_groups import FolioGroup, answers_in, entries_of_all, folio_groups, runs_by_vma
from folioshell.session.workspace import Workspace
from folioshell.units import PAGE_SHIFT, format_address


def snapshot(workspace: Workspace, shown: Sequence[str] = ()) -> dict[str, Any]:
    """All that can be observed, and what no user space sees of it.

    Args:
        shown: the schemes that reports show.
    """
    kernel = workspace.kernel
    regions = {region.name: (region.start, region.nr) for region in workspace.regions.values()}
    seen = observation(kernel, regions)["procs"]
    return {
        "step": workspace.step,
        "current": workspace.current,
        "geometry": kernel.geometry.name,
        "profile": kernel.release.version,
        "decide": kernel.decider.name,
        **({"protocol": kernel.protocol.name} if kernel.protocol is not None else {}),
        "schemes": list(shown),
        "regions": {
            name: {"vpn": start - kernel.geometry.base, "pages": nr, "address": format_address(start)}
            for name, (start, nr) in regions.items()
        },
        "files": {file.name: {"pages": file.size, "fs": file.fs} for file in kernel.files.values()},
        "processes": {mm.name: _process(workspace, mm, seen[mm.name]) for mm in kernel.mms.values()},
        "folios": list(_folios(workspace)),
    }


# Processes.


def _process(workspace: Workspace, mm: Mm, seen: dict[str, Any]) -> dict[str, Any]:
    kernel = workspace.kernel
    spans = [(vma.start, vma.end, str(vma)) for vma in mm.vmas]
    return {
        "mm_id": mm.mm_id,
        "parent": mm.parent,
        "threads": list(workspace.threads.get(mm.name, ())),
        "rss": dict(zip(("file", "anon", "shmem", "swap"), mm.rss.as_tuple(), strict=True)),
        "vmas": [_vma(vma, row["smaps"]) for vma, row in zip(mm.vmas, seen["vmas"], strict=True)],
        "tables": list(_tables(kernel, mm)),
        "entries": [
            _entries(vma, run)
            for vma, run in joined_where(
                runs_by_vma(entry_runs(kernel, mm), spans),
                lambda one, other: one[0] == other[0] and goes_on_in_table(one[1], other[1]),
                lambda one, other: (one[0], one[1].joined(other[1])),
            )
        ],
        # Bits of pagemap and counts of kpagecount: runs of their own, as in a recording.
        "pagemap": {
            region: [[page, nr, bits, count] for page, nr, bits, _, _, count in rows]
            for region, rows in seen["pages"].items()
        },
    }


def _vma(vma: Vma, smaps: Any) -> dict[str, Any]:
    return {
        "id": str(vma),
        "address": format_address(vma.start),
        "pages": vma.nr_pages,
        "perm": vma.perm,
        "flags": vma.flag_words,
        "file": vma.file.name if vma.file is not None else None,
        "pgoff": vma.pgoff,
        "anon_vma": str(vma.anon_vma) if vma.anon_vma is not None else None,
        "smaps": smaps,
    }


def _tables(kernel: Kernel, mm: Mm) -> Iterator[dict[str, Any]]:
    """The PMD tables with the PTE tables below each: where it is, the pages that it covers, entries that are not none.

    A deposited PTE table has no address: it is where a PMD entry that is split will take it from.
    """
    geometry = kernel.geometry
    for number in sorted(mm.tables.pmds):
        pmd = mm.tables.pmds[number]
        first = number << mm.tables.pmd_shift
        pages = 1 << mm.tables.pmd_shift
        yield {
            "id": str(pmd),
            "level": "pmd",
            "address": format_address(first),
            "pages": pages,
            "used": len(pmd.entries),
        }
        for index, entry in pmd.sorted_entries():
            if isinstance(entry, PageTable):
                used = 0 if entry.is_empty else len(entry.entries) - entry.entries.count(pte.NONE)
                address = format_address(first + (index << mm.tables.bits))
                yield {
                    "id": str(entry),
                    "level": "pte",
                    "in": str(pmd),
                    "address": address,
                    "pages": geometry.pmd_pages,
                    "used": used,
                }
        for spare in pmd.deposited:
            yield {"id": str(spare), "level": "pte", "in": str(pmd), "deposited": True}


def _entries(vma: str, run: EntryRun) -> dict[str, Any]:
    """A run of entries: of ``folio`` from ``page`` on, or of folios with consecutive ids, ``step`` pages of each."""
    made: dict[str, Any] = {
        "table": run.table,
        "level": "pmd" if run.pmd else "pte",
        "vma": vma,
        "address": format_address(run.vpn),
        "pages": run.nr,
    }
    if run.folio:
        made |= {"folio": f"f{run.folio}", "page": run.page}
        if run.nr_folios > 1:
            made["step"] = 1 << run.order
    else:
        made["other"] = run.other
    return made | ({"perm": run.access} if run.access else {})


# Folios.


def _folios(workspace: Workspace) -> Iterator[dict[str, Any]]:
    """The living folios by number, those that are alike as one row."""
    schemes = workspace.machine.schemes
    names = list(schemes)
    for group in folio_groups(workspace, names, entries_of_all(workspace)):
        for first, nr in _alike(workspace.kernel, group):
            yield _folio(workspace, group._replace(first=first, nr=nr), schemes.values())


def _alike(kernel: Kernel, group: FolioGroup) -> Iterator[tuple[int, int]]:
    """(first, nr) of the folios of a group that have equally many references and consecutive indexes."""
    start, nr = group.first, 0
    last: Any = None
    for number in range(group.first, group.first + group.nr):
        folio = kernel.folios.get(number)
        assert folio is not None
        same = (folio.mapping, folio.index - (number << group.order), folio.ref)
        if nr and same != last:
            yield start, nr
            start, nr = number, 0
        last, nr = same, nr + 1
    if nr:
        yield start, nr


def _folio(workspace: Workspace, group: FolioGroup, schemes: Any) -> dict[str, Any]:
    folio = workspace.kernel.folios.get(group.first)
    assert folio is not None
    found = truth(workspace.kernel, folio) if group.order else group.truth
    answers = {scheme.name: sorted(answers_in(scheme, group)) for scheme in schemes} if group.mms else {}
    return {
        "id": f"f{group.first}",
        "n": group.nr,
        "order": group.order,
        "ref": folio.ref,
        "anon": folio.anon,
        "mapping": str(folio.mapping),
        "index": folio.index,
        "entries": [list(one) for one in group.counts],
        "sharing": group.sharing,
        "truth": _counts(found),
        "mapcounts": group.numbers,
        # Who maps it may be answered differently by one scheme: mm-id knows two of them.
        "answers": {name: " or ".join(one) for name, one in answers.items()},
        "verdicts": {name: verdict(set(one), group.sharing) for name, one in answers.items()},
    }


def _counts(found: TruthCounts) -> dict[str, int]:
    return {name: getattr(found, name) for name in ("mms", "vmas", "tuples", "entries", "pages")}


def verdict(answers: set[Sharing], sharing: str) -> str:
    """The verdict on what a scheme answers to all that map a folio, the worst if they are answered differently."""
    right = Sharing.YES if sharing == "shared" else Sharing.NO
    if answers - {right, Sharing.MAYBE}:
        return "false negative" if right is Sharing.YES else "false positive"
    return "undecided" if Sharing.MAYBE in answers else "exact"


# Reading it.


class MappedRun(NamedTuple):
    """What a process has at some virtual pages.

    Args:
        folio, page: number of the folio and first page of it; 0 for no folio.
        nr: pages, and whether they are pages of several folios with consecutive numbers.
        perm: as in the state; ``none`` is PROT_NONE.
        other: what is there instead of a folio.
        pmd: mapped by a PMD entry.
    """

    folio: int = 0
    page: int = 0
    nr: int = 0
    several: bool = False
    perm: str = ""
    other: str = ""
    pmd: bool = False

    @property
    def is_some(self) -> bool:
        """True unless the entries are none."""
        return bool(self.folio or self.other)


class StateSpace:
    """A process of a state, to be asked by virtual page.

    Attributes:
        vmas, runs, tables: (first page, end, row of the state) of its VMAs, runs of entries and PTE tables.
    """

    def __init__(self, process: Mapping[str, Any]) -> None:
        self.vmas, self.runs = list(map(_span, process["vmas"])), list(map(_span, process["entries"]))
        self.tables = [_span(one) for one in process["tables"] if one["level"] == "pte" and "address" in one]
        pmds = [(start, end, row["table"]) for start, end, row in self.runs if row["level"] == "pmd"]
        self._names = [*((start, end, row["id"]) for start, end, row in self.tables), *pmds]

    def vma_at(self, page: int) -> Mapping[str, Any] | None:
        """The VMA of a virtual page."""
        return next((vma for start, end, vma in self.vmas if start <= page < end), None)

    def has_vma(self, vma: Mapping[str, Any]) -> bool:
        """Is there a VMA of this range and permission?"""
        return any(all(one[key] == vma[key] for key in ("address", "pages", "perm")) for _, _, one in self.vmas)

    def table_in(self, start: int, end: int) -> str:
        """The page table, or tables, of virtual pages; empty without one."""
        found = [name for low, high, name in self._names if low < end and start < high]
        return found[0] if len(found) == 1 else f"{found[0]}..{found[-1]}" if found else ""

    def entry(self, start: int, end: int) -> MappedRun:
        """What maps the pages ``[start, end)``: one run, or several that are summed up."""
        found = [(max(low, start), min(high, end), row) for low, high, row in self.runs if low < end and start < high]
        if len(found) != 1:
            pages = sum(high - low for low, high, _ in found)
            return MappedRun(nr=pages, other=f"{pages:,} pages in {len(found)} runs" if found else "")
        ((low, high, row),) = found
        made = MappedRun(nr=high - low, perm=row.get("perm", ""), other=row.get("other", ""), pmd=row["level"] == "pmd")
        if "folio" not in row:
            return made
        page, step = row["page"] + low - page_at(row["address"]), row.get("step", 0)
        further, page = divmod(page, step) if step else (0, page)
        return made._replace(folio=int(row["folio"][1:]) + further, page=page, several=0 < step < high - low)


def page_at(address: str) -> int:
    """The virtual page at an address of a state."""
    return int(address, 16) >> PAGE_SHIFT


def _span(row: Mapping[str, Any]) -> tuple[int, int, Mapping[str, Any]]:
    start = page_at(row["address"])
    return start, start + row["pages"], row

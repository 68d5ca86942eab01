"""A world of entries and VMAs that announces events and knows the truth: what schemes are checked against.

It shares nothing with the model or the schemes: entries are a dict of virtual pages, and every number of the truth is
counted from it each time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby

from folioshell import events
from folioshell.events import CALLBACKS, Level
from folioshell.records import dataclass, field
from folioshell.schemes.base import Scheme

#: how an announced run of pages is split into calls: (first, nr) -> pieces of it, in order
Chunks = Callable[[int, int], list[tuple[int, int]]]


def whole(first: int, nr: int) -> list[tuple[int, int]]:
    """One call for one run."""
    return [(first, nr)]


def single(first: int, nr: int) -> list[tuple[int, int]]:
    """One call for one page."""
    return [(page, 1) for page in range(first, first + nr)]


@dataclass(eq=False)
class WorldVma:
    """A VMA over the virtual pages ``[start, end)``."""

    id: int
    start: int
    end: int


@dataclass(frozen=True)
class WorldTruth:
    """What the entries say about a folio."""

    mms: int
    vmas: int
    tuples: int
    entries: int
    pages: int


@dataclass
class World:
    """Address spaces, folios and entries; every change is announced to ``schemes`` as events."""

    schemes: list[Scheme]
    table_pages: int = 512
    chunks: Chunks = whole
    #: VMA splits and merges also list folios with entries on one side only
    eager: bool = False
    orders: dict[int, int] = field(default_factory=dict)
    #: folios that are file memory; the others are anonymous
    files: set[int] = field(default_factory=set)
    vmas: dict[int, list[WorldVma]] = field(default_factory=dict)
    #: (mm, vpn) -> (folio, page)
    ptes: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    #: (mm, vpn of page 0) -> folio
    pmds: dict[tuple[int, int], int] = field(default_factory=dict)
    tables: dict[tuple[int, int], int] = field(default_factory=dict)
    pmd_tables: dict[int, int] = field(default_factory=dict)
    #: folio -> mm -> its entries
    owners: dict[int, Counter[int]] = field(default_factory=dict)
    vma_ids: int = 0

    def announce(self, event: events.Event) -> None:
        """Call every scheme."""
        for scheme in self.schemes:
            getattr(scheme, CALLBACKS[type(event)])(event)

    # Folios and VMAs

    def folio(self, order: int, anon: bool = True) -> int:
        """Number of a new folio."""
        number = len(self.orders) + 1
        self.orders[number] = order
        if not anon:
            self.files.add(number)
        self.announce(events.FolioNew(number, order, anon))
        return number

    def walk(self, folio: int) -> None:
        """Walk the reverse map of a folio."""
        hits: dict[tuple[int, int], dict[str, int]] = {}
        for mm, vma, table, _ in self.found(folio):
            tables = hits.setdefault((mm, vma), {})
            name = f"pt{table}" if table > 0 else f"pmd{-table}"
            tables[name] = tables.get(name, 0) + 1
        visits = tuple((mm, vma, tuple(tables.items())) for (mm, vma), tables in hits.items())
        self.announce(events.Walked(folio, "test", visits))

    def free(self, folio: int) -> None:
        """The folio is gone."""
        self.announce(events.FolioFreed(folio, self.orders[folio]))

    def vma(self, mm: int, start: int, end: int) -> WorldVma:
        """A new VMA over ``[start, end)``, which must be free."""
        vmas = self.vmas.setdefault(mm, [])
        assert all(end <= other.start or other.end <= start for other in vmas)
        self.vma_ids += 1
        new = WorldVma(self.vma_ids, start, end)
        vmas.append(new)
        vmas.sort(key=lambda vma: vma.start)
        return new

    def vma_at(self, mm: int, vpn: int) -> WorldVma:
        """The VMA that has the virtual page."""
        for vma in self.vmas[mm]:
            if vma.start <= vpn < vma.end:
                return vma
        raise LookupError(f"mm {mm} has no VMA at {vpn}")

    def split(self, mm: int, vpn: int) -> None:
        """Split a VMA before ``vpn``; PMD entries that straddle it must have been split already."""
        vma = self.vma_at(mm, vpn)
        assert vma.start < vpn
        end, vma.end = vma.end, vpn
        new = self.vma(mm, vpn, end)
        self.announce(events.VmaSplit(mm, vma.id, new.id, vpn, self._straddling(mm, vma, new)))

    def merge(self, mm: int, vpn: int) -> None:
        """Make one VMA of the two that meet at ``vpn``."""
        lower, upper = self.vma_at(mm, vpn - 1), self.vma_at(mm, vpn)
        straddling = self._straddling(mm, lower, upper)
        self.vmas[mm].remove(upper)
        lower.end = upper.end
        self.announce(events.VmaMerged(mm, lower.id, upper.id, vpn, straddling, lower.start, lower.end))

    def punch(self, mm: int, start: int, end: int) -> None:
        """Unmap ``[start, end)`` as munmap does: split at both ends, remove the PTEs and the VMAs."""
        for vpn in (start, end):
            if any(vma.start < vpn < vma.end for vma in self.vmas[mm]):
                self.split(mm, vpn)
        for folio, base, first, nr in self.mappings(mm):
            inside = [page for page in range(first, first + nr) if start <= base + page < end]
            if inside:
                self.unmap(mm, folio, base, inside[0], len(inside))
        self.vmas[mm] = [vma for vma in self.vmas[mm] if not start <= vma.start < end]

    def fill(self, mm: int, start: int, end: int, left: bool, right: bool) -> None:
        """Map the free ``[start, end)``, merged with the VMA on the ``left`` and the ``right`` if wanted."""
        vma = self.vma(mm, start, end)
        for wanted, vpn in ((left, start), (right, end)):
            if wanted and any(vpn in (other.start, other.end) for other in self.vmas[mm] if other is not vma):
                self.merge(mm, vpn)

    def _straddling(self, mm: int, lower: WorldVma, upper: WorldVma) -> tuple[tuple[int, int], ...]:
        sides = [
            {(folio, vpn - page) for vpn, folio, page in self._present(mm, vma) if self.orders[folio]}
            for vma in (lower, upper)
        ]
        told = sides[0] & sides[1]
        if self.eager:
            vpn = upper.start
            windows = {(folio, at - page) for (owner, at), (folio, page) in self.ptes.items() if owner == mm}
            told |= {(folio, base) for folio, base in windows if base < vpn < base + (1 << self.orders[folio])}
        return tuple((folio, upper.start - base) for folio, base in sorted(told))

    def _present(self, mm: int, vma: WorldVma) -> Iterator[tuple[int, int, int]]:
        for vpn in range(vma.start, vma.end):
            if (found := self.ptes.get((mm, vpn))) is not None:
                yield vpn, *found

    # Entries

    def map(self, mm: int, folio: int, base: int, first: int = 0, nr: int | None = None) -> None:
        """Map pages ``[first, first + nr)`` (all) of a folio, its page 0 at virtual page ``base``."""
        for page, length in self._calls(mm, base, first, self._nr(folio, nr)):
            for index in range(page, page + length):
                assert (mm, base + index) not in self.ptes
                self.ptes[mm, base + index] = (folio, index)
            self._announce_run(mm, folio, base, page, length, mapped=True)

    def unmap(self, mm: int, folio: int, base: int, first: int = 0, nr: int | None = None) -> None:
        """Remove the PTEs that map these pages."""
        for page, length in self._calls(mm, base, first, self._nr(folio, nr)):
            for index in range(page, page + length):
                assert self.ptes.pop((mm, base + index)) == (folio, index)
            self._announce_run(mm, folio, base, page, length, mapped=False)

    def map_pmd(self, mm: int, folio: int, base: int) -> None:
        """Map a whole folio by one PMD entry."""
        assert base % self.table_pages == 0
        assert 1 << self.orders[folio] == self.table_pages
        self.pmds[mm, base] = folio
        self._announce_pmd(events.Mapped, mm, folio, base)

    def unmap_pmd(self, mm: int, base: int) -> None:
        """Remove a PMD entry."""
        folio = self.pmds.pop((mm, base))
        self._announce_pmd(events.Unmapped, mm, folio, base)

    def split_pmd(self, mm: int, base: int) -> None:
        """Split a PMD entry: all PTEs are mapped, then it is removed; for file memory it is only removed."""
        folio = self.pmds[mm, base]
        if folio not in self.files:
            self.map(mm, folio, base)
        self.unmap_pmd(mm, base)

    def move(self, mm: int, folio: int, base: int, to: int, first: int = 0, nr: int | None = None) -> None:
        """Move the PTEs of these pages so that page 0 would be at ``to``; in pieces of one page table and VMA."""
        for page, length in self._runs(mm, to, *self._runs(mm, base, (first, self._nr(folio, nr)))):
            vma, to_vma = self.vma_at(mm, base + page), self.vma_at(mm, to + page)
            for index in range(page, page + length):
                self.ptes[mm, to + index] = self.ptes.pop((mm, base + index))
            self.announce(
                events.Moved(
                    *(folio, self.orders[folio], self._anon(folio), page, length, mm),
                    *(vma.id, self._table(mm, base + page), base + page, *self._clip(vma, folio, base)),
                    *(to_vma.id, self._table(mm, to + page), to + page, *self._clip(to_vma, folio, to)),
                )
            )

    def move_pmd(self, mm: int, base: int, to: int) -> None:
        """Move a PMD entry."""
        folio = self.pmds[mm, to] = self.pmds.pop((mm, base))
        order, vma, to_vma = self.orders[folio], self.vma_at(mm, base), self.vma_at(mm, to)
        table, nr = self._pmd_table(mm), 1 << order
        self.announce(
            events.Moved(
                *(folio, order, self._anon(folio), 0, nr, mm),
                *(vma.id, table, base, 0, nr),
                *(to_vma.id, table, to, 0, nr),
                level=Level.PMD,
            )
        )

    def fork(self, mm: int, child: int) -> None:
        """A child with the same VMAs and entries."""
        self.announce(events.Forked(mm, child))
        for vma in list(self.vmas.get(mm, [])):
            self.vma(child, vma.start, vma.end)
        for folio, base, first, nr in self.mappings(mm):
            self.map(child, folio, base, first, nr)
        for (owner, base), folio in sorted(self.pmds.items()):
            if owner == mm:
                self.map_pmd(child, folio, base)

    def exit(self, mm: int) -> None:
        """The address space ends."""
        for folio, base, first, nr in self.mappings(mm):
            self.unmap(mm, folio, base, first, nr)
        for owner, base in sorted(self.pmds):
            if owner == mm:
                self.unmap_pmd(mm, base)
        self.vmas.pop(mm, None)
        self.announce(events.MmGone(mm))

    def mappings(self, mm: int) -> list[tuple[int, int, int, int]]:
        """(folio, base, first, nr) of every run of consecutive PTEs of one folio and one VMA."""
        runs: list[tuple[int, int, int, int]] = []
        for vma in self.vmas.get(mm, []):
            for (folio, base, _), group in groupby(
                enumerate(self._present(mm, vma)),
                key=lambda item: (item[1][1], item[1][0] - item[1][2], item[1][0] - item[0]),
            ):
                pages = [page for _, (_, _, page) in group]
                runs.append((folio, base, pages[0], len(pages)))
        return runs

    def _nr(self, folio: int, nr: int | None) -> int:
        return 1 << self.orders[folio] if nr is None else nr

    def _calls(self, mm: int, base: int, first: int, nr: int) -> Iterator[tuple[int, int]]:
        for run in self._runs(mm, base, (first, nr)):
            yield from self.chunks(*run)

    def _runs(self, mm: int, base: int, *runs: tuple[int, int]) -> list[tuple[int, int]]:
        """The runs divided at page-table and VMA boundaries."""
        return [
            (pages[0], len(pages))
            for first, nr in runs
            for _, group in groupby(
                range(first, first + nr),
                key=lambda page: (self.vma_at(mm, base + page).id, (base + page) // self.table_pages),
            )
            for pages in [list(group)]
        ]

    def _announce_run(self, mm: int, folio: int, base: int, first: int, nr: int, mapped: bool) -> None:
        vpn, vma = base + first, self.vma_at(mm, base + first)
        kind = events.Mapped if mapped else events.Unmapped
        pages = (folio, self.orders[folio], self._anon(folio), first, nr)
        where = (mm, vma.id, self._table(mm, vpn), vpn, *self._clip(vma, folio, base))
        exclusive = self._count_owner(kind, mm, folio, nr)
        self.announce(kind(*pages, *where, "test", exclusive=exclusive))

    def _announce_pmd(self, kind: type[events.Mapped | events.Unmapped], mm: int, folio: int, base: int) -> None:
        order, vma = self.orders[folio], self.vma_at(mm, base)
        pages = (folio, order, self._anon(folio), 0, 1 << order)
        where = (mm, vma.id, self._pmd_table(mm), base, *self._clip(vma, folio, base))
        exclusive = self._count_owner(kind, mm, folio, 1)
        self.announce(kind(*pages, *where, "test", Level.PMD, exclusive=exclusive))

    def _count_owner(self, kind: type[events.Mapped | events.Unmapped], mm: int, folio: int, nr: int) -> bool:
        """Count entries of an mm. Returns: they map anonymous memory now that no other mm maps."""
        owners = self.owners.setdefault(folio, Counter())
        owners[mm] += kind.sign * nr
        if not owners[mm]:
            del owners[mm]
        return kind is events.Mapped and self._anon(folio) and len(owners) == 1

    def _anon(self, folio: int) -> bool:
        return folio not in self.files

    def _clip(self, vma: WorldVma, folio: int, base: int) -> tuple[int, int]:
        return max(vma.start - base, 0), min(vma.end - base, 1 << self.orders[folio])

    def _table(self, mm: int, vpn: int) -> int:
        return self.tables.setdefault((mm, vpn // self.table_pages), len(self.tables) + 1)

    def _pmd_table(self, mm: int) -> int:
        return self.pmd_tables.setdefault(mm, len(self.pmd_tables) + 1)

    # Truth

    def found(self, folio: int) -> list[tuple[int, int, int, range]]:
        """(mm, VMA, table, pages) of every entry that maps the folio; PMD tables are negative."""
        entries = [
            (mm, self.vma_at(mm, vpn).id, self._table(mm, vpn), range(page, page + 1))
            for (mm, vpn), page in sorted((place, page) for place, (other, page) in self.ptes.items() if other == folio)
        ]
        return entries + [
            (mm, self.vma_at(mm, vpn).id, -self._pmd_table(mm), range(1 << self.orders[folio]))
            for (mm, vpn), other in sorted(self.pmds.items())
            if other == folio
        ]

    def truth(self, folio: int) -> WorldTruth:
        """What the entries say."""
        found = self.found(folio)
        return WorldTruth(
            mms=len({mm for mm, _, _, _ in found}),
            vmas=len({vma for _, vma, _, _ in found}),
            tuples=len({(vma, table) for _, vma, table, _ in found}),
            entries=len(found),
            pages=len({page for *_, pages in found for page in pages}),
        )

    def entries(self, folio: int) -> int:
        """Number of entries that map the folio."""
        ptes = sum(other == folio for other, _ in self.ptes.values())
        return ptes + sum(other == folio for other in self.pmds.values())

    def page_entries(self, folio: int) -> list[int]:
        """Entries of each page."""
        counts = [0] * (1 << self.orders[folio])
        for other, page in self.ptes.values():
            if other == folio:
                counts[page] += 1
        pmds = sum(other == folio for other in self.pmds.values())
        return [count + pmds for count in counts]

    def mms_of(self, folio: int) -> list[int]:
        """Address spaces that map a page of it."""
        mms = {mm for (mm, _), (other, _) in self.ptes.items() if other == folio}
        return sorted(mms | {mm for (mm, _), other in self.pmds.items() if other == folio})

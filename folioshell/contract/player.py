"""Plays histories in a world, and puts them into words."""

from __future__ import annotations

from itertools import pairwise

from folioshell.contract.histories import HistoryStep, RandomHistory
from folioshell.contract.world import Chunks, World, whole
from folioshell.records import replace
from folioshell.schemes.base import Scheme
from folioshell.wording import counted, pages_text

#: what a step did, in a word that laws know, and in a sentence
Done = tuple[str, str]

TABLE_PAGES = 8
REGION = 64
#: tables and regions for folios too large for those
WIDE_TABLE_PAGES = 512
WIDE_REGION = 2048


class Player:
    """Plays the steps of a history in a world.

    Args:
        history: order and skew are taken from it.
        schemes: what the events call.
        chunks: how runs of pages are divided into calls.
        eager: VMA splits and merges list more folios than they must.

    Attributes:
        world: where it is played.
        large, small: numbers of the two folios.
        story: what was done, one sentence a step that was possible.
    """

    def __init__(
        self, history: RandomHistory, schemes: list[Scheme], chunks: Chunks = whole, eager: bool = False
    ) -> None:
        wide = 1 << history.order >= REGION // 2 + TABLE_PAGES
        self.table_pages, self.region = (WIDE_TABLE_PAGES, WIDE_REGION) if wide else (TABLE_PAGES, REGION)
        self.ids = history.ids
        self.world = World(schemes, self.table_pages, chunks, eager)
        self.large = self.world.folio(history.order, history.anon)
        self.small = self.world.folio(0, history.anon)
        self.story: list[str] = []
        self.nr_pages = 1 << history.order
        self.skew = history.skew
        self._next = 0

    def base(self, region: int) -> int:
        """Where page 0 of the large folio is mapped in a region."""
        return self.region * (region + 1) + self.table_pages + self.skew

    def play(self, step: HistoryStep) -> str:
        """Do the step. Returns: what was done; empty if it was not possible."""
        number = (step.mm - 1) % len(self.ids)
        step = replace(step, mm=self.ids[number])
        self._next = self.ids[(number + 1) % len(self.ids)]
        self._live(step.mm)
        done: Done | None = getattr(self, "_" + step.kind.replace("-", "_"))(step)
        if done is None:
            return ""
        label, sentence = done
        self.story.append(sentence)
        return label

    def _live(self, mm: int) -> None:
        """An address space starts with one VMA in each region, with a gap to the next."""
        if mm not in self.world.vmas:
            for region in (0, 1):
                self.world.vma(mm, self.region * (region + 1), self.region * (region + 2) - 4)

    def present(self, mm: int, region: int) -> set[int]:
        """Pages of the large folio that PTEs map in a region."""
        base = self.base(region)
        return {page for page in range(self.nr_pages) if (mm, base + page) in self.world.ptes}

    def _covered(self, mm: int, vpn: int) -> bool:
        return any(vma.start <= vpn < vma.end for vma in self.world.vmas[mm])

    def _run(self, pages: set[int], step: HistoryStep) -> tuple[int, int]:
        """(first, nr) of a run of ``pages``, which are not empty, near to where the step wants it."""
        ordered = sorted(pages)
        first = ordered[step.at % len(ordered)]
        nr = 1
        while nr < step.nr and first + nr in pages:
            nr += 1
        return first, nr

    def free_run(self, step: HistoryStep) -> tuple[int, int] | None:
        """(first, nr) of pages that could be mapped there; None if there are none."""
        if (step.mm, self.base(step.region)) in self.world.pmds:
            return None
        base = self.base(step.region)
        mapped = self.present(step.mm, step.region)
        free = {page for page in range(self.nr_pages) if page not in mapped and self._covered(step.mm, base + page)}
        return self._run(free, step) if free else None

    def _map(self, step: HistoryStep) -> Done | None:
        run = self.free_run(step)
        if run is None:
            return None
        self.world.map(step.mm, self.large, self.base(step.region), *run)
        return "map", f"mm {step.mm} maps {pages_text(*run)} at {self.base(step.region) + run[0]}"

    def _unmap(self, step: HistoryStep) -> Done | None:
        present = self.present(step.mm, step.region)
        if not present:
            return None
        run = self._run(present, step)
        self.world.unmap(step.mm, self.large, self.base(step.region), *run)
        return "unmap", f"mm {step.mm} unmaps {pages_text(*run)} at {self.base(step.region) + run[0]}"

    def _bounds(self, step: HistoryStep) -> list[int]:
        """Boundaries between two VMAs of a region, as virtual pages."""
        low, high = self.region * (step.region + 1), self.region * (step.region + 2)
        vmas = self.world.vmas[step.mm]
        return [upper.start for lower, upper in pairwise(vmas) if lower.end == upper.start and low < upper.start < high]

    def _split(self, step: HistoryStep) -> Done | None:
        vpn = self.base(step.region) + step.at % (self.nr_pages + 1)
        if vpn in self._bounds(step) or not self._covered(step.mm, vpn) or not self._covered(step.mm, vpn - 1):
            return None
        if (step.mm, self.base(step.region)) in self.world.pmds:
            return self._split_pmd(step)
        self.world.split(step.mm, vpn)
        return "split", f"mm {step.mm} splits the VMA at {vpn}"

    def _merge(self, step: HistoryStep) -> Done | None:
        bounds = self._bounds(step)
        if not bounds:
            return None
        vpn = bounds[step.at % len(bounds)]
        self.world.merge(step.mm, vpn)
        return "merge", f"mm {step.mm} merges the VMAs that meet at {vpn}"

    def _shift(self, step: HistoryStep) -> Done | None:
        """A boundary moves up, as when mprotect extends a VMA into the next one."""
        bounds = self._bounds(step)
        if not bounds:
            return None
        old = bounds[step.at % len(bounds)]
        new = old + step.nr % 4 + 1
        if new >= self.world.vma_at(step.mm, old).end or (step.mm, self.base(step.region)) in self.world.pmds:
            return None
        self.world.split(step.mm, new)
        self.world.merge(step.mm, old)
        return "shift", f"mm {step.mm} moves the VMA boundary at {old} to {new}"

    def _punch(self, step: HistoryStep) -> Done | None:
        """A munmap of some pages; the ends of the region stay."""
        base = self.base(step.region)
        if (step.mm, base) in self.world.pmds:
            return None
        first = step.at % self.nr_pages
        end = min(first + step.nr, self.nr_pages)
        self.world.punch(step.mm, base + first, base + end)
        return "punch", f"mm {step.mm} calls munmap of [{base + first}, {base + end})"

    def _fill(self, step: HistoryStep) -> Done | None:
        """An mmap of the next hole in the region, which may merge with either adjacent VMA."""
        low, high = self.region * (step.region + 1), self.region * (step.region + 2)
        vmas = [vma for vma in self.world.vmas[step.mm] if low <= vma.start < high]
        holes = [(lower.end, upper.start) for lower, upper in pairwise(vmas) if lower.end < upper.start]
        if not holes:
            return None
        start, end = holes[step.at % len(holes)]
        left, right = bool(step.nr & 1), bool(step.nr & 2)
        self.world.fill(step.mm, start, end, left, right)
        sides = " and ".join(side for side, merged in (("left", left), ("right", right)) if merged)
        return "fill", f"mm {step.mm} calls mmap of [{start}, {end})" + (f", merged to the {sides}" if sides else "")

    def _move(self, step: HistoryStep) -> Done | None:
        here, there = self.base(step.region), self.base(1 - step.region)
        movable = {
            page
            for page in self.present(step.mm, step.region) - self.present(step.mm, 1 - step.region)
            if self._covered(step.mm, there + page)
        }
        if not movable or (step.mm, there) in self.world.pmds:
            return None
        run = self._run(movable, step)
        self.world.move(step.mm, self.large, here, there, *run)
        return "move", f"mm {step.mm} moves {pages_text(*run)} from {here + run[0]} to {there + run[0]}"

    def _fork(self, step: HistoryStep) -> Done | None:
        child = self._next
        if child in self.world.vmas:
            return None
        self.world.fork(step.mm, child)
        return "fork", f"mm {step.mm} forks mm {child}"

    def _exit(self, step: HistoryStep) -> Done | None:
        self.world.exit(step.mm)
        return "exit", f"mm {step.mm} exits"

    def _fork_all(self, step: HistoryStep) -> Done | None:
        """Fork until there are ``nr`` address spaces."""
        children = [mm for mm in self.ids if mm not in self.world.vmas][: max(step.nr - len(self.world.vmas), 0)]
        for child in children:
            self.world.fork(step.mm, child)
        told = f"mm {step.mm} forks {counted(len(children), 'child', 'children')}: {', '.join(map(str, children))}"
        return ("fork", told) if children else None

    def _exit_all(self, step: HistoryStep) -> Done | None:
        """All but ``nr`` of the address spaces exit; the one of the step stays."""
        leaving = [mm for mm in self.world.vmas if mm != step.mm][step.nr - 1 :]
        for mm in leaving:
            self.world.exit(mm)
        return ("exit", f"{counted(len(leaving), 'mm')} exit: {', '.join(map(str, leaving))}") if leaving else None

    def _swap(self, step: HistoryStep) -> Done | None:
        """Reclaim unmaps the large folio everywhere, as swap-out does; swap entries map nothing."""
        swapped = False
        for mm in list(self.world.vmas):
            for folio, base, first, nr in self.world.mappings(mm):
                if folio == self.large:
                    self.world.unmap(mm, folio, base, first, nr)
                    swapped = True
        return ("unmap", "the large folio is swapped out") if swapped else None

    def _pmd_fits(self, mm: int, region: int) -> bool:
        base = self.base(region)
        return (
            self.nr_pages == self.table_pages
            and not base % self.table_pages
            and self._covered(mm, base)
            and base + self.nr_pages <= self.world.vma_at(mm, base).end
            and not self.present(mm, region)
            and (mm, base) not in self.world.pmds
        )

    def _map_pmd(self, step: HistoryStep) -> Done | None:
        if not self._pmd_fits(step.mm, step.region):
            return None
        self.world.map_pmd(step.mm, self.large, self.base(step.region))
        return "map-pmd", f"mm {step.mm} maps the folio by a PMD entry at {self.base(step.region)}"

    def _unmap_pmd(self, step: HistoryStep) -> Done | None:
        if (step.mm, self.base(step.region)) not in self.world.pmds:
            return None
        self.world.unmap_pmd(step.mm, self.base(step.region))
        return "unmap-pmd", f"mm {step.mm} unmaps the PMD entry at {self.base(step.region)}"

    def _split_pmd(self, step: HistoryStep) -> Done | None:
        if (step.mm, self.base(step.region)) not in self.world.pmds:
            return None
        self.world.split_pmd(step.mm, self.base(step.region))
        if self.large in self.world.files:
            return "unmap-pmd", f"mm {step.mm} splits the PMD entry at {self.base(step.region)}, which drops it"
        return "split-pmd", f"mm {step.mm} splits the PMD entry at {self.base(step.region)} into PTEs"

    def _move_pmd(self, step: HistoryStep) -> Done | None:
        here, there = self.base(step.region), self.base(1 - step.region)
        if (step.mm, here) not in self.world.pmds or not self._pmd_fits(step.mm, 1 - step.region):
            return None
        self.world.move_pmd(step.mm, here, there)
        return "move", f"mm {step.mm} moves the PMD entry from {here} to {there}"

    def _small_vpn(self, step: HistoryStep) -> int:
        return self.region * (step.region + 1) + 55

    def _map_small(self, step: HistoryStep) -> Done | None:
        if (step.mm, self._small_vpn(step)) in self.world.ptes:
            return None
        self.world.map(step.mm, self.small, self._small_vpn(step))
        return "map", f"mm {step.mm} maps the order-0 folio at {self._small_vpn(step)}"

    def _unmap_small(self, step: HistoryStep) -> Done | None:
        if (step.mm, self._small_vpn(step)) not in self.world.ptes:
            return None
        self.world.unmap(step.mm, self.small, self._small_vpn(step))
        return "unmap", f"mm {step.mm} unmaps the order-0 folio at {self._small_vpn(step)}"

    def _walk(self, step: HistoryStep) -> Done | None:
        for folio in (self.large, self.small):
            self.world.walk(folio)
        return "walk", "the reverse maps of both folios are walked"

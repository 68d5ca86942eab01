"""Plays histories in a world, and puts them into words."""

from __future__ import annotations

from itertools import pairwise

from folioshell.contract.histories import MMS, History, Step
from folioshell.contract.world import Chunks, World, whole
from folioshell.schemes.base import Scheme

TABLE_PAGES = 8
REGION = 64


def pages_named(first: int, nr: int) -> str:
    """``page 3`` or ``pages 3..5``."""
    return f"page {first}" if nr == 1 else f"pages {first}..{first + nr - 1}"


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

    def __init__(self, history: History, schemes: list[Scheme], chunks: Chunks = whole, eager: bool = False) -> None:
        self.world = World(schemes, TABLE_PAGES, chunks, eager)
        self.large = self.world.folio(history.order, history.anon)
        self.small = self.world.folio(0, history.anon)
        self.story: list[str] = []
        self.nr_pages = 1 << history.order
        self.skew = history.skew

    def base(self, region: int) -> int:
        """Where page 0 of the large folio is mapped in a region."""
        return REGION * (region + 1) + TABLE_PAGES + self.skew

    def play(self, step: Step) -> str:
        """Do the step. Returns: what was done; empty if it was not possible."""
        self._live(step.mm)
        return getattr(self, "_" + step.kind.replace("-", "_"))(step) or ""

    def _tell(self, sentence: str) -> None:
        self.story.append(sentence)

    def _live(self, mm: int) -> None:
        """An address space starts with one VMA in each region, with a gap to the next."""
        if mm not in self.world.vmas:
            for region in (0, 1):
                self.world.vma(mm, REGION * (region + 1), REGION * (region + 2) - 4)

    def present(self, mm: int, region: int) -> set[int]:
        """Pages of the large folio that PTEs map in a region."""
        base = self.base(region)
        return {page for page in range(self.nr_pages) if (mm, base + page) in self.world.ptes}

    def _covered(self, mm: int, vpn: int) -> bool:
        return any(vma.start <= vpn < vma.end for vma in self.world.vmas[mm])

    def _run(self, pages: set[int], step: Step) -> tuple[int, int]:
        """(first, nr) of a run of ``pages``, which are not empty, near to where the step wants it."""
        ordered = sorted(pages)
        first = ordered[step.at % len(ordered)]
        nr = 1
        while nr < step.nr and first + nr in pages:
            nr += 1
        return first, nr

    def free_run(self, step: Step) -> tuple[int, int] | None:
        """(first, nr) of pages that could be mapped there; None if there are none."""
        if (step.mm, self.base(step.region)) in self.world.pmds:
            return None
        base = self.base(step.region)
        mapped = self.present(step.mm, step.region)
        free = {page for page in range(self.nr_pages) if page not in mapped and self._covered(step.mm, base + page)}
        return self._run(free, step) if free else None

    def _map(self, step: Step) -> str:
        run = self.free_run(step)
        if run is None:
            return ""
        self.world.map(step.mm, self.large, self.base(step.region), *run)
        self._tell(f"mm {step.mm} maps {pages_named(*run)} at {self.base(step.region) + run[0]}")
        return "map"

    def _unmap(self, step: Step) -> str:
        present = self.present(step.mm, step.region)
        if not present:
            return ""
        run = self._run(present, step)
        self.world.unmap(step.mm, self.large, self.base(step.region), *run)
        self._tell(f"mm {step.mm} unmaps {pages_named(*run)} at {self.base(step.region) + run[0]}")
        return "unmap"

    def _bounds(self, step: Step) -> list[int]:
        """Boundaries between two VMAs of a region, as virtual pages."""
        low, high = REGION * (step.region + 1), REGION * (step.region + 2)
        vmas = self.world.vmas[step.mm]
        return [upper.start for lower, upper in pairwise(vmas) if lower.end == upper.start and low < upper.start < high]

    def _split(self, step: Step) -> str:
        vpn = self.base(step.region) + step.at % (self.nr_pages + 1)
        if vpn in self._bounds(step) or not self._covered(step.mm, vpn) or not self._covered(step.mm, vpn - 1):
            return ""
        if (step.mm, self.base(step.region)) in self.world.pmds:
            return self._split_pmd(step)
        self.world.split(step.mm, vpn)
        self._tell(f"mm {step.mm} splits the VMA at {vpn}")
        return "split"

    def _merge(self, step: Step) -> str:
        bounds = self._bounds(step)
        if not bounds:
            return ""
        vpn = bounds[step.at % len(bounds)]
        self.world.merge(step.mm, vpn)
        self._tell(f"mm {step.mm} merges the VMAs that meet at {vpn}")
        return "merge"

    def _shift(self, step: Step) -> str:
        """A boundary moves up, as when mprotect extends a VMA into the next one."""
        bounds = self._bounds(step)
        if not bounds:
            return ""
        old = bounds[step.at % len(bounds)]
        new = old + step.nr % 4 + 1
        if new >= self.world.vma_at(step.mm, old).end or (step.mm, self.base(step.region)) in self.world.pmds:
            return ""
        self.world.split(step.mm, new)
        self.world.merge(step.mm, old)
        self._tell(f"mm {step.mm} moves the VMA boundary at {old} to {new}")
        return "shift"

    def _punch(self, step: Step) -> str:
        """A munmap of some pages; the ends of the region stay."""
        base = self.base(step.region)
        if (step.mm, base) in self.world.pmds:
            return ""
        first = step.at % self.nr_pages
        end = min(first + step.nr, self.nr_pages)
        self.world.punch(step.mm, base + first, base + end)
        self._tell(f"mm {step.mm} calls munmap of [{base + first}, {base + end})")
        return "punch"

    def _fill(self, step: Step) -> str:
        """An mmap of the next hole in the region, which may merge with either adjacent VMA."""
        low, high = REGION * (step.region + 1), REGION * (step.region + 2)
        vmas = [vma for vma in self.world.vmas[step.mm] if low <= vma.start < high]
        holes = [(lower.end, upper.start) for lower, upper in pairwise(vmas) if lower.end < upper.start]
        if not holes:
            return ""
        start, end = holes[step.at % len(holes)]
        left, right = bool(step.nr & 1), bool(step.nr & 2)
        self.world.fill(step.mm, start, end, left, right)
        sides = " and ".join(side for side, merged in (("left", left), ("right", right)) if merged)
        self._tell(f"mm {step.mm} calls mmap of [{start}, {end})" + (f", merged to the {sides}" if sides else ""))
        return "fill"

    def _move(self, step: Step) -> str:
        here, there = self.base(step.region), self.base(1 - step.region)
        movable = {
            page
            for page in self.present(step.mm, step.region) - self.present(step.mm, 1 - step.region)
            if self._covered(step.mm, there + page)
        }
        if not movable or (step.mm, there) in self.world.pmds:
            return ""
        run = self._run(movable, step)
        self.world.move(step.mm, self.large, here, there, *run)
        self._tell(f"mm {step.mm} moves {pages_named(*run)} from {here + run[0]} to {there + run[0]}")
        return "move"

    def _fork(self, step: Step) -> str:
        child = step.mm % MMS + 1
        if child in self.world.vmas:
            return ""
        self.world.fork(step.mm, child)
        self._tell(f"mm {step.mm} forks mm {child}")
        return "fork"

    def _exit(self, step: Step) -> str:
        self.world.exit(step.mm)
        self._tell(f"mm {step.mm} exits")
        return "exit"

    def _pmd_fits(self, mm: int, region: int) -> bool:
        base = self.base(region)
        return (
            self.nr_pages == TABLE_PAGES
            and not base % TABLE_PAGES
            and self._covered(mm, base)
            and base + self.nr_pages <= self.world.vma_at(mm, base).end
            and not self.present(mm, region)
            and (mm, base) not in self.world.pmds
        )

    def _map_pmd(self, step: Step) -> str:
        if not self._pmd_fits(step.mm, step.region):
            return ""
        self.world.map_pmd(step.mm, self.large, self.base(step.region))
        self._tell(f"mm {step.mm} maps the folio by a PMD entry at {self.base(step.region)}")
        return "map-pmd"

    def _unmap_pmd(self, step: Step) -> str:
        if (step.mm, self.base(step.region)) not in self.world.pmds:
            return ""
        self.world.unmap_pmd(step.mm, self.base(step.region))
        self._tell(f"mm {step.mm} unmaps the PMD entry at {self.base(step.region)}")
        return "unmap-pmd"

    def _split_pmd(self, step: Step) -> str:
        if (step.mm, self.base(step.region)) not in self.world.pmds:
            return ""
        self.world.split_pmd(step.mm, self.base(step.region))
        if self.large in self.world.files:
            self._tell(f"mm {step.mm} splits the PMD entry at {self.base(step.region)}, which drops it")
            return "unmap-pmd"
        self._tell(f"mm {step.mm} splits the PMD entry at {self.base(step.region)} into PTEs")
        return "split-pmd"

    def _move_pmd(self, step: Step) -> str:
        here, there = self.base(step.region), self.base(1 - step.region)
        if (step.mm, here) not in self.world.pmds or not self._pmd_fits(step.mm, 1 - step.region):
            return ""
        self.world.move_pmd(step.mm, here, there)
        self._tell(f"mm {step.mm} moves the PMD entry from {here} to {there}")
        return "move"

    def _small_vpn(self, step: Step) -> int:
        return REGION * (step.region + 1) + 55

    def _map_small(self, step: Step) -> str:
        if (step.mm, self._small_vpn(step)) in self.world.ptes:
            return ""
        self.world.map(step.mm, self.small, self._small_vpn(step))
        self._tell(f"mm {step.mm} maps the order-0 folio at {self._small_vpn(step)}")
        return "map"

    def _unmap_small(self, step: Step) -> str:
        if (step.mm, self._small_vpn(step)) not in self.world.ptes:
            return ""
        self.world.unmap(step.mm, self.small, self._small_vpn(step))
        self._tell(f"mm {step.mm} unmaps the order-0 folio at {self._small_vpn(step)}")
        return "unmap"

    def _walk(self, step: Step) -> str:
        for folio in (self.large, self.small):
            self.world.walk(folio)
        self._tell("the reverse maps of both folios are walked")
        return "walk"

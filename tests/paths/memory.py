"""A machine with short words for what processes do to it, and pictures of what they have mapped."""

from __future__ import annotations

from collections.abc import Generator
from itertools import groupby
from typing import Any, TypeVar

from folioshell.engine.machine import Machine
from folioshell.events import Event, Rmap, Scanned
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.lock import LockOp
from folioshell.model.mapping import AddressSpace
from folioshell.model.proc import present_runs, smaps
from folioshell.model.vm import Mm, Vma
from folioshell.paths.fault import touch
from folioshell.paths.fork import do_fork
from folioshell.paths.khugepaged import do_khugepaged
from folioshell.paths.madvise import do_madvise
from folioshell.paths.mmap import do_exit, do_mmap, do_munmap
from folioshell.paths.mremap import do_mremap
from folioshell.paths.page_cache import do_create_file
from folioshell.paths.vma_flags import do_mlock, do_mprotect, do_munlock
from folioshell.units import X86_64, Geometry

T = TypeVar("T")

#: where the first mapping goes, and how far apart they are: no two share a page table or touch
ARENA = 0x7F0000000
APART = 1 << 18


class Memory:
    """A machine on which every step must leave all invariants whole.

    Args:
        profile: which kernel.
        geometry: shape of the page tables.
        thp: order -> mode of anonymous folios, besides that of the PMD's order, which is madvise.
    """

    def __init__(self, profile: str = "6.18", geometry: Geometry = X86_64, thp: dict[int, str] | None = None) -> None:
        self.machine = Machine(geometry)
        if profile != "6.18":
            self.machine.set_profile(profile)
        self.kernel.config.thp.update(thp or {})
        self._mappings = 0

    @property
    def kernel(self) -> Kernel:
        """The model's state."""
        return self.machine.kernel

    def mm(self, who: str) -> Mm:
        """An address space."""
        return self.kernel.mms[who]

    def do(self, path: Generator[LockOp | Event, Any, T]) -> T:
        """Run a kernel path as a step of its own; every invariant must hold after it."""
        self.machine.begin()
        ending = self.machine.run(path)
        broken = self.machine.check()
        assert not broken, "; ".join(broken)
        return ending

    # What processes do. Places are virtual pages; who does it is A unless said.

    def file(self, name: str, pages: int, order: int = 0, fs: str = "ext4", cached: bool = True) -> AddressSpace:
        """Make a file."""
        made = AddressSpace(name, pages, fs)
        self.do(do_create_file(self.kernel, made, order, cached))
        return made

    def place(self, skew: int = 0) -> int:
        """The first virtual page of a new place, ``skew`` pages behind a PMD boundary."""
        self._mappings += 1
        return ARENA + APART * self._mappings + skew

    def mmap(
        self,
        nr: int,
        *,
        kind: str = "anon",
        prot: str = "rw",
        file: AddressSpace | None = None,
        pgoff: int = 0,
        at: int | None = None,
        skew: int = 0,
        thp: bool = False,
        populate: bool = False,
        who: str = "A",
    ) -> int:
        """Map ``nr`` pages at a place of their own, or ``at`` one; returns the first virtual page."""
        start = self.place(skew) if at is None else at
        words = {"kind": kind, "prot": prot, "file": file, "pgoff": pgoff, "populate": populate}
        made = self.do(do_mmap(self.kernel, self.mm(who), start, nr, **words))  # type: ignore[arg-type]
        assert made is None
        if thp:
            assert self.madvise("hugepage", start, nr, who) is None
        return start

    def thp(self, nr: int = 512) -> int:
        """A written PMD-mapped folio of A (or as many as ``nr`` pages hold); returns its first virtual page."""
        start = self.mmap(nr, thp=True)
        self.write(start, nr)
        return start

    def pte_thp(self) -> int:
        """As ``thp``, but mapped by PTEs: one page was made read-only and writable again."""
        start = self.thp()
        self.mprotect(start + 10, 1, "r")
        self.mprotect(start + 10, 1, "rw")
        return start

    def write(self, start: int, nr: int = 1, who: str = "A") -> list[list[int | str]]:
        """Write a byte to each page."""
        return self.do(touch(self.kernel, self.mm(who), start, nr, True))

    def read(self, start: int, nr: int = 1, who: str = "A") -> list[list[int | str]]:
        """Read a byte of each page."""
        return self.do(touch(self.kernel, self.mm(who), start, nr, False))

    def fork(self, child: str, parent: str = "A") -> Mm:
        """Make a child."""
        return self.do(do_fork(self.kernel, self.mm(parent), child))

    def exit(self, who: str) -> None:
        """End a process."""
        self.do(do_exit(self.kernel, self.mm(who)))

    def munmap(self, start: int, nr: int, who: str = "A") -> str | None:
        """Unmap pages."""
        return self.do(do_munmap(self.kernel, self.mm(who), start, nr))

    def mprotect(self, start: int, nr: int, prot: str, who: str = "A") -> str | None:
        """Change protection."""
        return self.do(do_mprotect(self.kernel, self.mm(who), start, nr, prot))

    def mremap(self, start: int, nr: int, to: int, who: str = "A", *, dontunmap: bool = False) -> str | None:
        """Move pages."""
        return self.do(do_mremap(self.kernel, self.mm(who), start, nr, to, nr, dontunmap=dontunmap))

    def madvise(self, advice: str, start: int, nr: int, who: str = "A") -> str | None:
        """Advise."""
        return self.do(do_madvise(self.kernel, self.mm(who), start, nr, advice))

    def khugepaged(self, who: str = "A") -> list[str]:
        """Let khugepaged scan a process; returns its result for each block, or why it passes over a VMA."""
        self.do(do_khugepaged(self.kernel, self.mm(who)))
        return [event.result or event.reason for event in self.machine.trace if isinstance(event, Scanned)]

    def mlock(self, start: int, nr: int, who: str = "A") -> str | None:
        """Lock pages."""
        return self.do(do_mlock(self.kernel, self.mm(who), start, nr))

    def munlock(self, start: int, nr: int, who: str = "A") -> str | None:
        """Unlock pages."""
        return self.do(do_munlock(self.kernel, self.mm(who), start, nr))

    # What is seen.

    def look(self, start: int, nr: int, who: str = "A") -> str:
        """Pages as runs: ``T×5(2)`` is five pages of a large anonymous folio that two entries map each.

        A: anonymous order-0, T: large anonymous, F: file, Z: zero page, -: nothing. ``!``: mapped by a PMD.
        """
        pages = [("-", "")] * nr
        for vma in self.mm(who).vmas.overlapping(start, start + nr):
            for run in present_runs(self.kernel, vma):
                kind = "Z" if run.folio is None else "F" if not run.folio.anon else "T" if run.folio.order else "A"
                shown = (kind + ("!" if run.pmd else ""), f"({run.mapcount})" if run.folio is not None else "")
                for vpn in range(max(run.vpn, start), min(run.vpn + run.nr, start + nr)):
                    pages[vpn - start] = shown
        return " ".join(f"{kind}×{len(list(run))}{count}" for (kind, count), run in groupby(pages))

    def folio(self, vpn: int, who: str = "A") -> Folio:
        """The folio that is mapped there, singled out: the object stays the folio's, whatever is done to it."""
        found = self.kernel.folio_at(self.mm(who), vpn)
        assert found is not None
        return self.kernel.folios.single_out(found[0].id)

    def pfn(self, vpn: int, who: str = "A") -> int:
        """The physical page that is mapped there."""
        found = self.kernel.folio_at(self.mm(who), vpn)
        assert found is not None
        return found[0].pfn + found[1]

    def vma(self, vpn: int, who: str = "A") -> Vma:
        """The VMA that covers a page."""
        found = self.mm(who).vmas.find(vpn)
        assert found is not None
        return found

    def smaps(self, vpn: int, figure: str, who: str = "A") -> int:
        """A figure of smaps, in kB, of the VMA that covers a page."""
        return smaps(self.kernel, self.vma(vpn, who)).get(figure, 0)

    def count(self, event: str) -> int:
        """An event counter."""
        return self.kernel.vm_events.get(event, 0)

    def faults(self) -> int:
        """Page faults of the last step."""
        entries = ("lock_vma_under_rcu",)
        ops = [event for event in self.machine.trace if isinstance(event, LockOp)]
        return sum(op.times for op in ops if op.function in entries)

    def locks(self) -> list[str]:
        """Lock operations of the last step, in order."""
        return [str(event) for event in self.machine.trace if isinstance(event, LockOp)]

    def calls(self) -> list[tuple[str, int]]:
        """Calls of rmap functions of the last step, in order: (function, pages)."""
        found = []
        for event in self.machine.trace:
            if isinstance(event, Rmap):
                found += [(event.call, event.nr)] * len(event.folios)
        return found

"""Random lists of operations on up to three processes: invariants, laws of the counts, and what memory holds."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.truth import mappings
from folioshell.paths import Path
from folioshell.paths.gup import do_pin, do_unpin
from folioshell.paths.madvise import ADVICES
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.split import do_split
from folioshell.paths.unmap import do_migrate
from folioshell.schemes.base import Sharing
from folioshell.schemes.mm_id import MmId
from folioshell.units import CLASSROOM, X86_64
from tests.examples import fewer
from tests.paths.memory import Memory

_PROCESSES = ("A", "B", "C")
_PLACES = 7
_PAGES = 24
#: errnos that calls on these ranges may end with
_ERRNOS = {None, "EINVAL", "ENOMEM", "EFAULT", "EBADF", "EACCES", "EAGAIN", "EBUSY", "EEXIST", "EOPNOTSUPP"}

#: what a page of private anonymous memory holds: True for a written byte, None where FREE allows either
Contents = dict[int, bool | None]

_who = st.sampled_from(_PROCESSES)
_range = st.tuples(st.integers(0, _PLACES - 1), st.integers(0, _PAGES - 1), st.integers(1, _PAGES))


class Processes(RuleBasedStateMachine):
    """The operations; a range is a place, a first page and a number of pages, which may reach over the place's end."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory()
        self.places: list[tuple[int, int]] = []
        self.files: list[AddressSpace] = []
        self.contents: dict[str, Contents] = {"A": {}}

    @initialize(
        classroom=st.booleans(),
        profile=st.sampled_from(("6.18", "6.18", "6.12")),
        modes=st.lists(st.sampled_from(("always", "madvise", "never")), min_size=2, max_size=2),
        swap=st.booleans(),
    )
    def boot(self, classroom: bool, profile: str, modes: list[str], swap: bool) -> None:
        """A kernel with two sizes of anonymous folios, and a file of each kind."""
        geometry = CLASSROOM if classroom else X86_64
        self.memory = Memory(profile, geometry, {2: modes[0], geometry.pmd_order: modes[1]})
        self.memory.kernel.config.swap = swap
        orders = {"ext4": 2, "tmpfs": 0, "tmpfs-huge": 0, "tmpfs-within": 3}
        self.files = [self.memory.file(fs, 20, order, fs) for fs, order in orders.items()]
        self.files.append(self.memory.file("cold", 20, cached=False))

    def _pages(self, found: tuple[int, int, int]) -> tuple[int, int]:
        place, first, nr = found
        start, size = self.places[place % len(self.places)]
        first %= size
        return start + first, min(nr, size - first + 2)

    def _living(self, who: str) -> str:
        return who if who in self.memory.kernel.mms else "A"

    def _set(self, who: str, start: int, nr: int, value: bool | None) -> None:
        """Pages hold ``value`` now; False stands for zeros, which are not noted."""
        for vpn in range(start, start + nr):
            if value is False:
                self.contents[who].pop(vpn, None)
            else:
                self.contents[who][vpn] = value

    @precondition(lambda self: len(self.places) < _PLACES)
    @rule(
        who=_who,
        nr=st.integers(1, _PAGES),
        skew=st.integers(0, 12),
        kind=st.sampled_from(("anon", "anon", "anon", "shared", "private")),
        of_file=st.integers(-2, 4),
        prot=st.sampled_from(("rw", "rw", "rw", "r", "none")),
        neighbour=st.booleans(),
        thp=st.booleans(),
    )
    def mmap(
        self, who: str, nr: int, skew: int, kind: str, of_file: int, prot: str, neighbour: bool, thp: bool
    ) -> None:
        """Map memory, at a place of its own or right behind another."""
        who = self._living(who)
        file = self.files[of_file] if kind == "private" or (kind == "shared" and of_file >= 0) else None
        at = sum(self.places[-1]) if neighbour and self.places else self.memory.place(skew)
        if self.memory.mm(who).vmas.overlapping(at, at + nr):
            return
        self.memory.mmap(nr, kind=kind, prot=prot, file=file, at=at, thp=thp, who=who)
        self.places.append((at, nr))

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, write=st.booleans())
    def touch(self, who: str, where: tuple[int, int, int], write: bool) -> None:
        """Read or write every page; those that fail are the pages that may not be accessed so."""
        who, (start, nr) = self._living(who), self._pages(where)
        failed = (self.memory.write if write else self.memory.read)(start, nr, who)
        bad = {start + first + step for first, count, _ in failed for step in range(int(count))}  # type: ignore[operator]
        for vpn in range(start, start + nr):
            vma = self.memory.mm(who).vmas.find(vpn)
            allowed = vma is not None and vma.flags & (vm.WRITE if write else vm.READ)
            assert (vpn not in bad) or not allowed or (vma is not None and vma.file is not None)
            if write and vpn not in bad:
                self._set(who, vpn, 1, True)

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, advice=st.sampled_from(sorted(ADVICES)))
    def madvise(self, who: str, where: tuple[int, int, int], advice: str) -> None:
        """Advise the kernel."""
        who, (start, nr) = self._living(who), self._pages(where)
        ending = self.memory.madvise(advice, start, nr, who)
        assert ending in _ERRNOS
        if advice == "dontneed":
            self._set(who, start, nr, False if ending in (None, "ENOMEM") else None)
        elif advice == "free":
            self._set(who, start, nr, None)

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range)
    def munmap(self, who: str, where: tuple[int, int, int]) -> None:
        """Unmap pages."""
        who, (start, nr) = self._living(who), self._pages(where)
        assert self.memory.munmap(start, nr, who) is None
        self._set(who, start, nr, False)

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, prot=st.sampled_from(("r", "rw", "none")))
    def mprotect(self, who: str, where: tuple[int, int, int], prot: str) -> None:
        """Change protection."""
        assert self.memory.mprotect(*self._pages(where), prot, self._living(who)) in _ERRNOS

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, lock=st.booleans())
    def mlock(self, who: str, where: tuple[int, int, int], lock: bool) -> None:
        """Lock or unlock pages."""
        call = self.memory.mlock if lock else self.memory.munlock
        assert call(*self._pages(where), self._living(who)) in _ERRNOS

    @precondition(lambda self: 0 < len(self.places) < _PLACES)
    @rule(who=_who, where=_range, skew=st.integers(0, 12), dontunmap=st.booleans())
    def mremap(self, who: str, where: tuple[int, int, int], skew: int, dontunmap: bool) -> None:
        """Move pages to a place of their own."""
        who, (start, nr) = self._living(who), self._pages(where)
        to = self.memory.place(skew)
        ending = self.memory.mremap(start, nr, to, who, dontunmap=dontunmap)
        assert ending in _ERRNOS
        self.places.append((to, nr))
        for offset in range(nr):
            held = self.contents[who].get(start + offset, False)
            self._set(who, to + offset, 1, held if ending is None else None)
            self._set(who, start + offset, 1, False if ending is None else None)

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, pin=st.booleans())
    def pin(self, who: str, where: tuple[int, int, int], pin: bool) -> None:
        """Pin pages for DMA, or drop the last pin of each."""
        who, (start, nr) = self._living(who), self._pages(where)
        k = self.memory.kernel
        assert self.memory.do((do_pin if pin else do_unpin)(k, k.mms[who], start, nr)) in _ERRNOS

    @rule(who=_who, none=st.sampled_from((0, 1, 1 << 9)))
    def khugepaged(self, who: str, none: int) -> None:
        """A scan of a process, with few or many pages that may be added."""
        self.memory.kernel.config.max_ptes_none = min(none, self.memory.kernel.geometry.pmd_pages - 1)
        self.memory.khugepaged(self._living(who))

    @precondition(lambda self: self.places)
    @rule(who=_who, where=_range, path=st.sampled_from((do_reclaim, do_migrate, do_split)))
    def act_on_a_folio(
        self, who: str, where: tuple[int, int, int], path: Callable[[Kernel, Folio], Path[str | None]]
    ) -> None:
        """Reclaim, migrate or split the folio that is mapped somewhere."""
        k, (start, _) = self.memory.kernel, self._pages(where)
        found = k.folio_at(k.mms[self._living(who)], start)
        if found is not None:
            assert self.memory.do(path(k, found[0])) in _ERRNOS

    @rule(who=_who, child=st.sampled_from(_PROCESSES[1:]))
    def fork(self, who: str, child: str) -> None:
        """Make a child, which has what its parent has, but for what is wiped or left out."""
        who = self._living(who)
        if child in self.memory.kernel.mms:
            return
        kept: Contents = {}
        for vma in self.memory.mm(who).vmas:
            if not vma.flags & (vm.WIPEONFORK | vm.DONTCOPY):
                held = self.contents[who]
                kept |= {vpn: held[vpn] for vpn in range(vma.start, vma.end) if vpn in held}
        self.memory.fork(child, who)
        self.contents[child] = kept

    @precondition(lambda self: len(self.memory.kernel.mms) > 1)
    @rule(who=_who)
    def exit(self, who: str) -> None:
        """End a process that is not the last."""
        who = self._living(who)
        if who != "A":
            self.memory.exit(who)
            del self.contents[who]

    @invariant()
    def memory_holds_what_was_written(self) -> None:
        """No write of private memory is lost, and none is seen by another process."""
        k = self.memory.kernel
        for who, contents in self.contents.items():
            mm = k.mms[who]
            for vma in mm.vmas:
                if vma.file is not None:
                    continue
                for vpn in range(vma.start, vma.end):
                    found, entry = k.folio_at(mm, vpn), k.entry(mm, vpn)
                    held = found is not None and bool(found[0].nonzero >> found[1] & 1)
                    held = held or (pte.is_swap(entry) and k.slots.nonzero[pte.swap_slot(entry)] > 0)
                    expected = contents.get(vpn, False)
                    assert expected is None or held == expected, (who, hex(vpn), held, expected)

    @invariant()
    def pinned_pages_are_their_holders(self) -> None:
        """No exclusive page that is pinned for one process is mapped by another."""
        k = self.memory.kernel
        for holder in k.mms.values():
            for folio in {folio.id: folio for held in holder.pins.values() for folio in held}.values():
                for found in mappings(k, folio):
                    pages = folio.anon_exclusive >> found.first & (1 << found.nr) - 1
                    assert found.mm is holder or not pages

    @invariant()
    def schemes_count_what_they_define(self) -> None:
        """Per-page counts entries, vmas VMAs and tuples tuples, as the page tables have them."""
        schemes = self.memory.machine.schemes
        for folio in self.memory.kernel.folios.values():
            truth = self.memory.machine.truth(folio)
            numbers = tuple(schemes[name].mapcount(folio.id) for name in ("per-page", "vmas", "tuples"))
            assert numbers == (truth.entries, truth.vmas, truth.tuples)

    @invariant()
    def mm_id_errs_to_one_side(self) -> None:
        """MM-ID never calls a folio exclusive that two mms map, and its slots never count more than is mapped."""
        scheme = self.memory.machine.schemes["mm-id"]
        assert isinstance(scheme, MmId)
        for folio in self.memory.kernel.folios.values():
            entries: dict[int, int] = {}
            for found in mappings(self.memory.kernel, folio):
                entries[found.mm.mm_id] = entries.get(found.mm.mm_id, 0) + (1 if found.pmd else found.nr)
            for mm in entries:
                if len(entries) > 1 and folio.order:
                    assert scheme.shared(folio.id, mm) is not Sharing.NO
            if folio.order and entries:
                for mm, count in scheme.slots(folio.id)[:2]:
                    assert count <= entries.get(mm, 0)

    @invariant()
    def no_write_without_a_fault_is_seen_by_others(self) -> None:
        """A private page that is writable is mapped once, unless the deciding scheme broke the rule."""
        k = self.memory.kernel
        for mm in k.mms.values():
            for vma in mm.vmas:
                for vpn in range(vma.start, vma.end):
                    found = k.folio_at(mm, vpn) if vma.is_cow and k.entry(mm, vpn) & pte.WRITE else None
                    if found is not None and found[0].anon:
                        mapped = [row for row in mappings(k, found[0]) if 0 <= found[1] - row.first < row.nr]
                        assert len(mapped) == 1


TestProcesses = Processes.TestCase
TestProcesses.settings = fewer(2)

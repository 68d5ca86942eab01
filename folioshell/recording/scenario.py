"""Scenarios of the recording format: their placement, and each of their operations on the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from folioshell.engine.machine import Machine
from folioshell.errors import FolioshellError
from folioshell.model.mm import Mm
from folioshell.paths.exit import do_exit
from folioshell.paths.fault import touch
from folioshell.paths.file import do_create_file
from folioshell.paths.fork import do_fork
from folioshell.paths.madvise import ADVICES, do_madvise
from folioshell.paths.mlock import do_mlock, do_munlock
from folioshell.paths.mmap import do_mmap
from folioshell.paths.mprotect import do_mprotect
from folioshell.paths.mremap import do_mremap
from folioshell.paths.munmap import do_munmap
from folioshell.units import parse_pages

#: virtual page of the arena: 512 GiB aligned, as the recorder's
ARENA = 0x7F0000000000 >> 12
#: pages of the slot that each operation which makes a region owns
SLOT = 262144

Op = dict[str, Any]
Result = dict[str, Any]

_FILE_SYSTEMS = {"ext4": "ext4", "tmpfs": "tmpfs", "tmpfs_huge": "tmpfs-huge", "tmpfs_within": "tmpfs-within"}


class ScenarioError(FolioshellError):
    """A scenario that cannot be replayed: it is damaged, or has a word that we do not know."""


def placement(ops: list[Op]) -> dict[str, tuple[int, int]]:
    """Region -> (virtual page from the arena's base, pages), from the text of the operations alone.

    Raises:
        ScenarioError: an operation names a region that no operation before it makes.
    """
    regions: dict[str, tuple[int, int]] = {}
    shapes: dict[str, tuple[int, int]] = {}
    slot = 0
    for number, op in enumerate(ops):
        if op["op"] not in ("mmap", "mremap"):
            continue
        if op["op"] == "mmap":
            name, nr, shape = op["region"], op["pages"], (512, 0)
        else:
            name, nr = op["new_region"], op["count"]
            if op["region"] not in shapes:
                raise ScenarioError(f"operation {number}: no region {op['region']!r}")
            shape = shapes[op["region"]]
        align, skew = op.get("align_pages", shape[0]), op.get("skew_pages", shape[1])
        shapes[name] = (align, skew)
        vpn = sum(regions[op["after"]]) if "after" in op else slot * SLOT + align + skew
        regions[name] = (vpn, nr)
        slot += 1
    return regions


class Replay:
    """A machine on which the operations of one scenario are run.

    Args:
        scenario: the scenario, as in a recording.
        profile: which kernel the model is to behave like.

    Attributes:
        machine: the machine.
        regions: placement.
        processes: names in order of creation, living or not.
    """

    def __init__(self, scenario: dict[str, Any], profile: str = "6.18") -> None:
        self.machine = Machine()
        self.machine.set_profile(profile)
        self.regions = placement(scenario["ops"])
        self.processes = ["A"]
        setup = scenario.get("setup", {})
        for size, mode in setup.get("mthp", {}).items():
            order = parse_pages(f"{size}K").bit_length() - 1
            self.machine.kernel.config.thp[order] = mode
        if setup.get("swap"):
            self.machine.kernel.config.swap = True
        for name, spec in setup.get("files", {}).items():
            self._make_file(name, spec)

    def _make_file(self, name: str, spec: dict[str, Any]) -> None:
        fs = _FILE_SYSTEMS.get(spec["fs"])
        if fs is None:
            raise ScenarioError(f"file {name}: no file system {spec['fs']!r}")
        by_chunk = fs == "tmpfs-within" or (fs == "ext4" and not self.machine.kernel.config.is_6_12)
        chunk = spec.get("chunk_pages", 1) if by_chunk else 1
        cached = bool(spec.get("cached", True))
        path = do_create_file(self.machine.kernel, name, spec["pages"], 0, fs, cached, chunk)
        self.machine.run(path)

    def layout(self, name: str) -> list[list[int]]:
        """[first page, order, number of folios] of the runs of folios in a file's page cache."""
        rows: list[list[int]] = []
        for folio in self.machine.kernel.files[name].folios:
            last = rows[-1] if rows else None
            if last and last[1] == folio.order and last[0] + (last[2] << last[1]) == folio.index:
                last[2] += 1
            else:
                rows.append([folio.index, folio.order, 1])
        return rows

    def vpn(self, region: str, page: int = 0) -> int:
        """Virtual page of a page of a region."""
        return ARENA + self.regions[region][0] + page

    def run(self, op: Op) -> Result:
        """Run one operation. Returns its result as in a recording.

        Raises:
            ScenarioError: an operation or word that we do not know.
        """
        handler = _HANDLERS.get(op["op"])
        if handler is None:
            raise ScenarioError(f"no operation {op['op']!r}")
        mm = self.machine.kernel.mms.get(op["proc"])
        if mm is None:
            return {"skipped": "no such process"}
        self.machine.begin()
        return handler(self, mm, op)

    def _ended(self, errno: str | None) -> Result:
        return {"ok": True} if errno is None else {"errno": errno}

    def _mmap(self, mm: Mm, op: Op) -> Result:
        k, run = self.machine.kernel, self.machine.run
        kind = {"anon": "anon", "anon_shared": "shared", "file_private": "private"}.get(op["kind"], "shared")
        file = k.files[op["file"]] if "file" in op else None
        start, nr = self.vpn(op["region"]), op["pages"]
        errno = run(
            do_mmap(
                k,
                mm,
                start,
                nr,
                kind=kind,
                prot=op["prot"],
                file=file,
                pgoff=op.get("file_offset_pages", 0),
                name=op["region"],
            )
        )
        result = self._ended(errno)
        thp = op.get("thp", "default")
        if errno is None and thp != "default":
            failed = run(do_madvise(k, mm, start, nr, thp))
            if failed is not None:
                result["thp_errno"] = failed
        return result

    def _touch(self, mm: Mm, op: Op) -> Result:
        path = touch(self.machine.kernel, mm, self.vpn(op["region"], op["page"]), op["count"], op["access"] == "write")
        signals = self.machine.run(path)
        return {"signals": signals} if signals else {"ok": True}

    def _fork(self, mm: Mm, op: Op) -> Result:
        self.machine.run(do_fork(self.machine.kernel, mm, op["child"]))
        self.processes.append(op["child"])
        return {"ok": True}

    def _exit(self, mm: Mm, op: Op) -> Result:
        self.machine.run(do_exit(self.machine.kernel, mm))
        return {"ok": True}

    def _range(self, op: Op) -> tuple[int, int]:
        return self.vpn(op["region"], op["page"]), op["count"]

    def _munmap(self, mm: Mm, op: Op) -> Result:
        return self._ended(self.machine.run(do_munmap(self.machine.kernel, mm, *self._range(op))))

    def _mprotect(self, mm: Mm, op: Op) -> Result:
        return self._ended(self.machine.run(do_mprotect(self.machine.kernel, mm, *self._range(op), op["prot"])))

    def _mlock(self, mm: Mm, op: Op) -> Result:
        return self._ended(self.machine.run(do_mlock(self.machine.kernel, mm, *self._range(op))))

    def _munlock(self, mm: Mm, op: Op) -> Result:
        return self._ended(self.machine.run(do_munlock(self.machine.kernel, mm, *self._range(op))))

    def _madvise(self, mm: Mm, op: Op) -> Result:
        if op["advice"] not in ADVICES:
            raise ScenarioError(f"no advice {op['advice']!r}")
        return self._ended(self.machine.run(do_madvise(self.machine.kernel, mm, *self._range(op), op["advice"])))

    def _mremap(self, mm: Mm, op: Op) -> Result:
        start, nr = self._range(op)
        new = self.vpn(op["new_region"])
        dontunmap = bool(op.get("dontunmap", False))
        return self._ended(
            self.machine.run(do_mremap(self.machine.kernel, mm, start, nr, new, nr, dontunmap=dontunmap))
        )


_HANDLERS: dict[str, Callable[[Replay, Mm, Op], Result]] = {
    "mmap": Replay._mmap,
    "touch": Replay._touch,
    "fork": Replay._fork,
    "exit": Replay._exit,
    "munmap": Replay._munmap,
    "mprotect": Replay._mprotect,
    "mlock": Replay._mlock,
    "munlock": Replay._munlock,
    "madvise": Replay._madvise,
    "mremap": Replay._mremap,
}

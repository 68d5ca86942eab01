"""Running scenarios of the recording format on the model: the handler of each operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from folioshell.engine.machine import Machine
from folioshell.live.format import FILE_KINDS, FILE_SYSTEMS, READ_AHEAD, Op, Result, new_count, placement
from folioshell.model.mapping import AddressSpace
from folioshell.model.release import DEFAULT
from folioshell.model.vm import Mm
from folioshell.paths import Path
from folioshell.paths.fault import touch
from folioshell.paths.fork import do_fork
from folioshell.paths.gup import do_pin, do_unpin
from folioshell.paths.madvise import do_madvise
from folioshell.paths.mmap import do_exit, do_mmap, do_munmap
from folioshell.paths.mremap import do_mremap, do_resize
from folioshell.paths.page_cache import do_create_file
from folioshell.paths.truncate import do_truncate
from folioshell.paths.vma_flags import do_mlock, do_mprotect, do_munlock
from folioshell.units import parse_pages

#: virtual page of the arena: 512 GiB aligned, as in the recorder
ARENA = 0x7F0000000000 >> 12


class ScenarioRun:
    """A machine that runs the operations of one scenario.

    Args:
        scenario: accepted by ``check_scenario``.
        profile: the kernel to model.
        machine: a fresh machine; None for one on which no scheme counts.

    Attributes:
        machine: the machine.
        regions: region -> (virtual page from the arena's base, pages), in order of creation.
        processes: names of live processes in order of creation.
        process_names: MM-ID -> name, of all processes.
        buffers: (process, virtual page, pages) -> how often it is pinned as one buffer.
    """

    def __init__(
        self, scenario: dict[str, Any], profile: str = DEFAULT.version, machine: Machine | None = None
    ) -> None:
        self.machine = machine or Machine(counting=())
        self.machine.set_profile(profile)
        self.regions = placement(scenario["ops"]).regions
        self.processes = list(self.machine.kernel.mms)
        self.process_names = {mm.mm_id: mm.name for mm in self.machine.kernel.mms.values()}
        setup = scenario.get("setup", {})
        for size, mode in setup.get("mthp", {}).items():
            order = parse_pages(f"{size}K").bit_length() - 1
            # The global setting was madvise for all recordings.
            self.machine.kernel.config.thp[order] = "madvise" if mode == "inherit" else mode
        self.buffers: Counter[tuple[str, int, int]] = Counter()
        self.machine.kernel.config.read_ahead = READ_AHEAD
        if "fault_around" in setup:
            self.machine.kernel.config.fault_around = setup["fault_around"]
        if setup.get("swap"):
            # The device of the recordings is zram.
            self.machine.kernel.config.swap = self.machine.kernel.config.sync_swap = True
        for name, spec in setup.get("files", {}).items():
            self._make_file(name, spec)

    def _make_file(self, name: str, spec: dict[str, Any]) -> None:
        fs = FILE_SYSTEMS[spec["fs"]]
        release = self.machine.kernel.release
        by_chunk = {
            "ext4": release.ext4_has_large_folios,
            "tmpfs-huge": release.tmpfs_write_sizes_folio,
            "tmpfs-within": release.tmpfs_within_size_by_write,
        }.get(fs, False)
        chunk = spec.get("chunk_pages", 1) if by_chunk else 1
        cached = bool(spec.get("cached", True))
        path = do_create_file(self.machine.kernel, AddressSpace(name, spec["pages"], fs), 0, cached, chunk)
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

    def process_name(self, mm_id: int) -> str:
        """The name of the process with this MM-ID, live or not."""
        return self.process_names[mm_id]

    def living(self, mm_id: int) -> str | None:
        """The name of the process with this MM-ID; None if there is none now."""
        name = self.process_names.get(mm_id)
        return name if name in self.machine.kernel.mms else None

    def vpn(self, region: str, page: int = 0) -> int:
        """Virtual page of a page of a region."""
        return ARENA + self.regions[region][0] + page

    def run(self, op: Op) -> Result:
        """Run one checked operation; returns its result as in a recording."""
        mm = self.machine.kernel.mms.get(op["proc"])
        if mm is None:
            return {"skipped": "no such process"}
        if op["op"] == "fork" and op["child"] in self.machine.kernel.mms:
            return {"skipped": "process exists"}
        self.machine.begin()
        return _HANDLERS[op["op"]](self, mm, op)


def _ended(errno: str | None) -> Result:
    return {"ok": True} if errno is None else {"errno": errno}


def _on_range(do: Callable[..., Path[str | None]], word: str = "") -> Callable[[ScenarioRun, Mm, Op], Result]:
    """The handler of an operation on a range; the value of key ``word``, if given, is the last argument."""

    def handler(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
        words = (op[word],) if word else ()
        start = replay.vpn(op["region"], op["page"])
        return _ended(replay.machine.run(do(replay.machine.kernel, mm, start, op["count"], *words)))

    return handler


def _mmap(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    """Map, and map over (mmap_over): MAP_FIXED over what is mapped."""
    k, run = replay.machine.kernel, replay.machine.run
    kind = {"anon": "anon", "file_private": "private"}.get(op["kind"], "shared")
    file = k.files[op["file"]] if op["kind"] in FILE_KINDS else None
    fixed = op["op"] == "mmap_over"
    start = replay.vpn(op["region"], op["page"] if fixed else 0)
    nr = op["count"] if fixed else op["pages"]
    pgoff = op.get("file_offset_pages", 0)
    name = op["region"]
    path = do_mmap(k, mm, start, nr, kind=kind, prot=op["prot"], file=file, pgoff=pgoff, fixed=fixed, name=name)
    errno = run(path)
    result = _ended(errno)
    thp = op.get("thp", "default")
    if errno is None and thp != "default":
        failed = run(do_madvise(k, mm, start, nr, thp))
        if failed is not None:
            result["thp_errno"] = failed
    return result


def _touch(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    start = replay.vpn(op["region"], op["page"])
    signals = replay.machine.run(touch(replay.machine.kernel, mm, start, op["count"], op["access"] == "write"))
    return {"signals": signals} if signals else {"ok": True}


def _fork(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    child = replay.machine.run(do_fork(replay.machine.kernel, mm, op["child"]))
    replay.processes.append(op["child"])
    replay.process_names[child.mm_id] = child.name
    return {"ok": True}


def _exit(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    replay.machine.run(do_exit(replay.machine.kernel, mm))
    replay.processes.remove(op["proc"])
    return {"ok": True}


def _mremap(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    """Move, and resize (mresize): without a new region in place."""
    k, start, nr = replay.machine.kernel, replay.vpn(op["region"], op["page"]), op["count"]
    new_nr = new_count(op)
    if "new_region" not in op:
        ended = replay.machine.run(do_resize(k, mm, start, nr, new_nr))
        return _ended(ended if isinstance(ended, str) else None)
    dontunmap = bool(op.get("dontunmap", False))
    path = do_mremap(k, mm, start, nr, replay.vpn(op["new_region"]), new_nr, dontunmap=dontunmap)
    return _ended(replay.machine.run(path))


def _truncate(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    k = replay.machine.kernel
    replay.machine.run(do_truncate(k, k.files[op["file"]], op["size"]))
    return {"ok": True}


def _pin(replay: ScenarioRun, mm: Mm, op: Op) -> Result:
    """Pin and unpin: a buffer is registered with an io_uring of its own, and unregistered as a whole."""
    k, run, start, nr = replay.machine.kernel, replay.machine.run, replay.vpn(op["region"], op["page"]), op["count"]
    buffer = op["proc"], start, nr
    is_pin = op["op"] == "pin"
    if not is_pin and not replay.buffers[buffer]:
        return {"errno": "EINVAL"}
    ending = _ended(run(do_pin(k, mm, start, nr, longterm=True) if is_pin else do_unpin(k, mm, start, nr)))
    if "ok" in ending:
        replay.buffers[buffer] += 1 if is_pin else -1
    return ending


_HANDLERS: dict[str, Callable[[ScenarioRun, Mm, Op], Result]] = {
    "mmap": _mmap,
    "touch": _touch,
    "fork": _fork,
    "exit": _exit,
    "munmap": _on_range(do_munmap),
    "mprotect": _on_range(do_mprotect, "prot"),
    "mlock": _on_range(do_mlock),
    "munlock": _on_range(do_munlock),
    "madvise": _on_range(do_madvise, "advice"),
    "mremap": _mremap,
    "mresize": _mremap,
    "mmap_over": _mmap,
    "truncate": _truncate,
    "pin": _pin,
    "unpin": _pin,
}


def operation_text(op: Op) -> str:
    """An operation of a scenario in one line: ``A: madvise t[0+64] advice=cold``."""
    words = [str(op["op"])]
    if "page" in op:
        words.append(f"{op['region']}[{op['page']}+{op['count']}]")
    known = ("op", "proc", "page", "count", *(("region",) if "page" in op else ()))
    words += [f"{key}={value}" for key, value in op.items() if key not in known]
    return f"{op['proc']}: {' '.join(words)}"

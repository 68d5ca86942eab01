"""The recorder: runs a scenario with real processes, several times, and keeps what the runs agree in.

Rules:
- ``record`` is all that others call. It changes settings of the machine and restores them on any end; a scenario
  touches no memory but its arena, and no file but its own, which have no names.
- Runs that something else disturbed are made again. What differs between undisturbed runs is *unstable*, and left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from folioshell.live import (
    CannotRecord,
    RecorderOptions,
    available_pages,
    background_counters,
    check_machine,
    environment,
    is_root,
    sees_folios,
)
from folioshell.live.files import HUGE, Disturbed, KernelPages, file_layout
from folioshell.live.format import FORMAT, Op, Result, check_scenario, placement
from folioshell.live.host import ZRAM_CONTROL, LiveHost, Setting, folder_of, possible_sizes, settings_to_change
from folioshell.live.observe import KernelObserver
from folioshell.live.process import Channels, LiveProcess

_FIRST = "A"
_PMD_PAGES = 512


class LivePlan(NamedTuple):
    """What a recording does to this machine, and what it cannot do.

    Args:
        settings: those that it changes meanwhile.
        mounts: the file systems that it mounts, in no mount namespace.
        swap: what it swaps to; empty for nothing.
        obstacles: why the scenario cannot be recorded here, a sentence each; none if it can.
        unseen: what the recording lacks, and why.
    """

    settings: list[Setting]
    mounts: list[str]
    swap: str
    obstacles: list[str]
    unseen: list[str]

    def sentences(self) -> Iterator[str]:
        """All of it, for the user."""
        yield from (f"cannot run: {reason}" for reason in self.obstacles)
        yield from (f"sets {one.name} to {one.wanted} (now {one.now})" for one in self.settings)
        yield from (f"mounts {what}, in no mount namespace" for what in self.mounts)
        if self.swap:
            yield f"swaps to {self.swap}"
        yield from (f"does not see {what}" for what in self.unseen)


def plan(scenario: Mapping[str, Any], options: RecorderOptions | None = None) -> LivePlan:
    """What recording a scenario would do; nothing is changed.

    Raises:
        BadScenario: the scenario is malformed.
        CannotRecord: this machine can record nothing at all.
    """
    options = options or RecorderOptions()
    check_machine()
    return _planned(check_scenario(dict(scenario)), options)


def record(scenario: Mapping[str, Any], options: RecorderOptions | None = None) -> dict[str, Any]:
    """Record a scenario on the kernel that runs here.

    Returns: the recording, as docs/recordings.md describes it. Without root it is ``partial``.
    Raises:
        BadScenario: the scenario is malformed.
        CannotRecord: this machine, or this user, cannot record it; the message is one sentence.
    """
    options = options or RecorderOptions()
    checked = check_scenario(dict(scenario))
    check_machine()
    if obstacles := _planned(checked, options).obstacles:
        raise CannotRecord(obstacles[0])
    setup = _possible(checked)
    disturbed: list[str] = []
    resampled = None
    try:
        with LiveHost(options.folder, options.swap_device) as host:
            runs = _undisturbed_runs(host, checked, setup, options, disturbed)
            if differ := _disagreements(runs):
                # The set with fewer differences is kept: one run of it may have been disturbed unseen.
                again = _undisturbed_runs(host, checked, setup, options, disturbed)
                differ_again = _disagreements(again)
                resampled = {"kept": min(differ, differ_again), "dropped": max(differ, differ_again)}
                runs = again if differ_again < differ else runs
    except OSError as error:
        raise CannotRecord(f"{error.filename or 'a system call'}: {error.strerror}") from None
    document = _document(checked, runs)
    document |= {"runs": options.runs, "disturbed_runs": len(disturbed), "resampled": resampled}
    return document | ({} if setup == (checked.get("setup") or {}) else {"skipped": "no mTHP"})


def _possible(scenario: Mapping[str, Any]) -> dict[str, Any]:
    """The setup of a scenario, without sizes of folios that this kernel does not have."""
    setup = dict(scenario.get("setup") or {})
    return setup | ({"mthp": possible_sizes(setup["mthp"])} if setup.get("mthp") else {})


def _planned(scenario: Mapping[str, Any], options: RecorderOptions) -> LivePlan:
    setup, given = _possible(scenario), scenario.get("setup") or {}
    obstacles = [*_over_limits(scenario, options), *_missing(scenario, options)]
    settings: list[Setting] = []
    try:
        settings = settings_to_change(setup, folder_of(options.folder))
    except CannotRecord as reason:
        obstacles.append(str(reason))
    if settings and not is_root():
        many = f", and {len(settings) - 1} more" if len(settings) > 1 else ""
        obstacles.append(f"only root can set {settings[0].name} to {settings[0].wanted}, as this scenario needs{many}")
    unseen = []
    if not sees_folios():
        hidden = "are hidden here (a container?)" if is_root() else "need root"
        unseen.append(f"folios, their orders and mapcounts: page frame numbers {hidden}")
    if setup != given:
        unseen.append("folios of the sizes that it sets: this kernel has no mTHP (Linux 6.8)")
    used = {spec["fs"] for spec in (setup.get("files") or {}).values()}
    mounts = [f"tmpfs, huge={huge}" for fs, huge in HUGE.items() if fs in used]
    swap = (options.swap_device or "a zram device") if setup.get("swap") else ""
    return LivePlan(settings, mounts, swap, obstacles, unseen)


def _over_limits(scenario: Mapping[str, Any], options: RecorderOptions) -> Iterator[str]:
    """What a scenario may need more of than it may have."""
    ops, files = scenario["ops"], (scenario.get("setup") or {}).get("files") or {}
    living, most = {_FIRST}, 1
    for op in ops:
        if op["op"] == "fork":
            living.add(op["child"])
        elif op["op"] == "exit":
            living.discard(op["proc"])
        most = max(most, len(living))
    if most > options.processes:
        yield f"the scenario needs {most} processes; the limit is {options.processes}"
    # An access can bring in a whole 2M folio on both ends of its range.
    pages = sum(spec["pages"] for spec in files.values())
    pages += sum(op["count"] + 2 * _PMD_PAGES for op in ops if _fills(op))
    free = available_pages() // 2
    if pages > min(options.pages, free):
        limit = f"the limit is {options.pages}" if options.pages <= free else f"half of the free memory is {free}"
        yield f"the scenario may need {pages} pages; {limit}"


def _missing(scenario: Mapping[str, Any], options: RecorderOptions) -> Iterator[str]:
    """What a scenario needs and this machine, or this user, lacks."""
    setup, ops = scenario.get("setup") or {}, scenario["ops"]
    swaps = Path("/proc/swaps").read_text(encoding="utf-8").splitlines()[1:]
    if setup.get("swap"):
        if not is_root():
            yield "swap needs root"
        elif not options.swap_device and not ZRAM_CONTROL.exists():
            yield "swap needs zram (`modprobe zram num_devices=0`), or a prepared swap device"
    elif swaps and any(op.get("advice") == "pageout" for op in ops):
        yield f"swap is on ({swaps[0].split()[0]}), and MADV_PAGEOUT would use it: `swapoff -a` first"
    disabled = Path("/proc/sys/kernel/io_uring_disabled")
    if (
        any(op["op"] == "pin" for op in ops)
        and disabled.exists()
        and int(disabled.read_text(encoding="utf-8")) > is_root()
    ):
        yield "pin needs io_uring, which kernel.io_uring_disabled disables"


def _fills(op: Op) -> bool:
    """Can this operation allocate memory?"""
    return op["op"] in ("touch", "mlock", "pin") or op.get("advice") in ("populate_read", "populate_write", "collapse")


# One run.


class _LiveRun:
    """One run of a scenario.

    Args:
        host: the machine.
        scenario: checked.
        setup: its setup, without what this kernel lacks.
    """

    def __init__(self, host: LiveHost, scenario: Mapping[str, Any], setup: Mapping[str, Any]) -> None:
        self._host = host
        self._ops: list[Op] = scenario["ops"]
        self._setup = setup
        self._regions = placement(self._ops).regions
        self._processes: dict[str, LiveProcess] = {}
        self._files: dict[str, int] = {}
        self._pages = KernelPages() if sees_folios() else None
        self._file_rows: dict[str, Any] = {}

    def execute(self) -> dict[str, Any]:
        """Run the scenario; returns its ``files``, ``steps``, and what was checked.

        Raises:
            Disturbed: something else changed its memory.
            CannotRecord: it cannot be run.
        """
        before = background_counters(self._setup)
        steps = []
        try:
            for name, spec in (self._setup.get("files") or {}).items():
                fd = self._files[name] = self._host.files.make(spec)
                layout = file_layout(self._pages, fd, spec["pages"]) if self._pages is not None else None
                self._file_rows[name] = {**spec, "layout": layout}
            self._host.begin_setup(self._setup)
            self._channels = Channels(1 + sum(op["op"] == "fork" for op in self._ops))
            self._processes[_FIRST] = first = self._channels.start(_FIRST, self._regions, self._files)
            tables, env = (
                first.page_table_kb(),
                environment(),
            )
            observer = KernelObserver(self._regions, self._files, self._pages)
            for number, op in enumerate(self._ops):
                result = self._apply({**op, "i": number})
                self._host.drain()
                hard, soft = observer.observe(op, self._processes)
                soft["vmpte_delta"] = {name: one.page_table_kb() - tables for name, one in self._processes.items()}
                steps.append({"result": result, **hard, "soft": soft})
        finally:
            self._end()
        after = background_counters(self._setup)
        if before != after:
            raise Disturbed(f"background activity: {[key for key in after if before[key] != after[key]]}")
        checked = {"pages": observer.checked, "violations": [], "notes": observer.notes}
        return {"env": env, "files": self._file_rows, "steps": steps, "selfcheck": checked}

    def _apply(self, op: Op) -> Result:
        process = self._processes.get(op["proc"])
        if process is None:
            return {"skipped": "no such process"}
        if op["op"] == "fork":
            if op["child"] in self._processes:
                return {"skipped": "process exists"}
            self._processes[op["child"]] = self._channels.fork(process, op["child"])
            return {"ok": True}
        if op["op"] == "exit":
            process.exit()
            del self._processes[op["proc"]]
            return {"ok": True}
        result = process.call(op)
        if "refused" in result:
            raise CannotRecord(result["refused"])
        return result

    def _end(self) -> None:
        """End all processes and close all files; their memory is free when this returns."""
        try:
            for process in self._processes.values():
                process.exit()
        finally:
            if self._processes:
                self._channels.close()
            self._processes = {}
            for fd in self._files.values():
                os.close(fd)
            self._files = {}
            if self._pages is not None:
                self._pages.close()
            self._host.end_setup()


# Several runs.


def _undisturbed_runs(
    host: LiveHost,
    scenario: Mapping[str, Any],
    setup: Mapping[str, Any],
    options: RecorderOptions,
    disturbed: list[str],
) -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = []
    for _ in range(options.attempts):
        try:
            runs.append(_LiveRun(host, scenario, setup).execute())
        except Disturbed as reason:
            disturbed.append(str(reason))
            if options.log:
                options.log(f"a disturbed run: {reason}")
        if len(runs) == options.runs:
            return runs
    raise CannotRecord(
        f"{options.attempts} runs, of which only {len(runs)} were not disturbed; the last: {disturbed[-1]}"
    )


def _disagreements(runs: list[dict[str, Any]]) -> int:
    unstable: dict[str, Any] = {}
    _hard(runs, unstable)
    return len(unstable)


def _hard(runs: list[dict[str, Any]], unstable: dict[str, Any]) -> tuple[Any, list[Any]]:
    """Files and steps as far as all runs agree."""
    files, _ = _merged([run["files"] for run in runs], "files", unstable)
    steps = []
    for number in range(len(runs[0]["steps"])):
        hard = [{key: value for key, value in run["steps"][number].items() if key != "soft"} for run in runs]
        step, _ = _merged(hard, f"steps/{number}", unstable)
        steps.append({"i": number, **(step or {})})
    return files or {}, steps


def _merged(values: list[Any], path: str, unstable: dict[str, Any]) -> tuple[Any, bool]:
    """What runs agree in; where they differ, the path and all values go to ``unstable``. False if that is all of it."""
    first = values[0]
    if all(value == first for value in values[1:]):
        return first, True
    if all(isinstance(value, dict) and value.keys() == first.keys() for value in values):
        both = {}
        for key in first:
            part, agreed = _merged([value[key] for value in values], f"{path}/{key}", unstable)
            if agreed:
                both[key] = part
        return both, True
    if path.endswith("/vmas") and len({_vma_places(value) for value in values}) == 1:
        rows = range(len(first))
        return [_merged([value[row] for value in values], f"{path}/{row}", unstable)[0] for row in rows], True
    unstable[path] = values
    return None, False


def _vma_places(vmas: list[dict[str, Any]]) -> tuple[Any, ...]:
    return tuple((vma.get("region"), vma.get("page"), vma.get("count")) for vma in vmas)


def _document(scenario: dict[str, Any], runs: list[dict[str, Any]]) -> dict[str, Any]:
    unstable: dict[str, Any] = {}
    varies: dict[str, Any] = {}
    files, steps = _hard(runs, unstable)
    soft = [
        _merged([run["steps"][number]["soft"] for run in runs], f"steps/{number}", varies)[0] or {}
        for number in range(len(steps))
    ]
    regions = placement(scenario["ops"]).regions
    partial = {} if sees_folios() else {"partial": True}
    return {
        "format": FORMAT,
        **{key: scenario.get(key) for key in ("name", "doc")},
        "scenario": scenario,
        "env": runs[0]["env"],
        "runs": 0,
        "disturbed_runs": 0,
        "resampled": None,
        **partial,
        "regions": {name: {"vpn": vpn, "pages": nr} for name, (vpn, nr) in regions.items()},
        "files": files,
        "selfcheck": runs[0]["selfcheck"],
        "steps": steps,
        "soft": {"unstable": unstable, "varies": varies, "steps": soft},
    }

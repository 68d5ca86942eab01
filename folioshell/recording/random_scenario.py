"""Random scenarios of what a real kernel can do, and scenarios that are a step shorter or plainer.

Rules:
- Seed and number alone decide a scenario: what is drawn comes from ``Lcg``, and no state of a machine is read.
- Each scenario uses only some of the operations, advices and settings. So they meet more often than if all took part in
  each.
- Ranges are of regions that a process has, or had: errors and holes are wanted, but not in every step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from folioshell.contract.histories import Lcg
from folioshell.live.format import (
    ADVICES,
    FILE_KINDS,
    FILE_SYSTEMS,
    KINDS,
    OPERATIONS,
    Op,
    check_scenario,
    new_count,
    region_made,
)

#: how often an operation is chosen; one that is not named: three times
_WEIGHTS = {"touch": 12, "madvise": 10, "fork": 4, "exit": 2, "mmap_over": 2}
#: operations that every scenario can use
_ALWAYS = ("mmap", "touch", "fork", "madvise")
_SIZES = (1, 2, 4, 8, 16, 16, 17, 24, 32, 40, 64, 96, 128)
#: those of regions that get large folios: a folio costs the recorder as much as a page
_LARGE_SIZES = (*_SIZES, 256, 512, 512, 520, 600, 1024, 1536)
_FILE_SIZES = (1, 4, 16, 20, 33, 64, 200, 256, 512, 600)
#: pages by which a region misses the start of a page table
_SKEWS = (0, 0, 0, 1, 3, 16, 100, 256, 480, 496, 504, 511)
_ROOM = (16, 64, 128)
_CHUNKS = (1, 2, 4, 16, 64, 512)
_MTHP = ("16", "32", "64", "128", "256", "512", "1024", "2048")
_MODES = ("madvise", "madvise", "always", "never", "inherit")
_PROTECTIONS = ("rw", "rw", "r", "none")
_MAPPED = ("rw",) * 7 + ("r",)
_FAULT_AROUND = (1, 2, 4, 64)
_LONGEST = 40
_REGIONS = 14
#: processes of a scenario, ever: one in ten has a crowd
_FEW, _CROWD = 6, 20
#: pages that regions of a scenario have at first
_PAGES = 3000


def random_scenario(seed: int, number: int) -> dict[str, Any]:
    """The scenario with this number of those with this seed."""
    return _RandomScenario(Lcg(seed * 0x9E3779B97F4A7C15 + number)).written(f"fuzz-{seed}-{number}")


class _RandomScenario:
    """Writes one scenario."""

    def __init__(self, draw: Lcg) -> None:
        self._draw = draw
        self._ops: list[Op] = []
        #: living process -> the regions that it has or had
        self._living: dict[str, list[str]] = {"A": []}
        self._pages: dict[str, int] = {}
        #: the pages that a region owns and may grow to
        self._rooms: dict[str, int] = {}
        self._ends: list[str] = []
        self._pins: list[Op] = []
        self._started = 1
        self._most = _CROWD if not draw.below(10) else _FEW
        self._setup = self._drawn_setup()
        weights = {**_WEIGHTS, "fork": _CROWD} if self._most == _CROWD else _WEIGHTS
        #: an operation as often as its weight
        self._verbs = [verb for verb in self._some(tuple(OPERATIONS), _ALWAYS) for _ in range(weights.get(verb, 3))]
        self._advices = self._some(tuple(ADVICES), ("pageout",) if "swap" in self._setup else ())
        self._kinds = self._some(KINDS, ("anon",))

    def _some(self, words: Sequence[str], always: Sequence[str]) -> list[str]:
        """About half of the words, one at least."""
        return [word for word in words if word in always or self._draw.below(2)] or [self._draw.choice(words)]

    def _drawn_setup(self) -> dict[str, Any]:
        draw = self._draw
        setup: dict[str, Any] = {}
        if draw.below(2):
            sizes = {draw.choice(_MTHP) for _ in range(draw.between(1, 2))}
            setup["mthp"] = {size: draw.choice(_MODES) for size in sorted(sizes, key=int)}
        if draw.below(2):
            setup["files"] = {f"f{number}": self._file() for number in range(draw.between(1, 2))}
        if not draw.below(5):
            setup["swap"] = True
        if not draw.below(16):
            setup["fault_around"] = draw.choice(_FAULT_AROUND)
        return setup

    def _file(self) -> dict[str, Any]:
        draw = self._draw
        spec = {"pages": draw.choice(_FILE_SIZES), "fs": draw.choice(list(FILE_SYSTEMS)), "cached": draw.below(4) > 0}
        if spec["cached"] and spec["fs"] in ("ext4", "tmpfs_within"):
            spec["chunk_pages"] = draw.choice(_CHUNKS)
        return spec

    def written(self, name: str) -> dict[str, Any]:
        """The scenario."""
        self._mmap("A")
        for _ in range(self._draw.between(3, _LONGEST)):
            if not self._living:
                break
            self._add()
        scenario = {"name": name, "doc": "", "setup": self._setup, "ops": self._ops}
        return check_scenario(scenario)

    def _add(self) -> None:
        """Add an operation; some draws add none."""
        verb, process = self._draw.choice(self._verbs), self._draw.choice(list(self._living))
        handler = self._HANDLERS.get(verb)
        if handler is not None:
            handler(self, process)
        elif self._living[process]:
            self._ops.append(self._range(verb, process))

    # Places.

    def _range(self, verb: str, process: str) -> Op:
        region = self._draw.choice(self._living[process])
        page, count = self._part(self._pages[region])
        return {"op": verb, "proc": process, "region": region, "page": page, "count": count}

    def _part(self, nr: int) -> tuple[int, int]:
        """Whole, a page, a part, or a block of 16 or 512 pages of a region of ``nr`` pages."""
        draw = self._draw
        way = draw.below(10)
        if way < 3:
            return 0, nr
        if way < 5:
            return draw.below(nr), 1
        if way < 7:
            block = draw.choice((4, 16, 512))
            page = draw.below(nr) // block * block
            return page, min(block, nr - page)
        page = draw.below(nr)
        return page, draw.between(1, nr - page)

    def _placed(self, pages: int) -> Op:
        """Where a new region goes."""
        if self._ends and not self._draw.below(5):
            after = self._ends.pop(self._draw.below(len(self._ends)))
            return {"after": after}
        align = 512 if self._draw.below(8) else self._draw.choice((1, 16, 1024))
        return {"align_pages": align, "skew_pages": self._draw.choice(_SKEWS)}

    def _new_region(self, process: str, pages: int, room: int) -> str:
        name = f"r{len(self._pages)}"
        self._pages[name], self._rooms[name] = pages, room
        self._living[process].append(name)
        self._ends.append(name)
        return name

    # Operations.

    def _mapping(self) -> Op:
        """What is mapped: its kind, protection, and THP advice."""
        draw, files = self._draw, self._setup.get("files", {})
        kind = draw.choice([kind for kind in self._kinds if files or kind not in FILE_KINDS])
        keys: Op = {"kind": kind, "prot": draw.choice(_MAPPED)}
        if kind in FILE_KINDS:
            file = draw.choice(list(files))
            keys |= {"file": file, "file_offset_pages": draw.below(files[file]["pages"]) if draw.below(2) else 0}
        thp = draw.choice(("default", "default", "hugepage", "hugepage", "nohugepage"))
        return keys | {"thp": thp}

    def _mmap(self, process: str) -> None:
        mapping = self._mapping()
        pages = self._draw.choice(_LARGE_SIZES if mapping["thp"] == "hugepage" else _SIZES)
        if len(self._pages) >= _REGIONS or sum(self._pages.values()) + pages > _PAGES:
            return
        op = {"op": "mmap", "proc": process, **mapping, "pages": pages, **self._placed(pages)}
        room = pages if self._draw.below(4) else pages + self._draw.choice(_ROOM)
        if room > pages:
            op["room_pages"] = room
        self._ops.append(op | {"region": self._new_region(process, pages, room)})

    def _mmap_over(self, process: str) -> None:
        if self._living[process]:
            self._ops.append({**self._range("mmap_over", process), **self._mapping()})

    def _move(self, process: str, *, resize: bool) -> None:
        if not self._living[process]:
            return
        draw, op = self._draw, self._range("mresize" if resize else "mremap", process)
        room = self._rooms[op["region"]]
        if resize:
            op["new_count"] = draw.between(1, max(room - op["page"], 1))
        if resize and draw.below(2):
            self._pages[op["region"]] = max(self._pages[op["region"]], op["page"] + op["new_count"])
        elif len(self._pages) < _REGIONS:
            nr = new_count(op)
            place = self._placed(nr)
            if not resize and not draw.below(4):
                op["dontunmap"] = True
            op |= {**place, "new_region": self._new_region(process, nr, nr)}
        else:
            return
        self._ops.append(op)

    def _fork(self, process: str) -> None:
        if self._started < self._most:
            child = chr(ord("A") + self._started)
            self._started += 1
            self._living[child] = list(self._living[process])
            self._ops.append({"op": "fork", "proc": process, "child": child})

    def _exit(self, process: str) -> None:
        if len(self._living) > 1 or not self._draw.below(8):
            del self._living[process]
            self._ops.append({"op": "exit", "proc": process})

    def _touch(self, process: str) -> None:
        if self._living[process]:
            self._ops.append(self._range("touch", process) | {"access": self._draw.choice(("read", "write", "write"))})

    def _mprotect(self, process: str) -> None:
        if self._living[process]:
            self._ops.append(self._range("mprotect", process) | {"prot": self._draw.choice(_PROTECTIONS)})

    def _madvise(self, process: str) -> None:
        if self._living[process]:
            self._ops.append(self._range("madvise", process) | {"advice": self._draw.choice(self._advices)})

    def _truncate(self, process: str) -> None:
        if files := self._setup.get("files"):
            file = self._draw.choice(list(files))
            size = self._draw.below(files[file]["pages"] + self._draw.choice((1, 1, 40)))
            self._ops.append({"op": "truncate", "proc": process, "file": file, "size": size})

    def _pin(self, process: str) -> None:
        if self._living[process]:
            self._ops.append(self._range("pin", process))
            self._pins.append(self._ops[-1])

    def _unpin(self, process: str) -> None:
        if pins := [pin for pin in self._pins if pin["proc"] == process]:
            self._ops.append({**self._draw.choice(pins), "op": "unpin"})

    _HANDLERS: Mapping[str, Callable[[_RandomScenario, str], None]] = {
        "mmap": _mmap,
        "mmap_over": _mmap_over,
        "mremap": lambda self, process: self._move(process, resize=False),
        "mresize": lambda self, process: self._move(process, resize=True),
        "fork": _fork,
        "exit": _exit,
        "touch": _touch,
        "mprotect": _mprotect,
        "madvise": _madvise,
        "truncate": _truncate,
        "pin": _pin,
        "unpin": _unpin,
    }


# Shorter and plainer scenarios.

#: the plainest value of keys of an operation
_PLAIN: dict[str, Any] = {
    "pages": 1,
    "count": 1,
    "new_count": 1,
    "page": 0,
    "kind": "anon",
    "prot": "rw",
    "thp": "default",
    "skew_pages": 0,
    "file_offset_pages": 0,
    "size": 0,
    "proc": "A",
    "access": "read",
}
#: keys that an operation can do without
_OPTIONAL = ("after", "room_pages", "dontunmap", "thp", "align_pages")


def without(scenario: dict[str, Any], dropped: range) -> dict[str, Any]:
    """The scenario without some operations, those that need what they make, and files that nothing uses."""
    regions: set[str] = set()
    processes = {"A"}
    ops: list[Op] = []
    for number, op in enumerate(scenario["ops"]):
        used = {op[key] for key in ("region", "after") if key in op} - (
            {op.get("region")} if op["op"] == "mmap" else set()
        )
        if number in dropped or op["proc"] not in processes or not used <= regions:
            continue
        ops.append(op)
        if op["op"] == "fork":
            processes.add(op["child"])
        if made := region_made(op):
            regions.add(made)
    return {**scenario, "setup": _used_setup(scenario["setup"], ops), "ops": ops}


def _used_setup(setup: Mapping[str, Any], ops: Sequence[Op]) -> dict[str, Any]:
    used = {op.get("file") for op in ops}
    files = {name: spec for name, spec in setup.get("files", {}).items() if name in used}
    return {key: value for key, value in setup.items() if key != "files"} | ({"files": files} if files else {})


def plainer_setups(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The scenario with one setting less."""
    setup = scenario["setup"]
    for key in setup:
        if key != "files":
            yield {**scenario, "setup": {name: value for name, value in setup.items() if name != key}}
    mthp = setup.get("mthp", {})
    if len(mthp) > 1:
        for size in mthp:
            yield _with_setup(scenario, "mthp", {name: mode for name, mode in mthp.items() if name != size})


def _with_setup(scenario: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    return {**scenario, "setup": {**scenario["setup"], key: value}}


def plainer_files(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The scenario with one file smaller, cached, on tmpfs, or written page by page."""
    files = scenario["setup"].get("files", {})
    for name, spec in files.items():
        plain = {key: value for key, value in spec.items() if key != "chunk_pages"}
        smaller = [{**spec, "pages": nr} for nr in _smaller(spec["pages"], 1)]
        for other in (plain, {**spec, "cached": True}, {**spec, "fs": "tmpfs"}, *smaller):
            if other != spec:
                yield _with_setup(scenario, "files", {**files, name: other})


def plainer_ops(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The scenario with one operation plainer, or one move less."""
    ops = scenario["ops"]
    for number, op in enumerate(ops):
        if "new_region" in op:
            # Without the move, later operations are on the old region.
            names = {op["new_region"]: op["region"]}
            stay = [{key: names.get(value, value) for key, value in one.items()} for one in ops[number + 1 :]]
            yield {**scenario, "ops": [*ops[:number], *stay]}
        for other in _plainer_op(op):
            changed = [*ops[:number], other, *ops[number + 1 :]]
            if other.get("pages", 0) < op.get("pages", 0):
                changed = [_within(one, op["region"], other["pages"]) for one in changed]
            yield {**scenario, "setup": _used_setup(scenario["setup"], changed), "ops": changed}


def _plainer_op(op: Op) -> Iterator[Op]:
    """An operation with one key less, or a plainer value; one mapping of a file becomes anonymous."""
    for key in _OPTIONAL:
        if key in op:
            yield {name: value for name, value in op.items() if name != key}
    for key, plain in _PLAIN.items():
        found = op.get(key, plain)
        if found == plain:
            continue
        without = ("file", "file_offset_pages") if key == "kind" else ()
        for value in _smaller(found, plain) if isinstance(found, int) else [plain]:
            yield {name: old for name, old in op.items() if name not in without} | {key: value}


def _smaller(value: int, least: int) -> list[int]:
    """Smaller values: the least, a round one, half, one less."""
    halves = [least, 1 << max(value.bit_length() - 1, 0), (value + least) // 2, value - 1]
    return [one for one in dict.fromkeys(halves) if least <= one < value]


def _within(op: Op, region: str, nr: int) -> Op:
    """An operation on a region that now has ``nr`` pages."""
    if op.get("region") != region or "page" not in op:
        return op
    page = min(op["page"], nr - 1)
    return {**op, "page": page, "count": max(min(op["count"], nr - page), 1)}

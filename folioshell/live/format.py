"""The format of scenarios and recordings: the table of operations, the placement of regions, reading and writing.

Rules:
- One table, ``OPERATIONS``, serves the replay on the model, the converter of scripts, and the recorder.
- Only the standard library: a virtual machine runs the recorder with this package alone. docs/recordings.md describes
  the format.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import pairwise
from pathlib import Path
from typing import Any

#: pages of the slot of each operation that creates a region
SLOT = 262144
#: pages of a slot that stay free after its region
SLOT_MARGIN = 512
#: maximum pages of a file, and regions of a scenario
FILE_PAGES = 1 << 21
REGIONS = 256

#: pages that the recorder's disk reads ahead (8192K in /sys/block/DISK/queue/read_ahead_kb)
READ_AHEAD = 2048

Op = dict[str, Any]
Result = dict[str, Any]

#: file system in a scenario -> as typed
FILE_SYSTEMS = {"ext4": "ext4", "tmpfs": "tmpfs", "tmpfs_huge": "tmpfs-huge", "tmpfs_within": "tmpfs-within"}
#: kinds of file mappings
FILE_KINDS = ("file_private", "file_shared", "shmem_file")
#: kinds of mappings
KINDS = ("anon", "anon_shared", *FILE_KINDS)
#: protection of a mapping -> its PROT_ bits
PROTECTIONS = {"none": 0, "r": 1, "rw": 3}
#: advice of madvise -> its MADV_ number (include/uapi/asm-generic/mman-common.h)
ADVICES = {
    "cold": 20,
    "pageout": 21,
    "free": 8,
    "dontneed": 4,
    "hugepage": 14,
    "nohugepage": 15,
    "collapse": 25,
    "populate_read": 22,
    "populate_write": 23,
    "dontfork": 10,
    "dofork": 11,
    "wipeonfork": 18,
    "keeponfork": 19,
    "remove": 9,
    "guard_install": 102,
    "guard_remove": 103,
}


class BadScenario(ValueError):
    """A scenario or recording that is unusable: damaged, of another version, or with an unknown word."""


_Check = Callable[[Any], str]


def _name(value: Any) -> str:
    return "" if isinstance(value, str) and value else "expected a name"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(least: int, most: int) -> _Check:
    def check(value: Any) -> str:
        good = _is_number(value) and least <= value <= most
        return "" if good else f"expected a number from {least} to {most}"

    return check


def _one_of(words: Iterable[str]) -> _Check:
    allowed = list(words)

    def check(value: Any) -> str:
        if value in allowed:
            return ""
        close = get_close_matches(str(value), allowed, n=1)
        return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed)}"

    return check


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "expected true or false"


_PAGES = _number(0, SLOT)
_RANGE = {"proc": _name, "region": _name, "page": _PAGES, "count": _PAGES}
_SHAPE = {"align_pages": _number(1, SLOT // 4), "skew_pages": _PAGES, "after": _name}
_MAPPING = {"kind": _one_of(KINDS), "prot": _one_of(PROTECTIONS)}
_MAPPING_OPTIONS = {
    "thp": _one_of(("default", "hugepage", "nohugepage")),
    "file": _name,
    "file_offset_pages": _number(0, 1 << 40),
}

#: operation -> (required keys, optional keys); like the recorder, we ignore other keys
OPERATIONS: dict[str, tuple[dict[str, _Check], dict[str, _Check]]] = {
    "mmap": (
        {"proc": _name, "region": _name, "pages": _number(1, SLOT), **_MAPPING},
        {**_SHAPE, **_MAPPING_OPTIONS, "room_pages": _number(1, SLOT)},
    ),
    "mmap_over": ({**_RANGE, **_MAPPING}, _MAPPING_OPTIONS),
    "touch": ({**_RANGE, "access": _one_of(("read", "write"))}, {}),
    "fork": ({"proc": _name, "child": _name}, {}),
    "exit": ({"proc": _name}, {}),
    "munmap": (_RANGE, {}),
    "mprotect": ({**_RANGE, "prot": _one_of(PROTECTIONS)}, {}),
    "mlock": (_RANGE, {}),
    "munlock": (_RANGE, {}),
    "madvise": ({**_RANGE, "advice": _one_of(ADVICES)}, {}),
    "mremap": ({**_RANGE, "new_region": _name}, {**_SHAPE, "dontunmap": _flag}),
    "mresize": ({**_RANGE, "new_count": _PAGES}, {**_SHAPE, "new_region": _name}),
    "truncate": ({"proc": _name, "file": _name, "size": _number(0, FILE_PAGES)}, {}),
    "pin": (_RANGE, {}),
    "unpin": (_RANGE, {}),
}


@dataclass(frozen=True, slots=True)
class Placement:
    """The regions of a scenario: (virtual page from the arena's base, pages), in order of creation.

    The k-th operation that creates a region owns slot k, whether it succeeds or not. ``shapes`` are (align, skew) of
    each region.
    """

    regions: dict[str, tuple[int, int]]
    shapes: dict[str, tuple[int, int]]


def region_made(op: Op) -> str:
    """The name of the region that an operation creates; empty if it creates none."""
    name: str = op["region"] if op["op"] == "mmap" else op.get("new_region", "")
    return name


def new_count(op: Op) -> int:
    """Pages of a range after an mremap of it."""
    nr: int = op["new_count"] if "new_count" in op else op["count"]
    return nr


def placement(ops: list[Op]) -> Placement:
    """The placement of regions, from the checked operations alone."""
    placed = Placement({}, {})
    for slot, op in enumerate(op for op in ops if region_made(op)):
        name = region_made(op)
        if op["op"] == "mmap":
            nr, shape = op["room_pages"] if "room_pages" in op else op["pages"], (512, 0)
        else:
            nr, shape = new_count(op), placed.shapes[op["region"]]
        align, skew = op.get("align_pages", shape[0]), op.get("skew_pages", shape[1])
        placed.shapes[name] = (align, skew)
        vpn = sum(placed.regions[op["after"]]) if "after" in op else slot * SLOT + align + skew
        placed.regions[name] = (vpn, nr)
    return placed


_FILE = (
    {"pages": _number(1, FILE_PAGES), "fs": _one_of(FILE_SYSTEMS)},
    {"cached": _flag, "chunk_pages": _number(1, FILE_PAGES)},
)


#: what a setup has besides files and sizes of folios
_SETUP: dict[str, _Check] = {"swap": _flag, "fault_around": _number(1, 512)}


def check_scenario(scenario: Any) -> dict[str, Any]:
    """The scenario itself, validated.

    Raises:
        BadScenario: it is malformed; the message names the place.
    """
    if not isinstance(scenario, dict) or not isinstance(scenario.get("ops"), list):
        raise BadScenario("not a scenario: expected an object with a list `ops`")
    setup = scenario.get("setup", {})
    files, mthp = (setup.get(key) or {} for key in ("files", "mthp")) if isinstance(setup, dict) else (None, None)
    if not isinstance(files, dict) or not isinstance(mthp, dict):
        raise BadScenario("setup: expected objects `files` and `mthp`")
    _check_keys("setup", setup, {}, _SETUP)
    for name, spec in files.items():
        _check_keys(f"file {name}", spec, *_FILE)
    for size, mode in mthp.items():
        _check_mthp(size, mode)
    made: set[str] = set()
    for number, op in enumerate(scenario["ops"]):
        _check_op(f"operation {number}", op, made, files)
    _check_places(scenario["ops"])
    return scenario


def _check_keys(place: str, found: Any, must: Mapping[str, _Check], may: Mapping[str, _Check]) -> None:
    if not isinstance(found, dict):
        raise BadScenario(f"{place}: expected an object")
    for key in must:
        if key not in found:
            raise BadScenario(f"{place}: `{key}` is missing")
    for key, check in (*must.items(), *may.items()):
        if key in found and (wrong := check(found[key])):
            raise BadScenario(f"{place}: `{key}` is {found[key]!r}; {wrong}")


def _check_mthp(size: str, mode: Any) -> None:
    kb = int(size) if size.isascii() and size.isdigit() and len(size) < 8 else 0
    if kb & (kb - 1) or not 16 <= kb <= 2048:
        raise BadScenario(f"setup: no anonymous folios of {size} kB; allowed: 16, 32, … 2048")
    if wrong := _one_of(("always", "madvise", "never", "inherit"))(mode):
        raise BadScenario(f"setup: folios of {size} kB are {mode!r}; {wrong}")


def _check_op(place: str, op: Any, made: set[str], files: Mapping[str, Any]) -> None:
    if not isinstance(op, dict) or "op" not in op:
        raise BadScenario(f"{place}: an object with `op` is wanted")
    verb = op["op"]
    if wrong := _one_of(OPERATIONS)(verb):
        raise BadScenario(f"{place}: no operation {verb!r}; {wrong}")
    place = f"{place}, {verb}"
    _check_keys(place, op, *OPERATIONS[verb])
    used = [op[key] for key in ("region", "after") if key in op and not (key == "region" and verb == "mmap")]
    for name in used:
        if name not in made:
            raise BadScenario(f"{place}: no earlier region {name!r}")
    if (op.get("kind") in FILE_KINDS or verb == "truncate") and op.get("file") not in files:
        raise BadScenario(f"{place}: no file {op.get('file')!r} in the setup")
    name = region_made(op)
    if name:
        _check_made(place, op, name, made)


def _check_made(place: str, op: Op, name: str, made: set[str]) -> None:
    if name in made:
        raise BadScenario(f"{place}: region {name!r} exists already")
    made.add(name)
    align = op.get("align_pages", 1)
    if align & (align - 1):
        raise BadScenario(f"{place}: `align_pages` is {align}; expected a power of two")


def _check_places(ops: list[Op]) -> None:
    placed = placement(ops)
    if len(placed.regions) > REGIONS:
        raise BadScenario(f"{len(placed.regions)} regions; at most {REGIONS} are allowed")
    for name, (_, nr) in placed.regions.items():
        if sum(placed.shapes[name]) + nr > SLOT - SLOT_MARGIN:
            raise BadScenario(f"region {name!r} does not fit its slot of {SLOT} pages")
    spans = sorted((vpn, vpn + nr, name) for name, (vpn, nr) in placed.regions.items())
    for (_, end, name), (start, _, other) in pairwise(spans):
        if end > start:
            raise BadScenario(f"regions {name!r} and {other!r} overlap")


FORMAT = "mm-oracle-recording/1"
_GZIP_MAGIC = b"\x1f\x8b"
#: maximum size of a recording in bytes, unpacked
SIZE = 1 << 28
#: keys of a step, and the type of each
_STEP = {"result": dict, "procs": dict, "folios": list}


@dataclass(frozen=True, slots=True)
class Recording:
    """A scenario, and what a kernel did with it.

    Args:
        name: of the scenario.
        scenario: validated.
        regions: name -> its ``vpn`` and ``pages``.
        files: name -> its specification and ``layout``.
        steps: one row per operation; None for a bare scenario.
        kernel: the version that it was recorded on; empty for a bare scenario.
        partial: was it recorded without root, and has no folios?
        books: the kernel's own counters, flags and tables after each step; None for a step without, () if none has.
    """

    name: str
    scenario: dict[str, Any]
    regions: dict[str, Any]
    files: dict[str, Any]
    steps: list[dict[str, Any]] | None
    kernel: str = ""
    books: Sequence[dict[str, Any] | None] = ()
    partial: bool = False


def load(path: str) -> Recording:
    """Read a recording or a bare scenario, ``.json`` or gzipped.

    Raises:
        BadScenario: it cannot be read, is damaged, or has an unknown word.
    """
    return parse(read(path))


def read(path: str) -> bytes:
    """The JSON text of a file, gzipped or not.

    Raises:
        BadScenario: it cannot be read.
    """
    try:
        with Path(path).open("rb") as stream:
            packed = stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
            data = (gzip.GzipFile(fileobj=stream) if packed else stream).read(SIZE + 1)
    except (EOFError, zlib.error) as error:
        raise BadScenario(f"damaged gzip file: {error}") from None
    except (OSError, ValueError) as error:
        raise BadScenario(f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > SIZE:
        raise BadScenario(f"too large: more than {SIZE >> 20}M bytes{' unpacked' if packed else ''}")
    return data


def parse(data: bytes) -> Recording:
    """The recording or bare scenario in JSON text.

    Raises:
        BadScenario: it is neither.
    """
    return recording_of(document_of(data))


def document_of(data: bytes) -> dict[str, Any]:
    """The object in JSON text.

    Raises:
        BadScenario: there is none.
    """
    try:
        document = json.loads(data)
    except UnicodeDecodeError as error:
        raise BadScenario(f"not UTF-8 text at byte {error.start}") from None
    except json.JSONDecodeError as error:
        cut = not data[error.pos :].strip() or error.msg.startswith("Unterminated string")
        what = "truncated JSON" if cut else f"invalid JSON: {error.msg}"
        raise BadScenario(f"{what} (line {error.lineno}, column {error.colno})") from None
    except (RecursionError, ValueError) as error:
        raise BadScenario(f"unreadable JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadScenario("expected an object: a recording or a scenario")
    return document


def recording_of(document: dict[str, Any]) -> Recording:
    """The recording or bare scenario in a JSON document.

    Raises:
        BadScenario: it is neither.
    """
    if "ops" in document and "format" not in document:
        return Recording(str(document.get("name", "")), check_scenario(document), {}, {}, None)
    return _recording(document)


def _recording(document: dict[str, Any]) -> Recording:
    version = document.get("format")
    if version != FORMAT:
        raise BadScenario(f"unknown format {version!r}")
    scenario = check_scenario(document.get("scenario"))
    regions, files, steps = (document.get(key) for key in ("regions", "files", "steps"))
    if not isinstance(regions, dict) or not isinstance(files, dict) or not isinstance(steps, list):
        raise BadScenario("expected objects `regions` and `files` and a list `steps`")
    if len(steps) != len(scenario["ops"]):
        raise BadScenario(f"{len(steps)} steps for {len(scenario['ops'])} operations")
    for number, step in enumerate(steps):
        _check_step(f"step {number}", step)
    env = document.get("env")
    kernel = str(env.get("kernel", "")) if isinstance(env, dict) else ""
    name = str(document.get("name", scenario.get("name", "")))
    books = _books(document.get("soft"), len(steps))
    return Recording(name, scenario, regions, files, steps, kernel, books, document.get("partial") is True)


def _books(soft: Any, nr: int) -> Sequence[dict[str, Any] | None]:
    """The books of ``nr`` steps: soft, because a second run may differ. A step of which it did has none."""
    steps = soft.get("steps") if isinstance(soft, dict) else None
    if not isinstance(steps, list) or len(steps) != nr:
        return ()
    vary = {str(path).removeprefix("steps/") for key in ("varies", "unstable") for path in soft.get(key) or ()}
    found: list[dict[str, Any] | None] = []
    for number, step in enumerate(steps):
        books = step.get("raw") if isinstance(step, dict) else None
        if books is not None and not _are_books(books):
            raise BadScenario(f"step {number}: expected `raw` with a list `folios` and an object `tables`")
        found.append(None if any(path.startswith(f"{number}/raw") for path in vary) else books)
    return found if any(found) else ()


def _are_books(books: Any) -> bool:
    folios, tables = (books.get(key) for key in ("folios", "tables")) if isinstance(books, dict) else (None, None)
    if not isinstance(folios, list) or not isinstance(tables, dict):
        return False
    return all(_has(row, int, int, dict) for row in folios) and all(
        isinstance(rows, list)
        and all(_has(row, int, list) and all(_has(run, int, int, str) for run in row[1]) for row in rows)
        for rows in tables.values()
    )


def _has(row: Any, *kinds: type) -> bool:
    """Is this a list of values of these types?"""
    return isinstance(row, list) and tuple(map(type, row)) == kinds


def _check_step(place: str, step: Any) -> None:
    if not isinstance(step, dict) or any(not isinstance(step.get(key), kind) for key, kind in _STEP.items()):
        raise BadScenario(f"{place}: expected objects `result` and `procs` and a list `folios`")
    for name, process in step["procs"].items():
        if not isinstance(process, dict) or not isinstance(process.get("vmas"), list):
            raise BadScenario(f"{place}, {name}: expected a list `vmas`")
        if not all(isinstance(row, dict) for row in process["vmas"]):
            raise BadScenario(f"{place}, {name}: a VMA must be an object")
        pages = process.get("pages")
        if not isinstance(pages, dict):
            raise BadScenario(f"{place}, {name}: expected an object `pages`")
        for region, runs in pages.items():
            if not isinstance(runs, list) or not all(_is_run(run) for run in runs):
                raise BadScenario(f"{place}, {name}, {region}: expected runs [page, n, bits, folio, index, kpagecount]")
    if not all(_is_folio(row) for row in step["folios"]):
        raise BadScenario(f"{place}: a folio must have numbers `id`, `n` and `order`")


def _is_run(run: Any) -> bool:
    if not isinstance(run, list) or len(run) != 6 or not isinstance(run[2], str):
        return False
    numbers = [*run[:2], run[3], run[4], run[5]] if run[3] not in ("zero", None) else run[:2]
    return all(type(value) is int and value >= 0 for value in numbers)


def _is_folio(row: Any) -> bool:
    return isinstance(row, dict) and all(type(row.get(key)) is int and row[key] >= 0 for key in ("id", "n", "order"))

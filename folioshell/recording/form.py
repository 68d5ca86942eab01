"""The form of scenarios: which operations there are, what they are made of, and what is wrong with a bad one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

from folioshell.errors import FolioshellError
from folioshell.model.vm import PROT_FLAGS
from folioshell.recording.scenario import FILE_KINDS, FILE_SYSTEMS, SLOT, SLOT_MARGIN, Op, placement
from folioshell.units import parse_number

#: pages of a file at most, and regions of a scenario
FILE_PAGES = 1 << 21
REGIONS = 256

KINDS = ("anon", "anon_shared", *FILE_KINDS)
ADVICES = (
    *("cold", "pageout", "free", "dontneed", "hugepage", "nohugepage", "collapse", "populate_read", "populate_write"),
    *("dontfork", "dofork", "wipeonfork", "keeponfork", "remove"),
)


class BadScenario(FolioshellError):
    """A scenario or recording that cannot be used: damaged, of another version, or with a word that is not known."""


Check = Callable[[Any], str]


def _name(value: Any) -> str:
    return "" if isinstance(value, str) and value else "a name is wanted"


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(least: int, most: int) -> Check:
    def check(value: Any) -> str:
        good = _is_number(value) and least <= value <= most
        return "" if good else f"a number from {least} to {most} is wanted"

    return check


def _one_of(words: Iterable[str]) -> Check:
    allowed = list(words)

    def check(value: Any) -> str:
        if value in allowed:
            return ""
        close = get_close_matches(str(value), allowed, n=1)
        return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(allowed)}"

    return check


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "true or false is wanted"


_PAGES = _number(0, SLOT)
_RANGE = {"proc": _name, "region": _name, "page": _PAGES, "count": _PAGES}
_SHAPE = {"align_pages": _number(1, SLOT // 4), "skew_pages": _PAGES, "after": _name}

#: operation -> (keys that it must have, keys that it may have); other keys are left alone, as the recorder does
OPERATIONS: dict[str, tuple[dict[str, Check], dict[str, Check]]] = {
    "mmap": (
        {
            "proc": _name,
            "region": _name,
            "kind": _one_of(KINDS),
            "pages": _number(1, SLOT),
            "prot": _one_of(PROT_FLAGS),
        },
        {
            **_SHAPE,
            "thp": _one_of(("default", "hugepage", "nohugepage")),
            "file": _name,
            "file_offset_pages": _number(0, 1 << 40),
        },
    ),
    "touch": ({**_RANGE, "access": _one_of(("read", "write"))}, {}),
    "fork": ({"proc": _name, "child": _name}, {}),
    "exit": ({"proc": _name}, {}),
    "munmap": (_RANGE, {}),
    "mprotect": ({**_RANGE, "prot": _one_of(PROT_FLAGS)}, {}),
    "mlock": (_RANGE, {}),
    "munlock": (_RANGE, {}),
    "madvise": ({**_RANGE, "advice": _one_of(ADVICES)}, {}),
    "mremap": ({**_RANGE, "new_region": _name}, {**_SHAPE, "dontunmap": _flag}),
}

_FILE = (
    {"pages": _number(1, FILE_PAGES), "fs": _one_of(FILE_SYSTEMS)},
    {"cached": _flag, "chunk_pages": _number(1, FILE_PAGES)},
)


def check_scenario(scenario: Any) -> dict[str, Any]:
    """The scenario itself, when everything about it is as it should be.

    Raises:
        BadScenario: it is not; the message names the place.
    """
    if not isinstance(scenario, dict) or not isinstance(scenario.get("ops"), list):
        raise BadScenario("no scenario: an object with a list `ops` is wanted")
    setup = scenario.get("setup", {})
    files, mthp = (setup.get(key) or {} for key in ("files", "mthp")) if isinstance(setup, dict) else (None, None)
    if not isinstance(files, dict) or not isinstance(mthp, dict):
        raise BadScenario("setup: objects `files` and `mthp` are wanted")
    for name, spec in files.items():
        _check_keys(f"file {name}", spec, *_FILE)
    for size, mode in mthp.items():
        _check_mthp(size, mode)
    made: set[str] = set()
    for number, op in enumerate(scenario["ops"]):
        _check_op(f"operation {number}", op, made, files)
    _check_places(scenario["ops"])
    return scenario


def _check_keys(place: str, found: Any, must: Mapping[str, Check], may: Mapping[str, Check]) -> None:
    if not isinstance(found, dict):
        raise BadScenario(f"{place}: an object is wanted")
    for key in must:
        if key not in found:
            raise BadScenario(f"{place}: `{key}` is missing")
    for key, check in (*must.items(), *may.items()):
        if key in found and (wrong := check(found[key])):
            raise BadScenario(f"{place}: `{key}` is {found[key]!r}; {wrong}")


def _check_mthp(size: str, mode: Any) -> None:
    kb = parse_number(size) or 0
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
            raise BadScenario(f"{place}: no region {name!r} was made before")
    if verb in ("mmap", "mremap"):
        _check_maker(place, op, made, files)


def _check_maker(place: str, op: Op, made: set[str], files: Mapping[str, Any]) -> None:
    name = op["region"] if op["op"] == "mmap" else op["new_region"]
    if name in made:
        raise BadScenario(f"{place}: region {name!r} exists already")
    made.add(name)
    align = op.get("align_pages", 1)
    if align & (align - 1):
        raise BadScenario(f"{place}: `align_pages` is {align}; a power of two is wanted")
    if op.get("kind") in FILE_KINDS and op.get("file") not in files:
        raise BadScenario(f"{place}: no file {op.get('file')!r} in the setup")


def _check_places(ops: list[Op]) -> None:
    placed = placement(ops)
    if len(placed.regions) > REGIONS:
        raise BadScenario(f"{len(placed.regions)} regions; {REGIONS} are allowed")
    for name, (_, nr) in placed.regions.items():
        if sum(placed.shapes[name]) + nr > SLOT - SLOT_MARGIN:
            raise BadScenario(f"region {name!r} does not fit its slot of {SLOT} pages")
    spans = sorted((vpn, vpn + nr, name) for name, (vpn, nr) in placed.regions.items())
    for (_, end, name), (start, _, other) in pairwise(spans):
        if end > start:
            raise BadScenario(f"regions {name!r} and {other!r} overlap")

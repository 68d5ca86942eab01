"""Recordings and bare scenarios: from a file to what was checked."""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from folioshell.errors import reason_of
from folioshell.recording.form import BadScenario, check_scenario
from folioshell.recording.ptl import FORMAT as PTL_FORMAT
from folioshell.recording.ptl import PtlRecording
from folioshell.recording.ptl import parse as parse_ptl

FORMAT = "mm-oracle-recording/1"
_GZIP_MAGIC = b"\x1f\x8b"
#: keys of a step, and the type of each
_STEP = {"result": dict, "procs": dict, "folios": list}


@dataclass(frozen=True, slots=True)
class Recording:
    """A scenario, and what a kernel was seen doing with it.

    Args:
        name: the scenario's.
        scenario: the scenario, checked.
        regions: name -> its ``vpn`` and ``pages``.
        files: name -> its specification and ``layout``.
        steps: a row an operation; None if only the scenario is there.
    """

    name: str
    scenario: dict[str, Any]
    regions: dict[str, Any]
    files: dict[str, Any]
    steps: list[dict[str, Any]] | None


def load(path: str) -> Recording:
    """Read a recording or a bare scenario, ``.json`` or gzipped.

    Raises:
        BadScenario: it cannot be read, is damaged, or has a word that is not known.
    """
    return parse(read(path))


def load_any(path: str) -> Recording | PtlRecording:
    """As ``load``, of a trace of page-table locks too.

    Raises:
        BadScenario: it cannot be read, is damaged, or has a word that is not known.
    """
    document = _document(read(path))
    return parse_ptl(document) if document.get("format") == PTL_FORMAT else _parsed(document)


def read(path: str) -> bytes:
    """The JSON text of a file, gzipped or not.

    Raises:
        BadScenario: it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
        if data.startswith(_GZIP_MAGIC):
            data = gzip.decompress(data)
    except (EOFError, zlib.error) as error:
        raise BadScenario(f"damaged gzip file: {error}") from None
    except (OSError, ValueError) as error:
        raise BadScenario(f"cannot be read: {reason_of(error)}") from None
    return data


def parse(data: bytes) -> Recording:
    """The recording or bare scenario in JSON text.

    Raises:
        BadScenario: it is none.
    """
    return _parsed(_document(data))


def _document(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except UnicodeDecodeError as error:
        raise BadScenario(f"not UTF-8 text at byte {error.start}") from None
    except json.JSONDecodeError as error:
        cut = not data[error.pos :].strip() or error.msg.startswith("Unterminated string")
        what = "the JSON text ends too early" if cut else f"no JSON: {error.msg}"
        raise BadScenario(f"{what} (line {error.lineno}, column {error.colno})") from None
    except (RecursionError, ValueError) as error:
        raise BadScenario(f"no JSON that we can read: {error}") from None
    if not isinstance(document, dict):
        raise BadScenario("an object is wanted, a recording or a scenario")
    return document


def _parsed(document: dict[str, Any]) -> Recording:
    if "ops" in document and "format" not in document:
        return Recording(str(document.get("name", "")), check_scenario(document), {}, {}, None)
    return _recording(document)


def _recording(document: dict[str, Any]) -> Recording:
    version = document.get("format")
    if version != FORMAT:
        raise BadScenario(f"format {version!r}; {FORMAT!r} and {PTL_FORMAT!r} are those that we know")
    scenario = check_scenario(document.get("scenario"))
    regions, files, steps = (document.get(key) for key in ("regions", "files", "steps"))
    if not isinstance(regions, dict) or not isinstance(files, dict) or not isinstance(steps, list):
        raise BadScenario("objects `regions` and `files` and a list `steps` are wanted")
    if len(steps) != len(scenario["ops"]):
        raise BadScenario(f"{len(steps)} steps for {len(scenario['ops'])} operations")
    for number, step in enumerate(steps):
        _check_step(f"step {number}", step)
    return Recording(str(document.get("name", scenario.get("name", ""))), scenario, regions, files, steps)


def _check_step(place: str, step: Any) -> None:
    if not isinstance(step, dict) or any(not isinstance(step.get(key), kind) for key, kind in _STEP.items()):
        raise BadScenario(f"{place}: objects `result` and `procs` and a list `folios` are wanted")
    for name, process in step["procs"].items():
        if not isinstance(process, dict) or not isinstance(process.get("vmas"), list):
            raise BadScenario(f"{place}, {name}: a list `vmas` is wanted")
        if not all(isinstance(row, dict) for row in process["vmas"]):
            raise BadScenario(f"{place}, {name}: a VMA is an object")
        pages = process.get("pages")
        if not isinstance(pages, dict):
            raise BadScenario(f"{place}, {name}: an object `pages` is wanted")
        for region, runs in pages.items():
            if not isinstance(runs, list) or not all(_is_run(run) for run in runs):
                raise BadScenario(f"{place}, {name}, {region}: runs are [page, n, bits, folio, index, kpagecount]")
    if not all(_is_folio(row) for row in step["folios"]):
        raise BadScenario(f"{place}: a folio has numbers `id`, `n` and `order`")


def _is_run(run: Any) -> bool:
    if not isinstance(run, list) or len(run) != 6 or not isinstance(run[2], str):
        return False
    numbers = [*run[:2], run[3], run[4], run[5]] if run[3] != "zero" else run[:2]
    return all(type(value) is int and value >= 0 for value in numbers)


def _is_folio(row: Any) -> bool:
    return isinstance(row, dict) and all(type(row.get(key)) is int and row[key] >= 0 for key in ("id", "n", "order"))

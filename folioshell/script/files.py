"""Files of the host: the scenarios that come with folioshell, and files that commands write.

Rules:
- A file is written whole or not at all, so that a full disk leaves what was there before.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING

from folioshell.errors import Refused, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# The scenarios that come with folioshell: data of the package, and the folder `scenarios/` of a checkout.


def scenario_folder() -> Path | None:
    """Where the scenarios are that come with folioshell; None if they were not installed."""
    from pathlib import Path

    package = Path(__file__).resolve().parents[1]
    return next((place for place in (package / "scenarios", package.parent / "scenarios") if place.is_dir()), None)


def scenario_names() -> list[str]:
    """Their names, as ``run`` takes them: ``mail/straddle``."""
    place = scenario_folder()
    found = sorted(place.rglob("*.fs")) if place is not None else []
    return [path.relative_to(place).with_suffix("").as_posix() for path in found if place is not None]


def scenario_titles() -> Iterator[tuple[str, str]]:
    """(name, title) of each: the title is its first line of prose."""
    place = scenario_folder()
    for name in scenario_names():
        assert place is not None
        lines = (place / f"{name}.fs").read_text(encoding="utf-8").split("\n")
        yield name, next((line.lstrip("|# ") for line in lines if line.startswith("|")), "")


def path_of(name: str) -> str:
    """The path of a script: a file of this name, else the scenario that has it or alone begins so, else the name."""
    if name == "-" or os.path.exists(name):  # noqa: PTH110 - pathlib is a tenth of what a short script takes to start
        return name
    place = scenario_folder()
    scenario = name.removeprefix("scenarios/").removesuffix(".fs")
    names = scenario_names()
    if scenario not in names:
        # `class/03` is what begins with it, if nothing else does.
        begun = [one for one in names if one.startswith(f"{scenario}-")]
        scenario = begun[0] if len(begun) == 1 else scenario
    return str(place / f"{scenario}.fs") if place is not None and scenario in names else name


def copy_scenarios(target: str) -> int:
    """Copy all of them into a new folder; returns how many.

    Raises:
        Refused: there is such a folder, or it cannot be written.
    """
    # Imported for a copy only.
    from shutil import copytree

    place = scenario_folder()
    if place is None:
        raise Refused("the scenarios were not installed")
    try:
        copytree(place, target)
    except OSError as error:
        raise Refused(f"cannot copy to {target}: {reason_of(error)}", file=target) from None
    return len(scenario_names())


# Files that commands write.


def write_file(path: str, data: bytes) -> None:
    """Write a file; one that exists is replaced atomically and keeps its permissions.

    Symbolic links are followed. Only a regular file can be replaced: a FIFO or device is written to directly, and so is
    a file whose folder is not writable.

    Raises:
        OSError, ValueError: it cannot be written; a file that could be replaced is unchanged.
    """
    from pathlib import Path

    target = Path(os.path.realpath(path))
    if not target.exists():
        _replace(target, data, None)
    elif target.is_file() and os.access(target.parent, os.W_OK):
        # A file that is not writable must not be replaced either.
        with target.open("ab"):
            _replace(target, data, target.stat().st_mode & 0o7777)
    else:
        target.write_bytes(data)


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                temporary.chmod(mode)
            stream.write(data)
            stream.flush()
            # Some file systems report only now that the disk is full.
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(target: Path) -> tuple[Path, int]:
    """A new file beside another one, and its descriptor."""
    for number in count():
        path = target.with_name(f".{target.name[:64]}.{os.getpid()}.{number}")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
    raise AssertionError("numbers do not end")

"""Files of the host: the scenarios that come with folioshell, files that commands write, and the state folder.

Rules:
- A file is written whole or not at all, so that a full disk leaves what was there before.
"""

from __future__ import annotations

import os
from itertools import count
from typing import TYPE_CHECKING, Any

from folioshell.errors import Refused, reason_of
from folioshell.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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


def lesson_number(path: str) -> int:
    """The number that begins a file's name: 3 of ``class/03-cow.fs``; 0 if there is none."""
    stem = path.rpartition("/")[2]
    digits = stem[: len(stem) - len(stem.lstrip("0123456789"))]
    return int(digits) if digits else 0


def shipped_lessons() -> dict[int, str]:
    """Number -> path, in the order of the class."""
    place = scenario_folder()
    paths = (place / "class").glob("*.fs") if place is not None else ()
    return dict(sorted((number, str(path)) for path in paths if (number := lesson_number(path.name))))


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


# The state folder: what is kept from one shell to the next.


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """Our folder in the XDG state directory; None without a home directory."""
    from pathlib import Path

    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "folioshell"
    try:
        return Path.home() / ".local" / "state" / "folioshell"
    except RuntimeError:
        return None


def make_private(folder: Path) -> None:
    """Make a folder, and each one above it that does not exist, accessible to its owner only.

    Raises:
        OSError: one cannot be made.
    """
    for one in reversed((folder, *folder.parents)):
        if not one.exists():
            one.mkdir(exist_ok=True, mode=0o700)


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that it is not found again; returns its new path.

    Raises:
        OSError: it cannot be renamed.
    """
    names = (path.with_name(f"{path.name}.kept{number or ''}") for number in count())
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    return aside


@dataclass(slots=True)
class QuestionRecord:
    """What a learner did with a question or task.

    Attributes:
        tries: answers, the right one included; 0 if it was skipped.
        hints: how many were shown.
        shown: the answer was.
        open: it is still to be answered.
    """

    tries: int = 0
    hints: int = 0
    shown: bool = False
    open: bool = False


class LearnLog:
    """How far a learner is: a file in the state folder, replaced whole with each answer.

    Args:
        folder: the state folder; None to keep nothing.

    Attributes:
        problem: what the user should know of it: that it could not be read, or written; empty if all is well.
    """

    VERSION = 1

    def __init__(self, folder: Path | None) -> None:
        self.path = folder / "learn.json" if folder is not None else None
        self.problem = ""
        #: lesson -> hash of its text, its questions
        self._lessons = self._read()

    def of(self, lesson: str, text: str) -> list[QuestionRecord]:
        """The questions of a lesson up to the first that was not asked; none if its text was another."""
        known = self._lessons.get(lesson)
        return known[1] if known is not None and known[0] == text else []

    def has_other_text(self, lesson: str, text: str) -> bool:
        """Was the lesson begun when its text was another?"""
        return lesson in self._lessons and self._lessons[lesson][0] != text

    def keep(self, lesson: str, text: str, questions: list[QuestionRecord]) -> None:
        """Note what was done in a lesson; other lessons are as another shell may have left them."""
        self._lessons = self._read() | {lesson: (text, questions)}
        if self.path is None:
            return
        try:
            make_private(self.path.parent)
            write_file(str(self.path), self.document().encode())
        except OSError as error:
            self.problem = f"progress is not kept: {self.path}: {reason_of(error)}"

    def document(self) -> str:
        """The whole file: JSON, its keys in a fixed order."""
        # Few sessions learn.
        import json

        lessons = {
            name: {"text": text, "questions": [_plain(one) for one in questions]}
            for name, (text, questions) in sorted(self._lessons.items())
        }
        return json.dumps({"v": self.VERSION, "lessons": lessons}, ensure_ascii=False, separators=(",", ":")) + "\n"

    def _read(self) -> dict[str, tuple[str, list[QuestionRecord]]]:
        """What the file holds; a file that is none of ours is put aside."""
        import json

        if self.path is None or not self.path.exists():
            return getattr(self, "_lessons", {}) if self.path is None else {}
        try:
            return _lessons_of(json.loads(self.path.read_bytes()), self.VERSION)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            reason = reason_of(error) if isinstance(error, OSError) else "it is no progress file of this version"
        try:
            self.problem = f"{self.path} cannot be read: {reason}; it is kept as {set_aside(self.path).name}"
        except OSError as error:
            self.problem = f"{self.path} cannot be read: {reason}; nor can it be renamed: {reason_of(error)}"
        return {}


def _plain(record: QuestionRecord) -> dict[str, int | bool]:
    made: dict[str, int | bool] = {"tries": record.tries, "hints": record.hints, "shown": record.shown}
    return made | {"open": True} if record.open else made


def _lessons_of(document: Any, version: int) -> dict[str, tuple[str, list[QuestionRecord]]]:
    """The lessons of a file.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: it has another form.
    """
    if document["v"] != version:
        raise ValueError
    found = {}
    for name, lesson in document["lessons"].items():
        records = [QuestionRecord(**one) for one in lesson["questions"]]
        if any(one.tries < 0 or one.hints < 0 for one in records):
            raise ValueError
        found[name] = (f"{lesson['text']}", records)
    return found

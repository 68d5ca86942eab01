"""What happened: the steps in branches that share their beginnings, how each ended, and all that its path yielded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, overload

from folioshell.events import Event
from folioshell.model.lock import LockOp
from folioshell.records import NamedTuple, dataclass, field

#: What a kernel path ended with: nothing, an errno, or the accesses that raised a signal.
Ending = str | list[list[Any]] | None

#: What a kernel path yielded.
Happening = LockOp | Event

#: the branch that a session begins with
MAIN = "main"


@dataclass(slots=True, eq=False)
class Entry:
    """A command that was a step. Branches that share a step share its entry.

    Args:
        process: the process that was current when it was typed.
        named: the process, or thread of a process, that was named before it, or empty.
        text: the command in its normal form.
        result: how the kernel ended it; a replay must end the same way.
        left: the process that is current right after it.
        current: the same, after an ``as`` that followed it.
    """

    process: str
    named: str
    text: str
    result: dict[str, Any]
    left: str
    current: str
    #: the step before it, and its number, from 1: set once, when it is appended
    before: Entry | None = field(default=None, init=False, repr=False)
    number: int = field(default=0, init=False)

    @property
    def failure(self) -> str:
        """The errno or the first signal that the kernel ended it with, or empty."""
        return failure_of(self.result)

    @property
    def line(self) -> str:
        """The line that does the same in a script: a failure is announced there."""
        _, text = expected_failure(self.text)
        if self.failure:
            text = f"fails {self.failure} {text}"
        return f"{self.named}: {text}" if self.named else text


class HistoryPoint(NamedTuple):
    """A state: the one after step ``position`` of a branch."""

    branch: str
    position: int


class Branch(Sequence[Entry]):
    """The steps of a branch, in order. It keeps the last one, and each step the one before it.

    So branches share what they have in common, and starting one costs nothing.
    """

    __slots__ = ("tip",)

    def __init__(self, tip: Entry | None = None) -> None:
        self.tip = tip

    def __len__(self) -> int:
        return self.tip.number if self.tip is not None else 0

    def at(self, position: int) -> Entry | None:
        """Step ``position`` of this branch; None for the beginning."""
        entry = self.tip
        while entry is not None and entry.number > position:
            entry = entry.before
        return entry

    @overload
    def __getitem__(self, index: int) -> Entry: ...
    @overload
    def __getitem__(self, index: slice) -> list[Entry]: ...
    def __getitem__(self, index: int | slice) -> Entry | list[Entry]:
        """One step, counted from 0 or from the end, or several."""
        if isinstance(index, int):
            entry = self.at((index if index >= 0 else index + len(self)) + 1)
            if entry is None or not -len(self) <= index < len(self):
                raise IndexError(index)
            return entry
        start, stop, step = index.indices(len(self))
        return list(self._back(start, stop))[::-1][::step]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self[:])

    def __contains__(self, entry: object) -> bool:
        return isinstance(entry, Entry) and self.at(entry.number) is entry

    def _back(self, start: int, stop: int) -> Iterator[Entry]:
        entry = self.at(stop)
        while entry is not None and entry.number > start:
            yield entry
            entry = entry.before


class History:
    """Steps in the order in which they were typed, in one branch or several.

    Attributes:
        branches: branch -> its steps, in the order in which the branches were made.
        current: name of the current branch.
        position: number of steps in force; later ones of the current branch were undone.
        marks: name -> the step that it names; None for the beginning.
    """

    __slots__ = ("branches", "current", "marks", "position")

    def __init__(self) -> None:
        self.branches: dict[str, Branch] = {MAIN: Branch()}
        self.current = MAIN
        self.position = 0
        self.marks: dict[str, Entry | None] = {}

    @property
    def entries(self) -> Branch:
        """All steps of the current branch."""
        return self.branches[self.current]

    @property
    def in_force(self) -> list[Entry]:
        """The steps that led to the present state."""
        return self.entries[: self.position]

    def append(self, entry: Entry) -> list[str]:
        """A step was done; undone steps cannot be redone any more, unless another branch has them.

        Returns the marks that are gone with it.
        """
        branch = self.entries
        forgotten = branch[self.position :] if len(branch) > self.position else []
        entry.before, entry.number = branch.at(self.position), self.position + 1
        branch.tip, self.position = entry, entry.number
        gone = [name for name, marked in self.marks.items() if marked in forgotten and not self.branches_with(marked)]
        for name in gone:
            del self.marks[name]
        return gone

    def note_current(self, process: str) -> None:
        """The current process was switched after the last step."""
        if self.position:
            self.entries[self.position - 1].current = process

    # Names.

    def has_name(self, name: str) -> bool:
        """Does it name a branch or a mark?"""
        return name in self.branches or name in self.marks

    def mark(self, name: str) -> None:
        """Name the present step; a mark of that name moves here."""
        self.marks.pop(name, None)
        self.marks[name] = self.entries.at(self.position)

    def marks_of(self, entry: Entry | None) -> list[str]:
        """The names of a step, None being the beginning."""
        return [name for name, marked in self.marks.items() if marked is entry]

    def marks_in(self, name: str) -> list[str]:
        """The marks of a branch, in the order of its steps."""
        numbers = {mark: 0 if entry is None else entry.number for mark, entry in self.marks.items()}
        branch = self.branches[name]
        held = [mark for mark, entry in self.marks.items() if entry is None or entry in branch]
        return sorted(held, key=numbers.__getitem__)

    def start_branch(self, name: str) -> None:
        """Start a branch at the present step and make it current; the old one keeps its steps."""
        self.branches[name] = Branch(self.entries.at(self.position))
        self.current = name

    def branches_with(self, entry: Entry | None) -> list[str]:
        """The branches that a step belongs to."""
        return [name for name, entries in self.branches.items() if entry is None or entry in entries]

    def shared(self, name: str) -> dict[str, int]:
        """Number of steps that each other branch shares with one."""
        ours = self.branches[name][:]
        counts = {}
        for other, branch in self.branches.items():
            entry = branch.at(len(ours))
            while entry is not None and ours[entry.number - 1] is not entry:
                entry = entry.before
            counts[other] = entry.number if entry is not None else 0
        del counts[name]
        return counts

    def origins(self) -> dict[str, tuple[int, str]]:
        """For each branch, how many steps it shares with an earlier one, and that one; not for the first."""
        first_with: dict[Entry, str] = {}
        found = {}
        for name, branch in self.branches.items():
            entry = branch.tip
            while entry is not None and entry not in first_with:
                first_with[entry] = name
                entry = entry.before
            found[name] = (0, next(iter(self.branches))) if entry is None else (entry.number, first_with[entry])
        del found[next(iter(self.branches))]
        return found

    def point(self, name: str) -> HistoryPoint:
        """Where a name leads: the tip of a branch, or a marked step, in the current branch if it has it."""
        if name in self.branches:
            return HistoryPoint(name, len(self.branches[name]))
        entry = self.marks[name]
        holders = self.branches_with(entry)
        branch = self.current if self.current in holders else holders[0]
        return HistoryPoint(branch, entry.number if entry is not None else 0)

    # Scripts.

    def script(self) -> list[str]:
        """The lines that lead to the present state from a fresh session, its marked steps marked."""
        lines = self._mark_lines(None)
        current = "A"
        for entry in self.in_force:
            if entry.process != current:
                lines.append(f"as {entry.process}")
            lines.append(entry.line)
            lines += self._mark_lines(entry)
            current = entry.left
        if self.position and self.entries[self.position - 1].current not in ("", current):
            lines.append(f"as {self.entries[self.position - 1].current}")
        return lines

    def _mark_lines(self, entry: Entry | None) -> list[str]:
        return [f"mark {name}" for name in self.marks_of(entry)]


@dataclass(slots=True)
class StepRecord:
    """One step.

    Args:
        number: from 1; the state after it has this number.
        process: who ran it.
        command: in its normal form.
        result: how the kernel ended it, as in a report.
        trace: lock operations and events in the order in which they happened.
    """

    number: int
    process: str
    command: str
    result: dict[str, Any]
    trace: Sequence[Happening]

    def events(self) -> Iterator[Event]:
        """Its events in order."""
        for event in self.trace:
            if event.__class__ is not LockOp:
                yield event  # type: ignore[misc]


# Results.


#: the result of every step that succeeded: one object, since most do
_OK: dict[str, Any] = {"ok": True}


def result_of(ending: Ending) -> dict[str, Any]:
    """The result of a kernel path that ended so; no one writes to it."""
    if not ending:
        return _OK
    return {"errno": ending} if isinstance(ending, str) else {"signals": ending}


def failure_of(result: dict[str, Any]) -> str:
    """The errno or the first signal of a result; empty if it is ok."""
    return result.get("errno") or next((signal for _, _, signal in result.get("signals", ())), "")


def is_failure(result: dict[str, Any], expected: str) -> bool:
    """Is this result the failure that was expected (an errno or a signal)?"""
    if result.get("errno") == expected:
        return True
    return any(signal == expected for _, _, signal in result.get("signals", ()))


def expected_failure(text: str, version: str = "") -> tuple[str, str]:
    """(errno or signal that ``fails`` announces, or empty; the command itself) of a command in its normal form.

    Args:
        version: the profile; ``fails[6.1]`` announces nothing under others.
    """
    if not text.startswith(("fails ", "fails[")):
        return "", text
    fails, expected, command = text.split(" ", 2)
    under = fails.removeprefix("fails").strip("[]")
    return "" if under and version not in under.split(",") else expected, command

"""Every kind of value that a kernel path holds where it stops can be snapshotted, so every path can be raced."""

from __future__ import annotations

import inspect
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import CodeType, GeneratorType
from typing import Any

import pytest

from folioshell import Session, paths
from folioshell.engine.machine import Machine
from folioshell.errors import Refused
from folioshell.explore.keys import _PathWriter
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.recording import ptl
from folioshell.recording.observe import emit
from folioshell.recording.ptl import profile_of
from tests.recording.samples import FOLDER

#: what the recordings do not have
SCRIPTS = (
    "set swap on ; mmap buf 16 ; write buf ; reclaim buf[0] ; write buf[0] ; madvise pageout buf ; read buf ; exit",
    "mmap buf 16 ; write buf ; pin buf[0..3] ; fork B ; munmap buf[3] ; unpin buf[3] ; exit",
    "mmap buf 2M align=2M ; madvise hugepage buf ; write buf ; fork B ; migrate buf[0] ; reclaim buf[0] ; split buf[0]",
    "set thp.64K always ; mmap buf 32 ; write buf ; fork B ; migrate buf[0] ; split buf[16] ; reclaim buf[16]",
    "file lib 32 order=4 ; mmap win 32 file=lib ; fault win ; migrate win[0] ; truncate lib 8 ; reclaim win[0]",
    "file lib 32 uncached ; mmap win 32 file=lib ; madvise willneed win ; reclaim f1",
    "set swap on ; mmap buf 2 ; write buf ; madvise pageout buf ; read buf ; write buf ; fork B ; write buf ; exit",
    "set swap on ; mmap buf 4 ; write buf ; madvise pageout buf ; mlock buf ; mremap buf 8 ; mremap buf 2 ; exit",
    "mmap buf 4 ; write buf ; mmap more 4 after=buf ; write more ; munmap buf[2] ; exit",
)
#: under each protocol
COUNTED = (
    "set thp.64K always ; mmap buf 32 align=2M skew=496 ; madvise collapse buf ; write buf ; munmap buf[4]",
    "fork B ; write buf ; write buf[3] ; madvise dontneed buf[4]",
    "madvise dontneed buf[0..15] ; write buf[0] ; madvise dontneed buf[16..31]",
    "file lib 32 order=4 ; mmap win 16 file=lib align=2M skew=504",
    "fault win[0] ; fault win[15] ; madvise dontneed win[0..7] ; fault win[0..7] ; madvise dontneed win[8..15]",
    "fault win ; madvise dontneed win",
    "mprotect buf[8..11] r ; munmap buf[20] ; mremap buf[0..3] new=tail ; exit B ; split buf[16] ; exit",
)


class Frames(_PathWriter):
    """Writes what the frames of a path hold; objects of the machine have names, and are not looked into."""

    def __init__(self) -> None:
        super().__init__({}, {})

    def _write_object(self, value: Any, cls: type) -> Sequence[Any]:
        return () if _is_of_the_machine(value) else super()._write_object(value, cls)

    def written(self, value: Any) -> Any:
        """A value, and all that it refers to."""
        self.write(value)
        return tuple(self.out)


def _is_of_the_machine(value: Any) -> bool:
    return value.__class__.__module__.startswith(("folioshell.model.", "folioshell.engine.", "folioshell.schemes."))


def chain(path: Any) -> Iterator[Any]:
    """A path and those that it waits for."""
    while isinstance(path, GeneratorType):
        yield path
        path = path.gi_yieldfrom


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> set[CodeType]:
    """Write the frames of each path that is run, once for each place where it stops; the code that was seen there."""
    places: set[tuple[CodeType, int]] = set()
    codes: set[CodeType] = set()
    run = Machine.run

    def watched(path: Any) -> Generator[Any, Any, Any]:
        reply = None
        while True:
            try:
                step = path.send(reply)
            except StopIteration as stop:
                return stop.value
            here = [(one.gi_code, one.gi_frame.f_lasti) for one in chain(path)]
            if not places.issuperset(here):
                places.update(here)
                codes.update(code for code, _ in here)
                Frames().written(path)
            reply = yield step

    monkeypatch.setattr(Machine, "run", lambda machine, path: run(machine, watched(path)))
    return codes


def generators(code: CodeType) -> Iterator[CodeType]:
    """The generator functions in a piece of code, without generator expressions: those have no steps of a path."""
    if code.co_flags & inspect.CO_GENERATOR and code.co_name != "<genexpr>":
        yield code
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from generators(inner)


@pytest.mark.full
def test_all_paths(stopped: set[CodeType]) -> None:
    """All kernel paths, driven by the recordings and some scripts, which stop in five of six functions."""
    for file in sorted(FOLDER.rglob("*.gz")):
        recording = ptl.load_any(str(file))
        run = ptl.trace if isinstance(recording, ptl.PtlRecording) else emit
        run(recording.scenario, profile_of(recording))  # type: ignore[operator]
    counted = [f"set decide vmas ; set protocol {name} ; {' ; '.join(COUNTED)}" for name in PROTOCOLS]
    for script in (*SCRIPTS, *counted):
        session = Session(counting=())
        for command in script.split(" ; "):
            with suppress(Refused):
                session.execute(command)

    seen = {(code.co_filename, code.co_qualname) for code in stopped}
    functions = {
        f"{file.stem}.{code.co_qualname}": (code.co_filename, code.co_qualname) in seen
        for file in sorted(Path(paths.__path__[0]).glob("*.py"))
        for code in generators(compile(file.read_text(), str(file), "exec"))
    }
    # Some yield nothing, or only where another thread holds a lock.
    missing = [name for name, was_seen in functions.items() if not was_seen]
    assert len(missing) < len(functions) // 6, missing


@pytest.mark.parametrize(
    "make",
    [
        lambda: iter([1, 2, 3]),
        lambda: iter(array("q", [1, 2, 3])),
        lambda: iter((1, 2, 3)),
        lambda: iter({1: 2, 3: 4}),
        lambda: iter({1: 2, 3: 4}.items()),
        lambda: enumerate([1, 2, 3]),
        lambda: zip([1, 2], (3, 4), strict=True),
        lambda: reversed([1, 2, 3]),
        lambda: map(str, [1, 2, 3]),
        lambda: (number for number in [1, 2, 3]),
    ],
)
def test_iterators(make: Any) -> None:
    """How far an iterator has come is part of a state; one at the same place in equal values is equal."""
    one, other = make(), make()
    fresh = Frames().written(one)
    assert fresh == Frames().written(other)

    next(one)
    assert Frames().written(one) != fresh
    next(other)
    assert Frames().written(one) == Frames().written(other)


@pytest.mark.parametrize("value", [{1: 2}.keys(), {1: 2}.values(), {1: 2}.items(), slice(1, 2)])
def test_views(value: object) -> None:
    """A view of a dictionary is what the dictionary is."""
    assert "1" in str(Frames().written(value))

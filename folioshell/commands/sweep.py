"""Races of all pairs of commands: which set-ups and commands there are, and what exploring a pair finds.

A set-up is a script that leads to a small state, on page tables of 8 entries so that few states follow. A command is a
template: ``{page}`` is a page of the set-up that is mapped, ``{hole}`` one that is not if the set-up has one. A new
set-up or command is a new row.

Rules:
- Each pair is explored once: {a, b}, and not {b, a}. Of parent and child that leaves out which of them does which.
- Commands that the shell does not race are reported, not skipped: they are explored as soon as they race.
- The state is the same before each pair, so the result of a pair does not depend on which others were explored.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement

from folioshell.commands.threads_operand import raceable
from folioshell.contract.histories import Lcg
from folioshell.errors import OutOfTime, Refused
from folioshell.records import NamedTuple
from folioshell.session.session import Session
from folioshell.units import PAGE_SIZE


class SetUp(NamedTuple):
    """A state in which commands race.

    Args:
        name: as it is printed.
        script: commands that lead to it; region ``w`` and folio ``f1`` are what is raced for.
        file: the file mapped at ``w``; empty for anonymous memory.
        page: index in ``w`` of a mapped page, for each thread.
        hole: index of a page that is not mapped, or where all are that of another page, for each thread.
        pinned: the page is pinned.
        guarded: the hole is a guard region.
        threads: who races.
    """

    name: str
    script: str
    file: str = ""
    page: tuple[int, int] = (1, 1)
    hole: tuple[int, int] = (3, 3)
    threads: tuple[str, str] = ("A.t1", "A.t2")
    pinned: bool = False
    guarded: bool = False

    @property
    def commands(self) -> list[RacingCommand]:
        """Those that make sense in it."""
        offers = {"", "file" if self.file else "", "pin" if self.pinned else "", "guard" if self.guarded else ""}
        return [command for command in COMMANDS if command.needs in offers]

    def command(self, number: int, command: RacingCommand, start: int) -> str:
        """A command as a thread types it.

        Args:
            number: of the thread, 0 or 1.
            command: which.
            start: first virtual page of region ``w``.
        """
        page = self.page[number]
        return command.text.format(
            page=page,
            hole=self.hole[number],
            file=self.file,
            address=hex((start + page) * PAGE_SIZE),
            new=f"n{number + 1}",
            child=f"C{number + 1}",
        )


class RacingCommand(NamedTuple):
    """A command that races with all others.

    Args:
        name: as it is printed.
        text: the command, with placeholders.
        needs: ``file`` for file mappings alone, ``pin`` for pinned pages alone, ``guard`` for guard regions alone.
    """

    name: str
    text: str
    needs: str = ""

    @property
    def verb(self) -> str:
        """The command's verb."""
        return self.text.partition(" ")[0]


#: the first command of each set-up
GEOMETRY = "set geometry classroom"
_THP = "set thp.pmd always ; mmap w 8 align=8 ; write w[0]"
_ANON = "mmap w 8 align=8 ; write w[0..2]"
_EXT4 = "file lib 8 order=2 ; mmap w 4 file=lib prot=rw"
_HOLE = "madvise dontneed w[3]"

_FAMILY = ("A", "B")

SETUPS = (
    SetUp("anon", _ANON),
    SetUp("anon, advised hugepage", f"{_ANON} ; madvise hugepage w"),
    SetUp("anon, swapped", f"set swap on ; {_ANON} ; reclaim f2", page=(0, 0), hole=(1, 1)),
    SetUp("anon, pinned", f"{_ANON} ; pin w[1]", pinned=True),
    SetUp("anon, guarded", f"{_ANON} ; madvise guard_install w[3]", guarded=True),
    SetUp("anon, forked", f"{_ANON} ; fork B"),
    SetUp("anon, parent and child", f"{_ANON} ; fork B", threads=_FAMILY),
    SetUp(
        "anon, swapped, parent and child",
        f"set swap on ; {_ANON} ; fork B ; reclaim f2",
        page=(0, 0),
        hole=(1, 1),
        threads=_FAMILY,
    ),
    SetUp("mTHP, partially mapped", f"set thp.16K always ; mmap w 4 ; write w[0] ; {_HOLE}"),
    SetUp("THP, PMD-mapped", _THP),
    SetUp("THP, PTE-mapped", f"{_THP} ; mprotect w[7] r ; mprotect w[7] rw"),
    SetUp("THP, mlocked", f"{_THP} ; mlock w"),
    SetUp("THP, swap on", f"set swap on ; {_THP}"),
    SetUp("THP, parent and child", f"{_THP} ; fork B", threads=_FAMILY),
    SetUp("huge zero page", "mmap x 1 ; write x ; mmap w 8 align=8 ; madvise hugepage w ; read w[0]", hole=(2, 2)),
    SetUp("ext4, order 0", f"file lib 8 ; mmap w 4 file=lib prot=rw ; read w[0] ; {_HOLE}", "lib"),
    SetUp("ext4, order 2", f"{_EXT4} ; read w[0] ; {_HOLE}", "lib"),
    SetUp("ext4, order 2, shared", f"{_EXT4} shared ; write w[0] ; {_HOLE}", "lib"),
    SetUp(
        "ext4, order 2, parent and child",
        f"{_EXT4} ; read w[0] ; {_HOLE} ; fork B ; B: read w[0]",
        "lib",
        threads=_FAMILY,
    ),
    SetUp(
        "ext4, straddling two tables",
        "file lib 16 order=3 ; mmap w 8 file=lib prot=rw align=8 skew=4 ; read w[0] ; read w[4] ; "
        "madvise dontneed w[0] ; madvise dontneed w[7]",
        "lib",
        page=(1, 6),
        hole=(0, 7),
    ),
    SetUp(
        "ext4, order 0, shared",
        "set fault_around 4K ; file lib 8 ; mmap w 4 shared file=lib prot=rw ; read w[0] ; write w[1]",
        "lib",
    ),
    SetUp(
        "ext4, uncached",
        "set read_ahead 16K ; set fault_around 4K ; file lib 8 uncached ; mmap w 8 file=lib prot=rw ; read w[1]",
        "lib",
        hole=(7, 7),
    ),
    SetUp("tmpfs", "file lib 8 fs=tmpfs uncached ; mmap w 8 shared file=lib align=8 ; write w[0..2]", "lib"),
    SetUp(
        "tmpfs-huge",
        "file lib 8 order=3 fs=tmpfs-huge ; mmap w 8 shared file=lib prot=rw align=8 ; read w[0]",
        "lib",
    ),
)

COMMANDS = (
    RacingCommand("read", "read w[{hole}]"),
    RacingCommand("write", "write w[{hole}]"),
    RacingCommand("rewrite", "write w[{page}]"),
    RacingCommand("dontneed", "madvise dontneed w[{page}]"),
    RacingCommand("dontneed all", "madvise dontneed w"),
    RacingCommand("free", "madvise free w[{page}]"),
    RacingCommand("cold", "madvise cold w[{page}]"),
    RacingCommand("pageout", "madvise pageout w"),
    RacingCommand("willneed", "madvise willneed w"),
    RacingCommand("remove", "madvise remove w[{page}]", needs="file"),
    RacingCommand("collapse", "madvise collapse w"),
    RacingCommand("guard_install", "madvise guard_install w[{page}]"),
    RacingCommand("guard_remove", "madvise guard_remove w[{hole}]", needs="guard"),
    RacingCommand("populate_read", "madvise populate_read w[{hole}]"),
    RacingCommand("populate_write", "madvise populate_write w[{hole}]"),
    RacingCommand("munmap", "munmap w[{page}]"),
    RacingCommand("mprotect", "mprotect w[{page}] r"),
    RacingCommand("mremap", "mremap w[{page}] new={new}"),
    RacingCommand("mlock", "mlock w[{page}]"),
    RacingCommand("munlock", "munlock w[{page}]"),
    RacingCommand("mmap", "mmap {new} 1 at={address} fixed"),
    RacingCommand("fork", "fork {child}"),
    RacingCommand("exit", "exit"),
    RacingCommand("reclaim", "reclaim f1"),
    RacingCommand("khugepaged", "khugepaged"),
    RacingCommand("split", "split f1"),
    RacingCommand("migrate", "migrate f1"),
    RacingCommand("pin", "pin w[{page}]"),
    RacingCommand("unpin", "unpin w[{page}]", needs="pin"),
    RacingCommand("truncate", "truncate {file} 1", needs="file"),
)


class Pair(NamedTuple):
    """Two commands that race in a set-up."""

    setup: SetUp
    first: RacingCommand
    second: RacingCommand

    @property
    def name(self) -> str:
        """As it is printed: ``read, split``."""
        return f"{self.first.name}, {self.second.name}"

    @property
    def refused(self) -> str:
        """The verbs that the shell does not race; empty if the pair can race."""
        verbs = raceable()
        return ", ".join(dict.fromkeys(one.verb for one in (self.first, self.second) if one.verb not in verbs))

    def script(self, protocol: str = "") -> str:
        """The commands that lead to the race."""
        chosen = f" ; set decide vmas ; set protocol {protocol}" if protocol else ""
        return f"{GEOMETRY} ; {self.setup.script}{chosen}"

    def race(self, start: int) -> str:
        """The race as it is typed; ``start`` is the first virtual page of region ``w``."""
        threads = [
            f"{label}: {self.setup.command(number, one, start)}"
            for number, (label, one) in enumerate(zip(self.setup.threads, (self.first, self.second), strict=True))
        ]
        return f"race {{ {' ; '.join(threads)} }}"


class PairFinding(NamedTuple):
    """A flaw of a pair, with the number of states that have it and the shortest schedule that leads to it."""

    kind: str
    text: str
    states: int = 1
    schedule: str = ""


class PairResult(NamedTuple):
    """What exploring a pair found.

    Args:
        setup, pair: their names.
        lines: a script of two lines that repeats the race.
        states: distinct states.
        stopped: why it is not exhausted; empty if it is.
        findings: shortest schedule first.
        loop: the shortest schedule to a state that can recur; empty if there is none.
        refused: why it was not explored; empty if it was.
    """

    setup: str
    pair: str
    lines: tuple[str, str]
    states: int = 0
    stopped: str = ""
    findings: tuple[PairFinding, ...] = ()
    loop: str = ""
    refused: str = ""

    @property
    def exhausted(self) -> bool:
        """Was every interleaving explored?"""
        return not self.stopped and not self.refused


def pairs_of(setup: SetUp) -> list[Pair]:
    """All pairs of commands that a set-up has."""
    return [Pair(setup, first, second) for first, second in combinations_with_replacement(setup.commands, 2)]


def sampled(pairs: Sequence[Pair], nr: int, seed: int) -> list[Pair]:
    """So many of some pairs, in their order; equal seeds give equal samples."""
    numbers = Lcg(seed)
    left = list(range(len(pairs)))
    chosen = [left.pop(numbers.below(len(left))) for _ in range(min(nr, len(pairs)))]
    return [pairs[at] for at in sorted(chosen)]


class Sweep:
    """Explores pairs of one set-up, in one session whose state is restored between them.

    Args:
        most: states of a pair, at most.
        protocol: counts VMAs; empty for the kernel's own bookkeeping.
    """

    def __init__(self, most: int, protocol: str = "") -> None:
        self._most = most
        self._protocol = protocol
        self._session: Session | None = None
        self._script = ""

    def explore(self, pair: Pair) -> PairResult:
        """Explore a pair through every interleaving.

        Raises:
            KeyboardInterrupt: it was interrupted.
        """
        session = self._ready(pair.script(self._protocol))
        race = pair.race(session.workspace.regions["w"].start)
        result = PairResult(pair.setup.name, pair.name, (self._script, race))
        if pair.refused:
            return result._replace(refused=f"{pair.refused} cannot race")
        try:
            session.execute(f"{race} max-states={self._most}")
        except Refused as error:
            return result._replace(refused=error.message)
        except (OutOfTime, MemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - it is what a sweep looks for
            self._session = None
            return result._replace(findings=(PairFinding("internal error", _what_and_where(error)),))
        verdict = session.verdict
        assert verdict is not None
        if verdict.stopped == "interrupted":
            raise KeyboardInterrupt
        findings = tuple(PairFinding(one.kind, one.text, one.states, one.schedule) for one in verdict.findings)
        return result._replace(states=verdict.states, stopped=verdict.stopped, findings=findings, loop=verdict.loop)

    def _ready(self, script: str) -> Session:
        if self._session is None or script != self._script:
            self._session, self._script = Session(counting=()), script
            self._session.execute(script)
        return self._session


def _what_and_where(error: Exception) -> str:
    """An exception, and the function that raised it: ``KeyError: 2 in folioshell.paths.collapse._collapse()``."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = ""
    if trace is not None:
        frame = trace.tb_frame
        place = f" in {frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}(), line {trace.tb_lineno}"
    return f"{type(error).__name__}: {error}{place}"

"""Hostile input: huge ranges with few pages, golden lines with many gaps, limits as low as can be, long histories."""

from __future__ import annotations

from random import Random

from folioshell.session.host import Limits

#: sessions begin with one of these now and then: terabytes, or all that a small geometry has
SPARSE_SETUPS = (
    "mmap a 64T at=0x10000 ; write a[0] ; mmap b 1",
    "mmap a 63T at=0x10000 ; fork B ; write a[16000000000]",
    "file lib 32 order=4 ; mmap win 1T file=lib ; fault win[3] ; mmap a 64T at=0x10000 ; fault a[9]",
    "set geometry classroom ; mmap a 1 at=0x10000 ; mmap b 1 ; fault a ; fault b",
    "set geometry classroom ; mmap a 15M at=0x10000 ; fault a[0] ; fault a[3000]",
)
_FAR = ("0", "1", "7", "511", "512", "3000", "262143", "262144", "30000000", "200000000", "16000000000", "17179869183")
_LENGTHS = ("1", "8", "64K", "15M", "1G", "1T", "64T", "99T")
_RANGE_COMMANDS = (
    *(
        "munmap {place}",
        "mprotect {place} none",
        "mprotect {place} r",
        "mprotect {place} rw",
        "mremap {place} {length}",
    ),
    *("madvise dontneed {place}", "madvise cold {place}", "madvise free {place}", "madvise hugepage {place}"),
    *("madvise pageout {place}", "madvise collapse {place}", "madvise wipeonfork {place}", "mremap {place} new=d"),
    *("mlock {place}", "pin {place}", "pin {place} longterm", "fork C count={few}", "exit", "exit A", "exit B"),
    *("walk {place}", "show tables", "show smaps", "diff", "cost", "why {place}", "show folios", "picture {place}"),
    *("mmap d {length}", "mmap d {length} at=0x{page}000", "query present? {place}", "rmap f{few}"),
    *("fault {name}[{far}]", "write {name}[{far}]", "read {name}[{far}]", "undo", "redo"),
)
_LONG = (
    *("for i in 1..{many} {{ set swap on }}", "for i in 1..{many} {{ branch b$i ; set swap on }}"),
    *("for i in 1..{many} {{ branch b$i }}", "for i in 1..{many} {{ mmap m$i 1 ; write m$i }}"),
    *("for i in 1..{few} {{ fork C$i ; C$i: write a[$i] }}", "for i in 1..{few} {{ undo ; redo }}"),
    *("for i in 1..{few} {{ for j in 1..{few} {{ write a[$j] }} }}", "for i in 1..999999999999 {{ write a[$i] }}"),
    *("for i in 1..{few} {{ mremap a $i }}", "for i in 1..{few} {{ race {{ A.t1: munmap a[$i] }} ; undo }}"),
    *("fork K count={few}", "fork K count={many}", "fork K count=0", "fork K count=1 ; exit K1"),
)
_RACES = (
    "race {{ A.t1: munmap {place} }} ; trace events",
    "race {{ A.t1: munmap {place} ; A.t2: write {place} }} max-states=1",
    "race {{ A.t1: madvise collapse {place} ; A.t2: write {place} }} max-states={few}",
    "race {{ A.t1: fault {place} ; B.t1: write {place} }} ; undo ; redo ; trace events",
    "race {{ A.t1: madvise cold {place} ; A.t2: munmap {place} }} ; exit A ; trace events",
)
_PIECES = (" ", "a", "e", "f", "0", "1", ":", ",", "ma", "f1", " 0", "→", "x", "")
_GAP = "[..]"


def line(random: Random, names: list[str]) -> str:
    """A line for a state that few pages make, and that is large by another measure.

    Args:
        random: what is drawn from.
        names: of regions; none does as well.
    """
    name = random.choice(names or ["a"])
    first, last = random.choice(_FAR), random.choice(_FAR)
    return random.choice(random.choice((_RANGE_COMMANDS, _RANGE_COMMANDS, _LONG, _RACES))).format(
        name=name,
        place=random.choice((name, name, f"{name}[{first}..{last}]", f"{name}[{first}+{last}]", f"{name}[{first}]")),
        length=random.choice(_LENGTHS),
        far=first,
        few=random.randint(1, 9),
        many=random.choice((20, 100, 600)),
        page=format(random.randrange(16, 1 << 12), "x"),
    )


def limits(random: Random, usual: Limits) -> Limits:
    """Usual limits, mostly; else many steps, or some limits as low as can be."""
    roll = random.random()
    if roll < 0.85:
        return usual
    if roll < 0.9:
        return usual._replace(steps=4000)
    low = {name: random.choice((0, 1, 2)) for name in ("pages", "files", "processes", "steps", "states")}
    return usual._replace(**{name: most for name, most in low.items() if random.random() < 0.4})


def golden(random: Random, near: list[str]) -> str:
    """A line of a golden block with up to hundreds of gaps.

    Args:
        random: what is drawn from.
        near: golden lines, one of which gets gaps; without any, the text between gaps is made up.
    """
    if near and random.random() < 0.5:
        text = random.choice(near)[2:]
        return "> " + "".join(_GAP if random.random() < 0.3 else character for character in text)
    piece, nr = random.choice(_PIECES), random.choice((1, 3, 8, 30, 300))
    same = random.random() < 0.5
    return (
        "> "
        + _GAP
        + "".join((piece if same else random.choice(_PIECES)) + _GAP for _ in range(nr))
        + random.choice("ab\x20")
    )

"""One sentence a step: the system call or access, and what it changed. Composed from events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from folioshell.intervals import Intervals, together, union
from folioshell.records import NamedTuple
from folioshell.session.entries import joined_where
from folioshell.session.step_events import Copy, NewFolios, StepEvents, folios_text, runs_text
from folioshell.units import format_pages
from folioshell.wording import counted, folio_run, pages_text

#: more clauses of one kind than this are counted instead of written out
LISTED = 3
#: more pages than this are copied without a word on why
REASONED = 16


def sentence(
    subject: str, step: StepEvents, result: dict[str, Any], reason: Callable[[Copy], str] = lambda _: ""
) -> str:
    """The sentence of a step.

    Args:
        subject: its opening: ``A wrote win[0..15]``, ``munmap(win[3])``.
        step: what happened.
        result: how the kernel ended it.
        reason: why a page had to be copied, as a relative clause; empty if nothing is to be said.
    """
    told = (_ending(result), _scans(step), _answers(step), _writes(step, reason), _folios(step), _vmas(step))
    clauses = [*chain(*told), *_events(step)]
    return f"{subject}: {'; '.join(clauses)}." if clauses else f"{subject}."


def _ending(result: dict[str, Any]) -> list[str]:
    if "errno" in result:
        return [f"failed with {result['errno']}"]
    counts: Counter[str] = Counter()
    for _, nr, signal in result.get("signals", ()):
        counts[signal] += nr
    return [f"{counted(nr, 'access', 'accesses')} raised {signal}" for signal, nr in counts.items()]


def _scans(step: StepEvents) -> list[str]:
    """How many of the blocks that khugepaged looked at are collapsed now."""
    blocks = [event.collapsed for event in step.scans if event.result]
    if not blocks:
        return ["no block to collapse"] if step.scans else []
    return [f"{sum(blocks)} of {counted(len(blocks), 'block')} collapsed"]


def _answers(step: StepEvents) -> list[str]:
    """Queries of the deciding scheme, equal answers counted."""
    counts: dict[tuple[str, str], dict[int, None]] = {}
    for event in step.asked:
        counts.setdefault((event.scheme, event.answer), {})[event.folio] = None
    clauses = []
    for (scheme, answer), folios in counts.items():
        which = folios_text(sorted(folios)) if len(folios) <= LISTED else counted(len(folios), "folio")
        clauses.append(f"{which} shared? {answer} ({scheme})")
    if step.walks:
        clauses.append(counted(len(step.walks), "rmap walk"))
    return clauses


class _Written(NamedTuple):
    """Pages of one large folio, or order-0 folios with consecutive numbers, that writes treated alike.

    Args:
        folio, order, first: the first page.
        nr: number of pages.
        copy: the order-0 folio that is a copy of the first page; 0 if none is.
        reason: why they were copied.
    """

    folio: int
    order: int
    first: int
    nr: int
    copy: int = 0
    reason: str = ""

    def goes_on(self, later: _Written) -> bool:
        """Are the pages of ``later`` the next ones, and treated alike?"""
        end = (self.folio, self.first + self.nr) if self.order else (self.folio + self.nr, 0)
        copy = self.copy and self.copy + self.nr
        same = (self.order, self.reason) == (later.order, later.reason)
        return same and (later.folio, later.first, later.copy) == (*end, copy)

    def joined(self, later: _Written) -> _Written:
        """Both as one; ``later`` continues this one."""
        return self._replace(nr=self.nr + later.nr)

    def __str__(self) -> str:
        if not self.order:
            return folio_run(self.folio, self.nr)
        return f"f{self.folio}" if self.nr == 1 << self.order else f"{pages_text(self.first, self.nr)} of f{self.folio}"


def _writes(step: StepEvents, reason: Callable[[Copy], str]) -> list[str]:
    """Which pages writes copied, and which they made writable where they are."""
    nr_copies = sum(copy.nr for copy in step.copies)
    if nr_copies <= REASONED:
        singly = (page for copy in step.copies for page in copy.singly())
        copies = (_Written(one.old, one.order, one.page, 1, one.folio, reason(one)) for one in singly)
    else:
        copies = (_Written(one.old, one.order, one.page, one.nr, one.folio) for one in step.copies)
    copied = joined_where(copies, _Written.goes_on, _Written.joined)
    writes = (_Written(one.folio, one.order, one.first, one.nr) for one in step.reused)
    reused = joined_where(writes, _Written.goes_on, _Written.joined)
    clauses = [
        f"{folio_run(run.copy, run.nr)} {'is a copy' if run.nr == 1 else 'are copies'} of {run}{run.reason}"
        for run in copied
    ]
    if len(copied) > LISTED:
        clauses = [f"{counted(nr_copies, 'page')} copied"]
    if len(reused) > LISTED:
        return [*clauses, f"{counted(sum(run.nr for run in reused), 'page')} made writable, no copy"]
    # After a wrong answer another process does map them: that is the finding.
    alone = "{}" if step.findings else "no one else maps {}:"
    return [*clauses, *(f"{alone.format(run)} made writable, no copy" for run in reused)]


def _folios(step: StepEvents) -> list[str]:
    """What happened to folios."""
    clauses = [*_made(step), *_split(step)]
    clauses += _entries({number: n for number, n in step.mapped.items() if number not in step.new}, "mapped")
    # New ones are said to be mapped where they are introduced; pieces of a folio that was split are not new memory.
    small = step.nr_small_mapped
    for first, nr, new in step.new.runs():
        if not new.origin and new.order == 0:
            small -= sum(n for _, n, mapped in step.small_mapped.pieces(first, nr) if mapped)
    if small > 0:
        clauses.append(f"{counted(small, 'entry', 'entries')} of order-0 folios mapped")
    clauses += [
        f"f{number} PMD-mapped{f' by {n} entries' if n > 1 else ''}"
        for number, n in [(number, n) for number, n in step.pmd_mapped.items() if number not in step.new][:LISTED]
    ]
    clauses += _entries(step.moved, "moved")
    # Where it was split or dropped, an event says what became of it.
    told = {event.text.partition(" at ")[0] for event in step.tracepoints if event.text.startswith("PMD mapping of ")}
    gone = [f"PMD mapping of f{number}" for number in step.pmd_unmapped]
    clauses += [f"{mapping} removed" for mapping in gone if mapping not in told][:LISTED]
    copied = Counter(copy.old for copy in step.copies if copy.order)
    unmapped = {number: n - copied[number] for number, n in step.unmapped.items() if n > copied[number]}
    clauses += _entries(unmapped, "unmapped")
    small = step.nr_small_unmapped - sum(copy.nr for copy in step.copies if not copy.order)
    if small:
        clauses.append(f"{counted(small, 'entry', 'entries')} of order-0 folios unmapped")
    origins = _origins(step)
    freed = union(step.freed)
    for number in origins:
        freed.drop(number)
    if freed:
        clauses.append(f"{_which(freed)} freed")
    return clauses


def _origins(step: StepEvents) -> set[int]:
    return {new.origin for _, _, new in step.new.runs() if new.origin}


def _which(folios: Intervals[bool]) -> str:
    runs = [(first, nr) for first, nr, _ in folios.runs()]
    return runs_text(runs) if len(runs) <= LISTED else counted(len(folios), "folio")


def _entries(counts: dict[int, int], done: str) -> list[str]:
    if len(counts) > LISTED:
        total = sum(counts.values())
        return [f"{counted(total, 'entry', 'entries')} of {counted(len(counts), 'folio')} {done}"]
    return [f"{counted(n, 'entry', 'entries')} of f{number} {done}" for number, n in counts.items()]


def _made(step: StepEvents) -> list[str]:
    """New folios, alike ones together: how large, and how they were mapped."""
    groups: dict[tuple[int, bool, str], Intervals[bool]] = {}
    for first, nr, new, mapping in _introduced(step):
        groups.setdefault((new.order, new.anon, mapping), Intervals()).put(first, nr, True)
    clauses = []
    for (order, anon, mapping), folios in groups.items():
        size = f"order {order}, {format_pages(1 << order)}"
        kind = "new" if anon else "new in the page cache"
        clauses.append(f"{_which(folios)} ({size}{' each' if len(folios) > 1 else ''}) {kind}{mapping}")
    return clauses


def _introduced(step: StepEvents) -> Iterator[tuple[int, int, NewFolios, str]]:
    """(first, nr, what they have in common, how they were mapped) of new memory that is no copy."""
    copies: Intervals[bool] = Intervals()
    for copy in step.copies:
        copies.put(copy.folio, copy.nr, True)
    for first, nr, new in step.new.runs():
        if new.origin:
            continue
        if new.order:
            yield from ((number, 1, new, _mapping(number, new, step)) for number in range(first, first + nr))
        else:
            pieces = together(step.small_mapped.pieces(first, nr), copies.pieces(first, nr))
            for start, length, (mapped, is_copy) in pieces:
                if not is_copy:
                    yield start, length, new, ", mapped" if mapped else ""


def _mapping(number: int, new: NewFolios, step: StepEvents) -> str:
    if number in step.pmd_mapped:
        return ", PMD-mapped"
    entries = step.mapped.get(number, 0)
    if not entries:
        return ""
    return ", PTE-mapped" if entries == 1 << new.order else f", {counted(entries, 'entry', 'entries')} mapped"


def _split(step: StepEvents) -> list[str]:
    pieces: dict[int, Intervals[bool]] = {}
    for first, nr, new in step.new.runs():
        if new.origin:
            pieces.setdefault(new.origin, Intervals()).put(first, nr, True)
    if len(pieces) > LISTED:
        return [f"{counted(len(pieces), 'folio')} split into {sum(map(len, pieces.values())):,}"]
    return [f"f{number} split into {_which(parts)}" for number, parts in pieces.items()]


def _vmas(step: StepEvents) -> list[str]:
    kinds = (("VMA split", step.vma_splits), ("VMA merge", step.vma_merges))
    return [counted(len(found), what) for what, found in kinds if found]


def _events(step: StepEvents) -> list[str]:
    """Other events, equal ones counted."""
    said = (
        *(f"f{number} split" for number in _origins(step)),
        *(f"f{number} mapped by a PMD entry" for number in step.pmd_mapped),
    )
    counts = Counter(event.text for event in step.tracepoints if not event.text.startswith(said))
    if len(counts) > LISTED:
        return [f"{counted(sum(counts.values()), 'other event')}, see `trace`"]
    return [text if nr == 1 else f"{nr} x {text}" for text, nr in counts.items()]

"""A history as a script of the shell: its processes map and unmap what the address spaces of the history do."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from folioshell.contract.histories import RandomHistory
from folioshell.contract.player import TABLE_PAGES, Player

#: the shell numbers MM-IDs from 1: a history whose highest is above this is not written down
_PROCESSES = 300
#: steps that change PTEs of the large folio and nothing else
_STEPS = frozenset({"map", "unmap", "fork", "fork-all", "exit", "exit-all", "swap"})
_REGIONS = ("win", "two")

#: (MM-ID, region) -> pages of the large folio that are mapped there
Mapped = dict[tuple[int, int], frozenset[int]]


def script_of(history: RandomHistory, scheme: str) -> tuple[str, ...]:
    """Commands that lead to the same entries; none if the folio is not file memory or a step has no command.

    Args:
        scheme: the name of the scheme whose answer is shown at the end.
    """
    player = Player(history, [])
    if history.anon or player.table_pages != TABLE_PAGES or any(step.kind not in _STEPS for step in history.steps):
        return ()
    before: Mapped = {}
    alive: set[int] = set()
    ended: set[int] = set()
    lines: list[str] = []
    for step in history.steps:
        player.play(step)
        after = _mapped(player)
        alive |= set(player.world.vmas)
        gone = alive - set(player.world.vmas) - ended
        lines += [line for place in sorted({*before, *after}) for line in _changes(place, before, after, gone)]
        lines += [f"exit {_process(mm)}" for mm in sorted(gone)]
        ended |= gone
        before = after
        # The shell gives the MM-ID of a process that ended to no other.
        if ended & set(player.world.vmas) or max(alive) > _PROCESSES:
            return ()
    mms = player.world.mms_of(player.large)
    beginning = (*_beginning(history, scheme), *_forks(max(alive, default=1)))
    return (*beginning, *lines, f"expect truth mms f1 == {len(mms)}", *_questions(before))


def _beginning(history: RandomHistory, scheme: str) -> list[str]:
    nr = 1 << history.order
    settings = f"set geometry classroom ; set fault_around 4K ; set schemes {scheme}"
    maps = [f"mmap {name} {nr} file=lib prot=r align={TABLE_PAGES} skew={history.skew}" for name in _REGIONS]
    return [settings, f"file lib {nr} order={history.order}", *maps]


def _forks(highest: int) -> list[str]:
    """Processes up to that MM-ID, eight in a line."""
    names = [_process(mm) for mm in range(2, highest + 1)]
    return [" ; ".join(f"fork {name}" for name in names[at : at + 8]) for at in range(0, len(names), 8)]


def _process(mm: int) -> str:
    return "A" if mm == 1 else f"P{mm}"


def _mapped(player: Player) -> Mapped:
    places = ((mm, region) for mm in player.world.vmas for region in range(len(_REGIONS)))
    return {place: frozenset(pages) for place in places if (pages := player.present(*place))}


def _changes(place: tuple[int, int], before: Mapped, after: Mapped, gone: set[int]) -> list[str]:
    mm, region = place
    old, new = before.get(place, frozenset()), after.get(place, frozenset())
    commands = [f"fault {pages} read" for pages in _runs(region, new - old)]
    if mm not in gone:
        commands += [f"madvise dontneed {pages}" for pages in _runs(region, old - new)]
    return [f"{_process(mm)}: {command}" for command in commands]


def _runs(region: int, pages: frozenset[int]) -> Iterator[str]:
    """``win[3..5]`` for each run of pages."""
    for _, group in groupby(enumerate(sorted(pages)), key=lambda item: item[1] - item[0]):
        run = [page for _, page in group]
        last = f"..{run[-1]}" if len(run) > 1 else ""
        yield f"{_REGIONS[region]}[{run[0]}{last}]"


def _questions(mapped: Mapped) -> list[str]:
    """The answers to a process that maps the folio, the number if none does."""
    if not mapped:
        return ["query mapcount f1"]
    (mm, region), pages = min(mapped.items())
    return [f"query shared? {_process(mm)}:{_REGIONS[region]}[{min(pages)}]"]

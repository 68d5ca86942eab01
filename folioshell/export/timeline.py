"""The timeline of a schedule: a column a thread, time downwards, the locks that a thread holds as bars.

It is drawn from the ``schedule`` of a document, or from one of the ``schedules`` of a race. A step of the schedule is a
group of rows, so that a page can show the first steps alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

from folioshell.export.figure import COLORS, WIDTH, svg_of
from folioshell.records import NamedTuple

Schedule = Mapping[str, Any]

_ROW = 11
_BAR = 9
_HEAD = 16
_LETTER = 4.95
_MARGIN = 15
#: what is written for an action that is not its own word
_WORDS = {"trylock": "try", "unlock": "drop", "wait": "wait for", "downgrade": "downgrade", "read": "read"}


class ScheduleRow(NamedTuple):
    """One line of the timeline.

    Args:
        text: what the thread does.
        held: thread -> the locks that it holds then.
        bad: it waits.
    """

    text: str
    held: Mapping[str, tuple[str, ...]]
    bad: bool = False


def timeline(schedule: Schedule, ident: str, title: str) -> str:
    """The timeline as SVG; its description is the list of what is done, in words."""
    threads: Sequence[str] = schedule["threads"]
    groups = list(rows_of(schedule))
    colors = {lock: f"c{at % COLORS}" for at, lock in enumerate(_locks(groups))}
    width = WIDTH / len(threads)
    parts = [f'<text x="{at * width:g}" y="11" class="b">{escape(thread)}</text>' for at, thread in enumerate(threads)]
    y = _HEAD
    for number, (thread, rows) in enumerate(groups, 1):
        drawn = [f'<path class="g" d="M0 {y:g}h{WIDTH}"/><text class="s k" x="0" y="{y + 8.5:g}">{number}</text>']
        for row in rows:
            drawn += _row(row, threads, thread, width, y, colors)
            y += _ROW
        said = f"{thread} {'; '.join(row.text for row in rows)}"
        parts.append(f'<g class="r" data-s="{escape(said)}">{"".join(drawn)}</g>')
    words = " ".join(
        f"{number}. {thread}: {'; '.join(row.text for row in rows)}." for number, (thread, rows) in enumerate(groups, 1)
    )
    return svg_of((WIDTH, y + 2), ident, title, words, "".join(parts))


def rows_of(schedule: Schedule) -> Iterator[tuple[str, list[ScheduleRow]]]:
    """(thread, its rows) of each step: what it does, and what is held meanwhile."""
    held: dict[str, list[str]] = {thread: [] for thread in schedule["threads"]}
    for step in schedule["steps"]:
        thread, mine = step["thread"], held[step["thread"]]
        rows = []
        for action in step["actions"]:
            lock = action.get("lock", "")
            if action["action"] in ("lock", "trylock") and lock not in mine:
                mine.append(lock)
            rows.append(ScheduleRow(_text(action), {name: tuple(locks) for name, locks in held.items()}))
            if action["action"] == "unlock" and lock in mine:
                mine.remove(lock)
        # A trylock may have failed, and a VMA is unlocked with mmap_lock: what is held is what the document says.
        now = [row["lock"] for row in step["held"] if row["thread"] == thread]
        mine[:] = [lock for lock in mine if lock in now] + [lock for lock in now if lock not in mine]
        after = {name: tuple(locks) for name, locks in held.items()}
        if "waits" in step:
            rows.append(ScheduleRow(f"waits for {step['waits']['lock']}", after, bad=True))
        if step.get("ends"):
            rows.append(ScheduleRow("ends", after))
        yield thread, rows or [ScheduleRow("continues", after)]


def _text(action: Mapping[str, str]) -> str:
    if action["action"] == "event":
        return action["text"]
    word = _WORDS.get(action["action"], action["action"])
    mode = f" ({action['mode']})" if action.get("mode") else ""
    return f"{word} {action['lock']}{mode}"


def _locks(groups: Sequence[tuple[str, Sequence[ScheduleRow]]]) -> list[str]:
    found = (lock for _, rows in groups for row in rows for locks in row.held.values() for lock in locks)
    return list(dict.fromkeys(found))


def _row(
    row: ScheduleRow, threads: Sequence[str], mine: str, width: float, y: float, colors: Mapping[str, str]
) -> Iterator[str]:
    """The bars of all threads, and what one of them does."""
    for at, thread in enumerate(threads):
        x = _MARGIN + at * width
        for lock in row.held[thread]:
            yield f'<rect class="h {colors[lock]}" x="{x:g}" y="{y:g}" width="{_BAR - 1}" height="{_ROW}"/>'
            x += _BAR
        if thread == mine:
            room = int((_MARGIN + (at + 1) * width - x - 4) / _LETTER)
            text = row.text if len(row.text) <= room else f"{row.text[: room - 1]}…"
            kind = "s bad" if row.bad else "s"
            yield f'<text x="{x + 2:g}" y="{y + 8.5:g}" class="{kind}">{escape(text)}</text>'

"""What is watched: a line each, with old and new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.report import Watched, WatchedValue
from folioshell.views.blocks import Block, Line, Span, Tone
from folioshell.views.glyphs import ARROW


def watched_blocks(watched: Sequence[Watched]) -> Iterator[Block]:
    """``watch 1  f1: per-page, mm-id 1 → 2``; values that are equal stand together."""
    for one in watched:
        label = Span(f"watch {one.number}  {one.text}: ", Tone.STRONG)
        if one.note:
            yield Line((label, Span(f"nothing to read now: {one.note}", Tone.DIM)))
        else:
            yield Line((label, *_values(one.values)))


def _values(values: dict[str, WatchedValue]) -> Iterator[Span]:
    groups: dict[WatchedValue, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    for value, names in groups.items():
        between = "; " if value is not next(iter(groups)) else ""
        changed = value.old != value.new
        text = f"{value.old or '-'} {ARROW} {value.new}" if changed else value.new
        # A single value is what the watch's own words say.
        yield Span(f"{between}{', '.join(names)} " if len(values) > 1 else "")
        yield Span(text, Tone.CHANGED if changed else Tone.PLAIN)

"""A refusal: the line, a caret under the word, what is allowed, the nearest right word, and that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.errors import FolioshellError, KernelBug, Refused
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.measure import columns_of
from folioshell.views.signs import visible

_INDENT = 2
# ASCII on purpose: its spelling must not move the caret.
_CUT = "..."
_FACTS_OF_A_BUG = 12


def refusal_blocks(error: Refused, width: int, step: int | None = None) -> list[Block]:
    """What a refusal says.

    Args:
        error: the refusal.
        width: columns; a line that is longer is shown around the place.
        step: the step that the session is still at; None where there is no session to reassure about.
    """
    return list(_parts(error, width, step))


def _parts(error: Refused, width: int, step: int | None) -> Iterator[Block]:
    yield Line((Span(f"{place_text(error)}error: ", Tone.BAD), Span(visible(error.message), Tone.STRONG)))
    if error.text.strip() and error.start is not None:
        yield from _caret(error.text, error.start, error.end, max(width - _INDENT, 8))
    elif error.text.strip():
        yield Line((Span(_window(visible(error.text), 0, max(width - _INDENT, 8))[0]),), _INDENT, wraps=False)
    if error.allowed:
        yield Line((Span("allowed: ", Tone.STRONG), Span(visible(", ".join(error.allowed)))))
    if error.hint:
        yield Line((Span("help: ", Tone.GOOD), Span(_help(visible(error.hint)))))
    if step is not None:
        yield line(f"note: nothing was changed; still at step {step}", Tone.DIM)


def bug_blocks(error: FolioshellError, step: int | None = None) -> list[Block]:
    """A broken invariant of the model with the last facts before it, oldest first, or a replay that went astray."""
    broken = isinstance(error, KernelBug)
    facts = error.facts[-_FACTS_OF_A_BUG:] if isinstance(error, KernelBug) else ()
    blocks: list[Block] = [
        Line((Span("KERNEL BUG: " if broken else "BUG: ", Tone.LOUD), Span(visible(str(error)), Tone.BAD))),
        *(line(visible(str(fact)), indent=_INDENT) for fact in facts),
        line("This is a bug of folioshell, not of what was typed."),
    ]
    if step is not None:
        blocks.append(line(f"note: the command was taken back; still at step {step}", Tone.DIM))
    return blocks


def place_text(error: Refused) -> str:
    """``file:line:column: `` as compilers write it, as far as it is known; the column counts from 1."""
    if not error.file:
        return ""
    parts = [visible(error.file)]
    if error.line:
        parts.append(str(error.line))
        if error.start is not None:
            parts.append(str(error.start + 1))
    return ":".join(parts) + ": "


def _help(hint: str) -> str:
    """A hint that is one word is the nearest right one; a longer one speaks for itself."""
    return hint if " " in hint else f"did you mean {hint}?"


def _caret(text: str, start: int, end: int | None, room: int) -> Iterator[Block]:
    shown = visible(text)
    start = min(start, len(shown))
    end = max(start + 1, min(end if end is not None else start + 1, max(len(shown), start + 1)))
    shown, shift = _window(shown, start, room)
    start, end = start - shift, min(end - shift, len(shown) + 1)
    before = columns_of(shown[:start])
    carets = "^" * max(1, columns_of(shown[start:end]) or 1)
    yield Line((Span(shown),), _INDENT, wraps=False)
    yield Line((Span(" " * before), Span(carets[: max(1, room - before)], Tone.BAD)), _INDENT, wraps=False)


def _window(text: str, place: int, room: int) -> tuple[str, int]:
    """``text`` or the part around ``place`` that fits, and by how many characters the place moved left."""
    if columns_of(text) <= room:
        return text, 0
    inner = max(1, (room - 2 * len(_CUT)) // (1 if text.isascii() else 2))
    first = max(0, min(place - inner // 3, len(text) - inner))
    piece = text[first : first + inner]
    head = _CUT if first else ""
    tail = _CUT if first + inner < len(text) else ""
    return head + piece + tail, first - len(head)

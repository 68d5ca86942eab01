"""A refusal: the line, a caret under the word, what is allowed, the nearest right word, and that nothing changed."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.errors import FolioshellError, KernelBug, Refused, SchemeError
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.measure import columns_of

_INDENT = 2
# Of very many names those nearest to what was typed are in the hint.
_MOST_ALLOWED = 24
# ASCII on purpose: its spelling must not move the caret.
_CUT = "..."
_EVENTS_OF_A_BUG = 12
_LINES_OF_A_BUG = 5


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
        yield from caret_blocks(error.text, error.start, error.end, max(width - _INDENT, 8))
    elif error.text.strip():
        yield Line((Span(_window(visible(error.text), 0, max(width - _INDENT, 8))[0]),), _INDENT, wraps=False)
    if error.allowed:
        left = len(error.allowed) - _MOST_ALLOWED
        more = f", … and {left:,} more" if left > 0 else ""
        yield Line((Span("allowed: ", Tone.STRONG), Span(visible(", ".join(error.allowed[:_MOST_ALLOWED])) + more)))
    if error.hint:
        yield Line((Span("help: ", Tone.GOOD), Span(_help(visible(error.hint)))))
    if step is not None:
        # What stands in a file before the place stays done.
        changed = "this command changed nothing; at" if error.file else "nothing was changed; still at"
        yield line(f"note: {changed} step {step}", Tone.DIM)


def bug_blocks(error: Exception, step: int | None = None, typed: str = "") -> list[Block]:
    """What should never happen, and what was typed to make it happen.

    A broken invariant comes with the last events before it, oldest first, an error of the program with the last lines
    that it came through. An error within a definition that was loaded is not called a bug of folioshell.
    """
    if isinstance(error, SchemeError):
        blocks = [*_definition_failed(error)]
    else:
        broken = isinstance(error, KernelBug)
        blocks = [
            Line((Span("KERNEL BUG: " if broken else "BUG: ", Tone.LOUD), Span(visible(_named(error)), Tone.BAD))),
            *(line(visible(text), indent=_INDENT) for text in _evidence(error)),
            line("This is a bug of folioshell, not of what was typed."),
        ]
    if typed:
        blocks.append(Line((Span("typed: "), Span(visible(typed)))))
    if step is not None:
        blocks.append(line(f"note: the command was taken back; still at step {step}", Tone.DIM))
    return blocks


def _definition_failed(error: SchemeError) -> Iterator[Block]:
    what = f"the definition {error.scheme} failed in {error.asked}(): {error.error}"
    yield Line((Span("!!! FINDING: ", Tone.LOUD), Span(visible(what), Tone.BAD)))
    if error.told:
        yield line(f"it was told: {visible(error.told)}", indent=_INDENT)


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, FolioshellError) else f"{type(error).__name__}: {error}"


def _evidence(error: Exception) -> list[str]:
    """The last events before a broken invariant, or the last lines that an error of the program came through."""
    if isinstance(error, KernelBug):
        return [str(event) for event in error.events[-_EVENTS_OF_A_BUG:]]
    if isinstance(error, FolioshellError):
        return []
    # A tenth of what a short script takes to start, for what should never happen.
    from traceback import extract_tb

    frames = extract_tb(error.__traceback__)[-_LINES_OF_A_BUG:]
    return [f"{frame.filename}:{frame.lineno}: {frame.name}()" for frame in frames]


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


def caret_blocks(text: str, start: int, end: int | None, room: int, indent: int = _INDENT) -> Iterator[Block]:
    """A line as typed, or the part of it that fits into ``room`` columns, with a caret under a place in it."""
    shown = visible(text)
    start = min(start, len(shown))
    end = max(start + 1, min(end if end is not None else start + 1, max(len(shown), start + 1)))
    shown, shift = _window(shown, start, room)
    start, end = start - shift, min(end - shift, len(shown) + 1)
    before = columns_of(shown[:start])
    carets = "^" * max(1, columns_of(shown[start:end]) or 1)
    yield Line((Span(shown),), indent, wraps=False)
    yield Line((Span(" " * before), Span(carets[: max(1, room - before)], Tone.BAD)), indent, wraps=False)


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

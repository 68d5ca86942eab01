"""Refusals: what is wrong, the line with a caret, what is allowed, a hint, the unchanged state. Internal errors."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.errors import FolioshellError, KernelBug, LoadedCodeError, Refused, SchemeError
from folioshell.views.blocks import Block, Drawing, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.layout import columns_of
from folioshell.views.words import caret_words

_INDENT = 2
# The hint has the names nearest to the input.
_MOST_ALLOWED = 24
# ASCII on purpose: its spelling must not move the caret.
_CUT = "..."
_EVENTS_OF_A_BUG = 12
_LINES_OF_A_BUG = 5


def refusal_blocks(error: Refused, width: int, step: int | None = None) -> list[Block]:
    """A refusal as blocks.

    Args:
        error: the refusal.
        width: columns; a longer line is shown around the place.
        step: the step that the session is still at; None without a session.
    """
    return list(_parts(error, width, step))


def _parts(error: Refused, width: int, step: int | None) -> Iterator[Block]:
    yield Line((Span(f"{place_text(error)}error: ", Tone.BAD), Span(visible(error.message), Tone.STRONG)))
    if error.text.strip() and error.start is not None:
        yield caret_block(error.text, error.start, error.end, max(width - _INDENT, 8))
    elif error.text.strip():
        yield Line((Span(_window(visible(error.text), 0, max(width - _INDENT, 8))[0]),), _INDENT, wraps=False)
    if error.allowed:
        left = len(error.allowed) - _MOST_ALLOWED
        more = f", … and {left:,} more" if left > 0 else ""
        yield Line((Span("allowed: ", Tone.STRONG), Span(visible(", ".join(error.allowed[:_MOST_ALLOWED])) + more)))
    if error.hint:
        yield Line((Span("help: ", Tone.GOOD), Span(_help(visible(error.hint)))))
    if step is not None:
        # The lines of a file before the place were executed.
        changed = "the refused command changed nothing; now at" if error.file else "state unchanged; still at"
        yield line(f"note: {changed} step {step}", Tone.DIM)


def bug_blocks(error: Exception, step: int | None = None, typed: str = "") -> list[Block]:
    """An internal error, and the input that led to it.

    A broken invariant comes with the last events before it, oldest first; any other error with the end of its
    traceback. An error in loaded code is reported as that, not as an internal error.
    """
    if isinstance(error, LoadedCodeError):
        blocks = [*_loaded_code_failed(error)]
    else:
        broken = isinstance(error, KernelBug)
        blocks = [
            Line(
                (
                    Span("KERNEL BUG: " if broken else "INTERNAL ERROR: ", Tone.LOUD),
                    Span(visible(_named(error)), Tone.BAD),
                )
            ),
            *(line(visible(text), indent=_INDENT) for text in _evidence(error)),
            line("This is a bug in folioshell, not in the input; please report it."),
        ]
    if typed:
        blocks.append(Line((Span("input: "), Span(visible(typed)))))
    if step is not None:
        blocks.append(line(f"note: command discarded, state unchanged; still at step {step}", Tone.DIM))
    return blocks


def _loaded_code_failed(error: LoadedCodeError) -> Iterator[Block]:
    yield Line((Span("!!! FINDING: ", Tone.LOUD), Span(visible(str(error.args[0])), Tone.BAD)))
    if isinstance(error, SchemeError) and error.told:
        yield line(f"event: {visible(error.told)}", indent=_INDENT)


def _named(error: Exception) -> str:
    return str(error) if isinstance(error, FolioshellError) else f"{type(error).__name__}: {error}"


def _evidence(error: Exception) -> list[str]:
    """The last events before a broken invariant, or the end of a traceback."""
    if isinstance(error, KernelBug):
        return [str(event) for event in error.events[-_EVENTS_OF_A_BUG:]]
    if isinstance(error, FolioshellError):
        return []
    # traceback costs a tenth of a short script's start.
    from traceback import extract_tb

    frames = extract_tb(error.__traceback__)[-_LINES_OF_A_BUG:]
    return [f"{frame.filename}:{frame.lineno}: {frame.name}()" for frame in frames]


def place_text(error: Refused) -> str:
    """``file:line:column: `` as compilers print it, as far as known; the column counts from 1."""
    if not error.file:
        return ""
    parts = [visible(error.file)]
    if error.line:
        parts.append(str(error.line))
        if error.start is not None:
            parts.append(str(error.start + 1))
    return ":".join(parts) + ": "


def _help(hint: str) -> str:
    """A hint of one word is a suggested spelling; a longer one is a sentence."""
    return hint if " " in hint else f"did you mean {hint}?"


def caret_block(text: str, start: int, end: int | None, room: int, indent: int = _INDENT) -> Drawing:
    """A line, or the part of it that fits into ``room`` columns, with carets under a place."""
    shown = visible(text)
    start = min(start, len(shown))
    end = max(start + 1, min(end if end is not None else start + 1, max(len(shown), start + 1)))
    return Drawing(lambda _: _carets(shown, start, end, room, indent), lambda: [*caret_words(shown, start, end)])


def _carets(shown: str, start: int, end: int, room: int, indent: int) -> list[Line]:
    shown, shift = _window(shown, start, room)
    start, end = start - shift, min(end - shift, len(shown) + 1)
    before = columns_of(shown[:start])
    carets = "^" * max(1, columns_of(shown[start:end]) or 1)
    return [
        Line((Span(shown),), indent, wraps=False),
        Line((Span(" " * before), Span(carets[: max(1, room - before)], Tone.BAD)), indent, wraps=False),
    ]


def _window(text: str, place: int, room: int) -> tuple[str, int]:
    """``text`` or the part around ``place`` that fits, and the number of characters cut on the left."""
    if columns_of(text) <= room:
        return text, 0
    inner = max(1, (room - 2 * len(_CUT)) // (1 if text.isascii() else 2))
    first = max(0, min(place - inner // 3, len(text) - inner))
    piece = text[first : first + inner]
    head = _CUT if first else ""
    tail = _CUT if first + inner < len(text) else ""
    return head + piece + tail, first - len(head)

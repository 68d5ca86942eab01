"""The prompt of a terminal: line editing, completion, hints, color, suggestions and history.

Its toolbar has a hint about the command at the cursor, and the state of the session.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import Input
from prompt_toolkit.input.typeahead import get_typeahead, store_typeahead
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import PromptSession

from folioshell.commands.complete import Hint, complete, hint
from folioshell.commands.lex import is_open, line_before
from folioshell.model.lock import LockOp
from folioshell.script.files import make_private, state_folder
from folioshell.session.history import Happening
from folioshell.session.session import Session
from folioshell.shell.highlight import STYLE, CommandLexer
from folioshell.shell.repl import has_input
from folioshell.views.glyphs import ELLIPSIS
from folioshell.views.layout import columns_of

_OPEN_BRACE = " continues until the brace is closed; Ctrl-C cancels"
_TIP = " the right arrow accepts the suggestion  |"

#: number of locks shown
MOST_LOCKS = 6
_BETWEEN = "  |  "
#: a blank before a hint, two before its meaning
_MARGINS = 3
#: a meaning that is truncated to fewer columns is left out
_LEAST_MEANING = 16
#: bytes read from the end of the history file: some ten thousand lines, which take a few hundredths of a second
MOST_READ = 1 << 19


class PromptReader:
    """Reads lines with prompt_toolkit. While a brace is open, Enter begins a new line.

    Args:
        session: completes names from it and shows where it is.
        history: of typed lines; by default the file in the XDG state directory.
        when_idle: called once, when the first prompt is on the screen.
        source, sink: another terminal than the process's own.
    """

    def __init__(
        self,
        session: Session,
        *,
        history: History | None = None,
        when_idle: Callable[[], None] | None = None,
        source: Input | None = None,
        sink: Output | None = None,
    ) -> None:
        self._session = session
        self._is_open = lru_cache(maxsize=4)(is_open)
        # The key that accepts a suggestion is shown until the first line with a suggestion has been typed.
        self._tip = _TIP
        self._tip_seen = False
        self._warning = ""
        self._offered = ""
        self._prompt: PromptSession[str] = PromptSession(
            history=open_history(history_path(os.environ)) if history is None else history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=CommandCompleter(session),
            lexer=CommandLexer(),
            multiline=Condition(lambda: self._is_open(self.typed)),
            prompt_continuation=_continuation,
            style=STYLE,
            include_default_pygments_style=False,
            bottom_toolbar=self._toolbar,
            input=source,
            output=sink,
        )
        self._when_idle = when_idle

    def read(self, prompt: str) -> str:
        """The next line, or several; see LineReader."""
        if self._tip_seen:
            self._tip = ""
        offered, self._offered = self._offered, ""
        return self._prompt.prompt([("class:prompt", prompt)], pre_run=self._arrange_idle_call, default=offered)

    def keep(self, text: str) -> bool:
        """Append text to the history; see LineReader."""
        self._prompt.history.append_string(text)
        return True

    def offer(self, text: str) -> bool:
        """The next line begins as this text; see LineReader."""
        self._offered = text
        return True

    def warn(self, text: str) -> None:
        """Show a warning in the toolbar; see LineReader."""
        self._warning = text

    def waiting(self) -> bool:
        """Was more typed than has been read? prompt_toolkit keeps what it read beyond the last line."""
        source = self._prompt.app.input
        ahead = get_typeahead(source)
        store_typeahead(source, ahead)
        return bool(ahead) or has_input(source.fileno())

    @property
    def typed(self) -> str:
        """The line so far."""
        return self._prompt.default_buffer.text

    @property
    def suggested(self) -> str:
        """The suggested rest of the line."""
        suggestion = self._prompt.default_buffer.suggestion
        return suggestion.text if suggestion else ""

    @property
    def offered(self) -> list[str]:
        """The completions in the menu."""
        state = self._prompt.default_buffer.complete_state
        return [completion.text for completion in state.completions] if state else []

    def _toolbar(self) -> StyleAndTextTuples:
        """A hint about the command at the cursor, if there is one, above the state of the session."""
        width = self._prompt.app.output.get_size().columns
        line = line_before(self._prompt.default_buffer.document.text_before_cursor)
        found = hint(self._session, line, len(line))
        tip = self._tip if self.suggested and len(self._tip) < width // 2 else ""
        self._tip_seen |= bool(tip)
        state: StyleAndTextTuples = [("", tip), ("", state_text(self._session, width - len(tip)))]
        if self._warning:
            state = [("class:bottom-toolbar.warning", f" {self._warning}"[:width]), ("", "\n"), *state]
        if found is not None:
            return [*hint_pieces(found, width), ("", "\n"), *state]
        if self._is_open(self.typed):
            return [("", _OPEN_BRACE[:width]), ("", "\n"), *state]
        return state

    def _arrange_idle_call(self) -> None:
        if self._when_idle is None:
            return
        call, self._when_idle = self._when_idle, None
        rendered = self._prompt.app.after_render

        def once(_: object) -> None:
            rendered.remove_handler(once)
            call()

        rendered.add_handler(once)


def _continuation(width: int, number: int, wrapped: int) -> str:
    """The prompt of a continuation line: dots, or blanks where a long line is wrapped."""
    return " " * width if wrapped else "... ".rjust(width)


class CommandCompleter(Completer):
    """Completes verbs, options and names from the command language."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Candidates at the cursor, in the language's order; none if the only candidate is typed already.

        On an empty line there are candidates only on request (Tab).
        """
        line = line_before(document.text_before_cursor)
        if complete_event.text_inserted and not line.strip():
            return
        found = complete(self.session, line, len(line))
        if len(found) == 1 and line[found[0].start :] == found[0].text:
            return
        for candidate in found:
            yield Completion(
                candidate.text, start_position=candidate.start - len(line), display_meta=candidate.description
            )


def history_path(environ: Mapping[str, str]) -> Path | None:
    """The history file; None without a home directory."""
    folder = state_folder(environ)
    return folder / "history" if folder is not None else None


class LineHistory(FileHistory):
    """Lines in a file to which several shells may append; each sees those that were there when it started.

    A line repeated in succession is stored once. If the file is no longer writable, new lines are kept in memory only.
    """

    def load_history_strings(self) -> Iterable[str]:
        """The lines at the end of the file, newest first."""
        with suppress(OSError), Path(os.fsdecode(self.filename)).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - MOST_READ, 0))
            text = stream.read(MOST_READ).decode("utf-8", "replace")
            # An entry is the lines that begin with +; the first one may be incomplete.
            entries = text.split("\n# ")[1:]
            found = ["\n".join(row[1:] for row in entry.split("\n") if row.startswith("+")) for entry in entries]
            return [entry for entry in reversed(found) if entry]
        return []

    def append_string(self, string: str) -> None:
        """Add a line, unless it repeats the last one."""
        if self.get_strings()[-1:] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Append a line to the file."""
        with suppress(OSError):
            super().store_string(string)


def open_history(path: Path | None) -> History:
    """The history in a file, readable by its owner only; in memory if the file is not writable."""
    if path is None:
        return InMemoryHistory()
    try:
        make_private(path.parent)
        path.touch(mode=0o600)
        with path.open("ab"):
            pass
    except OSError:
        return InMemoryHistory()
    return LineHistory(path)


# The toolbar.


def state_text(session: Session, width: int) -> str:
    """The state of a session: process, step, deciding scheme, protocol under test, last page-table locks.

    Args:
        width: columns; items that do not fit are left out, the last ones first.
    """
    parts = list(_state_parts(session, MOST_LOCKS))
    for most in (3, 1):
        if columns_of(_joined(parts)) > width:
            parts = list(_state_parts(session, most))
    while len(parts) > 1 and columns_of(_joined(parts)) > width:
        parts.pop()
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return " " + _BETWEEN.join(parts)


def _state_parts(session: Session, most_locks: int) -> Iterable[str]:
    workspace = session.workspace
    kernel = workspace.kernel
    line = f" of {session.history.current}" if len(session.history.branches) > 1 else ""
    yield f"process {session.process or 'none'}"
    yield f"step {session.step}{line}"
    yield f"decide {kernel.decider.name}"
    if kernel.protocol is not None:
        yield f"protocol {kernel.protocol.name}"
    if session.spawned is not None:
        yield f"running {' '.join(session.spawned.names)}"
    if workspace.journal:
        locks = last_locks(workspace.journal[-1].trace, most_locks)
        yield f"last PTLs {' '.join(locks)}" if locks else "no PTLs taken"


def last_locks(events: Sequence[Happening], most: int = MOST_LOCKS) -> list[str]:
    """Names of the last page-table locks taken, in order; an ellipsis first if there were more."""
    names: list[str] = []
    for event in reversed(events):
        if isinstance(event, LockOp) and event.verb == "+" and event.lock.lock_class.is_page_table_lock:
            if len(names) == most:
                names.append(ELLIPSIS)
                break
            names.append(event.lock.name)
    return names[::-1]


def hint_pieces(hint: Hint, width: int) -> StyleAndTextTuples:
    """A hint in one line: the verb, the signature around the part at the cursor, and the meaning of that part.

    Args:
        width: columns; the signature gets those that the meaning leaves.
    """
    half = width // 2
    parts = [part if len(part) <= half else part[:half] + ELLIPSIS for part in hint.parts]
    first = max(hint.current, 1)
    last = max(hint.current + 1, first)
    room = width - _width(parts, first, last) - _MARGINS
    meaning = hint.meaning if len(hint.meaning) <= room else hint.meaning[: max(room - 1, 0)] + ELLIPSIS
    if room < min(len(hint.meaning), _LEAST_MEANING):
        meaning = ""
    room = width - len(meaning) - _MARGINS
    # The parts to the left are typed already; those to the right matter more.
    while last < len(parts) and _width(parts, first, last + 1) <= room:
        last += 1
    while first > 1 and _width(parts, first - 1, last) <= room:
        first -= 1
    pieces: StyleAndTextTuples = []
    for at in _shown(parts, first, last):
        marked = at is not None and at == hint.current
        pieces += [("", " "), (f"class:bottom-toolbar.{'current' if marked else 'hint'}", _text(parts, at))]
    return [*pieces, ("class:bottom-toolbar.meaning", f"  {meaning}" if meaning else "")]


def _shown(parts: Sequence[str], first: int, last: int) -> list[int | None]:
    """Indexes of the verb and of parts ``[first, last)``; None where some are left out."""
    left = [None] if first > 1 else []
    right = [None] if last < len(parts) else []
    return [0, *left, *range(first, last), *right]


def _text(parts: Sequence[str], at: int | None) -> str:
    return ELLIPSIS if at is None else parts[at]


def _width(parts: Sequence[str], first: int, last: int) -> int:
    return len(" ".join(_text(parts, at) for at in _shown(parts, first, last)))

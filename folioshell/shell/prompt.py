"""The prompt of a terminal: line editing, completion, hints, colour, suggestions, history and a toolbar."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import PromptSession

from folioshell.commands.hint import hint
from folioshell.commands.lines import is_open, line_before
from folioshell.session.session import Session
from folioshell.shell.completion import CommandCompleter
from folioshell.shell.highlight import STYLE, CommandLexer
from folioshell.shell.history_file import history_path, open_history
from folioshell.shell.toolbar import hint_pieces, state_text

_GOES_ON = " goes on until the brace is closed; Ctrl-C gives up"
_TIP = " the right arrow takes what is suggested  |"


class PromptReader:
    """Reads lines with prompt_toolkit. Enter goes on in a new line while a brace is open.

    Args:
        session: completes names from it and shows where it is.
        history: of typed lines; by default the file in the XDG state directory.
        when_idle: called once, when the first prompt is on the screen.
        source, sink: a terminal other than the process's own.
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
        # The key that takes a suggestion is told while the first line for which there is one is typed.
        self._tip = _TIP
        self._tip_seen = False
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
        """The next line, or several; see Reader."""
        if self._tip_seen:
            self._tip = ""
        return self._prompt.prompt([("class:prompt", prompt)], pre_run=self._arrange_idle_call)

    def keep(self, text: str) -> bool:
        """Put text where the up arrow finds it; see Reader."""
        self._prompt.history.append_string(text)
        return True

    @property
    def typed(self) -> str:
        """The line as far as it is typed now."""
        return self._prompt.default_buffer.text

    @property
    def suggested(self) -> str:
        """What is suggested as its rest."""
        suggestion = self._prompt.default_buffer.suggestion
        return suggestion.text if suggestion else ""

    @property
    def offered(self) -> list[str]:
        """The completions that the menu shows."""
        state = self._prompt.default_buffer.complete_state
        return [completion.text for completion in state.completions] if state else []

    def _toolbar(self) -> StyleAndTextTuples:
        """What the command at the cursor wants, if one is being typed, above where the session is."""
        width = self._prompt.app.output.get_size().columns
        line = line_before(self._prompt.default_buffer.document.text_before_cursor)
        found = hint(self._session, line, len(line))
        tip = self._tip if self.suggested and len(self._tip) < width // 2 else ""
        self._tip_seen |= bool(tip)
        state: StyleAndTextTuples = [("", tip), ("", state_text(self._session, width - len(tip)))]
        if found is not None:
            return [*hint_pieces(found, width), ("", "\n"), *state]
        if self._is_open(self.typed):
            return [("", _GOES_ON[:width]), ("", "\n"), *state]
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
    """What stands before a further line: dots below the prompt, nothing where a long line is wrapped."""
    return " " * width if wrapped else "... ".rjust(width)

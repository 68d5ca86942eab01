"""The prompt of a terminal: line editing, completion, colour, suggestions, history and a toolbar."""

from __future__ import annotations

import os
from collections.abc import Callable

from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.history import History
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output
from prompt_toolkit.shortcuts import PromptSession

from folioshell.session.session import Session
from folioshell.shell.completion import CommandCompleter
from folioshell.shell.highlight import STYLE, CommandLexer
from folioshell.shell.history_file import history_path, open_history
from folioshell.shell.toolbar import toolbar_text


class PromptReader:
    """Reads lines with prompt_toolkit.

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
        self._prompt: PromptSession[str] = PromptSession(
            history=open_history(history_path(os.environ)) if history is None else history,
            auto_suggest=AutoSuggestFromHistory(),
            completer=CommandCompleter(session),
            lexer=CommandLexer(),
            style=STYLE,
            include_default_pygments_style=False,
            bottom_toolbar=lambda: toolbar_text(session),
            input=source,
            output=sink,
        )
        self._when_idle = when_idle

    def read(self, prompt: str) -> str:
        """The next line; see Reader."""
        return self._prompt.prompt([("class:prompt", prompt)], pre_run=self._arrange_idle_call)

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

    def _arrange_idle_call(self) -> None:
        if self._when_idle is None:
            return
        call, self._when_idle = self._when_idle, None
        rendered = self._prompt.app.after_render

        def once(_: object) -> None:
            rendered.remove_handler(once)
            call()

        rendered.add_handler(once)

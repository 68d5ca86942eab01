"""Completion at the prompt: what the language says may stand there, with a description beside it."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from folioshell.commands.complete import complete
from folioshell.session.session import Session


class CommandCompleter(Completer):
    """Completes verbs, options and the names that are alive in a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Candidates at the cursor, in the language's order."""
        cursor = document.cursor_position_col
        for candidate in complete(self.session, document.current_line, cursor):
            yield Completion(
                candidate.text, start_position=candidate.start - cursor, display_meta=candidate.description
            )

"""Completion at the prompt: what the language says may stand there, with a description beside it."""

from __future__ import annotations

from collections.abc import Iterator

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from folioshell.commands.complete import complete
from folioshell.commands.lines import line_before
from folioshell.session.session import Session


class CommandCompleter(Completer):
    """Completes verbs, options and the names that are alive in a session."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """Candidates at the cursor, in the language's order; none if what there is to offer is typed already.

        Where nothing is typed they are offered to who asks for them alone.
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

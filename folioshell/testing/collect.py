"""Scripts as pytest sees them: a file, and in it an item for everything that may fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from folioshell.errors import Refused
from folioshell.script import Session, script
from folioshell.testing.replay import END, Key, ScriptReplay, refusal_text


class ScriptFailed(Exception):
    """Something in a script failed; the text says all that there is to say."""


class ScriptFile(pytest.File):
    """A script. Its items share one replay, which goes as far as the item that is asked for."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        schemes = [str(path) for path in self.config.getini("folioshell_scheme")]
        check = self.config.getini("folioshell_check")
        self.replay = ScriptReplay(self._shown_path(), schemes, self.config.getini("folioshell_limit"), check=check)

    def _shown_path(self) -> str:
        """The path as somebody would type it who started pytest."""
        here = self.config.invocation_params.dir
        return str(self.path.relative_to(here)) if self.path.is_relative_to(here) else str(self.path)

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each expect, golden block and script that is read, and one for the script as a whole."""
        name = self.replay.name
        lines = script.parse(script.read_text(os.fspath(self.path)), name, Session().language)
        taken: set[str] = set()
        for key, text in _checks(lines):
            title = f"{key.line}: {text}"
            if title in taken:
                title = f"{key.line}:{key.column}: {text}"
            taken.add(title)
            yield ScriptItem.from_parent(self, name=title, key=key)
        yield ScriptItem.from_parent(self, name="runs to its end", key=END)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], **options: Any) -> Any:  # type: ignore[override]
        """A script that cannot be read, with a caret under the place."""
        if isinstance(excinfo.value, Refused):
            return refusal_text(excinfo.value)
        return super().repr_failure(excinfo)

    def teardown(self) -> None:
        """Let go of the state: there may be many scripts."""
        self.replay.drop()


class ScriptItem(pytest.Item):
    """One thing that a script asserts.

    Args:
        key: where it stands.
    """

    def __init__(self, *, key: Key, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.key = key

    def runtest(self) -> None:
        """Replay the script up to here, unless that was done already."""
        assert isinstance(self.parent, ScriptFile)
        if failure := self.parent.replay.failure_at(self.key):
            raise ScriptFailed(failure)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """What `folioshell run` would print."""
        if isinstance(excinfo.value, ScriptFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The place in the script."""
        return self.path, self.key.line - 1 if self.key != END else None, self.name


def _checks(lines: list[script.Line]) -> Iterator[tuple[Key, str]]:
    """(place, text) of everything in a script that may fail."""
    for line in lines:
        for statement in line.statements:
            verb, _, rest = statement.text.partition(" ")
            if verb in ("expect", "source", "load"):
                number, _, first = line.written.row_of(statement.start)
                yield Key(number, statement.start - first + 1), rest if verb == "expect" else statement.text
        if line.golden is not None:
            yield Key(line.golden.number, 0), f"output of {line.statements[-1].text}"

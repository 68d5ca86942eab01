"""The tables of docs/schemes-own.md: every event with its callback, and what each field means."""

from __future__ import annotations

import re
from dataclasses import fields
from inspect import getdoc

from folioshell.events import CALLBACKS, Rmap
from tests.repo.tree import ROOT

START, END = "<!-- events -->\n", "<!-- end of events -->\n"


def schemes_own_page() -> str:
    """The page with both tables written anew; the rest is prose."""
    text = (ROOT / "docs" / "schemes-own.md").read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    return f"{before}{START}\n{event_table()}\n{field_table()}\n{END}{after}"


def event_table() -> str:
    """A row an event."""
    rows = ["| event | callback | announced when | fields |", "| --- | --- | --- | --- |"]
    for kind, callback in CALLBACKS.items():
        names = "those below" if issubclass(kind, Rmap) else ", ".join(f"`{field.name}`" for field in fields(kind))
        rows.append(f"| `{kind.__name__}` | `{callback}` | {_summary(kind)} | {names} |")
    return "\n".join(rows) + "\n"


def field_table() -> str:
    """A row for each field, or group of fields, that Mapped and Unmapped have."""
    rows = ["| of `Mapped` and `Unmapped` | |", "| --- | --- |"]
    for names, text in described(Rmap):
        rows.append(f"| {', '.join(f'`{name}`' for name in names)} | {text} |")
    rows.append("| `sign` | 1 for `Mapped`, -1 for `Unmapped` |")
    return "\n".join(rows) + "\n"


def described(kind: type) -> list[tuple[list[str], str]]:
    """(names, text) of each entry in the ``Args`` of a docstring."""
    section = re.search(r"^Args:\n(.*?)(?=^\S|\Z)", getdoc(kind) or "", re.DOTALL | re.MULTILINE)
    assert section is not None
    entries = re.findall(r"^    (\w[\w, ]*): (.*(?:\n {8}.*)*)", section[1], re.MULTILINE)
    return [(names.split(", "), _plain(text)) for names, text in entries]


def _summary(kind: type) -> str:
    return _plain((getdoc(kind) or "").partition(".")[0])


def _plain(text: str) -> str:
    words = " ".join(text.split()).replace("``", "`").replace("|", "\\|")
    return words.rstrip(".")

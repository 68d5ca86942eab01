"""Reports as JSON documents, one a line: the parts of a report under the names of their fields.

A field that equals its default is left out. What documents call otherwise stands in ``KEYS``; the schema follows from
the same classes.
"""

from __future__ import annotations

import json
from typing import Any

from folioshell.records import MISSING, fields
from folioshell.report import Expect, FolioChange, FolioLane, Picture, Report, Section, Table, Text, Walk, Watched

VERSION = 2

#: class -> field -> its key in documents; None for a field that they do not have
KEYS: dict[type, dict[str, str | None]] = {
    FolioChange: {"nr": "n"},
    FolioLane: {"nr": "n"},
    Watched: {"text": "watch"},
    Expect: {"start": None, "end": None},
    Picture: {"title": None},
    Table: {"words": None},
    Text: {"words": None},
}
#: class -> properties that documents have as well
PROPERTIES: dict[type, tuple[str, ...]] = {Walk: ("ptls", "entries")}

#: fields of a report in the order in which a document has them, after ``v``, ``file`` and ``line``
FIELDS = (
    *("step", "process", "command", "result", "sentence", "folios", "walks", "locks", "findings", "watched"),
    *("query", "expect", "sections", "state"),
)
_DEFAULTS = {one.name: one.default for one in fields(Report) if one.default is not MISSING}


def document(report: Report, file: str = "", line: int = 0, reopen: str = "", comment: str = "") -> dict[str, Any]:
    """The document of a report; keys whose value is absent are left out.

    Args:
        file, line: where the command stands, when it was read from a script.
        reopen: the command that opens the shell where an expect failed.
        comment: what the author wrote after the command.
    """
    made: dict[str, Any] = {"v": VERSION}
    if file:
        made["file"] = file
    if line:
        made["line"] = line
    for name in FIELDS:
        value = getattr(report, name)
        if name not in _DEFAULTS or value != _DEFAULTS[name]:
            made[name] = _plain(value)
    if report.locks:
        made["locks"] = [(row.name, row.depth, row.function) for row in report.locks for _ in range(row.times)]
    if report.sections:
        made["sections"] = [_section(section) for section in report.sections]
    if (failed := report.failed_expect) is not None:
        made["expect"]["column"] = failed.start + 1
        if reopen:
            made["expect"]["reopen"] = reopen
    if comment:
        made["comment"] = comment
    return made | report.extra


def document_line(
    report: Report, file: str = "", line: int = 0, reopen: str = "", comment: str = "", *, ascii_only: bool = False
) -> str:
    """The document of a report as one line of JSON Lines, its newline included.

    Args:
        file, line, reopen, comment: as in ``document``.
        ascii_only: write what is beyond ASCII as JSON's escapes.
    """
    return _line(document(report, file, line, reopen, comment), ascii_only)


def text_line(kind: str, text: str, file: str, line: int, ascii_only: bool = False) -> str:
    """The document of a line of a script that is no command, as ``document_line``; ``kind``: ``prose``, ``comment``."""
    return _line({"v": VERSION, "file": file, "line": line, kind: text}, ascii_only)


def _line(made: dict[str, Any], ascii_only: bool) -> str:
    return json.dumps(made, ensure_ascii=ascii_only, separators=(",", ":")) + "\n"


def _section(section: Section) -> dict[str, Any]:
    if isinstance(section, Picture):
        return {"title": section.title, "picture": _plain(section)}
    made: dict[str, Any] = _plain(section)
    return made


def keys_of(kind: Any) -> list[tuple[str, str]]:
    """(field, key) of the fields of a named tuple that documents have."""
    keys = KEYS.get(kind, {})
    return [(name, key) for name in kind._fields if (key := keys.get(name, name)) is not None]


def _plain(value: Any) -> Any:
    """Named tuples as objects, at any depth; what is no tuple or dictionary of them stays as it is."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if not isinstance(value, tuple) or not value:
        return value
    kind: Any = type(value)
    if kind is tuple:
        return value if isinstance(value[0], str | int) else [_plain(inner) for inner in value]
    defaults = kind._field_defaults
    made = {}
    for name, key in keys_of(kind):
        inner = getattr(value, name)
        if name not in defaults or inner != defaults[name]:
            made[key] = _plain(inner)
    made.update({name: getattr(value, name) for name in PROPERTIES.get(kind, ())})
    return made

"""The JSON schema of the documents, made from the classes of reports and from the commands' declarations."""

from __future__ import annotations

import json
import re
from functools import cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model

from folioshell import report
from folioshell.commands.grammar import registry
from folioshell.export.document import FIELDS, PROPERTIES, VERSION, keys_of

#: keys of an expect that did not hold: where the comparison stands in its line, and the command that opens the shell
_OF_A_FAILURE = {"column": (int, 0), "reopen": (str, "")}


@cache
def adapter() -> TypeAdapter[Any]:
    """Checks documents against their shape; unknown keys are errors."""
    hints = get_type_hints(report.Report)
    defaults = {name: (_json_type(hints[name]), None) for name in FIELDS}
    picture = _model(report.Picture)
    pictured = _closed("PictureSection", report.Picture, {"title": (str, ...), "picture": (picture, ...)})
    section: Any = Union[_model(report.Table), _model(report.Text), pictured]  # noqa: UP007
    whole = defaults | {
        "v": (Literal[VERSION], ...),
        "process": (str, ...),
        "command": (str, ...),
        "file": (str, ""),
        "line": (int, 0),
        "result": (_model(report.StepResult), None),
        "locks": (list[tuple[str, int, str]], ()),
        "sections": (list[section], ()),
        "race": (dict[str, Any], None),
        "schedule": (dict[str, Any], None),
        "hang": (dict[str, str], None),
        "comment": (str, ""),
        "asked": (str, None),
    }
    written = {"v": (Literal[VERSION], ...), "file": (str, ...), "line": (int, ...)}
    texts = [_closed(kind.title(), AuthorLine, written | {kind: (str, ...)}) for kind in ("prose", "comment")]
    one: Any = Union[(_closed("Document", report.Report, whole), *texts)]
    return TypeAdapter(one)


class AuthorLine:
    """A line of a script that is no command, as its author wrote it (``--json=full``)."""


def schema() -> dict[str, Any]:
    """The JSON schema of one document: of a command, or of a line of prose or a comment."""
    made = adapter().json_schema(mode="validation")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = f"folioshell document, version {VERSION}"
    verbs = "|".join(re.escape(command.verb) for command in registry)
    made["$defs"]["Document"]["properties"]["command"]["pattern"] = rf"^(fails(\[[0-9.,]+\])? [A-Z]+ )?({verbs})( |$)"
    made["$defs"]["commands"] = {
        "description": "the commands that documents report, as they are declared",
        "enum": [command.verb for command in registry],
        "x-usage": {command.verb: command.usages() for command in registry},
        "x-kind": {command.verb: command.kind for command in registry},
    }
    return made


def schema_text(*, ascii_only: bool = False) -> str:
    """The schema as indented JSON, its newline included; ``ascii_only`` as in ``document_line``."""
    return json.dumps(schema(), indent=2, ensure_ascii=ascii_only) + "\n"


@cache
def _model(kind: Any) -> type[BaseModel]:
    """The object that a named tuple, or a dictionary with known keys, becomes."""
    hints = get_type_hints(kind)
    if not hasattr(kind, "_fields"):
        return _closed(kind.__name__, kind, {name: (_json_type(hint), None) for name, hint in hints.items()})
    defaults = kind._field_defaults
    made = {key: (_json_type(hints[name]), defaults.get(name, ...)) for name, key in keys_of(kind)}
    for name in PROPERTIES.get(kind, ()):
        made[name] = (get_type_hints(getattr(kind, name).fget)["return"], ...)
    return _closed(kind.__name__, kind, made | (_OF_A_FAILURE if kind is report.Expect else {}))


def _closed(name: str, kind: type, made: dict[str, tuple[Any, Any]]) -> type[BaseModel]:
    """An object that has no keys but those declared, explained by the docstring of what it is made from."""
    fields: dict[str, Any] = made
    closed = ConfigDict(extra="forbid")
    return create_model(name, __config__=closed, __doc__=(kind.__doc__ or "").partition("\n")[0], **fields)


def _json_type(hint: Any) -> Any:
    """The type of a value once it is JSON: arrays for tuples, objects for named ones."""
    if hasattr(hint, "_fields"):
        return _model(hint)
    inner = tuple(one if one in (..., None) else _json_type(one) for one in get_args(hint))
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        return Union[inner]  # noqa: UP007
    if origin is tuple:
        return list[inner[0]] if inner[-1] is ... else tuple[inner]  # type: ignore[valid-type]
    return hint if origin is None else origin[inner]

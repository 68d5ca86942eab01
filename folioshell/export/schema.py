"""The JSON schema of the documents, made from their dataclasses and from the commands' declarations."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from folioshell.commands.grammar import registry
from folioshell.export import shape


@cache
def adapter() -> TypeAdapter[Any]:
    """Checks documents against their shape; unknown keys are errors."""
    return TypeAdapter(shape.Document)


def schema() -> dict[str, Any]:
    """The JSON schema of one document."""
    made = adapter().json_schema(mode="validation")
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    made["title"] = "folioshell document, version 1"
    verbs = "|".join(re.escape(command.verb) for command in registry)
    made["properties"]["command"]["pattern"] = f"^(fails [A-Z]+ )?({verbs})( |$)"
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

"""The command line within this process: arguments and standard streams go in, status and texts come out."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import NamedTuple
from unittest import mock

from folioshell.cli import main

#: wide, so that no test depends on how long the path of the temporary folder is
WIDE = {"COLUMNS": "1000"}


class Done(NamedTuple):
    """A run that ended."""

    returncode: int
    stdout: str
    stderr: str


class _Stream(io.TextIOWrapper):
    """A pipe: what was written to it can be read afterwards."""

    def __init__(self, data: bytes, encoding: str) -> None:
        super().__init__(io.BytesIO(data), encoding=encoding, errors="strict", newline="\n")

    def text(self) -> str:
        self.flush()
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


def folioshell(*arguments: str, stdin: str | bytes = "", environ: Mapping[str, str] | None = None) -> Done:
    """Run folioshell with pipes for its streams.

    Args:
        environ: variables that differ from those of this process; PYTHONIOENCODING is the encoding of the streams.
    """
    given = {**WIDE, **(environ or {})}
    encoding = given.get("PYTHONIOENCODING", "utf-8")
    data = stdin.encode() if isinstance(stdin, str) else stdin
    pipe, out, err = _Stream(data, encoding), _Stream(b"", encoding), _Stream(b"", encoding)
    with ExitStack() as replaced:
        replaced.enter_context(mock.patch.dict(os.environ, given))
        for name, stream in (("stdin", pipe), ("stdout", out), ("stderr", err)):
            replaced.enter_context(mock.patch.object(sys, name, stream))
        return Done(main(arguments), out.text(), err.text())

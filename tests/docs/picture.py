"""docs/straddle.svg: a figure as ``folioshell export --svg`` writes it, at the step that makes the point."""

from __future__ import annotations

from functools import cache

from folioshell.commands import Session
from folioshell.export.page import page, standalone
from folioshell.script.runner import run_text
from folioshell.shell.run_outputs import script_of

NAME = "straddle.svg"
#: a folio across two page tables, with 8 entries a table
SCRIPT = """\
set geometry classroom ; set schemes per-page,tuples,vmas,mm-id
file lib 16 order=2
mmap win 4 file=lib align=8 skew=6
fault win[0]
fault win[2]
"""
STEP = "s5"


@cache
def picture() -> str:
    """The picture as SVG."""
    script = script_of(run_text(SCRIPT, name="straddle", session=Session(counting=())))
    return standalone(page([script], "").figures[STEP])

"""Where output goes and in which form: a matter of whoever looks, which no step, undo or reset touches."""

from __future__ import annotations

from dataclasses import dataclass

from folioshell.report import Target

#: mode -> what it is
MODES = {
    "table": "tables with rules, in colour on a terminal",
    "plain": "aligned text without rules or colour; good to listen to",
    "json": "a JSON document a line, as `--json` prints them",
    "csv": "comma-separated values: the tables alone",
    "markdown": "tables as GitHub shows them",
    "mail": "72 columns of ASCII, with the script that leads there underneath",
}


@dataclass(slots=True)
class Output:
    """The form of what is shown.

    Attributes:
        mode: one of MODES.
        fixed: the mode was chosen by whoever runs a script, which does not change it.
        pager: what does not fit on a terminal's screen is shown by a pager.
        once: where the output of the next command goes instead; None if it is shown.
    """

    mode: str = "plain"
    fixed: bool = False
    pager: bool = True
    once: Target | None = None

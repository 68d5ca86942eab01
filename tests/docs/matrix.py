"""The table of docs/definitions.md: the answer of every scheme after each script of the page."""

from __future__ import annotations

import re

from folioshell import Session
from folioshell.schemes import all_schemes
from folioshell.script.runner import run_text
from tests.docs.blocks import anchor, blocks
from tests.repo.tree import ROOT

PAGE = ROOT / "docs" / "definitions.md"
_NUMBERED = re.compile(r"^## ((\d+)\. .*)$", re.MULTILINE)
_TABLE = re.compile(r"(?<=<!-- matrix -->\n).*?(?=<!-- end of matrix -->)", re.DOTALL)


def definitions_page() -> str:
    """The current page, with its table regenerated."""
    return _TABLE.sub(lambda _: matrix(), PAGE.read_text(encoding="utf-8"))


def matrix() -> str:
    """A row per scheme, a column per script; the truth comes first."""
    headings = _NUMBERED.findall(PAGE.read_text(encoding="utf-8"))
    scripts = [block.text for block in blocks(PAGE) if block.tag == "fs"][: len(headings)]
    columns = [_answers(text) for text in scripts]
    links = [f"[{number}](#{anchor(heading)})" for heading, number in headings]
    rows = [("scheme", *links), ("---", *("---" for _ in links))]
    rows += [(name, *(column[name] for column in columns)) for name in ("truth", *all_schemes())]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _answers(text: str) -> dict[str, str]:
    """The answers about f1 for the process that is current at the end, wrong ones marked."""
    session = Session()
    session.execute("set schemes all")
    list(run_text(text, session=session))
    query = session.execute("query shared? f1")[0].query
    assert query is not None and query.truth is not None
    answers = {row.scheme: _marked(row.answer, row.verdict) for row in query.rows}
    return {"truth": query.truth.answer, **answers}


def _marked(answer: str, verdict: str) -> str:
    mark = "**" if verdict.startswith("false") else "*" if answer == "maybe" else ""
    return f"{mark}{answer}{mark}"

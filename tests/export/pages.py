"""Pages of scripts for tests, and what stands in their figures and tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import unescape
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

from folioshell import Session
from folioshell.export.page import HtmlPage, Script, page
from folioshell.script.runner import run_file
from folioshell.shell.run_outputs import script_of

LESSON = """\
#!folioshell 1
| # Two processes, one page
|
| How a `fork` shares pages.
set geometry classroom ; set schemes per-page,tuples
mmap buf 8
write buf[0..3]
| Now the child gets entries of its own.
? truth entries f1 == 2 | How many entries map `f1` after <the> fork?
?hint Fork copies page tables, not pages.
?wrong 4 Page 0 alone is in f1.
?after Each process has an entry of its own.
fork B
expect mapcount per-page f1 == 2
| B writes, and gets a copy.
? shared? truth buf[0] == no | Is the page of A still shared?
B: write buf[0]
?task two steps<=2 | Let two processes map page 1.
?goal truth mms buf[1] == 2 | two processes map it
?solution fork C ; B: munmap buf[1]
| The end of the lesson.
"""


def script(path: Path) -> Script:
    """A script, run."""
    return script_of(run_file(path, session=Session(counting=()), confined=False))


def script_text(tmp_path: Path, text: str) -> Script:
    """The same of a text."""
    path = tmp_path / "made.fs"
    path.write_text(text, encoding="utf-8")
    return script(path)


def page_of(found: Script, **settings: Any) -> HtmlPage:
    """The page of a script."""
    return page([found], "made by a test", **settings)


def texts(svg: str) -> list[tuple[str, str]]:
    """(class, text) of the texts of a figure, in order."""
    root = fromstring(svg)
    return [(one.get("class", ""), "".join(one.itertext())) for one in root.iter() if one.tag.endswith("text")]


def rows(html: str) -> list[list[str]]:
    """The cells of the rows of all tables, headers too."""
    found = re.findall(r"<tr>(.*?)(?=<tr>|<tbody>|</table>)", html, re.DOTALL)
    cells = [re.split(r"<t[hd][^>]*>", row)[1:] for row in found]
    return [[unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in row] for row in cells]


def expanded(state: dict[str, Any]) -> Iterator[tuple[str, int, int, str]]:
    """(process, folio, page, permission) of every entry that maps a folio."""
    for name, process in state["processes"].items():
        for run in process["entries"]:
            for at in range(run["pages"] if "folio" in run else 0):
                further, inner = divmod(run["page"] + at, run["step"]) if "step" in run else (0, run["page"] + at)
                yield name, int(run["folio"][1:]) + further, inner, run["perm"]


def counts(state: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """(folio, how many entries map each of its pages) of the mapped folios, counted from the entries."""
    orders = {int(row["id"][1:]) + at: row["order"] for row in state["folios"] for at in range(row["n"])}
    found: dict[int, list[int]] = {}
    for _, folio, inner, _ in expanded(state):
        found.setdefault(folio, [0] * (1 << orders[folio]))[inner] += 1
    return sorted(found.items())


def drawn_counts(pairs: Sequence[tuple[str, str]], state: dict[str, Any]) -> list[tuple[int, list[int]]]:
    """The same, read from the labels of a figure: (page or folio, ×entries)."""
    mapped = [row for row in state["folios"] if row["sharing"] != "unmapped"]
    left = [(label, times.rstrip("!?")) for label, times in pairs]
    found = []
    for row in mapped:
        first, size = int(row["id"][1:]), 1 << row["order"]
        if row["n"] > 8:
            label, times = left.pop(0)
            assert label == f"{row['n']:,} folios"
            found += [(first + at, [int(times[1:])] * size) for at in range(row["n"])]
            continue
        for number in range(first, first + row["n"]):
            pages: list[int] = []
            while len(pages) < size:
                label, times = left.pop(0)
                if row["order"]:
                    low, _, high = label.partition("..")
                    assert int(low) == len(pages)
                    pages += [int(times[1:])] * (int(high or low) - int(low) + 1)
                else:
                    assert label == f"f{number}"
                    pages.append(int(times[1:]))
            found.append((number, pages))
    assert left == []
    return found


def entry_labels(state: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(page of the folio, or order-0 folio; permission) of every cell of tables of 8 entries."""
    orders = {int(row["id"][1:]) + at: row["order"] for row in state["folios"] for at in range(row["n"])}
    for process in state["processes"].values():
        for run in process["entries"]:
            perm = run.get("perm", "").replace("none", "no") or "-"
            if run["level"] == "pmd":
                yield run.get("folio", run.get("other", "")), perm
                continue
            for at in range(run["pages"]):
                if "folio" not in run:
                    yield from [] if run["other"] == "zero page" else [(_OTHERS.get(run["other"], run["other"]), perm)]
                    continue
                further, inner = divmod(run["page"] + at, run["step"]) if "step" in run else (0, run["page"] + at)
                number = int(run["folio"][1:]) + further
                yield (str(inner) if orders[number] else f"f{number}"), perm


_OTHERS = {"migration": "migr."}

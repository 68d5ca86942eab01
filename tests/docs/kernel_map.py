"""docs/kernel-map.md: which function of ours follows which kernel function, from the docstrings."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache

from tests.repo.docstrings import Symbol, documented, kernel_symbols
from tests.repo.tree import ROOT, modules

_INTRODUCTION = """\
# Kernel map

Generated from the `Kernel:` lines of the docstrings. Each row maps a kernel function to the functions of ours that
follow it, with the kernel version whose source was read. If only a module is listed, the whole module follows that
function. [fidelity.md](fidelity.md) lists what is left out.
"""


@cache
def kernel_map() -> str:
    """The page: a section per kernel file, a row per function, sorted by name."""
    ours: dict[str, dict[Symbol, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in modules():
        where = path.relative_to(ROOT).as_posix()
        for name, node in documented(path):
            place = where if isinstance(node, ast.Module) else f"{where}: {name}"
            for symbol in kernel_symbols(ast.get_docstring(node) or ""):
                ours[symbol.file][symbol].append(f"[{place.removeprefix('folioshell/')}](../{where})")
    lines = [_INTRODUCTION]
    for file, symbols in sorted(ours.items()):
        lines += [f"## {file}", "", "| kernel | version | folioshell |", "| --- | --- | --- |"]
        lines += [
            f"| {symbol.name if ' ' in symbol.name else f'`{symbol.name}`'} | {symbol.version} | {_listed(links)} |"
            for symbol, links in sorted(symbols.items(), key=lambda item: _order(item[0]))
        ]
        lines.append("")
    return "\n".join(lines)


def _listed(links: list[str]) -> str:
    """Each link once; no module of which a function is listed."""
    functions = [link for link in links if ": " in link]
    modules_of = {link.partition(": ")[0] for link in functions}
    return ", ".join(dict.fromkeys(link for link in links if link.partition("]")[0] not in modules_of))


def _order(symbol: Symbol) -> tuple[str, list[int]]:
    name = symbol.name.removeprefix("struct ").lstrip("_").lower()
    return name, [int(number) for number in re.findall(r"\d+", symbol.version)]

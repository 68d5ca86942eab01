"""docs/kernel-map.md: which of our functions follows which of the kernel's, from the docstrings."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from functools import cache

from tests.repo.docstrings import Symbol, documented, kernel_symbols
from tests.repo.tree import ROOT, modules

_INTRODUCTION = """\
# Kernel map

Generated from the `Kernel:` lines of the docstrings. A row says which of our functions does what the kernel's
does, and in which version of the source it was read; [fidelity.md](fidelity.md) says what is left out. A module
without a function follows the kernel's function as a whole.
"""


@cache
def kernel_map() -> str:
    """The page: a section a kernel file, a row a function, all in order of their names."""
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
    """Each once; a module goes where one of its functions is named."""
    functions = [link for link in links if ": " in link]
    modules_of = {link.partition(": ")[0] for link in functions}
    return ", ".join(dict.fromkeys(link for link in links if link.partition("]")[0] not in modules_of))


def _order(symbol: Symbol) -> tuple[str, list[int]]:
    name = symbol.name.removeprefix("struct ").lstrip("_").lower()
    return name, [int(number) for number in re.findall(r"\d+", symbol.version)]

"""The reference of definitions: docs/schemes.md, made of what the schemes declare."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from folioshell.events import Mapped
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from folioshell.schemes.cost import Cost

#: law -> what a definition that keeps it promises
LAWS = {
    Law.NEVER_FALSE_NEGATIVE: "`no` is never answered while two address spaces map a page of the folio",
    Law.NEVER_FALSE_POSITIVE: "`yes` is never answered while one address space does",
    Law.DECIDES: "the answer is never `maybe`",
    Law.MAPPED_IFF_POSITIVE: "the number is positive exactly while a page of the folio is mapped",
    Law.ZERO_WHEN_UNMAPPED: "the number is 0 when nothing maps the folio any more",
    Law.UNMAP_UNDOES_MAP: "mapping pages and unmapping them again, in any pieces, restores the number",
    Law.BATCHING_IS_IRRELEVANT: "how pages are grouped into rmap calls does not matter",
    Law.IGNORES_VMA_SPLIT: "splitting and merging VMAs never changes the number",
    Law.IGNORES_PMD_SPLIT: "splitting a PMD entry of anonymous memory into PTEs never changes the number",
    Law.IGNORES_MOVE: "mremap within an address space never changes the number",
    Law.ONE_IS_EXCLUSIVE: "the number is never 1 while two address spaces map a page of the folio",
    Law.EXACT_WITHIN_PAGES: "the answer is right as long as the folio has no more entries than pages",
    Law.TELLS_PARTIAL: "whether the folio is partially mapped is answered, and rightly",
    Law.COUNTS_PAGES: "how often a page is mapped is answered, and rightly",
    Law.FORGETS_HISTORY: "number and answer depend on the entries that there are, not on how they came about",
}

ORDERS = (0, 4, 9)
_PAGES = 8

_INTRODUCTION = """\
# Schemes

Generated from what the schemes declare; `show schemes` says the same at the prompt. Bytes are kept for a folio of
order 0, 4 and 9, on 64-bit. *Atomics* are read-modify-write operations of an rmap call that maps *n* pages of a large
folio for the first time; a *look* is how many page-table slots are looked at for a call that maps 8 pages of an order-4
folio that lies in one VMA and one page table. *False negative* and *false positive* are wrong answers to
`query shared?`; whether they can happen, whether a page's number is right, and every other *exact* here is a law of the
scheme: a contract test looks for counterexamples to those that it declares, and demands one for each that it does not.
"""

_COLUMNS = (
    *("scheme", *(f"order {order}" for order in ORDERS), "atomics", "look"),
    *("mapped?", "false negative", "false positive", "maybe", "partial?", "this page"),
)


def schemes_page() -> str:
    """docs/schemes.md: the schemes side by side, each in words, and the laws."""
    schemes = [kind() for kind in all_schemes().values()]
    lines = [_INTRODUCTION, *_table(_COLUMNS, [_row(scheme) for scheme in schemes])]
    for scheme in schemes:
        lines += ["", f"## {scheme.name}", "", *_section(scheme)]
    laws = [(f"`{law}`", text, _keepers(law, schemes)) for law, text in LAWS.items()]
    lines += ["", "## Laws", "", *_table(("law", "what it says", "kept by"), laws)]
    lines += ["", "A scheme of your own is checked in the same way: see [schemes-own.md](schemes-own.md)."]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"| {' | '.join('---' for _ in columns)} |"
    yield from (f"| {' | '.join(row)} |" for row in rows)


def _row(scheme: Scheme) -> tuple[str, ...]:
    laws = scheme.laws
    cost = _map_cost(scheme, _PAGES)
    look = f"{cost.slots} slots" if cost.slots else "-"
    if cost.ptls:
        look += f", {cost.ptls} PTL"
    return (
        f"[{scheme.name}](#{scheme.name.replace('.', '')})",
        *(str(scheme.bytes_of_state(order)) for order in ORDERS),
        _atomics(scheme),
        look,
        _told(scheme, "mapped", Law.MAPPED_IFF_POSITIVE),
        *("no" if law in laws else "yes" for law in (Law.NEVER_FALSE_NEGATIVE, Law.NEVER_FALSE_POSITIVE, Law.DECIDES)),
        _told(scheme, "partially_mapped", Law.TELLS_PARTIAL),
        _told(scheme, "page_mapcount", Law.COUNTS_PAGES),
    )


def _told(scheme: Scheme, method: str, law: Law) -> str:
    if law in scheme.laws:
        return "exact"
    unused = method != "mapped" and getattr(type(scheme), method) is getattr(Scheme, method)
    return "cannot" if unused else "may be wrong"


def _map_cost(scheme: Scheme, nr: int) -> Cost:
    """What mapping the first ``nr`` pages of an order-4 file folio costs."""
    return scheme.cost_of(Mapped(1, 4, False, 0, nr, 1, 1, 1, 0, 0, 16, "folio_add_file_rmap_ptes"))


def _atomics(scheme: Scheme) -> str:
    """As a formula: ``n + 1``."""
    one, many = _map_cost(scheme, 1).atomics, _map_cost(scheme, _PAGES).atomics
    slope = (many - one) // (_PAGES - 1)
    fixed = one - slope
    factor = {0: "", 1: "n"}.get(slope, f"{slope}n")
    return " + ".join(part for part in (factor, str(fixed) if fixed or not factor else "") if part)


def _section(scheme: Scheme) -> Iterator[str]:
    yield from scheme.about
    yield ""
    yield f"- Version: {scheme.version}."
    yield f"- State: {scheme.state}."
    yield f"- Keeps: {_names(lambda law: law in scheme.laws)}."
    yield f"- Does not keep: {_names(lambda law: law not in scheme.laws)}."


def _names(holds: Callable[[Law], bool]) -> str:
    return ", ".join(f"`{law}`" for law in LAWS if holds(law)) or "none"


def _keepers(law: Law, schemes: list[Scheme]) -> str:
    return ", ".join(scheme.name for scheme in schemes if law in scheme.laws) or "none"

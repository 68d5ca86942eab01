"""What differs between two observations: rows of what the kernel showed and what the model says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: a page as it is compared: bits, folio, index, kpagecount
_Page = tuple[Any, ...]

ABSENT = "-"


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that differs.

    Args:
        what: what it is: ``A, VMA t[0+512], Rss``.
        kernel, model: what each has; ``-`` for nothing.
        process, region, page: where it is, as far as it has a place.
        folio: its number in the model's recording, 0 if it is no folio.
    """

    what: str
    kernel: str
    model: str
    process: str = ""
    region: str = ""
    page: int = 0
    folio: int = 0


def differences(kernel: Mapping[str, Any], model: Mapping[str, Any]) -> list[Row]:
    """All in which a step of a recording and the model differ: result, VMAs, pages, folios, smaps, in this order."""
    rows: list[Row] = []
    if kernel["result"] != model["result"]:
        rows.append(Row("result", result_text(kernel["result"]), result_text(model["result"])))
    if kernel["procs"] == model["procs"] and kernel["folios"] == model["folios"]:
        return rows
    if list(kernel["procs"]) != list(model["procs"]):
        rows.append(Row("processes", " ".join(kernel["procs"]), " ".join(model["procs"])))
    for name, process in kernel["procs"].items():
        if name in model["procs"]:
            rows += _vma_rows(name, process["vmas"], model["procs"][name]["vmas"])
    for name, process in kernel["procs"].items():
        if name in model["procs"]:
            rows += _page_rows(name, process["pages"], model["procs"][name]["pages"], (kernel, model))
    rows += _folio_rows(kernel["folios"], model["folios"])
    for name, process in kernel["procs"].items():
        if name in model["procs"]:
            rows += _smaps_rows(name, process["vmas"], model["procs"][name]["vmas"])
    return rows or [Row("form", "the same, written otherwise", "the same")]


def result_text(result: Mapping[str, Any]) -> str:
    """The result of an operation in words: ``ok``, ``ENOMEM``, ``SIGBUS at access 3, 2 times``."""
    if "signals" in result:
        return ", ".join(
            f"{signal} at access {first}" + (f", {nr} times" if nr > 1 else "")
            for first, nr, signal in result["signals"]
        )
    parts = [str(result[key]) for key in ("errno", "skipped") if key in result] or ["ok"]
    if "thp_errno" in result:
        parts.append(f"then {result['thp_errno']}")
    return ", ".join(parts)


def _vma_name(vma: Mapping[str, Any]) -> str:
    return f"{vma.get('region')}[{vma.get('page')}+{vma.get('count')}]"


def _vma_rows(process: str, kernel: list[Any], model: list[Any]) -> Iterator[Row]:
    if [_vma_name(vma) for vma in kernel] != [_vma_name(vma) for vma in model]:
        extra = next((two for one, two in zip(kernel, model, strict=False) if _vma_name(one) != _vma_name(two)), None)
        at = extra or (model or kernel)[-1]
        names = [" ".join(_vma_name(vma) for vma in vmas) or ABSENT for vmas in (kernel, model)]
        yield Row(f"{process}, VMAs", names[0], names[1], process, str(at.get("region")), int(at.get("page", 0)))
        return
    for one, two in zip(kernel, model, strict=True):
        for key in _keys(one, two):
            if key != "smaps" and one.get(key) != two.get(key):
                what = f"{process}, VMA {_vma_name(two)}, {key}"
                values = str(one.get(key, ABSENT)), str(two.get(key, ABSENT))
                yield Row(what, *values, process, str(two["region"]), int(two["page"]))


def _smaps_rows(process: str, kernel: list[Any], model: list[Any]) -> Iterator[Row]:
    for one, two in zip(kernel, model, strict=False):
        if _vma_name(one) != _vma_name(two):
            return
        figures = one.get("smaps", {}), two["smaps"]
        for key in _keys(*figures):
            values = [figure.get(key, 0) for figure in figures]
            if values[0] != values[1]:
                what = f"{process}, VMA {_vma_name(two)}, {key}"
                yield Row(what, f"{values[0]} kB", f"{values[1]} kB", process, str(two["region"]), int(two["page"]))


def _keys(one: Mapping[str, Any], two: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys((*one, *two)))


def orders(folios: list[dict[str, Any]]) -> dict[int, int]:
    """Number of a folio -> its order."""
    return {row["id"] + number: row["order"] for row in folios for number in range(row["n"])}


def expand(runs: list[list[Any]], order_of: Mapping[int, int]) -> dict[int, _Page]:
    """Page of a region -> bits, folio, index, kpagecount; see the succession of pages in the format of recordings."""
    pages: dict[int, _Page] = {}
    for first, nr, bits, number, page, count in runs:
        if number == "zero":
            pages.update((first + offset, (bits, "zero", None, None)) for offset in range(nr))
            continue
        folio, index = number, page
        for offset in range(nr):
            pages[first + offset] = (bits, folio, index, count)
            index += 1
            if index >= 1 << order_of.get(folio, 0):
                folio, index = folio + 1, 0
    return pages


def _page_rows(
    process: str,
    kernel: Mapping[str, Any],
    model: Mapping[str, Any],
    steps: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> Iterator[Row]:
    for region in _keys(kernel, model):
        if kernel.get(region) == model.get(region):
            continue
        one = expand(kernel.get(region, []), orders(steps[0]["folios"]))
        two = expand(model.get(region, []), orders(steps[1]["folios"]))
        differing = [page for page in sorted({*one, *two}) if one.get(page) != two.get(page)]
        if not differing:
            continue
        page = differing[0]
        more = f" and {len(differing) - 1} more" if len(differing) > 1 else ""
        found = two.get(page)
        number = found[1] if found and found[1] != "zero" else 0
        texts = _page_text(one.get(page)), _page_text(found)
        yield Row(f"{process}, {region}[{page}]{more}", *texts, process, region, page, number)


def _page_text(page: _Page | None) -> str:
    if page is None:
        return ABSENT
    bits, folio, index, count = page
    return f"{bits} zero page" if folio == "zero" else f"{bits} folio {folio} page {index}, mapcount {count}"


def _folio_rows(kernel: list[dict[str, Any]], model: list[dict[str, Any]]) -> Iterator[Row]:
    one, two = _by_number(kernel), _by_number(model)
    for number in sorted({*one, *two}):
        if one.get(number) != two.get(number):
            yield Row(f"folio {number}", _folio_text(one.get(number)), _folio_text(two.get(number)), folio=number)


def _by_number(folios: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for row in folios:
        for offset in range(row["n"]):
            one = {key: value for key, value in row.items() if key not in ("id", "n")}
            if "from" in one:
                one["from"] = [one["from"][0], one["from"][1] + (offset << row["order"])]
            found[row["id"] + offset] = one
    return found


def _folio_text(row: Mapping[str, Any] | None) -> str:
    if row is None:
        return ABSENT
    counts = " ".join(f"{count}×{nr}" for count, nr in row.get("mapcounts", ()))
    parts = [f"order {row['order']}", "anon" if row.get("anon") else "file", f"mapcounts {counts}"]
    if row.get("pmd"):
        parts.append(f"PMD of {' '.join(row['pmd'])}")
    if "from" in row:
        parts.append(f"from page {row['from'][1]} of folio {row['from'][0]}")
    return ", ".join(parts)
